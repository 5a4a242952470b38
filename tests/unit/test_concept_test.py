"""The concept test: the page says what the check says, and exactly the right choices are true."""

import json
import re
from collections import Counter
from pathlib import Path

import concept_truths_attention
import concept_truths_use
import pytest
import torch

from lesson_tf import checks
from lesson_tf.checks.concept_test import LETTERS, QUESTIONS
from lesson_tf.grading.exercise_sources import (
    blank,
    checks_in,
    read,
    solution,
    stub,
    without_verdict,
)

torch.set_num_threads(1)  # small models gain nothing from more, and wait for it on a busy machine

BOOK = Path(__file__).parents[2] / "book" / "en"
PAGE = read(BOOK / "concept_test.ipynb")
CELLS = {cell.id: cell for cell in PAGE.cells}
ASKED = [id for id in CELLS if id.startswith("q-") and not id.endswith("-answer")]
TRUTHS = (*concept_truths_attention.TRUTHS, *concept_truths_use.TRUTHS)
NUMBERS = range(1, len(QUESTIONS) + 1)
RIGHT = {number: QUESTIONS[number - 1].right for number in NUMBERS}
WRONG = [(number, letter) for number in NUMBERS for letter in LETTERS if letter != RIGHT[number]]


def choices_of(source: str) -> list[str]:
    """Return the letters and texts of a question's choices."""
    return re.findall(r"^- \*\*\(([a-z])\)\*\* (.+)$", source, re.MULTILINE)


def verdicts_of(source: str) -> dict[str, str]:
    """Return what an answer says of each letter."""
    return dict(re.findall(r"\*\*\(([a-z])\)\*\* is (right|wrong):", source))


def step_of(number: int, answers: dict):
    """Return what the check says of one question."""
    return checks.concept_test(lambda: answers).steps[number - 1]


def name_of(truth) -> str:
    return truth.__name__.replace("_", "-")


def test_there_are_eighteen_questions_in_order():
    assert len(QUESTIONS) == len(ASKED) == len(TRUTHS) == 18
    assert [f"q-{name_of(truth)}" for truth in TRUTHS] == ASKED
    assert [int(CELLS[name].source[2:].partition(".")[0]) for name in ASKED] == [*NUMBERS]


@pytest.mark.parametrize("number", NUMBERS)
def test_page_and_check_agree(number):
    asked, told = CELLS[ASKED[number - 1]], CELLS[ASKED[number - 1] + "-answer"]
    letters, texts = zip(*choices_of(asked.source), strict=True)
    assert letters == LETTERS and len(set(texts)) == 3
    verdicts = verdicts_of(told.source)
    assert verdicts == {x: "right" if x == RIGHT[number] else "wrong" for x in LETTERS}
    assert next(iter(verdicts)) == RIGHT[number]
    assert told.metadata.tags == ["solution"]
    assert told.source.startswith("<details>\n<summary>Answer</summary>\n\n")
    lesson = re.search(r"^Put to the test in the lesson on (.+)\.$", told.source, re.MULTILINE)
    assert lesson[1] == QUESTIONS[number - 1].lesson


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: TRUTHS[number - 1].__name__)
def test_exactly_the_right_choice_is_true(number):
    computed = {letter: bool(true) for letter, true in TRUTHS[number - 1]().items()}
    assert computed == {letter: letter == RIGHT[number] for letter in LETTERS}


def test_the_right_letters_are_spread():
    assert set(Counter(RIGHT.values()).values()) == {6}
    in_a_row = "".join(RIGHT.values())
    assert not any(letter * 3 in in_a_row for letter in LETTERS)


@pytest.mark.parametrize("extreme", [max, min])
def test_length_does_not_give_the_right_choice_away(extreme):
    choices = [dict(choices_of(CELLS[name].source)) for name in ASKED]
    guesses = [extreme(each, key=lambda letter: len(each[letter])) for each in choices]
    assert sum(guess == RIGHT[number] for number, guess in enumerate(guesses, 1)) < 9


@pytest.mark.parametrize(("number", "letter"), WRONG)
def test_a_wrong_letter_is_told_its_belief_and_its_lesson(number, letter):
    question = QUESTIONS[number - 1]
    assert set(question.beliefs) == set(LETTERS) - {question.right}
    step = step_of(number, RIGHT | {number: letter})
    assert not step.passed
    assert f"({letter}) rests on this belief: {question.beliefs[letter]}." in step.message
    assert f"The lesson on {question.lesson} puts it to the test." in step.message
    others = set(LETTERS) - {letter}
    assert not any(f"({other})" in step.message or f"`{other}`" in step.message for other in others)
    report = checks.concept_test(lambda: RIGHT | {number: letter}, points=18)
    assert report.earned == 17 and report.mistake == ""


