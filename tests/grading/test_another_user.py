"""The sandbox as it is for a grader who is not root: when root runs the tests, as another user too."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lesson_tf.grading import bubblewrap

ROOT = Path(__file__).resolve().parents[2]
SOMEONE = ("setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "--bounding-set=-all")
# Shows the interpreter, in a view of the file system of its own, where root's home would hide it.
SHOWN = """\
set -e
mount --make-rprivate /
mount --bind "$1" "$3"
mount -t tmpfs -o mode=755 tmpfs "$2"
mkdir -p "$1"
mount --bind "$3" "$1"
shift 3
exec "$@"
"""
TOLD = ("answers_what", "torch_and", "nothing_of_the_project", "nobody", "kernel_itself", "all_its")


def as_someone(command: list[str], scratch: Path) -> list[str]:
    """Return the command that runs another one as a user who is not root."""
    interpreter = Path(sys.executable).resolve().parents[1]
    hidden = [f for f in reversed(interpreter.parents) if not f.stat().st_mode & 0o001]
    whole = [*SOMEONE, "--", *command]
    if not hidden:
        return whole
    where = (str(interpreter), str(hidden[0]), str(scratch))
    return ["unshare", "--mount", "sh", "-c", SHOWN, "sh", *where, *whole]


@pytest.mark.skipif(os.geteuid() != 0, reason="all tests run as a user who is not root")
def test_the_sandbox_of_a_grader_who_is_not_root(tmp_path):
    scratch = tmp_path / "interpreter"
    scratch.mkdir()
    view = "import lesson_tf.grading.bubblewrap as b; print(b._manner())"
    tried = subprocess.run(
        as_someone([sys.executable, "-c", view], scratch), capture_output=True, text=True
    )
    if tried.returncode or not ROOT.stat().st_mode & 0o005:
        pytest.skip(f"another user cannot run the interpreter here: {tried.stderr.strip()[-200:]}")
    allowed = subprocess.run(
        [*SOMEONE, "--", "bwrap", "--unshare-all", "--ro-bind", "/", "/", "true"],
        capture_output=True,
        text=True,
    )
    if allowed.returncode:
        pytest.skip(f"user namespaces are not allowed here: {allowed.stderr.strip()[-200:]}")
    assert tried.stdout.split() == [bubblewrap.MAPPED], tried.stderr
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-x"]
    command += [str(ROOT / "tests/grading/test_sandbox.py"), "-k", " or ".join(TOLD)]
    told = subprocess.run(
        as_someone(command, scratch),
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert told.returncode == 0, told.stdout[-3000:] + told.stderr[-1000:]
    assert "7 passed" in told.stdout, told.stdout
