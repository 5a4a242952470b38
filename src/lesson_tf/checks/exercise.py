"""A checked exercise: calls, a reference, the properties of a right answer, and the known mistakes.

The learner's code answers the calls, wherever it runs; the answers are judged here. The judge never
runs a line of the learner's.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Generator

from lesson_tf.checks.answers import Answer, Call, answer_all, perform
from lesson_tf.checks.closeness import same
from lesson_tf.checks.form import wrong_form
from lesson_tf.checks.report import Report, Step

# How the sentence begins that tells of a variant answered by the published solution.
SOLVES_PUBLISHED = "this solves the published exercise"


@dataclass(frozen=True)
class Trial:
    """A call, what the attempt answered, and what the reference answers."""

    call: Call
    answer: Answer
    expected: Any

    @property
    def value(self) -> Any:
        """Return what the attempt returned."""
        return self.answer.value


@dataclass(frozen=True)
class Property:
    """Something that holds for a right answer: `test` returns a complaint, or None.

    `on` names the labels of the calls it looks at; none means all of them.
    """

    title: str
    test: Callable[[Sequence[Trial]], str | None]
    on: tuple[str, ...] = ()
    weight: int = 1


@dataclass(frozen=True)
class Mistake:
    """A mistake that people make: the wrong function or module, and the sentence that names it."""

    message: str
    wrong: Callable


@dataclass(frozen=True)
class Variant:
    """A change to an exercise, so that its published solution is not the answer.

    A sentence tells it; it has its own reference, and the mistakes as people make them in it.
    """

    sentence: str
    reference: Callable
    mistakes: tuple[Mistake, ...] = ()


def carried_over(
    mistakes: Sequence[Mistake], change: Callable[[Callable], Callable]
) -> tuple[Mistake, ...]:
    """Return the mistakes as a variant has them, by what makes its solution of the published one.

    >>> [twice] = carried_over([Mistake("1 is added.", lambda x: x + 1)], lambda f: lambda x: 2 * f(x))
    >>> twice.message, twice.wrong(5)
    ('1 is added.', 12)
    """
    return tuple(replace(mistake, wrong=change(mistake.wrong)) for mistake in mistakes)


@dataclass(frozen=True)
class Exercise:
    """A checked exercise; calling it checks an attempt.

    `attempt` is the name under which a notebook defines the solution. `calls` draws inputs from a
    generator: the same seed gives the same ones. `counted_by` is the exercise by whose steps an instructor
    sees what a class knows, where the learner is told less. Raises ValueError for a mistake, or the reference of a
    variant, that cannot be called as the reference is.
    """

    name: str
    attempt: str
    reference: Callable
    calls: Callable[[Generator], Sequence[Call]]
    properties: tuple[Property, ...]
    mistakes: tuple[Mistake, ...] = ()
    variants: tuple[Variant, ...] = ()
    counted_by: "Exercise | None" = None

    def __post_init__(self):
        """Raise ValueError for what would never match an answer."""
        for mistake in self.mistakes:
            self._check_parameters(mistake.wrong, f"the mistake “{mistake.message}”")
        for variant in self.variants:
            self._check_parameters(variant.reference, f"the variant “{variant.sentence}”")
            for mistake in variant.mistakes:
                self._check_parameters(mistake.wrong, f"the mistake “{mistake.message}”")

    def __call__(self, attempt: Any, points: int | float | None = None, variant: int = 0) -> Report:
        """Check an attempt and return the report; raises ValueError for a variant that does not exist."""
        if variant:
            return self.variant(variant)(attempt, points)
        if isinstance(attempt, torch.nn.Module) and self._builds:
            given = type(attempt).__name__
            return self._stopped(
                f"Give the class itself, `{given}`, not a module made of it.", points
            )
        if not callable(attempt):
            wanted = "class" if self._builds else "function"
            given = type(attempt).__name__
            return self._stopped(
                f"Give the {wanted} `{self.attempt}`; this is of type {given}.", points
            )
        calls = self.calls_from(0)
        return self.judge(calls, answer_all(attempt, calls), points)

    def calls_from(self, seed: int, *, private: bool = False) -> tuple[Call, ...]:
        """Return the calls that a seed gives; private ones are not described in a report."""
        calls = self.calls(torch.Generator().manual_seed(seed))
        return tuple(replace(call, private=private) for call in calls)

    def variant(self, number: int) -> "Exercise":
        """Return the exercise as one variant changes it; number 0 is the published exercise."""
        if not 0 <= number <= len(self.variants):
            raise ValueError(
                f"variant={number} of “{self.name}” does not exist; use 0 to {len(self.variants)}"
            )
        if number == 0:
            return self
        changed = self.variants[number - 1]
        published = Mistake(f"{SOLVES_PUBLISHED}, not yours. {changed.sentence}", self.reference)
        both = tuple(
            replace(
                mistake,
                message="two at once: this follows the published exercise, not yours. "
                f"{changed.sentence} And {mistake.message}",
            )
            for mistake in self.mistakes
        )
        return replace(
            self,
            reference=changed.reference,
            mistakes=(published, *changed.mistakes, *both),
            variants=(),
        )

    def judge(
        self, calls: Sequence[Call], answers: Sequence[Answer], points: int | float | None = None
    ) -> Report:
        """Return the report on answers, whoever computed them."""
        trouble = _trouble_of_all(answers)
        if trouble:
            return self._stopped(trouble, points)
        trials = [
            Trial(call, answer, perform(self.reference, call))
            for call, answer in zip(calls, answers, strict=True)
        ]
        steps = _said_once([_step(prop, trials) for prop in self.properties])
        mistake = "" if all(step.passed for step in steps) else self._recognise(trials)
        return Report(self.name, steps, mistake, points=points)

    def missing(self, points: int | float | None = None) -> Report:
        """Return the report on a notebook that does not define the attempt."""
        return self._stopped(f"`{self.attempt}` is not defined.", points)

    def _check_parameters(self, wrong: Callable, what: str) -> None:
        """Raise ValueError unless something can be called as the reference is: else it never matches."""
        for right, other in zip(_called(self.reference), _called(wrong), strict=False):
            names = inspect.signature(right).parameters
            try:
                inspect.signature(other).bind(**dict.fromkeys(names))
            except (TypeError, ValueError) as error:
                raise ValueError(
                    f"{self.name}: {what} must take the parameters {', '.join(names) or '(none)'}, "
                    f"as the reference does: {error}"
                ) from None

    @cached_property
    def _builds(self) -> bool:
        return self.calls_from(0)[0].build is not None

    def _stopped(self, trouble: str, points: int | float | None) -> Report:
        """Return a report in which nothing passed, for the reason given."""
        steps = tuple(Step(prop.title, False, weight=prop.weight) for prop in self.properties)
        return Report(self.name, steps, trouble=trouble, points=points)

    def _recognise(self, trials: Sequence[Trial]) -> str:
        """Return the sentence of the first known mistake that gives these very answers, if one does."""
        answered = [trial for trial in trials if not trial.answer.kind]
        for mistake in self.mistakes:
            if _explains(mistake.wrong, answered):
                return mistake.message
        return wrong_form([t.value for t in answered], [t.expected for t in answered])


def _called(made: Callable) -> tuple[Callable, ...]:
    """Return what is called with arguments: a function, or how a module is built and its forward."""
    return (made, getattr(made, "forward", made)) if isinstance(made, type) else (made,)


def _explains(wrong: Callable, trials: Sequence[Trial]) -> bool:
    """Say whether a wrong way gives every answer, and at least one that is not right."""
    tells = False
    for trial in trials:
        given = _perform_or_none(wrong, trial.call)
        if not same(trial.value, given):
            return False
        tells = tells or not same(given, trial.expected)
    return tells


def _perform_or_none(wrong: Callable, call: Call) -> Any:
    """Return what a mistake gives, or None where it cannot be carried out."""
    try:
        return perform(wrong, call)
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError):
        return None


def _trouble_of_all(answers: Sequence[Answer]) -> str:
    """Return one sentence if no call gave a value, or if nothing is written yet."""
    values = [answer.value for answer in answers if not answer.kind]
    if all(value is None or value is Ellipsis for value in values) and values:
        return "It is not written yet: it returns nothing. If it prints its result, `return` it instead."
    return "" if values else answers[0].trouble


def _step(prop: Property, trials: Sequence[Trial]) -> Step:
    """Test one property on its calls: a call in trouble fails it with that trouble."""
    chosen = [trial for trial in trials if not prop.on or trial.call.label in prop.on]
    troubles = [trial.answer.trouble for trial in chosen if trial.answer.kind]
    complaint = troubles[0] if troubles else _complaint(prop, chosen)
    return Step(prop.title, complaint is None, complaint or "", prop.weight)


def _said_once(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Leave out a message that an earlier step has said already."""
    said: set[str] = set()
    told = []
    for step in steps:
        told.append(replace(step, message="As above.") if step.message in said - {""} else step)
        said.add(step.message)
    return tuple(told)


def _complaint(prop: Property, trials: Sequence[Trial]) -> str | None:
    """Return what a property says of the trials; a result it cannot even look at is of another kind."""
    try:
        return prop.test(trials)
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError):
        return "The result is of another kind than is wanted."
