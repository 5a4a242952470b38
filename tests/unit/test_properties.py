"""What must hold for every input, drawn by hypothesis."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lesson_tf.attention import MultiHeadAttention, causal_mask, scaled_dot_product_attention
from lesson_tf.positional_encoding import rotary, sinusoidal
from lesson_tf.transformer import Transformer, TransformerConfig
from lesson_tf.transformer_config import POSITIONS

settings.register_profile("course", deadline=None, max_examples=40, derandomize=True)
settings.load_profile("course")

sizes = st.integers(1, 9)
seeds = st.integers(0, 2**16)
scales = st.sampled_from([1e-3, 1.0, 30.0, 1e4])


def numbers(*shape, seed, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64) * scale


@given(sizes, sizes, sizes, sizes, seeds, scales, st.floats(0, 1))
def test_rows_of_weights_sum_to_one_or_are_all_zero(queries, keys, d_k, d_v, seed, scale, share):
    query, key = (
        numbers(2, queries, d_k, seed=seed, scale=scale),
        numbers(2, keys, d_k, seed=seed + 1),
    )
    mask = numbers(2, queries, keys, seed=seed + 2).sigmoid() < share
    _, weights = scaled_dot_product_attention(query, key, numbers(2, keys, d_v, seed=seed), mask)
    assert weights[~mask].eq(0).all()
    assert (weights >= 0).all()
    assert weights.sum(-1).allclose(mask.any(-1).double())


@given(sizes, sizes, sizes, seeds)
def test_outputs_stay_between_the_least_and_the_greatest_value(queries, keys, d_k, seed):
    value = numbers(keys, 3, seed=seed)
    output, _ = scaled_dot_product_attention(
        numbers(queries, d_k, seed=seed + 1), numbers(keys, d_k, seed=seed + 2), value
    )
    assert (output <= value.max(0).values + 1e-12).all()
    assert (output >= value.min(0).values - 1e-12).all()


@given(st.integers(2, 9), seeds, st.data())
def test_nothing_leaks_from_the_future(length, seed, data):
    torch.manual_seed(seed)
    attention = MultiHeadAttention(8, 2).double()
    x = numbers(1, length, 8, seed=seed)
    cut = data.draw(st.integers(1, length - 1))
    changed = x.clone()
    changed[:, cut:] = numbers(1, length - cut, 8, seed=seed + 1, scale=1e3)
    for need_weights in (False, True):
        before, _ = attention(x, mask=causal_mask(length), need_weights=need_weights)
        after, _ = attention(changed, mask=causal_mask(length), need_weights=need_weights)
        assert before[:, :cut].allclose(after[:, :cut], atol=1e-12)
        assert not before[:, cut:].allclose(after[:, cut:])


@given(st.integers(1, 9), seeds, st.data())
def test_attention_without_positions_follows_any_permutation(length, seed, data):
    torch.manual_seed(seed)
    attention = MultiHeadAttention(8, 4).double()
    x = numbers(2, length, 8, seed=seed)
    order = torch.tensor(data.draw(st.permutations(range(length))))
    assert attention(x[:, order])[0].allclose(attention(x)[0][:, order], atol=1e-12)


def model_with(positions, seed):
    torch.manual_seed(seed)
    config = TransformerConfig(
        11, 11, d_model=8, heads=2, d_ff=16, dropout=0.0, positions=positions
    )
    return Transformer(config).double().eval()


@pytest.mark.parametrize("positions", POSITIONS)
@settings(max_examples=15)
@given(st.integers(1, 7), st.integers(1, 7), st.integers(1, 5), st.integers(1, 5), seeds)
def test_padding_changes_nothing(positions, source, target, source_padding, target_padding, seed):
    model = model_with(positions, seed)
    generator = torch.Generator().manual_seed(seed)
    source_ids = torch.randint(1, 11, (2, source), generator=generator)
    target_ids = torch.randint(1, 11, (2, target), generator=generator)
    longer_source = torch.nn.functional.pad(source_ids, (0, source_padding))
    longer_target = torch.nn.functional.pad(target_ids, (0, target_padding))
    logits = model(source_ids, target_ids)
    assert model(longer_source, longer_target)[:, :target].allclose(logits, atol=1e-10)


@pytest.mark.parametrize("positions", POSITIONS)
@settings(max_examples=15)
@given(st.integers(2, 8), seeds, st.data())
def test_the_decoder_never_sees_the_future(positions, length, seed, data):
    model = model_with(positions, seed)
    generator = torch.Generator().manual_seed(seed)
    source = torch.randint(1, 11, (1, 5), generator=generator)
    target = torch.randint(1, 11, (1, length), generator=generator)
    cut = data.draw(st.integers(1, length - 1))
    changed = target.clone()
    changed[:, cut:] = (changed[:, cut:] % 10) + 1
    assert model(source, target)[:, :cut].allclose(model(source, changed)[:, :cut], atol=1e-12)


@pytest.mark.parametrize("positions", POSITIONS)
def test_sentences_of_a_batch_do_not_meet(positions):
    model = model_with(positions, 0)
    source, target = torch.randint(1, 11, (4, 6)), torch.randint(1, 11, (4, 5))
    together = model(source, target)
    alone = torch.cat([model(source[i : i + 1], target[i : i + 1]) for i in range(4)])
    assert together.allclose(alone, atol=1e-12)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 32), st.integers(0, 60))
def test_sinusoidal_dot_products_depend_on_the_offset_alone(first, second, half, offset):
    table = sinusoidal(121, 2 * half).double()
    one = table[first] @ table[first + offset]
    other = table[second] @ table[second + offset]
    assert abs(one - other) < 1e-5 * half


@given(st.integers(0, 3000), st.integers(-50, 50), st.integers(1, 16), seeds)
def test_rotary_scores_depend_on_the_offset_alone(start, offset, half, seed):
    query, key = numbers(1, 2 * half, seed=seed), numbers(1, 2 * half, seed=seed + 1)

    def score(at):
        turned_query = rotary(query, torch.tensor([at + 50]))
        return (turned_query @ rotary(key, torch.tensor([at + 50 + offset])).T).item()

    assert abs(score(start) - score(0)) < 1e-9


@given(sizes, st.integers(1, 8), seeds)
def test_rotary_keeps_lengths_and_leaves_position_zero(length, half, seed):
    x = numbers(2, length, 2 * half, seed=seed)
    turned = rotary(x)
    assert turned.norm(dim=-1).allclose(x.norm(dim=-1))
    assert turned[:, 0].equal(x[:, 0])


def test_configurations_are_compared_by_value():
    config = TransformerConfig(9, 9)
    assert dataclasses.replace(config) == config
    assert dataclasses.replace(config, d_ff=8) != config
