"""The program inside a sandbox: it runs a submission's cells, then answers the calls of the exercises.

It reads one job from standard input and writes one line of JSON for each thing done, so that what was
done before a submission ended its own process is kept. It judges nothing, and its reader believes
nothing: whatever stands in these lines is only ever compared with what is right.
"""

import builtins
import contextlib
import io
import json
import os
import re
import signal
import sys
import traceback
from collections.abc import Iterator
from typing import Any, TextIO

from IPython.core.displayhook import DisplayHook
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import RichOutput, capture_output

from lesson_tf.checks.answers import Answer, Call, answer_all
from lesson_tf.checks.transport import decode, encode

MOST_TEXT = 20_000
MOST_PICTURE = 2_000_000

# What a submission says of its own troubles could carry the hidden inputs into the feedback.
TROUBLES = {
    "stub": "It is not written yet.",
    "crash": "It raised an error.",
    "time": "It did not end in time. Look for a loop whose condition never becomes false.",
    "value": "What it returned cannot be read as tensors, numbers, words, lists, tuples or dicts.",
}
CRASH = re.compile(
    r"(Line (?P<line>\d{1,4})\b.*|Calling it) raised (?P<name>[A-Za-z]{1,40})\b.*", re.DOTALL
)


class _Kept(io.StringIO):
    """A stream that keeps the beginning of what is written to it, so that no print fills the memory."""

    def write(self, text: str) -> int:
        room = MOST_TEXT - self.tell()
        super().write(text[: max(room, 0)])
        if 0 <= room < len(text):
            super().write("\n[The rest is not kept.]")
        return len(text)

    def close(self) -> None:
        """Do nothing: a program that closes its output closes none of ours."""


class _CellTimeoutError(Exception):
    """A cell that does not end."""


class _DisplayHook(DisplayHook):
    """Shows the value of a cell's last line as an output like every other."""

    muted = False

    def __call__(self, result: Any = None) -> None:
        """Publish a value, unless its line ends with a semicolon."""
        if result is not None and not self.muted:
            self.shell.display_pub.publish(*self.shell.display_formatter.format(result))


class _Shell(InteractiveShell):
    """A shell without a kernel: it draws into outputs, and has no window to look after."""

    displayhook_class = _DisplayHook

    def enable_gui(self, gui: str | None = None) -> None:
        """Do nothing."""

    def _showtraceback(self, *_) -> None:
        """Print no stack, with the paths of this machine: an error is told in a line, once."""


@contextlib.contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    def stop(*_) -> None:
        raise _CellTimeoutError(f"stopped after {seconds:g} seconds")

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def run_cell(shell: InteractiveShell, source: str, seconds: float) -> dict[str, Any]:
    """Run one cell and return what it printed and showed, and its error in a line."""
    printed, error, late = _Kept(), None, False
    shown: list[RichOutput] = []
    with capture_output(stdout=False, stderr=False) as captured:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            try:
                shell.displayhook.muted = source.rstrip().endswith(";")
                with _time_limit(seconds):
                    result = shell.run_cell(source, store_history=False)
                error = result.error_before_exec or result.error_in_exec
            except BaseException as raised:  # Whatever a cell raises is the cell's.
                error = raised
            late = isinstance(error, _CellTimeoutError)
        shown = list(captured.outputs)
    return {
        "text": printed.getvalue(),
        "shown": [part for part in map(_plain, shown[:20]) if part],
        "error": None if error is None else _in_a_line(error)[:500],
        "late": late,
    }


def _in_a_line(error: BaseException) -> str:
    """Return an error's name, what it says, and the line of the cell that it came from."""
    if isinstance(error, _CellTimeoutError):
        return f"TimeoutError: {error}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename.startswith("<ipython-input")]
    said = re.sub(r" \(<ipython-input[^)]*, (line \d+)\)", r" (\1)", str(error))
    where = f" (line {lines[-1]})" if lines and not isinstance(error, SyntaxError) else ""
    return f"{type(error).__name__}: {said}{where}"


