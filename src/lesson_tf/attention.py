"""Attention: the weighted average of values, its masks, and the same with one head and with many.

Shapes are written as in the book: B sequences of T tokens, each a vector of d_model numbers; h heads of
width d_k = d_model / h. Masks are boolean and True where attention is allowed.
"""

import math
from collections.abc import Callable
from numbers import Integral, Real

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

LARGEST_TENSOR = 2**32  # entries: 16 gigabytes in float32; more is taken for a slip of the pen


def scaled_dot_product_attention(
    query: Float[Tensor, "*#batch queries d_k"],
    key: Float[Tensor, "*#batch keys d_k"],
    value: Float[Tensor, "*#batch keys d_v"],
    mask: Bool[Tensor, "*#batch #queries #keys"] | None = None,
    bias: Float[Tensor, "*#batch #queries #keys"] | None = None,
) -> tuple[Float[Tensor, "*batch queries d_v"], Float[Tensor, "*batch queries keys"]]:
    r"""Average the values, each weighted by how well its key matches the query.

    Any leading dimensions are allowed; they broadcast. The bias is added to the scaled scores (ALiBi).
    A query that may attend to no key gets weights 0 and output 0, never NaN.

    Returns the output `(..., queries, d_v)` and the weights `(..., queries, keys)`, whose rows sum to 1.

    Raises ValueError where shapes, types or devices do not fit.

    Source: Vaswani et al. (2017), equation 1: softmax(QK^T / √d_k) V.

    >>> x = torch.eye(3)
    >>> output, weights = scaled_dot_product_attention(x, x, x, mask=causal_mask(3))
    >>> weights[0].tolist()
    [1.0, 0.0, 0.0]
    """
    _check_attention(query, key, value, mask, bias)
    scores = query @ key.transpose(-2, -1)  # (..., queries, keys)
    scores /= query.shape[-1] ** 0.5  # in place, since the scores are the largest tensor here
    if bias is not None:
        scores += bias
    if mask is not None:
        nothing = ~mask.any(dim=-1, keepdim=True)  # queries that may attend to no key
        blocked = torch.zeros(mask.shape, dtype=scores.dtype, device=scores.device)
        scores += blocked.masked_fill(~(mask | nothing), -math.inf)
    weights = torch.softmax(scores, dim=-1)
    if mask is not None and nothing.any():
        weights = weights * ~nothing  # without this line their softmax would be uniform
    return weights @ value, weights


def causal_mask(length: int, start: int = 0) -> Bool[Tensor, "length all"]:
    """Allow each position to attend to itself and to what came before.

    `start` positions come before the first one; a cache holds them.

    Returns `(length, start + length)`: row t is True in columns 0 to start + t.

    Raises ValueError where the length is not a positive whole number, or start is negative.

    Source: Vaswani et al. (2017), section 3.2.3.

    >>> causal_mask(3).int().tolist()
    [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    """
    _check_size("length", length, most=math.isqrt(LARGEST_TENSOR))
    _check_start(start)
    return torch.ones(length, start + length, dtype=torch.bool).tril(start)


def padding_mask(
    token_ids: Int[Tensor, "batch keys"], pad_id: int
) -> Bool[Tensor, "batch 1 1 keys"]:
    """Allow attention to every token but padding.

    Returns `(B, 1, 1, T)`, which broadcasts over heads and queries.

    Raises ValueError where the ids are no whole numbers of shape `(B, T)`.

    Source: Vaswani et al. (2017), section 3.2.3, which masks the future in the same way.

    >>> padding_mask(torch.tensor([[5, 6, 0]]), pad_id=0).squeeze().tolist()
    [True, True, False]
    """
    _check_padding(token_ids, pad_id)
    return (token_ids != pad_id)[:, None, None, :]


class SimpleAttention(nn.Module):
    """Self-attention with one head, as the lecture note of this course writes it.

    `w_q`, `w_k` and `w_v` map `(..., T, d_model)` to queries, keys and values of the same width. The scores
    are divided by √d_model, which is √d_k because the one head is as wide as the model.

    Raises ValueError where d_model is not a positive whole number or x is not `(..., T, d_model)`.

    Source: Vaswani et al. (2017), equation 1, with Q, K and V from the same x.

    >>> SimpleAttention(8)(torch.zeros(2, 5, 8)).shape
    torch.Size([2, 5, 8])
    """

    def __init__(self, d_model: int):
        _check_size("d_model", d_model, most=math.isqrt(LARGEST_TENSOR))
        super().__init__()
        self.d_model = d_model
        self.w_q = nn.Linear(d_model, d_model)
        self.w_k = nn.Linear(d_model, d_model)
        self.w_v = nn.Linear(d_model, d_model)

    def forward(
        self, x: Float[Tensor, "*batch length d_model"]
    ) -> Float[Tensor, "*batch length d_model"]:
        """Let every token of x attend to every token of x."""
        _check_vectors("x", x, self.d_model, self.w_q.weight)
        Q = self.w_q(x)
        K = self.w_k(x)
        V = self.w_v(x)
        scores = torch.matmul(Q, K.transpose(-2, -1)) / (self.d_model**0.5)
        attention_weights = torch.softmax(scores, dim=-1)
        return torch.matmul(attention_weights, V)


