"""Print how fast the explorers of the built book are, and how heavy: `make bench` runs it.

Script: the median over all stops of a slider from its move to the end of the redraw. Frame: until the
browser has shown it. First and later: a text of the reader's own, until its picture stands there.
"""

import gzip
import statistics
from collections.abc import Iterator

from built_book import FLAGS, HTML, browser_path, served
from explorers import explorer
from playwright.sync_api import Page, sync_playwright
from test_explorers import PLACES, WITH_TEXT

from lesson_tf import explore

AIMS = {"script": 2.0, "frame": 34.0, "later": 30.0, "bundle": 25.0, "page": 120.0}

SLIDE = """async (element, [name, stops]) => {
  const script = [], frame = [];
  for (const stop of [...stops, ...stops]) {
    const start = performance.now();
    element.set({ [name]: stop });
    script.push(performance.now() - start);
    await new Promise((next) => requestAnimationFrame(() => requestAnimationFrame(next)));
    frame.push(performance.now() - start);
  }
  return [script, frame];
}"""
TYPE = """async (element, [name, texts]) => {
  const times = [];
  for (const text of texts) {
    const start = performance.now();
    element.set({ [name]: text });
    while (element.working) await new Promise((next) => setTimeout(next, 0));
    times.push(performance.now() - start);
  }
  return times;
}"""
TEXTS = [f"{day} August 19{day + 60}" for day in range(1, 22)]


def kilobytes(path) -> float:
    """Give the size of a file as a server sends it."""
    return len(gzip.compress(path.read_bytes(), 9)) / 1000


def weights() -> Iterator[tuple[str, float, str, float]]:
    """Weigh the script, and each page with its explorers."""
    bundle = HTML / "_static" / "explorers" / "explorers.js"
    yield "the script of all explorers, gzipped", kilobytes(bundle), "KB", AIMS["bundle"]
    for page in dict.fromkeys(page for _, page in PLACES.values()):
        yield f"{page}, gzipped", kilobytes(HTML / page), "KB", AIMS["page"]


def times(page: Page, name: str) -> Iterator[tuple[str, float, str, float]]:
    """Time the sliders of one explorer, and its own texts."""
    found = explorer(page, name)
    controls = PLACES[name][0]().controls
    for control in controls:
        if isinstance(control, explore.Slider):
            script, frame = found.evaluate(SLIDE, [control.name, list(control.stops)[:32]])
            label = f"{name}: {control.name}"
            yield f"{label}, script", statistics.median(script), "ms", AIMS["script"]
            yield f"{label}, shown", statistics.median(frame), "ms", AIMS["frame"]
    if name in WITH_TEXT:
        text = next(each.name for each in controls if isinstance(each, explore.Text))
        first, second, *later = found.evaluate(TYPE, [text, TEXTS])
        yield f"{name}: first text of one's own", first, "ms", float("nan")
        yield f"{name}: later texts", statistics.median([second, *later]), "ms", AIMS["later"]


def main() -> None:
    """Print the table, a row at a time."""
    print(f"{'explorers':64} {'is':>9} {'aim':>7}")

    def show(row: tuple[str, float, str, float]) -> None:
        label, value, unit, aim = row
        print(f"{label:64} {value:6.2f} {unit} {aim:7.2f}", flush=True)

    for row in weights():
        show(row)
    with served(HTML) as home, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(playwright), args=FLAGS)
        for name, (_, path) in PLACES.items():
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(f"{home}/{path}")
            for row in times(page, name):
                show(row)
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
