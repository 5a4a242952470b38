"""The frame of all checks: calls, answers, reports, and the text in which values travel."""

import contextlib
import json
import math
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from lesson_tf.checks import EXERCISES, Report
from lesson_tf.checks.answers import Call, answer, answer_all
from lesson_tf.checks.closeness import same
from lesson_tf.checks.exercise import Exercise, Mistake, Property, Variant, carried_over
from lesson_tf.checks.properties import agrees, has_shape, is_finite, rows_sum_to_one, unchanged
from lesson_tf.checks.report import Step
from lesson_tf.checks.transport import DTYPES, UnreadableValueError, decode, encode

# An exercise that another one counts has no notebook of its own.
PUBLISHED = [name for name, exercise in EXERCISES.items() if not exercise.counted_by]


def double(x):
    return 2 * x


def triple(x):
    return 3 * x


EXERCISE = Exercise(
    name="Double",
    attempt="double",
    reference=double,
    calls=lambda generator: [
        Call({"x": torch.randn(2, 3, generator=generator)}, "first"),
        Call({"x": torch.randn(4, generator=generator)}),
    ],
    properties=(has_shape(), agrees()),
    mistakes=(Mistake("you added 2; multiply by it.", lambda x: x + 2),),
    variants=(Variant("In your variant, triple it.", lambda x: 3 * x),),
)


# --- Reports ----------------------------------------------------------------------------------------


def test_a_right_attempt_passes_every_step():
    report = EXERCISE(lambda x: x + x, points=4)
    assert report
    assert (report.score, report.earned, report.mistake) == (1.0, 4.0, "")
    assert str(report).startswith("Double: right, 2 of 2 steps, 4 of 4 points")


def test_a_known_mistake_is_named_and_the_score_comes_from_the_steps():
    report = EXERCISE(lambda x: x + 2, points=3)
    assert not report
    assert report.score == pytest.approx(1 / 3)
    assert report.earned == 1.0
    assert "you added 2; multiply by it." in str(report)
    assert "With x (2, 3) 6 of 6 entries differ, first at [0, 0]." in str(report)


def test_an_unknown_mistake_is_not_given_a_name():
    report = EXERCISE(lambda x: x * 2.5)
    assert not report
    assert "Likely" not in str(report)


@pytest.mark.parametrize("made", [lambda x: None, lambda x: ...])
def test_a_function_that_returns_nothing_is_not_written_yet(made):
    assert EXERCISE(made).trouble.startswith(
        "It is not written yet: it returns nothing. If it prints"
    )


def test_the_stub_of_nbgrader_is_not_written_yet():
    def stub(x):
        # YOUR CODE HERE
        raise NotImplementedError()

    assert "not written yet" in str(EXERCISE(stub))
    assert EXERCISE(stub).score == 0


def test_a_crash_shows_the_line_of_the_learner_and_nothing_of_ours():
    def crash(x):
        return x @ torch.ones(7, 7)

    text = str(EXERCISE(crash))
    assert "`return x @ torch.ones(7, 7)`, raised RuntimeError" in text
    assert "called with x (2, 3)" in text
    assert "answers.py" not in text and "Traceback" not in text


def test_a_crash_inside_a_library_shows_the_line_of_the_learner():
    def crash(x):
        return np.linalg.inv(np.zeros((2, 2)))

    assert "`return np.linalg.inv(np.zeros((2, 2)))`, raised LinAlgError" in str(EXERCISE(crash))


def test_a_crash_in_one_call_fails_only_the_properties_that_look_at_it():
    def only_matrices(x):
        if x.dim() == 1:
            raise ValueError("no vectors")
        return 2 * x

    exercise = Exercise(
        *("Double", "double", double, EXERCISE.calls),
        (agrees("matrices", on=("first",)), agrees("vectors", on=("",))),
    )
    assert [step.passed for step in exercise(only_matrices).steps] == [True, False]


@pytest.mark.parametrize(
    ("attempt", "sentence"),
    [
        (3, "Give the function `double`; this is of type int."),
        (lambda: 1, "takes 0 positional arguments"),
        (lambda x: (yield x), "it is of type generator"),
        (lambda x: exit(3), "raised SystemExit: 3"),
        (lambda x: object(), "it is of type object"),
        (lambda x: [x, {1: object()}], "it is of type object"),
        (lambda x: x[0, 0].item(), "a tensor (2, 3) is wanted"),
        (lambda x: x.to(torch.complex64), "a tensor of complex64"),
    ],
)
def test_odd_attempts_get_a_sentence(attempt, sentence):
    report = EXERCISE(attempt)
    assert not report
    if "takes 0" in sentence:
        assert "TypeError" in str(report)
    else:
        assert sentence in str(report)


