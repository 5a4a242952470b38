"""Every picture that a cell draws says in words what is to be seen."""

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)
FEWEST_WORDS = 5


def _cell_of(node: nodes.Node) -> nodes.Element | None:
    """Find the notebook cell that a node is an output of."""
    inside_output = False
    while node is not None:
        classes = getattr(node, "attributes", {}).get("classes", [])
        inside_output = inside_output or "cell_output" in classes
        if inside_output and "cell" in classes:
            return node
        node = node.parent
    return None


def _demand_words(app: Sphinx, doctree: nodes.document, page: str) -> None:
    for image in doctree.findall(nodes.image):
        cell = _cell_of(image)
        if cell is not None and len(image.get("alt", "").split()) < FEWEST_WORDS:
            code = next(cell.findall(nodes.literal_block), nodes.literal_block())
            logger.warning(
                "a cell draws a picture without words for it; give it the metadata "
                '{"mystnb": {"image": {"alt": "..."}}}. Its code ends:\n%s',
                "\n".join(code.astext().splitlines()[-2:]),
                location=page,
            )


def setup(app: Sphinx) -> None:
    """Warn, and so fail a strict build, about pictures without alternative text."""
    app.connect("doctree-resolved", _demand_words)
