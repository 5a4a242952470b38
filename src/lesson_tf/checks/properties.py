"""Properties that many exercises share: kind and shape, agreement, finite numbers, rows of weights."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from lesson_tf.checks.closeness import same
from lesson_tf.checks.exercise import Property, Trial

Pick = Callable[[Any], Any]


def _whole(value: Any) -> Any:
    return value


def has_shape(
    title: str = "The result has the right kind and shape.", on: tuple[str, ...] = ()
) -> Property:
    """Return the property that every result has the kind and shape which the reference has."""
    return Property(title, lambda trials: _first(trials, _shape_complaint), on)


def agrees(
    title: str = "The numbers are right.",
    on: tuple[str, ...] = (),
    pick: Pick = _whole,
    weight: int = 2,
) -> Property:
    """Return the property that every result, or the part that `pick` picks, equals the reference's."""

    def complain(trial: Trial) -> str | None:
        return None if _picked_same(trial, pick) else _difference(trial, pick)

    return Property(title, lambda trials: _first(trials, complain), on, weight)


def is_finite(
    title: str = "Large numbers give no inf and no nan.",
    on: tuple[str, ...] = (),
    pick: Pick = _whole,
) -> Property:
    """Return the property that no result holds inf or nan, and that it has the reference's shape."""

    def complain(trial: Trial) -> str | None:
        if _shape_complaint(trial):
            return _shape_complaint(trial)
        bad = [part for part in _tensors(pick(trial.value)) if not part.double().isfinite().all()]
        return f"With {trial.call.words()} it holds inf or nan." if bad else None

    return Property(title, lambda trials: _first(trials, complain), on)


def rows_sum_to_one(title: str, pick: Pick, on: tuple[str, ...] = ()) -> Property:
    """Return the property that the rows of the tensor which `pick` picks are not negative and sum to 1."""

    def complain(trial: Trial) -> str | None:
        weights = _picked(trial, pick)
        if not isinstance(weights, Tensor) or not weights.dim():
            return f"With {trial.call.words()} there are no rows."
        sums = weights.double().sum(-1)
        if (weights < 0).any():
            return f"With {trial.call.words()} some weights are negative."
        if not torch.allclose(sums, torch.ones_like(sums), atol=1e-4):
            far = sums.flatten()[(sums - 1).abs().argmax()]
            return f"With {trial.call.words()} a row sums to {far:.5g}."
        return None

    return Property(title, lambda trials: _first(trials, complain), on)


def unchanged(title: str, complaint: str, before: str, after: str, pick: Pick) -> Property:
    """Return the property that what `pick` picks is the same for the calls labelled `before` and `after`.

    The inputs of the two differ in what must not matter, the future for instance.
    """

    def test(trials: Sequence[Trial]) -> str | None:
        first = [t for t in trials if t.call.label == before]
        second = [t for t in trials if t.call.label == after]
        for one, other in zip(first, second, strict=True):
            if not _picked_same(one, pick, against=_picked(other, pick)):
                return complaint
            if _shape_complaint(one):
                return _shape_complaint(one)
        return None

    return Property(title, test, (before, after))


def _first(trials: Sequence[Trial], complain: Callable[[Trial], str | None]) -> str | None:
    """Return the first complaint about the trials."""
    return next((said for said in map(complain, trials) if said), None)


def _picked(trial: Trial, pick: Pick) -> Any:
    """Return a part of an attempt's result, or None if it has no such part."""
    try:
        return pick(trial.value)
    except (TypeError, IndexError, KeyError, AttributeError, RuntimeError, ValueError):
        return None


def _picked_same(trial: Trial, pick: Pick, against: Any = ...) -> bool:
    wanted = pick(trial.expected) if against is ... else against
    return same(_picked(trial, pick), wanted)


def _shape_complaint(trial: Trial) -> str | None:
    found, wanted = kind_of(trial.value), kind_of(trial.expected)
    if found == wanted:
        return None
    return f"With {trial.call.words()} it returns {found}; {wanted} is wanted."


def kind_of(value: Any) -> str:
    """Return kind and shape of a value in words, without its numbers.

    >>> kind_of((torch.ones(2, 3), True))
    'a pair (a tensor (2, 3), a truth value)'
    """
    if isinstance(value, Tensor) and value.dim() == 0:
        value = value.item()
    if isinstance(value, Tensor):
        kinds = {torch.bool: " of truth values"}
        whole = not (value.dtype.is_floating_point or value.dtype == torch.bool)
        kind = " of whole numbers" if whole else kinds.get(value.dtype, "")
        return f"a tensor {tuple(value.shape)}{kind}"
    if isinstance(value, tuple):
        name = "a pair" if len(value) == 2 else f"a tuple of {len(value)}"
        return f"{name} ({', '.join(map(kind_of, value))})"
    names = {
        bool: "a truth value",
        int: "a number",
        float: "a number",
        str: "a text",
        list: "a list",
        dict: "a dict",
        type(None): "nothing",
    }
    return names.get(type(value), f"a {type(value).__name__}")


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, float):
        return [torch.tensor(value)]
    if isinstance(value, list | tuple):
        return [tensor for item in value for tensor in _tensors(item)]
    return []


def _difference(trial: Trial, pick: Pick) -> str:
    """Say where a result differs, never what would be right in numbers."""
    found, wanted = _picked(trial, pick), pick(trial.expected)
    with_what = f"With {trial.call.words()}"
    if found is None and trial.value is not None:
        return f"{with_what} it returns {kind_of(trial.value)}, in which this part is not found."
    if kind_of(found) != kind_of(wanted):
        return f"{with_what} it gives {kind_of(found)}; {kind_of(wanted)} is wanted."
    if isinstance(found, Tensor) and isinstance(wanted, Tensor) and found.dim() and found.numel():
        far = ~torch.isclose(found.double(), wanted.double(), rtol=1e-4, atol=1e-5, equal_nan=True)
        place = [int(index) for index in far.nonzero()[0]] if far.any() else []
        return f"{with_what} {int(far.sum())} of {far.numel()} entries differ, first at {place}."
    if isinstance(wanted, list | str) and not trial.call.private:
        return f"{with_what} it gives {_short(found)}; {_short(wanted)} is wanted."
    return f"{with_what} the result is another one."


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
