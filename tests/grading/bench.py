"""Print how long a class takes to grade, and how much memory: `make bench` runs it.

`python tests/grading/bench.py 20` grades 20 synthetic submissions instead of 200. How each must end is
known beforehand; if a count or a score is another one, the program says so and ends with an error.

Both sides of a ratio are measured on the same machine in the same run; below 1 the first is faster.

Of memory there are three kinds of numbers. The grading process: the most it ever held, by the system's
count (`getrusage`), after a few submissions in a course of their own and after all; a ratio near 1 means
that the class hardly matters, for of each submission only its cells and hidden inputs are kept. The
largest child: the same count for a single process that was waited for. It is never less than the
grading process, from which each child is split, and a sandbox that was killed is not in it, for nobody
waits for its inner processes. So the last number is the largest sandbox, all its processes together, as
its watcher saw them twenty times a second.
"""

import argparse
import copy
import csv
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from large_class import BOOK, NAME, STATUSES, Classroom, HandedIn
from nbclient import NotebookClient

from lesson_tf.grading import GradingError, sandbox
from lesson_tf.grading.assignments import make_assignments
from lesson_tf.grading.course import Course
from lesson_tf.grading.examining import COMMAND, LIMITS, examine, workers_here
from lesson_tf.grading.grade import Grading
from lesson_tf.grading.judging import judge, tasks_for
from lesson_tf.grading.results import Result
from lesson_tf.grading.submissions import Refusal

CORES = workers_here()
FIRST = 20
MIB = 2**20


@dataclass
class Run:
    """Submissions graded in a course of their own."""

    made: Course
    folder: Path
    handed_in: Sequence[HandedIn]
    workers: int = CORES

    def grade(self) -> tuple[float, list[Result], list[Refusal]]:
        """Grade, and return the seconds; the second time everything is known already."""
        self.course = Course(self.folder / "course")
        if not self.course.root.exists():
            shutil.copytree(self.made.root, self.course.root)
            for one in self.handed_in:
                path = self.folder / "came_in" / one.student / one.file
                path.parent.mkdir(parents=True)
                path.write_bytes(one.data)
        started = time.perf_counter()
        results, refused = Grading(self.course, workers=self.workers).grade(self.folder / "came_in")
        return time.perf_counter() - started, results, refused

    def points(self) -> dict[str, float | None]:
        """Return what grades.csv says."""
        with (self.course.root / "grades.csv").open(encoding="utf-8-sig", newline="") as file:
            told = {row["student"]: row[f"{NAME}_points"] for row in csv.DictReader(file)}
        return {student: float(text) if text else None for student, text in told.items()}


def ended(results: Sequence[Result], refused: Sequence[Refusal]) -> dict[str, str]:
    """Return how each student's submission ended."""
    found = {result.student: result.status.partition(":")[0] for result in results}
    return found | {refusal.student: "refused" for refusal in refused}


def complaints(
    drawn: Sequence[HandedIn], found: dict[str, str], points: dict[str, float | None]
) -> list[str]:
    """Return a line for each submission that did not end as it must, or has other points."""
    lines = []
    for one in drawn:
        told = found.get(one.student), points.get(one.student)
        if told[0] != one.status or not _as_many(told[1], one.points):
            lines.append(f"{one.student}: {told}, and not {(one.status, one.points)}")
    return lines


def _as_many(given: float | None, wanted: float | None) -> bool:
    if given is None or wanted is None:
        return given is wanted
    return abs(given - wanted) < 1e-3


def peak(whose: int) -> float:
    """Return in MiB the most memory that this process, or the largest child, ever held."""
    return resource.getrusage(whose).ru_maxrss / 1024


def medians(ways: Sequence[Callable[[], object]], runs: int) -> list[float]:
    """Time several ways in turn, and return the median seconds of each."""
    times: list[list[float]] = [[] for _ in ways]
    for _ in range(runs):
        for way, measured in zip(ways, times, strict=True):
            started = time.perf_counter()
            way()
            measured.append(time.perf_counter() - started)
    return [statistics.median(measured) for measured in times]


