"""The same tokens in two orders, with a line from each token to its other place."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from lesson_tf.figures.alignment import HEIGHT, MOST_TOKENS, _draw_row, _fit, _place, _row_width
from lesson_tf.figures.arguments import as_labels, as_list
from lesson_tf.figures.style import FONT_SIZE, TEXT_WIDTH, make_figure, set_title, size_in_points
from lesson_tf.palette import LIGHT

REACH = 48.0  # points between the two rows


def reordering(
    tokens: Sequence[str],
    order: Sequence[int],
    *,
    names: tuple[str, str] = ("", ""),
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw tokens in a row and, beneath, the same tokens in another order, each joined to itself.

    `order[i]` is the place above of the token that stands at place i beneath, so that the lower row
    is tokens[order]. Tokens that move have strong lines, the others faint ones. `names` stand above
    the upper row and under the lower one. Raises `ValueError` for more than 16 tokens, or an order
    that does not name each place once.

    >>> ax = reordering(["犬", "が", "人", "を"], [2, 1, 0, 3])
    >>> [text.get_text() for text in ax.texts]
    ['犬', 'が', '人', 'を', '人', 'が', '犬', 'を']
    """
    above, order = _check_order(tokens, order)
    beneath = [above[place] for place in order]
    room = TEXT_WIDTH * 72 - 14 if ax is None else size_in_points(ax)[0]
    widths = _fit((above, beneath), room - 6, names=("tokens", "tokens"))
    scale = min(1.4, max(1.0, (room - 6) / _row_width(widths[0])))
    if ax is None:
        height = (scale * (2 * HEIGHT + REACH + 40) + (26 if title else 0)) / 72
        ax = make_figure(None, TEXT_WIDTH, height, "constrained").add_subplot()
    places = [_place(each, room / scale) for each in widths]
    for lower, upper in enumerate(order):
        moved = lower != upper
        ends = places[0][upper].mean(), places[1][lower].mean()
        line = (
            {"color": LIGHT["accent"], "lw": 2.4} if moved else {"color": LIGHT["hatch"], "lw": 1}
        )
        ax.plot(ends, (HEIGHT + REACH, HEIGHT), solid_capstyle="butt", zorder=1 + moved, **line)
    size = FONT_SIZE * min(scale, 1.25)
    _draw_row(ax, above, places[0], HEIGHT + REACH, size)
    _draw_row(ax, beneath, places[1], 0.0, size)
    for name, height, side in ((names[0], 2 * HEIGHT + REACH + 5, "bottom"), (names[1], -5, "top")):
        if name:
            ax.text(room / scale / 2, height, name, ha="center", va=side, size=size)
    ax.set(xlim=(0, room / scale), ylim=(-20, 2 * HEIGHT + REACH + 20), aspect="equal")
    ax.axis("off")
    set_title(ax, title)
    return ax


def _check_order(tokens: Sequence[str], order: Sequence[int]) -> tuple[list[str], list[int]]:
    labels = as_labels(tokens, len(tokens), "tokens", "token")
    places = as_list(order, "order")
    if not 1 <= len(labels) <= MOST_TOKENS:
        raise ValueError(f"{len(labels)} tokens cannot be drawn in a row; use 1 to {MOST_TOKENS}")
    if sorted(places) != list(range(len(labels))):
        raise ValueError(
            f"order={places} does not name each place once; use the numbers 0 to {len(labels) - 1}, each once"
        )
    return labels, places
