"""What is true of each choice in the quizzes on attention, its heads and its masks."""

import math

import torch
import torch.nn.functional as F
from quizzes import truth
from torch import Tensor, nn

from lesson_tf.attention import (
    MultiHeadAttention,
    SimpleAttention,
    causal_mask,
    scaled_dot_product_attention,
)


@truth("attention/self_attention", 1)
@torch.no_grad()
def one_new_key_moves_a_whole_row() -> dict[str, bool]:
    """Exchange the third of five tokens, and compare the first token's row and all parameters."""
    torch.manual_seed(0)
    attention, x = SimpleAttention(64), torch.randn(5, 64)
    changed = x.clone()
    changed[2] = torch.randn(64)
    stored = {name: weight.clone() for name, weight in attention.state_dict().items()}

    def first_row(x: Tensor) -> Tensor:
        attention(x)
        return torch.softmax(attention.w_q(x[:1]) @ attention.w_k(x).T / 8, dim=-1)[0]

    moved = (first_row(x) - first_row(changed)).abs() > 1e-6
    fixed = all(torch.equal(weight, stored[n]) for n, weight in attention.state_dict().items())
    return {"a": not fixed, "b": bool(moved.all()), "c": moved.nonzero().tolist() == [[2]]}


@truth("attention/self_attention", 2)
def an_average_lies_between() -> dict[str, bool]:
    """Make a row of weights that is shared by two of five tokens."""
    torch.manual_seed(0)
    value = torch.randn(5, 64)
    key = torch.tensor([[1.0], [1.0], [-1.0], [-1.0], [-1.0]])
    output, weights = scaled_dot_product_attention(torch.tensor([[200.0]]), key, value)
    assert weights.tolist() == [[0.5, 0.5, 0.0, 0.0, 0.0]]
    return {
        "a": torch.allclose(output[0], value[0]),
        "b": output.shape[-1] == 128,
        "c": torch.allclose(output[0], value[:2].mean(dim=0)),
    }


@truth("attention/self_attention", 3)
def undivided_scores_choose_and_stop_learning() -> dict[str, bool]:
    """Give softmax random scores of width 512, with and without the division."""
    torch.manual_seed(0)
    query, key = torch.randn(1000, 1, 512), torch.randn(1000, 8, 512)
    arriving, rows, gradients = torch.randn(1000, 1, 8), [], []
    for divisor in (1.0, math.sqrt(512)):
        scores = (query @ key.mT / divisor).requires_grad_()
        rows.append(torch.softmax(scores, dim=-1))
        rows[-1].backward(arriving)
        gradients.append(scores.grad.norm(dim=-1).median())
    top = rows[0].amax(dim=-1).mean()
    return {
        "a": bool(top > 0.9) and bool(gradients[0] < gradients[1] / 1000),
        "b": not torch.allclose(rows[0].sum(dim=-1), torch.ones(1000, 1)),
        "c": torch.allclose(*rows, atol=0.01),
    }


@truth("attention/multi_head", 1)
def a_mean_loses_its_parts() -> dict[str, bool]:
    """Pass on two pairs of values with one mean: through one head, and through two."""
    torch.manual_seed(0)
    pair, shift = torch.randn(2, 64), torch.randn(64)
    other = pair + torch.stack((shift, -shift))

    def one_head(value: Tensor) -> Tensor:
        return torch.tensor([0.5, 0.5]) @ value

    def two_heads(value: Tensor) -> Tensor:
        heads = value.unflatten(-1, (2, 32)).transpose(0, 1)  # (heads, tokens, d_k)
        return (torch.eye(2)[:, None] @ heads).flatten()

    lost = torch.allclose(one_head(pair), one_head(other), atol=1e-6)
    kept = not torch.allclose(two_heads(pair), two_heads(other), atol=1e-6)
    return {
        "a": lost and kept,
        "b": torch.allclose(one_head(pair), two_heads(pair), atol=1e-6),
        "c": two_heads(pair).numel() == 2 * one_head(pair).numel(),
    }


@truth("attention/multi_head", 2)
@torch.no_grad()
def the_divisor_is_the_root_of_a_head() -> dict[str, bool]:
    """Read the divisor off the weights: log ratios of a row against differences of its products."""
    torch.manual_seed(0)
    layer, x = MultiHeadAttention(64, heads=16).double(), torch.randn(6, 64).double()
    _, weights = layer(x, need_weights=True)
    query, key = (w(x).reshape(6, 16, 4).transpose(0, 1) for w in (layer.w_q, layer.w_k))
    products = (query @ key.mT).diff(dim=-1)
    divisor = (products / weights.log().diff(dim=-1)).median().item()
    return {letter: math.isclose(divisor, by) for letter, by in zip("abc", (8, 4, 2), strict=True)}


