"""Least privilege: the functions have the permissions that they use, and no others.

That each call in the suites is granted, `RecordingDynamoDB` checks.
"""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.money import MAX_BALANCE_UNITS, PRICE_PER_USD, text_from
from chalicelib.identity import tokens
from chalicelib.identity.settings import TokenSettings
from chalicelib.market.feed import PriceFeed
from chalicelib.market.sources import read_sources
from chalicelib.runtime.world import World, utc_now
from chalicelib.store.assets import AssetList
from chalicelib.store.connection import Datastore
from chalicelib.store.tables import Tables
from chalicelib.trading.listings import Listings
from deploy.stage import Stage
from harness.processes import ROOT
from tests.support.market import Market, batched, new_key, new_user_id, order
from tests.support.permissions import (
    USED,
    Permission,
    actions,
    granted,
    in_template_terms,
    operators_policy,
    permissions,
    policy,
)
from tests.support.tickers import http, tickers


@pytest.fixture(scope="module")
def used(moto_market: Market) -> set[tuple[str, str]]:
    """Permissions that the application used, with each kind of request made at least once."""
    market, user = moto_market, moto_market.new_user(USD="100000")
    key = new_key()
    market.list_asset("LEAVES", "1")
    assert market.post(order(user, "LEAVES"), key).status_code == 200
    # A rule that depends on the balance: its refusal is not stored, but confirmed against the account as it is.
    full = market.new_user(LEAVES=text_from(MAX_BALANCE_UNITS), USD="1")
    assert market.post(order(full, "LEAVES"), new_key()).json()["error_code"] == "ERR_ORDER_RULE"
    market.remove_asset("LEAVES")
    assert market.post(order(user, "LEAVES"), key).status_code == 200
    assert market.post(order(user, quantity="3"), new_key()).status_code == 402
    assert market.post(order(new_user_id()), new_key()).status_code == 402
    left, *_ = market.batch_results(user, [batched("LEAVES"), batched(), batched(quantity="3")])
    assert left["status"] == 404
    assert market.portfolio(user)["holdings"]
    assert market.get("/api/v1/trading/assets").status_code == 200
    assert market.get(f"/api/v1/trading/history/{user}").status_code == 200
    assert market.get("/api/v1/trading/candles/BTC").status_code == 200
    use_operators_routes(market)
    return in_template_terms(USED)


def use_operators_routes(market: Market) -> None:
    """Uses each of the operator's routes, which write assets, and the candles that a price closes."""
    operator, transfer = "/api/v1/operator", {"user_id": new_user_id(), "symbol": "USD", "amount": "1"}
    an_hour_ago = utc_now() - timedelta(hours=1)
    market.engine.listings.put("OLD", PRICE_PER_USD, {}, an_hour_ago, market.engine.deadline())
    answers = [
        market.send("PUT", f"{operator}/assets/LEAVES", {"price": "1"}),
        market.send("PUT", f"{operator}/prices", {"prices": {"LEAVES": "1.1", "OLD": "1.1"}}),  # which closes candles of OLD
        market.send("POST", f"{operator}/assets/LEAVES/halt", None),
        market.send("POST", f"{operator}/assets/LEAVES/resume", None),
        market.send("POST", f"{operator}/transfers", transfer, {"X-Idempotency-Key": new_key()}),
    ]
    for symbol in ("LEAVES", "OLD"):
        market.remove_asset(symbol)
    assert {answer.status_code for answer in answers} == {200}


def test_the_engine_has_the_permissions_that_it_uses_and_no_others(used: set[tuple[str, str]]) -> None:
    assert granted(policy("api"), "dynamodb") | granted(operators_policy(), "dynamodb") == used


def test_only_the_operators_routes_write_assets_and_candles(used: set[tuple[str, str]]) -> None:
    """The second policy grants nothing that the first one does, and the first one only reads assets and candles."""
    assets, candles = (json.dumps({"Fn::GetAtt": [table, "Arn"]}) for table in ("AssetsTable", "CandlesTable"))

    assert granted(operators_policy(), "dynamodb") == {
        ("dynamodb:GetItem", assets),
        ("dynamodb:UpdateItem", assets),
        ("dynamodb:PutItem", candles),
    }
    assert {each for each in granted(policy("api"), "dynamodb") if each[1] in (assets, candles)} == {
        ("dynamodb:BatchGetItem", assets),
        ("dynamodb:Scan", assets),
        ("dynamodb:Query", candles),
    }
    assert granted(operators_policy(), "dynamodb") <= used


