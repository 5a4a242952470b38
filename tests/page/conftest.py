"""One server and one browser for all tests of the pages."""

from collections.abc import Callable, Iterator

import pytest
from built_book import FLAGS, HTML, Watch, browser_path, served
from playwright.sync_api import Browser, Page, sync_playwright


@pytest.fixture(scope="session")
def home() -> Iterator[str]:
    """Give the address of the served book."""
    if not (HTML / "index.html").exists():
        pytest.fail("There is no book in _build/html: `make book` builds it.", pytrace=False)
    with served(HTML) as address:
        yield address


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start the one browser."""
    with sync_playwright() as playwright:
        path = browser_path(playwright)
        running = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield running
        running.close()


@pytest.fixture
def open_page(browser: Browser, home: str) -> Iterator[Callable[..., Page]]:
    """Give a function that opens a page of the book in a fresh window.

    Whatever is done to the page afterwards, the test fails if it reports an error, if a request of
    it fails, or if it asks anybody but the server of the book.
    """
    watches = []

    def open_in_window(
        path: str, width: int = 1280, scheme: str = "light", root: str = home, **options: object
    ) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, **options
        )
        context.set_default_timeout(15_000)
        page = context.new_page()
        watches.append(Watch(page, root))
        page.goto(f"{root}/{path}")
        return page

    yield open_in_window
    for watch in watches:
        watch.settle()
        watch.page.context.close()
    troubles = [trouble for watch in watches for trouble in watch.troubles]
    assert not troubles, "\n".join(troubles)
