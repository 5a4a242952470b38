"""`make` lists its targets, and each command runs again exactly when it has to."""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest
from newcomer import run, write_script

# Writes down that it ran, and builds what the real one would.
BUILD = """echo "$@" >> builds
mkdir -p _build/html _build/.doctrees
touch _build/html/index.html
"""


@pytest.fixture
def book(copy):
    """A copy whose .venv is ready and whose jupyter-book only writes down its calls."""
    write_script(copy / ".venv/bin/jupyter-book", BUILD)
    (copy / ".venv/.ready").touch()
    return copy


def builds(folder):
    calls = folder / "builds"
    return len(calls.read_text().splitlines()) if calls.exists() else 0


def test_make_alone_lists_every_target_on_a_line(root):
    listed = run(["make"], root)
    phony = re.search(r"^\.PHONY: (.+)$", (root / "Makefile").read_text(), re.M)[1].split()
    assert listed.returncode == 0
    assert [line.split()[1] for line in listed.stdout.splitlines()] == phony
    assert all(len(line.split()) > 3 and len(line) <= 90 for line in listed.stdout.splitlines())


def test_book_is_built_strictly_and_its_place_printed(book):
    result = run(["make", "book"], book)
    assert result.returncode == 0, result.stdout
    assert (book / "builds").read_text() == "build . -W -n --keep-going\n"
    assert f"{book}/_build/html/index.html" in result.stdout


def test_second_build_does_nothing(book):
    run(["make", "book"], book)
    start = time.monotonic()
    result = run(["make", "book"], book)
    assert result.returncode == 0
    assert builds(book) == 1
    assert time.monotonic() - start < 10
    assert "_build/html/index.html" in result.stdout


@pytest.mark.parametrize(
    "changed",
    [
        "src/lesson_tf/attention.py",
        "_config.yml",
        "_toc.yml",
        "book/en/references.bib",
        "book/theme/__init__.py",
        "requirements.txt",
    ],
)
def test_a_change_builds_anew(book, changed):
    run(["make", "book"], book)
    later = time.time() + 5
    os.utime(book / changed, (later, later))
    if changed == "requirements.txt":
        os.utime(book / ".venv/.ready", (later, later))
    run(["make", "book"], book)
    assert builds(book) == 2


def test_added_and_removed_pages_build_anew(book):
    run(["make", "book"], book)
    added = book / "book/en/added.md"
    added.write_text("# Added\n")
    os.utime(added, (1, 1))
    run(["make", "book"], book)
    assert builds(book) == 2
    added.unlink()
    run(["make", "book"], book)
    assert builds(book) == 3


def test_tests_readme_and_caches_do_not_build_anew(book):
    run(["make", "book"], book)
    later = time.time() + 5
    os.utime(book / "README.md", (later, later))
    (book / "src/lesson_tf/__pycache__").mkdir(exist_ok=True)
    (book / "src/lesson_tf/__pycache__/attention.pyc").touch()
    (book / "book/en/.ipynb_checkpoints").mkdir()
    (book / "book/en/.ipynb_checkpoints/intro-checkpoint.ipynb").touch()
    run(["make", "book"], book)
    assert builds(book) == 1


def test_a_failed_build_says_so_and_is_not_remembered(book):
    write_script(book / ".venv/bin/jupyter-book", BUILD + "exit 1\n")
    failed = run(["make", "book"], book)
    assert failed.returncode != 0
    assert "The book was not built" in failed.stdout
    # The next build reads every page again, since the failed one kept what it had read.
    (book / "_build/.doctrees/page.doctree").touch()
    write_script(
        book / ".venv/bin/jupyter-book",
        "[ ! -e _build/.doctrees/page.doctree ] || exit 1\n" + BUILD,
    )
    assert run(["make", "book"], book).returncode == 0
    assert builds(book) == 2


def test_a_full_disk_is_named(book):
    write_script(book / ".venv/bin/jupyter-book", "exit 1\n")
    write_script(book / "fakes/df", "printf 'head\\n/dev/x 100 90 2048 90%% /\\n'\n")
    failed = run(["make", "book"], book, PATH=f"{book}/fakes:{os.environ['PATH']}")
    assert failed.returncode != 0
    assert "the disk is full (2 MiB are free)" in failed.stdout


def test_an_interrupted_build_is_repeated(book):
    write_script(book / ".venv/bin/jupyter-book", BUILD + "sleep 30\n")
    with subprocess.Popen(["make", "book"], cwd=book, start_new_session=True) as process:
        while not builds(book):
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGTERM)
    assert process.returncode != 0
    write_script(book / ".venv/bin/jupyter-book", BUILD)
    assert run(["make", "book"], book).returncode == 0
    assert builds(book) == 2


def test_clean_removes_what_was_made_and_keeps_the_environment(book):
    run(["make", "book"], book)
    (book / "src/lesson_tf/__pycache__").mkdir(exist_ok=True)
    (book / ".pytest_cache").mkdir()
    for _ in range(2):
        assert run(["make", "clean"], book).returncode == 0
    assert not (book / "_build").exists()
    assert not (book / "src/lesson_tf/__pycache__").exists()
    assert not (book / ".pytest_cache").exists()
    assert (book / ".venv/.ready").exists()
    assert (book / "book/en/notation.md").exists()


def test_serve_shows_the_book_on_the_next_free_port(book):
    (book / "_build/html").mkdir(parents=True)
    (book / "_build/html/index.html").write_text("the book")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, "make/serve.py", "_build/html", str(port)]
        with subprocess.Popen(command, cwd=book, stdout=subprocess.PIPE, text=True) as server:
            try:
                address = re.search(r"localhost:(\d+)", server.stdout.readline())
                assert int(address[1]) > port
                connection = http.client.HTTPConnection("localhost", int(address[1]), timeout=10)
                connection.request("GET", "/")
                assert connection.getresponse().read() == b"the book"
                connection.close()
            finally:
                server.terminate()


def test_scripts_parse(root):
    for script in root.glob("make/*.sh"):
        assert run(["sh", "-n", str(script)], root).returncode == 0, script
    for script in (root / ".ci/run", root / "binder/postBuild"):
        assert run(["bash", "-n", str(script)], root).returncode == 0, script
        assert script.stat().st_mode & 0o111, f"{script} is not executable"
