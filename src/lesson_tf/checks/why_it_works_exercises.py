"""What the exercises of chapter 5 must satisfy, but gradients at a distance: an exponent, and two workers."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Tensor

from lesson_tf.checks.answers import Call
from lesson_tf.checks.exercise import Exercise, Mistake, Property, Trial, Variant, carried_over
from lesson_tf.checks.properties import agrees, has_shape, kind_of, unchanged
from lesson_tf.experiments import parallelism

# --- Fit an exponent ------------------------------------------------------------------------------------


def _fit_calls(generator: Generator) -> list[Call]:
    def call(count: int, warm_up: int, noise: float, label: str = "") -> Call:
        slope = 0.8 + 1.6 * torch.rand((), generator=generator)
        lengths = 2.0 ** torch.arange(3, 3 + count)
        drawn = (noise * torch.randn(count, generator=generator)).exp()
        times = 1e-4 * lengths**slope * drawn
        times[:warm_up] *= 4 + 8 * torch.rand(warm_up, generator=generator)
        told = {"lengths": lengths.tolist(), "times": times.tolist(), "warm_up": warm_up}
        return Call(told, label)

    exact = call(6, 0, 0.0, "exact")
    slower = {**exact.arguments, "times": [9 * time for time in exact.arguments["times"]]}
    return [
        exact,
        Call(slower, "slower"),
        call(8, 0, 0.2, "noisy"),
        call(9, 2, 0.1, "warm"),
        call(7, 1, 0.2, "warm"),
    ]


def _exponent(lengths: list, times: list, warm_up: int) -> float:
    return parallelism.fit_exponent(lengths[warm_up:], times[warm_up:]).value


def _slope(x: Tensor, y: Tensor) -> Tensor:
    return (x - x.mean()) @ (y - y.mean()) / (x - x.mean()).square().sum()


def _fitted(
    of_lengths: Callable[[Tensor], Tensor] = torch.log,
    of_times: Callable[[Tensor], Tensor] = torch.log,
    fit: Callable[[Tensor, Tensor], Tensor] = _slope,
    kept: Callable[[int], slice] = lambda warm_up: slice(warm_up, None),
):
    """Return a fit of some of the points, after other functions than two logarithms, or by another line."""

    def exponent(lengths: list, times: list, warm_up: int) -> float:
        x, y = (torch.tensor(each, dtype=torch.float64)[kept(warm_up)] for each in (lengths, times))
        return float(fit(of_lengths(x), of_times(y)))

    return exponent


def _height(x: Tensor, y: Tensor) -> Tensor:
    return y.mean() - _slope(x, y) * x.mean()


def _as_it_is(x: Tensor) -> Tensor:
    return x


def _slope_and_height(lengths: list, times: list, warm_up: int) -> list[float]:
    one, other = _fitted(), _fitted(fit=_height)
    return [fitted(lengths, times, warm_up) for fitted in (one, other)]


def _number(value: Any) -> Any:
    """Return the number that a tensor without axes holds, as numpy's numbers are; the rest as it is."""
    return value.item() if isinstance(value, Tensor) and not value.dim() else value


