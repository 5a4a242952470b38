"""The scaling law: sizes and operations counted by hand, fits against known laws, the results that ship."""

import math
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lesson_tf.experiments import scaling_law
from lesson_tf.experiments.scaling_law import SEEDS, SIZES, STEPS
from lesson_tf.language_model import load

SEVEN = torch.tensor([3312.0, 12768, 25472, 56640, 150080, 335712, 991616])


@pytest.mark.parametrize(("d_model", "layers"), SIZES)
def test_parameters_are_those_counted_by_hand(d_model, layers):
    model = scaling_law.new_model(d_model, layers)
    # Twelve d × d matrices a layer, their biases (4 d and 5 d), two norms a layer (4 d), one at the end.
    by_hand = layers * (12 * d_model**2 + 13 * d_model) + 2 * d_model
    assert scaling_law.count_parameters(model) == by_hand
    everything = sum(weight.numel() for weight in model.parameters())
    assert everything == by_hand + 1024 * d_model


@pytest.mark.parametrize(("d_model", "layers"), SIZES[:4])
def test_operations_are_those_counted_by_hand(d_model, layers):
    model = scaling_law.new_model(d_model, layers)
    windows = torch.zeros(3, 33, dtype=torch.long)
    matrices = layers * 12 * d_model**2 + 1024 * d_model
    scores_and_averages = layers * 2 * 32 * d_model  # a query: 32 keys, d numbers each, twice
    by_hand = 6 * 3 * 32 * (matrices + scores_and_averages)
    assert scaling_law.count_operations(model, windows) == by_hand
    assert all(weight.grad is None for weight in model.parameters())


@settings(deadline=None, max_examples=50)
@given(st.floats(0.5, 50), st.floats(0.02, 1.0), st.floats(0.0, 3.0))
def test_a_law_without_errors_is_found_again(factor, exponent, floor):
    exponent = round(exponent * 2000) / 2000  # one of those tried
    losses = floor + factor * SEVEN.double() ** -exponent
    fitted = scaling_law.fit_power_law(SEVEN, losses, floor=True)
    assert torch.allclose(fitted(SEVEN.double()), losses, rtol=1e-5)
    assert fitted.exponent == pytest.approx(exponent, abs=2e-3)
    assert fitted.floor == pytest.approx(floor, abs=0.05)


def noisy_losses():
    generator = torch.Generator().manual_seed(0)
    return 8 * SEVEN.double() ** -0.1 * (0.03 * torch.randn(7, generator=generator)).exp()


def test_without_a_floor_it_is_the_line_through_the_logarithms():
    losses = noisy_losses()
    law = scaling_law.fit_power_law(SEVEN, losses)
    slope, intercept = np.polyfit(SEVEN.double().log(), losses.log(), 1)
    assert law.exponent == pytest.approx(-slope) and law.floor == 0.0
    assert law.factor == pytest.approx(math.exp(intercept), rel=1e-5)


def test_no_law_nearby_has_smaller_errors():
    losses = 1.5 + 30 * SEVEN.double() ** -0.3 + 0.02 * torch.tensor([1, -1, 1, 0, -1, 1, -1])
    law = scaling_law.fit_power_law(SEVEN, losses, floor=True)

    def error(factor, exponent, floor):
        predicted = floor + factor * SEVEN.double() ** -exponent
        return (predicted / losses - 1).square().sum().item()

    least = error(*law)
    for change in (0.99, 1.01):
        assert error(law.factor * change, law.exponent, law.floor) > least
        assert error(law.factor, law.exponent * change, law.floor) > least
        assert error(law.factor, law.exponent, law.floor * change) > least


def test_a_floor_is_never_below_0():
    losses = 4 - 0.2 * SEVEN.double().log10()  # falls faster and faster: no floor fits
    law = scaling_law.fit_power_law(SEVEN, losses, floor=True)
    assert law.floor == 0.0
    straight = scaling_law.fit_power_law(SEVEN, losses)
    assert law.exponent == pytest.approx(straight.exponent, abs=3e-3)


def test_resampled_exponents_spread_as_the_standard_error_of_a_regression():
    losses = noisy_losses()
    laws = scaling_law.resample_power_laws(SEVEN, losses, draws=2000)
    _, covariance = np.polyfit(SEVEN.double().log(), losses.log(), 1, cov=True)
    assert laws.exponent.std().item() == pytest.approx(covariance[0, 0] ** 0.5, rel=0.05)
    assert laws.exponent.mean().item() == pytest.approx(
        scaling_law.fit_power_law(SEVEN, losses).exponent, abs=1e-3
    )


def test_a_95_percent_interval_holds_the_truth_about_as_often():
    held = 0
    for seed in range(100):
        generator = torch.Generator().manual_seed(seed)
        errors = 0.02 * torch.randn(7, generator=generator).double()
        laws = scaling_law.resample_power_laws(
            SEVEN, 8 * SEVEN.double() ** -0.1 * errors.exp(), draws=200
        )
        low, high = scaling_law.interval(laws.exponent)
        held += low < 0.1 < high
    assert 80 <= held <= 99  # with seven points a bootstrap is somewhat too sure


def test_a_finished_training_is_not_made_again(tmp_path):
    first = scaling_law.train_size(tmp_path, 16, 1, 1, steps=2)
    [checkpoint] = tmp_path.glob("*.checkpoint")
    before = checkpoint.stat().st_mtime_ns
    again = scaling_law.train_size(tmp_path, 16, 1, 1, steps=2)
    assert checkpoint.stat().st_mtime_ns == before
    assert {**first, "seconds": ""} == {**again, "seconds": ""}
    assert int(first["tokens"]) == 2 * 16 * 64
    assert float(first["held_out_loss"]) == pytest.approx(math.log(1024), abs=1)


