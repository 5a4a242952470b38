"""Runs a command as a newcomer would, and writes the fakes it meets on its PATH."""

import os
import subprocess
from pathlib import Path

# What the make, pytest or environment around these tests would hand down.
NOT_INHERITED = ("MAKE", "MFLAGS", "VIRTUAL_ENV", "OMP_", "PYTEST_", "PYTHON")


def write_script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path


def run(command, folder: Path, seconds: float = 60, **environment: str):
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(NOT_INHERITED)
    }
    return subprocess.run(
        command,
        cwd=folder,
        env=inherited | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
    )
