"""Parallelism: steps in sequence, work, time and memory of self-attention, each beside an LSTM, against length.

Every comparison is a pair: one layer of width 64 and one `torch.nn.LSTM`, either as wide, or with as many parameters
(then narrower than self-attention, and wider than an encoder layer). The two of a pair take turns, so that a
disturbance hits both. Self-attention is measured by torch's fused kernel, and step by step as the formulas have it.
"""

import json
import math
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import mean, median, quantiles
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from lesson_tf.attention import MultiHeadAttention, _check_size, _describe, _is_number
from lesson_tf.model_files import DATA
from lesson_tf.recipes import Recipe, read_results, write_results
from lesson_tf.transformer import EncoderLayer, TransformerConfig

FUSED, STEPWISE, ENCODER = "self-attention, fused", "self-attention, step by step", "encoder layer"
LAYERS = (FUSED, STEPWISE, ENCODER)
D_MODEL, HEADS, BATCH = 64, 4, 4
WIDTH, PARAMETERS = "equal width", "equal parameters"
# The width of the LSTM beside each layer; `test_an_lstm_has_as_many_parameters` holds them to 2 %.
LSTM_WIDTHS = {
    WIDTH: dict.fromkeys(LAYERS, D_MODEL),
    PARAMETERS: {FUSED: 45, STEPWISE: 45, ENCODER: 79},
}
LENGTHS = (16, 32, 64, 128, 256, 512, 1024, 2048)
ROUNDS = 15
# Student's t: 95 % of it lies within ± these, by degrees of freedom from 1.
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)

Run = Callable[[Tensor], Tensor]


class Exponent(NamedTuple):
    """The slope of a straight line through logarithms, and what to add and take away for a 95 % interval.

    >>> Exponent(2.0, 0.1).margin
    0.1
    """

    value: float
    margin: float


class Clock(NamedTuple):
    """Milliseconds of one pass: forward and backward of the processor's time, both together by the wall clock.

    `system` is that part of the processor's time in which the operating system worked, as it does when it hands
    out memory; it is counted in coarse ticks, so that its mean over many passes says more than one of them.

    >>> Clock(forward=1.0, backward=2.0, wall=3.1, system=0.0).total
    3.0
    """

    forward: float
    backward: float
    wall: float
    system: float

    @property
    def total(self) -> float:
        """Forward and backward, in the processor's time."""
        return self.forward + self.backward


def new_layer(name: str) -> tuple[nn.Module, Run]:
    """Make a layer of width 64, and the function that runs it on vectors `(B, T, 64)`.

    Raises ValueError for another layer.

    >>> layer, run = new_layer("self-attention, fused")
    >>> run(torch.zeros(1, 5, 64)).shape
    torch.Size([1, 5, 64])
    """
    if name not in LAYERS:
        raise ValueError(f"layer={_describe(name)} is not compared here; use one of {LAYERS}")
    if name == ENCODER:
        layer = EncoderLayer(
            TransformerConfig(
                1, 1, D_MODEL, HEADS, d_ff=4 * D_MODEL, dropout=0.0, norm_first=True, pad_id=None
            )
        )
        return layer, layer
    attention = MultiHeadAttention(D_MODEL, HEADS)
    return attention, lambda x: attention(x, need_weights=name == STEPWISE)[0]


def new_lstm(width: int) -> tuple[nn.LSTM, Run]:
    """Make torch's LSTM with as many outputs as inputs, and the function that runs it.

    Raises ValueError for a width that is none.

    >>> lstm, run = new_lstm(45)
    >>> run(torch.zeros(1, 5, 45)).shape
    torch.Size([1, 5, 45])
    """
    _check_size("width", width, most=2**12)
    lstm = nn.LSTM(width, width, batch_first=True)
    return lstm, lambda x: lstm(x)[0]


def recur(lstm: nn.LSTM, x: Float[Tensor, "batch length width"]) -> Tensor:
    """Run an LSTM of one layer as the loop that it is: one `LSTMCell` step for each token.

    Torch runs the loop within one operation, whose steps nobody can count.

    >>> lstm, run = new_lstm(8)
    >>> x = torch.ones(1, 5, 8)
    >>> bool(torch.allclose(recur(lstm, x), run(x), atol=1e-6))
    True
    """
    cell = nn.LSTMCell(lstm.input_size, lstm.hidden_size)
    cell.load_state_dict(
        {name.removesuffix("_l0"): weight for name, weight in lstm.state_dict().items()}
    )
    state, outputs = None, []
    for t in range(x.shape[1]):
        state = cell(x[:, t], state)
        outputs.append(state[0])
    return torch.stack(outputs, dim=1)


