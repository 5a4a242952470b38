"""What every explorer is: a pure function, its controls, and the name of a way to draw.

A new explorer needs these three and nothing else; see `lesson_tf.explore.attention` for examples.
"""

import base64
import io
import itertools
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from lesson_tf import figures


@dataclass(frozen=True)
class State:
    """What an explorer shows at one setting of its controls.

    `arguments` are those of the drawing function, `sentence` says the finding in words.
    """

    arguments: dict[str, Any]
    sentence: str


@dataclass(frozen=True)
class Slider:
    """A control for a number from `low` to `high`; whole numbers only, if the default is one.

    `stops` are the values that mean something, from which pictures are made beforehand. With
    `logarithmic`, equal steps double the value.

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
class Explorer:
    """A picture with controls that shows itself in whatever way the place allows.

    `compute` maps the values of the `controls` to a `State`, and raises `ValueError` where they do
    not go together. `drawing` names a function of `lesson_tf.figures` that takes the state's
    arguments and `figure`. With a live kernel the display holds sliders; while the book is built
    (environment variable `LESSON_TF_BOOK`), a picture alone, and no widget is created.
    """

    name: str
    compute: Callable[..., State]
    controls: tuple[Slider | Choice, ...]
    drawing: str
    height: int | float

    @property
    def values(self) -> dict[str, Any]:
        """The values of the controls in the first picture."""
        return {control.name: control.default for control in self.controls}

    def state(self, **values) -> State:
        """Compute the state at these values, the others as in the first picture.

        Raises `ValueError` for a control that is not there, a value out of range, or values that
        do not go together.
        """
        for name in values:
            if name not in self.values:
                raise ValueError(f"{name} is no control of {self.name}; use {list(self.values)}")
        chosen = self.values | values
        return self.compute(**{each.name: each.check(chosen[each.name]) for each in self.controls})

    def at(self, **values) -> "Explorer":
        """Give the same explorer with another first picture; raises `ValueError` as `state` does."""
        self.state(**values)
        controls = [
            replace(control, default=control.check(values.get(control.name, control.default)))
            for control in self.controls
        ]
        return replace(self, controls=tuple(controls))

    def grid(self) -> Iterator[dict[str, Any]]:
        """Run through every combination of the controls' stops, valid or not."""
        names = [control.name for control in self.controls]
        for stops in itertools.product(*(control.stops for control in self.controls)):
            yield dict(zip(names, stops, strict=True))

    def draw(self, state: State) -> bytes:
        """Draw a state as PNG, at twice the resolution of the page."""
        # No pyplot: it would show the figure a second time, beside the explorer.
        with matplotlib.rc_context(figures.STYLE):
            figure = Figure(figsize=(figures.TEXT_WIDTH, self.height))
            getattr(figures, self.drawing)(**state.arguments, figure=figure)
            picture = io.BytesIO()
            figure.savefig(picture, format="png", metadata={"Software": None})
        return picture.getvalue()

    def __repr__(self) -> str:
        """Name the explorer and the values of its first picture."""
        settings = ", ".join(f"{name}={value}" for name, value in self.values.items())
        return f"Explorer {self.name}: {settings}"

    def _repr_mimebundle_(self, include: Sequence = (), exclude: Sequence = ()) -> tuple:
        picture = base64.b64encode(self.draw(self.state())).decode("ascii")
        bundle: dict[str, Any] = {"text/plain": repr(self), "image/png": picture}
        if _kernel_is_live() and not os.environ.get("LESSON_TF_BOOK"):
            from lesson_tf.explore.live import live_view

            bundle |= live_view(self)
        return bundle, {"image/png": {"width": round(figures.TEXT_WIDTH * 120)}}


def _kernel_is_live() -> bool:
    ipython = sys.modules.get("IPython")
    return getattr(ipython.get_ipython() if ipython else None, "kernel", None) is not None


def _number(value: object) -> int | float | None:
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
