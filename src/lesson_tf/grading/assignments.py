"""Assignments made from the book's exercises: for nbgrader, and as a zip for each student or for all."""

import csv
import difflib
import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from lesson_tf.grading import GradingError
from lesson_tf.grading.course import Course
from lesson_tf.grading.exercise_sources import (
    ASSIGNMENTS,
    CONCEPT_TEST,
    checks_in,
    choose,
    for_students,
    grade_id,
    read,
    source_path,
    varied,
    without_verdict,
)
from lesson_tf.grading.submissions import plain_name

CPU_WHEELS = "https://download.pytorch.org/whl/cpu"

README = """\
# {title}

1. Python 3.11 or newer. In this folder, on Linux and macOS: `python3 -m venv .venv` and
   `source .venv/bin/activate`; on Windows: `py -m venv .venv` and `.venv\\Scripts\\activate`.
2. On Linux without an NVIDIA card, to save some gigabytes,
   `pip install torch --index-url {cpu_wheels}`. Then everywhere
   `pip install -r requirements.txt`.
3. `jupyter lab {name}.ipynb`

Write where it says so, and run the cell below: it answers within seconds and names the mistake, if it
knows it. You may run it as often as you like. Hand in `{name}.ipynb` alone, under this name. Do not
change or delete the cells that check; cells of your own are welcome.
"""


HEADINGS = {"student", "students", "id", "name", "full name", "student_id", "username"}
PARTS_OF_NAMES = {"first name", "last name", "surname", "given name", "family name"}


def chosen_exercises(text: str) -> dict[str, list[int]]:
    """Return the exercises that a text such as "attention:1,2 flow" names: none stands for all.

    Raises GradingError for a name that no assignment has.

    >>> chosen_exercises("attention:1,2 flow")
    {'attention': [1, 2], 'flow': []}
    """
    chosen = {}
    for word in text.split():
        name, _, numbers = word.partition(":")
        if name not in ASSIGNMENTS:
            if name.isdecimal():
                raise GradingError(f"write no space within a list such as attention:1,{name}")
            near = difflib.get_close_matches(name, ASSIGNMENTS, n=1)
            meant = f"; {near[0]} is the nearest" if near else ""
            raise GradingError(
                f"there is no assignment {name}; there are {', '.join(ASSIGNMENTS)}{meant}"
            )
        try:
            chosen[name] = [int(number) for number in numbers.split(",") if number]
        except ValueError as error:
            raise GradingError(f"write {name}:1,2 instead of {word}") from error
    return chosen or {name: [] for name in ASSIGNMENTS}


def make_assignments(
    course: Course,
    book: Path,
    chosen: Mapping[str, Sequence[int]],
    students: Sequence[str] = (),
    wheel: Path | None = None,
) -> list[Path]:
    """Make the assignments and return the zips: one each, and one for each student if any are named.

    Raises GradingError if the book lacks a notebook, or nbgrader refuses one.
    """
    zips = []
    for name, numbers in chosen.items():
        path = source_path(book, ASSIGNMENTS[name])
        if not path.is_file():
            raise GradingError(f"{path} does not exist")
        source = read(path)
        if ASSIGNMENTS[name] == CONCEPT_TEST:
            source = without_verdict(source)
        if numbers:
            try:
                source = choose(source, numbers)
            except ValueError as error:
                raise GradingError(f"{name}: {error}") from error
        release = _release(course, name, source)
        zips.append(_zip(course, name, release, wheel))
        for student in students:
            own = varied(release, variants_of(student, name, release, course.settings()["seed"]))
            own.metadata["lesson_tf"] = {"assignment": name, "student": student}
            zips.append(_zip(course, name, own, wheel, student))
    settings = course.settings()
    with_variants = set(settings["variants"]) - set(chosen)
    settings["variants"] = sorted(with_variants | (set(chosen) if students else set()))
    course.keep_settings(settings)
    return zips


