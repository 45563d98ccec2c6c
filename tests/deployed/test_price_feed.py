"""The price feed of a stage that turns it on: its rule, its role, and a run through Lambda."""

import base64
import json
from typing import Any

import pytest

from chalicelib.domain.money import price_text
from chalicelib.engine import Engine, build
from chalicelib.store.connection import DynamoDB
from tests.deployed.conftest import SOL
from tests.deployed.rehearsal import Rehearsal
from tests.support.tickers import Tickers, http
from tests.unit.market.test_schedule import EVENT


def physical(stage: Rehearsal, logical: str) -> str:
    """Returns the name that a resource of the stack has."""
    stack = stage.stage("dev").stack_name
    found = stage.client("cloudformation").describe_stack_resource(StackName=stack, LogicalResourceId=logical)
    name: str = found["StackResourceDetail"]["PhysicalResourceId"]
    return name


@pytest.fixture
def engine(extended: Rehearsal) -> Engine:
    """An engine of this process over the stage's tables."""
    settings = extended.settings("dev")
    return build(settings, DynamoDB(settings))


def price_of_sol(engine: Engine) -> str:
    listing = engine.listings.assets.find("SOL", engine.deadline())
    assert listing is not None
    return price_text(listing.asset.price)


def run(stage: Rehearsal) -> dict[str, Any]:
    """Invokes the function as its rule does. Returns the run's line in the log."""
    function = physical(stage, "PriceFeed")
    reply = stage.client("lambda").invoke(FunctionName=function, Payload=json.dumps(EVENT), LogType="Tail")
    log = base64.b64decode(reply["LogResult"]).decode()
    assert "FunctionError" not in reply, log
    (line,) = [json.loads(line) for line in log.splitlines() if '"event": "price_feed"' in line]
    found: dict[str, Any] = line
    return found


def test_a_rule_starts_the_function_once_a_minute(extended: Rehearsal) -> None:
    events, rule = extended.client("events"), physical(extended, "PriceFeedPriceFeedEvent")
    function = extended.client("lambda").get_function_configuration(FunctionName=physical(extended, "PriceFeed"))

    described = events.describe_rule(Name=rule)
    assert (described["ScheduleExpression"], described["State"]) == ("rate(1 minute)", "ENABLED")
    assert [target["Arn"] for target in events.list_targets_by_rule(Rule=rule)["Targets"]] == [function["FunctionArn"]]
    policy = json.loads(extended.client("lambda").get_policy(FunctionName=function["FunctionName"])["Policy"])
    assert [statement["Principal"] for statement in policy["Statement"]] == [{"Service": "events.amazonaws.com"}]


def test_the_role_names_the_tables_of_the_market_and_no_others(extended: Rehearsal) -> None:
    function = extended.client("lambda").get_function_configuration(FunctionName=physical(extended, "PriceFeed"))
    role = function["Role"].rpartition("/")[2]
    iam = extended.client("iam")

    (name,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
    statements = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]["Statement"]

    tables = {each["Resource"].rpartition("/")[2] for each in statements if "dynamodb" in json.dumps(each["Action"])}
    assert tables == {"hft-dev-assets", "hft-dev-candles"}


def test_a_run_sets_the_price_of_its_source(extended: Rehearsal, ticker: Tickers, engine: Engine) -> None:
    ticker.answers[SOL] = http('{"price": 101.75}')

    line = run(extended)

    assert line["prices"] == {"SOL": "101.75000000"}
    assert price_of_sol(engine) == "101.75000000"


def test_a_run_holds_a_price_that_moves_too_far(extended: Rehearsal, ticker: Tickers, engine: Engine) -> None:
    before = price_of_sol(engine)
    ticker.answers[SOL] = http('{"price": 1017.5}')

    line = run(extended)

    assert (line["results"], line["held"], line["PricesHeld"], line["Stage"]) == ({"SOL": "held"}, ["SOL"], 1, "hft-dev")
    assert price_of_sol(engine) == before