def longest_chain(result: Tensor) -> int:
    """Count the operations of the longest chain of which each needs the result of the one before.

    They are read from the record that torch keeps for the backward pass; steps that only reshape count too.

    Raises ValueError where there is no such record.

    >>> x = torch.ones(3, requires_grad=True)
    >>> longest_chain((x + 1) * 2), longest_chain((x + 1) + (x + 2))  # the input is the first of each
    (3, 3)
    """
    if not isinstance(result, Tensor) or result.grad_fn is None:
        raise ValueError(
            f"result={_describe(result)} has no record of operations; compute it from a tensor with requires_grad=True"
        )
    chain, waiting = {}, [result.grad_fn]
    while waiting:
        node = waiting[-1]
        before = [other for other, _ in node.next_functions if other]
        unknown = [other for other in before if other not in chain]
        waiting += unknown
        if not unknown:
            chain[waiting.pop()] = 1 + max((chain[other] for other in before), default=0)
    return chain[result.grad_fn]


def multiply_adds(run: Run, x: Tensor) -> int:
    """Count the multiplications, each with its addition, in the matrix products of one forward pass.

    >>> multiply_adds(lambda x: x @ x, torch.ones(4, 4))
    64
    """
    with FlopCounterMode(display=False) as counter:
        run(x)
    return counter.get_total_flops() // 2  # a multiply-add is two operations there


def saved_bytes(
    run: Callable[[], object],
    parameters: Sequence[Tensor] = (),
    shape: tuple[int, ...] | None = None,
) -> int:
    """Count the bytes that a forward pass keeps for the backward pass, beside the parameters.

    With a `shape`, tensors of this shape alone. A piece of memory that several operations keep counts once, and
    whole, as it is held whole.

    >>> x = torch.ones(1000, requires_grad=True)
    >>> saved_bytes(lambda: x.exp()), saved_bytes(lambda: x + 1)  # of exp the result; of a sum nothing
    (4000, 0)
    """
    known = {parameter.untyped_storage().data_ptr() for parameter in parameters}
    kept = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known and shape in (None, tuple(tensor.shape)):
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        result = run()  # holds what was kept, so that no address is given twice
    del result
    return sum(kept.values())


def time_pair(
    runs: Sequence[Run], inputs: Sequence[Tensor], rounds: int, repeats: int = 1
) -> list[list[Clock]]:
    """Time forward and backward passes of several layers that take turns; a list of rounds for each layer.

    Each round is the mean of `repeats` passes. One round before them warms up and is left out.

    Raises ValueError for rounds or repeats below 1.

    >>> [clocks] = time_pair([torch.exp], [torch.ones(9, requires_grad=True)], rounds=3)
    >>> len(clocks), clocks[0].forward > 0
    (3, True)
    """
    _check_size("rounds", rounds)
    _check_size("repeats", repeats)
    clocks: list[list[Clock]] = [[] for _ in runs]
    for turn in range(rounds + 1):
        for kept, run, x in zip(clocks, runs, inputs, strict=True):
            clock = _time(run, x, repeats)
            if turn:
                kept.append(clock)
    return clocks


def _time(run: Run, x: Tensor, repeats: int) -> Clock:
    """Time some passes; the gradient that is sent back is of ones, as that of a sum."""
    forward = backward = 0.0
    wall, system = time.perf_counter(), os.times().system
    for _ in range(repeats):
        started = time.process_time()
        y = run(x)
        between = time.process_time()
        y.backward(torch.ones_like(y))
        forward += between - started
        backward += time.process_time() - between
    wall, system = time.perf_counter() - wall, os.times().system - system
    return Clock(*(1000 * seconds / repeats for seconds in (forward, backward, wall, system)))


