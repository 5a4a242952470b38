"""The explorers of attention: the softmax and its scale, and masks."""

import math

import torch
from torch import Tensor

from lesson_tf.attention import (
    causal_mask,
    padding_mask,
    scaled_dot_product_attention,
)
from lesson_tf.explore.controls import Choice, Slider
from lesson_tf.explore.explorer import Explorer, State

SENTENCE = ("今日", "は", "良い", "天気", "です")
KEYS = 8
WIDEST_KEY = 512
SEED = 7


def softmax(d_k: int = 64, temperature: int | float = 1.0) -> Explorer:
    """Explore why scores are divided by √d_k: one random query against eight random keys.

    `d_k` is 1 to 512, `temperature` 0.1 to 4.0, a second divisor of the scores. Raises `ValueError`
    for other values.

    >>> softmax(d_k=1)
    Explorer softmax: d_k=1, temperature=1.0
    """
    powers = tuple(2**power for power in range(10))
    controls = (
        Slider("d_k", 64, low=1, high=WIDEST_KEY, stops=powers, logarithmic=True),
        Slider("temperature", 1.0, low=0.1, high=4.0, step=0.1, stops=(0.5, 1.0, 2.0, 4.0)),
    )
    explorer = Explorer("softmax", _softmax, controls, "bar_panels", height=3.9)
    return explorer.at(d_k=d_k, temperature=temperature)


def _softmax(d_k: int, temperature: int | float) -> State:
    # A wider query begins with the same numbers, so that moving d_k only adds terms to the scores.
    query = _normal(1, WIDEST_KEY)[:, :d_k]
    keys = _normal(KEYS, WIDEST_KEY, seed=SEED + 1)[:, :d_k]
    scores = (query @ keys.T)[0]
    query = query / temperature
    _, scaled = scaled_dot_product_attention(query, keys, keys)
    _, unscaled = scaled_dot_product_attention(query * math.sqrt(d_k), keys, keys)
    panels = {
        "without a scale": _bars(scores, unscaled[0]),
        "divided by $\\sqrt{d_k}$": _bars(scores, scaled[0]),
    }
    sentence = (
        f"d_k = {d_k}: without a scale the entropy is {_entropy(unscaled):.2f} nats, as if "
        f"{math.exp(_entropy(unscaled)):.1f} of {KEYS} keys shared evenly; divided by √{d_k} it is "
        f"{_entropy(scaled):.2f}, as if {math.exp(_entropy(scaled)):.1f} did."
    )
    title = f"Random query and keys, $d_k$ = {d_k}, temperature {temperature:g}"
    return State(
        {"panels": panels, "xlabel": "attention weight", "limit": 1.0, "suptitle": title}, sentence
    )


def masks(mask: str = "causal", hidden: str = "−inf") -> Explorer:
    """Explore what a mask does to attention weights, and why it is −inf that hides a score.

    `mask` is none, padding, causal, both or cross; `hidden` is what a hidden score becomes, −inf or
    −1e9. Raises `ValueError` for other values.

    >>> masks("both")
    Explorer masks: mask=both, hidden=−inf
    """
    controls = (
        Choice("mask", "causal", stops=("none", "padding", "causal", "both", "cross")),
        Choice("hidden", "−inf", stops=("−inf", "−1e9")),
    )
    explorer = Explorer("masks", _masks, controls, "head_heatmaps", height=3.7)
    return explorer.at(mask=mask, hidden=hidden)


# Padding on the left, as when texts are continued: under both masks, its rows may read nothing.
PADDED = ("<pad>", "<pad>", *SENTENCE)
TARGET = ("It", "is", "nice", "today")


def _masks(mask: str, hidden: str) -> State:
    queries = TARGET if mask == "cross" else PADDED
    allowed = mask_grid(mask)
    query, key = _normal(len(queries), 16), _normal(len(PADDED), 16, seed=SEED + 1)
    _, before = scaled_dot_product_attention(query, key, key)
    if hidden == "−inf":
        _, after = scaled_dot_product_attention(query, key, key, mask=allowed)
    else:
        _, after = scaled_dot_product_attention(query, key, key, bias=-1e9 * ~allowed)
    # A cell is hatched where nothing comes through; −1e9 lets something through an empty row.
    shown = torch.stack([torch.ones_like(allowed), allowed | (after > 0)])
    arguments = {
        "weights": torch.stack([before, after]),
        "queries": queries,
        "keys": PADDED,
        "mask": shown,
        "annotate": True,
        "titles": ["no mask", f"mask: {mask}, hidden scores {hidden}"],
        "suptitle": "Random queries and keys",
    }
    return State(arguments, _mask_sentence(mask, hidden, allowed))


def mask_grid(mask: str) -> Tensor:
    """Give the boolean mask of the explorer, of shape (T_q, T_k), True where attention is allowed."""
    length = len(PADDED)
    token_ids = torch.tensor([[0 if token == "<pad>" else 1 for token in PADDED]])
    padding = padding_mask(token_ids, pad_id=0)[0, 0]
    everything = torch.ones(length, length, dtype=torch.bool)
    return {
        "none": everything,
        "padding": everything & padding,
        "causal": causal_mask(length),
        "both": causal_mask(length) & padding,
        "cross": everything[: len(TARGET)] & padding,
    }[mask]


def _mask_sentence(mask: str, hidden: str, allowed: Tensor) -> str:
    if mask == "none":
        return "Without a mask every token reads every other, the padding too; each row sums to 1."
    count = f"The mask hides {int((~allowed).sum())} of {allowed.numel()} cells"
    empty = int((~allowed.any(dim=-1)).sum())
    if not empty:
        return f"{count}; in each row, the weights that remain sum to 1."
    if hidden == "−inf":
        return f"{count}; {empty} rows may read nothing, and get weights and output 0."
    return (
        f"{count}; {empty} rows may read nothing, and −1e9 gives them 1/{allowed.shape[-1]} of "
        "everything, the future and the padding too."
    )


def _normal(*shape: int, seed: int = SEED) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _bars(scores: Tensor, weights: Tensor) -> dict[str, float]:
    """Name each bar, a weight, by its key and the score q·k that it comes from."""
    pairs = zip(scores.tolist(), weights.tolist(), strict=True)
    return {
        f"key {number}: {score:.1f}".replace("-", "−"): weight
        for number, (score, weight) in enumerate(pairs, start=1)
    }


def _entropy(weights: Tensor) -> float:
    return torch.special.entr(weights).sum().item()