class KeyValueCache:
    """The keys and values of the tokens seen so far, so that a new token costs one row and not a whole pass.

    Raises ValueError where new keys and values do not continue those held.

    Source: Shazeer (2019), section 2.4 (incremental attention).

    >>> cache = KeyValueCache()
    >>> _ = cache.append(torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, 3, 4))
    >>> cache.length
    3
    """

    def __init__(self):
        self.key: Tensor | None = None
        self.value: Tensor | None = None

    @property
    def length(self) -> int:
        """The number of tokens whose keys are held."""
        return 0 if self.key is None else self.key.shape[-2]

    def append(
        self,
        key: Float[Tensor, "*batch heads new d_k"],
        value: Float[Tensor, "*batch heads new d_v"],
    ) -> tuple[Float[Tensor, "*batch heads keys d_k"], Float[Tensor, "*batch heads keys d_v"]]:
        """Add the new tokens' keys and values; return those of all tokens.

        Raises ValueError where they do not continue those held.
        """
        _check_appended(self, key, value)
        if self.key is not None:
            key = torch.cat((self.key, key), dim=-2)
            value = torch.cat((self.value, value), dim=-2)
        self.key, self.value = key, value
        return key, value


class MultiHeadAttention(nn.Module):
    """Attention from several points of view: h heads of width d_k = d_model / h, side by side.

    `w_q`, `w_k` and `w_v` project to all heads at once, `w_o` mixes what the heads found. The number of
    parameters, 4 (d_model² + d_model), does not depend on the number of heads.

    Raises ValueError where d_model cannot be split over the heads or the dropout is not in [0, 1).

    Source: Vaswani et al. (2017), section 3.2.2.

    >>> attention = MultiHeadAttention(d_model=16, heads=4)
    >>> output, weights = attention(torch.zeros(2, 5, 16), need_weights=True)
    >>> output.shape, weights.shape
    (torch.Size([2, 5, 16]), torch.Size([2, 4, 5, 5]))
    """

    def __init__(self, d_model: int, heads: int, dropout: float = 0.0):
        _check_heads(d_model, heads)
        _check_dropout(dropout)
        super().__init__()
        self.d_model, self.heads, self.dropout = d_model, heads, float(dropout)
        self.w_q = nn.Linear(d_model, d_model)
        self.w_k = nn.Linear(d_model, d_model)
        self.w_v = nn.Linear(d_model, d_model)
        self.w_o = nn.Linear(d_model, d_model)

    def split(
        self, x: Float[Tensor, "*batch length d_model"]
    ) -> Float[Tensor, "*batch heads length d_k"]:
        """Cut the width into heads: `(..., T, d_model)` becomes `(..., h, T, d_k)`."""
        return x.unflatten(-1, (self.heads, -1)).transpose(-3, -2)

    def join(
        self, x: Float[Tensor, "*batch heads length d_k"]
    ) -> Float[Tensor, "*batch length d_model"]:
        """Lay the heads side by side again: `(..., h, T, d_k)` becomes `(..., T, d_model)`."""
        return x.transpose(-3, -2).flatten(-2)

    def forward(
        self,
        query: Float[Tensor, "*batch queries d_model"],
        key: Float[Tensor, "*batch keys d_model"] | None = None,
        value: Float[Tensor, "*batch keys d_model"] | None = None,
        mask: Bool[Tensor, "..."] | None = None,
        bias: Float[Tensor, "..."] | None = None,
        rotate: Callable[[Tensor], Tensor] | None = None,
        cache: KeyValueCache | None = None,
        need_weights: bool = False,
    ) -> tuple[
        Float[Tensor, "*batch queries d_model"],
        Float[Tensor, "*batch heads queries all_keys"] | None,
    ]:
        """Attend with every head; without a key this is self-attention, without a value the keys' source serves.

        `mask` and `bias` broadcast to `(..., h, T_q, T_k)`; `rotate` is applied to the split queries and keys
        (rotary). With a `cache`, self-attention adds its keys and values to those held, and cross-attention
        projects its source once, at the first call.

        Returns the output `(..., T_q, d_model)` and the weights `(..., h, T_q, T_k)`, or None in their place
        where they are not asked for: then torch's fused kernel computes the output without storing them.

        Raises ValueError where shapes, types or devices do not fit.
        """
        self._check_inputs(query, key, value)
        _check_options(rotate, cache, need_weights)
        if cache is not None and key is not None and cache.length:
            queries = _rotated(rotate, self.split(self.w_q(query)))
            keys, values = cache.key, cache.value
            _check_cached(keys, queries, key)
        else:
            queries, keys, values = self._project(query, key, value, rotate)
            if cache is not None:
                keys, values = cache.append(keys, values)
        _check_mask(mask, bias, queries, keys)
        attended, weights = self._attend(queries, keys, values, mask, bias, need_weights)
        return self.w_o(self.join(attended)), weights

    def _project(self, query, key, value, rotate):
        key = query if key is None else key
        value = key if value is None else value
        queries, keys = self.split(self.w_q(query)), self.split(self.w_k(key))
        return _rotated(rotate, queries), _rotated(rotate, keys), self.split(self.w_v(value))

    def _attend(self, query, key, value, mask, bias, need_weights):
        dropout = self.dropout if self.training else 0.0
        if not need_weights:
            return _fused_attention(query, key, value, mask, bias, dropout), None
        output, weights = scaled_dot_product_attention(query, key, value, mask, bias)
        if dropout:
            weights = F.dropout(weights, dropout)
            output = weights @ value
        return output, weights

    def _check_inputs(self, query, key, value):
        _check_vectors("query", query, self.d_model, self.w_q.weight)
        if key is None and value is not None:
            raise ValueError(
                "a value was given without its key; give both, or neither for self-attention"
            )
        for name, tensor in (("key", key), ("value", value)):
            if tensor is None:
                continue
            _check_vectors(name, tensor, self.d_model, self.w_q.weight)
            if tensor.shape[:-2] != query.shape[:-2]:
                raise ValueError(
                    f"{name} of shape {tuple(tensor.shape)} has another batch than the query of shape "
                    f"{tuple(query.shape)}; all dimensions but the last two must be equal"
                )
        if value is not None and value.shape[-2] != key.shape[-2]:
            raise ValueError(
                f"{key.shape[-2]} keys but {value.shape[-2]} values; each key needs exactly one value"
            )


