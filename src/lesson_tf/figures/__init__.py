"""Pictures of the course: every function takes data, draws, and gives back Axes.

Data may be torch tensors, numpy arrays or lists. With `ax` given, a function draws there and makes
no figure; without, it makes a pyplot figure of one of two widths, `TEXT_WIDTH` or `PAGE_WIDTH`.
Nothing calls `plt.show()`. A wrong argument raises `ValueError` before any figure is made.

Rows of a heatmap are queries, columns are keys. Weights run from 0 to 1 in every picture, signed
values are centred on 0, and a cell that a mask hides is hatched, never pale, for pale means small.
"""

from lesson_tf.figures.alignment import alignment
from lesson_tf.figures.architecture import MODEL_PARTS, model_map
from lesson_tf.figures.attention_steps import attention_steps
from lesson_tf.figures.charts import bar_panels, bars, curves, vectors
from lesson_tf.figures.heatmaps import (
    attention_heatmap,
    head_heatmaps,
    positional_heatmap,
    signed_heatmap,
)
from lesson_tf.figures.linked_map import LinkedMap
from lesson_tf.figures.model_architecture import model_architecture
from lesson_tf.figures.next_token import next_token_bars, next_token_rows
from lesson_tf.figures.points import points
from lesson_tf.figures.reordering import reordering
from lesson_tf.figures.residual_flow import residual_flow
from lesson_tf.figures.shaping import next_token_shaping
from lesson_tf.figures.style import (
    FONT_SIZE,
    PAGE_WIDTH,
    SIGNED,
    STYLE,
    TEXT_WIDTH,
    WEIGHTS,
    use_style,
)
from lesson_tf.figures.token_chips import token_chips
from lesson_tf.figures.tokens import token_layers, token_row
from lesson_tf.figures.translation import translation
from lesson_tf.figures.waves import positional_waves, wave_views

__all__ = [
    "FONT_SIZE",
    "MODEL_PARTS",
    "PAGE_WIDTH",
    "SIGNED",
    "STYLE",
    "TEXT_WIDTH",
    "WEIGHTS",
    "LinkedMap",
    "alignment",
    "attention_heatmap",
    "attention_steps",
    "bar_panels",
    "bars",
    "curves",
    "head_heatmaps",
    "model_architecture",
    "model_map",
    "next_token_bars",
    "next_token_rows",
    "next_token_shaping",
    "points",
    "positional_heatmap",
    "positional_waves",
    "reordering",
    "residual_flow",
    "signed_heatmap",
    "token_chips",
    "token_layers",
    "token_row",
    "translation",
    "use_style",
    "vectors",
    "wave_views",
]
