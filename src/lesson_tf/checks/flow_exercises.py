"""What the exercises of chapter 4 must satisfy: layer norm, the shifted loss, and a step with a cache."""

import torch
from torch import Generator, Tensor, nn

from lesson_tf.attention import scaled_dot_product_attention
from lesson_tf.checks.answers import Call
from lesson_tf.checks.exercise import Exercise, Mistake, Property, Trial, Variant
from lesson_tf.checks.properties import agrees, has_shape, is_finite, unchanged
from lesson_tf.training import sequence_loss

# --- Layer norm -----------------------------------------------------------------------------------------


def _norm_calls(generator: Generator) -> list[Call]:
    def call(*shape: int, eps: float, label: str = "", scale: float = 1.0) -> Call:
        width = shape[-1]
        state = {
            "weight": 1 + torch.rand(width, generator=generator),
            "bias": torch.randn(width, generator=generator),
        }
        x = scale * torch.randn(*shape, generator=generator) + 3 * torch.rand(
            1, generator=generator
        )
        return Call({"x": x}, label, build={"d_model": width, "eps": eps}, state=state)

    first = call(3, 4, 6, eps=1e-5, label="before")
    other = first.arguments["x"].clone()
    other[1:] *= 5
    other[:, 1:] += 2
    return [
        first,
        Call({"x": other}, "after", build=first.build, state=first.state),
        call(2, 5, eps=1e-5, label="matrix"),
        call(4, 8, eps=0.5, label="eps", scale=0.3),
        call(3, 7, eps=1e-5, label="constant", scale=0.0),
    ]


class _LayerNorm(nn.LayerNorm):
    def __init__(self, d_model: int, eps: float):
        super().__init__(d_model, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)


def _wrong_norm(axis=-1, unbiased=False, outside=False, affine=True, centred=True, epsilon=True):
    class LayerNorm(nn.Module):
        def __init__(self, d_model: int, eps: float):
            super().__init__()
            self.weight, self.bias = (
                nn.Parameter(torch.ones(d_model)),
                nn.Parameter(torch.zeros(d_model)),
            )
            self.eps = eps if epsilon else 0.0

        def forward(self, x: Tensor) -> Tensor:
            mean = x.mean(axis, keepdim=True) if centred else torch.zeros(())
            variance = x.var(axis, unbiased=unbiased, keepdim=True)
            root = variance.sqrt() + self.eps if outside else (variance + self.eps).sqrt()
            normal = (x - mean) / root
            return normal * self.weight + self.bias if affine else normal

    return LayerNorm


layer_norm = Exercise(
    name="Layer norm",
    attempt="LayerNorm",
    reference=_LayerNorm,
    calls=_norm_calls,
    properties=(
        has_shape("The shape stays, for a batch and for a single text.", on=("before", "matrix")),
        unchanged(
            "A token's result depends on this token alone.",
            "The first token changes when only other tokens change: mean and variance are taken over the "
            "wrong axis.",
            "before",
            "after",
            lambda x: x[0, 0],
        ),
        is_finite("A token of equal numbers gives no nan.", on=("constant",)),
        agrees("The numbers are those of layer norm.", on=("before", "matrix")),
        agrees("eps stands where it should.", on=("eps",), weight=1),
    ),
    mistakes=(
        Mistake(
            "mean and variance are taken over the batch, as batch norm does: take them over the last axis, "
            "for each token by itself.",
            _wrong_norm(axis=0),
        ),
        Mistake(
            "mean and variance are taken over the tokens of a text: take them over the last axis.",
            _wrong_norm(axis=-2),
        ),
        Mistake(
            "the variance is divided by d_model - 1. That estimates the variance of a population; here the "
            "token itself is normalised: `unbiased=False`.",
            _wrong_norm(unbiased=True),
        ),
        Mistake(
            "eps stands outside the root: it is added to the variance, not to its root.",
            _wrong_norm(outside=True),
        ),
        Mistake(
            "weight and bias are not used: multiply by the one and add the other at the end.",
            _wrong_norm(affine=False),
        ),
        Mistake("the mean is not subtracted.", _wrong_norm(centred=False)),
        Mistake(
            "eps is missing: a token of equal numbers would be divided by zero.",
            _wrong_norm(epsilon=False),
        ),
    ),
)

