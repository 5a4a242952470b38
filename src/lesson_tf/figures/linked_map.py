"""The map of the model as part of a page: its parts are links."""

import base64
import io
import os
import re
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree

import matplotlib
from matplotlib.figure import Figure

from lesson_tf.figures.architecture import model_map
from lesson_tf.figures.style import STYLE, TEXT_WIDTH
from lesson_tf.palette import LIGHT

SVG = "{http://www.w3.org/2000/svg}"
XLINK = "{http://www.w3.org/1999/xlink}"
DESCRIPTION = (
    "Map of the Transformer, each part a link to its lesson. The encoder, on the left, turns tokens "
    "into embeddings, adds positional encoding, and passes them through N layers of self-attention and "
    "feed-forward, with add and norm after each. The decoder, on the right, does the same with masked "
    "self-attention, and between the two cross-attention takes keys and values from the encoder. A "
    "linear layer and softmax give the output."
)
# Each rule names the picture, for a style in an inline SVG holds for the whole page.
LOOK = (
    ".model-map *{stroke-linejoin:round;stroke-linecap:butt}"
    f".model-map a text{{text-decoration:underline {LIGHT['hatch']} 1px;text-underline-offset:3px}}"
    f".model-map a:is(:hover,:focus-visible) text{{text-decoration:underline {LIGHT['ink']} 1.5px}}"
)


class LinkedMap:
    """The map of `model_map`, shown as inline SVG with working links, or as PNG without HTML.

    `lessons` maps names from `MODEL_PARTS` to pages of the book without their suffix, relative to
    the page that shows the map; an anchor may follow. Raises `ValueError` for another name.

    >>> LinkedMap({"tokens": "tokenization/tokens", "output": "warm_up#softmax"})
    Map of the model
      tokens: tokenization/tokens
      output: warm_up#softmax
    """

    def __init__(self, lessons: Mapping[str, str]):
        self.lessons = dict(lessons)
        # While the book is built, a lesson is a page; in an editor, it is a notebook.
        suffix = ".html" if os.environ.get("LESSON_TF_BOOK") else ".ipynb"
        self._links = {part: _with_suffix(page, suffix) for part, page in self.lessons.items()}
        with matplotlib.rc_context({**STYLE, "svg.fonttype": "none"}):
            # No pyplot: it would show the picture a second time.
            self._figure = Figure(figsize=(TEXT_WIDTH, 6.85), layout="constrained")
            model_map(self._links, ax=self._figure.add_subplot())

    def svg(self) -> str:
        """Give the map as an SVG element for a page: letters are text, links open in place."""
        root = ElementTree.fromstring(
            self._save("svg", Date=None, Creator=None, Format=None, Type=None)
        )
        root.attrib.pop("height")  # The page keeps the proportions of the viewBox.
        root.attrib |= {"width": "720", "class": "model-map", "style": "max-width:100%;height:auto"}
        root.attrib |= {"role": "group", "aria-label": DESCRIPTION}
        root.find(f".//{SVG}style").text = LOOK
        for element in root.iter():
            if not element.tag.endswith("clipPath"):
                element.attrib.pop("id", None)
        for link in root.iter(f"{SVG}a"):
            link.attrib = {"href": link.attrib[f"{XLINK}href"]}
            if link.find(f"{SVG}text") is None:
                # The box behind a label is the same link again: for the mouse alone.
                link.attrib |= {"tabindex": "-1", "aria-hidden": "true"}
        ElementTree.register_namespace("", SVG.strip("{}"))
        # The page's own font is sharper than a font which the reader may not have.
        return re.sub(r"font-family: [^;]+; ?", "", ElementTree.tostring(root, encoding="unicode"))

    def __repr__(self) -> str:
        """List the parts and their lessons."""
        return "\n  ".join(
            ["Map of the model", *(f"{part}: {page}" for part, page in self.lessons.items())]
        )

    def _repr_mimebundle_(self, include: Sequence = (), exclude: Sequence = ()) -> tuple:
        picture = base64.b64encode(self._save("png", Software=None)).decode("ascii")
        bundle = {"text/plain": repr(self), "text/html": self.svg(), "image/png": picture}
        return bundle, {"image/png": {"width": round(TEXT_WIDTH * 120)}}

    def _save(self, form: str, **metadata) -> bytes:
        picture = io.BytesIO()
        with matplotlib.rc_context({**STYLE, "svg.fonttype": "none"}):
            self._figure.savefig(picture, format=form, metadata=metadata)
        return picture.getvalue()


def _with_suffix(page: str, suffix: str) -> str:
    path, mark, anchor = page.partition("#")
    return f"{path}{suffix}{mark}{anchor}"
