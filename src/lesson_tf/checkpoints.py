"""Checkpoints: all that training needs to go on as if it had never been interrupted.

A checkpoint holds the weights, the optimizer's averages, the place in the schedule, the history and the state
of torch's random numbers, which dropout draws from.
"""

import dataclasses
import hashlib
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor, nn

PARTS = {"run", "model", "optimizer", "scheduler", "history", "random_state"}


def describe_run(
    model: nn.Module, first_batch: tuple[Tensor, ...] | list[Tensor], settings: dict
) -> dict[str, str]:
    """Name what makes a run this run: its settings, the model's choices and shapes, and its first batch.

    >>> run = describe_run(nn.Linear(2, 3), (torch.tensor([[1, 2]]),), {"steps": 10})
    >>> run["steps"], run["weight"]
    ('10', 'torch.float32 of shape (3, 2)')
    """
    config = getattr(model, "config", None)
    choices = dataclasses.asdict(config) if dataclasses.is_dataclass(config) else {}
    frozen = {name for name, weight in model.named_parameters() if not weight.requires_grad}
    tensors = {
        name: f"{tensor.dtype} of shape {tuple(tensor.shape)}{', frozen' if name in frozen else ''}"
        for name, tensor in model.state_dict().items()
    }
    described = {"the model": type(model).__name__, **settings, **choices, **tensors}
    numbers = repr([tensor.tolist() for tensor in first_batch])
    described["the first batch"] = (
        f"data of hash {hashlib.sha256(numbers.encode()).hexdigest()[:8]}"
    )
    return {name: str(value) for name, value in described.items()}


def save_checkpoint(path: Path, run: dict[str, str], history, model, optimizer, scheduler) -> None:
    """Write a checkpoint; while it is being written, the one before stays.

    `history` is a dataclass of plain lists. Raises OSError where the file cannot be written.

    >>> from lesson_tf.training import History
    >>> import tempfile
    >>> model = nn.Linear(2, 3)
    >>> optimizer = torch.optim.AdamW(model.parameters())
    >>> scheduler = torch.optim.lr_scheduler.ConstantLR(optimizer)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "model.ckpt"
    ...     save_checkpoint(path, {"steps": "10"}, History(), model, optimizer, scheduler)
    ...     sorted(load_checkpoint(path, {"steps": "10"}))
    ['history', 'model', 'optimizer', 'random_state', 'run', 'scheduler']
    """
    checkpoint = {
        "run": run,
        "history": dataclasses.asdict(history),
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "random_state": torch.get_rng_state(),
    }
    with open_unfinished(path) as file:
        torch.save(checkpoint, file)
        file.flush()
        os.fsync(file.fileno())
        # Renaming is one act of the file system: at any moment there is a whole checkpoint.
        os.replace(file.name, path)


@contextmanager
def open_unfinished(path: Path) -> Iterator[BinaryIO]:
    """Open the file beside a checkpoint that becomes the checkpoint when it is whole; what is left is removed.

    Raises OSError where it cannot be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, open_unfinished(Path(folder) / "model.ckpt") as file:
    ...     Path(file.name).name
    'model.ckpt.unfinished'
    """
    unfinished = path.with_name(f"{path.name}.unfinished")
    path.parent.mkdir(parents=True, exist_ok=True)
    with unfinished.open("wb") as file:
        try:
            yield file
        finally:
            unfinished.unlink(missing_ok=True)


def load_checkpoint(path: Path, run: dict[str, str]) -> dict:
    """Read the checkpoint of this run.

    Raises ValueError where the file is damaged, no checkpoint, or the checkpoint of another run.
    See `save_checkpoint` for an example.
    """
    checkpoint = _read(path)
    if not isinstance(checkpoint, dict) or not checkpoint.keys() >= PARTS:
        raise ValueError(
            f"checkpoint={str(path)!r} was not written by train; name another path, or delete the file"
        )
    there = checkpoint["run"]
    for name in there | run:
        if there.get(name) != run.get(name):
            raise ValueError(
                f"checkpoint={str(path)!r} is of another run: {name} is {there.get(name, 'absent')} there and "
                f"{run.get(name, 'absent')} here; go on as that run began, name another path, or delete the file"
            )
    return checkpoint


def _read(path: Path):
    """Read the file, and refuse one with a changed byte: torch itself does not look."""
    cause = None
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is None:
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a changed byte can break the reader anywhere
        cause = error
    raise ValueError(
        f"checkpoint={str(path)!r} cannot be read: it is damaged, or no checkpoint; "
        "delete the file to begin anew, or name another path"
    ) from cause
