import math

import pytest
import torch
import torch.nn.functional as F
from closeness import assert_close, assert_same_gradients
from torch import nn

from lesson_tf.attention import (
    KeyValueCache,
    MultiHeadAttention,
    SimpleAttention,
    causal_mask,
    padding_mask,
    scaled_dot_product_attention,
)
from lesson_tf.positional_encoding import alibi_bias, rotary
from lesson_tf.torch_weights import copy_torch_weights

DTYPES = [torch.float32, torch.float64]
# Leading dimensions, queries, keys, d_k, d_v: all unequal, so that swapped axes cannot pass.
SHAPES = [((), 1, 1, 1, 1), ((1,), 7, 5, 3, 4), ((2, 3), 5, 9, 8, 6), ((2, 1, 3), 4, 6, 2, 5)]


def random_inputs(leading, queries, keys, d_k, d_v, dtype):
    query = torch.randn(*leading, queries, d_k, dtype=dtype, requires_grad=True)
    key = torch.randn(*leading, keys, d_k, dtype=dtype, requires_grad=True)
    value = torch.randn(*leading, keys, d_v, dtype=dtype, requires_grad=True)
    return query, key, value


def random_mask(queries, keys):
    mask = torch.rand(queries, keys) < 0.6
    mask[:, 0] = True
    return mask


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("masked", [False, True])
def test_attention_equals_torch(shape, masked, dtype):
    inputs = random_inputs(*shape, dtype)
    mask = random_mask(shape[1], shape[2]) if masked else None
    output, weights = scaled_dot_product_attention(*inputs, mask)
    expected = F.scaled_dot_product_attention(*inputs, attn_mask=mask)
    assert_close(output, expected)
    assert_close(weights @ inputs[2], expected)
    assert_same_gradients(output, expected, inputs, [])


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_bias_is_added_to_the_scaled_scores(dtype):
    query, key, value = random_inputs((2, 4), 5, 5, 6, 6, dtype)
    bias = torch.randn(4, 5, 5, dtype=dtype)
    output, _ = scaled_dot_product_attention(query, key, value, bias=bias)
    assert_close(output, F.scaled_dot_product_attention(query, key, value, attn_mask=bias))


def test_a_query_with_nothing_to_attend_to_gets_zero_and_finite_gradients():
    inputs = random_inputs((2,), 4, 5, 3, 6, torch.float32)
    mask = random_mask(4, 5)
    mask[2] = False
    output, weights = scaled_dot_product_attention(*inputs, mask, bias=torch.zeros(4, 5))
    assert output[:, 2].eq(0).all()
    assert weights[:, 2].eq(0).all()
    assert weights[:, [0, 1, 3]].sum(-1).allclose(torch.ones(2, 3))
    for gradient in torch.autograd.grad(output.square().sum(), inputs):
        assert gradient.isfinite().all()


def test_large_scores_stay_finite():
    query = torch.full((1, 2, 4), 1e18)
    output, weights = scaled_dot_product_attention(query, query, torch.ones(1, 2, 4))
    assert output.isfinite().all()
    assert weights.isfinite().all()


def test_inputs_are_left_as_they_were():
    query, key, value = (torch.randn(2, 3, 4) for _ in range(3))
    copies = [t.clone() for t in (query, key, value)]
    scaled_dot_product_attention(query, key, value, causal_mask(3), bias=torch.zeros(3, 3))
    for tensor, copy in zip((query, key, value), copies, strict=True):
        assert tensor.equal(copy)


def test_masks_have_their_closed_forms():
    assert causal_mask(4).equal(torch.arange(4)[:, None] >= torch.arange(4))
    mask = padding_mask(torch.tensor([[3, 0, 0], [1, 2, 3]]), pad_id=0)
    assert mask.shape == (2, 1, 1, 3)
    assert mask[:, 0, 0].tolist() == [[True, False, False], [True, True, True]]


# The class of the lecture note, as it stands there.
class DocumentAttention(nn.Module):
    def __init__(self, d_model):
        super().__init__()
        self.d_model = d_model
        self.w_q = nn.Linear(d_model, d_model)
        self.w_k = nn.Linear(d_model, d_model)
        self.w_v = nn.Linear(d_model, d_model)

    def forward(self, x):
        Q = self.w_q(x)
        K = self.w_k(x)
        V = self.w_v(x)
        scores = torch.matmul(Q, K.transpose(-2, -1)) / (self.d_model**0.5)
        attention_weights = torch.softmax(scores, dim=-1)
        output = torch.matmul(attention_weights, V)
        return output  # noqa: RET504


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 1), (5,), (2, 7), (3, 2, 9)])
def test_simple_attention_is_the_documents_class_bit_for_bit(shape, dtype):
    document, ours = DocumentAttention(12).to(dtype), SimpleAttention(12).to(dtype)
    ours.load_state_dict(document.state_dict())
    x = torch.randn(*shape, 12, dtype=dtype)
    assert ours(x).equal(document(x))


