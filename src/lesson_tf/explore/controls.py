"""The controls of explorers: a slider, a choice, a text; each checks what it is given."""

import math
from dataclasses import dataclass
from typing import Any

from lesson_tf.vocabulary import check_text, describe


@dataclass(frozen=True)
class Slider:
    """A control for a number from `low` to `high`; whole numbers only, if the default is one.

    `stops` are the values that mean something: the page without a kernel offers these. With
    `logarithmic`, equal steps double the value; with `play`, a button runs through the stops.

    >>> Slider("heads", 4, low=1, high=8, stops=(1, 2, 4, 8)).check(9)
    Traceback (most recent call last):
    ...
    ValueError: heads=9 is out of range; use 1 to 8, the nearest is 8
    """

    name: str
    default: int | float
    low: int | float
    high: int | float
    stops: tuple[int | float, ...]
    step: int | float = 1
    logarithmic: bool = False
    play: bool = False

    def check(self, value: object) -> int | float:
        """Give the value back as a number, or raise `ValueError` with the nearest valid one."""
        whole = isinstance(self.default, int)
        kind = "whole number" if whole else "number"
        number = _number(value)
        if number is None or (whole and number != int(number)):
            nearest = self.default if number is None else self._nearest(round(number))
            raise ValueError(
                f"{self.name}={value!r} is not a {kind}; use {self.low:g} to {self.high:g}, "
                f"such as {nearest:g}"
            )
        if not self.low <= number <= self.high:
            raise ValueError(
                f"{self.name}={number:g} is out of range; use {self.low:g} to {self.high:g}, "
                f"the nearest is {self._nearest(number):g}"
            )
        return int(number) if whole else number

    def _nearest(self, number: int | float) -> int | float:
        return min(max(number, self.low), self.high)


@dataclass(frozen=True)
class Choice:
    """A control that selects one of a few values.

    >>> Choice("mask", "causal", ("none", "causal")).check("casual")
    Traceback (most recent call last):
    ...
    ValueError: mask='casual' is not among the choices; use one of 'none', 'causal'
    """

    name: str
    default: Any
    stops: tuple[Any, ...]

    def check(self, value: object) -> Any:
        """Give the value back, or raise `ValueError` with the values there are."""
        for stop in self.stops:
            if type(value) is not bool and value == stop:
                return stop
        choices = ", ".join(map(repr, self.stops))
        raise ValueError(f"{self.name}={value!r} is not among the choices; use one of {choices}")


@dataclass(frozen=True)
class Text:
    """A control for a text of the reader's own; `stops` are texts that are ready to be picked.

    At most `longest` characters are taken.

    >>> Text("date", "5 March 2024", ("5 March 2024",)).check(5)
    Traceback (most recent call last):
    ...
    ValueError: date=5 is no text; give a string
    """

    name: str
    default: str
    stops: tuple[str, ...]
    longest: int = 64

    def check(self, value: object) -> str:
        """Give the text back, or raise `ValueError` for what is none and for one too long."""
        if not isinstance(value, str):
            raise ValueError(f"{self.name}={describe(value)} is no text; give a string")
        check_text(value)
        if len(value) > self.longest:
            raise ValueError(
                f"{self.name} has {len(value):,} characters; give at most {self.longest:,}"
            )
        return value


Control = Slider | Choice | Text


def _number(value: object) -> int | float | None:
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
