"""Lines, bars and vectors."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, NullLocator

from lesson_tf.figures.arguments import as_array, as_numbers, check_count, check_palette, visible
from lesson_tf.figures.style import (
    FONT_SIZE,
    LINES,
    TEXT_WIDTH,
    make_figure,
    set_title,
    size_in_points,
    text_width,
    whole_ticks,
    wide_axes,
)
from lesson_tf.palette import LIGHT


def curves(
    x,
    series: Mapping[str, object],
    *,
    xlabel: str,
    ylabel: str,
    log_x: bool = False,
    log_y: bool = False,
    references: Mapping[str, int | float] | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw lines, each labelled at its end, and levels that they are to be compared with.

    `x` has shape (n,) and serves all lines, or maps each label to an x of its own. `series` maps a
    label to values of shape (n,), or (runs, n): then the line is the mean over runs and the band
    reaches from the lowest run to the highest. At most 8 lines. `references` maps a label to a
    height, drawn as a thin dashed line across the picture. Raises `ValueError` for other shapes,
    values not finite, or not positive on a logarithmic axis.

    >>> ax = curves([1, 2, 3], {"a": [1, 4, 9], "b": [[1, 2, 3], [3, 2, 1]]}, xlabel="n", ylabel="m")
    >>> [text.get_text() for text in ax.texts]
    ['a', 'b']
    """
    series = {str(label): values for label, values in series.items()}
    places = _places(x, series)
    runs = {label: _runs(series[label], label, place.size) for label, place in places.items()}
    levels = {label: _level(label, height) for label, height in (references or {}).items()}
    _check_curves(places, runs, levels, log_x, log_y)
    ax = ax if ax is not None else wide_axes(title)
    ax.set_xscale("log" if log_x else "linear")
    ax.set_yscale("log" if log_y else "linear")
    for line, (label, values) in zip(LINES, runs.items(), strict=False):
        place = places[label]
        ax.plot(place, values.mean(axis=0), markevery=max(1, place.size // 8), **line)
        if len(values) > 1:
            band = {"color": line["color"], "alpha": 0.16, "linewidth": 0}
            ax.fill_between(place, values.min(axis=0), values.max(axis=0), **band)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    ax.grid(axis="y")
    _draw_references(ax, levels, [line.get_xydata() for line in ax.lines[-len(runs) :]])
    _plain_ticks(ax, np.unique(np.concatenate(list(places.values()))), log_x)
    ends = {label: (places[label][-1], values[:, -1].mean()) for label, values in runs.items()}
    _label_line_ends(ax, ends)
    set_title(ax, title)
    return ax


def bars(
    values: Mapping[str, int | float],
    *,
    xlabel: str,
    limit: int | float | None = None,
    form: str = ".3g",
    color: str = "accent",
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw horizontal bars, the first on top, the value written at the end of each.

    `values` maps a label to a number, `limit` fixes the right end of the axis (1 for weights),
    `form` is the format of the numbers, `color` a name in the palette. Raises `ValueError` for no
    bars, numbers not finite, or an unknown colour.

    >>> ax = bars({"embedding": 0.25, "feed-forward": 0.5}, xlabel="share of the parameters")
    >>> [text.get_text() for text in ax.texts]
    ['0.25', '0.5']
    """
    labels = [str(label) for label in values]
    numbers = as_array(list(values.values()), "values", ("bars",))
    check_palette(color)
    ax = ax if ax is not None else wide_axes(title, height=0.6 + 0.36 * numbers.size)
    places = np.arange(numbers.size)
    ax.barh(places, numbers, height=0.62, color=LIGHT[color])
    ax.set_yticks(places, [visible(label) for label in labels])
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(numbers.size - 0.45, -0.55)
    high = limit if limit is not None else numbers.max(initial=0.0)
    low = numbers.min(initial=0.0)
    room = 0.16 * (high - low or 1.0)
    ax.set_xlim(low - room if low < 0 else 0, high + room)
    for place, number in zip(places, numbers, strict=True):
        side = (
            {"ha": "right", "xytext": (-4, 0)} if number < 0 else {"ha": "left", "xytext": (4, 0)}
        )
        text = format(number, form).replace("-", "−")
        ax.annotate(text, (number, place), textcoords="offset points", va="center", **side)
    ax.axvline(0, color=LIGHT["hatch"], linewidth=0.8)
    # The numbers stand at the bars: ticks would only repeat them.
    ax.spines[["left", "bottom"]].set_visible(False)
    ax.set_xticks([])
    ax.set_xlabel(xlabel, loc="left")
    set_title(ax, title)
    return ax


def bar_panels(
    panels: Mapping[str, Mapping[str, int | float]],
    *,
    xlabel: str,
    limit: int | float | None = None,
    form: str = ".2f",
    suptitle: str | None = None,
    figure: Figure | None = None,
) -> list[Axes]:
    """Draw the same bars under two or more conditions side by side, on one scale.

    `panels` maps a title to what `bars` takes; all panels hold the same labels. With `figure`
    given, draws there. Raises `ValueError` for no panels or labels that differ.

    >>> axes = bar_panels({"before": {"a": 1.0}, "after": {"a": 0.5}}, xlabel="weight", limit=1)
    >>> [ax.get_title(loc="left") for ax in axes]
    ['before', 'after']
    """
    labels = [list(values) for values in panels.values()]
    if not labels or any(each != labels[0] for each in labels):
        raise ValueError(f"panels hold the bars {labels}; give the same labels to each panel")
    values = as_array(
        [list(each.values()) for each in panels.values()], "panels", ("panels", "bars")
    )
    limit = limit if limit is not None else values.max()
    height = 0.95 + 0.33 * values.shape[1] + (0.3 if suptitle else 0)
    figure = make_figure(figure, TEXT_WIDTH, height, "constrained")
    axes = list(figure.subplots(1, len(panels), sharey=True, squeeze=False)[0])
    for ax, (title, each) in zip(axes, panels.items(), strict=True):
        bars(each, xlabel=xlabel, limit=limit, form=form, title=title, ax=ax)
    if suptitle:
        figure.suptitle(suptitle, x=0.01, ha="left")
    return axes


def vectors(
    named: Mapping[str, Sequence[int | float]],
    *,
    colors: Mapping[str, str] | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw vectors of the plane as arrows from the origin, each labelled at its tip.

    `named` maps a label to (x, y); `colors` maps labels to names in the palette (`query`, `key`,
    …). Raises `ValueError` for other shapes, values not finite, or an unknown colour.

    >>> ax = vectors({"q": (1.0, 2.0), "k": (2.0, 1.0)}, colors={"q": "query", "k": "key"})
    >>> [text.get_text() for text in ax.texts]
    ['q', 'k']
    """
    tips = as_array(list(named.values()), "named", ("vectors", "2"))
    if tips.shape[1] != 2:
        raise ValueError(
            f"named holds vectors of {tips.shape[1]} numbers; give two, (x, y), to each"
        )
    chosen = dict(colors or {})
    for label, color in chosen.items():
        check_palette(color)
        if label not in named:
            raise ValueError(f"colors names {label!r}, which is no vector; use {list(named)}")
    ax = ax if ax is not None else wide_axes(title, height=3.9)
    for index, (label, (x, y)) in enumerate(zip(named, tips, strict=True)):
        role = chosen.get(label)
        color = LIGHT[role] if role else LINES[index % len(LINES)]["color"]
        arrow = {"arrowstyle": "-|>,head_width=0.22,head_length=0.5", "shrinkA": 0, "shrinkB": 0}
        ax.add_patch(FancyArrowPatch((0, 0), (x, y), mutation_scale=14, lw=2, color=color, **arrow))
        length = np.hypot(x, y) or 1.0
        side = "center" if abs(x) < length / 2 else "left" if x > 0 else "right"
        ax.annotate(
            label, (x, y), (11 * x / length, 11 * y / length), textcoords="offset points",
            color=color, ha=side, va="center", fontsize=FONT_SIZE + 1.5,
        )  # fmt: skip
    reach = 1.18 * max(float(np.abs(tips).max()), 1e-9)
    low = np.minimum(tips.min(axis=0) * 1.18, -0.12 * reach)
    high = np.maximum(tips.max(axis=0) * 1.18, 0.12 * reach)
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
    for side in ("left", "bottom"):
        ax.spines[side].set_position("zero")
    ax.grid()
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10], integer=reach >= 2))
        axis.set_major_formatter(lambda tick, _: f"{tick:g}".replace("-", "−") if tick else "")
    set_title(ax, title)
    return ax


