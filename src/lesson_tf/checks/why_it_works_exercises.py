"""What the exercises of chapter 5 must satisfy: an exponent, a gradient of two workers, a gradient at distance."""

import torch
from torch import Generator, Tensor

from lesson_tf.checks.answers import Call
from lesson_tf.checks.exercise import Exercise, Mistake, Property, Trial, Variant
from lesson_tf.checks.properties import agrees, has_shape, unchanged

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


def _slope(x: Tensor, y: Tensor) -> float:
    x, y = x - x.mean(), y - y.mean()
    return float(x @ y / (x @ x))


def _fitted(*, log_x=True, log_y=True, keep_all=False, swapped=False, ends_only=False):
    def exponent(lengths: list, times: list, warm_up: int) -> float:
        first = 0 if keep_all else warm_up
        x = torch.tensor(lengths[first:], dtype=torch.float64)
        y = torch.tensor(times[first:], dtype=torch.float64)
        x, y = x.log() if log_x else x, y.log() if log_y else y
        if ends_only:
            return float((y[-1] - y[0]) / (x[-1] - x[0]))
        return _slope(y, x) if swapped else _slope(x, y)

    return exponent


def _is_a_number(trials: list[Trial]) -> str | None:
    """Complain unless each result is a number that could be an exponent of these times."""
    for trial in trials:
        value = trial.value.item() if isinstance(trial.value, Tensor) else trial.value
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 10:
            return f"With {trial.call.words()} the result is no exponent between 0 and 10."
    return None


