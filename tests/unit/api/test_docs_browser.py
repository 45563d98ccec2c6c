"""The Swagger UI as its user sees it, in a real browser against a real `chalice local`."""

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import TIMEOUT_MS, behind_a_stage, clean_page, skip_module_without_chromium

skip_module_without_chromium()

EXECUTE = "#operations-Trading-executeOrder"
PORTFOLIO = "#operations-Trading-getPortfolio"
ORDER = {"user_id": 1, "symbol": "ETH", "pay_with": "USD", "quantity": "0.01"}
KEY = 'tr[data-param-name="X-Idempotency-Key"] input'


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
        openers = page.locator(".opblock-summary-control").all()
        for opener in openers:  # one at a time: each that is open is rendered again whenever another opens
            opener.click()
            expect(page.locator(".opblock-body")).to_have_count(1)
            opener.click()
        described = page.request.get(f"{engine}/openapi.json").json()["paths"].values()
        assert len(openers) == sum(len(operations) for operations in described)


def test_the_operations_are_on_the_first_screen_and_their_responses_folded(browser: Browser, engine: str) -> None:
    with clean_page(browser, engine) as page:
        page.set_viewport_size({"width": 1280, "height": 800})
        page.goto(f"{engine}/docs")
        for operation in (EXECUTE, PORTFOLIO):
            expect(page.locator(operation)).to_be_in_viewport()
        page.get_by_text("Every error").click()
        expect(page.get_by_role("cell", name="ERR_PRICE_LIMIT")).to_be_visible()
        page.locator(f"{EXECUTE} .opblock-summary-control").click()
        documented = page.locator(f"{EXECUTE} .responses-table")
        expect(documented).to_be_hidden()
        page.get_by_role("button", name="Show the documented responses").click()
        expect(documented).to_be_visible()


def test_the_authorize_dialog_names_the_command_that_prints_a_token(browser: Browser, engine: str) -> None:
    with clean_page(browser, engine) as page:
        page.goto(f"{engine}/docs")
        page.locator(".auth-wrapper .authorize").click()
        expect(page.locator(".modal-ux")).to_contain_text("make token USER=1")


@pytest.mark.parametrize(
    ("system", "chosen", "dark"),
    [("light", None, False), ("dark", None, True), ("dark", "light", False), ("light", "dark", True)],
)
def test_it_has_the_scheme_of_the_system_or_the_one_chosen_in_the_console(
    browser: Browser, engine: str, system: Any, chosen: str | None, *, dark: bool
) -> None:
    with clean_page(browser, engine) as page:
        page.emulate_media(color_scheme=system)
        page.goto(f"{engine}/")
        if chosen:
            while page.get_by_role("button", name="Theme").inner_text() != f"Theme: {chosen}":
                page.get_by_role("button", name="Theme").click()
        page.get_by_role("link", name="API").click()
        expect(page.locator(EXECUTE)).to_be_visible()
        background = page.locator("html").evaluate("html => getComputedStyle(html).backgroundColor")
    assert (background == "rgb(28, 32, 34)") == dark