def _runs(values, label: str, points: int) -> np.ndarray:
    array = as_numbers(values)
    dimensions = ("runs", "points") if array.ndim == 2 else ("points",)
    array = np.atleast_2d(as_array(array, f"series[{label!r}]", dimensions))
    check_count(array.shape[1], points, f"series[{label!r}]", "value of x")
    return array


def _places(x, series: Mapping[str, object]) -> dict[str, np.ndarray]:
    """Return the x of each line."""
    if not isinstance(x, Mapping):
        common = as_array(x, "x", ("points",))
        return dict.fromkeys(series, common)
    x = {str(label): values for label, values in x.items()}
    if x.keys() != series.keys():
        raise ValueError(
            f"x names {list(x)} and series {list(series)}; give the same labels to both"
        )
    return {label: as_array(x[label], f"x[{label!r}]", ("points",)) for label in series}


def _level(label: str, height) -> float:
    return float(as_array([height], f"references[{label!r}]", ("points",))[0])


def _draw_references(ax: Axes, levels: Mapping[str, float], lines: Sequence[np.ndarray]) -> None:
    """Draw each level across the picture, its label where the fewest points of the lines are."""
    for height in levels.values():
        ax.axhline(height, color=LIGHT["muted"], linewidth=1.1, linestyle=(0, (6, 3)), zorder=1.5)
    width, tall = size_in_points(ax)
    thick = 1.5 * FONT_SIZE / tall
    for label, height in levels.items():
        to_axes = ax.transData + ax.transAxes.inverted()
        points = np.concatenate([to_axes.transform(line) for line in lines])
        level = to_axes.transform((ax.get_xlim()[0], height))[1]
        corners = [(right, above) for above in (True, False) for right in (False, True)]
        reach = 1.1 * text_width(label) / width
        hidden = [_count_hidden(points, corner, level, reach, thick) for corner in corners]
        right, above = corners[int(np.argmin(hidden))]
        if min(hidden) > 0 and level < thick:  # a floor: make room for its label below
            ax.set_ylim(bottom=to_axes.inverted().transform((0, level - 1.2 * thick))[1])
            right, above = False, False
        ax.annotate(
            label, (right, height), (-4 if right else 4, 3 if above else -3),
            xycoords=ax.get_yaxis_transform(), textcoords="offset points", zorder=4,
            color=LIGHT["muted"], ha="right" if right else "left", va="bottom" if above else "top",
        )  # fmt: skip