def test_a_report_is_never_markup():
    def x_is_bold(x):
        raise ValueError("<img src=x onerror=alert(1)> `a")

    shown = EXERCISE(x_is_bold)._repr_mimebundle_()["text/html"]
    assert "<img" not in shown and "&lt;img" in shown


def test_nbgrader_reads_the_points_and_everyone_else_the_report(monkeypatch):
    report = Report("Double", (Step("a", True), Step("b", False)), points=3)
    assert report._repr_mimebundle_()["text/plain"].startswith("Double: not yet")
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    assert report._repr_mimebundle_()["text/plain"] == "1.5"


def test_the_published_solution_does_not_solve_a_variant():
    report = EXERCISE(double, variant=1)
    assert not report
    assert "this solves the published exercise, not yours. In your variant, triple it." in str(
        report
    )
    assert EXERCISE(lambda x: 3 * x, variant=1)
    with pytest.raises(ValueError, match="variant=2 of “Double” does not exist; use 0 to 1"):
        EXERCISE(double, variant=2)


def test_private_calls_are_not_described():
    calls = EXERCISE.calls_from(5, private=True)
    for wrong in (lambda x: x + 2, lambda x: x.sum(), lambda x: x @ torch.ones(9, 9)):
        text = str(EXERCISE.judge(calls, answer_all(wrong, calls)))
        assert ("(2, 3)" not in text and "(9, 9)`" in text) or "9x9" not in text
    assert "an input that is not shown" in text


def test_the_reference_answers_each_call_once():
    counted = []

    def counting(x):
        counted.append(x)
        return 2 * x

    exercise = replace(EXERCISE, reference=counting, properties=(has_shape(), agrees(), agrees()))
    assert not exercise(lambda x: x + 3)
    assert len(counted) == 2


@pytest.mark.parametrize(
    "part",
    [
        {"mistakes": (Mistake("you added 2.", lambda y: y + 2),)},
        {"mistakes": (Mistake("you added 2.", lambda x, y: x + 2),)},
        {"variants": (Variant("Triple it.", lambda y: 3 * y),)},
        {"variants": (Variant("Triple it.", triple, (Mistake("you added 2.", lambda: 3),)),)},
    ],
)
def test_a_mistake_that_cannot_be_called_as_the_reference_is_refused(part):
    with pytest.raises(ValueError, match="must take the parameters x, as the reference does"):
        replace(EXERCISE, **part)


def test_a_mistaken_module_must_be_built_and_called_as_the_reference_is():
    class Other(Scale):
        def forward(self, tensor):
            return tensor

    class AlsoOther(Scale):
        def __init__(self, size):
            super().__init__(size)

    assert replace(MODULE, mistakes=(Mistake("m", Scale),))
    with pytest.raises(ValueError, match="must take the parameters self, x"):
        replace(MODULE, mistakes=(Mistake("m", Other),))
    with pytest.raises(ValueError, match="must take the parameters width"):
        replace(MODULE, mistakes=(Mistake("m", AlsoOther),))


def test_a_mistake_is_named_in_a_variant_with_and_without_its_change():
    def change(f):
        return lambda x: f(x) * 1.5

    variant = Variant("Triple it.", triple, carried_over(EXERCISE.mistakes, change))
    exercise = replace(EXERCISE, variants=(variant,))
    assert exercise(lambda x: 1.5 * (x + 2), variant=1).mistake == EXERCISE.mistakes[0].message
    both = exercise(lambda x: x + 2, variant=1).mistake
    assert both.startswith("two at once: this follows the published exercise, not yours. Triple")
    assert both.endswith(EXERCISE.mistakes[0].message)


# --- Modules ----------------------------------------------------------------------------------------


class Scale(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.ones(width))

    def forward(self, x):
        return x * self.gain


MODULE = Exercise(
    name="Scale",
    attempt="Scale",
    reference=Scale,
    calls=lambda generator: [
        Call({"x": torch.ones(2, 3)}, build={"width": 3}, state={"gain": torch.arange(3.0)})
    ],
    properties=(agrees(),),
)


def test_a_module_is_built_and_gets_its_parameters():
    assert MODULE(Scale)


def test_a_module_with_other_parameters_is_told_which_ones():
    class Other(torch.nn.Module):
        def __init__(self, width):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(width))

    text = str(MODULE(Other))
    assert "parameters are {'weight': (3,)}; they should be {'gain': (3,)}" in text