fit_exponent = Exercise(
    name="Fit an exponent",
    attempt="exponent",
    reference=_fitted(),
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
        agrees("Times that follow a power exactly give its exponent.", on=("exact",)),
        agrees("Noisy times give the slope of the best line.", on=("noisy",)),
        agrees("Warm-up is left out.", on=("warm",)),
    ),
    mistakes=(
        Mistake(
            "the line is fitted to lengths and times themselves: a power is a straight line only between their "
            "logarithms.",
            _fitted(log_x=False, log_y=False),
        ),
        Mistake(
            "only the times have a logarithm: that finds the rate of an exponential. Take both logarithms.",
            _fitted(log_x=False),
        ),
        Mistake("only the lengths have a logarithm: take both.", _fitted(log_y=False)),
        Mistake(
            "the warm-up is included: leave out the first `warm_up` points, whose times are not of the work.",
            _fitted(keep_all=True),
        ),
        Mistake(
            "the line goes the wrong way round: the exponent says how the time follows the length.",
            _fitted(swapped=True),
        ),
        Mistake(
            "the first and the last point alone decide: fit a line to all points, so that noise averages out.",
            _fitted(ends_only=True),
        ),
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
    weights = examples.to(gradients.dtype) / examples.sum()
    return weights @ gradients


def _plain_mean(gradients: Tensor, examples: Tensor) -> Tensor:
    return gradients.mean(0)


def _plain_sum(gradients: Tensor, examples: Tensor) -> Tensor:
    return gradients.sum(0)


def _weighted_sum(gradients: Tensor, examples: Tensor) -> Tensor:
    return examples.to(gradients.dtype) @ gradients


def _weighted_over_workers(gradients: Tensor, examples: Tensor) -> Tensor:
    return _weighted_sum(gradients, examples) / len(examples)


def _averaged_again(gradients: Tensor, examples: Tensor) -> Tensor:
    return _combined(gradients, examples) / len(examples)


def _inverse_weights(gradients: Tensor, examples: Tensor) -> Tensor:
    weights = 1 / examples.to(gradients.dtype)
    return weights / weights.sum() @ gradients


def _step_of(rate: float):
    def combined_gradient(gradients: Tensor, examples: Tensor) -> Tensor:
        return -rate * _combined(gradients, examples)

    return combined_gradient


combined_gradient = Exercise(
    name="Two workers' gradient",
    attempt="combined_gradient",
    reference=_combined,
    calls=_gradient_calls,
    properties=(
        has_shape("It returns one number for each parameter."),
        agrees("Equal shares are averaged.", on=("equal",), weight=1),
        agrees("Unequal shares weigh as much as they have examples."),
        agrees("A worker without examples changes nothing.", on=("idle",), weight=1),
    ),
    mistakes=(
        Mistake(
            "every worker has the same weight: a worker with thirty examples must count for more than one with "
            "three. Weight each gradient by its share of the examples.",
            _plain_mean,
        ),
        Mistake("the gradients are added; the whole batch has a *mean* loss.", _plain_sum),
        Mistake(
            "the weighted sum is not divided: divide by the number of all examples.", _weighted_sum
        ),
        Mistake(
            "the weighted sum is divided by the number of workers; divide by the number of all examples.",
            _weighted_over_workers,
        ),
        Mistake(
            "averaged twice: shares of the examples sum to 1 already, so no division by the workers is left.",
            _averaged_again,
        ),
        Mistake(
            "the weights are turned round: many examples give a *large* weight.", _inverse_weights
        ),
    ),
    variants=tuple(
        Variant(
            f"In your variant return the step of gradient descent instead: minus {rate} times the gradient.",
            _step_of(rate),
        )
        for rate in (0.01, 0.1, 0.3, 0.5)
    ),
)

# --- Gradient at distance ---------------------------------------------------------------------------------


def _distance_calls(generator: Generator) -> list[Call]:
    def call(length: int, d_in: int, width: int, size: float, label: str = "") -> Call:
        def draw(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator)

        w_hidden = size * draw(width, width) / width**0.5
        told = {"inputs": draw(length, d_in), "w_input": draw(d_in, width) / d_in**0.5}
        return Call({**told, "w_hidden": w_hidden}, label)

    return [
        call(6, 3, 5, 0.9),
        call(9, 4, 3, 0.5),
        call(1, 2, 4, 1.0, "one"),
        call(7, 2, 6, 0.0, "cut"),
    ]


def _states(
    inputs: Tensor, w_input: Tensor, w_hidden: Tensor, detach: bool = False
) -> list[Tensor]:
    state, states = torch.zeros(w_hidden.shape[0]), []
    for x in inputs:
        state = torch.tanh(x @ w_input + (state.detach() if detach else state) @ w_hidden)
        states.append(state)
    return states


def _distances(*, every=False, reverse=False, detach=False, power=2.0, squared=False, turned=False):
    def gradient_by_distance(inputs: Tensor, w_input: Tensor, w_hidden: Tensor) -> Tensor:
        inputs = inputs.clone().requires_grad_()
        states = _states(inputs, w_input, w_hidden.T if turned else w_hidden, detach)
        result = torch.stack(states).sum() if every else states[-1].sum()
        [gradient] = torch.autograd.grad(result, inputs)
        norms = gradient.norm(p=power, dim=-1)
        norms = norms.square() if squared else norms
        return norms.flip(0) if reverse else norms

    return gradient_by_distance


def _last_alone_when_cut(trials: list[Trial]) -> str | None:
    """Complain unless, without a path from state to state, only the last input is felt."""
    for trial in trials:
        value = trial.value
        if not isinstance(value, Tensor) or value.shape != trial.expected.shape:
            return f"With {trial.call.words()} there is not one number for each input."
        if value[:-1].abs().max() > 1e-6 or value[-1] < 1e-6:
            return "With `w_hidden` of zeros only the last input reaches the last state."
    return None


gradient_by_distance = Exercise(
    name="Gradient at distance",
    attempt="gradient_by_distance",
    reference=_distances(),
    calls=_distance_calls,
    properties=(
        has_shape("It returns one number for each input."),
        Property(
            "Without a path between states only the last input is felt.",
            _last_alone_when_cut,
            ("cut",),
        ),
        agrees("One input alone gives its own gradient.", on=("one",), weight=1),
        agrees("The norms are right, far and near.", on=("",)),
    ),
    mistakes=(
        Mistake(
            "all states are summed: then every input is near some output, and nothing vanishes. Take the last "
            "state alone.",
            _distances(every=True),
        ),
        Mistake(
            "the order is turned round: entry t belongs to input t, so the last entry is the nearest.",
            _distances(reverse=True),
        ),
        Mistake(
            "the way back is cut: a state was detached, so that only the last input gets a gradient.",
            _distances(detach=True),
        ),
        Mistake(
            "the norms are squared: take the root of the sum of squares.", _distances(squared=True)
        ),
        Mistake(
            "the absolute values are added; the norm is the root of the sum of squares.",
            _distances(power=1.0),
        ),
        Mistake(
            "`w_hidden` is transposed: the state stands on the left, `state @ w_hidden`.",
            _distances(turned=True),
        ),
    ),
)
