"""The console as its user sees it, in a real browser against a real `chalice local`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests
from playwright.sync_api import Browser, Page, Route, expect

from chalicelib.api import console
from harness.processes import chalice_local
from harness.store import new_user_id
from tests.support.browser import NETWORK, behind_a_stage, clean_page, skip_module_without_chromium
from tests.support.issuer import SECRET, by_secret

skip_module_without_chromium()

EXECUTE = "**/api/v1/trading/execute"
LOOKUP = "**/lookup?*"
HISTORY = "**/api/v1/trading/history/*after=*"
VERIFIED = "1 … {} verified, head matches"


@pytest.fixture
def account(engine: str) -> int:
    """A new account of 100,000 USD."""
    return funded(engine, new_user_id())


def funded(engine: str, user: int) -> int:
    body = {"user_id": str(user), "symbol": "USD", "amount": "100000"}
    answer = requests.post(f"{engine}/api/v1/operator/transfers", json=body, headers={"X-Idempotency-Key": new_key()}, timeout=30)
    assert answer.status_code == 200, answer.text
    return user


def new_key() -> str:
    return uuid4().hex


def trading(engine: str, path: str, body: Any = None, **headers: str) -> Any:
    url = f"{engine}/api/v1/trading/{path}"
    answer = requests.get(url, timeout=30) if body is None else requests.post(url, json=body, headers=headers, timeout=30)
    return answer.json()


def holdings(engine: str, account: int) -> dict[str, str]:
    held: dict[str, str] = trading(engine, f"portfolio/{account}")["holdings"]
    return held


def records(engine: str, account: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = trading(engine, f"history/{account}?after=0&limit=100")["records"]
    return found


def trade(engine: str, account: int, orders: int) -> None:
    """Fills that many orders."""
    terms = {"symbol": "ETH", "pay_with": "USD", "quantity": "0.001"}
    of_orders = [{"idempotency_key": new_key(), **terms} for _ in range(orders)]
    results = trading(engine, "execute/batch", {"user_id": str(account), "orders": of_orders})["results"]
    assert {result["status"] for result in results} == {200}


def use(page: Page, account: int, token: str = "") -> None:
    """Chooses an account, and waits until it is shown."""
    dialog = page.locator("#account-dialog")
    if not dialog.is_visible():
        page.get_by_role("button", name="Account").click()
    dialog.get_by_label("Token").fill(token)
    dialog.get_by_label("Account number").fill(str(account))
    with page.expect_response(f"**/history/{account}?limit=*"):
        page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(page.locator("#connection")).to_have_text("Live")


@contextmanager
def open_console(browser: Browser, engine: str, account: int, expected: str | None = None) -> Iterator[Page]:
    with clean_page(browser, engine, expected) as page:
        page.goto(f"{engine}/")
        use(page, account)
        expect(page.locator("#history li").first).to_be_visible()
        yield page


def enter(page: Page, quantity: str) -> None:
    page.get_by_label("Quantity", exact=True).last.fill(quantity)
    expect(page.locator("#submit")).to_have_text(f"Buy {quantity} BTC")


def outcome(page: Page) -> Any:
    return expect(page.locator("#outcome"))


def lose_after_the_engine(route: Route) -> None:
    """Lets a request reach the engine, and loses the answer."""
    route.fetch()
    route.abort()


def lose_before_the_engine(route: Route) -> None:
    route.abort()


LOSSES = pytest.mark.parametrize("lose", [lose_after_the_engine, lose_before_the_engine], ids=["after", "before"])


# Orders.


def test_an_order_is_previewed_filled_and_shown_everywhere(browser: Browser, engine: str, account: int) -> None:
    with open_console(browser, engine, account) as page:
        expect(page.locator("#total")).to_have_text("100,000.00")
        enter(page, "0.25")
        preview = page.locator("#preview")
        for line in ("You get0.25 BTC", "Price50,000.00 USD", "Fee0.00 USD", "You pay12,500.00 USD", "USD left87,500.00 USD"):
            expect(preview).to_contain_text(line)

        page.locator("#submit").click()

        outcome(page).to_contain_text("Bought 0.25 BTC")
        expect(page.locator("#size")).to_have_value("")
        expect(page.locator("#positions")).to_contain_text("BTC12.50 %0.2550,000.00")
        expect(page.locator("#history li").first).to_contain_text("Bought 0.25 BTC")
        expect(page.locator("#history li").first).to_contain_text("−12,500.00 USD")
    assert holdings(engine, account) == {"BTC": "0.25000000", "USD": "87500.00000000"}


def test_a_double_click_trades_once(browser: Browser, engine: str, account: int) -> None:
    held: list[Route] = []
    with open_console(browser, engine, account) as page:
        page.route(EXECUTE, lambda route: held.append(route))  # noqa: PLW0108  (playwright looks at its signature)
        enter(page, "0.25")
        page.locator("#submit").dblclick()
        page.keyboard.press("Enter")
        (order,) = held
        order.continue_()
        outcome(page).to_contain_text("Bought 0.25 BTC")
        expect(page.locator("#submit")).to_be_enabled()
        page.locator("#submit").click()
        expect(page.locator("#preview")).to_contain_text("Enter a quantity")
    assert len(held) == 1
    assert holdings(engine, account)["BTC"] == "0.25000000"


def test_a_second_click_just_after_the_outcome_does_nothing(browser: Browser, engine: str, account: int) -> None:
    with open_console(browser, engine, account, NETWORK) as page:
        enter(page, "3")
        page.locator("#submit").evaluate(
            """async (button) => {
                 button.click();
                 while (!document.getElementById('outcome').childElementCount) await new Promise(requestAnimationFrame);
                 button.click();
               }"""
        )
        expect(page.locator("#submit")).to_be_enabled()
        outcome(page).to_contain_text("Refused")
    assert [record["outcome"] for record in records(engine, account)] == ["ACCOUNT_FUNDED", "ERR_LIQUIDITY"]


@pytest.mark.parametrize(
    ("keys", "held"),
    [
        ("b Amount 250", {"BTC": "0.00500000", "ETH": "1.00000000", "USD": "96750.00000000"}),
        ("b All", {"BTC": "1.94000000", "ETH": "1.00000000", "USD": "0.00000000"}),
        ("s Quantity 0.5", {"ETH": "0.50000000", "USD": "98500.00000000"}),
        ("s All", {"ETH": "0.00000000", "USD": "100000.00000000"}),
    ],
)
def test_every_form_of_order_is_sent_by_keyboard_alone(
    browser: Browser, engine: str, account: int, keys: str, held: dict[str, str]
) -> None:
    order = {"user_id": str(account), "symbol": "ETH", "pay_with": "USD", "quantity": "1"}
    trading(engine, "execute", order, **{"X-Idempotency-Key": new_key()})
    side, measure, *size = keys.split()
    with open_console(browser, engine, account) as page:
        page.locator("#history-title").click()
        page.keyboard.press("2" if side == "s" else "1")
        page.keyboard.press(side)
        page.get_by_label(measure, exact=True).first.check(force=True)
        if size:
            page.locator("#size").fill(*size)
            page.keyboard.press("Enter")
        else:
            page.locator("#submit").press("Enter")
        outcome(page).to_contain_text("Bought" if side == "b" else "Sold")
    assert holdings(engine, account) == held


def test_a_refusal_is_foreseen_in_words_and_stored_when_sent(browser: Browser, engine: str, account: int) -> None:
    with open_console(browser, engine, account, NETWORK) as page:
        enter(page, "3")
        words = "Need 150000.00000000 USD but only have 100000.00000000 USD"
        expect(page.locator("#preview")).to_contain_text(f"Would be refused. {words}")
        page.locator("#submit").click()
        outcome(page).to_contain_text(f"Refused{words}")
        expect(page.locator("#history li").first).to_contain_text("Not enough: needed 150,000.00 USD, there were 100,000.00 USD")
        page.get_by_text("Limit price").click()
        page.get_by_label("Pay at most").fill("49999.5")
        enter(page, "0.1")
        expect(page.locator("#preview")).to_contain_text("beyond the limit of 49999.50000000 USD")
    assert holdings(engine, account) == {"USD": "100000.00000000"}


def test_what_is_no_number_is_not_sent(browser: Browser, engine: str, account: int) -> None:
    with open_console(browser, engine, account) as page:
        page.locator("#size").fill("1,5")
        expect(page.locator("#preview")).to_contain_text("Digits and one point")
        page.keyboard.press("Enter")
        expect(page.locator("#size")).to_be_focused()
    assert len(records(engine, account)) == 1


# Lost answers.


@LOSSES
def test_a_lost_answer_is_asked_for_again_with_the_same_key(
    browser: Browser, engine: str, account: int, lose: Callable[[Route], None]
) -> None:
    with open_console(browser, engine, account, NETWORK) as page:
        page.route(EXECUTE, lose, times=1)
        enter(page, "0.25")
        page.locator("#submit").click()
        expect(page.locator("#pending")).to_contain_text("Outcome unknown")
        outcome(page).to_contain_text("Bought 0.25 BTC")
        expect(page.locator("#pending")).to_be_empty()
    assert holdings(engine, account)["BTC"] == "0.25000000"


@pytest.mark.parametrize(
    ("answered", "says"),
    [
        ((503, '{"status": 503, "error_code": "ERR_DATASTORE_UNAVAILABLE", "message": "no"}'), "The engine answered 503"),
        ((502, "<h1>Bad gateway</h1>"), "What answered is not the engine"),
        ((200, "<h1>Log in to this network</h1>"), "What answered is not the engine"),
        ((200, "null"), "What answered is not the engine"),
    ],
)
def test_an_outcome_is_unknown_where_the_engine_did_not_say_it(
    browser: Browser, engine: str, account: int, answered: tuple[int, str], says: str
) -> None:
    def answer(route: Route) -> None:
        route.fetch()
        route.fulfill(status=answered[0], body=answered[1])

    with open_console(browser, engine, account, NETWORK) as page:
        page.route(EXECUTE, answer, times=2)
        enter(page, "0.25")
        page.locator("#submit").click()
        expect(page.locator("#pending")).to_contain_text(f"{says}. It may have been executed once")
        expect(page.locator("#submit")).to_be_disabled()
        outcome(page).to_contain_text("Bought 0.25 BTC")
        outcome(page).to_contain_text("decided once")
    assert holdings(engine, account)["BTC"] == "0.25000000"


@LOSSES
@pytest.mark.parametrize("then", ["Void", "Send again"])
def test_an_unknown_outcome_survives_a_reload(
    browser: Browser, engine: str, account: int, lose: Callable[[Route], None], then: str
) -> None:
    with open_console(browser, engine, account, NETWORK) as page:
        page.route(EXECUTE, lose)
        page.route(LOOKUP, lose_before_the_engine)
        enter(page, "0.25")
        page.locator("#submit").click()
        expect(page.locator("#pending")).to_contain_text("Outcome unknown")
        with page.expect_event("requestfailed"):
            page.reload()
        expect(page.locator("#pending")).to_contain_text("Outcome unknownBuy 0.25 BTC with USD")
        expect(page.locator("#submit")).to_be_disabled()
        page.unroute(EXECUTE)
        page.unroute(LOOKUP)
        page.evaluate("dispatchEvent(new Event('online'))")  # the page asks at once, not only after its next wait
        if lose is lose_before_the_engine:
            expect(page.locator("#pending")).to_contain_text("Nothing is stored under its key yet")
            assert holdings(engine, account) == {"USD": "100000.00000000"}  # a reload executes nothing
            page.get_by_role("button", name=then).click()
        fills = lose is lose_after_the_engine or then == "Send again"
        outcome(page).to_contain_text("Bought 0.25 BTC" if fills else "Voided")
        expect(page.locator("#pending")).to_be_empty()
        page.reload()
        expect(page.locator("#history li")).to_have_count(2)
        expect(page.locator("#pending")).to_be_empty()
    assert holdings(engine, account).get("BTC") == ("0.25000000" if fills else None)
    assert records(engine, account)[-1]["outcome"] == ("ORDER_FILLED" if fills else "ORDER_VOIDED")


def test_a_void_that_comes_too_late_shows_the_fill(browser: Browser, engine: str, account: int) -> None:
    with open_console(browser, engine, account, NETWORK) as page:
        page.route(EXECUTE, lose_after_the_engine)
        page.route(LOOKUP, lose_before_the_engine)
        enter(page, "0.25")
        page.locator("#submit").click()
        page.get_by_role("button", name="Void").click()
        outcome(page).to_contain_text("Bought 0.25 BTC")
        expect(page.locator("#pending")).to_be_empty()
    assert holdings(engine, account)["BTC"] == "0.25000000"


# Verification.


def verdict(page: Page) -> Any:
    page.get_by_role("button", name="Verify").click()
    return expect(page.locator("#verdict-text"))


def forge(page: Page, change: Callable[[list[dict[str, Any]]], None]) -> None:
    """Changes each page of history on its way to the console."""

    def changed(route: Route) -> None:
        answer = route.fetch()
        body = answer.json()
        change(body["records"])
        route.fulfill(response=answer, json=body)

    page.route(HISTORY, changed)


def test_a_long_history_is_verified_and_next_time_from_there(browser: Browser, engine: str, account: int) -> None:
    trade(engine, account, 99)
    trade(engine, account, 5)
    with open_console(browser, engine, account) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url.partition("?")[2]) if "after=" in request.url else None)
        held: list[Route] = []
        page.route("**after=100*", lambda route: held.append(route))  # noqa: PLW0108  (playwright looks at its signature)
        verdict(page).to_have_text("Verifying …")
        progress = page.locator("#verify-progress")
        expect(progress).to_have_js_property("value", 100)
        expect(progress).to_have_js_property("max", 105)
        held[0].continue_()
        expect(page.locator("#verdict-text")).to_have_text(VERIFIED.format(105))
        expect(progress).to_be_hidden()
        assert asked == ["after=0&limit=100", "after=100&limit=5"]
        trade(engine, account, 2)
        page.reload()
        expect(page.locator("#verdict-text")).to_contain_text("This browser verified 1 … 105 before")
        verdict(page).to_have_text(VERIFIED.format(107))
        assert asked[2:] == ["after=104&limit=1", "after=105&limit=2"]


def test_older_decisions_are_shown_a_page_at_a_time(browser: Browser, engine: str, account: int) -> None:
    trade(engine, account, 45)
    with open_console(browser, engine, account) as page:
        rows = page.locator("#history li")
        for shown in (40, 46):
            page.get_by_role("button", name="Older").click()
            expect(rows).to_have_count(shown)
        expect(page.get_by_role("button", name="Older")).to_be_hidden()
        assert [row.get_attribute("data-sequence") for row in rows.all()] == [str(number) for number in range(46, 0, -1)]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda record: record.update(record=record["record"].replace('"0.001"', '"0.002"')), "does not belong to its place"),
        (lambda record: record.update(outcome="ERR_LIQUIDITY"), "shows another outcome than its stored text"),
        (lambda record: record["order"].update(quantity="0.002"), "shows another order than its stored text"),
        (lambda record: record["reply"]["balances"].update(USD="1.00000000"), "shows another reply.balances"),
        (lambda record: record.update(head="00" * 32), "does not belong to its place"),
    ],
    ids=["text", "outcome", "order", "balances", "head"],
)
def test_a_tampered_record_is_found(
    browser: Browser, engine: str, account: int, change: Callable[[dict[str, Any]], None], says: str
) -> None:
    trade(engine, account, 4)
    with open_console(browser, engine, account) as page:
        forge(page, lambda found: change(found[2]))
        verdict(page).to_contain_text("ecision 3")
        expect(page.locator("#verdict-text")).to_contain_text(says)
        page.unroute(HISTORY)
        verdict(page).to_have_text(VERIFIED.format(5))


@pytest.mark.parametrize("drop", [2, 3])
def test_a_missing_decision_is_found(browser: Browser, engine: str, account: int, drop: int) -> None:
    trade(engine, account, 3)
    with open_console(browser, engine, account) as page:
        forge(page, lambda found: found.__delitem__(slice(drop - 1, drop)))
        verdict(page).to_contain_text(f"The text of decision {drop} does not belong to its place")


def rewritten(found: list[dict[str, Any]]) -> None:
    """Computes a chain anew over another first record, as whoever owns the server could."""
    head = b""
    for record in found:
        record["record"] = record["record"].replace("100000.00000000", "200000.00000000")
        record["transfer"] = {"symbol": "USD", "amount": "200000.00000000"} if record["kind"] == "transfer" else None
        if record["transfer"] is None:
            del record["transfer"]
        else:
            record["reply"]["balance"] = "200000.00000000"
        head = sha256(head + record["record"].encode()).digest()
        record["head"] = head.hex()


@pytest.mark.parametrize("more", [0, 3])
def test_a_chain_that_was_computed_anew_does_not_pass_where_it_was_verified_before(
    browser: Browser, engine: str, account: int, more: int
) -> None:
    trade(engine, account, 4)
    with open_console(browser, engine, account) as page:
        verdict(page).to_have_text(VERIFIED.format(5))
        if more:
            trade(engine, account, more)
        whole = records(engine, account)
        rewritten(whole)

        def page_of(route: Route) -> None:
            wanted = dict(pair.split("=") for pair in route.request.url.partition("?")[2].split("&"))
            after, limit = int(wanted["after"]), int(wanted["limit"])
            route.fulfill(json={"records": whole[after : after + limit], "next": None, "sequence": len(whole)})

        def portfolio(route: Route) -> None:
            answer = route.fetch()
            route.fulfill(response=answer, json=answer.json() | {"head": whole[-1]["head"]})

        page.route(HISTORY, page_of)
        page.route("**/portfolio/*", portfolio)
        verdict(page).to_contain_text("no longer contains what this browser verified before, up to 5: it was rewritten")
        page.get_by_role("button", name="Forget that").click()
        verdict(page).to_have_text(VERIFIED.format(5 + more))  # in itself it is a chain: only what was kept betrays it


def test_beginning_again_at_1_does_not_forget_what_was_verified(browser: Browser, engine: str, account: int) -> None:
    """The forger shows the old last link once, where it is looked for, and another chain below it."""
    trade(engine, account, 2)
    with open_console(browser, engine, account) as page:
        verdict(page).to_have_text(VERIFIED.format(3))
        verdict(page).to_have_text(VERIFIED.format(3))
        trade(engine, account, 1)
        whole, honest = records(engine, account), records(engine, account)
        rewritten(whole)

        def page_of(route: Route) -> None:
            shown = honest[2:3] if "after=2&limit=1" in route.request.url else whole
            route.fulfill(json={"records": shown, "next": None, "sequence": 4})

        page.route(HISTORY, page_of)
        page.get_by_role("button", name="From 1 again").click()
        expect(page.locator("#verdict-text")).to_contain_text("no longer contains what this browser verified before, up to 3")


def test_a_history_that_was_shortened_does_not_pass(browser: Browser, engine: str, account: int) -> None:
    trade(engine, account, 4)
    with open_console(browser, engine, account) as page:
        verdict(page).to_have_text(VERIFIED.format(5))
        kept = records(engine, account)[2]

        def portfolio(route: Route) -> None:
            answer = route.fetch()
            route.fulfill(response=answer, json=answer.json() | {"head": kept["head"], "sequence": kept["sequence"]})

        page.route("**/portfolio/*", portfolio)
        verdict(page).to_contain_text("ends at 3, but this browser verified it up to 5 before")


def test_another_head_than_the_portfolios_does_not_pass(browser: Browser, engine: str, account: int) -> None:
    with open_console(browser, engine, account) as page:

        def portfolio(route: Route) -> None:
            answer = route.fetch()
            route.fulfill(response=answer, json=answer.json() | {"head": "ab" * 32})

        page.route("**/portfolio/*", portfolio)
        verdict(page).to_contain_text("The chain ends in another head than the portfolio shows")


# Where it runs, and how it looks.


def test_a_closed_run_asks_for_a_token_and_keeps_it_for_the_tab(browser: Browser, tmp_path: Path) -> None:
    token = by_secret("1", iss="hft-trading-engine", aud="hft-trading-engine")
    with chalice_local(tmp_path / "log", HFT_TOKEN_SECRET=SECRET) as server, clean_page(browser, server.url, NETWORK) as page:
        page.goto(f"{server.url}/")
        dialog = page.locator("#account-dialog")
        expect(dialog).to_contain_text("A valid token is required")
        use(page, 1, f"Bearer {token}")
        expect(page.locator("#total")).to_have_text("100,000.00")
        page.reload()
        expect(page.locator("#total")).to_have_text("100,000.00")
        page.get_by_role("button", name="Account").click()
        dialog.get_by_label("Account number").fill("2")
        page.keyboard.press("Enter")
        expect(dialog).to_contain_text("The token is for another account")
        with page.context.expect_page() as opened:
            page.evaluate("open('/', '_blank', 'noopener')")
        another = opened.value
        expect(another.locator("#account-dialog")).to_contain_text("A valid token is required")
        stored = another.evaluate("JSON.stringify(localStorage)")
        another.close()
    assert token not in stored


@pytest.mark.parametrize("path", ["", "/"])
def test_it_works_behind_a_stage_path(browser: Browser, engine: str, account: int, path: str) -> None:
    with behind_a_stage(engine) as stage, clean_page(browser, stage.removesuffix("/prod")) as page:
        # The gateway shows the engine the requested path; this proxy hides it.
        served = console.page(f"/prod{path}")
        page.route(stage + path, lambda route: route.fulfill(body=served, headers=dict(console.PAGE_HEADERS)))
        page.goto(stage + path)
        use(page, account)
        enter(page, "0.25")
        page.locator("#submit").click()
        outcome(page).to_contain_text("Bought 0.25 BTC")
        verdict(page).to_have_text(VERIFIED.format(2))
        assert page.get_by_role("link", name="API").evaluate("link => link.href") == f"{stage}/docs"


def test_it_trades_and_verifies_where_the_browser_has_no_cryptography_for_the_page(browser: Browser, tmp_path: Path) -> None:
    """As on a page from another machine without TLS. The account is the largest: JavaScript's numbers would round it."""
    with chalice_local(tmp_path / "log", HFT_LOCAL_HOSTS="plain.test") as server:
        account = funded(server.url, 2**63 - 1)
        with open_console(browser, server.url.replace("127.0.0.1", "plain.test"), account) as page:
            assert page.evaluate("[isSecureContext, typeof crypto.subtle]") == [False, "undefined"]
            enter(page, "0.25")
            page.locator("#submit").click()
            outcome(page).to_contain_text("Bought 0.25 BTC")
            verdict(page).to_have_text(VERIFIED.format(2))
        assert holdings(server.url, account)["BTC"] == "0.25000000"


