"""The checks of chapter 5, tried with attempts as learners write them."""

import math

import numpy as np
import pytest
import torch

from lesson_tf import checks
from lesson_tf.experiments.parallelism import fit_exponent

# --- Right, in other ways ---------------------------------------------------------------------------


def exponent_by_polyfit(lengths, times, warm_up):
    return np.polyfit(np.log(lengths[warm_up:]), np.log(times[warm_up:]), 1)[0].item()


def exponent_in_log10(lengths, times, warm_up):
    points = [(math.log10(n), math.log10(t)) for n, t in zip(lengths, times, strict=True)][warm_up:]
    mx, my = (sum(values) / len(points) for values in zip(*points, strict=True))
    return sum((x - mx) * (y - my) for x, y in points) / sum((x - mx) ** 2 for x, _ in points)


def gradient_in_loops(gradients, examples):
    total = torch.zeros(gradients.shape[1], dtype=torch.float64)
    for gradient, count in zip(gradients.double(), examples.tolist(), strict=True):
        total += count * gradient
    return total / int(examples.sum())


def distance_by_jacobians(inputs, w_input, w_hidden):
    """Multiply the Jacobians by hand: no autograd."""
    states = [torch.zeros(w_hidden.shape[0])]
    for x in inputs:
        states.append(torch.tanh(x @ w_input + states[-1] @ w_hidden))
    back = torch.ones(w_hidden.shape[0])
    norms = []
    for state in reversed(states[1:]):
        through = back * (1 - state**2)
        norms.append((w_input @ through).norm())
        back = w_hidden @ through
    return torch.stack(norms[::-1])


@pytest.mark.parametrize(
    ("check", "attempt"),
    [
        (checks.fit_exponent, exponent_by_polyfit),
        (checks.fit_exponent, exponent_in_log10),
        (checks.combined_gradient, gradient_in_loops),
        (checks.gradient_by_distance, distance_by_jacobians),
    ],
    ids=["polyfit", "log10", "loops", "jacobians"],
)
def test_another_right_way_passes(check, attempt):
    assert check(attempt), str(check(attempt))


# --- Wrong ------------------------------------------------------------------------------------------


def slope(x, y):
    return np.polyfit(x, y, 1)[0].item()


def linear_space(lengths, times, warm_up):
    return slope(lengths[warm_up:], times[warm_up:])


def semi_log(lengths, times, warm_up):
    return slope(lengths[warm_up:], np.log(times[warm_up:]))


def other_semi_log(lengths, times, warm_up):
    return slope(np.log(lengths[warm_up:]), times[warm_up:])


def with_warm_up(lengths, times, warm_up):
    return slope(np.log(lengths), np.log(times))


def turned_round(lengths, times, warm_up):
    return slope(np.log(times[warm_up:]), np.log(lengths[warm_up:]))


def two_points(lengths, times, warm_up):
    return math.log(times[-1] / times[warm_up]) / math.log(lengths[-1] / lengths[warm_up])


def unweighted(gradients, examples):
    return torch.mean(gradients, dim=0)


def added(gradients, examples):
    return torch.sum(gradients, dim=0)


def not_divided(gradients, examples):
    return (gradients * examples[:, None]).sum(0)


def over_workers(gradients, examples):
    return (gradients * examples[:, None]).mean(0)


def twice(gradients, examples):
    return (gradients * (examples / examples.sum())[:, None]).mean(0)


def recur(inputs, w_input, w_hidden, keep=lambda state: state):
    state, states = torch.zeros(w_hidden.shape[0]), []
    for x in inputs:
        state = torch.tanh(x @ w_input + keep(state) @ w_hidden)
        states.append(state)
    return states


def distance(of, keep=lambda state: state, finish=lambda g: g.norm(dim=1)):
    def gradient_by_distance(inputs, w_input, w_hidden):
        inputs = inputs.clone().requires_grad_(True)
        of(recur(inputs, w_input, w_hidden, keep)).backward()
        return finish(inputs.grad)

    return gradient_by_distance


