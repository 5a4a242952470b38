"""The command that shuts a program in: what it can see, and nothing else."""

import functools
import os
import re
import secrets
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
    command: Sequence[str],
    disk: int,
    program: str = "bwrap",
    manner: str | None = None,
) -> list[str]:
    """Return the command that runs another one in a sandbox.

    Inside there are the system, the interpreter and the package, read-only, and an empty home and
    /tmp of at most `disk` bytes each: no network, no other process, no variable of the caller. `manner`
    is how the program loses the caller's rights; None takes the one that works here.
    """
    manner = manner or _manner() or MAPPED
    options = [program, "--die-with-parent", "--new-session", "--hostname", "sandbox"]
    options += [*_rights(program, manner), "--perms", "0755", "--dir", "/etc"]
    for path in (*SYSTEM, *SETTINGS):
        options += ["--ro-bind-try", path, path]
    options += ["--proc", "/proc", "--dev", "/dev"]
    # Before what is shown, which would be hidden if it lay in one of these.
    for path in ("/dev/shm", "/tmp", HOME):
        options += ["--size", str(disk), "--perms", "0777", "--tmpfs", path]
    package = Path(lesson_tf.__file__).resolve().parent
    seen = [Path(path) for path in (*_interpreter(), package)]
    # Folders on the way would be root's alone.
    for folder in sorted({folder for path in seen for folder in path.parents} - {Path("/")}):
        options += ["--perms", "0755", "--dir", str(folder)]
    for path in seen:
        options += ["--ro-bind", str(path), str(path)]
    options += _fonts()
    options += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", HOME, "--clearenv"]
    for name, value in environment(HOME).items():
        options += ["--setenv", name, value]
    return [*options, "--", *(_as_nobody() if manner == DROPPED else []), *command]


# The kernel counts no processes of root, whatever name root has inside. So root's sandboxes run as
# another user of the system; everyone else's keep their own user under another name.
DROPPED, MAPPED = "dropped", "mapped"


def _rights(program: str, manner: str) -> list[str]:
    """Return the options that take the caller's rights away."""
    if manner == DROPPED:
        apart = ["ipc", "pid", "net", "uts", "cgroup-try"]
        kept = ["CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"]
        return [
            *(f"--unshare-{name}" for name in apart),
            *("--cap-drop", "ALL"),
            *(word for name in kept for word in ("--cap-add", name)),
        ]
    options = ["--unshare-all", "--cap-drop", "ALL", "--uid", "1000", "--gid", "1000"]
    if "--disable-userns" in _help(program):
        # Older versions lack it; what a namespace within a namespace could do is not known to do harm.
        options += ["--unshare-user", "--disable-userns"]
    return options


def _as_nobody() -> list[str]:
    """Return the command that runs another one as a user whom nobody else is, without any right.

    Each sandbox has a user of its own, for the kernel counts a user's processes all together.
    """
    user = str(1_000_000 + secrets.randbelow(1_000_000_000))
    return [
        *("setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--no-new-privs"),
        *("--bounding-set=-all", "--inh-caps=-all", "--"),
    ]


@functools.cache
def _manner() -> str | None:
    """Return how a sandbox works here, or None if it does not: it is really tried."""
    manners = [DROPPED, MAPPED] if os.geteuid() == 0 else [MAPPED]
    return next((manner for manner in manners if _try(manner).stdout.strip() == "works"), None)


def counts_apart() -> bool:
    """Say whether the kernel counts a sandbox's processes without the caller's others.

    Before Linux 5.14 it counts all that a user has, in whatever namespace: a desktop's many threads
    would then leave a sandbox none.
    """
    found = re.match(r"(\d+)\.(\d+)", os.uname().release)
    recent = found is not None and tuple(map(int, found.groups())) >= (5, 14)
    return recent or _manner() == DROPPED


def _try(manner: str) -> subprocess.CompletedProcess:
    command = wrapped([sys.executable, "-c", "print('works')"], disk=2**20, manner=manner)
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)


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
    return ["--perms", "0777", "--dir", f"{HOME}/.matplotlib"] + [
        option
        for path in lists
        for option in ("--ro-bind-try", str(path), f"{HOME}/.matplotlib/{path.name}")
    ]


@functools.cache
def _help(program: str) -> str:
    return subprocess.run([program, "--help"], capture_output=True, text=True).stdout


def missing() -> str | None:
    """Return None if a sandbox works here, or a sentence that says what to do."""
    if shutil.which("bwrap") is None:
        return (
            "Submissions run in sandboxes of bubblewrap (Linux), and there is no `bwrap` here; "
            f"{INSTALL}."
        )
    if _manner():
        return None
    return (
        f"bubblewrap is installed, but a sandbox does not start: {_try(MAPPED).stderr.strip()[-300:]}. "
        "Often user namespaces are switched off (kernel.unprivileged_userns_clone, AppArmor)."
    )
