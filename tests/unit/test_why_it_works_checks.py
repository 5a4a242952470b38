"""The checks of chapter 5 but gradients at a distance, tried with attempts as learners write them."""

import math

import numpy as np
import pytest
import torch

from lesson_tf import checks
from lesson_tf.checks.answers import answer_all

# --- Right, in other ways ---------------------------------------------------------------------------


def exponent_by_polyfit(lengths, times, warm_up):
    return np.polyfit(np.log(lengths[warm_up:]), np.log(times[warm_up:]), 1)[0].item()


def exponent_in_log10(lengths, times, warm_up):
    points = [(math.log10(n), math.log10(t)) for n, t in zip(lengths, times, strict=True)][warm_up:]
    mx, my = (sum(values) / len(points) for values in zip(*points, strict=True))
    return sum((x - mx) * (y - my) for x, y in points) / sum((x - mx) ** 2 for x, _ in points)


def exponent_in_numpy(lengths, times, warm_up):
    return np.polyfit(np.log(lengths[warm_up:]), np.log(times[warm_up:]), 1)[0]


def exponent_by_least_squares(lengths, times, warm_up):
    x = torch.tensor(lengths[warm_up:]).log2()
    matrix = torch.stack([x, torch.ones_like(x)], dim=1)
    return torch.linalg.lstsq(matrix, torch.tensor(times[warm_up:]).log2()).solution[0]


def gradient_in_loops(gradients, examples):
    total = torch.zeros(gradients.shape[1], dtype=torch.float64)
    for gradient, count in zip(gradients.double(), examples.tolist(), strict=True):
        total += count * gradient
    return total / int(examples.sum())


def gradient_by_einsum(gradients, examples):
    return torch.einsum("wp,w->p", gradients, examples.float()) / examples.sum()


def gradient_without_the_idle(gradients, examples):
    busy = examples > 0
    return np.average(gradients[busy].numpy(), axis=0, weights=examples[busy].numpy())


RIGHT = [
    (checks.fit_exponent, exponent_by_polyfit),
    (checks.fit_exponent, exponent_in_log10),
    (checks.fit_exponent, exponent_in_numpy),
    (checks.fit_exponent, exponent_by_least_squares),
    (checks.combined_gradient, gradient_in_loops),
    (checks.combined_gradient, gradient_by_einsum),
    (checks.combined_gradient, gradient_without_the_idle),
]


@pytest.mark.parametrize(("check", "attempt"), RIGHT, ids=[a.__name__ for _, a in RIGHT])
def test_another_right_way_passes(check, attempt):
    assert check(attempt), str(check(attempt))
    for seed in range(1, 21):
        calls = check.calls_from(seed, private=True)
        assert check.judge(calls, answer_all(attempt, calls)), f"seed {seed}"


# --- Wrong ------------------------------------------------------------------------------------------


def slope(x, y):
    return np.polyfit(x, y, 1)[0].item()


def linear_space(lengths, times, warm_up):
    return slope(lengths[warm_up:], times[warm_up:])


def semi_log(lengths, times, warm_up):
    return slope(lengths[warm_up:], np.log(times[warm_up:]))


def other_semi_log(lengths, times, warm_up):
    return slope(np.log(lengths[warm_up:]), times[warm_up:])


def two_bases(lengths, times, warm_up):
    return slope(np.log10(lengths[warm_up:]), np.log(times[warm_up:]))


def two_bases_the_other_way(lengths, times, warm_up):
    return slope(np.log(lengths[warm_up:]), np.log10(times[warm_up:]))


def bits_and_nats(lengths, times, warm_up):
    return slope(np.log2(lengths[warm_up:]), np.log(times[warm_up:]))


def with_warm_up(lengths, times, warm_up):
    return slope(np.log(lengths), np.log(times))


def cut_at_the_end(lengths, times, warm_up):  # polyfit crashes on what [:-0] leaves
    return slope(np.log(lengths[:-warm_up]), np.log(times[:-warm_up]))


