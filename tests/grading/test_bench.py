"""The benchmark of grading: what it draws, what it notices, and that the judge is not run away from."""

import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import small_class
from large_class import BOOK, MISTAKES, NAME, STATUSES, Classroom

from bench import complaints
from lesson_tf.grading.assignments import make_assignments
from lesson_tf.grading.course import Course
from lesson_tf.grading.examining import Usage
from lesson_tf.grading.grade import Grading
from lesson_tf.grading.judging import Findings
from lesson_tf.grading.results import Result

BENCH = Path(__file__).with_name("bench.py")


@pytest.fixture(scope="module")
def chapter(tmp_path_factory):
    """Return a course with the real assignment of a chapter."""
    course = Course(tmp_path_factory.mktemp("chapter") / "course")
    make_assignments(course, BOOK, {NAME: []})
    return course


def test_a_class_is_drawn_alike_each_time_and_has_every_ending(chapter):
    drawn = Classroom(chapter).hand_in(200)
    assert drawn == Classroom(chapter).hand_in(200)
    assert len({one.student for one in drawn}) == 200
    counts = Counter(one.status for one in drawn)
    assert set(counts) == set(STATUSES)
    assert (counts["timed out"], counts["stopped"], counts["refused"]) == (4, 4, 2)
    points = {one.points for one in drawn} - {None}
    assert 0 in points and 13 in points and len(points) > 10


def test_every_mistake_is_one(chapter):
    classroom = Classroom(chapter)
    assert set(MISTAKES) == set(classroom.checks)
    for name, check in classroom.checks.items():
        earned = {classroom.answer(name, "mistaken")[1] for _ in range(20)}
        assert max(earned) < check.points, name
        assert classroom.answer(name, "right")[1] == check.points


def test_a_submission_that_ends_otherwise_is_noticed(chapter):
    drawn = Classroom(chapter).hand_in(12)
    found = {one.student: one.status for one in drawn}
    points = {one.student: one.points for one in drawn}
    assert complaints(drawn, found, points) == []
    refused = next(one for one in drawn if one.status == "refused")
    graded = next(one for one in drawn if one.status == "graded")
    for one, wrong in (
        (refused, {"points": 0.0}),  # A silent zero.
        (refused, {"status": "graded"}),
        (graded, {"points": None}),
        (graded, {"points": graded.points + 1}),
        (graded, {"status": "stopped"}),
    ):
        other = replace(one, **wrong)
        (line,) = complaints(
            drawn, found | {one.student: other.status}, points | {one.student: other.points}
        )
        assert one.student in line
    missing = {student: status for student, status in found.items() if student != graded.student}
    assert len(complaints(drawn, missing, points)) == 1


def test_a_handful_goes_through_the_whole_benchmark():
    told = subprocess.run([sys.executable, BENCH, "6"], capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    assert told.stderr == ""
    rows = [line for line in told.stdout.splitlines() if line.startswith(STATUSES)]
    counts = [row[-24:].split() for row in rows]
    assert len(rows) == len(STATUSES)
    assert all(drawn == found for drawn, found in counts)
    assert sum(int(found) for _, found in counts) == 6
    assert told.stdout.count("MiB") == 6 and "nbclient" in told.stdout


def test_sandboxes_do_not_run_ahead_of_the_judge(course, release, tmp_path, monkeypatch):
    for place in range(12):
        small_class.hand_in(tmp_path / "came_in", f"s{place}", small_class.filled(release))
    begun, judged, ahead = [], [], []

    def examine(self, work):
        begun.append(work)
        return Findings(), Usage()

    def judge(self, work, future):
        future.result()
        judged.append(work)
        ahead.append(len(begun) - len(judged))
        return Result(work.submission.student, NAME, "not graded: a trial")

    monkeypatch.setattr(Grading, "_examine", examine)
    monkeypatch.setattr(Grading, "_judge", judge)
    results, _ = Grading(course, workers=2, progress=False).grade(tmp_path / "came_in")
    assert len(results) == len(set(map(id, judged))) == 12
    assert max(ahead) <= 4