@cache
def shipped():
    return scaling_law.results()


def test_what_ships_has_seven_sizes_over_two_orders_of_magnitude_and_equal_tokens():
    found = {(int(row["d_model"]), int(row["layers"]), int(row["seed"])) for row in shipped()}
    assert found == {(*size, seed) for size in SIZES for seed in SEEDS}
    sizes, losses = scaling_law.losses_by_size(shipped())
    assert sizes.tolist() == SEVEN.tolist() and losses.shape == (7, len(SEEDS))
    assert sizes[-1] / sizes[0] > 100
    assert {int(row["tokens"]) for row in shipped()} == {STEPS * 16 * 64}
    model = scaling_law.new_model(16, 1)
    windows = torch.zeros(16, 65, dtype=torch.long)
    smallest = next(row for row in shipped() if row["d_model"] == "16")
    assert int(smallest["operations"]) == STEPS * scaling_law.count_operations(model, windows)


def test_every_larger_model_has_the_lower_loss_on_average():
    _, losses = scaling_law.losses_by_size(shipped())
    assert (losses.mean(dim=1).diff() < 0).all()
    _, training = scaling_law.losses_by_size(shipped(), "training_loss")
    assert (training < losses).all()


def test_the_rule_6nd_leaves_out_most_of_the_smallest_models_operations():
    shares = {
        int(row["parameters"]): 6
        * int(row["parameters"])
        * int(row["tokens"])
        / int(row["operations"])
        for row in shipped()
    }
    assert shares[3312] < 0.2 and 0.8 < shares[991616] < 1
    ordered = [shares[size] for size in sorted(shares)]
    assert ordered == sorted(ordered)


def test_both_laws_fit_and_the_range_cannot_tell_how_far_down_it_goes():
    sizes, losses = scaling_law.losses_by_size(shipped())
    losses = losses.mean(dim=1)
    for floor in (False, True):
        law = scaling_law.fit_power_law(sizes, losses, floor)
        assert (law(sizes) / losses - 1).abs().max() < 0.05
        low, high = scaling_law.interval(
            scaling_law.resample_power_laws(sizes, losses, floor).exponent
        )
        assert 0 < low < law.exponent < high
    # From the five smallest, the law without a floor promises the largest too much.
    five = sizes[:5], losses[:5]
    laws = scaling_law.resample_power_laws(*five)
    assert scaling_law.interval(laws(sizes[-1].item()))[1] < losses[-1]
    laws = scaling_law.resample_power_laws(*five, floor=True)
    low, high = scaling_law.interval(laws(sizes[-1].item()))
    assert low < losses[-1] < high
    # A thousand times beyond the largest, the laws part.
    plain = scaling_law.fit_power_law(sizes, losses)
    bounded = scaling_law.fit_power_law(sizes, losses, floor=True)
    assert bounded(1e9) - plain(1e9) > 0.2


def test_the_exponent_depends_on_what_is_counted_as_size():
    sizes, losses = scaling_law.losses_by_size(shipped())
    _, embeddings = scaling_law.losses_by_size(shipped(), "embedding_parameters")
    losses = losses.mean(dim=1)
    without = scaling_law.fit_power_law(sizes, losses).exponent
    everything = scaling_law.fit_power_law(sizes + embeddings[:, 0], losses).exponent
    assert everything > 1.2 * without


def test_losses_on_the_way_fall_and_end_at_the_operations_counted():
    for row in shipped():
        operations, losses = scaling_law.course(row)
        assert operations[-1].item() == int(row["operations"])
        assert losses[-1] == losses.min() or losses[-1] - losses.min() < 0.05


def test_the_tokens_are_those_of_the_shipped_language_model():
    tokenizer, training, held_out = scaling_law._tokens()
    assert len(tokenizer) == len(load().tokenizer)
    assert sum(map(len, training)) + 2 * len(training) > 170_000
    assert len(held_out) < len(training) / 5


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: scaling_law.fit_power_law(SEVEN[:2], SEVEN[:2]), "give 3 or more"),
        (lambda: scaling_law.fit_power_law(SEVEN[:3], SEVEN[:3], floor=True), "give 4 or more"),
        (lambda: scaling_law.fit_power_law(SEVEN, SEVEN[:3]), "losses="),
        (lambda: scaling_law.fit_power_law(SEVEN, -SEVEN), "losses have no logarithm"),
        (lambda: scaling_law.fit_power_law([1, 2, 3], SEVEN), "sizes="),
        (lambda: scaling_law.resample_power_laws(SEVEN, SEVEN, draws=0), "draws=0"),
        (lambda: scaling_law.interval(SEVEN, share=95), "share=95"),
        (lambda: scaling_law.losses_by_size(shipped(), "perplexity"), "'held_out_loss'"),
        (lambda: scaling_law.losses_by_size(shipped()[1:]), "lacks a seed"),
        (lambda: scaling_law.train_size(None, 17, 1, 0), "was not tried"),
        (lambda: scaling_law.count_parameters(torch.nn.Linear(2, 2)), "give a LanguageModel"),
    ],
)
def test_wrong_arguments_are_refused_in_a_sentence(call, words):
    with pytest.raises(ValueError) as caught:
        call()
    assert words in str(caught.value)
