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
    positions = portfolio.pop("positions")
    assert portfolio.pop("head") == market.account(user).head.hex()
    assert portfolio == {
        "user_id": user,
        "total_valuation_usd": "100000.00",
        "holdings": {"BTC": "0.00000000", "ETH": "0.00000001", "USD": "99999.99997000"},
        "usd_values": {"BTC": "0.00000000", "ETH": "0.00003000", "USD": "99999.99997000"},
        "sequence": 4,
        "net_deposits_usd": "100000.00000000",
        "realized_pl_usd": "0.00000000",
    }
    assert datetime.fromisoformat(positions["ETH"].pop("price_at")).utcoffset() is not None
    assert positions["ETH"] == {
        "quantity": "0.00000001",
        "price": "3000.00000000",
        "value_usd": "0.00003000",
        "cost_basis_usd": "0.00003000",
        "average_price_usd": "3000.00000000",
        "unrealized_pl_usd": "0.00000000",
        "share": "0.0000",
    }
    assert (positions["BTC"]["quantity"], positions["BTC"]["average_price_usd"]) == ("0.00000000", None)
    assert positions["USD"]["share"] == "1.0000"


def test_gains_are_of_the_average_cost(market: Market) -> None:
    market.list_asset("GAINS", "10")
    user = market.new_user(USD="1000")
    market.post(order(user, "GAINS", "USD", "2"), new_key())
    market.list_asset("GAINS", "20")
    market.post(order(user, "GAINS", "USD", "2"), new_key())
    market.post(order(user, "USD", "GAINS", "20"), new_key())  # sells one of four that cost 15 on average

    portfolio = market.portfolio(user)

    position = portfolio["positions"]["GAINS"]
    assert (position["quantity"], position["cost_basis_usd"], position["average_price_usd"]) == (
        "3.00000000",
        "45.00000000",
        "15.00000000",
    )
    assert (position["unrealized_pl_usd"], portfolio["realized_pl_usd"]) == ("15.00000000", "5.00000000")
    assert (portfolio["net_deposits_usd"], portfolio["total_valuation_usd"]) == ("1000.00000000", "1020.00")


def test_a_deposit_brings_its_value_as_its_basis(market: Market) -> None:
    user = market.new_user(ETH="2")

    portfolio = market.portfolio(user)

    assert portfolio["net_deposits_usd"] == "6000.00000000"
    assert portfolio["positions"]["ETH"]["cost_basis_usd"] == "6000.00000000"


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
    gone = portfolio["positions"]["GONE"]
    assert {gone[name] for name in ("price", "price_at", "value_usd", "unrealized_pl_usd", "share")} == {None}
    assert (gone["quantity"], gone["cost_basis_usd"]) == ("1.00000000", "10.00000000")


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
    dollar = next(asset for asset in assets if asset["symbol"] == "USD")
    assert datetime.fromisoformat(dollar.pop("price_at")).utcoffset() is not None
    assert dollar == {
        "symbol": "USD",
        "price": "1.00000000",
        "halted": False,
        "min_quantity": "0.00000001",
        "quantity_step": "0.00000001",
        "min_notional_usd": "0.00000000",
        "fee_bps": "0",
    }


def test_health_names_the_engine(market: Market) -> None:
    from chalicelib import __version__

    response = market.get("/health")

    assert response.json() == {"status": "ok", "engine": f"HFT Trading Engine v{__version__}"}
