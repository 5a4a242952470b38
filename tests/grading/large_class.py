"""A class of any size as a seed draws it: honest, clumsy and spoiled submissions to a real assignment."""

import copy
import json
import random
from dataclasses import dataclass
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from lesson_tf.grading.course import Course
from lesson_tf.grading.exercise_sources import CODE_STUB, checks_in, read, solution

NAME = "attention"
BOOK = Path(__file__).parents[2] / "book" / "en"
STATUSES = ("graded", "failed to run", "timed out", "stopped", "refused")

# What students write in place of the blank's last line.
BLANK = CODE_STUB.splitlines()[-1]
MISTAKES = {
    "attention": (
        "weights = (query @ key.mT).softmax(-1)\n    return weights @ value, weights",
        "weights = (query @ key.mT / query.shape[-1] ** 0.5).softmax(-2)\n"
        "    return weights @ value, weights",
    ),
    "heads": (
        "return x.view(x.shape[0], heads, x.shape[1], -1)",
        "return x.view(x.shape[0], x.shape[1], heads, -1)",
    ),
    "masks": (
        "n = token_ids.shape[1]\n    past = torch.ones(n, n, dtype=torch.bool).tril()\n"
        "    return past | (token_ids != pad_id)[:, None, None, :]",
        "n = token_ids.shape[1]\n    past = torch.ones(n, n, dtype=torch.bool).tril()\n"
        "    return past & (token_ids != pad_id)[:, None, :, None]",
    ),
}
CRASH = "return not_defined_anywhere"
ENDLESS = "while True:\n        pass"
# Outside the function, where a slow machine has thirty seconds to come to the limit.
EATS_MEMORY = f"{BLANK}\n\n\nkept = []\nwhile True:\n    kept.append(torch.ones(2**26))"
PRINTS = "for _ in range(20):\n    print('x' * 10**6)"
KINDS = {"right": 50, "blank": 15, "mistaken": 20, "crashing": 10, "unreadable": 5}


@dataclass(frozen=True)
class HandedIn:
    """What one student hands in, how it must end, and the points: None where there is no grade."""

    student: str
    file: str
    data: bytes
    status: str
    points: float | None


class Classroom:
    """The real assignment of a chapter, and students who hand it in."""

    def __init__(self, course: Course, seed: int = 0):
        self.release = read(course.release(NAME))
        self.seed = course.settings()["seed"]
        self.draw = random.Random(seed)
        self.setup = next(cell.source for cell in self.release.cells if cell.cell_type == "code")
        book = {cell.id: cell.source for cell in read(BOOK / NAME / "exercises.ipynb").cells}
        blanks = {cell.id: cell.source for cell in self.release.cells}
        self.checks = {
            check.grade_id.removesuffix("-check"): check for check in checks_in(self.release)
        }
        self.right = {name: solution(book[f"{name}-solution"]) for name in self.checks}
        self.blank = {name: blanks[f"{name}-solution"] for name in self.checks}

    def notebook(self, answers: dict[str, str], extra: str = "") -> NotebookNode:
        """Return a student's notebook: these answers, and perhaps a cell of the student's own."""
        notebook = copy.deepcopy(self.release)
        for cell in notebook.cells:
            cell.source = answers.get(cell.id.removesuffix("-solution"), cell.source)
        if extra:
            notebook.cells.insert(2, new_code_cell(extra, id="extra"))
        return notebook

    def answer(self, name: str, kind: str) -> tuple[str, float]:
        """Return one exercise's answer of a kind, and its points: those that its check gives a learner."""
        points, blank = self.checks[name].points, self.blank[name]
        if kind == "right":
            return self.right[name], points
        if kind == "mistaken":
            source, space = blank.replace(BLANK, self.draw.choice(MISTAKES[name])), {}
            exec(f"{self.setup}\n\n{source}", space)
            exercise = self.checks[name].exercise
            return source, exercise(space[exercise.attempt], points).earned
        written = {
            "blank": blank,
            "crashing": blank.replace(BLANK, CRASH),
            "unreadable": blank.replace("):\n", ")\n", 1),
        }
        return written[kind], 0.0

    def honest(self, student: str) -> HandedIn:
        """Return a submission whose answers are drawn one by one."""
        kinds = {n: self.draw.choices([*KINDS], [*KINDS.values()])[0] for n in self.checks}
        answers = {name: self.answer(name, kind) for name, kind in kinds.items()}
        failed = "unreadable" in kinds.values() and "right" not in kinds.values()
        notebook = self.notebook({name: source for name, (source, _) in answers.items()})
        points = sum(points for _, points in answers.values())
        return _handed_in(student, notebook, "failed to run" if failed else "graded", points)

    def spoiled(self, student: str, body: str, status: str) -> HandedIn:
        """Return a submission that is right but for one exercise, which never comes to its end."""
        name = self.draw.choice([*self.checks])
        notebook = self.notebook({**self.right, name: self.blank[name].replace(BLANK, body)})
        points = sum(c.points for n, c in self.checks.items() if n != name)
        return _handed_in(student, notebook, status, points)

    def hand_in(self, number: int) -> list[HandedIn]:
        """Return so many submissions, in a random order."""
        few, names = max(1, number // 50), iter(f"student{place:04}" for place in range(number))
        drawn = [HandedIn(next(names), f"{NAME}.ipynb", b"", "refused", None)]
        drawn.append(HandedIn(next(names), "essay.pdf", b"%PDF-1.7", "refused", None))
        full = sum(check.points for check in self.checks.values())
        for _ in range(few):
            drawn.append(self.spoiled(next(names), ENDLESS, "timed out"))
            drawn.append(self.spoiled(next(names), EATS_MEMORY, "stopped"))
            prints = self.notebook(self.right, PRINTS)
            drawn.append(_handed_in(next(names), prints, "graded", full))
        drawn += [self.honest(name) for name in names]
        self.draw.shuffle(drawn)
        return drawn


def _handed_in(student: str, notebook: NotebookNode, status: str, points: float) -> HandedIn:
    return HandedIn(student, f"{NAME}.ipynb", json.dumps(notebook).encode(), status, points)