def cut_at_the_end_in_torch(lengths, times, warm_up):  # here it is nan
    x, y = torch.tensor(lengths[:-warm_up]).log(), torch.tensor(times[:-warm_up]).log()
    return ((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).pow(2).sum()


def cut_where_the_end_is(lengths, times, warm_up):
    kept = len(lengths) - warm_up
    return slope(np.log(lengths[:kept]), np.log(times[:kept]))


def one_point_cut(lengths, times, warm_up):
    return slope(np.log(lengths[1:]), np.log(times[1:]))


def turned_round(lengths, times, warm_up):
    return slope(np.log(times[warm_up:]), np.log(lengths[warm_up:]))


def two_points(lengths, times, warm_up):
    return math.log(times[-1] / times[warm_up]) / math.log(lengths[-1] / lengths[warm_up])


def mean_of_slopes(lengths, times, warm_up):
    x, y = np.log(lengths[warm_up:]), np.log(times[warm_up:])
    return np.mean(np.diff(y) / np.diff(x))


def through_the_origin(lengths, times, warm_up):
    x, y = np.log(lengths[warm_up:]), np.log(times[warm_up:])
    return (x * y).sum() / (x * x).sum()


def height(lengths, times, warm_up):
    return np.polyfit(np.log(lengths[warm_up:]), np.log(times[warm_up:]), 1)[1]


def whole_line(lengths, times, warm_up):
    return np.polyfit(np.log(lengths[warm_up:]), np.log(times[warm_up:]), 1)


def slope_and_intercept(lengths, times, warm_up):
    slope, intercept = whole_line(lengths, times, warm_up).tolist()
    return slope, intercept


def unweighted(gradients, examples):
    return torch.mean(gradients, dim=0)


def added(gradients, examples):
    return torch.sum(gradients, dim=0)


def not_divided(gradients, examples):
    return (gradients * examples[:, None]).sum(0)


def over_workers(gradients, examples):
    return (gradients * examples[:, None]).mean(0)


def as_if_sums(gradients, examples):
    return gradients.sum(0) / examples.sum()


def twice(gradients, examples):
    return (gradients * (examples / examples.sum())[:, None]).mean(0)


def as_for_an_average(gradients, examples):
    return sum(
        len(examples) * n / examples.sum() * g for n, g in zip(examples, gradients, strict=True)
    )


def inverse(gradients, examples):
    weights = examples.sum() / examples
    return (weights / weights.sum()) @ gradients


def others_share(gradients, examples):
    rest = examples.sum() - examples
    return (rest / rest.sum()) @ gradients


def from_the_back(gradients, examples):
    shares = examples / examples.sum()
    return sum(gradients[i] * shares[-1 - i] for i in range(len(shares)))


def two_alone(gradients, examples):
    first, second = examples[:2].tolist()
    return (first * gradients[0] + second * gradients[1]) / (first + second)


def whole_shares(gradients, examples):
    return ((examples // examples.sum())[:, None] * gradients).sum(0)


EXPONENTS = [
    (linear_space, "fitted to lengths and times themselves"),
    (semi_log, "only the times have a logarithm"),
    (other_semi_log, "only the lengths have a logarithm"),
    (two_bases, "the two logarithms have different bases"),
    (two_bases_the_other_way, "the two logarithms have different bases"),
    (bits_and_nats, "the two logarithms have different bases"),
    (with_warm_up, "the warm-up is included"),
    (cut_at_the_end, "the last points are left out"),
    (cut_at_the_end_in_torch, "the last points are left out"),
    (cut_where_the_end_is, "the last points are left out"),
    (one_point_cut, "one point is always left out"),
    (turned_round, "the line goes the wrong way round"),
    (two_points, "the first and the last point alone decide"),
    (mean_of_slopes, "the first and the last point alone decide"),
    (through_the_origin, "forced through the origin"),
    (height, "this is the logarithm of c"),
    (whole_line, "slope and height of the line are returned together"),
    (slope_and_intercept, "slope and height of the line are returned together"),
]
GRADIENTS = [
    (unweighted, "every worker has the same weight"),
    (added, "the gradients are added"),
    (not_divided, "the weighted sum is not divided"),
    (over_workers, "divided by the number of workers"),
    (as_if_sums, "as if each were a sum"),
    (twice, "averaged twice"),
    (as_for_an_average, "too large by the number of workers"),
    (inverse, "many examples give a *large* weight"),
    (others_share, "each worker has the share of the others"),
    (from_the_back, "the weights are swapped"),
    (two_alone, "only two workers are counted"),
    (whole_shares, "rounded down to 0"),
]
MISTAKES = [(checks.fit_exponent, *told) for told in EXPONENTS]
MISTAKES += [(checks.combined_gradient, *told) for told in GRADIENTS]


@pytest.mark.parametrize(
    ("check", "attempt", "words"), MISTAKES, ids=[m[1].__name__ for m in MISTAKES]
)
def test_each_mistake_is_told_in_its_own_words(check, attempt, words):
    report = check(attempt, points=4)
    assert not report and report.earned <= 3, str(report)
    assert words in report.mistake, str(report)
    for seed in range(11, 21):  # test_solutions takes the seeds before
        calls = check.calls_from(seed, private=True)
        report = check.judge(calls, answer_all(attempt, calls))
        assert not report and words in report.mistake, f"seed {seed}: {report}"


@pytest.mark.parametrize("check", [checks.fit_exponent, checks.combined_gradient])
def test_every_mistake_is_made_by_a_learner_here(check):
    made = {check(attempt).mistake for other, attempt, _ in MISTAKES if other is check}
    assert made == {mistake.message for mistake in check.mistakes}


@pytest.mark.parametrize("constant", [-1.0, 0.0, 1.0, 1.5, 2.0, math.nan])
def test_a_guessed_exponent_earns_little(constant):
    assert checks.fit_exponent(lambda lengths, times, warm_up: constant).score <= 0.25


def test_a_rounded_exponent_is_no_other_kind():
    def rounded(lengths, times, warm_up):
        return exponent_in_numpy(lengths, times, warm_up).round(2)

    report = str(checks.fit_exponent(rounded))
    assert "another kind" not in report and "the result is another one" in report


@pytest.mark.parametrize("new", [torch.zeros, torch.ones])
def test_guessed_gradients_earn_little(new):
    def guess(gradients, examples):
        return new(gradients.shape[1])

    assert 0 < checks.combined_gradient(guess).score <= 0.25


def test_a_crash_is_told_by_the_line_of_the_learner():
    def of_two_kinds(gradients, examples):
        return (examples @ gradients) / len(examples)

    report = checks.combined_gradient(of_two_kinds)
    assert report.score == 0
    assert "`return (examples @ gradients)" in str(report) and "RuntimeError" in str(report)


# --- Variants and references ------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(1, 5))
def test_a_variant_is_solved_by_its_own_solution(number):
    times = number + 1
    assert f"counts {times} times" in checks.combined_gradient.variants[number - 1].sentence

    def own(gradients, examples):
        counted = examples.double()
        counted[-1] = times * counted[-1]
        return gradients.double().T @ counted / counted.sum()

    assert checks.combined_gradient(own, variant=number)
    published = checks.combined_gradient(gradient_in_loops, variant=number)
    assert "not yours" in published.mistake and published.score <= 0.25
    # What is wrong in the published exercise is wrong here too, and told in the same words.
    report = checks.combined_gradient(unweighted, variant=number)
    assert "every worker has the same weight" in report.mistake


@pytest.mark.parametrize("number", range(1, 5))
@pytest.mark.parametrize(("attempt", "words"), GRADIENTS, ids=[a.__name__ for a, _ in GRADIENTS])
def test_a_mistake_in_a_variant_is_named_as_well(attempt, words, number):
    def own(gradients, examples):
        return attempt(gradients, torch.cat((examples[:-1], examples[-1:] * (number + 1))))

    mistake = checks.combined_gradient(own, variant=number).mistake
    assert words in mistake and not mistake.startswith("two at once: this")
    assert words in checks.combined_gradient(attempt, variant=number).mistake


def test_an_exact_power_gives_its_exponent():
    lengths = [3, 5, 40, 100]
    for power in (0.5, 1.0, 1.7, 3.0):
        times = [7 * length**power for length in lengths]
        assert checks.fit_exponent.reference(lengths, times, 0) == pytest.approx(power)
        assert checks.fit_exponent.reference([2, *lengths], [99, *times], 1) == pytest.approx(power)


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
