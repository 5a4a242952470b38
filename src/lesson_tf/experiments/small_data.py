"""Small data: an LSTM and a Transformer of equal size, trained alike on little text and on more.

An LSTM reads in order and forgets step by step: what is near counts most, before it has learned anything. A
Transformer has to learn that from its data. Both predict the next character of torch's documentation.
"""

import math
import random
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lesson_tf.attention import _check_size, _describe
from lesson_tf.corpus import check_torch_documentation, split_texts, torch_documentation
from lesson_tf.language_model import TextBatches
from lesson_tf.model_files import DATA
from lesson_tf.recipes import Recipe, read_results, train_and_time, write_results
from lesson_tf.training import sequence_loss
from lesson_tf.transformer import LanguageModel, TransformerConfig, in_mode
from lesson_tf.vocabulary import check_seed

LSTM, TRANSFORMER = "LSTM", "Transformer"
MODELS = (LSTM, TRANSFORMER)
SEEDS = (1, 2, 3, 4, 5)
LENGTH, BATCH_SIZE = 64, 16  # characters in a window, windows in a step
# Chosen on seeds 0 and 99 and texts of their own, the same for both models, by characters of training text.
# On little text, 2,400 steps made both models worse.
STEPS = {10_000: 800, 400_000: 2400}
DROPOUT = {10_000: 0.2, 400_000: 0.1}
LEARNING_RATE = 1e-2  # of 0.003 and 0.01, on little text, the better one for the Transformer
SIZES = tuple(STEPS)
# Ids 0 and 1 are the end of a text and any other character.
CHARACTERS = "\n" + "".join(map(chr, range(32, 127)))
VOCAB = len(CHARACTERS) + 2


