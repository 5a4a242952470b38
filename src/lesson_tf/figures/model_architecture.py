"""A model as it is: every part, the shapes between them and the parameters in them, read from the module."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Rectangle
from torch import nn

from lesson_tf.figures.arguments import as_labels, as_list
from lesson_tf.figures.style import (
    FONT_SIZE,
    TEXT_WIDTH,
    WEIGHTS,
    make_figure,
    set_title,
    text_width,
)
from lesson_tf.model_summary import PartSummary, fold_layers, summarize
from lesson_tf.palette import LIGHT

# All lengths are inches of a figure as wide as the text.
BOX = 2.36  # width of a part
TALL, LOW = 0.5, 0.3  # heights of a part with a second line, and of one without
ARROW = 0.29  # between parts; the shape stands beside it
TOUCH = 0.05  # between parts that belong together
ENCODER, DECODER = 0.44, 3.2  # left edges of the two columns' boxes
SMALL = FONT_SIZE - 0.7
MOST_TOKENS = 13  # drawn as squares

CENTRE = {"ha": "center", "va": "center"}
LINE = {"lw": 1.3, "solid_joinstyle": "round"}


@dataclass
class _Column:
    """One stack, from its tokens up: where its parts stand, and at which side the residual passes."""

    left: float
    outward: int
    parts: list[PartSummary]
    places: dict[str, tuple[float, float]] = field(default_factory=dict)  # path: (bottom, top)
    frame: tuple[float, float] | None = None
    top: float = 0.0

    @property
    def middle(self) -> float:
        return self.left + BOX / 2

    @property
    def outer(self) -> float:
        return self.left if self.outward < 0 else self.left + BOX


def model_architecture(
    model: nn.Module,
    source_length: int | None = None,
    target_length: int | None = None,
    *,
    source_tokens: Sequence[str] | None = None,
    target_tokens: Sequence[str] | None = None,
    batch: int = 1,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a Transformer or LanguageModel as it is: parts, shapes, parameters, from the bottom up.

    Beside each arrow stands the shape of one forward pass over `batch` sources of `source_length`
    tokens (12) and targets of `target_length` (10), or over `source_tokens` and `target_tokens`,
    which are then shown. Each part holds its number of parameters and a bar of that length, one
    scale for all; the layers of a stack are drawn once, with their number. The sums count every
    layer, and a shared matrix once. Raises `ValueError` for another kind of model, and for lengths
    that it cannot read.

    >>> from lesson_tf.transformer import LanguageModel, TransformerConfig
    >>> model = LanguageModel(TransformerConfig(9, 9, d_model=8, heads=2, d_ff=32))
    >>> ax = model_architecture(model, target_tokens=["a", "b", "c"])
    >>> [text.get_text() for text in ax.texts if "parameters" in text.get_text()]
    ['1,904 parameters']
    """
    source, source_length = _read_side(source_tokens, source_length, 12, "source")
    target, target_length = _read_side(target_tokens, target_length, 10, "target")
    parts = fold_layers(summarize(model, source_length, target_length, batch))
    reads = [part for part in parts if part.path.startswith(("source", "encoder"))]
    decoder = _lay_out(_Column(DECODER, 1, [part for part in parts if part not in reads]))
    encoder = _lay_out(_Column(ENCODER, -1, reads)) if reads else None
    if ax is None:
        height = decoder.top + 0.62 + (0.3 if title else 0)
        ax = make_figure(None, TEXT_WIDTH, height, "constrained").add_subplot()
    ax.set(xlim=(0, 6), ylim=(-0.24, decoder.top + 0.2), aspect="equal")
    ax.axis("off")
    scale = max(part.parameters for part in parts)
    _draw_column(ax, decoder, model, scale)
    _draw_tokens(
        ax,
        decoder.middle,
        target or [""] * target_length,
        f"{'target' if encoder else 'text'} so far",
    )
    _draw_exit(ax, decoder)
    if encoder:
        _draw_column(ax, encoder, model, scale)
        _draw_tokens(ax, encoder.middle, source or [""] * source_length, "source")
        _draw_memory(ax, encoder, decoder)
    _draw_totals(ax, parts, encoder.top + 0.48 if encoder else decoder.top / 2 - 0.7)
    set_title(ax, title)
    return ax


