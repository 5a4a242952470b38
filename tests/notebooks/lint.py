"""The rules every notebook of the book keeps.

A rule takes a notebook and returns sentences that say where and what: an empty list is a pass. The
notebooks are found by glob, so that a new one is never forgotten. `RULES` holds all of them;
`test_lint.py` runs each on each notebook, `test_rules.py` proves that each can pass and fail.
"""

import ast
import re
import statistics
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import groupby, pairwise, takewhile
from pathlib import Path
from urllib.parse import unquote

import yaml
from definitions import Definition, difference, package_definitions
from measured import unsupported
from myst_parser.mdit_to_docutils.base import default_slugify
from reading import (
    JAPANESE,
    ROOT,
    Notebook,
    alternative_text,
    code_lines,
    headings,
    inline_tokens,
    output_texts,
    passages,
    pictures,
    syntax_tree,
    tags,
    tokens,
    word_count,
)

Rule = Callable[[Notebook], list[str]]
RULES: list[Rule] = []
NOT_COMPARED = Path(__file__).with_name("not_compared.toml")


def rule(function: Rule) -> Rule:
    """Add a rule to the list of all rules."""
    RULES.append(function)
    return function


def notebooks(root: Path = ROOT) -> list[Path]:
    """Return every notebook under the book's folder but the editor's own copies."""
    found = sorted((root / "book").rglob("*.ipynb"))
    return [path for path in found if not {".ipynb_checkpoints", "_build"} & set(path.parts)]


# --- Cells -----------------------------------------------------------------------------------------


@rule
def cells_are_short(notebook: Notebook) -> list[str]:
    """No cell over 20 lines, a definition up to 40; the median is 3 to 6."""
    found = []
    for cell in notebook.code:
        longest = 40 if "definition" in tags(cell) else 20
        if code_lines(cell) == 0:
            found.append(f"cell {cell.id} is empty; delete it")
        if code_lines(cell) > longest:
            found.append(f"cell {cell.id} has {code_lines(cell)} lines; {longest} are allowed")
    lengths = [code_lines(cell) for cell in notebook.code]
    # The median of two or three cells says nothing, and a solution is as long as it is.
    if len(lengths) >= 4 and not notebook.is_exercises and not 3 <= statistics.median(lengths) <= 6:
        found.append(f"the median cell has {statistics.median(lengths)} lines; 3 to 6 are wanted")
    return found


@rule
def code_is_python(notebook: Notebook) -> list[str]:
    """No magic and no shell command: the cells run as a script, too."""
    found = []
    for cell in notebook.code:
        try:
            ast.parse(cell.source)
        except SyntaxError as error:
            found.append(f"cell {cell.id} is no plain Python: {error}")
    return found


@rule
def prose_comes_between(notebook: Notebook) -> list[str]:
    """At most two code cells stand between two pieces of prose."""
    found = []
    for is_code, run in groupby(notebook.cells, key=lambda cell: cell.cell_type == "code"):
        ids = [cell.id for cell in run]
        if is_code and len(ids) > 2:
            found.append(f"code cells {', '.join(ids)} follow each other; write prose after two")
    return found


@rule
def prose_explains_code(notebook: Notebook) -> list[str]:
    """Words of prose a line of code lie in a band.

    Around each cell 8 to 14 words a line are the aim, so less than 8 over the whole notebook means code
    that nobody explains. A page also opens, asks, folds answers, sums up and cites; that adds some 500
    words to some 80 lines. Above 30 words a line, a lesson is an essay with code in it.
    """
    lines = sum(code_lines(cell) for cell in notebook.code)
    words = sum(word_count(passage.text) for passage in passages(notebook))
    if lines == 0:
        return ["the notebook has no code; make it a Markdown page"]
    if words / lines < 8:
        return [f"{words / lines:.1f} words of prose a line of code; 8 or more are wanted"]
    if words / lines > 30 and notebook.is_lesson:
        return [f"{words / lines:.1f} words of prose a line of code; 30 or fewer are wanted"]
    return []


