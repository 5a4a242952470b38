"""requirements.txt, constraints.txt, pyproject.toml and what the course imports agree."""

import ast
import json
import re
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, packages_distributions, requires, version
from itertools import chain

import pytest
from newcomer import run
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PIN = re.compile(r"^(?P<name>[\w.-]+)==(?P<version>[\w.]+)\s+# \S.{5,}$")


def names(requirements):
    return {canonicalize_name(Requirement(line).name) for line in requirements}


@pytest.fixture(scope="session")
def direct(root):
    """The pins of requirements.txt: name to version."""
    lines = (root / "requirements.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith(("#", "-"))]
    for line in pins:
        assert PIN.match(line), f"requirements.txt: no exact version or no reason in {line!r}"
    return {canonicalize_name(PIN.match(line)["name"]): PIN.match(line)["version"] for line in pins}


@pytest.fixture(scope="session")
def locked(root):
    """The pins of constraints.txt that hold on this machine: name to version."""
    lines = (root / "constraints.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if not line.startswith("#")]
    here = [pin for pin in pins if pin.marker is None or pin.marker.evaluate()]
    return {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in here}


@pytest.fixture(scope="session")
def package(root):
    """The [project] table of pyproject.toml."""
    return tomllib.loads((root / "pyproject.toml").read_text())["project"]


def test_requirements_install_the_package_under_the_lock(root):
    lines = (root / "requirements.txt").read_text().splitlines()
    assert [line for line in lines if line.startswith("-")] == [
        "-c constraints.txt",
        "-e .[book,grading]",
    ]


def test_the_lock_repeats_the_direct_pins(direct, locked):
    assert {name: locked.get(name) for name in direct} == direct


def test_the_lock_holds_versions_and_nothing_else(root):
    lines = (root / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert pins == sorted(pins, key=lambda pin: pin.split("==")[0])
    for line in pins:
        assert re.fullmatch(r"[a-z0-9-]+==[a-z0-9.]+( ; .+)?", line), line


def test_the_lock_covers_all_that_the_direct_pins_lead_to(direct, locked):
    seen, left = set(), set(direct)
    while left:
        name = left.pop()
        seen.add(name)
        assert name in locked, f"{name} is needed and not in constraints.txt: run make lock"
        for text in requires(name) or []:
            needed = Requirement(text)
            # torch pins the packages of its CUDA build itself.
            if needed.name.startswith(("nvidia-", "cuda-", "triton")):
                continue
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                left |= {canonicalize_name(needed.name)} - seen


def test_what_is_installed_is_what_is_locked(locked):
    differing = {}
    for name, pinned in locked.items():
        try:
            installed = version(name).split("+")[0]
        except PackageNotFoundError:
            continue
        if installed != pinned:
            differing[name] = (installed, pinned)
    assert not differing


def test_the_package_asks_for_what_is_pinned(direct, package):
    for text in chain(package["dependencies"], *package["optional-dependencies"].values()):
        requirement = Requirement(text)
        name = canonicalize_name(requirement.name)
        if name != package["name"]:
            assert name in direct
            assert requirement.specifier.contains(direct[name])


def test_binder_installs_the_package_s_own_needs(root, direct, locked, package):
    lines = (root / "binder/requirements.txt").read_text().splitlines()
    listed = names(line for line in lines if line and not line.startswith(("#", "-")))
    extras = package["optional-dependencies"]
    extras.pop("export")  # the book's build alone exports models
    extras.pop("grading")  # of which Binder needs the blanks alone
    needed = names(chain(package["dependencies"], *extras.values()))
    assert listed - {"jupyterlab-myst"} == needed - {package["name"]}
    assert listed <= set(direct)
    assert f"torch=={direct['torch']}+cpu" in lines


def imports(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module.split(".")[0]


def sources(root):
    """Every Python file of the project, and each notebook's code without its magics."""
    for folder in ("src", "tests", "book", "make"):
        for path in root.joinpath(folder).rglob("*.py"):
            if "node_modules" not in path.parts:
                yield path, path.read_text(encoding="utf-8")
    yield root / "conftest.py", (root / "conftest.py").read_text(encoding="utf-8")
    for path in root.joinpath("book").rglob("*.ipynb"):
        if ".ipynb_checkpoints" not in path.parts:
            cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
            code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
            yield path, re.sub(r"(?m)^[%!].*$", "", "\n".join(code))


def undeclared(root, declared, suffix=""):
    """Imports of files with this suffix which no declared package provides: module to file."""
    distributions = packages_distributions()
    own = {"lesson_tf", "book"}
    for folder in ("tests", "book", "make"):
        own |= {path.stem for path in root.joinpath(folder).rglob("*.py")}
    missing = {}
    for path, text in sources(root):
        if not path.name.endswith(suffix):
            continue
        for module in set(imports(ast.parse(text))) - own - set(sys.stdlib_module_names):
            providers = {canonicalize_name(name) for name in distributions.get(module, [module])}
            if not providers & set(declared):
                missing[module] = str(path.relative_to(root))
    return missing


def test_everything_imported_is_declared(root, direct):
    assert not undeclared(root, direct)


def test_binder_has_all_that_the_notebooks_import(root):
    lines = (root / "binder/requirements.txt").read_text().splitlines()
    listed = names(line for line in lines if line and not line.startswith(("#", "-")))
    assert not undeclared(root, listed, ".ipynb")


def test_the_installed_packages_fit_together(root):
    checked = run([sys.executable, "-m", "pip", "check"], root)
    assert checked.returncode == 0, checked.stdout
