"""One submission in its sandboxes: its cells, then the calls of its exercises."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psutil
from nbformat import NotebookNode

from lesson_tf.grading.judging import Findings, Task, findings_of
from lesson_tf.grading.sandbox import Limits, Outcome

COMMAND = (sys.executable, "-m", "lesson_tf.grading.student")
MIB = 2**20
LIMITS = Limits(
    seconds=120,
    cpu_seconds=180,
    memory=3 * 1024 * MIB,
    processes=32,
    file_size=64 * MIB,
    disk=256 * MIB,
    # Read as JSON, text becomes up to twenty times as many bytes of objects.
    output=32 * MIB,
)
SECONDS_A_CELL = 30.0
MOST_RUNS_MORE = 3
MOST_SECONDS = 300


def workers_here() -> int:
    """Return how many submissions may run side by side: one a core of ours, as far as memory reaches."""
    ours = psutil.Process()
    cores = len(ours.cpu_affinity()) if hasattr(ours, "cpu_affinity") else psutil.cpu_count() or 1
    return max(1, min(cores, psutil.virtual_memory().available // LIMITS.memory))


@dataclass(frozen=True)
class Usage:
    """What the sandboxes of a submission used."""

    seconds: float = 0.0
    peak_memory: int = 0
    runs: int = 0

    def after(self, outcome: Outcome) -> "Usage":
        """Return the usage with one more run."""
        memory = max(self.peak_memory, outcome.peak_memory)
        return Usage(self.seconds + outcome.seconds, memory, self.runs + 1)


def examine(
    notebook: NotebookNode, tasks: Sequence[Task], run: Callable[[bytes], Outcome]
) -> tuple[Findings, Usage]:
    """Run a submission, and run the rest of it again without what ended a sandbox.

    `run` takes a job and returns the outcome of one sandbox. A cell or an exercise that ends it is
    left out of the next run, a few times and for some minutes, so that the work before and after it is
    judged.
    """
    findings, usage = Findings(), Usage()
    cells = [
        {"id": cell.id, "source": cell.source}
        for cell in notebook.cells
        if cell.cell_type == "code" and not cell.metadata.get("nbgrader", {}).get("grade")
    ]
    waiting = [task.job() for task in tasks]
    for _ in range(len(waiting) + MOST_RUNS_MORE):
        outcome = run(_job(cells, waiting))
        usage = usage.after(outcome)
        begun = findings_of(outcome.output, findings)
        if outcome.reason is None and not begun:
            return findings, usage
        reason = f"Stopped: it {outcome.reason or 'ended its own process'}."
        findings.stopped.setdefault(begun, reason)
        findings.reason = reason
        if not begun or outcome.kind == "output" or usage.seconds > MOST_SECONDS:
            break
        cells = [cell for cell in cells if cell["id"] != begun]
        waiting = [job for job in waiting if job["id"] not in {*findings.answers, begun}]
        if not waiting:
            break
    return findings, usage


def _job(cells: list[dict], waiting: list[dict]) -> bytes:
    job = {"cells": cells, "exercises": waiting, "seconds": SECONDS_A_CELL}
    return json.dumps(job).encode()
