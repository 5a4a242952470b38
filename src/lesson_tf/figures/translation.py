"""A translation step by step: what one step read, what it expected, and where all steps looked."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from lesson_tf.figures.alignment import HEIGHT, REACH, _draw_ribbons, _draw_row, _fit, _place
from lesson_tf.figures.arguments import (
    as_array,
    as_labels,
    check_count,
    check_index,
    check_weights,
)
from lesson_tf.figures.heatmaps import attention_heatmap
from lesson_tf.figures.next_token import _check_distribution, next_token_bars
from lesson_tf.figures.style import FONT_SIZE, TEXT_WIDTH, make_figure
from lesson_tf.palette import LIGHT

MOST_RIBBONS = 22  # source tokens; more are shown by the matrix alone


def translation(
    weights,
    source_tokens: Sequence[str],
    target_tokens: Sequence[str],
    probabilities,
    vocabulary: Sequence[str],
    step: int,
    *,
    title: str | None = None,
    figure: Figure | None = None,
) -> list[Axes]:
    """Draw one step of a translation: ribbons to what it read, what it expected, and all steps' weights.

    `weights` has shape (target, source), the cross-attention of one head or a mean of heads;
    `probabilities` has shape (target, vocab), what each step expected of the tokens in
    `vocabulary`. `step` is the index of a target token: its ribbons are strong, and its expectations
    are the bars. More than 22 source tokens get no ribbons. `title` stands above the matrix. With
    `figure` given, draws there. Raises `ValueError` for arrays, labels and steps that do not fit.

    >>> axes = translation([[0.9, 0.1]], ["三", "月"], ["3"], [[0.2, 0.8]], ["0", "3"], 0)
    >>> len(axes)
    3
    """
    matrix = as_array(weights, "weights", ("target", "source"))
    check_weights(matrix, np.ones(matrix.shape, bool), "weights")
    source = as_labels(source_tokens, matrix.shape[1], "source_tokens", "column of weights")
    target = as_labels(target_tokens, matrix.shape[0], "target_tokens", "row of weights")
    expected = as_array(probabilities, "probabilities", ("target", "vocab"))
    check_count(len(expected), len(matrix), "probabilities", "row of weights")
    names = _check_distribution(expected, vocabulary, "probabilities")
    if step is None:
        raise ValueError("step=None shows no step; give the index of a target token")
    check_index(step, len(target), "step", "a target token")
    if target[step] not in names:
        raise ValueError(f"{target[step]!r} was written, but is not in the vocabulary {names}")
    ribbons = len(source) <= MOST_RIBBONS
    figure = make_figure(figure, TEXT_WIDTH, 5.8 if ribbons else 3.6, "constrained")
    heights = {"height_ratios": (4, 7)} if ribbons else {}
    grid = figure.add_gridspec(1 + ribbons, 2, width_ratios=(5, 3), **heights)
    heatmap, bars = (figure.add_subplot(grid[-1, column]) for column in (0, 1))
    attention_heatmap(matrix, target, source, colorbar=False, title=title, ax=heatmap)
    heatmap.set(aspect="auto", xlabel="", ylabel="")
    heatmap.set_yticks(range(len(target)), target, parse_math=False)
    _frame_row(heatmap, step, len(source))
    written = {
        "top": 5,
        "chosen": names.index(target[step]),
        "title": f"step {step + 1}: probabilities",
    }
    next_token_bars(expected[step], names, ax=bars, **written)
    bars.set_xlim(0, 1.7)  # room for the numbers at the ends
    bars.set_xticks([0, 0.5, 1], ["0", "50", "100 %"])
    if not ribbons:
        return [heatmap, bars]
    heatmap.set_xticks(range(len(source)), source, parse_math=False)
    above = figure.add_subplot(grid[0, :])
    _draw_step(above, matrix, source, target, step)
    return [above, heatmap, bars]


def _frame_row(ax: Axes, row: int, columns: int) -> None:
    frame = {"edgecolor": LIGHT["query"], "linewidth": 2.4, "zorder": 5, "clip_on": False}
    ax.add_patch(Rectangle((-0.5, row - 0.5), columns, 1, fill=False, **frame))


def _draw_step(
    ax: Axes, matrix: np.ndarray, source: list[str], target: list[str], step: int
) -> None:
    room = TEXT_WIDTH * 72 - 14
    above, beneath = (_place(widths, room) for widths in _fit((source, target), room - 6))
    _draw_ribbons(ax, matrix, above, beneath, step)
    _draw_row(ax, source, above, HEIGHT + REACH, FONT_SIZE, shades=matrix[step])
    _draw_row(ax, target, beneath, 0.0, FONT_SIZE, asking=step)
    ax.set(xlim=(0, room), ylim=(-4, 2 * HEIGHT + REACH + 4))
    ax.axis("off")
