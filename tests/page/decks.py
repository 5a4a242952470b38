"""Reads the decks of slides, and what is measured in them."""

import re
import zlib
from pathlib import Path

import yaml
from bs4 import BeautifulSoup, Tag
from built_book import HTML, ROOT

CONTENTS = yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8"))
FILES = [Path(chapter["file"]) for part in CONTENTS["parts"] for chapter in part["chapters"]]
LESSONS = [file for file in FILES if file.parent.name != "en" and file.name != "exercises"]
CHAPTERS = sorted({file.parent.name for file in LESSONS})

# What lies outside its slide, or too near the corner's line of text.
OUTSIDE = """
() => [...document.querySelectorAll("section")].flatMap((slide) => {
  const edge = slide.getBoundingClientRect();
  const corner = slide.querySelector(".corner").getBoundingClientRect();
  return [...slide.querySelectorAll(":scope *:not(math *, .corner)")].filter((element) => {
    const box = element.getBoundingClientRect();
    return box.top < edge.top || box.left < edge.left || box.right > edge.right
      || box.bottom > corner.top || edge.height > innerHeight;
  }).map((element) => `${slide.id}: ${element.tagName}`);
})
"""

# The smallest letters of each kind, in pixels: running text, captions.
SIZES = """
() => [...document.querySelectorAll("section :is(h1, h2, h3, p, li, figcaption)")].map((element) => [
  element.matches("figcaption, figcaption *, .reminder, .reminder *") ? "caption"
    : element.matches(".corner") ? "corner" : "text",
  parseFloat(getComputedStyle(element).fontSize),
])
"""

PICTURES = """
() => [...document.images].map((image) => {
  const frame = image.closest(".frame").getBoundingClientRect();
  return [image.naturalWidth, image.width / frame.width, image.height / frame.height];
})
"""


def read(file: Path) -> BeautifulSoup:
    soup = BeautifulSoup(file.read_text("utf-8"), "html.parser")
    for unread in soup.select("annotation, .katex-html, .headerlink, .corner"):
        unread.decompose()
    return soup


def page_of(lesson: Path) -> Tag:
    return read(HTML / f"{lesson}.html").article


def slides_of(decks: Path, lesson: Path) -> list[Tag]:
    """Return a lesson's slides: from its title to the next."""
    title = text(page_of(lesson).h1)
    slides = read(decks / f"{lesson.parent.name}.html").select("section")
    titles = [i for i, slide in enumerate(slides) if {"title", "licence"} & set(slide["class"])]
    first = next(i for i in titles if text(slides[i].h2) == title)
    return slides[first : titles[titles.index(first) + 1]]


def text(element: Tag) -> str:
    return re.sub(r"\s+", " ", element.get_text()).strip()


def letters(element: Tag) -> str:
    return re.sub(r"\s+", "", element.get_text())


def of_kind(slides: list[Tag], kind: str) -> list[Tag]:
    return [slide for slide in slides if kind in slide["class"]]


def pages_of(pdf: bytes) -> tuple[int, set[tuple[float, float]]]:
    """Count a PDF's pages, and give their sizes in points, without a library."""
    streams = re.findall(rb"stream\r?\n(.*?)endstream", pdf, re.DOTALL)
    unpacked = [pdf]
    for stream in streams:
        try:
            unpacked.append(zlib.decompressobj().decompress(stream))
        except zlib.error:
            continue
    everything = b"\n".join(unpacked)
    boxes = re.findall(rb"/MediaBox\s*\[\s*0 0 ([\d.]+) ([\d.]+)", everything)
    return len(re.findall(rb"/Type\s*/Page\b(?!s)", everything)), {
        tuple(map(float, b)) for b in boxes
    }
