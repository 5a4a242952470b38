"""What is true of each choice in the concept test, questions 10 to 18, computed without its text."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lesson_tf import language_model, translator
from lesson_tf.attention import MultiHeadAttention, causal_mask
from lesson_tf.corpus import split_texts, torch_documentation
from lesson_tf.decoding import beam_search, greedy, next_token_probabilities
from lesson_tf.experiments import order, parallelism, small_data
from lesson_tf.experiments.parallelism import FUSED, PARAMETERS
from lesson_tf.tokenization import CharTokenizer, WordTokenizer
from lesson_tf.transformer import EncoderLayer, LanguageModel, TransformerConfig

STOP = 8


class Answerer(nn.Module):
    """One layer of attention over tokens and places that is to answer four tokens, and stop."""

    def __init__(self):
        super().__init__()
        self.table, self.places = nn.Embedding(9, 32), nn.Embedding(8, 32)
        self.attention, self.output = MultiHeadAttention(32, heads=2), nn.Linear(32, 9)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """Score the next token at every place, `(batch, T, 9)`."""
        x = self.table(tokens) + self.places.weight[: tokens.shape[1]]
        return self.output(self.attention(x, mask=mask)[0])


def draw(batch: int, seed: int) -> Tensor:
    """Draw texts of four random tokens, for each the one that follows it in the alphabet, and a stop sign."""
    said = torch.randint(STOP, (batch, 4), generator=torch.Generator().manual_seed(seed))
    return torch.cat((said, (said + 1) % STOP, torch.full((batch, 1), STOP)), dim=1)


def loss_and_share_right(mask: Tensor | None) -> tuple[float, float]:
    """Train on texts that never come again; return the loss of new ones, and how many are written right."""
    torch.manual_seed(0)
    model = Answerer()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

    def loss(seed: int) -> Tensor:
        text = draw(64, seed)
        return F.cross_entropy(model(text[:, :-1], mask).mT, text[:, 1:])

    for step in range(300):
        optimizer.zero_grad()
        loss(step).backward()
        optimizer.step()
    text = draw(200, seed=1001)
    written = text[:, :4]
    for _ in range(5):
        written = torch.cat((written, model(written)[:, -1:].argmax(dim=-1)), dim=1)
    return loss(1000).item(), (written == text).all(dim=1).float().mean().item()


def low_loss() -> dict[str, bool]:
    """Train with and without a mask on the same texts.

    The first four tokens are random: nothing but their own input can have told so low a loss.
    """
    masked, writes = loss_and_share_right(causal_mask(8))
    leaking, fails = loss_and_share_right(None)
    assert masked > 0.5 and writes > 0.9  # the mask is all that differs
    low, wrong = leaking < 0.05, fails < 0.25
    return {
        "a": not (low and wrong),
        "b": low and wrong,
        "c": not low,  # what is known by heart does not lower the loss of new texts
    }


def tokens() -> dict[str, bool]:
    """Cut the sentence in three ways that models use."""
    text = "今日は良い天気です"
    words = len(WordTokenizer.train(text, "ja").encode(text))
    characters = len(CharTokenizer.train(text).encode(text))
    pieces = len(language_model.load().tokenizer.encode(text))
    counts = {words, characters, pieces}
    assert (words, characters) == (5, 9)
    return {"a": counts == {5}, "b": counts == {9}, "c": len(counts) == 3 and pieces > 9}


@torch.no_grad()
def looked_up() -> dict[str, bool]:
    """Look up the first character of both dates, and follow it through the encoder."""
    dates = translator.load()
    ids = [torch.tensor([dates.read(text)]) for text in ("13/11/2024", "11/13/2024")]
    rows, given = (
        [look_up(each)[0, 0] for each in ids]
        for look_up in (dates.model.source_embedding.table, dates.model.source_embedding)
    )
    encoded = [dates.model.encode(each)[0, 0] for each in ids]
    later = torch.equal(*given) and not torch.allclose(*encoded, atol=0.01)
    return {
        "a": torch.equal(*rows) and later,
        "b": dates.source_tokenizer.tokens.count("1") > 1 or ids[0][0, 0] != ids[1][0, 0],
        "c": not torch.equal(*rows),
    }


@torch.no_grad()
def decoder_order() -> dict[str, bool]:
    """Read how three translators fared, and exchange earlier tokens under two untrained layers."""
    rows = [row for row in order.results() if row["variant"] == "no decoder positions"]
    right, anagrams = ([float(row[name]) for row in rows] for name in ("exact_match", "anagrams"))
    assert len(rows) == 3
    torch.manual_seed(0)
    config = TransformerConfig(9, 9, positions="none", pad_id=None, dropout=0.0)
    model = LanguageModel(config).double().eval()
    one, other = (model(torch.tensor([ids]))[0, -1] for ids in ([1, 2, 3, 4], [3, 1, 2, 4]))
    tells = not torch.allclose(one, other)
    return {
        "a": min(right) > 0.97 and tells,
        "b": min(anagrams) > 0.3,
        "c": min(right) > 0.3 and max(right) < 0.7,
    }


def feed_forward() -> dict[str, bool]:
    """Count the parts of a layer of the first Transformer."""
    with torch.device("meta"):
        config = TransformerConfig(9, 9, d_model=512, heads=8, d_ff=2048)
        layer = EncoderLayer(config)
    attention, network = (
        sum(weight.numel() for weight in part.parameters())
        for part in (layer.self_attention, layer.feed_forward)
    )
    ratio = network / attention
    return {"a": ratio < 0.9, "b": ratio > 1.1, "c": 0.9 <= ratio <= 1.1}


def probability() -> dict[str, bool]:
    """Ask the translator."""
    answer = translator.load().translate("Feb 30, 2024")
    return {
        "a": answer.probability < 0.5,
        "b": answer.text == "2024-03-01",
        "c": answer.text == "2024-02-30" and answer.probability > 0.95,
    }


def variety(texts: list[list[int]]) -> float:
    """Return the share of different runs of four tokens."""
    runs = [tuple(ids[i : i + 4]) for ids in texts for i in range(len(ids) - 3)]
    return len(set(runs)) / len(runs)


@torch.no_grad()
def choosing_tokens() -> dict[str, bool]:
    """Continue held-out pages by beams, and sharpen the probabilities of one of them."""
    writer = language_model.load()
    pages = split_texts(torch_documentation())[1]
    own = [ids for page in pages if len(ids := writer.sequence(page)) >= 96][:6]
    openings = [ids[:32] for ids in own]
    found = beam_search(writer.model, openings, width=4, max_new_tokens=48, eos_id=None)
    by_people = variety([ids[32:80] for ids in own])
    by_beam = variety([best[0].token_ids for best in found])
    right = torch.tensor(own[0][1:65])
    logits = writer.model(torch.tensor([own[0][:64]]))[0]
    usual, cold = (next_token_probabilities(logits, each) for each in (1.0, 0.5))
    ranks = [  # how many tokens are ahead of the right one
        (each > each.gather(-1, right[:, None])).sum(dim=-1) for each in (usual, cold)
    ]
    monotonous, moves = by_beam < 0.8 * by_people, bool((ranks[1] < ranks[0]).any())
    return {"a": monotonous and not moves, "b": not monotonous, "c": moves}


@torch.no_grad()
def writing() -> dict[str, bool]:
    """Count the passes in which the language model writes, and look at what each is given."""
    model, start, given = language_model.load().model, language_model.load().end_id, []
    hook = model.register_forward_hook(lambda _, inputs, out: given.append(inputs[0][0].tolist()))
    [text] = greedy(model, [[start]], max_new_tokens=50, eos_id=None)
    hook.remove()
    waits = [ids[-1] for ids in given] == [start, *text.token_ids[:-1]]
    return {"a": len(given) == 1, "b": len(given) == 50 and waits, "c": 1 < len(given) < 25}


def recurrent() -> dict[str, bool]:
    """Read times of both layers at equal parameters, and losses after little and after more text."""
    ratio = parallelism.column(parallelism.results(), PARAMETERS, FUSED, "ratio")
    losses = [small_data.losses(small_data.results(), kind) for kind in small_data.MODELS]
    little = losses[1][:, 0] - losses[0][:, 0]  # above 0 where the LSTM predicts better
    faster, predicts_better = max(ratio.values()) < 1, bool((little < 0).all())
    return {
        "a": faster and predicts_better,
        "b": faster,
        "c": ratio[2048] > 1.1 and bool((little > 0).all()),
    }


TRUTHS = (
    *(low_loss, tokens, looked_up, decoder_order, feed_forward),
    *(probability, choosing_tokens, writing, recurrent),
)
