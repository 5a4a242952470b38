"""The program inside a sandbox, here without one: it runs cells, answers calls, and judges nothing."""

import json
import subprocess
import sys

import pytest
import small_class

from lesson_tf.grading.exercise_sources import read
from lesson_tf.grading.judging import Findings, findings_of, judge, tasks_for


@pytest.fixture
def tests(made):
    return tasks_for(read(made.release(small_class.NAME)), 3, {})


def run(cells: list[str], tests=(), seconds: float = 20.0) -> Findings:
    """Run the program on cells, which get the names a, b, c …"""
    job = {
        "cells": [{"id": chr(97 + place), "source": cell} for place, cell in enumerate(cells)],
        "exercises": [test.job() for test in tests],
        "seconds": seconds,
    }
    command = [sys.executable, "-m", "lesson_tf.grading.student"]
    told = subprocess.run(command, input=json.dumps(job).encode(), capture_output=True, timeout=120)
    findings = Findings()
    findings.reason = findings_of(told.stdout, findings)
    return findings


def test_cells_run_in_order_as_in_a_notebook(tests):
    findings = run(
        [
            "x = 1\nprint('hello')",
            "%matplotlib inline\nimport matplotlib.pyplot as plt\nplt.plot([1, 2]);",
            "x + 41",
            "x.nothing",
            small_class.RIGHT_ATTENTION,
            "import torch\n" + small_class.RIGHT_MASK,
            "this is no Python",
        ],
        tests,
    )
    assert findings.reason == ""
    cells = findings.cells
    assert cells["a"]["text"] == "hello\n"
    assert "image/png" in cells["b"]["shown"][0]
    assert cells["c"]["shown"] == [{"text/plain": "42"}]
    assert cells["d"]["error"].startswith("AttributeError")
    assert cells["g"]["error"].startswith("SyntaxError")
    assert [judge(test, findings).earned for test in tests] == [4, 5]


def test_a_cell_that_does_not_end_is_stopped_and_the_next_ones_run():
    findings = run(["while True: pass", "print(2)"], seconds=0.5)
    assert findings.late_cells == ["a"]
    assert "stopped after 0.5 seconds" in findings.cells["a"]["error"]
    assert findings.cells["b"]["text"] == "2\n"


def test_much_text_is_cut():
    findings = run(["for _ in range(1000): print('x' * 1000)"])
    assert 20_000 <= len(findings.cells["a"]["text"]) < 20_100
    assert findings.cells["a"]["text"].endswith("[The rest is not kept.]")


def test_what_is_not_defined_or_no_function_is_told(tests):
    findings = run(["attention = 3"], tests)
    assert judge(tests[1], findings).trouble == "`decoder_mask` is not defined."
    assert "cannot be read" in judge(tests[0], findings).trouble


def test_what_was_done_before_the_process_ended_is_kept(tests):
    exits = "import os\ndef decoder_mask(token_ids, pad_id):\n    os._exit(0)"
    findings = run([small_class.RIGHT_ATTENTION, exits], tests)
    assert findings.reason == "masks-check"
    assert judge(tests[0], findings).earned == 4


@pytest.mark.parametrize(
    "cell", ["exit()", "quit()", "raise SystemExit", "raise KeyboardInterrupt"]
)
def test_a_cell_that_leaves_does_not_end_the_rest(cell):
    findings = run([cell, "print('here')"])
    assert findings.cells["b"]["text"] == "here\n"


def test_standard_input_is_empty_and_holds_no_job():
    findings = run(["import sys\nprint(repr(sys.stdin.read()))", "input()"])
    assert findings.cells["a"]["text"] == "''\n"
    assert "b" in findings.cells and findings.cells["b"]["error"]


def test_an_error_is_told_in_a_line_with_the_line_of_the_cell(tests):
    cells = [
        "def f(x):\n    return x + nothing\n\nf(1)",
        "def g(:\n    pass",
        "while True:\n    pass",
    ]
    found = run(cells, seconds=1.0).cells
    assert found["a"]["error"] == "NameError: name 'nothing' is not defined (line 2)"
    assert found["b"]["error"].endswith("(line 1)") and "ipython" not in found["b"]["error"]
    assert found["c"]["error"] == "TimeoutError: stopped after 1 seconds" and found["c"]["late"]
    assert [cell["text"] for cell in found.values()] == ["", "", ""]  # No stack, no path of ours.