def test_an_instance_is_told_to_give_the_class():
    assert "Give the class itself, `Scale`" in str(MODULE(Scale(3)))


@pytest.mark.parametrize(
    ("exercise", "attempt", "hint"),
    [
        (EXERCISE, lambda y: 2 * y, "Its parameters must be named x."),
        (MODULE, type("S", (Scale,), {"forward": None}), "needs a method `forward(self, x)`"),
        (MODULE, lambda width: lambda x: x, "a class derived from `torch.nn.Module` is wanted"),
        (MODULE, Scale.forward, "Its parameters must be named"),
    ],
)
def test_an_attempt_that_cannot_be_called_is_told_how(exercise, attempt, hint):
    text = str(exercise(attempt))
    assert hint in text, text
    assert "lesson_tf" not in text


def test_a_module_without_forward_is_told_so():
    class Scale(torch.nn.Module):
        def __init__(self, width):
            super().__init__()
            self.gain = torch.nn.Parameter(torch.ones(width))

    assert "The class needs a method `forward(self, x)` of just this name." in str(MODULE(Scale))


# --- Endless loops ----------------------------------------------------------------------------------


def test_an_endless_loop_is_stopped_with_a_sentence():
    def endless(x):
        while True:
            pass

    calls = EXERCISE.calls_from(0)
    answers = answer_all(endless, calls, seconds=0.2)
    assert [a.kind for a in answers] == ["time", "time"]
    text = str(EXERCISE.judge(calls, answers))
    assert "had not ended after 0.2 seconds" in text and "loop" in text
    assert "attempt" not in {thread.name for thread in threading.enumerate() if thread.is_alive()}


def test_a_loop_that_swallows_the_stop_is_left_behind():
    released = threading.Event()

    def stubborn(x):
        while not released.is_set():
            with contextlib.suppress(BaseException):
                time.sleep(0.01)

    try:
        assert answer(stubborn, Call({"x": 1}), seconds=0.1).kind == "time"
    finally:
        released.set()
        for thread in threading.enumerate():
            if thread.name == "attempt":
                thread.join(5)


def test_the_inputs_of_a_call_survive_an_attempt_that_changes_them():
    calls = EXERCISE.calls_from(0)
    answer_all(lambda x: x.zero_(), calls)
    assert all(call.arguments["x"].abs().sum() > 0 for call in calls)


def test_random_numbers_of_the_learner_are_left_alone():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    answer(lambda x: torch.rand(5), Call({"x": 1}))
    assert torch.rand(1) == expected


# --- Properties -------------------------------------------------------------------------------------


def judged(prop: Property, reference, attempt, *calls: Call):
    return Exercise("E", "e", reference, lambda generator: calls, (prop,))(attempt).steps[0]


def test_a_number_of_numpy_is_a_number():
    prop, call, plain = agrees(), Call({"x": 2.0}), lambda x: x
    assert judged(prop, plain, lambda x: np.float64(x), call).passed
    assert "another one" in judged(prop, plain, lambda x: np.float64(x + 1), call).message


def test_rows_must_sum_to_one():
    prop, call = rows_sum_to_one("rows", lambda w: w), Call({"x": torch.randn(3, 4)})
    assert judged(prop, torch.softmax, lambda x: x.softmax(-1), Call({"x": 1})).passed is False
    good = lambda x: x.softmax(-1)  # noqa: E731
    assert judged(prop, good, good, call).passed
    assert "a row sums to" in judged(prop, good, lambda x: x.softmax(0), call).message
    negative = lambda x: torch.tensor([[2.0, -1.0]])  # noqa: E731
    assert "negative" in judged(prop, good, negative, call).message


def test_large_numbers_must_stay_finite():
    call, good = Call({"x": torch.tensor([1000.0, 1.0])}), lambda x: x.softmax(-1)
    naive = lambda x: x.exp() / x.exp().sum()  # noqa: E731
    assert judged(is_finite(), good, good, call).passed
    assert "inf or nan" in judged(is_finite(), good, naive, call).message


def test_a_perturbation_must_not_be_felt():
    prop = unchanged("past", "the future is felt.", "before", "after", lambda x: x[:2])
    calls = [Call({"x": torch.tensor([1.0, 2, 3])}, "before")]
    calls += [Call({"x": torch.tensor([1.0, 2, 9])}, "after")]
    causal = lambda x: x.cumsum(0)  # noqa: E731
    assert judged(prop, causal, causal, *calls).passed
    assert judged(prop, causal, lambda x: x - x.mean(), *calls).message == "the future is felt."


