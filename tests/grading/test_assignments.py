"""What students get: no solutions, nothing of the book, and for each student the same variants again."""

import json
import subprocess
import sys
import zipfile

import nbformat
import pytest
import small_class

from lesson_tf.checks import EXERCISES
from lesson_tf.grading import GradingError
from lesson_tf.grading.assignments import (
    build_wheel,
    chosen_exercises,
    make_assignments,
    read_students,
    variants_of,
)
from lesson_tf.grading.course import Course
from lesson_tf.grading.exercise_sources import (
    ASSIGNMENTS,
    blank,
    check_of,
    choose,
    read,
    solution,
    varied,
    write_blanks,
)


def names(notebook):
    return [cell.id for cell in notebook.cells]


def test_a_student_gets_no_solution_and_nothing_of_the_book(made, release):
    text = nbformat.writes(release)
    assert "SECRET" not in text and "softmax" not in text and "next.ipynb" not in text
    assert "SOLUTION" not in text
    assert "checks.attention(attention, points=4)" in text
    assert text.count("raise NotImplementedError()") == 2
    assert "solution" not in [
        tag for cell in release.cells for tag in cell.metadata.get("tags", [])
    ]


def test_the_instructor_keeps_the_solutions(made):
    text = (made.root / "instructor" / "attention.ipynb").read_text(encoding="utf-8")
    assert "SECRET-SOLUTION" in text and "softmax" in text


def test_a_blank_is_what_nbgrader_makes(release):
    own = blank(small_class.source_notebook())
    assert [cell.source for cell in own.cells] == [cell.source for cell in release.cells]


def test_the_zip_holds_all_that_a_student_needs(made):
    with zipfile.ZipFile(made.root / "assignments" / "attention.zip") as archive:
        assert set(archive.namelist()) == {"attention/attention.ipynb", "attention/README.md"}
        readme = archive.read("attention/README.md").decode()
    assert "jupyter lab attention.ipynb" in readme and "Exercises: attention" in readme


def test_the_package_travels_with_the_assignment(tmp_path, made):
    from lesson_tf.grading.__main__ import PROJECT

    wheel = build_wheel(PROJECT, tmp_path / "wheel")
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    assert {"lesson_tf/attention.py", "lesson_tf/checks/exercise.py"} <= inside
    assert any(name.endswith(".safetensors") for name in inside)
    assert not any(name.startswith(("tests", "book")) for name in inside)
    (zipped,) = make_assignments(
        Course(tmp_path / "course"),
        small_class.write_book(tmp_path),
        {"attention": []},
        wheel=wheel,
    )
    with zipfile.ZipFile(zipped) as archive:
        assert f"attention/{wheel.name}" in archive.namelist()
        assert f"./{wheel.name}[book]" in archive.read("attention/requirements.txt").decode()


def test_exercises_are_chosen_by_number(tmp_path):
    chosen = choose(small_class.source_notebook(), [2])
    assert "masks-check" in names(chosen) and "title" in names(chosen) and "next" in names(chosen)
    assert "attention-check" not in names(chosen) and "why-answer" not in names(chosen)
    with pytest.raises(ValueError, match=r"exercises \[7\] do not exist; there are \[1, 2, 3\]"):
        choose(small_class.source_notebook(), [2, 7])
    with pytest.raises(GradingError, match=r"attention: exercises \[7\] do not exist"):
        make_assignments(Course(tmp_path), small_class.write_book(tmp_path), {"attention": [7]})
    make_assignments(
        Course(tmp_path / "course"), small_class.write_book(tmp_path), {"attention": [2, 3]}
    )
    made = read(Course(tmp_path / "course").release("attention"))
    assert made.cells[0].source.startswith(
        "# Exercises: attention\n\nOf the exercises of this chapter these: 2, 3."
    )
    assert "masks-check" in names(made) and "attention-check" not in names(made)


def test_the_words_that_choose():
    assert chosen_exercises("") == {name: [] for name in ASSIGNMENTS}
    assert chosen_exercises("flow:3 attention") == {"flow": [3], "attention": []}
    with pytest.raises(GradingError, match=r"no assignment atention; .*; attention is the nearest"):
        chosen_exercises("atention:1")
    with pytest.raises(GradingError, match="no space within a list such as attention:1,3"):
        chosen_exercises("attention:2, 3")
    with pytest.raises(GradingError, match="write flow:1,2 instead of flow:a"):
        chosen_exercises("flow:a")


def test_a_chapter_that_the_book_lacks_is_named(tmp_path):
    with pytest.raises(GradingError, match=r"flow/exercises\.ipynb does not exist"):
        make_assignments(Course(tmp_path), small_class.write_book(tmp_path), {"flow": []})


def test_a_check_whose_points_differ_is_refused(tmp_path):
    notebook = small_class.source_notebook()
    (cell,) = [cell for cell in notebook.cells if cell.id == "attention-check"]
    cell.source = "checks.attention(attention, points=3)"
    with pytest.raises(ValueError, match=r"its line says points=3, its metadata 4"):
        check_of(cell)
    cell.source = "checks.atention(attention, points=4)"
    with pytest.raises(ValueError, match=r"there is no checks\.atention"):
        check_of(cell)


def test_every_student_gets_a_variant_and_the_same_one_again(release):
    first = {name: variants_of(name, "attention", release, 5) for name in map(str, range(40))}
    assert first == {name: variants_of(name, "attention", release, 5) for name in first}
    numbers = {variants["attention-check"] for variants in first.values()}
    assert numbers == set(range(1, len(EXERCISES["attention"].variants) + 1))
    other = {name: variants_of(name, "attention", release, 6) for name in first}
    assert other != first


