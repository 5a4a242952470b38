"""Exercise pages: what is to be filled is shown, solutions are folded, and blanks can be taken along."""

import nbformat
import pytest
from book.theme.exercises import ROOT, present
from bs4 import BeautifulSoup

from lesson_tf.grading.exercise_sources import CHAPTERS, blank, read

BUILT = ROOT / "_build" / "html" / "book" / "en"


def source(chapter: str) -> nbformat.NotebookNode:
    return read(ROOT / "book" / "en" / chapter / "exercises.ipynb")


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_solutions_are_folded_and_blanks_shown(chapter):
    page = BeautifulSoup((BUILT / chapter / "exercises.html").read_text("utf-8"), "html.parser")
    outside = BeautifulSoup(str(page.article), "html.parser")
    for fold in outside.find_all("details"):
        fold.decompose()
    stubs = sum("### BEGIN SOLUTION" in cell.source for cell in source(chapter).cells)
    assert outside.get_text().count("# Write your code here.") >= stubs >= 3
    assert "SOLUTION" not in page.get_text()
    assert "Write your answer here" not in page.get_text()
    folds = [fold.summary.get_text() for fold in page.article.find_all("details") if fold.summary]
    assert sum("Worked solution" in fold for fold in folds) >= 6
    solved = [fold for fold in page.article.find_all("details") if "Worked solution" in fold.text]
    assert sum("def " in fold.text or "class " in fold.text for fold in solved) >= stubs


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_notebook_with_blanks_lies_beside_the_page(chapter):
    page = BeautifulSoup((BUILT / chapter / "exercises.html").read_text("utf-8"), "html.parser")
    (link,) = page.article.find_all("a", download=True)
    downloaded = read(BUILT / chapter / link["href"])
    assert [cell.source for cell in downloaded.cells] == [
        cell.source for cell in blank(source(chapter)).cells
    ]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_binder_opens_the_blanks(chapter):
    text = (BUILT / chapter / "exercises.html").read_text("utf-8")
    assert f"urlpath=lab/tree/exercises/{chapter}.ipynb" in text
    assert f"lab/tree/book/en/{chapter}/exercises.ipynb" not in text


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_hidden_solutions_are_not_in_the_page(chapter):
    notebook = source(chapter)
    secrets = [c.source for c in notebook.cells if "solution" in c.metadata.get("tags", [])]
    present(notebook, solutions=False)
    shown = [c for c in notebook.cells if "remove-cell" not in c.metadata.get("tags", [])]
    assert not set(secrets) & {cell.source for cell in shown}
    assert not any("SOLUTION" in cell.source for cell in shown)
    # The hidden cells still run: others may need them.
    assert [c.source for c in notebook.cells if c.cell_type == "code"] == [
        c.source for c in source(chapter).cells if c.cell_type == "code"
    ]
