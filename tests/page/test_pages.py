"""Every page of the book, in a real browser: whole, silent, and asking nobody else."""

import os
import re
from itertools import pairwise

import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup
from built_book import BUILT, HTML, NOTEBOOK_PAGES, PAGES, ROOT
from playwright.sync_api import Page

from lesson_tf.grading.exercise_sources import blank_name

CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))
every_page = pytest.mark.parametrize("page_path", PAGES)
every_file = pytest.mark.parametrize("page_path", [*PAGES, "search.html", "index.html"])

FOREIGN_MACHINERY = ["require.js", "require.min.js", "jupyter-widgets", "thebe", "katex-error"]
LOADS = re.compile(r"""<(?:script|link|img|iframe|source)\b[^>]*?(?:src|href)=["'](?:https?:)?//""")

LONGEST_LINE = """
() => {
  const paragraphs = [...document.querySelectorAll("article p")];
  return Math.max(...paragraphs.map((paragraph) => {
    const range = document.createRange();
    const lines = new Map();
    const walker = document.createTreeWalker(paragraph, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      if (walker.currentNode.parentElement.closest(".katex")) return 0;
      [...walker.currentNode.data].forEach((_, index) => {
        range.setStart(walker.currentNode, index);
        range.setEnd(walker.currentNode, index + 1);
        const line = Math.round(range.getBoundingClientRect().bottom);
        lines.set(line, (lines.get(line) ?? 0) + 1);
      });
    }
    return Math.max(...lines.values());
  }));
}
"""


def toc_pages() -> set[str]:
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8"))
    chapters = [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]
    return {f"{name}.html" for name in [toc["root"], *chapters]}


def binder_url(page_path: str) -> str:
    repository = CONFIG["repository"]
    url = repository["url"]
    if fork := os.environ.get("GITHUB_REPOSITORY"):
        url = f"https://github.com/{fork}"
    name = url.removeprefix("https://github.com/")
    notebook = page_path.removesuffix(".html") + ".ipynb"
    hub = CONFIG["launch_buttons"]["binderhub_url"]
    return f"{hub}/v2/gh/{name}/{repository['branch']}?urlpath=lab/tree/{notebook}"


def test_the_built_pages_are_those_of_the_table_of_contents():
    assert set(BUILT) == toc_pages()


def check_width(page: Page, width: int) -> None:
    scrolled = page.evaluate("document.documentElement.scrollWidth")
    assert scrolled <= width, f"the page is {scrolled} pixels wide in a window of {width}"


def check_headings(page: Page) -> None:
    headings = page.locator("article :is(h1, h2, h3, h4)").evaluate_all(
        "all => all.map(heading => [+heading.tagName[1], heading.innerText.trim()])"
    )
    levels = [level for level, _ in headings]
    assert levels.count(1) == 1
    assert 2 in levels
    assert all(text for _, text in headings)
    assert all(below - above <= 1 for above, below in pairwise(levels)), headings


def check_pictures(page: Page) -> None:
    pictures = page.locator("img").evaluate_all(
        """all => all.map(image => ({
            words: (image.getAttribute("alt") ?? "").split(/\\s+/).filter(Boolean).length,
            drawn: !image.complete || image.naturalWidth > 0,
            fewest: image.closest("article") ? 5 : 2,
            source: image.src,
        }))"""
    )
    silent = [picture["source"] for picture in pictures if picture["words"] < picture["fewest"]]
    assert not silent, f"too few words of alternative text: {silent}"
    missing = [picture["source"] for picture in pictures if not picture["drawn"]]
    assert not missing, f"pictures that do not show: {missing}"


@every_page
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_is_whole(open_page, page_path, width, scheme):
    page = open_page(page_path, width, scheme)
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    check_width(page, width)
    check_headings(page)
    check_pictures(page)


@every_page
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_page_keeps_nobody_out(open_page, page_path, width, scheme):
    page = open_page(page_path, width, scheme)
    page.evaluate("document.fonts.ready")
    # Formulas are the renderer's own, and thousands of elements. And without preloading, since axe
    # would fetch the style sheets again, some from a wrong address.
    report = Axe().run(page, context={"exclude": [".katex"]}, options={"preload": False})
    grave = [
        f"{violation['help']}: {[node['target'] for node in violation['nodes'][:3]]}"
        for violation in report.response["violations"]
        if violation["impact"] in ("serious", "critical")
    ]
    assert not grave, "\n".join(grave)


@every_file
def test_page_carries_nothing_foreign(page_path):
    html = (HTML / page_path).read_text("utf-8")
    assert not [word for word in FOREIGN_MACHINERY if word in html.lower()]
    assert not LOADS.findall(html)


# Exercises and the concept test open their notebooks with blanks: see test_exercises.py.
@pytest.mark.parametrize("page_path", [p for p in NOTEBOOK_PAGES if not blank_name(p[:-5])])
def test_notebook_page_opens_in_binder(page_path):
    soup = BeautifulSoup((HTML / page_path).read_text("utf-8"), "html.parser")
    button = soup.select_one(".bd-header-article a.btn-launch-binder")
    assert button["href"] == binder_url(page_path)
    for explorer in soup.select("div.cell.tag_explorer"):
        note = explorer.find_next_sibling()
        assert note["class"] == ["explorer-note"]
        assert note.a["href"] == binder_url(page_path)


@every_page
def test_page_is_described(page_path):
    soup = BeautifulSoup((HTML / page_path).read_text("utf-8"), "html.parser")
    assert len(soup.select_one("meta[name=description]")["content"].split()) >= 5


@every_page
def test_formulas_need_no_script(open_page, page_path):
    page = open_page(page_path, java_script_enabled=False)
    formulas = page.locator("article .math")
    rendered = page.locator("article .math > .katex, article .math > .katex-display")
    assert rendered.count() == formulas.count()
    for formula in rendered.locator("visible=true").all()[:1]:
        assert formula.locator(".katex-html").bounding_box()["height"] > 5
    assert not [text for text in page.locator("article p").all_inner_texts() if "$" in text]


@pytest.mark.parametrize(("width", "fewest", "most"), [(1280, 60, 80), (390, 25, 50)])
def test_lines_are_as_long_as_one_reads_with_ease(open_page, width, fewest, most):
    page = open_page("book/en/references.html", width)
    size = page.locator("article p").last.evaluate("p => getComputedStyle(p).fontSize")
    assert size == "17px"
    assert fewest <= page.evaluate(LONGEST_LINE) <= most
