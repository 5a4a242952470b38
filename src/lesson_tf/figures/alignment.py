"""Cross-attention as ribbons between two rows of tokens: which part of the source each target token read."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, PathPatch
from matplotlib.path import Path

from lesson_tf.figures.arguments import as_array, as_labels, check_index, check_weights
from lesson_tf.figures.style import (
    FONT_SIZE,
    TEXT_WIDTH,
    WEIGHTS,
    ink_on,
    make_figure,
    set_title,
    size_in_points,
    text_width,
)
from lesson_tf.palette import LIGHT

MOST_TOKENS = 16
LEAST = 0.02  # a ribbon thinner than this is dirt to the eye
GAP, HEIGHT, REACH = 3.0, 23.0, 96.0  # points: between boxes, of a box, between the two rows


def alignment(
    weights,
    source_tokens: Sequence[str],
    target_tokens: Sequence[str],
    *,
    target: int | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw cross-attention as ribbons from the source tokens, above, to the target tokens, beneath.

    `weights` has shape (target, source), of one head or a mean of heads; rows sum to at most 1. The
    upper edge of each target token is divided among the source tokens in proportion to its weights,
    so that the width of a ribbon is its weight; those under 0.02 are left out. With `target`, an
    index, its ribbons are strong and the others faint, and the source tokens are shaded by its
    weights. Raises `ValueError` for more than 16 tokens a side, tokens too long for one line,
    another shape, or weights that are none.

    >>> ax = alignment([[0.9, 0.1], [0.0, 1.0]], ["三", "月"], ["0", "3"], target=1)
    >>> [patch.get_gid() for patch in ax.patches if "→" in (patch.get_gid() or "")]
    ['0→0', '0→1', '1→1']
    """
    matrix = as_array(weights, "weights", ("target", "source"))
    check_weights(matrix, np.ones(matrix.shape, bool), "weights")
    if source_tokens is None or target_tokens is None:
        raise ValueError("ribbons need tokens at both ends; give source_tokens and target_tokens")
    source = as_labels(source_tokens, matrix.shape[1], "source_tokens", "column of weights")
    targets = as_labels(target_tokens, matrix.shape[0], "target_tokens", "row of weights")
    room = TEXT_WIDTH * 72 - 14 if ax is None else size_in_points(ax)[0]
    _check_alignment(matrix, source, targets, target)
    widths = _fit((source, targets), room - 6)
    scale = float(np.clip((room - 6) / max(map(_row_width, widths)), 1.0, 1.4))
    if ax is None:
        height = (scale * (2 * HEIGHT + REACH) + 32 + (26 if title else 0)) / 72
        ax = make_figure(None, TEXT_WIDTH, height, "constrained").add_subplot()
    above, beneath = (_place(each, room / scale) for each in widths)
    shades = None if target is None else matrix[target]
    _draw_ribbons(ax, matrix, above, beneath, target)
    size = FONT_SIZE * min(scale, 1.25)
    _draw_row(ax, source, above, HEIGHT + REACH, size, shades=shades)
    _draw_row(ax, targets, beneath, 0.0, size, asking=target)
    # The names stand outside, where no ribbon passes.
    muted = {"color": LIGHT["muted"], "ha": "left"}
    ax.text(above[0, 0], 2 * HEIGHT + REACH + 4, "source", va="bottom", **muted)
    ax.text(beneath[0, 0], -4, "target", va="top", **muted)
    ax.set(xlim=(0, room / scale), ylim=(-20, 2 * HEIGHT + REACH + 20), aspect="equal")
    ax.axis("off")
    set_title(ax, title)
    return ax


def _fit(
    rows: Sequence[Sequence[str]],
    room: int | float,
    names: tuple[str, str] = ("source_tokens", "target_tokens"),
) -> list[np.ndarray]:
    """Return the widths of the boxes of both rows, narrower where they would not fit otherwise."""
    for least, padding in [(22.0, 6.0), (15.0, 3.0)]:
        widths = [
            np.array([max(least, text_width(token) + padding) for token in row]) for row in rows
        ]
        if max(map(_row_width, widths)) <= room:
            return widths
    name = names[0] if _row_width(widths[0]) > room else names[1]
    raise ValueError(
        f"{name} do not fit on one line; use fewer or shorter tokens, or attention_heatmap"
    )


