"""A course with one small assignment, made anew for each test, and made from once a session."""

import shutil

import pytest
import small_class

from lesson_tf.grading.assignments import make_assignments
from lesson_tf.grading.course import Course
from lesson_tf.grading.exercise_sources import read


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Return a folder in which the assignment was made by nbgrader."""
    folder = tmp_path_factory.mktemp("made")
    course = Course(folder / "course")
    make_assignments(course, small_class.write_book(folder), {small_class.NAME: []})
    return course


@pytest.fixture
def course(made, tmp_path):
    """Return a course of its own for a test."""
    root = tmp_path / "course"
    shutil.copytree(made.root, root)
    (root / "nbgrader_config.py").unlink(missing_ok=True)
    return Course(root)


@pytest.fixture
def release(made):
    """Return the notebook that is handed out."""
    return read(made.release(small_class.NAME))


@pytest.fixture
def grade(course, tmp_path):
    """Return a function that grades what lies in `came_in` below the test's folder."""

    from lesson_tf.grading.grade import Grading

    def run(**options):
        grading = Grading(course, progress=False, **options)
        results, refused = grading.grade(tmp_path / "came_in")
        return {result.student: result for result in results}, refused

    return run
