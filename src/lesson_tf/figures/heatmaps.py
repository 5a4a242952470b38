"""Matrices: attention weights of one head and of several, signed values, positional tables."""

import math
from collections.abc import Sequence
from itertools import groupby

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure

from lesson_tf.figures.arguments import (
    as_array,
    as_labels,
    as_mask,
    check_annotate,
    check_weights,
    token_labels,
)
from lesson_tf.figures.style import (
    FONT_SIZE,
    SIGNED,
    TEXT_WIDTH,
    WEIGHTS,
    ink_on,
    is_wide,
    make_figure,
    set_title,
    size_in_points,
    text_width,
    whole_ticks,
    wide_axes,
)
from lesson_tf.palette import LIGHT


def attention_heatmap(
    weights,
    queries: Sequence[str] | None = None,
    keys: Sequence[str] | None = None,
    *,
    mask=None,
    annotate: bool = False,
    colorbar: bool = True,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw one matrix of attention weights: rows are queries, columns are keys, colour is 0 to 1.

    `weights` has shape (T_q, T_k). `queries` and `keys` are the tokens at the sides; a square
    matrix takes `queries` for both. `mask` is boolean, True where attention is allowed, of a shape
    that broadcasts to (T_q, T_k); hidden cells are hatched. `annotate` writes each weight into its
    cell, for at most 16 keys. Raises `ValueError` for another shape, for values outside 0 to 1 or
    not finite, and for a wrong number of labels.

    >>> ax = attention_heatmap([[0.9, 0.1], [0.3, 0.7]], ["今日", "は"], annotate=True)
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['今日', 'は']
    """
    matrix = as_array(weights, "weights", ("queries", "keys"), mask=mask)
    allowed = as_mask(mask, matrix.shape)
    check_weights(matrix, allowed, "weights")
    queries, keys = token_labels(queries, keys, matrix.shape)
    check_annotate(annotate, matrix.shape[1])
    ax = ax if ax is not None else _matrix_axes(*matrix.shape, keys, title)
    image = _draw_matrix(ax, matrix, allowed, WEIGHTS, (0.0, 1.0))
    _label_tokens(ax, queries, keys, matrix.shape)
    if annotate:
        _write_cells(ax, matrix, allowed, image)
    if colorbar:
        _weight_bar(image, ax)
    set_title(ax, title)
    return ax


def head_heatmaps(
    weights,
    queries: Sequence[str] | None = None,
    keys: Sequence[str] | None = None,
    *,
    mask=None,
    annotate: bool = False,
    titles: Sequence[str] | None = None,
    suptitle: str | None = None,
    columns: int | None = None,
    figure: Figure | None = None,
) -> list[Axes]:
    """Draw the weights of several heads as equal small multiples with one colour bar.

    `weights` has shape (heads, T_q, T_k); the other arguments are those of `attention_heatmap`.
    `titles` holds one for each head ("head 1" and so on, if not given), `columns` says how many
    stand side by side, `annotate` writes no numbers into cells too small for them. With `figure`
    given, draws there. Raises `ValueError` as `attention_heatmap` does.

    >>> axes = head_heatmaps([[[1.0, 0.0], [0.5, 0.5]], [[0.2, 0.8], [0.6, 0.4]]])
    >>> [ax.get_title(loc="left") for ax in axes]
    ['head 1', 'head 2']
    """
    stack = as_array(weights, "weights", ("heads", "queries", "keys"), mask=mask)
    heads, *shape = stack.shape
    allowed = as_mask(mask, stack.shape)
    check_weights(stack, allowed, "weights")
    queries, keys = token_labels(queries, keys, shape)
    titles = as_labels(titles, heads, "titles", "head") or [f"head {i + 1}" for i in range(heads)]
    columns = columns or _panel_columns(heads, shape)
    own = figure is None
    figure, axes, cell = _panel_grid(heads, columns, shape, keys, suptitle, figure)
    for head, ax in enumerate(axes):
        image = _draw_matrix(ax, stack[head], allowed[head], WEIGHTS, (0.0, 1.0))
        _label_tokens(ax, queries, keys, shape, cell, head % columns == 0, head < columns)
        if annotate and cell >= 17:
            _write_cells(ax, stack[head], allowed[head], image, cell)
        ax.set_title(titles[head], loc="left", fontsize=FONT_SIZE)
    _weight_bar(image, axes)
    if suptitle:
        figure.suptitle(suptitle, x=0.01, ha="left")
    if own:
        _trim_height(figure)
    return axes


def signed_heatmap(
    values,
    rows: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    *,
    xlabel: str = "",
    ylabel: str = "",
    title: str | None = None,
    limit: int | float | None = None,
    mask=None,
    annotate: bool = False,
    colorbar: bool = True,
    square: bool | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a matrix of signed values in a diverging colour scale centred on 0.

    `values` has shape (rows, columns). Colours reach from -`limit` to `limit`, by default the
    largest absolute value. Where the boolean `mask` is False the cell is hatched, and its value
    may be infinite. Cells are square up to 24 columns unless `square` says otherwise. Raises
    `ValueError` for another shape, values not finite, wrong numbers of labels, a limit not
    positive.

    >>> ax = signed_heatmap([[1.0, -2.0], [0.5, 0.0]], ["a", "b"], ["c", "d"], annotate=True)
    >>> ax.images[0].get_clim()
    (-2.0, 2.0)
    """
    matrix = as_array(values, "values", ("rows", "columns"), mask=mask)
    allowed = as_mask(mask, matrix.shape)
    rows = as_labels(rows, matrix.shape[0], "rows", "row")
    columns = as_labels(columns, matrix.shape[1], "columns", "column")
    check_annotate(annotate, matrix.shape[1])
    largest = float(np.abs(matrix[allowed]).max(initial=0.0)) or 1.0
    limit = largest if limit is None else limit
    if not (np.isfinite(limit) and limit > 0):
        raise ValueError(f"limit={limit} is not positive; use the largest value, {largest:.3g}")
    square = matrix.shape[1] <= 24 if square is None else square
    if ax is None:
        ax = _matrix_axes(*matrix.shape, columns, title) if square else wide_axes(title)
    aspect = "equal" if square else "auto"
    image = _draw_matrix(ax, matrix, allowed, SIGNED, (-limit, limit), aspect=aspect)
    _label_sides(ax, rows, columns, matrix.shape)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    if annotate:
        _write_cells(ax, matrix, allowed, image)
    if colorbar:
        bar = ax.figure.colorbar(image, ax=ax, aspect=22, fraction=0.05, pad=0.03)
        plain_bar(bar, [-limit, 0, limit], [f"{-limit:.3g}".replace("-", "−"), "0", f"{limit:.3g}"])
    set_title(ax, title)
    return ax


def positional_heatmap(table, *, title: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw a table of positional encodings: rows are positions, columns are dimensions.

    `table` has shape (length, d_model); colours reach from -1 to 1, or to the largest absolute
    value if that is more. Raises `ValueError` for another shape or values not finite.

    >>> ax = positional_heatmap([[0.0, 1.0], [0.84, 0.54]])
    >>> ax.get_ylabel()
    'position'
    """
    matrix = as_array(table, "table", ("length", "d_model"))
    limit = max(1.0, float(np.abs(matrix).max()))
    ax = signed_heatmap(
        matrix, xlabel="dimension", ylabel="position", limit=limit, square=False, title=title, ax=ax
    )
    ax.xaxis.set_label_position("bottom")
    ax.xaxis.tick_bottom()
    return ax


def _matrix_axes(rows: int, columns: int, labels: Sequence[str] | None, title: str | None) -> Axes:
    cell = min(0.62, 4.4 / columns, 6.0 / rows)
    above = _label_height(labels, cell * 72) / 72 + 0.35 + (0.35 if title else 0)
    return make_figure(None, TEXT_WIDTH, cell * rows + above + 0.15, "compressed").add_subplot()


def _panel_grid(
    heads: int, columns: int, shape: Sequence[int], labels, suptitle: str | None, figure
) -> tuple[Figure, list[Axes], float]:
    lines = -(-heads // columns)
    size = (TEXT_WIDTH, 9.0) if figure is None else figure.get_size_inches()
    most = 2.1 if figure is None else 4.0
    cell = _panel_cell(columns, lines, shape, size[0], size[1] - (0.35 if suptitle else 0), most)
    above = _label_height(labels, cell) / 72
    height = lines * (cell * shape[0] / 72 + 0.5) + above + 0.4 + (0.4 if suptitle else 0)
    figure = make_figure(figure, TEXT_WIDTH, height, "compressed")
    axes = figure.subplots(lines, columns, squeeze=False).ravel().tolist()
    for unused in axes[heads:]:
        unused.remove()
    return figure, axes[:heads], cell


def _panel_columns(heads: int, shape: Sequence[int]) -> int:
    """Choose how many panels stand side by side: where keys are many, as gives the largest cells."""
    if shape[1] <= 1.5 * shape[0]:
        return heads if heads <= 3 else int(np.ceil(np.sqrt(heads)))
    return max(
        range(1, heads + 1),
        key=lambda columns: _panel_cell(columns, -(-heads // columns), shape, TEXT_WIDTH, 9.0, 2.1),
    )


def _panel_cell(
    columns: int,
    lines: int,
    shape: Sequence[int],
    width: int | float,
    height: int | float,
    most: int | float,
) -> float:
    """Return the side of a cell in points; panels are at most `most` inches high."""
    across = (width - 1.7) / columns - 0.1
    down = (height - 0.9) / lines - 0.35
    return 72 * min(across / shape[1], down / shape[0], most / shape[0])


def _trim_height(figure: Figure) -> None:
    """Cut the empty space that equal aspect leaves above and below the panels.

    Heights are whole tenths of an inch, so that a hair's breadth in a font changes no size.
    """
    figure.draw_without_rendering()
    box = figure.get_tightbbox()
    figure.set_figheight(min(figure.get_figheight(), math.ceil(10 * (box.height + 0.15)) / 10))


def _cell(ax: Axes, shape: Sequence[int]) -> float:
    width, height = size_in_points(ax)
    return min(width / shape[1], height / shape[0])


def _fits(labels: Sequence[str], cell: int | float) -> bool:
    # A single character gains nothing by being turned: it may touch its neighbours.
    return all(text_width(label) <= cell + (1 if len(label) == 1 else -2) for label in labels)


def _label_height(labels: Sequence[str] | None, cell: int | float) -> float:
    if labels is None or _fits(labels, cell):
        return 1.4 * FONT_SIZE
    return max(text_width(label) for label in labels) * 1.15 + 6


def _is_japanese(label: str) -> bool:
    return all(is_wide(character) for character in label)


def _upright(label: str) -> str:
    """Write Japanese from top to bottom, as it is written in books; other labels are turned later."""
    return "\n".join(label) if _is_japanese(label) else label


def _label_tokens(
    ax: Axes, queries, keys, shape: Sequence[int], cell=None, left: bool = True, top: bool = True
) -> None:
    cell = cell or _cell(ax, shape)
    if cell < 0.95 * FONT_SIZE:  # too many tokens to name each: count them instead
        queries = keys = None
    _label_sides(ax, queries, keys, shape, cell, left, top)
    name = "queries" if queries else "query position"
    if left and text_width(name) > cell * shape[0]:
        # Too low for its name: the panels below would be written over.
        name = "queries" if text_width("queries") <= cell * shape[0] or top else ""
    if left:
        ax.set_ylabel(name, color=LIGHT["query"])
    if top:
        ax.set_xlabel("keys" if keys else "key position", color=LIGHT["key"])


def _label_sides(
    ax: Axes, rows, columns, shape: Sequence[int], cell=None, left: bool = True, top: bool = True
) -> None:
    ax.xaxis.tick_top()
    ax.xaxis.set_label_position("top")
    ax.tick_params(length=0)
    cell = cell or _cell(ax, shape)
    turn = columns is not None and not _fits(columns, cell)
    upright = [_upright(label) if turn else label for label in columns] if columns else None
    _label_axis(ax.yaxis, rows, shape[0], cell, left)
    _label_axis(ax.xaxis, upright, shape[1], cell, top, linespacing=1.0)
    if turn and top:
        for text, label in zip(ax.get_xticklabels(), columns, strict=True):
            text.set_rotation(0 if _is_japanese(label) else 90)


def _label_axis(axis, labels, count: int, cell: int | float, shown: bool, **text) -> None:
    if labels is not None:
        axis.set_ticks(range(count), labels, parse_math=False, **text)
    elif count <= 12 and cell >= 0.8 * FONT_SIZE:
        axis.set_ticks(range(count))
    else:
        axis.set_major_locator(whole_ticks(max(1, min(8, int(count * cell / (2 * FONT_SIZE))))))
    if not shown:
        axis.set_tick_params(labelleft=False, labeltop=False)


def _draw_matrix(
    ax: Axes, matrix: np.ndarray, allowed: np.ndarray, colormap, limits, aspect: str = "equal"
):
    rows, columns = matrix.shape
    shown = np.where(allowed, matrix, 0.0)
    low, high = limits
    image = ax.imshow(shown, cmap=colormap, vmin=low, vmax=high, aspect=aspect)
    if not allowed.all():
        ax.add_collection(_hatching(allowed), autolim=False)
    if columns <= 24 and rows <= 24:
        edges = [[(column, -0.5), (column, rows - 0.5)] for column in np.arange(1, columns) - 0.5]
        edges += [[(-0.5, row), (columns - 0.5, row)] for row in np.arange(1, rows) - 0.5]
        lines = LineCollection(edges, colors=LIGHT["rule"], linewidths=0.7, zorder=1.2)
        ax.add_collection(lines, autolim=False)
    ax.spines[:].set(visible=True, color=LIGHT["hatch"], linewidth=0.8)
    return image


def _hatching(allowed: np.ndarray) -> PolyCollection:
    # One rectangle for each run of hidden cells in a row: a mask of 128 × 128 stays light.
    rectangles = []
    for row, line in enumerate(allowed):
        column = 0
        for visible, run in groupby(line):
            width = len(list(run))
            if not visible:
                left, right, up, down = column - 0.5, column + width - 0.5, row - 0.5, row + 0.5
                rectangles.append([(left, up), (right, up), (right, down), (left, down)])
            column += width
    return PolyCollection(
        rectangles,
        facecolors=LIGHT["paper"],
        edgecolors=LIGHT["hatch"],
        hatch="////",
        linewidths=0,
        zorder=1.5,
    )


def _write_cells(
    ax: Axes, matrix: np.ndarray, allowed: np.ndarray, image, cell: int | float | None = None
) -> None:
    cell = cell or _cell(ax, matrix.shape)
    for row, column in np.argwhere(allowed):
        number = matrix[row, column]
        color = ink_on(image.cmap(image.norm(number)))
        text = _cell_text(number, cell, signed=image.norm.vmin < 0)
        ax.text(column, row, text, ha="center", va="center", color=color)


def _cell_text(number: int | float, cell: int | float, signed: bool) -> str:
    text = f"{number:.2f}" if cell >= (36 if signed else 30) or not signed else f"{number:.1f}"
    if float(text) == 0:
        return "0"
    if not signed and cell < 30:
        text = "1" if float(text) == 1 else text.lstrip("0")
    return text.replace("-", "−")


def _weight_bar(image, axes) -> None:
    first = axes if isinstance(axes, Axes) else axes[0]
    bar = first.figure.colorbar(image, ax=axes, aspect=22, fraction=0.05, pad=0.03)
    bar.set_label("attention weight")
    plain_bar(bar, [0, 0.5, 1], ["0", "0.5", "1"])


def plain_bar(bar: Colorbar, ticks: Sequence[int | float], labels: Sequence[str]) -> None:
    """Leave of a colour bar its colours, three numbers and a thin frame."""
    bar.set_ticks(ticks, labels=labels)
    bar.ax.tick_params(length=0)
    bar.outline.set(edgecolor=LIGHT["hatch"], linewidth=0.8)
