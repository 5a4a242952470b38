"""Recipes: trainings and measurements that run side by side, one thread each, and go on after an interruption.

`make models` and `make experiments` are lists of them. What a recipe measured is written as csv, below the
command and the environment that made it.
"""

import csv
import multiprocessing
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm

from lesson_tf.training import History, train


@dataclass(frozen=True)
class Recipe:
    """One training: its name, and the function that does it and returns what was measured."""

    name: str
    cook: Callable[..., dict[str, str]]
    arguments: tuple


def train_and_time(
    checkpoint: Path,
    model: nn.Module,
    batches,
    steps: int,
    learning_rate: float = 3e-3,
    **settings,
) -> tuple[History, float]:
    """Train, and count the seconds of one core, those before an interruption too."""
    clock = checkpoint.with_suffix(".seconds")
    before = float(clock.read_text()) if clock.exists() and checkpoint.exists() else 0.0
    started = time.process_time()
    try:
        history = train(
            model,
            batches,
            steps,
            learning_rate=learning_rate,
            warmup=min(100, steps // 10),
            checkpoint=checkpoint,
            progress=False,
            **settings,
        )
    finally:
        seconds = before + time.process_time() - started
        clock.write_text(f"{seconds:.1f}")
    return history, seconds


def cook_all(
    wanted: dict[str, list[Recipe]], folder: Path, workers: int
) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Train side by side; yield a model's name and results, in the order of its recipes, when all are done."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, torch.set_num_threads, (1,)) as pool:
        tasks = {
            pool.submit(recipe.cook, folder, *recipe.arguments): (model, recipe.name)
            for model, chosen in wanted.items()
            for recipe in chosen
        }
        results: dict[str, dict[str, str]] = {}
        with tqdm(as_completed(tasks), total=len(tasks), unit="model") as bar:
            for task in bar:
                model, name = tasks[task]
                results[name] = task.result()
                bar.write(f"{name}: {summary(results[name])}")
                names = [recipe.name for recipe in wanted[model]]
                if all(name in results for name in names):
                    yield model, [results[name] for name in names]


def summary(measured: dict[str, str]) -> str:
    """Say the most important of what was measured.

    >>> summary({"seconds": "9", "exact match: all": "0.99900", "exact match: ja": "1.00000"})
    'exact match: all 0.99900, 9 seconds'
    """
    shown = [
        name
        for name in measured
        if name.startswith("loss") or name.endswith((": all", "_loss", "exact_match"))
    ]
    return ", ".join(
        [*(f"{name} {measured[name]}" for name in shown), f"{measured['seconds']} seconds"]
    )


def write_results(path: Path, rows: Sequence[dict[str, str]], command: str) -> None:
    """Write measured rows as csv, below the command and the environment that made them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(
            f"# {command}; Python {platform.python_version()}, torch {torch.__version__.split('+')[0]}, "
            f"{platform.machine()}\n"
        )
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_results(path: Path) -> list[dict[str, str]]:
    """Read measured rows again, as text; what stands above them is left out.

    Raises FileNotFoundError where there is no such file.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_results(Path(folder) / "results.csv", [{"seed": "0", "loss": "1.5"}], "make experiments")
    ...     read_results(Path(folder) / "results.csv")
    [{'seed': '0', 'loss': '1.5'}]
    """
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))