def _count_hidden(
    points: np.ndarray,
    corner: tuple[bool, bool],
    level: int | float,
    reach: int | float,
    thick: int | float,
) -> float:
    """Count the points, in shares of the axes, that a label in a corner beside a level would hide."""
    right, above = corner
    bottom = level if above else level - thick
    if not 0 <= bottom <= 1 - thick:
        return np.inf
    x, y = points.T
    beneath = (x >= 1 - reach) if right else (x <= reach)
    return float((beneath & (y >= bottom) & (y <= bottom + thick)).sum())


def _check_curves(
    places: Mapping[str, np.ndarray],
    runs: Mapping[str, np.ndarray],
    levels: Mapping[str, float],
    log_x: bool,
    log_y: bool,
) -> None:
    if not 1 <= len(runs) <= len(LINES):
        raise ValueError(f"series holds {len(runs)} lines; use 1 to {len(LINES)} in one picture")
    on_logarithm = [("x", place) for place in places.values()] if log_x else []
    on_logarithm += list(runs.items()) if log_y else []
    on_logarithm += [(label, np.array([height])) for label, height in levels.items() if log_y]
    for name, values in on_logarithm:
        if values.min() <= 0:
            raise ValueError(
                f"{name} holds {values.min():.3g}, which has no logarithm; "
                "use positive numbers, or a linear axis"
            )


def _plain_ticks(ax: Axes, x: np.ndarray, log_x: bool) -> None:
    """Write 64 and 0.01 on a logarithmic axis: the small raised figures of 10⁻² are hard to read."""
    if ax.get_yscale() == "log":
        low, high = ax.get_ylim()
        if high < 30 * low:  # powers of ten alone would leave one number or none
            ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter(lambda tick, _: f"{tick:,g}")
        ax.yaxis.set_minor_formatter(NullFormatter())
    if not log_x:
        if np.all(x == np.round(x)):
            ax.xaxis.set_major_locator(whole_ticks())
        return
    steps = np.diff(np.log(x))
    if x.size > 12 and not np.allclose(steps, steps[0], rtol=0.05):
        # Every step of a training run: powers of ten, and what lies between them.
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=10))
        ax.xaxis.set_major_formatter(lambda tick, _: f"{tick:,g}")
        ax.xaxis.set_minor_formatter(NullFormatter())
        return
    step = -(-x.size // 10)
    ax.set_xticks(x[::-1][::step], [f"{value:g}" for value in x[::-1][::step]])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_minor_formatter(NullFormatter())


def _label_line_ends(ax: Axes, ends: Mapping[str, tuple[int | float, int | float]]) -> None:
    """Write each label right of its line's end, moved up or down until no two overlap."""
    ax.margins(x=0.02)
    figure_height = size_in_points(ax)[1]
    scale = ax.transData.transform
    bottom, top = (ax.transAxes.transform((0, y))[1] for y in (0, 1))
    wanted = {
        label: (scale(end)[1] - bottom) / (top - bottom) * figure_height
        for label, end in ends.items()
    }
    gap = 1.25 * FONT_SIZE
    order = sorted(wanted, key=wanted.__getitem__)
    placed = _spread([wanted[label] for label in order], gap)
    colors = dict(zip(ends, (line["color"] for line in LINES), strict=False))
    for label, end in ends.items():
        shift = placed[order.index(label)] - wanted[label]
        ax.annotate(
            label,
            end,
            (9, shift),
            textcoords="offset points",
            va="center",
            color=colors[label],
            annotation_clip=False,
        )


def _spread(wanted: Sequence[int | float], gap: int | float) -> list[float]:
    """Move sorted numbers as little as needed until neighbours are `gap` apart.

    Neighbours that are too close form a group, laid out around the mean of their wishes.
    """
    groups: list[list[float]] = []
    for place in wanted:
        groups.append([place])
        while len(groups) > 1:
            low, high = groups[-2:]
            middle_low, middle_high = np.mean(low), np.mean(high)
            if middle_high - middle_low >= gap * (len(low) + len(high)) / 2:
                break
            groups[-2:] = [low + high]
    return [
        float(np.mean(group) + gap * (i - (len(group) - 1) / 2))
        for group in groups
        for i in range(len(group))
    ]
