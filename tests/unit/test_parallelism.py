"""The experiment parallelism: its counts against formulas and chains made by hand, its fits against known laws."""

import json
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from lesson_tf.experiments import parallelism
from lesson_tf.experiments.parallelism import (
    D_MODEL,
    ENCODER,
    FUSED,
    LAYERS,
    LENGTHS,
    LSTM_WIDTHS,
    PARAMETERS,
    STEPWISE,
    WIDTH,
    column,
    crossover,
    equal_work,
    fit_exponent,
    longest_chain,
    multiply_adds,
    new_layer,
    new_lstm,
    recur,
    results,
    saved_bytes,
    time_pair,
)

WORK = {
    FUSED: lambda length: 4 * length * D_MODEL**2 + 2 * length**2 * D_MODEL,
    ENCODER: lambda length: 12 * length * D_MODEL**2 + 2 * length**2 * D_MODEL,
}
WORK[STEPWISE] = WORK[FUSED]


@pytest.mark.parametrize(("width", "length"), [(3, 1), (8, 7), (45, 20)])
def test_the_loop_is_torchs_lstm(width, length):
    lstm, run = new_lstm(width)
    x = torch.randn(2, length, width)
    assert torch.allclose(recur(lstm, x), run(x), atol=1e-5)


def test_the_two_paths_of_self_attention_agree():
    attention, run = new_layer(STEPWISE)
    x = torch.randn(2, 9, D_MODEL)
    assert torch.allclose(attention(x)[0], run(x), atol=1e-5)


@pytest.mark.parametrize("steps", [1, 5, 3000])
def test_a_chain_of_n_steps_has_n_links_and_its_beginning(steps):
    x = y = torch.ones(2, requires_grad=True)
    for _ in range(steps):
        y = y * 1.5
    assert longest_chain(y) == steps + 1
    side = x + 1  # a branch beside the chain makes it no longer than the sum that joins them
    assert longest_chain(y + side) == max(steps, 1) + 2


def test_the_lstms_chain_grows_by_the_token_and_attentions_does_not():
    lstm = new_lstm(5)[0]
    chains = [
        longest_chain(recur(lstm, torch.randn(1, length, 5, requires_grad=True)))
        for length in (10, 11, 12, 40)
    ]
    assert np.diff(chains).tolist() == [8, 8, 8 * 28]
    for name in LAYERS:
        module, _ = new_layer(name)
        run = parallelism._stepwise(module)
        inputs = [torch.randn(1, length, D_MODEL, requires_grad=True) for length in (2, 70)]
        assert len({longest_chain(run(x)) for x in inputs}) == 1


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("comparison", LSTM_WIDTHS)
def test_an_lstm_has_as_many_parameters(comparison, layer):
    ours, theirs = (
        sum(weight.numel() for weight in module.parameters())
        for module in (new_layer(layer)[0], new_lstm(LSTM_WIDTHS[comparison][layer])[0])
    )
    assert (abs(ours / theirs - 1) < 0.02) == (comparison == PARAMETERS)


@pytest.mark.parametrize("layer", LAYERS)
def test_work_is_what_the_formulas_say(layer):
    for length in (1, 16, 50):
        module, _ = new_layer(layer)
        work = multiply_adds(parallelism._stepwise(module), torch.randn(1, length, D_MODEL))
        assert work == WORK[layer](length)
        lstm = new_lstm(45)[0]
        assert (
            multiply_adds(lambda x, lstm=lstm: recur(lstm, x), torch.randn(1, length, 45))
            == 8 * length * 45**2
        )


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("width", [40, 45, 64, 79, 100])
def test_work_is_equal_where_it_says(layer, width):
    length = equal_work(layer, width)
    if length is None:
        assert WORK[layer](1) > 8 * width**2  # and the square of the length only adds to it
    else:
        assert WORK[layer](length) == pytest.approx(8 * length * width**2)


def test_bytes_are_counted_once_and_without_parameters():
    linear = nn.Linear(6, 5)
    x = torch.randn(7, 6, requires_grad=True)
    weights = list(linear.parameters())
    assert saved_bytes(lambda: linear(x), weights) == 7 * 6 * 4  # the input, for the weight
    assert saved_bytes(lambda: linear(x)) == (7 * 6 + 5 * 6) * 4
    assert saved_bytes(lambda: linear(x) + linear(x), weights) == 7 * 6 * 4
    assert saved_bytes(lambda: x.exp() @ x.T, weights) == (7 * 6 + 7 * 6) * 4
    # A row that is kept keeps the memory of its whole tensor.
    assert saved_bytes(lambda: x[:1].sin()) == 7 * 6 * 4
    assert saved_bytes(lambda: x.sin(), shape=(6, 7)) == 0


def kept_by(name, length):
    module, run = new_layer(name)
    x = torch.randn(4, length, D_MODEL, requires_grad=True)
    return saved_bytes(lambda: run(x), list(module.parameters()))


def test_attention_step_by_step_keeps_its_weights_and_the_fused_kernel_none():
    fused, stepwise = ([kept_by(name, n) for n in (32, 64, 96)] for name in (FUSED, STEPWISE))
    assert np.diff(fused, n=2).tolist() == [0]
    assert np.diff(stepwise, n=2).tolist() == [2 * 32**2 * 4 * 4 * 4]  # batch, heads, bytes


def test_layers_take_turns():
    turns = []

    def layer(name):
        def run(x):
            turns.append(name)
            return x * 2

        return run

    x = torch.ones(2, requires_grad=True)
    clocks = time_pair([layer("a"), layer("b")], [x, x], rounds=3, repeats=2)
    assert turns == ["a", "a", "b", "b"] * 4
    assert [len(each) for each in clocks] == [3, 3]
    assert all(clock.wall > 0 and clock.total > 0 for each in clocks for clock in each)


