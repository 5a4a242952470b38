"""Driving explorers in a page, and reading what they show."""

import re

from playwright.sync_api import Locator, Page

MOVE = """(input, value) => {
  const set = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set;
  set.call(input, value);
  input.dispatchEvent(new Event("input", { bubbles: true }));
}"""


def explorer(page: Page, name: str) -> Locator:
    """Wait until an explorer of the page has its controls."""
    found = page.locator(f'lesson-explorer[name="{name}"]')
    found.locator(".explorer-controls").first.wait_for(state="attached")
    return found.first


def slider(found: Locator, name: str) -> Locator:
    """Find a slider by its label, which holds its value."""
    return found.get_by_role("slider", name=re.compile(rf"^{name} = "))


def move(found: Locator, name: str, stop: int) -> None:
    """Move a slider to one of its stops, as a hand does."""
    slider(found, name).evaluate(MOVE, str(stop))


def sentence(found: Locator) -> str:
    """Read the sentence beneath the picture."""
    return found.locator(".explorer-sentence").inner_text()


def picture(found: Locator) -> bytes:
    """Photograph the picture."""
    return found.locator(".explorer-stage").screenshot()


def marks(found: Locator) -> str:
    """Write what the picture consists of: equal pictures have equal marks."""
    return found.evaluate("element => JSON.stringify(element.picture.result.marks)")


def numbers(found: Locator) -> list[list[list[str]]]:
    """Read the tables on demand: a list of rows a table, without headings."""
    details = found.locator("details")
    if details.get_attribute("open") is None:
        details.locator("summary").click()
    return details.evaluate(
        """details => [...details.querySelectorAll("tbody")].map(body =>
          [...body.rows].map(row => [...row.cells].map(cell => cell.textContent)))"""
    )