# --- Shift and loss --------------------------------------------------------------------------------------


def _loss_calls(generator: Generator) -> list[Call]:
    def call(batch: int, length: int, vocab: int, pads: tuple[int, ...], label: str = "") -> Call:
        ids = torch.randint(1, vocab, (batch, length), generator=generator)
        for row, count in enumerate(pads):
            ids[row, length - count :] = 0
        logits = 2 * torch.randn(batch, length, vocab, generator=generator)
        return Call({"logits": logits, "token_ids": ids, "pad_id": 0}, label)

    plain = call(2, 5, 7, (0, 0), "full")
    last = plain.arguments["logits"].clone()
    last[:, -1] += 5 * torch.randn(2, 7, generator=generator)
    return [
        plain,
        Call({**plain.arguments, "logits": last}, "last"),
        call(3, 6, 9, (0, 2, 4), "padded"),
        call(2, 8, 5, (1, 5), "padded"),
    ]


def _shifted_loss(logits: Tensor, token_ids: Tensor, pad_id: int) -> Tensor:
    return sequence_loss(logits[:, :-1], token_ids[:, 1:], pad_id)


def _nats(logits: Tensor, targets: Tensor) -> Tensor:
    return -logits.log_softmax(-1).gather(-1, targets[..., None]).squeeze(-1)


def _unshifted(logits: Tensor, token_ids: Tensor, pad_id: int) -> Tensor:
    return sequence_loss(logits, token_ids, pad_id)


def _shifted_back(logits: Tensor, token_ids: Tensor, pad_id: int) -> Tensor:
    return sequence_loss(logits[:, 1:], token_ids[:, :-1], pad_id)


def _padding_counted(logits: Tensor, token_ids: Tensor, pad_id: int) -> Tensor:
    return _nats(logits[:, :-1], token_ids[:, 1:]).mean()


def _mean_of_means(logits: Tensor, token_ids: Tensor, pad_id: int) -> Tensor:
    nats, real = _nats(logits[:, :-1], token_ids[:, 1:]), token_ids[:, 1:] != pad_id
    return ((nats * real).sum(1) / real.sum(1)).mean()


def _divided_by_all(logits: Tensor, token_ids: Tensor, pad_id: int) -> Tensor:
    nats, real = _nats(logits[:, :-1], token_ids[:, 1:]), token_ids[:, 1:] != pad_id
    return (nats * real).mean()


def _summed(logits: Tensor, token_ids: Tensor, pad_id: int) -> Tensor:
    nats, real = _nats(logits[:, :-1], token_ids[:, 1:]), token_ids[:, 1:] != pad_id
    return (nats * real).sum()


def _unshifted_and_padded(logits: Tensor, token_ids: Tensor, pad_id: int) -> Tensor:
    return _nats(logits, token_ids).mean()


def _is_a_loss(trials: list[Trial]) -> str | None:
    """Complain unless every result is one positive number, and not the same for all texts."""
    for trial in trials:
        value = trial.value.item() if isinstance(trial.value, Tensor) else trial.value
        if isinstance(value, bool) or not isinstance(value, float | int) or not value > 0:
            return f"With {trial.call.words()} the result is not one positive number."
    return None


