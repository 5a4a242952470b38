"""Inspection: which heads and which characters a trained model needs, and what its embedding table holds.

Attention weights show where a model reads. Whether it needs what it reads there, only a change can tell.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lesson_tf.attention import MultiHeadAttention, _describe, _is_number
from lesson_tf.transformer import LanguageModel, Transformer, in_mode
from lesson_tf.translator import Translation, Translator, _check_translator
from lesson_tf.vocabulary import listed_texts

# Characters that can stand for one another: a digit for a digit, a kanji numeral for a kanji numeral.
KINDS = {
    "digits": "0123456789",
    "numerals": "〇一二三四五六七八九十百千元",
    "capitals": "ABCDEFGHIJLMNOPRSTUVWXY",
    "letters": "abcdefghijlmnoprstuvwxy",
    "kanji": "年月日火水木金土曜西暦明治大正昭和平成令",
    "signs": " ,./-_()",
}
LEAST_INFLUENCE = 0.1  # below, no single character decides what is written
ROWS = 256  # texts that pass through the model at once


class Head(NamedTuple):
    """One head of a model: where its attention stands, which head of it, counted from 0, and the attention.

    >>> Head("decoder 1 cross", 1, MultiHeadAttention(d_model=8, heads=2)).name
    'decoder 1 cross, head 2'
    """

    place: str
    index: int
    attention: MultiHeadAttention

    @property
    def name(self) -> str:
        """Where the head stands, in words; there, heads are counted from 1, as in the pictures."""
        return f"{self.place}, head {self.index + 1}"


def heads_of(model: Transformer | LanguageModel) -> list[Head]:
    """List all heads of a model in the order in which a token passes them.

    The places of a Transformer are "encoder 1", …, "decoder 1 self", "decoder 1 cross", …; those of a
    LanguageModel "layer 1", ….

    Raises ValueError for what is neither.

    >>> from lesson_tf.transformer import TransformerConfig
    >>> heads = heads_of(Transformer(TransformerConfig(source_vocab=9, target_vocab=9)))
    >>> len(heads), heads[0].name, heads[-1].name
    (24, 'encoder 1, head 1', 'decoder 2 cross, head 4')
    """
    return [
        Head(place, index, attention)
        for place, attention in _attentions(model).items()
        for index in range(attention.heads)
    ]


def _attentions(model) -> dict[str, MultiHeadAttention]:
    """Name the attentions of a model."""
    if isinstance(model, LanguageModel):
        return {f"layer {i}": layer.self_attention for i, layer in enumerate(model.layers, 1)}
    if not isinstance(model, Transformer):
        raise ValueError(
            f"model={type(model).__name__} has no heads to list; give a Transformer or a LanguageModel"
        )
    named = {f"encoder {i}": each.self_attention for i, each in enumerate(model.encoder.layers, 1)}
    for i, layer in enumerate(model.decoder.layers, 1):
        named[f"decoder {i} self"] = layer.self_attention
        named[f"decoder {i} cross"] = layer.cross_attention
    return named


@contextmanager
def head_off(attention: MultiHeadAttention, head: int) -> Iterator[None]:
    """Silence one head, counted from 0, as long as the block runs: w_o receives zeros in its place.

    No weight is touched. The other heads and the bias of w_o remain; blocks may be nested.

    Raises ValueError where there is no such head.

    Source: Michel et al. (2019), section 2.3.

    >>> attention, x = MultiHeadAttention(d_model=8, heads=1), torch.ones(1, 3, 8)
    >>> with head_off(attention, 0):
    ...     output, _ = attention(x)
    >>> torch.equal(output, attention.w_o.bias.expand(1, 3, 8))
    True
    """
    _check_head(attention, head)
    d_k = attention.d_model // attention.heads

    def silence(_, inputs):
        joined = inputs[0].clone()  # (..., T, d_model), the heads side by side
        joined[..., head * d_k : (head + 1) * d_k] = 0.0
        return (joined,)

    hook = attention.w_o.register_forward_pre_hook(silence)
    try:
        yield
    finally:
        hook.remove()


def ablate_heads(
    model: Transformer | LanguageModel, measure: Callable[[], float]
) -> dict[str, list[float]]:
    """Measure with each head off in turn: a list for each place, with one value a head.

    `measure` takes nothing and uses the model itself; for what is lost, measure once with all heads on.

    Raises ValueError where the model has no heads to list, or `measure` cannot be called.

    Source: Michel et al. (2019), section 3.2.

    >>> from lesson_tf.transformer import TransformerConfig
    >>> model = LanguageModel(TransformerConfig(source_vocab=9, target_vocab=9))
    >>> ids = torch.tensor([[4, 5, 6]])
    >>> scores = ablate_heads(model, lambda: model(ids).std().item())
    >>> [(place, len(values)) for place, values in scores.items()]
    [('layer 1', 4), ('layer 2', 4)]
    """
    if not callable(measure):
        raise ValueError(
            f"measure={_describe(measure)} cannot be called; give a function without arguments that returns a number"
        )
    found: dict[str, list[float]] = {}
    for head in heads_of(model):
        with head_off(head.attention, head.index):
            found.setdefault(head.place, []).append(float(measure()))
    return found


def replacements(character: str) -> str:
    """Give the other characters of the same kind: digits for a digit, numerals for a numeral.

    Raises ValueError for what the translator cannot read.

    >>> replacements("3")
    '012456789'
    """
    for members in KINDS.values():
        if isinstance(character, str) and len(character) == 1 and character in members:
            return members.replace(character, "")
    raise ValueError(
        f"character={_describe(character)} is of no kind; use one of {' '.join(KINDS.values())}"
    )


def influence(translator: Translator, text: str) -> Float[Tensor, "target source"]:
    """Measure how much each source character matters to each token that was written.

    Entry (t, s): by how much the probability of token t falls, on average, when another character of the
    same kind stands at place s. All tokens before t stay as they were written, `<eos>` is the last.

    Raises ValueError, in a sentence, for a text that the translator cannot read.

    Source: Li, Monroe and Jurafsky (2016) (erasure), with a replacement where they leave out.

    >>> from lesson_tf.translator import load
    >>> falls = influence(load(), "5 March 2024")
    >>> falls.shape, int(falls[9].argmax())  # the last digit of the day was read from the 5
    (torch.Size([11, 12]), 0)
    """
    _check_translator(translator)
    return _influence(translator, translator.translate(text))


def _influence(translator: Translator, seen: Translation) -> Float[Tensor, "target source"]:
    places, sources = _replaced(translator, seen.source_tokens)
    written = torch.tensor([translator.target_tokenizer.vocabulary[t] for t in seen.target_tokens])
    values = torch.cat([_probabilities(translator, rows, written) for rows in sources.split(ROWS)])
    falls = torch.tensor(seen.token_probabilities) - values  # (replacements, target)
    total = torch.zeros(len(seen.source_tokens), len(written)).index_add_(0, places, falls)
    return (total / places.bincount()[:, None]).T


def _replaced(
    translator: Translator, characters: Sequence[str]
) -> tuple[Int[Tensor, " rows"], Int[Tensor, "rows source"]]:
    """Write the text anew with every replacement at every place: the places, and the ids."""
    tokenizer = translator.source_tokenizer
    ids = [tokenizer.vocabulary[character] for character in characters]
    places, rows = [], []
    for place, character in enumerate(characters):
        for other in replacements(character):
            places.append(place)
            rows.append([*ids[:place], tokenizer.vocabulary[other], *ids[place + 1 :]])
    return torch.tensor(places), torch.tensor(rows)


@torch.no_grad()
def _probabilities(
    translator: Translator, sources: Int[Tensor, "rows source"], written: Int[Tensor, " target"]
) -> Float[Tensor, "rows target"]:
    """Return the probability of each written token after other sources, by teacher forcing."""
    begin = torch.tensor([translator.target_tokenizer.vocabulary["<bos>"]])
    inputs = torch.cat((begin, written[:-1])).expand(len(sources), -1)
    with in_mode(translator.model, training=False):
        probabilities = translator.model(sources, inputs).softmax(-1)
    return probabilities.gather(-1, written.expand(len(sources), -1)[..., None]).squeeze(-1)


def peak_agreement(
    translator: Translator, texts: Sequence[str], least: float = LEAST_INFLUENCE
) -> dict[str, float]:
    """Measure how often the peak of the cross-attention names the most influential character.

    The share of written tokens for which it does, for each layer's mean of heads and for each head; last,
    "at random", the share that a blind guess would have. A token counts only where some character's
    influence on it is `least` or more: a hyphen comes whatever is read.

    Raises ValueError where there are no texts, or no token counts.

    Source: Jain and Wallace (2019), section 4.1, which compares weights with leaving words out.

    >>> from lesson_tf.translator import load
    >>> list(peak_agreement(load(), ["5 March 2024"]))[-1]
    'at random'
    """
    _check_translator(translator)
    texts = listed_texts(texts)
    if not texts:
        raise ValueError("texts=[] holds no texts; give a list of them")
    _check_least(least)
    hits: dict[str, list[bool]] = {}
    guesses: list[float] = []
    for text in texts:
        seen = translator.translate(text)
        falls = _influence(translator, seen)
        counted = falls.amax(dim=1) >= float(least)
        guesses += [1 / len(seen.source_tokens)] * int(counted.sum())
        for name, weights in _cross_attentions(seen).items():
            same = weights.argmax(dim=1) == falls.argmax(dim=1)
            hits.setdefault(name, []).extend(same[counted].tolist())
    if not guesses:
        raise ValueError(f"no character has an influence of least={_describe(least)} on any token")
    shares = {name: sum(found) / len(found) for name, found in hits.items()}
    return {**shares, "at random": sum(guesses) / len(guesses)}


def nearest(
    table: Float[Tensor, "vectors width"], index: int, most: int = 3
) -> tuple[Int[Tensor, " most"], Float[Tensor, " most"]]:
    """Find the vectors of a table that point most nearly where one of them points.

    Returns their rows and their cosines, the nearest first, itself left out.

    Raises ValueError where the table has no such row, or fewer others than `most`.

    >>> table = torch.tensor([[1.0, 0.0], [0.0, 1.0], [3.0, 1.0]])
    >>> rows, cosines = nearest(table, 0, most=2)
    >>> rows.tolist(), [round(cosine, 2) for cosine in cosines.tolist()]
    ([2, 1], [0.95, 0.0])
    """
    _check_row(table, index)
    if not 1 <= most < len(table):
        raise ValueError(f"most={most} neighbours do not exist; use 1 to {len(table) - 1}")
    directions = nn.functional.normalize(table.detach(), dim=-1)
    cosines = directions @ directions[index]
    cosines[index] = -torch.inf
    found = cosines.topk(most)
    return found.indices, found.values


def principal_components(
    vectors: Float[Tensor, "vectors width"], count: int = 2
) -> tuple[Float[Tensor, "vectors count"], Float[Tensor, " count"]]:
    """Project vectors onto the directions in which they differ most.

    Returns the coordinates, centred on 0, and the share of the variance that each direction holds. The sign of
    a direction is free; here its largest coordinate is positive.

    Raises ValueError where there are fewer vectors or dimensions than components.

    Source: Hotelling (1933); computed by the singular value decomposition of the centred vectors.

    >>> coordinates, shares = principal_components(torch.tensor([[0.0, 1.0], [4.0, 1.0], [8.0, 1.0]]), count=1)
    >>> [round(abs(x)) for x in coordinates[:, 0].tolist()], shares.tolist()
    ([4, 0, 4], [1.0])
    """
    if not 1 <= count <= min(vectors.shape):
        raise ValueError(
            f"count={count} components cannot be taken of {vectors.shape[0]} vectors with {vectors.shape[1]} "
            f"dimensions; use 1 to {min(vectors.shape)}"
        )
    centred = vectors.detach() - vectors.detach().mean(dim=0)
    left, singular, _ = torch.linalg.svd(centred, full_matrices=False)
    coordinates = (left * singular)[:, :count]
    largest = coordinates.gather(0, coordinates.abs().argmax(dim=0, keepdim=True))
    return coordinates * largest.sign(), (singular**2 / (singular**2).sum())[:count]


def order_in(
    vectors: Float[Tensor, "vectors width"],
    beyond: Float[Tensor, "others other"] | None = None,
    shuffles: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """Measure whether vectors lie in the order in which they are given: near ones near, far ones far.

    Returns the rank correlation of the cosine distance of two vectors with the difference of their places, and
    the share of random orders that reach it: if that is small, the order is no accident. With `beyond`, other
    vectors of the same things, it is the partial correlation: what their distances explain is taken out first.

    Raises ValueError for fewer than three vectors, or another number of others.

    Source: Mantel (1967); Smouse, Long and Sokal (1986) for the partial form.

    >>> angles = torch.arange(8) * 0.3
    >>> correlation, share = order_in(torch.stack((angles.cos(), angles.sin()), dim=-1))
    >>> round(correlation, 1), share < 0.01
    (1.0, True)
    """
    if len(vectors) < 3:
        raise ValueError(f"{len(vectors)} vectors have no order to find; give 3 or more")
    if beyond is not None and len(beyond) != len(vectors):
        raise ValueError(f"beyond has {len(beyond)} vectors; give {len(vectors)}, one for each")
    first, second = torch.triu_indices(len(vectors), len(vectors), offset=1)
    distances = _standard_ranks(_cosine_distances(vectors)[first, second])
    known = None if beyond is None else _standard_ranks(_cosine_distances(beyond)[first, second])

    def correlation(order: Tensor) -> float:
        steps = _standard_ranks((order[first] - order[second]).abs())
        return (_without(distances, known) @ _without(steps, known)).item()

    found = correlation(torch.arange(len(vectors)))
    generator = torch.Generator().manual_seed(seed)
    chance = [
        correlation(torch.randperm(len(vectors), generator=generator)) for _ in range(shuffles)
    ]
    # The same order backwards is as good, but for the last digits.
    return found, sum(other > found - 1e-9 for other in chance) / shuffles


def _cosine_distances(
    vectors: Float[Tensor, "vectors width"],
) -> Float[Tensor, "vectors vectors"]:
    directions = nn.functional.normalize(vectors.detach().double(), dim=-1)
    return 1 - directions @ directions.T


def _standard_ranks(values: Tensor) -> Float[Tensor, " values"]:
    """Rank the values, ties sharing their mean rank, with mean 0 and length 1."""
    _, places, counts = values.unique(return_inverse=True, return_counts=True)
    ranks = (counts.cumsum(0) - (counts - 1) / 2)[places].double()
    return nn.functional.normalize(ranks - ranks.mean(), dim=0)


def _without(ranks: Tensor, known: Tensor | None) -> Float[Tensor, " values"]:
    """Take out of standard ranks what a line through others explains; the length is 1 again."""
    if known is None:
        return ranks
    return nn.functional.normalize(ranks - (ranks @ known) * known, dim=0)


def _cross_attentions(seen: Translation) -> dict[str, Float[Tensor, "target source"]]:
    """Name each layer's mean of heads, then its heads."""
    named = {}
    for layer, heads in enumerate(seen.cross_attention, 1):
        named[f"decoder {layer} cross, mean of heads"] = heads.mean(dim=0)
        named |= {f"decoder {layer} cross, head {i}": head for i, head in enumerate(heads, 1)}
    return named


def _check_head(attention, head) -> None:
    if not isinstance(attention, MultiHeadAttention):
        raise ValueError(
            f"attention={_describe(attention)} has no heads; give a MultiHeadAttention, such as heads_of lists"
        )
    whole = isinstance(head, Integral) and not isinstance(head, bool)
    if not whole or not 0 <= head < attention.heads:
        raise ValueError(
            f"head={_describe(head)} is none of the {attention.heads}; use 0 to {attention.heads - 1}"
        )


def _check_least(least) -> None:
    if not _is_number(least) or least < 0:
        raise ValueError(
            f"least={_describe(least)} is no fall of a probability; use 0 to 1, such as {LEAST_INFLUENCE}"
        )


def _check_row(table: Tensor, index) -> None:
    if not isinstance(index, Integral) or not 0 <= index < len(table):
        raise ValueError(f"the table has no row {_describe(index)}; use 0 to {len(table) - 1}")