def test_a_part_that_is_not_there_is_told_by_what_is():
    prop = agrees(pick=lambda x: x[:, 0])
    step = judged(prop, double, lambda x: (2 * x).tolist(), Call({"x": torch.ones(2, 3)}))
    assert step.message == "With x (2, 3) it returns a list, in which this part is not found."


def test_a_tensor_without_axes_has_no_entry_to_point_at():
    call = Call({"x": torch.ones(3)})
    step = judged(agrees(), lambda x: x.sum(), lambda x: x.sum() + 1, call)
    assert step.message == "With x (3,) the result is another one."


# --- The form of an answer --------------------------------------------------------------------------


def parts(x):
    return x, x + 1, True


PARTS = Exercise("E", "e", parts, EXERCISE.calls, (has_shape(), agrees()))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_named(dtype):
    def half(x):
        return x.to(dtype) * 2

    assert "in half precision" in EXERCISE(half).mistake
    assert "in half precision" in PARTS(lambda x: [x.to(dtype), (x + 1).to(dtype), True]).mistake
    for wrong in (lambda x: 2.2 * x.to(dtype), lambda x: x.to(dtype)[:1], lambda x: x.tolist()):
        assert EXERCISE(wrong).mistake == ""
    assert PARTS(lambda x: (x.to(dtype), x + 2, True)).mistake == ""


def test_parts_in_another_order_are_named():
    assert "in another order" in PARTS(lambda x: parts(x)[::-1]).mistake
    for wrong in (lambda x: list(parts(x)), lambda x: (*parts(x), x), lambda x: (x, x, True)):
        assert PARTS(wrong).mistake == ""


# --- Values on the way ------------------------------------------------------------------------------

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st_numpy.arrays(
        st.sampled_from([np.float32, np.float64, np.int64, np.bool_]),
        st_numpy.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
    ).map(torch.from_numpy),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


def identical(one, other):
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and one.shape == other.shape and one.equal(other)
    if isinstance(one, list | tuple):
        return (
            type(one) is type(other) and all(map(identical, one, other)) and len(one) == len(other)
        )
    if isinstance(one, dict):
        return list(one) == list(other) and all(identical(one[k], other[k]) for k in one)
    return type(one) is type(other) and one == other


@given(VALUES)
def test_values_come_back_as_they_went(value):
    if isinstance(value, torch.Tensor) and value.dtype.is_floating_point:
        value = value.nan_to_num()
    back = decode(json.loads(json.dumps(encode(value))))
    assert str(back) == str(value) or identical(value, back)


@pytest.mark.parametrize("name", DTYPES)
def test_every_type_of_tensor_comes_back(name):
    tensor = torch.arange(6).reshape(2, 3).to(DTYPES[name]).mT
    assert identical(tensor, decode(encode(tensor)))


@pytest.mark.parametrize(
    "data",
    [
        {"tensor": "float32", "shape": [2], "data": "AAAA"},
        {"tensor": "float32", "shape": [-1], "data": ""},
        {"tensor": "float32", "shape": [2**40, 2**40], "data": ""},
        {"tensor": "float32", "shape": [True], "data": "AAAAAA=="},
        {"tensor": "object", "shape": [], "data": ""},
        {"tensor": "float32", "shape": [1], "data": "<>"},
        {"tensor": "bool", "shape": [1], "data": "Ag=="},
        {"tensor": ["float32"], "shape": [1], "data": "AAAAAA=="},
        {"tuple": 3},
        {"dict": [[1]]},
        {"dict": [[[1], 2]]},
        {"__class__": "os.system"},
        {},
    ],
)
def test_text_that_encode_never_wrote_is_refused(data):
    with pytest.raises(UnreadableValueError):
        decode(data)


def test_deep_nesting_is_refused_both_ways():
    deep = []
    for _ in range(30):
        deep = [deep]
    with pytest.raises(UnreadableValueError, match="nested"):
        encode(deep)
    with pytest.raises(UnreadableValueError, match="nested"):
        decode(deep)


def test_closeness():
    assert same(torch.tensor([1.0, math.nan]), torch.tensor([1.0, math.nan]))
    assert same(torch.ones(2, dtype=torch.float64), torch.ones(2))
    assert same(torch.tensor(3.0), 3.0) and same([1, "a"], (1, "a"))
    assert not same(torch.ones(2), torch.ones(2, dtype=torch.bool))
    assert not same(True, 1) and not same(1.0, 1.001) and not same("a", "b")
    assert not same(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.001]))
    assert not same([1], [1, 2]) and not same(None, 1) and not same({"a": 1}, {"b": 1})


