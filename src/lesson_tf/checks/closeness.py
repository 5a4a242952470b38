"""When two answers are the same: numbers up to rounding, everything else exactly."""

import math
from typing import Any

import torch
from torch import Tensor

RELATIVE = 1e-4


def same(found: Any, wanted: Any) -> bool:
    """Say whether two answers agree: structure and shapes, and numbers up to rounding.

    >>> same((torch.ones(2), 3), (torch.ones(2) + 1e-7, 3)), same(torch.ones(2), torch.ones(2, 1))
    (True, False)
    """
    found, wanted = _as_number(found), _as_number(wanted)
    if isinstance(wanted, Tensor):
        return isinstance(found, Tensor) and _same_tensor(found, wanted)
    if isinstance(wanted, list | tuple):
        same_length = isinstance(found, list | tuple) and len(found) == len(wanted)
        return same_length and all(map(same, found, wanted))
    if isinstance(wanted, dict):
        same_keys = isinstance(found, dict) and set(found) == set(wanted)
        return same_keys and all(same(found[key], wanted[key]) for key in wanted)
    if isinstance(wanted, bool) or isinstance(found, bool):
        return isinstance(wanted, bool) and isinstance(found, bool) and found == wanted
    if isinstance(wanted, int | float) and isinstance(found, int | float):
        return _same_number(found, wanted)
    return type(found) is type(wanted) and found == wanted


def _as_number(value: Any) -> Any:
    """Return a tensor without axes as the number that it holds."""
    return value.item() if isinstance(value, Tensor) and value.dim() == 0 else value


def _same_number(found: int | float, wanted: int | float) -> bool:
    if isinstance(found, int) and isinstance(wanted, int):
        return found == wanted
    if isinstance(found, int) and found.bit_length() > 1000:
        return False  # No float holds it.
    if math.isnan(wanted) or math.isnan(found):
        return math.isnan(wanted) and math.isnan(found)
    return math.isclose(found, wanted, rel_tol=RELATIVE, abs_tol=1e-7)


def _same_tensor(found: Tensor, wanted: Tensor) -> bool:
    if found.shape != wanted.shape or (found.dtype == torch.bool) != (wanted.dtype == torch.bool):
        return False
    if not wanted.numel():
        return True
    finite = wanted.double()[wanted.double().isfinite()]
    scale = float(finite.abs().max()) if finite.numel() else 1.0
    return torch.allclose(
        found.double(), wanted.double(), rtol=RELATIVE, atol=RELATIVE * scale, equal_nan=True
    )
