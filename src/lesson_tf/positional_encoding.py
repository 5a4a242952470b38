"""Positional encoding: four ways to tell attention where a token stands.

Sinusoidal and learned positions are added to the embeddings; rotary turns queries and keys; ALiBi is added
to the scores.
"""

import math
from numbers import Integral, Real

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

LARGEST_TENSOR = 2**32  # entries: 16 gigabytes in float32; more is taken for a slip of the pen


def frequencies(width: int, base: float = 10000.0) -> Float[Tensor, " half"]:
    """Return the angle that each pair of dimensions turns by in one position: 1 / base^(2i/width).

    In float64, since the angle at a far position needs all digits.

    Raises ValueError where the width is odd or the base is not above 1.

    Source: Vaswani et al. (2017), section 3.5; Su et al. (2021), equation 15.

    >>> frequencies(width=4).tolist()
    [1.0, 0.01]
    """
    _check_pairs("width", width)
    _check_entries(width=width)
    _check_base(base)
    exponents = torch.arange(0, width, 2, dtype=torch.float64) / width
    return base**-exponents


def sinusoidal(
    length: int, d_model: int, base: float = 10000.0, start: int = 0
) -> Float[Tensor, "length d_model"]:
    r"""Tabulate sines and cosines whose wavelengths grow from 2π to almost 2π · base positions.

    Dimension 2i holds sin(t / base^(2i/d_model)), dimension 2i + 1 the cosine of the same angle.

    Returns the rows of the positions start to start + length - 1, `(length, d_model)`.

    Raises ValueError where a size is not positive, d_model is odd, the base is not above 1, or start is negative.

    Source: Vaswani et al. (2017), section 3.5.

    >>> sinusoidal(length=2, d_model=2)
    tensor([[0.0000, 1.0000],
            [0.8415, 0.5403]])
    """
    _check_length(length)
    _check_pairs("d_model", d_model)
    _check_entries(length=length, d_model=d_model)
    _check_start(start)
    angles = torch.arange(start, start + length)[:, None] * frequencies(d_model, base)
    table = torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(-2)
    return table.to(torch.get_default_dtype())


class LearnedPositions(nn.Module):
    """One trained vector a position, up to a longest length; beyond it nothing was learned.

    Raises ValueError where a size is not positive.

    Source: Gehring et al. (2017); Vaswani et al. (2017), section 3.5, row E of table 3.

    >>> LearnedPositions(max_length=16, d_model=8)(length=5).shape
    torch.Size([5, 8])
    """

    def __init__(self, max_length: int, d_model: int):
        _check_length(max_length, "max_length")
        _check_length(d_model, "d_model")
        _check_entries(max_length=max_length, d_model=d_model)
        super().__init__()
        self.max_length = max_length
        self.weight = nn.Parameter(torch.randn(max_length, d_model) * 0.02)

    def forward(self, length: int, start: int = 0) -> Float[Tensor, "length d_model"]:
        """Return the vectors of the positions start to start + length - 1, `(length, d_model)`.

        Raises ValueError where a position is not among those learned.
        """
        self._check_span(length, start)
        return self.weight[start : start + length]

    def _check_span(self, length, start):
        _check_length(length)
        _check_start(start)
        if start + length > self.max_length:
            raise ValueError(
                f"length={start + length} is longer than the max_length={self.max_length} positions that were "
                f"learned; use at most {self.max_length}, or positions that need no table (sinusoidal, rotary, alibi)"
            )


def rotary(
    x: Float[Tensor, "*batch length d_k"],
    positions: Int[Tensor, "*#batch length"] | None = None,
    base: float = 10000.0,
) -> Float[Tensor, "*batch length d_k"]:
    """Turn each pair of neighbouring dimensions by an angle that grows with the position.

    The dot product of a turned query and a turned key depends on their offset alone. `positions` are 0, 1, 2, …
    where none are given; give them where x continues a sequence.

    Returns a tensor of the shape of x.

    Raises ValueError where d_k is odd, positions do not fit or the base is not above 1.

    Source: Su et al. (2021), equation 34.

    >>> rotary(torch.tensor([[1.0, 0.0], [1.0, 0.0]]))
    tensor([[1.0000, 0.0000],
            [0.5403, 0.8415]])
    """
    _check_rotary(x, positions)
    if positions is None:
        positions = torch.arange(x.shape[-2], device=x.device)
    angles = positions[..., None] * frequencies(x.shape[-1], base).to(x.device)
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)  # (..., length, d_k / 2)
    first, second = x[..., 0::2], x[..., 1::2]
    turned = (first * cos - second * sin, first * sin + second * cos)
    return torch.stack(turned, dim=-1).flatten(-2)


def alibi_slopes(heads: int) -> Float[Tensor, " heads"]:
    """Choose how steeply each head's scores fall with distance: a geometric series that ends at 2⁻⁸.

    For a number of heads that is no power of two, the series of the power below comes first, and then every
    other slope of twice that power.

    Raises ValueError where heads is not a positive whole number.

    Source: Press et al. (2022), section 3; the authors' code for other numbers of heads.

    >>> alibi_slopes(heads=4).tolist()
    [0.25, 0.0625, 0.015625, 0.00390625]
    """
    _check_length(heads, "heads")
    _check_entries(heads=heads)
    power = 2 ** (int(heads).bit_length() - 1)  # the largest that is no larger than heads
    slopes = [2 ** (-8 * n / power) for n in range(1, power + 1)]
    finer = [2 ** (-4 * n / power) for n in range(1, 2 * power, 2)]
    return torch.tensor(slopes + finer[: heads - power])


