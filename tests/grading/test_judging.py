"""Judging what a sandbox said, when the one who says it may lie."""

import json
from types import SimpleNamespace

import pytest
import small_class
import torch

from lesson_tf.checks import Report
from lesson_tf.checks.answers import answer_all
from lesson_tf.checks.report import Step
from lesson_tf.checks.transport import encode
from lesson_tf.grading import examining
from lesson_tf.grading.exercise_sources import read
from lesson_tf.grading.judging import (
    Findings,
    check_overlay,
    findings_of,
    judge,
    outputs_of,
    tasks_for,
)
from lesson_tf.grading.sandbox import Outcome
from lesson_tf.grading.student import read_answer, write_answer


@pytest.fixture
def test(made):
    """Return the test of the exercise on attention."""
    return tasks_for(read(made.release(small_class.NAME)), 3, {})[0]


def solved(source: str, name: str):
    space = {"torch": torch}
    exec(source, space)
    return space[name]


def answers_of(attempt, test) -> list[dict]:
    return [write_answer(answer) for answer in answer_all(attempt, test.calls)]


def said(event: dict) -> bytes:
    return json.dumps(event).encode() + b"\n"


def test_right_answers_earn_all_points_and_wrong_ones_name_the_mistake(test):
    right = solved(small_class.RIGHT_ATTENTION, "attention")
    wrong = solved(small_class.UNSCALED_ATTENTION, "attention")
    assert judge(test, Findings(answers={"attention-check": answers_of(right, test)})).earned == 4
    report = judge(test, Findings(answers={"attention-check": answers_of(wrong, test)}))
    assert 0 < report.earned < 4 and "the scale is missing" in report.mistake


def test_the_job_tells_nothing_of_the_judgement(test):
    told = json.dumps(test.job())
    assert "expected" not in told and "label" not in told and "square root" not in told


def test_the_inputs_of_two_courses_differ(made):
    release = read(made.release(small_class.NAME))
    jobs = [json.dumps(tasks_for(release, seed, {})[0].job()) for seed in (3, 3, 4)]
    assert jobs[0] == jobs[1] != jobs[2]


@pytest.mark.parametrize(
    "answers",
    [
        3,
        [],
        [{}],
        [{"kind": "passed"}] * 3,
        [{"value": {"tensor": "float32", "shape": [9], "data": ""}}] * 3,
        [{"value": {"__reduce__": ["os.system", "true"]}}] * 3,
        [{"value": 10**500}] * 3,
        [{"value": {"tuple": []}}] * 3,
        [{"value": {"tuple": [1, "x"]}}] * 3,
        [{"value": [[[[]]]]}] * 3,
        [{"value": encode((torch.zeros(0), torch.zeros(3, 3, dtype=torch.bool)))}] * 3,
        [{"value": encode(torch.full((5, 7), torch.nan))}] * 3,
    ],
    ids=repr,
)
def test_answers_that_are_none_earn_nothing_and_stop_nothing(test, answers):
    report = judge(test, Findings(answers={"attention-check": answers}))
    assert report.earned == 0 and not report


def test_no_answers_is_told_with_its_reason(test):
    assert (
        "`attention` is not defined"
        in judge(test, Findings(answers={"attention-check": None})).trouble
    )
    stopped = Findings(stopped={"attention-check": "Stopped: it started 90 processes."})
    assert judge(test, stopped).trouble == "Stopped: it started 90 processes."
    assert judge(test, Findings(reason="Stopped: it ended itself.")).earned == 0


def test_a_trouble_carries_nothing_out_of_the_sandbox():
    told = read_answer(
        {"kind": "crash", "trouble": "Line 3, `x = 1`, raised ValueError: 0.123 0.456."}
    )
    assert told.trouble == "Line 3 raised ValueError."
    told = read_answer(
        {"kind": "crash", "trouble": "Calling it raised TypeError: f(0.123) failed."}
    )
    assert told.trouble.startswith("Calling it raised TypeError. Does it take the parameters")
    assert "0.123" not in told.trouble
    for trouble in (
        "0.123",
        "Line 3, `a`, raised Secret0123: x",
        7,
        None,
        ["x"],
        "Line 3 raised print",
    ):
        told = read_answer({"kind": "crash", "trouble": trouble})
        assert told.trouble == "It raised an error."
    assert "0.5" not in read_answer({"kind": "stub", "trouble": "0.5"}).trouble


def test_lines_of_a_liar():
    findings = Findings()
    lines = (
        b"\x00\xff\n[]\n3\n{\n" + b"[" * 50_000 + b"\n" + said({"begins": 3}) + said({"cell": 7})
    )
    lines += said({"begins": "a"}) + said({"exercise": "a", "answers": [1]})
    lines += said({"exercise": "a", "answers": [2]})
    assert findings_of(lines, findings) == "a"
    assert findings.answers == {"a": [1]}
    assert findings_of(lines + said({"done": True}), findings) == ""


