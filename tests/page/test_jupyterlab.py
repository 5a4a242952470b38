"""The lessons in a real JupyterLab: explorers move, and the book's directives are rendered."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen

import nbformat
import pytest
from built_book import ROOT, Watch
from playwright.sync_api import Browser, Locator, Page, expect

from lesson_tf import explore

MULTI_HEAD = ROOT / "book/en/attention/multi_head.ipynb"
SINUSOIDAL = ROOT / "book/en/positional_encoding/sinusoidal.ipynb"

# JupyterLab asks nobody for news or for newer versions.
QUIET = {"fetchNews": "false", "checkForUpdates": False}


@dataclass
class Lab:
    """A running JupyterLab with copies of two lessons, and the browser that opens them."""

    address: str
    token: str
    browser: Browser

    def stop(self) -> None:
        """Ask the server to end its kernels and itself."""
        shutdown = f"{self.address}/api/shutdown"
        headers = {"Authorization": f"token {self.token}"}
        urlopen(Request(shutdown, method="POST", headers=headers), timeout=10).close()

    def answers(self) -> bool:
        """Say whether the server is up."""
        try:
            urlopen(f"{self.address}/api", timeout=5).close()
        except OSError:
            return False
        return True

    @contextmanager
    def open(self, notebook: Path) -> Iterator[Page]:
        """Open a lesson with its kernel; afterwards, fail if a widget broke or somebody else was asked."""
        context = self.browser.new_context(viewport={"width": 1280, "height": 900})
        context.set_default_timeout(30_000)
        page = context.new_page()
        watch = Watch(page, self.address)
        # Reset: the lesson of the last test does not come back.
        page.goto(f"{self.address}/lab/tree/{notebook.name}?reset&token={self.token}")
        page.locator(".jp-MarkdownCell h1").wait_for()
        wait_for_kernel(page)
        try:
            yield page
        finally:
            context.close()
        troubles = [each for each in watch.troubles if is_ours(each)]
        assert not troubles, "\n".join(troubles)


def is_ours(trouble: str) -> bool:
    """Say whether the book has to answer for it.

    JupyterLab throws now and then in code of its own, while it draws a long notebook anew; a widget
    whose view cannot be made is reported on the console.
    """
    broken_widget = trouble.startswith("console: ") and (
        "view" in trouble or "widget" in trouble.lower()
    )
    return broken_widget or trouble.startswith("asks somebody else")


@pytest.fixture(scope="module")
def lab(browser, tmp_path_factory) -> Iterator[Lab]:
    """Start JupyterLab apart from the reader's own settings, and end it and its kernels."""
    folder = tmp_path_factory.mktemp("lab")
    for lesson in (MULTI_HEAD, SINUSOIDAL):
        shutil.copy(lesson, folder)
    lab = Lab(f"http://127.0.0.1:{free_port()}", secrets.token_hex(), browser)
    server = subprocess.Popen(
        command(lab, folder),
        env=environment(tmp_path_factory.mktemp("settings")),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for_server(lab, server)
        yield lab
        lab.stop()
    finally:
        try:
            server.wait(timeout=15)
        except subprocess.TimeoutExpired:
            # Kernels notice by themselves that their server has gone.
            server.kill()
            server.wait()


def command(lab: Lab, folder: Path) -> list[str]:
    """Give the command that serves a folder at the lab's address."""
    port = lab.address.rpartition(":")[2]
    return [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
        *("--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"),
        *(f"--IdentityProvider.token={lab.token}", f"--ServerApp.root_dir={folder}"),
    ]


def environment(folder: Path) -> dict[str, str]:
    """Keep all that JupyterLab and its kernels remember in a folder of the test."""
    names = ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")
    folders = {f"JUPYTER_{name}": str(folder / name.lower()) for name in names}
    folders |= {"IPYTHONDIR": str(folder / "ipython"), "OMP_NUM_THREADS": "1"}
    settings = folder / "config_dir/lab/user-settings/@jupyterlab/apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text(json.dumps(QUIET))
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "LESSON_TF"))}
    return inherited | folders


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for_server(lab: Lab, server: subprocess.Popen, seconds: float = 60) -> None:
    """Wait until JupyterLab answers."""
    end = time.monotonic() + seconds
    while not lab.answers():
        if server.poll() is not None or time.monotonic() > end:
            pytest.fail(f"JupyterLab is not there after {seconds:g} seconds.", pytrace=False)
        time.sleep(0.1)


def wait_for_kernel(page: Page) -> None:
    """Wait until the kernel is there and has nothing to do."""
    # The notebook's own indicator says idle before there is a kernel; the status bar does not.
    idle = page.locator("#jp-main-statusbar").get_by_text("(ipykernel) | Idle")
    idle.wait_for(timeout=120_000)


def run_all(page: Page) -> None:
    """Run every cell, as a reader does from the menu."""
    page.locator(".lm-MenuBar-itemLabel", has_text="Run").click()
    page.locator(".lm-Menu-itemLabel").get_by_text("Run All Cells", exact=True).click()


def explorer(page: Page) -> Locator:
    """Find the output with sliders, once its picture is drawn."""
    output = page.locator(".jp-OutputArea-output").filter(has=page.locator("[role=slider]"))
    expect(output).to_have_count(1, timeout=60_000)
    # A kernel hears of a slider once it has run the cells below.
    wait_for_kernel(page)
    output.scroll_into_view_if_needed()
    expect(output.locator("img")).to_have_js_property("complete", True)
    return output