def _plain(output: RichOutput) -> dict[str, str]:
    """Keep text and pictures of an output: markup of a stranger is not shown to anyone."""
    data = output.data or {}
    limits = {"text/plain": MOST_TEXT, "image/png": MOST_PICTURE}
    return {
        kind: data[kind]
        for kind, most in limits.items()
        if isinstance(data.get(kind), str) and len(data[kind]) <= most
    }


def answer_exercise(
    shell: InteractiveShell, exercise: dict[str, Any]
) -> list[dict[str, Any]] | None:
    """Return the encoded answers to an exercise's calls, or None if the attempt is not defined."""
    attempt = shell.user_ns.get(exercise["attempt"])
    if attempt is None:
        return None
    if not callable(attempt) or (exercise["builds"] and not isinstance(attempt, type)):
        kind = type(attempt).__name__
        return [{"kind": "value", "trouble": f"`{exercise['attempt']}` is of type {kind}."}] * len(
            exercise["calls"]
        )
    calls = [read_call(call) for call in exercise["calls"]]
    with contextlib.redirect_stdout(_Kept()), contextlib.redirect_stderr(_Kept()):
        return [write_answer(a) for a in answer_all(attempt, calls, exercise["seconds"])]


def write_call(call: Call) -> dict[str, Any]:
    """Return a call as what JSON can hold; its label stays outside."""
    return {
        "arguments": encode(call.arguments),
        "build": encode(call.build),
        "state": encode(call.state),
    }


def read_call(data: dict[str, Any]) -> Call:
    """Return the call that `write_call` wrote; its inputs are not described in a sentence."""
    build, state = decode(data["build"]), decode(data["state"])
    return Call(decode(data["arguments"]), build=build, state=state, private=True)


def write_answer(answer: Answer) -> dict[str, Any]:
    """Return an answer as what JSON can hold."""
    return {"value": encode(answer.value), "trouble": answer.trouble, "kind": answer.kind}


def read_answer(data: Any) -> Answer:
    """Return the answer that a stranger says it has written; raises ValueError if it is none.

    Of a trouble only its kind is believed, and for a crash the line and the error's name.
    """
    if not isinstance(data, dict) or data.get("kind", "") not in ("", *TROUBLES):
        raise ValueError("an answer is written as a dict with a kind")
    kind = data.get("kind", "")
    if not kind:
        return Answer(decode(data.get("value")))
    crash = re.fullmatch(CRASH, str(data.get("trouble", ""))) if kind == "crash" else None
    if crash and isinstance(getattr(builtins, crash["name"], None), type):
        return Answer(trouble=_told(crash["line"], crash["name"]), kind=kind)
    return Answer(trouble=TROUBLES[kind], kind=kind)


def _told(line: str | None, name: str) -> str:
    """Return a crash in a sentence without its inputs."""
    if line:
        return f"Line {line} raised {name}."
    asked = " Does it take the parameters that the exercise names?" if name == "TypeError" else ""
    return f"Calling it raised {name}.{asked}"


def main() -> None:
    """Do the job on standard input."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    # What C code prints goes nowhere; what Python prints is kept cell by cell.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    job = json.loads(sys.stdin.buffer.read())
    sys.stdin = io.StringIO()
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    shell = _Shell.instance()
    for cell in job["cells"]:
        _tell(channel, {"begins": cell["id"]})
        _tell(channel, {"cell": cell["id"], **run_cell(shell, cell["source"], job["seconds"])})
    for exercise in job["exercises"]:
        _tell(channel, {"begins": exercise["id"]})
        _tell(channel, {"exercise": exercise["id"], "answers": answer_exercise(shell, exercise)})
    _tell(channel, {"done": True})
    # Threads that a submission left running must not keep the process.
    os._exit(0)


def _tell(channel: TextIO, event: dict[str, Any]) -> None:
    channel.write(json.dumps(event) + "\n")
    channel.flush()


if __name__ == "__main__":
    main()
