"""Tokens as a row of boxes, and one text cut in several ways."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, Rectangle

from lesson_tf.figures.arguments import as_array, as_labels, check_count, check_weights
from lesson_tf.figures.style import (
    FONT_SIZE,
    TEXT_WIDTH,
    WEIGHTS,
    ink_on,
    make_figure,
    set_title,
    size_in_points,
    text_width,
    wide_axes,
)
from lesson_tf.palette import LIGHT


def token_row(
    tokens: Sequence[str],
    weights=None,
    *,
    ids: Sequence[int] | None = None,
    query: int | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw tokens as boxes in reading order, wrapped to the width, shaded by weight.

    `weights` has shape (tokens,), each 0 to 1, and is written beneath; so are `ids`. `query` is
    the index of the token that asks, outlined in the colour of queries. Raises `ValueError` for
    wrong numbers of weights or ids, weights outside 0 to 1, or a query that is not there.

    >>> ax = token_row(["今日", "は", "良い"], ids=[4, 5, 6], query=2)
    >>> [text.get_text() for text in ax.texts]
    ['今日', '4', 'は', '5', '良い', '6']
    """
    tokens = as_labels(tokens, len(tokens), "tokens", "token")
    if not tokens:
        raise ValueError("tokens is empty; give at least one token")
    shades = None if weights is None else as_array(weights, "weights", ("tokens",))
    ids = as_labels(ids, len(tokens), "ids", "token")
    if shades is not None:
        check_count(shades.size, len(tokens), "weights", "token")
        check_weights(shades, np.ones(shades.shape, bool), "weights")
    if query is not None and not 0 <= query < len(tokens):
        raise ValueError(f"query={query} is not a token; use 0 to {len(tokens) - 1}")
    beneath = [list(ids)] if ids else []
    beneath += [[f"{shade:.2f}" for shade in shades]] if shades is not None else []
    width = TEXT_WIDTH * 72 - 14 if ax is None else size_in_points(ax)[0]
    boxes, lines = _flow(tokens, beneath, width)
    needed = max(left + box for left, box, _ in boxes) + 2
    # A short row is enlarged, so that it can be read on a phone too.
    scale = min(1.5, width / needed) if lines == 1 else 1.0
    line_height = 34 + 15 * len(beneath)
    if ax is None:
        inches = (scale * lines * line_height + (26 if title else 0) + 12) / 72
        ax = make_figure(None, TEXT_WIDTH, inches, "constrained").add_subplot()
    _draw_boxes(ax, tokens, boxes, beneath, shades, query, line_height, FONT_SIZE * scale)
    ax.set(xlim=(0, width / scale), ylim=(lines * line_height - 4, -2))
    ax.set_aspect("equal", anchor="NW")
    ax.axis("off")
    set_title(ax, title)
    return ax


def token_layers(
    layers: Mapping[str, Sequence[tuple[str, int]]],
    *,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw one text cut in several ways as rows of boxes, each box above the pieces it consists of.

    `layers` maps a label to pieces (text, span), from coarse to fine; a span counts in one unit
    for all layers, such as bytes, and the spans of each layer have the same sum. Raises
    `ValueError` for no layers, spans below 1 or sums that differ.

    >>> ax = token_layers({"1 word": [("雨", 3)], "3 bytes": [("E9", 1), ("9B", 1), ("A8", 1)]})
    >>> [text.get_text() for text in ax.texts]
    ['1 word', '雨', '3 bytes', 'E9', '9B', 'A8']
    """
    width = _check_layers(layers)
    ax = ax if ax is not None else wide_axes(title, height=0.1 + 0.78 * len(layers))
    unit = size_in_points(ax)[0] / width
    for row, (label, pieces) in enumerate(layers.items()):
        ax.text(0, row + 0.2, label, color=LIGHT["muted"], va="center_baseline")
        room = min((unit * span - 4) / (text_width(text) or 1) for text, span in pieces)
        size = FONT_SIZE * min(1.4, max(0.8, room))
        left = 0
        for text, span in pieces:
            box = {"facecolor": LIGHT["surface"], "edgecolor": LIGHT["hatch"], "linewidth": 0.8}
            ax.add_patch(Rectangle((left + 0.06, row + 0.4), span - 0.12, 0.48, **box))
            place = (left + span / 2, row + 0.64)
            centre = {"ha": "center", "va": "center_baseline", "parse_math": False}
            ax.text(*place, text, size=size, **centre)
            left += span
    ax.set(xlim=(0, width), ylim=(len(layers), 0))
    ax.axis("off")
    set_title(ax, title)
    return ax


def _check_layers(layers: Mapping[str, Sequence[tuple[str, int]]]) -> int:
    """Return the common sum of the layers' spans."""
    sums = {label: sum(span for _, span in pieces) for label, pieces in layers.items()}
    if len(set(sums.values())) != 1:
        raise ValueError(
            f"layers have the widths {sums}; give at least one layer, all equally wide"
        )
    smallest = min((span for pieces in layers.values() for _, span in pieces), default=0)
    if smallest < 1:
        raise ValueError(f"layers hold a span of {smallest}; each piece needs 1 or more")
    return next(iter(sums.values()))


def _flow(
    tokens: Sequence[str], beneath: Sequence[Sequence[str]], width: int | float
) -> tuple[list[tuple[float, float, int]], int]:
    """Place boxes left to right and wrap them: (left, width, line) in points for each token."""
    boxes, left, line, gap = [], 0.0, 0, 5.0
    for index, token in enumerate(tokens):
        texts = [token, *(texts[index] for texts in beneath)]
        box = max(24.0, max(text_width(text) for text in texts) + 12)
        if left and left + box > width:
            left, line = 0.0, line + 1
        boxes.append((left, box, line))
        left += box + gap
    return boxes, line + 1


def _draw_boxes(
    ax: Axes, tokens, boxes, beneath, shades, query, line_height: int | float, size: int | float
) -> None:
    for index, (token, (left, width, line)) in enumerate(zip(tokens, boxes, strict=True)):
        shade = WEIGHTS(shades[index]) if shades is not None else LIGHT["surface"]
        asking = index == query
        top = line * line_height
        box = FancyBboxPatch(
            (left + 2, top + 2),
            width - 4,
            22,
            boxstyle="round,pad=0,rounding_size=3",
            facecolor=shade,
            edgecolor=LIGHT["query"] if asking else LIGHT["hatch"],
            linewidth=2.4 if asking else 0.8,
        )
        ax.add_patch(box)
        ink = ink_on(shade) if shades is not None else LIGHT["ink"]
        centre = {"ha": "center", "va": "center_baseline", "parse_math": False, "size": size}
        ax.text(left + width / 2, top + 13, token, color=ink, **centre)
        for level, texts in enumerate(beneath):
            height = top + 33 + 15 * level
            ax.text(left + width / 2, height, texts[index], color=LIGHT["muted"], **centre)
