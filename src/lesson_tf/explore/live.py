"""The ipywidgets view of an explorer: picture, sentence, controls; only a live kernel imports this."""

import html
from typing import Any

import ipywidgets
import traitlets

from lesson_tf import figures
from lesson_tf.explore.controls import Choice, Control, Slider, Text
from lesson_tf.explore.explorer import Explorer, Prediction
from lesson_tf.explore.words import words_for

_WIDTH = f"{figures.TEXT_WIDTH * 120:.0f}px"
_PICTURE = {
    "width": _WIDTH,
    "max_width": "calc(100% - 4px)",  # its margins
    "height": "auto",
    "object_fit": "contain",
    "object_position": "left",
}
# Two lines, so that the controls stay where they are when a sentence is shorter.
_LINE = {"width": "auto", "max_width": _WIDTH, "min_height": "56px"}


class Picture(ipywidgets.Image):
    """A picture whose `tooltip` says what is to be seen, to the pointer and to screen readers."""

    # The browser's half looks for it next to a tooltip, and shows no picture if it is missing.
    description = traitlets.Unicode("").tag(sync=True)


class LiveView:
    """Widgets that recompute an explorer whenever a control moves.

    `container` holds the picture, the sentence (plain text, with room for two lines) and the
    controls, beneath the question before the picture where there is one. Values that do not go
    together leave the picture as it is and show the package's sentence about them.
    """

    def __init__(self, explorer: Explorer):
        self.explorer = explorer
        self.controls = {control.name: _widget(control) for control in explorer.controls}
        # Low enough that picture and controls are seen together.
        share = 62 - 4 * len(explorer.controls)
        self.picture = Picture(format="png", layout=_PICTURE | {"max_height": f"{share}vh"})
        self.line = ipywidgets.HTML(layout=_LINE)
        asked = [self._ask(explorer.prediction)] if explorer.prediction else []
        shown = [
            _with_presets(control, self.controls[control.name]) for control in explorer.controls
        ]
        self.container = ipywidgets.VBox([*asked, self.picture, self.line, *shown])
        for widget in self.controls.values():
            widget.observe(self._update, names="value")
        self._update()

    @property
    def sentence(self) -> str:
        """What is said beneath the picture."""
        return html.unescape(self.line.value)

    def _update(self, change: object = None) -> None:
        values = {name: _value(widget) for name, widget in self.controls.items()}
        try:
            state = self.explorer.state(**values)
        except ValueError as error:
            self._say(str(error))
            return
        self.picture.value = self.explorer.draw(state)
        self.picture.tooltip = state.sentence
        self._say(state.sentence)

    def _ask(self, prediction: Prediction) -> ipywidgets.Widget:
        words = words_for(self.explorer.drawing, self.explorer.engine)
        self.verdict = ipywidgets.HTML(layout={"width": "auto", "max_width": _WIDTH})
        buttons = [_button(choice) for choice in (*prediction.choices, words["skip"])]
        for button in buttons:
            button.on_click(lambda clicked: self._answer(prediction, words, clicked.description))
        question = ipywidgets.HTML(f"<b>{html.escape(prediction.question)}</b>")
        return ipywidgets.VBox([question, _in_a_row(buttons), self.verdict])

    def _answer(self, prediction: Prediction, words: dict[str, str], said: str) -> None:
        kinds = {prediction.right: "right", words["skip"]: "skipped"}
        sentence = words[kinds.get(said, "wrong")].format(
            said=said, choice=prediction.right, because=prediction.because
        )
        self.verdict.value = html.escape(sentence)
        for name, value in prediction.moves.items():
            self.controls[name].value = value

    def _say(self, sentence: str) -> None:
        # HTML, since a label never breaks its line in a narrow window; escaped, since readers' own
        # tokens stand in it.
        self.line.value = html.escape(sentence)


def live_view(explorer: Explorer) -> dict[str, Any]:
    """Make the view and give the part of its display bundle that names it."""
    bundle = LiveView(explorer).container._repr_mimebundle_()
    return {kind: data for kind, data in bundle.items() if "widget-view" in kind}


def _button(text: str) -> ipywidgets.Button:
    return ipywidgets.Button(description=text, layout={"width": "auto"})


def _in_a_row(widgets: list[ipywidgets.Widget]) -> ipywidgets.Widget:
    return ipywidgets.HBox(widgets, layout={"flex_flow": "row wrap", "max_width": _WIDTH})


def _with_presets(control: Control, widget: ipywidgets.Widget) -> ipywidgets.Widget:
    """Put buttons with the texts that are ready beneath a field for a text."""
    if not isinstance(control, Text):
        return widget
    buttons = [_button(stop) for stop in control.stops]
    for button in buttons:
        button.on_click(lambda clicked: setattr(widget, "value", clicked.description))
    return ipywidgets.VBox([widget, _in_a_row(buttons)])


def _widget(control: Control) -> ipywidgets.Widget:
    # Without a tooltip of its own, the name of a slider would show the word "null".
    named = {"description": control.name, "tooltip": control.name}
    common = named | {"style": {"description_width": "7em"}}
    if isinstance(control, Choice):
        return ipywidgets.ToggleButtons(options=control.stops, value=control.default, **common)
    # One picture takes longer than a slider needs to send the next value: wait for its release.
    common |= {"continuous_update": False, "layout": {"width": "auto", "max_width": _WIDTH}}
    if isinstance(control, Text):
        return ipywidgets.Text(value=control.default, **common)
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
