"""Each rule passes on a small good notebook and fails on the same with one thing wrong."""

import ast
import copy

import exercise_rules
import lint
import pytest
from definitions import difference
from measured import measured_numbers
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from reading import ROOT, Notebook

ALT = "Four rows of weights: every row puts most of its weight on its own column"
TITLE = """# Attention

One token reads all others. The weights of one row sum to 1.

**You will learn**

- what a weight is
- what a row is
- what a sum is
"""
EXPLANATION = """## A row of weights

The first weight is 0.27, which is 27 % of the row, for 1,024 keys of the whole table.
Each number below says how much one token takes from another token of the same sentence,
and since they are shares of one whole, the sum of each row is one; a learner who adds
the four of them by hand finds the same, whichever of the rows is chosen to begin with.
"""
CAPTION = """**Weights.** Rows ask and columns answer. The diagonal is darkest.

## Check yourself

<details><summary>What is the sum of a row?</summary>

It is one.

</details>

<details><summary>And of a column?</summary>

Any number.

</details>

## Summary

Rows sum to one.

## Further reading

{cite}`vaswani2017attention` has it all in section 3.2.

Next: [the same with several heads](other.ipynb#several-heads).
"""


def figure_output():
    return new_output("display_data", data={"text/plain": "<Figure size 640x480 with 1 Axes>"})


def result(text, count):
    return new_output("execute_result", data={"text/plain": text}, execution_count=count)


@pytest.fixture
def lesson(tmp_path):
    """A notebook that keeps every rule, in a book of two pages."""
    setup = "import torch\nfrom lesson_tf import figures\nfigures.use_style()"
    definition = (
        "def causal_mask(length, start=0):\n"
        "    return torch.ones(length, start + length, dtype=torch.bool).tril(start)\n"
        "mask = causal_mask(1024)"
    )
    cells = [
        new_markdown_cell(TITLE, id="title"),
        new_code_cell(setup, id="setup"),
        new_code_cell(definition, id="show-mask", metadata={"tags": ["definition"]}),
        new_markdown_cell(EXPLANATION, id="explain-rows"),
        new_code_cell(
            "row = [0.27, 0.73]\ntotal = sum(row)\nround(total, 2)",
            id="sum-row",
            outputs=[result("1.0", 3)],
        ),
        new_code_cell(
            "weights = torch.eye(4)\naxes = figures.attention_heatmap(weights)\n"
            "axes.set_title('Untrained');",
            id="draw-weights",
            outputs=[figure_output()],
            metadata={"mystnb": {"image": {"alt": ALT}}},
        ),
        new_markdown_cell(CAPTION, id="caption"),
    ]
    for count, cell in enumerate((c for c in cells if c.cell_type == "code"), start=1):
        cell.execution_count = count
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    folder = tmp_path / "book" / "en"
    folder.mkdir(parents=True)
    (folder / "other.ipynb").write_text(
        '{"cells": [{"cell_type": "markdown", "id": "a", "metadata": {}, "source":'
        ' "# Several heads"}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'
    )
    (tmp_path / "_toc.yml").write_text(
        "root: book/en/lesson\nparts:\n- chapters:\n  - file: book/en/other\n"
    )
    content = new_notebook(cells=cells, metadata=metadata)
    return Notebook(folder / "lesson.ipynb", content, tmp_path)


@pytest.mark.parametrize("rule", lint.RULES, ids=lambda rule: rule.__name__)
def test_good_notebook_passes(lesson, rule):
    assert rule(lesson) == []


def cell_of(notebook, name):
    return next(cell for cell in notebook.cells if cell.id == name)


def source(name, old, new):
    """Return a change of one cell's source."""

    def change(notebook):
        cell = cell_of(notebook, name)
        assert old in cell.source
        cell.source = cell.source.replace(old, new)

    return change


def append(name, text):
    """Return a change that adds a paragraph to a Markdown cell or lines to a code cell."""

    def change(notebook):
        cell = cell_of(notebook, name)
        cell.source += "\n" + text

    return change


def output(name, *outputs):
    """Return a change of one cell's outputs."""

    def change(notebook):
        cell_of(notebook, name).outputs = list(outputs)

    return change


def metadata(name, value):
    """Return a change of one cell's metadata."""

    def change(notebook):
        cell_of(notebook, name).metadata = new_code_cell(metadata=value).metadata

    return change


def alt(text):
    return metadata("draw-weights", {"mystnb": {"image": {"alt": text}}})


def remove(*names):
    def change(notebook):
        notebook.cells[:] = [cell for cell in notebook.cells if cell.id not in names]

    return change


