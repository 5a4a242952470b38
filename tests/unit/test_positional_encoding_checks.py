"""The checks of chapter 3, tried with attempts as learners write them: right, wrong, empty, crashing."""

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention as torch_attention

from lesson_tf import checks
from lesson_tf.checks.answers import answer_all

NOTEBOOK = Path(__file__).parents[2] / "book/en/positional_encoding/exercises.ipynb"
EXERCISES = {
    "table": checks.sinusoidal_table,
    "offset": checks.offset_rotation,
    "rotary": checks.rotary,
}
SEEDS = range(1, 21)
BASE = 10000.0  # a test of the variants sets another one


# --- Attempts as learners write them ------------------------------------------------------------------


def attention(query, key, value):
    weights = (query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])).softmax(-1)
    return weights @ value, weights


def table_in_loops(length, d_model, base=None):
    base = base or BASE
    rows = []
    for t in range(length):
        angles = [t / base ** (2 * i / d_model) for i in range(d_model // 2)]
        rows.append([wave(angle) for angle in angles for wave in (math.sin, math.cos)])
    return torch.tensor(rows)


def table_in_float64(length, d_model):
    table = torch.zeros(length, d_model, dtype=torch.float64)
    t = torch.arange(length, dtype=torch.float64).unsqueeze(1)
    speeds = torch.exp(torch.arange(0, d_model, 2).double() * -(math.log(BASE) / d_model))
    table[:, 0::2] = torch.sin(t * speeds)
    table[:, 1::2] = torch.cos(t * speeds)
    return table


def angles_of(length, d_model, exponents):
    return torch.arange(length)[:, None] / BASE ** (exponents / d_model)


def table_halves(length, d_model):
    angles = angles_of(length, d_model, torch.arange(0, d_model, 2))
    return torch.cat((angles.sin(), angles.cos()), dim=-1)


def table_doubled(length, d_model):
    angles = angles_of(length, d_model, 2 * torch.arange(0, d_model, 2))
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(-2)


def table_halves_and_doubled(length, d_model):
    angles = angles_of(length, d_model, 2 * torch.arange(0, d_model, 2))
    return torch.cat((angles.sin(), angles.cos()), dim=-1)


def table_halved(length, d_model):
    angles = angles_of(length, d_model, torch.arange(d_model // 2))
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(-2)


def table_swapped(length, d_model):
    table = table_in_loops(length, d_model)
    table[:, 0::2], table[:, 1::2] = table[:, 1::2].clone(), table[:, 0::2].clone()
    return table


def table_from_one(length, d_model):
    return table_in_loops(length + 1, d_model)[1:]


def table_speed_of_each_column(length, d_model):
    table = angles_of(length, d_model, torch.arange(d_model))
    table[:, 0::2] = table[:, 0::2].sin()
    table[:, 1::2] = table[:, 1::2].cos()
    return table


def step_blocks(sin, cos):
    size = 2 * len(sin)
    matrix = torch.zeros(size, size)
    for i, (s, c) in enumerate(zip(sin.tolist(), cos.tolist(), strict=True)):
        matrix[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = torch.tensor([[c, s], [-s, c]])
    return matrix


def one_step(table):
    return step_blocks(table[1, 0::2], table[1, 1::2])


def offset_by_angles(table, k):
    angles = k * torch.atan2(table[1, 0::2], table[1, 1::2]).double()
    return step_blocks(angles.sin(), angles.cos()).double()


def offset_step_by_step(table, k):
    step = one_step(table) if k >= 0 else torch.linalg.inv(one_step(table))
    matrix = torch.eye(table.shape[1])
    for _ in range(abs(k)):
        matrix = matrix @ step
    return matrix


def offset_backwards(table, k):
    return offset_step_by_step(table, -k)


def offset_for_rows(table, k):
    return offset_by_angles(table, k).T  # made for table @ M


def offset_of_position_zero(table, k):
    return torch.outer(table[k], table[0]) / (table.shape[1] / 2)


def offset_of_row_k(table, k):
    return step_blocks(table[k, 0::2], table[k, 1::2])


def offset_one_step(table, k):
    return one_step(table)


def offset_entrywise(table, k):
    return one_step(table) ** k


def offset_longer(table, k):
    return k * one_step(table)


def offset_halves(table, k):
    angles = k * torch.atan2(table[1, 0::2], table[1, 1::2])
    cos, sin = torch.diag(angles.cos()), torch.diag(angles.sin())
    return torch.cat((torch.cat((cos, sin), 1), torch.cat((-sin, cos), 1)))


def offset_least_squares(table, k):
    before, after = table[:-k].double(), table[k:].double()
    return torch.linalg.lstsq(before, after).solution.T


def turn(x, first, way=1, exponent=2.0):
    """Turn pairs as complex numbers."""
    half = x.shape[-1] // 2
    speeds = BASE ** (-exponent * torch.arange(half) / x.shape[-1])
    angles = way * torch.arange(first, first + x.shape[-2])[:, None] * speeds
    pairs = torch.view_as_complex(x.reshape(*x.shape[:-1], half, 2).contiguous())
    return torch.view_as_real(pairs * torch.polar(torch.ones_like(angles), angles)).flatten(-2)


def turn_halves(x, first):
    a, b = x.chunk(2, dim=-1)
    speeds = BASE ** -(torch.arange(0, x.shape[-1], 2) / x.shape[-1])
    angles = torch.arange(first, first + x.shape[-2])[:, None] * speeds
    cos, sin = angles.cos(), angles.sin()
    return torch.cat((a * cos - b * sin, a * sin + b * cos), dim=-1)


def rotary_by_matrices(query, key, value, start):
    def turned(x, first):
        rows = []
        for t in range(x.shape[-2]):
            angles = (first + t) * BASE ** -(torch.arange(0, x.shape[-1], 2) / x.shape[-1])
            rows.append(x[..., t, :] @ step_blocks(angles.sin(), angles.cos()))
        return torch.stack(rows, dim=-2)

    return attention(turned(query, start), turned(key, 0), value)


def rotary_in_float64(query, key, value, start):
    query, key, value = query.double(), key.double(), value.double()
    return attention(turn(query, start), turn(key, 0), value)


def rotary_lost(query, key, value, start):
    return attention(turn(query, 0), turn(key, 0), value)


def rotary_keys_moved(query, key, value, start):
    return attention(turn(query, start), turn(key, start), value)


def rotary_values(query, key, value, start):
    return attention(turn(query, start), turn(key, 0), turn(value, 0))


def rotary_values_and_lost(query, key, value, start):
    return attention(turn(query, 0), turn(key, 0), turn(value, 0))


def rotary_halves(query, key, value, start):
    return attention(turn_halves(query, start), turn_halves(key, 0), value)


def rotary_none(query, key, value, start):
    return attention(query, key, value)


def rotary_keys_still(query, key, value, start):
    return attention(turn(query, start), key, value)


def rotary_queries_still(query, key, value, start):
    return attention(query, turn(key, 0), value)


def rotary_against(query, key, value, start):
    return attention(turn(query, start), turn(key, 0, -1), value)


def rotary_other_way(query, key, value, start):
    return attention(turn(query, start, -1), turn(key, 0, -1), value)


def rotary_halved(query, key, value, start):
    return attention(turn(query, start, exponent=1.0), turn(key, 0, exponent=1.0), value)


def rotary_doubled(query, key, value, start):
    return attention(turn(query, start, exponent=4.0), turn(key, 0, exponent=4.0), value)


def rotary_unscaled(query, key, value, start):
    weights = (turn(query, start) @ turn(key, 0).transpose(-1, -2)).softmax(-1)
    return weights @ value, weights


def offset_never_back(table, k):
    matrix = torch.eye(table.shape[1])
    for _ in range(k):
        matrix = matrix @ one_step(table)
    return matrix


def offset_of_another_base(table, k):
    angles = k * BASE ** -(torch.arange(0, table.shape[1], 2) / table.shape[1])
    return step_blocks(angles.sin(), angles.cos())


def rotary_hidden(query, key, value, start):
    scores = turn(query, start) @ turn(key, 0).mT / math.sqrt(query.shape[-1])
    later = torch.ones(scores.shape[-2:]).triu(start + 1).bool()
    weights = scores.masked_fill(later, -math.inf).softmax(-1)
    return weights @ value, weights


RIGHT = [
    ("table", table_in_loops),
    ("table", table_in_float64),
    ("offset", offset_by_angles),
    ("offset", offset_step_by_step),
    ("rotary", rotary_by_matrices),
    ("rotary", rotary_in_float64),
]
WRONG = [
    ("table", table_halves, "after them. They should alternate"),
    ("table", table_doubled, "slow down too fast"),
    ("table", table_halved, "exponent is half"),
    ("table", table_swapped, "sine and cosine are swapped"),
    ("table", table_from_one, "counted from 1"),
    ("table", table_speed_of_each_column, "each column has a speed of its own"),
    ("table", table_halves_and_doubled, "after them, and the exponent is twice"),
    ("offset", offset_backwards, "turn the wrong way"),
    ("offset", offset_for_rows, "made for rows"),
    ("offset", offset_of_position_zero, "depends on the position"),
    ("offset", offset_of_row_k, "row k of the table is read"),
    ("offset", offset_one_step, "the matrix of one step, whatever k is"),
    ("offset", offset_entrywise, "raises every entry by itself"),
    ("offset", offset_longer, "multiplied by k"),
    ("offset", offset_halves, "column i is paired with column i + d_model / 2"),
    ("offset", offset_never_back, "a negative k does nothing"),
    ("offset", offset_of_another_base, "the base is taken to be 10,000"),
    ("rotary", rotary_hidden, "later keys are hidden"),
    ("rotary", rotary_lost, "the place in the cache is lost"),
    ("rotary", rotary_keys_moved, "the place in the cache is lost"),
    ("rotary", rotary_values, "the values are turned as well"),
    ("rotary", rotary_halves, "paired with dimension i + d_k / 2"),
    ("rotary", rotary_none, "nothing is turned"),
    ("rotary", rotary_keys_still, "the keys are not turned"),
    ("rotary", rotary_queries_still, "the queries are not turned"),
    ("rotary", rotary_against, "turn in opposite directions"),
    ("rotary", rotary_other_way, "the pairs turn the wrong way"),
    ("rotary", rotary_halved, "exponent is half"),
    ("rotary", rotary_doubled, "exponent is twice"),
    ("rotary", rotary_values_and_lost, "two at once: the values are turned"),
    ("rotary", rotary_unscaled, "the scale is missing"),
]


# --- The notebook's own cells -------------------------------------------------------------------------


def cells():
    read = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return {cell["id"]: "".join(cell["source"]) for cell in read}


def defined_by(source, attempt):
    """Run the set-up cell and a solution cell as a notebook would, and return what is defined."""
    namespace = {}
    exec(compile(cells()["setup"], "<cell setup>", "exec"), namespace)
    exec(compile(source, "<cell solution>", "exec"), namespace)
    return namespace[attempt]


def without_solution(source):
    """Put nbgrader's stub where the solution stands."""
    before, _, rest = source.partition("### BEGIN SOLUTION")
    return (
        before + "# YOUR CODE HERE\n    raise NotImplementedError()" + rest.partition("SOLUTION")[2]
    )


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", EXERCISES)
def test_the_solution_of_the_notebook_is_right(name):
    exercise = EXERCISES[name]
    solution = defined_by(cells()[f"{name}-solution"], exercise.attempt)
    report = exercise(solution, points=4)
    assert report, str(report)
    assert report.earned == 4
    for seed in SEEDS:
        calls = exercise.calls_from(seed)
        assert exercise.judge(calls, answer_all(solution, calls)), seed


@pytest.mark.parametrize("name", EXERCISES)
def test_the_stub_is_not_written_yet(name):
    exercise = EXERCISES[name]
    stub = without_solution(cells()[f"{name}-solution"])
    assert "scaled_dot" not in stub and "stack" not in stub
    report = exercise(defined_by(stub, exercise.attempt))
    assert "not written yet" in report.trouble and report.score == 0


@pytest.mark.parametrize("name", EXERCISES)
def test_the_check_cell_checks_the_attempt(name):
    exercise = EXERCISES[name]
    called = next(key for key, value in checks.EXERCISES.items() if value is exercise)
    assert cells()[f"{name}-check"].startswith(f"checks.{called}({exercise.attempt}, points=")


# --- Right and wrong attempts -------------------------------------------------------------------------


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("name", "attempt"), RIGHT, ids=lambda given: getattr(given, "__name__", given)
)
def test_another_right_solution_passes(name, attempt):
    exercise = EXERCISES[name]
    assert exercise(attempt), str(exercise(attempt))
    for seed in SEEDS:
        calls = exercise.calls_from(seed)
        assert exercise.judge(calls, answer_all(attempt, calls)), seed


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("name", "attempt", "sentence"), WRONG, ids=lambda given: getattr(given, "__name__", None)
)
def test_a_mistake_is_named_with_every_seed(name, attempt, sentence):
    exercise = EXERCISES[name]
    (mistake,) = (one for one in exercise.mistakes if sentence in one.message)
    alone = replace(
        exercise, mistakes=(mistake,)
    )  # To try the whole list with each seed takes long.
    for seed in (0, *SEEDS):
        calls = exercise.calls_from(seed)
        judging = exercise if seed < 2 else alone
        report = judging.judge(calls, answer_all(attempt, calls))
        assert not report, seed
        assert sentence in report.mistake, f"{seed}: {report}"


@pytest.mark.parametrize("name", EXERCISES)
def test_every_mistake_of_an_exercise_is_tried(name):
    tried = [sentence for other, _, sentence in WRONG if other == name]
    for mistake in EXERCISES[name].mistakes:
        assert any(sentence in mistake.message for sentence in tried), mistake.message


def test_least_squares_on_the_rows_given_does_not_leave_the_table():
    report = checks.offset_rotation(offset_least_squares)
    passed = {step.title: step.passed for step in report.steps}
    assert passed["It takes every row of the table k rows on."]
    assert not passed["It is right for a k that leaves the table."]


def test_values_turned_leave_the_weights_right():
    report = checks.rotary(rotary_values)
    assert [step.passed for step in report.steps] == [True, True, True, True, False]


def test_halves_still_depend_on_the_offset_alone():
    passed = {step.title: step.passed for step in checks.rotary(rotary_halves).steps}
    assert passed["Scores depend on offsets alone."]
    lost = {step.title: step.passed for step in checks.rotary(rotary_lost).steps}
    assert not lost["Scores depend on offsets alone."]
    assert lost["Without a cache, start = 0, the weights are right."]


# --- Lazy and broken attempts -------------------------------------------------------------------------


def no_table(value):
    return lambda length, d_model: torch.full((length, d_model), value)


def no_matrix(make):
    return lambda table, k: make(table.shape[1], table.shape[1])


def no_attention(value):
    def rotary_attention(query, key, value_, start):
        weights = torch.full((*query.shape[:-1], key.shape[-2]), value)
        return torch.full((*query.shape[:-1], value_.shape[-1]), value), weights

    return rotary_attention


def uniform(query, key, value, start):
    return attention(0 * query, key, value)


@pytest.mark.parametrize(
    ("name", "attempt"),
    [
        *(("table", no_table(value)) for value in (0.0, 1.0, 0.5)),
        ("table", lambda length, d_model: torch.rand(length, d_model)),
        ("table", lambda length, d_model: length),
        *(("offset", no_matrix(make)) for make in (torch.zeros, torch.ones, torch.eye)),
        ("offset", lambda table, k: table),
        *(("rotary", no_attention(value)) for value in (0.0, 1.0)),
        ("rotary", uniform),
        ("rotary", rotary_none),
        ("rotary", lambda query, key, value, start: query),
        ("rotary", lambda query, key, value, start: (query, key)),
        ("rotary", lambda query, key, value, start: (torch.tensor(0.0), torch.tensor(0.0))),
    ],
)
def test_a_lazy_attempt_earns_little(name, attempt):
    report = EXERCISES[name](attempt)
    assert not report
    assert report.score <= 0.3, str(report)


def test_a_crash_names_the_line_of_the_learner():
    def sinusoidal_table(length, d_model):
        return torch.arange(length) * torch.arange(d_model)

    def offset_matrix(table, k):
        return table @ table @ table

    def rotary_attention(query, key, value, start):
        return query @ key

    for name, attempt, line in (
        ("table", sinusoidal_table, "`return torch.arange(length) * torch.arange(d_model)`"),
        ("offset", offset_matrix, "`return table @ table @ table`"),
        ("rotary", rotary_attention, "`return query @ key`"),
    ):
        text = str(EXERCISES[name](attempt))
        assert f"{line}, raised RuntimeError" in text
        assert "lesson_tf" not in text


# --- References and variants --------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_the_references_agree_with_closed_forms(seed):
    for call in checks.sinusoidal_table.calls_from(seed):
        reference = checks.sinusoidal_table.reference(**call.arguments)
        torch.testing.assert_close(reference, table_in_loops(**call.arguments), rtol=0, atol=1e-5)
    for call in checks.rotary.calls_from(seed):
        query, key, value, start = (call.arguments[n] for n in ("query", "key", "value", "start"))
        output, weights = checks.rotary.reference(query, key, value, start)
        expected = torch_attention(turn(query, start), turn(key, 0), value)
        torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(weights @ value, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_offset_matrix_moves_positions_that_are_not_in_the_table(seed):
    for call in checks.offset_rotation.calls_from(seed):
        table, k = call.arguments["table"], call.arguments["k"]
        matrix = checks.offset_rotation.reference(table, k).double()
        speeds = torch.atan2(table[1, 0::2].double(), table[1, 1::2].double())
        for t in (0, 7, 1000):
            here, there = (
                torch.stack(((u * speeds).sin(), (u * speeds).cos()), dim=-1).flatten()
                for u in (t, t + k)
            )
            torch.testing.assert_close(matrix @ here, there, rtol=0, atol=1e-5)


def test_calls_have_unequal_sizes():
    for seed in (0, *SEEDS):
        for call in checks.sinusoidal_table.calls_from(seed):
            assert call.arguments["length"] != call.arguments["d_model"]
        for call in checks.rotary.calls_from(seed):
            shapes = [call.arguments[name].shape[-1] for name in ("key", "value")]
            assert shapes[0] != shapes[1] and not shapes[1] % 2  # even: values could be turned
        *_, beyond = checks.offset_rotation.calls_from(seed)
        assert beyond.arguments["k"] > len(beyond.arguments["table"])


@pytest.mark.parametrize("number", range(1, 6))
def test_a_variant_of_the_table_is_not_the_published_exercise(number):
    base = (200, 500, 1000, 50_000, 500_000)[number - 1]
    exercise = checks.sinusoidal_table
    assert exercise(lambda length, d_model: table_in_loops(length, d_model, base), variant=number)
    for published in (table_in_loops, table_in_float64):
        report = exercise(published, variant=number)
        assert not report
        assert f"not yours. In your variant the base is {base:,} instead" in report.mistake


@pytest.mark.parametrize("number", range(1, 5))
def test_a_variant_of_rotary_is_not_the_published_exercise(number):
    base = (200.0, 500.0, 1000.0, 500_000.0)[number - 1]
    # base^(-2i/d) is 10000^(-e·i/d) with this e.
    exponent = 2 * math.log(base) / math.log(10000.0)

    def rotary_attention(query, key, value, start):
        turned = (turn(query, start, exponent=exponent), turn(key, 0, exponent=exponent))
        return attention(*turned, value)

    assert checks.rotary(rotary_attention, variant=number)
    report = checks.rotary(rotary_by_matrices, variant=number)
    assert not report
    assert "not yours. In your variant the base of the angles" in report.mistake


BASES = {"table": (200, 500, 1000, 50_000, 500_000), "rotary": (200, 500, 1000, 500_000)}
VARIED = [
    (name, attempt, words, number)
    for name, attempt, words in WRONG
    for number in range(1, len(BASES.get(name, ())) + 1)
]


@pytest.mark.parametrize(
    ("name", "attempt", "words", "number"), VARIED, ids=[f"{v[1].__name__}-{v[3]}" for v in VARIED]
)
def test_a_mistake_in_a_variant_is_named_as_well(monkeypatch, name, attempt, words, number):
    monkeypatch.setattr(sys.modules[__name__], "BASE", float(BASES[name][number - 1]))
    mistake = EXERCISES[name](attempt, variant=number).mistake
    assert words in mistake and not mistake.startswith("two at once: this"), mistake
    assert "10000" not in mistake
    monkeypatch.undo()
    published = EXERCISES[name](attempt, variant=number).mistake
    assert words in published or "nothing is turned" in words, published


def test_rotary_weights_that_are_not_there_are_told_so():
    report = checks.rotary(lambda query, key, value, start: query)
    assert "The weights are not there, in the right shape." in str(report)
