"""Make assignments and grade submissions: `make assignments` and `make grade` call it."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lesson_tf.grading import GradingError
from lesson_tf.grading.exercise_sources import write_blanks

PROJECT = Path(__file__).resolve().parents[3]


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line asks for; return 1 with a sentence if it cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m lesson_tf.grading", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    assign = commands.add_parser("assignments", help="make notebooks and zips for students")
    assign.add_argument("--exercises", default="", help='"attention:1,2 flow"; all, if left out')
    assign.add_argument("--book", type=Path, default=PROJECT / "book" / "en")
    blanks = commands.add_parser(
        "blanks", help="write the exercises with blanks, keeping what is there"
    )
    blanks.add_argument("folder", type=Path)
    grade = commands.add_parser("grade", help="grade a folder or zip of submissions")
    grade.add_argument("submissions")
    grade.add_argument("--hidden", type=Path, help="a folder with private tests, one file a check")
    grade.add_argument("--unsafe", action="store_true", help="run without a sandbox")
    grade.add_argument("--workers", type=int, help="how many at once; as many as fit, if left out")
    for command in (assign, grade):
        command.add_argument("--course", type=Path, default=Path("course"))
        command.add_argument("--students", type=Path, help="a csv with their names")
    chosen = parser.parse_args(arguments)
    if chosen.command == "blanks":
        for path in write_blanks(PROJECT / "book" / "en", chosen.folder):
            print(f"{path}: written")
        return 0
    try:
        return _assignments(chosen) if chosen.command == "assignments" else _grade(chosen)
    except GradingError as error:
        print(f"{chosen.command}: {error}", file=sys.stderr)
        return 1


# nbgrader is imported where it is needed: blanks are written where it is not installed, too.


def _assignments(chosen: argparse.Namespace) -> int:
    from lesson_tf.grading.assignments import (
        build_wheel,
        chosen_exercises,
        make_assignments,
        read_students,
    )
    from lesson_tf.grading.course import Course

    course = Course(chosen.course)
    students = read_students(chosen.students) if chosen.students else []
    wheel = build_wheel(PROJECT, course.root / "wheel")
    exercises = chosen_exercises(chosen.exercises)
    for path in make_assignments(course, chosen.book, exercises, students, wheel):
        print(path)
    return 0


def _grade(chosen: argparse.Namespace) -> int:
    from lesson_tf.grading.assignments import read_students
    from lesson_tf.grading.course import Course
    from lesson_tf.grading.grade import Grading
    from lesson_tf.grading.results import summary

    workers = {"workers": chosen.workers} if chosen.workers else {}
    if not chosen.submissions:
        raise GradingError("say where the submissions are: `make grade SUBMISSIONS=folder`")
    grading = Grading(Course(chosen.course), chosen.hidden, chosen.unsafe, **workers)
    students = read_students(chosen.students) if chosen.students else []
    results, refused = grading.grade(Path(chosen.submissions), students)
    print(summary(results, refused))
    print(f"The grades are in {grading.course.root / 'grades.csv'}, the feedback in feedback/.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
