"""The grades of a course as the gradebook has them, as grades.csv and as a summary in words."""

import csv
import io
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from nbgrader.api import Gradebook, MissingEntry

from lesson_tf.checks import Report
from lesson_tf.grading.course import Course
from lesson_tf.grading.submissions import Refusal

MOST_REFUSALS = 5  # Of one student, in the summary: a program's folder may hold thousands of files.


@dataclass(frozen=True)
class Result:
    """How grading one submission ended: its status, what was odd, and the steps of its checks.

    A step is the check's name in the gradebook, the step's title, and whether it passed.
    """

    student: str
    assignment: str
    status: str
    remarks: tuple[str, ...] = ()
    seconds: float = 0.0
    peak_memory: int = 0
    steps: tuple[tuple[str, str, bool], ...] = ()

    def written(self) -> dict:
        """Return the result as what JSON can hold."""
        return asdict(self)

    @classmethod
    def read(cls, data: Mapping) -> "Result":
        """Return the result that `written` wrote."""
        steps = tuple((check, title, passed) for check, title, passed in data.get("steps", ()))
        return cls(**{**data, "remarks": tuple(data["remarks"]), "steps": steps})


def steps_of(reports: Mapping[str, Report]) -> tuple[tuple[str, str, bool], ...]:
    """Return the steps of all checks: the check's name, the step's title, and whether it passed."""
    return tuple(
        (name, step.title, step.passed) for name, report in reports.items() for step in report.steps
    )


@dataclass(frozen=True)
class Score:
    """The points of one submission: earned so far, still to be given by hand, and possible.

    `changed` names the answers that were written anew after points were given for them by hand.
    """

    earned: float
    due: float
    possible: float
    by_hand: tuple[tuple[str, float | None], ...] = ()
    automatic: tuple[tuple[str, float | None], ...] = ()
    changed: tuple[str, ...] = ()


def score_of(course: Course, student: str, assignment: str) -> Score | None:
    """Return the points in the gradebook, or None if it has none: a missing score is never a zero."""
    with Gradebook(course.configuration().CourseDirectory.db_url, "lesson-tf") as book:
        try:
            grades = list(book.find_submission_notebook(assignment, assignment, student).grades)
        except MissingEntry:
            return None
        if any(grade.auto_score is None and grade.cell.cell_type == "code" for grade in grades):
            return None
        earned = sum(grade.score for grade in grades if not grade.needs_manual_grade)
        waiting = [grade for grade in grades if grade.needs_manual_grade]
        # A score by hand that waits for a second look counts already.
        earned += sum(grade.score for grade in waiting if grade.manual_score is not None)
        changed = tuple(grade.name for grade in waiting if grade.manual_score is not None)
        due = sum(grade.max_score for grade in waiting if grade.manual_score is None)
        by_hand = tuple((grade.name, grade.manual_score) for grade in grades)
        automatic = tuple((grade.name, grade.auto_score) for grade in grades)
        return Score(
            earned, due, sum(grade.max_score for grade in grades), by_hand, automatic, changed
        )


def write_grades(
    course: Course,
    results: Sequence[Result],
    refused: Sequence[Refusal],
    students: Iterable[str] = (),
) -> Path:
    """Write grades.csv: one row a student, four columns an assignment; empty where there is no grade.

    `students` names those who should have a row even if nothing came from them.
    """
    assignments = course.assignments
    rows: dict[str, dict[str, str]] = {name: {"student": name} for name in students}
    for refusal in refused:
        row = rows.setdefault(refusal.student, {"student": refusal.student})
        # Nobody knows for what a broken file was meant: it is told wherever nothing else came.
        for assignment in [refusal.assignment] if refusal.assignment else assignments:
            if not refusal.replaced:
                row[f"{assignment}_status"] = f"not graded: {refusal.reason}"
    for result in results:
        row = rows.setdefault(result.student, {"student": result.student})
        row.update(_columns(course, result))
    for row in rows.values():
        for assignment in assignments:
            row.setdefault(f"{assignment}_status", "nothing submitted")
    parts = ("points", "due_by_hand", "possible", "status")
    header = ["student", *(f"{name}_{part}" for name in assignments for part in parts)]
    text = io.StringIO()
    writer = csv.DictWriter(text, header, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows[name] for name in sorted(rows))
    return _replace(course.root / "grades.csv", "\ufeff" + text.getvalue())


def _columns(course: Course, result: Result) -> dict[str, str]:
    name = result.assignment
    score = score_of(course, result.student, name)
    if result.status.startswith("not graded") or score is None:
        status = result.status if result.status.startswith("not graded") else "not graded"
        return {f"{name}_status": status}
    return {
        f"{name}_points": f"{score.earned:g}",
        f"{name}_due_by_hand": f"{score.due:g}",
        f"{name}_possible": f"{score.possible:g}",
        f"{name}_status": "; ".join([result.status, *map(_to_look_at, score.changed)]),
    }


def _to_look_at(name: str) -> str:
    return f"{name} changed after it was marked"


def write_steps(course: Course, results: Sequence[Result]) -> Path:
    """Write steps.csv: for each step of each check, how many of those graded passed it."""
    graded = [result for result in results if not result.status.startswith("not graded")]
    told = [(r.assignment, *step) for r in sorted(graded, key=_place) for step in r.steps]
    of, passed = Counter(step[:3] for step in told), Counter(step[:3] for step in told if step[3])
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["assignment", "check", "step", "passed", "of"])
    writer.writerows([*step, passed[step], count] for step, count in of.items())
    return _replace(course.root / "steps.csv", "\ufeff" + text.getvalue())


def _place(result: Result) -> tuple[str, str]:
    return result.assignment, result.student


def _replace(path: Path, text: str) -> Path:
    """Write a file whole or not at all."""
    waiting = path.with_suffix(".part")
    waiting.write_text(text, encoding="utf-8")
    os.replace(waiting, path)
    return path


def summary(results: Sequence[Result], refused: Sequence[Refusal]) -> str:
    """Return what happened in lines: how many ended how, then each that needs a look."""
    if not results and not refused:
        return "nothing was found to grade"
    counts = Counter(result.status.partition(":")[0] for result in results)
    lines = [f"{count} {status}" for status, count in sorted(counts.items())]
    lines += [f"{len(refused)} refused"] if refused else []
    for result in results:
        told = [*result.remarks]
        if result.status != "graded":
            told.insert(0, result.status)
        lines += [f"  {result.student}, {result.assignment}: {said}" for said in told]
    of_one = defaultdict(list)
    for refusal in refused:
        of_one[refusal.student].append(refusal)
    for student, theirs in of_one.items():
        lines += [f"  {student}: {r.origin}: {r.reason}" for r in theirs[:MOST_REFUSALS]]
        if len(theirs) > MOST_REFUSALS:
            lines.append(f"  {student}: and {len(theirs) - MOST_REFUSALS} more")
    return "\n".join(lines)