def attribute(name, **values):
    def change(notebook):
        cell_of(notebook, name).update(values)

    return change


def notebook_metadata(**values):
    return lambda notebook: notebook.content.metadata.update(values)


def stream(text, name="stdout"):
    return new_output("stream", name=name, text=text)


FAULTS = [
    (lint.cells_are_short, append("sum-row", "x = 1\n" * 20), "23 lines"),
    (lint.cells_are_short, source("sum-row", "\n", ";"), None),
    (lint.cells_are_short, append("show-mask", "x = 1\n" * 38), "41 lines"),
    (lint.cells_are_short, append("show-mask", "x = 1\n" * 37), None),
    (lint.cells_are_short, attribute("setup", source=""), "empty"),
    (
        lint.cells_are_short,
        lambda notebook: [cell.update(source="x = 1") for cell in notebook.code],
        "median",
    ),
    (lint.code_is_python, append("setup", "%matplotlib inline"), "no plain Python"),
    (lint.prose_comes_between, remove("explain-rows"), "follow each other"),
    (lint.prose_explains_code, append("sum-row", "x = 1\n" * 19), "8 or more"),
    (lint.prose_explains_code, append("caption", "one more word " * 160), "30 or fewer"),
    (lint.prose_explains_code, append("sum-row", "x = '''" + "many words " * 99 + "'''"), None),
    (lint.ids_are_names, attribute("setup", id="title"), "stands on 2"),
    (lint.ids_are_names, attribute("setup", id="3fa9c1d2"), "needs a name"),
    (lint.ids_are_names, attribute("setup", id="cell-7"), "needs a name"),
    (lint.ids_are_names, attribute("setup", id="Set_Up"), "needs a name"),
    (lint.metadata_is_minimal, notebook_metadata(kernelspec={"name": "mine"}), "metadata must"),
    (lint.metadata_is_minimal, lambda n: n.content.update(nbformat_minor=4), "older than 4.5"),
    (lint.outputs_are_present, output("sum-row"), "no output is stored"),
    (lint.outputs_are_present, append("setup", "torch.set_printoptions(precision=2)"), None),
    (lint.outputs_are_present, append("setup", "for x in [1]:\n    print(x)"), "no output is"),
    (lint.outputs_are_present, attribute("sum-row", execution_count=None), "run as [1, 2, None"),
    (lint.outputs_are_present, attribute("sum-row", execution_count=9), "run as [1, 2, 9, 4]"),
    (
        lint.outputs_are_present,
        lambda notebook: [cell.update(outputs=[]) for cell in notebook.code],
        "nothing is compared",
    ),
    (
        lint.only_text_is_stored,
        output("draw-weights", new_output("display_data", data={"image/png": "aa"})),
        "stores image/png",
    ),
    (
        lint.only_text_is_stored,
        output("sum-row", new_output("display_data", data={"text/html": "<b>1</b>"})),
        "stores text/html",
    ),
    (lint.only_text_is_stored, notebook_metadata(widgets={"state": {}}), "state of widgets"),
    (lint.only_text_is_stored, append("title", "![x](data:image/png;base64,aa)"), "picture in its"),
    (lint.only_text_is_stored, attribute("title", attachments={"a": {}}), "attachment"),
    (lint.outputs_hold_no_warning, output("sum-row", stream("hm", "stderr")), "error stream"),
    (lint.outputs_hold_no_warning, output("sum-row", stream("UserWarning: glyph")), "a warning"),
    (
        lint.outputs_hold_no_warning,
        output("sum-row", new_output("error", ename="KeyError", evalue="1", traceback=[])),
        "raised KeyError",
    ),
    (lint.outputs_are_stable, output("sum-row", result("<A at 0x7f06794dbd90>", 3)), "address"),
    (lint.outputs_are_stable, output("sum-row", result("0.123456", 3)), "round it"),
    (lint.no_absolute_paths, append("setup", "open('/home/me/x.txt')"), "/home/me"),
    (lint.no_absolute_paths, output("sum-row", stream("/usr/lib/python3")), "/usr/lib"),
    (lint.no_absolute_paths, append("setup", r"open('C:\\Users\\me')"), "C:"),
    (lint.no_absolute_paths, append("title", "See https://example.org/home/page or and/or."), None),
    (lint.no_absolute_paths, append("title", r"$A:\mathbb{R}/usr$"), None),
    (
        lint.uncompared_cells_are_listed,
        metadata("sum-row", {"tags": ["nbval-ignore-output"]}),
        "with a reason",
    ),
    (
        lint.uncompared_cells_are_listed,
        metadata("sum-row", {"tags": ["nbval-skip"]}),
        "assert its bounds",
    ),
    (
        lint.uncompared_cells_are_listed,
        lambda n: [c.metadata.update(tags=["raises-exception"]) for c in n.code],
        "two are allowed",
    ),
    (lint.uncompared_cells_are_listed, append("setup", "# NBVAL_SKIP"), "in a comment"),
    (lint.pictures_have_alternative_text, metadata("draw-weights", {}), "no alternative"),
    (lint.pictures_have_alternative_text, alt("A heatmap"), "few words"),
    (lint.pictures_have_alternative_text, alt("注意の重み"), "few words"),
    (
        lint.pictures_have_alternative_text,
        alt("四つのトークンの注意重みの行列で対角線が濃い"),
        None,
    ),
    (lint.pictures_have_alternative_text, alt(ALT + " heat.png"), "names a file"),
    (lint.pictures_have_alternative_text, alt("Picture of " + ALT), "opens its"),
    (
        lint.pictures_have_alternative_text,
        output("sum-row", result("Explorer heads: d_model=64, heads=4", 3)),
        "sum-row draws and has no alternative text",
    ),
    (
        lint.pictures_have_alternative_text,
        output("draw-weights", figure_output(), figure_output()),
        "draws 2 pictures",
    ),
    (lint.pictures_have_alternative_text, output("draw-weights"), "draws nothing"),
    (
        lint.pictures_have_alternative_text,
        lambda n: cell_of(n, "sum-row").update(cell_of(n, "draw-weights") | {"id": "twin"}),
        "2 pictures share",
    ),
    (lint.pictures_have_alternative_text, append("title", "![map](map.png)"), "map.png and has"),
    (lint.pictures_have_captions, source("caption", "**Weights.**", "Weights."), "bold noun"),
    (lint.pictures_have_captions, remove("caption"), "bold noun"),
    (lint.style_precedes_drawing, source("setup", "figures.use_style()", ""), "draws before"),
    (lint.definitions_equal_the_package, source("show-mask", "tril", "triu"), "causal_mask: the"),
    (
        lint.definitions_equal_the_package,
        source("show-mask", "def causal_mask", "def my_own"),
        "defines nothing",
    ),
    (lint.numbers_are_measured, source("explain-rows", "0.27", "0.28"), "0.28"),
    (lint.numbers_are_measured, source("explain-rows", "27 %", "29 %"), "29 %"),
    (lint.numbers_are_measured, source("explain-rows", "1,024", "1,025"), "1,025"),
    (lint.numbers_are_measured, source("explain-rows", "1,024", "about 1,000"), None),
    (lint.numbers_are_measured, alt(ALT + ", up to 0.91"), "0.91"),
    (lint.numbers_are_measured, append("explain-rows", "\n## 2.1 Why"), None),
    (lint.numbers_are_measured, source("caption", "It is one.", "It is 2.5."), "2.5"),
    (lint.numbers_are_measured, append("explain-rows", "```{note}\nNearly 93 %.\n```"), "93 %"),
    (lint.numbers_are_measured, append("explain-rows", ":::{tip}\nNearly 93 %.\n:::"), "93 %"),
    (lint.numbers_are_measured, append("explain-rows", "In 2017, $x=0.99$ and `0.98`."), None),
    (
        lint.numbers_are_measured,
        lambda n: (
            cell_of(n, "explain-rows").update(source="About 0.73 s.")
            or cell_of(n, "sum-row").update(
                source="t = measure()",
                outputs=[stream("0.73")],
                metadata=new_code_cell(metadata={"tags": ["nbval-ignore-output"]}).metadata,
            )
        ),
        "0.73",
    ),
    (lint.wording_is_plain, append("title", "It is simply a sum."), "simply"),
    (lint.wording_is_plain, append("title", "Well done 🎉"), "emoji"),
    (lint.wording_is_plain, append("title", "The flag `simply` ✓"), None),
    (lint.markdown_is_valid, source("caption", "\n\nAny number", "\nAny number"), "raw Markdown"),
    (lint.markdown_is_valid, source("caption", "Any number.\n\n</details>", "Any."), "unequally"),
    (lint.markdown_is_valid, append("title", "<details>\n\n</details>"), "without a <summary>"),
    (lint.markdown_is_valid, source("explain-rows", "## A", "### A"), "skips from level 1 to 3"),
    (lint.markdown_is_valid, append("title", "\n```python\nx = 1\n"), "close its fence"),
    (lint.markdown_is_valid, append("title", "\n$$\nx = 1\n"), "close a formula"),
    (lint.markdown_is_valid, append("title", "\n$$\n\\begin{align}x\\end{align}\n$$"), "aligned"),
    (lint.markdown_is_valid, append("title", "\n$$\n\\begin{aligned}x\\end{aligned}\n$$"), None),
    (lint.page_has_its_anatomy, remove("title"), "open with its title"),
    (lint.page_has_its_anatomy, source("title", "# Att", "## Att"), "does not open with a heading"),
    (lint.page_has_its_anatomy, append("explain-rows", "\n# Another"), "2 headings of level 1"),
    (lint.page_has_its_anatomy, source("title", "One token", "A. B. C. One token"), "first paragr"),
    (lint.page_has_its_anatomy, source("title", "- what a row is\n", ""), "lists 2 things"),
    (lint.page_has_its_anatomy, source("title", "You will learn", "Aims"), "lists 0 things"),
    (lint.page_has_its_anatomy, source("caption", "## Summary", "## End"), "Summary” is missing"),
    (
        lint.page_has_its_anatomy,
        append("explain-rows", "\n## Summary\n\nEarly."),
        "stand in another order",
    ),
    (lint.page_has_its_anatomy, source("caption", "<details><summary>And", "<p>And"), "folds 1"),
    (lint.page_has_its_anatomy, source("caption", "{cite}", ""), "cites nothing"),
    (lint.page_has_its_anatomy, source("caption", "](other", "][other"), "does not lead"),
    (
        lint.page_is_in_the_contents,
        lambda n: (n.root / "_toc.yml").write_text("root: book/en/other"),
        "does not name book/en/lesson",
    ),
    (lint.links_resolve, source("caption", "other.ipynb", "else.ipynb"), "does not exist"),
    (lint.links_resolve, source("caption", "several-heads)", "one-head)"), "no heading"),
    (lint.links_resolve, append("title", "![A long text](gone.png)"), "gone.png"),
    (lint.links_resolve, append("title", "[own](#a-row-of-weights), [x](#x-y).\n\n## `x` y"), None),
    (lint.links_resolve, append("title", "[own](#nowhere)"), "no heading"),
    (lint.links_resolve, append("title", "[own](#here).\n\n(here)=\n## There"), None),
    (lint.links_resolve, append("title", "[far](https://example.org/x.ipynb#y)"), None),
]


