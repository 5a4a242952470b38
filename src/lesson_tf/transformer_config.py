"""The sizes and choices of a Transformer, and the sentences for those that cannot be built."""

import difflib
import math
from dataclasses import dataclass

from lesson_tf.attention import _check_dropout, _check_heads, _check_size

POSITIONS = ("none", "sinusoidal", "learned", "rotary", "alibi")


@dataclass(frozen=True)
class TransformerConfig:
    """The sizes and choices of a Transformer; refuses what cannot be built.

    `positions` is one of none, sinusoidal, learned, rotary and alibi; `max_length` bounds learned positions
    alone. `pad_id` marks padding in source and target, None means that there is none. `tie_embeddings` lets
    the target embedding and the output layer share one matrix.

    Raises ValueError where a size is not positive, d_model cannot be split over the heads, or a name is unknown.

    Source: Vaswani et al. (2017), section 3 and table 3; `norm_first` is Xiong et al. (2020).

    >>> TransformerConfig(source_vocab=50, target_vocab=13, d_model=64, heads=4).d_k
    16
    """

    source_vocab: int
    target_vocab: int
    d_model: int = 64
    heads: int = 4
    encoder_layers: int = 2
    decoder_layers: int = 2
    d_ff: int = 256
    dropout: float = 0.1
    norm_first: bool = False
    positions: str = "sinusoidal"
    max_length: int = 128
    pad_id: int | None = 0
    tie_embeddings: bool = False
    layer_norm_eps: float = 1e-5

    def __post_init__(self):
        """Refuse what cannot be built."""
        _check_config(self)

    @property
    def d_k(self) -> int:
        """The width of one head."""
        return self.d_model // self.heads


def _check_config(config: TransformerConfig) -> None:
    for name in (
        "source_vocab",
        "target_vocab",
        "encoder_layers",
        "decoder_layers",
        "d_ff",
        "max_length",
    ):
        _check_size(name, getattr(config, name))
    _check_heads(config.d_model, config.heads)
    _check_dropout(config.dropout)
    for name in ("norm_first", "tie_embeddings"):
        if not isinstance(getattr(config, name), bool):
            raise ValueError(f"{name}={getattr(config, name)!r} is no yes or no; use True or False")
    epsilon = config.layer_norm_eps
    if (
        isinstance(epsilon, bool)
        or not isinstance(epsilon, int | float)
        or not 0 < epsilon < math.inf
    ):
        raise ValueError(
            f"layer_norm_eps={epsilon!r} cannot keep a division from 0; use a small number such as 1e-5"
        )
    _check_pad_id(config)
    _check_positions(config)


def _check_pad_id(config: TransformerConfig) -> None:
    pad_id, vocab = config.pad_id, min(config.source_vocab, config.target_vocab)
    if pad_id is None:
        return
    if isinstance(pad_id, bool) or not isinstance(pad_id, int) or not 0 <= pad_id < vocab:
        raise ValueError(
            f"pad_id={pad_id!r} is in no vocabulary; use 0 to {vocab - 1}, or None where nothing is padded"
        )


def _check_positions(config: TransformerConfig) -> None:
    positions = config.positions
    if positions not in POSITIONS:
        nearest = difflib.get_close_matches(str(positions), POSITIONS, n=1, cutoff=0.0)[0]
        raise ValueError(
            f"positions={positions!r} is unknown; use one of {', '.join(POSITIONS)} (the nearest is {nearest!r})"
        )
    width = {"sinusoidal": ("d_model", config.d_model), "rotary": ("d_k", config.d_k)}.get(
        positions
    )
    if width and width[1] % 2:
        raise ValueError(
            f"positions={positions!r} needs pairs of dimensions, and {width[0]}={width[1]} is odd "
            f"(d_model={config.d_model}, heads={config.heads}); use an even {width[0]}, or learned positions"
        )
