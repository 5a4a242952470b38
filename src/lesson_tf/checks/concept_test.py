"""The concept test: eighteen questions, the belief behind each wrong letter, and the lesson that tests it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lesson_tf.checks.answers import Call
from lesson_tf.checks.exercise import Exercise, Mistake, Property, Trial

LETTERS = ("a", "b", "c")


@dataclass(frozen=True)
class Question:
    """A question in a few words, its right letter, what the wrong ones believe, and where that is tested."""

    title: str
    right: str
    beliefs: dict[str, str]
    lesson: str


QUESTIONS = (
    Question(
        "Does a weight stay when another word is exchanged?",
        "b",
        {
            "a": "attention weights are stored numbers, fixed by training",
            "c": "each weight is settled between two words alone, whatever else is there",
        },
        "self-attention",
    ),
    Question(
        "Where do query, key and value come from?",
        "c",
        {
            "a": "query, key and value are three separate inputs",
            "b": "a word has one query, key and value for all sentences, kept in a table",
        },
        "self-attention",
    ),
    Question(
        "What does a token with two weights receive?",
        "a",
        {
            "b": "attention selects the one token with the largest weight",
            "c": "attention puts what it reads side by side, and so makes vectors longer",
        },
        "self-attention",
    ),
    Question(
        "Does the largest weight show what decided?",
        "c",
        {
            "a": "weights explain decisions",
            "b": "weights have nothing to do with what the output depends on",
        },
        "the training run",
    ),
    Question(
        "What do more heads cost?",
        "b",
        {
            "a": "more heads mean more parameters",
            "c": "narrower heads save parameters",
        },
        "multi-head attention",
    ),
    Question(
        "What happens without one head?",
        "a",
        {
            "b": "every head has a job of its own that is needed",
            "c": "heads are copies of each other, so that any one can be missed",
        },
        "the training run",
    ),
    Question(
        "How are tokens shut out?",
        "b",
        {
            "a": "a mask may come after the softmax",
            "c": "a score of 0 makes a weight of 0",
        },
        "masks and cross-attention",
    ),
    Question(
        "Where does a large negative score go wrong?",
        "a",
        {
            "b": "a large negative score is always as good as minus infinity",
            "c": "a computer keeps the tiny share that is there on paper",
        },
        "masks and cross-attention",
    ),
    Question(
        "How does a decoder read a text in training?",
        "c",
        {
            "a": "training writes token by token, as use does",
            "b": "a text gives one question to learn from, the one for its last token",
        },
        "the training objective",
    ),
    Question(
        "Can a model with a low error write badly?",
        "b",
        {
            "a": "a low loss means that a model writes well",
            "c": "only texts known by heart can make an error low and useless",
        },
        "masks and cross-attention",
    ),
    Question(
        "What is a token?",
        "c",
        {"a": "a token is a word", "b": "a token is a character"},
        "tokens",
    ),
    Question(
        "What does a looked-up vector know of its context?",
        "a",
        {
            "b": "the table holds a row for each meaning, and the right one is looked up",
            "c": "an embedding carries context, mixed in from the neighbours",
        },
        "embeddings",
    ),
    Question(
        "What does a decoder lose without positions?",
        "a",
        {
            "b": "without positions a decoder cannot know any order",
            "c": "without positions a decoder confuses parts that look alike",
        },
        "why order must be told",
    ),
    Question(
        "Where are most parameters of a layer?",
        "b",
        {
            "a": "attention is all there is, or nearly all",
            "c": "the two parts of a layer share its parameters evenly",
        },
        "the block",
    ),
    Question(
        "How sure is a model of a day that does not exist?",
        "c",
        {
            "a": "a probability tells how likely an answer is right",
            "b": "who has seen many dates knows the calendar",
        },
        "the training run",
    ),
    Question(
        "What do beam search and temperature gain?",
        "a",
        {
            "b": "beam search always helps, since a more probable text is a better one",
            "c": "a low temperature adds knowledge",
        },
        "decoding",
    ),
    Question(
        "How does a Transformer write?",
        "b",
        {
            "a": "writing is parallel, as training is",
            "c": "a Transformer drafts a whole text and corrects it",
        },
        "decoding",
    ),
    Question(
        "When is a Transformer better than an LSTM?",
        "c",
        {
            "a": "a Transformer always beats an LSTM",
            "b": "reading all tokens at once is always faster, also on one processor",
        },
        "parallelism (for little text: on workers and memory)",
    ),
)


def _letters() -> dict[int, str]:
    return {number: question.right for number, question in enumerate(QUESTIONS, 1)}


def _unread(number: int, given: Any) -> str | None:
    """Return why no letter for a question can be read in what an attempt returned, or None."""
    if not isinstance(given, dict):
        return 'Return a dict with a letter for each question, such as `{1: "a", 2: "c"}`.'
    if number not in given:
        return f"Question {number} has no letter; its key is the number {number}."
    if _as_letter(given[number]) not in LETTERS:
        return f"Question {number} has {_told(given[number])}; give it `a`, `b` or `c`."
    return None


def _complaint_about(number: int) -> Callable[[Sequence[Trial]], str | None]:
    """Return what says of an attempt's letter for one question what it stands for, if it is wrong."""
    question = QUESTIONS[number - 1]

    def complain(trials: Sequence[Trial]) -> str | None:
        given = trials[0].value
        unread = _unread(number, given)
        if unread:
            return unread
        letter = _as_letter(given[number])
        if letter == question.right:
            return None
        return (
            f"Choice ({letter}) rests on this belief: {question.beliefs[letter]}. The lesson on "
            f"{question.lesson} puts it to the test."
        )

    return complain