def exercises(edit=lambda cells: None):
    """Put the exercises of chapter 1 in the lesson's place, changed by `edit`."""

    def change(notebook):
        real = Notebook.read(ROOT / "book/en/attention/exercises.ipynb")
        object.__setattr__(notebook, "path", real.path)
        object.__setattr__(notebook, "content", real.content)
        edit({cell.id: cell for cell in real.content.cells})

    return change


def without(name, text):
    """Return an edit that takes a text out of a cell."""

    def edit(cells):
        assert text in cells[name].source
        cells[name].source = cells[name].source.replace(text, "")

    return edit


COMPLETE, GRADED = exercise_rules.exercises_are_complete, exercise_rules.only_exercises_are_graded
FAULTS += [
    (COMPLETE, exercises(), None),
    (COMPLETE, exercises(without("masks-statement", "<summary>Hint</summary>")), "no folded hint"),
    (COMPLETE, exercises(without("masks-statement", " 20 minutes ·")), "masks has no line"),
    (COMPLETE, exercises(without("heads-solution", "### BEGIN SOLUTION")), "marks no solution"),
    (COMPLETE, exercises(without("by-hand-rubric", "**Half (2 points).**")), "has the samples"),
    (
        COMPLETE,
        exercises(lambda cells: cells["heads-worked"].metadata.clear()),
        "heads-worked is missing",
    ),
    (COMPLETE, exercises(lambda cells: cells["heads-check"].outputs.clear()), "does not show"),
    (GRADED, exercises(), None),
    (GRADED, lambda lesson: lesson.cells[1].metadata.update(nbgrader={}), "in a lesson"),
    (
        GRADED,
        exercises(lambda cells: cells["setup"].metadata.update(nbgrader={})),
        "setup is graded",
    ),
]


