"""What the pages need so that a keyboard and a screen reader come everywhere."""

from docutils import nodes
from sphinx.application import Sphinx

# The bibliography is a list for screen readers, whose entries docutils gives a role of a book's index
# of sources, which may no longer stand in a list.
OLD_ROLE, ROLE = 'role="doc-biblioentry"', 'role="listitem"'


def _repair_roles(
    app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document | None
) -> None:
    if "body" in context:
        context["body"] = context["body"].replace(OLD_ROLE, ROLE)


def setup(app: Sphinx) -> None:
    """Repair roles, and let wide formulas be scrolled by the keyboard."""
    app.connect("html-page-context", _repair_roles)
    app.add_js_file("wide_formulas.js", loading_method="defer")