def _as_letter(value: Any) -> str:
    """Return what was written as a small letter, or an empty text for what is no text."""
    return value.strip(" ().").lower() if isinstance(value, str) else ""


def _told(value: Any) -> str:
    """Return a value in words, with the letter that was meant where a number stands for one."""
    if type(value) is int and 1 <= value <= len(LETTERS):
        return f"the number {value} (choice {value} is `{LETTERS[value - 1]}`)"
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _all(letter: str) -> Mistake:
    """Return the mistake of giving one letter to all questions."""
    return Mistake(
        "every question has the same letter; the right ones are spread over all three.",
        lambda: dict.fromkeys(_letters(), letter),
    )


def _missing(trials: Sequence[Trial]) -> str | None:
    """Return the first complaint about a letter that cannot be read, or None."""
    complaints = (_unread(number, trials[0].value) for number in _letters())
    return next(filter(None, complaints), None)


concept_test = Exercise(
    name="Concept test",
    attempt="letters",
    reference=_letters,
    calls=lambda generator: [Call({})],
    properties=tuple(
        Property(f"{number}. {question.title}", _complaint_about(number))
        for number, question in enumerate(QUESTIONS, 1)
    ),
    mistakes=(
        *map(_all, LETTERS),
        Mistake(
            "there are numbers in the place of letters: the first choice is `a`, the second `b`.",
            lambda: {number: LETTERS.index(right) + 1 for number, right in _letters().items()},
        ),
        Mistake(
            "the letters are shifted by one question: the first question is 1, not 0.",
            lambda: {number - 1: right for number, right in _letters().items()},
        ),
        Mistake(
            "the questions' numbers stand in quotes: the keys are numbers, `1` and not `'1'`.",
            lambda: {str(number): right for number, right in _letters().items()},
        ),
    ),
)

# What is assigned: whoever runs it learns that the letters are there, and not which ones are right, which
# would be found out in three runs. The class's steps are counted by the test itself.
concept_test_letters = replace(
    concept_test,
    name="Letters of the concept test",
    properties=(Property("Each of the eighteen questions has a letter.", _missing),),
    mistakes=(),
    counted_by=concept_test,
)