@rule
def ids_are_names(notebook: Notebook) -> list[str]:
    """Cell ids are unique names: the other edition's cells have the same ones."""
    ids = [cell.get("id", "") for cell in notebook.cells]
    found = [f"the id {name} stands on {n} cells" for name, n in Counter(ids).items() if n > 1]
    for name in ids:
        made_by_a_machine = re.fullmatch(
            r"(?=.*\d)[0-9a-f-]{6,}|(cell|code|md|markdown)-?\d*", name
        )
        if made_by_a_machine or not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
            found.append(f"cell {name!r} needs a name in small letters that says what it does")
    return found


@rule
def metadata_is_minimal(notebook: Notebook) -> list[str]:
    """The notebook's own metadata hold the kernel's name and nothing of one machine."""
    wanted = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    found = []
    if notebook.content.metadata != wanted:
        found.append(f"the notebook's metadata must be {wanted}; run book/run_notebooks.py")
    if (notebook.content.nbformat, notebook.content.nbformat_minor) < (4, 5):
        found.append("the notebook's format is older than 4.5, which has cell ids")
    return found


# --- Outputs ---------------------------------------------------------------------------------------

# Calls as a last line that return nothing, or whose result nobody looks at.
SILENT = {"use_style", "use_language", "backward", "append", "extend", "update", "seed", "add"}


def must_show(cell: ast.Module, source: str) -> bool:
    """Say whether a cell's code certainly leaves an output: it prints, or its last line has a value."""
    nodes = list(cell.body)
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.For | ast.While | ast.With):
            nodes += node.body
        elif isinstance(node, ast.Expr) and call_name(node.value) in ("print", "display"):
            return True
    last = cell.body[-1] if cell.body else None
    if not isinstance(last, ast.Expr) or source.rstrip().endswith(";"):
        return False
    name = call_name(last.value)
    return not (name in SILENT or name.startswith(("assert", "set_")) or name.endswith("_"))


def call_name(node: ast.expr) -> str:
    """Return the name of the function that is called, or an empty string."""
    if not isinstance(node, ast.Call):
        return ""
    return getattr(node.func, "attr", getattr(node.func, "id", ""))


@rule
def outputs_are_present(notebook: Notebook) -> list[str]:
    """Every cell has been run, in order; what prints or has a value has its output stored."""
    counts = [cell.get("execution_count") for cell in notebook.code]
    if counts != list(range(1, len(counts) + 1)):
        return [f"the cells have been run as {counts}; run book/run_notebooks.py"]
    found = [
        f"cell {cell.id} shows something, but no output is stored"
        for cell in notebook.code
        if must_show(syntax_tree(cell), cell.source) and not cell.outputs
    ]
    if notebook.code and not any(cell.outputs for cell in notebook.code):
        found.append("no cell has an output, so nothing is compared")
    return found


@rule
def only_text_is_stored(notebook: Notebook) -> list[str]:
    """No picture, HTML, widget view or state is committed; the book draws them again."""
    found = []
    if "widgets" in notebook.content.metadata:
        found.append("the notebook stores the state of widgets")
    for cell in notebook.cells:
        if cell.get("attachments"):
            found.append(f"cell {cell.id} holds an attachment; put the file beside the page")
        if cell.cell_type == "markdown" and re.search(r"data:\w+/[\w+.-]+;base64", cell.source):
            found.append(f"cell {cell.id} holds a picture in its text; draw it or link a file")
        for output in cell.get("outputs", []):
            kinds = sorted(set(output.get("data", {})) - {"text/plain"})
            if kinds:
                found.append(f"cell {cell.id} stores {', '.join(kinds)}; run book/run_notebooks.py")
    return found


@rule
def outputs_hold_no_warning(notebook: Notebook) -> list[str]:
    """Nothing in an output warns, and nothing was written to the error stream."""
    found = []
    for cell in notebook.code:
        if any(output.get("name") == "stderr" for output in cell.outputs):
            found.append(f"cell {cell.id} wrote to the error stream")
        elif any(re.search(r"\b\w*Warning\b", text) for text in output_texts(cell)):
            found.append(f"cell {cell.id} shows a warning")
        errors = [output for output in cell.outputs if output.output_type == "error"]
        if errors and "raises-exception" not in tags(cell):
            found.append(f"cell {cell.id} raised {errors[0].ename}")
    return found


