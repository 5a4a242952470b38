"""Reads the quizzes of the lessons, and collects what computes the truth of their choices."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from lint import BONES, joined, section_source
from reading import Notebook

Truth = Callable[[], dict[str, bool]]
TRUTHS: dict[tuple[str, int], Truth] = {}
CHOICE = re.compile(r"^- \*\*\((?P<letter>[a-d])\)\*\* (?P<text>.+)$", re.MULTILINE)
# Without the blank lines, Markdown does not read what stands inside.
FOLD = re.compile(
    r"^<details>\n<summary>Answer</summary>\n\n(?P<answer>.*?)\n\n</details>$",
    re.MULTILINE | re.DOTALL,
)
VERDICT = re.compile(r"\*\*\((?P<letter>[a-d])\)\*\* is (?P<verdict>right|wrong)\b")


class Verdict(NamedTuple):
    """What an answer says of one choice: right or not, and why."""

    letter: str
    is_right: bool
    why: str


@dataclass(frozen=True)
class Question:
    """One question of a lesson: its choices by letter, and the verdicts of its folded answer in order."""

    lesson: str
    number: int
    text: str
    choices: dict[str, str]
    verdicts: list[Verdict]

    @property
    def marked(self) -> list[str]:
        """Return the letters that the answer calls right."""
        return [verdict.letter for verdict in self.verdicts if verdict.is_right]

    def faults(self) -> list[str]:
        """Say what is wrong with its form."""
        found = []
        explained = sorted(verdict.letter for verdict in self.verdicts)
        if not 2 <= len(self.choices) <= 4:
            found.append(f"{len(self.choices)} choices; two to four are wanted")
        if list(self.choices) != list("abcd")[: len(self.choices)]:
            found.append(f"the choices are lettered {', '.join(self.choices)}")
        if len(self.marked) != 1:
            found.append(f"{len(self.marked)} choices are marked as right; one is wanted")
        if explained != sorted(self.choices):
            found.append(f"explained are {explained} of {sorted(self.choices)}")
        if self.verdicts and not self.verdicts[0].is_right:
            found.append(f"the answer begins with the wrong choice {self.verdicts[0].letter}")
        for verdict in self.verdicts:
            if len(verdict.why.split()) < 3:
                found.append(f"the answer does not say why {verdict.letter} is right or wrong")
        if len(set(self.choices.values())) < len(self.choices):
            found.append("two choices say the same")
        return [f"{self.lesson}, question {self.number}: {fault}" for fault in found]


def truth(lesson: str, number: int) -> Callable[[Truth], Truth]:
    """Register a function that returns for each letter of a question whether its claim is true."""

    def register(function: Truth) -> Truth:
        if (lesson, number) in TRUTHS:
            raise ValueError(f"{lesson}, question {number} has two truths")
        TRUTHS[lesson, number] = function
        return function

    return register


def questions_in(source: str, lesson: str = "") -> list[Question]:
    """Return the questions in the Markdown of a lesson's section.

    Raises ValueError where two choices of a question have one letter.
    """
    pieces = re.split(r"^\*\*(\d+)\.\*\* ", source, flags=re.MULTILINE)[1:]
    found = []
    for number, piece in zip(pieces[::2], pieces[1::2], strict=True):
        fold = FOLD.search(piece)
        asked = piece[: fold.start()] if fold else piece
        listed = CHOICE.findall(asked)
        choices = dict(listed)
        if len(choices) < len(listed):
            raise ValueError(f"{lesson}, question {number}: two choices have one letter")
        text = CHOICE.split(asked)[0].strip()
        verdicts = verdicts_in(fold["answer"] if fold else "")
        found.append(Question(lesson, int(number), text, choices, verdicts))
    return found


def verdicts_in(answer: str) -> list[Verdict]:
    """Return the verdicts of an answer in order; each one's reason goes on to the next verdict."""
    return [
        Verdict(
            match["letter"],
            match["verdict"] == "right",
            answer[match.end() : after.start() if after else None].lstrip(":, ").strip(),
        )
        for match, after in pairwise([*VERDICT.finditer(answer), None])
    ]


def quiz_source(notebook: Notebook) -> str:
    """Return the Markdown of the section that holds a lesson's questions."""
    return section_source(joined(notebook), BONES[0])


def quiz(notebook: Notebook) -> list[Question]:
    """Return the questions of a lesson."""
    return questions_in(quiz_source(notebook), notebook.name.removeprefix("book/en/"))


def markup_in(source: str) -> set[str]:
    """Return what a Markdown source needs besides Markdown: names of HTML tags and of directives."""
    fences = r"^(?:`{3,}|:{3,})\{([\w-]+)\}"
    directives = set(re.findall(fences, source, re.MULTILINE))
    prose = re.sub(r"`[^`]*`", "", source)  # `<unk>` is no tag
    return directives | set(re.findall(r"</?([A-Za-z][\w-]*)", prose))
