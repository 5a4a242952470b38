"""A submitted notebook read without trust, and laid over the notebook that was handed out."""

import copy
import hashlib
import html
import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace

import nbformat
from nbformat import NotebookNode

from lesson_tf.grading.exercise_sources import grade_id, without_variant
from lesson_tf.grading.owners import plain_name, same_letters
from lesson_tf.grading.submissions import File, Refusal

MOST_CELLS = 2_000
MOST_CODE = 2_000_000
# Pages are made of prose, outside the sandbox, by programs that need long for odd marks.
MOST_PROSE_A_CELL = 20_000
MOST_PROSE = 200_000
PICTURE = re.compile(r"data:image/\w+;base64,[A-Za-z0-9+/=]+")
SCRIPT = re.compile(r"(java|vb)script:|data:(text|application)/")


@dataclass(frozen=True)
class Submission:
    """A notebook to be graded: whose, for what, its cells in order, and what was odd about it."""

    student: str
    assignment: str
    origin: str
    notebook: NotebookNode
    remarks: tuple[str, ...] = ()
    late: bool = False
    made_for: str = ""  # Whose variants it asks for, as it says.

    @property
    def digest(self) -> str:
        """Return a hash of the cells."""
        cells = [[cell.cell_type, cell.source] for cell in self.notebook.cells]
        return hashlib.sha256(json.dumps([cells, self.remarks]).encode()).hexdigest()[:16]


def submissions_of(
    files: list[File], handed_out: Mapping[str, NotebookNode]
) -> tuple[list[Submission], list[Refusal]]:
    """Return one submission for each student and assignment, the last one written, and the refusals.

    `handed_out` has the notebooks that students got, by assignment.
    """
    found: dict[tuple[str, str], tuple[float, Submission]] = {}
    refused, read = [], []
    for file in files:
        try:
            read.append((file, read_submission(file, handed_out)))
        except ValueError as error:
            refused.append(Refusal(file.student, file.origin, str(error), _named(file, handed_out)))
    read, mixed = _of_one_name(_told_apart(read))
    refused += mixed
    for file, submission in read:
        key = (submission.student, submission.assignment)
        if key in found:
            earlier = min((found[key], (file.written, submission)), key=lambda pair: pair[0])[1]
            refused.append(
                Refusal(file.student, earlier.origin, "a later one took its place", key[1], True)
            )
        if key not in found or file.written >= found[key][0]:
            found[key] = (file.written, submission)
    return [submission for _, submission in found.values()], _needed(refused, found)


def _told_apart(read: list[tuple[File, Submission]]) -> list[tuple[File, Submission]]:
    """Give students of one name, whom Moodle numbers differently, different names.

    Moodle numbers a student anew for each assignment.
    """
    numbers = defaultdict(set)
    for file, submission in read:
        numbers[submission.student, submission.assignment].add(file.number)
    return [
        (file, replace(one, student=f"{one.student}-{file.number}"))
        if file.number and len(numbers[one.student, one.assignment]) > 1
        else (file, one)
        for file, one in read
    ]


def _of_one_name(
    read: list[tuple[File, Submission]],
) -> tuple[list[tuple[File, Submission]], list[Refusal]]:
    """Refuse those whose different names would be one in the gradebook: none may get another's grade."""
    owners = defaultdict(set)
    for file, one in read:
        owners[one.student].add(unicodedata.normalize("NFC", file.owner).strip())
    kept = [(file, one) for file, one in read if len(owners[one.student]) == 1]
    refused = [
        Refusal(
            one.student,
            file.origin,
            f"the names {' and '.join(map(repr, sorted(owners[one.student])))} would be one in the "
            "gradebook; rename one of them",
            one.assignment,
        )
        for file, one in read
        if len(owners[one.student]) > 1
    ]
    return kept, refused


def _named(file: File, handed_out: Mapping[str, NotebookNode]) -> str:
    """Return the assignment that a file's path names."""
    return next((name for name in handed_out if name in file.origin), "")


def _needed(refused: list[Refusal], found: Mapping) -> list[Refusal]:
    """Leave out files beside a notebook that was read, such as pictures: they are no submission."""
    served = {student for student, _ in found}
    return [r for r in refused if r.student not in served or "is no notebook" not in r.reason]


def read_submission(file: File, handed_out: Mapping[str, NotebookNode]) -> Submission:
    """Read a file as a submission; raises ValueError that says what it is instead."""
    if file.name.endswith(".icloud"):
        raise ValueError(f"{file.name} stands for a notebook that was left in iCloud")
    if not file.name.lower().endswith((".ipynb", ".json", ".ipynb.txt")):
        raise ValueError(f"{file.name} is no notebook (.ipynb)")
    if not file.data.strip():
        raise ValueError("the file is empty")
    notebook = _parse(file.data)
    assignment = assignment_of(notebook, handed_out, file.origin)
    if not assignment:
        known = ", ".join(handed_out)
        raise ValueError(f"its cells belong to none of the assignments: {known}")
    remarks = [] if assignment in file.name else [f"the file was called {file.name}"]
    laid, odd = lay_over(notebook, handed_out[assignment])
    if notebook.metadata["cut"]:
        odd.append("it is so long that its end, or that of a cell, was cut off")
    made_for = notebook.metadata["made_for"]
    if made_for and not same_letters(made_for, file.student):
        odd.append(f"the notebook was made for {made_for}")
    remarks = (*remarks, *odd)
    return Submission(file.student, assignment, file.origin, laid, remarks, file.late, made_for)


