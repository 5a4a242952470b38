"""Copies of the project: as cloned, and with its requirements installed."""

import shutil
import sys
from pathlib import Path

import pytest
from newcomer import run

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "_build", "node_modules", "__pycache__", ".*_cache", ".hypothesis"
)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture
def copy(tmp_path) -> Path:
    """The project as a fresh clone holds it, in a folder with a space in its name."""
    return shutil.copytree(ROOT, tmp_path / "my course", ignore=LEFT_OUT)


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A copy whose folder `env` is an environment that `pip install -r requirements.txt` filled."""
    folder = shutil.copytree(ROOT, tmp_path_factory.mktemp("habits") / "course", ignore=LEFT_OUT)
    assert run([sys.executable, "-m", "venv", "env"], folder).returncode == 0
    pip = ["env/bin/pip", "install", "--quiet", "-r", "requirements.txt"]
    result = run(pip, folder, seconds=1800)
    assert result.returncode == 0, result.stdout
    # nbval executes every notebook here; the build need not do so a second time.
    executed = ROOT / "_build/.executed"
    if executed.exists():
        shutil.copytree(executed, folder / "_build/.executed")
    return folder
