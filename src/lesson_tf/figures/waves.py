"""Positional encodings as waves, and as three views with one cursor."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from lesson_tf.figures.arguments import as_array, check_count, check_dimensions
from lesson_tf.figures.heatmaps import plain_bar, signed_heatmap
from lesson_tf.figures.style import TEXT_WIDTH, make_figure, set_title, whole_ticks, wide_axes
from lesson_tf.palette import LIGHT


def positional_waves(
    table, dimensions: Sequence[int], *, title: str | None = None, ax: Axes | None = None
) -> Axes:
    """Draw chosen dimensions of a positional encoding as waves over position, one above the other.

    `table` has shape (length, d_model), `dimensions` holds column numbers. Where columns 2i and
    2i + 1 are the sine and cosine of one angle, the wavelength is written at the end, read from
    how far that angle moves in one step. Raises `ValueError` for a dimension that is not there.

    >>> import torch
    >>> angle = torch.arange(20.0)
    >>> ax = positional_waves(torch.stack([angle.sin(), angle.cos()], dim=1), [0])
    >>> ax.texts[0].get_text()
    'λ = 6.3'
    """
    matrix = as_array(table, "table", ("length", "d_model"))
    length, d_model = matrix.shape
    check_dimensions(dimensions, d_model)
    ax = ax if ax is not None else wide_axes(title, height=0.8 + 0.62 * len(dimensions))
    positions = np.arange(length)
    heights = -2.6 * np.arange(len(dimensions))
    for height, dimension in zip(heights, dimensions, strict=True):
        ax.axhline(height, color=LIGHT["rule"], linewidth=0.8)
        ax.plot(positions, height + matrix[:, dimension], color=LIGHT["accent"], linewidth=1.6)
        wavelength = _wavelength(matrix, dimension)
        if wavelength is not None:
            label = f"λ = {wavelength:.1f}" if wavelength < 100 else f"λ = {wavelength:,.0f}"
            end = (length - 1, height)
            ax.annotate(label, end, (8, 0), textcoords="offset points", va="center")
    ax.set_yticks(heights, [f"dim {dimension}" for dimension in dimensions])
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set_xlim(0, max(length - 1, 1))
    ax.set_ylim(heights[-1] - 1.4, 1.4)
    ax.xaxis.set_major_locator(whole_ticks())
    ax.set_xlabel("position")
    set_title(ax, title)
    return ax


def wave_views(
    table,
    dimensions: Sequence[int],
    position: int,
    similarity,
    *,
    suptitle: str | None = None,
    figure: Figure | None = None,
) -> list[Axes]:
    """Draw a positional encoding three ways with one cursor: heatmap, waves, similarity.

    `table` has shape (length, d_model); `similarity` has shape (length,), the cosine of position 0
    with each offset, and is drawn up to the cursor at `position` only, so that what comes next can
    be guessed. With `figure` given, draws there. Raises `ValueError` as its parts do.

    >>> import torch
    >>> angle = torch.arange(20.0)
    >>> table = torch.stack([angle.sin(), angle.cos()], dim=1)
    >>> len(wave_views(table, [0, 1], 5, angle.cos()))
    3
    """
    matrix = as_array(table, "table", ("length", "d_model"))
    cosines = as_array(similarity, "similarity", ("length",))
    length, d_model = matrix.shape
    check_dimensions(dimensions, d_model)
    check_count(cosines.size, length, "similarity", "position")
    if not 0 <= position < length:
        raise ValueError(f"position={position} is not in the table; use 0 to {length - 1}")
    figure = make_figure(figure, TEXT_WIDTH, 6.6 + (0.3 if suptitle else 0), "constrained")
    grid = figure.add_gridspec(3, 1, height_ratios=[2.3, 0.6 * len(dimensions), 1.7])
    heatmap, waves, curve = (figure.add_subplot(place) for place in grid)
    _draw_position_rows(heatmap, matrix, dimensions)
    positional_waves(matrix, dimensions, ax=waves)
    waves.tick_params(axis="x", labelbottom=False)
    waves.set_xlabel("")
    _draw_similarity(curve, cosines, position)
    for ax in (heatmap, waves, curve):
        halo = withStroke(linewidth=4, foreground=LIGHT["paper"])
        ax.axvline(position, color=LIGHT["ink"], linewidth=1.4, zorder=3, path_effects=[halo])
    if suptitle:
        figure.suptitle(suptitle, x=0.01, ha="left")
    return [heatmap, waves, curve]


def _wavelength(table: np.ndarray, dimension: int) -> float | None:
    """Read a wavelength from the table itself, where a pair of columns is a turning angle."""
    pair = 2 * (dimension // 2)
    if len(table) < 2 or pair + 1 >= table.shape[1]:
        return None
    sine, cosine = table[:, pair], table[:, pair + 1]
    step = float(np.arctan2(sine[1], cosine[1]))
    if step <= 0 or not np.allclose(sine**2 + cosine**2, 1, atol=1e-4):
        return None
    return 2 * np.pi / step


def _draw_position_rows(ax: Axes, table: np.ndarray, dimensions: Sequence[int]) -> None:
    # Positions run to the right here, unlike in positional_heatmap: one cursor crosses all views.
    signed_heatmap(table.T, ylabel="dimension", limit=1.0, square=False, colorbar=False, ax=ax)
    ax.set_yticks(dimensions)
    ax.tick_params(axis="x", labeltop=False)
    bar = ax.figure.colorbar(ax.images[0], cax=ax.inset_axes([1.03, 0, 0.025, 1]))
    plain_bar(bar, [-1, 0, 1], ["−1", "0", "1"])


def _draw_similarity(ax: Axes, cosines: np.ndarray, position: int) -> None:
    offsets = np.arange(position + 1)
    ax.plot(offsets, cosines[: position + 1], color=LIGHT["accent"])
    ax.plot(position, cosines[position], "o", color=LIGHT["accent"], markersize=7, zorder=4)
    side = -8 if position > 0.85 * len(cosines) else 8
    low = min(0.0, float(cosines.min())) - 0.05
    ax.annotate(
        f"{cosines[position]:.2f}".replace("-", "−"),
        (position, 1.08),
        (side, 0),
        textcoords="offset points",
        ha="right" if side < 0 else "left",
    )
    ax.axhline(0, color=LIGHT["rule"], linewidth=0.8)
    ax.set(xlim=(0, max(len(cosines) - 1, 1)), ylim=(low, 1.4), yticks=[0, 0.5, 1])
    ax.set_xlabel("position")
    ax.set_ylabel("cosine with\nposition 0")
