"""Formulas are rendered by KaTeX while the book is built, so that a page needs no script for them."""

import html
import re
import shutil
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ExtensionError
from sphinxcontrib import katex

from . import packages
from .look import add_static_folder

KATEX = packages.PACKAGES / "katex" / "dist"

FAILED = re.compile(r'class="katex-error" title="([^"]*)"')


def _use_katex(app: Sphinx, config: Config) -> None:
    config.html_math_renderer = "katex"
    config.katex_prerender = True
    config.katex_js_path = str(KATEX / "katex.min.js")
    config.katex_css_path = "katex/katex.min.css"


def _prepare(app: Sphinx) -> None:
    """Copy the style sheet and the fonts that today's browsers take."""
    if app.builder.format != "html":
        return
    packages.install()
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
    katex.NODEJS_BINARY = str(packages.NODE)
    # On a Unix socket the renderer is now and then asked before it listens; on a port it is not.
    katex.KaTeXServer.start_server_process = classmethod(
        lambda cls, folder, timeout: cls.start_network_socket(folder, timeout)
    )
    app.connect("config-inited", _use_katex)
    # Before sphinxcontrib-katex, which looks for its files in the same event.
    app.connect("builder-inited", _prepare, priority=400)
    app.setup_extension("sphinxcontrib.katex")
    app.connect("build-finished", _refuse_failed_formulas)
