"""Values as text that nothing can execute: how arguments go into a sandbox, and answers come out.

Numbers, words, lists, tuples, dicts and dense tensors pass; everything else is refused by name.
"""

import base64
import math
from typing import Any

import torch
from torch import Tensor

DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        *(torch.float64, torch.float32, torch.float16, torch.bfloat16),
        *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
    )
}
MOST_ENTRIES = 10_000_000
DEEPEST = 20


class UnreadableValueError(ValueError):
    """A value that is not one of those that pass, or is too large."""


def encode(value: Any, depth: int = 0) -> Any:
    """Return a value as what JSON can hold; raises UnreadableValueError for anything else.

    >>> encode((1, "two"))
    {'tuple': [1, 'two']}
    """
    if depth > DEEPEST:
        raise UnreadableValueError(f"it is nested more than {DEEPEST} deep")
    if value is None or type(value) in (bool, int, float, str):
        return value
    if value is Ellipsis:
        return {"ellipsis": True}
    if isinstance(value, Tensor):
        return _encode_tensor(value)
    if type(value).__module__ == "numpy":
        return _encode_tensor(torch.as_tensor(value))
    if isinstance(value, list):
        return [encode(item, depth + 1) for item in value]
    if isinstance(value, tuple):
        return {"tuple": [encode(item, depth + 1) for item in value]}
    if isinstance(value, dict):
        pairs = [[encode(k, depth + 1), encode(v, depth + 1)] for k, v in value.items()]
        return {"dict": pairs}
    raise UnreadableValueError(
        f"it is of type {type(value).__name__}; tensors, numbers, words, lists, tuples and dicts can be read"
    )


def _encode_tensor(tensor: Tensor) -> dict[str, Any]:
    name = str(tensor.dtype).removeprefix("torch.")
    if name not in DTYPES:
        raise UnreadableValueError(f"it is a tensor of {name}; use one of {', '.join(DTYPES)}")
    if tensor.numel() > MOST_ENTRIES:
        raise UnreadableValueError(f"it is a tensor of {tensor.numel()} entries")
    plain = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    # As bytes: numpy knows no bfloat16.
    data = plain.reshape(-1).view(torch.uint8).numpy().tobytes() if plain.numel() else b""
    return {"tensor": name, "shape": list(plain.shape), "data": base64.b64encode(data).decode()}


def decode(data: Any, depth: int = 0) -> Any:
    """Return the value that `encode` wrote; raises UnreadableValueError for anything it did not write.

    >>> decode(encode([True, (0.5, None)]))
    [True, (0.5, None)]
    """
    if depth > DEEPEST:
        raise UnreadableValueError(f"it is nested more than {DEEPEST} deep")
    if data is None or type(data) in (bool, int, float, str):
        return data
    if type(data) is list:
        return [decode(item, depth + 1) for item in data]
    if type(data) is dict:
        if set(data) == {"ellipsis"}:
            return Ellipsis
        if set(data) == {"tuple"} and type(data["tuple"]) is list:
            return tuple(decode(item, depth + 1) for item in data["tuple"])
        if set(data) == {"dict"} and type(data["dict"]) is list:
            return _decode_dict(data["dict"], depth)
        if set(data) == {"tensor", "shape", "data"}:
            return _decode_tensor(data)
    raise UnreadableValueError("it is not written as a value is written")


def _decode_dict(pairs: list, depth: int) -> dict:
    if not all(type(pair) is list and len(pair) == 2 for pair in pairs):
        raise UnreadableValueError("a dict is written as pairs")
    decoded = [(decode(k, depth + 1), decode(v, depth + 1)) for k, v in pairs]
    if not all(isinstance(key, str | int | float | bool | None) for key, _ in decoded):
        raise UnreadableValueError("the keys of a dict are words or numbers")
    return dict(decoded)


def _decode_tensor(data: dict) -> Tensor:
    name, shape, text = data["tensor"], data["shape"], data["data"]
    if not (type(name) is str and name in DTYPES and type(text) is str and type(shape) is list):
        raise UnreadableValueError("a tensor is written as its type, its shape and its bytes")
    if len(shape) > DEEPEST or not all(type(size) is int and size >= 0 for size in shape):
        raise UnreadableValueError("a shape is a list of sizes")
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise UnreadableValueError("the bytes of a tensor are written in base64") from error
    dtype = DTYPES[name]
    entries = math.prod(shape)
    if entries > MOST_ENTRIES or entries * dtype.itemsize != len(raw):
        raise UnreadableValueError(f"a tensor of shape {shape} needs other bytes than {len(raw)}")
    if not entries:
        return torch.empty(shape, dtype=dtype)
    if dtype == torch.bool and any(byte > 1 for byte in raw):
        raise UnreadableValueError("a truth value is written as 0 or 1")
    return torch.frombuffer(bytearray(raw), dtype=torch.uint8).view(dtype).reshape(shape)
