"""The built book on localhost, and a browser that opens its pages."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from os import environ
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

from playwright.sync_api import Page, Playwright, Request

ROOT = Path(__file__).resolve().parents[2]
HTML = ROOT / "_build" / "html"
INTRO = "book/en/intro.html"
BUILT = sorted(path.relative_to(HTML).as_posix() for path in (HTML / "book").rglob("*.html"))
# Without a book there is still one page to ask for, so that the tests fail and are not left out.
PAGES = BUILT or [INTRO]
NOTEBOOK_PAGES = [page for page in PAGES if (ROOT / page).with_suffix(".ipynb").exists()]

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    # Nobody else is reached, even by a page that tries.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files without a line on the terminal for each."""

    def do_GET(self) -> None:
        """Serve a file; say that there is none where the browser looks for a site's icon.

        Every page of the book names its own icon. The redirect at index.html names none, and the
        browser then asks the root of the site, which is nobody's mistake.
        """
        if self.path == "/favicon.ico":
            self.send_response(204)
            self.end_headers()
        else:
            super().do_GET()

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on a free port of this machine, and give its address."""
    handler = partial(QuietHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def browser_path(playwright: Playwright) -> str:
    """Find a Chromium: the one CHROME_PATH names, one of the system, or Playwright's own."""
    named = environ.get("CHROME_PATH")
    installed = (shutil.which(name) for name in BROWSERS)
    path = named or next(filter(None, installed), playwright.chromium.executable_path)
    if Path(path).exists():
        return path
    raise FileNotFoundError(
        f"There is no browser at {path}: install Chromium, run `playwright install chromium`, "
        "or set CHROME_PATH to a Chromium."
    )


@dataclass
class Watch:
    """What goes wrong while a page is open: each entry is a line of the test's report."""

    page: Page
    home: str
    troubles: list[str] = field(default_factory=list)
    waiting: set[Request] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Listen to the page."""
        note, page = self.troubles.append, self.page
        page.on("console", lambda m: m.type == "error" and note(f"console: {m.text}"))
        page.on("pageerror", lambda error: note(f"error: {error}"))
        page.on("response", lambda r: r.status >= 400 and note(f"status {r.status}: {r.url}"))
        page.on("websocket", lambda socket: note(f"web socket: {socket.url}"))
        page.on("request", self._started)
        page.on("requestfinished", lambda request: self.waiting.discard(request))
        page.on("requestfailed", self._failed)

    def settle(self) -> None:
        """Wait until every request has its answer."""
        while self.waiting:
            self.page.wait_for_timeout(20)

    def _started(self, request: Request) -> None:
        self.waiting.add(request)
        own = urlsplit(request.url).scheme in ("data", "blob") or request.url.startswith(self.home)
        if not own:
            self.troubles.append(f"asks somebody else: {request.url}")

    def _failed(self, request: Request) -> None:
        self.waiting.discard(request)
        # A reader who goes on to the next page aborts what the last one still loads.
        if request.failure != "net::ERR_ABORTED":
            self.troubles.append(f"failed, {request.failure}: {request.url}")
