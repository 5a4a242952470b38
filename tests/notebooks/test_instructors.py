"""The instructors' page: its times and points are those of the notebooks, its commands those of make."""

import re

from exercise_rules import ABOUT, parts
from lint import contents, notebooks
from reading import ROOT, Notebook, code_lines, passages, word_count

from lesson_tf.grading.exercise_sources import CHAPTERS, check_of

PAGE = (ROOT / "book/en/instructors.md").read_text(encoding="utf-8")
NOT_LESSONS = {"exercises", "concept_test"}


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the table below a heading line."""
    after = PAGE[PAGE.index(heading) :].splitlines()[2:]
    table = after[: next(i for i, line in enumerate(after) if not line.startswith("|"))]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def minutes_of(notebook: Notebook) -> int:
    """Estimate how long a lesson takes: 200 words and 20 lines of code a minute, in steps of five."""
    words = sum(word_count(passage.text) for passage in passages(notebook))
    lines = sum(code_lines(cell) for cell in notebook.code)
    return 5 * round((words / 200 + lines / 20) / 5)


def test_reading_times():
    told = {name.replace(" ", ""): time for name, time in rows("| lesson | minutes |")}
    lessons = [n for path in notebooks() if (n := Notebook.read(path)).path.stem not in NOT_LESSONS]
    names = {n.name.removeprefix("book/en/"): n for n in lessons}
    in_order = [name.removeprefix("book/en/") for name in contents()]
    assert list(told) == [name for name in in_order if name in names]
    off = {name: (told[name], minutes_of(n)) for name, n in names.items()}
    wrong = {name: pair for name, pair in off.items() if abs(int(pair[0]) - pair[1]) > 5}
    assert not wrong


def test_times_and_points_of_exercises():
    for chapter, minutes, by_program, by_hand in rows("| exercises | minutes |"):
        notebook = Notebook.read(ROOT / f"book/en/{chapter}/exercises.ipynb")
        about = [ABOUT.search(part.statement.source) for part in parts(notebook)]
        program = [a for a in about if a["kind"] == "Implement"]
        hand = [a for a in about if a["kind"] != "Implement"]
        assert int(minutes) == sum(int(a["minutes"]) for a in about), chapter
        assert int(by_program) == sum(int(a["points"]) for a in program), chapter
        assert int(by_hand) == sum(int(a["points"]) for a in hand), chapter


def test_commands_and_settings_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):.*## ", makefile, re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)\b", PAGE)) <= targets
    for setting in re.findall(r"\b([A-Z]{4,})=", PAGE):
        assert f"$({setting})" in makefile, setting


def test_the_private_test_of_the_page_works(tmp_path):
    from lesson_tf.checks import EXERCISES
    from lesson_tf.grading.judging import check_overlay, overlaid

    code = re.search(r"```python\n# private/(\w+)\.py\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / f"{code[1]}.py").write_text(code[2], encoding="utf-8")
    check_overlay(tmp_path)
    harder = overlaid(EXERCISES[code[1]], code[1], tmp_path)
    assert harder(EXERCISES[code[1]].reference)
    assert len(harder.properties) == len(EXERCISES[code[1]].properties) + 1


def test_points_of_the_concept_test():
    told = re.search(r"concept test takes \d+ minutes each time, and has (\d+) points", PAGE)
    cells = Notebook.read(ROOT / "book/en/concept_test.ipynb").cells
    points = [cell.metadata.get("nbgrader", {}).get("points", 0) for cell in cells]
    assert int(told[1]) == sum(points)


def test_the_exercises_with_variants_are_those_of_the_notebooks():
    found = {}
    for chapter in CHAPTERS:
        notebook = Notebook.read(ROOT / f"book/en/{chapter}/exercises.ipynb")
        numbers = [
            part.number
            for part in parts(notebook)
            if any(check.exercise.variants for cell in part.cells if (check := check_of(cell)))
        ]
        found[chapter.replace("_", " ")] = " and ".join(map(str, numbers))
    (told,) = re.findall(r"These have variants: exercise ([^.]+)\.", " ".join(PAGE.split()))
    assert dict(reversed(item.split(" of ")) for item in told.split(", ")) == found