@rule
def outputs_are_stable(notebook: Notebook) -> list[str]:
    """No output holds a memory address or more digits than machines agree on."""
    found = []
    for cell in notebook.code:
        text = "\n".join(output_texts(cell))
        if re.search(r"\b0x[0-9a-f]{6,}", text):
            found.append(f"cell {cell.id} shows a memory address; end its last line with `;`")
        if tags(cell) & {"nbval-ignore-output", "nbval-skip"}:
            continue
        for number in re.findall(r"(?<![\w.])\d+\.\d{5,}", text)[:1]:
            found.append(f"cell {cell.id} shows {number}; round it, since its end varies")
    return found


ABSOLUTE_PATH = re.compile(
    r"(?<![\w.:/$}\])])/(?:home|work|tmp|usr|root|Users|opt|var|etc|mnt|private|content)/[\w.-]+"
    r"|\b[A-Z]:\\+(?:Users|Program|Windows|Temp)|\bfile:///"
)


@rule
def no_absolute_paths(notebook: Notebook) -> list[str]:
    """No source and no output names a folder of one machine."""
    found = []
    for cell in notebook.cells:
        for text in [cell.source, *output_texts(cell)]:
            found += [f"cell {cell.id} holds the path {hit}" for hit in ABSOLUTE_PATH.findall(text)]
    return found


@rule
def uncompared_cells_are_listed(notebook: Notebook) -> list[str]:
    """Cells that nbval may not compare are few, listed with a reason, and asserted by the next."""
    listed = {entry["cell"] for entry in not_compared() if entry["notebook"] == notebook.name}
    exempt = [cell for cell in notebook.code if tags(cell) & SKIPPED_BY_NBVAL]
    found = []
    for cell in exempt:
        if cell.id not in listed:
            found.append(
                f"cell {cell.id} is not compared; add it to {NOT_COMPARED.name} with a reason"
            )
        following = notebook.code[notebook.code.index(cell) + 1 :][:1]
        asserts = [node for after in following for node in ast.walk(syntax_tree(after))]
        is_compared = tags(cell) & SKIPPED_BY_NBVAL == {"raises-exception"}
        if not is_compared and not any(isinstance(node, ast.Assert) for node in asserts):
            found.append(f"cell {cell.id} is not compared; assert its bounds in the next code cell")
    if len(exempt) > 2:
        found.append(f"{len(exempt)} cells are not compared; two are allowed")
    for cell in notebook.code:
        if re.search(r"#\s*(NBVAL_|PYTEST_VALIDATE_)", cell.source):
            found.append(f"cell {cell.id} speaks to nbval in a comment; use a tag")
    return found


SKIPPED_BY_NBVAL = {"nbval-ignore-output", "nbval-skip", "raises-exception"}


def not_compared() -> list[dict[str, str]]:
    """Return the table of cells that are not compared: notebook, cell, why."""
    return tomllib.loads(NOT_COMPARED.read_text(encoding="utf-8")).get("cells", [])


def stale_exceptions(all_notebooks: list[Notebook]) -> list[str]:
    """Return the lines of the table whose cell does not exist, is compared, or has no reason."""
    exempt = {
        (notebook.name, cell.id)
        for notebook in all_notebooks
        for cell in notebook.code
        if tags(cell) & SKIPPED_BY_NBVAL
    }
    return [
        f"{entry['notebook']} {entry['cell']}: no such cell is exempt, or the reason is missing"
        for entry in not_compared()
        if (entry["notebook"], entry["cell"]) not in exempt or word_count(entry["why"]) < 3
    ]


# --- Pictures --------------------------------------------------------------------------------------


def weakness(text: str) -> str | None:
    """Say what an alternative text lacks, or None."""
    if not text.strip():
        return "has no alternative text"
    if re.search(r"\.(png|svg|jpe?g|gif|webp)\b", text):
        return "names a file in its alternative text"
    if re.match(r"(an?|the)?\s*(image|picture|photo|screenshot) (of|shows)", text, re.IGNORECASE):
        return "opens its alternative text with the word picture; say what is to be seen"
    if len(JAPANESE.findall(text)) < 20 and word_count(JAPANESE.sub(" ", text)) < 8:
        return "has an alternative text of a few words; say what is to be seen, with the finding"
    return None


