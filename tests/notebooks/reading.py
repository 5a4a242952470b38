"""Reads a notebook for the lint: its cells, and the parts of its prose."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import nbformat
from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.attrs import attrs_block_plugin, attrs_plugin
from mdit_py_plugins.colon_fence import colon_fence_plugin
from mdit_py_plugins.deflist import deflist_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.myst_blocks import myst_block_plugin
from mdit_py_plugins.myst_role import myst_role_plugin

ROOT = Path(__file__).resolve().parents[2]

_parser = MarkdownIt("commonmark").enable("table")
# The extensions that _config.yml turns on.
for plugin in (
    *(myst_role_plugin, myst_block_plugin, dollarmath_plugin, colon_fence_plugin),
    *(deflist_plugin, attrs_plugin, attrs_block_plugin),
):
    _parser.use(plugin)

PROSE_DIRECTIVES = {
    *("admonition", "attention", "caution", "danger", "dropdown", "error", "hint", "important"),
    *("margin", "note", "seealso", "sidebar", "tip", "warning", "figure", "list-table", "epigraph"),
    *("grid", "grid-item", "grid-item-card", "card"),
}


@dataclass(frozen=True)
class Notebook:
    """A notebook, where it lies, and the root of the repository that holds its table of contents."""

    path: Path
    content: nbformat.NotebookNode
    root: Path = ROOT

    @classmethod
    def read(cls, path: Path) -> "Notebook":
        """Return the notebook at a path."""
        content = nbformat.read(path, as_version=nbformat.NO_CONVERT)
        for cell in content.cells:
            cell.setdefault("id", "")  # Formats before 4.5 have none; a rule asks for it.
        return cls(path, content)

    @property
    def name(self) -> str:
        """The path from the root without its suffix, as the table of contents writes it."""
        return self.path.relative_to(self.root).with_suffix("").as_posix()

    @property
    def is_lesson(self) -> bool:
        """Whether it has a lesson's anatomy: every notebook but introduction and graded ones does."""
        return self.path.stem != "intro" and not self.is_graded

    @property
    def is_exercises(self) -> bool:
        """Whether it is a chapter's exercises."""
        return self.path.stem == "exercises"

    @property
    def is_graded(self) -> bool:
        """Whether nbgrader may know its cells: exercises, and the concept test."""
        return self.is_exercises or self.path.stem == "concept_test"

    @cached_property
    def cells(self) -> list[nbformat.NotebookNode]:
        """All cells in order."""
        return self.content.cells

    @cached_property
    def code(self) -> list[nbformat.NotebookNode]:
        """The code cells in order."""
        return [cell for cell in self.cells if cell.cell_type == "code"]

    @cached_property
    def markdown(self) -> list[nbformat.NotebookNode]:
        """The Markdown cells in order."""
        return [cell for cell in self.cells if cell.cell_type == "markdown"]


def tags(cell: nbformat.NotebookNode) -> set[str]:
    """Return the cell's tags."""
    return set(cell.metadata.get("tags", []))


def code_lines(cell: nbformat.NotebookNode) -> int:
    """Count the lines of a code cell that are not blank."""
    return sum(bool(line.strip()) for line in cell.source.splitlines())


def syntax_tree(cell: nbformat.NotebookNode) -> ast.Module:
    """Parse a code cell; what is no Python (a magic) counts as empty and has a rule of its own."""
    try:
        return ast.parse(cell.source)
    except SyntaxError:
        return ast.Module(body=[], type_ignores=[])


def output_texts(cell: nbformat.NotebookNode) -> list[str]:
    """Return the text of each output of a cell, errors included."""
    texts = []
    for output in cell.get("outputs", []):
        if output.output_type == "stream":
            texts.append(output.text)
        elif output.output_type == "error":
            texts.append("\n".join([output.ename, output.evalue, *output.traceback]))
        else:
            texts.append(output.data.get("text/plain", ""))
    return texts


def alternative_text(cell: nbformat.NotebookNode) -> str:
    """Return the alternative text in a code cell's metadata."""
    return cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")


def pictures(cell: nbformat.NotebookNode) -> int:
    """Count the figures and explorers which a code cell shows, by its stored text output."""
    shown = re.compile(r"^(?:<Figure size|Explorer )", re.MULTILINE)
    return sum(len(shown.findall(text)) for text in output_texts(cell))


def tokens(source: str) -> Iterator[Token]:
    """Yield the block tokens of a Markdown source, inside prose directives too."""
    for token in _parser.parse(source):
        yield token
        is_fence = token.type in ("fence", "colon_fence")
        directive = re.match(r"\{([\w-]+)\}", token.info.strip()) if is_fence else None
        if directive and directive[1] in PROSE_DIRECTIVES:
            yield from tokens(directive_body(token))


def directive_body(fence: Token) -> str:
    """Return a directive's title and text without its options."""
    title = fence.info.partition("}")[2].strip()
    lines = [line for line in fence.content.splitlines() if not re.match(r":[\w-]+:", line)]
    is_picture = fence.info.strip().startswith("{figure}")  # Its title is a path.
    return "\n".join([*([] if is_picture or not title else [title, ""]), *lines])


def inline_text(token: Token, *, links: bool = True) -> str:
    """Return the words of an inline token: no code, formula, role, picture or address."""
    words, depth = [], 0
    for child in token.children or []:
        depth += {"link_open": 1, "link_close": -1}.get(child.type, 0)
        if child.type in ("text", "softbreak", "hardbreak") and (links or depth == 0):
            words.append(child.content or " ")
        elif child.type != "html_inline":
            # Something that is no word stands here: numbers on both sides must not grow together.
            words.append("" if child.type.endswith(("_open", "_close")) else " · ")
    return "".join(words)


class Passage(NamedTuple):
    """A paragraph, heading, table cell or folded summary: its words, and the heading above it."""

    text: str
    section: str
    is_heading: bool
    cell: nbformat.NotebookNode


def passages(notebook: Notebook, *, links: bool = True) -> Iterator[Passage]:
    """Yield the prose of a notebook piece by piece, in order."""
    section = ""
    for cell in notebook.markdown:
        in_heading = False
        for token in tokens(cell.source):
            if token.type in ("heading_open", "heading_close"):
                in_heading = token.type == "heading_open"
            elif token.type == "inline":
                text = inline_text(token, links=links)
                section = text.strip() if in_heading else section
                yield Passage(text, section, in_heading, cell)
            elif token.type == "html_block":
                text = re.sub(r"<[^>]*>", " ", token.content).strip()
                if text:
                    yield Passage(text, section, False, cell)


def inline_tokens(notebook: Notebook, kind: str) -> Iterator[tuple[Token, nbformat.NotebookNode]]:
    """Yield the inline tokens of a kind (`image`, `link_open`, `myst_role`) with their cells."""
    for cell in notebook.markdown:
        for token in tokens(cell.source):
            for child in token.children or []:
                if child.type == kind:
                    yield child, cell


def headings(source: str) -> list[tuple[int, str]]:
    """Return level and text of every heading of a Markdown source."""
    parsed = list(tokens(source))
    return [
        (int(opening.tag[1]), inline_text(inline).strip())
        for opening, inline in pairwise(parsed)
        if opening.type == "heading_open"
    ]


JAPANESE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff々]")


def word_count(text: str) -> float:
    """Count words; two Japanese characters count as one word."""
    japanese = len(JAPANESE.findall(text))
    return len(re.findall(r"[A-Za-z0-9][\w'’.,-]*", JAPANESE.sub(" ", text))) + japanese / 2
