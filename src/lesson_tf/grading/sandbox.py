"""Runs a stranger's program under limits, and says how it ended.

bubblewrap takes its sight away; a watcher outside counts what all its processes use together.
"""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import IO, Literal

import psutil

from lesson_tf.grading import bubblewrap

Kind = Literal["ended", "time", "memory", "processes", "output", "status", "signal"]
POLL = 0.05
GIB = 2**30


@dataclass(frozen=True)
class Limits:
    """What a program may use: seconds, seconds of processor, and bytes; memory of all its processes.

    `file_size` holds for a file, `disk` for each of the folders it may write to, `output` for what it
    writes to standard output.
    """

    seconds: int | float
    cpu_seconds: int
    memory: int
    processes: int
    file_size: int
    disk: int
    output: int


@dataclass(frozen=True)
class Outcome:
    """What a program wrote, why it did not end by itself with status 0, and what it used."""

    output: bytes
    reason: str | None
    kind: Kind
    seconds: int | float
    peak_memory: int
    errors: bytes = b""


@dataclass
class _Drain:
    """Reads a stream to its end, keeps so many bytes, and tells when there were more."""

    stream: IO[bytes]
    most: int
    keep_end: bool = False
    kept: bytearray = field(default_factory=bytearray)
    overflowed: bool = False

    def __call__(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while chunk := self.stream.read1(2**16):
                self.kept += chunk
                if len(self.kept) > self.most:
                    self.overflowed = not self.keep_end
                    self.kept = self.kept[-self.most :] if self.keep_end else self.kept[: self.most]


def available() -> str | None:
    """Return None if programs can be shut in here, or a sentence that says what is missing."""
    return bubblewrap.missing()


def run(
    command: Sequence[str],
    given: bytes,
    limits: Limits,
    unsafe: bool = False,
) -> Outcome:
    """Run a command in a sandbox with `given` as its input, and stop it at the first limit it crosses.

    `unsafe` leaves the sandbox out and keeps the limits.
    """
    if unsafe:
        whole, environment = (
            _limited(command, limits, False),
            {**os.environ, "OMP_NUM_THREADS": "1"},
        )
    else:
        whole = bubblewrap.wrapped(_limited(command, limits, True), limits.disk)
        environment = {"PATH": os.environ.get("PATH", "/usr/bin")}
    process = subprocess.Popen(
        whole,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        start_new_session=True,
    )
    out = _Drain(process.stdout, limits.output)
    err = _Drain(process.stderr, 4096, keep_end=True)
    threads = [threading.Thread(target=work, daemon=True) for work in (out, err)]
    threads.append(threading.Thread(target=_feed, args=(process.stdin, given), daemon=True))
    for thread in threads:
        thread.start()
    started, watcher = time.monotonic(), _Watcher(process.pid, limits)
    try:
        kind, reason = watcher.watch(process, out)
    finally:
        watcher.end(process)
    for thread, stream in zip(threads, (process.stdout, process.stderr), strict=False):
        thread.join(5)
        stream.close()
    seconds = time.monotonic() - started
    return Outcome(bytes(out.kept), reason, kind, seconds, watcher.peak_memory, bytes(err.kept))


def _limited(command: Sequence[str], limits: Limits, shut_in: bool) -> list[str]:
    """Return a command that sets the limits which the system itself keeps, and then runs.

    The number of processes is limited in a sandbox alone, and where its user's others do not count.
    """
    words = [
        *("prlimit", "--core=0", f"--cpu={limits.cpu_seconds}", f"--fsize={limits.file_size}"),
        # torch reserves more addresses than it uses.
        *("--nofile=256", f"--as={2 * limits.memory + 8 * GIB}"),
    ]
    if shut_in and bubblewrap.counts_apart():
        # A few more than the watcher allows, so that it sees what the kernel then refuses.
        words.append(f"--nproc={limits.processes + 8}")
    return [*words, "--", *command]


def _feed(stream: IO[bytes], given: bytes) -> None:
    """Write the input; a program that does not read it is not waited for."""
    with contextlib.suppress(OSError, ValueError):
        stream.write(given)
    with contextlib.suppress(OSError, ValueError):
        stream.close()


class _Watcher:
    """Looks at all processes of a sandbox, again and again, and ends them all."""

    def __init__(self, pid: int, limits: Limits):
        self.limits = limits
        self.peak_memory = 0
        self.seen: dict[int, psutil.Process] = {}
        with contextlib.suppress(psutil.Error):
            self.top = psutil.Process(pid)

    def watch(self, process: subprocess.Popen, out: _Drain) -> tuple[Kind, str | None]:
        """Return how the program ended, or which limit it crossed."""
        limits, ends = self.limits, time.monotonic() + self.limits.seconds
        while True:
            try:
                return _ended(process.wait(POLL), limits)
            except subprocess.TimeoutExpired:
                pass
            if out.overflowed:
                return "output", f"wrote more than {_size(limits.output)} of output"
            if time.monotonic() > ends:
                return "time", f"was still running after {limits.seconds:g} seconds"
            processes = self._processes()
            if len(processes) > limits.processes:
                return "processes", f"started more than {limits.processes} processes"
            if self._memory(processes) > limits.memory:
                return "memory", f"used more than {_size(limits.memory)} of memory"

    def _processes(self) -> list[psutil.Process]:
        """Return the processes below the sandbox's first one."""
        try:
            found = self.top.children(recursive=True)
        except (psutil.Error, AttributeError):
            return []
        self.seen |= {process.pid: process for process in found}
        return found

    def _memory(self, processes: list[psutil.Process]) -> int:
        """Return the bytes that the processes use together, and remember the most."""
        used = sum(_resident(process) for process in processes)
        if used > self.limits.memory:
            # Pages that processes share were counted for each of them.
            used = sum(_proportional(process) for process in processes)
        self.peak_memory = max(self.peak_memory, used)
        return used

    def end(self, process: subprocess.Popen) -> None:
        """Kill what is left; with the first process of a sandbox all others die."""
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        for one in [*self._processes(), *self.seen.values()]:
            with contextlib.suppress(psutil.Error):
                one.kill()
        process.wait()
        psutil.wait_procs(self.seen.values(), timeout=5)


def _resident(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.Error):
        return process.memory_info().rss
    return 0


def _proportional(process: psutil.Process) -> int:
    try:
        return process.memory_full_info().pss
    except (psutil.Error, AttributeError):
        return _resident(process)


def _ended(status: int, limits: Limits) -> tuple[Kind, str | None]:
    """Return how a program ended, by its status."""
    if status == 0:
        return "ended", None
    number = -status if status < 0 else status - 128
    if number == signal.SIGXCPU:
        return "time", f"used more than {limits.cpu_seconds} seconds of the processor"
    if 0 < number <= 64:
        name = signal.strsignal(number) or f"signal {number}"
        return "signal", f"was ended by a signal ({name})"
    return "status", f"ended its own process with status {status}"


def _size(count: int) -> str:
    """Return bytes in words."""
    return f"{count / GIB:.1f} GiB" if count >= GIB else f"{count / 2**20:.0f} MiB"
