"""Weights of torch's own modules, copied into ours: the ground on which both are compared."""

from functools import singledispatch

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lesson_tf.attention import MultiHeadAttention
from lesson_tf.transformer import (
    DecoderLayer,
    EncoderLayer,
    FeedForward,
    LanguageModel,
    Transformer,
)


@singledispatch
def copy_torch_weights(ours: nn.Module, theirs: nn.Module) -> None:
    """Copy every weight of a torch.nn module into ours, so that both compute the same function.

    Pairs: MultiHeadAttention from nn.MultiheadAttention, EncoderLayer from nn.TransformerEncoderLayer,
    DecoderLayer from nn.TransformerDecoderLayer, the encoder and decoder of a Transformer from nn.Transformer,
    and the layers of a LanguageModel from nn.TransformerEncoder (neither has embeddings or an output layer).

    Raises ValueError where the two are no such pair, differ in size, or would compute different functions
    (norm order, epsilon, activation, positions that act inside attention).

    >>> ours, theirs = MultiHeadAttention(8, 2), nn.MultiheadAttention(8, 2, batch_first=True)
    >>> copy_torch_weights(ours, theirs)
    >>> torch.equal(ours.w_o.weight, theirs.out_proj.weight)
    True
    """
    raise ValueError(
        f"{type(ours).__name__} has no counterpart in torch.nn; use MultiHeadAttention, EncoderLayer, "
        "DecoderLayer, Transformer or LanguageModel"
    )


@copy_torch_weights.register
def _(ours: MultiHeadAttention, theirs: nn.Module) -> None:
    _check_pair(ours, theirs, nn.MultiheadAttention)
    if theirs.in_proj_weight is None or theirs.in_proj_bias is None:
        raise ValueError(
            "MultiHeadAttention has one width and biases; use kdim=None, vdim=None and bias=True"
        )
    if theirs.bias_k is not None or theirs.add_zero_attn:
        raise ValueError(
            "MultiHeadAttention adds no keys of its own; use add_bias_kv=False and add_zero_attn=False"
        )
    if ours.heads != theirs.num_heads:
        raise ValueError(
            f"ours has {ours.heads} heads and torch's {theirs.num_heads}; build both with the same heads"
        )
    weights, biases = theirs.in_proj_weight.chunk(3), theirs.in_proj_bias.chunk(3)
    for linear, weight, bias in zip((ours.w_q, ours.w_k, ours.w_v), weights, biases, strict=True):
        _copy(linear.weight, weight)
        _copy(linear.bias, bias)
    _copy_module(ours.w_o, theirs.out_proj)


@copy_torch_weights.register
def _(ours: EncoderLayer, theirs: nn.Module) -> None:
    _check_pair(ours, theirs, nn.TransformerEncoderLayer)
    _check_same_function(ours.attention_residual, theirs)
    copy_torch_weights(ours.self_attention, theirs.self_attn)
    _copy_feed_forward(ours.feed_forward, theirs)
    _copy_module(ours.attention_residual.norm, theirs.norm1)
    _copy_module(ours.feed_forward_residual.norm, theirs.norm2)


@copy_torch_weights.register
def _(ours: DecoderLayer, theirs: nn.Module) -> None:
    _check_pair(ours, theirs, nn.TransformerDecoderLayer)
    _check_same_function(ours.self_residual, theirs)
    copy_torch_weights(ours.self_attention, theirs.self_attn)
    copy_torch_weights(ours.cross_attention, theirs.multihead_attn)
    _copy_feed_forward(ours.feed_forward, theirs)
    _copy_module(ours.self_residual.norm, theirs.norm1)
    _copy_module(ours.cross_residual.norm, theirs.norm2)
    _copy_module(ours.feed_forward_residual.norm, theirs.norm3)


@copy_torch_weights.register
def _(ours: Transformer, theirs: nn.Module) -> None:
    _check_pair(ours, theirs, nn.Transformer)
    _check_positions_are_added(ours)
    for our_stack, their_stack in ((ours.encoder, theirs.encoder), (ours.decoder, theirs.decoder)):
        _copy_stack(our_stack, their_stack)


@copy_torch_weights.register
def _(ours: LanguageModel, theirs: nn.Module) -> None:
    _check_pair(ours, theirs, nn.TransformerEncoder)
    _check_positions_are_added(ours)
    _copy_stack(ours, theirs)


def _copy_stack(ours: nn.Module, theirs: nn.Module) -> None:
    if len(ours.layers) != len(theirs.layers):
        raise ValueError(
            f"our {type(ours).__name__} has {len(ours.layers)} layers and torch's {len(theirs.layers)}; "
            "build both with the same number"
        )
    for our_layer, their_layer in zip(ours.layers, theirs.layers, strict=True):
        copy_torch_weights(our_layer, their_layer)
    _copy_module(ours.norm, theirs.norm)


def _copy_feed_forward(ours: FeedForward, theirs: nn.Module) -> None:
    _copy_module(ours.widen, theirs.linear1)
    _copy_module(ours.narrow, theirs.linear2)


def _copy_module(ours: nn.Module, theirs: nn.Module) -> None:
    if theirs is None or theirs.bias is None:
        raise ValueError(
            "ours has biases and last layer norms; build torch's with bias=True and a norm"
        )
    _copy(ours.weight, theirs.weight)
    _copy(ours.bias, theirs.bias)


def _copy(ours: Tensor, theirs: Tensor) -> None:
    if ours.shape != theirs.shape:
        raise ValueError(
            f"a weight of torch's has shape {tuple(theirs.shape)} and ours {tuple(ours.shape)}; "
            "build both with the same d_model, d_ff and heads"
        )
    with torch.no_grad():
        ours.copy_(theirs)


def _check_positions_are_added(ours: nn.Module) -> None:
    if ours.config.positions in ("rotary", "alibi"):
        raise ValueError(
            f"positions={ours.config.positions!r} act inside attention, which torch.nn's layers cannot do; "
            "use none, sinusoidal or learned"
        )


def _check_pair(ours: nn.Module, theirs: nn.Module, expected: type) -> None:
    if not isinstance(theirs, expected):
        raise ValueError(
            f"{type(ours).__name__} takes the weights of nn.{expected.__name__}, not of {type(theirs).__name__}"
        )


def _check_same_function(residual: nn.Module, theirs: nn.Module) -> None:
    """Refuse a layer that has the same weights and does something else with them."""
    if residual.norm_first != theirs.norm_first:
        raise ValueError(
            f"ours has norm_first={residual.norm_first} and torch's norm_first={theirs.norm_first}; "
            "build both with the same order"
        )
    if residual.norm.eps != theirs.norm1.eps:
        raise ValueError(
            f"ours has layer_norm_eps={residual.norm.eps} and torch's {theirs.norm1.eps}; build both with the same"
        )
    activation = theirs.activation
    if activation is not F.relu and not isinstance(activation, nn.ReLU):
        name = getattr(activation, "__name__", type(activation).__name__)
        raise ValueError(
            f"torch's layer uses {name} and ours relu; build it with activation='relu'"
        )
