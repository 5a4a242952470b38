"""Colours, type, logo, and the description that search engines show for a page."""

import html
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config

from lesson_tf.palette import DARK, LIGHT

THEME = Path(__file__).resolve().parent


def add_static_folder(app: Sphinx, name: str) -> Path:
    """Give back a folder, made anew beside the pages, whose files the build copies to `_static`."""
    folder = Path(app.doctreedir) / "static" / name
    folder.mkdir(parents=True, exist_ok=True)
    app.config.html_static_path = [*app.config.html_static_path, str(folder)]
    return folder


def _palette_css() -> str:
    """Write the course's colours as custom properties, `--tf-query` and so on."""

    def rule(selector: str, colours: dict[str, str]) -> str:
        lines = [f"  --tf-{name}: {colour};" for name, colour in colours.items()]
        return "\n".join([f"{selector} {{", *lines, "}\n"])

    return rule(":root", LIGHT) + rule('html[data-theme="dark"]', DARK)


def _use_logo(app: Sphinx, config: Config) -> None:
    static = THEME / "static"
    config.html_favicon = str(static / "favicon.svg")
    config.html_theme_options["logo"] = {
        "image_light": str(static / "logo-light.svg"),
        "image_dark": str(static / "logo-dark.svg"),
        "text": config.html_title,
        "alt_text": "A small causal attention pattern, the mark of this book",
    }


def _add_style_sheets(app: Sphinx) -> None:
    folder = add_static_folder(app, "palette")
    (folder / "palette.css").write_text(_palette_css(), encoding="utf-8")
    app.config.html_static_path = [*app.config.html_static_path, str(THEME / "static")]
    app.add_css_file("palette.css", priority=900)
    app.add_css_file("book.css", priority=901)


def _first_paragraph(doctree: nodes.document) -> str:
    for paragraph in doctree.findall(nodes.paragraph):
        if isinstance(paragraph.parent, nodes.section):
            return " ".join(paragraph.astext().split())
    return ""


def _describe(
    app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document | None
) -> None:
    description = _first_paragraph(doctree) if doctree else ""
    if description:
        content = html.escape(description)
        context["metatags"] += f'<meta name="description" content="{content}" />\n'


def setup(app: Sphinx) -> None:
    """Add the book's colours, type, logo and descriptions."""
    app.connect("config-inited", _use_logo)
    app.connect("builder-inited", _add_style_sheets)
    app.connect("html-page-context", _describe)
