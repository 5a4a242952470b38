"""Draws the README's picture: ``python make/picture.py _build/html/PAGE.html docs/page.png``."""

import sys
from pathlib import Path

import browser
from playwright.sync_api import sync_playwright

WIDTH, HEIGHT = 1280, 1060


def draw(page_file: Path, picture: Path) -> None:
    """Photograph the top of the built page in a window of a laptop's width."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=browser.find(), args=["--no-sandbox", "--disable-gpu"]
        )
        page = chromium.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(page_file.resolve().as_uri())
        page.wait_for_load_state("networkidle")
        page.screenshot(path=picture)
        chromium.close()


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