def _rotated(rotate, x):
    """Apply rotate, where there is one, and refuse what it gives back in another shape or type."""
    if rotate is None:
        return x
    turned = rotate(x)
    _check_rotated(x, turned)
    return turned


def _fused_attention(query, key, value, mask, bias, dropout):
    """Compute the output alone by torch's kernel, which never stores the weights."""
    if bias is not None and mask is not None:
        nothing = ~mask.any(dim=-1, keepdim=True)
        bias = bias.to(query.dtype).masked_fill(~(mask | nothing), -math.inf)
    attend_to = mask if bias is None else bias.to(query.dtype)
    output = F.scaled_dot_product_attention(query, key, value, attend_to, dropout)
    if bias is not None and mask is not None:
        output = output.masked_fill(nothing, 0.0)
    return output


def _describe(value) -> str:
    """Name what was given in a few words: a tensor by shape and type, anything else as it is."""
    if isinstance(value, Tensor):
        kind = "a tensor" if value.layout is torch.strided else "a sparse tensor"
        return f"{kind} of shape {tuple(value.shape)} and type {str(value.dtype).removeprefix('torch.')}"
    if isinstance(value, int) and value.bit_length() > 64:
        return f"a whole number of {value.bit_length()} bits"
    text = " ".join(repr(value).split())
    return text if len(text) <= 40 else f"{text[:37]}..."


def _check_size(name: str, size, most: int = LARGEST_TENSOR) -> None:
    if isinstance(size, torch.SymInt) or torch.jit.is_tracing():
        return  # an exported model takes any length
    if isinstance(size, bool) or not isinstance(size, Integral):
        finite = isinstance(size, Real) and math.isfinite(size)
        nearest = min(max(1, round(size)), most) if finite else 1
        raise ValueError(
            f"{name}={_describe(size)} is no whole number; use 1 or more, such as {nearest}"
        )
    if size < 1:
        raise ValueError(f"{name}={_describe(size)} is too small; use 1 or more")
    if size > most:
        raise ValueError(f"{name}={_describe(size)} is too large; use 1 to {most}")