def _read_side(tokens, length: int | None, usual: int, side: str) -> tuple[list[str], int]:
    """Return the tokens of one side, none where only a length is known, and their number."""
    if tokens is None:
        return [], usual if length is None else length
    tokens = as_list(tokens, f"{side}_tokens")
    tokens = as_labels(tokens, len(tokens), f"{side}_tokens", "token")
    if not tokens:
        raise ValueError(f"{side}_tokens is empty; give at least one token, or a length alone")
    if length is not None and length != len(tokens):
        raise ValueError(
            f"{side}_length={length} does not fit {len(tokens)} {side}_tokens; give one of the two"
        )
    return tokens, len(tokens)


def _lay_out(column: _Column) -> _Column:
    """Stack the parts from the bottom up; pre-norm layers leave room for the sum above each sublayer."""
    y, before = 0.25, None
    for part in column.parts:
        inside = part.path.startswith(_LAYERS)
        was_inside = before is not None and before.path.startswith(_LAYERS)
        if inside and not was_inside:
            column.frame = (y + 0.1, 0.0)
            y += 0.1
        y += _room_for_sum(before, part)
        if was_inside and not inside:
            y += 0.1
            column.frame = (column.frame[0], y)
        y += TOUCH if _touches(before, part) else ARROW
        height = LOW if _is_low(part) else TALL
        column.places[part.path] = (y, y + height)
        y, before = y + height, part
    column.top = y
    return column


_LAYERS = ("encoder.layers", "decoder.layers", "layers")


def _is_low(part: PartSummary) -> bool:
    return "norm" in part.name or "positions" in part.name


def _is_sublayer(part: PartSummary) -> bool:
    return "attention" in part.name or part.name == "feed-forward"


def _touches(before: PartSummary | None, part: PartSummary) -> bool:
    """Tell whether a part stands right on the one below: one thing to the reader."""
    return part.name == "add and norm" or "positions" in part.name or _follows_norm(before)


def _follows_norm(before: PartSummary | None) -> bool:
    return before is not None and before.name == "norm"


def _room_for_sum(before: PartSummary | None, part: PartSummary) -> float:
    summed = before is not None and _is_sublayer(before) and part.name != "add and norm"
    return 0.24 if summed else 0.0


def _draw_column(ax: Axes, column: _Column, model: nn.Module, scale: int) -> None:
    _draw_frame(ax, column)
    norm_first = any(part.name == "norm" for part in column.parts)
    before, below = None, 0.24
    for part in column.parts:
        bottom, top = column.places[part.path]
        if not _touches(before, part):
            _draw_arrow(ax, (column.middle, below), (column.middle, bottom))
            text = "ids " if before is None else ""
            _write_shape(ax, column, bottom, f"{text}{part.input_shape}")
        if _starts_residual(before, part, norm_first):
            branch = bottom - 0.2
        _draw_box(ax, column.left, bottom, top, part, model, scale)
        below = top
        if part.name == "add and norm":
            _draw_residual(ax, column, branch, (bottom + top) / 2, column.outer)
        elif norm_first and _is_sublayer(part):
            below = _draw_sum(ax, column, branch, top)
        if "embedding" in part.name and model.config.positions == "none":
            _write_aside(ax, column, bottom - 0.15, "no positions")
        before = part


def _starts_residual(before: PartSummary | None, part: PartSummary, norm_first: bool) -> bool:
    return part.name == "norm" if norm_first else _is_sublayer(part)


def _draw_frame(ax: Axes, column: _Column) -> None:
    bottom, top = column.frame
    inner = column.left - 0.08 if column.outward > 0 else column.left - 0.22
    box = FancyBboxPatch(
        (inner, bottom), BOX + 0.3, top - bottom, boxstyle="round,pad=0,rounding_size=0.1",
        facecolor=LIGHT["surface"], edgecolor=LIGHT["rule"], zorder=0,
    )  # fmt: skip
    ax.add_patch(box)
    layers = next(part for part in column.parts if part.repeats and part.path.startswith(_LAYERS))
    name = layers.path.partition(".")[0]
    name = "" if name == "layers" else f"{name} "
    side = column.outer + column.outward * 0.34
    text = f"{name}layer × {layers.repeats}"
    ax.text(side, (bottom + top) / 2, text, rotation=90, size=FONT_SIZE + 1, **CENTRE)


