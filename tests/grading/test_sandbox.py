"""Programs shut in: what they see, what they may use, and how it is told how they ended."""

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

import lesson_tf
from lesson_tf.grading import bubblewrap, sandbox
from lesson_tf.grading.sandbox import Limits

ROOT = Path(__file__).resolve().parents[2]
MIB = 2**20
LIMITS = Limits(
    seconds=20,
    cpu_seconds=20,
    memory=600 * MIB,
    processes=12,
    file_size=8 * MIB,
    disk=32 * MIB,
    output=4 * MIB,
)


def run(code: str, given: bytes = b"", *, unsafe: bool = False, **changed):
    limits = Limits(**{**vars(LIMITS), **changed})
    return sandbox.run([sys.executable, "-c", code], given, limits, unsafe=unsafe)


def test_a_sandbox_works_here():
    assert sandbox.available() is None, sandbox.available()


def test_a_program_answers_what_it_is_given():
    outcome = run("import sys; print(sys.stdin.read().upper())", b"hello")
    assert (outcome.output, outcome.reason, outcome.kind) == (b"HELLO\n", None, "ended")


def test_torch_and_the_package_are_there():
    code = (
        "import torch, lesson_tf.checks as c; print(len(c.EXERCISES), torch.ones(2).sum().item())"
    )
    outcome = run(code)
    assert outcome.output.endswith(b"2.0\n"), outcome.errors
    assert outcome.peak_memory > 50 * MIB


