"""One state of the residual stream: its place in the model, its vectors, and what was read."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle

from lesson_tf.figures.arguments import (
    as_array,
    as_labels,
    check_count,
    check_weights,
)
from lesson_tf.figures.style import FONT_SIZE, SIGNED, TEXT_WIDTH, WEIGHTS, make_figure
from lesson_tf.palette import LIGHT

LONGEST_NORM = 80.0  # where bars end; what goes beyond is cut off there, and its number says so
WIDEST_TURN = 70.0
# Everything stands in one page of points, from its upper left corner.
WIDTH, HEIGHT = 72 * TEXT_WIDTH, 378
TOP, BOTTOM = 182, 352  # of the rows
VECTORS = (42, 140)  # left and right of each column
NORMS = (152, 222)
TURNS = (232, 282)
READ = (300, 432)
SMALL = 8.5


def residual_flow(
    tokens: Sequence[str],
    place: int,
    layers: tuple[int, int],
    *,
    stream=None,
    limit: int | float = 8.0,
    norms=None,
    turns=None,
    weights=None,
    keys: Sequence[str] | None = None,
    causal: bool = False,
    probabilities=None,
    vocabulary: Sequence[str] | None = None,
    written: Sequence[str] | None = None,
    title: str = "",
    shape: str = "",
    note: str = "",
    figure: Figure | None = None,
) -> Axes:
    """Draw a map of the model with one part lit, and below it what the stream is after that part.

    `place` counts the parts of `layers` = (encoder, decoder) layers in the order of the flow. After most
    parts there are `stream` of shape (tokens, d_model), coloured from -`limit` to `limit`, its `norms` and,
    in degrees, the `turns` since the part before; `weights` of shape (tokens, keys) after an attention,
    hatched above the diagonal if `causal`. After the output there are `probabilities` of shape (tokens,
    vocabulary) and what was `written`. `note` stands where there is no attention. Raises `ValueError` for
    a part that is not there, and for shapes that do not fit.

    >>> ax = residual_flow(["a", "b"], 0, (2, 2), stream=[[3.0, -4.0], [0.0, 1.0]], norms=[5.0, 1.0])
    >>> [text.get_text() for text in ax.texts][-3:]
    ['norm', '5.0', '1.0']
    """
    tokens = as_labels(tokens, len(tokens), "tokens", "row")
    columns = _columns(*layers)
    if not 0 <= place < len(columns):
        raise ValueError(f"place={place} is no part of the model; use 0 to {len(columns) - 1}")
    if (stream is None) == (probabilities is None):
        raise ValueError("give either stream, with norms, or probabilities, with what was written")
    count = len(tokens)
    vectors = _read_vectors(stream, norms, turns, count)
    output = _read_output(probabilities, vocabulary, written, count)
    read, keys = _read_weights(weights, keys, count)
    page = _Page(_axes(figure), count)
    page.map(columns, place)
    page.write(0, 126, title)
    page.write(0, 141, shape, color=LIGHT["muted"], fontsize=SMALL)
    page.labels(tokens)
    if vectors is not None:
        states, lengths, angles = vectors
        page.matrix(VECTORS, states, SIGNED, limit)
        page.bars(NORMS, "norm", lengths, LONGEST_NORM, "{:.1f}")
        if angles is not None:
            page.bars(TURNS, "turned", angles, WIDEST_TURN, "{:.0f}°")
    if output is not None:
        chances, names, after = output
        page.matrix(VECTORS, chances, WEIGHTS, 1.0)
        page.keys(VECTORS, names)
        page.bars(NORMS, "probability", chances.max(axis=1), 1.0, "{:.2f}")
        page.column(TURNS[0], "written", after)
    if note:
        page.write(READ[0], TOP + 8, note, color=LIGHT["muted"], fontsize=SMALL)
    if read is not None:
        page.write(READ[0], 126, "attention, mean of heads", color=LIGHT["muted"], fontsize=SMALL)
        page.matrix(READ, read, WEIGHTS, 1.0, causal)
        page.keys(READ, keys, color=LIGHT["key"])
    return page.ax


def _read_vectors(stream, norms, turns, count: int):
    if stream is None:
        return None
    states = as_array(stream, "stream", ("tokens", "d_model"))
    if norms is None:
        raise ValueError("norms is missing; give one for each token of stream")
    lengths = as_array(norms, "norms", ("tokens",))
    angles = None if turns is None else as_array(turns, "turns", ("tokens",))
    for name, values in (("stream", states), ("norms", lengths), ("turns", angles)):
        if values is not None:
            check_count(len(values), count, name, "token")
    return states, lengths, angles


def _read_output(probabilities, vocabulary, written, count: int):
    if probabilities is None:
        return None
    chances = _as_weights(probabilities, "probabilities", "vocabulary", count)
    names = as_labels(vocabulary, chances.shape[1], "vocabulary", "column of probabilities")
    return chances, names, as_labels(written, count, "written", "token")


def _read_weights(weights, keys, count: int):
    if weights is None:
        return None, None
    read = _as_weights(weights, "weights", "keys", count)
    return read, as_labels(keys, read.shape[1], "keys", "column of weights")


def _as_weights(values, name: str, columns: str, count: int) -> np.ndarray:
    matrix = as_array(values, name, ("tokens", columns))
    kind = "probabilities" if name == "probabilities" else "attention weights"
    check_weights(matrix, np.ones(matrix.shape, dtype=bool), name, kind)
    check_count(len(matrix), count, name, "token")
    return matrix


class _Column(NamedTuple):
    stack: int
    column: int
    name: str


def _columns(encoder_layers: int, decoder_layers: int) -> list[_Column]:
    """Give each part its column, in the order of the flow; equal parts of both stacks share one."""
    found = []
    last = 1 + 3 * max(encoder_layers, decoder_layers)
    for stack, layers in enumerate((encoder_layers, decoder_layers)):
        found.append(_Column(stack, 0, "emb"))
        for layer in range(layers):
            names = ("self", "cross", "ff") if stack else ("self", "", "ff")
            found += [
                _Column(stack, 1 + 3 * layer + i, name) for i, name in enumerate(names) if name
            ]
        found.append(_Column(stack, last, "norm"))
    return [*found, _Column(1, last + 1, "out")]


def _axes(figure: Figure | None) -> Axes:
    figure = make_figure(figure, TEXT_WIDTH, HEIGHT / 72, "none")
    ax = figure.add_axes((0.012, 0.0, 0.976, 1.0))
    ax.set(xlim=(0, WIDTH), ylim=(HEIGHT, 0))
    ax.axis("off")
    return ax


class _Page:
    """The page with its rows: one for each token, all of one height."""

    def __init__(self, ax: Axes, rows: int):
        self.ax, self.rows = ax, rows
        self.high = (BOTTOM - TOP) / max(rows, 8)
        self.bottom = TOP + rows * self.high
        self.middles = TOP + self.high * (np.arange(rows) + 0.5)

    def write(self, x, y, text: str, **style) -> None:
        """Write a text as it is, its middle at height y."""
        self.ax.text(x, y, text, **{"va": "center", "parse_math": False} | style)

    def map(self, columns: Sequence[_Column], place: int) -> None:
        """Draw the parts as boxes in two lines, the one at `place` filled."""
        step = WIDTH / (1 + max(each.column for each in columns))
        lines = (30, 86)
        middle = {each: step * (each.column + 0.5) for each in columns}
        for stack, name in enumerate(("encoder", "decoder")):
            self.write(0, (10, 107)[stack], name, color=LIGHT["muted"], fontsize=SMALL)
            places = [middle[each] for each in columns if each.stack == stack]
            self._line([(places[0], lines[stack]), (places[-1], lines[stack])])
            for each in columns:
                if each.stack == stack and each.name == "self":
                    text = f"layer {(each.column + 2) // 3}"
                    where = (step * (each.column + 1.5), (10, 107)[stack])
                    self.write(*where, text, ha="center", color=LIGHT["muted"], fontsize=SMALL)
        memory = next(middle[each] for each in columns if each.name == "norm")
        crossed = [middle[each] for each in columns if each.name == "cross"]
        for x in crossed:
            self._line([(memory, lines[0]), (memory, 58), (x, 58), (x, lines[1])])
        self.write(memory + 6, 52, "memory", color=LIGHT["muted"], fontsize=SMALL)
        for number, each in enumerate(columns):
            lit = number == place
            left, top = middle[each] - step / 2 + 2, lines[each.stack] - 10
            box = FancyBboxPatch(
                (left, top), step - 4, 20,
                boxstyle="round,pad=0,rounding_size=4", linewidth=0.9, zorder=2,
                facecolor=LIGHT["accent"] if lit else LIGHT["paper"],
                edgecolor=LIGHT["accent"] if lit else LIGHT["hatch"],
            )  # fmt: skip
            self.ax.add_patch(box)
            style = {"color": LIGHT["paper"]} if lit else {}
            self.write(middle[each], top + 10, each.name, ha="center", fontsize=SMALL, **style)

    def _line(self, points: Sequence[tuple]) -> None:
        self.ax.plot(*zip(*points, strict=True), color=LIGHT["hatch"], linewidth=0.9, zorder=1)

    def labels(self, tokens: Sequence[str]) -> None:
        """Name the rows, where they are high enough."""
        if self.high >= SMALL:
            size = min(FONT_SIZE, self.high)
            for y, token in zip(self.middles, tokens, strict=True):
                self.write(VECTORS[0] - 6, y, token, ha="right", fontsize=size)

    def matrix(self, sides, values: np.ndarray, colors: Colormap, limit, causal=False) -> None:
        """Draw a row of cells for each token, and below them what the colours mean."""
        left, right = sides
        low = 0.0 if colors is WEIGHTS else -limit
        shown = np.ma.masked_where(np.triu(np.full(values.shape, causal), 1), values)
        scale = {"cmap": colors, "vmin": low, "vmax": limit, "aspect": "auto", "zorder": 2}
        self.ax.imshow(shown, extent=(left, right, self.bottom, TOP), **scale)
        if causal:
            self._hatch(left, (right - left) / values.shape[1])
        self._frame(left, TOP, right - left, self.bottom - TOP)
        ramp = np.linspace(low, limit, 64)[None]
        start, y = left + 22, self.bottom + 9
        self.ax.imshow(ramp, extent=(start, start + 44, y + 9, y), **scale)
        self._frame(start, y, 44, 9)
        ends = (f"{low:g}".replace("-", "−"), f"{limit:g}")
        self.write(start - 4, y + 4.5, ends[0], ha="right", fontsize=SMALL)
        self.write(start + 48, y + 4.5, ends[1], fontsize=SMALL)

    def _frame(self, x, y, width, height, **style) -> None:
        style = {
            "facecolor": "none",
            "edgecolor": LIGHT["hatch"],
            "linewidth": 0.8,
            "zorder": 3,
        } | style
        self.ax.add_patch(Rectangle((x, y), width, height, **style))

    def _hatch(self, left, cell) -> None:
        for row in range(self.rows - 1):
            x, width = left + (row + 1) * cell, (self.rows - 1 - row) * cell
            self._frame(x, TOP + row * self.high, width, self.high, hatch="////", linewidth=0)

    def keys(self, sides, labels: Sequence[str], **style) -> None:
        """Name the columns of a matrix, turned where one would reach into the next."""
        cell = (sides[1] - sides[0]) / len(labels)
        if cell < 0.7 * SMALL:
            return
        for number, label in enumerate(labels):
            turned = {"rotation": 90} if len(label) > 1 else {}
            where = (sides[0] + (number + 0.5) * cell, TOP - 4)
            style = {"fontsize": SMALL} | style
            self.write(*where, label, ha="center", **{"va": "bottom"} | turned | style)

    def bars(self, sides, name: str, values, limit: float, form: str) -> None:
        """Draw a bar and a number for each token."""
        self.write(sides[0], TOP - 10, name, color=LIGHT["muted"], fontsize=SMALL)
        size = min(SMALL, self.high)
        room = sides[1] - sides[0] - 26
        for y, number in zip(self.middles, values, strict=True):
            width = room * min(number / limit, 1.0)
            high = 0.62 * self.high
            self._frame(sides[0], y - high / 2, width, high, facecolor=LIGHT["accent"], linewidth=0)
            if self.high >= 5:
                self.write(sides[1], y, form.format(number), ha="right", fontsize=size)

    def column(self, x, name: str, texts: Sequence[str]) -> None:
        """Write a text for each token."""
        self.write(x, TOP - 10, name, color=LIGHT["muted"], fontsize=SMALL)
        for y, text in zip(self.middles, texts, strict=True):
            self.write(x, y, text, fontsize=min(FONT_SIZE, self.high))
