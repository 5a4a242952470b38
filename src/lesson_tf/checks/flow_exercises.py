"""What the exercise on the shifted loss in chapter 4 must satisfy; its other ones have their own modules."""

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from lesson_tf.checks.answers import Call
from lesson_tf.checks.exercise import Exercise, Mistake, Property, Trial, Variant, carried_over
from lesson_tf.checks.properties import agrees, unchanged
from lesson_tf.training import sequence_loss


def _calls(generator: Generator) -> list[Call]:
    def call(
        batch: int, length: int, vocab: int, pads: tuple[int, ...], label: str, pad_id=0, scale=2.0
    ) -> Call:
        ids = torch.randint(vocab - 1, (batch, length), generator=generator)
        ids += ids >= pad_id  # No real token is padding.
        for row, count in enumerate(pads):
            ids[row, length - count :] = pad_id
        logits = scale * torch.randn(batch, length, vocab, generator=generator)
        return Call({"logits": logits, "token_ids": ids, "pad_id": pad_id}, label)

    plain = call(2, 5, 7, (0, 0), "full")
    last = plain.arguments["logits"].clone()
    last[:, -1] += 5 * torch.randn(2, 7, generator=generator)
    return [
        plain,
        Call({**plain.arguments, "logits": last}, "last"),
        call(3, 6, 9, (0, 2, 4), "padded"),
        call(2, 8, 5, (1, 5), "padded", pad_id=3),
        call(3, 7, 6, (0, 0, 0), "large", scale=600.0),
    ]


def _shifted_loss(logits: Tensor, token_ids: Tensor, pad_id: int) -> Tensor:
    return sequence_loss(logits[:, :-1], token_ids[:, 1:], pad_id)


def _nats(logits: Tensor, targets: Tensor) -> Tensor:
    return -logits.log_softmax(-1).gather(-1, targets[..., None]).squeeze(-1)


def _cut(predicting: slice, predicted: slice):
    """Return a loss of other places of the logits against other tokens."""

    def shifted_loss(logits: Tensor, token_ids: Tensor, pad_id: int) -> Tensor:
        return sequence_loss(logits[:, predicting], token_ids[:, predicted], pad_id)

    return shifted_loss


_ALL, _BUT_LAST, _BUT_FIRST = slice(None), slice(None, -1), slice(1, None)


def _averaged(average: Callable[[Tensor, Tensor], Tensor], nats: Callable = _nats):
    """Return a loss that makes one number of the nats, and of which targets are real, otherwise."""

    def shifted_loss(logits: Tensor, token_ids: Tensor, pad_id: int) -> Tensor:
        targets = token_ids[:, 1:]
        return average(nats(logits[:, :-1], targets), targets != pad_id)

    return shifted_loss


def _mean_of_real(nats: Tensor, real: Tensor) -> Tensor:
    return nats[real].mean()


def _log_of_softmax(logits: Tensor, targets: Tensor) -> Tensor:
    return -logits.softmax(-1).gather(-1, targets[..., None]).squeeze(-1).log()


def _real_inputs(logits: Tensor, token_ids: Tensor, pad_id: int) -> Tensor:
    return _nats(logits[:, :-1], token_ids[:, 1:])[token_ids[:, :-1] != pad_id].mean()


def _unshifted_and_padded(logits: Tensor, token_ids: Tensor, pad_id: int) -> Tensor:
    return _nats(logits, token_ids).mean()


def _padding_zero(logits: Tensor, token_ids: Tensor, pad_id: int) -> Tensor:
    return _shifted_loss(logits, token_ids, 0)


def _is_a_loss(trials: list[Trial]) -> str | None:
    """Complain unless every result is one positive number, and not the same for all texts."""
    found = set()
    for trial in trials:
        value = trial.value
        if isinstance(value, Tensor) and not value.dim():
            value = value.item()
        if isinstance(value, bool) or not isinstance(value, float | int) or not value > 0:
            return f"With {trial.call.words()} the result is not one positive number."
        found.add(value)
    return None if len(found) > 1 else "The result is the same for all texts."


