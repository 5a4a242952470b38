"""The runner keeps text alone, and nbval then compares that text and nothing else."""

import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from reading import ROOT

CELLS = {
    "show-number": "print('数')\n3.25",
    "draw-line": "import matplotlib.pyplot as plt\nplt.plot([1, 2]);",
    "show-html": "from IPython.display import HTML\nHTML('<b>bold</b>')",
    "explorers-make-no-widget": "import os\nos.environ['LESSON_TF_BOOK'], os.path.exists(NAME)",
}


def command(*arguments, cwd: Path) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *arguments], cwd=cwd, capture_output=True, text=True)


def write(path: Path, cells: dict[str, str]) -> Path:
    """Write a notebook as an editor might leave it: with state and without outputs."""
    code = [
        new_code_cell(text.replace("NAME", repr(path.name)), id=name, metadata={"scrolled": True})
        for name, text in cells.items()
    ]
    code[0].metadata["tags"] = ["kept"]
    notebook = new_notebook(cells=[new_markdown_cell("# 題", id="title"), *code])
    nbformat.write(notebook, path)
    return path


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """A folder with one notebook that the runner has executed."""
    folder = tmp_path_factory.mktemp("book")
    path = write(folder / "lesson.ipynb", CELLS)
    ran = command(ROOT / "book" / "run_notebooks.py", path, cwd=ROOT)
    assert ran.returncode == 0, ran.stderr
    return path


def test_text_is_kept_and_nothing_else(executed):
    cells = nbformat.read(executed, as_version=4).cells[1:]
    assert [cell.execution_count for cell in cells] == [1, 2, 3, 4]
    assert [cell.id for cell in cells] == list(CELLS)
    assert [cell.metadata for cell in cells] == [{"tags": ["kept"]}, {}, {}, {}]
    assert cells[0].outputs[0].text == "数\n"
    data = [output.data for cell in cells for output in cell.outputs if "data" in output]
    assert [set(kinds) for kinds in data] == [{"text/plain"}] * 4
    assert data[1]["text/plain"].startswith("<Figure size")
    assert data[3]["text/plain"] == "('1', True)"  # the variable is set, the folder is its own


def test_a_second_run_changes_nothing(executed):
    before = executed.read_bytes()
    ran = command(ROOT / "book" / "run_notebooks.py", executed, cwd=ROOT)
    assert "unchanged" in ran.stdout
    assert executed.read_bytes() == before
    assert "題".encode() in before
    assert before.endswith(b"}\n")


def test_what_goes_wrong_is_named_and_a_notebook_that_raises_left_alone(tmp_path):
    raises = write(tmp_path / "raises.ipynb", {"fine": "1", "divide": "1 / 0"})
    warns = write(tmp_path / "warns.ipynb", {"warn": "import warnings\nwarnings.warn('look')"})
    before = raises.read_bytes()
    ran = command(ROOT / "book" / "run_notebooks.py", raises, warns, cwd=ROOT)
    assert ran.returncode == 1
    assert "raises.ipynb: stopped at cell divide" in ran.stderr
    assert "ZeroDivisionError" in ran.stderr
    assert raises.read_bytes() == before
    assert "warns.ipynb: warning: cell warn wrote to the error stream" in ran.stderr


@pytest.mark.parametrize(("changed", "failures"), [("3.25", []), ("3.26", ["Cell 0"])])
def test_nbval_compares_text(executed, tmp_path, changed, failures):
    for name in ("conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    notebook = nbformat.read(executed, as_version=4)
    for output in [output for cell in notebook.cells[1:] for output in cell.outputs]:
        if "data" in output:
            output.data["text/plain"] = output.data["text/plain"].replace("3.25", changed)
    nbformat.write(notebook, tmp_path / "lesson.ipynb")
    ran = command("-m", "pytest", "--nbval", "-q", "-p", "no:cacheprovider", ".", cwd=tmp_path)
    failed = [
        line.split("::")[1].split(" - ")[0]
        for line in ran.stdout.splitlines()
        if line.startswith("FAILED")
    ]
    assert failed == failures, ran.stdout
    assert ran.returncode == (1 if failures else 0)
