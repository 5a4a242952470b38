"""A small assignment, and notebooks as students hand them in."""

import copy
import io
import json
import zipfile
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

NAME = "attention"

RIGHT_ATTENTION = """\
def attention(query, key, value):
    scores = query @ key.mT / query.shape[-1] ** 0.5
    weights = scores.softmax(-1)
    return weights @ value, weights
"""
UNSCALED_ATTENTION = """\
def attention(query, key, value):
    weights = (query @ key.mT).softmax(-1)
    return weights @ value, weights
"""
RIGHT_MASK = """\
def decoder_mask(token_ids, pad_id):
    length = token_ids.shape[1]
    past = torch.ones(length, length, dtype=torch.bool).tril()
    return past & (token_ids != pad_id)[:, None, None, :]
"""
FULL = 9.0  # Points that a program gives: attention 4, masks 5. The text is worth 4 more.


def graded(name: str, points: float | None = None, *, solution: bool) -> dict:
    """Return nbgrader's metadata of a cell."""
    told = {"grade": points is not None, "grade_id": name, "locked": not solution}
    told |= {"schema_version": 3, "solution": solution, "task": False}
    return {"nbgrader": told if points is None else told | {"points": points}}


def source_notebook() -> NotebookNode:
    """Return an instructor's notebook: two checked exercises and a written one."""
    cells = [
        new_markdown_cell("# Exercises: attention\n\nThree of them.", id="title"),
        new_code_cell("import torch\n\nfrom lesson_tf import checks", id="setup"),
        new_markdown_cell("## Exercise 1: Attention\n\nWrite it.", id="attention-statement"),
        new_code_cell(
            _with_markers(RIGHT_ATTENTION),
            id="attention-solution",
            metadata=graded("attention-solution", solution=True),
        ),
        new_code_cell(
            "checks.attention(attention, points=4)",
            id="attention-check",
            metadata=graded("attention-check", 4, solution=False),
        ),
        new_markdown_cell(
            "SECRET-SOLUTION", id="attention-worked", metadata={"tags": ["solution"]}
        ),
        new_markdown_cell("## Exercise 2: Masks\n\nWrite it.", id="masks-statement"),
        new_code_cell(
            _with_markers(RIGHT_MASK),
            id="masks-solution",
            metadata=graded("masks-solution", solution=True),
        ),
        new_code_cell(
            "checks.two_masks(decoder_mask, points=5)",
            id="masks-check",
            metadata=graded("masks-check", 5, solution=False),
        ),
        new_markdown_cell("## Exercise 3: Why\n\nExplain.", id="why-statement"),
        new_markdown_cell(
            "*Write your answer here.*",
            id="why-answer",
            metadata=graded("why-answer", 4, solution=True),
        ),
        new_code_cell("SECRET_TRUTH = 1", id="why-truth", metadata={"tags": ["solution"]}),
        new_markdown_cell("[On](next.ipynb)", id="next", metadata={"tags": ["book-only"]}),
    ]
    return new_notebook(cells=cells)


def _with_markers(source: str) -> str:
    head, *body = source.rstrip().split("\n")
    return "\n".join([head, "    ### BEGIN SOLUTION", *body, "    ### END SOLUTION"])


def write_book(folder: Path, chapter: str = NAME) -> Path:
    """Write a book with one chapter's exercises, and return its folder."""
    path = folder / "book" / chapter / "exercises.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(source_notebook(), path)
    return folder / "book"


def filled(
    release: NotebookNode,
    attention: str | None = RIGHT_ATTENTION,
    mask: str | None = RIGHT_MASK,
    why: str | None = "Since a row is a mixture.",
    extra: str | None = None,
) -> NotebookNode:
    """Return a student's notebook: the release with these answers, and a cell of the student's own."""
    notebook = copy.deepcopy(release)
    answers = {"attention-solution": attention, "masks-solution": mask, "why-answer": why}
    for cell in notebook.cells:
        answer = answers.get(cell.metadata.get("nbgrader", {}).get("grade_id"))
        if answer is not None:
            cell.source = answer
    if extra is not None:
        notebook.cells.insert(2, new_code_cell(extra, id="extra"))
    return notebook


def hand_in(
    folder: Path, student: str, notebook: NotebookNode, name: str = f"{NAME}.ipynb"
) -> Path:
    """Write a notebook into a student's folder."""
    path = folder / student / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return path


def zipped(entries: dict[str, bytes | str]) -> bytes:
    """Return a zip with these entries."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return data.getvalue()
