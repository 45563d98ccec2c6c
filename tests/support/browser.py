"""A real Chromium that looks at a page and reports what should not be there."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
MISSING = (
    f"NOT TESTED: the Swagger UI. It takes a browser, one of {', '.join(NAMES)}; on Debian and Ubuntu: apt-get install chromium"
)
OPTIONS = [
    "--no-sandbox",  # which needs more rights than a container has
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
TIMEOUT_MS = 30_000


def skip_module_without_chromium() -> None:
    """Skips the whole test module that calls this at its top. In CI there must be a browser."""
    if CHROMIUM is None and os.environ.get("CI") != "true":
        pytest.skip(MISSING, allow_module_level=True)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Runs a headless Chromium. Where there is none, the test fails."""
    if CHROMIUM is None:
        pytest.fail(MISSING)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield browser
        browser.close()


@contextmanager
def clean_page(browser: Browser, base_url: str) -> Iterator[Page]:
    """Yields a page, and checks at the end that it logged no error and requested nothing but from `base_url`."""
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
