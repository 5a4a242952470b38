"""The four kinds of positions against their formulas, alone and inside attention and the models."""

import math
from functools import partial

import pytest
import torch

from lesson_tf.attention import KeyValueCache, MultiHeadAttention, causal_mask
from lesson_tf.positional_encoding import (
    LearnedPositions,
    alibi_bias,
    alibi_slopes,
    rotary,
    sinusoidal,
)
from lesson_tf.transformer import Embedding, LanguageModel, Transformer, TransformerConfig
from lesson_tf.transformer_config import POSITIONS


@pytest.mark.parametrize(
    ("length", "d_model", "base"), [(1, 2, 10000.0), (50, 8, 10000.0), (9, 6, 100.0)]
)
def test_sinusoidal_equals_the_formula_entry_by_entry(length, d_model, base):
    table = sinusoidal(length, d_model, base)
    for t in range(length):
        for i in range(d_model // 2):
            angle = t / base ** (2 * i / d_model)
            assert math.isclose(table[t, 2 * i].item(), math.sin(angle), abs_tol=1e-6)
            assert math.isclose(table[t, 2 * i + 1].item(), math.cos(angle), abs_tol=1e-6)


def test_sinusoidal_is_exact_at_far_positions():
    far = 100_001
    assert math.isclose(sinusoidal(far, 4)[far - 1, 0].item(), math.sin(far - 1), abs_tol=1e-6)


def test_sinusoidal_dot_products_depend_on_the_offset_alone():
    table = sinusoidal(200, 64).double()
    products = table @ table.T
    for offset in (0, 1, 50, 100):
        assert torch.diagonal(products, offset).std() < 1e-5


def test_learned_positions_are_parameters_by_position():
    positions = LearnedPositions(max_length=10, d_model=4)
    assert [p.shape for p in positions.parameters()] == [(10, 4)]
    assert positions(3, start=5).equal(positions.weight[5:8])
    assert positions(10).shape == (10, 4)


def test_rotary_equals_complex_multiplication():
    x = torch.randn(2, 3, 17, 8, dtype=torch.float64)
    frequencies = torch.tensor([10000 ** (-2 * i / 8) for i in range(4)], dtype=torch.float64)
    angles = torch.arange(17)[:, None] * frequencies
    turned = torch.view_as_complex(x.unflatten(-1, (-1, 2))) * torch.polar(
        torch.ones_like(angles), angles
    )
    assert rotary(x).allclose(torch.view_as_real(turned).flatten(-2), atol=1e-12)


def test_rotary_equals_the_block_rotation_matrix():
    x = torch.randn(5, 4, dtype=torch.float64)
    for t in range(5):
        matrix = torch.zeros(4, 4, dtype=torch.float64)
        for i in range(2):
            angle = t * 100.0 ** (-2 * i / 4)
            block = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
            matrix[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = torch.tensor(block)
        assert rotary(x, base=100.0)[t].allclose(matrix @ x[t], atol=1e-7)


def test_rotary_takes_positions_so_that_a_sequence_can_go_on():
    x = torch.randn(2, 3, 9, 6)
    assert rotary(x)[..., 4:, :].equal(rotary(x[..., 4:, :], torch.arange(4, 9)))
    by_sentence = torch.stack([torch.arange(9), torch.arange(9) + 2])[:, None]
    assert rotary(x, by_sentence)[0].equal(rotary(x)[0])
    assert rotary(x, by_sentence)[1].equal(rotary(x[1], torch.arange(2, 11)))


def test_rotary_keeps_type_and_length():
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        x = torch.randn(5, 8, dtype=dtype)
        assert rotary(x).dtype == dtype
        assert rotary(x).float().norm(dim=-1).allclose(x.float().norm(dim=-1), rtol=0.02)


def slopes_by_the_papers_code(heads):
    """Follow `get_slopes` of the authors' repository, which calls itself for the power above."""
    if math.log2(heads).is_integer():
        start = 2 ** (-(2 ** -(math.log2(heads) - 3)))
        return [start * start**i for i in range(heads)]
    power = 2 ** math.floor(math.log2(heads))
    rest = slopes_by_the_papers_code(2 * power)[0::2][: heads - power]
    return slopes_by_the_papers_code(power) + rest


@pytest.mark.parametrize("heads", [*range(1, 34), 48, 64, 71, 96, 128])
def test_alibi_slopes_equal_the_papers_code(heads):
    assert alibi_slopes(heads).tolist() == pytest.approx(slopes_by_the_papers_code(heads))


def test_alibi_slopes_have_their_closed_forms():
    assert alibi_slopes(1).tolist() == [2**-8]
    assert alibi_slopes(4).tolist() == [2**-2, 2**-4, 2**-6, 2**-8]
    assert alibi_slopes(8).tolist() == [2**-n for n in range(1, 9)]
    # No power of two: the slopes of 8 heads, then every other one of 16.
    expected = [2**-n for n in range(1, 9)] + [2**-0.5, 2**-1.5, 2**-2.5, 2**-3.5]
    assert alibi_slopes(12).tolist() == pytest.approx(expected)
    assert alibi_slopes(3).tolist() == pytest.approx([2**-4, 2**-8, 2**-2])


def test_alibi_bias_is_minus_slope_times_distance():
    bias = alibi_bias(2, 3, 3)
    distance = torch.tensor([[0, 1, 2], [1, 0, 1], [2, 1, 0]])
    assert bias[0].equal(-distance / 2**4)
    assert bias[1].equal(-distance / 2**8)


def test_alibi_queries_are_the_last_positions():
    assert alibi_bias(4, 2, 7).equal(alibi_bias(4, 7, 7)[:, -2:])


def double_attention(d_model, heads):
    attention = MultiHeadAttention(d_model, heads).double()
    return attention, torch.randn(2, 7, d_model, dtype=torch.float64)


def weights_by_loops(attention, x, score):
    """Compute causal weights number by number from a function of head, query, key and their places."""
    queries, keys = attention.split(attention.w_q(x)), attention.split(attention.w_k(x))
    batch, heads, length, d_k = queries.shape
    weights = torch.zeros(batch, heads, length, length, dtype=x.dtype)
    for b in range(batch):
        for h in range(heads):
            for t in range(length):
                row = [score(h, queries[b, h, t], keys[b, h, s], t, s) for s in range(t + 1)]
                exponentials = [math.exp(number / math.sqrt(d_k)) for number in row]
                for s, number in enumerate(exponentials):
                    weights[b, h, t, s] = number / sum(exponentials)
    return weights


@pytest.mark.parametrize("heads", [1, 3, 4])
def test_rotary_attention_equals_products_of_complex_numbers(heads):
    attention, x = double_attention(24, heads)

    def score(_, query, key, t, s):
        # A turn of both is a turn of one by the difference: Re(q · conj(k) · e^(i(t - s)ω)).
        half = len(query) // 2
        pairs = [
            complex(*query[2 * i : 2 * i + 2].tolist())
            * complex(*key[2 * i : 2 * i + 2].tolist()).conjugate()
            for i in range(half)
        ]
        angles = [(t - s) * 10000 ** (-i / half) for i in range(half)]
        turns = [complex(math.cos(a), math.sin(a)) for a in angles]
        return sum((p * turn).real for p, turn in zip(pairs, turns, strict=True))

    _, weights = attention(x, mask=causal_mask(7), rotate=rotary, need_weights=True)
    assert weights.allclose(weights_by_loops(attention, x, score), atol=1e-12)


@pytest.mark.parametrize("heads", [1, 3, 4, 6])
def test_alibi_attention_equals_scores_less_slope_times_distance(heads):
    attention, x = double_attention(24, heads)
    slopes = slopes_by_the_papers_code(heads)

    def score(h, query, key, t, s):
        # The paper subtracts from the scaled score.
        return (query @ key).item() - math.sqrt(24 // heads) * slopes[h] * (t - s)

    bias = alibi_bias(heads, 7, 7).double()
    _, weights = attention(x, mask=causal_mask(7), bias=bias, need_weights=True)
    assert weights.allclose(weights_by_loops(attention, x, score), atol=1e-7)


@pytest.mark.parametrize("heads", [3, 4])
@pytest.mark.parametrize("kind", ["rotary", "alibi"])
@pytest.mark.parametrize("pieces", [[1] * 7, [3, 1, 3], [7]])
def test_attention_with_a_cache_goes_on_counting(kind, heads, pieces):
    attention, x = double_attention(24, heads)

    def relative(start, length):
        if kind == "rotary":
            return {"rotate": partial(rotary, positions=torch.arange(start, start + length))}
        return {"bias": alibi_bias(heads, length, start + length).double()}

    whole, _ = attention(x, mask=causal_mask(7), **relative(0, 7))
    cache, outputs = KeyValueCache(), []
    for piece in x.split(pieces, dim=1):
        start, length = cache.length, piece.shape[1]
        mask = causal_mask(length, start)
        outputs.append(attention(piece, mask=mask, cache=cache, **relative(start, length))[0])
    assert torch.cat(outputs, dim=1).allclose(whole, atol=1e-12)


def config(positions, **changes):
    sizes = {"d_model": 24, "heads": 3, "d_ff": 16, "dropout": 0.0, "max_length": 16}
    return TransformerConfig(11, 11, positions=positions, **sizes | changes)


@pytest.mark.parametrize("positions", POSITIONS)
def test_positions_are_added_to_embeddings_by_two_kinds_alone(positions):
    embedding = Embedding(11, config(positions))
    ids = torch.tensor([[4, 5, 6]])
    added = embedding(ids, start=2)[0] - embedding.table.weight[ids[0]] * math.sqrt(24)
    expected = torch.zeros(3, 24)
    if positions == "sinusoidal":
        expected = sinusoidal(5, 24)[2:]
    elif positions == "learned":
        expected = embedding.positions.weight[2:5]
    assert added.allclose(expected, atol=1e-6)


@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("heads", [2, 3, 4, 6])
@pytest.mark.parametrize("pieces", [[1] * 6, [2, 1, 3]])
def test_models_with_padding_and_a_cache_score_as_in_one_pass(positions, heads, pieces):
    texts = torch.tensor([[4, 5, 6, 7, 8, 9], [4, 4, 9, 0, 0, 0], [0, 0, 5, 6, 5, 6]])
    model = LanguageModel(config(positions, heads=heads)).double().eval()
    cache = model.new_cache()
    steps = [model(piece, cache=cache) for piece in texts.split(pieces, dim=1)]
    assert torch.cat(steps, dim=1).allclose(model(texts), atol=1e-12)

    model = Transformer(config(positions, heads=heads)).double().eval()
    memory, cache = model.encode(texts), model.new_cache()
    steps = [model.decode(piece, memory, texts, cache=cache) for piece in texts.split(pieces, 1)]
    assert torch.cat(steps, dim=1).allclose(model(texts, texts), atol=1e-12)


@pytest.mark.parametrize("positions", ["rotary", "alibi"])
def test_relative_kinds_do_not_see_where_a_text_begins(positions):
    model = LanguageModel(config(positions)).double().eval()
    text = torch.tensor([[4, 5, 6, 7]])
    later = torch.nn.functional.pad(text, (5, 0))  # padding, which nothing attends to
    assert model(later)[:, 5:].allclose(model(text), atol=1e-10)


@pytest.mark.parametrize("positions", POSITIONS)
def test_one_letter_repeated_is_one_vector_repeated_unless_positions_are_added(positions):
    model = LanguageModel(config(positions)).double().eval()
    repeated = model(torch.full((1, 8), 5))[0]
    is_alike = repeated.allclose(repeated[:1].expand(8, -1), atol=1e-10)
    assert is_alike == (positions not in ("sinusoidal", "learned"))


@pytest.mark.parametrize("positions", POSITIONS)
def test_an_encoder_with_alibi_cannot_tell_before_from_after(positions):
    model = Transformer(config(positions)).double().eval()
    text = torch.tensor([[4, 5, 6, 7, 8]])
    mirrored = model.encode(text.flip(1)).flip(1)
    assert mirrored.allclose(model.encode(text)) == (positions in ("none", "alibi"))
