"""Exercise pages: the stub to be filled, the solution folded, and the notebook with blanks beside them.

One notebook is page, blank and assignment. Here it becomes the page: solution cells run unseen, their
stub is shown, and their code goes into the fold of the worked solution. `SOLUTIONS=hidden` leaves all
solutions out.
"""

import os
from pathlib import Path

import nbformat
from sphinx.application import Sphinx

from lesson_tf.grading.exercise_sources import blank, blank_name, read, solution, stub

ROOT = Path(__file__).resolve().parents[2]


def present(notebook: nbformat.NotebookNode, solutions: bool = True) -> None:
    """Change a notebook of exercises into what its page shows."""
    cells, waiting = [], ""
    for cell in notebook.cells:
        graded = cell.metadata.get("nbgrader", {})
        tags = cell.metadata.setdefault("tags", [])
        if graded.get("solution") and cell.cell_type == "code":
            cells.append(_markdown(f"{cell.id}-stub", _fence(stub(cell.source))))
            waiting = solution(cell.source)
            tags.append("remove-cell")
        elif graded.get("solution"):
            continue  # Room for an answer in words, of which a page has no use.
        elif graded.get("grade"):
            tags.append("remove-output")
        elif "solution" in tags and not solutions:
            if cell.cell_type == "markdown":
                continue
            tags.append("remove-cell")
        elif "solution" in tags and waiting and cell.cell_type == "markdown":
            cell.source = _with_code(cell.source, waiting)
            waiting = ""
        cells.append(cell)
    notebook.cells = cells


def _markdown(name: str, source: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_markdown_cell(source, id=name[:64])


def _fence(code: str) -> str:
    return f"```python\n{code}\n```"


def _with_code(source: str, code: str) -> str:
    """Put code at the top of a fold."""
    head, summary, rest = source.partition("</summary>")
    return f"{head}{summary}\n\n{_fence(code)}\n{rest}"


def _link_to_blank(notebook: nbformat.NotebookNode, name: str) -> None:
    """Say below the title where to get the notebook with blanks."""
    title = notebook.cells[0]
    title.source += (
        f'\n\n<a href="{name}" download>Download the notebook with blanks</a>, or open it in Binder '
        "(above), and let the checks answer you."
    )


def _show_exercises(app: Sphinx, page: str, source: list[str]) -> None:
    name = blank_name(page)
    if name:
        notebook = nbformat.reads(source[0], as_version=4)
        _link_to_blank(notebook, f"{name}.ipynb")
        present(notebook, app.config.book_solutions != "hidden")
        source[0] = nbformat.writes(notebook)


def _write_blanks(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        for page in filter(blank_name, app.env.found_docs):
            target = Path(app.outdir) / page
            notebook = blank(read(ROOT / f"{page}.ipynb"))
            nbformat.write(notebook, target.with_name(f"{blank_name(page)}.ipynb"))


def setup(app: Sphinx) -> None:
    """Present the exercises, and write the notebooks with blanks."""
    app.add_config_value("book_solutions", os.environ.get("SOLUTIONS", "shown"), "env")
    app.connect("source-read", _show_exercises)
    app.connect("build-finished", _write_blanks)