def one_notebook(classroom: Classroom, runs: int) -> list[float]:
    """Time the solved notebook in a sandbox and judged, and executed plainly as nbgrader alone does."""
    notebook = classroom.notebook(classroom.right)
    tasks = tasks_for(classroom.release, classroom.seed, {})

    def sandboxed() -> None:
        findings, _ = examine(notebook, tasks, partial(sandbox.run, COMMAND, limits=LIMITS))
        assert all(judge(task, findings) for task in tasks)

    def plain() -> None:
        kernel = {"kernel_name": "python3", "extra_arguments": ["--log-level=ERROR"]}
        NotebookClient(copy.deepcopy(notebook), timeout=60, **kernel).execute()

    return medians([sandboxed, plain], runs)


def show(label: str, *values: str) -> None:
    """Print a row of the table."""
    print(f"{label:62}" + "".join(f"{value:>12}" for value in values), flush=True)


def ratio(label: str, first: float, second: float) -> None:
    """Print a row that compares seconds."""
    show(label, f"{first:.2f} s", f"{second:.2f} s", f"{first / second:.3f}")


def measure(folder: Path, number: int) -> list[str]:
    """Grade the class and print the table; return what went otherwise than it must."""
    made = Course(folder / "made")
    make_assignments(made, BOOK, {NAME: []})
    classroom = Classroom(made)
    drawn = classroom.hand_in(number)
    few = drawn[: min(FIRST, max(1, number // 10))]
    Run(made, folder / "few", few).grade()
    before = peak(resource.RUSAGE_SELF)
    everyone = Run(made, folder / "all", drawn)
    seconds, results, refused = everyone.grade()
    after, children = peak(resource.RUSAGE_SELF), peak(resource.RUSAGE_CHILDREN)
    found = ended(results, refused)
    wrong = complaints(drawn, found, everyone.points())

    show(f"{number} submissions of {NAME}, {CORES} workers", "drawn", "found")
    counts = Counter(one.status for one in drawn), Counter(found.values())
    for status in STATUSES:
        show(status, *(str(count[status]) for count in counts))
    show("seconds", "all", "each")
    show("from the folder to grades.csv", f"{seconds:.1f} s", f"{seconds / number:.2f} s")
    show("memory", f"after {len(few)}", "after all", "ratio")
    show("the grading process", f"{before:.0f} MiB", f"{after:.0f} MiB", f"{after / before:.3f}")
    more = (after - before) / (number - len(few))
    show("the same, more for each further submission", "", f"{more:.2f} MiB")
    show("the largest child that was waited for", "", f"{children:.0f} MiB")
    largest = max(result.peak_memory for result in results) / MIB
    show(f"the largest sandbox (allowed: {LIMITS.memory / MIB:.0f} MiB)", "", f"{largest:.0f} MiB")

    show("seconds for the same work", "first", "second", "ratio")
    again, *_ = everyone.grade()
    ratio("the class graded again, nothing to do, against the first time", again, seconds)
    honest = [one for one in drawn if one.status == "graded"][: 4 * CORES]
    sides = [
        Run(made, folder / f"by_{workers}", honest, workers).grade()[0] for workers in (CORES, 1)
    ]
    ratio(f"{len(honest)} honest submissions, {CORES} workers against one", *sides)
    runs = 3 if number > FIRST else 1
    ratio("one notebook, sandboxed and judged against nbclient", *one_notebook(classroom, runs))
    return wrong


def main() -> None:
    """Print the table for as many submissions as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("number", type=int, nargs="?", default=200, help="of submissions (200)")
    number = parser.parse_args().number
    if number < 6:
        parser.error(f"{number} submissions hold no class; give 6 or more")
    with tempfile.TemporaryDirectory() as folder:
        try:
            wrong = measure(Path(folder), number)
        except GradingError as error:
            sys.exit(str(error))
    if wrong:
        sys.exit("\n".join(["not as drawn:", *wrong]))


if __name__ == "__main__":
    main()
