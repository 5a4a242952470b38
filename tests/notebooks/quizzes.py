"""Reads the quizzes of the lessons, and collects what computes the truth of their choices."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from lint import BONES, joined, section_source
from reading import Notebook

TRUTHS: dict[tuple[str, int], Callable[[], dict[str, bool]]] = {}
CHOICE = re.compile(r"^- \*\*\((?P<letter>[a-d])\)\*\* (?P<text>.+)$", re.MULTILINE)
FOLD = re.compile(r"<details>\s*<summary>Answer</summary>(?P<answer>.*?)</details>", re.DOTALL)
VERDICT = re.compile(r"\*\*\((?P<letter>[a-d])\)\*\* is (?P<verdict>right|wrong)\b")


@dataclass(frozen=True)
class Question:
    """One question of a lesson: its choices by letter, and the verdicts in its folded answer."""

    lesson: str
    number: int
    text: str
    choices: dict[str, str]
    verdicts: dict[str, str]
    answer: str

    @property
    def marked(self) -> list[str]:
        """Return the letters that the answer calls right."""
        return [letter for letter, verdict in self.verdicts.items() if verdict == "right"]

    def faults(self) -> list[str]:
        """Say what is wrong with its form."""
        found = []
        if not 2 <= len(self.choices) <= 4:
            found.append(f"{len(self.choices)} choices; two to four are wanted")
        if list(self.choices) != list("abcd")[: len(self.choices)]:
            found.append(f"the choices are lettered {', '.join(self.choices)}")
        if len(self.marked) != 1:
            found.append(f"{len(self.marked)} choices are marked as right; one is wanted")
        if set(self.verdicts) != set(self.choices):
            found.append(f"explained are {sorted(self.verdicts)} of {sorted(self.choices)}")
        if len(set(self.choices.values())) < len(self.choices):
            found.append("two choices say the same")
        return [f"{self.lesson}, question {self.number}: {fault}" for fault in found]


def truth(lesson: str, number: int):
    """Register a function that returns for each letter of a question whether its claim is true."""

    def register(function: Callable[[], dict[str, bool]]) -> Callable[[], dict[str, bool]]:
        if (lesson, number) in TRUTHS:
            raise ValueError(f"{lesson}, question {number} has two truths")
        TRUTHS[lesson, number] = function
        return function

    return register


def questions_in(source: str, lesson: str = "") -> list[Question]:
    """Return the questions in the Markdown of a lesson's section."""
    pieces = re.split(r"^\*\*(\d+)\.\*\* ", source, flags=re.MULTILINE)[1:]
    found = []
    for number, piece in zip(pieces[::2], pieces[1::2], strict=True):
        fold = FOLD.search(piece)
        asked = piece[: fold.start()] if fold else piece
        answer = fold["answer"] if fold else ""
        choices = {match["letter"]: match["text"] for match in CHOICE.finditer(asked)}
        verdicts = {match["letter"]: match["verdict"] for match in VERDICT.finditer(answer)}
        text = CHOICE.split(asked)[0].strip()
        found.append(Question(lesson, int(number), text, choices, verdicts, answer.strip()))
    return found


def quiz(notebook: Notebook) -> list[Question]:
    """Return the questions of a lesson that are written with lettered choices."""
    name = notebook.name.removeprefix("book/en/")
    found = questions_in(section_source(joined(notebook), BONES[0]), name)
    return [question for question in found if question.choices]
