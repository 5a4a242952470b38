"""Links into Binder: in the header of a notebook page, and below each explorer."""

import os

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config

from lesson_tf.grading.exercise_sources import blank_name


def _follow_fork(app: Sphinx, config: Config) -> None:
    """Let a copy of the repository that builds the book point at itself."""
    name = os.environ.get("GITHUB_REPOSITORY")
    if name:
        config.html_theme_options["repository_url"] = f"https://github.com/{name}"


def binder_url(config: Config, page: str) -> str:
    """Give the address that opens the notebook of a page in JupyterLab on Binder."""
    options = config.html_theme_options
    repository = options["repository_url"].removeprefix("https://github.com/").strip("/")
    hub = options["launch_buttons"]["binderhub_url"].strip("/")
    branch = options["repository_branch"]
    return f"{hub}/v2/gh/{repository}/{branch}?urlpath=lab/tree/{page}.ipynb"


def _add_notes(app: Sphinx, doctree: nodes.document, page: str) -> None:
    for cell in list(doctree.findall(nodes.container)):
        if "tag_explorer" in cell["classes"]:
            link = nodes.reference("", "Binder recomputes any value", classes=["external"])
            link["refuri"] = binder_url(app.config, page)
            text = nodes.Text("Its stops were computed with the book; ")
            note = nodes.paragraph("", "", text, link, nodes.Text("."), classes=["explorer-note"])
            cell.parent.insert(cell.parent.index(cell) + 1, note)


def _unfold_single_launcher(
    app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document | None
) -> None:
    # The theme folds launchers into a menu; a menu of one hides it.
    buttons = context["header_buttons"]
    for index, button in enumerate(buttons):
        if button.get("label") == "launch-buttons" and len(button["buttons"]) == 1:
            buttons[index] = {**button["buttons"][0], "label": "launch-binder"}
            if blank_name(page):
                # The repository's notebook holds the solutions; Binder makes one with blanks.
                buttons[index]["url"] = binder_url(app.config, f"exercises/{blank_name(page)}")


def setup(app: Sphinx) -> None:
    """Add the links into Binder."""
    app.connect("config-inited", _follow_fork)
    app.connect("doctree-resolved", _add_notes)
    # After the theme, which adds its launch buttons at 501.
    app.connect("html-page-context", _unfold_single_launcher, priority=502)
