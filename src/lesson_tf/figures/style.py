"""The style sheet of the figures, their two widths, and what every picture shares."""

import sys
import unicodedata
from collections.abc import Sequence

import matplotlib
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lesson_tf.palette import LIGHT

# The import registers the font, and sets it for everybody: undo the second.
with matplotlib.rc_context():
    import matplotlib_fontja  # noqa: F401

TEXT_WIDTH = 6.0
"""Inches of a figure as wide as the text: 720 CSS pixels at 120 pixels an inch."""

PAGE_WIDTH = 7.8
"""Inches of a figure as wide as the page, 30 % wider than the text."""

FONT_SIZE = 10.5
"""Points of every label. Shown 700 CSS pixels wide, a text-wide figure has labels of 17 pixels, like
the text around it, and a page-wide one of 13."""

STYLE = {
    "figure.figsize": (TEXT_WIDTH, 4.0),
    "figure.dpi": 120,
    "figure.facecolor": LIGHT["paper"],
    "figure.titlesize": FONT_SIZE + 1,
    "figure.constrained_layout.h_pad": 0.08,
    "figure.constrained_layout.w_pad": 0.08,
    "savefig.dpi": 240,
    "savefig.facecolor": LIGHT["paper"],
    "savefig.bbox": "standard",
    "svg.hashsalt": "lesson_tf",
    # Latin and Japanese from one family; the second serves a few signs that the first lacks (≤).
    "font.family": ["IPAexGothic", "DejaVu Sans"],
    "font.size": FONT_SIZE,
    "mathtext.fontset": "dejavusans",
    "axes.titlesize": FONT_SIZE + 1,
    "axes.titlelocation": "left",
    "axes.titlepad": 9,
    "axes.labelsize": FONT_SIZE,
    "axes.labelpad": 5,
    "axes.facecolor": LIGHT["paper"],
    "axes.edgecolor": LIGHT["hatch"],
    "axes.labelcolor": LIGHT["ink"],
    "axes.titlecolor": LIGHT["ink"],
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "text.color": LIGHT["ink"],
    "xtick.labelsize": FONT_SIZE,
    "ytick.labelsize": FONT_SIZE,
    "xtick.color": LIGHT["hatch"],
    "ytick.color": LIGHT["hatch"],
    "xtick.labelcolor": LIGHT["ink"],
    "ytick.labelcolor": LIGHT["ink"],
    "legend.fontsize": FONT_SIZE,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "grid.color": LIGHT["rule"],
    "grid.linewidth": 0.7,
    "hatch.color": LIGHT["hatch"],
    "hatch.linewidth": 0.8,
    "image.interpolation": "nearest",
    "image.cmap": "lesson_tf.weights",
}
"""The one style sheet, as matplotlib's settings; `use_style` applies it."""

WEIGHTS = LinearSegmentedColormap.from_list("lesson_tf.weights", [LIGHT["paper"], LIGHT["accent"]])

SIGNED = LinearSegmentedColormap.from_list(
    "lesson_tf.signed", [LIGHT["negative"], LIGHT["paper"], LIGHT["positive"]]
)

for _colormap in (WEIGHTS, SIGNED):
    matplotlib.colormaps.register(_colormap, force=True)

# Hue, dash and marker change together, so that a line is known without its colour.
LINES = [
    {"color": LIGHT[role], "linestyle": dash, "marker": marker}
    for role, dash, marker in [
        ("accent", "-", "o"),
        ("key", (0, (5, 2)), "s"),
        ("query", (0, (1, 1.2)), "^"),
        ("value", (0, (5, 1.5, 1, 1.5)), "D"),
        ("muted", "-", "v"),
        ("ink", (0, (2.5, 1.5)), "P"),
        ("accent", (0, (1, 1.2)), "X"),
        ("key", "-", "*"),
    ]
]


def use_style() -> None:
    """Apply the course's style to every figure from here on, in a notebook's inline pictures too.

    Inline pictures keep the width of their figure (IPython would crop them) and are drawn at twice
    the resolution.

    >>> use_style()
    >>> matplotlib.rcParams["font.family"]
    ['IPAexGothic', 'DejaVu Sans']
    """
    matplotlib.rcParams.update(STYLE)
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if getattr(shell, "kernel", None) is None:
        return
    from matplotlib_inline.config import InlineBackend

    inline = InlineBackend.instance(parent=shell)
    inline.shell = shell
    inline.print_figure_kwargs = {"bbox_inches": None}
    inline.figure_formats = {"retina"}


def make_figure(
    figure: Figure | None, width: int | float, height: int | float, layout: str
) -> Figure:
    """Make a figure for pyplot to show, or set the layout of the one given."""
    if figure is None:
        return plt.figure(figsize=(width, height), layout=layout)
    figure.set_layout_engine(layout)
    return figure


def wide_axes(title: str | None, height: int | float = 3.6) -> Axes:
    """Make a figure as wide as the text."""
    return make_figure(
        None, TEXT_WIDTH, height + (0.3 if title else 0), "constrained"
    ).add_subplot()


def size_in_points(ax: Axes) -> tuple[float, float]:
    """Estimate the width and height of axes in points, before their layout is computed."""
    box = ax.get_position()
    width, height = ax.figure.get_size_inches() * 72
    return box.width * width, box.height * height


def whole_ticks(most: int = 8) -> MaxNLocator:
    """Place ticks at whole numbers, 1, 2 or 5 times a power of ten apart."""
    return MaxNLocator(most, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1)


def set_title(ax: Axes, title: str | None) -> None:
    """Write a title, if there is one."""
    if title:
        ax.set_title(title, loc="left")


def _luminance(color: Sequence[int | float]) -> float:
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def ink_on(background: Sequence[int | float]) -> str:
    """Choose black or the paper colour, whichever can be read on a background."""
    # Black, not ink: with luminance 0.18 as the limit, contrast is 4.5 everywhere (WCAG 2.2).
    return "#000000" if _luminance(background[:3]) > 0.18 else LIGHT["paper"]


def is_wide(character: str) -> bool:
    """Tell whether a character takes a full square, as Japanese ones do."""
    return unicodedata.east_asian_width(character) in "WF"


def text_width(label: str) -> float:
    """Estimate the width of a label in points."""
    return FONT_SIZE * sum(1.0 if is_wide(character) else 0.56 for character in label)
