"""Runs the parts of the tests, all of them even if one fails, and sums them up.

``python make/run_tests.py`` runs every part, ``python make/run_tests.py unit page`` these two.
"""

import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import browser

ROOT = Path(__file__).resolve().parents[1]
PYTEST = [sys.executable, "-m", "pytest"]
RUFF = [sys.executable, "-m", "ruff"]
MAKE = os.environ.get("MAKE", "make")

# One torch thread a process: two processes share the cores.
ONE_THREAD = {"OMP_NUM_THREADS": "1"}

SUMMARY = re.compile(r"^=*\s*((?:\d+ \w+(?:, )?)+) in [\d.]+s")
ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Part:
    """One part of the tests: commands that all run, and what they add to the environment."""

    name: str
    commands: Sequence[Sequence[str]]
    environment: dict[str, str] = field(default_factory=dict)
    needs_browser: bool = False


@dataclass
class Result:
    """How one part ended: its seconds, its tests by outcome, and whether all was well."""

    name: str
    seconds: float
    counts: Counter
    passed: bool


PARTS = [
    Part("lint", [[*RUFF, "check", "."], [*RUFF, "format", "--check", "."]]),
    Part("unit", [[*PYTEST, "tests/unit", "src", "--doctest-modules", "-n", "2"]], ONE_THREAD),
    Part(
        "notebooks",
        [
            [*PYTEST, "tests/notebooks"],
            [*PYTEST, "--nbval", "--nbval-current-env", "book", "-n", "2", "--dist", "loadfile"],
        ],
        ONE_THREAD,
    ),
    Part("book", [[MAKE, "book"]]),
    Part("page", [[*PYTEST, "tests/page"]], needs_browser=True),
    Part("grading", [[*PYTEST, "tests/grading"]], ONE_THREAD),
    Part("commands", [[*PYTEST, "tests/commands"]]),
]


def run(command: Sequence[str], environment: dict[str, str]) -> tuple[bool, Counter]:
    """Run one command, show its output as it comes, and count the tests in pytest's summary."""
    print("+", " ".join(Path(word).name if "/bin/" in word else word for word in command))
    # The flags and the depth of the make around this are not meant for the makes within.
    environment = os.environ | environment
    environment = {k: v for k, v in environment.items() if k not in ("MAKEFLAGS", "MAKELEVEL")}
    counts: Counter = Counter()
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        for line in process.stdout:
            print(line, end="", flush=True)
            if summary := SUMMARY.match(ANSI.sub("", line)):
                counts = count(summary[1])
    return process.returncode == 0, counts


def count(summary: str) -> Counter:
    """Read ``"3 failed, 40 passed, 1 error"``; an error is a failed test."""
    counts: Counter = Counter()
    for number, outcome in re.findall(r"(\d+) (\w+)", summary):
        outcome = "failed" if outcome in ("error", "errors") else outcome
        if outcome in ("passed", "failed", "skipped"):
            counts[outcome] += int(number)
    return counts


def run_part(part: Part) -> Result:
    """Run all commands of a part; a command without tests of its own counts as one test."""
    print(f"\n{part.name}\n{'-' * len(part.name)}", flush=True)
    start = time.monotonic()
    environment = dict(part.environment)
    counts: Counter = Counter()
    passed = True
    try:
        if part.needs_browser:
            environment["CHROME_PATH"] = browser.find()
        for command in part.commands:
            succeeded, tests = run(command, environment)
            if not succeeded and not tests["failed"]:
                tests["failed"] = 1
            elif not tests:
                tests["passed"] = 1
            counts += tests
            passed = passed and succeeded
    except (SystemExit, OSError) as problem:
        print(problem)
        counts["failed"] += 1
        passed = False
    return Result(part.name, time.monotonic() - start, counts, passed)


def table(results: Sequence[Result]) -> str:
    """Give back one line a part, and a last line with the sum."""
    total = sum((result.counts for result in results), Counter())
    lines = [f"\n{'part':<10} {'result':<7} {'seconds':>7}  tests"]
    for result in results:
        tests = ", ".join(f"{number} {outcome}" for outcome, number in result.counts.items())
        word = "passed" if result.passed else "FAILED"
        lines.append(f"{result.name:<10} {word:<7} {result.seconds:>7.0f}  {tests}")
    skipped = f", {total['skipped']} skipped" if total["skipped"] else ""
    lines.append(f"total: {total['passed']} passed, {total['failed']} failed{skipped}")
    return "\n".join(lines)


def main(names: Sequence[str], parts: Sequence[Part] = PARTS) -> int:
    """Run the named parts, or all, and give back the exit code."""
    known = [part.name for part in parts]
    for name in names:
        if name not in known:
            print(f"There is no part {name!r}; the parts are {', '.join(known)}.")
            return 2
    results = [run_part(part) for part in parts if not names or part.name in names]
    print(table(results), flush=True)
    return 0 if all(result.passed for result in results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
