"""The way from a token's vector to the output of attention, with marks at the steps that something enters."""

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from lesson_tf.figures.style import TEXT_WIDTH, make_figure, set_title
from lesson_tf.palette import LIGHT

# Where each step stands, in inches, how wide its box is, and its colour.
_STEPS = {
    "x": (0.6, 1.35, 0.5, "ink"),
    "q": (2.2, 2.25, 0.42, "query"),
    "k": (2.2, 1.35, 0.42, "key"),
    "v": (2.2, 0.45, 0.42, "value"),
    "scores": (3.65, 1.8, 0.8, "ink"),
    "weights": (4.85, 1.8, 0.8, "accent"),
    "output": (5.5, 0.45, 0.8, "ink"),
}
_ARROWS = {
    ("x", "q"): "", ("x", "k"): "", ("x", "v"): "",
    ("q", "scores"): "", ("k", "scores"): "", ("scores", "weights"): "softmax",
    ("weights", "output"): "", ("v", "output"): "",
}  # fmt: skip
_HEIGHT = 0.34


def attention_steps(
    marks: Mapping[str, str] | None = None, *, title: str | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the steps of attention from x over queries, keys and values to the output.

    `marks` maps a step (x, q, k, v, scores, weights, output) to a text of one to three lines that is
    written beneath it, for q above; a marked step is filled. Raises `ValueError` for another step.

    >>> ax = attention_steps({"scores": "+ bias"})
    >>> [text.get_text() for text in ax.texts][-1]
    '+ bias'
    """
    marks = dict(marks or {})
    for step in marks:
        if step not in _STEPS:
            raise ValueError(f"marks names {step!r}, which is no step; use {list(_STEPS)}")
    if ax is None:
        height = 2.7 + (0.3 if title else 0)
        ax = make_figure(None, TEXT_WIDTH, height, "constrained").add_subplot()
    ax.set(xlim=(0, 6), ylim=(0.15, 2.75), aspect="equal")
    ax.axis("off")
    for (start, end), label in _ARROWS.items():
        _draw_arrow(ax, start, end, label)
    for step in _STEPS:
        _draw_step(ax, step, marked=step in marks)
    for step, text in marks.items():
        x, y, *_ = _STEPS[step]
        above = step == "q"  # beneath q, the arrow from x to q would cross the text
        edge = y + (_HEIGHT / 2 + 0.06) * (1 if above else -1)
        side = "bottom" if above else "top"
        ax.text(x, edge, text, ha="center", va=side, linespacing=1.25)
    set_title(ax, title)
    return ax


def _draw_step(ax: Axes, step: str, marked: bool) -> None:
    x, y, width, color = _STEPS[step]
    box = FancyBboxPatch(
        (x - width / 2, y - _HEIGHT / 2), width, _HEIGHT,
        boxstyle="round,pad=0,rounding_size=0.06", edgecolor=LIGHT[color],
        facecolor=LIGHT[color] if marked else LIGHT["paper"], linewidth=1.4,
    )  # fmt: skip
    ax.add_patch(box)
    ink = LIGHT["paper"] if marked else LIGHT[color]
    ax.text(x, y, step, ha="center", va="center_baseline", color=ink)


def _draw_arrow(ax: Axes, start: str, end: str, label: str) -> None:
    (x, y, width, _), (to_x, to_y, to_width, _) = _STEPS[start], _STEPS[end]
    begin, tip = (x + width / 2, y), (to_x - to_width / 2 - 0.03, to_y)
    if to_x - x < 0.8:  # nearly beneath each other: from the lower edge to the upper one
        begin, tip = (x + 0.2, y - _HEIGHT / 2), (to_x - 0.1, to_y + _HEIGHT / 2 + 0.03)
    style = {"arrowstyle": "-|>,head_width=0.16,head_length=0.3", "mutation_scale": 12, "lw": 1.2}
    arrow = FancyArrowPatch(begin, tip, shrinkA=0, shrinkB=0, color=LIGHT["muted"], **style)
    ax.add_patch(arrow)
    if label:
        middle = (begin[0] + tip[0]) / 2
        ax.text(
            middle, y + _HEIGHT / 2 + 0.05, label, ha="center", va="bottom", color=LIGHT["muted"]
        )