def alibi_bias(heads: int, queries: int, keys: int) -> Float[Tensor, "heads queries keys"]:
    """Lower each score in proportion to the distance of its key, more steeply in some heads than in others.

    Where there are fewer queries than keys, the queries are the last positions (a cache holds the others).

    Returns `(heads, queries, keys)`, 0 on the diagonal and negative beside it; the same on both sides, so that
    an encoder that has nothing else cannot tell before from after.

    Raises ValueError where a size is not positive or there are more queries than keys.

    Source: Press et al. (2022), section 3.

    >>> alibi_bias(heads=8, queries=1, keys=3)[0].tolist()
    [[-1.0, -0.5, 0.0]]
    """
    for name, size in (("heads", heads), ("queries", queries), ("keys", keys)):
        _check_length(size, name)
    _check_entries(heads=heads, queries=queries, keys=keys)
    if queries > keys:
        raise ValueError(
            f"queries={queries} are more than keys={keys}; the queries are the last of the keys' positions, "
            f"so use at most {keys} queries"
        )
    query_positions = torch.arange(keys - queries, keys)
    distance = (query_positions[:, None] - torch.arange(keys)).abs()
    return alibi_slopes(heads)[:, None, None] * -distance


def _describe(value) -> str:
    """Name what was given in a few words: a tensor by shape and type, anything else as it is."""
    if isinstance(value, Tensor):
        kind = "a tensor" if value.layout is torch.strided else "a sparse tensor"
        return f"{kind} of shape {tuple(value.shape)} and type {str(value.dtype).removeprefix('torch.')}"
    if isinstance(value, int) and value.bit_length() > 64:
        return f"a whole number of {value.bit_length()} bits"
    text = " ".join(repr(value).split())
    return text if len(text) <= 40 else f"{text[:37]}..."


def _check_length(size, name: str = "length") -> None:
    if isinstance(size, torch.SymInt) or torch.jit.is_tracing():
        return  # an exported model takes any length
    if isinstance(size, bool) or not isinstance(size, Integral):
        finite = isinstance(size, Real) and math.isfinite(size)
        nearest = min(max(1, round(size)), LARGEST_TENSOR) if finite else 1
        raise ValueError(
            f"{name}={_describe(size)} is no whole number; use 1 or more, such as {nearest}"
        )
    if size < 1:
        raise ValueError(f"{name}={_describe(size)} is too small; use 1 or more")


def _check_start(start) -> None:
    if isinstance(start, torch.SymInt) or torch.jit.is_tracing():
        return  # an exported model takes any length
    if isinstance(start, bool) or not isinstance(start, Integral) or not 0 <= start < 2**53:
        raise ValueError(f"start={_describe(start)} is no position; use 0 or more")


def _check_entries(**sizes) -> None:
    """Refuse a tensor that no machine of a reader could hold."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing():
        return  # an exported model takes any length
    entries = math.prod(int(size) for size in sizes.values())
    if entries > LARGEST_TENSOR:
        given = " and ".join(f"{name}={_describe(size)}" for name, size in sizes.items())
        raise ValueError(
            f"{given} make a tensor that is too large; use sizes whose product is at most {LARGEST_TENSOR}"
        )


def _check_pairs(name: str, width) -> None:
    _check_length(width, name)
    if width % 2:
        nearest = f"{width - 1} or {width + 1}" if width > 1 else "2"
        raise ValueError(
            f"{name}={width} is odd, and each frequency needs a pair of dimensions; use {nearest}"
        )


def _check_base(base) -> None:
    number = isinstance(base, Real) and not isinstance(base, bool)
    if not number or not 1 < base <= 1e300:
        raise ValueError(
            f"base={_describe(base)} makes no growing wavelengths; use a number above 1, such as 10000.0"
        )


def _check_rotary(x, positions) -> None:
    """Refuse what cannot be turned, and positions that are not one for each token."""
    dense = isinstance(x, Tensor) and x.is_floating_point() and x.layout is torch.strided
    if not dense or x.ndim < 2:
        raise ValueError(
            f"x={_describe(x)} cannot be turned; give a float tensor of shape (..., T, d_k)"
        )
    _check_pairs("d_k", x.shape[-1])
    length = x.shape[-2]
    if positions is None:
        return
    whole = isinstance(positions, Tensor) and not (
        positions.is_floating_point() or positions.is_complex() or positions.dtype == torch.bool
    )
    if not whole:
        raise ValueError(
            f"positions={_describe(positions)} are no whole numbers; give torch.arange(start, start + {length})"
        )
    fits = positions.shape[-1:] == (length,) and all(
        size in (1, whole)
        for size, whole in zip(positions.shape[::-1], x.shape[-2::-1], strict=False)
    )
    fits = fits and positions.ndim < x.ndim
    if not fits:
        raise ValueError(
            f"positions of shape {tuple(positions.shape)} do not fit x of shape {tuple(x.shape)}; "
            f"use ({length},), one position for each token"
        )
    if positions.device != x.device:
        raise ValueError(
            f"positions are on {positions.device} and x is on {x.device}; "
            f"move them by positions.to({str(x.device)!r})"
        )
