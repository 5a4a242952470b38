"""The positional laboratory: five positional encodings in one small model, on two tasks, within and beyond its training length.

Both tasks are letters that continue by a rule, but for some drawn at random. *Order*: a letter is always followed by the
same letter, perhaps itself; the pairs are drawn anew for each sequence, so they must be read off from what stood
before. *Distance*: a letter is the one that stood five places before it.
"""

from collections.abc import Sequence
from numbers import Integral
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from lesson_tf.attention import _check_size, _describe
from lesson_tf.model_files import DATA
from lesson_tf.recipes import Recipe, read_results, train_and_time, write_results
from lesson_tf.training import train
from lesson_tf.transformer import LanguageModel, TransformerConfig, in_mode
from lesson_tf.transformer_config import POSITIONS as KINDS
from lesson_tf.vocabulary import check_seed

TASKS = ("order", "distance")
LETTERS = 8
BACK = 5  # the distance of the task distance
RANDOM = 0.15  # share of letters that follow no rule, so that no sequence repeats for ever
TRAINED_LENGTH = 32
LENGTHS = (16, 32, 48, 64, 96, 128)
LAST = 16  # letters at the end of a sequence, on which the accuracy is measured
SEEDS = (0, 1, 2, 3, 4)
STEPS = 2000
_TEST_SEED = 2**40  # no training seed and step come near it


class Sequences(NamedTuple):
    """Letters as ids, what the rule says at each place, and whether the letters before it tell."""

    token_ids: Int[Tensor, "batch length"]
    answers: Int[Tensor, "batch length"]
    can_be_known: Bool[Tensor, "batch length"]


def draw(task: str, batch_size: int, length: int, seed: int) -> Sequences:
    """Draw sequences of letters that follow the rule of a task, but for some at random.

    Raises ValueError for another task, and for sizes or a seed that are none.

    >>> ids, answers, can_be_known = draw("distance", batch_size=1, length=8, seed=0)
    >>> answers[0, 5:].tolist() == ids[0, :3].tolist(), can_be_known[0].tolist()
    (True, [False, False, False, False, False, True, True, True])
    """
    _check_task(task)
    _check_size("batch_size", batch_size)
    _check_size("length", length)
    check_seed(seed)
    generator = torch.Generator().manual_seed(int(seed))
    free = torch.randint(LETTERS, (batch_size, length), generator=generator)
    is_free = torch.rand(batch_size, length, generator=generator) < RANDOM
    if task == "distance":
        return _repeat(free, is_free)
    return _follow(free, is_free, torch.rand(batch_size, LETTERS, generator=generator).argsort())


def _repeat(free: Tensor, is_free: Tensor) -> Sequences:
    """Let each letter be the one five places back."""
    token_ids, answers = free.clone(), torch.zeros_like(free)
    for t in range(BACK, free.shape[1]):
        answers[:, t] = token_ids[:, t - BACK]
        token_ids[:, t] = answers[:, t].where(~is_free[:, t], free[:, t])
    can_be_known = (torch.arange(free.shape[1]) >= BACK).expand(free.shape)
    return Sequences(token_ids, answers, can_be_known)


def _follow(free: Tensor, is_free: Tensor, followers: Tensor) -> Sequences:
    """Let each letter be the follower of the one before it; known is a follower that has been seen."""
    token_ids, answers = free.clone(), torch.zeros_like(free)
    can_be_known = torch.zeros_like(is_free)
    seen = torch.zeros_like(followers, dtype=torch.bool)
    for t in range(1, free.shape[1]):
        before = token_ids[:, t - 1 : t]
        follower = followers.gather(1, before)
        answers[:, t] = follower[:, 0]
        can_be_known[:, t] = seen.gather(1, before)[:, 0]
        token_ids[:, t] = answers[:, t].where(~is_free[:, t], free[:, t])
        shown = seen.gather(1, before) | (token_ids[:, t : t + 1] == follower)
        seen.scatter_(1, before, shown)
    return Sequences(token_ids, answers, can_be_known)


class LetterBatches:
    """Batches of a task for a language model: batch `step` depends on `seed` and `step` alone.

    Raises ValueError for another task, sizes or a seed that are none, and a step below 0.

    >>> LetterBatches("order", batch_size=4, length=9, seed=0)[0][0].shape
    torch.Size([4, 9])
    """

    def __init__(
        self, task: str, batch_size: int = 32, length: int = TRAINED_LENGTH, seed: int = 0
    ):
        draw(task, batch_size, length, seed)
        self.task, self.batch_size, self.length, self.seed = task, batch_size, length, int(seed)

    def __getitem__(self, step: int) -> tuple[Int[Tensor, "batch length"]]:
        """Draw the sequences of a step."""
        if isinstance(step, bool) or not isinstance(step, Integral) or step < 0:
            raise ValueError(f"step={_describe(step)} is no step; use 0 or more")
        seed = self.seed * 1_000_003 + int(step)
        return (draw(self.task, self.batch_size, self.length, seed).token_ids,)