@rule
def pictures_have_alternative_text(notebook: Notebook) -> list[str]:
    """Every cell that draws draws one picture and says in its metadata what is to be seen."""
    found = []
    for cell in notebook.code:
        lacks, drawn = weakness(alternative_text(cell)), pictures(cell)
        if drawn and lacks:
            found.append(f"cell {cell.id} draws and {lacks}")
        if drawn > 1:
            found.append(f"cell {cell.id} draws {drawn} pictures, which share an alternative text")
        if not drawn and alternative_text(cell):
            found.append(f"cell {cell.id} has an alternative text and draws nothing")
    texts = Counter(alternative_text(cell) for cell in notebook.code if pictures(cell))
    found += [f"{n} pictures share {text!r}" for text, n in texts.items() if text and n > 1]
    for image, cell in inline_tokens(notebook, "image"):
        lacks = weakness(image.content)
        if lacks:
            found.append(f"cell {cell.id} shows {image.attrs['src']} and {lacks}")
    return found


@rule
def pictures_have_captions(notebook: Notebook) -> list[str]:
    """A figure is followed by its caption, which opens with a bold noun."""
    found = []
    for cell, after in zip(notebook.cells, [*notebook.cells[1:], None], strict=True):
        draws = cell.cell_type == "code" and any("<Figure size" in t for t in output_texts(cell))
        has_caption = after is not None and after.cell_type == "markdown"
        has_caption = has_caption and after.source.lstrip().startswith("**")
        if draws and not has_caption and "hide-cell" not in tags(cell):
            found.append(f"cell {cell.id} draws; open the next Markdown cell with **a bold noun.**")
    return found


@rule
def style_precedes_drawing(notebook: Notebook) -> list[str]:
    """`figures.use_style()` is called before anything is drawn."""
    for cell in notebook.code:
        if any(
            isinstance(node, ast.Call) and call_name(node) == "use_style"
            for node in ast.walk(syntax_tree(cell))
        ):
            return []
        if any("<Figure size" in text for text in output_texts(cell)):
            return [f"cell {cell.id} draws before figures.use_style() was called"]
    return []


# --- Definitions -----------------------------------------------------------------------------------


@rule
def definitions_equal_the_package(notebook: Notebook) -> list[str]:
    """What a cell tagged `definition` defines is what the package defines."""
    found = []
    for cell in notebook.code:
        if "definition" not in tags(cell):
            continue
        nodes = [node for node in syntax_tree(cell).body if isinstance(node, Definition)]
        known = [node for node in nodes if node.name in package_definitions()]
        if not known:
            found.append(f"cell {cell.id} is tagged `definition` and defines nothing of lesson_tf")
        for node in known:
            differences = [difference(node, other) for other in package_definitions()[node.name]]
            if all(differences):
                found.append(f"cell {cell.id}, {node.name}: {differences[0]}")
    return found


def shown_twice(all_notebooks: list[Notebook]) -> list[str]:
    """Return the definitions which two notebooks of an edition show; one of them should import."""
    places: dict[tuple[str, str], list[str]] = {}
    for notebook in all_notebooks:
        edition = notebook.path.relative_to(notebook.root / "book").parts[0]
        for cell in notebook.code:
            for node in syntax_tree(cell).body if "definition" in tags(cell) else []:
                if isinstance(node, Definition):
                    places.setdefault((edition, node.name), []).append(f"{notebook.name} {cell.id}")
    return [
        f"{name} is defined in {' and in '.join(where)}; show it once, then import it"
        for (_, name), where in places.items()
        if len(where) > 1
    ]


# --- Prose -----------------------------------------------------------------------------------------


@rule
def numbers_are_measured(notebook: Notebook) -> list[str]:
    """Decimals, percentages and numbers of three digits or more stand in an output or in the code."""
    return [
        f"cell {cell}: {number!r} stands in no output and no code: “{text[:90]}”"
        for cell, number, text in unsupported(notebook)
    ]


