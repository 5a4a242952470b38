"""What the exercise on a step with a cache in chapter 4 must satisfy."""

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from lesson_tf.attention import scaled_dot_product_attention
from lesson_tf.checks.answers import Call
from lesson_tf.checks.exercise import Exercise, Mistake, Property, Trial
from lesson_tf.checks.properties import agrees, has_shape


def _calls(generator: Generator) -> list[Call]:
    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    def call(batch: int, d_model: int, d_k: int, past: int, label: str = "") -> Call:
        weights = {name: draw(d_model, d_k) for name in ("w_q", "w_k", "w_v")}
        cached = {name: draw(batch, past, d_k) for name in ("cached_key", "cached_value")}
        table = draw(past + 5, d_model)
        return Call({"x": draw(batch, 1, d_model), "positions": table, **weights, **cached}, label)

    return [call(2, 6, 4, 3), call(1, 5, 3, 7), call(3, 4, 4, 1), call(2, 4, 6, 0, "first")]


def _cached_step(x, positions, w_q, w_k, w_v, cached_key, cached_value):
    x = x + positions[cached_key.shape[1]]
    key = torch.cat((cached_key, x @ w_k), 1)
    value = torch.cat((cached_value, x @ w_v), 1)
    return scaled_dot_product_attention(x @ w_q, key, value)[0], key, value


def _all(past: int) -> slice:
    return slice(None)


def _wrong_step(
    place: Callable[[int], int] = lambda past: past,
    placed: str = "qkv",
    seen: Callable[[int], slice] = _all,
    grown: bool = True,
    in_front: bool = False,
    scaled_by: str = "d_k",
):
    """Return a step with other positions, or in other projections, that sees or returns other keys."""

    def cached_step(x, positions, w_q, w_k, w_v, cached_key, cached_value):
        past = cached_key.shape[1]
        here = {name: x + positions[place(past)] if name in placed else x for name in "qkv"}
        pairs = (cached_key, here["k"] @ w_k), (cached_value, here["v"] @ w_v)
        key, value = (torch.cat(pair[::-1] if in_front else pair, 1) for pair in pairs)
        size = {"d_k": key.shape[-1], "d_model": x.shape[-1], "nothing": 1}[scaled_by]
        query = here["q"] @ w_q * (key.shape[-1] / size) ** 0.5
        output = scaled_dot_product_attention(query, key[:, seen(past)], value[:, seen(past)])[0]
        return (output, key, value) if grown else (output, cached_key, cached_value)

    return cached_step


def _keeps_the_past(trials: list[Trial]) -> str | None:
    """Complain unless the cache begins with what it held, and is longer by one."""
    for trial in trials:
        for place, name in ((1, "cached_key"), (2, "cached_value")):
            before, after = trial.call.arguments[name], trial.value[place]
            past = before.shape[1]
            if after.shape[1] != past + 1 or not torch.allclose(after[:, :past].float(), before):
                return f"With {trial.call.words()} the cache does not hold the past and one more."
    return None


cached_step = Exercise(
    name="Cached step",
    attempt="cached_step",
    reference=_cached_step,
    calls=_calls,
    properties=(
        has_shape("It returns output, keys and values, the caches longer by one."),
        Property("The caches still hold what they held.", _keeps_the_past),
        agrees("New keys and values are right.", pick=lambda result: result[1:], weight=3),
        agrees("The output is right.", pick=lambda result: result[0], weight=3),
    ),
    mistakes=(
        Mistake(
            "the position stays 0: the new token stands behind all that is cached, so its position is their "
            "number.",
            _wrong_step(place=lambda past: 0),
        ),
        Mistake(
            "no position is added to the new token: add the row of `positions` for its place.",
            _wrong_step(placed=""),
        ),
        Mistake(
            "the position is one too high: the first token stands at 0, so after three tokens comes 3.",
            _wrong_step(place=lambda past: past + 1),
        ),
        Mistake(
            "the position is one too low, that of the last cached token: after three tokens comes 3.",
            _wrong_step(place=lambda past: past - 1),
        ),
        Mistake(
            "the position reaches the query alone: key and value are made of the same x with its position.",
            _wrong_step(placed="q"),
        ),
        Mistake(
            "the query lacks the position: add it to x before all three projections.",
            _wrong_step(placed="kv"),
        ),
        Mistake(
            "the value lacks the position: in this course it is added to x before all three projections.",
            _wrong_step(placed="qk"),
        ),
        Mistake(
            "the cache is not grown: return it with the new key and value, or the next step would not know "
            "this token.",
            _wrong_step(grown=False),
        ),
        Mistake(
            "the new token does not attend to itself: its own key and value belong to the keys and values.",
            _wrong_step(seen=lambda past: slice(0, past)),
        ),
        Mistake(
            "the new token attends to itself alone: let it attend to the whole grown cache.",
            _wrong_step(seen=lambda past: slice(past, None)),
        ),
        Mistake(
            "the one query sees the first key alone: a causal mask for one query and many keys is cut from "
            "the top left. The new token stands last, so it needs no mask.",
            _wrong_step(seen=lambda past: slice(0, 1)),
        ),
        Mistake(
            "the new key and value stand in front of the cache; put them behind it.",
            _wrong_step(in_front=True),
        ),
        Mistake(
            "the scale is missing: divide the scores by the square root of d_k.",
            _wrong_step(scaled_by="nothing"),
        ),
        Mistake(
            "the scores are divided by the square root of d_model; d_k, the width of a key, is wanted.",
            _wrong_step(scaled_by="d_model"),
        ),
    ),
)
