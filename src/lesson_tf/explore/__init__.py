"""Explorers: pictures with controls, recomputed by the package with a kernel, drawn once without.

>>> from lesson_tf import explore
>>> explore.heads(heads=8)
Explorer heads: d_model=64, heads=8
"""

from lesson_tf.explore.attention import heads, masks, softmax
from lesson_tf.explore.explorer import Choice, Explorer, Slider, State
from lesson_tf.explore.positional_encoding import waves

__all__ = ["Choice", "Explorer", "Slider", "State", "heads", "masks", "softmax", "waves"]