def fit_exponent(lengths: Sequence[int | float], values: Sequence[int | float]) -> Exponent:
    """Fit values ∝ length^a by a straight line through the logarithms; the margin is of a 95 % interval.

    The interval is Student's, from how far the points lie off the line. It says nothing about lengths beyond
    those given: a sum of two powers bends, and looks like one power for a while.

    Raises ValueError for fewer than 3 or more than 12 points, and for values that are not above 0.

    >>> fit_exponent([1, 2, 4, 8], [3, 12, 48, 192])
    Exponent(value=2.0, margin=0.0)
    """
    if not 3 <= len(lengths) <= len(_T) + 2 or len(lengths) != len(values):
        raise ValueError(
            f"{len(lengths)} lengths and {len(values)} values give no line with a margin; "
            f"give as many values as lengths, 3 to {len(_T) + 2}"
        )
    for name, numbers in (("lengths", lengths), ("values", values)):
        if not all(_is_number(number) and number > 0 for number in numbers):
            raise ValueError(f"{name}={_describe(numbers)} have no logarithm; give numbers above 0")
    x, y = (torch.tensor(list(each), dtype=torch.float64).log() for each in (lengths, values))
    x, y = x - x.mean(), y - y.mean()
    slope = (x @ y / (x @ x)).item()
    freedom = len(lengths) - 2
    error = ((y - slope * x).square().sum() / freedom / (x @ x)).sqrt().item()
    return Exponent(round(slope, 12), round(_T[freedom - 1] * error, 12))


def crossover(lengths: Sequence[int | float], ratios: Sequence[int | float]) -> float | None:
    """Find the length beyond which the ratios stay above 1, between two lengths by a line in logarithms.

    None where the last ratio is not above 1; the first length, where all are.

    Raises ValueError where there is not one ratio for each length.

    >>> crossover([16, 64, 256], [0.5, 0.5, 2.0])
    128.0
    """
    if len(lengths) != len(ratios) or not lengths:
        raise ValueError(
            f"{len(ratios)} ratios for {len(lengths)} lengths; give one ratio for each length"
        )
    if ratios[-1] <= 1:
        return None
    last = max((i for i, ratio in enumerate(ratios) if ratio <= 1), default=None)
    if last is None:
        return float(lengths[0])
    (a, b), (low, high) = (
        [math.log(number) for number in numbers[last : last + 2]] for numbers in (lengths, ratios)
    )
    return round(math.exp(a + (b - a) * low / (low - high)), 6)


def equal_work(layer: str, lstm_width: int) -> float | None:
    """Return the length at which a layer of width 64 needs as many multiply-adds as an LSTM; None, if at none.

    An LSTM of width w needs 8 T w², self-attention 4 T d² + 2 T² d, and an encoder layer 8 T d² more for its
    feed-forward part. Where the layer needs more at every length, there is no such length.

    Raises ValueError for another layer, or a width that is none.

    Source: the counts behind table 1 of Vaswani et al. (2017), with the projections that it leaves out.

    >>> equal_work("self-attention, fused", lstm_width=64), equal_work("encoder layer", lstm_width=64)
    (128.0, None)
    """
    if layer not in LAYERS:
        raise ValueError(f"layer={_describe(layer)} is not compared here; use one of {LAYERS}")
    _check_size("lstm_width", lstm_width, most=2**12)
    squares = 12 if layer == ENCODER else 4
    length = (8 * lstm_width**2 - squares * D_MODEL**2) / (2 * D_MODEL)
    return length if length >= 1 else None


def results(path: Path = DATA / "experiments" / "parallelism.csv") -> list[dict[str, str]]:
    """Read what was measured: one row for each comparison, layer and length, all values as text.

    Columns that begin with `lstm_` are those of the LSTM beside the layer. `chain` counts steps in sequence,
    `multiply_adds` the work of one sequence, `saved_bytes` what a forward pass keeps for the backward pass, of
    a batch of 4 as the times. Milliseconds are medians of the rounds: `forward_ms`, `backward_ms` and their sum
    `total_ms` of one processor's time, which other programs hardly disturb; `wall_ms` by the wall clock, about
    the same on a machine that does nothing else. `system_ms` is the mean of that part of the total in which
    the operating system worked: tensors beyond some size it takes back after each pass, and hands out anew.
    `ratio` is the median of the layer's total over the LSTM's, round by round, `ratio_low` and `ratio_high`
    its quartiles.

    >>> len(results()) == len(LSTM_WIDTHS) * len(LAYERS) * len(LENGTHS)
    True
    """
    return read_results(path)


def column(
    rows: Sequence[dict[str, str]], comparison: str, layer: str, name: str
) -> dict[int, float]:
    """Read one column of a comparison as numbers, by length.

    Raises ValueError where there is no such comparison, layer or column.

    >>> column(results(), "equal width", "encoder layer", "parameters")[16]
    49984.0
    """
    chosen = [row for row in rows if (row["comparison"], row["layer"]) == (comparison, layer)]
    if not chosen:
        raise ValueError(
            f"there is no {_describe(layer)} at {_describe(comparison)}; use one of {LAYERS} at one of {tuple(LSTM_WIDTHS)}"
        )
    if name not in chosen[0]:
        raise ValueError(f"there is no column {_describe(name)}; use one of {list(chosen[0])}")
    return {int(row["length"]): float(row[name]) for row in chosen}


