"""Prices that are too old, in an engine with a limit: they decide nothing, and everything else stays as it was."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chalicelib.engine import build
from harness.processes import chalice_local
from tests.contract.test_operator import put_prices, refused, results
from tests.support.market import Market, batched, new_key, order
from tests.support.tables import buy

SYMBOL = "SILENT"
LIMIT_S = 60
OLD = (datetime.now(UTC) - timedelta(hours=1)).isoformat(timespec="microseconds").replace("+00:00", "Z")


@pytest.fixture(scope="module", params=["moto", "ministack"])
def strict_market(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    """A market whose prices decide orders for a minute."""
    market: Market = request.getfixturevalue(f"{request.param}_market")
    settings = replace(market.settings, price_stale_s=LIMIT_S)
    if request.param == "moto":
        import app

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(app, "_engine", build(settings, market.datastore))
            yield Market(market.urls, settings)
    else:
        log: Path = tmp_path_factory.mktemp("strict") / "log"
        env = {
            "AWS_ENDPOINT_URL_DYNAMODB": settings.datastore_endpoint or "",
            "HFT_TABLE_PREFIX": settings.table_prefix,
            "HFT_PRICE_AGE_MS": str(settings.price_age_ms),
            "HFT_PRICE_STALE_S": str(LIMIT_S),
        }
        with chalice_local(log, **env) as server:
            yield Market([server.url], settings)


@pytest.fixture(autouse=True)
def asset(strict_market: Market) -> Iterator[None]:
    """An asset at 100, last priced an hour ago; the others were priced just now."""
    put_prices(strict_market, {"BTC": "50000"})
    strict_market.list_new_asset(SYMBOL, "100")
    falls_silent(strict_market)
    yield
    strict_market.remove_asset(SYMBOL)


def falls_silent(market: Market) -> None:
    market.dynamodb.update_item(
        TableName=market.tables.assets,
        Key={"symbol": {"S": SYMBOL}},
        UpdateExpression="SET price_at = :at",
        ExpressionAttributeValues={":at": {"S": OLD}},
    )
    market.outlast_copies()


def confirmed(market: Market, price: str = "100") -> str:
    """Prices the asset as of now."""
    result = results(put_prices(market, {SYMBOL: price}))[SYMBOL]
    market.outlast_copies()
    return result


def test_a_stale_price_decides_nothing_and_says_how_old_it_is(strict_market: Market) -> None:
    user, key = strict_market.new_user(USD="1000"), new_key()
    sequence = strict_market.portfolio(user)["sequence"]

    body = refused(strict_market.post(order(user, SYMBOL), key), 409, "ERR_PRICE_STALE")

    assert all(part in body["message"] for part in (SYMBOL, OLD, f"{LIMIT_S} s", "Nothing was decided"))
    assert strict_market.portfolio(user)["sequence"] == sequence
    assert strict_market.get(f"/api/v1/trading/orders/{user}/lookup?idempotency_key={key}").status_code == 404


@pytest.mark.parametrize("side", ["symbol", "pay_with"])
def test_either_assets_price_counts(strict_market: Market, side: str) -> None:
    user = strict_market.new_user(BTC="1", **{SYMBOL: "1000"})
    pair = (SYMBOL, "BTC") if side == "symbol" else ("BTC", SYMBOL)

    refused(strict_market.post(order(user, *pair, quantity="0.01"), new_key()), 409, "ERR_PRICE_STALE")


def test_the_same_key_fills_once_the_price_is_confirmed(strict_market: Market) -> None:
    user, key = strict_market.new_user(USD="1000"), new_key()
    refused(strict_market.post(order(user, SYMBOL), key), 409, "ERR_PRICE_STALE")

    assert confirmed(strict_market) == "unchanged"

    filled = strict_market.post(order(user, SYMBOL), key)
    assert (filled.status_code, filled.headers.get("Idempotent-Replayed")) == (200, None)


def test_a_stored_outcome_wins(strict_market: Market) -> None:
    user, filled_key, refused_key = strict_market.new_user(USD="1000"), new_key(), new_key()
    confirmed(strict_market)
    first = strict_market.post(order(user, SYMBOL), filled_key)
    poor = strict_market.post(order(user, SYMBOL, quantity="1000"), refused_key)
    assert (first.status_code, poor.status_code) == (200, 402)
    falls_silent(strict_market)

    for key, body, quantity in ((filled_key, first, "1.0"), (refused_key, poor, "1000")):
        again = strict_market.post(order(user, SYMBOL, quantity=quantity), key)
        assert (again.status_code, again.json(), again.headers["Idempotent-Replayed"]) == (body.status_code, body.json(), "true")
    refused(strict_market.post(order(user, SYMBOL, quantity="2"), filled_key), 422, "ERR_IDEMPOTENCY_KEY_REUSED")


def test_in_a_batch_only_the_order_at_a_stale_price_is_refused(strict_market: Market) -> None:
    user = strict_market.new_user(USD="100000")

    answered = strict_market.batch_results(user, [batched(), batched(SYMBOL), batched()])

    assert [each["status"] for each in answered] == [200, 409, 200]
    assert answered[1]["body"]["error_code"] == "ERR_PRICE_STALE"


def test_an_all_or_nothing_batch_is_refused_whole_and_names_the_place(strict_market: Market) -> None:
    user = strict_market.new_user(USD="100000")
    sequence = strict_market.portfolio(user)["sequence"]
    body: dict[str, Any] = {"user_id": user, "all_or_nothing": True, "orders": [batched(), batched(SYMBOL)]}

    error = refused(strict_market.post_batch(body), 409, "ERR_PRICE_STALE")

    assert error["message"].startswith("orders[1]: ")
    assert strict_market.portfolio(user)["sequence"] == sequence
    confirmed(strict_market)
    assert [each["status"] for each in strict_market.post_batch(body).json()["results"]] == [200, 200]


def test_a_preview_says_so(strict_market: Market) -> None:
    user = strict_market.new_user(USD="1000")

    preview = strict_market.send("POST", "/api/v1/trading/preview", order(user, SYMBOL)).json()

    assert (preview["would"], preview["status"], preview["reply"]["error_code"]) == ("ERR_PRICE_STALE", 409, "ERR_PRICE_STALE")


def test_a_stale_price_comes_after_unknown_and_halted_assets_and_before_all_else(strict_market: Market) -> None:
    user = strict_market.new_user(USD="1")
    wrong = order(user, SYMBOL) | {"limit_price": "1", "expires_at": "2020-01-01T00:00:00Z"}

    refused(strict_market.post(wrong, new_key()), 409, "ERR_PRICE_STALE")
    refused(strict_market.post(order(user, SYMBOL, "NOSUCH"), new_key()), 404, "ERR_ASSET_NOT_FOUND")
    strict_market.list_asset(SYMBOL, "100", halted=True)
    falls_silent(strict_market)
    refused(strict_market.post(wrong, new_key()), 409, "ERR_ASSET_HALTED")


def test_holdings_are_valued_at_the_last_price_which_says_how_old_it_is(strict_market: Market) -> None:
    user = strict_market.new_user(**{SYMBOL: "2"})

    position = strict_market.portfolio(user)["positions"][SYMBOL]

    assert (position["price"], position["price_at"], position["value_usd"]) == ("100.00000000", OLD, "200.00000000")


def test_transfers_are_made_at_the_last_price(strict_market: Market) -> None:
    user = strict_market.new_user(**{SYMBOL: "2"})

    assert strict_market.portfolio(user)["net_deposits_usd"] == "200.00000000"


def test_without_a_limit_a_price_of_any_age_decides(strict_market: Market) -> None:
    lenient = Market(strict_market.urls, replace(strict_market.settings, price_stale_s=None))
    user = lenient.new_user(USD="1000")

    buy(lenient, user, 1, symbol=SYMBOL)

    assert lenient.portfolio(user)["holdings"][SYMBOL] == "1.00000000"
