"""Grades a folder of submissions: collect, run in sandboxes side by side, judge, write to the gradebook."""

import functools
import hashlib
import json
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from tqdm import tqdm

import lesson_tf
from lesson_tf.checks import Report
from lesson_tf.checks.exercise import SOLVES_PUBLISHED
from lesson_tf.grading import GradingError, sandbox
from lesson_tf.grading.assignments import variants_of
from lesson_tf.grading.course import Course
from lesson_tf.grading.examining import COMMAND, LIMITS, Usage, examine, workers_here
from lesson_tf.grading.exercise_sources import read
from lesson_tf.grading.judging import Findings, Task, check_overlay, judge, outputs_of, tasks_for
from lesson_tf.grading.notebooks import Submission, submissions_of
from lesson_tf.grading.owners import shown
from lesson_tf.grading.results import (
    Result,
    score_of,
    steps_of,
    summary,
    write_grades,
    write_steps,
)
from lesson_tf.grading.submissions import Refusal, files_in


@dataclass(frozen=True)
class Work:
    """One submission with what it is tested on; its fingerprint changes when its grade could."""

    submission: Submission
    tasks: tuple[Task, ...]
    fingerprint: str


@dataclass(frozen=True)
class Grading:
    """How to grade: the course, the folder with private tests, whether without sandbox, how many at once."""

    course: Course
    hidden: Path | None = None
    unsafe: bool = False
    workers: int = field(default_factory=workers_here)
    limits: sandbox.Limits = LIMITS
    progress: bool | None = None

    def grade(
        self, folder: Path, students: Sequence[str] = ()
    ) -> tuple[list[Result], list[Refusal]]:
        """Grade what is in a folder and write grades.csv; what was graded before is left as it is.

        Raises GradingError if there is no sandbox, no assignment or no such folder.
        """
        self._check()
        self._check_folder(folder.resolve())
        handed_out = {name: read(self.course.release(name)) for name in self.course.assignments}
        submissions, refused = _came_in(folder, handed_out)
        work = [self._work(one, handed_out[one.assignment]) for one in submissions]
        results = list(self._results(work))
        known = self._known_results(results)
        write_grades(self.course, known, refused, students)
        write_steps(self.course, known)
        text = summary(results, refused)
        (self.course.root / "summary.txt").write_text(text + "\n", encoding="utf-8")
        return results, refused

    def _check(self) -> None:
        missing = None if self.unsafe else sandbox.available()
        if missing:
            raise GradingError(
                f"{missing}\nSubmissions are programs of strangers; UNSAFE=1 runs them all the same, "
                "with your rights."
            )
        if not self.course.assignments:
            raise GradingError("there are no assignments yet; `make assignments` makes them")
        if self.hidden:
            try:
                check_overlay(self.hidden)
            except ValueError as error:
                raise GradingError(str(error)) from error

    def _check_folder(self, folder: Path) -> None:
        """Raise GradingError for a folder that holds the course: its notebooks are nobody's work."""
        course = self.course.root
        inside = [path for path in course.iterdir() if path.name != "submitted"]
        if course.is_relative_to(folder) or any(map(folder.is_relative_to, inside)):
            raise GradingError(
                f"{folder} holds the course's own notebooks; give the submissions alone"
            )

    def _work(self, submission: Submission, release: NotebookNode) -> Work:
        settings = self.course.settings()
        name, seed = submission.assignment, settings["seed"]
        varies = name in settings["variants"]
        # A platform may write a name otherwise than the list for which the variants were made.
        made_for = submission.made_for
        is_known = bool(made_for) and self.course.zip_path(name, made_for).is_file()
        drawn_for = made_for if is_known else submission.student
        variants = variants_of(drawn_for, name, release, seed) if varies else {}
        if variants and not is_known:
            odd = (*submission.remarks, "the notebook is not the one made for a student")
            submission = replace(submission, remarks=odd)
        tasks = tasks_for(release, seed, variants, self.hidden)
        told = [submission.digest, seed, variants, nbformat.writes(release), _code_digest()]
        told += (
            [path.read_text("utf-8") for path in sorted((self.hidden or Path()).glob("*.py"))]
            if self.hidden
            else []
        )
        fingerprint = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]
        return Work(submission, tuple(tasks), fingerprint)

    def _results(self, work: Sequence[Work]) -> Iterator[Result]:
        """Yield the result of every submission: those kept from before, then those graded now."""
        waiting = []
        for one in work:
            before = self._kept(one)
            if before:
                yield before
            else:
                waiting.append(one)
        bar = tqdm(total=len(waiting), unit="submission", disable=self._quiet(waiting))
        pool, left = ThreadPoolExecutor(max_workers=self.workers), iter(waiting)
        # nbgrader's database has one writer. With many cores it falls behind: no more may be under way
        # than it can catch up with, since what a sandbox wrote is kept until it is judged.
        try:
            first = islice(left, 2 * self.workers)
            running = {pool.submit(self._examine, one): one for one in first}
            while running:
                ended, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in ended:
                    running |= {pool.submit(self._examine, one): one for one in islice(left, 1)}
                    result = self._judge(running.pop(future), future)
                    bar.update()
                    yield result
        finally:
            pool.shutdown(cancel_futures=True)
            bar.close()

    def _quiet(self, waiting: Sequence[Work]) -> bool | None:
        return True if not waiting else (None if self.progress is None else not self.progress)

    def _examine(self, work: Work) -> tuple[Findings, Usage]:
        run = functools.partial(sandbox.run, COMMAND, limits=self.limits, unsafe=self.unsafe)
        return examine(work.submission.notebook, work.tasks, run)

    def _judge(self, work: Work, future: "Future[tuple[Findings, Usage]]") -> Result:
        """Judge what came back, and let nbgrader keep it; a fault of ours is no zero of the student's."""
        submission = work.submission
        try:
            findings, usage = future.result()
            reports = {task.check.grade_id: judge(task, findings) for task in work.tasks}
            counted = reports | {
                task.check.grade_id: judge(task.counted, findings)
                for task in work.tasks
                if task.exercise.counted_by
            }
            status = self._keep(submission, reports, findings)
        except Exception as error:
            return Result(
                submission.student,
                submission.assignment,
                f"not graded: {type(error).__name__}: {error}",
                submission.remarks,
            )
        result = Result(
            submission.student,
            submission.assignment,
            status,
            (*submission.remarks, *_remarks(submission, findings, reports)),
            round(usage.seconds, 2),
            usage.peak_memory,
            steps_of(counted),
        )
        if not status.startswith("not graded"):
            self._stamp(work, result)
        return result

    def _keep(
        self, submission: Submission, reports: Mapping[str, Report], findings: Findings
    ) -> str:
        """Write the submission where nbgrader looks, let it save the scores, and return the status."""
        student, assignment = submission.student, submission.assignment
        path = self.course.examined(student, assignment)
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(submission.notebook, path)
        outputs = self.course.root / "outputs" / assignment / f"{student}.json"
        outputs.parent.mkdir(parents=True, exist_ok=True)
        judged = outputs_of(submission.notebook, reports, findings)
        outputs.write_text(json.dumps({"outputs": judged}), encoding="utf-8")
        told = _quietly(
            self.course.nbgrader.autograde, assignment, student, force=True, create=True
        )
        if not told["success"]:
            last = (told.get("log") or told.get("error") or "").strip().splitlines()[-1:]
            return f"not graded: nbgrader refused it: {' '.join(last)}"
        if not self._agrees(submission, reports):
            return "not graded: the gradebook holds other points than were judged"
        told = _quietly(self.course.nbgrader.generate_feedback, assignment, student, force=True)
        if not told["success"]:
            return "not graded: nbgrader cannot write the feedback"
        return _status(reports, findings, _places(submission))

    def _agrees(self, submission: Submission, reports: Mapping[str, Report]) -> bool:
        """Say whether the gradebook holds the points that were judged."""
        score = score_of(self.course, submission.student, submission.assignment)
        if score is None:
            return False
        kept = dict(score.automatic)
        return all(abs(kept.get(n, -1.0) - r.earned) < 1e-6 for n, r in reports.items())

    # --- What is kept from run to run -----------------------------------------------------------------

    def _stamp_path(self, student: str, assignment: str) -> Path:
        return self.course.root / "graded" / assignment / f"{student}.json"

    def _stamp(self, work: Work, result: Result) -> None:
        """Write, last of all, that a submission is graded."""
        path = self._stamp_path(result.student, result.assignment)
        path.parent.mkdir(parents=True, exist_ok=True)
        score = score_of(self.course, result.student, result.assignment)
        stamp = {"fingerprint": work.fingerprint, "result": result.written()}
        stamp["by_hand"] = [list(pair) for pair in score.by_hand]
        waiting = path.with_suffix(".part")
        waiting.write_text(json.dumps(stamp), encoding="utf-8")
        os.replace(waiting, path)

    def _kept(self, work: Work) -> Result | None:
        """Return the result from before if the submission and all that its grade hangs on are the same.

        Points given by hand since then go into the feedback.
        """
        student, assignment = work.submission.student, work.submission.assignment
        path = self._stamp_path(student, assignment)
        try:
            stamp = json.loads(path.read_text(encoding="utf-8"))
            score = score_of(self.course, student, assignment)
            if stamp["fingerprint"] != work.fingerprint or score is None:
                return None
            result = Result.read(stamp["result"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if stamp["by_hand"] != [list(pair) for pair in score.by_hand]:
            _quietly(self.course.nbgrader.generate_feedback, assignment, student, force=True)
            self._stamp(work, result)
        return result

    def _known_results(self, results: Sequence[Result]) -> list[Result]:
        """Return the results, and those of submissions graded before that are not in this folder."""
        known = {(result.student, result.assignment): result for result in results}
        for path in sorted(self.course.root.glob("graded/*/*.json")):
            try:
                before = Result.read(json.loads(path.read_text(encoding="utf-8"))["result"])
            except (ValueError, KeyError, TypeError):
                continue
            known.setdefault((before.student, before.assignment), before)
        return list(known.values())


def _came_in(
    folder: Path, handed_out: Mapping[str, NotebookNode]
) -> tuple[list[Submission], list[Refusal]]:
    """Return the submissions and the refusals; the files' bytes, pictures and all, are not kept."""
    try:
        files, refused = files_in(folder, tuple(handed_out))
    except ValueError as error:
        raise GradingError(str(error)) from error
    submissions, refused_notebooks = submissions_of(files, handed_out)
    return submissions, refused + refused_notebooks


def _quietly(call: Callable[..., dict], *arguments, **options) -> dict:
    """Call nbgrader without the warnings of its libraries, of which an instructor can do nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call(*arguments, **options)


@functools.cache
def _code_digest() -> str:
    """Hash the code that judges: when it changes, everything is graded anew."""
    package = Path(lesson_tf.__file__).parent
    sums = hashlib.sha256()
    for path in sorted([*package.glob("*.py"), *package.glob("checks/*.py")]):
        sums.update(path.read_bytes())
    return sums.hexdigest()


def _places(submission: Submission) -> dict[str, int]:
    """Return at which place each cell stands, by its id."""
    return {cell.id: place for place, cell in enumerate(submission.notebook.cells, start=1)}


def _status(reports: Mapping[str, Report], findings: Findings, places: Mapping[str, int]) -> str:
    """Return in a few words how a submission ended: graded, timed out, stopped or failed to run."""
    late = [name for name, report in reports.items() if "did not end in time" in report.trouble]
    late += [f"cell {places[name]}" for name in findings.late_cells if name in places]
    told = next(iter(findings.stopped.values()), "") or findings.reason
    if late or "seconds" in told:
        return f"timed out: {', '.join(late) or told}"
    if told:
        return f"stopped: {told.removeprefix('Stopped: ')}"
    return "failed to run" if findings.failed_cells and not any(reports.values()) else "graded"


def _remarks(
    submission: Submission, findings: Findings, reports: Mapping[str, Report]
) -> list[str]:
    """Return what is odd about a submission that ran: lateness, solutions of no variant, crashed cells."""
    remarks = ["handed in late"] if submission.late else []
    remarks += [
        f"{name} solves the published exercise, not the own variant"
        for name, report in reports.items()
        if report.mistake.startswith(SOLVES_PUBLISHED)
    ]
    places = _places(submission)
    for name in findings.failed_cells:
        if name in places:
            kind = shown(str(findings.cells[name]["error"]).partition(":")[0][:60])
            remarks.append(f"cell {places[name]} raised {kind}")
    return remarks