BANNED_WORDS = re.compile(r"\b(simply|obviously|of course|needless to say)\b", re.IGNORECASE)
EMOJI = re.compile("[\U0001f000-\U0001faff\u2600-\u26ff\u2705\u2728\u274c\ufe0f]")


@rule
def wording_is_plain(notebook: Notebook) -> list[str]:
    """No word that tells a reader how easy it should have been, and no emoji."""
    found = []
    for passage in passages(notebook):
        found += [f"cell {passage.cell.id} says “{w}”" for w in BANNED_WORDS.findall(passage.text)]
    for cell in notebook.cells:
        found += [f"cell {cell.id} holds the emoji {c}" for c in EMOJI.findall(cell.source)]
    return found


@rule
def markdown_is_valid(notebook: Notebook) -> list[str]:
    """Folds and fences are closed in their cell, what is folded is rendered, no level is skipped."""
    found, level = [], 0
    for cell in notebook.markdown:
        found += [f"cell {cell.id} {fault}" for fault in markdown_faults(cell.source)]
        for depth, text in headings(cell.source):
            if depth > level + 1:
                found.append(
                    f"cell {cell.id}: heading “{text}” skips from level {level} to {depth}"
                )
            level = depth
    return found


def markdown_faults(source: str) -> Iterator[str]:
    """Yield what is wrong with one Markdown source."""
    markup = "".join(token.content for token in tokens(source) if token.type.startswith("html"))
    if markup.count("<details") != markup.count("</details>"):
        yield "opens and closes <details> unequally; close it after a blank line"
    if markup.count("<details") != markup.count("<summary>"):
        yield "folds something without a <summary>"
    for token in tokens(source):
        if token.type == "html_block":
            text = re.sub(r"<summary>.*?</summary>", "", token.content, flags=re.DOTALL)
            if "<details" in text and re.sub(r"<[^>]*>", "", text).strip():
                yield "shows raw Markdown; leave a blank line after </summary>"
        if token.type == "fence" and token.content and token.level == 0:
            last_line = source.splitlines()[token.map[1] - 1 : token.map[1]]
            if last_line and token.markup[0] * 3 not in last_line[0]:
                yield f"does not close its fence {token.markup}{token.info}"
        if token.type == "inline" and "$$" in "".join(
            child.content for child in token.children if child.type == "text"
        ):
            yield "does not close a formula $$"
    if re.search(r"\\begin\{(align|eqnarray|gather)\*?\}", source):
        yield "uses an environment that numbers each line; write aligned"


# --- Page ------------------------------------------------------------------------------------------


@rule
def page_has_its_anatomy(notebook: Notebook) -> list[str]:
    """A title, a description, and in a lesson: what is learned, questions, summary, reading, next."""
    if not notebook.markdown or notebook.cells[0].cell_type != "markdown":
        return ["the notebook does not open with its title"]
    found = list(opening_faults(notebook))
    if notebook.is_lesson:
        found += lesson_faults(notebook)
    return found


def opening_faults(notebook: Notebook) -> Iterator[str]:
    """Yield what is wrong with the title and the first paragraph, the page's description."""
    titles = [h for cell in notebook.markdown for h in headings(cell.source) if h[0] == 1]
    if not notebook.cells[0].source.lstrip().startswith("# "):
        yield "the first cell does not open with a heading of level 1"
    if len(titles) != 1:
        yield f"the notebook has {len(titles)} headings of level 1; it needs one"
    prose = [passage for passage in passages(notebook) if not passage.is_heading]
    first = prose[0].text.strip() if prose else ""
    sentences = len(re.findall(r"[.!?。！？](?=\s|$|[」”)])|。", first))
    if not 1 <= sentences <= 3 or first.startswith("You will learn"):
        yield f"the first paragraph describes the page in one to three sentences, not “{first[:60]}”"


