"""The Swagger UI as its user sees it, in a real browser against a real `chalice local`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from harness.processes import chalice_local
from tests.support.browser import TIMEOUT_MS, behind_a_stage, chromium, clean_page, skip_module_without_chromium

skip_module_without_chromium()

EXECUTE = "#operations-Trading-executeOrder"
PORTFOLIO = "#operations-Trading-getPortfolio"
ORDER = {"user_id": 1, "symbol": "ETH", "pay_with": "USD", "quantity": "0.01"}
KEY = 'tr[data-param-name="X-Idempotency-Key"] input'


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def engine(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:  # noqa: ARG001  (none without a browser)
    with chalice_local(tmp_path_factory.mktemp("engine") / "log") as server:
        yield server.url


def try_out(page: Page, operation: str) -> None:
    page.locator(f"{operation} .opblock-summary-control").click()
    page.locator(f"{operation} .try-out__btn").click()


def execute(page: Page, operation: str) -> tuple[int, str, dict[str, Any]]:
    """Presses "Execute"; returns what the page then shows: status, headers, body. Leaves that in view."""
    with page.expect_response(lambda response: "/api/" in response.url) as answer:
        page.locator(f"{operation} .execute").click()
    shown = page.locator(f"{operation} .live-responses-table")
    expect(shown).to_contain_text(answer.value.headers["x-request-id"], timeout=TIMEOUT_MS)
    shown.scroll_into_view_if_needed()
    body, headers, _duration = shown.locator("pre").all_inner_texts()
    status = shown.locator("tbody .response-col_status").first.inner_text()
    return int(status), headers, json.loads(body)


def test_an_order_is_filled_and_replayed_and_shows_in_the_portfolio(browser: Browser, engine: str, tmp_path: Path) -> None:
    with clean_page(browser, engine) as page:
        page.goto(f"{engine}/docs")
        expect(page).to_have_title("HFT Trading Engine")
        try_out(page, EXECUTE)

        first_status, first_headers, fill = execute(page, EXECUTE)
        again_status, again_headers, replay = execute(page, EXECUTE)
        page.screenshot(path=tmp_path / "order.png")
        page.locator(f"{EXECUTE} .opblock-summary-control").click()
        try_out(page, PORTFOLIO)
        portfolio_status, _, portfolio = execute(page, PORTFOLIO)
        page.screenshot(path=tmp_path / "portfolio.png")

    assert (first_status, fill["status"], fill["total_cost"]) == (200, "ORDER_FILLED", "50000.00000000")
    assert "idempotent-replayed" not in first_headers
    assert (again_status, replay) == (200, fill)
    assert "idempotent-replayed: true" in again_headers
    assert (portfolio_status, portfolio["holdings"]["USD"]) == (200, fill["remaining_balance"])


@pytest.mark.parametrize("path", ["/docs", "/docs/"])
def test_it_works_behind_a_stage_path(browser: Browser, engine: str, path: str) -> None:
    with behind_a_stage(engine) as stage, clean_page(browser, stage) as page:
        page.goto(stage + path)
        try_out(page, EXECUTE)
        page.locator(f"{EXECUTE} {KEY}").fill(f"an order at {path}")
        page.locator(f"{EXECUTE} textarea").fill(json.dumps(ORDER))

        status, _, fill = execute(page, EXECUTE)

    assert (status, fill["status"], fill["total_cost"]) == (200, "ORDER_FILLED", "30.00000000")


def test_every_operation_opens_and_a_token_can_be_entered(browser: Browser, engine: str) -> None:
    with clean_page(browser, engine) as page:
        page.goto(f"{engine}/docs/")
        page.locator(".auth-wrapper .authorize").click()
        page.locator(".modal-ux input").fill("a.b.c")
        page.locator(".modal-ux .authorize").click()
        page.locator(".modal-ux .btn-done").click()
        for opener in page.locator(".opblock-summary-control").all():
            opener.click()
        described = page.request.get(f"{engine}/openapi.json").json()["paths"].values()
        expect(page.locator(".opblock-body")).to_have_count(sum(len(operations) for operations in described))
