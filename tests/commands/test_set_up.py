"""What stops the set-up is said in one sentence, and a stopped set-up is safe to repeat."""

import os
import sys

import pytest
from newcomer import run, write_script

# A closed port stands for a network that is down.
NO_NETWORK = {
    "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_FIND_LINKS": "",
    "PIP_EXTRA_INDEX_URL": "",
}


def fake_python(path, **cases):
    """A Python 3.12 that makes an environment of itself and writes down what pip is asked.

    ``cases`` are further answers: a piece of the command line, and the shell to run for it.
    """
    answers = {
        "version_info": "echo 3.12",
        **cases,
        "-m venv": "mkdir -p .venv/bin $packages && touch $packages/METADATA && "
        'cp "$0" .venv/bin/python',
    }
    lines = [f'*"{piece}"*) {shell} ;;' for piece, shell in answers.items()]
    return write_script(
        path,
        "packages=.venv/lib/python3.12/site-packages/torch-2.dist-info\n"
        'case "$*" in\n' + "\n".join(lines) + '\n*) echo "$*" >> pip-calls ;;\nesac\n',
    )


def said(result):
    """The lines of ours, without make's own."""
    return [line for line in result.stdout.splitlines() if not line.startswith("make")]


def fake_path(folder, **scripts):
    for name, text in scripts.items():
        write_script(folder / "fakes" / name, text)
    return f"{folder}/fakes:{os.environ['PATH']}"


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.10"])
def test_an_old_python_is_named(copy, version):
    old = write_script(copy / "fakes/old", f"echo {version}\n")
    result = run(["make", "book", f"PYTHON={old}"], copy)
    assert result.returncode != 0
    assert said(result) == [f"PYTHON={old} is Python {version}; the course needs 3.11 or newer."]
    assert not (copy / ".venv").exists()


def test_a_missing_python_is_named(copy):
    result = run(["make", "book", "PYTHON=nowhere/python"], copy)
    assert result.returncode != 0
    assert said(result) == ["PYTHON=nowhere/python does not run; name a Python 3.11 or newer."]


def test_only_old_pythons_on_the_path(copy):
    old, missing = "echo 3.9\n", "exit 127\n"
    path = fake_path(copy, python3=old, **{f"python3.{minor}": missing for minor in (11, 12, 13)})
    result = run(["make", "book"], copy, PATH=path)
    assert result.returncode != 0
    assert said(result) == [
        "The course needs Python 3.11 or newer, and python3 is 3.9; install one, or name it: "
        "make book PYTHON=/path/to/python3.12"
    ]


def test_a_newer_python_beside_an_old_python3_is_found(copy):
    path = fake_path(copy, python3="echo 3.9\n", **{"python3.13": "exit 127\n"})
    fake_python(copy / "fakes/python3.12")
    result = run(["make", ".venv/.ready"], copy, PATH=path)
    assert result.returncode == 0, result.stdout
    assert said(result)[0] == "Made .venv with Python 3.12."
    assert (copy / ".venv/.ready").exists()


def test_a_python_without_venv_is_named(copy):
    broken = 'case "$*" in *venv*) exit 1 ;; *) echo 3.11 ;; esac\n'
    python = write_script(copy / "fakes/broken", broken)
    result = run(["make", "book", f"PYTHON={python}"], copy)
    assert result.returncode != 0
    assert said(result) == [
        f"{python} cannot make a virtual environment; on Debian and Ubuntu, install python3-venv."
    ]


def test_a_small_disk_is_named_before_anything_is_made(copy):
    path = fake_path(copy, df="printf 'head\\n/dev/x 100 90 1048576 90%% /\\n'\n")
    result = run(["make", "book", f"PYTHON={sys.executable}"], copy, PATH=path)
    assert result.returncode != 0
    assert said(result) == [
        f"Not enough disk: the installation needs 3000 MiB in {copy}, and 1024 MiB are free."
    ]
    assert not (copy / ".venv").exists()


def test_no_network_is_named_and_nothing_is_remembered(copy):
    result = run(["make", "book", f"PYTHON={sys.executable}"], copy, 120, **NO_NETWORK)
    assert result.returncode != 0
    assert said(result)[-1] == (
        "The package index cannot be reached: check the network (or proxy) and run the command "
        "again; details in .venv/pip.log."
    )
    assert not (copy / ".venv/.ready").exists()


def test_a_disk_that_fills_up_is_named(copy):
    python = fake_python(
        copy / "fakes/python", install="echo 'OSError: No space left on device' >&2; exit 1"
    )
    result = run(["make", "book", f"PYTHON={python}"], copy)
    assert result.returncode != 0
    assert said(result)[-1] == "The disk is full: free about 3 GiB and run the command again."
    assert not (copy / ".venv/.ready").exists()


def test_torch_comes_first_and_from_the_cpu_index_alone(copy):
    python = fake_python(copy / "fakes/python")
    result = run(["make", ".venv/.ready", f"PYTHON={python}"], copy)
    assert result.returncode == 0, result.stdout
    installs = [line for line in (copy / "pip-calls").read_text().splitlines() if "install" in line]
    assert len(installs) == 2
    assert "whl/cpu" in installs[0]
    assert installs[0].endswith(" torch")
    assert "whl/cpu" not in installs[1]
    assert installs[1].endswith("--requirement requirements.txt")


def test_an_interrupted_set_up_is_repeated(copy):
    python = fake_python(copy / "fakes/python", requirement="kill $PPID; sleep 1")
    assert run(["make", ".venv/.ready", f"PYTHON={python}"], copy).returncode != 0
    assert not (copy / ".venv/.ready").exists()
    for working in (python, copy / ".venv/bin/python"):
        fake_python(working)
    assert run(["make", ".venv/.ready", f"PYTHON={python}"], copy).returncode == 0
    assert (copy / ".venv/.ready").exists()


def test_a_broken_environment_is_made_anew(copy):
    write_script(copy / ".venv/bin/python", "exit 127\n")
    python = fake_python(copy / "fakes/python")
    result = run(["make", ".venv/.ready", f"PYTHON={python}"], copy)
    assert result.returncode == 0, result.stdout
    assert said(result)[0] == "Made .venv with Python 3.12."


def test_an_environment_made_by_hand_is_used(copy):
    python = fake_python(copy / "fakes/python")
    fake_python(copy / ".venv/bin/python")
    packages = copy / ".venv/lib/python3.12/site-packages/torch-2.dist-info"
    packages.mkdir(parents=True)
    (packages / "METADATA").touch()
    result = run(["make", ".venv/.ready", f"PYTHON={python}"], copy)
    assert result.returncode == 0, result.stdout
    assert "Made .venv" not in result.stdout
