"""The checks of chapter 4, tried with attempts as learners write them."""

import itertools
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lesson_tf import checks

# --- Right, in other ways ---------------------------------------------------------------------------


class NormByVar(nn.Module):
    def __init__(self, d_model, eps=1e-5):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(d_model))
        self.weight = nn.Parameter(torch.ones(d_model))
        self.eps = eps

    def forward(self, x):
        variance = ((x**2).mean(-1, keepdim=True) - x.mean(-1, keepdim=True) ** 2).clamp(min=0)
        return (x - x.mean(-1, keepdim=True)) * torch.rsqrt(
            variance + self.eps
        ) * self.weight + self.bias


def loss_in_loops(logits, token_ids, pad_id):
    total, count = 0.0, 0
    for row, ids in zip(logits, token_ids.tolist(), strict=True):
        for t in range(len(ids) - 1):
            if ids[t + 1] != pad_id:
                total -= row[t].log_softmax(0)[ids[t + 1]].item()
                count += 1
    return total / count


def step_in_full(x, positions, w_q, w_k, w_v, cached_key, cached_value):
    here = x + positions[cached_key.size(1)].view(1, 1, -1)
    key = torch.cat([cached_key, here @ w_k], dim=1)
    value = torch.cat([cached_value, here @ w_v], dim=1)
    return F.scaled_dot_product_attention(here @ w_q, key, value), key, value


def search_with_heap(log_probabilities, bos_id, eos_id, width, steps):
    alive, done = [(0.0, (bos_id,))], []
    for _ in range(steps):
        grown = [
            (total + float(value), (*ids, token))
            for total, ids in alive
            for token, value in enumerate(log_probabilities[ids[-1]])
        ]
        kept = sorted(grown, reverse=True)[:width]
        done += [text for text in kept if text[1][-1] == eos_id]
        alive = [text for text in kept if text[1][-1] != eos_id]
        if not alive:
            break
    _, best = max((total / (len(ids) - 1), ids) for total, ids in done + alive)
    return [token for token in best[1:] if token != eos_id]


@pytest.mark.parametrize(
    ("check", "attempt"),
    [
        (checks.layer_norm, NormByVar),
        (checks.shifted_loss, loss_in_loops),
        (checks.cached_step, step_in_full),
        (checks.beam_search, search_with_heap),
    ],
    ids=["layer_norm", "shifted_loss", "cached_step", "beam_search"],
)
def test_another_right_way_passes(check, attempt):
    assert check(attempt), str(check(attempt))


# --- Wrong ------------------------------------------------------------------------------------------


def norm(forward):
    class LayerNorm(nn.Module):
        def __init__(self, d_model, eps):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(d_model))
            self.bias = nn.Parameter(torch.zeros(d_model))
            self.eps = eps

        def forward(self, x):
            return forward(self, x)

    return LayerNorm


def over(axis, **options):
    def forward(self, x):
        mean, var = x.mean(axis, keepdim=True), x.var(axis, keepdim=True, **options)
        return (x - mean) / torch.sqrt(var + self.eps) * self.weight + self.bias

    return norm(forward)


def eps_outside(self, x):
    mean, std = x.mean(-1, keepdim=True), x.std(-1, unbiased=False, keepdim=True)
    return (x - mean) / (std + self.eps) * self.weight + self.bias


def no_affine(self, x):
    return (x - x.mean(-1, keepdim=True)) / (
        x.var(-1, keepdim=True, unbiased=False) + self.eps
    ) ** 0.5


def no_mean(self, x):
    return x / (x.var(-1, keepdim=True, unbiased=False) + self.eps) ** 0.5 * self.weight + self.bias


class OtherNames(nn.Module):
    def __init__(self, d_model, eps):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(d_model))
        self.beta = nn.Parameter(torch.zeros(d_model))


def unshifted(logits, token_ids, pad_id):
    return F.cross_entropy(logits.transpose(1, 2), token_ids, ignore_index=pad_id)


def padding_counted(logits, token_ids, pad_id):
    return F.cross_entropy(logits[:, :-1].transpose(1, 2), token_ids[:, 1:])


def shifted_back(logits, token_ids, pad_id):
    return F.cross_entropy(logits[:, 1:].transpose(1, 2), token_ids[:, :-1], ignore_index=pad_id)


def summed(logits, token_ids, pad_id):
    arguments = logits[:, :-1].transpose(1, 2), token_ids[:, 1:]
    return F.cross_entropy(*arguments, ignore_index=pad_id, reduction="sum")


def mean_of_texts(logits, token_ids, pad_id):
    texts = zip(logits[:, :-1], token_ids[:, 1:], strict=True)
    return torch.stack([F.cross_entropy(*text, ignore_index=pad_id) for text in texts]).mean()


def divided_by_all(logits, token_ids, pad_id):
    arguments = logits[:, :-1].transpose(1, 2), token_ids[:, 1:]
    return F.cross_entropy(*arguments, ignore_index=pad_id, reduction="none").mean()


def neither(logits, token_ids, pad_id):
    return F.cross_entropy(logits.transpose(1, 2), token_ids)


def step(position=lambda past: past, seen="all", back="grown", order="behind"):
    def cached_step(x, positions, w_q, w_k, w_v, cached_key, cached_value):
        place = position(cached_key.shape[1])
        x = x if place is None else x + positions[place]
        key, value = [cached_key, x @ w_k], [cached_value, x @ w_v]
        if order == "front":
            key, value = key[::-1], value[::-1]
        grown = torch.cat(key, 1), torch.cat(value, 1)
        pairs = grown if seen == "all" else (cached_key, cached_value)
        output = F.scaled_dot_product_attention(x @ w_q, *pairs)
        return (output, *(grown if back == "grown" else (cached_key, cached_value)))

    return cached_step


