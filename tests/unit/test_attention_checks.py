"""The checks of chapter 1, tried with attempts as learners write them."""

import math

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention as torch_attention

from lesson_tf import checks
from lesson_tf.checks.answers import answer_all

# --- Right, in other ways ---------------------------------------------------------------------------


def attention_in_loops(query, key, value):
    rows = [torch.stack([(q * k).sum() for k in key]) / math.sqrt(len(q)) for q in query]
    weights = torch.stack([row.softmax(0) for row in rows])
    return weights @ value, weights


def attention_by_einsum(query, key, value):
    scores = torch.einsum("...qd,...kd->...qk", query, key) / math.sqrt(key.shape[-1])
    shifted = (scores - scores.amax(-1, keepdim=True)).exp()
    weights = shifted / shifted.sum(-1, keepdim=True)
    return torch.einsum("...qk,...kv->...qv", weights, value), weights


def attention_in_float64(query, key, value):
    output = torch_attention(query.double(), key.double(), value.double())
    scores = query.double() @ key.double().mT / query.shape[-1] ** 0.5
    return output, scores.softmax(-1)


def split_by_chunks(x, heads):
    return torch.stack(x.chunk(heads, dim=-1), dim=1)


def split_by_permute(x, heads):
    batch, length = x.shape[:2]
    return x.reshape(batch, length, heads, -1).permute(0, 2, 1, 3).contiguous()


def mask_in_loops(token_ids, pad_id):
    batch, length = token_ids.shape
    mask = torch.zeros(batch, 1, length, length, dtype=torch.bool)
    for b in range(batch):
        for q in range(length):
            for k in range(q + 1):
                mask[b, 0, q, k] = token_ids[b, k] != pad_id
    return mask


@pytest.mark.parametrize(
    ("check", "attempt"),
    [
        (checks.attention, attention_by_einsum),
        (checks.attention, attention_in_float64),
        (checks.split_heads, split_by_chunks),
        (checks.split_heads, split_by_permute),
        (checks.two_masks, mask_in_loops),
    ],
    ids=lambda value: getattr(value, "__name__", value.__class__.__name__),
)
def test_another_right_way_passes(check, attempt):
    assert check(attempt), str(check(attempt))


def test_a_way_that_works_without_batch_alone_is_told_so():
    report = checks.attention(attention_in_loops)
    assert not report and report.score < 1


# --- Wrong ------------------------------------------------------------------------------------------


def no_scale(query, key, value):
    weights = torch.softmax(torch.matmul(query, key.transpose(-2, -1)), dim=-1)
    return torch.matmul(weights, value), weights


def other_axis(query, key, value):
    weights = (query @ key.mT / math.sqrt(query.size(-1))).softmax(-2)
    return weights @ value, weights


def no_scale_and_other_axis(query, key, value):
    weights = (query @ key.mT).softmax(-2)
    return weights @ value, weights


def divided_by_width(query, key, value):
    weights = (query @ key.mT / query.size(-1)).softmax(-1)
    return weights @ value, weights


def naive_softmax(query, key, value):
    scores = (query @ key.mT / math.sqrt(query.size(-1))).exp()
    weights = scores / scores.sum(-1, keepdim=True)
    return weights @ value, weights


def multiplied(query, key, value):
    weights = torch.softmax(query @ key.mT * math.sqrt(query.size(-1)), dim=-1)
    return weights @ value, weights


def by_width_of_values(query, key, value):
    weights = (query @ key.mT / math.sqrt(value.size(-1))).softmax(-1)
    return weights @ value, weights


def by_number_of_keys(query, key, value):
    weights = (query @ key.mT / math.sqrt(key.size(-2))).softmax(-1)
    return weights @ value, weights


def axis_one(query, key, value):
    weights = torch.softmax(query @ key.mT / math.sqrt(query.size(-1)), dim=1)
    return weights @ value, weights


def axis_zero(query, key, value):
    weights = torch.softmax(query @ key.mT / math.sqrt(query.size(-1)), dim=0)
    return weights @ value, weights


def divided_late(query, key, value):
    weights = torch.softmax(query @ key.mT, dim=-1) / math.sqrt(query.size(-1))
    return weights @ value, weights


def no_softmax(query, key, value):
    scores = query @ key.mT / math.sqrt(query.size(-1))
    return scores @ value, scores


def scores_for_weights(query, key, value):
    scores = torch.einsum("...qd,...kd->...qk", query, key) / math.sqrt(query.size(-1))
    return torch_attention(query, key, value), scores


def output_alone(query, key, value):
    return attention_by_einsum(query, key, value)[0]