def _row_width(widths: np.ndarray) -> float:
    return float(widths.sum() + GAP * (len(widths) - 1))


def _check_alignment(
    matrix: np.ndarray,
    source: Sequence[str],
    targets: Sequence[str],
    target: int | None,
) -> None:
    for name, tokens in (("source_tokens", source), ("target_tokens", targets)):
        if len(tokens) > MOST_TOKENS:
            raise ValueError(
                f"{len(tokens)} {name} make ribbons that nobody can tell apart; use at most {MOST_TOKENS}, "
                "or attention_heatmap"
            )
    sums = matrix.sum(axis=1)
    if sums.max() > 1.001:
        row = int(sums.argmax())
        raise ValueError(
            f"row {row} of weights sums to {sums[row]:.3g}, but a target token gives out 1 in all; "
            "take the mean over heads, not the sum"
        )
    check_index(target, len(targets), "target", "a target token")


def _place(widths: np.ndarray, room: int | float) -> np.ndarray:
    """Place a row of boxes in the middle: left and right edges, (tokens, 2)."""
    left = (room - _row_width(widths)) / 2 + np.concatenate([[0], np.cumsum(widths + GAP)[:-1]])
    return np.stack([left, left + widths], axis=1)


def _draw_ribbons(
    ax: Axes, matrix: np.ndarray, above: np.ndarray, beneath: np.ndarray, target: int | None
) -> None:
    """Draw each weight as a band; at both ends the bands of a token lie side by side."""
    # A source token may be read by many: its edge is divided among them, and never overrun.
    read = np.maximum(matrix.sum(axis=0), 1.0)
    upper = _divide(matrix.T / read[:, None], above).transpose(1, 0, 2)
    lower = _divide(matrix, beneath)
    for row, column in np.argwhere(matrix >= LEAST):
        faint = target is not None and row != target
        (a, b), (c, d) = upper[row, column], lower[row, column]
        top, bottom, middle = HEIGHT + REACH, HEIGHT, HEIGHT + REACH / 2
        points = [(a, top), (a, middle), (c, middle), (c, bottom)]
        points += [(d, bottom), (d, middle), (b, middle), (b, top), (a, top)]
        curve = [Path.MOVETO, *[Path.CURVE4] * 3, Path.LINETO, *[Path.CURVE4] * 3, Path.CLOSEPOLY]
        # Many at once: what is weak steps back, so that what is strong is seen.
        alpha = 0.12 if faint else 0.3 + 0.45 * matrix[row, column] if target is None else 0.85
        band = {"facecolor": LIGHT["accent"], "linewidth": 0, "gid": f"{row}→{column}"}
        ax.add_patch(PathPatch(Path(points, curve), alpha=alpha, zorder=1 if faint else 2, **band))


def _divide(shares: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Cut each token's edge into pieces in proportion to its shares: (tokens, shares, 2)."""
    width = (edges[:, 1] - edges[:, 0])[:, None]
    ends = np.cumsum(shares, axis=1) * width
    # Pieces of an edge that is not used up stay in its middle.
    starts = edges[:, :1] + (width - ends[:, -1:]) / 2
    return np.stack([starts + ends - shares * width, starts + ends], axis=2)


def _draw_row(
    ax: Axes,
    tokens: Sequence[str],
    places: np.ndarray,
    bottom: int | float,
    size: int | float,
    shades=None,
    asking: int | None = None,
) -> None:
    for index, (token, (left, right)) in enumerate(zip(tokens, places, strict=True)):
        shade = LIGHT["surface"] if shades is None else WEIGHTS(shades[index])
        box = FancyBboxPatch(
            (left, bottom), right - left, HEIGHT, boxstyle="round,pad=0,rounding_size=2.5",
            facecolor=shade, edgecolor=LIGHT["query"] if index == asking else LIGHT["hatch"],
            linewidth=2.4 if index == asking else 0.8, zorder=3,
        )  # fmt: skip
        ax.add_patch(box)
        ink = LIGHT["ink"] if shades is None else ink_on(shade)
        centre = {"ha": "center", "va": "center_baseline", "parse_math": False, "zorder": 4}
        ax.text((left + right) / 2, bottom + HEIGHT / 2, token, color=ink, size=size, **centre)
