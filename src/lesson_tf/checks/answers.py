"""Calls of a learner's code, and what came of them: a value, or a sentence about the trouble."""

import contextvars
import ctypes
import linecache
import sysconfig
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from lesson_tf.checks.transport import UnreadableValueError, decode, encode

SECONDS = 5.0
_NO_LINE = "Calling it"
_NOT_THE_LEARNERS = tuple(
    str(Path(folder).resolve())
    for folder in (
        Path(__file__).parents[1],
        *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")),
    )
)


@dataclass(frozen=True)
class Call:
    """One call of an attempt: its arguments, and for a module how it is built and its parameters.

    `label` lets a property choose its calls. A `private` call comes from an instructor's hidden inputs:
    no report shows what it holds.

    >>> Call({"x": 2}).words()
    'x=2'
    """

    arguments: dict[str, Any]
    label: str = ""
    build: dict[str, Any] | None = None
    state: dict[str, Tensor] | None = None
    private: bool = False

    def words(self) -> str:
        """Return the arguments in words: tensors by their shapes."""
        if self.private:
            return "an input that is not shown"
        given = {**(self.build or {}), **self.arguments}
        return ", ".join(f"{name}{_words(value)}" for name, value in given.items())


def _words(value: Any) -> str:
    if isinstance(value, Tensor):
        return f" {tuple(value.shape)}" if value.dim() else f"={value.item()}"
    text = repr(value)
    return f"={text if len(text) <= 60 else text[:57] + '...'}"


@dataclass(frozen=True)
class Answer:
    """What a call returned, or its trouble in a sentence and of which kind it is."""

    value: Any = None
    trouble: str = ""
    kind: Literal["", "stub", "crash", "time", "value"] = ""


@dataclass
class _Work:
    """What the thread that runs a call leaves behind."""

    value: Any = None
    error: BaseException | None = None
    done: threading.Event = field(default_factory=threading.Event)


class _TimeIsUp(BaseException):
    """Raised inside a call that takes too long."""


def answer_all(
    attempt: Callable, calls: Sequence[Call], seconds: float = SECONDS
) -> tuple[Answer, ...]:
    """Call an attempt once for each call, and return the answers; after an endless one it stops calling.

    >>> answer_all(lambda x: x + 1, [Call({"x": 2})])
    (Answer(value=3, trouble='', kind=''),)
    """
    answers: list[Answer] = []
    for call in calls:
        if answers and answers[-1].kind == "time":
            answers.append(answers[-1])
        else:
            answers.append(answer(attempt, call, seconds))
    return tuple(answers)


def answer(attempt: Callable, call: Call, seconds: float = SECONDS) -> Answer:
    """Call an attempt once, in a thread that is stopped when the time is up."""
    work = _Work()
    context = contextvars.copy_context()
    thread = threading.Thread(
        target=context.run, args=(_run, attempt, call, work), name="attempt", daemon=True
    )
    thread.start()
    try:
        ended = work.done.wait(seconds)
    except KeyboardInterrupt:
        _stop(thread, work)
        raise
    if not ended:
        _stop(thread, work)
        return Answer(
            kind="time",
            trouble=f"It had not ended after {seconds:g} seconds (called with {call.words()}). "
            "Look for a loop whose condition never becomes false.",
        )
    return _answer_of(work, call)


def _run(attempt: Callable, call: Call, work: _Work) -> None:
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            work.value = perform(attempt, call)
    except BaseException as error:  # The learner's code may raise anything, SystemExit too.
        work.error = error
    finally:
        work.done.set()


def perform(attempt: Callable, call: Call) -> Any:
    """Call a function, or build a module, load its parameters and call it, with copies of all tensors.

    What is returned has gone through text and back, as in a sandbox: no object of the attempt is left.
    Raises whatever the attempt raises, UnreadableValueError, and ValueError for what is built and is no
    module.
    """
    arguments = {name: decode(encode(value)) for name, value in call.arguments.items()}
    if call.build is not None:
        attempt = attempt(**call.build)
        if not isinstance(attempt, nn.Module):
            raise ValueError(
                "a class derived from `torch.nn.Module` is wanted, and what this makes is of type "
                f"{type(attempt).__name__}"
            )
        if call.state is not None:
            _load(attempt, call.state)
    return decode(encode(attempt(**arguments)))


def _load(module: nn.Module, state: dict[str, Tensor]) -> None:
    """Give a module its parameters; raises ValueError that names the parameters it should have."""
    own = {name: tuple(parameter.shape) for name, parameter in module.state_dict().items()}
    wanted = {name: tuple(tensor.shape) for name, tensor in state.items()}
    if own != wanted:
        raise ValueError(f"the module's parameters are {own}; they should be {wanted}")
    module.load_state_dict({name: tensor.clone() for name, tensor in state.items()})


def _stop(thread: threading.Thread, work: _Work) -> None:
    """Raise inside the thread, a few times if it swallows that; what still runs then is left alone."""
    for _ in range(5):
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread.ident or 0), ctypes.py_object(_TimeIsUp)
        )
        if work.done.wait(0.2):
            return


def _answer_of(work: _Work, call: Call) -> Answer:
    error = work.error
    if error is None:
        return Answer(work.value)
    if isinstance(error, NotImplementedError):
        return Answer(kind="stub", trouble="It is not written yet.")
    if isinstance(error, UnreadableValueError):
        return Answer(kind="value", trouble=f"What it returned cannot be read: {error}.")
    said = "" if call.private else str(error).strip().split("\n")[0]
    what = f"{type(error).__name__}{': ' + said if said else ''}"
    line = _own_line(error)
    hint = _hint(error, call) if line == _NO_LINE else ""
    return Answer(kind="crash", trouble=f"{line} raised {what} (called with {call.words()}).{hint}")


def _hint(error: BaseException, call: Call) -> str:
    """Return what to do about an error before the first line of the learner's own, if that is known."""
    said = str(error)
    if not isinstance(error, TypeError):
        return ""
    if call.build is not None and ("_forward" in said or "'NoneType' object is" in said):
        return " The class needs a method `forward(self, x)` of just this name."
    if "argument" not in said:
        return ""
    in_init = call.build is not None and "__init__" in said
    names = ", ".join((call.build or {}) if in_init else call.arguments)
    return f" Its parameters must be named {names}." if names else " It takes no parameters."


def _own_line(error: BaseException) -> str:
    """Return the last of the learner's own lines on the way to an error, as "Line 3, `x = y`,"."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if _is_the_learners(f.filename)]
    if isinstance(error, SyntaxError) or not frames:
        return _NO_LINE
    frame = frames[-1]
    source = (frame.line or linecache.getline(frame.filename, frame.lineno or 0)).strip()
    return f"Line {frame.lineno}, `{source}`," if source else f"Line {frame.lineno}"


def _is_the_learners(filename: str) -> bool:
    """Say whether a file is neither ours nor a library's; cells have made-up names."""
    if filename.startswith("<") and not filename.startswith("<ipython-input"):
        return filename.startswith("<string") or "cell" in filename
    # Tests and notebooks may lie beside the package, never in it.
    return not str(Path(filename).resolve()).startswith(_NOT_THE_LEARNERS)
