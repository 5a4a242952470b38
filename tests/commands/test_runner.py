"""The runner of the tests: all parts run, each gets a line, and one failure fails the whole."""

import shutil
import sys

import pytest
from newcomer import run, write_script

PASSING = 'print("=== 3 passed, 1 skipped in 0.12s ===")'
FAILING = 'print("1 failed, 2 passed, 1 error in 61.00s (0:01:01)"); raise SystemExit(1)'


@pytest.fixture
def runner(root, monkeypatch):
    monkeypatch.syspath_prepend(root / "make")
    import run_tests

    return run_tests


@pytest.fixture
def browser(root, monkeypatch):
    """make/browser.py where no browser is installed and Playwright's download fails."""
    monkeypatch.syspath_prepend(root / "make")
    import browser

    monkeypatch.delenv("CHROME_PATH", raising=False)
    monkeypatch.setattr(shutil, "which", lambda command: None)
    monkeypatch.setattr(browser, "APPLICATIONS", ())
    monkeypatch.setattr(browser, "playwright_browser", lambda: None)
    monkeypatch.setattr(browser, "install", lambda: None)
    return browser


def python(code):
    return [sys.executable, "-c", code]


def test_every_part_of_the_gate_is_there(runner):
    assert [part.name for part in runner.PARTS] == [
        "lint",
        "unit",
        "notebooks",
        "book",
        "page",
        "grading",
        "commands",
    ]
    browsers = [part.name for part in runner.PARTS if part.needs_browser]
    assert browsers == ["page"]


def test_later_parts_run_after_a_failure(runner, capfd):
    parts = [
        runner.Part("first", [python(FAILING), python(PASSING)]),
        runner.Part("second", [python(PASSING)]),
        runner.Part("third", [["/nowhere/at/all"]]),
        runner.Part("fourth", [python("pass")]),
    ]
    assert runner.main([], parts) == 1
    lines = capfd.readouterr().out.splitlines()[-5:]
    assert [line.split()[:2] for line in lines[:4]] == [
        ["first", "FAILED"],
        ["second", "passed"],
        ["third", "FAILED"],
        ["fourth", "passed"],
    ]
    assert lines[4] == "total: 9 passed, 3 failed, 2 skipped"


def test_named_parts_run_alone(runner, capfd):
    parts = [runner.Part("one", [python("pass")]), runner.Part("two", [python("pass")])]
    assert runner.main(["two"], parts) == 0
    assert capfd.readouterr().out.splitlines()[-1] == "total: 1 passed, 0 failed"
    assert runner.main(["three"], parts) == 2
    assert "the parts are one, two" in capfd.readouterr().out


def test_no_tests_collected_is_a_failure(runner, capfd):
    code = 'print("no tests ran in 0.01s"); raise SystemExit(5)'
    assert runner.main([], [runner.Part("empty", [python(code)])]) == 1
    assert capfd.readouterr().out.splitlines()[-1] == "total: 0 passed, 1 failed"


def test_a_missing_browser_fails_its_part_in_one_sentence(runner, browser, capfd):
    parts = [runner.Part("page", [python(PASSING)], needs_browser=True)]
    assert runner.main([], parts) == 1
    assert browser.MISSING in capfd.readouterr().out


def test_playwright_installs_what_is_missing(browser, monkeypatch):
    found = iter([None, "/cache/chrome"])
    monkeypatch.setattr(browser, "playwright_browser", lambda: next(found))
    assert browser.find() == "/cache/chrome"


def test_a_named_browser_is_taken_or_refused(browser, monkeypatch, tmp_path):
    chrome = write_script(tmp_path / "chrome", "")
    monkeypatch.setenv("CHROME_PATH", str(chrome))
    assert browser.find() == str(chrome)
    monkeypatch.setenv("CHROME_PATH", "/nowhere/chrome")
    with pytest.raises(SystemExit, match="CHROME_PATH=/nowhere/chrome does not exist"):
        browser.find()


def test_commits_are_judged_by_ruff(copy, root):
    write_script(copy / ".venv/bin/ruff", f'exec {sys.executable} -m ruff "$@"\n')
    (copy / "make/crooked.py").write_text("import os\nx=1\n")
    for command in (["git", "init", "-q"], ["git", "add", "make", ".pre-commit-config.yaml"]):
        assert run(command, copy).returncode == 0
    hooks = [sys.executable, "-m", "pre_commit", "run", "--files"]
    refused = run([*hooks, "make/crooked.py"], copy, PRE_COMMIT_HOME=str(copy / "hooks"))
    assert refused.returncode == 1
    assert "F401" in refused.stdout
    assert "would be reformatted" in refused.stdout
    accepted = run([*hooks, "make/serve.py"], copy, PRE_COMMIT_HOME=str(copy / "hooks"))
    assert accepted.returncode == 0, accepted.stdout