def search(finish=True, normalise=True, width=None, remember=True, strip=True):
    def beam_search(log_probabilities, bos_id, eos_id, width_, steps):
        alive, done = [([], 0.0)], []
        for _ in range(steps):
            grown = []
            for ids, total in alive:
                row = log_probabilities[ids[-1] if ids else bos_id]
                grown += [([*ids, t], total + row[t].item()) for t in range(len(row))]
            grown = sorted(grown, key=lambda text: text[1], reverse=True)[: width or width_]
            if finish:
                done += [text for text in grown if text[0][-1] == eos_id]
                grown = [text for text in grown if text[0][-1] != eos_id]
            alive = grown
        texts = (done if remember else []) + alive
        key = (lambda t: t[1] / len(t[0])) if normalise else (lambda t: t[1])
        ids = max(texts, key=key)[0] if texts else []
        return list(itertools.takewhile(lambda i: i != eos_id, ids)) if strip else ids

    def named(log_probabilities, bos_id, eos_id, width, steps):
        return beam_search(log_probabilities, bos_id, eos_id, width, steps)

    return named


MISTAKES = [
    (checks.layer_norm, over(0, unbiased=False), "over the batch, as batch norm does"),
    (checks.layer_norm, over(-2, unbiased=False), "over the tokens of a text"),
    (checks.layer_norm, over(-1), "divided by d_model - 1"),
    (checks.layer_norm, norm(eps_outside), "eps stands outside the root"),
    (checks.layer_norm, norm(no_affine), "weight and bias are not used"),
    (checks.layer_norm, norm(no_mean), "the mean is not subtracted"),
    (checks.layer_norm, OtherNames, "they should be {'weight': (6,), 'bias': (6,)}"),
    (checks.layer_norm, OtherNames(4, 1e-5), "Give the class itself, `OtherNames`"),
    (checks.shifted_loss, unshifted, "nothing is shifted"),
    (checks.shifted_loss, padding_counted, "padding is counted as a token"),
    (checks.shifted_loss, shifted_back, "shifted the wrong way"),
    (checks.shifted_loss, summed, "the nats are added; their mean is wanted"),
    (checks.shifted_loss, mean_of_texts, "each text has its own mean"),
    (checks.shifted_loss, divided_by_all, "divided by the number of all places"),
    (checks.shifted_loss, neither, "two at once: nothing is shifted"),
    (checks.cached_step, step(lambda past: 0), "the position stays 0"),
    (checks.cached_step, step(lambda past: None), "no position is added"),
    (checks.cached_step, step(lambda past: past + 1), "the position is one too high"),
    (checks.cached_step, step(seen="old"), "does not attend to itself"),
    (checks.cached_step, step(back="old"), "the cache is not grown"),
    (checks.cached_step, step(order="front"), "stand in front of the cache"),
    (checks.beam_search, search(finish=False), "a finished text is written on"),
    (checks.beam_search, search(finish=False, strip=False), "the end token stays in it"),
    (checks.beam_search, search(normalise=False), "length is not normalised"),
    (checks.beam_search, search(width=1), "this is greedy search"),
    (checks.beam_search, search(remember=False), "finished texts are forgotten"),
    (checks.beam_search, search(strip=False), "the end token stays in the text that is returned"),
]


@pytest.mark.parametrize(("check", "attempt", "words"), MISTAKES, ids=[m[2] for m in MISTAKES])
def test_each_mistake_is_told_in_its_own_words(check, attempt, words):
    report = check(attempt, points=4)
    assert not report and report.earned < 4
    assert words in str(report), str(report)


@pytest.mark.parametrize("number", range(1, 5))
def test_a_variant_is_solved_by_its_own_solution(number):
    base = (2, 3, 10, 16)[number - 1]
    assert str(base) in checks.shifted_loss.variants[number - 1].sentence

    def own(logits, token_ids, pad_id):
        return loss_in_loops(logits, token_ids, pad_id) / math.log(base)

    assert checks.shifted_loss(own, variant=number)
    assert "not yours" in checks.shifted_loss(loss_in_loops, variant=number).mistake


def test_the_reference_of_beam_search_finds_the_best_text_when_the_beam_is_wide():
    torch.manual_seed(5)
    for _ in range(20):
        table = torch.randn(4, 4).log_softmax(-1)
        texts = {}
        for size in range(1, 4):
            for ids in itertools.product(range(4), repeat=size):
                if 2 not in ids[:-1] and (ids[-1] == 2 or size == 3):
                    steps = zip((1, *ids), ids, strict=False)
                    texts[ids] = sum(table[a, b].item() for a, b in steps) / size
        best = max(texts, key=texts.__getitem__)
        found = checks.beam_search.reference(table, 1, 2, 64, 3)
        assert found == [token for token in best if token != 2]


def test_the_reference_of_the_cached_step_is_the_pass_without_cache():
    x, positions = torch.randn(2, 5, 6), torch.randn(9, 6)
    w_q, w_k, w_v = torch.randn(3, 6, 4).unbind()
    placed = x + positions[:5]
    whole = F.scaled_dot_product_attention(placed @ w_q, placed @ w_k, placed @ w_v, is_causal=True)
    key = value = torch.zeros(2, 0, 4)
    for t in range(5):
        new = x[:, t : t + 1]
        output, key, value = checks.cached_step.reference(new, positions, w_q, w_k, w_v, key, value)
        assert torch.allclose(output[:, 0], whole[:, t], atol=1e-5)