def test_a_missing_and_a_superfluous_action_are_both_noticed(used: set[tuple[str, str]]) -> None:
    besides = granted(operators_policy(), "dynamodb")
    for index, statement in enumerate(policy("api")["Statement"]):
        for action in [action for action in actions(statement) if action.startswith("dynamodb:")]:
            poorer = policy("api")
            poorer["Statement"][index]["Action"] = [other for other in actions(statement) if other != action]
            assert granted(poorer, "dynamodb") | besides != used, action
    richer = policy("api")
    richer["Statement"][0]["Action"].append("dynamodb:DeleteItem")
    assert granted(richer, "dynamodb") | besides != used


def test_a_transaction_needs_the_permission_of_each_of_its_actions() -> None:
    request = {"TransactItems": [{"Put": {"TableName": "records"}}, {"ConditionCheck": {"TableName": "accounts"}}]}

    assert set(permissions("TransactWriteItems", request)) == {
        ("dynamodb:PutItem", "records"),
        ("dynamodb:ConditionCheckItem", "accounts"),
    }


class Recorded:
    """A datastore over `inner` that notes the permissions of each call."""

    def __init__(self, inner: Datastore) -> None:
        self.inner = inner
        self.used: set[Permission] = set()

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        self.used.update(permissions(operation, request))
        return self.inner.call(operation, request)


def test_the_price_feed_may_set_prices_and_nothing_else(moto_market: Market) -> None:
    """Of accounts and records it may not even read one."""
    prefix, deadline = moto_market.settings.table_prefix, moto_market.engine.deadline
    moto_market.engine.listings.put("FED", PRICE_PER_USD, {}, utc_now(), deadline())
    recorded = Recorded(moto_market.datastore)
    listings = Listings(AssetList(recorded, Tables.of(prefix)))
    with tickers({"/fed": http('{"price": 1.01}')}) as server:
        sources = read_sources(json.dumps({"FED": [server.source("/fed", "/price")]}))
        for hours in (0, 1):  # an hour later the price closes a minute and an hour
            world = World(now=lambda hours=hours: utc_now() + timedelta(hours=hours))  # type: ignore[misc]
            PriceFeed(prefix, sources, listings, world, 1.0).run()
    moto_market.remove_asset("FED")

    assert granted(policy("price-feed"), "dynamodb") == in_template_terms(recorded.used)
    tables_used = {table for _, table in recorded.used}
    assert tables_used == {f"{prefix}-assets", f"{prefix}-candles"}


@pytest.mark.parametrize("name", ["api", "authorizer", "price-feed"])
def test_beside_its_work_a_function_may_only_log_and_trace(name: str) -> None:
    beside = {
        action: statement["Resource"]
        for statement in policy(name)["Statement"]
        if statement.get("Sid") in ("Logs", "Traces")
        for action in statement["Action"]
    }
    assert beside.keys() == {
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "xray:PutTelemetryRecords",
        "xray:PutTraceSegments",
    }
    function = {"api": "APIHandler", "authorizer": "Authorizer", "price-feed": "PriceFeed"}[name]
    assert beside["logs:PutLogEvents"]["Fn::Sub"].endswith(f":/aws/lambda/${{AWS::StackName}}-{function}-*")
    wildcards = [action for statement in policy(name)["Statement"] for action in actions(statement) if "*" in action]
    assert wildcards == []


def test_the_authorizer_may_read_its_secret_where_there_is_one_and_nothing_else() -> None:
    secret, *others = policy("authorizer")["Statement"]

    condition, statement, otherwise = secret["Fn::If"]
    assert (condition, otherwise) == ("SharesSecret", {"Ref": "AWS::NoValue"})
    assert statement["Action"] == {"Ref": "TokenSecretAction"}
    assert "*" not in json.dumps(statement["Resource"])
    assert {other["Sid"] for other in others} == {"Logs", "Traces"}


@pytest.mark.parametrize(
    "kind", ["secretsmanager:us-east-1:123456789012:secret:s-AbCdEf", "ssm:us-east-1:123456789012:parameter/s"]
)
def test_the_authorizer_reads_its_secret_by_the_action_that_the_stage_grants(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []

    class Session:
        def create_client(self, service: str, **_: Any) -> Any:
            class Client:
                def get_parameter(self, **_: Any) -> Any:
                    called.append(f"{service}:GetParameter")
                    return {"Parameter": {"Value": "the secret"}}

                def get_secret_value(self, **_: Any) -> Any:
                    called.append(f"{service}:GetSecretValue")
                    return {"SecretString": "the secret"}

            return Client()

    monkeypatch.setattr("botocore.session.get_session", Session)
    arn = f"arn:aws:{kind}"
    stage = replace(Stage.load(ROOT, "dev"), token_secret_arn=arn)

    tokens.shared_secret(TokenSettings("issuer", "audience", secret_arn=arn))

    assert called == [stage.parameters()["TokenSecretAction"]]