@pytest.mark.parametrize("exponent", [0.0, 1.0, 1.7, -0.5])
def test_a_power_is_found_and_its_margin_agrees_with_numpy(exponent):
    exact = fit_exponent(LENGTHS, [5 * length**exponent for length in LENGTHS])
    assert exact.value == pytest.approx(exponent, abs=1e-9) and exact.margin < 1e-6
    noise = np.random.default_rng(0).normal(0, 0.1, len(LENGTHS))
    values = [length**exponent * np.exp(each) for length, each in zip(LENGTHS, noise, strict=True)]
    found = fit_exponent(LENGTHS, [float(value) for value in values])
    (slope, _), covariance = np.polyfit(np.log(LENGTHS), np.log(values), 1, cov=True)
    assert found.value == pytest.approx(slope)
    assert found.margin == pytest.approx(2.447 * covariance[0, 0] ** 0.5)  # t of 6 degrees


@pytest.mark.parametrize("points", range(3, 13))
def test_the_margin_covers_the_truth_19_times_in_20(points):
    draw, x = np.random.default_rng(points), np.arange(1, points + 1)
    hits = 0
    for _ in range(1000):
        y = x**1.5 * np.exp(draw.normal(0, 0.2, points))
        found = fit_exponent(x.tolist(), y.tolist())
        hits += abs(found.value - 1.5) <= found.margin
    assert 925 <= hits <= 975


def test_a_crossing_lies_where_the_line_between_two_points_meets_1():
    assert crossover([10, 1000], [0.1, 10.0]) == pytest.approx(100)
    assert crossover([1, 2, 4, 8], [2.0, 0.5, 2.0, 3.0]) == pytest.approx(2 * 2**0.5)
    assert crossover([16, 32], [1.5, 2.0]) == 16
    assert crossover([16, 32], [1.5, 1.0]) is None


def test_a_finished_measurement_is_read_again(tmp_path):
    first = parallelism.measure_pair(tmp_path, WIDTH, FUSED, 16, rounds=1)
    [file] = tmp_path.iterdir()
    assert json.loads(file.read_text()) == first
    file.write_text(json.dumps(first | {"ratio": "7"}))
    assert parallelism.measure_pair(tmp_path, WIDTH, FUSED, 16, rounds=1)["ratio"] == "7"


@pytest.fixture(scope="module")
def rows():
    return results()


def test_shipped_counts_are_what_can_be_counted_anywhere(rows):
    for row in rows:
        length, width = int(row["length"]), int(row["lstm_width"])
        assert width == LSTM_WIDTHS[row["comparison"]][row["layer"]]
        assert int(row["multiply_adds"]) == WORK[row["layer"]](length)
        assert int(row["lstm_multiply_adds"]) == 8 * length * width**2
        assert int(row["lstm_chain"]) == 8 * length + 3
        assert int(row["chain"]) == (34 if row["layer"] == ENCODER else 23)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("comparison", LSTM_WIDTHS)
def test_on_one_core_the_lstm_is_faster_for_long_texts(rows, comparison, layer):
    ratio = column(rows, comparison, layer, "ratio")
    assert list(ratio) == list(LENGTHS)
    assert ratio[2048] > 3 and ratio[2048] > ratio[512] > ratio[256] > 1
    times = [column(rows, comparison, layer, f"{who}total_ms") for who in ("", "lstm_")]
    ours, theirs = (fit_exponent(LENGTHS[4:], [t[n] for n in LENGTHS[4:]]) for t in times)
    assert ours.value > 1.4 and ours.value > theirs.value + 0.3


def test_wider_lstms_cross_later(rows):
    crossings = {
        comparison: crossover(LENGTHS, list(column(rows, comparison, FUSED, "ratio").values()))
        for comparison in LSTM_WIDTHS
    }
    assert crossings[PARAMETERS] < crossings[WIDTH] < 256


def test_memory_grows_with_the_square_step_by_step_alone(rows):
    for comparison in LSTM_WIDTHS:
        kept = {layer: column(rows, comparison, layer, "saved_bytes") for layer in LAYERS}
        for short, long in pairwise(LENGTHS):
            assert kept[FUSED][long] == 2 * kept[FUSED][short]
        assert kept[STEPWISE][2048] > 3.5 * kept[STEPWISE][1024]
        assert kept[STEPWISE][2048] > 20 * kept[FUSED][2048]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: new_layer("GRU"), "is not compared here"),
        (lambda: new_lstm(0), "width=0 is too small"),
        (lambda: longest_chain(torch.ones(2)), "no record of operations"),
        (lambda: time_pair([], [], rounds=0), "rounds=0"),
        (lambda: fit_exponent([1, 2], [1, 2]), "give as many values as lengths, 3 to 12"),
        (lambda: fit_exponent([1, 2, 3], [1, 0, 2]), "give numbers above 0"),
        (lambda: crossover([1, 2], [1.0]), "one ratio for each length"),
        (lambda: equal_work("LSTM", 64), "is not compared here"),
        (lambda: column(results(), "equal price", FUSED, "ratio"), "use one of"),
        (lambda: column(results(), WIDTH, FUSED, "price"), "there is no column 'price'"),
        (lambda: parallelism.measure_pair(None, "equal price", FUSED, 16), "was not made"),
    ],
)
def test_wrong_arguments_are_refused_in_a_sentence(unchecked, call, words):
    with pytest.raises(ValueError) as caught:
        call()
    assert words in str(caught.value)
