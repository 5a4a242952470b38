"""The Transformer in one sitting: encoder, decoder, both together, and the decoder alone (GPT).

x stands for the residual stream `(B, T, d_model)`: one vector a token, to which every part adds. The parts
that the stacks are made of stand in `transformer_layers`.
"""

import torch  # noqa: F401 (the examples use it)
from jaxtyping import Float, Int
from torch import Tensor, nn

from lesson_tf.attention import _check_vectors
from lesson_tf.transformer_config import (
    TransformerConfig,
    _check_cache,
    _check_is_config,
    _check_memory,
    _check_source,
)
from lesson_tf.transformer_layers import (
    DecoderLayer,
    Embedding,
    EncoderLayer,
    FeedForward,
    MemoryMask,
    Residual,
    SelfMask,
    StackCache,
    Stream,
    attend_and_record,
    in_mode,
    mask_padding,
    mask_past_and_padding,
    relative_positions,
)

__all__ = [
    "Decoder",
    "DecoderLayer",
    "Embedding",
    "Encoder",
    "EncoderLayer",
    "FeedForward",
    "LanguageModel",
    "Residual",
    "StackCache",
    "Transformer",
    "TransformerConfig",
    "attend_and_record",
    "in_mode",
]


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
        relative = relative_positions(self.config, x)
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
        cache: StackCache | None = None,
    ) -> Stream:
        """Pass x through all layers; a `record` receives each layer's self- and cross-attention weights.

        With a `cache`, x continues what the cache has seen.
        """
        _check_vectors("x", x, self.config.d_model, self.norm.weight)
        _check_memory(x, memory, self.norm.weight)
        _check_cache(cache, len(self.layers), StackCache)
        relative = relative_positions(self.config, x, 0 if cache is None else cache.length)
        for i, layer in enumerate(self.layers):
            held = None if cache is None else cache.layers[i]
            x = layer(x, memory, mask, memory_mask, **relative, record=record, cache=held)
        return self.norm(x)


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
        return self.encoder(x, mask_padding(source_ids, self.config.pad_id), record)

    def decode(
        self,
        target_ids: Int[Tensor, "batch length"],
        memory: Float[Tensor, "batch keys d_model"],
        source_ids: Int[Tensor, "batch keys"] | None = None,
        record: list | None = None,
        cache: StackCache | None = None,
    ) -> Float[Tensor, "batch length target_vocab"]:
        """Score every next token of the target, given the memory of `encode` and the source's padding.

        With a `cache` of `new_cache`, give the new tokens alone: they continue those of the calls before.
        """
        _check_cache(cache, len(self.decoder.layers), StackCache)
        x = self.target_embedding(target_ids, 0 if cache is None else cache.length)
        _check_memory(x, memory, self.output.weight)
        _check_source(source_ids, memory)
        seen = target_ids if cache is None else cache.append(target_ids)
        mask = mask_past_and_padding(seen, target_ids.shape[1], self.config.pad_id)
        memory_mask = None if source_ids is None else mask_padding(source_ids, self.config.pad_id)
        return self.output(self.decoder(x, memory, mask, memory_mask, record, cache))

    def forward(
        self, source_ids: Int[Tensor, "batch keys"], target_ids: Int[Tensor, "batch length"]
    ) -> Float[Tensor, "batch length target_vocab"]:
        """Encode the source, and score the next token at every position of the target at once."""
        return self.decode(target_ids, self.encode(source_ids), source_ids)

    def new_cache(self) -> StackCache:
        """Make an empty cache for one batch of targets."""
        return StackCache(len(self.decoder.layers))


class LanguageModel(nn.Module):
    """The decoder alone: no source, no cross-attention; the tokens so far in, scores for the next one out.

    Its layers are encoder layers under the causal mask. Of the configuration, `target_vocab` and
    `decoder_layers` count; `source_vocab` and `encoder_layers` do not.

    Raises ValueError where ids are no whole numbers `(B, T)` within the vocabulary.

    Source: Radford et al. (2018), section 3.1.

    >>> model = LanguageModel(TransformerConfig(source_vocab=50, target_vocab=50, norm_first=True))
    >>> model(torch.ones(2, 7, dtype=torch.long)).shape
    torch.Size([2, 7, 50])
    """

    def __init__(self, config: TransformerConfig):
        _check_is_config(config)
        super().__init__()
        self.config = config
        self.embedding = Embedding(config.target_vocab, config)
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.decoder_layers))
        for matrix in self.layers.parameters():
            if matrix.dim() > 1:
                nn.init.xavier_uniform_(matrix)
        self.norm = nn.LayerNorm(config.d_model, eps=config.layer_norm_eps)
        self.output = nn.Linear(config.d_model, config.target_vocab, bias=False)
        if config.tie_embeddings:
            self.output.weight = self.embedding.table.weight

    def forward(
        self,
        token_ids: Int[Tensor, "batch length"],
        record: list | None = None,
        cache: StackCache | None = None,
    ) -> Float[Tensor, "batch length target_vocab"]:
        """Score the next token at every position; a `record` receives each layer's weights `(B, h, T, T)`.

        With a `cache` of `new_cache`, give the new tokens alone: they continue those of the calls before.
        """
        _check_cache(cache, len(self.layers), StackCache)
        start = 0 if cache is None else cache.length
        x = self.embedding(token_ids, start)
        relative = relative_positions(self.config, x, start)
        seen = token_ids if cache is None else cache.append(token_ids)
        mask = mask_past_and_padding(seen, token_ids.shape[1], self.config.pad_id)
        for i, layer in enumerate(self.layers):
            held = None if cache is None else cache.layers[i].self_attention
            x = layer(x, mask, **relative, record=record, cache=held)
        return self.output(self.norm(x))

    def new_cache(self) -> StackCache:
        """Make an empty cache for one batch of texts."""
        return StackCache(len(self.layers))