@pytest.mark.parametrize(
    ("rule", "change", "sentence"),
    FAULTS,
    ids=[f"{rule.__name__}-{sentence or 'allowed'}" for rule, _, sentence in FAULTS],
)
def test_fault_is_named(lesson, rule, change, sentence):
    broken = Notebook(lesson.path, copy.deepcopy(lesson.content), lesson.root)
    change(broken)
    found = rule(broken)
    if sentence is None:
        assert found == []
    else:
        assert any(sentence in line for line in found), found


def test_each_rule_is_seen_to_fail():
    assert {rule for rule, _, sentence in FAULTS if sentence} == set(lint.RULES)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("It has 16,640 parameters and 64 heads.", ["16,640"]),
        ("From 0.5 to 1e-9, or 12 %, or 12%.", ["0.5", "1e-9", "12 %", "12%"]),
        ("Vaswani et al. (2017), section 3.2, arXiv:1706.03762, 2024-03-05, Python 3.11.", []),
        ("In 2048 tokens", ["2048"]),
        ("About 2,000 steps", ["About 2,000"]),
        ("H2O, x100 and v0.5", []),
    ],
)
def test_what_counts_as_measured(text, numbers):
    assert [number.text for number in measured_numbers(text)] == numbers


@pytest.mark.parametrize(
    ("prose", "outputs", "holds"),
    [
        ("99 %", "0.9873", True),
        ("99 %", "98.7%", True),
        ("99 %", "0.98", False),
        ("100 %", "1.00", True),
        ("100 %", "1", False),
        ("16,640", "parameters: 16640", True),
        ("0.12", "tensor([0.1234, -2.0])", True),
        ("0.12", "0.13", False),
        ("about 2,000", "1987", True),
        ("2,000", "1987", False),
        ("0.5", "-0.5", True),
    ],
)
def test_what_a_number_stands_on(lesson, prose, outputs, holds):
    cell_of(lesson, "explain-rows").source = f"It is {prose} here."
    output("sum-row", stream(outputs))(lesson)
    lesson.cells[:] = [cell_of(lesson, "explain-rows"), cell_of(lesson, "sum-row")]
    cell_of(lesson, "sum-row").source = "show()"
    assert (lint.numbers_are_measured(lesson) == []) is holds


