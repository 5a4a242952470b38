"""Every rule on every notebook of the book; `-k NAME` picks one notebook or one rule."""

import exercise_rules  # noqa: F401 (its import adds rules)
import pytest
from lint import RULES, missing_pages, notebooks, shown_twice, stale_exceptions
from reading import ROOT, Notebook

PATHS = notebooks()


def test_there_are_notebooks():
    assert PATHS


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.relative_to(ROOT / "book").as_posix())
def test_notebook(path, rule):
    complain(rule(Notebook.read(path)))


def test_each_entry_of_the_contents_is_a_page():
    complain(missing_pages())


def test_each_definition_is_shown_once():
    complain(shown_twice([Notebook.read(path) for path in PATHS]))


def test_each_exception_is_needed():
    complain(stale_exceptions([Notebook.read(path) for path in PATHS]))


def complain(sentences):
    if sentences:
        pytest.fail("\n".join(sentences), pytrace=False)