def slider(output: Locator, name: str) -> Locator:
    """Find the handle of the slider of this name."""
    row = output.locator(".widget-hslider").filter(has=output.page.get_by_text(name, exact=True))
    return row.locator("[role=slider]")


def sentence(output: Locator) -> Locator:
    """Find what is said beneath the picture; above it stands a question."""
    return output.locator(".widget-html-content").last


def picture(output: Locator) -> bytes:
    """Read the bytes of the picture that is shown."""
    read = "async image => [...new Uint8Array(await (await fetch(image.src)).arrayBuffer())]"
    return bytes(output.locator("img").evaluate(read))


def expect_another_picture(output: Locator, before: bytes) -> None:
    """Wait for a picture that differs, drawn at full size."""
    end = time.monotonic() + 15
    while (after := picture(output)) == before:
        assert time.monotonic() < end, "the picture stays as it was"
        output.page.wait_for_timeout(50)
    assert after.startswith(b"\x89PNG")


def expect_to_fit(output: Locator) -> None:
    """Check that the explorer is no wider than its cell, and without its question no higher than the view."""
    explorer = output.locator(".widget-vbox").first
    box = explorer.bounding_box()
    view = output.page.locator(".jp-WindowedPanel-outer").bounding_box()
    top = output.locator("img").bounding_box()["y"]
    assert box["y"] + box["height"] - top <= view["height"]
    for part in (output.locator("img"), sentence(output), *output.locator(".widget-hslider").all()):
        inner = part.bounding_box()
        assert inner["x"] + inner["width"] <= box["x"] + box["width"]
    assert sentence(output).evaluate("text => text.scrollWidth <= text.clientWidth")


def test_sliders_move_the_heads(lab):
    with lab.open(MULTI_HEAD) as page:
        run_all(page)
        output = explorer(page)
        expect(sentence(output)).to_contain_text(explore.heads().state().sentence)
        expect_to_fit(output)
        four = picture(output)
        handle = slider(output, "heads")

        handle.press("ArrowRight")
        expect(sentence(output)).to_contain_text("d_model=64 cannot be split over heads=5")
        assert picture(output) == four
        for _ in range(3):
            handle.press("ArrowRight")
        expect(handle).to_have_attribute("aria-valuetext", "8")
        expect(sentence(output)).to_contain_text(explore.heads(heads=8).state().sentence)
        expect_another_picture(output, four)

        eight = picture(output)
        slider(output, "d_model").press("ArrowLeft")
        expect(sentence(output)).to_contain_text("no member of the family has d_model=56")
        assert picture(output) == eight
        output.get_by_role("button", name="March 5, 2024").click()
        slider(output, "d_model").press("ArrowRight")
        march = explore.heads("March 5, 2024", heads=8).state()
        expect(sentence(output)).to_contain_text(march.sentence)
        output.get_by_role("button", name="the same number").click()
        expect(output.locator(".widget-html-content").nth(1)).to_contain_text(
            "Yes: the same number"
        )

        page.set_viewport_size({"width": 640, "height": 900})
        expect_to_fit(output)
        assert "Traceback" not in page.locator(".jp-Notebook").inner_text()
        expect(page.locator("[data-mime-type='application/vnd.jupyter.error']")).to_have_count(0)
        expect(page.locator(".jupyter-widgets-error-widget")).to_have_count(0)


def test_a_slider_and_buttons_move_the_waves(lab):
    with lab.open(SINUSOIDAL) as page:
        run_all(page)
        output = explorer(page)
        expect_to_fit(output)
        before = picture(output)
        slider(output, "position").press("ArrowRight")
        expect(sentence(output)).to_contain_text("Position 51 against position 0")
        expect_another_picture(output, before)
        said = sentence(output).inner_text()
        base = output.locator(".widget-toggle-buttons")
        base.get_by_role("button", name="100", exact=True).click()
        expect(sentence(output)).not_to_have_text(said)
        expect(sentence(output)).to_contain_text("Position 51 against position 0")


def test_a_lesson_that_was_not_run_shows_no_broken_widget(lab):
    for cell in nbformat.read(MULTI_HEAD, as_version=4).cells:
        for output in cell.get("outputs", []):
            assert "application/vnd.jupyter.widget-view+json" not in output.get("data", {})
    with lab.open(MULTI_HEAD) as page:
        shown = page.locator(".jp-OutputArea-output", has_text="Explorer heads: text=")
        shown.scroll_into_view_if_needed()
        expect(shown).to_be_visible()
        expect(page.get_by_text("Error displaying widget")).to_have_count(0)


def test_directives_formulas_and_folds(lab):
    with lab.open(MULTI_HEAD) as page:
        box = page.locator("aside.myst-admonition").first
        expect(box).to_contain_text("Predict first")
        expect(box.locator(".katex").first).to_be_visible()
        expect(page.locator(".katex-error")).to_have_count(0)
        # JupyterLab knows no bibliography: a citation shows its key, and no raw directive.
        prose = page.locator(".myst").filter(has_text="mixes them")
        expect(prose).to_contain_text("vaswani2017attention")
        expect(prose).not_to_contain_text("{cite}")

        fold = page.locator("details", has_text="What changes from 4 heads to 8")
        answer = fold.locator("p").first
        expect(answer).to_be_hidden()
        # Until the whole notebook has been read, a cell may be rendered anew, and folded again.
        page.wait_for_load_state("networkidle")
        fold.locator("summary").click()
        expect(answer).to_be_visible()
        fold.locator("summary").click()
        expect(answer).to_be_hidden()
