"""A page loads what it uses, and nothing from anybody else."""

from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config

TEMPLATES = Path(__file__).resolve().parent / "templates"

# A file, or an inline script that holds the word, is loaded where the page holds the mark.
USED_WITH = {
    "katex": 'class="katex',
    "wide_formulas": "katex-display",
    "sphinx-design": 'class="sd-',
    "design-tabs": "sd-tab-set",
    "toggle": "dropdown",
    "clipboard": "highlight",
    "copybutton": "highlight",
    "explorers": "<lesson-explorer",
}


def _is_used(asset: Any, body: str) -> bool:
    """Say whether a style sheet or script is of use to a page with this body."""
    name = f"{asset.filename} {asset.attributes.get('body', '')}"
    return all(mark in body for word, mark in USED_WITH.items() if word in name)


def _drop_unused(
    app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document | None
) -> None:
    # The lists are shared between pages: replaced here, never changed in place.
    body = context.get("body", "")
    for kind in ("css_files", "script_files"):
        context[kind] = [asset for asset in context[kind] if _is_used(asset, body)]


def _drop_widget_scripts(app: Sphinx, config: Config) -> None:
    # By default a page with a widget would ask a foreign host for require.js.
    config.nb_ipywidgets_js = {}
    # The template there leaves out fontawesome.js: 1.5 MB that draw icons which the style sheet draws.
    config.templates_path = [str(TEMPLATES), *config.templates_path]


def setup(app: Sphinx) -> None:
    """Leave out what a page does not use."""
    app.connect("config-inited", _drop_widget_scripts)
    app.connect("html-page-context", _drop_unused, priority=900)
