"""Makes slides of the built book's figures: ``python make/slides.py _build/html _build/slides``.

One file a chapter, which needs nothing beside it: pictures, formulas and style are within it.
"""

import html
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml
from lesson_slides import Lesson, NotUnderstoodError, Slide, lesson_slides, read_lesson, words

from lesson_tf.palette import DARK, LIGHT

MAKE = Path(__file__).resolve().parent
ROOT = MAKE.parent
LICENCE = "https://creativecommons.org/licenses/by/4.0/"

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
<main>
{body}
</main>
{script}</html>
"""


def chapters() -> Iterator[tuple[str, str, list[str]]]:
    """Give each chapter's folder, its title and the names of its lessons' pages, as in _toc.yml."""
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8"))
    for part in contents["parts"]:
        names = [Path(chapter["file"]) for chapter in part["chapters"]]
        folder = names[0].parent
        if folder.name != "en":
            lessons = [name.as_posix() for name in names if name.name != "exercises"]
            yield folder.name, part["caption"], lessons


def style() -> str:
    """Write the style sheet, with the course's colours for light and dark."""

    def colours(palette: dict[str, str]) -> str:
        return ":root {" + "".join(f"--{name}:{colour};" for name, colour in palette.items()) + "}"

    dark = f"@media screen and (prefers-color-scheme: dark) {{{colours(DARK)}}}"
    sheet = (MAKE / "slides.css").read_text("utf-8")
    return f"{colours(LIGHT)}\n{dark}\n{sheet}"


def page(title: str, body: str, script: str = "") -> str:
    """Write a whole file that needs no other."""
    return PAGE.format(title=html.escape(title), style=style(), body=body, script=script)


def section(number: int, slide: Slide, total: int) -> str:
    """Write a slide with its number in the corner."""
    return (
        f'<section class="{slide.kind}" id="{number}">\n{slide.content}\n'
        f'<p class="corner">{slide.corner} · {number} / {total}</p>\n</section>'
    )


def cover(chapter: str, book: str, starts: dict[str, int]) -> Slide:
    """Show a chapter's title, and its lessons as links to their first slides."""
    lessons = "".join(f'<li><a href="#{at}">{title}</a></li>' for title, at in starts.items())
    body = f'<p class="lead">{html.escape(book)}</p><h1>{html.escape(chapter)}</h1>'
    return Slide("cover", f'{body}<ol class="lessons">{lessons}</ol>', html.escape(chapter))


def licence_slide(lesson: Lesson, chapter: str) -> Slide:
    """Say who may use the slides, how, and where the book is, as a page's footer and header do."""
    footer = lesson.page.select_one("footer.bd-footer-content") or lesson.miss("footer")
    button = lesson.page.select_one("a.btn-source-repository-button")
    source = (button or lesson.miss("link to its source"))["href"]
    body = (
        f"<h2>Licence and source</h2><p>{html.escape(words(footer))}</p>"
        f'<p>Text and figures: <a href="{LICENCE}">Creative Commons Attribution 4.0 (CC BY 4.0)</a>. '
        "Use and change them; name the authors and the licence.</p>"
        f'<p>The book: <a href="../html/index.html">as built beside these slides</a>, '
        f'its source at <a href="{source}">{source.removeprefix("https://")}</a>.</p>'
    )
    return Slide("licence", body, html.escape(chapter))


def deck(chapter: str, lessons: list[Lesson], built: Path) -> str:
    """Write a chapter's slides as one file."""
    slides, starts = [], {}
    for lesson in lessons:
        link = f"../html/{lesson.file.relative_to(built).as_posix()}"
        # The cover is slide 1.
        starts[lesson.title] = len(slides) + 2
        slides += lesson_slides(lesson, link)
    book = words(lessons[0].page.title).split(" — ")[-1]
    slides = [cover(chapter, book, starts), *slides, licence_slide(lessons[0], chapter)]
    body = "\n".join(section(number, s, len(slides)) for number, s in enumerate(slides, start=1))
    script = f"<script>\n{(MAKE / 'slides.js').read_text('utf-8')}</script>\n"
    return page(f"{chapter}: slides", body, script)


def index(titles: dict[str, str]) -> str:
    """Write the page that lists the decks."""
    items = "".join(f'<li><a href="{name}">{html.escape(t)}</a></li>' for name, t in titles.items())
    lead = "The figures of each chapter. Printed to a PDF file, a slide is a page."
    return page(
        "Slides",
        f'<section><h1>Slides</h1><p class="lead">{lead}</p><ul class="lessons">{items}</ul></section>',
    )


def make(built: Path, target: Path) -> list[Path]:
    """Write a deck for each chapter and a page that lists them; give back the decks' files.

    Raises NotUnderstoodError, before anything is written, if a page lacks what slides need.
    """
    built = built.resolve()
    titles, decks = {}, {}
    for folder, chapter, names in chapters():
        lessons = [read_lesson(built / f"{name}.html") for name in names]
        titles[f"{folder}.html"] = chapter
        decks[f"{folder}.html"] = deck(chapter, lessons, built)
    target.mkdir(parents=True, exist_ok=True)
    (target / "index.html").write_text(index(titles), "utf-8")
    for name, text in decks.items():
        (target / name).write_text(text, "utf-8")
    return [target / name for name in decks]


if __name__ == "__main__":
    try:
        for written in make(Path(sys.argv[1]), Path(sys.argv[2])):
            print(f"{written}  {written.stat().st_size / 1e6:.1f} MB")
    except NotUnderstoodError as missing:
        raise SystemExit(str(missing)) from None
