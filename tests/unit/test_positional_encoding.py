import math

import pytest
import torch

from lesson_tf.positional_encoding import LearnedPositions, alibi_bias, rotary, sinusoidal


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


def test_alibi_slopes_are_the_papers():
    def slopes(heads):
        return [-b for b in alibi_bias(heads, 1, 2)[:, 0, 0].tolist()]

    assert slopes(1) == [2**-8]
    assert slopes(4) == [2**-2, 2**-4, 2**-6, 2**-8]
    assert slopes(8) == [1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64, 1 / 128, 1 / 256]
    # No power of two: the slopes of 8 heads, then every other one of 16 (the paper's code).
    expected = [2**-n for n in range(1, 9)] + [2**-0.5, 2**-1.5, 2**-2.5, 2**-3.5]
    assert slopes(12) == pytest.approx(expected)
    assert slopes(3) == pytest.approx([2**-4, 2**-8, 2**-2])


def test_alibi_bias_is_minus_slope_times_distance():
    bias = alibi_bias(2, 3, 3)
    distance = torch.tensor([[0, 1, 2], [1, 0, 1], [2, 1, 0]])
    assert bias[0].equal(-distance / 2**4)
    assert bias[1].equal(-distance / 2**8)


def test_alibi_queries_are_the_last_positions():
    assert alibi_bias(4, 2, 7).equal(alibi_bias(4, 7, 7)[:, -2:])
