"""What the exercises of chapter 1 must satisfy: attention, heads as a reshape, two masks."""

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor

from lesson_tf.attention import causal_mask, padding_mask, scaled_dot_product_attention
from lesson_tf.checks.answers import Call
from lesson_tf.checks.closeness import same
from lesson_tf.checks.exercise import Exercise, Mistake, Property, Trial, Variant, carried_over
from lesson_tf.checks.properties import agrees, has_shape, is_finite, rows_sum_to_one

# --- Attention from the formula ---------------------------------------------------------------------


def _attention_calls(generator: Generator) -> list[Call]:
    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    # Unequal sizes: with equal ones, swapped axes pass.
    single = {"query": draw(5, 8), "key": draw(7, 8), "value": draw(7, 3)}
    batch = {"query": draw(2, 3, 4, 6), "key": draw(2, 3, 5, 6), "value": draw(2, 3, 5, 2)}
    large = {"query": 300 * draw(3, 4), "key": 300 * draw(6, 4), "value": draw(6, 2)}
    return [Call(single), Call(batch, "batch"), Call(large, "large")]


def _attention(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    return scaled_dot_product_attention(query, key, value)


def _d_k(query: Tensor, key: Tensor, value: Tensor) -> int:
    return query.shape[-1]


def _wrong_attention(exponent: float = 0.5, axis: int = -1, size: Callable[..., int] = _d_k):
    """Return attention whose softmax runs along `axis`, of scores divided by a power of a size."""

    def attention(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        scores = query @ key.mT / size(query, key, value) ** exponent
        weights = scores.softmax(axis)
        return weights @ value, weights

    return attention


def _weighted_by(weigh: Callable[[Tensor, float], Tensor]):
    """Return attention whose weights are made otherwise, from undivided scores and the root of d_k."""

    def attention(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        weights = weigh(query @ key.mT, query.shape[-1] ** 0.5)
        return weights @ value, weights

    return attention


def _exponentials_shared(scores: Tensor, root: float) -> Tensor:
    exponentials = (scores / root).exp()
    return exponentials / exponentials.sum(-1, keepdim=True)


def _scores_for_weights(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    scores = query @ key.mT / query.shape[-1] ** 0.5
    return scores.softmax(-1) @ value, scores


def _tempered(temperature: float) -> Callable[[Callable], Callable]:
    """Return what divides the scores of any attention by a temperature, too."""

    def change(attend: Callable) -> Callable:
        return lambda query, key, value: attend(query / temperature, key, value)

    return change


_MISTAKES = (
    Mistake(
        "the scale is missing: divide the scores by the square root of d_k, the width of a key.",
        _wrong_attention(exponent=0.0),
    ),
    Mistake(
        "the softmax runs over the queries: each query shares its attention among the keys, so its "
        "axis is the last one.",
        _wrong_attention(axis=-2),
    ),
    Mistake(
        "the scores are divided by d_k; its square root is wanted.",
        _wrong_attention(exponent=1.0),
    ),
    Mistake(
        "two at once: the scale is missing, and the softmax runs over the queries.",
        _wrong_attention(exponent=0.0, axis=-2),
    ),
    Mistake(
        "the scores are multiplied by the square root of d_k; divide by it.",
        _wrong_attention(exponent=-0.5),
    ),
    Mistake(
        "the scale comes from the width of the values; d_k is the width of a key.",
        _wrong_attention(size=lambda query, key, value: value.shape[-1]),
    ),
    Mistake(
        "the scale comes from the number of keys; d_k is the width of one key.",
        _wrong_attention(size=lambda query, key, value: key.shape[-2]),
    ),
    Mistake(
        "the axis of the softmax is counted from the front: 1 is another axis as soon as there are "
        "axes for batch and heads. Count from the back: the keys are always at -1.",
        _wrong_attention(axis=1),
    ),
    Mistake(
        "the softmax runs over the first axis; the keys are on the last one, at -1.",
        _wrong_attention(axis=0),
    ),
    Mistake(
        "the division comes after the softmax, so no row sums to 1: divide the scores, before it.",
        _weighted_by(lambda scores, root: scores.softmax(-1) / root),
    ),
    Mistake(
        "the softmax is missing: scores become weights by a softmax over the keys.",
        _weighted_by(lambda scores, root: scores / root),
    ),
    Mistake(
        "the exponentials overflow: use `softmax`, or subtract each row's largest score first.",
        _weighted_by(_exponentials_shared),
    ),
    Mistake(
        "the scores are returned in the place of the weights: return what the softmax gives.",
        _scores_for_weights,
    ),
)

_rows = rows_sum_to_one("", lambda pair: pair[1])


def _shares_by_score(trials: Sequence[Trial]) -> str | None:
    """Complain unless rows of weights sum to 1, and give each query's best key its largest weight."""
    complaint = _rows.test(trials)
    if complaint:
        return complaint
    for trial in trials:
        if not same(trial.value[1].argmax(-1), trial.expected[1].argmax(-1)):
            return f"With {trial.call.words()} the largest weight is not at the largest score."
    return None


attention = Exercise(
    name="Attention from the formula",
    attempt="attention",
    reference=_attention,
    calls=_attention_calls,
    properties=(
        has_shape("It returns output and weights, in the right shapes.", on=("", "batch")),
        Property("Each row of weights sums to 1.", _shares_by_score, weight=2),
        is_finite("Large scores give no inf and no nan.", on=("large",)),
        agrees("The weights are right.", pick=lambda pair: pair[1], weight=3),
        agrees("The output is right.", pick=lambda pair: pair[0], weight=1),
    ),
    mistakes=_MISTAKES,
    variants=tuple(
        Variant(
            f"In your variant the scores are also divided by a temperature of {temperature}, before the "
            "softmax.",
            _tempered(temperature)(_attention),
            carried_over(_MISTAKES, _tempered(temperature)),
        )
        for temperature in (0.5, 1.5, 2.0, 2.5, 3.0)
    ),
)

# --- Heads as a reshape -------------------------------------------------------------------------------


def _split_calls(generator: Generator) -> list[Call]:
    return [
        Call({"x": torch.randn(2, 5, 12, generator=generator), "heads": 3}),
        Call({"x": torch.randn(3, 4, 8, generator=generator), "heads": 2}),
        Call({"x": torch.randn(1, 3, 6, generator=generator), "heads": 1}),
    ]


def _split_heads(x: Tensor, heads: int) -> Tensor:
    batch, length, d_model = x.shape
    return x.view(batch, length, heads, d_model // heads).transpose(1, 2)


def _without_transpose(x: Tensor, heads: int) -> Tensor:
    batch, length, d_model = x.shape
    return x.view(batch, length, heads, d_model // heads)


def _tokens_mixed(x: Tensor, heads: int) -> Tensor:
    batch, length, d_model = x.shape
    return x.view(batch, heads, length, d_model // heads)


def _interleaved(x: Tensor, heads: int) -> Tensor:
    batch, length, d_model = x.shape
    return x.view(batch, length, d_model // heads, heads).permute(0, 3, 1, 2)


def _turned(x: Tensor, heads: int) -> Tensor:
    batch, length, d_model = x.shape
    return x.mT.reshape(batch, heads, length, d_model // heads)


def _keeps_tokens(trials: Sequence[Trial]) -> str | None:
    """Complain unless the heads together hold each token's own numbers, in whatever order."""
    for trial in trials:
        x, split = trial.call.arguments["x"], trial.value
        if split.shape != trial.expected.shape:
            return f"With {trial.call.words()} the shape is another one."
        if not same(split.transpose(1, 2).flatten(2).sort().values, x.sort().values):
            return f"With {trial.call.words()} a token holds other numbers than its own."
    return None


split_heads = Exercise(
    name="Heads as a reshape",
    attempt="split_heads",
    reference=_split_heads,
    calls=_split_calls,
    properties=(
        has_shape("The shape is (batch, heads, length, d_k)."),
        Property("A token's numbers stay with the token.", _keeps_tokens, weight=2),
        agrees("Each head gets its own neighbouring columns."),
    ),
    mistakes=(
        Mistake(
            "the transpose is missing: after the view, the axis of heads stands behind the axis of tokens.",
            _without_transpose,
        ),
        Mistake(
            "tokens are mixed: a view into (batch, heads, length, d_k) cuts the memory in the wrong "
            "place. View as (batch, length, heads, d_k) first, then swap the two axes.",
            _tokens_mixed,
        ),
        Mistake(
            "the columns are dealt out like cards: head 0 gets columns 0, heads, 2·heads and so on. It "
            "should get the first d_k columns.",
            _interleaved,
        ),
        Mistake(
            "the axes are swapped before the cut, so that a row mixes several tokens. View "
            "as (batch, length, heads, d_k) first, then swap length and heads.",
            _turned,
        ),
    ),
)

# --- Two masks ----------------------------------------------------------------------------------------


def _mask_calls(generator: Generator) -> list[Call]:
    def ids(*shape: int) -> Tensor:
        return torch.randint(1, 9, shape, generator=generator)

    padded, late = ids(2, 5), ids(3, 6)
    padded[0, 3:] = 0
    # Padding at the end is hidden from real tokens by the causal mask alone: some must stand in front.
    late[0, :2] = 7
    late[1, 4:] = 7
    late[2, 1:] = 7
    return [
        Call({"token_ids": padded, "pad_id": 0}),
        Call({"token_ids": ids(1, 4), "pad_id": 0}, "full"),
        Call({"token_ids": late, "pad_id": 7}),
    ]


def _decoder_mask(token_ids: Tensor, pad_id: int) -> Tensor:
    return causal_mask(token_ids.shape[1]) & padding_mask(token_ids, pad_id)


def _wrong_mask(combine: Callable[[Tensor, Tensor], Tensor]):
    """Return a mask made otherwise from the past, (length, length), and the keys that are no padding."""

    def decoder_mask(token_ids: Tensor, pad_id: int) -> Tensor:
        return combine(causal_mask(token_ids.shape[1]), padding_mask(token_ids, pad_id))

    return decoder_mask


def _to_be_added(token_ids: Tensor, pad_id: int) -> Tensor:
    mask = _decoder_mask(token_ids, pad_id)
    return torch.zeros(mask.shape).masked_fill(~mask, -torch.inf)


def _with_padding_zero(token_ids: Tensor, pad_id: int) -> Tensor:
    return _decoder_mask(token_ids, 0)


def _is_causal(trials) -> str | None:
    """Complain if any query of any text may look at a later key."""
    for trial in trials:
        mask = trial.value
        if not isinstance(mask, Tensor) or mask.shape != trial.expected.shape:
            return f"With {trial.call.words()} there is no mask of the right shape."
        if not set(mask.double().unique().tolist()) <= {0.0, 1.0}:
            return f"With {trial.call.words()} there is no mask of truth values."
        if mask.bool().triu(1).any():
            return f"With {trial.call.words()} a query may look at a later key."
        if not mask.bool().tril(-1).any():
            return f"With {trial.call.words()} no query may look at an earlier key, either."
    return None


two_masks = Exercise(
    name="Two masks",
    attempt="decoder_mask",
    reference=_decoder_mask,
    calls=_mask_calls,
    properties=(
        has_shape("The mask holds truth values, in shape (batch, 1, length, length)."),
        Property("No query looks at a later key.", _is_causal),
        agrees("Without padding it is the causal mask.", on=("full",), weight=1),
        agrees("With padding, no query looks at a padded key."),
    ),
    mistakes=(
        Mistake(
            "the mask is inverted: in this course True means that attention is allowed.",
            _wrong_mask(lambda past, seen: ~(past & seen)),
        ),
        Mistake(
            "the diagonal is hidden: a token may look at itself.",
            _wrong_mask(lambda past, seen: past.tril(-1) & seen),
        ),
        Mistake(
            "the past is hidden and the future allowed: keep the lower triangle.",
            _wrong_mask(lambda past, seen: past.mT & seen),
        ),
        Mistake(
            "the causal half is inverted: an upper triangle marks what is hidden, and True means allowed.",
            _wrong_mask(lambda past, seen: ~past & seen),
        ),
        Mistake(
            "the padding half is inverted: only padding is allowed. Compare with `!=`, not with `==`.",
            _wrong_mask(lambda past, seen: past & ~seen),
        ),
        Mistake(
            "the padding is still allowed: hide the keys that are padding, too.",
            _wrong_mask(lambda past, seen: past & torch.ones_like(seen)),
        ),
        Mistake(
            "the future is still allowed: hide the keys behind each query, too.",
            _wrong_mask(lambda past, seen: torch.ones_like(past) & seen),
        ),
        Mistake(
            "a key is allowed here if it is no later or no padding; both are wanted: `&`, not `|`.",
            _wrong_mask(lambda past, seen: past | seen),
        ),
        Mistake(
            "padded queries are hidden, and padded keys are not: the padding belongs to the last axis.",
            _wrong_mask(lambda past, seen: past & seen.mT),
        ),
        Mistake(
            "padded queries are hidden as well, and a row that allows nothing has no softmax: hide padded "
            "keys alone.",
            _wrong_mask(lambda past, seen: past & seen & seen.mT),
        ),
        Mistake(
            "this mask is made to be added to the scores; in this course a mask holds truth values, and True "
            "means that attention is allowed.",
            _to_be_added,
        ),
        Mistake("the padding is taken to be 0: compare with `pad_id`.", _with_padding_zero),
    ),
)
