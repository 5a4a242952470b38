"""From what a sandbox answered to reports and cell outputs: here, outside, everything is judged."""

import importlib.util
import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from torch import Tensor

from lesson_tf.checks import EXERCISES, Exercise, Report
from lesson_tf.checks.answers import Answer, Call, answer_all
from lesson_tf.checks.transport import MOST_ENTRIES
from lesson_tf.grading.exercise_sources import Check, checks_in, grade_id
from lesson_tf.grading.student import MOST_PICTURE, MOST_TEXT, read_answer, write_call

SECONDS_A_CALL = 5.0
MOST_EVENTS = 5_000
MOST_COLUMNS = 88


@dataclass(frozen=True)
class Task:
    """An exercise as one student is graded on it: its name in the notebook, its points, its calls."""

    check: Check
    exercise: Exercise
    calls: tuple[Call, ...]

    @property
    def counted(self) -> "Task":
        """Return the task whose steps tell an instructor what a class knows."""
        return replace(self, exercise=self.exercise.counted_by or self.exercise)

    def job(self) -> dict[str, Any]:
        """Return what the sandbox is told: the name to call and the inputs, nothing of the judgement."""
        return {
            "id": self.check.grade_id,
            "attempt": self.exercise.attempt,
            "builds": self.calls[0].build is not None,
            "calls": [write_call(call) for call in self.calls],
            "seconds": SECONDS_A_CALL,
        }


@dataclass
class Findings:
    """What came out of the sandboxes of one submission."""

    cells: dict[str, dict[str, Any]] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)
    stopped: dict[str, str] = field(default_factory=dict)
    reason: str = ""

    @property
    def failed_cells(self) -> list[str]:
        """Return the cells that raised an error."""
        return [name for name, cell in self.cells.items() if cell.get("error")]

    @property
    def late_cells(self) -> list[str]:
        """Return the cells that did not end in time."""
        return [name for name, cell in self.cells.items() if cell.get("late") is True]


def tasks_for(
    release: NotebookNode, seed: int, variants: Mapping[str, int], hidden: Path | None = None
) -> list[Task]:
    """Return what a student's notebook is tested on: hidden inputs from the seed, and the overlay's.

    `variants` has the numbers of the student's variants, by grade_id. Raises ValueError for an overlay
    that cannot be used.
    """
    tasks = []
    for check in checks_in(release):
        exercise = check.exercise.variant(variants.get(check.grade_id, 0))
        exercise = overlaid(exercise, check.exercise_name, hidden)
        tasks.append(Task(check, exercise, exercise.calls_from(seed, private=True)))
    return tasks


def overlaid(exercise: Exercise, name: str, hidden: Path | None) -> Exercise:
    """Return an exercise with the calls, properties and mistakes that `hidden/NAME.py` adds to it.

    Raises ValueError if that file is none of these.
    """
    path = hidden / f"{name}.py" if hidden else None
    if path is None or not path.is_file():
        return exercise
    spec = importlib.util.spec_from_file_location(f"hidden_{name}", path)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    if not any(hasattr(module, part) for part in ("calls", "properties", "mistakes")):
        raise ValueError(f"{path} defines no calls(generator), no properties and no mistakes")
    public, more = exercise.calls, getattr(module, "calls", lambda generator: [])
    return replace(
        exercise,
        calls=lambda generator: [*public(generator), *more(generator)],
        properties=(*exercise.properties, *getattr(module, "properties", ())),
        mistakes=(*exercise.mistakes, *getattr(module, "mistakes", ())),
    )


def check_overlay(hidden: Path) -> None:
    """Raise ValueError for a folder that is missing, or a file whose name no check has."""
    if not hidden.is_dir():
        raise ValueError(f"HIDDEN={hidden} is no folder")
    for path in hidden.glob("*.py"):
        if path.stem not in EXERCISES:
            raise ValueError(
                f"{path.name} has no exercise; name it after a check: {', '.join(EXERCISES)}"
            )
        overlaid(EXERCISES[path.stem], path.stem, hidden)


def judge(task: Task, findings: Findings) -> Report:
    """Return the report on one exercise: by its answers, or by the reason why there are none."""
    name, points = task.check.grade_id, task.check.points
    if name in findings.stopped:
        return _nothing(task, findings.stopped[name])
    answers = findings.answers.get(name, ...)
    if answers is ...:
        return _nothing(task, findings.reason or "The sandbox gave no answer.")
    if answers is None:
        return task.exercise.missing(points)
    try:
        read = _read(answers, len(task.calls))
    except ValueError as error:
        return _nothing(task, f"The answers cannot be read: {error}.")
    except Exception as error:  # Torch has errors of its own for shapes that cannot be.
        return _nothing(task, f"The answers cannot be read: {type(error).__name__}.")
    try:
        return task.exercise.judge(task.calls, read, points)
    except Exception as error:
        right = answer_all(task.exercise.reference, task.calls)
        if not task.exercise.judge(task.calls, right, points):
            raise  # A check that fails its own reference is ours to mend.
        return _nothing(task, f"The answers cannot be compared: {type(error).__name__}.")


