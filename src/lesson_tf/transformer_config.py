"""The sizes and choices of a Transformer, and the sentences for what it cannot be built from or cannot read."""

import difflib
from dataclasses import dataclass, fields
from numbers import Integral, Real

import torch
from torch import Tensor

from lesson_tf.attention import (
    LARGEST_TENSOR,
    _check_dropout,
    _check_heads,
    _check_size,
    _check_vectors,
    _describe,
    _is_whole,
)

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

    def __new__(cls, *args, **choices):
        """Refuse a choice that does not exist, with the name it was meant for."""
        _check_names(cls, args, choices)
        return super().__new__(cls)

    def __post_init__(self):
        """Refuse what cannot be built."""
        _check_config(self)

    @property
    def d_k(self) -> int:
        """The width of one head."""
        return self.d_model // self.heads


def _check_is_config(config) -> None:
    if not isinstance(config, TransformerConfig):
        raise ValueError(
            f"config={_describe(config)} is no TransformerConfig; "
            "give TransformerConfig(source_vocab=50, target_vocab=50), with the sizes you want"
        )


def _check_names(cls, args: tuple, choices: dict) -> None:
    names = [field.name for field in fields(cls)]
    if len(args) > len(names):
        raise ValueError(
            f"{len(args)} values were given for {len(names)} choices; give them by name"
        )
    for name in choices:
        if name not in names:
            nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.0)[0]
            raise ValueError(
                f"{name}={_describe(choices[name])} is no choice of a Transformer; "
                f"use {', '.join(names)} (the nearest is {nearest!r})"
            )


def _check_config(config: TransformerConfig) -> None:
    for name in ("source_vocab", "target_vocab", "d_ff", "max_length"):
        _check_size(name, getattr(config, name))
    for name in ("encoder_layers", "decoder_layers"):
        _check_size(name, getattr(config, name), most=1000)
    _check_heads(config.d_model, config.heads)
    _check_dropout(config.dropout)
    for name in ("source_vocab", "target_vocab", "d_ff", "max_length"):
        rows, most = getattr(config, name), LARGEST_TENSOR // config.d_model
        if rows > most:
            raise ValueError(
                f"{name}={rows} with d_model={config.d_model} makes a matrix that is too large; "
                f"use {name} from 1 to {most}, or a smaller d_model"
            )
    for name in ("norm_first", "tie_embeddings"):
        if not isinstance(getattr(config, name), bool):
            raise ValueError(
                f"{name}={_describe(getattr(config, name))} is no yes or no; use True or False"
            )
    epsilon = config.layer_norm_eps
    number = isinstance(epsilon, Real) and not isinstance(epsilon, bool)
    if not number or not 0 < epsilon <= 1:
        raise ValueError(
            f"layer_norm_eps={_describe(epsilon)} cannot keep a division from 0; "
            "use a small number above 0 and at most 1, such as 1e-5"
        )
    _check_pad_id(config)
    _check_positions(config)


def _check_pad_id(config: TransformerConfig) -> None:
    pad_id, vocab = config.pad_id, min(config.source_vocab, config.target_vocab)
    if pad_id is None:
        return
    if isinstance(pad_id, bool) or not isinstance(pad_id, Integral) or not 0 <= pad_id < vocab:
        raise ValueError(
            f"pad_id={_describe(pad_id)} is in no vocabulary; use 0 to {vocab - 1}, or None where nothing is padded"
        )


def _check_positions(config: TransformerConfig) -> None:
    positions = config.positions
    if not isinstance(positions, str) or positions not in POSITIONS:
        nearest = difflib.get_close_matches(str(positions), POSITIONS, n=1, cutoff=0.0)[0]
        raise ValueError(
            f"positions={_describe(positions)} is unknown; use one of {', '.join(POSITIONS)} (the nearest is {nearest!r})"
        )
    width = {"sinusoidal": ("d_model", config.d_model), "rotary": ("d_k", config.d_k)}.get(
        positions
    )
    if width and width[1] % 2:
        raise ValueError(
            f"positions={positions!r} needs pairs of dimensions, and {width[0]}={width[1]} is odd "
            f"(d_model={config.d_model}, heads={config.heads}); use an even {width[0]}, or learned positions"
        )


def _check_token_ids(token_ids, vocab: int) -> None:
    integers = _is_whole(token_ids) and token_ids.dtype in (torch.int32, torch.int64)
    if not integers or token_ids.ndim != 2 or not token_ids.shape[1]:
        raise ValueError(
            f"token ids of {_describe(token_ids)} cannot be read; give whole numbers (int64) of shape (B, T), "
            "T at least 1, for one sentence ids[None]"
        )
    if torch.compiler.is_compiling() or torch.jit.is_tracing() or token_ids.is_meta:
        return  # there are no numbers to look at
    if token_ids.numel() and not 0 <= token_ids.min() <= token_ids.max() < vocab:
        low, high = token_ids.min().item(), token_ids.max().item()
        raise ValueError(
            f"token id {low if low < 0 else high} is outside the vocabulary of {vocab}; use 0 to {vocab - 1}"
        )


def _check_memory(x: Tensor, memory, weight: Tensor) -> None:
    _check_vectors("memory", memory, weight.shape[-1], weight)
    if memory.shape[:-2] != x.shape[:-2]:
        raise ValueError(
            f"the memory of shape {tuple(memory.shape)} has another batch than the target of shape "
            f"{tuple(x.shape)}; give one source for each target"
        )


def _check_source(source_ids, memory: Tensor) -> None:
    if source_ids is None:
        return
    if not isinstance(source_ids, Tensor) or source_ids.shape != memory.shape[:-1]:
        raise ValueError(
            f"source_ids={_describe(source_ids)} are not what the memory of shape {tuple(memory.shape)} was "
            f"made from; give the ids {tuple(memory.shape[:-1])} that went into encode, or None"
        )


def _check_sublayer(x, sublayer, weight: Tensor) -> None:
    _check_vectors("x", x, weight.shape[-1], weight)
    if not callable(sublayer):
        raise ValueError(
            f"sublayer={_describe(sublayer)} cannot be called; give a function of x, such as FeedForward"
        )


def _check_record(record) -> None:
    if record is not None and not isinstance(record, list):
        raise ValueError(f"record={_describe(record)} cannot receive weights; give a list, or None")


def _check_cache(cache, layers: int, kind: type) -> None:
    if cache is None:
        return
    if not isinstance(cache, kind):
        raise ValueError(
            f"cache={_describe(cache)} holds no layers; give the model's new_cache(), or None"
        )
    if len(cache.layers) != layers:
        raise ValueError(
            f"the cache is made for {len(cache.layers)} layers and the model has {layers}; "
            "give this model's new_cache()"
        )


def _check_continues(held, token_ids: Tensor) -> None:
    if held is not None and held.shape[0] != token_ids.shape[0]:
        raise ValueError(
            f"the cache holds {held.shape[0]} sequences and {token_ids.shape[0]} were given; "
            "use a new cache for each batch, or select its rows"
        )
