"""The residual stream of a Transformer: its states from part to part, and how far each vector turns.

Norms need no function of their own: `stream.norm(dim=-1)`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lesson_tf.transformer import Residual, Transformer


def stream_parts(model: Transformer) -> tuple[list[nn.Module], list[nn.Module]]:
    """List the parts of encoder and decoder after each of which the stream has a new state, in order.

    The embedding comes first, then every sub-layer with its residual connection, last the norm of the stack.
    Raises ValueError for what is no Transformer.

    >>> from lesson_tf.transformer import TransformerConfig
    >>> encoder, decoder = stream_parts(Transformer(TransformerConfig(source_vocab=9, target_vocab=9)))
    >>> len(encoder), len(decoder)  # of 2 + 2 layers
    (6, 8)
    """
    if not isinstance(model, Transformer):
        raise ValueError(
            f"model={type(model).__name__} has no encoder and decoder; give a Transformer"
        )
    return (
        [model.source_embedding, *_residuals(model.encoder), model.encoder.norm],
        [model.target_embedding, *_residuals(model.decoder), model.decoder.norm],
    )


def _residuals(stack: nn.Module) -> list[nn.Module]:
    return [part for part in stack.modules() if isinstance(part, Residual)]


class StreamRecord:
    """The states of both streams in the last pass through a model; `recorded_stream` makes one."""

    def __init__(self, model: Transformer):
        self._parts = stream_parts(model)
        self._states: dict[nn.Module, Tensor] = {}

    @property
    def encoder(self) -> Float[Tensor, "states batch source d_model"]:
        """The states of the encoder's stream, that of its embedding first, the memory last."""
        return torch.stack([self._states[part] for part in self._parts[0]])

    @property
    def decoder(self) -> Float[Tensor, "states batch target d_model"]:
        """The states of the decoder's stream, that of its embedding first, that of its norm last."""
        return torch.stack([self._states[part] for part in self._parts[1]])


@contextmanager
def recorded_stream(model: Transformer) -> Iterator[StreamRecord]:
    """Record the states of the stream as long as the block runs; a later pass replaces an earlier one.

    Raises ValueError for what is no Transformer.

    >>> from lesson_tf.transformer import TransformerConfig
    >>> model = Transformer(TransformerConfig(source_vocab=9, target_vocab=9, d_model=8))
    >>> with recorded_stream(model) as record:
    ...     memory = model.encode(torch.tensor([[4, 5, 6]]))
    >>> record.encoder.shape, torch.equal(record.encoder[-1], memory)
    (torch.Size([6, 1, 3, 8]), True)
    """
    record = StreamRecord(model)

    def keep(part, _, state):
        record._states[part] = state

    hooks = [part.register_forward_hook(keep) for part in chain(*stream_parts(model))]
    try:
        yield record
    finally:
        for hook in hooks:
            hook.remove()


def turns(
    stream: Float[Tensor, "states batch length d_model"],
) -> Float[Tensor, "steps batch length"]:
    """Measure by how many degrees each vector turns from one state to the next.

    >>> turns(torch.tensor([[[[2.0, 0.0]]], [[[1.0, 1.0]]], [[[0.0, 3.0]]]])).flatten().tolist()
    [45.0, 45.0]
    """
    cosines = nn.functional.cosine_similarity(stream[1:], stream[:-1], dim=-1)
    return cosines.clamp(-1.0, 1.0).acos().rad2deg()