def _draw_box(
    ax: Axes,
    left: int | float,
    bottom: int | float,
    top: int | float,
    part: PartSummary,
    model: nn.Module,
    scale: int,
) -> None:
    """Draw a part: name and parameters, what it is made of, and a bar as long as its parameters."""
    attends = "attention" in part.name
    box = FancyBboxPatch(
        (left, bottom), BOX, top - bottom, boxstyle="round,pad=0,rounding_size=0.05",
        facecolor=WEIGHTS(0.1) if attends else LIGHT["paper"],
        edgecolor=LIGHT["accent"] if attends else LIGHT["hatch"],
        linewidth=1.3 if attends else 0.9, zorder=1,
    )  # fmt: skip
    ax.add_patch(box)
    length = (BOX - 0.18) * part.parameters / scale
    seen = length > 0.015  # a hair would look like a slip
    bar = {"zorder": 2, "gid": part.path, "visible": seen, "linewidth": 0}
    bar["facecolor"] = LIGHT["accent"] if attends else LIGHT["hatch"]
    ax.add_patch(Rectangle((left + 0.09, bottom + 0.025), length, 0.045, **bar))
    first = last = (bottom + top) / 2 + (0.025 if seen else 0.0)
    left, right = left + 0.09, left + BOX - 0.09
    if not _is_low(part):
        first, last = top - 0.14, bottom + 0.185
        muted = {"size": SMALL, "color": LIGHT["muted"], "va": "center"}
        ax.text(right, first, _aside(part), ha="right", **muted)
        ax.text(left, last, _describe_part(part, model), **muted)
    ink = {"color": LIGHT["accent"] if attends else LIGHT["ink"], "va": "center"}
    ax.text(left, first, f"+ {part.name}" if "positions" in part.name else part.name, **ink)
    if part.parameters:
        ax.text(right, last, f"{part.parameters:,}", ha="right", **ink)


def _aside(part: PartSummary) -> str:
    if part.tied_to:
        return f"tied to {part.tied_to.partition('.')[0].replace('_', ' ')}"
    return rf"$\times\sqrt{{{part.output_shape[-1]}}}$" if "embedding" in part.name else ""


def _describe_part(part: PartSummary, model: nn.Module) -> str:
    config, width = model.config, part.output_shape[-1]
    module = model.get_submodule(part.path.replace("*", "0"))
    if "attention" in part.name:
        relative = {"rotary": ", rotary", "alibi": ", ALiBi"}.get(config.positions, "")
        return f"{module.heads} heads of {config.d_k}" + ("" if "cross" in part.name else relative)
    if part.name == "feed-forward":
        return f"{width:,} → {module.widen.out_features:,} → {width:,}"
    if part.name == "output":
        return f"{part.input_shape[-1]:,} → {width:,}"
    return f"{module.num_embeddings:,} rows of {width:,}"


def _draw_residual(
    ax: Axes, column: _Column, start: int | float, end: int | float, target: int | float
) -> None:
    """Lead the stream around a sublayer, at the outer side."""
    side = column.outer + column.outward * 0.1
    path = [(column.middle, start), (side, start), (side, end)]
    ax.plot(*zip(*path, strict=True), color=LIGHT["muted"], zorder=0.5, **{**LINE, "lw": 1})
    _draw_arrow(ax, (side, end), (target, end), color=LIGHT["muted"], lw=1)


def _draw_sum(ax: Axes, column: _Column, branch: int | float, top: int | float) -> float:
    """Draw where the stream and the sublayer are added; return the top of the sign."""
    y = top + 0.16
    _draw_residual(ax, column, branch, y, column.middle + column.outward * 0.08)
    ax.plot([column.middle] * 2, [top, y - 0.08], color=LIGHT["ink"], **LINE)
    sign = Circle(
        (column.middle, y), 0.08, facecolor=LIGHT["paper"], edgecolor=LIGHT["ink"], zorder=3
    )
    ax.add_patch(sign)
    for dx, dy in [(0.045, 0), (0, 0.045)]:
        ends = ([column.middle - dx, column.middle + dx], [y - dy, y + dy])
        ax.plot(*ends, color=LIGHT["ink"], lw=1.1, zorder=4)
    return y + 0.08


def _write_shape(ax: Axes, column: _Column, bottom: int | float, text: str) -> None:
    # At the inner side: the residual leaves at the outer one.
    inward = -column.outward
    align = "left" if inward > 0 else "right"
    place = (column.middle + inward * 0.1, bottom - 0.15)
    ax.text(*place, text, size=SMALL, color=LIGHT["muted"], ha=align, va="center")


def _write_aside(ax: Axes, column: _Column, y: int | float, text: str) -> None:
    align = "left" if column.outward > 0 else "right"
    place = (column.middle + column.outward * 0.1, y)
    ax.text(*place, text, size=SMALL, color=LIGHT["muted"], ha=align, va="center")