def test_beliefs_differ():
    beliefs = [belief for question in QUESTIONS for belief in question.beliefs.values()]
    assert len(set(beliefs)) == len(beliefs) == 36
    assert len({question.title for question in QUESTIONS}) == 18


@pytest.mark.parametrize("written", [str.upper, lambda x: f"({x})", lambda x: f" {x}. "])
def test_letters_may_be_written_in_other_ways(written):
    report = checks.concept_test(lambda: {n: written(x) for n, x in RIGHT.items()}, points=18)
    assert report and report.earned == 18


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("d", "Question 4 has 'd'; give it `a`, `b` or `c`."),
        ("ab", "Question 4 has 'ab'; give it"),
        ("", "Question 4 has ''; give it"),
        (None, "Question 4 has None; give it"),
        (2, "Question 4 has the number 2 (choice 2 is `b`); give it"),
        (0, "Question 4 has 0; give it"),
        (True, "Question 4 has True; give it"),
        (["c"], "Question 4 has ['c']; give it"),
        ("c" * 99, "...; give it"),
    ],
)
def test_what_is_no_letter_is_told(given, sentence):
    assert sentence in step_of(4, RIGHT | {4: given}).message


def test_a_missing_question_is_told_and_the_others_count():
    missing = {number: letter for number, letter in RIGHT.items() if number != 7}
    report = checks.concept_test(lambda: missing, points=18)
    assert report.earned == 17
    assert report.steps[6].message == "Question 7 has no letter; its key is the number 7."


@pytest.mark.parametrize("given", ["bca", [*"bca"], torch.ones(18), 3])
def test_what_is_no_dict_is_told(given):
    report = checks.concept_test(lambda: given)
    assert report.score == 0
    assert report.steps[0].message.startswith("Return a dict with a letter for each question")
    assert {step.message for step in report.steps[1:]} == {"As above."}


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        (dict.fromkeys(NUMBERS, "a"), "every question has the same letter"),
        (dict.fromkeys(NUMBERS, "c"), "every question has the same letter"),
        ({n: "abc".index(x) + 1 for n, x in RIGHT.items()}, "numbers in the place of letters"),
        ({n - 1: x for n, x in RIGHT.items()}, "the first question is 1, not 0"),
        ({str(n): x for n, x in RIGHT.items()}, "the keys are numbers"),
    ],
)
def test_typical_mistakes_are_named(answers, sentence):
    report = checks.concept_test(lambda: answers, points=18)
    assert sentence in report.mistake and report.earned <= 6


def test_the_solution_of_the_page_has_all_right():
    space: dict = {"checks": checks}
    exec(solution(CELLS["letters-solution"].source), space)
    report = eval(CELLS["letters-check"].source, space)
    assert report and report.earned == 18
    assert space["letters"]() == RIGHT


def test_a_learner_gets_no_letter():
    empty = blank(PAGE)
    ids = [cell.id for cell in empty.cells]
    assert [*filter(lambda name: name.startswith("q-"), ids)] == ASKED
    assert not re.search(r"\)\*\* is (right|wrong)", json.dumps(empty))
    [letters] = [cell for cell in empty.cells if cell.id == "letters-solution"]
    assert letters.source == stub(CELLS["letters-solution"].source)
    assert "raise NotImplementedError()" in letters.source and '"b"' not in letters.source
    assert [check.points for check in checks_in(empty)] == [18]


def test_what_is_assigned_tells_no_right_letter():
    silent = without_verdict(PAGE)
    (check,) = checks_in(silent)
    assert (check.exercise_name, check.points) == ("concept_test_letters", 18)
    told = {
        str(checks.concept_test_letters(lambda x=x: dict.fromkeys(NUMBERS, x))) for x in LETTERS
    }
    right = checks.concept_test_letters(lambda: RIGHT)
    assert told == {str(right)} and right
    for wrong in (
        {1: "a"},
        RIGHT | {7: 2},
        RIGHT | {7: "d"},
        {n - 1: x for n, x in RIGHT.items()},
        [3],
    ):
        report = checks.concept_test_letters(lambda wrong=wrong: wrong)
        assert not report and not report.mistake
        assert re.search(
            "Question 2 has no letter|Question 7 has|Question 18 has|a dict", str(report)
        )
    assert checks.concept_test_letters.counted_by is checks.concept_test