def _read(answers: Any, wanted: int) -> list[Answer]:
    if not isinstance(answers, list) or len(answers) != wanted:
        raise ValueError("they are not as many as the calls")
    read = [read_answer(answer) for answer in answers]
    if not all(_is_small(answer.value) for answer in read):
        raise ValueError("a shape or a number is too large")
    return read


def _is_small(value: Any) -> bool:
    """Say whether computing with a value needs no more memory than the value itself.

    A tensor without entries may have an axis of any length, of which sums would be taken.
    """
    if isinstance(value, Tensor):
        return all(size <= MOST_ENTRIES for size in value.shape)
    if isinstance(value, dict):
        return all(map(_is_small, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_is_small, value))
    return not isinstance(value, int) or value.bit_length() < 1000


def _nothing(task: Task, reason: str) -> Report:
    steps = tuple(replace(step, passed=False, message="") for step in task.exercise.missing().steps)
    return Report(task.exercise.name, steps, trouble=reason, points=task.check.points)


def outputs_of(
    notebook: NotebookNode, reports: Mapping[str, Report], findings: Findings
) -> dict[str, list[dict[str, Any]]]:
    """Return the outputs of every code cell by its id: the student's own, and the reports with points."""
    outputs = {}
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        report = reports.get(grade_id(cell))
        if report is not None:
            outputs[cell.id] = _report_outputs(report)
        else:
            outputs[cell.id] = _own_outputs(findings.cells.get(cell.id, {}))
    return outputs


def _report_outputs(report: Report) -> list[dict[str, Any]]:
    # nbgrader reads the points from the last number.
    return [
        {"output_type": "stream", "name": "stdout", "text": _wrapped(str(report))},
        {
            "output_type": "execute_result",
            "data": {"text/plain": f"{report.earned:g}"},
            "metadata": {},
            "execution_count": None,
        },
    ]


def _wrapped(text: str) -> str:
    """Break long lines, each at its own indentation: a page of feedback does not scroll sideways."""
    lines = []
    for line in text.split("\n"):
        indent = " " * (len(line) - len(line.lstrip()))
        lines += textwrap.wrap(line, MOST_COLUMNS, subsequent_indent=indent) or [""]
    return "\n".join(lines) + "\n"


def _own_outputs(cell: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what a cell of the student's printed and showed; never its markup."""
    outputs: list[dict[str, Any]] = []
    if isinstance(cell.get("text"), str) and cell["text"]:
        text = _readable(cell["text"][:30_000])
        outputs.append({"output_type": "stream", "name": "stdout", "text": text})
    for data in _listed(cell.get("shown")):
        kept = {
            kind: _readable(text)
            for kind, text in (data.items() if isinstance(data, dict) else ())
            if isinstance(text, str) and _may_be_shown(kind, text)
        }
        if kept:
            outputs.append({"output_type": "display_data", "data": kept, "metadata": {}})
    if isinstance(cell.get("error"), str):
        said = _readable(cell["error"][:600])
        name, _, message = said.partition(": ")
        outputs.append(
            {
                "output_type": "error",
                "ename": name,
                "evalue": message,
                "traceback": [said],
            }
        )
    return outputs


def _readable(text: str) -> str:
    """Return text without halves of characters, which no file can hold."""
    return text.encode("utf-8", "replace").decode()


def _may_be_shown(kind: str, text: str) -> bool:
    """Say whether an output is text or a picture, and no larger than the sandbox should have left it."""
    if kind == "image/png":
        return len(text) <= MOST_PICTURE and re.fullmatch(r"[A-Za-z0-9+/=\s]*", text) is not None
    return kind == "text/plain" and len(text) <= MOST_TEXT


def _listed(value: Any) -> Sequence[Any]:
    return value[:20] if isinstance(value, list) else []


def findings_of(lines: bytes, findings: Findings) -> str:
    """Add what the lines of a sandbox say to the findings; return the thing it had begun and not ended.

    Lines that cannot be read are left out: the program that wrote them is a stranger's.
    """
    begun, done = "", False
    for line in lines.split(b"\n"):
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if not isinstance(event, dict):
            continue
        if isinstance(event.get("begins"), str):
            begun = event["begins"]
        elif isinstance(event.get("cell"), str):
            if len(findings.cells) < MOST_EVENTS:
                findings.cells.setdefault(event["cell"], event)
        elif isinstance(event.get("exercise"), str) and len(findings.answers) < MOST_EVENTS:
            findings.answers.setdefault(event["exercise"], event.get("answers"))
        done = done or event.get("done") is True
    return "" if done else begun