def test_outputs_hold_no_markup_of_a_stranger(made, test):
    notebook = read(made.release(small_class.NAME))
    cell = next(cell for cell in notebook.cells if cell.id == "setup")
    event = {
        "text": "printed",
        "shown": [{"text/html": "<script>", "text/plain": "plain", "image/svg+xml": "<svg>"}, 3],
        "error": "ValueError: <b>",
    }
    outputs = outputs_of(notebook, {}, Findings(cells={cell.id: event}))[cell.id]
    assert [output["output_type"] for output in outputs] == ["stream", "display_data", "error"]
    assert outputs[1]["data"] == {"text/plain": "plain"}
    assert outputs_of(notebook, {}, Findings(cells={cell.id: {"text": 3, "shown": 4, "error": 5}}))


# --- The instructor's overlay -----------------------------------------------------------------------

HARDER = """\
import torch
from lesson_tf.checks.answers import Call
from lesson_tf.checks.properties import agrees

def calls(generator):
    single = torch.randn(1, 4, generator=generator)
    return [Call({"query": single, "key": single, "value": single}, "one token")]

properties = (agrees("PRIVATE-TITLE", on=("one token",), pick=lambda pair: pair[0]),)
"""


def test_an_overlay_adds_calls_and_properties(made, tmp_path):
    (tmp_path / "attention.py").write_text(HARDER, encoding="utf-8")
    release = read(made.release(small_class.NAME))
    plain, harder = (tasks_for(release, 3, {}, hidden)[0] for hidden in (None, tmp_path))
    assert len(harder.calls) == len(plain.calls) + 1 and all(call.private for call in harder.calls)
    right = solved(small_class.RIGHT_ATTENTION, "attention")
    report = judge(harder, Findings(answers={"attention-check": answers_of(right, harder)}))
    assert report and len(report.steps) == 6

    def fails_on_one(query, key, value):
        output, weights = right(query, key, value)
        return (output * 2 if len(key) == 1 else output), weights

    findings = Findings(answers={"attention-check": answers_of(fails_on_one, harder)})
    assert not judge(harder, findings)


def test_an_overlay_that_cannot_be_used_is_named(tmp_path):
    with pytest.raises(ValueError, match="is no folder"):
        check_overlay(tmp_path / "none")
    (tmp_path / "atention.py").write_text("", encoding="utf-8")
    with pytest.raises(
        ValueError, match=r"atention\.py has no exercise; name it after a check: attention"
    ):
        check_overlay(tmp_path)
    (tmp_path / "atention.py").rename(tmp_path / "attention.py")
    with pytest.raises(ValueError, match="defines no calls"):
        check_overlay(tmp_path)
    (tmp_path / "attention.py").write_text("def", encoding="utf-8")
    with pytest.raises(ValueError, match="cannot be read"):
        check_overlay(tmp_path)


def test_as_many_run_at_once_as_there_are_cores_and_memory_for(monkeypatch):
    ours, memory = SimpleNamespace(cpu_affinity=lambda: [0, 2, 5]), 64 * examining.LIMITS.memory
    monkeypatch.setattr(examining.psutil, "Process", lambda: ours)
    monkeypatch.setattr(
        examining.psutil, "virtual_memory", lambda: SimpleNamespace(available=memory)
    )
    assert examining.workers_here() == 3
    memory = 2 * examining.LIMITS.memory + 1
    assert examining.workers_here() == 2
    memory = 0
    assert examining.workers_here() == 1


@pytest.mark.parametrize(("seconds", "runs"), [(10, 5), (160, 2), (400, 1)])
def test_a_submission_that_ends_its_sandboxes_gets_a_few_minutes(release, seconds, runs):
    tasks = tasks_for(release, 3, {})
    given = []

    def run(job: bytes) -> Outcome:
        job = json.loads(job)
        given.append(job)
        begun = [*job["cells"], *job["exercises"]][0]["id"]
        told = json.dumps({"begins": begun}).encode() + b"\n"
        return Outcome(told, "ran too long", "time", seconds, 0)

    findings, usage = examining.examine(release, tasks, run)
    assert usage.runs == len(given) == runs
    assert len(findings.stopped) == runs


def test_a_report_in_the_feedback_has_no_long_lines(release):
    (cell,) = [cell for cell in release.cells if cell.id == "attention-check"]
    step = Step("It is right.", False, "The scores are wrong, since " + "much is missing " * 30)
    report = Report("Attention", (step,), trouble="too long " * 40, points=4)
    shown = outputs_of(release, {"attention-check": report}, Findings())[cell.id][0]["text"]
    assert max(map(len, shown.split("\n"))) <= 88
    assert shown.split() == f"{report}\n".split()
    assert all(line.startswith(" " * 11) for line in shown.split("\n")[-4:-1])
