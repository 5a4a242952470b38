"""The map of the model: the encoder–decoder Transformer with its parts named."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from lesson_tf.figures.style import TEXT_WIDTH, WEIGHTS, make_figure
from lesson_tf.palette import LIGHT

MODEL_PARTS = (
    "tokens",
    "embedding",
    "positional encoding",
    "encoder",
    "self-attention",
    "masked self-attention",
    "cross-attention",
    "feed-forward",
    "add and norm",
    "decoder",
    "output",
)
"""The parts that `model_map` draws, and that its `links` may name."""


def model_map(links: Mapping[str, str] | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw the encoder–decoder Transformer, its parts named; saved as SVG, the parts are links.

    `links` maps names from `MODEL_PARTS` to addresses. Raises `ValueError` for another name.

    Source: Vaswani et al. (2017), figure 1.

    >>> ax = model_map({"tokens": "tokenization/tokens.html"})
    >>> {text.get_url() for text in ax.texts if text.get_text() == "tokens"}
    {'tokenization/tokens.html'}
    """
    links = dict(links or {})
    for part in links:
        if part not in MODEL_PARTS:
            raise ValueError(f"links names {part!r}, which is not drawn; use {list(MODEL_PARTS)}")
    if ax is None:
        ax = make_figure(None, TEXT_WIDTH, 6.85, "constrained").add_subplot()
    ax.set(xlim=(0, 6), ylim=(-0.05, 6.7), aspect="equal")
    ax.axis("off")
    _draw_stack(ax, 1.55, "encoder", ["self-attention", "feed-forward"], links)
    decoder = ["masked self-attention", "cross-attention", "feed-forward"]
    _draw_stack(ax, 4.45, "decoder", decoder, links)
    # What the encoder found crosses over: keys and values of the decoder's second attention.
    path = [(1.55, 4.26), (1.55, 4.75), (3.0, 4.75), (3.0, 3.65)]
    ax.plot(*zip(*path, strict=True), color=LIGHT["ink"], lw=1.3)
    _draw_arrow(ax, (3.0, 3.65), (3.5, 3.65))
    ax.text(2.27, 4.88, "keys and values", ha="center")
    _draw_arrow(ax, (4.45, 5.31), (4.45, 5.79))
    _draw_part(ax, 4.45, 5.97, "output", links, text="linear, softmax")
    _draw_arrow(ax, (4.45, 6.15), (4.45, 6.4))
    for x, y, text in [
        (1.55, 0.12, "今日は良い天気です"),
        (4.45, 0.12, "<bos> It is nice"),
        (4.45, 6.55, "It is nice weather"),
    ]:
        ax.text(x, y, text, ha="center", va="center")
    return ax


def _draw_stack(
    ax: Axes, x: int | float, name: str, sublayers: Sequence[str], links: Mapping
) -> None:
    """Draw one column: a text's way into vectors, then a framed layer of sublayers."""
    top = 2.75 + 1.05 * len(sublayers) - 0.45
    box = FancyBboxPatch(
        (x - 1.3, 2.1),
        2.6,
        top - 2.1,
        boxstyle="round,pad=0,rounding_size=0.1",
        facecolor=LIGHT["surface"],
        edgecolor=LIGHT["rule"],
        url=links.get(name),
        zorder=0,
    )
    ax.add_patch(box)
    side = x + 1.43 if name == "decoder" else x - 1.43
    url = links.get(name)
    ax.text(
        side, (2.1 + top) / 2, f"{name}, N layers", rotation=90, ha="center", va="center", url=url
    )
    _draw_arrow(ax, (x, 0.24), (x, 0.44))
    for y, part in [(0.62, "tokens"), (1.17, "embedding"), (1.72, "positional encoding")]:
        _draw_part(ax, x, y, part, links, text=f"+ {part}" if y == 1.72 else part)
        _draw_arrow(ax, (x, y + 0.18), (x, y + 0.37 if y < 1.72 else 2.42))
    for level, part in enumerate(sublayers):
        y = 2.6 + 1.05 * level
        _draw_part(ax, x, y, part, links)
        _draw_part(ax, x, y + 0.47, "add and norm", links, height=0.28)
        _draw_arrow(ax, (x, y + 0.18), (x, y + 0.33))
        # The residual connection goes around the sublayer.
        around = [(x, y - 0.32), (x + 1.12, y - 0.32), (x + 1.12, y + 0.47)]
        ax.plot(*zip(*around, strict=True), color=LIGHT["muted"], lw=1, zorder=0.5)
        _draw_arrow(ax, (x + 1.12, y + 0.47), (x + 0.95, y + 0.47), color=LIGHT["muted"])
        if level + 1 < len(sublayers):
            _draw_arrow(ax, (x, y + 0.61), (x, y + 0.87))


def _draw_part(
    ax: Axes,
    x: int | float,
    y: int | float,
    part: str,
    links: Mapping,
    text: str = "",
    height: int | float = 0.36,
) -> None:
    attends = "attention" in part
    box = FancyBboxPatch(
        (x - 0.95, y - height / 2),
        1.9,
        height,
        boxstyle="round,pad=0,rounding_size=0.06",
        facecolor=WEIGHTS(0.16) if attends else LIGHT["paper"],
        edgecolor=LIGHT["accent"] if attends else LIGHT["hatch"],
        linewidth=1.4 if attends else 0.9,
        url=links.get(part),
    )
    ax.add_patch(box)
    ink = LIGHT["accent"] if attends else LIGHT["ink"]
    url = links.get(part)
    ax.text(x, y, text or part, ha="center", va="center_baseline", color=ink, url=url)


def _draw_arrow(ax: Axes, start, end, color: str = LIGHT["ink"]) -> None:
    style = {"arrowstyle": "-|>,head_width=0.16,head_length=0.3", "mutation_scale": 12, "lw": 1.3}
    ax.add_patch(FancyArrowPatch(start, end, shrinkA=0, shrinkB=0, color=color, **style))