@pytest.mark.parametrize("dtype", DTYPES)
def test_simple_attention_is_scaled_dot_product_attention_with_one_head(dtype):
    ours = SimpleAttention(12).to(dtype)
    x = torch.randn(2, 7, 12, dtype=dtype)
    output, _ = scaled_dot_product_attention(ours.w_q(x), ours.w_k(x), ours.w_v(x))
    assert output.equal(ours(x))


def both_attentions(d_model, heads, dtype):
    theirs = nn.MultiheadAttention(d_model, heads, batch_first=True, dtype=dtype)
    nn.init.normal_(theirs.in_proj_bias)
    nn.init.normal_(theirs.out_proj.bias)
    ours = MultiHeadAttention(d_model, heads).to(dtype)
    copy_torch_weights(ours, theirs)
    return ours, theirs


CASES = {
    "self": dict(batch=3, queries=7, keys=None, mask=None),
    "causal": dict(batch=2, queries=9, keys=None, mask="causal"),
    "padded": dict(batch=3, queries=5, keys=None, mask="padding"),
    "cross": dict(batch=2, queries=3, keys=11, mask=None),
    "cross, padded": dict(batch=3, queries=7, keys=5, mask="padding"),
    "batch of one": dict(batch=1, queries=1, keys=None, mask=None),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize(("d_model", "heads"), [(12, 3), (16, 1), (6, 6)])
def test_multi_head_attention_equals_torch(d_model, heads, case, need_weights, dtype):
    ours, theirs = both_attentions(d_model, heads, dtype)
    batch, queries = case["batch"], case["queries"]
    keys = case["keys"] or queries
    query = torch.randn(batch, queries, d_model, dtype=dtype, requires_grad=True)
    source = query
    if case["keys"]:
        source = torch.randn(batch, keys, d_model, dtype=dtype, requires_grad=True)
    mask, their_masks = None, {}
    if case["mask"] == "causal":
        mask = causal_mask(queries)
        their_masks = {"attn_mask": ~mask}
    elif case["mask"] == "padding":
        lengths = torch.tensor([keys, 2, keys - 1])[:batch]
        padding = torch.arange(keys) >= lengths[:, None]
        mask = ~padding[:, None, None, :]
        their_masks = {"key_padding_mask": padding}
    output, weights = ours(query, source, mask=mask, need_weights=need_weights)
    expected, their_weights = theirs(
        query, source, source, average_attn_weights=False, **their_masks
    )
    assert_close(output, expected)
    if need_weights:
        assert_close(weights, their_weights)
    else:
        assert weights is None
    inputs = (query, source) if case["keys"] else (query,)
    pairs = [(ours.w_o.weight, theirs.out_proj.weight), (ours.w_o.bias, theirs.out_proj.bias)]
    assert_same_gradients(output, expected, inputs, pairs)


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradients_of_the_projections_equal_torchs(dtype):
    ours, theirs = both_attentions(12, 3, dtype)
    x = torch.randn(2, 7, 12, dtype=dtype)
    direction = torch.randn(2, 7, 12, dtype=dtype)
    (ours(x)[0] * direction).sum().backward()
    (theirs(x, x, x, need_weights=False)[0] * direction).sum().backward()
    projections = (ours.w_q, ours.w_k, ours.w_v)
    assert_close(torch.cat([w.weight.grad for w in projections]), theirs.in_proj_weight.grad)
    assert_close(torch.cat([w.bias.grad for w in projections]), theirs.in_proj_bias.grad)


@pytest.mark.parametrize("dtype", DTYPES)
def test_both_paths_agree(dtype):
    attention = MultiHeadAttention(16, 4).to(dtype)
    x = torch.randn(3, 9, 16, dtype=dtype, requires_grad=True)
    mask = causal_mask(9) & (torch.rand(3, 1, 9, 9) < 0.7)
    mask[0, 0, 4] = False
    for arguments in (
        {},
        {"mask": mask},
        {"bias": alibi_bias(4, 9, 9)},
        {"mask": mask, "bias": alibi_bias(4, 9, 9)},
        {"mask": mask, "rotate": rotary},
    ):
        fused, _ = attention(x, **arguments)
        taught, _ = attention(x, **arguments, need_weights=True)
        assert_close(fused, taught)
        # Softmax does not feel a constant in a row of scores: the gradient of the keys' bias is 0.
        pairs = [(p, p) for n, p in attention.named_parameters() if n != "w_k.bias"]
        assert_same_gradients(fused, taught, (x,), pairs)


def test_one_head_is_simple_attention():
    simple, one_head = SimpleAttention(8), MultiHeadAttention(8, 1)
    one_head.load_state_dict(simple.state_dict(), strict=False)
    nn.init.eye_(one_head.w_o.weight)
    nn.init.zeros_(one_head.w_o.bias)
    x = torch.randn(2, 5, 8)
    assert_close(one_head(x)[0], simple(x))


def test_split_and_join_are_inverse_and_heads_are_slices_of_the_width():
    attention = MultiHeadAttention(12, 3)
    x = torch.randn(2, 5, 12)
    assert attention.join(attention.split(x)).equal(x)
    assert attention.split(x)[:, 1].equal(x[:, :, 4:8])


def test_the_number_of_parameters_does_not_depend_on_the_heads():
    counts = {sum(p.numel() for p in MultiHeadAttention(64, h).parameters()) for h in (1, 2, 8, 64)}
    assert counts == {16_640}


def test_unbatched_input_is_a_batch_of_one():
    attention = MultiHeadAttention(8, 2)
    x = torch.randn(5, 8)
    output, weights = attention(x, mask=causal_mask(5), need_weights=True)
    batched, batched_weights = attention(x[None], mask=causal_mask(5), need_weights=True)
    assert_close(output, batched[0])
    assert_close(weights, batched_weights[0])


@pytest.mark.parametrize("rotate", [False, True])
def test_a_cache_gives_the_same_outputs_token_by_token(rotate):
    attention = MultiHeadAttention(16, 4).double()
    x = torch.randn(2, 7, 16, dtype=torch.float64)
    whole, _ = attention(x, mask=causal_mask(7), rotate=rotary if rotate else None)
    cache = KeyValueCache()
    for t in range(7):
        turn = (lambda v, t=t: rotary(v, torch.tensor([t]))) if rotate else None
        step, weights = attention(x[:, t : t + 1], rotate=turn, cache=cache, need_weights=True)
        assert cache.length == t + 1
        assert weights.shape == (2, 4, 1, t + 1)
        assert_close(step, whole[:, t : t + 1])


def test_a_cache_projects_the_source_of_cross_attention_once():
    attention = MultiHeadAttention(16, 4)
    source, x = torch.randn(2, 5, 16), torch.randn(2, 3, 16)
    cache, calls = KeyValueCache(), []
    attention.w_k.register_forward_hook(lambda *_: calls.append(1))
    steps = [attention(x[:, t : t + 1], source, cache=cache)[0] for t in range(3)]
    assert len(calls) == 1
    assert_close(torch.cat(steps, dim=1), attention(x, source)[0])


def test_dropout_acts_in_training_alone_and_keeps_the_mean():
    attention = MultiHeadAttention(8, 2, dropout=0.5)
    x = torch.randn(64, 40, 8)
    attention.eval()
    calm, _ = attention(x, need_weights=True)
    assert attention(x, need_weights=True)[0].equal(calm)
    attention.train()
    noisy, weights = attention(x, need_weights=True)
    assert not noisy.allclose(calm)
    assert abs(weights.eq(0).float().mean().item() - 0.5) < 0.01
    assert abs(weights.sum(-1).mean().item() - 1) < 0.01
    assert not attention(x)[0].allclose(calm)


def test_scores_of_default_linear_layers_have_a_variance_of_d_over_nine():
    d = 256
    x = torch.randn(512, d)
    attention = SimpleAttention(d)
    scores = (attention.w_q(x) @ attention.w_k(x).T).detach()
    assert math.isclose(scores.var().item(), d / 9, rel_tol=0.1)


@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize(("batch", "queries", "keys"), [(0, 3, 4), (2, 0, 4), (2, 3, 0), (0, 0, 0)])
def test_nothing_attends_to_nothing(batch, queries, keys, need_weights):
    attention = MultiHeadAttention(8, 2)
    query = torch.randn(batch, queries, 8, requires_grad=True)
    mask = torch.ones(queries, keys, dtype=torch.bool)
    output, _ = attention(query, torch.randn(batch, keys, 8), mask=mask, need_weights=need_weights)
    assert output.equal(attention.w_o.bias.expand_as(output))  # what an empty sum leaves
    output.sum().backward()


@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize("biased", [False, True])
def test_an_empty_row_gives_zero_in_every_path(biased, need_weights, dropout):
    attention = MultiHeadAttention(8, 2, dropout)
    x = torch.randn(2, 5, 8, requires_grad=True)
    mask = causal_mask(5)
    mask[2] = False
    bias = alibi_bias(2, 5, 5) if biased else None
    output, _ = attention(x, mask=mask, bias=bias, need_weights=need_weights)
    assert_close(output[:, 2], attention.w_o.bias.expand(2, 8))
    output.square().sum().backward()
    assert all(p.grad.isfinite().all() for p in (x, *attention.parameters()))


def test_a_bias_of_minus_infinity_blocks_as_a_mask_does():
    attention = MultiHeadAttention(8, 2)
    x = torch.randn(2, 5, 8)
    bias = torch.zeros(5, 5).masked_fill(~causal_mask(5), -math.inf)
    expected, _ = attention(x, mask=causal_mask(5))
    for need_weights in (False, True):
        assert_close(attention(x, bias=bias, need_weights=need_weights)[0], expected)


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_attention_can_be_vectorised():
    attention = MultiHeadAttention(8, 2)
    x = torch.randn(3, 2, 5, 8)
    assert_close(torch.func.vmap(lambda x: attention(x)[0])(x), attention(x)[0])