def _check_start(start) -> None:
    if isinstance(start, torch.SymInt) or torch.jit.is_tracing():
        return  # an exported model takes any length
    whole = isinstance(start, Integral) and not isinstance(start, bool)
    if not whole or not 0 <= start <= LARGEST_TENSOR:
        raise ValueError(f"start={_describe(start)} counts no positions; use 0 or more")


def _check_heads(d_model, heads) -> None:
    for name, size in (("d_model", d_model), ("heads", heads)):
        _check_size(name, size, most=math.isqrt(LARGEST_TENSOR))
    if d_model % heads:
        divisors = ", ".join(str(n) for n in range(1, d_model + 1) if d_model % n == 0)
        below, above = d_model // heads * heads, (d_model // heads + 1) * heads
        nearest = f"{below} or {above}" if below else f"{above}"
        raise ValueError(
            f"d_model={d_model} cannot be split over heads={heads}; "
            f"use heads in {{{divisors}}}, or d_model={nearest}"
        )


def _check_dropout(dropout) -> None:
    number = isinstance(dropout, Real) and not isinstance(dropout, bool)
    if not number or not 0 <= dropout < 1:
        nearest = "0.9" if number and dropout >= 1 else "0.0"
        raise ValueError(
            f"dropout={_describe(dropout)} is no share of weights to drop; "
            f"use a number from 0 up to but not including 1, such as {nearest}"
        )


def _is_number(value) -> bool:
    """Tell whether a value is a finite number that a float can hold."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _is_float(x) -> bool:
    return isinstance(x, Tensor) and x.is_floating_point() and x.layout is torch.strided


def _is_whole(x) -> bool:
    if not isinstance(x, Tensor) or x.layout is not torch.strided:
        return False
    return not (x.is_floating_point() or x.is_complex() or x.dtype == torch.bool)


def _check_padding(token_ids, pad_id) -> None:
    if not _is_whole(token_ids) or token_ids.ndim != 2:
        raise ValueError(
            f"token_ids={_describe(token_ids)} cannot be read; give whole numbers of shape (B, T), "
            "for one sentence ids[None]"
        )
    if isinstance(pad_id, bool) or not isinstance(pad_id, Integral) or abs(pad_id) >= 2**63:
        raise ValueError(f"pad_id={_describe(pad_id)} is no token id; use a whole number such as 0")


def _check_vectors(name: str, x, d_model: int, weight: Tensor, least_rank: int = 2) -> None:
    shape = "(..., T, d_model)" if least_rank == 2 else "(..., d_model)"
    shape = shape.replace("d_model", str(d_model))
    if not _is_float(x):
        raise ValueError(
            f"{name}={_describe(x)} holds no vectors; give a float tensor of shape {shape}"
        )
    if x.ndim < least_rank or x.shape[-1] != d_model:
        raise ValueError(
            f"{name} has shape {tuple(x.shape)}; its shape must be {shape}, "
            f"since d_model={d_model} is the width of each token's vector"
        )
    if x.device != weight.device:
        raise ValueError(
            f"{name} is on {x.device} and the weights on {weight.device}; "
            f"move it by {name}.to({str(weight.device)!r})"
        )
    if x.dtype != weight.dtype and not torch.is_autocast_enabled(x.device.type):
        raise ValueError(
            f"{name} is {x.dtype} and the weights are {weight.dtype}; "
            f"convert it by {name}.to({weight.dtype})"
        )


def _check_options(rotate, cache, need_weights) -> None:
    if rotate is not None and not callable(rotate):
        raise ValueError(
            f"rotate={_describe(rotate)} cannot be called; give a function of one tensor, such as rotary"
        )
    if cache is not None and not isinstance(cache, KeyValueCache):
        raise ValueError(f"cache={_describe(cache)} holds no keys; give a KeyValueCache(), or None")
    if not isinstance(need_weights, bool):
        raise ValueError(
            f"need_weights={_describe(need_weights)} is no yes or no; use True or False"
        )


def _check_rotated(before: Tensor, after) -> None:
    same = isinstance(after, Tensor) and after.shape == before.shape
    if not same or (after.dtype, after.device) != (before.dtype, before.device):
        raise ValueError(
            f"rotate made {_describe(after)} of {_describe(before)}; "
            "it must give back the same shape, type and device, as rotary does"
        )


def _check_appended(cache: KeyValueCache, key, value) -> None:
    for name, held, new in (("key", cache.key, key), ("value", cache.value, value)):
        if not _is_float(new) or new.ndim < 2:
            raise ValueError(
                f"{name}={_describe(new)} cannot be held; give a float tensor of shape (..., T, width)"
            )
        if held is None:
            continue
        same = (held.dtype, held.device) == (new.dtype, new.device)
        if not same or held.ndim != new.ndim or held[..., :0, :].shape != new[..., :0, :].shape:
            raise ValueError(
                f"the new {name} is {_describe(new)} and the cache holds {_describe(held)}; all but the "
                "number of tokens must agree, so use one cache for each layer and each batch"
            )
    if key.shape[-2] != value.shape[-2]:
        raise ValueError(
            f"{key.shape[-2]} keys but {value.shape[-2]} values; each key needs exactly one value"
        )


def _check_cached(cached: Tensor, queries: Tensor, key: Tensor) -> None:
    """Refuse a cache that was filled from another source than this cross-attention's."""
    expected = (*queries.shape[:-2], key.shape[-2], queries.shape[-1])
    if cached.shape != expected or cached.dtype != queries.dtype:
        raise ValueError(
            f"the cache holds keys of shape {tuple(cached.shape)} and this source needs {expected}; "
            "use a new KeyValueCache() for each source and each layer"
        )


