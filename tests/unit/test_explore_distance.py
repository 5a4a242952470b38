"""The explorer of distance shows what was measured, and asks what the measurement answers."""

from statistics import fmean

import pytest

from lesson_tf import explore
from lesson_tf.experiments import long_range
from lesson_tf.explore.long_range import powers_of_ten


def column(kind, name):
    return [float(row[name]) for row in long_range.results() if row["kind"] == kind]


@pytest.mark.parametrize("gap", long_range.GAPS)
def test_the_bars_are_the_mean_and_the_worst_of_five_seeds(gap):
    mean, worst = explore.distance().state(gap=gap).arguments["panels"].values()
    assert list(mean) == list(worst) == list(long_range.KINDS)
    for kind in long_range.KINDS:
        found = column(kind, f"accuracy_{gap}")
        assert len(found) == 5
        assert mean[kind] == pytest.approx(sum(found) / 5)
        assert worst[kind] == min(found)


def test_the_sentence_tells_the_gradient_before_training():
    said = explore.distance().state(gap=512).sentence
    lstm, transformer = (
        fmean(column(kind, "untrained_512")) for kind in ("LSTM", "Transformer, none")
    )
    assert f"{lstm:.1e}".split("e")[0] in said and "× 10⁻" in said
    assert f"{transformer:.2g} in the Transformer without positions" in said
    assert lstm < 1e-30 < 1e-3 < transformer


def test_the_question_is_answered_by_the_measurement():
    asked = explore.distance().prediction
    shares = {kind: fmean(column(kind, "accuracy_512")) for kind in asked.choices}
    assert asked.right == max(shares, key=shares.get)
    for share in shares.values():
        assert f"{share:.2f}" in asked.because
    assert asked.moves == {"gap": 512}


def test_a_gap_that_was_not_measured_gets_the_nearest():
    with pytest.raises(ValueError, match=r"gap=100 was not measured; use one of 8, .*such as 128"):
        explore.distance(gap=100)


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (1.0, "1"),
        (0.0213, "0.021"),
        (0.001, "0.001"),
        (2.13e-12, "2.1 × 10⁻¹²"),
        (9e-4, "9.0 × 10⁻⁴"),
    ],
)
def test_small_numbers_are_powers_of_ten(number, written):
    assert powers_of_ten(number) == written
