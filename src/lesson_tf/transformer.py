"""The Transformer, encoder and decoder, in one sitting: each class is one concept of the paper.

x stands for the residual stream `(B, T, d_model)`: one vector a token, to which every part adds.
"""

import math
from collections.abc import Callable

import torch  # noqa: F401 (the examples use it)
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from lesson_tf.attention import (
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
    _check_is_config,
    _check_memory,
    _check_record,
    _check_source,
    _check_sublayer,
    _check_token_ids,
)

Stream = Float[Tensor, "batch length d_model"]
SelfMask = Bool[Tensor, "... #length #length"] | None
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
        self, x: Stream, mask: SelfMask = None, bias=None, rotate=None, record: list | None = None
    ) -> Stream:
        """Let tokens exchange, then let each think; a `record` receives the attention weights."""

        def attend(x):
            return attend_and_record(
                self.self_attention, record, x, mask=mask, bias=bias, rotate=rotate
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
    ) -> Stream:
        """Read what was written, then the source, then think; a `record` receives both weights."""

        _check_vectors("x", x, self.self_attention.d_model, self.self_attention.w_q.weight)
        _check_memory(x, memory, self.cross_attention.w_k.weight)

        def attend(x):
            return attend_and_record(
                self.self_attention, record, x, mask=mask, bias=bias, rotate=rotate
            )

        def attend_to_memory(x):
            return attend_and_record(self.cross_attention, record, x, memory, mask=memory_mask)

        x = self.self_residual(x, attend)
        x = self.cross_residual(x, attend_to_memory)
        return self.feed_forward_residual(x, self.feed_forward)


class Encoder(nn.Module):
    """A stack of encoder layers and a last layer norm.

    Raises ValueError where x is not `(B, T, d_model)`. Source: Vaswani et al. (2017), figure 1, left.

    >>> Encoder(TransformerConfig(9, 9, d_model=8))(torch.zeros(2, 5, 8)).shape
    torch.Size([2, 5, 8])
    """

    def __init__(self, config: TransformerConfig):
        _check_is_config(config)
        super().__init__()
        self.config = config
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.encoder_layers))
        self.norm = nn.LayerNorm(config.d_model, eps=config.layer_norm_eps)

    def forward(self, x: Stream, mask: SelfMask = None, record: list | None = None) -> Stream:
        """Pass x through all layers; a `record` receives each layer's weights `(B, h, T, T)`."""
        _check_vectors("x", x, self.config.d_model, self.norm.weight)
        relative = _relative_positions(self.config, x)
        for layer in self.layers:
            x = layer(x, mask, **relative, record=record)
        return self.norm(x)


class Decoder(nn.Module):
    """A stack of decoder layers and a last layer norm.

    Raises ValueError where x or the memory does not fit. Source: Vaswani et al. (2017), figure 1, right.

    >>> decoder = Decoder(TransformerConfig(9, 9, d_model=8))
    >>> decoder(torch.zeros(2, 3, 8), memory=torch.zeros(2, 5, 8)).shape
    torch.Size([2, 3, 8])
    """

    def __init__(self, config: TransformerConfig):
        _check_is_config(config)
        super().__init__()
        self.config = config
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.decoder_layers))
        self.norm = nn.LayerNorm(config.d_model, eps=config.layer_norm_eps)

    def forward(
        self,
        x: Stream,
        memory: Float[Tensor, "batch keys d_model"],
        mask: SelfMask = None,
        memory_mask: MemoryMask = None,
        record: list | None = None,
    ) -> Stream:
        """Pass x through all layers; a `record` receives each layer's self- and cross-attention weights."""
        _check_vectors("x", x, self.config.d_model, self.norm.weight)
        _check_memory(x, memory, self.norm.weight)
        relative = _relative_positions(self.config, x)
        for layer in self.layers:
            x = layer(x, memory, mask, memory_mask, **relative, record=record)
        return self.norm(x)


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

    def forward(self, token_ids: Int[Tensor, "batch length"]) -> Stream:
        """Look the ids up."""
        _check_token_ids(token_ids, self.table.num_embeddings)
        x = self.table(token_ids) * math.sqrt(self.config.d_model)
        if self.config.positions == "sinusoidal":
            x = x + sinusoidal(token_ids.shape[1], self.config.d_model).to(x)
        elif self.config.positions == "learned":
            x = x + self.positions(token_ids.shape[1])
        return self.dropout(x)


class Transformer(nn.Module):
    """The encoder-decoder: token ids of the source and of the target so far in, scores for the next token out.

    `encoder` and `decoder` work on vectors; `encode` and `decode` on ids. The decoder never sees the future,
    and nothing attends to padding.

    Raises ValueError where ids are no whole numbers `(B, T)` within the vocabulary.

    Source: Vaswani et al. (2017), figure 1.

    >>> model = Transformer(TransformerConfig(source_vocab=50, target_vocab=13))
    >>> model(torch.ones(2, 7, dtype=torch.long), torch.ones(2, 4, dtype=torch.long)).shape
    torch.Size([2, 4, 13])
    """

    def __init__(self, config: TransformerConfig):
        _check_is_config(config)
        super().__init__()
        self.config = config
        self.source_embedding = Embedding(config.source_vocab, config)
        self.target_embedding = Embedding(config.target_vocab, config)
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        for stack in (self.encoder, self.decoder):
            for matrix in stack.parameters():
                if matrix.dim() > 1:
                    nn.init.xavier_uniform_(matrix)
        self.output = nn.Linear(config.d_model, config.target_vocab, bias=False)
        if config.tie_embeddings:
            self.output.weight = self.target_embedding.table.weight

    def encode(self, source_ids: Int[Tensor, "batch keys"], record: list | None = None) -> Stream:
        """Read the source: `(B, T)` ids become `(B, T, d_model)` vectors that know their context."""
        x = self.source_embedding(source_ids)
        return self.encoder(x, self._padding(source_ids), record)

    def decode(
        self,
        target_ids: Int[Tensor, "batch length"],
        memory: Float[Tensor, "batch keys d_model"],
        source_ids: Int[Tensor, "batch keys"] | None = None,
        record: list | None = None,
    ) -> Float[Tensor, "batch length target_vocab"]:
        """Score every next token of the target, given the memory of `encode` and the source's padding."""
        x = self.target_embedding(target_ids)
        _check_memory(x, memory, self.output.weight)
        _check_source(source_ids, memory)
        mask = causal_mask(target_ids.shape[1]).to(x.device)
        padding = self._padding(target_ids)
        mask = mask if padding is None else mask & padding
        memory_mask = None if source_ids is None else self._padding(source_ids)
        return self.output(self.decoder(x, memory, mask, memory_mask, record))

    def forward(
        self, source_ids: Int[Tensor, "batch keys"], target_ids: Int[Tensor, "batch length"]
    ) -> Float[Tensor, "batch length target_vocab"]:
        """Encode the source, and score the next token at every position of the target at once."""
        return self.decode(target_ids, self.encode(source_ids), source_ids)

    def _padding(self, token_ids):
        pad_id = self.config.pad_id
        return None if pad_id is None else padding_mask(token_ids, pad_id)


def _relative_positions(config: TransformerConfig, x: Tensor) -> dict:
    """Return how positions enter self-attention: as a bias, as a rotation, or not at all."""
    if config.positions == "rotary":
        return {"rotate": rotary}
    if config.positions == "alibi":
        return {"bias": alibi_bias(config.heads, x.shape[-2], x.shape[-2]).to(x)}
    return {}
