"""What people try by habit, in a fresh environment: pip, then jupyter-book and pytest by name."""

import os

from newcomer import run


def by_habit(folder, *command, **environment):
    """Run a command with the environment activated."""
    environment |= {
        "PATH": f"{folder}/env/bin:{os.environ['PATH']}",
        "VIRTUAL_ENV": f"{folder}/env",
    }
    return run(command, folder, seconds=1800, **environment)


def test_the_installed_packages_fit_together(installed):
    checked = by_habit(installed, "pip", "check")
    assert checked.returncode == 0, checked.stdout


def test_jupyter_book_build(installed):
    built = by_habit(installed, "jupyter-book", "build", ".")
    assert built.returncode == 0, built.stdout
    # With warnings it would say how many.
    assert "build succeeded." in built.stdout
    assert (installed / "_build/html/index.html").exists()


def test_pytest_nbval(installed):
    # Two notebooks at a time, which changes how long it takes and nothing else.
    two = {"PYTEST_ADDOPTS": "-n 2 --dist loadfile", "OMP_NUM_THREADS": "1"}
    tested = by_habit(installed, "pytest", "--nbval", "book", **two)
    assert tested.returncode == 0, tested.stdout