def recipes(quick: bool = False) -> list[Recipe]:
    """List one measurement for each comparison, layer and length."""
    lengths, rounds = (LENGTHS[:5], 3) if quick else (LENGTHS, ROUNDS)
    return [
        Recipe(
            f"parallelism, {comparison}, {layer}, {length} tokens",
            measure_pair,
            (comparison, layer, length, rounds),
        )
        for comparison in LSTM_WIDTHS
        for layer in LAYERS
        for length in lengths
    ]


def measure_pair(
    folder: Path, comparison: str, layer: str, length: int, rounds: int = ROUNDS
) -> dict[str, str]:
    """Measure one layer and the LSTM beside it at one length; what was measured before is read from the folder."""
    if comparison not in LSTM_WIDTHS:
        raise ValueError(
            f"comparison={_describe(comparison)} was not made; use one of {tuple(LSTM_WIDTHS)}"
        )
    name = f"parallelism-{comparison}-{layer}-{length}-{rounds}.json".replace(", ", "-")
    finished = folder / name.replace(" ", "-")
    if finished.exists():
        return json.loads(finished.read_text(encoding="utf-8"))
    measured = _measure(comparison, layer, length, rounds)
    unfinished = finished.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(measured), encoding="utf-8")
    unfinished.replace(finished)
    return measured


def _measure(comparison: str, layer: str, length: int, rounds: int) -> dict[str, str]:
    started = time.process_time()
    torch.manual_seed(0)
    width = LSTM_WIDTHS[comparison][layer]
    module, run = new_layer(layer)
    lstm, run_lstm = new_lstm(width)
    counted = _count(module, _stepwise(module), run, length, D_MODEL)
    counted_lstm = _count(lstm, partial(recur, lstm), run_lstm, length, width)
    inputs = [torch.randn(BATCH, length, each, requires_grad=True) for each in (D_MODEL, width)]
    clocks = time_pair([run, run_lstm], inputs, rounds, 1 + 256 // length)
    ratios = [ours.total / theirs.total for ours, theirs in zip(*clocks, strict=True)]
    low, _, high = quantiles(ratios, n=4) if rounds > 1 else ratios * 3
    return {
        "comparison": comparison,
        "layer": layer,
        "length": str(length),
        "rounds": str(rounds),
        "lstm_width": str(width),
        **counted,
        **_medians(clocks[0]),
        **{f"lstm_{name}": value for name, value in (counted_lstm | _medians(clocks[1])).items()},
        "ratio": f"{median(ratios):.4f}",
        "ratio_low": f"{low:.4f}",
        "ratio_high": f"{high:.4f}",
        "seconds": f"{time.process_time() - started:.0f}",
    }


def _stepwise(module: nn.Module) -> Run:
    """Run a layer operation by operation: a fused kernel would be one, whatever happens within."""
    if isinstance(module, EncoderLayer):
        return lambda x: module(x, record=[])
    return lambda x: module(x, need_weights=True)[0]


def _count(module: nn.Module, stepwise: Run, run: Run, length: int, width: int) -> dict[str, str]:
    """Count what no clock is needed for; steps and work of one sequence, memory of the batch."""
    one = torch.randn(1, length, width, requires_grad=True)
    batch = torch.randn(BATCH, length, width, requires_grad=True)
    parameters = list(module.parameters())
    return {
        "parameters": str(sum(parameter.numel() for parameter in parameters)),
        "chain": str(longest_chain(stepwise(one))),
        "multiply_adds": str(multiply_adds(stepwise, one)),
        "saved_bytes": str(saved_bytes(lambda: run(batch), parameters)),
    }


def _medians(clocks: Sequence[Clock]) -> dict[str, str]:
    typical = {
        part: median(getattr(clock, part) for clock in clocks)
        for part in ("forward", "backward", "total", "wall")
    }
    typical["system"] = mean(clock.system for clock in clocks)
    return {f"{part}_ms": f"{value:.4f}" for part, value in typical.items()}


def publish(folder: Path, data: Path, measured: Sequence[dict[str, str]], command: str) -> None:
    """Write the results."""
    write_results(data / "parallelism.csv", measured, command)
