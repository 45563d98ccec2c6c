"""A real Chromium that loads a page and reports its errors and foreign requests."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
MISSING = (
    f"NOT TESTED: the console and the Swagger UI. They need a browser, one of {', '.join(NAMES)}; "
    "on Debian: apt-get install chromium-headless-shell"
)
OPTIONS = [
    "--no-sandbox",  # the sandbox needs more rights than a container has
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP plain.test 127.0.0.1",  # an origin that browsers do not trust as they trust this machine
]
TIMEOUT_MS = 30_000
STAGE = "/prod"
NETWORK = "Failed to load resource"
"""Chromium's report of a request that failed, or was answered with 4xx or 5xx."""


def skip_module_without_chromium() -> None:
    """Skips the calling test module where there is no browser. In CI a missing browser fails the tests."""
    if CHROMIUM is None and os.environ.get("CI") != "true":
        pytest.skip(MISSING, allow_module_level=True)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Runs a headless Chromium. The test fails where Chromium is missing."""
    if CHROMIUM is None:
        pytest.fail(MISSING)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield browser
        browser.close()


@contextmanager
def clean_page(browser: Browser, base_url: str, expected: str | None = None, width: int = 1280) -> Iterator[Page]:
    """Yields a page, and checks at the end that it logged no error and sent requests to `base_url` only.

    `expected`: how the errors begin that this test provokes.
    """
    page = browser.new_page(viewport=ViewportSize(width=width, height=1400))
    page.set_default_timeout(TIMEOUT_MS)
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: problems.append(request.url) if _leaves(request.url, base_url) else None)
    yield page
    page.unroute_all(behavior="ignoreErrors")  # a request may be on its way still: its handler fails once the page is closed
    page.close()
    unexpected = [problem for problem in problems if expected is None or not problem.startswith(expected)]
    assert not unexpected, unexpected


@contextmanager
def behind_a_stage(engine: str) -> Iterator[str]:
    """The engine as API Gateway shows it: under a path that the engine itself does not see."""

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self.path.startswith(f"{STAGE}/"):
                self.send_error(403)
                return
            connection = HTTPConnection(urlsplit(engine).netloc, timeout=TIMEOUT_MS / 1000)
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            connection.request(self.command, self.path.removeprefix(STAGE), body, dict(self.headers))
            answer = connection.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)
            connection.close()

        do_POST = do_GET  # noqa: N815  (http.server's name)

        def log_message(self, *_: object) -> None:
            """Says nothing: what goes wrong shows in the page."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{STAGE}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _leaves(url: str, base_url: str) -> bool:
    return not url.startswith((f"{base_url}/", "data:", "blob:"))
