"""The quizzes of the lessons: their form, and that exactly the marked choice is true."""

from collections import Counter
from importlib import import_module
from pathlib import Path

import pytest
from lint import notebooks
from quizzes import TRUTHS, Question, questions_in, quiz
from reading import Notebook

for path in sorted(Path(__file__).parent.glob("quiz_truths_*.py")):
    import_module(path.stem)

LESSONS = [notebook for path in notebooks() if (notebook := Notebook.read(path)).is_lesson]
# Their questions are still asked without lettered choices.
WITHOUT_LETTERS = {
    "warm_up",
    *(f"attention/{n}" for n in ("masks_and_cross_attention", "multi_head", "self_attention")),
    *(f"tokenization/{n}" for n in ("byte_pair_encoding", "embeddings", "tokens")),
}
QUESTIONS = {(q.lesson, q.number): q for lesson in LESSONS for q in quiz(lesson)}


def test_every_lesson_has_its_quiz():
    counts = Counter(lesson for lesson, _ in QUESTIONS)
    names = {lesson.name.removeprefix("book/en/") for lesson in LESSONS}
    assert set(counts) == names - WITHOUT_LETTERS
    assert all(2 <= count <= 3 for count in counts.values()), counts


@pytest.mark.parametrize("key", QUESTIONS, ids=lambda key: f"{key[0]}-{key[1]}")
def test_the_form_of_a_question(key):
    assert QUESTIONS[key].faults() == []


def test_right_letters_are_spread():
    letters = Counter(letter for question in QUESTIONS.values() for letter in question.marked)
    assert max(letters.values()) < 0.6 * sum(letters.values()), letters


def test_every_question_has_a_truth_and_every_truth_a_question():
    assert set(TRUTHS) == set(QUESTIONS)


@pytest.mark.parametrize("key", TRUTHS, ids=lambda key: f"{key[0]}-{key[1]}")
def test_exactly_the_marked_choice_is_true(key):
    computed = TRUTHS[key]()
    assert set(computed) == set(QUESTIONS[key].choices)
    true = [letter for letter, is_true in computed.items() if is_true]
    assert true == QUESTIONS[key].marked, computed


GOOD = """\
**1.** What is two and two?

- **(a)** three
- **(b)** four

<details>
<summary>Answer</summary>

**(b)** is right: count. **(a)** is wrong: one is missing.

</details>
"""


def only(source: str) -> Question:
    (question,) = questions_in(source, "lesson")
    return question


def test_a_good_question_has_no_fault():
    question = only(GOOD)
    assert question.faults() == [] and question.marked == ["b"]
    assert (question.text, question.choices["b"]) == ("What is two and two?", "four")


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("is wrong", "is right", "2 choices are marked as right"),
        ("is right", "is wrong", "0 choices are marked as right"),
        ("**(a)** is wrong: one is missing.", "", "explained are ['b'] of ['a', 'b']"),
        ("- **(a)** three\n", "", "1 choices; two to four"),
        ("three", "four", "two choices say the same"),
        ("- **(a)** three", "- **(c)** three", "lettered c, b"),
    ],
)
def test_a_faulty_question_is_found(old, new, fault):
    assert any(fault in said for said in only(GOOD.replace(old, new)).faults())
