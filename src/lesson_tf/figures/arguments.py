"""What a reader gave a figure: arrays, masks and labels, and sentences about what is wrong with them."""

from collections.abc import Iterable, Sequence
from numbers import Integral

import numpy as np

from lesson_tf.palette import LIGHT


def as_numbers(values) -> np.ndarray:
    """Turn tensors, arrays and nested lists into an array of floats."""
    if hasattr(values, "detach"):
        return values.detach().cpu().double().numpy()
    if isinstance(values, list | tuple):
        values = [as_numbers(value) for value in values]
    return np.asarray(values, dtype=float)


def as_array(values, name: str, dimensions: Sequence[str], mask=None) -> np.ndarray:
    """Give values back as an array with the named dimensions, or say what does not fit."""
    try:
        array = as_numbers(values)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name} is no array of numbers ({error}); give equal rows") from error
    wanted = f"({', '.join(dimensions)}{',' if len(dimensions) == 1 else ''})"
    if array.ndim != len(dimensions):
        hint = ""
        if array.ndim > len(dimensions):
            index = ", ".join(["0"] * (array.ndim - len(dimensions)))
            hint = f"; choose one part, such as {name}[{index}]"
        raise ValueError(f"{name} has shape {array.shape}, but {wanted} is drawn{hint}")
    if array.size == 0:
        raise ValueError(f"{name} has shape {array.shape} and holds nothing; give at least one")
    broken = ~np.isfinite(array) & as_mask(mask, array.shape)
    if broken.any():
        place = tuple(int(i) for i in np.argwhere(broken)[0])
        place = place[0] if len(place) == 1 else place
        raise ValueError(
            f"{name} holds {array[place]} at {place}; only finite numbers can be drawn, "
            "but where a mask hides the cell"
        )
    return array


def as_mask(mask, shape: Sequence[int]) -> np.ndarray:
    """Give a mask back at full shape, True where attention is allowed; no mask allows all."""
    if mask is None:
        return np.ones(shape, dtype=bool)
    allowed = np.asarray(mask.detach().cpu() if hasattr(mask, "detach") else mask)
    if allowed.dtype != bool:
        raise ValueError(
            f"mask has dtype {allowed.dtype}; use a boolean mask, True where attention is allowed"
        )
    while allowed.ndim > len(shape) and allowed.shape[0] == 1:
        allowed = allowed[0]
    try:
        return np.broadcast_to(allowed, shape)
    except ValueError as error:
        raise ValueError(
            f"mask has shape {allowed.shape}, which does not broadcast to {tuple(shape)}; "
            f"use {tuple(shape)} or 1 for a dimension that is all the same"
        ) from error


def check_weights(
    weights: np.ndarray, allowed: np.ndarray, name: str, kind: str = "attention weights"
) -> None:
    """Refuse what is not between 0 and 1."""
    shown = weights[allowed]
    low, high = shown.min(initial=0.0), shown.max(initial=0.0)
    if low < -1e-5 or high > 1 + 1e-5:
        raise ValueError(
            f"{name} runs from {low:.3g} to {high:.3g}, but {kind} lie between 0 and 1; "
            "draw scores with signed_heatmap, or take their softmax first"
        )


def check_count(given: int, wanted: int, name: str, side: str) -> None:
    """Refuse a list that does not match the side it belongs to."""
    if given != wanted:
        raise ValueError(f"{name} has {given} entries; give {wanted}, one for each {side}")


def check_annotate(annotate: bool, columns: int) -> None:
    """Refuse numbers in cells too small for them."""
    if annotate and columns > 16:
        raise ValueError(
            f"annotate=True with {columns} columns leaves no readable number; "
            "use at most 16 columns, or annotate=False"
        )


def check_palette(color: str) -> None:
    """Refuse a colour that is not in the palette."""
    if color not in LIGHT:
        raise ValueError(f"color={color!r} is not in the palette; use one of {sorted(LIGHT)}")


def check_dimensions(dimensions: Sequence[int], d_model: int) -> None:
    """Refuse dimensions that a table of width d_model does not have."""
    if len(dimensions) == 0:
        raise ValueError(f"dimensions is empty; use some of 0 to {d_model - 1}")
    for dimension in dimensions:
        if not 0 <= dimension < d_model:
            nearest = min(max(dimension, 0), d_model - 1)
            raise ValueError(
                f"dimension {dimension} is not in a table with d_model={d_model}; "
                f"use 0 to {d_model - 1}, the nearest is {nearest}"
            )


def as_list(values, name: str) -> list:
    """Read a list, an array or a tensor of one dimension as a list."""
    values = values.tolist() if hasattr(values, "tolist") else values
    if not isinstance(values, Iterable):
        raise ValueError(f"{name}={values!r} is no list; give one, such as ['a', 'b']")
    return list(values)


def check_index(index, count: int, name: str, of: str) -> None:
    """Refuse what is no index of `count` things; None chooses nothing."""
    whole = isinstance(index, Integral) and not isinstance(index, bool)
    if index is not None and not (whole and 0 <= index < count):
        raise ValueError(f"{name}={index!r} is not {of}; use 0 to {count - 1}, or None")


def as_labels(labels: Iterable | None, count: int, name: str, side: str) -> list[str] | None:
    """Give labels back as strings, one for each entry of a side."""
    if labels is None:
        return None
    labels = as_list(labels, name)
    check_count(len(labels), count, name, side)
    return [visible(str(label)) for label in labels]


def token_labels(queries, keys, shape: Sequence[int]) -> tuple[list[str] | None, list[str] | None]:
    """Give the labels of both sides of a matrix; a square one takes its queries for both."""
    rows, columns = shape
    if keys is None and queries is not None and rows == columns:
        keys = queries = list(queries)
    return (
        as_labels(queries, rows, "queries", "row of weights"),
        as_labels(keys, columns, "keys", "column of weights"),
    )


def visible(label: str) -> str:
    """Make white space visible where a token begins or ends with it, or is nothing else."""
    body = label.strip()
    if not body:
        return _show_space(label)
    start = label.index(body)
    return _show_space(label[:start]) + body + _show_space(label[start + len(body) :])


def _show_space(space: str) -> str:
    return space.replace("\n", "↵").replace("\t", "→").replace(" ", "␣")
