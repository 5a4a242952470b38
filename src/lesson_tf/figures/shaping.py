"""A distribution over next tokens before and after it was shaped, token by token."""

from collections.abc import Sequence
from numbers import Integral

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lesson_tf.figures.arguments import as_array, as_labels, check_count, check_weights
from lesson_tf.figures.style import TEXT_WIDTH, make_figure
from lesson_tf.palette import LIGHT


def next_token_shaping(
    tokens: Sequence[str],
    before,
    after,
    kept: int,
    vocabulary: int,
    *,
    suptitle: str | None = None,
    figure: Figure | None = None,
) -> Axes:
    """Draw the most probable next tokens twice: as the model gives them, and as they are shaped.

    `tokens` names the most probable of a `vocabulary`, best first; `before` and `after` have shape
    (tokens + 1,), the last entry for all others together, and sum to 1. The first `kept` tokens may
    still be drawn: of the rest, the outline that shows `before` is hatched, and "cut" stands in
    place of a number. With `figure` given, draws there. Raises `ValueError` for numbers that are no
    distribution, and a `kept` outside 1 to `vocabulary`.

    >>> ax = next_token_shaping([" a", " the"], [0.5, 0.3, 0.2], [1, 0, 0], kept=1, vocabulary=9)
    >>> [text.get_text() for text in ax.texts]
    ['before', 'after', '50.0 %', '100.0 %', '30.0 %', 'cut', '20.0 %', 'cut']
    """
    first, second = (
        _check_shares(each, name, len(tokens))
        for each, name in ((before, "before"), (after, "after"))
    )
    names = as_labels(tokens, len(tokens), "tokens", "token")
    _check_kept(kept, vocabulary, len(names))
    names.append(f"{vocabulary - len(names):,} others")
    figure = make_figure(figure, TEXT_WIDTH, 0.8 + 0.33 * len(names), "constrained")
    ax = figure.add_subplot()
    _write_row(ax, -1, ("before", "after"))
    for row, shares in enumerate(zip(first, second, strict=True)):
        _draw_row(ax, row, *shares, cut=row >= kept)
    ax.set_yticks(range(len(names)), names, parse_math=False)
    ax.tick_params(length=0)
    ax.set(xlim=(0, 1.5), ylim=(len(names) - 0.45, -1.55))
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100 %"])
    ax.vlines(
        [0, 0.25, 0.5, 0.75, 1],
        -0.55,
        len(names) - 0.45,
        color=LIGHT["rule"],
        linewidth=0.7,
        zorder=0,
    )
    ax.spines[["left", "bottom"]].set_visible(False)
    if suptitle:
        figure.suptitle(suptitle, x=0.01, ha="left")
    return ax


def _check_shares(values, name: str, tokens: int) -> np.ndarray:
    shares = as_array(values, name, ("tokens + 1",))
    check_count(shares.size, tokens + 1, name, "token, and one for all others")
    check_weights(shares, np.ones(shares.shape, bool), name, kind=name)
    if abs(shares.sum() - 1) > 0.01:
        raise ValueError(
            f"{name} sums to {shares.sum():.3g}, but a distribution sums to 1; give the "
            "probability of all other tokens as the last entry"
        )
    return shares


def _check_kept(kept, vocabulary, tokens: int) -> None:
    for name, value in (("kept", kept), ("vocabulary", vocabulary)):
        if not isinstance(value, Integral) or isinstance(value, bool):
            raise ValueError(f"{name}={value!r} counts no tokens; use a whole number")
    if vocabulary <= tokens:
        raise ValueError(
            f"vocabulary={vocabulary} has no tokens besides the {tokens} named; use {tokens + 1} or more"
        )
    if not 1 <= kept <= vocabulary:
        raise ValueError(f"kept={kept} is not in the vocabulary; use 1 to {vocabulary}")


def _draw_row(ax: Axes, row: int, before: float, after: float, cut: bool) -> None:
    if not cut:
        ax.barh(row, after, height=0.46, color=LIGHT["accent"], zorder=2)
    outline = {"facecolor": "none", "edgecolor": LIGHT["hatch" if cut else "ink"], "linewidth": 1.1}
    ax.barh(row, before, height=0.72, hatch="////" if cut else None, zorder=3, **outline)
    texts = _percent(before), "cut" if cut else _percent(after)
    _write_row(ax, row, texts, colors=("muted", "muted" if cut else "accent"))


def _write_row(ax: Axes, row: int, texts: Sequence[str], colors=("muted", "accent")) -> None:
    for place, text, color in zip((1.23, 1.47), texts, colors, strict=True):
        ax.text(place, row, text, color=LIGHT[color], ha="right", va="center")


def _percent(share: float) -> str:
    return "< 0.1 %" if share < 0.0005 else f"{100 * share:.1f} %"
