"""Right answers in a wrong form, which no exercise has to list as mistakes of its own."""

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import torch
from torch import Tensor

from lesson_tf.checks.closeness import same

_HALF = (torch.float16, torch.bfloat16)
_COARSE = 0.02  # bfloat16 keeps eight bits, and errors add up


def wrong_form(found: Sequence[Any], wanted: Sequence[Any]) -> str:
    """Return the sentence on answers that are right but for their form, or an empty text.

    >>> wrong_form([(2.0, 1.0)], [(1.0, 2.0)])
    'the right parts are returned, in another order.'
    """
    pairs = list(zip(found, wanted, strict=True))
    if not pairs:
        return ""
    if all(_is_in_half(one) and _is_near(one, other) for one, other in pairs):
        return (
            "the numbers are in half precision, which keeps about three digits: compute and return them "
            "in float32."
        )
    if all(_is_reordered(one, other) for one, other in pairs):
        return "the right parts are returned, in another order."
    return ""


def _is_in_half(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(map(_is_in_half, value))
    return isinstance(value, Tensor) and value.dtype in _HALF


def _is_near(found: Any, wanted: Any) -> bool:
    """Say whether two answers agree as far as half precision can."""
    if isinstance(wanted, list | tuple):
        fits = isinstance(found, list | tuple) and len(found) == len(wanted)
        return fits and all(map(_is_near, found, wanted))
    if not isinstance(found, Tensor) or not isinstance(wanted, Tensor | float):
        return same(found, wanted)
    right = torch.as_tensor(wanted).double()
    if found.shape != right.shape or not right.numel():
        return found.shape == right.shape
    tolerance = _COARSE * float(right.abs().max())
    return torch.allclose(found.double(), right, rtol=_COARSE, atol=tolerance)


def _is_reordered(found: Any, wanted: Any) -> bool:
    if not isinstance(wanted, tuple) or not isinstance(found, list | tuple):
        return False
    if len(found) != len(wanted) or same(found, wanted):
        return False
    return any(same(parts, wanted) for parts in permutations(found))
