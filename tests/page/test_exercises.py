"""Exercise pages: what is to be filled is shown, solutions are folded, and blanks can be taken along."""

from pathlib import Path

import nbformat
import pytest
from book.theme.exercises import ROOT, present
from bs4 import BeautifulSoup

from lesson_tf.grading.exercise_sources import CHAPTERS, CONCEPT_TEST, blank, read, source_path

BUILT = ROOT / "_build" / "html" / "book" / "en"
NAMES = (*CHAPTERS, CONCEPT_TEST)


def source(name: str) -> nbformat.NotebookNode:
    return read(source_path(ROOT / "book" / "en", name))


def page_path(name: str) -> Path:
    return source_path(BUILT, name).with_suffix(".html")


def page_of(name: str) -> BeautifulSoup:
    return BeautifulSoup(page_path(name).read_text("utf-8"), "html.parser")


def outside_folds(page: BeautifulSoup) -> str:
    article = BeautifulSoup(str(page.article), "html.parser")
    for fold in article.find_all("details"):
        fold.decompose()
    return article.get_text()


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_solutions_are_folded_and_blanks_shown(chapter):
    page = page_of(chapter)
    stubs = sum("### BEGIN SOLUTION" in cell.source for cell in source(chapter).cells)
    assert outside_folds(page).count("# Write your code here.") >= stubs >= 3
    assert "SOLUTION" not in page.get_text()
    assert "Write your answer here" not in page.get_text()
    folds = [fold.summary.get_text() for fold in page.article.find_all("details") if fold.summary]
    assert sum("Worked solution" in fold for fold in folds) >= 6
    solved = [fold for fold in page.article.find_all("details") if "Worked solution" in fold.text]
    assert sum("def " in fold.text or "class " in fold.text for fold in solved) >= stubs


def test_the_answers_of_the_concept_test_are_folded():
    page = page_of(CONCEPT_TEST)
    outside = outside_folds(page)
    assert outside.count("# Write your code here.") == 1
    assert ") is right:" not in outside
    assert page.article.get_text().count(") is right:") == 18
    assert "SOLUTION" not in page.get_text() and "18 of 18" not in outside


@pytest.mark.parametrize("name", NAMES)
def test_the_notebook_with_blanks_lies_beside_the_page(name):
    (link,) = page_of(name).article.find_all("a", download=True)
    downloaded = read(page_path(name).with_name(link["href"]))
    assert [cell.source for cell in downloaded.cells] == [
        cell.source for cell in blank(source(name)).cells
    ]


@pytest.mark.parametrize("name", NAMES)
def test_binder_opens_the_blanks(name):
    text = page_path(name).read_text("utf-8")
    assert f"urlpath=lab/tree/exercises/{name}.ipynb" in text
    assert f"lab/tree/{source_path(Path('book/en'), name).as_posix()}" not in text


@pytest.mark.parametrize("name", NAMES)
def test_hidden_solutions_are_not_in_the_page(name):
    notebook = source(name)
    secrets = [c.source for c in notebook.cells if "solution" in c.metadata.get("tags", [])]
    present(notebook, solutions=False)
    shown = [c for c in notebook.cells if "remove-cell" not in c.metadata.get("tags", [])]
    assert not set(secrets) & {cell.source for cell in shown}
    assert not any("SOLUTION" in cell.source for cell in shown)
    # The hidden cells still run: others may need them.
    assert [c.source for c in notebook.cells if c.cell_type == "code"] == [
        c.source for c in source(name).cells if c.cell_type == "code"
    ]
