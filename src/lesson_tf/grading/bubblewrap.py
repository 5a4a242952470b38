"""The command that shuts a program in: what it can see, and nothing else."""

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import matplotlib

import lesson_tf

HOME = "/home/student"
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
# Of /etc only what the loader, fonts and time zones need: no names of users, no keys.
SETTINGS = (
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/fonts",
    "/etc/localtime",
)
INSTALL = "install it with `apt-get install bubblewrap`, or your system's counterpart"


def wrapped(
    command: Sequence[str], disk: int, readable: Sequence[Path] = (), program: str = "bwrap"
) -> list[str]:
    """Return the command that runs another one in a sandbox.

    Inside there are the system, the interpreter and the package, read-only, and an empty home and
    /tmp of at most `disk` bytes each: no network, no other process, no variable of the caller.
    """
    options = [program, "--unshare-all", "--die-with-parent", "--new-session"]
    options += ["--cap-drop", "ALL", "--uid", "1000", "--gid", "1000", "--hostname", "sandbox"]
    if "--disable-userns" in _help(program):
        # Older versions lack it; what a namespace within a namespace could do is not known to do harm.
        options += ["--unshare-user", "--disable-userns"]
    for path in (*SYSTEM, *SETTINGS):
        options += ["--ro-bind-try", path, path]
    for path in _interpreter():
        options += ["--ro-bind", path, path]
    for path in (Path(lesson_tf.__file__).resolve().parent, *readable):
        options += ["--ro-bind", str(path), str(path)]
    options += ["--proc", "/proc", "--dev", "/dev"]
    for path in ("/dev/shm", "/tmp", HOME):
        options += ["--size", str(disk), "--tmpfs", path]
    options += _fonts()
    options += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", HOME, "--clearenv"]
    for name, value in environment(HOME).items():
        options += ["--setenv", name, value]
    return [*options, "--", *command]


def environment(home: str) -> dict[str, str]:
    """Return all the variables that a submission sees."""
    return {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"]),
        "HOME": home,
        "USER": "student",
        "LANG": "C.UTF-8",
        "PYTHONUTF8": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "MPLCONFIGDIR": f"{home}/.matplotlib",
    }


def _interpreter() -> list[str]:
    """Return the folders of the interpreter that lie outside the system's."""
    found = {sys.prefix, sys.base_prefix, str(Path(sys.executable).resolve().parents[1])}
    return sorted(
        path for path in found if not path.startswith(("/usr/bin", "/bin")) and path != "/usr"
    )


def _fonts() -> list[str]:
    """Return the options that show matplotlib's list of fonts, which takes seconds to make."""
    lists = sorted(Path(matplotlib.get_cachedir()).glob("fontlist-*.json"))
    return [
        option
        for path in lists
        for option in ("--ro-bind-try", str(path), f"{HOME}/.matplotlib/{path.name}")
    ]


@functools.cache
def _help(program: str) -> str:
    return subprocess.run([program, "--help"], capture_output=True, text=True).stdout


@functools.cache
def missing() -> str | None:
    """Return None if a sandbox works here, or a sentence that says what to do: one is really tried."""
    program = shutil.which("bwrap")
    if program is None:
        return (
            "Submissions run in sandboxes of bubblewrap (Linux), and there is no `bwrap` here; "
            f"{INSTALL}."
        )
    command = wrapped([sys.executable, "-c", "print('works')"], disk=2**20, program=program)
    told = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if told.stdout.strip() == "works":
        return None
    return (
        f"bubblewrap is installed, but a sandbox does not start: {told.stderr.strip()[-300:]}. "
        "Often user namespaces are switched off (kernel.unprivileged_userns_clone, AppArmor)."
    )