def variants_of(student: str, assignment: str, release: NotebookNode, seed: int) -> dict[str, int]:
    """Return the number of each exercise's variant for a student, by grade_id: always the same ones."""
    numbers = {}
    for check in checks_in(release):
        if check.exercise.variants:
            told = f"{seed} {student} {assignment} {check.grade_id}"
            drawn = int.from_bytes(hashlib.sha256(told.encode()).digest()[:4], "big")
            numbers[check.grade_id] = 1 + drawn % len(check.exercise.variants)
    return numbers


def read_students(path: Path) -> list[str]:
    """Return the names in the first column of a csv file; raises GradingError if there are none.

    A first line that says `student`, `id`, `name` or the like is a heading.
    """
    if not path.is_file():
        raise GradingError(f"STUDENTS={path} is no file")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise GradingError(f"{path} is not written in UTF-8; save it as “CSV UTF-8”") from error
    separator = ";" if lines and ";" in lines[0] and "," not in lines[0] else ","
    names = [row[0].strip() for row in csv.reader(lines, delimiter=separator) if row]
    names = [name for name in names if name]
    heading = names[0].lower() if names else ""
    if heading in PARTS_OF_NAMES:
        raise GradingError(f"{path}: the first column must hold the whole name, not the {heading}")
    if heading in HEADINGS:
        names = names[1:]
    if not names:
        raise GradingError(f"{path} names no student in its first column")
    return list(dict.fromkeys(map(plain_name, names)))


def _release(course: Course, name: str, source: NotebookNode) -> NotebookNode:
    """Let nbgrader make the notebook that is handed out, and return it.

    Its metadata names the assignment: the concept tests before and after have the same cells.
    """
    source.metadata["lesson_tf"] = {"assignment": name}
    _check_not_graded(course, name, source)
    _write(course.root / "instructor" / f"{name}.ipynb", source)
    _write(course.root / "source" / name / f"{name}.ipynb", for_students(source))
    told = course.nbgrader.generate_assignment(name, force=True, create=True)
    if not told["success"]:
        raise GradingError(f"nbgrader cannot make {name}:\n{told.get('log') or told['error']}")
    return read(course.release(name))


def _check_not_graded(course: Course, name: str, source: NotebookNode) -> None:
    """Raise GradingError, before anything is written, if other cells of it are graded already."""
    if not course.release(name).is_file() or not any(course.root.glob(f"graded/{name}/*.json")):
        return
    before, now = (
        {grade_id(cell) for cell in notebook.cells if grade_id(cell)}
        for notebook in (read(course.release(name)), source)
    )
    if before != now:
        raise GradingError(
            f"{name} has grades already, with other exercises; choose those again, or take another "
            "folder: COURSE=elsewhere"
        )


def _write(path: Path, notebook: NotebookNode) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)


def _zip(
    course: Course, name: str, notebook: NotebookNode, wheel: Path | None, student: str = ""
) -> Path:
    """Write a zip with all that a student needs: notebook, package, requirements, how to begin."""
    target = course.zip_path(name, student)
    target.parent.mkdir(parents=True, exist_ok=True)
    title = next(cell.source for cell in notebook.cells).splitlines()[0].removeprefix("# ")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{name}/{name}.ipynb", nbformat.writes(notebook))
        archive.writestr(
            f"{name}/README.md", README.format(title=title, name=name, cpu_wheels=CPU_WHEELS)
        )
        if wheel:
            archive.write(wheel, f"{name}/{wheel.name}")
            requirements = f"./{wheel.name}[book]\njupyterlab\n"
            archive.writestr(f"{name}/requirements.txt", requirements)
    return target


def build_wheel(project: Path, folder: Path) -> Path:
    """Build the package as a wheel, offline; raises GradingError with what pip said if it fails."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "package"
        copy.mkdir()
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(project / name, copy)
        shutil.copytree(
            project / "src" / "lesson_tf",
            copy / "src" / "lesson_tf",
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index"]
        command += ["--no-build-isolation", "--wheel-dir", str(folder), str(copy)]
        told = subprocess.run(command, capture_output=True, text=True)
    if told.returncode:
        raise GradingError(f"the package cannot be built:\n{told.stderr[-1000:]}")
    return max(folder.glob("lesson_tf-*.whl"), key=lambda path: path.stat().st_mtime)