def test_a_lost_connection_is_shown_and_mended(browser: Browser, engine: str, account: int) -> None:
    with open_console(browser, engine, account, NETWORK) as page:
        page.route("**/assets", lose_before_the_engine)
        expect(page.locator("#connection")).to_have_text("The engine could not be reached. Trying again.")
        page.unroute("**/assets")
        expect(page.locator("#connection")).to_have_text("Live")


CONTRAST = """() => {
  const channel = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  const parts = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => 0.2126 * channel(r / 255) + 0.7152 * channel(g / 255) + 0.0722 * channel(b / 255);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parts(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility() || element.closest(':disabled, svg, noscript')) continue;
    const [one, other] = [light(parts(getComputedStyle(element).color)), light(ground(element))].sort((a, b) => b - a);
    const ratio = (one + 0.05) / (other + 0.05);
    if (ratio < 4.5) poor.push(`${element.tagName} ${element.textContent.trim()}: ${ratio.toFixed(2)}`);
  }
  return poor;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280, 3840])
def test_every_control_has_a_name_and_every_text_has_contrast_and_nothing_overflows(
    browser: Browser, engine: str, account: int, scheme: Any, width: int
) -> None:
    trade(engine, account, 1)
    with clean_page(browser, engine, width=width) as page:
        page.emulate_media(color_scheme=scheme)
        page.goto(f"{engine}/")
        use(page, account)
        enter(page, "9")
        expect(page.locator("#preview")).to_contain_text("Would be refused")
        verdict(page).to_have_text(VERIFIED.format(2))
        nameless = page.locator("input, select, button, a, summary, [role=img], dialog, section, fieldset").evaluate_all(
            """elements => elements.filter(element => {
                 const by = element.getAttribute('aria-labelledby');
                 const label = element.getAttribute('aria-label') || (by && document.getElementById(by)?.textContent)
                   || element.querySelector('legend')?.textContent
                   || (element.labels ? [...element.labels].map(each => each.textContent).join('') : '') || element.textContent;
                 return !label.trim();
               }).map(element => element.outerHTML)"""
        )
        assert nameless == []
        assert page.evaluate(CONTRAST) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_scheme_is_chosen_by_key_and_kept(browser: Browser, engine: str, account: int) -> None:
    with open_console(browser, engine, account) as page:
        page.emulate_media(color_scheme="light")
        page.locator("#history-title").click()
        page.keyboard.press("t")
        page.keyboard.press("t")
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        page.reload()
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        expect(page.locator("body")).to_have_css("background-color", "rgb(15, 17, 19)")


def test_the_chart_reads_out_the_candle_under_the_keys(browser: Browser, engine: str, account: int) -> None:
    def candles(route: Route) -> None:
        figures = [("50000.00000000", "50500.00000000"), ("50500.00000000", "50250.00000000")]
        route.fulfill(
            json=[
                {"at": f"2026-02-21T14:0{i}:00.000000Z", "open": first, "high": max(pair), "low": min(pair), "close": last}
                for i, pair in enumerate(figures)
                for first, last in [pair]
            ]
        )

    with clean_page(browser, engine) as page:
        page.route("**/candles/*", candles)
        page.goto(f"{engine}/")
        use(page, account)
        chart = page.get_by_role("img", name="BTC in USD, 2 candles")
        expect(page.locator("#readout")).to_contain_text("O 50,000.00H 50,500.00L 50,000.00C 50,250.00+0.50 %")
        chart.press("ArrowLeft")
        expect(page.locator("#readout")).to_contain_text("O 50,500.00H 50,500.00L 50,250.00C 50,250.00−0.50 %")
        chart.press("Home")
        expect(page.locator("#readout")).to_contain_text("C 50,500.00+1.00 %")


def test_a_price_that_moves_shows_in_the_list_and_as_a_candle(browser: Browser, engine: str, account: int) -> None:
    def set_price(price: str) -> None:
        answer = requests.put(f"{engine}/api/v1/operator/prices", json={"prices": {"SOL": price}}, timeout=30)
        assert answer.json()["results"] == {"SOL": "set"}

    set_price("101.5")
    with open_console(browser, engine, account) as page:
        page.get_by_role("button", name="SOL 101.50").click()
        expect(page.locator("#chart-price")).to_have_text("101.50")
        expect(page.get_by_role("img", name="SOL in USD")).to_be_visible()
        expect(page.locator("#symbol")).to_have_value("SOL")
        set_price("102.25")
        expect(page.locator("#chart-price")).to_have_text("102.25")
        expect(page.get_by_role("button", name="SOL 102.25")).to_be_visible()
        expect(page.locator("#chart-age")).to_contain_text("set")


# Its own arithmetic.


def in_module(browser: Browser, engine: str, name: str, expression: str, *given: Any) -> Any:
    with clean_page(browser, engine) as page:
        page.goto(f"{engine}/")
        module = f"{engine}/console/{console.release()}/{name}"
        return page.evaluate(
            f"async ([module, given]) => {{ const m = await import(module); return {expression}; }}", [module, given]
        )


def test_its_sha_256_is_sha_256(browser: Browser, engine: str) -> None:
    lengths = [*range(130), 1000, 4096]
    messages = [bytes((7 * i + length) % 256 for i in range(length)) for length in lengths]
    computed = in_module(
        browser,
        engine,
        "sha256.js",
        "given[0].map(bytes => m.hex(m.sha256(Uint8Array.from(bytes))))",
        [list(each) for each in messages],
    )
    assert computed == [sha256(message).hexdigest() for message in messages]


def test_its_figures_are_exact(browser: Browser, engine: str) -> None:
    shown = {
        "exact('50000.00000000', 2)": "50,000.00",
        "exact('-0.00498753')": "−0.00498753",
        "exact('99999999999999999999.00000001')": "99,999,999,999,999,999,999.00000001",
        "rounded('0.00500000', 2)": "0.01",
        "rounded('0.00499999', 2)": "0.00",
        "rounded('-1234.56500000', 2)": "−1,234.57",
        "signed(m.usd('5.00000000'))": "+5.00",
        "signed(m.rounded('-0.00100000', 2))": "0.00",
        "percent('-25.00000000', '1000.00000000')": "−2.50",
        "quotient('3000.00000000', '50000.00000000')": "0.06000000",
        "price('100.00000008')": "100.00",
        "price('49210.50000000')": "49,210.50",
        "price('1.08432100')": "1.08432",
        "price('0.000015283019')": "0.000015283019",
        "sum(['0.10000000', '0.20000000', '-1.00000000'])": "-0.70000000",
    }
    computed = in_module(browser, engine, "amount.js", f"[{', '.join(f'm.{each}' for each in shown)}]")
    assert dict(zip(shown, computed, strict=True)) == shown