# --- All exercises ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_exercise_has_steps_mistakes_and_a_generator(name):
    exercise = EXERCISES[name]
    assert exercise.reference is not None and len(exercise.properties) >= 3
    assert len(exercise.mistakes) >= 3
    one, again, other = (exercise.calls_from(seed) for seed in (7, 7, 8))
    told = [json.dumps([encode(call.arguments) for call in calls]) for calls in (one, again, other)]
    assert told[0] == told[1]
    has_inputs = any(call.arguments or call.build for call in one)
    assert (told[1] != told[2]) == has_inputs


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_reference_passes_and_no_mistake_does(name):
    exercise = EXERCISES[name]
    assert exercise(exercise.reference), str(exercise(exercise.reference))
    for mistake in exercise.mistakes:
        report = exercise(mistake.wrong)
        assert not report and report.mistake == mistake.message
    for number in range(1, len(exercise.variants) + 1):
        assert exercise(exercise.variants[number - 1].reference, variant=number)
        for mistake in exercise.variants[number - 1].mistakes:
            assert exercise(mistake.wrong, variant=number).mistake == mistake.message
        assert "published" in exercise(exercise.reference, variant=number).mistake
        assert [m.message[:30] for m in exercise.variants[number - 1].mistakes] == [
            m.message[:30] for m in exercise.mistakes
        ]


# --- Attempts that know nothing -----------------------------------------------------------------------


def filled(value, make):
    """Return a value of the same structure that says nothing: each tensor by `make`, 0 and '' elsewhere."""
    if isinstance(value, list | tuple):
        return type(value)(filled(item, make) for item in value)
    if isinstance(value, torch.Tensor):
        return make(value) if value.numel() > 1 else torch.zeros_like(value)
    return type(value)()


def equal_rows(tensor):
    if not tensor.is_floating_point() or not tensor.dim():
        return torch.ones_like(tensor)
    return torch.full_like(tensor, 1 / max(tensor.shape[-1], 1))


def diagonal(tensor):
    if tensor.dim() < 2:
        return torch.zeros_like(tensor)
    return torch.eye(*tensor.shape[-2:]).expand_as(tensor).to(tensor.dtype)


def numbered(tensor):
    return torch.arange(tensor.numel()).view_as(tensor).to(tensor.dtype)


FILLINGS = {
    "zeros": torch.zeros_like,
    "ones": torch.ones_like,
    "the mean": lambda tensor: torch.full_like(tensor, tensor.double().mean().item()),
    "uniform weights": equal_rows,
    "a diagonal": diagonal,
    "numbers in order": numbered,
    "noise": lambda tensor: torch.rand(tensor.shape).to(tensor.dtype),
}


def knows_nothing(exercise, make):
    """Return an attempt whose answers have the right structure and no right number in it."""
    if not isinstance(exercise.reference, type):
        return lambda **given: filled(exercise.reference(**given), make)

    class Filled(exercise.reference):
        def forward(self, x):
            return filled(super().forward(x), make)

    return Filled


def gives_back(exercise):
    if not isinstance(exercise.reference, type):
        return lambda **given: next(iter(given.values()))
    return type("Same", (exercise.reference,), {"forward": lambda self, x: x})


@pytest.mark.parametrize("filling", [*FILLINGS, "the first argument"])
@pytest.mark.parametrize("name", [name for name in PUBLISHED if name != "concept_test"])
def test_an_attempt_that_knows_nothing_earns_a_quarter_at_most(name, filling):
    exercise = EXERCISES[name]
    make = FILLINGS.get(filling)
    report = exercise(knows_nothing(exercise, make) if make else gives_back(exercise))
    assert not report and report.score <= 0.25, str(report)


@pytest.mark.parametrize("constant", [0, 1, 1.0, "", [], (), True, torch.zeros(2, 3)])
@pytest.mark.parametrize("name", [name for name in PUBLISHED if name != "concept_test"])
def test_a_constant_earns_a_quarter_at_most(name, constant):
    exercise = EXERCISES[name]
    lazy = lambda **given: constant  # noqa: E731
    if isinstance(exercise.reference, type):
        lazy = type("Lazy", (exercise.reference,), {"forward": lambda self, x: constant})
    assert exercise(lazy).score <= 0.25, str(exercise(lazy))
