"""The book's exercise notebooks as the instructor's sources: their sections, checks, and what a student gets."""

import ast
import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from lesson_tf import checks
from lesson_tf.checks import Exercise

CHAPTERS = ("attention", "tokenization", "positional_encoding", "flow", "why_it_works")
CONCEPT_TEST = "concept_test"
# What can be assigned, and the blank that a student gets for it: the concept test comes twice.
ASSIGNMENTS = {chapter: chapter for chapter in CHAPTERS} | {
    f"{CONCEPT_TEST}_before": CONCEPT_TEST,
    f"{CONCEPT_TEST}_after": CONCEPT_TEST,
}
NOT_FOR_STUDENTS = {"solution", "book-only"}
CODE_STUB = "# Write your code here.\nraise NotImplementedError()"
ABOUT_CHECKS = "A check answers within seconds, and names the mistake if it knows it."
TEXT_STUB = "*Write your answer here.*"
SOLUTION = re.compile(r"^( *)### BEGIN SOLUTION\n.*?^ *### END SOLUTION", re.DOTALL | re.MULTILINE)
HEADING = re.compile(r"^## Exercise (\d+): (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Check:
    """A cell that checks an attempt: its name in the gradebook, the exercise, and its points."""

    grade_id: str
    exercise_name: str
    points: float

    @property
    def exercise(self) -> Exercise:
        """Return the exercise in `lesson_tf.checks`."""
        return checks.EXERCISES[self.exercise_name]


def read(path: Path) -> NotebookNode:
    """Return a notebook of format 4."""
    return nbformat.read(path, as_version=4)


def source_path(book: Path, name: str) -> Path:
    """Return where the book has the notebook of a chapter's exercises, or of the concept test.

    >>> source_path(Path("book/en"), "flow").as_posix()
    'book/en/flow/exercises.ipynb'
    """
    return book / f"{name}.ipynb" if name == CONCEPT_TEST else book / name / "exercises.ipynb"


def blank_name(page: str) -> str:
    """Return the name of the blank that belongs to a page of the book, empty if it is no such page.

    >>> blank_name("book/en/flow/exercises"), blank_name("book/en/flow/decoding")
    ('flow', '')
    """
    folder, _, stem = page.rpartition("/")
    if stem == "exercises":
        return folder.rpartition("/")[2]
    return stem if stem == CONCEPT_TEST else ""


def grade_id(cell: NotebookNode) -> str:
    """Return a cell's name in the gradebook, or an empty text."""
    name = cell.metadata.get("nbgrader", {}).get("grade_id", "")
    return name if isinstance(name, str) else ""


def check_of(cell: NotebookNode) -> Check | None:
    """Return what a cell checks: `checks.NAME(attempt, points=4)`, or None if it is no such cell.

    Raises ValueError if the points of the cell and of its line differ, or no check has that name.
    """
    graded = cell.metadata.get("nbgrader", {})
    if cell.cell_type != "code" or not graded.get("grade"):
        return None
    call = ast.parse(cell.source, mode="eval").body
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
        raise ValueError(f"cell {cell.id} should be checks.NAME(attempt, points=…): {cell.source}")
    name = call.func.attr
    points = {k.arg: ast.literal_eval(k.value) for k in call.keywords}.get("points")
    if name not in checks.EXERCISES:
        raise ValueError(f"cell {cell.id}: there is no checks.{name}; see lesson_tf.checks")
    if points != graded.get("points"):
        raise ValueError(
            f"cell {cell.id}: its line says points={points}, its metadata {graded.get('points')}"
        )
    return Check(graded["grade_id"], name, float(points))


def checks_in(notebook: NotebookNode) -> list[Check]:
    """Return the checks of a notebook in order."""
    return [check for check in map(check_of, notebook.cells) if check]


def choose(notebook: NotebookNode, wanted: Sequence[int]) -> NotebookNode:
    """Return a copy with these exercises alone, and what stands before the first one.

    Raises ValueError for a number that no exercise has.
    """
    chosen, number, numbers = copy.deepcopy(notebook), 0, set()
    kept = []
    for cell in chosen.cells:
        heading = HEADING.search(cell.source) if cell.cell_type == "markdown" else None
        number = int(heading[1]) if heading else number
        numbers.add(number)
        if number == 0 or number in wanted or "book-only" in cell.metadata.get("tags", []):
            kept.append(cell)
    if not set(wanted) <= numbers - {0}:
        there = (
            f"there are {sorted(numbers - {0})}" if numbers - {0} else "its questions stay together"
        )
        raise ValueError(f"exercises {sorted(set(wanted) - numbers)} do not exist; {there}")
    chosen.cells = kept
    # What stands below the title counts all exercises, and adds up their minutes.
    title = kept[0].source.splitlines()[0]
    listed = ", ".join(map(str, sorted(wanted)))
    kept[0].source = f"{title}\n\nOf the exercises of this chapter these: {listed}. {ABOUT_CHECKS}"
    return chosen


def without_verdict(notebook: NotebookNode) -> NotebookNode:
    """Return a copy of the concept test whose check does not say which letters are right."""
    silent = copy.deepcopy(notebook)
    for cell in silent.cells:
        if cell.cell_type == "code":
            line = f"checks.{CONCEPT_TEST}("
            cell.source = cell.source.replace(line, line.replace("(", "_letters("))
    return silent


def for_students(notebook: NotebookNode) -> NotebookNode:
    """Return a copy without the cells that are for the book or for the instructor, and without tags.

    The bodies of solutions are still there: nbgrader clears them.
    """
    plain = copy.deepcopy(notebook)
    plain.cells = [c for c in plain.cells if not NOT_FOR_STUDENTS & set(c.metadata.get("tags", []))]
    for cell in plain.cells:
        cell.metadata.pop("tags", None)
        cell.metadata.pop("mystnb", None)
    return plain


def stub(source: str) -> str:
    """Return a solution cell's code as a student gets it, as nbgrader clears it.

    >>> print(stub("def f(x):\\n    ### BEGIN SOLUTION\\n    return x\\n    ### END SOLUTION"))
    def f(x):
        # Write your code here.
        raise NotImplementedError()
    """

    def blank(region: re.Match) -> str:
        return "\n".join(region[1] + line for line in CODE_STUB.split("\n"))

    return SOLUTION.sub(blank, source)


def solution(source: str) -> str:
    """Return a solution cell's code without the markers."""
    return re.sub(r"^ *### (BEGIN|END) SOLUTION\n?", "", source, flags=re.MULTILINE).rstrip()


def blank(notebook: NotebookNode) -> NotebookNode:
    """Return the notebook that a learner works in: no solutions, no outputs."""
    empty = for_students(notebook)
    for cell in empty.cells:
        if cell.cell_type == "code":
            cell.source, cell.outputs, cell.execution_count = stub(cell.source), [], None
    return empty


def write_blanks(book: Path, folder: Path) -> list[Path]:
    """Write the blank notebooks into a folder, and return those that were not there yet."""
    written = []
    for name in (*CHAPTERS, CONCEPT_TEST):
        source, target = source_path(book, name), folder / f"{name}.ipynb"
        if source.is_file() and not target.exists():
            folder.mkdir(parents=True, exist_ok=True)
            nbformat.write(blank(read(source)), target)
            written.append(target)
    return written


def varied(notebook: NotebookNode, variants: dict[str, int]) -> NotebookNode:
    """Return a copy of a student's notebook in which some checks, by grade_id, ask for a variant.

    The sentence of the variant stands at the end of the exercise's statement.
    """
    changed, statement = copy.deepcopy(notebook), None
    for cell in changed.cells:
        if cell.cell_type == "markdown" and HEADING.search(cell.source):
            statement = cell
        number = variants.get(grade_id(cell), 0)
        if number and statement is not None:
            check = check_of(cell)
            sentence = check.exercise.variants[number - 1].sentence
            statement.source += f"\n\n**Your variant ({number}).** {sentence}"
            cell.source = cell.source.rstrip().removesuffix(")") + f", variant={number})"
    return changed


def without_variant(source: str) -> str:
    """Return the line of a check as everyone gets it, without a student's variant.

    >>> without_variant("checks.attention(attention, points=4, variant=2)")
    'checks.attention(attention, points=4)'
    """
    return re.sub(r", variant=\d+\)$", ")", source)
