"""The Dockerfile that repo2docker renders: what Binder will do, without docker."""

import re
import sys

import pytest
from newcomer import run


@pytest.fixture(scope="module")
def dockerfile(root):
    rendered = run(
        [sys.executable, "-m", "repo2docker", "--no-build", "--debug", "."], root, seconds=120
    )
    assert rendered.returncode == 0, rendered.stdout
    return rendered.stdout


def test_python_is_the_one_named(root, dockerfile):
    assert (root / "binder/runtime.txt").read_text() == "python-3.11\n"
    # The name of the base environment, as repo2docker writes it into a file name.
    assert "environment-2epy-2d3-2e11" in dockerfile


def test_the_small_list_is_installed_once_the_repository_is_there(dockerfile):
    copied = re.search(r"COPY --chown=\d+:\d+ src/ \$\{REPO_DIR\}/", dockerfile).start()
    installed = dockerfile.index('pip install --no-cache-dir -r "binder/requirements.txt"')
    assert copied < installed
    assert '-r "requirements.txt"' not in dockerfile


def test_the_package_is_installed_last(root, dockerfile):
    installed = dockerfile.index('-r "binder/requirements.txt"')
    assert installed < dockerfile.index("RUN ./binder/postBuild")
    script = root / "binder/postBuild"
    assert script.stat().st_mode & 0o111
    assert "pip install --no-cache-dir --no-deps -e ." in script.read_text()
