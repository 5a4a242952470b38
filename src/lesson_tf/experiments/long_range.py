"""Long range: associative recall at a distance, for an LSTM and for Transformers of as many parameters, trained alike.

A sequence opens with four cards, such as "c5": key c has value 5. Then comes noise, and among the noise questions:
"c?". The answer, "5", never stands in the sequence. The gap is the number of tokens between the last card and a
question. Training meets gaps up to 127. The measurement goes up to 512, with noise alone in the gap, so that no
earlier question for the same card can pass its answer on.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lesson_tf.attention import _check_size, _describe, _is_number
from lesson_tf.model_files import DATA
from lesson_tf.recipes import Recipe, read_results, train_and_time, write_results
from lesson_tf.training import train
from lesson_tf.transformer import LanguageModel, TransformerConfig, in_mode
from lesson_tf.vocabulary import check_seed

RECURRENT = "LSTM"
TRANSFORMERS = {  # by their positions
    "Transformer, none": "none",
    "Transformer, sinusoidal": "sinusoidal",
    "Transformer, rotary": "rotary",
    "Transformer, ALiBi": "alibi",
}
KINDS = (RECURRENT, *TRANSFORMERS)
GAPS = (8, 16, 32, 64, 128, 256, 512)
SEEDS = (0, 1, 2, 3, 4)
STEPS = 1000
SEQUENCES = 200  # new ones at each gap, on which accuracy is measured
BATCH_SIZE = 32
LONGEST = 128  # tokens after the cards, in training

SYMBOLS = 8  # keys, values and kinds of noise
CARDS = 4
ASKED = 1 / 8  # share of the tokens after the cards that are questions, in training
# The ids: nothing to answer, the values, the questions, the noise, and the cards, a row of eight for each key.
NOTHING, VALUES, QUESTIONS = 0, 1, 1 + SYMBOLS
NOISE, FIRST_CARD = 1 + 2 * SYMBOLS, 1 + 3 * SYMBOLS
VOCABULARY = FIRST_CARD + SYMBOLS**2

# Chosen by the training loss in trials with other sizes and sequences: for the LSTM of 0.003, 0.01 and 0.02, which
# came to 1.09, 0.30 and 0.47 in 800 steps; for the Transformers of 0.001 and 0.003, which both learn the task.
LEARNING_RATES = {RECURRENT: 1e-2} | dict.fromkeys(TRANSFORMERS, 3e-3)
_TEST_SEED = 2**40  # no training seed and step come near it


class Recall(NamedTuple):
    """Cards, noise and questions as ids, and at each question the id of its answer; elsewhere `NOTHING`."""

    token_ids: Int[Tensor, "batch length"]
    answers: Int[Tensor, "batch length"]


@dataclass(frozen=True)
class AnswersOnly:
    """What the loss must know: where there is nothing to answer, nothing counts."""

    pad_id: int = NOTHING


class RecurrentModel(nn.Module):
    """Torch's own LSTM between an embedding and an output layer; the forget gates begin open.

    Their bias begins at 1, without which an LSTM forgets half at each step before it has learned anything.

    Source: Hochreiter and Schmidhuber (1997); Jozefowicz et al. (2015), section 2.2 (the bias).

    >>> RecurrentModel(width=16, hidden=32)(torch.ones(2, 7, dtype=torch.long)).shape
    torch.Size([2, 7, 89])
    """

    def __init__(self, width: int, hidden: int, forget_bias: float = 1.0):
        _check_size("width", width)
        _check_size("hidden", hidden)
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, width)
        self.lstm = nn.LSTM(width, hidden, batch_first=True)
        self.output = nn.Linear(hidden, VOCABULARY, bias=False)
        # Torch keeps two biases, one for each product, and their sum counts.
        nn.init.constant_(self.lstm.bias_ih_l0[hidden : 2 * hidden], forget_bias)
        nn.init.zeros_(self.lstm.bias_hh_l0[hidden : 2 * hidden])

    def forward(self, token_ids: Int[Tensor, "batch length"]) -> Float[Tensor, "batch length ids"]:
        """Score the answer at every place, from what was read up to there."""
        hidden, _ = self.lstm(self.embedding(token_ids))
        return self.output(hidden)


class Reader(nn.Module):
    """A network that answers at every place; it reads the sequence, and never the answers before.

    Raises ValueError for what is no network of this module.
    """

    def __init__(self, network: RecurrentModel | LanguageModel):
        super().__init__()
        if not isinstance(network, RecurrentModel | LanguageModel):
            raise ValueError(
                f"network={_describe(type(network).__name__)} answers nothing; give a RecurrentModel or a LanguageModel"
            )
        self.network, self.config = network, AnswersOnly()

    def forward(
        self, token_ids: Int[Tensor, "batch length"], answers: Tensor | None = None
    ) -> Float[Tensor, "batch length ids"]:
        """Score the answer at every place. `answers`, which teacher forcing gives, are not looked at."""
        return self.network(token_ids)


def draw(
    batch_size: int,
    gap: int,
    seed: int,
    cards: int = CARDS,
    asked: float = ASKED,
    first_asked: bool = False,
) -> Recall:
    """Draw sequences whose last token is a question, `gap` tokens after the last card.

    The keys on the cards differ. Of the tokens between, a share of `asked` are questions too. With `first_asked`
    the last question is for the first card.

    Raises ValueError for sizes, a gap, a seed or a share that are none.

    >>> ids, answers = draw(batch_size=1, gap=3, seed=0)
    >>> spell(ids[0]), spell(answers[0, -1:])
    (['c1', 'd3', 'e5', 'g2', '~4', '~7', '~6', 'e?'], ['5'])
    """
    _check_size("batch_size", batch_size)
    _check_gap(gap)
    _check_size("cards", cards, most=SYMBOLS)
    check_seed(seed)
    if not _is_number(asked) or not 0 <= asked <= 1:
        raise ValueError(f"asked={_describe(asked)} is no share; use 0.0 to 1.0, such as {ASKED}")
    generator = torch.Generator().manual_seed(int(seed))
    keys = torch.rand(batch_size, SYMBOLS, generator=generator).argsort(1)[:, :cards]
    values = torch.randint(SYMBOLS, (batch_size, cards), generator=generator)
    after = batch_size, gap + 1
    noise = torch.randint(NOISE, NOISE + SYMBOLS, after, generator=generator)
    is_asked = torch.rand(after, generator=generator) < asked
    which = torch.randint(cards, after, generator=generator)
    is_asked[:, -1] = True
    if first_asked:
        which[:, -1] = 0
    questions = QUESTIONS + keys.gather(1, which)
    answers = torch.where(is_asked, VALUES + values.gather(1, which), NOTHING)
    shown = FIRST_CARD + SYMBOLS * keys + values
    return Recall(
        torch.cat((shown, torch.where(is_asked, questions, noise)), dim=1),
        torch.cat((torch.full_like(shown, NOTHING), answers), dim=1),
    )


def spell(token_ids: Int[Tensor, " length"]) -> list[str]:
    """Write ids as they are read: cards c5, questions c?, noise ~3, values 5, and · where there is nothing.

    Raises ValueError for ids outside the vocabulary.

    >>> spell(torch.tensor([NOTHING, VALUES + 5, QUESTIONS + 2, NOISE + 3, FIRST_CARD + 8 * 2 + 5]))
    ['·', '5', 'c?', '~3', 'c5']
    """
    names = [
        "·",
        *(str(value) for value in range(SYMBOLS)),
        *(f"{key}?" for key in "abcdefgh"),
        *(f"~{noise}" for noise in range(SYMBOLS)),
        *(f"{key}{value}" for key in "abcdefgh" for value in range(SYMBOLS)),
    ]
    ids = [int(i) for i in token_ids]
    for i in ids:
        if not 0 <= i < len(names):
            raise ValueError(f"id {i} is none of the task's; use 0 to {len(names) - 1}")
    return [names[i] for i in ids]


class RecallBatches:
    """Batches of the task: batch `step` depends on `seed` and `step` alone.

    The sequences of a batch are equally long; the lengths after the cards, from 1 to 128, are as often between 1
    and 11 as between 11 and 128, so that short gaps are learned first.

    Raises ValueError for a size or a seed that is none, and a step below 0.

    >>> ids, answers = RecallBatches(batch_size=4, seed=0)[0]
    >>> ids.shape[0], answers.shape[1] - ids.shape[1]
    (4, 1)
    """

    def __init__(self, batch_size: int = BATCH_SIZE, seed: int = 0):
        _check_size("batch_size", batch_size)
        check_seed(seed)
        self.batch_size, self.seed = batch_size, int(seed)

    def __getitem__(
        self, step: int
    ) -> tuple[Int[Tensor, "batch length"], Int[Tensor, "batch longer"]]:
        """Draw the sequences of a step, and the answers behind one that stands for those before."""
        if isinstance(step, bool) or not isinstance(step, Integral) or step < 0:
            raise ValueError(f"step={_describe(step)} is no step; use 0 or more")
        seed = self.seed * 1_000_003 + int(step)
        share = torch.rand(1, generator=torch.Generator().manual_seed(seed)).item()
        ids, answers = draw(self.batch_size, round(LONGEST**share) - 1, seed)
        # Teacher forcing takes the first column of a target for given, and asks for the others.
        return ids, torch.cat((answers[:, :1], answers), dim=1)


def new_model(kind: str, seed: int = 0) -> Reader:
    """Make a model, untrained: an LSTM of 124 hidden numbers, or a Transformer of two layers, four heads, d_model 64.

    Raises ValueError for another kind.

    >>> lstm, transformer = (
    ...     sum(weight.numel() for weight in new_model(kind).parameters())
    ...     for kind in ("LSTM", "Transformer, rotary")
    ... )
    >>> lstm, transformer
    (110972, 111488)
    """
    _check_kind(kind)
    check_seed(seed)
    torch.manual_seed(int(seed))
    if kind == RECURRENT:
        return Reader(RecurrentModel(width=64, hidden=124))
    return Reader(
        LanguageModel(
            TransformerConfig(
                source_vocab=VOCABULARY,
                target_vocab=VOCABULARY,
                d_model=64,
                heads=4,
                decoder_layers=2,
                d_ff=256,
                dropout=0.0,
                norm_first=True,
                positions=TRANSFORMERS[kind],
                pad_id=None,
            )
        )
    )


def train_model(kind: str, seed: int = 0, steps: int = STEPS) -> Reader:
    """Train one model without a checkpoint: for a run while you watch.

    Raises ValueError for another kind.

    >>> type(train_model("LSTM", steps=2).network).__name__
    'RecurrentModel'
    """
    model = new_model(kind, seed)
    train(
        model,
        RecallBatches(seed=seed),
        steps,
        learning_rate=LEARNING_RATES[kind],
        warmup=min(100, steps // 10),
        progress=False,
    )
    return model


@torch.no_grad()
def accuracy(model: nn.Module, gap: int, sequences: int = SEQUENCES) -> float:
    """Measure how often the last question of new sequences is answered rightly; chance is one in eight.

    A model that names the value of any card it has seen reaches 1/4 + 3/4 · 1/8 = 0.34.

    Raises ValueError for sizes that are none.

    >>> accuracy(new_model("LSTM"), gap=8) < 0.3  # untrained
    True
    """
    ids, answers = draw(sequences, gap, _TEST_SEED + gap, asked=0.0)
    with in_mode(model, training=False):
        said = model(ids)[:, -1].argmax(dim=-1)
    return (said == answers[:, -1]).double().mean().item()


def gradient_norm(model: Reader, gap: int, sequences: int = 16) -> float:
    """Measure how much the answer's score depends on the first token, which is the card asked for.

    The score is that of the right value minus the mean of all values; of its gradient with respect to the vector
    that the embedding gave the first token, the mean norm over new sequences. In float64, where a small norm
    does not become 0.

    Raises ValueError for what is no `Reader`, and for sizes that are none.

    >>> gradient_norm(new_model("LSTM"), gap=64) < 0.1 * gradient_norm(new_model("LSTM"), gap=8)
    True
    """
    _check_reader(model)
    ids, answers = draw(sequences, gap, _TEST_SEED + gap, asked=0.0, first_asked=True)
    model = copy.deepcopy(model).double().eval()
    embedded: list[Tensor] = []
    model.network.embedding.register_forward_hook(lambda *called: embedded.append(called[-1]))
    scores = model(ids)[:, -1]
    right = scores.gather(1, answers[:, -1:])[:, 0]
    advantage = right - scores[:, VALUES : VALUES + SYMBOLS].mean(dim=1)
    [gradient] = torch.autograd.grad(advantage.sum(), embedded)
    return gradient[:, 0].norm(dim=-1).mean().item()


def diluted_weight(advantage: float, keys: int) -> float:
    """Return the weight of one key whose score is higher by `advantage` than those of all others, which are equal.

    By the softmax: e^s / (e^s + n − 1).

    Raises ValueError for an advantage that is no number and for keys that are none.

    >>> [round(diluted_weight(advantage=4.0, keys=keys), 3) for keys in (8, 128, 4096)]
    [0.886, 0.301, 0.013]
    """
    if not _is_number(advantage) or not math.isfinite(advantage):
        raise ValueError(
            f"advantage={_describe(advantage)} is no difference of scores; use one such as 4.0"
        )
    _check_size("keys", keys)
    return 1 / (1 + (keys - 1) * math.exp(-advantage))


def needed_advantage(weight: float, keys: int) -> float:
    """Return by how much one key's score must lie above all others for a weight among so many keys.

    The reverse of `diluted_weight`: ln(w / (1 − w)) + ln(n − 1), which grows as the logarithm of the keys.

    Raises ValueError for a weight that is not between 0 and 1, and for fewer than two keys.

    >>> round(needed_advantage(weight=0.5, keys=513), 2)  # ln 512
    6.24
    """
    if not _is_number(weight) or not 0 < weight < 1:
        raise ValueError(
            f"weight={_describe(weight)} is no share; use a number between 0 and 1, such as 0.5"
        )
    _check_size("keys", keys)
    if keys < 2:
        raise ValueError("keys=1 leaves no other key, and the weight is 1; use 2 or more")
    return math.log(weight / (1 - weight)) + math.log(keys - 1)


@torch.no_grad()
def attention_on_card(
    model: Reader, gap: int, sequences: int = 100
) -> Float[Tensor, "sequences layers heads"]:
    """Measure the weight that the last question gives the card asked for, in each head, for new sequences.

    Raises ValueError for a model without attention, and for sizes that are none.

    >>> attention_on_card(new_model("Transformer, ALiBi"), gap=8, sequences=10).shape
    torch.Size([10, 2, 4])
    """
    _check_reader(model)
    if not isinstance(model.network, LanguageModel):
        raise ValueError("an LSTM has no attention weights; give a Transformer")
    ids, answers = draw(sequences, gap, _TEST_SEED + gap, asked=0.0)
    asked = FIRST_CARD + SYMBOLS * (ids[:, -1:] - QUESTIONS) + answers[:, -1:] - VALUES
    place = (ids == asked).int().argmax(dim=1)
    found = []
    for few, places in zip(ids.split(10), place.split(10), strict=True):  # weights are large
        record: list[Tensor] = []
        with in_mode(model, training=False):
            model.network(few, record=record)
        rows = torch.arange(len(few))
        found.append(torch.stack([weights[rows, :, -1, places] for weights in record], dim=1))
    return torch.cat(found)


def path_length(kind: str, gap: int) -> int:
    """Count the steps, one after the other, by which the first card can reach the last question's answer.

    In an LSTM each token between is a step from hidden state to hidden state; in a Transformer one attention
    layer joins any two places.

    Raises ValueError for another kind and for a gap that is none.

    >>> path_length("LSTM", gap=512), path_length("Transformer, rotary", gap=512)
    (516, 1)
    """
    _check_kind(kind)
    _check_gap(gap)
    return gap + CARDS if kind == RECURRENT else 1


def results(path: Path = DATA / "experiments" / "long_range.csv") -> list[dict[str, str]]:
    """Read what was measured: one row for each kind and seed, all values as text.

    For each gap: `accuracy_…`; `untrained_…` and `trained_…`, the norm of the gradient that reaches the first
    token; `weight_…`, what the card asked for gets from the head that gives it most, averaged over questions, and
    empty for the LSTM.

    >>> len(results()) == len(KINDS) * len(SEEDS)
    True
    """
    return read_results(path)


def by_gap(
    rows: Sequence[dict[str, str]], kind: str, measure: str = "accuracy"
) -> Float[Tensor, "seeds gaps"]:
    """Sort what was measured of one kind: a row a seed, a column a gap of `GAPS`.

    `measure` is accuracy, untrained, trained or weight.

    Raises ValueError for another kind or measure, and for weights of an LSTM.

    >>> by_gap(results(), "LSTM").shape
    torch.Size([5, 7])
    """
    _check_kind(kind)
    measures = ("accuracy", "untrained", "trained", "weight")
    if measure not in measures or (kind, measure) == (RECURRENT, "weight"):
        raise ValueError(
            f"measure={_describe(measure)} was not taken of {kind}; use one of {measures[: 3 if kind == RECURRENT else 4]}"
        )
    return torch.tensor(
        [[float(row[f"{measure}_{gap}"]) for gap in GAPS] for row in rows if row["kind"] == kind]
    )


def recipes(quick: bool = False) -> list[Recipe]:
    """List one training for each kind and seed."""
    seeds, steps, sequences = (SEEDS[:1], 40, 10) if quick else (SEEDS, STEPS, SEQUENCES)
    return [
        Recipe(f"long_range, {kind}, seed {seed}", train_kind, (kind, seed, steps, sequences))
        for seed in seeds
        for kind in KINDS
    ]


def train_kind(
    folder: Path, kind: str, seed: int, steps: int = STEPS, sequences: int = SEQUENCES
) -> dict[str, str]:
    """Train one model, and return what it answers, what reaches the first token, and where it attends.

    Accuracies are measured on so many new sequences a gap.
    """
    model = new_model(kind, seed)
    few = min(sequences, 16)
    untrained = {gap: gradient_norm(model, gap, few) for gap in GAPS}
    name = kind.replace(", ", "-")
    history, seconds = train_and_time(
        folder / f"long_range-{name}-{seed}-{steps}.checkpoint",
        model,
        RecallBatches(seed=seed),
        steps,
        learning_rate=LEARNING_RATES[kind],
    )
    weights = _weights_by_gap(model, min(sequences, 100))
    return {
        "kind": kind,
        "seed": str(seed),
        "steps": str(steps),
        "parameters": str(sum(weight.numel() for weight in model.parameters())),
        "last_loss": f"{sum(history.loss[-100:]) / len(history.loss[-100:]):.4f}",
        **{f"accuracy_{gap}": f"{accuracy(model, gap, sequences):.4f}" for gap in GAPS},
        **{f"untrained_{gap}": f"{norm:.3g}" for gap, norm in untrained.items()},
        **{f"trained_{gap}": f"{gradient_norm(model, gap, few):.3g}" for gap in GAPS},
        **{f"weight_{gap}": weight for gap, weight in weights.items()},
        "seconds": f"{seconds:.0f}",
    }


def publish(folder: Path, data: Path, measured: Sequence[dict[str, str]], command: str) -> None:
    """Write the results; no weights ship."""
    write_results(data / "long_range.csv", measured, command)


def _weights_by_gap(model: Reader, sequences: int) -> dict[int, str]:
    """Average, over questions, the weight of the head that finds the card best: heads share the keys out."""
    if not isinstance(model.network, LanguageModel):
        return dict.fromkeys(GAPS, "")
    best = {gap: attention_on_card(model, gap, sequences).flatten(1).amax(1) for gap in GAPS}
    return {gap: f"{weights.mean().item():.4f}" for gap, weights in best.items()}


def _check_kind(kind) -> None:
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"kind={_describe(kind)} was not trained; use one of {KINDS}")


def _check_gap(gap) -> None:
    whole = isinstance(gap, Integral) and not isinstance(gap, bool)
    if not whole or not 0 <= gap < 2**20:
        raise ValueError(
            f"gap={_describe(gap)} is no distance; use 0, or a few hundred tokens at most"
        )


def _check_reader(model) -> None:
    if not isinstance(model, Reader):
        raise ValueError(
            f"model={_describe(type(model).__name__)} answers no questions; give a Reader, such as new_model makes"
        )
