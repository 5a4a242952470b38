"""The checks of chapter 4 but beam search, tried with attempts as learners write them."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lesson_tf import checks
from lesson_tf.checks.answers import answer_all

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


@pytest.mark.parametrize(
    ("check", "attempt"),
    [
        (checks.layer_norm, NormByVar),
        (checks.shifted_loss, loss_in_loops),
        (checks.cached_step, step_in_full),
    ],
    ids=["layer_norm", "shifted_loss", "cached_step"],
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


def default_std(self, x):
    mean = x.mean(-1, keepdim=True)
    std = x.std(-1, keepdim=True)
    return self.weight * (x - mean) / (std + self.eps) + self.bias


def by_variance(self, x):
    mean, var = x.mean(-1, keepdim=True), x.var(-1, keepdim=True, unbiased=False)
    return self.weight * (x - mean) / (var + self.eps) + self.bias


def bias_first(self, x):
    return (F.layer_norm(x, x.shape[-1:], eps=self.eps) + self.bias) * self.weight


def rms(self, x):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight + self.bias


def no_eps(self, x):
    std = x.std(-1, correction=0, keepdim=True)
    return (x - x.mean(-1, keepdim=True)) / std * self.weight + self.bias


def eps_outside(self, x):
    mean, std = x.mean(-1, keepdim=True), x.std(-1, unbiased=False, keepdim=True)
    return (x - mean) / (std + self.eps) * self.weight + self.bias


def fixed_eps(self, x):
    return F.layer_norm(x, x.shape[-1:], self.weight, self.bias)


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


def both_cut_at_the_end(logits, token_ids, pad_id):
    return F.cross_entropy(logits[:, :-1].transpose(1, 2), token_ids[:, :-1], ignore_index=pad_id)


def both_cut_at_the_front(logits, token_ids, pad_id):
    return F.cross_entropy(logits[:, 1:].transpose(1, 2), token_ids[:, 1:], ignore_index=pad_id)


def ignores_zero(logits, token_ids, pad_id):
    return F.cross_entropy(logits[:, :-1].transpose(1, 2), token_ids[:, 1:], ignore_index=0)


def mask_of_inputs(logits, token_ids, pad_id):
    nats = F.cross_entropy(logits[:, :-1].transpose(1, 2), token_ids[:, 1:], reduction="none")
    mask = (token_ids[:, :-1] != pad_id).float()
    return (nats * mask).sum() / mask.sum()


def log_of_softmax(logits, token_ids, pad_id):
    probabilities = torch.softmax(logits[:, :-1], dim=-1)
    right = torch.gather(probabilities, 2, token_ids[:, 1:].unsqueeze(2)).squeeze(2)
    return -right[token_ids[:, 1:] != pad_id].log().mean()


def softmax_twice(logits, token_ids, pad_id):
    probabilities = logits[:, :-1].softmax(-1).flatten(0, 1)
    return F.cross_entropy(probabilities, token_ids[:, 1:].flatten(), ignore_index=pad_id)


def no_sign(logits, token_ids, pad_id):
    return -loss_in_loops(logits, token_ids, pad_id)


def shifted_back(logits, token_ids, pad_id):
    return F.cross_entropy(logits[:, 1:].transpose(1, 2), token_ids[:, :-1], ignore_index=pad_id)


def summed(logits, token_ids, pad_id):
    arguments = logits[:, :-1].transpose(1, 2), token_ids[:, 1:]
    return F.cross_entropy(*arguments, ignore_index=pad_id, reduction="sum")


def perplexity(logits, token_ids, pad_id):
    return torch.tensor(loss_in_loops(logits, token_ids, pad_id)).exp()


def in_half_precision(logits, token_ids, pad_id):
    return torch.tensor(loss_in_loops(logits, token_ids, pad_id)).half()


def caches_exchanged(*arguments, **named):
    output, key, value = step_in_full(*arguments, **named)
    return output, value, key


def mean_of_texts(logits, token_ids, pad_id):
    texts = zip(logits[:, :-1], token_ids[:, 1:], strict=True)
    return torch.stack([F.cross_entropy(*text, ignore_index=pad_id) for text in texts]).mean()


def divided_by_all(logits, token_ids, pad_id):
    arguments = logits[:, :-1].transpose(1, 2), token_ids[:, 1:]
    return F.cross_entropy(*arguments, ignore_index=pad_id, reduction="none").mean()


def neither(logits, token_ids, pad_id):
    return F.cross_entropy(logits.transpose(1, 2), token_ids)


def step(position=lambda past: past, seen="all", back="grown", order="behind", **options):
    causal, scale, where = (options.get(name) for name in ("causal", "scale", "where"))

    def cached_step(x, positions, w_q, w_k, w_v, cached_key, cached_value):
        place = position(cached_key.shape[1])
        q, k, v = (
            x if place is None or name not in (where or "qkv") else x + positions[place]
            for name in "qkv"
        )
        key, value = [cached_key, k @ w_k], [cached_value, v @ w_v]
        if order == "front":
            key, value = key[::-1], value[::-1]
        grown = torch.cat(key, 1), torch.cat(value, 1)
        pairs = {"all": grown, "old": (cached_key, cached_value), "new": (key[-1], value[-1])}
        how = {"is_causal": bool(causal), "scale": scale and scale(x)}
        output = F.scaled_dot_product_attention(q @ w_q, *pairs[seen], **how)
        return (output, *(grown if back == "grown" else (cached_key, cached_value)))

    return cached_step


MISTAKES = [
    (checks.layer_norm, over(0, unbiased=False), "over the batch, as batch norm does"),
    (checks.layer_norm, over(0), "for each token by itself. And use `unbiased=False`"),
    (checks.layer_norm, over(-2, unbiased=False), "over the tokens of a text"),
    (checks.layer_norm, over(-2), "over the last axis. And use `unbiased=False`"),
    (checks.layer_norm, over(1, unbiased=False), "the axis is counted from the front"),
    (checks.layer_norm, over(1), "are always at -1. And use `unbiased=False`"),
    (checks.layer_norm, over((-2, -1), unbiased=False), "over all tokens together"),
    (checks.layer_norm, over((-2, -1)), "each token by itself. And use `unbiased=False`"),
    (checks.layer_norm, over(-1), "divided by d_model - 1"),
    (checks.layer_norm, norm(eps_outside), "eps stands outside the root"),
    (checks.layer_norm, norm(default_std), "two at once: `std` divides by d_model - 1"),
    (checks.layer_norm, norm(by_variance), "the variance divides, where its root should"),
    (checks.layer_norm, norm(no_affine), "weight and bias are not used"),
    (checks.layer_norm, norm(bias_first), "the bias is added before the weight multiplies"),
    (checks.layer_norm, norm(no_mean), "the mean is not subtracted"),
    (checks.layer_norm, norm(rms), "this is RMS norm"),
    (checks.layer_norm, norm(no_eps), "eps is missing"),
    (checks.layer_norm, OtherNames, "they should be {'weight': (6,), 'bias': (6,)}"),
    (checks.layer_norm, OtherNames(4, 1e-5), "Give the class itself, `OtherNames`"),
    (checks.shifted_loss, unshifted, "nothing is shifted: the logits"),
    (checks.shifted_loss, both_cut_at_the_end, "both tensors are cut at the end"),
    (checks.shifted_loss, both_cut_at_the_front, "both tensors are cut at the front"),
    (checks.shifted_loss, shifted_back, "shifted the wrong way"),
    (checks.shifted_loss, padding_counted, "padding is counted as a token"),
    (checks.shifted_loss, ignores_zero, "the padding is taken to be 0"),
    (checks.shifted_loss, mask_of_inputs, "padding is looked for among the tokens that were read"),
    (checks.shifted_loss, mean_of_texts, "each text has its own mean"),
    (checks.shifted_loss, divided_by_all, "divided by the number of all places"),
    (checks.shifted_loss, summed, "the nats are added; their mean is wanted"),
    (checks.shifted_loss, no_sign, "the sign is missing"),
    (checks.shifted_loss, log_of_softmax, "the probability underflows to 0"),
    (checks.shifted_loss, softmax_twice, "a softmax stands before the cross-entropy"),
    (checks.shifted_loss, perplexity, "this is the perplexity"),
    (checks.shifted_loss, in_half_precision, "the numbers are in half precision"),
    (checks.layer_norm, norm(fixed_eps), "eps is fixed at 0.00001"),
    (checks.cached_step, caches_exchanged, "the right parts are returned, in another order"),
    (checks.shifted_loss, neither, "two at once: nothing is shifted"),
    (checks.cached_step, step(lambda past: 0), "the position stays 0"),
    (checks.cached_step, step(lambda past: None), "no position is added"),
    (checks.cached_step, step(lambda past: past + 1), "the position is one too high"),
    (checks.cached_step, step(lambda past: past - 1), "the position is one too low"),
    (checks.cached_step, step(where="q"), "the position reaches the query alone"),
    (checks.cached_step, step(where="kv"), "the query lacks the position"),
    (checks.cached_step, step(where="qk"), "the value lacks the position"),
    (checks.cached_step, step(seen="old"), "does not attend to itself"),
    (checks.cached_step, step(seen="new"), "attends to itself alone"),
    (checks.cached_step, step(causal=True), "the one query sees the first key alone"),
    (checks.cached_step, step(back="old"), "the cache is not grown"),
    (checks.cached_step, step(order="front"), "stand in front of the cache"),
    (checks.cached_step, step(scale=lambda x: 1.0), "the scale is missing"),
    (checks.cached_step, step(scale=lambda x: x.shape[-1] ** -0.5), "the square root of d_model;"),
]


@pytest.mark.parametrize(("check", "attempt", "words"), MISTAKES, ids=[m[2] for m in MISTAKES])
def test_each_mistake_is_told_in_its_own_words(check, attempt, words):
    report = check(attempt, points=4)
    assert not report and report.earned < 4
    assert words in str(report), str(report)


def test_no_known_mistake_is_left_untried():
    for check in (checks.layer_norm, checks.shifted_loss, checks.cached_step):
        tried = [words for other, _, words in MISTAKES if other is check]
        for mistake in check.mistakes:
            assert any(words in mistake.message for words in tried), mistake.message


KNOWN = [
    case for case in MISTAKES if any(case[2] in mistake.message for mistake in case[0].mistakes)
]


@pytest.mark.parametrize(("check", "attempt", "words"), KNOWN, ids=[m[2] for m in KNOWN])
def test_a_mistake_is_named_with_hidden_inputs_too(check, attempt, words):
    for seed in (7, 101):
        calls = check.calls_from(seed, private=True)
        report = check.judge(calls, answer_all(attempt, calls))
        assert words in report.mistake, f"seed {seed}: {report}"


@pytest.mark.parametrize(
    ("check", "attempt"),
    [
        (checks.layer_norm, norm(lambda self, x: x)),
        (checks.layer_norm, norm(lambda self, x: torch.zeros_like(x))),
        (checks.layer_norm, norm(lambda self, x: x * self.weight + self.bias)),
        (checks.shifted_loss, lambda logits, token_ids, pad_id: 1.0),
        (checks.shifted_loss, lambda logits, token_ids, pad_id: logits.abs().mean()),
        (
            checks.cached_step,
            lambda x, positions, w_q, w_k, w_v, cached_key, cached_value: (
                0 * (x @ w_v),
                F.pad(cached_key, (0, 0, 0, 1)),
                F.pad(cached_value, (0, 0, 0, 1)),
            ),
        ),
    ],
)
def test_an_attempt_that_only_looks_right_earns_little(check, attempt):
    assert check(attempt).score <= 0.25, str(check(attempt))


def test_a_crash_in_a_module_is_told_by_its_own_line():
    report = checks.layer_norm(norm(lambda self, x: x / self.gain))
    assert "x / self.gain" in str(report) and "no attribute 'gain'" in str(report)


@pytest.mark.parametrize("number", range(1, 5))
def test_a_variant_is_solved_by_its_own_solution(number):
    base = (2, 3, 10, 16)[number - 1]
    assert str(base) in checks.shifted_loss.variants[number - 1].sentence

    def own(logits, token_ids, pad_id):
        return loss_in_loops(logits, token_ids, pad_id) / math.log(base)

    assert checks.shifted_loss(own, variant=number)
    assert "not yours" in checks.shifted_loss(loss_in_loops, variant=number).mistake


VARIED = [case[1:] for case in KNOWN if case[0] is checks.shifted_loss]


@pytest.mark.parametrize("number", range(1, 5))
@pytest.mark.parametrize(("attempt", "words"), VARIED, ids=[words for _, words in VARIED])
def test_a_mistake_in_a_variant_is_named_as_well(attempt, words, number):
    base = (2, 3, 10, 16)[number - 1]
    own = checks.shifted_loss(
        lambda logits, token_ids, pad_id: attempt(logits, token_ids, pad_id) / math.log(base),
        variant=number,
    )
    assert words in own.mistake and not own.mistake.startswith("two at once: this")
    published = checks.shifted_loss(attempt, variant=number).mistake
    assert words in published and published.startswith("two at once: this follows the published")


def test_a_loss_that_is_a_tensor_is_told_so():
    def one_for_each(logits, token_ids, pad_id):
        return F.cross_entropy(logits[:, :-1].mT, token_ids[:, 1:], reduction="none")

    assert "the result is not one positive number" in str(checks.shifted_loss(one_for_each))


def test_the_references_are_those_of_torch():
    torch.manual_seed(3)
    x, logits, ids = torch.randn(2, 3, 6), torch.randn(2, 5, 7), torch.randint(1, 7, (2, 5))
    weight, bias = torch.rand(6), torch.randn(6)
    layer = checks.layer_norm.reference(6, 0.1)
    layer.load_state_dict({"weight": weight, "bias": bias})
    centred = x - x.mean(-1, keepdim=True)
    root = ((centred**2).sum(-1, keepdim=True) / 6 + 0.1) ** 0.5
    assert torch.allclose(layer(x), centred / root * weight + bias, atol=1e-5)
    ids[0, 3:] = 4
    wanted = loss_in_loops(logits, ids, 4)
    assert checks.shifted_loss.reference(logits, ids, 4).item() == pytest.approx(wanted)


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
