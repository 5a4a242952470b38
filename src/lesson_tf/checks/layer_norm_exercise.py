"""What the exercise on layer norm in chapter 4 must satisfy."""

import torch
from torch import Generator, Tensor, nn

from lesson_tf.checks.answers import Call
from lesson_tf.checks.exercise import Exercise, Mistake, Property, Trial
from lesson_tf.checks.properties import agrees, has_shape, unchanged


def _calls(generator: Generator) -> list[Call]:
    def call(*shape: int, eps: float, label: str = "", scale: float = 1.0) -> Call:
        width = shape[-1]
        state = {
            "weight": 1 + torch.rand(width, generator=generator),
            "bias": torch.randn(width, generator=generator),
        }
        x = scale * torch.randn(*shape, generator=generator)
        x = x + 1 + 3 * torch.rand(1, generator=generator)
        return Call({"x": x}, label, build={"d_model": width, "eps": eps}, state=state)

    first = call(3, 4, 6, eps=1e-5, label="before")
    other = first.arguments["x"].clone()
    other[1:] *= 5
    other[:, 1:] += 2
    constant = call(3, 8, eps=1e-3)
    # Whole numbers, eight of them: the mean is exact, and no rounding is blown up by a small eps.
    equal = torch.randint(1, 9, (3, 1), generator=generator).float().repeat(1, 8)
    return [
        first,
        Call({"x": other}, "after", build=first.build, state=first.state),
        call(2, 5, eps=1e-5, label="matrix"),
        call(4, 8, eps=0.5, label="eps", scale=0.3),
        Call({"x": equal}, "constant", build=constant.build, state=constant.state),
    ]


class _LayerNorm(nn.LayerNorm):
    def __init__(self, d_model: int, eps: float):
        super().__init__(d_model, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)


def _under_root(variance: Tensor, eps: float) -> Tensor:
    return (variance + eps).sqrt()


def _outside(variance: Tensor, eps: float) -> Tensor:
    return variance.sqrt() + eps


def _scaled_and_moved(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return x * weight + bias


def _wrong_norm(axis=-1, unbiased=False, divisor=_under_root, finish=_scaled_and_moved, mean=True):
    """Return a layer norm over another axis, with another variance or divisor, or finished otherwise.

    `mean` False leaves the mean where it is, and None leaves it out of the variance as well.
    """

    class LayerNorm(nn.Module):
        def __init__(self, d_model: int, eps: float):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(d_model))
            self.bias = nn.Parameter(torch.zeros(d_model))
            self.eps = eps

        def forward(self, x: Tensor) -> Tensor:
            squares = x.square().mean(axis, keepdim=True)
            variance = squares if mean is None else x.var(axis, unbiased=unbiased, keepdim=True)
            centred = x - x.mean(axis, keepdim=True) if mean else x
            return finish(centred / divisor(variance, self.eps), self.weight, self.bias)

    return LayerNorm


def _wrong_axis(axis: int | tuple[int, ...], message: str) -> tuple[Mistake, Mistake]:
    """Return the mistake of another axis with either variance: torch's own is the unbiased one."""
    also = " And use `unbiased=False`."
    return (
        Mistake(message, _wrong_norm(axis)),
        Mistake(message + also, _wrong_norm(axis, unbiased=True)),
    )


def _centres(trials: list[Trial]) -> str | None:
    """Complain unless each token has mean 0 before weight and bias."""
    for trial in trials:
        state = trial.call.state or {}
        before = (trial.value - state["bias"]) / state["weight"]
        if before.mean(-1).abs().max() > 1e-3 or before.square().mean() < 1e-3:
            return f"With {trial.call.words()} a token is not centred on 0 before weight and bias."
    return None


layer_norm = Exercise(
    name="Layer norm",
    attempt="LayerNorm",
    reference=_LayerNorm,
    calls=_calls,
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
        Property(
            "Before weight and bias, each token has mean 0.", _centres, ("before", "matrix"), 2
        ),
        agrees("A token of equal numbers becomes the bias, not nan.", on=("constant",), weight=1),
        agrees("The numbers are those of layer norm.", on=("before", "matrix", "eps"), weight=3),
    ),
    mistakes=(
        *_wrong_axis(
            0,
            "mean and variance are taken over the batch, as batch norm does: take them over the last axis, "
            "for each token by itself.",
        ),
        *_wrong_axis(
            -2,
            "mean and variance are taken over the tokens of a text: take them over the last axis.",
        ),
        *_wrong_axis(
            1,
            "the axis is counted from the front: 1 is the tokens of a batch, but the numbers of a single "
            "text. Count from the back: a token's numbers are always at -1.",
        ),
        *_wrong_axis(
            (-2, -1),
            "mean and variance are taken over all tokens together: take them for each token by itself.",
        ),
        Mistake(
            "the variance is divided by d_model - 1. That estimates the variance of a population; here the "
            "token itself is normalised: `unbiased=False`.",
            _wrong_norm(unbiased=True),
        ),
        Mistake(
            "eps stands outside the root: it is added to the variance, not to its root.",
            _wrong_norm(divisor=_outside),
        ),
        Mistake(
            "two at once: `std` divides by d_model - 1, and eps stands outside the root. Take the variance "
            "with `unbiased=False`, add eps, then take the root.",
            _wrong_norm(unbiased=True, divisor=_outside),
        ),
        Mistake(
            "the variance divides, where its root should: take the square root.",
            _wrong_norm(divisor=lambda variance, eps: variance + eps),
        ),
        Mistake(
            "weight and bias are not used: multiply by the one and add the other at the end.",
            _wrong_norm(finish=lambda x, weight, bias: x),
        ),
        Mistake(
            "the bias is added before the weight multiplies: first multiply, then add.",
            _wrong_norm(finish=lambda x, weight, bias: (x + bias) * weight),
        ),
        Mistake(
            "the mean is not subtracted: take it away before you divide.", _wrong_norm(mean=False)
        ),
        Mistake(
            "this is RMS norm, which leaves the mean where it is: subtract the mean, from the squares, too.",
            _wrong_norm(mean=None),
        ),
        Mistake(
            "eps is fixed at 0.00001: use the one that is given.",
            _wrong_norm(divisor=lambda variance, eps: (variance + 1e-5).sqrt()),
        ),
        Mistake(
            "eps is missing: a token of equal numbers would be divided by zero. Add it to the variance.",
            _wrong_norm(divisor=lambda variance, eps: variance.sqrt()),
        ),
    ),
)
