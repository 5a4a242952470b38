"""What the exercise on rotary positions in chapter 3 must satisfy: the attention of one head with a cache."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from lesson_tf import positional_encoding
from lesson_tf.attention import causal_mask, scaled_dot_product_attention
from lesson_tf.checks.answers import Call
from lesson_tf.checks.closeness import same
from lesson_tf.checks.exercise import Exercise, Mistake, Property, Trial, Variant
from lesson_tf.checks.properties import agrees, has_shape, kind_of

BASE = 10000.0


def _rotary_calls(generator: Generator) -> list[Call]:
    def number(low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (), generator=generator))

    def call(label: str, start: int, new: int, d_k: int, d_v: int, *batch: int) -> Call:
        sizes = {"query": (new, d_k), "key": (start + new, d_k), "value": (start + new, d_v)}
        drawn = {
            name: torch.randn(*batch, *size, generator=generator) for name, size in sizes.items()
        }
        return Call(drawn | {"start": start}, label)

    early = call("early", 2, 3, 6, 4)
    before = call("", number(4, 9), 1, 6, 4).arguments  # tokens put in front of it
    moved = {
        "query": early.arguments["query"],
        "key": torch.cat((before["key"], early.arguments["key"])),
        "value": torch.cat((before["value"], early.arguments["value"])),
        "start": len(before["key"]) + 2,
    }
    return [
        call("begin", 0, 5, 8, 2),
        call("cache", number(5, 30), 1, 6, 4),
        call("cache", number(5, 9), 3, 4, 6, 2, 3),
        early,
        Call(moved, "moved"),
    ]


def _rotary_attention(base: float = BASE):
    def rotary_attention(query, key, value, start) -> tuple[Tensor, Tensor]:
        places = torch.arange(start, start + query.shape[-2])
        turned = positional_encoding.rotary(query, places, base)
        return scaled_dot_product_attention(
            turned, positional_encoding.rotary(key, base=base), value
        )

    return rotary_attention


def _wrong_rotary(
    *,
    queries=1,
    keys=1,
    lost=False,
    values=False,
    halves=False,
    base=BASE,
    unscaled=False,
    hidden=False,
):
    """Return rotary attention with mistakes; `queries` and `keys` say which way they turn, if at all."""

    def turn(x: Tensor, first: int, way: int) -> Tensor:
        if halves:
            x = x[..., torch.arange(x.shape[-1]).view(2, -1).T.flatten()]
        places = torch.arange(first, first + x.shape[-2])
        return positional_encoding.rotary(x, way * places, base)

    def rotary_attention(query, key, value, start) -> tuple[Tensor, Tensor]:
        query = turn(query, 0 if lost else start, queries)
        query = query * query.shape[-1] ** 0.5 if unscaled else query
        value = positional_encoding.rotary(value, base=base) if values else value
        mask = causal_mask(key.shape[-2])[start:] if hidden else None
        return scaled_dot_product_attention(query, turn(key, 0, keys), value, mask)

    return rotary_attention


def _depends_on_the_offset(trials: Sequence[Trial]) -> str | None:
    """Complain if the same queries and keys are weighed otherwise once other tokens stand before them."""
    early, moved = trials
    if any(kind_of(trial.value) != kind_of(trial.expected) for trial in trials):
        return "The weights are not there, in the right shape."
    length = early.call.arguments["key"].shape[-2]
    weights = moved.value[1][..., -length:]
    if same(weights / weights.sum(-1, keepdim=True), early.value[1]):
        return None
    return (
        "The same queries and keys, moved some places on, are weighed in another way: "
        "a score may depend on their offset alone."
    )


def _mistakes(base: float = BASE) -> tuple[Mistake, ...]:
    """Return the mistakes in rotary attention of any base."""
    return (
        Mistake(
            "the place in the cache is lost: keys begin at position 0, and the first query stands at "
            "position `start`. Here both begin at the same place.",
            _wrong_rotary(base=base, lost=True),
        ),
        Mistake(
            "the values are turned as well. Positions decide where attention looks, and are no part of "
            "what it brings back: turn queries and keys alone.",
            _wrong_rotary(base=base, values=True),
        ),
        Mistake(
            "dimension i is paired with dimension i + d_k / 2. In this course neighbours are a pair: "
            "dimensions 2i and 2i + 1, that is `x[..., 0::2]` and `x[..., 1::2]`.",
            _wrong_rotary(base=base, halves=True),
        ),
        Mistake(
            "nothing is turned: this is attention without positions.",
            _wrong_rotary(base=base, queries=0, keys=0),
        ),
        Mistake(
            "the keys are not turned, so a score depends on the query's place. Turn both, each by its own "
            "position.",
            _wrong_rotary(base=base, keys=0),
        ),
        Mistake(
            "the queries are not turned, so a score depends on the key's place. Turn both, each by its own "
            "position.",
            _wrong_rotary(base=base, queries=0),
        ),
        Mistake(
            "queries and keys turn in opposite directions, so a score depends on the sum of their "
            "positions. Turn both by the same function.",
            _wrong_rotary(base=base, keys=-1),
        ),
        Mistake(
            "the pairs turn the wrong way. A pair (a, b) becomes (a cos − b sin, a sin + b cos).",
            _wrong_rotary(base=base, queries=-1, keys=-1),
        ),
        Mistake(
            f"the exponent is half of what it should be. Pair i turns by 1 / {base:.0f}^(2i / d_k) radians a "
            "position.",
            _wrong_rotary(base=base**0.5),
        ),
        Mistake(
            f"the exponent is twice what it should be. Pair i turns by 1 / {base:.0f}^(2i / d_k) radians a "
            "position; a range in steps of 2 holds 2i already.",
            _wrong_rotary(base=base**2),
        ),
        Mistake(
            "the scale is missing: divide the scores by the square root of d_k.",
            _wrong_rotary(base=base, unscaled=True),
        ),
        Mistake(
            "later keys are hidden: this exercise asks for no mask.",
            _wrong_rotary(base=base, hidden=True),
        ),
        Mistake(
            "two at once: the values are turned, which stay as they are; and the queries begin at position "
            "0, although the first stands at `start`.",
            _wrong_rotary(base=base, values=True, lost=True),
        ),
    )


rotary = Exercise(
    name="Rotary attention",
    attempt="rotary_attention",
    reference=_rotary_attention(),
    calls=_rotary_calls,
    properties=(
        has_shape("It returns output and weights, in the right shapes."),
        Property("Scores depend on offsets alone.", _depends_on_the_offset, ("early", "moved")),
        agrees("Without a cache, start = 0, the weights are right.", ("begin",), lambda w: w[1], 3),
        agrees("With a cache they are right, too.", ("cache", "early", "moved"), lambda w: w[1]),
        agrees("The output is right.", pick=lambda pair: pair[0], weight=1),
    ),
    mistakes=_mistakes(),
    variants=tuple(
        Variant(
            f"In your variant the base of the angles is {base:,.0f} instead of 10,000.",
            _rotary_attention(base),
            _mistakes(base),
        )
        # Not 100: with twice the exponent, a mistake, it would be the published base.
        for base in (200.0, 500.0, 1000.0, 500_000.0)
    ),
)