def _draw_tokens(ax: Axes, middle: int | float, tokens: Sequence[str], name: str) -> None:
    """Draw the row of tokens that enters; where not all fit, some squares and an ellipsis."""
    widths = [max(0.2, text_width(token) / 72 + 0.06) for token in tokens]
    shown = tokens
    if len(tokens) > MOST_TOKENS or sum(widths) > BOX + 0.3:
        shown = [""] * (len(tokens) if len(tokens) <= MOST_TOKENS else MOST_TOKENS - 2)
        widths = [0.2] * len(shown)
    left = middle - sum(widths) / 2
    for token, width in zip(shown, widths, strict=True):
        square = {"facecolor": LIGHT["surface"], "edgecolor": LIGHT["hatch"], "linewidth": 0.8}
        ax.add_patch(Rectangle((left, 0.02), width - 0.03, 0.2, **square))
        ax.text(left + width / 2 - 0.015, 0.12, token, size=SMALL, parse_math=False, **CENTRE)
        left += width
    if len(shown) < len(tokens):
        ax.text(left + 0.1, 0.12, "…", **CENTRE)
    ax.text(middle, -0.12, name, **CENTRE)


def _draw_exit(ax: Axes, decoder: _Column) -> None:
    top = decoder.top
    _draw_arrow(ax, (decoder.middle, top), (decoder.middle, top + 0.2))
    shape = decoder.parts[-1].output_shape
    place = (decoder.middle - 0.1, top + 0.11)
    ax.text(*place, f"logits {shape}", size=SMALL, color=LIGHT["muted"], ha="right", va="center")


def _draw_memory(ax: Axes, encoder: _Column, decoder: _Column) -> None:
    """Lead what the encoder found to the decoder's cross-attention."""
    (cross,) = [part for part in decoder.parts if part.name == "cross-attention"]
    y = sum(decoder.places[cross.path]) / 2
    gutter, turn = (ENCODER + BOX + DECODER) / 2, encoder.top + 0.16
    path = [(encoder.middle, encoder.top), (encoder.middle, turn), (gutter, turn), (gutter, y)]
    ax.plot(*zip(*path, strict=True), color=LIGHT["accent"], gid="memory", **{**LINE, "lw": 2.2})
    _draw_arrow(ax, (gutter, y), (DECODER, y), color=LIGHT["accent"], lw=2.2)
    text = f"memory {encoder.parts[-1].output_shape}: keys, values"
    ax.text(ENCODER, turn + 0.14, text, color=LIGHT["accent"], va="center", size=SMALL)


KINDS = {
    "attention": "attention",
    "feed-forward": "feed-forward",
    "embedding": "embeddings",
    "positions": "positions",
    "output": "output",
    "norm": "norms",
}


def _total_kinds(parts: Sequence[PartSummary]) -> dict[str, int]:
    """Add up the parameters of each kind of part over all layers."""
    totals = dict.fromkeys(KINDS.values(), 0)
    for part in parts:
        kind = next(kind for sign, kind in KINDS.items() if sign in part.name)
        totals[kind] += part.parameters * part.repeats
    return {kind: total for kind, total in totals.items() if total}


def _draw_totals(ax: Axes, parts: Sequence[PartSummary], floor: int | float) -> None:
    """Draw all parameters by kind, and below them what the shapes mean."""
    totals = _total_kinds(parts)
    left, right, row = ENCODER - 0.2, ENCODER + BOX, 0.205
    y = floor + row * (len(totals) + 1)
    longest = max(text_width(f"{total:,}") for total in totals.values()) / 72
    ax.text(left, y + 0.1, f"{sum(totals.values()):,} parameters", size=FONT_SIZE + 2)
    for kind, total in totals.items():
        y -= row
        ax.text(left, y + 0.1, kind, va="center", size=SMALL)
        color = LIGHT["accent"] if kind == "attention" else LIGHT["hatch"]
        length = (right - 1.34 - 0.93 * longest) * total / max(totals.values())
        ax.add_patch(
            Rectangle(
                (1.2, y + 0.045), length, 0.11, color=color, gid=f"sum of {kind}", linewidth=0
            )
        )
        ax.text(right, y + 0.1, f"{total:,}", ha="right", va="center", size=SMALL)
    text = "arrows carry (batch, tokens, width)"
    ax.text(left, y - row + 0.08, text, va="center", size=SMALL, color=LIGHT["muted"])


def _draw_arrow(ax: Axes, start, end, color: str = LIGHT["ink"], lw: int | float = 1.3) -> None:
    style = {"arrowstyle": "-|>,head_width=0.16,head_length=0.3", "mutation_scale": 12, "lw": lw}
    ax.add_patch(FancyArrowPatch(start, end, shrinkA=0, shrinkB=0, color=color, **style))
