"""The exercises of the book against their checks: solutions pass, blanks and lazy attempts do not."""

from pathlib import Path

import pytest

from lesson_tf import checks
from lesson_tf.checks.answers import answer_all
from lesson_tf.grading.exercise_sources import CHAPTERS, check_of, read, solution, stub

BOOK = Path(__file__).parents[2] / "book" / "en"


def solved_cells() -> dict[str, tuple[str, str]]:
    """Return, by check, the notebook's code before its solution, and the solution with markers."""
    found = {}
    graded = [BOOK / chapter / "exercises.ipynb" for chapter in CHAPTERS]
    for path in [*graded, BOOK / "concept_test.ipynb"]:
        imports = written = ""
        for cell in read(path).cells:
            if cell.id == "setup":
                imports = cell.source
            if "### BEGIN SOLUTION" in cell.source:
                written = cell.source
            check = check_of(cell)
            if check:
                found[check.exercise_name] = (imports, written)
    return found


CELLS = solved_cells()


def attempt_of(name: str, source: str):
    """Run a cell after the notebook's imports and return what it defines under the exercise's name."""
    space: dict = {}
    exec(compile(CELLS[name][0], "<setup cell>", "exec"), space)
    exec(compile(source, f"<cell of {name}>", "exec"), space)
    return space[checks.EXERCISES[name].attempt]


def test_every_check_has_its_exercise_in_the_book():
    published = {name for name, one in checks.EXERCISES.items() if not one.counted_by}
    assert set(CELLS) == published
    assert all(checks.EXERCISES[name].attempt in source for name, (_, source) in CELLS.items())


@pytest.mark.parametrize("name", CELLS)
def test_the_solution_of_the_book_passes_with_every_input(name):
    exercise, attempt = checks.EXERCISES[name], attempt_of(name, solution(CELLS[name][1]))
    report = exercise(attempt, points=4)
    assert report and report.earned == 4, str(report)
    for seed in range(1, 21):
        calls = exercise.calls_from(seed, private=True)
        report = exercise.judge(calls, answer_all(attempt, calls))
        assert report, f"seed {seed}: {report}"


@pytest.mark.parametrize("name", CELLS)
def test_the_blank_of_the_book_is_not_written_yet(name):
    report = checks.EXERCISES[name](attempt_of(name, stub(CELLS[name][1])), points=4)
    assert "not written yet" in str(report)
    assert report.earned == 0


@pytest.mark.parametrize("name", CELLS)
def test_every_mistake_is_named_with_every_input(name):
    exercise = checks.EXERCISES[name]
    for seed in range(1, 11):
        calls = exercise.calls_from(seed, private=True)
        for mistake in exercise.mistakes:
            report = exercise.judge(calls, answer_all(mistake.wrong, calls))
            assert report.mistake == mistake.message, f"seed {seed}: {report}"


@pytest.mark.parametrize("name", CELLS)
def test_no_variant_is_solved_by_the_published_solution(name):
    attempt = attempt_of(name, solution(CELLS[name][1]))
    for number in range(1, len(checks.EXERCISES[name].variants) + 1):
        report = checks.EXERCISES[name](attempt, variant=number)
        assert not report and "published" in report.mistake


def test_every_chapter_has_an_exercise_with_variants():
    for chapter in CHAPTERS:
        named = [check_of(cell) for cell in read(BOOK / chapter / "exercises.ipynb").cells]
        assert any(check.exercise.variants for check in named if check), chapter