@truth("attention/multi_head", 3)
@torch.no_grad()
def narrow_heads_know_two_orders() -> dict[str, bool]:
    """Count parameters and orders of the keys; give one head other weights, and see which move.

    That heads do not wait is shown by their independence: what does not depend on another's result can
    be computed beside it. How long a machine takes is no part of the claim.
    """
    torch.manual_seed(0)
    x = torch.randn(100, 64).double()
    one, many = (MultiHeadAttention(64, heads).double() for heads in (1, 64))

    def orders(layer: MultiHeadAttention) -> list[int]:
        scores = layer.split(layer.w_q(x)) @ layer.split(layer.w_k(x)).mT
        return [len(head.argsort(dim=-1).unique(dim=0)) for head in scores]

    counts = [sum(weight.numel() for weight in layer.parameters()) for layer in (one, many)]
    _, before = many(x, need_weights=True)
    many.w_q.weight[0] += 1.0  # the first of 64 heads
    _, after = many(x, need_weights=True)
    moved = (before != after).flatten(1).any(dim=1)
    return {
        "a": counts[1] == 64 * counts[0],
        "b": max(orders(many)) == 2 and orders(one) == [100],
        "c": bool(moved[1:].any()),
    }


@truth("attention/masks_and_cross_attention", 1)
def a_mask_may_come_late_if_rows_are_divided_again() -> dict[str, bool]:
    """Mask late and divide, where a sentence is padded on the left and where it is not."""
    torch.manual_seed(0)
    scores = torch.randn(7, 7, dtype=torch.float64)
    padded = causal_mask(7) & (torch.arange(7) >= 2)

    def late(mask: Tensor) -> Tensor:
        kept = scores.softmax(dim=-1) * mask
        return kept / kept.sum(dim=-1, keepdim=True)

    def early(mask: Tensor) -> Tensor:
        return scores.masked_fill(~mask, -math.inf).softmax(dim=-1)

    full = torch.allclose(late(causal_mask(7)), early(causal_mask(7)))
    rows = late(padded)[2:]
    full &= torch.allclose(rows, early(padded)[2:])
    empty = late(padded)[:2]
    right = bool(empty.isfinite().all())
    return {"a": not full, "b": full and right, "c": full and not right}


def losses_by_position(mask: Tensor, steps: int = 150) -> Tensor:
    """Train one layer of attention to name the next of random tokens; return its last losses.

    Returns `(T,)`, in nats; the token after the last position stands nowhere in the input.
    """
    torch.manual_seed(0)
    length, vocab, width = len(mask), 8, 32
    table, places = nn.Embedding(vocab, width), nn.Embedding(length, width)
    attention, output = MultiHeadAttention(width, heads=2), nn.Linear(width, vocab)
    parts = nn.ModuleList((table, places, attention, output))
    optimizer = torch.optim.Adam(parts.parameters(), lr=0.01)
    for _ in range(steps):
        tokens = torch.randint(vocab, (64, length + 1))
        x = table(tokens[:, :-1]) + places.weight
        logits = output(attention(x, mask=mask)[0])
        losses = F.cross_entropy(logits.mT, tokens[:, 1:], reduction="none").mean(dim=0)
        optimizer.zero_grad()
        losses.mean().backward()
        optimizer.step()
    return losses.detach()


@truth("attention/masks_and_cross_attention", 2)
def a_mask_turned_round_shows_the_answers() -> dict[str, bool]:
    """Train with the transposed mask on tokens that nothing but a leak can tell."""
    guess = math.log(8)
    assert losses_by_position(causal_mask(6)).min() > 0.8 * guess
    losses = losses_by_position(causal_mask(6).T)
    copied = losses < 0.2 * guess
    return {
        "a": bool(losses.mean() > 0.8 * guess),
        "b": copied.tolist() == [True] * 5 + [False],
        "c": not causal_mask(6).T.any(dim=-1).all() or bool(losses.isnan().any()),
    }


@truth("attention/masks_and_cross_attention", 3)
@torch.no_grad()
def the_source_has_no_future() -> dict[str, bool]:
    """Change the last token of a source, and of a target, and see which outputs move.

    That the source is complete before writing begins is how a translator is used; computed is that
    reading all of it leaks nothing of the target.
    """
    torch.manual_seed(0)
    own, cross = MultiHeadAttention(64, heads=4), MultiHeadAttention(64, heads=4)

    def decode(target: Tensor, source: Tensor, across: Tensor | None = None) -> Tensor:
        x = target + own(target, mask=causal_mask(4))[0]
        return x + cross(x, source, mask=across)[0]

    def changed(x: Tensor) -> Tensor:
        return torch.cat((x[:-1], torch.randn(1, 64)))

    source, target = torch.randn(6, 64), torch.randn(4, 64)
    before = decode(target, source)
    by_source = (decode(target, changed(source)) - before).abs().amax(dim=-1) > 1e-6
    by_target = (decode(changed(target), source) - before).abs().amax(dim=-1) > 1e-6
    fits = decode(target, source, causal_mask(4, start=2)).shape == before.shape
    return {
        "a": bool(by_source.all()) and by_target.tolist() == [False, False, False, True],
        "b": not fits,
        "c": not by_source[0],
    }