def test_a_sandbox_works_from_an_interpreter_in_tmp(tmp_path):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    told = subprocess.run(
        [
            tmp_path / "venv/bin/python",
            "-c",
            "import lesson_tf.grading.sandbox as s; print(s.available())",
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert told.stdout == "None\n", told.stderr


# --- Sight ------------------------------------------------------------------------------------------


def test_nothing_of_the_project_is_seen_but_the_package(tmp_path):
    (tmp_path / "secret.txt").write_text("secret")
    shown = run(
        "import os\n"
        f"for path in {[str(ROOT), str(ROOT / 'src'), str(tmp_path), '/home', '/tmp', '/etc']!r}:\n"
        "    print(sorted(os.listdir(path)) if os.path.exists(path) else None)"
    )
    root, src, tmp, home, temporary, etc = map(eval, shown.output.decode().splitlines())
    assert set(root) <= {".venv", "src", Path(sys.prefix).name}
    assert src == ["lesson_tf"] and tmp is None
    # Of what lies in /tmp only the way to the project, if it lies there.
    on_the_way = {path.parts[2] for path in (ROOT, Path(sys.prefix)) if path.is_relative_to("/tmp")}
    assert home == ["student"] and set(temporary) <= on_the_way
    assert not {"passwd", "shadow", "hostname", "ssh"} & set(etc)


def test_it_is_nobody_and_has_no_variable_of_ours(monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    outcome = run(
        "import os, re\n"
        "status = open('/proc/self/status').read()\n"
        "rights = re.findall(r'^Cap(?:Inh|Prm|Eff|Bnd|Amb):\\s*([0-9a-f]+)', status, re.MULTILINE)\n"
        "print(os.getuid(), {int(r, 16) for r in rights}, 'SECRET_TOKEN' in os.environ, len(os.environ))"
    )
    uid, rights, secret, count = outcome.output.split()
    assert int(uid) != 0 and rights == b"{0}" and secret == b"False" and int(count) < 12
    assert os.geteuid() or int(uid) > 1_000_000  # Root's sandboxes have a user whom nobody else is.


def test_nothing_can_be_written_but_in_the_own_home():
    package = str(Path(lesson_tf.__file__).parent / "x.py")
    outcome = run(
        "import os\n"
        f"for path in ['/x', '/usr/x', '/dev/x', '/etc/x', {package!r}, {sys.prefix + '/x'!r}]:\n"
        "    try:\n        open(path, 'w').close(); print('wrote', path)\n"
        "    except OSError: pass\n"
        "open(os.path.expanduser('~/mine'), 'w').write('x'); open('/tmp/mine', 'w').write('x')\n"
        "print('end')"
    )
    assert outcome.output == b"end\n", outcome.output


def test_other_processes_are_not_seen_and_cannot_be_killed():
    outcome = run("import os; print(sorted(int(p) for p in os.listdir('/proc') if p.isdigit()))")
    assert len(eval(outcome.output)) <= 3
    outcome = run(f"import os; os.kill({os.getpid()}, 9)")
    assert outcome.kind == "status" and b"ProcessLookupError" in outcome.errors


def test_there_is_no_network():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        outcome = run(f"import socket; socket.create_connection(('127.0.0.1', {port}), 3)")
        assert outcome.kind == "status" and b"ConnectionRefused" in outcome.errors
    outcome = run("import socket; print(socket.if_nameindex())")
    assert outcome.output.strip() in (b"[(1, 'lo')]", b"[]")


def test_abstract_sockets_of_the_host_are_out_of_reach():
    name = f"\0lesson-tf-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(name)
        listener.listen()
        outcome = run(f"import socket; socket.socket(socket.AF_UNIX).connect({name!r})")
    assert outcome.kind == "status"


def test_no_file_of_ours_is_left_open():
    with open(__file__, "rb") as ours:
        os.set_inheritable(ours.fileno(), True)
        outcome = run("import os; print(sorted(os.listdir('/proc/self/fd')))")
    assert len(eval(outcome.output)) <= 4  # 0, 1, 2, and the listing itself


# --- Limits -----------------------------------------------------------------------------------------


def left_behind(marker: str) -> list[psutil.Process]:
    """Return the processes whose command line holds a marker."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if any(marker in word for word in process.info["cmdline"] or []):
            found.append(process)
    return found


@pytest.mark.parametrize(
    ("code", "kind", "reason"),
    [
        ("while True: pass", "time", "still running after 1 seconds"),
        ("import time; time.sleep(99)", "time", "still running"),
        (
            "import signal, time\n"
            "for s in (signal.SIGTERM, signal.SIGINT, signal.SIGXCPU): signal.signal(s, signal.SIG_IGN)\n"
            "while True:\n    try: time.sleep(9)\n    except BaseException: pass",
            "time",
            "still running",
        ),
        ("import sys; sys.exit(3)", "status", "ended its own process with status 3"),
        ("import ctypes; ctypes.string_at(0)", "signal", "Segmentation fault"),
        ("import os; os.abort()", "signal", "Abort"),
        ("import os; os.close(1); os.close(2)", "ended", None),
    ],
    ids=["busy", "asleep", "stubborn", "status", "crash", "abort", "closed"],
)
def test_how_it_ended_is_told(code, kind, reason):
    outcome = run(f"#{kind}\n{code}", seconds=1)
    assert outcome.kind == kind
    assert outcome.reason is reason or reason in outcome.reason


@pytest.mark.parametrize("unsafe", [False, True])
def test_a_program_that_forks_is_ended_with_all_its_children(unsafe):
    marker = f"forks-{os.getpid()}-{unsafe}"
    code = (
        f"'{marker}'\nimport os, time\n"
        "for _ in range(40):\n"
        "    try:\n"
        "        if os.fork() == 0: time.sleep(60)\n"
        "    except OSError: pass\n"
        "time.sleep(60)"
    )
    outcome = run(code, unsafe=unsafe)
    assert outcome.kind == "processes" and "more than 12 processes" in outcome.reason
    assert left_behind(marker) == []


def test_processes_that_multiply_are_ended():
    # 512 at most, should every limit fail.
    code = "'bomb'\nimport os, time\nfor _ in range(9):\n    try: os.fork()\n    except OSError: pass\ntime.sleep(30)"
    outcome = run(code)
    assert outcome.kind == "processes"
    assert left_behind("'bomb'") == []


def test_the_kernel_itself_refuses_more_processes():
    code = (
        "import os, time\n"
        "for count in range(60):\n"
        "    try:\n"
        "        if os.fork() == 0: time.sleep(3); os._exit(0)\n"
        "    except OSError:\n"
        "        os.write(1, b'refused'); break\n"
        "time.sleep(1)"
    )
    assert b"refused" in run(code).output


def test_memory_is_counted_over_all_processes():
    alone = "x = []\nwhile True: x.append(bytearray(2**24))"
    eight = (
        "import os, time\n"
        "for _ in range(8):\n"
        "    if os.fork() == 0:\n"
        "        x = b'x' * (150 * 2**20)\n"
        "        time.sleep(30)\n"
        "time.sleep(30)"
    )
    for code in (alone, eight):
        outcome = run(code)
        assert outcome.kind == "memory", outcome
        assert outcome.peak_memory > LIMITS.memory


def test_pages_that_processes_share_count_once():
    code = (
        "import os, time\n"
        "x = b'x' * (200 * 2**20)\n"
        "for _ in range(6):\n"
        "    if os.fork() == 0:\n"
        "        time.sleep(1)\n"
        "        os._exit(0)\n"
        "time.sleep(1.5)\nprint('end')"
    )
    assert run(code).output == b"end\n"


def test_a_gigabyte_of_output_is_cut_and_never_held():
    before = psutil.Process().memory_info().rss
    outcome = run("import os\nfor _ in range(1024): os.write(1, b'x' * 2**20)")
    assert outcome.kind == "output" and len(outcome.output) == LIMITS.output
    assert psutil.Process().memory_info().rss - before < 100 * MIB


def test_errors_are_kept_from_their_end_alone():
    outcome = run("import sys\nsys.stderr.write('x' * 10**7 + 'the end')")
    assert outcome.kind == "ended" and len(outcome.errors) == 4096
    assert outcome.errors.endswith(b"the end")


def test_input_that_is_not_read_is_not_waited_for():
    started = time.monotonic()
    outcome = run("import time; time.sleep(0.2)", b"x" * 10**7)
    assert outcome.kind == "ended" and time.monotonic() - started < 10


def test_files_and_folders_are_limited():
    outcome = run("open('big', 'wb').write(bytes(20 * 2**20))")
    assert outcome.kind in ("status", "signal")
    many = "for i in range(20): open(f'f{i}', 'wb').write(bytes(4 * 2**20))"
    assert b"No space left" in run(many).errors
    shared = many.replace("f'f{i}'", "f'/dev/shm/f{i}'")
    assert b"No space left" in run(shared).errors


def test_a_grandchild_does_not_outlive_the_run():
    marker = f"daemon-{os.getpid()}"
    code = (
        f"'{marker}'\nimport os, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        time.sleep(60)\n"
        "    os._exit(0)\n"
        "print('end')"
    )
    assert run(code).output == b"end\n"
    assert left_behind(marker) == []


def test_killing_everything_kills_only_itself():
    outcome = run(
        "import os; os.kill(os.getppid(), 9); os.kill(1, 9); os.kill(-1, 9); print('here')"
    )
    assert outcome.output in (b"here\n", b"")
    assert os.getpid() > 0


def test_an_interrupt_ends_the_program(tmp_path):
    marker = f"interrupted-{os.getpid()}"
    script = (
        "import sys; from lesson_tf.grading import sandbox\n"
        f"limits = sandbox.{LIMITS!r}\n"
        f"sandbox.run([sys.executable, '-c', '\"{marker}\"; import time; time.sleep(60)'], b'', limits)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 30
        while len(left_behind(marker)) < 3 and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(2)
        process.communicate(timeout=30)
    deadline = time.monotonic() + 10
    while left_behind(marker) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left_behind(marker) == []


def test_several_run_side_by_side():
    outcomes = {}

    def work(name):
        outcomes[name] = run(f"print({name})").output

    threads = [threading.Thread(target=work, args=(name,)) for name in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == {name: f"{name}\n".encode() for name in range(6)}


# --- Where there is no bubblewrap -------------------------------------------------------------------


def test_what_is_missing_is_told(monkeypatch):
    bubblewrap._manner.cache_clear()
    monkeypatch.setattr(shutil, "which", lambda name: None)
    try:
        assert "apt-get install bubblewrap" in sandbox.available()
    finally:
        bubblewrap._manner.cache_clear()


def test_a_bubblewrap_that_does_not_start_is_told(monkeypatch, tmp_path):
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'No permissions to create new namespace' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    bubblewrap._manner.cache_clear()
    try:
        assert "No permissions to create new namespace" in sandbox.available()
    finally:
        bubblewrap._manner.cache_clear()


def test_without_a_sandbox_the_limits_hold_all_the_same():
    outcome = run("import time; time.sleep(99)", unsafe=True, seconds=1)
    assert outcome.kind == "time"
    assert run("print(3)", unsafe=True).output == b"3\n"


def test_processes_are_not_counted_where_the_callers_others_would_count(monkeypatch):
    def limited() -> bool:
        return any(word.startswith("--nproc") for word in sandbox._limited(["true"], LIMITS, True))

    monkeypatch.setattr(bubblewrap, "_manner", lambda: bubblewrap.MAPPED)
    for release, wanted in (("5.4.0-150-generic", False), ("5.14.0", True), ("6.18.44", True)):
        monkeypatch.setattr(
            os, "uname", lambda release=release: type("U", (), {"release": release})
        )
        assert limited() is wanted
    monkeypatch.setattr(bubblewrap, "_manner", lambda: bubblewrap.DROPPED)
    monkeypatch.setattr(os, "uname", lambda: type("U", (), {"release": "4.15"}))
    assert limited()