def lesson_faults(notebook: Notebook) -> list[str]:
    """Return which bones of a lesson are missing or out of order."""
    source = joined(notebook)
    sections = [text for depth, text in headings(source) if depth == 2]
    order = [sections.index(name) if name in sections else None for name in BONES]
    found = [f"the section “{BONES[i]}” is missing" for i, at in enumerate(order) if at is None]
    present = [at for at in order if at is not None]
    if present != sorted(present):
        found.append(f"the sections {', '.join(BONES)} stand in another order")
    learned = things_learned(source)
    if not 3 <= learned <= 5:
        found.append(f"“You will learn” lists {learned} things; three to five are wanted")
    questions = section_source(source, BONES[0]).count("<details")
    if questions < 2:
        found.append(f"“{BONES[0]}” folds {questions} answers; two or more are wanted")
    if "{cite" not in section_source(source, BONES[2]):
        found.append(f"“{BONES[2]}” cites nothing")
    if not re.search(r"\]\([^)]*\.(ipynb|md)", notebook.markdown[-1].source):
        found.append("the last cell does not lead to another page")
    return found


def things_learned(source: str) -> int:
    """Count the items of the list after the words "You will learn", up to the next heading."""
    stream = tokens(source)
    if not any(token.type == "inline" and "You will learn" in token.content for token in stream):
        return 0
    own = list(takewhile(lambda token: token.type != "heading_open", stream))
    items = [token for token in own if token.type == "list_item_open"]
    return sum(item.level == items[0].level for item in items)


BONES = ("Check yourself", "Summary", "Further reading")


def section_source(source: str, title: str) -> str:
    """Return what stands beneath a heading of level 2."""
    after = re.split(rf"^## {title}\s*$", source, maxsplit=1, flags=re.MULTILINE)
    return re.split(r"^## ", after[1], maxsplit=1, flags=re.MULTILINE)[0] if len(after) > 1 else ""


@rule
def page_is_in_the_contents(notebook: Notebook) -> list[str]:
    """The table of contents names the notebook."""
    if notebook.name in contents(notebook.root):
        return []
    return [f"_toc.yml does not name {notebook.name}"]


def contents(root: Path = ROOT) -> list[str]:
    """Return every page that the table of contents names."""

    def names(node) -> Iterator[str]:
        if isinstance(node, dict):
            yield from (str(node[key]) for key in ("root", "file") if key in node)
            node = list(node.values())
        if isinstance(node, list):
            for child in node:
                yield from names(child)

    return list(names(yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))))


def missing_pages(root: Path = ROOT) -> list[str]:
    """Return the entries of the table of contents for which there is no page."""
    return [
        name
        for name in contents(root)
        if not any((root / f"{name}{suffix}").is_file() for suffix in (".ipynb", ".md"))
    ]


@rule
def links_resolve(notebook: Notebook) -> list[str]:
    """Links and pictures inside the book lead to files and headings that exist."""
    found = []
    targets = [(token.attrs["href"], cell) for token, cell in inline_tokens(notebook, "link_open")]
    targets += [(token.attrs["src"], cell) for token, cell in inline_tokens(notebook, "image")]
    for target, cell in targets:
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            continue
        file, _, anchor = unquote(target).partition("#")
        path = notebook.path.parent / file
        if file and not path.is_file():
            found.append(f"cell {cell.id} links to {target}, which does not exist")
        elif anchor and path.suffix in ("", ".ipynb", ".md"):
            source = page_source(path) if file else joined(notebook)
            if anchor not in anchors(source):
                found.append(f"cell {cell.id} links to {target}: no heading or label has that name")
    return found


def joined(notebook: Notebook) -> str:
    """Return all Markdown of a notebook as one source."""
    return "\n\n".join(cell.source for cell in notebook.markdown)


def page_source(path: Path) -> str:
    """Return the Markdown of a page, whether it is a notebook or a Markdown file."""
    return joined(Notebook.read(path)) if path.suffix == ".ipynb" else path.read_text("utf-8")


def anchors(source: str) -> set[str]:
    """Return the anchors of a page: its headings as MyST writes them, and its labels."""
    found = set()
    for token, after in pairwise([*tokens(source), None]):
        if token.type == "heading_open":
            named = [part for part in after.children if part.type in ("text", "code_inline")]
            found.add(default_slugify("".join(part.content for part in named)))
        found.add(token.content if token.type == "myst_target" else token.attrs.get("id"))
    return found
