"""The controls around a page: table of contents, search, colour scheme; at the root or below it."""

import pytest
from built_book import HTML, INTRO, served
from playwright.sync_api import Page, expect

NOTATION = "book/en/notation.html"
every_width = pytest.mark.parametrize("width", [1280, 390])


def search(page: Page, words: str) -> Page:
    """Ask the search box, as a reader does, and wait for the answer."""
    page.locator("button.search-button-field:visible, button.search-button:visible").first.click()
    field = page.locator("#pst-search-dialog input[type=search]")
    field.fill(words)
    field.press("Enter")
    expect(page.locator("#search-results > p").first).to_contain_text("found", timeout=10_000)
    return page


@every_width
def test_table_of_contents_leads_to_a_page(open_page, width):
    page = open_page(INTRO, width)
    link = page.locator("nav.bd-links a", has_text="Notation")
    if width < 768:
        assert not link.is_visible()
        page.locator("button.primary-toggle").click()
    link.click()
    page.wait_for_url(f"**/{NOTATION}")
    assert page.locator("article h1").inner_text().startswith("Notation")


@every_width
def test_contents_of_a_page_lead_to_a_section(open_page, width):
    page = open_page(NOTATION, width)
    if width < 768:
        page.locator("button.secondary-toggle").click()
    page.locator("#pst-page-toc-nav a", has_text="Masks").click()
    page.wait_for_url("**#masks")
    expect(page.locator("#masks h2")).to_be_in_viewport()


@every_width
@pytest.mark.parametrize("words", ["attention", "天気", "良い天気"])
def test_search_finds(open_page, width, words):
    page = search(open_page(INTRO, width), words)
    results = page.locator("#search-results ul.search li")
    expect(results.first).to_be_visible()
    results.first.locator("a").first.click()
    page.wait_for_url("**/book/en/**")
    assert words in page.locator("article").inner_text().lower()


def test_search_says_that_it_found_nothing(open_page):
    page = open_page(INTRO)
    page.goto(page.url.replace(INTRO, "search.html?q=xylophone"))
    expect(page.locator("#search-results")).to_contain_text("did not match any documents")


@every_width
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colour_scheme_is_switched_and_kept(open_page, width, scheme):
    page = open_page(INTRO, width, scheme)
    shown = "document.documentElement.dataset.theme"
    other = {"light": "dark", "dark": "light"}[scheme]
    background = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(background)
    for _ in range(3):  # the switch goes round: system, light, dark
        if page.evaluate(shown) == other:
            break
        page.locator("button.theme-switch-button:visible").first.click()
    assert page.evaluate(shown) == other
    assert page.evaluate(background) != before
    page.reload()
    assert page.evaluate(shown) == other
    page.goto(page.url.replace(INTRO, NOTATION))
    assert page.evaluate(shown) == other


def test_book_works_below_the_root_of_a_site(open_page, tmp_path):
    (tmp_path / "courses").mkdir()
    (tmp_path / "courses" / "transformer").symlink_to(HTML, target_is_directory=True)
    with served(tmp_path) as root:
        page = open_page("courses/transformer/index.html", root=root)
        page.wait_for_url(f"**/courses/transformer/{INTRO}")
        page.locator("nav.bd-links a", has_text="Notation").click()
        page.wait_for_url(f"**/courses/transformer/{NOTATION}")
        search(page, "attention")
        assert "/courses/transformer/search.html" in page.url
        page.wait_for_load_state("networkidle")
