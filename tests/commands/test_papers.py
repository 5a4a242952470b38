"""The repository's papers parse, agree with each other, and name commands that exist."""

import re
import tomllib

import pytest
import yaml


def load(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def project(root):
    return tomllib.loads((root / "pyproject.toml").read_text())["project"]


def steps(workflow):
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_the_test_workflow_runs_ci_on_each_python(root):
    workflow = load(root / ".github/workflows/test.yml")
    linux = workflow["jobs"]["linux"]
    assert linux["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    assert {"run": "bash .ci/run"} in linux["steps"]
    # YAML reads the key `on` as true.
    assert {"push", "pull_request"} <= set(workflow[True])


def test_the_pages_workflow_publishes_the_book(root):
    workflow = load(root / ".github/workflows/pages.yml")
    assert workflow["permissions"] == {"contents": "read", "pages": "write", "id-token": "write"}
    assert {"run": "make book"} in steps(workflow)
    uploads = [step for step in steps(workflow) if "upload-pages-artifact" in step.get("uses", "")]
    assert [step["with"]["path"] for step in uploads] == ["_build/html"]


def test_workflows_pin_actions_and_use_pythons_the_package_takes(root):
    for path in (root / ".github/workflows").glob("*.yml"):
        for step in steps(load(path)):
            assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step.get("uses", "a/b@v1")), path
            assert step.get("with", {}).get("cache-dependency-path") in (None, "constraints.txt")


@pytest.mark.parametrize("name", ["bug", "unclear_page"])
def test_issue_templates_are_forms(root, name):
    form = load(root / f".github/ISSUE_TEMPLATE/{name}.yml")
    assert form["name"]
    assert form["description"]
    identifiers = [field["id"] for field in form["body"]]
    assert len(set(identifiers)) == len(identifiers)
    assert {field["type"] for field in form["body"]} <= {"input", "textarea"}
    assert all(field["attributes"]["label"] for field in form["body"])


def test_the_citation_agrees_with_the_package(root, project):
    citation = load(root / "CITATION.cff")
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= set(citation)
    assert citation["version"] == project["version"]
    assert [author["name"] for author in citation["authors"]] == [
        author["name"] for author in project["authors"]
    ]


def test_one_repository_is_named_everywhere(root):
    address = load(root / "_config.yml")["repository"]["url"]
    assert load(root / "CITATION.cff")["repository-code"] == address
    named = re.findall(r"https://github\.com/[\w-]+/[\w-]+", (root / "README.md").read_text())
    assert set(named) == {address}


def test_the_papers_name_commands_that_exist(root):
    makefile = (root / "Makefile").read_text()
    targets = re.search(r"^\.PHONY: (.+)$", makefile, re.M)[1].split()
    for paper in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        text = (root / paper).read_text(encoding="utf-8")
        assert set(re.findall(r"\bmake (\w+)`", text)) <= set(targets), paper
        for link in re.findall(r"\]\((?!https?:|#)([^)]+)\)", text):
            assert (root / link).exists(), f"{paper} links to {link}"


def test_contributing_fits_on_a_screen(root):
    lines = (root / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 50


def test_the_changelog_keeps_the_format(root):
    headings = re.findall(r"^#{1,3} .+$", (root / "CHANGELOG.md").read_text(), re.M)
    assert headings[:2] == ["# Changelog", "## [Unreleased]"]
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert {heading[4:] for heading in headings if heading.startswith("### ")} <= kinds