class RecurrentLanguageModel(nn.Module):
    """A language model whose memory is an LSTM: token ids in, scores for the next one out.

    As in a `LanguageModel` with tied embeddings, one matrix reads and writes tokens.

    Raises ValueError for sizes that are none.

    >>> RecurrentLanguageModel(vocab=9, width=16)(torch.tensor([[1, 2, 3]])).shape
    torch.Size([1, 3, 9])
    """

    def __init__(self, vocab: int, width: int, dropout: float = 0.0):
        _check_size("vocab", vocab)
        _check_size("width", width, most=2**12)
        super().__init__()
        self.table = nn.Embedding(vocab, width)
        nn.init.normal_(self.table.weight, std=width**-0.5)
        self.lstm = nn.LSTM(width, width, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(width, vocab, bias=False)
        self.output.weight = self.table.weight

    def forward(
        self, token_ids: Int[Tensor, "batch length"]
    ) -> Float[Tensor, "batch length vocab"]:
        """Score the next token at every position."""
        x = self.dropout(self.table(token_ids) * math.sqrt(self.lstm.input_size))
        return self.output(self.dropout(self.lstm(x)[0]))


def new_model(
    kind: str, seed: int = 0, dropout: float = 0.0
) -> RecurrentLanguageModel | LanguageModel:
    """Make an untrained model of about 106,000 parameters: one LSTM layer, or a Transformer of two layers.

    Raises ValueError for another kind.

    >>> [sum(weight.numel() for weight in new_model(kind).parameters()) for kind in MODELS]
    [106602, 106368]
    """
    _check_kind(kind)
    check_seed(seed)
    torch.manual_seed(int(seed))
    if kind == LSTM:
        return RecurrentLanguageModel(VOCAB, 109, dropout)
    return LanguageModel(
        TransformerConfig(
            VOCAB,
            VOCAB,
            dropout=dropout,
            norm_first=True,
            positions="rotary",
            pad_id=None,
            tie_embeddings=True,
        )
    )


@cache
def texts() -> tuple[list[str], list[str], list[str]]:
    """Give the texts to train on, those that settings were chosen by, and those to measure on.

    >>> [len(part) for part in texts()]
    [396, 22, 22]
    """
    documentation = torch_documentation()
    check_torch_documentation(documentation)
    training, held_out = split_texts(documentation)
    half = len(held_out) // 2
    return training, held_out[:half], held_out[half:]


def encode(text: str) -> list[int]:
    """Cut a text into ids of its characters; those beyond ASCII are 1.

    Raises ValueError for what is no text.

    >>> encode("\\n é")
    [2, 3, 1]
    """
    if not isinstance(text, str):
        raise ValueError(f"text={_describe(text)} is no text; give a string")
    return [CHARACTERS.find(character) + 2 for character in text]


def draw(characters: int, seed: int) -> list[list[int]]:
    """Draw training texts, in an order that depends on the seed, until there are so many characters.

    Raises ValueError where there are not so many.

    >>> sum(map(len, draw(10_000, seed=0)))
    10000
    """
    _check_size("characters", characters)
    check_seed(seed)
    drawn, left = [], characters
    for text in random.Random(int(seed)).sample(texts()[0], len(texts()[0])):
        drawn.append(encode(text)[:left])
        left -= len(drawn[-1])
        if not left:
            return drawn
    raise ValueError(
        f"characters={characters} are more than the texts have; use at most {characters - left}"
    )


@torch.no_grad()
def loss(model: nn.Module, measured_on: Sequence[str]) -> float:
    """Return the mean loss over all characters, in nats a character, read in windows as long as in training.

    >>> loss(new_model("LSTM"), ["def add(a, b):"]) > 3  # untrained
    True
    """
    stream = torch.tensor([0, *(each for text in measured_on for each in [*encode(text), 0])])
    total = 0.0
    with in_mode(model, training=False):
        for start in range(0, len(stream) - 1, LENGTH):
            window = stream[None, start : start + LENGTH + 1]
            total += sequence_loss(model(window[:, :-1]), window[:, 1:]).item() * (
                window.shape[1] - 1
            )
    return total / (len(stream) - 1)


def results(path: Path = DATA / "experiments" / "small_data.csv") -> list[dict[str, str]]:
    """Read what was measured: one row for each model, amount of text and seed, all values as text.

    Losses are in nats a character: `training_loss` of the last steps, with dropout; `held_out_loss` on texts that
    served neither to train nor to choose a setting. Of one seed both models saw the same windows in the same order.

    >>> len(results()) == len(MODELS) * len(SIZES) * len(SEEDS)
    True
    """
    return read_results(path)


def losses(rows: Sequence[dict[str, str]], kind: str) -> Float[Tensor, "seeds sizes"]:
    """Collect the held-out losses of one model: a row a seed, a column an amount of text of `SIZES`.

    Raises ValueError for another model.

    >>> losses(results(), "LSTM").shape == (len(SEEDS), len(SIZES))
    True
    """
    _check_kind(kind)
    return torch.tensor(
        [
            [
                float(row["held_out_loss"])
                for row in rows
                if (row["model"], row["characters"]) == (kind, str(size))
            ]
            for size in SIZES
        ]
    ).T


def recipes(quick: bool = False) -> list[Recipe]:
    """List one training for each model, amount of text and seed."""
    seeds = SEEDS[:1] if quick else SEEDS
    return [
        Recipe(
            f"small_data, {kind}, {characters} characters, seed {seed}",
            train_model,
            (kind, characters, seed, 20 if quick else STEPS[characters]),
        )
        for seed in seeds
        for characters in SIZES
        for kind in MODELS
    ]


def train_model(folder: Path, kind: str, characters: int, seed: int, steps: int) -> dict[str, str]:
    """Train one model on so much text, and return its loss on texts that it has not seen."""
    if characters not in DROPOUT:
        raise ValueError(f"characters={_describe(characters)} were not tried; use one of {SIZES}")
    model = new_model(kind, seed, DROPOUT[characters])
    batches = TextBatches(draw(characters, seed), 0, LENGTH, BATCH_SIZE, seed)
    history, seconds = train_and_time(
        folder / f"small_data-{kind}-{characters}-{seed}-{steps}.checkpoint",
        model,
        batches,
        steps,
        learning_rate=LEARNING_RATE,
        weight_decay=0.1,
    )
    return {
        "model": kind,
        "characters": str(characters),
        "seed": str(seed),
        "steps": str(steps),
        "parameters": str(sum(weight.numel() for weight in model.parameters())),
        "dropout": str(DROPOUT[characters]),
        "training_loss": f"{sum(history.loss[-50:]) / len(history.loss[-50:]):.4f}",
        "held_out_loss": f"{loss(model, texts()[2]):.4f}",
        "seconds": f"{seconds:.0f}",
    }


def publish(folder: Path, data: Path, measured: Sequence[dict[str, str]], command: str) -> None:
    """Write the results; no weights ship."""
    write_results(data / "small_data.csv", measured, command)


def _check_kind(kind) -> None:
    if not isinstance(kind, str) or kind not in MODELS:
        raise ValueError(f"model={_describe(kind)} is not compared here; use one of {MODELS}")