def _is_a_number(trials: list[Trial]) -> str | None:
    """Complain unless each result is a number that could be an exponent of these times."""
    for trial in trials:
        value = _number(trial.value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"With {trial.call.words()} it returns {kind_of(value)}; a number is wanted."
        if not 0 < value < 10:
            return f"With {trial.call.words()} the result is no exponent between 0 and 10."
    return None


_BOTH = "slope and height of the line are returned together: return the slope alone, one number."
_TWO_BASES = "the two logarithms have different bases: take both to the same one."
_WRONG_END = (
    "the last points are left out: the warm-up is at the front, the first `warm_up` points."
)

fit_exponent = Exercise(
    name="Fit an exponent",
    attempt="exponent",
    reference=_exponent,
    calls=_fit_calls,
    properties=(
        Property("It returns one number, a possible exponent.", _is_a_number),
        unchanged(
            "A machine nine times slower has the same exponent.",
            "The exponent changes when all times are nine times as long; it should not.",
            "exact",
            "slower",
            lambda exponent: exponent,
        ),
        agrees("Times that follow a power exactly give its exponent.", on=("exact",), pick=_number),
        agrees("Noisy times give the slope of the best line.", on=("noisy",), pick=_number),
        agrees("Warm-up is left out.", on=("warm",), pick=_number),
    ),
    mistakes=(
        Mistake(
            "the line is fitted to lengths and times themselves: a power is a straight line only between their "
            "logarithms.",
            _fitted(_as_it_is, _as_it_is),
        ),
        Mistake(
            "only the times have a logarithm: that finds the rate of an exponential. Take both logarithms.",
            _fitted(of_lengths=_as_it_is),
        ),
        Mistake("only the lengths have a logarithm: take both.", _fitted(of_times=_as_it_is)),
        Mistake(_TWO_BASES, _fitted(of_lengths=torch.log10)),
        Mistake(_TWO_BASES, _fitted(of_times=torch.log10)),
        Mistake(_TWO_BASES, _fitted(of_lengths=torch.log2)),
        Mistake(
            "the warm-up is included: leave out the first `warm_up` points, whose times are not of the work.",
            _fitted(kept=lambda warm_up: slice(None)),
        ),
        Mistake(_WRONG_END, _fitted(kept=lambda warm_up: slice(-warm_up))),
        Mistake(_WRONG_END, _fitted(kept=lambda warm_up: slice(-warm_up if warm_up else None))),
        Mistake(
            "one point is always left out: leave out `warm_up` of them, which may be none or more.",
            _fitted(kept=lambda warm_up: slice(1, None)),
        ),
        Mistake(
            "the line goes the wrong way round: the exponent says how the time follows the length.",
            _fitted(fit=lambda x, y: _slope(y, x)),
        ),
        Mistake(
            "the first and the last point alone decide (they do in the mean of the slopes between neighbours, too): "
            "fit a line to all points, so that noise averages out.",
            _fitted(fit=lambda x, y: (y[-1] - y[0]) / (x[-1] - x[0])),
        ),
        Mistake(
            "the line is forced through the origin, as if c were 1: subtract the mean of each logarithm first.",
            _fitted(fit=lambda x, y: x @ y / (x @ x)),
        ),
        Mistake(
            "this is the logarithm of c, where the line begins; the exponent is its slope.",
            _fitted(fit=_height),
        ),
        Mistake(_BOTH, _slope_and_height),
        Mistake(_BOTH, lambda **told: torch.tensor(_slope_and_height(**told))),
    ),
)

# --- Two workers' gradient --------------------------------------------------------------------------------


def _gradient_calls(generator: Generator) -> list[Call]:
    def call(workers: int, parameters: int, low: int, high: int, label: str = "") -> Call:
        gradients = torch.randn(workers, parameters, generator=generator)
        examples = torch.randint(low, high, (workers,), generator=generator)
        return Call({"gradients": gradients, "examples": examples}, label)

    unequal = call(2, 5, 2, 9, "unequal")
    unequal.arguments["examples"][1] = 30
    idle = call(3, 4, 1, 9, "idle")
    idle.arguments["examples"][0] = 0
    return [call(2, 4, 8, 9, "equal"), unequal, call(4, 3, 1, 20, "unequal"), idle]


def _combined(gradients: Tensor, examples: Tensor) -> Tensor:
    return examples.to(gradients.dtype) / examples.sum() @ gradients


def _weighted_by(weigh: Callable[[Tensor], Tensor]):
    """Return a sum of the gradients with weights made otherwise from the numbers of examples."""

    def combined_gradient(gradients: Tensor, examples: Tensor) -> Tensor:
        return weigh(examples.to(gradients.dtype)) @ gradients

    return combined_gradient


def _first_two(examples: Tensor) -> Tensor:
    weights = torch.zeros_like(examples)
    weights[:2] = examples[:2] / examples[:2].sum()
    return weights


def _last_counts(times: int) -> Callable[[Callable], Callable]:
    """Return what lets each example of the last worker count several times in any combination."""

    def change(combine: Callable) -> Callable:
        def combined_gradient(gradients: Tensor, examples: Tensor) -> Tensor:
            counted = examples.clone()
            counted[-1] *= times
            return combine(gradients, counted)

        return combined_gradient

    return change


_GRADIENT_MISTAKES = (
    Mistake(
        "every worker has the same weight: a worker with thirty examples must count for more than one with "
        "three. Weight each gradient by its share of the examples.",
        _weighted_by(lambda n: torch.ones_like(n) / len(n)),
    ),
    Mistake(
        "the gradients are added; the whole batch has a *mean* loss.",
        _weighted_by(torch.ones_like),
    ),
    Mistake(
        "the gradients are added, and divided by the number of all examples, as if each were a sum; each is a "
        "mean already. Multiply it by its number of examples first.",
        _weighted_by(lambda n: torch.ones_like(n) / n.sum()),
    ),
    Mistake(
        "the weighted sum is not divided: divide by the number of all examples.",
        _weighted_by(lambda n: n),
    ),
    Mistake(
        "the weighted sum is divided by the number of workers; divide by the number of all examples.",
        _weighted_by(lambda n: n / len(n)),
    ),
    Mistake(
        "averaged twice: shares of the examples sum to 1 already, so no division by the workers is left.",
        _weighted_by(lambda n: n / n.sum() / len(n)),
    ),
    Mistake(
        "too large by the number of workers: that factor belongs in the weights only if an average is taken "
        "afterwards, as `DistributedDataParallel` does. Here you take the sum yourself.",
        _weighted_by(lambda n: n / n.sum() * len(n)),
    ),
    Mistake(
        "the weights are turned round: many examples give a *large* weight.",
        _weighted_by(lambda n: (1 / n) / (1 / n).sum()),
    ),
    Mistake(
        "the weights are turned round: each worker has the share of the others. Many examples give a *large* "
        "weight.",
        _weighted_by(lambda n: (n.sum() - n) / (n.sum() - n).sum()),
    ),
    Mistake(
        "the weights are swapped: worker i's gradient belongs to worker i's number of examples.",
        _weighted_by(lambda n: n.flip(0) / n.sum()),
    ),
    Mistake("only two workers are counted; there may be more.", _weighted_by(_first_two)),
    Mistake(
        "every entry is 0: if you divide by `//`, every share is rounded down to 0. Use `/`.",
        _weighted_by(torch.zeros_like),
    ),
)

combined_gradient = Exercise(
    name="Two workers' gradient",
    attempt="combined_gradient",
    reference=_combined,
    calls=_gradient_calls,
    properties=(
        has_shape("It returns one number for each parameter."),
        agrees("It is right for equal shares.", on=("equal",), weight=1),
        agrees("It is right for unequal shares.", on=("unequal",)),
        agrees("It is right where a worker has no examples.", on=("idle",), weight=1),
    ),
    mistakes=_GRADIENT_MISTAKES,
    variants=tuple(
        Variant(
            f"In your variant each example of the last worker counts {times} times, in the sum and in the number "
            "of all examples.",
            _last_counts(times)(_combined),
            carried_over(_GRADIENT_MISTAKES, _last_counts(times)),
        )
        for times in (2, 3, 4, 5)
    ),
)
