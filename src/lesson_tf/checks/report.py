"""What a check says of an attempt: its steps, the mistake it knows by name, and the score."""

import html
import os
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """One thing that was checked: passed or not, and if not, what is wrong."""

    title: str
    passed: bool
    message: str = ""
    weight: int = 1


@dataclass(frozen=True)
class Report:
    """The steps of a check; true if all passed. Jupyter shows it as a list, a terminal as lines.

    `mistake` names a known mistake, `trouble` says why nothing could be checked. `points` is what the
    exercise is worth, if it is graded. The score is the share of the steps that
    passed, by weight.

    >>> report = Report("shift", (Step("It runs.", True), Step("It is right.", False, "No.")), points=3)
    >>> bool(report), report.score, report.earned
    (False, 0.5, 1.5)
    >>> print(report)
    shift: not yet, 1 of 2 steps, 1.5 of 3 points
      passed   It runs.
      missing  It is right.
               No.
    """

    exercise: str
    steps: tuple[Step, ...]
    mistake: str = ""
    trouble: str = ""
    points: int | float | None = None

    def __bool__(self) -> bool:
        """Say whether every step passed."""
        return all(step.passed for step in self.steps)

    @property
    def score(self) -> float:
        """Return the share of the steps that passed, by weight, from 0 to 1."""
        whole = sum(step.weight for step in self.steps)
        return sum(step.weight for step in self.steps if step.passed) / whole if whole else 0.0

    @property
    def earned(self) -> float | None:
        """Return the points earned, rounded to one hundredth, or None if there are none."""
        return None if self.points is None else round(self.points * self.score, 2)

    @property
    def headline(self) -> str:
        """Return exercise, verdict, steps and points in a line."""
        passed = sum(step.passed for step in self.steps)
        verdict = "right" if self else "not yet"
        words = f"{self.exercise}: {verdict}, {passed} of {len(self.steps)} steps"
        return (
            words if self.points is None else f"{words}, {self.earned:g} of {self.points:g} points"
        )

    @property
    def _likely(self) -> str:
        return f"Likely: {self.mistake}" if self.mistake else ""

    def __str__(self) -> str:
        """Return the report as lines."""
        lines = [self.headline]
        lines += [f"  {said}" for said in (self.trouble, self._likely) if said]
        for step in self.steps:
            lines += [f"  {'passed ' if step.passed else 'missing'}  {step.title}"]
            lines += [f"           {step.message}"] if step.message else []
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        # nbgrader reads the points of a cell from a number in its last line.
        if self.points is not None and os.environ.get("NBGRADER_EXECUTION"):
            return {"text/plain": f"{self.earned:g}", "text/html": self._repr_html_()}
        return {"text/plain": str(self), "text/html": self._repr_html_()}

    def _repr_html_(self) -> str:
        steps = "".join(map(_item, self.steps))
        said = "".join(f"<p>{_inline(text)}</p>" for text in (self.trouble, self._likely) if text)
        return (
            f'<div class="lesson-tf-report" role="status"><p><b>{html.escape(self.headline)}</b></p>'
            f'{said}<ul style="list-style: none; padding-left: 0">{steps}</ul></div>'
        )


def _item(step: Step) -> str:
    sign, word = ("✓", "passed") if step.passed else ("✗", "missing")
    message = f"<br>{_inline(step.message)}" if step.message else ""
    return (
        f'<li style="padding-left: 1.6em; text-indent: -1.6em"><span aria-hidden="true">{sign}</span> '
        f"<b>{word}:</b> {_inline(step.title)}{message}</li>"
    )


def _inline(text: str) -> str:
    """Escape a text, and set what stands between backquotes as code."""
    parts: Sequence[str] = html.escape(text).split("`")
    if len(parts) % 2 == 0:  # A backquote without its partner is one of the learner's.
        return html.escape(text)
    return "".join(
        f"<code>{part}</code>" if place % 2 else part for place, part in enumerate(parts)
    )