shifted_loss = Exercise(
    name="Shift and loss",
    attempt="shifted_loss",
    reference=_shifted_loss,
    calls=_loss_calls,
    properties=(
        Property("The loss is one positive number.", _is_a_loss),
        unchanged(
            "What the last token foretells is not judged: no target follows it.",
            "The loss changes with the logits of the last token, for which there is no target.",
            "full",
            "last",
            lambda loss: loss,
        ),
        agrees("Without padding the loss is right.", on=("full", "last")),
        agrees("With padding the loss is right.", on=("padded",)),
    ),
    mistakes=(
        Mistake(
            "nothing is shifted: the logits at place t foretell the token at place t + 1, and here they are "
            "asked for the token that they have just read.",
            _unshifted,
        ),
        Mistake(
            "shifted the wrong way: the last logits go, and the first token goes from the targets.",
            _shifted_back,
        ),
        Mistake(
            "padding is counted as a token to be foretold: leave these places out of the mean.",
            _padding_counted,
        ),
        Mistake(
            "each text has its own mean, and these are averaged: a short text then weighs as much as a long "
            "one. Add all nats, and divide by the number of real targets.",
            _mean_of_means,
        ),
        Mistake(
            "the nats of real targets are divided by the number of all places: divide by the number of real "
            "targets.",
            _divided_by_all,
        ),
        Mistake("the nats are added; their mean is wanted.", _summed),
        Mistake("two at once: nothing is shifted, and padding is counted.", _unshifted_and_padded),
    ),
    variants=tuple(
        Variant(
            f"In your variant the loss is measured in {unit}: divide the nats by the logarithm of {base}.",
            lambda logits, token_ids, pad_id, base=base: (
                _shifted_loss(logits, token_ids, pad_id) / torch.tensor(float(base)).log()
            ),
        )
        for unit, base in (("bits", 2), ("trits", 3), ("digits", 10), ("hexits", 16))
    ),
)

# --- Cached step -----------------------------------------------------------------------------------------


def _step_calls(generator: Generator) -> list[Call]:
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


def _wrong_step(
    place=lambda past: past, new_attended=True, grown=True, in_front=False, scaled=True
):
    def cached_step(x, positions, w_q, w_k, w_v, cached_key, cached_value):
        x = x + positions[place(cached_key.shape[1])]
        pairs = (cached_key, x @ w_k), (cached_value, x @ w_v)
        key, value = (torch.cat(pair[::-1] if in_front else pair, 1) for pair in pairs)
        seen = (key, value) if new_attended else (cached_key, cached_value)
        query = x @ w_q if scaled else x @ w_q * key.shape[-1] ** 0.5
        output = scaled_dot_product_attention(query, *seen)[0]
        return (output, key, value) if grown else (output, cached_key, cached_value)

    return cached_step


def _without_position(x, positions, w_q, w_k, w_v, cached_key, cached_value):
    return _cached_step(x, 0 * positions, w_q, w_k, w_v, cached_key, cached_value)


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
    calls=_step_calls,
    properties=(
        has_shape("It returns output, keys and values, the caches longer by one."),
        Property("The caches still hold what they held.", _keeps_the_past),
        agrees("New keys and values are right.", pick=lambda result: result[1:]),
        agrees("The output is right.", pick=lambda result: result[0]),
    ),
    mistakes=(
        Mistake(
            "the position stays 0: the new token stands behind all that is cached, so its position is their "
            "number.",
            _wrong_step(place=lambda past: 0),
        ),
        Mistake("no position is added to the new token.", _without_position),
        Mistake(
            "the position is one too high: the first token stands at 0, so after three tokens comes 3.",
            _wrong_step(place=lambda past: past + 1),
        ),
        Mistake(
            "the cache is not grown: the next step would not know this token.",
            _wrong_step(grown=False),
        ),
        Mistake(
            "the new token does not attend to itself: its own key and value belong to the keys and values.",
            _wrong_step(new_attended=False),
        ),
        Mistake(
            "the new key and value stand in front of the cache; put them behind it.",
            _wrong_step(in_front=True),
        ),
        Mistake(
            "the scale is missing: divide the scores by the square root of d_k.",
            _wrong_step(scaled=False),
        ),
    ),
)
