"""GET portfolio, assets and health."""

from datetime import datetime

from tests.support.market import Market, new_key, new_user_id, order


def test_a_portfolio_lists_and_values_everything_ever_held(market: Market) -> None:
    user = market.new_user(USD="100000")
    market.post(order(user, "BTC", "USD", "1.5"), new_key())
    market.post(order(user, "ETH", "USD", "0.00000001"), new_key())
    market.post(order(user, "USD", "BTC", "75000"), new_key())

    portfolio = market.portfolio(user)

    assert datetime.fromisoformat(portfolio.pop("valued_at")).utcoffset() is not None
    assert portfolio == {
        "user_id": user,
        "total_valuation_usd": "100000.00",
        "holdings": {"BTC": "0.00000000", "ETH": "0.00000001", "USD": "99999.99997000"},
        "usd_values": {"BTC": "0.00000000", "ETH": "0.00003000", "USD": "99999.99997000"},
        "sequence": 4,
    }


def test_an_account_that_nobody_funded_is_an_empty_portfolio(market: Market) -> None:
    user = new_user_id()

    portfolio = market.portfolio(user)

    assert portfolio["user_id"] == user
    assert (portfolio["total_valuation_usd"], portfolio["holdings"], portfolio["usd_values"]) == ("0.00", {}, {})


def test_values_are_rounded_half_up_and_the_total_is_rounded_once(market: Market) -> None:
    market.list_asset("HALF", "0.00500000")
    market.list_asset("DUST", "0.00000001")
    user = market.new_user(HALF="1", DUST="0.5")

    portfolio = market.portfolio(user)

    assert portfolio["usd_values"] == {"DUST": "0.00000001", "HALF": "0.00500000"}
    assert portfolio["total_valuation_usd"] == "0.01"


def test_what_is_held_but_no_longer_listed_has_no_value(market: Market) -> None:
    market.list_asset("GONE", "10")
    user = market.new_user(GONE="1", USD="5")
    market.remove_asset("GONE")

    portfolio = market.portfolio(user)

    assert portfolio["holdings"] == {"GONE": "1.00000000", "USD": "5.00000000"}
    assert portfolio["usd_values"] == {"GONE": None, "USD": "5.00000000"}
    assert portfolio["total_valuation_usd"] == "5.00"


def test_the_assets_are_listed_by_symbol_with_their_prices(market: Market) -> None:
    assets = market.get("/api/v1/trading/assets").json()

    assert [asset["symbol"] for asset in assets] == sorted(asset["symbol"] for asset in assets)
    prices = {asset["symbol"]: asset["price"] for asset in assets}
    assert prices.items() >= {
        ("BTC", "50000.00000000"),
        ("ETH", "3000.00000000"),
        ("SOL", "100.00000000"),
        ("USD", "1.00000000"),
    }


def test_health_names_the_engine(market: Market) -> None:
    from chalicelib import __version__

    response = market.get("/health")

    assert response.json() == {"status": "ok", "engine": f"HFT Trading Engine v{__version__}"}
