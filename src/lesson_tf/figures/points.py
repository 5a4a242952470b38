"""Labelled points on a map, such as the first two principal components of an embedding table."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from lesson_tf.figures.arguments import as_array, check_count, check_index
from lesson_tf.figures.style import FONT_SIZE, LINES, set_title, wide_axes
from lesson_tf.palette import LIGHT


def points(
    coordinates,
    labels: Sequence[str],
    *,
    groups: Mapping[str, Sequence[int]] | None = None,
    pairs: Sequence[tuple[int, int]] = (),
    xlabel: str = "",
    ylabel: str = "",
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw points of the plane with their labels, and a thin line between the two of each pair.

    `coordinates` has shape (n, 2). `groups` maps a name to the points that share a colour; the name stands in
    a legend, and a point without a group is grey. The labels of a pair stand on its outer sides. Both axes
    have one scale. Raises `ValueError` for other shapes, values not finite, a point that does not exist, or
    more groups than there are colours.

    >>> ax = points([[0, 0], [1, 2]], ["1", "一"], groups={"digits": [0]}, pairs=[(0, 1)])
    >>> [text.get_text() for text in ax.texts]
    ['1', '一']
    """
    places = as_array(coordinates, "coordinates", ("points", "2"))
    if places.shape[1] != 2:
        raise ValueError(f"coordinates have {places.shape[1]} numbers a point; give two, (x, y)")
    labels = [str(label) for label in labels]
    check_count(len(labels), len(places), "labels", "point")
    groups = {str(name): list(members) for name, members in (groups or {}).items()}
    if len(groups) > len(LINES):
        raise ValueError(
            f"{len(groups)} groups are too many to tell apart; give at most {len(LINES)}"
        )
    for name, members in (*groups.items(), *(("pairs", pair) for pair in pairs)):
        for index in members:
            check_index(index, len(places), name, "points")
    ax = ax if ax is not None else wide_axes(title, height=4.4)
    away = np.tile([0.0, 1.0], (len(places), 1))  # where a label stands, seen from its point
    for first, second in pairs:
        ax.plot(*places[[first, second]].T, color=LIGHT["hatch"], linewidth=1.2, zorder=1)
        apart = places[first] - places[second]
        apart = apart / (np.hypot(*apart) or 1.0)
        away[first], away[second] = apart, -apart
    line_of = {}
    for line, (name, members) in zip(LINES, groups.items(), strict=False):
        line_of.update(dict.fromkeys(members, line))
        ax.scatter(*places[members].T, color=line["color"], marker=line["marker"], label=name)
    for index, (label, place) in enumerate(zip(labels, places, strict=True)):
        color = line_of[index]["color"] if index in line_of else LIGHT["muted"]
        if index not in line_of:
            ax.scatter(*place, color=color)
        ax.annotate(
            label, place, 12 * away[index], textcoords="offset points", color=color,
            ha="center", va="center", fontsize=FONT_SIZE + 2,
        )  # fmt: skip
    if groups:
        ax.legend(loc="best", handletextpad=0.2)
    ax.margins(0.12)
    ax.set(xlabel=xlabel, ylabel=ylabel, aspect="equal", adjustable="datalim")
    set_title(ax, title)
    return ax