def _check_attention(query, key, value, mask, bias) -> None:
    for name, tensor in (("query", query), ("key", key), ("value", value)):
        if not _is_float(tensor) or tensor.ndim < 2:
            raise ValueError(
                f"{name}={_describe(tensor)} cannot attend; give a float tensor of shape (..., T, width)"
            )
    if query.shape[-1] != key.shape[-1] or not query.shape[-1]:
        raise ValueError(
            f"the query is {query.shape[-1]} wide and the key {key.shape[-1]}; a dot product needs the same d_k, 1 or more"
        )
    if key.shape[-2] != value.shape[-2]:
        raise ValueError(
            f"{key.shape[-2]} keys but {value.shape[-2]} values; each key needs exactly one value"
        )
    if not query.dtype == key.dtype == value.dtype:
        raise ValueError(
            f"query, key and value are {query.dtype}, {key.dtype} and {value.dtype}; give all in one type, "
            f"such as {query.dtype}"
        )
    if not query.device == key.device == value.device:
        raise ValueError(
            f"query, key and value are on {query.device}, {key.device} and {value.device}; "
            f"move all to one device, such as {query.device}"
        )
    try:
        torch.broadcast_shapes(query.shape[:-2], key.shape[:-2], value.shape[:-2])
    except RuntimeError:
        raise ValueError(
            f"the leading dimensions of query {tuple(query.shape)}, key {tuple(key.shape)} and value "
            f"{tuple(value.shape)} do not broadcast; all dimensions but the last two must be equal or 1"
        ) from None
    _check_mask(mask, bias, query, key, any_rank=True)


def _check_mask(mask, bias, query, key, any_rank: bool = False) -> None:
    """Refuse a mask or bias that does not broadcast to the scores, or whose meaning would be a guess."""
    if mask is None and bias is None:
        return
    leading = query.shape[:-2]
    if key.shape[:-2] != leading:
        leading = torch.broadcast_shapes(leading, key.shape[:-2])
    scores = (*leading, query.shape[-2], key.shape[-2])
    boolean = isinstance(mask, Tensor) and mask.dtype == torch.bool
    if mask is not None and not (boolean and mask.layout is torch.strided):
        raise ValueError(
            f"mask={_describe(mask)} is not boolean; give True where attention is allowed, "
            "for example causal_mask(T), or mask != 0"
        )
    if bias is not None and not _is_float(bias):
        raise ValueError(
            f"bias={_describe(bias)} cannot be added to the scores; give a float tensor"
        )
    for name, tensor in (("mask", mask), ("bias", bias)):
        if tensor is None:
            continue
        if tensor.device != query.device:
            raise ValueError(
                f"the {name} is on {tensor.device} and the query on {query.device}; "
                f"move it by {name}.to({str(query.device)!r})"
            )
        fits = 2 <= tensor.ndim <= len(scores) and all(
            size in (1, whole)
            for size, whole in zip(tensor.shape[::-1], scores[::-1], strict=False)
        )
        if name == "mask" and tensor.ndim == 3 and len(scores) == 4 and not any_rank:
            fits = False  # its first dimension could mean B or h: better to ask than to guess
        if not fits:
            raise ValueError(
                f"the {name} has shape {tuple(tensor.shape)}, which does not fit the scores of shape {scores}; "
                f"use {scores[-2:]} or the full shape, with 1 for each dimension that is shared"
            )
