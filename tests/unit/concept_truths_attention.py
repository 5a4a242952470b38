"""What is true of each choice in the concept test, questions 1 to 9, computed without its text."""

import inspect
import math
from functools import cache

import torch
from torch import Tensor, nn

from lesson_tf import inspection, translator
from lesson_tf.attention import MultiHeadAttention, SimpleAttention, scaled_dot_product_attention
from lesson_tf.training import sequence_loss
from lesson_tf.transformer import LanguageModel, Transformer, TransformerConfig


@torch.no_grad()
def stored_weights() -> dict[str, bool]:
    """Exchange the second of four tokens, and compare the last one's row and all parameters."""
    torch.manual_seed(0)
    attention, x = SimpleAttention(64), torch.randn(4, 64)
    changed, stored = x.clone(), [weight.clone() for weight in attention.parameters()]
    changed[1] = torch.randn(64)

    def last_row(x: Tensor) -> Tensor:
        weights = torch.softmax(attention.w_q(x[-1:]) @ attention.w_k(x).T / 8, dim=-1)
        assert torch.allclose(weights @ attention.w_v(x), attention(x)[-1:], atol=1e-5)
        return weights[0]

    moved = ((last_row(x) - last_row(changed)).abs() > 1e-6).tolist()
    fixed = all(map(torch.equal, attention.parameters(), stored))
    return {
        "a": not any(moved),
        "b": all(moved) and fixed,
        "c": moved == [False, True, False, False],
    }


@torch.no_grad()
def one_input() -> dict[str, bool]:
    """Count the inputs of self-attention, follow one word through two sentences, and multiply by hand."""
    torch.manual_seed(0)
    inputs = inspect.signature(SimpleAttention(8).forward).parameters
    encoder, keys = Transformer(TransformerConfig(9, 9, dropout=0.0)).eval(), []
    second = encoder.encoder.layers[1].self_attention
    second.w_k.register_forward_hook(lambda _, given, key: keys.append(key[0, 0]))
    for sentence in ([4, 5, 6], [4, 7, 8]):
        encoder.encode(torch.tensor([sentence]))
    attention, x = SimpleAttention(8), torch.randn(5, 8)
    query, key, value = (
        x @ getattr(attention, name).weight.T + getattr(attention, name).bias
        for name in ("w_q", "w_k", "w_v")
    )
    output, _ = scaled_dot_product_attention(query, key, value)
    return {
        "a": len(inputs) == 3,
        "b": torch.allclose(*keys, atol=1e-4),
        "c": len(inputs) == 1 and torch.allclose(output, attention(x), atol=1e-6),
    }


def average() -> dict[str, bool]:
    """Share a query's attention six to four between two tokens, and none to a third."""
    torch.manual_seed(0)
    value, shares = torch.randn(3, 5), torch.tensor([0.6, 0.4, 1e-30])
    output, weights = scaled_dot_product_attention(torch.ones(1, 1), shares.log()[:, None], value)
    assert torch.allclose(weights[0], shares)
    return {
        "a": torch.allclose(output[0], 0.6 * value[0] + 0.4 * value[1]),
        "b": torch.allclose(output[0], value[0]),
        "c": output.shape[-1] == 10,
    }


def explaining() -> dict[str, bool]:
    """Compare peaks of the translator's attention with the characters whose exchange matters most."""
    texts = [example.text for example in translator.held_out_examples(1)]
    agree = inspection.peak_agreement(translator.load(), texts)
    shares = [share for name, share in agree.items() if name.endswith("mean of heads")]
    assert len(shares) == 2
    return {
        "a": min(shares) > 0.99,
        "b": max(shares) < 2 * agree["at random"],
        "c": 4 * agree["at random"] < min(shares) <= max(shares) < 0.9,
    }


def more_heads() -> dict[str, bool]:
    """Count the parameters of a layer with 4 and with 8 heads, torch's own beside ours."""
    counts = []
    for kind in (MultiHeadAttention, nn.MultiheadAttention):
        layers = (kind(64, heads) for heads in (4, 8))
        counts.append([sum(weight.numel() for weight in layer.parameters()) for layer in layers])
    assert counts[0] == counts[1]
    ratio = counts[0][1] / counts[0][0]
    return {"a": ratio > 1.5, "b": ratio == 1, "c": ratio < 0.75}


@cache
def costs_of_heads() -> Tensor:
    """Measure which share of 75 held-out dates the translator loses without each of its heads."""
    dates, examples = translator.load(), translator.held_out_examples(3)

    def measure() -> float:
        return translator.exact_match(dates, examples)["all"]

    without = inspection.ablate_heads(dates.model, measure)
    return measure() - torch.tensor(list(without.values())).flatten()


def jobs_of_heads() -> dict[str, bool]:
    """Switch off one head of the translator at a time."""
    costs = costs_of_heads()
    assert len(costs) == 24
    many, hardly_any = costs > 0.1, costs < 0.02
    return {
        "a": bool(many.sum() >= 2 and hardly_any.sum() >= 3),
        "b": bool(many.all()),
        "c": not many.any(),
    }


def late_mask() -> dict[str, bool]:
    """Shut out the last two of five tokens in three ways; the first three alone say what is right."""
    torch.manual_seed(0)
    scores, seen = torch.randn(4, 5), torch.tensor([True, True, True, False, False])
    right = torch.cat((scores[:, :3].softmax(dim=-1), torch.zeros(4, 2)), dim=1)
    return {
        "a": torch.allclose(scores.softmax(dim=-1) * seen, right),
        "b": torch.allclose(scores.masked_fill(~seen, -math.inf).softmax(dim=-1), right),
        "c": torch.allclose(scores.masked_fill(~seen, 0.0).softmax(dim=-1), right),
    }


def large_negative() -> dict[str, bool]:
    """Shut out some tokens of a row, and then all, by -1e9."""
    torch.manual_seed(0)
    scores = torch.randn(100, 5)
    some, every = scores.clone(), scores - 1e9
    some[:, 2:] -= 1e9
    hidden_of_some, hidden_of_all = some.softmax(dim=-1)[:, 2:], every.softmax(dim=-1)
    reads_all = bool((hidden_of_all > 0.1).all())
    never = not hidden_of_some.any()
    return {"a": reads_all and never, "b": never and not hidden_of_all.any(), "c": not never}


def one_pass() -> dict[str, bool]:
    """Train a decoder for a step on 50 tokens: count its passes, and the places whose answer counts."""
    torch.manual_seed(0)
    model, passes = LanguageModel(TransformerConfig(9, 9, pad_id=None, dropout=0.0)), []

    def keep(_, given, logits):
        logits.retain_grad()
        passes.append((given[0], logits))

    model.register_forward_hook(keep)
    text = torch.randint(9, (1, 51))
    sequence_loss(model(text[:, :-1]), text[:, 1:]).backward()
    read, logits = passes[0]
    asked = logits.grad[0].any(dim=-1).tolist()
    once = len(passes) == 1 and torch.equal(read, text[:, :-1])
    return {
        "a": len(passes) == 50,
        "b": once and asked == [False] * 49 + [True],
        "c": once and asked == [True] * 50,
    }


TRUTHS = (
    *(stored_weights, one_input, average, explaining, more_heads),
    *(jobs_of_heads, late_mask, large_negative, one_pass),
)
