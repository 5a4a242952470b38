"""The quizzes of the lessons: their form, and that exactly the marked choice is true."""

from collections import Counter
from importlib import import_module
from pathlib import Path

import pytest
from lint import notebooks
from quizzes import TRUTHS, Question, markup_in, questions_in, quiz, quiz_source, truth
from reading import Notebook

for path in sorted(Path(__file__).parent.glob("quiz_truths_*.py")):
    import_module(path.stem)

LESSONS = [notebook for path in notebooks() if (notebook := Notebook.read(path)).is_lesson]
QUESTIONS = {(q.lesson, q.number): q for lesson in LESSONS for q in quiz(lesson)}


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_every_lesson_has_its_quiz(lesson):
    numbers = [question.number for question in quiz(lesson)]
    assert numbers in ([1, 2], [1, 2, 3])


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_a_quiz_needs_no_kernel_and_no_script(lesson):
    source = quiz_source(lesson)
    assert markup_in(source) == {"details", "summary"}
    assert source.count("<details>") == source.count("</details>") == len(quiz(lesson))


@pytest.mark.parametrize("key", QUESTIONS, ids=lambda key: f"{key[0]}-{key[1]}")
def test_the_form_of_a_question(key):
    assert QUESTIONS[key].faults() == []


def test_right_letters_are_spread():
    letters = Counter(letter for question in QUESTIONS.values() for letter in question.marked)
    assert max(letters.values()) < 0.6 * letters.total(), letters


@pytest.mark.parametrize("extreme", [max, min])
def test_length_does_not_give_the_right_choice_away(extreme):
    guessed = [
        extreme(question.choices, key=lambda letter: len(question.choices[letter]))
        in question.marked
        for question in QUESTIONS.values()
    ]
    assert sum(guessed) < 0.5 * len(guessed)


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

**(b)** is right: count your fingers. **(a)** is wrong: one is missing.

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
        ("**(a)** is wrong", "**(b)** is wrong", "explained are ['b', 'b'] of ['a', 'b']"),
        (": one is missing.", ".", "does not say why a"),
        ("</summary>\n", "</summary>", "explained are [] of ['a', 'b']"),
        ("**(b)** is right", "**(a)** is wrong: no. **(b)** is right", "begins with the wrong"),
    ],
)
def test_a_faulty_question_is_found(old, new, fault):
    assert any(fault in said for said in only(GOOD.replace(old, new)).faults())


def test_a_letter_given_twice_is_refused():
    with pytest.raises(ValueError, match="two choices have one letter"):
        only(GOOD.replace("- **(b)** four", "- **(a)** four"))


def test_a_second_truth_of_a_question_is_refused():
    lesson, number = next(iter(TRUTHS))
    with pytest.raises(ValueError, match="has two truths"):
        truth(lesson, number)(dict)


def test_markup_of_a_page_is_found():
    assert markup_in(GOOD) == {"details", "summary"}
    assert markup_in("`<unk>` is 1 < 2 <b>tokens</b>") == {"b"}
    assert markup_in("<script>ask()</script>\n```{hint}\nNone.\n```") == {"script", "hint"}
