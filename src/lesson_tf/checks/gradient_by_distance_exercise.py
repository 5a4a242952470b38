"""What the exercise on gradients at a distance in chapter 5 must satisfy."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Tensor

from lesson_tf.checks.answers import Call
from lesson_tf.checks.exercise import Exercise, Mistake, Property, Trial
from lesson_tf.checks.properties import agrees, has_shape

States = list[Tensor]


def _calls(generator: Generator) -> list[Call]:
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
        call(14, 2, 5, 0.4, "long"),
    ]


def _recur(
    inputs: Tensor, w_input: Tensor, w_hidden: Tensor, slope: Callable, before: Callable
) -> States:
    """Return all states, each made by `slope`, usually tanh, from what `before` leaves of the one before."""
    state, states = torch.zeros(w_hidden.shape[0]), []
    for x in inputs:
        state = slope(x @ w_input + before(state) @ w_hidden)
        states.append(state)
    return states


def _last(states: States) -> Tensor:
    return states[-1].sum()


def _all(states: States) -> Tensor:
    return torch.stack(states).sum()


def _norm(gradient: Tensor) -> Tensor:
    return gradient.norm(dim=-1)


def _same(value: Tensor) -> Tensor:
    return value


def _distances(
    of: Callable[[States], Tensor] = _last,
    finish: Callable[[Tensor], Tensor] = _norm,
    slope: Callable[[Tensor], Tensor] = torch.tanh,
    before: Callable[[Tensor], Tensor] = _same,
    turned: bool = False,
):
    """Return the gradient of a number `of` the states with respect to the inputs, and how it is finished."""

    def gradient_by_distance(inputs: Tensor, w_input: Tensor, w_hidden: Tensor) -> Tensor:
        inputs = inputs.clone().requires_grad_()
        states = _recur(inputs, w_input, w_hidden.T if turned else w_hidden, slope, before)
        [gradient] = torch.autograd.grad(of(states), inputs)
        return finish(gradient)

    return gradient_by_distance


def _of_the_states(inputs: Tensor, w_input: Tensor, w_hidden: Tensor) -> Tensor:
    states = _recur(inputs, w_input.clone().requires_grad_(), w_hidden, torch.tanh, _same)
    return torch.stack([g.norm() for g in torch.autograd.grad(_last(states), states)])


def _last_alone_when_cut(trials: list[Trial]) -> str | None:
    """Complain unless, without a path from state to state, only the last input is felt."""
    for trial in trials:
        value = trial.value
        if not isinstance(value, Tensor) or value.shape != trial.expected.shape:
            return f"With {trial.call.words()} there is not one number for each input."
        if value[:-1].abs().max() > 1e-6 or value[-1] < 1e-6:
            return "With `w_hidden` of zeros only the last input reaches the last state."
    return None


def _logarithm(value: Any) -> Any:
    # Far from the end the norms are so small that only their logarithms can be compared.
    return value.double().log() if isinstance(value, Tensor) else value


gradient_by_distance = Exercise(
    name="Gradient at distance",
    attempt="gradient_by_distance",
    reference=_distances(),
    calls=_calls,
    properties=(
        has_shape("It returns one number for each input."),
        Property(
            "Without a path between states only the last input is felt.",
            _last_alone_when_cut,
            ("cut",),
        ),
        agrees("One input alone gives its own gradient.", on=("one",), weight=1),
        agrees("The norms of a short text are right.", on=("",)),
        agrees("Far inputs are felt little, by the right factor.", on=("long",), pick=_logarithm),
    ),
    mistakes=(
        Mistake(
            "all states are summed: then every input is near some output, and nothing vanishes. Take the last "
            "state alone.",
            _distances(of=_all),
        ),
        Mistake(
            "the order is turned round: entry t belongs to input t, so the last entry is the nearest.",
            _distances(finish=lambda gradient: _norm(gradient).flip(0)),
        ),
        Mistake(
            "the way back is cut: a state was detached, so that only the last input gets a gradient. Keep the "
            "states as they are.",
            _distances(before=torch.detach),
        ),
        Mistake(
            "each state is asked about its own input alone, so that nothing is far. Ask the last state about every "
            "input, and detach none.",
            _distances(of=_all, before=torch.detach),
        ),
        Mistake(
            "the first state is asked; it has not read the other inputs. Take the last one.",
            _distances(of=lambda states: states[0].sum()),
        ),
        Mistake(
            "the gradient is taken with respect to the states; ask for it with respect to the inputs.",
            _of_the_states,
        ),
        Mistake(
            "the tanh is missing: without its slope the gradient is too large.",
            _distances(slope=_same),
        ),
        Mistake(
            "the mean of the last state is differentiated; its sum is wanted.",
            _distances(of=lambda states: states[-1].mean()),
        ),
        Mistake(
            "the norm of the last state is differentiated; the sum of its entries is wanted.",
            _distances(of=lambda states: states[-1].norm()),
        ),
        Mistake(
            "the norms are squared: take the root of the sum of squares.",
            _distances(finish=lambda gradient: gradient.square().sum(-1)),
        ),
        Mistake(
            "the absolute values are added; the norm is the root of the sum of squares.",
            _distances(finish=lambda gradient: gradient.abs().sum(-1)),
        ),
        Mistake(
            "the entries of a gradient are added, and cancel each other: take the norm of each row.",
            _distances(finish=lambda gradient: gradient.sum(-1)),
        ),
        Mistake(
            "a norm over the tokens, one number for each column of the inputs: take it along the last axis.",
            _distances(finish=lambda gradient: gradient.norm(dim=0)),
        ),
        Mistake(
            "the norms are divided by the last or the largest one: return them as they are.",
            _distances(finish=lambda gradient: _norm(gradient) / _norm(gradient)[-1]),
        ),
        Mistake(
            "the norms are divided by the last or the largest one: return them as they are.",
            _distances(finish=lambda gradient: _norm(gradient) / _norm(gradient).max()),
        ),
        Mistake(
            "`w_hidden` is transposed: the state stands on the left, `state @ w_hidden`.",
            _distances(turned=True),
        ),
    ),
)