def last(states):
    return states[-1].sum()


def every(states):
    return sum(state.sum() for state in states)


def transposed(inputs, w_input, w_hidden):
    return distance_by_jacobians(inputs, w_input, w_hidden.T)


MISTAKES = [
    (checks.fit_exponent, linear_space, "fitted to lengths and times themselves"),
    (checks.fit_exponent, semi_log, "only the times have a logarithm"),
    (checks.fit_exponent, other_semi_log, "only the lengths have a logarithm"),
    (checks.fit_exponent, with_warm_up, "the warm-up is included"),
    (checks.fit_exponent, turned_round, "the line goes the wrong way round"),
    (checks.fit_exponent, two_points, "the first and the last point alone decide"),
    (checks.combined_gradient, unweighted, "every worker has the same weight"),
    (checks.combined_gradient, added, "the gradients are added"),
    (checks.combined_gradient, not_divided, "the weighted sum is not divided"),
    (checks.combined_gradient, over_workers, "divided by the number of workers"),
    (checks.combined_gradient, twice, "averaged twice"),
    (checks.gradient_by_distance, distance(every), "all states are summed"),
    (checks.gradient_by_distance, distance(last, lambda s: s.detach()), "a state was detached"),
    (
        checks.gradient_by_distance,
        distance(last, finish=lambda g: g.norm(dim=1).flip(0)),
        "the order is turned round",
    ),
    (
        checks.gradient_by_distance,
        distance(last, finish=lambda g: (g**2).sum(1)),
        "the norms are squared",
    ),
    (
        checks.gradient_by_distance,
        distance(last, finish=lambda g: g.abs().sum(1)),
        "the absolute values are added",
    ),
    (checks.gradient_by_distance, transposed, "`w_hidden` is transposed"),
]


@pytest.mark.parametrize(("check", "attempt", "words"), MISTAKES, ids=[m[2] for m in MISTAKES])
def test_each_mistake_is_told_in_its_own_words(check, attempt, words):
    report = check(attempt, points=4)
    assert not report and report.earned < 4
    assert words in str(report), str(report)


@pytest.mark.parametrize("number", range(1, 5))
def test_a_variant_is_solved_by_its_own_solution(number):
    rate = (0.01, 0.1, 0.3, 0.5)[number - 1]
    assert f"minus {rate} times" in checks.combined_gradient.variants[number - 1].sentence

    def own(gradients, examples):
        return -rate * gradient_in_loops(gradients, examples)

    assert checks.combined_gradient(own, variant=number)
    assert "not yours" in checks.combined_gradient(gradient_in_loops, variant=number).mistake


def test_the_references_agree_with_the_package_and_with_hand():
    lengths, times = [16, 32, 64, 128], [1.0, 3.0, 10.0, 41.0]
    ours = checks.fit_exponent.reference(lengths, times, 0)
    assert ours == pytest.approx(fit_exponent(lengths, times).value)
    arguments = torch.randn(5, 3), torch.randn(3, 4), torch.randn(4, 4)
    by_hand = distance_by_jacobians(*arguments)
    assert torch.allclose(checks.gradient_by_distance.reference(*arguments), by_hand, atol=1e-5)


def test_the_combined_gradient_is_that_of_the_whole_batch():
    x, y, w = torch.randn(12, 3), torch.randn(12), torch.randn(3, requires_grad=True)
    shares = [(0, 2), (2, 9), (9, 12)]

    def gradient(low, high):
        loss = (x[low:high] @ w - y[low:high]).square().mean()
        return torch.autograd.grad(loss, w)[0]

    together = checks.combined_gradient.reference(
        torch.stack([gradient(*share) for share in shares]), torch.tensor([2, 7, 3])
    )
    assert torch.allclose(together, gradient(0, 12), atol=1e-6)
