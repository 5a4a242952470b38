"""Finds the Chromium that draws the pages, or has Playwright install one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

COMMANDS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
APPLICATIONS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
MISSING = (
    "No browser was found and Playwright could not install one: install Chromium (Debian: "
    "apt-get install chromium; macOS: brew install --cask chromium) or set CHROME_PATH."
)


def playwright_browser() -> str | None:
    """Give back the path of Playwright's own Chromium if it is there."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


def install() -> None:
    """Have Playwright download its Chromium; `find` looks whether it came."""
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False)


def find() -> str:
    """Give back the path of a Chromium; raise SystemExit with one sentence if none can be had."""
    if path := os.environ.get("CHROME_PATH"):
        if Path(path).exists():
            return path
        raise SystemExit(f"CHROME_PATH={path} does not exist; name a Chromium or unset it.")
    installed = [shutil.which(command) for command in COMMANDS]
    installed += [path for path in APPLICATIONS if Path(path).exists()]
    for path in installed:
        if path:
            return path
    if path := playwright_browser():
        return path
    install()
    if path := playwright_browser():
        return path
    raise SystemExit(MISSING)


if __name__ == "__main__":
    print(find())