def _in_units_of(base: int) -> Callable[[Callable], Callable]:
    """Return what measures any loss by the logarithm of a base."""

    def change(loss: Callable) -> Callable:
        return lambda logits, token_ids, pad_id: loss(logits, token_ids, pad_id) / math.log(base)

    return change


_NOT_SHIFTED = (
    "nothing is shifted: the logits at place t predict the token at place t + 1, and here they are asked "
    "for the token that they have just read."
)

_MISTAKES = (
    Mistake(_NOT_SHIFTED, _cut(_ALL, _ALL)),
    Mistake(
        "both tensors are cut at the end, so nothing is shifted: cut the last place from the logits, and "
        "the first token from the targets.",
        _cut(_BUT_LAST, _BUT_LAST),
    ),
    Mistake(
        "both tensors are cut at the front, so nothing is shifted: cut the last place from the logits, "
        "and the first token from the targets.",
        _cut(_BUT_FIRST, _BUT_FIRST),
    ),
    Mistake(
        "shifted the wrong way: cut the last place from the logits, and the first token from the targets.",
        _cut(_BUT_FIRST, _BUT_LAST),
    ),
    Mistake(
        "padding is counted as a token to be predicted: leave these places out of the mean.",
        _averaged(lambda nats, real: nats.mean()),
    ),
    Mistake("the padding is taken to be 0: compare with `pad_id`.", _padding_zero),
    Mistake(
        "padding is looked for among the tokens that were read: leave out the targets that are padding.",
        _real_inputs,
    ),
    Mistake(
        "each text has its own mean, and these are averaged: a short text then weighs as much as a long "
        "one. Add all nats, and divide by the number of real targets.",
        _averaged(lambda nats, real: ((nats * real).sum(1) / real.sum(1)).mean()),
    ),
    Mistake(
        "the nats of real targets are divided by the number of all places: divide by the number of real "
        "targets.",
        _averaged(lambda nats, real: (nats * real).mean()),
    ),
    Mistake(
        "the nats are added; their mean is wanted.",
        _averaged(lambda nats, real: (nats * real).sum()),
    ),
    Mistake(
        "the sign is missing: the loss is minus the mean log probability.",
        _averaged(lambda nats, real: -nats[real].mean()),
    ),
    Mistake(
        "the probability underflows to 0, and its logarithm is -inf: use `log_softmax` or "
        "`cross_entropy`, which never leave the logarithm.",
        _averaged(_mean_of_real, _log_of_softmax),
    ),
    Mistake(
        "a softmax stands before the cross-entropy, which has its own: give it the logits.",
        _averaged(_mean_of_real, lambda logits, targets: _nats(logits.softmax(-1), targets)),
    ),
    Mistake(
        "this is the perplexity, the exponential of the loss.",
        lambda logits, token_ids, pad_id: _shifted_loss(logits, token_ids, pad_id).exp(),
    ),
    Mistake("two at once: nothing is shifted, and padding is counted.", _unshifted_and_padded),
)

shifted_loss = Exercise(
    name="Shift and loss",
    attempt="shifted_loss",
    reference=_shifted_loss,
    calls=_calls,
    properties=(
        Property("The loss is one positive number, another one for other texts.", _is_a_loss),
        unchanged(
            "What the last token predicts is not judged: no target follows it.",
            "The loss changes with the logits of the last token, for which there is no target.",
            "full",
            "last",
            lambda loss: loss,
        ),
        agrees("Without padding the loss is right.", on=("full", "last")),
        agrees("With padding, whatever its id, the loss is right.", on=("padded",)),
        agrees("Large logits give the right loss, not inf.", on=("large",), weight=1),
    ),
    mistakes=_MISTAKES,
    variants=tuple(
        Variant(
            f"In your variant the loss is measured in {unit}: divide the nats by the logarithm of {base}.",
            _in_units_of(base)(_shifted_loss),
            carried_over(_MISTAKES, _in_units_of(base)),
        )
        for unit, base in (("bits", 2), ("trits", 3), ("digits", 10), ("hexits", 16))
    ),
)