def no_transpose(x, heads):
    return x.reshape(*x.shape[:2], heads, x.shape[2] // heads)


def tokens_mixed(x, heads):
    batch, length, d_model = x.shape
    return x.reshape(batch, heads, length, d_model // heads)


def dealt_like_cards(x, heads):
    return torch.stack([x[..., head::heads] for head in range(heads)], dim=1)


def turned_then_cut(x, heads):
    batch, length, d_model = x.shape
    return x.permute(0, 2, 1).reshape(batch, heads, length, d_model // heads)


def inverted(token_ids, pad_id):
    return ~mask_in_loops(token_ids, pad_id)


def upper(token_ids, pad_id):
    length = token_ids.shape[1]
    future = torch.triu(torch.ones(length, length)).bool()
    return future & (token_ids != pad_id)[:, None, None]


def no_diagonal(token_ids, pad_id):
    length = token_ids.shape[1]
    past = torch.tril(torch.ones(length, length), diagonal=-1).bool()
    return past & (token_ids != pad_id)[:, None, None]


def no_padding(token_ids, pad_id):
    batch, length = token_ids.shape
    return torch.tril(torch.ones(batch, 1, length, length)).bool()


def padded_rows(token_ids, pad_id):
    length = token_ids.shape[1]
    return torch.ones(length, length).tril().bool() & (token_ids != pad_id)[:, None, :, None]


def causal_inverted(token_ids, pad_id):
    length = token_ids.shape[1]
    return torch.ones(length, length).triu(1).bool() & (token_ids != pad_id)[:, None, None]


def padding_inverted(token_ids, pad_id):
    length = token_ids.shape[1]
    return torch.ones(length, length).tril().bool() & (token_ids == pad_id)[:, None, None]


def no_past(token_ids, pad_id):
    batch, length = token_ids.shape
    return (token_ids != pad_id)[:, None, None, :].expand(batch, 1, length, length)


def either(token_ids, pad_id):
    length = token_ids.shape[1]
    return torch.ones(length, length).tril().bool() | (token_ids != pad_id)[:, None, None]


def rows_as_well(token_ids, pad_id):
    real = token_ids != pad_id
    return mask_in_loops(token_ids, pad_id) & real[:, None, :, None]


def padding_is_zero(token_ids, pad_id):
    return mask_in_loops(token_ids, 0)


def to_be_added(token_ids, pad_id):
    return torch.where(mask_in_loops(token_ids, pad_id), 0.0, float("-inf"))


def half_a_pair(query, key, value):
    output, weights = attention_by_einsum(query, key, value)
    return output.half(), weights.half()


def weights_first(query, key, value):
    output, weights = attention_by_einsum(query, key, value)
    return weights, output


def diagonal_alone(token_ids, pad_id):
    batch, length = token_ids.shape
    return torch.eye(length).bool().expand(batch, 1, length, length)


def of_numbers(token_ids, pad_id):
    return mask_in_loops(token_ids, pad_id).float()


WRONG = pytest.mark.parametrize(
    ("check", "attempt", "words"),
    [
        (checks.attention, no_scale, "the scale is missing: divide the scores by the square root"),
        (checks.attention, other_axis, "the softmax runs over the queries"),
        (checks.attention, no_scale_and_other_axis, "two at once"),
        (checks.attention, divided_by_width, "its square root is wanted"),
        (checks.attention, naive_softmax, "it holds inf or nan"),
        (checks.attention, naive_softmax, "the exponentials overflow"),
        (checks.attention, multiplied, "multiplied by the square root of d_k; divide"),
        (checks.attention, by_width_of_values, "the scale comes from the width of the values"),
        (checks.attention, by_number_of_keys, "the scale comes from the number of keys"),
        (checks.attention, axis_one, "the axis of the softmax is counted from the front"),
        (checks.attention, axis_zero, "the softmax runs over the first axis"),
        (checks.attention, divided_late, "the division comes after the softmax"),
        (checks.attention, no_softmax, "the softmax is missing"),
        (checks.attention, scores_for_weights, "scores are returned in the place of the weights"),
        (checks.attention, output_alone, "returns a tensor (5, 3); a pair"),
        (checks.split_heads, no_transpose, "the transpose is missing"),
        (checks.split_heads, tokens_mixed, "tokens are mixed"),
        (checks.split_heads, dealt_like_cards, "dealt out like cards"),
        (checks.split_heads, turned_then_cut, "the axes are swapped before the cut"),
        (checks.two_masks, inverted, "the mask is inverted"),
        (checks.two_masks, upper, "the past is hidden and the future allowed"),
        (checks.two_masks, no_diagonal, "the diagonal is hidden: a token may look at itself"),
        (checks.two_masks, no_padding, "the padding is still allowed"),
        (checks.two_masks, padded_rows, "the padding belongs to the last axis"),
        (checks.two_masks, causal_inverted, "the causal half is inverted"),
        (checks.two_masks, padding_inverted, "the padding half is inverted"),
        (checks.two_masks, no_past, "the future is still allowed"),
        (checks.two_masks, either, "both are wanted: `&`, not `|`"),
        (checks.two_masks, rows_as_well, "padded queries are hidden as well"),
        (checks.two_masks, padding_is_zero, "the padding is taken to be 0"),
        (checks.attention, half_a_pair, "the numbers are in half precision"),
        (checks.attention, weights_first, "the right parts are returned, in another order"),
        (checks.two_masks, to_be_added, "this mask is made to be added to the scores"),
        (checks.two_masks, to_be_added, "there is no mask of truth values"),
        (checks.two_masks, diagonal_alone, "no query may look at an earlier key, either"),
        (checks.two_masks, of_numbers, "of truth values is wanted"),
    ],
    ids=lambda value: getattr(value, "__name__", "") or str(value)[:20],
)


@WRONG
def test_each_mistake_is_told_in_its_own_words(check, attempt, words):
    report = check(attempt, points=4)
    assert not report and report.earned < 4
    assert words in str(report), str(report)


@WRONG
def test_it_is_told_with_other_inputs_too(check, attempt, words):
    for seed in range(1, 21):
        calls = check.calls_from(seed)
        report = check.judge(calls, answer_all(attempt, calls))
        assert not report and words in str(report), f"seed {seed}: {report}"


def test_every_known_mistake_is_tried_by_an_attempt_of_a_learner():
    tried = {(check.name, check(attempt).mistake) for check, attempt, _ in WRONG.args[1]}
    for check in (checks.attention, checks.split_heads, checks.two_masks):
        for mistake in check.mistakes:
            assert (check.name, mistake.message) in tried, mistake.message


@pytest.mark.parametrize("number", range(1, 6))
def test_a_variant_is_solved_by_its_own_solution(number):
    temperature = (0.5, 1.5, 2.0, 2.5, 3.0)[number - 1]
    assert str(temperature) in checks.attention.variants[number - 1].sentence

    def tempered(query, key, value):
        weights = (query @ key.mT / math.sqrt(query.shape[-1]) / temperature).softmax(-1)
        return weights @ value, weights

    assert checks.attention(tempered, variant=number)
    assert "not yours" in checks.attention(attention_by_einsum, variant=number).mistake


NAMED = [
    (attempt, words)
    for check, attempt, words in WRONG.args[1]
    if check is checks.attention and words in check(attempt).mistake
]


@pytest.mark.parametrize("number", range(1, 6))
@pytest.mark.parametrize(("attempt", "words"), NAMED, ids=[a.__name__ for a, _ in NAMED])
def test_a_mistake_in_a_variant_is_named_as_well(attempt, words, number):
    temperature = (0.5, 1.5, 2.0, 2.5, 3.0)[number - 1]
    report = checks.attention(
        lambda query, key, value: attempt(query, key / temperature, value), variant=number
    )
    assert words in report.mistake and "two at once: this follows" not in report.mistake
    report = checks.attention(attempt, variant=number)
    if attempt not in (half_a_pair, weights_first):
        assert "two at once: this follows the published exercise" in report.mistake
        assert words in report.mistake


def test_uniform_weights_sum_to_one_and_are_told_why_that_is_not_enough():
    def uniform(query, key, value):
        weights = (0 * query @ key.mT).softmax(-1)
        return weights @ value, weights

    report = checks.attention(uniform)
    assert not report.mistake and report.score <= 0.25
    assert "the largest weight is not at the largest score" in str(report)


def test_columns_dealt_out_keep_each_token_and_mixed_tokens_do_not():
    assert checks.split_heads(dealt_like_cards).steps[1].passed
    for attempt in (tokens_mixed, turned_then_cut):
        message = checks.split_heads(attempt).steps[1].message
        assert "a token holds other numbers than its own" in message


def test_the_references_agree_with_torch():
    query, key, value = torch.randn(2, 4, 6), torch.randn(2, 5, 6), torch.randn(2, 5, 3)
    output, _ = checks.attention.reference(query, key, value)
    assert torch.allclose(output, torch_attention(query, key, value), atol=1e-6)
    x = torch.randn(2, 5, 12)
    assert checks.split_heads.reference(x, 3).equal(torch.stack(x.split(4, -1), 1))
    token_ids = torch.tensor([[5, 7, 3, 0], [2, 4, 0, 0]])
    assert checks.two_masks.reference(token_ids, 0).equal(mask_in_loops(token_ids, 0))
