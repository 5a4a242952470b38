"""Explorers: pictures with controls, recomputed by the package with a kernel, drawn once without.

>>> from lesson_tf import explore
>>> explore.heads(heads=8)
Explorer heads: text=令和6年3月5日, d_model=64, heads=8, attention=encoder
"""

from lesson_tf.explore.attention import masks, softmax
from lesson_tf.explore.byte_pairs import merges
from lesson_tf.explore.controls import Choice, Slider, Text
from lesson_tf.explore.explorer import Explorer, Prediction, State
from lesson_tf.explore.flow import flow
from lesson_tf.explore.language_model import next_token
from lesson_tf.explore.long_range import distance
from lesson_tf.explore.positional_encoding import waves
from lesson_tf.explore.trained_heads import heads
from lesson_tf.explore.translation import translate

__all__ = [
    "Choice",
    "Explorer",
    "Prediction",
    "Slider",
    "State",
    "Text",
    "distance",
    "flow",
    "heads",
    "masks",
    "merges",
    "next_token",
    "softmax",
    "translate",
    "waves",
]
