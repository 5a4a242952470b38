"""The explorer of distance: what an LSTM and Transformers of equal size recall across a gap."""

from collections.abc import Sequence
from functools import cache
from math import floor, log10
from statistics import fmean

from lesson_tf.experiments import long_range
from lesson_tf.explore.controls import Slider
from lesson_tf.explore.explorer import Explorer, Prediction, State
from lesson_tf.explore.words import words_for

WORDS = words_for("bar_panels", "distance")
FAR = max(long_range.GAPS)


def distance(gap: int = 128) -> Explorer:
    """Explore how often models trained alike recall a card across a gap, from shipped measurements.

    `gap` is one of 8, 16, 32, 64, 128, 256 and 512 tokens. Raises `ValueError` for another gap.

    >>> distance(gap=512)
    Explorer distance: gap=512
    """
    gaps = long_range.GAPS
    control = Slider("gap", 128, low=gaps[0], high=gaps[-1], stops=gaps, logarithmic=True)
    explorer = Explorer(
        "distance", _distance, (control,), "bar_panels", height=3.2, prediction=_prediction()
    )
    return explorer.at(gap=gap)


def _distance(gap: int) -> State:
    if gap not in long_range.GAPS:
        nearest = min(long_range.GAPS, key=lambda measured: abs(measured - gap))
        raise ValueError(
            f"gap={gap} was not measured; use one of {', '.join(map(str, long_range.GAPS))}, "
            f"such as {nearest}"
        )
    accuracy = {kind: _column(kind, f"accuracy_{gap}") for kind in _kinds()}
    panels = {
        WORDS["mean"]: {kind: fmean(found) for kind, found in accuracy.items()},
        WORDS["worst"]: {kind: min(found) for kind, found in accuracy.items()},
    }
    gradient = {kind: fmean(_column(kind, f"untrained_{gap}")) for kind in long_range.KINDS[:2]}
    sentence = WORDS["sentence"].format(
        gap=gap,
        lstm=powers_of_ten(gradient[long_range.RECURRENT]),
        transformer=powers_of_ten(gradient[long_range.KINDS[1]]),
    )
    title = WORDS["title"].format(gap=gap)
    return State(
        {"panels": panels, "xlabel": WORDS["share"], "limit": 1.0, "suptitle": title}, sentence
    )


def _prediction() -> Prediction:
    """Ask who recalls more beyond the trained gaps; the answer is what was measured."""
    kinds = (long_range.RECURRENT, "Transformer, rotary")
    shares = {kind: fmean(_column(kind, f"accuracy_{FAR}")) for kind in kinds}
    right = max(shares, key=shares.get)
    because = WORDS["because"].format(
        gap=FAR,
        **{
            name: f"{shares[kind]:.2f}"
            for name, kind in zip(("lstm", "rotary"), kinds, strict=True)
        },
    )
    return Prediction(WORDS["question"].format(gap=FAR), kinds, right, because, {"gap": FAR})


@cache
def _rows() -> list[dict[str, str]]:
    return long_range.results()


def _kinds() -> list[str]:
    return list(dict.fromkeys(row["kind"] for row in _rows()))


def _column(kind: str, name: str) -> Sequence[float]:
    """Give one number for each seed."""
    return [float(row[name]) for row in _rows() if row["kind"] == kind]


def powers_of_ten(number: float) -> str:
    """Write a small positive number in two digits, as a power of ten below a thousandth.

    >>> powers_of_ten(0.0213), powers_of_ten(2.1e-12)
    ('0.021', '2.1 × 10⁻¹²')
    """
    if number >= 0.001:
        return f"{number:.2g}"
    exponent = floor(log10(number))
    raised = str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{number / 10**exponent:.1f} × 10{raised}"