def _parse(data: bytes) -> NotebookNode:
    """Return a notebook whose cells are all a type and a source, whatever else the file holds."""
    try:
        content = json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ValueError("it is not text in UTF-8, so it is no notebook") from error
    except (ValueError, RecursionError) as error:
        merged = re.search(rb"^(<<<<<<<|>>>>>>>) ", data, re.MULTILINE)
        why = ", for it holds the marks of a merge (<<<<<<<)" if merged else ""
        raise ValueError(f"it is broken: it cannot be read as JSON{why}") from error
    if not isinstance(content, dict) or not isinstance(content.get("cells"), list):
        raise ValueError("it is JSON, but no notebook of format 4: it has no list of cells")
    notebook = nbformat.v4.new_notebook()
    notebook.metadata["given"] = _ours(content, "assignment")
    notebook.metadata["made_for"] = _ours(content, "student")
    notebook.metadata["cut"] = len(content["cells"]) > MOST_CELLS
    room = MOST_PROSE
    for place, given in enumerate(content["cells"][:MOST_CELLS]):
        if not isinstance(given, dict):
            continue
        source = given.get("source", "")
        if isinstance(source, list):
            source = "".join(part for part in source if isinstance(part, str))
        if not isinstance(source, str):
            source = ""
        source = source.encode("utf-8", "replace").decode()  # Half a character would stop a writer.
        if given.get("cell_type") != "code":
            source, was = _harmless(source, room), len(source)
            room -= len(source)
            notebook.metadata["cut"] |= was > len(source) + 100
        make = {"code": nbformat.v4.new_code_cell, "raw": nbformat.v4.new_raw_cell}
        cell = make.get(given.get("cell_type"), nbformat.v4.new_markdown_cell)(source)
        cell.id = f"cell-{place}"
        cell.metadata["given"] = _name_in(given)
        notebook.cells.append(cell)
    written = sum(len(cell.source) for cell in notebook.cells)
    if written > MOST_CODE:
        raise ValueError(f"its cells hold {written} characters; {MOST_CODE} are allowed")
    return notebook


def _harmless(prose: str, room: int) -> str:
    """Return prose without pictures, which are not shown, and no longer than there is room.

    What could hold a link that runs a script is shown as it was typed.
    """
    text = PICTURE.sub("picture", prose)[: max(0, min(MOST_PROSE_A_CELL, room))]
    plain = text
    for _ in range(3):
        plain = html.unescape(plain)
    if SCRIPT.search(re.sub(r"[\s\x00-\x20\\]", "", plain).lower()):
        return "\n".join(f"    {line}" for line in text.split("\n"))
    return text


def _ours(content: dict, key: str) -> str:
    """Return what `make assignments` wrote into the metadata of a notebook, or an empty text."""
    metadata = content.get("metadata")
    ours = metadata.get("lesson_tf") if isinstance(metadata, dict) else None
    name = ours.get(key) if isinstance(ours, dict) else None
    return plain_name(name) if isinstance(name, str) and name else ""


def _name_in(cell: dict) -> str:
    """Return a cell's name in the gradebook: from its metadata, or, if a tool dropped them, its id."""
    metadata = cell.get("metadata")
    graded = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    name = graded.get("grade_id") if isinstance(graded, dict) else cell.get("id")
    return name if isinstance(name, str) else ""


def assignment_of(
    notebook: NotebookNode, handed_out: Mapping[str, NotebookNode], origin: str = ""
) -> str:
    """Return the assignment with which a notebook shares most cells, or an empty text.

    Of two that share as many, the one which its metadata names is meant, else the one in the path.
    """
    given = {cell.metadata["given"] for cell in notebook.cells}
    shared = {
        name: len(given & {grade_id(cell) for cell in release.cells if grade_id(cell)})
        for name, release in handed_out.items()
    }
    told = notebook.metadata.get("given")
    best = max(shared, key=lambda n: (shared[n], n == told, n in origin), default="")
    return best if best and shared[best] else ""


def lay_over(submitted: NotebookNode, handed_out: NotebookNode) -> tuple[NotebookNode, list[str]]:
    """Return the submitted cells with the metadata of those handed out, and what was tampered with.

    Locked cells get their source back, cells that are missing are put back, and a second cell of one
    name is a cell of the student's own.
    """
    known = {grade_id(cell): cell for cell in handed_out.cells if grade_id(cell)}
    laid, remarks, seen = copy.deepcopy(submitted), [], {}
    for cell in laid.cells:
        name = cell.metadata.pop("given", "")
        if name not in known:
            continue
        if name in seen:
            remarks.append(f"cell {name} was there twice; the first one counts")
            continue
        seen[name] = cell
        remarks += _restore(cell, known[name])
    for name, original in known.items():
        if name not in seen:
            remarks.append(f"cell {name} was missing")
            added = copy.deepcopy(original)
            added.id = f"restored-{len(laid.cells)}"
            laid.cells.append(added)
    laid.metadata = copy.deepcopy(handed_out.metadata)
    return laid, remarks


def _restore(cell: NotebookNode, original: NotebookNode) -> list[str]:
    """Give a cell its metadata back, and its type and source if it was locked."""
    name, locked = grade_id(original), original.metadata.nbgrader.get("locked", False)
    cell.metadata = copy.deepcopy(original.metadata)
    if cell.cell_type == original.cell_type and not locked:
        return []
    if cell.cell_type == original.cell_type and without_variant(cell.source) == original.source:
        cell.source = original.source  # Which variant a student has is not the student's to say.
        return []
    if cell.cell_type != original.cell_type:
        cell.cell_type = original.cell_type
        if original.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        else:
            cell.pop("outputs", None)
            cell.pop("execution_count", None)
        if not locked:
            return [f"cell {name} was of another type"]
    cell.source = original.source
    return [f"cell {name} was changed, though it is locked"]
