"""What a model expects next: the distribution over the vocabulary, at one step and along a sequence."""

from collections.abc import Sequence
from numbers import Integral

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from lesson_tf.figures.arguments import as_array, as_labels, as_list, check_index, check_weights
from lesson_tf.figures.style import (
    WEIGHTS,
    ink_on,
    set_title,
    size_in_points,
    text_width,
    wide_axes,
)
from lesson_tf.palette import LIGHT


def next_token_bars(
    probabilities,
    tokens: Sequence[str],
    *,
    top: int = 8,
    chosen: int | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the most probable next tokens as bars from 0 to 100 %, and all others as one bar more.

    `probabilities` has shape (vocab,) and sums to 1; `tokens` holds the text of each id. White space
    at the ends of a token is made visible. `chosen` is the id that was taken: outlined in the colour
    of queries, and drawn even where it is not among the `top`. Raises `ValueError` for numbers that
    are no distribution, a wrong number of tokens, or an id that is not there.

    >>> ax = next_token_bars([0.1, 0.7, 0.2], [" the", " a", "."], top=2)
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['␣a', '.', '1 other']
    """
    values = as_array(probabilities, "probabilities", ("vocab",))
    labels = _check_distribution(values[None], tokens, "probabilities")
    _check_top(top)
    check_index(chosen, values.size, "chosen", "in the vocabulary")
    shown = _most_probable(values, top, chosen)
    others = values.size - len(shown)
    ax = (
        ax if ax is not None else wide_axes(title, height=0.45 + 0.33 * (len(shown) + (others > 0)))
    )
    heights = [*values[shown], *([1 - values[shown].sum()] if others else [])]
    names = [labels[index] for index in shown]
    names += [f"{others:,} other{'s' if others > 1 else ''}"] if others else []
    for row, (share, index) in enumerate(zip(heights, [*shown, None], strict=False)):
        _draw_bar(ax, row, max(0.0, float(share)), index, index is not None and index == chosen)
    ax.set_yticks(range(len(names)), names, parse_math=False)
    ax.tick_params(length=0)
    ax.set(xlim=(0, 1.12), ylim=(len(names) - 0.45, -0.55))
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100 %"])
    ax.grid(axis="x")
    ax.spines[["left", "bottom"]].set_visible(False)
    set_title(ax, title)
    return ax


def next_token_rows(
    probabilities,
    tokens: Sequence[str],
    steps: Sequence[str] | None = None,
    *,
    top: int = 5,
    chosen: Sequence[int] | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the distribution of every step as one row from 0 to 100 %, the most probable token first.

    `probabilities` has shape (steps, vocab), rows sum to 1; `tokens` holds the text of each id,
    `steps` names the rows, from top to bottom. The `top` tokens of a row are pieces as wide as their
    probability, labelled where the label fits; all others are the pale rest. `chosen` holds the id
    taken at each step, outlined in the colour of queries; one outside the `top` is drawn last. Raises
    `ValueError` as `next_token_bars` does.

    >>> ax = next_token_rows([[0.9, 0.1], [0.4, 0.6]], ["0", "1"], ["first", "second"], top=1)
    >>> [text.get_text() for text in ax.texts]
    ['0', '1']
    """
    matrix = as_array(probabilities, "probabilities", ("steps", "vocab"))
    labels = _check_distribution(matrix, tokens, "probabilities")
    names = as_labels(steps, len(matrix), "steps", "row of probabilities")
    _check_top(top)
    taken = _check_chosen(chosen, matrix.shape)
    ax = ax if ax is not None else wide_axes(title, height=0.5 + 0.32 * len(matrix))
    unit = size_in_points(ax)[0]
    for row, values in enumerate(matrix):
        left = 0.0
        for index in _most_probable(values, top, taken[row]):
            _draw_piece(ax, row, left, values[index], index == taken[row])
            if text_width(labels[index]) + 6 <= unit * values[index]:
                ink = ink_on(WEIGHTS(values[index]))
                place = (left + values[index] / 2, row)
                centre = {"ha": "center", "va": "center_baseline", "parse_math": False}
                ax.text(*place, labels[index], color=ink, zorder=4, **centre)
            left += values[index]
        if left < 0.999:
            rest = {"facecolor": LIGHT["surface"], "edgecolor": LIGHT["rule"]}
            ax.add_patch(Rectangle((left, row - 0.36), 1 - left, 0.72, linewidth=0.6, **rest))
    ax.set_yticks(range(len(matrix)), names or [str(row + 1) for row in range(len(matrix))])
    for label in ax.get_yticklabels():
        label.set_parse_math(False)
    ax.tick_params(length=0)
    ax.set(xlim=(-0.004, 1.004), ylim=(len(matrix) - 0.45, -0.55))
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100 %"])
    ax.spines[["left", "bottom"]].set_visible(False)
    set_title(ax, title)
    return ax


def _check_distribution(matrix: np.ndarray, tokens: Sequence[str], name: str) -> list[str]:
    """Refuse what is no distribution over the tokens; return the tokens as labels."""
    _check_tokens(tokens)
    check_weights(matrix, np.ones(matrix.shape, bool), name, kind=name)
    sums = matrix.sum(axis=1)
    if np.abs(sums - 1).max() > 1e-3:
        row = int(np.abs(sums - 1).argmax())
        raise ValueError(
            f"{name} sum to {sums[row]:.3g}, but a distribution sums to 1; "
            "take the softmax of the logits over the whole vocabulary"
        )
    return as_labels(tokens, matrix.shape[1], "tokens", "id of the vocabulary")


def _check_top(top) -> None:
    if not isinstance(top, Integral) or isinstance(top, bool) or top < 1:
        raise ValueError(f"top={top!r} shows nothing; use 1 or more, such as 8")


def _check_tokens(tokens) -> None:
    if tokens is None:
        raise ValueError("tokens=None names nothing; give the text of each id")


def _check_chosen(chosen: Sequence[int] | None, shape: Sequence[int]) -> list[int | None]:
    if chosen is None:
        return [None] * shape[0]
    chosen = as_list(chosen, "chosen")
    if len(chosen) != shape[0]:
        raise ValueError(f"chosen has {len(chosen)} ids; give {shape[0]}, one for each step")
    for step, index in enumerate(chosen):
        check_index(index, shape[1], f"chosen[{step}]", "in the vocabulary")
    return chosen


def _most_probable(values: np.ndarray, top: int, chosen: int | None) -> list[int]:
    """Return the ids of the `top` most probable tokens, and of the chosen one behind them."""
    shown = np.argsort(-values, kind="stable")[:top].tolist()
    return shown if chosen is None or chosen in shown else [*shown, chosen]


def _draw_bar(ax: Axes, row: int, share: int | float, index: int | None, chosen: bool) -> None:
    color = LIGHT["rule"] if index is None else LIGHT["accent"]
    edge = {"edgecolor": LIGHT["query"], "linewidth": 2.4} if chosen else {"linewidth": 0}
    ax.barh(row, share, height=0.62, color=color, zorder=2, **edge)
    text = "< 0.1 %" if share < 0.0005 else f"{100 * share:.1f} %"
    offset = {"xytext": (5, 0), "textcoords": "offset points", "va": "center"}
    ax.annotate(text, (share, row), **offset)


def _draw_piece(ax: Axes, row: int, left: int | float, share: int | float, chosen: bool) -> None:
    edge = LIGHT["query"] if chosen else LIGHT["hatch"]
    look = {"edgecolor": edge, "linewidth": 2.4 if chosen else 0.6, "zorder": 3 if chosen else 2}
    ax.add_patch(Rectangle((left, row - 0.36), share, 0.72, facecolor=WEIGHTS(share), **look))
