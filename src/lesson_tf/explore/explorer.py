"""What every explorer is: a pure function, its controls, and the name of a way to draw.

A new explorer needs these three and nothing else; see `lesson_tf.explore.attention` for examples.
"""

import base64
import io
import itertools
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from inspect import signature
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from lesson_tf import figures
from lesson_tf.explore.controls import Control


@dataclass(frozen=True)
class State:
    """What an explorer shows at one setting of its controls.

    `arguments` are those of the drawing function, `sentence` says the finding in words. `page` is
    what the drawing in the page is told besides: labels that its rounded arrays would not give.
    """

    arguments: dict[str, Any]
    sentence: str
    page: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Prediction:
    """A question about the next picture, asked before it is shown.

    `right` is the one of the `choices` that holds, `because` the sentence that says so; answering
    sets the controls to `moves`. Whoever makes a prediction takes `right` from what is computed.
    """

    question: str
    choices: tuple[str, ...]
    right: str
    because: str
    moves: dict[str, Any]


@dataclass(frozen=True)
class Explorer:
    """A picture with controls that shows itself in whatever way the place allows.

    `compute` maps the values of the `controls` to a `State`, and raises `ValueError` where they do
    not go together. `drawing` names a function of `lesson_tf.figures` that takes the state's
    arguments, and `figure` or `ax`; the pages know the same name. With a live kernel the display holds
    widgets; while the book is built (environment variable `LESSON_TF_BOOK`), an HTML element with
    the states at all stops, and no widget is created. `engine` names what computes the states of
    a reader's own text in the page.
    """

    name: str
    compute: Callable[..., State]
    controls: tuple[Control, ...]
    drawing: str
    height: int | float
    prediction: Prediction | None = None
    engine: str = ""

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
            figure = Figure(figsize=(figures.TEXT_WIDTH, self.height), layout="constrained")
            drawing = getattr(figures, self.drawing)
            whole = "figure" in signature(drawing).parameters
            place = {"figure": figure} if whole else {"ax": figure.add_subplot()}
            drawing(**state.arguments, **place)
            picture = io.BytesIO()
            figure.savefig(picture, format="png", metadata={"Software": None})
        return picture.getvalue()

    def __repr__(self) -> str:
        """Name the explorer and the values of its first picture."""
        settings = ", ".join(f"{name}={value}" for name, value in self.values.items())
        return f"Explorer {self.name}: {settings}"

    def _repr_mimebundle_(self, include: Sequence = (), exclude: Sequence = ()) -> tuple:
        picture = self.draw(self.state())
        encoded = base64.b64encode(picture).decode("ascii")
        bundle: dict[str, Any] = {"text/plain": repr(self), "image/png": encoded}
        if os.environ.get("LESSON_TF_BOOK"):
            from lesson_tf.explore.element import element

            bundle["text/html"] = element(self, picture)
        elif _kernel_is_live():
            from lesson_tf.explore.live import live_view

            bundle |= live_view(self)
        return bundle, {"image/png": {"width": round(figures.TEXT_WIDTH * 120)}}


def _kernel_is_live() -> bool:
    ipython = sys.modules.get("IPython")
    return getattr(ipython.get_ipython() if ipython else None, "kernel", None) is not None
