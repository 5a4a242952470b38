"""The tokens of a text as chips with their ids, wrapped like the text."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from lesson_tf.figures.arguments import as_labels, as_list, check_index
from lesson_tf.figures.style import FONT_SIZE, TEXT_WIDTH, make_figure, text_width
from lesson_tf.palette import LIGHT

HEIGHT, STEP, GAP = 32.0, 37.0, 3.0  # points


def token_chips(
    tokens: Sequence[str],
    ids: Sequence[int],
    *,
    made: Sequence[int] = (),
    suptitle: str | None = None,
    figure: Figure | None = None,
) -> Axes:
    """Draw the tokens of a text as chips in reading order, each above its id.

    Two neutral tints take turns, so that one token ends where the next one begins. `made` holds the
    places of the tokens that came last into being: outlined in the accent colour. With
    `figure` given, draws there and makes the chips small enough to fit. Raises `ValueError` for no
    tokens, a wrong number of ids, or a place that is not there.

    >>> ax = token_chips(["The", "␣input"], [531, 338], made=[1])
    >>> [text.get_text() for text in ax.texts]
    ['The', '531', '␣input', '338']
    """
    labels = as_labels(tokens, len(tokens), "tokens", "token")
    if not labels:
        raise ValueError("tokens is empty; give at least one token")
    numbers = as_labels(ids, len(labels), "ids", "token")
    made = as_list(made, "made")
    for place in made:
        check_index(place, len(labels), "made", "a token")
    widths = [
        max(text_width(label), 0.8 * text_width(number), 14.0) + 10
        for label, number in zip(labels, numbers, strict=True)
    ]
    figure = make_figure(figure, TEXT_WIDTH, 2.3, "constrained")
    ax = figure.add_subplot()
    room = TEXT_WIDTH * 72 - 16
    height = (figure.get_size_inches()[1] - (0.4 if suptitle else 0.1)) * 72
    # A long text is made smaller until its lines fit; a short one is never enlarged.
    scale = next(
        s
        for s in (0.97**power for power in range(400))
        if _lines(widths, room / s) * STEP * s <= height
    )
    _draw(ax, labels, numbers, widths, room / scale, scale, set(made))
    ax.set(xlim=(0, room / scale), ylim=(height / scale, -1))
    ax.axis("off")
    if suptitle:
        figure.suptitle(suptitle, x=0.01, ha="left")
    return ax


def _places(widths: Sequence[float], room: float) -> list[tuple[float, int]]:
    """Place chips left to right and wrap them: the left end and the line of each."""
    places, left, line = [], 0.0, 0
    for width in widths:
        if left and left + width > room:
            left, line = 0.0, line + 1
        places.append((left, line))
        left += width + GAP
    return places


def _lines(widths: Sequence[float], room: float) -> int:
    return _places(widths, room)[-1][1] + 1


def _draw(ax: Axes, labels, numbers, widths, room: float, scale: float, made: set[int]) -> None:
    for index, (left, line) in enumerate(_places(widths, room)):
        top, new = line * STEP, index in made
        box = FancyBboxPatch(
            (left, top),
            widths[index],
            HEIGHT,
            boxstyle="round,pad=0,rounding_size=3",
            facecolor=LIGHT["rule" if index % 2 else "surface"],
            edgecolor=LIGHT["accent" if new else "hatch"],
            linewidth=(2.2 if new else 0.8) * scale,
        )
        ax.add_patch(box)
        centre = {"ha": "center", "va": "center_baseline", "parse_math": False}
        middle, size = left + widths[index] / 2, FONT_SIZE * scale
        ax.text(middle, top + 11, labels[index], size=size, **centre)
        ax.text(middle, top + 25, numbers[index], size=0.8 * size, color=LIGHT["muted"], **centre)
