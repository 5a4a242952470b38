"""Rules of a chapter's exercises: kinds, bones, points, and what nbgrader needs. Importing adds them."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from lint import rule
from nbformat import NotebookNode
from reading import Notebook, tags

from lesson_tf.grading.exercise_sources import HEADING, check_of

ABOUT = re.compile(
    r"^\*(?P<kind>Predict|Explain|Implement|Experiment) · difficulty (?P<difficulty>[123]) of 3 · "
    r"(?P<minutes>\d+) minutes · (?P<points>\d+) points · skill: [^*]+\*$",
    re.MULTILINE,
)
HINT = "<details>\n<summary>Hint</summary>\n\n"


@dataclass
class Part:
    """One exercise of a notebook: its heading's number, its statement, and the cells after it."""

    number: int
    statement: NotebookNode
    cells: list[NotebookNode]

    @property
    def name(self) -> str:
        """Return the name with which its cells' ids begin."""
        return self.statement.id.removesuffix("-statement")

    def cell(self, suffix: str) -> NotebookNode | None:
        """Return the cell with this end of its id."""
        return next((cell for cell in self.cells if cell.id == f"{self.name}-{suffix}"), None)


def parts(notebook: Notebook) -> list[Part]:
    """Return the exercises of a notebook."""
    found: list[Part] = []
    for cell in notebook.cells:
        heading = HEADING.search(cell.source) if cell.cell_type == "markdown" else None
        if heading:
            found.append(Part(int(heading[1]), cell, []))
        elif found and "book-only" not in tags(cell):
            found[-1].cells.append(cell)
    return found


@rule
def exercises_are_complete(notebook: Notebook) -> list[str]:
    """At least six, numbered, of every kind, each with its statement, hint, room and solution."""
    if not notebook.is_exercises:
        return []
    found = parts(notebook)
    faults = [] if len(found) >= 6 else [f"{len(found)} exercises; six are wanted"]
    if [part.number for part in found] != list(range(1, len(found) + 1)):
        faults.append("the exercises are not numbered from 1")
    kinds = Counter(
        about["kind"] for part in found if (about := ABOUT.search(part.statement.source))
    )
    if kinds["Implement"] < 3 or kinds["Experiment"] < 1 or kinds["Predict"] + kinds["Explain"] < 2:
        faults.append(
            f"the kinds are {dict(kinds)}; three to implement, two in words, one experiment"
        )
    return faults + [fault for part in found for fault in part_faults(part)]


def part_faults(part: Part) -> Iterator[str]:
    """Yield what one exercise lacks."""
    about = ABOUT.search(part.statement.source)
    if not part.statement.id.endswith("-statement"):
        yield f"cell {part.statement.id} should be called NAME-statement"
    if not about:
        yield f"{part.name} has no line “*Implement · difficulty 1 of 3 · 15 minutes · 4 points · skill: …*”"
        return
    if HINT not in part.statement.source:
        yield f"{part.name} has no folded hint"
    points = int(about["points"])
    if about["kind"] == "Implement":
        yield from implement_faults(part, points)
    else:
        yield from words_faults(part, points)


def implement_faults(part: Part, points: int) -> Iterator[str]:
    """Yield what an exercise with a check lacks."""
    solution, check, worked = (part.cell(name) for name in ("solution", "check", "worked"))
    if solution is None or "### BEGIN SOLUTION" not in solution.source:
        yield f"{part.name}-solution is missing, or marks no solution"
    elif solution.metadata.get("nbgrader") != about_cell(solution.id, solution=True):
        yield f"{part.name}-solution has other metadata for nbgrader"
    if check is None or check_of(check) is None:
        yield f"{part.name}-check is missing"
    elif check.metadata.get("nbgrader") != about_cell(check.id, points):
        yield f"{part.name}-check has other metadata or points than {points}"
    elif not re.fullmatch(r"checks\.\w+\(\w+, points=\d+\)", check.source):
        yield f"{part.name}-check should be one line, checks.NAME(attempt, points={points})"
    elif not any(
        output.get("data", {}).get("text/plain", "").split("\n")[0].count(": right,")
        for output in check.outputs
    ):
        yield f"{part.name}-check does not show that the solution is right"
    if (
        worked is None
        or tags(worked) != {"solution"}
        or "<summary>Worked solution" not in worked.source
    ):
        yield f"{part.name}-worked is missing, or is no folded solution with the tag"


def words_faults(part: Part, points: int) -> Iterator[str]:
    """Yield what an exercise in words lacks: room, rubric, samples at nothing, half and full."""
    answer, rubric = part.cell("answer"), part.cell("rubric")
    if answer is None or answer.source != "*Write your answer here.*":
        yield f"{part.name}-answer is missing, or says something else"
    elif answer.metadata.get("nbgrader") != about_cell(answer.id, points, solution=True):
        yield f"{part.name}-answer has other metadata or points than {points}"
    if rubric is None or tags(rubric) != {"solution"}:
        yield f"{part.name}-rubric is missing, or has not the tag alone"
        return
    samples = re.findall(r"^\*\*(Nothing|Half|Full) \((\d+) points?\)\.?\*\*", rubric.source, re.M)
    wanted = [("Nothing", "0"), ("Half", str(points // 2)), ("Full", str(points))]
    if samples != wanted:
        yield f"{part.name}-rubric has the samples {samples}; {wanted} are wanted"
    if "<summary>Worked solution" not in rubric.source:
        yield f"{part.name}-rubric is not folded as a worked solution"


def about_cell(name: str, points: int | None = None, *, solution: bool = False) -> dict:
    """Return nbgrader's metadata of a cell."""
    told = {"grade": points is not None, "grade_id": name, "locked": not solution}
    told |= {"schema_version": 3, "solution": solution, "task": False}
    return told if points is None else told | {"points": points}


@rule
def only_exercises_are_graded(notebook: Notebook) -> list[str]:
    """Every graded or hidden cell belongs to its scheme, and a lesson has none."""
    graded = [cell.id for cell in notebook.cells if "nbgrader" in cell.metadata]
    if not notebook.is_graded:
        return [f"cell {name} has metadata of nbgrader in a lesson" for name in graded]
    known = re.compile(r".*-(solution|check|answer)$")
    faults = [
        f"cell {name} is graded; call it …-solution, -check or -answer"
        for name in graded
        if not known.match(name)
    ]
    for cell in notebook.cells:
        if "### BEGIN SOLUTION" in cell.source and not cell.id.endswith("-solution"):
            faults.append(f"cell {cell.id} marks a solution that nbgrader would not clear")
        directive = re.search(r"^\s*(:::|```\{)|\{(cite|ref|doc|term)\}`", cell.source, re.M)
        if cell.cell_type == "markdown" and directive and "book-only" not in tags(cell):
            faults.append(
                f"cell {cell.id} holds {directive[0].strip()}, which plain Jupyter does not show"
            )
    return faults
