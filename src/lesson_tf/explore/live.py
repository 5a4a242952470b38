"""The ipywidgets view of an explorer: picture, sentence, controls; only a live kernel imports this."""

import textwrap
from typing import Any

import ipywidgets

from lesson_tf import figures
from lesson_tf.explore.explorer import Choice, Explorer, Slider

SENTENCE_LINES = 2
_WIDTH = f"{figures.TEXT_WIDTH * 120:.0f}px"


class LiveView:
    """Widgets that recompute an explorer whenever a control moves.

    `container` holds the picture, the sentence (one label a line, plain text, room for two lines
    reserved) and the controls. Values that do not go together leave the picture as it is and show
    the package's sentence about them.
    """

    def __init__(self, explorer: Explorer):
        self.explorer = explorer
        self.controls = {control.name: _widget(control) for control in explorer.controls}
        self.picture = ipywidgets.Image(
            format="png", layout={"width": _WIDTH, "max_width": "100%", "height": "auto"}
        )
        wide = {"width": "auto", "max_width": _WIDTH}
        self.lines = [ipywidgets.Label(layout=wide) for _ in range(SENTENCE_LINES)]
        self.container = ipywidgets.VBox([self.picture, *self.lines, *self.controls.values()])
        for widget in self.controls.values():
            widget.observe(self._update, names="value")
        self._update()

    @property
    def sentence(self) -> str:
        """What the lines say together."""
        return " ".join(line.value for line in self.lines if line.value)

    def _update(self, change: object = None) -> None:
        values = {name: _value(widget) for name, widget in self.controls.items()}
        try:
            state = self.explorer.state(**values)
        except ValueError as error:
            self._say(str(error))
            return
        self.picture.value = self.explorer.draw(state)
        self._say(state.sentence)

    def _say(self, sentence: str) -> None:
        lines = textwrap.wrap(sentence, width=92)
        shown = [*lines[: SENTENCE_LINES - 1], " ".join(lines[SENTENCE_LINES - 1 :])]
        for label, line in zip(self.lines, shown + [""] * SENTENCE_LINES, strict=False):
            label.value = line
        self.picture.tooltip = sentence


def live_view(explorer: Explorer) -> dict[str, Any]:
    """Make the view and give the part of its display bundle that names it."""
    bundle = LiveView(explorer).container._repr_mimebundle_()
    return {kind: data for kind, data in bundle.items() if "widget-view" in kind}


def _widget(control: Slider | Choice) -> ipywidgets.Widget:
    common = {"description": control.name, "style": {"description_width": "7em"}}
    if isinstance(control, Choice):
        return ipywidgets.ToggleButtons(options=control.stops, value=control.default, **common)
    # One picture takes longer than a slider needs to send the next value: wait for its release.
    common |= {"continuous_update": False, "layout": {"width": "auto", "max_width": _WIDTH}}
    if control.logarithmic:
        return _logarithmic(control, common)
    kind = ipywidgets.IntSlider if isinstance(control.default, int) else ipywidgets.FloatSlider
    ends = {"min": control.low, "max": control.high, "step": control.step}
    return kind(value=control.default, **ends, **common)


def _logarithmic(control: Slider, common: dict[str, Any]) -> ipywidgets.Widget:
    from math import log2

    return ipywidgets.FloatLogSlider(
        value=control.default,
        base=2,
        min=log2(control.low),
        max=log2(control.high),
        step=control.step,
        readout_format=".0f",
        **common,
    )


def _value(widget: ipywidgets.Widget) -> Any:
    # A logarithmic slider holds 2**x, which is whole only up to rounding.
    return round(widget.value) if isinstance(widget, ipywidgets.FloatLogSlider) else widget.value
