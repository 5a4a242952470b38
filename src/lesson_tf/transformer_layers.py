"""The parts of a Transformer: feed-forward, residual, the two kinds of layer, embedding, cache.

x stands for the residual stream `(B, T, d_model)`: one vector a token, to which every part adds.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from lesson_tf.attention import (
    KeyValueCache,
    MultiHeadAttention,
    _check_dropout,
    _check_size,
    _check_vectors,
    causal_mask,
    padding_mask,
)
from lesson_tf.positional_encoding import LearnedPositions, alibi_bias, rotary, sinusoidal
from lesson_tf.transformer_config import (
    TransformerConfig,
    _check_continues,
    _check_is_config,
    _check_memory,
    _check_record,
    _check_sublayer,
    _check_token_ids,
)

Stream = Float[Tensor, "batch length d_model"]
SelfMask = Bool[Tensor, "... #length #all_keys"] | None
MemoryMask = Bool[Tensor, "... #length #keys"] | None


class FeedForward(nn.Module):
    """Widen each token's vector to d_ff, keep what is positive, and come back to d_model.

    Every token is treated alone, and all alike. Raises ValueError where a size or the width of x is wrong.

    Source: Vaswani et al. (2017), equation 2.

    >>> FeedForward(d_model=8, d_ff=32)(torch.zeros(2, 5, 8)).shape
    torch.Size([2, 5, 8])
    """

    def __init__(self, d_model: int, d_ff: int, dropout: float = 0.0):
        _check_size("d_model", d_model)
        _check_size("d_ff", d_ff)
        _check_dropout(dropout)
        super().__init__()
        self.widen = nn.Linear(d_model, d_ff)
        self.narrow = nn.Linear(d_ff, d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_model"]:
        """Apply both layers to each vector."""
        _check_vectors("x", x, self.widen.in_features, self.widen.weight, least_rank=1)
        return self.narrow(self.dropout(self.widen(x).relu()))


class Residual(nn.Module):
    """Add what a sublayer says to the stream, with layer norm before the sublayer or after the sum.

    Raises ValueError where x is not `(..., T, d_model)` or the sublayer cannot be called.

    Source: Vaswani et al. (2017), section 3.1 (after); Xiong et al. (2020) (before).

    >>> Residual(TransformerConfig(9, 9, d_model=8))(torch.ones(1, 2, 8), torch.zeros_like).shape
    torch.Size([1, 2, 8])
    """

    def __init__(self, config: TransformerConfig):
        _check_is_config(config)
        super().__init__()
        self.norm_first = config.norm_first
        self.norm = nn.LayerNorm(config.d_model, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Stream, sublayer: Callable[[Tensor], Tensor]) -> Stream:
        """Return x + sublayer(norm(x)), or norm(x + sublayer(x))."""
        _check_sublayer(x, sublayer, self.norm.weight)
        if self.norm_first:
            return x + self.dropout(sublayer(self.norm(x)))
        return self.norm(x + self.dropout(sublayer(x)))


def attend_and_record(attention: MultiHeadAttention, record: list | None, *inputs, **arguments):
    """Call attention and return its output; a `record`, where one is given, receives the weights.

    Raises ValueError where the record is no list, and what attention raises.

    >>> record = []
    >>> attend_and_record(MultiHeadAttention(8, 2), record, torch.zeros(1, 5, 8)).shape
    torch.Size([1, 5, 8])
    >>> record[0].shape
    torch.Size([1, 2, 5, 5])
    """
    _check_record(record)
    output, weights = attention(*inputs, **arguments, need_weights=record is not None)
    if record is not None:
        record.append(weights)
    return output


class LayerCache(NamedTuple):
    """What a decoder layer keeps between two calls: keys and values of what was written, and of the source."""

    self_attention: KeyValueCache | None
    cross_attention: KeyValueCache | None


class StackCache:
    """What a stack of layers keeps between two calls: the ids it has read, and each layer's keys and values.

    A model's `new_cache` makes one; it serves one batch.

    Source: Shazeer (2019), section 2.4 (incremental attention).

    >>> cache = StackCache(layers=2)
    >>> cache.length, len(cache.layers)
    (0, 2)
    """

    def __init__(self, layers: int):
        _check_size("layers", layers, most=1000)
        self.layers = [LayerCache(KeyValueCache(), KeyValueCache()) for _ in range(layers)]
        self.token_ids: Tensor | None = None

    @property
    def length(self) -> int:
        """The number of tokens whose keys are held."""
        return self.layers[0].self_attention.length

    def append(self, token_ids: Int[Tensor, "batch new"]) -> Int[Tensor, "batch all"]:
        """Add the ids of new tokens; return those of all, whose padding the mask needs.

        Raises ValueError where they belong to another batch.
        """
        _check_continues(self.token_ids, token_ids)
        if self.token_ids is not None:
            token_ids = torch.cat((self.token_ids[:, : self.length], token_ids), dim=1)
        self.token_ids = token_ids
        return token_ids

    def select(self, rows: Int[Tensor, " rows"]) -> None:
        """Keep these rows of the batch, in this order; a row may come twice, as beam search needs."""
        self.token_ids = self.token_ids[rows]
        for layer in self.layers:
            for cache in layer:
                if cache.length:
                    cache.key, cache.value = cache.key[rows], cache.value[rows]


class EncoderLayer(nn.Module):
    """Self-attention, then feed-forward, each beside the residual stream.

    Raises ValueError where x is not `(..., T, d_model)` or an argument does not fit it.
    Source: Vaswani et al. (2017), figure 1, left.

    >>> EncoderLayer(TransformerConfig(9, 9, d_model=8))(torch.zeros(2, 5, 8)).shape
    torch.Size([2, 5, 8])
    """

    def __init__(self, config: TransformerConfig):
        _check_is_config(config)
        super().__init__()
        self.self_attention = MultiHeadAttention(config.d_model, config.heads, config.dropout)
        self.feed_forward = FeedForward(config.d_model, config.d_ff, config.dropout)
        self.attention_residual = Residual(config)
        self.feed_forward_residual = Residual(config)

    def forward(
        self,
        x: Stream,
        mask: SelfMask = None,
        bias=None,
        rotate=None,
        record: list | None = None,
        cache: KeyValueCache | None = None,
    ) -> Stream:
        """Let tokens exchange, then let each think; a `record` receives the attention weights.

        With a `cache`, x continues the tokens whose keys and values it holds.
        """

        def attend(x):
            return attend_and_record(
                self.self_attention, record, x, mask=mask, bias=bias, rotate=rotate, cache=cache
            )

        x = self.attention_residual(x, attend)
        return self.feed_forward_residual(x, self.feed_forward)


class DecoderLayer(nn.Module):
    """Masked self-attention, cross-attention to the encoder's output, then feed-forward.

    Raises ValueError where x or the memory is not `(..., T, d_model)` or an argument does not fit it.
    Source: Vaswani et al. (2017), figure 1, right.

    >>> layer = DecoderLayer(TransformerConfig(9, 9, d_model=8))
    >>> layer(torch.zeros(2, 3, 8), memory=torch.zeros(2, 5, 8)).shape
    torch.Size([2, 3, 8])
    """

    def __init__(self, config: TransformerConfig):
        _check_is_config(config)
        super().__init__()
        self.self_attention = MultiHeadAttention(config.d_model, config.heads, config.dropout)
        self.cross_attention = MultiHeadAttention(config.d_model, config.heads, config.dropout)
        self.feed_forward = FeedForward(config.d_model, config.d_ff, config.dropout)
        self.self_residual = Residual(config)
        self.cross_residual = Residual(config)
        self.feed_forward_residual = Residual(config)

    def forward(
        self,
        x: Stream,
        memory: Float[Tensor, "batch keys d_model"],
        mask: SelfMask = None,
        memory_mask: MemoryMask = None,
        bias=None,
        rotate=None,
        record: list | None = None,
        cache: LayerCache | None = None,
    ) -> Stream:
        """Read what was written, then the source, then think; a `record` receives both weights.

        With a `cache`, x continues what was written, and the source is projected once.
        """
        _check_vectors("x", x, self.self_attention.d_model, self.self_attention.w_q.weight)
        _check_memory(x, memory, self.cross_attention.w_k.weight)

        cache = LayerCache(None, None) if cache is None else cache

        def attend(x):
            return attend_and_record(
                self.self_attention,
                record,
                x,
                mask=mask,
                bias=bias,
                rotate=rotate,
                cache=cache.self_attention,
            )

        def attend_to_memory(x):
            return attend_and_record(
                self.cross_attention,
                record,
                x,
                memory,
                mask=memory_mask,
                cache=cache.cross_attention,
            )

        x = self.self_residual(x, attend)
        x = self.cross_residual(x, attend_to_memory)
        return self.feed_forward_residual(x, self.feed_forward)


class Embedding(nn.Module):
    """One row of a table for each token id, times √d_model, plus the position where it is added at all.

    Raises ValueError where ids are no whole numbers `(B, T)` within the vocabulary.
    Source: Vaswani et al. (2017), sections 3.4 and 3.5.

    >>> Embedding(9, TransformerConfig(9, 9, d_model=8))(torch.tensor([[1, 2, 3]])).shape
    torch.Size([1, 3, 8])
    """

    def __init__(self, vocab: int, config: TransformerConfig):
        _check_size("vocab", vocab)
        _check_is_config(config)
        super().__init__()
        self.config = config
        self.table = nn.Embedding(vocab, config.d_model)
        # The factor √d_model of the paper then gives each number of the stream a variance of 1.
        nn.init.normal_(self.table.weight, std=config.d_model**-0.5)
        self.dropout = nn.Dropout(config.dropout)
        if config.positions == "learned":
            self.positions = LearnedPositions(config.max_length, config.d_model)

    def forward(self, token_ids: Int[Tensor, "batch length"], start: int = 0) -> Stream:
        """Look the ids up; the first of them stands at position `start`."""
        _check_token_ids(token_ids, self.table.num_embeddings)
        x = self.table(token_ids) * math.sqrt(self.config.d_model)
        length = token_ids.shape[1]
        if self.config.positions == "sinusoidal":
            x = x + sinusoidal(length, self.config.d_model, start=start).to(x)
        elif self.config.positions == "learned":
            x = x + self.positions(length, start)
        return self.dropout(x)


@contextmanager
def in_mode(model: nn.Module, training: bool) -> Iterator[None]:
    """Switch dropout on or off as long as the block runs, then every part back to what it was.

    >>> layer = FeedForward(d_model=8, d_ff=32, dropout=0.1)
    >>> with in_mode(layer, training=False):
    ...     print(layer.dropout.training)
    False
    >>> layer.dropout.training
    True
    """
    before = [(module, module.training) for module in model.modules()]
    model.train(training)
    try:
        yield
    finally:
        for module, mode in before:
            module.training = mode


def mask_padding(token_ids: Tensor, pad_id: int | None) -> Tensor | None:
    """Mask padding `(B, 1, 1, T)`, or return None where nothing is padded."""
    return None if pad_id is None else padding_mask(token_ids, pad_id)


def mask_past_and_padding(seen: Int[Tensor, "batch all"], new: int, pad_id: int | None) -> Tensor:
    """Allow the last `new` tokens to attend to themselves and to all before, but to no padding."""
    mask = causal_mask(new, start=seen.shape[1] - new).to(seen.device)
    padding = mask_padding(seen, pad_id)
    return mask if padding is None else mask & padding


def relative_positions(config: TransformerConfig, x: Tensor, start: int = 0) -> dict:
    """Return how positions enter self-attention: as a bias, as a rotation, or not at all.

    The first token of x stands at position `start`; a cache holds those before it.
    """
    length = x.shape[-2]
    if config.positions == "rotary":
        positions = torch.arange(start, start + length, device=x.device) if start else None
        return {"rotate": partial(rotary, positions=positions)}
    if config.positions == "alibi":
        return {"bias": alibi_bias(config.heads, length, start + length).to(x)}
    return {}
