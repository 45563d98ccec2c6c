"""The browser that the tests of the pages share, and an engine for it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from harness.processes import chalice_local
from tests.support.browser import chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def engine(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:  # noqa: ARG001  (none without a browser)
    with chalice_local(tmp_path_factory.mktemp("engine") / "log") as server:
        yield server.url
