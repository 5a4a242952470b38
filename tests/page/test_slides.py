"""The decks of `make slides`: whole, readable from afar, silent, and alone in their files."""

import base64
import re
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from built_book import HTML, ROOT
from decks import (
    CHAPTERS,
    LESSONS,
    OUTSIDE,
    PICTURES,
    SIZES,
    letters,
    of_kind,
    page_of,
    pages_of,
    read,
    slides_of,
    text,
)
from playwright.sync_api import Page

SCRIPT = ROOT / "make" / "slides.py"
every_deck = pytest.mark.parametrize("chapter", CHAPTERS)
every_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=str)


def run_script(built: Path, target: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, SCRIPT, built, target]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def decks(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("book") / "slides"
    done = run_script(HTML, folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def open_deck(open_page, decks):
    def open_file(chapter: str, height: int = 720, **options: object) -> Page:
        page = open_page(f"{chapter}.html", root=decks.as_uri(), **options)
        page.set_viewport_size({**page.viewport_size, "height": height})
        return page

    return open_file


@every_lesson
def test_every_figure_appears_once_with_its_words(decks, lesson):
    folder = (HTML / lesson).parent
    in_page = Counter(
        ((folder / image["src"]).read_bytes(), image["alt"])
        for image in page_of(lesson).select("img")
    )
    in_slides = Counter(
        (base64.b64decode(image["src"].split(",")[1]), image["alt"])
        for slide in slides_of(decks, lesson)
        for image in slide.select("img")
    )
    assert in_page
    assert in_slides == in_page
    assert set(in_page.values()) == {1}


@every_lesson
def test_a_figure_stands_alone_with_its_caption(decks, lesson):
    paragraphs = {letters(paragraph) for paragraph in page_of(lesson).select("p")}
    slides = slides_of(decks, lesson)
    shown = of_kind(slides, "figure") + of_kind(slides, "explorer")
    assert len(shown) == sum(len(slide.select("img")) for slide in slides)
    for slide in shown:
        for live in slide.select(".live"):
            live.extract()
        assert letters(slide) in paragraphs
        assert slide.figcaption.contents[0].name == "strong"


@every_lesson
def test_the_prediction_stands_alone_before_its_answer(decks, lesson):
    slides = slides_of(decks, lesson)
    kinds = [slide["class"][0] for slide in slides]
    [prediction] = of_kind(slides, "prediction")
    assert letters(prediction) == letters(page_of(lesson).select_one(".tip.admonition"))
    answers = [slide for slide in of_kind(slides, "answered") if slide.select(".reminder")]
    assert answers
    assert kinds.index("prediction") < kinds.index("answered") < kinds.index("question")
    whole = letters(page_of(lesson))
    for slide in answers:
        assert letters(slide.select_one(".reminder")) in letters(prediction)
        [given] = map(letters, slide.select(".answer p"))
        assert given in whole
        assert given not in letters(prediction)


@every_lesson
def test_each_question_is_asked_before_it_is_answered(decks, lesson):
    slides = slides_of(decks, lesson)
    first = next(i for i, slide in enumerate(slides) if "question" in slide["class"])
    folds = page_of(lesson).select("#check-yourself > details:not([class])")
    assert len(slides) - first == 2 * len(folds) >= 4
    pairs = zip(slides[first::2], slides[first + 1 :: 2], folds, strict=True)
    for question, answered, fold in pairs:
        assert not question.select(".answer")
        assert letters(answered).startswith(letters(question))
        assert letters(fold).removeprefix("Answer") == letters(answered.select_one(".answer"))


@every_lesson
def test_no_code_is_shown(decks, lesson):
    shown = " ".join(text(slide) for slide in slides_of(decks, lesson))
    code = page_of(lesson).select(".cell_input pre, .cell_output pre")
    lines = [line.strip() for cell in code for line in cell.get_text().splitlines()]
    assert code
    assert not [line for line in lines if len(line) > 25 and line in shown]


@every_deck
def test_links_lead_somewhere(decks, chapter):
    deck = read(decks / f"{chapter}.html")
    links = [link["href"] for link in deck.select("a[href]")]
    into_book = [link.removeprefix("../html/") for link in links if link.startswith("../html/")]
    explorers = [s for s in deck.select("section") if "explorer" in s["class"]]
    assert len(into_book) == len(explorers) + 1
    for link in into_book:
        file, _, place = link.partition("#")
        assert (HTML / file).exists(), link
        assert not place or read(HTML / file).find(id=place), link
    within = [link[1:] for link in links if link.startswith("#")]
    assert len(within) == sum(lesson.parent.name == chapter for lesson in LESSONS)
    assert all("title" in deck.find(id=place)["class"] for place in within)
    assert "creativecommons.org/licenses/by/4.0" in str(deck.select("section")[-1])


def test_the_index_lists_the_decks(decks):
    links = [link["href"] for link in read(decks / "index.html").select("a")]
    assert sorted(links) == [f"{chapter}.html" for chapter in CHAPTERS]
    assert sorted(file.name for file in decks.iterdir()) == sorted(["index.html", *links])


@every_deck
def test_a_deck_is_light_and_loads_nothing(open_deck, decks, chapter):
    file = decks / f"{chapter}.html"
    assert file.stat().st_size < 6_000_000
    page = open_deck(chapter)
    loaded = page.evaluate("performance.getEntriesByType('resource').map(entry => entry.name)")
    assert not [name for name in loaded if not name.startswith("data:")]
    loads = r"<(?:script|link|iframe|object)\b[^>]*(?:src|href)=|url\(|@import|@font-face"
    assert not re.findall(loads, file.read_text("utf-8"))


@every_deck
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_leaves_its_slide(open_deck, chapter, scheme):
    page = open_deck(chapter, scheme=scheme)
    assert not page.evaluate(OUTSIDE)
    for natural, wide, high in page.evaluate(PICTURES):
        assert natural > 0
        assert 0.9 < max(wide, high) <= 1.001


@every_deck
def test_type_is_large_enough_for_a_room(open_deck, chapter):
    sizes = open_deck(chapter).evaluate(SIZES)
    assert min(size for kind, size in sizes if kind == "text") >= 28
    assert min(size for kind, size in sizes if kind == "caption") >= 22


@every_deck
def test_a_phone_scrolls_one_way_only(open_deck, chapter):
    page = open_deck(chapter, width=390, height=844)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    inside = "[...document.querySelectorAll('section *')].every(e => e.matches('math *') || e.getBoundingClientRect().right <= 390)"
    assert page.evaluate(inside)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_a_deck_keeps_nobody_out(open_deck, scheme, width):
    report = Axe().run(open_deck("attention", scheme=scheme, width=width))
    found = report.response["violations"]
    assert not [v["help"] for v in found if v["impact"] in ("serious", "critical")]


@every_deck
def test_headings_are_in_order(decks, chapter):
    levels = [int(h.name[1]) for h in read(decks / f"{chapter}.html").select("h1, h2, h3, h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(below - above <= 1 for above, below in pairwise(levels))


def move(page: Page, key: str, expected: int) -> None:
    """Press a key, and wait until the page stands on a slide and stays there."""
    page.keyboard.press(key)
    seen = []
    for _ in range(100):
        page.wait_for_timeout(50)
        seen.append(round(page.evaluate("scrollY / innerHeight"), 2))
        if seen[-3:] == [expected] * 3:
            return
    raise AssertionError(f"{key} leads past slide {expected}: {seen[-3:]}")


@pytest.mark.parametrize("script", [True, False])
def test_a_key_moves_by_one_slide(open_deck, script):
    page = open_deck("attention", java_script_enabled=script)
    for key, slide in {"Space": 1, "PageDown": 2, "ArrowDown": 3}.items():
        move(page, key, slide)
    for key, slide in {"PageUp": 2, "ArrowUp": 1, "Shift+Space": 0}.items():
        move(page, key, slide)
    if script:
        move(page, "ArrowRight", 1)
        move(page, "ArrowLeft", 0)


def test_links_are_reached_by_tab_and_show_it(open_deck):
    page = open_deck("attention")
    page.keyboard.press("Tab")
    focused = (
        "[document.activeElement.tagName, getComputedStyle(document.activeElement).outlineStyle]"
    )
    assert page.evaluate(focused) == ["A", "solid"]


@every_deck
def test_a_printed_page_is_a_slide(open_deck, chapter):
    page = open_deck(chapter, scheme="dark")
    slides = page.locator("section").count()
    count, sizes = pages_of(page.pdf(prefer_css_page_size=True))
    assert count == slides
    [(width, height)] = sizes
    assert width / height == pytest.approx(16 / 9, rel=0.01)


def broken(folder: Path, old: str, new: str) -> Path:
    """Copy the pages of the lessons, with something exchanged in the first of them."""
    for lesson in LESSONS:
        file = folder / f"{lesson}.html"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text((HTML / f"{lesson}.html").read_text("utf-8"), "utf-8")
    first = folder / f"{LESSONS[0]}.html"
    whole = first.read_text("utf-8")
    assert re.search(old, whole)
    first.write_text(re.sub(old, new, whole), "utf-8")
    (folder / "_images").symlink_to(HTML / "_images")
    return folder


@pytest.mark.parametrize(
    ("old", "new", "missing"),
    [
        ("<img ", "<b ", "figure"),
        ('class="tip admonition"', 'class="note"', "prediction"),
        ("Nearly everything: 99%", "Nearly all", "paragraph that begins “Nearly everything"),
        ('id="check-yourself"', "", "section “Check yourself”"),
        ("<p><strong>Attention heatmap</strong>", "<p>The heatmap", "caption below the figure"),
    ],
)
def test_what_is_missing_is_named(tmp_path, old, new, missing):
    done = run_script(broken(tmp_path / "html", old, new), tmp_path / "slides")
    assert done.returncode == 1
    assert "attention/self_attention.html has no " + missing in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list((tmp_path / "slides").glob("*.html"))
