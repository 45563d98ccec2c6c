"""A real Chromium that loads a page and reports its errors and foreign requests."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
MISSING = (
    f"NOT TESTED: the Swagger UI. It needs a browser, one of {', '.join(NAMES)}; on Debian and Ubuntu: apt-get install chromium"
)
OPTIONS = [
    "--no-sandbox",  # the sandbox needs more rights than a container has
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
TIMEOUT_MS = 30_000


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
def clean_page(browser: Browser, base_url: str) -> Iterator[Page]:
    """Yields a page, and checks at the end that it logged no error and sent requests to `base_url` only."""
    page = browser.new_page(viewport={"width": 1280, "height": 1400})
    page.set_default_timeout(TIMEOUT_MS)
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: problems.append(request.url) if _leaves(request.url, base_url) else None)
    yield page
    page.close()
    assert problems == []


def _leaves(url: str, base_url: str) -> bool:
    return not url.startswith((f"{base_url}/", "data:", "blob:"))
