"""Memory: what one training step of a small language model holds, in bytes, against the number of tokens.

Parameters, gradients and the optimizer's state are counted in the tensors that training makes. Activations are
what the forward pass keeps for the backward pass; of these, the tensors of T × T numbers are counted apart.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from lesson_tf.attention import _check_size, _describe
from lesson_tf.experiments.parallelism import saved_bytes
from lesson_tf.model_files import DATA
from lesson_tf.recipes import Recipe, read_results, write_results
from lesson_tf.training import _adamw, sequence_loss
from lesson_tf.transformer import LanguageModel, TransformerConfig

FUSED, STEPWISE = "fused", "step by step"
PATHS = (FUSED, STEPWISE)
BATCH, VOCAB = 4, 1024
LENGTHS = (16, 32, 64, 128, 256, 512, 1024, 2048)
FLOAT, WHOLE = 4, 8  # bytes of a float32 and of an int64


class Bytes(NamedTuple):
    """Bytes by what they hold; `squares`, the tensors of T × T numbers, are a part of the activations.

    >>> Bytes(4, 4, 8, 100, 64).total
    116
    """

    parameters: int
    gradients: int
    optimizer: int
    activations: int
    squares: int

    @property
    def total(self) -> int:
        """All that a step holds; the squares are among the activations."""
        return self.parameters + self.gradients + self.optimizer + self.activations


def new_model() -> LanguageModel:
    """Make the model whose memory is measured: two layers of width 64, four heads, 1,024 tokens, no dropout.

    >>> sum(weight.numel() for weight in new_model().parameters())
    231168
    """
    return LanguageModel(TransformerConfig(VOCAB, VOCAB, dropout=0.0, norm_first=True, pad_id=None))


def measure(path: str, length: int) -> Bytes:
    """Take one training step on a batch of 4, and count the bytes in the tensors that it makes.

    `path` is how attention is computed: fused, by torch's kernel, or step by step, with the weights stored.

    Raises ValueError for another path, and for a length that is none.

    >>> measure("step by step", 50).squares == 2 * 4 * 4 * 50**2 * 4  # layers, batch, heads, T², bytes
    True
    """
    _check_path(path)
    _check_size("length", length, most=2**14)
    model = new_model()
    weights = list(model.parameters())
    token_ids = torch.zeros(BATCH, length + 1, dtype=torch.long)

    def loss() -> Tensor:
        record = [] if path == STEPWISE else None  # a record asks for the attention weights
        return sequence_loss(model(token_ids[:, :-1], record), token_ids[:, 1:])

    square = (length, length) if path == FUSED else (BATCH, model.config.heads, length, length)
    activations, squares = (saved_bytes(loss, weights, shape) for shape in (None, square))
    optimizer = _adamw(model, learning_rate=3e-3, weight_decay=0.01)
    loss().backward()
    optimizer.step()
    return Bytes(
        _count(weights),
        _count(weight.grad for weight in weights),
        _count(part for state in optimizer.state.values() for part in state.values()),
        activations,
        squares,
    )


def expect(path: str, length: int) -> Bytes:
    """Compute the same bytes from the model's sizes, without a tensor.

    Of n parameters: 4n bytes, 4n for their gradients, and 8n for AdamW's two running means (and one counter a
    tensor). A layer keeps 12 d + 4 numbers a token: its two inputs, each again after layer norm and with a
    mean and a scale; queries, keys, values and what was attended to; 4 d inside the feed-forward part. Step by
    step it keeps B h T² weights as well; fused, a number for each token and head, and the causal mask, T²
    numbers for all heads and texts together. At the end stand the last layer norm and the V scores a token.

    Raises ValueError for another path, and for a length that is none.

    >>> expect("fused", 50) == measure("fused", 50)
    True
    """
    _check_path(path)
    _check_size("length", length)
    config, tokens = new_model().config, BATCH * length
    weights = list(new_model().parameters())
    numbers = sum(weight.numel() for weight in weights)
    layers, d_model, heads = config.decoder_layers, config.d_model, config.heads
    per_token = layers * (8 * d_model + 4 + config.d_ff) + 2 * d_model + 2 + VOCAB
    if path == FUSED:
        per_token += layers * heads
    squares = FLOAT * layers * length**2 * (1 if path == FUSED else BATCH * heads)
    # Ids that were read, with the last target that their tensor holds; targets; how many of them there are.
    ids = WHOLE * (tokens + BATCH) + WHOLE * tokens + FLOAT
    return Bytes(
        FLOAT * numbers,
        FLOAT * numbers,
        FLOAT * (2 * numbers + len(weights)),
        FLOAT * tokens * per_token + ids + squares,
        squares,
    )


def results(path: Path = DATA / "experiments" / "memory.csv") -> list[dict[str, str]]:
    """Read what was measured: one row for each path and length, all values as text.

    Columns count bytes: `parameters`, `gradients`, `optimizer`, `activations`, and `squares`, that part of the
    activations which is tensors of T × T numbers. `expected_activations` and `expected_squares` are from formulas.

    >>> len(results()) == len(PATHS) * len(LENGTHS)
    True
    """
    return read_results(path)


def recipes(quick: bool = False) -> list[Recipe]:
    """List one measurement for each path and length."""
    lengths = LENGTHS[:5] if quick else LENGTHS
    return [
        Recipe(f"memory, {path}, {length} tokens", measure_step, (path, length))
        for path in PATHS
        for length in lengths
    ]


def measure_step(folder: Path, path: str, length: int) -> dict[str, str]:
    """Measure one step, which takes seconds, and set the formulas beside it."""
    started = time.process_time()
    measured, expected = measure(path, length), expect(path, length)
    return {
        "path": path,
        "length": str(length),
        **{name: str(value) for name, value in measured._asdict().items()},
        "expected_activations": str(expected.activations),
        "expected_squares": str(expected.squares),
        "seconds": f"{time.process_time() - started:.0f}",
    }


def publish(folder: Path, data: Path, measured: Sequence[dict[str, str]], command: str) -> None:
    """Write the results."""
    write_results(data / "memory.csv", measured, command)


def _count(tensors) -> int:
    return sum(tensor.untyped_storage().nbytes() for tensor in tensors)


def _check_path(path) -> None:
    if not isinstance(path, str) or path not in PATHS:
        raise ValueError(f"path={_describe(path)} was not measured; use one of {PATHS}")