@pytest.mark.parametrize(
    ("cell", "package", "same"),
    [
        ("def f(x): return x", 'def f(x: "T") -> int:\n    "Doc."\n    return x', True),
        ("def f(x): return x", "def f(x):\n    _check_size(x)\n    return x", True),
        ("def f(x): return x", "def f(x):\n    if x: raise ValueError(x)\n    return x", True),
        ("def f(x): return x", "def f(x, y=1): return x", False),
        ("def f(x): return x", "def f(x): return -x", False),
        ("def f(x): return x", "def f(x):\n    if x: return 1\n    return x", False),
        ("class A:\n    a: int", "class A:\n    a: float", False),
        ("class A:\n    def f(self): pass", "class A:\n    def g(self): pass", False),
        (
            "class A:\n    def f(self): pass",
            "class A:\n    def f(self): pass\n    def g(self):\n" + "        x = 1\n" * 40,
            True,
        ),
        (
            "class A:\n    def f(self): return 1",
            "class A:\n    def f(self): pass\n    def g(self):\n" + "        x = 1\n" * 40,
            False,
        ),
    ],
)
def test_what_equals_a_definition(cell, package, same):
    found = difference(ast.parse(cell).body[0], ast.parse(package).body[0])
    assert (found is None) is same


def test_a_definition_shown_twice_is_named(lesson):
    other = Notebook(lesson.path.with_name("other.ipynb"), lesson.content, lesson.root)
    assert lint.shown_twice([lesson]) == []
    assert "causal_mask is defined in" in lint.shown_twice([lesson, other])[0]


def test_an_exception_that_nothing_needs_is_named(lesson, tmp_path, monkeypatch):
    table = tmp_path / "table.toml"
    table.write_text(
        '[[cells]]\nnotebook = "book/en/lesson"\ncell = "sum-row"\nwhy = "Times vary from run to run"'
    )
    monkeypatch.setattr(lint, "NOT_COMPARED", table)
    assert "no such cell" in lint.stale_exceptions([lesson])[0]
    metadata("sum-row", {"tags": ["nbval-ignore-output"]})(lesson)
    assert lint.stale_exceptions([lesson]) == []


def test_a_missing_page_is_named(lesson):
    assert lint.missing_pages(lesson.root) == ["book/en/lesson"]
    assert lint.contents(lesson.root) == ["book/en/lesson", "book/en/other"]


def test_notebooks_are_found_by_glob(lesson):
    hidden = lesson.path.parent / ".ipynb_checkpoints"
    hidden.mkdir()
    (hidden / "lesson.ipynb").touch()
    assert lint.notebooks(lesson.root) == [lesson.path.with_name("other.ipynb")]