def test_a_variant_stands_in_the_statement_and_in_the_check(release):
    changed = varied(release, {"attention-check": 2})
    sources = {cell.id: cell.source for cell in changed.cells}
    assert "**Your variant (2).** In your variant" in sources["attention-statement"]
    assert sources["attention-check"] == "checks.attention(attention, points=4, variant=2)"
    assert sources["masks-check"] == "checks.two_masks(decoder_mask, points=5)"


def test_a_zip_for_each_student(tmp_path):
    course = Course(tmp_path / "course")
    zips = make_assignments(
        course, small_class.write_book(tmp_path), {"attention": []}, ["ada", "bob"]
    )
    assert [path.name for path in zips] == [
        "attention.zip",
        "attention_ada.zip",
        "attention_bob.zip",
    ]
    with zipfile.ZipFile(zips[1]) as archive:
        assert "variant=" in archive.read("attention/attention.ipynb").decode()
    assert course.settings()["variants"] == ["attention"]
    make_assignments(course, tmp_path / "book", {"attention": []})
    assert course.settings()["variants"] == []


def test_students_are_read_from_the_first_column(tmp_path):
    path = tmp_path / "students.csv"
    path.write_text("\ufeffstudent,mail\nada,a@x\n\n山田 太郎,b@x\nada,a@x\n", encoding="utf-8")
    assert read_students(path) == ["ada", "山田_太郎"]
    path.write_text("student\n", encoding="utf-8")
    with pytest.raises(GradingError, match="names no student"):
        read_students(path)
    with pytest.raises(GradingError, match="is no file"):
        read_students(tmp_path / "none.csv")


def test_the_secret_is_drawn_once_and_is_private(tmp_path):
    seeds = {Course(tmp_path / name).settings()["seed"] for name in "aabb"}
    assert len(seeds) == 2
    assert (tmp_path / "a" / "secret.json").stat().st_mode & 0o077 == 0


def test_solutions_lose_their_markers():
    assert solution("def f():\n    ### BEGIN SOLUTION\n    return 1\n    ### END SOLUTION\n") == (
        "def f():\n    return 1"
    )


def test_blanks_never_take_the_place_of_work(tmp_path):
    book = small_class.write_book(tmp_path)
    folder = tmp_path / "exercises"
    assert [path.name for path in write_blanks(book, folder)] == ["attention.ipynb"]
    (folder / "attention.ipynb").write_text("my work", encoding="utf-8")
    assert write_blanks(book, folder) == []
    assert (folder / "attention.ipynb").read_text(encoding="utf-8") == "my work"


def test_blanks_need_no_nbgrader(tmp_path):
    code = (
        "import sys; sys.modules['nbgrader'] = None; sys.modules['psutil'] = None\n"
        "from lesson_tf.grading.__main__ import main\n"
        f"raise SystemExit(main(['blanks', {str(tmp_path)!r}]))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    written = sorted(path.stem for path in tmp_path.glob("*.ipynb"))
    assert written == sorted(set(ASSIGNMENTS.values()))
    for path in tmp_path.glob("*.ipynb"):
        assert "BEGIN SOLUTION" not in json.dumps(read(path))


def test_the_concept_test_is_assigned_twice(tmp_path):
    notebook = small_class.source_notebook()
    (tmp_path / "book").mkdir()
    nbformat.write(notebook, tmp_path / "book" / "concept_test.ipynb")
    course = Course(tmp_path / "course")
    names = ("concept_test_before", "concept_test_after")
    zips = make_assignments(course, tmp_path / "book", {name: [] for name in names})
    assert [path.stem for path in zips] == [*names]
    assert [course.release(name).is_file() for name in names] == [True, True]
    told = [read(course.release(name)).metadata["lesson_tf"]["assignment"] for name in names]
    assert told == [*names]


def test_grading_nothing_is_refused_with_a_sentence(tmp_path, capsys):
    from lesson_tf.grading.__main__ import main

    assert main(["grade", "", "--course", str(tmp_path)]) == 1
    assert "make grade SUBMISSIONS=folder" in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("Jos\xe9\n".encode("latin-1"), "not written in UTF-8"),
        (b"First name,Last name\nAda,Lovelace\n", "whole name, not the first name"),
    ],
)
def test_a_list_of_students_that_would_be_misread_is_refused(tmp_path, content, told):
    path = tmp_path / "students.csv"
    path.write_bytes(content)
    with pytest.raises(GradingError, match=told):
        read_students(path)


def test_semicolons_part_columns_too(tmp_path):
    path = tmp_path / "students.csv"
    path.write_text("name;mail\nRight, Anna;a@x\n", encoding="utf-8")
    assert read_students(path) == ["Right_Anna"]


def test_an_assignment_with_grades_keeps_its_exercises(tmp_path):
    course, book = Course(tmp_path / "course"), small_class.write_book(tmp_path)
    make_assignments(course, book, {"attention": []})
    make_assignments(course, book, {"attention": [2]})  # Nothing is graded yet.
    (course.root / "graded" / "attention").mkdir(parents=True)
    (course.root / "graded" / "attention" / "ada.json").write_text("{}", encoding="utf-8")
    before = course.release("attention").read_bytes()
    with pytest.raises(GradingError, match="attention has grades already, with other exercises"):
        make_assignments(course, book, {"attention": [1, 2]})
    assert course.release("attention").read_bytes() == before
    make_assignments(course, book, {"attention": [2]})