def new_model(kind: str, seed: int = 0) -> LanguageModel:
    """Make the model of the laboratory, untrained: two layers, four heads, d_model 32, one kind of positions.

    Learned positions have rows for the longest length measured, though training reaches the first 32 alone.

    Raises ValueError for another kind.

    >>> sum(weight.numel() for weight in new_model("rotary").parameters())
    25984
    """
    check_seed(seed)
    torch.manual_seed(int(seed))
    return LanguageModel(
        TransformerConfig(
            source_vocab=LETTERS,
            target_vocab=LETTERS,
            d_model=32,
            heads=4,
            decoder_layers=2,
            d_ff=128,
            dropout=0.0,
            norm_first=True,
            positions=kind,
            max_length=max(LENGTHS),
            pad_id=None,
        )
    )


def train_model(task: str, kind: str, seed: int = 0, steps: int = STEPS) -> LanguageModel:
    """Train one model on one task at length 32, without a checkpoint: for a run while you watch.

    Raises ValueError for another task or kind.

    >>> model = train_model("distance", "rotary", steps=2)
    >>> model.config.positions
    'rotary'
    """
    batches, model = LetterBatches(task, seed=seed), new_model(kind, seed)
    train(model, batches, steps, warmup=min(100, steps // 10), progress=False)
    return model


@torch.no_grad()
def accuracy(model: nn.Module, task: str, length: int, sequences: int = 200) -> float:
    """Measure how often the model's first choice is what the rule says, among the last 16 letters of new sequences.

    Only letters count that those before them tell. Chance is one in eight.

    Raises ValueError for another task and for sizes that are none.

    >>> accuracy(new_model("alibi"), "distance", length=32) < 0.5  # untrained
    True
    """
    token_ids, answers, can_be_known = draw(task, sequences, length, _TEST_SEED + length)
    with in_mode(model, training=False):
        said = model(token_ids[:, :-1]).argmax(dim=-1)
    right = (said == answers[:, 1:])[:, -LAST:]
    return right[can_be_known[:, 1:][:, -LAST:]].double().mean().item()


def results(path: Path = DATA / "experiments" / "positions.csv") -> list[dict[str, str]]:
    """Read what was measured: one row for each task, kind and seed, all values as text.

    >>> len(results()) == len(TASKS) * len(KINDS) * len(SEEDS)
    True
    """
    return read_results(path)


def accuracies(
    rows: Sequence[dict[str, str]], task: str
) -> dict[str, Float[Tensor, "seeds lengths"]]:
    """Sort the accuracies of one task by kind: a row a seed, a column a length of `LENGTHS`.

    Raises ValueError for another task.

    >>> accuracies(results(), "order")["alibi"].shape
    torch.Size([5, 6])
    """
    _check_task(task)
    return {
        kind: torch.tensor(
            [
                [float(row[f"accuracy_{length}"]) for length in LENGTHS]
                for row in rows
                if (row["task"], row["kind"]) == (task, kind)
            ]
        )
        for kind in KINDS
    }


def recipes(quick: bool = False) -> list[Recipe]:
    """List one training for each task, kind and seed."""
    seeds, steps = (SEEDS[:1], 40) if quick else (SEEDS, STEPS)
    return [
        Recipe(f"positions, {task}, {kind}, seed {seed}", train_kind, (task, kind, seed, steps))
        for seed in seeds
        for task in TASKS
        for kind in KINDS
    ]


def train_kind(folder: Path, task: str, kind: str, seed: int, steps: int = STEPS) -> dict[str, str]:
    """Train one model on one task, and return its accuracy at each length."""
    batches, model = LetterBatches(task, seed=seed), new_model(kind, seed)
    checkpoint = folder / f"positions-{task}-{kind}-{seed}-{steps}.checkpoint"
    history, seconds = train_and_time(checkpoint, model, batches, steps)
    return {
        "task": task,
        "kind": kind,
        "seed": str(seed),
        "steps": str(steps),
        "last_loss": f"{sum(history.loss[-100:]) / len(history.loss[-100:]):.4f}",
        **{f"accuracy_{length}": f"{accuracy(model, task, length):.4f}" for length in LENGTHS},
        "seconds": f"{seconds:.0f}",
    }


def publish(folder: Path, data: Path, measured: Sequence[dict[str, str]], command: str) -> None:
    """Write the results; no weights ship."""
    write_results(data / "positions.csv", measured, command)


def _check_task(task) -> None:
    if not isinstance(task, str) or task not in TASKS:
        raise ValueError(f"task={_describe(task)} is not in the laboratory; use one of {TASKS}")
