"""Decoding: from scores for the next token to a whole text, by one choice after another.

Every function takes a Transformer and sources to translate, or a LanguageModel and prompts to continue, many at
once. A cache of keys and values saves time and changes no token.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from numbers import Integral, Real

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lesson_tf.attention import _check_size, _describe, _is_float, _is_number
from lesson_tf.transformer import LanguageModel, Transformer, in_mode


@dataclass
class Hypothesis:
    """A text that was written: its token ids, each one's log probability, and whether the end was reached.

    The beginning and the end are no part of `token_ids`; the end's log probability is the last one where it
    was reached.
    """

    token_ids: list[int] = field(default_factory=list)
    log_probabilities: list[float] = field(default_factory=list)
    ended: bool = False

    @property
    def log_probability(self) -> float:
        """The log probability of the whole text: the sum over its tokens."""
        return math.fsum(self.log_probabilities)

    def score(self, length_penalty: float = 1.0) -> float:
        """Divide the log probability by length^length_penalty: 0 is the sum, 1 the mean over tokens."""
        return self.log_probability / max(len(self.log_probabilities), 1) ** length_penalty


def greedy(
    model: Transformer | LanguageModel,
    ids,
    max_new_tokens: int = 64,
    bos_id: int = 2,
    eos_id: int | None = 3,
    use_cache: bool = True,
) -> list[Hypothesis]:
    """Take the most probable token at every step.

    `ids` are the sources of a Transformer or the prompts of a LanguageModel: a tensor `(B, T)`, or lists of
    unequal lengths. Writing ends at `eos_id`, or after `max_new_tokens`.

    Returns a hypothesis a row. Raises ValueError where ids or numbers do not fit.

    Source: Sutskever et al. (2014), section 3.2, with a beam of 1.

    >>> from lesson_tf.transformer import TransformerConfig
    >>> model = Transformer(TransformerConfig(source_vocab=9, target_vocab=9, d_model=8))
    >>> len(greedy(model, [[4, 5, 6], [7]], max_new_tokens=3))
    2
    """
    return _write(
        model, ids, max_new_tokens, bos_id, eos_id, use_cache, lambda logits: logits.argmax(-1)
    )


def sample(
    model: Transformer | LanguageModel,
    ids,
    max_new_tokens: int = 64,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    bos_id: int = 2,
    eos_id: int | None = 3,
    use_cache: bool = True,
    generator: torch.Generator | None = None,
) -> list[Hypothesis]:
    """Draw every token at random, from the distribution that `next_token_probabilities` gives.

    The log probabilities are the model's own, at temperature 1 and without a cut.

    Returns a hypothesis a row. Raises ValueError where ids or numbers do not fit.

    Source: Holtzman et al. (2020), section 3.

    >>> from lesson_tf.transformer import TransformerConfig
    >>> model = LanguageModel(TransformerConfig(source_vocab=9, target_vocab=9, d_model=8))
    >>> [story] = sample(model, [[4, 5]], max_new_tokens=3, eos_id=None)
    >>> len(story.token_ids)
    3
    """
    _check_shaping(temperature, top_k, top_p)
    if generator is not None and not isinstance(generator, torch.Generator):
        raise ValueError(
            f"generator={_describe(generator)} draws no numbers; give a torch.Generator, or None for torch's own"
        )

    def draw(logits):
        probabilities = next_token_probabilities(logits, temperature, top_k, top_p)
        return torch.multinomial(probabilities, 1, generator=generator).squeeze(-1)

    return _write(model, ids, max_new_tokens, bos_id, eos_id, use_cache, draw)


def next_token_probabilities(
    logits: Float[Tensor, "*batch vocab"],
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> Float[Tensor, "*batch vocab"]:
    """Turn scores into the distribution to draw from.

    The scores are divided by the temperature; of the tokens, the `top_k` most probable stay; of those, the
    fewest whose probabilities reach `top_p`. What stays sums to 1.

    Raises ValueError for a temperature that is not above 0, a top_k below 1, a top_p outside (0, 1], and for
    scores that make no distribution.

    Source: Fan et al. (2018), section 5.1 (top-k); Holtzman et al. (2020), section 3.1 (top-p).

    >>> next_token_probabilities(torch.tensor([2.0, 1.0, 0.0]), top_k=1)
    tensor([1., 0., 0.])
    """
    _check_shaping(temperature, top_k, top_p)
    _check_scores(logits)
    # The largest score becomes 0 first: dividing by a tiny temperature then overflows to -inf alone.
    # 1.0 * makes a float of any number, and keeps the tensor that stands for one while a graph is exported.
    limits = torch.finfo(logits.dtype)
    divisor = torch.as_tensor(1.0 * temperature, dtype=torch.float64).clamp(limits.tiny, limits.max)
    scores = (logits - logits.amax(-1, keepdim=True)) / divisor
    ranked, order = scores.sort(dim=-1, descending=True, stable=True)
    kept = torch.ones_like(ranked, dtype=torch.bool)
    if top_k is not None:
        kept &= torch.arange(kept.shape[-1], device=kept.device) < top_k
    if top_p is not None:
        probabilities = ranked.masked_fill(~kept, -math.inf).softmax(-1)
        before = probabilities.cumsum(-1) - probabilities
        kept &= before < 1.0 * top_p  # the token that crosses top_p stays
        kept[..., 0] = True
    kept = torch.zeros_like(kept).scatter(-1, order, kept)
    return scores.masked_fill(~kept, -math.inf).softmax(-1)


@torch.no_grad()
def beam_search(
    model: Transformer | LanguageModel,
    ids,
    width: int = 4,
    max_new_tokens: int = 64,
    length_penalty: float = 1.0,
    bos_id: int = 2,
    eos_id: int | None = 3,
    use_cache: bool = True,
) -> list[list[Hypothesis]]:
    """Keep the `width` best beginnings at every step, not the best one alone.

    A finished text keeps its place among the best by its score, log probability / length^length_penalty. The
    search ends when `width` texts are finished and no beginning can overtake them, or after `max_new_tokens`;
    beginnings cut off there count as they are.

    Returns for each row up to `width` hypotheses, best score first. Raises ValueError where ids or numbers do
    not fit.

    Source: Wu et al. (2016), section 7, whose length normalisation is simplified to length^length_penalty.

    >>> from lesson_tf.transformer import TransformerConfig
    >>> model = Transformer(TransformerConfig(source_vocab=9, target_vocab=9, d_model=8))
    >>> [best_first] = beam_search(model, [[4, 5, 6]], width=3, max_new_tokens=4)
    >>> scores = [hypothesis.score() for hypothesis in best_first]
    >>> scores == sorted(scores, reverse=True)
    True
    """
    for name, size in (("width", width), ("max_new_tokens", max_new_tokens)):
        _check_size(name, size)
    _check_length_penalty(length_penalty)
    with _writing(model, ids, max_new_tokens, bos_id, eos_id, use_cache) as writer:
        beams = [_Beam(prompt, width, eos_id, length_penalty) for prompt in writer.prompts]
        writer.select([row for row in range(len(beams)) for _ in range(width)])
        for step in range(writer.prefix, writer.last):
            for beam in beams:
                beam.stop_if_settled(step, max_new_tokens)
            if all(beam.is_settled for beam in beams):
                break
            # In float64, so that adding a sum to log probabilities makes no two of them equal.
            log_probabilities = writer.scores().double().log_softmax(-1).unflatten(0, (-1, width))
            steps = [
                beam.advance(step, rows)
                for beam, rows in zip(beams, log_probabilities, strict=True)
            ]
            writer.select([b * width + i for b, (parents, _) in enumerate(steps) for i in parents])
            writer.append([token for _, tokens in steps for token in tokens])
    return [beam.best() for beam in beams]


def decode_one(
    decode: Callable[..., list[Hypothesis]], model, ids: list[int], **arguments
) -> Hypothesis:
    """Let `decode` write one text: `greedy`, `sample`, or another function of model, ids and arguments.

    Returns the hypothesis. Raises ValueError where decode cannot be called, or returns anything but a list
    of one hypothesis.

    >>> from lesson_tf.transformer import TransformerConfig
    >>> model = LanguageModel(TransformerConfig(source_vocab=9, target_vocab=9, d_model=8))
    >>> len(decode_one(greedy, model, [4, 5], max_new_tokens=3, eos_id=None).token_ids)
    3
    """
    if not callable(decode):
        raise ValueError(
            f"decode={_describe(decode)} cannot be called; give a function such as greedy or "
            "partial(sample, temperature=0.7)"
        )
    written = decode(model, [ids], **arguments)
    one = isinstance(written, list | tuple) and len(written) == 1
    if not one or not isinstance(written[0], Hypothesis):
        raise ValueError(
            f"decode returned {_describe(written)}, not a list of one Hypothesis; of beam_search, take the best: "
            "lambda *a, **k: [best for best, *_ in beam_search(*a, **k)]"
        )
    return written[0]


@contextmanager
def _writing(model, ids, max_new_tokens, bos_id, eos_id, use_cache) -> Iterator["_Writer"]:
    """Set a model to work, without dropout, and leave it as it was, whatever happens."""
    writer = _Writer(model, ids, max_new_tokens, bos_id, eos_id, use_cache)
    with in_mode(model, training=False):
        if writer.sources is not None:
            writer.memory = model.encode(writer.sources)
        yield writer


class _Writer:
    """A model at work on a batch: what each row has so far, and the scores of what may come next."""

    def __init__(self, model, ids, max_new_tokens, bos_id, eos_id, use_cache):
        _check_model(model)
        _check_size("max_new_tokens", max_new_tokens)
        translates = isinstance(model, Transformer)
        _check_yes_or_no("use_cache", use_cache)
        rows = _rows(ids, model.config.pad_id)
        _check_vocabulary(
            rows, model.config.source_vocab if translates else model.config.target_vocab
        )
        self.model = model
        self.prompts = [[bos_id]] * len(rows) if translates else rows
        _check_special(model, bos_id if translates else 0, eos_id)
        _check_room(model, self.prompts, max_new_tokens)
        self.prefix = min(len(prompt) for prompt in self.prompts)
        self.last = max(len(prompt) for prompt in self.prompts) + max_new_tokens
        device = model.output.weight.device
        self.token_ids = torch.tensor([p[: self.prefix] for p in self.prompts], device=device)
        self.sources = _padded(rows, model.config.pad_id).to(device) if translates else None
        self.cache = model.new_cache() if use_cache else None
        self.memory = None

    def scores(self) -> Tensor:
        """Score the next token of every row, `(rows, vocab)`."""
        new = self.token_ids[:, self.cache.length :] if self.cache else self.token_ids
        if self.memory is None:
            scores = self.model(new, cache=self.cache)[:, -1]
        else:
            scores = self.model.decode(new, self.memory, self.sources, cache=self.cache)[:, -1]
        _check_scores(scores)
        return scores

    def append(self, tokens: list[int]) -> None:
        """Write one token at the end of every row."""
        column = torch.tensor(tokens, device=self.token_ids.device)[:, None]
        self.token_ids = torch.cat((self.token_ids, column), dim=1)

    def select(self, rows: list[int]) -> None:
        """Keep these rows, in this order; a row may come more than once."""
        if rows == list(range(len(self.token_ids))):
            return
        rows = torch.tensor(rows, device=self.token_ids.device)
        self.token_ids = self.token_ids[rows]
        if self.memory is not None:
            self.memory, self.sources = self.memory[rows], self.sources[rows]
        if self.cache is not None and self.cache.length:
            self.cache.select(rows)


@torch.no_grad()
def _write(model, ids, max_new_tokens, bos_id, eos_id, use_cache, choose) -> list[Hypothesis]:
    """Write every row to its end; `choose` picks the next tokens from scores `(rows, vocab)`.

    Prompts of unequal lengths start together: while a row still has tokens of its prompt, those are taken.
    """
    with _writing(model, ids, max_new_tokens, bos_id, eos_id, use_cache) as writer:
        written = [Hypothesis() for _ in writer.prompts]
        for step in range(writer.prefix, writer.last):
            logits = writer.scores()
            chosen = choose(logits)
            log_probabilities = logits.log_softmax(-1).gather(-1, chosen[:, None]).squeeze(-1)
            tokens, values = chosen.tolist(), log_probabilities.tolist()
            for row, (text, prompt) in enumerate(zip(written, writer.prompts, strict=True)):
                if step < len(prompt):
                    tokens[row] = prompt[step]
                elif not (text.ended or len(text.token_ids) == max_new_tokens):
                    text.log_probabilities.append(values[row])
                    text.ended = tokens[row] == eos_id
                    if not text.ended:
                        text.token_ids.append(tokens[row])
            if all(text.ended or len(text.token_ids) == max_new_tokens for text in written):
                break
            writer.append(tokens)
    return written


class _Beam:
    """The best beginnings of one row, and its finished texts."""

    def __init__(self, prompt: list[int], width: int, eos_id: int | None, length_penalty: float):
        self.prompt, self.width, self.eos_id = prompt, width, eos_id
        self.length_penalty = length_penalty
        self.alive = [Hypothesis()] + [None] * (width - 1)  # None: a place that is not taken
        self.finished: list[Hypothesis] = []
        self.is_settled = False

    def advance(self, step: int, log_probabilities: Tensor) -> tuple[list[int], list[int]]:
        """Take the best continuations; return each one's parent among the places, and its token."""
        if self.is_settled or step < len(self.prompt):
            token = 0 if self.is_settled else self.prompt[step]
            return list(range(self.width)), [token] * self.width
        totals = [-math.inf if text is None else text.log_probability for text in self.alive]
        candidates = (log_probabilities.new_tensor(totals)[:, None] + log_probabilities).flatten()
        order = candidates.sort(descending=True, stable=True).indices[: self.width]
        vocab = log_probabilities.shape[-1]
        parents, tokens = (order // vocab).tolist(), (order % vocab).tolist()
        values = log_probabilities.flatten()[order].tolist()
        self.alive = [
            self._continue(self.alive[parent], token, value)
            for parent, token, value in zip(parents, tokens, values, strict=True)
        ]
        return parents, tokens

    def _continue(self, text: Hypothesis | None, token: int, value: float) -> Hypothesis | None:
        """Write one more token; a finished text leaves its place."""
        if text is None or value == -math.inf:
            return None
        values = [*text.log_probabilities, value]
        if token == self.eos_id:
            self.finished.append(Hypothesis(text.token_ids, values, ended=True))
            return None
        return Hypothesis([*text.token_ids, token], values)

    def stop_if_settled(self, step: int, max_new_tokens: int) -> None:
        """Settle when no beginning is left, none may go on, or none can overtake the finished texts."""
        alive = [text for text in self.alive if text is not None]
        if not alive or step >= len(self.prompt) + max_new_tokens:
            self.is_settled = True
        elif len(self.finished) >= self.width:
            # At best, all further tokens are certain: the sum stays and the length grows to its bound.
            bound = max(text.log_probability for text in alive)
            bound /= max_new_tokens**self.length_penalty
            scores = sorted(text.score(self.length_penalty) for text in self.finished)
            self.is_settled = bound <= scores[-self.width]

    def best(self) -> list[Hypothesis]:
        """Sort the finished texts, and the beginnings where writing was cut off, best score first."""
        texts = self.finished + [text for text in self.alive if text is not None]
        ranked = sorted(texts, key=lambda text: text.score(self.length_penalty), reverse=True)
        return ranked[: self.width]


def _rows(ids, pad_id: int | None) -> list[list[int]]:
    """Read a batch as lists of ids, without the padding at their beginnings and ends."""
    sentence = (
        f"ids={_describe(ids)} are no batch; give a tensor (B, T) of whole numbers or a list of lists of "
        "token ids, for one text [ids]"
    )
    if isinstance(ids, Tensor):
        if ids.ndim != 2 or ids.is_floating_point() or ids.dtype == torch.bool:
            raise ValueError(sentence)
        ids = ids.tolist()
    if not isinstance(ids, list | tuple) or not ids:
        raise ValueError(sentence)
    rows = []
    for row in ids:
        if not isinstance(row, list | tuple) or not all(_is_id(i) for i in row):
            raise ValueError(sentence)
        tokens = [place for place, i in enumerate(row) if i != pad_id]
        row = [int(i) for i in row[tokens[0] : tokens[-1] + 1]] if tokens else []
        if not row:
            raise ValueError(
                "a row of ids is empty; give at least one token, such as the beginning"
            )
        rows.append(row)
    return rows


def _padded(rows: list[list[int]], pad_id: int | None) -> Int[Tensor, "batch length"]:
    longest = max(len(row) for row in rows)
    if pad_id is None and any(len(row) < longest for row in rows):
        raise ValueError(
            "the rows have unequal lengths and the model's pad_id is None; give rows of one length"
        )
    return torch.tensor([row + [pad_id] * (longest - len(row)) for row in rows])


def _is_id(value) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _check_vocabulary(rows: list[list[int]], vocab: int) -> None:
    for token_id in (i for row in rows for i in row):
        if not 0 <= token_id < vocab:
            raise ValueError(
                f"token id {_describe(token_id)} is outside the vocabulary of {vocab}; use 0 to {vocab - 1}"
            )


def _check_yes_or_no(name: str, value) -> None:
    if not isinstance(value, bool):
        raise ValueError(f"{name}={_describe(value)} is no yes or no; use True or False")


def _check_scores(logits) -> None:
    """Refuse what makes no distribution; a score of -inf alone rules a token out."""
    if not _is_float(logits) or not logits.ndim or not logits.shape[-1]:
        raise ValueError(
            f"logits={_describe(logits)} are no scores; give a float tensor of shape (..., vocabulary)"
        )
    if torch.compiler.is_exporting():
        return  # there are no numbers to look at
    if logits.numel() and not logits.amax(-1).isfinite().all():  # nan is the largest of all
        raise ValueError(
            "the scores hold nan or inf, or rule out every token, so they make no distribution; look for nan in "
            "the model's weights, as after a training that diverged"
        )


def _check_model(model) -> None:
    if not isinstance(model, Transformer | LanguageModel):
        raise ValueError(
            f"model={type(model).__name__} cannot write; give a Transformer or a LanguageModel"
        )


def _check_special(model, bos_id, eos_id) -> None:
    vocab = model.config.target_vocab
    for name, token_id in (("bos_id", bos_id), ("eos_id", eos_id)):
        if name == "eos_id" and token_id is None:
            continue
        if not _is_id(token_id) or not 0 <= token_id < vocab:
            none = ", or None for no end" if name == "eos_id" else ""
            raise ValueError(
                f"{name}={_describe(token_id)} is no token of the model; use 0 to {vocab - 1}{none}"
            )


def _check_room(model, prompts: list[list[int]], max_new_tokens: int) -> None:
    """Refuse what learned positions cannot number, before any work is done."""
    room, longest = model.config.max_length, max(len(prompt) for prompt in prompts)
    if model.config.positions == "learned" and longest + max_new_tokens > room + 1:
        fits = f"use max_new_tokens={room + 1 - longest} or fewer" if longest <= room else ""
        raise ValueError(
            f"{longest} tokens and max_new_tokens={max_new_tokens} are more than the {room} positions the "
            f"model has learned; {fits or f'give at most {room} tokens'}"
        )


def _check_shaping(temperature, top_k, top_p) -> None:
    if torch.compiler.is_exporting():
        return  # an exported graph takes them as inputs
    if not _is_number(temperature) or temperature <= 0:
        raise ValueError(
            f"temperature={_describe(temperature)} shapes no distribution; use a number above 0, such as 1.0; "
            "for the most probable token at every step, use greedy"
        )
    if top_k is not None:
        _check_size("top_k", top_k)
    number = isinstance(top_p, Real) and not isinstance(top_p, bool)
    if top_p is not None and (not number or not 0 < top_p <= 1):
        raise ValueError(
            f"top_p={_describe(top_p)} is no share of the probability; use a number above 0 and at most 1, "
            "such as 0.9, or None"
        )


def _check_length_penalty(length_penalty) -> None:
    number = isinstance(length_penalty, Real) and not isinstance(length_penalty, bool)
    if not number or not 0 <= length_penalty <= 10:
        raise ValueError(
            f"length_penalty={_describe(length_penalty)} ranks no texts; use 0 (the sum of log probabilities) "
            "to 10, such as 1.0 (their mean)"
        )
