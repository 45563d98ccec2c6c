"""The OpenAPI document says what the engine does."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

import app
from chalicelib.api.openapi import document
from chalicelib.api.openapi.paths import ACCOUNT, ASSETS, ORDERS
from chalicelib.api.openapi.paths import BATCH as SAMPLE_BATCH
from chalicelib.contract import errors
from chalicelib.contract.caller import Caller
from chalicelib.contract.errors import EngineError, ValidationFailed
from chalicelib.contract.fields import (
    KEY_SCHEMA,
    MAX_BATCH_ORDERS,
    MAX_QUANTITY,
    QUANTITY,
    SYMBOL,
    USER_ID,
    InvalidValue,
    JsonNumber,
    idempotency_key,
)
from chalicelib.contract.requests import KEY_HEADERS, read_terms
from chalicelib.domain.money import DECIMALS, price_from, text_from
from chalicelib.local.seed import FUNDING, PRICES_USD
from tests.support.market import Market, batched, new_key, order

DOCUMENT = document(operator=True)
OPERATIONS = {(path, method.upper()): operation for path, item in DOCUMENT["paths"].items() for method, operation in item.items()}
EXECUTE = "/api/v1/trading/execute"
BATCH = f"{EXECUTE}/batch"
CANDLES = "/api/v1/trading/candles/{symbol}"
PREVIEW = "/api/v1/trading/preview"
PORTFOLIO = "/api/v1/trading/portfolio/{user_id}"
HISTORY = "/api/v1/trading/history/{user_id}"
LOOKUP = "/api/v1/trading/orders/{user_id}/lookup"
VOID = "/api/v1/trading/orders/{user_id}/void"
OPERATOR = "/api/v1/operator"
VOLATILE = {"executed_at", "executed_by_thread", "valued_at", "timestamp", "head", "price_at"}


def resolve(node: dict[str, Any]) -> dict[str, Any]:
    """Returns the part of this document that a reference names."""
    if "$ref" in node:
        _, *names = node["$ref"].split("/")
        node = DOCUMENT
        for name in names:
            node = node[name]
    return node


def problems(schema: dict[str, Any], value: Any) -> list[str]:
    """Returns the errors of a value against a schema of the document; a field that the schema does not describe is one."""
    whole = {**schema, "components": DOCUMENT["components"]}
    if isinstance(value, dict):
        whole["unevaluatedProperties"] = False
    validator = Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER)
    return [error.message for error in validator.iter_errors(value)]


def content_examples() -> Iterator[tuple[str, dict[str, Any], Any]]:
    """Yields each example of a body: its place, its schema, its value."""
    for (path, method), operation in OPERATIONS.items():
        bodies = {"request": operation["requestBody"]} if "requestBody" in operation else {}
        for name, body in (bodies | operation["responses"]).items():
            for content in resolve(body)["content"].values():
                for key, each in content.get("examples", {}).items():
                    yield f"{method} {path} {name} {key}", content["schema"], each["value"]


def error_examples() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields each example of an error: the status of its response, its body."""
    for operation in OPERATIONS.values():
        for status, response in operation["responses"].items():
            for content in resolve(response)["content"].values():
                for each in content.get("examples", {}).values():
                    if "error_code" in each["value"]:
                        yield status, each["value"]


def error_classes(parent: type[EngineError] = EngineError) -> Iterator[type[EngineError]]:
    for child in parent.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child
            yield from error_classes(child)


def test_it_is_valid_openapi_3_1() -> None:
    assert DOCUMENT["openapi"] == "3.1.0"
    validate(DOCUMENT)


def test_it_is_the_same_every_time_and_is_what_the_route_serves(moto_market: Market) -> None:
    assert json.dumps(document(operator=True)) == json.dumps(DOCUMENT)
    assert moto_market.get("/openapi.json").json() == DOCUMENT


@pytest.mark.usefixtures("moto_market")  # an open local run, which has the operator's routes
def test_it_describes_every_route_and_no_other() -> None:
    """HEAD is GET without a body, and the console is a page of its own."""
    described = [path for path in app.app.routes if path != "/" and not path.startswith("/console/")]
    routes = {(path, method) for path in described for method in app.app.routes[path] if method != "HEAD"}
    assert set(OPERATIONS) == routes


def test_without_the_operators_routes_it_does_not_mention_them() -> None:
    without = document()

    validate(without)
    assert without["paths"].keys() == {path for path in DOCUMENT["paths"] if not path.startswith(OPERATOR)}
    assert [tag["name"] for tag in without["tags"]] == ["Trading", "Service"]
    referred = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(without)))
    assert referred == set(without["components"]["schemas"])


@pytest.mark.usefixtures("moto_market")
def test_it_asks_for_a_token_where_the_routes_do() -> None:
    asking = {(path, method) for path, methods in app.app.routes.items() for method, entry in methods.items() if entry.authorizer}
    assert DOCUMENT["security"] == [{"token": []}]
    assert {key for key, operation in OPERATIONS.items() if "security" not in operation} == asking
    assert {key for key, operation in OPERATIONS.items() if "401" in operation["responses"]} == asking


def test_operation_ids_are_unique_and_tags_are_declared() -> None:
    ids = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(set(ids)) == len(ids)
    assert {tag for operation in OPERATIONS.values() for tag in operation["tags"]} == {tag["name"] for tag in DOCUMENT["tags"]}


@pytest.mark.parametrize(("schema", "value"), [pytest.param(*rest, id=name) for name, *rest in content_examples()])
def test_each_example_is_what_its_schema_says(schema: dict[str, Any], value: Any) -> None:
    assert problems(schema, value) == []


@pytest.mark.parametrize("parameter", [each for operation in OPERATIONS.values() for each in operation.get("parameters", [])])
def test_each_parameters_example_is_what_its_schema_says(parameter: dict[str, Any]) -> None:
    if "example" in parameter:
        assert problems(parameter["schema"], parameter["example"]) == []


def test_titles_are_unique_since_generators_make_names_of_them() -> None:
    titles = re.findall(r'"title": "([^"]*)"', json.dumps(DOCUMENT["components"]))
    assert titles
    assert len(set(titles)) == len(titles)


def test_each_schema_is_one_and_describes_each_of_its_fields() -> None:
    for name, schema in DOCUMENT["components"]["schemas"].items():
        Draft202012Validator.check_schema(schema)
        for field, each in schema.get("properties", {}).items():
            assert "description" in each or "const" in each, f"{name}.{field}"


def test_every_error_has_an_example_under_its_status_a_row_and_a_place_among_the_codes() -> None:
    shown = {
        (body["error_code"], body["status"]) for status, body in error_examples() if status in (str(body["status"]), "default")
    }
    rows = DOCUMENT["info"]["description"]
    codes = DOCUMENT["components"]["schemas"]["Error"]["properties"]["error_code"]["enum"]
    for error in error_classes():
        assert (error.code, error.status) in shown
        assert f"| {error.status} | `{error.code}` |" in rows
        assert error.code in codes


def test_an_error_has_details_with_422_and_only_then() -> None:
    for status, body in error_examples():
        assert ("details" in body) == (status == "422")


def test_every_error_that_can_be_retried_says_when() -> None:
    retryable = {error.code for error in error_classes() if error.retry_after_s}
    for operation in OPERATIONS.values():
        for response in map(resolve, operation["responses"].values()):
            named = set(response["content"].get("application/json", {}).get("examples", {}))
            assert ("Retry-After" in response["headers"]) == bool(named & retryable)


def test_an_order_takes_the_fields_that_are_validated_and_no_other() -> None:
    schema = DOCUMENT["components"]["schemas"]["Order"]
    for sample in ORDERS.values():
        assert problems(schema, sample) == []
        assert problems(schema, sample | {"stop_price": "1"}) != []
        for name in sample.keys() - {"limit_price", "expires_at"}:
            assert problems(schema, {key: value for key, value in sample.items() if key != name}) != []


@pytest.mark.parametrize(
    ("fields", "allowed"),
    [
        ({"side": "BUY", "pay_with": "USD", "quantity": "1"}, True),
        ({"pay_with": "USD", "quantity": "all"}, False),
        ({"pay_with": "USD", "notional": "all"}, True),
        ({"pay_with": "USD", "notional": "1", "quantity": "1"}, False),
        ({"receive": "USD", "quantity": "1"}, False),
        ({"side": "Sell", "receive": "USD", "quantity": "all"}, True),
        ({"side": "sell", "pay_with": "USD", "quantity": "1"}, False),
        ({"side": "sell", "receive": "USD", "notional": "1"}, False),
        ({"side": "short", "receive": "USD", "quantity": "1"}, False),
    ],
)
def test_the_forms_of_an_order_are_those_that_the_parser_accepts(fields: dict[str, Any], *, allowed: bool) -> None:
    body = {"user_id": 1, "symbol": "BTC", **fields}
    try:
        read_terms(json.dumps(body).encode(), Caller(user_id=1, expires_at_s=0))
    except ValidationFailed:
        assert not allowed
    else:
        assert allowed
    assert (problems(DOCUMENT["components"]["schemas"]["Order"], body) == []) is allowed


def test_a_batch_and_each_of_its_orders_take_the_fields_that_are_validated_and_no_other() -> None:
    batch, order_of_batch = (DOCUMENT["components"]["schemas"][name] for name in ("Batch", "BatchOrder"))
    for schema, sample in ((batch, SAMPLE_BATCH), (order_of_batch, SAMPLE_BATCH["orders"][0])):
        assert problems(schema, sample) == []
        assert problems(schema, sample | {"stop_price": "1"}) != []
        for name in sample:
            assert problems(schema, {key: value for key, value in sample.items() if key != name}) != []
    for count, allowed in ((0, False), (1, True), (MAX_BATCH_ORDERS, True), (MAX_BATCH_ORDERS + 1, False)):
        assert (problems(batch, SAMPLE_BATCH | {"orders": SAMPLE_BATCH["orders"][:1] * count}) == []) is allowed


def test_a_batch_is_answered_as_a_whole_only_for_what_is_wrong_with_the_whole() -> None:
    """The outcome of an order is in its place, so a batch has fewer statuses than an order: none of a stored refusal."""
    expected = {"200", "400", "401", "403", "404", "409", "413", "422", "500", "503", "default"}
    assert OPERATIONS[BATCH, "POST"]["responses"].keys() == expected
    assert [parameter["name"] for parameter in OPERATIONS[BATCH, "POST"].get("parameters", [])] == []


def test_its_samples_are_the_market_that_a_local_run_opens_with() -> None:
    assert {symbol: asset.price for symbol, asset in ASSETS.items()} == {
        symbol: price_from(Decimal(price)) for symbol, price in PRICES_USD.items()
    }
    assert (ACCOUNT.user_id, ACCOUNT.balances, ACCOUNT.sequence) == (FUNDING.user_id, {FUNDING.symbol: FUNDING.units}, 1)


# The document against the running engine.


def stable(body: Any) -> Any:
    """Returns a body without what differs from one run to the next, at any depth."""
    if not isinstance(body, dict):
        return body
    return {name: stable(value) for name, value in body.items() if name not in VOLATILE}


def example_of(path: str, method: str, status: int, name: str) -> dict[str, Any]:
    body: dict[str, Any] = OPERATIONS[path, method]["responses"][str(status)]["content"]["application/json"]["examples"][name][
        "value"
    ]
    shown: dict[str, Any] = stable(body)
    return shown


def test_the_engine_answers_as_the_examples_say(moto_market: Market) -> None:
    user, another = moto_market.new_user(USD="100000"), moto_market.new_user(USD="100000")
    key = new_key()
    first, second, *_ = ({**body, "user_id": user} for body in ORDERS.values())

    too_much = moto_market.post({**first, "user_id": another, "quantity": "3.0"}, new_key())
    filled = moto_market.post(first, key)
    portfolio = moto_market.portfolio(user)
    reused = moto_market.post(second, key)
    keyless = moto_market.post(first)
    nothing = moto_market.post({**first, "quantity": "0"}, new_key())
    unknown = moto_market.post({**first, "symbol": "DOGE"}, new_key())
    no_user = moto_market.get("/api/v1/trading/portfolio/me")
    no_interval = moto_market.get("/api/v1/trading/candles/BTC?interval=2m")

    assert stable(too_much.json()) == example_of(EXECUTE, "POST", 402, "ERR_LIQUIDITY")
    assert stable(filled.json()) == example_of(EXECUTE, "POST", 200, "ORDER_FILLED")
    assert stable(portfolio) == example_of(PORTFOLIO, "GET", 200, "After a fill") | {"user_id": user}
    assert stable(reused.json()) == example_of(EXECUTE, "POST", 422, "ERR_IDEMPOTENCY_KEY_REUSED")
    assert stable(keyless.json()) == example_of(EXECUTE, "POST", 400, "ERR_IDEMPOTENCY_REQUIRED")
    assert stable(nothing.json()) == example_of(EXECUTE, "POST", 422, "ERR_VALIDATION")
    assert stable(unknown.json()) == example_of(EXECUTE, "POST", 404, "ERR_ASSET_NOT_FOUND")
    assert stable(no_user.json()) == example_of(PORTFOLIO, "GET", 422, "ERR_VALIDATION")
    assert stable(no_interval.json()) == example_of(CANDLES, "GET", 422, "ERR_VALIDATION")


def test_every_order_among_the_examples_fills_one_after_the_other(moto_market: Market) -> None:
    user = moto_market.new_user(USD="100000")
    for body in ORDERS.values():
        assert moto_market.post({**body, "user_id": user}, new_key()).status_code == 200


def test_the_engine_answers_a_batch_as_the_example_says(moto_market: Market) -> None:
    first, dear, wrong = example_of(BATCH, "POST", 200, "A fill, a replayed refusal, and what is no order")["results"]
    user, poor = moto_market.new_user(USD="100000"), moto_market.new_user(USD="0.00000001")
    orders = [batched(quantity=quantity) for quantity in ("1.0", "0")]

    filled, refused = moto_market.batch_results(user, orders)
    moto_market.batch_results(poor, orders)
    replayed, _ = moto_market.batch_results(poor, orders)

    for answered, shown in ((filled, first), (replayed, dear), (refused, wrong)):
        assert stable(answered["body"]) == stable(shown["body"])
        assert (answered["status"], answered["replayed"]) == (shown["status"], shown["replayed"])


def test_the_batch_among_the_examples_fills(moto_market: Market) -> None:
    user = moto_market.new_user(USD="100000")
    response = moto_market.post_batch(SAMPLE_BATCH | {"user_id": user})
    assert [result["status"] for result in response.json()["results"]] == [200] * len(SAMPLE_BATCH["orders"])


def operators_answers(market: Market, user: int) -> Iterator[tuple[str, str, Any]]:
    """Yields answers of the operator's routes, each with its path and method in the document."""
    symbol = f"O{user % 10**9}"
    asset, prices, transfers = f"{OPERATOR}/assets/{{symbol}}", f"{OPERATOR}/prices", f"{OPERATOR}/transfers"
    for body in ({"fee_bps": "1"}, {"price": "100", "fee_bps": "2.5"}, {"max_move": "0.1"}, {"price": "1"}, {"fee": "1"}):
        yield asset, "PUT", market.send("PUT", asset.format(symbol=symbol), body)
    for each in (symbol, "NOSUCH", "USD"):
        for verb in ("halt", "resume"):
            yield f"{asset}/{verb}", "POST", market.send("POST", f"{asset.format(symbol=each)}/{verb}", None)
    for wanted in ({symbol: "101", "NOSUCH": "1"}, {symbol: "1", "usd": "1"}, {symbol: "0"}, {}):
        yield prices, "PUT", market.send("PUT", prices, {"prices": wanted})
    funding, key = {"user_id": user, "symbol": "USD", "amount": "1"}, {KEY_HEADERS[0]: new_key()}
    for change, headers in (({}, key), ({}, key), ({"amount": "2"}, key), ({}, {}), ({"symbol": "NOSUCH"}, {})):
        yield transfers, "POST", market.send("POST", transfers, funding | change, headers)
    for change in ({"symbol": "NOSUCH"}, *({"amount": each} for each in ("-1", "-1e3", "0", "-1" + "0" * 12, "1" + "0" * 16))):
        yield transfers, "POST", market.send("POST", transfers, funding | change, {KEY_HEADERS[0]: new_key()})


def test_what_the_engine_answers_is_what_the_schemas_and_headers_say(moto_market: Market) -> None:
    user = moto_market.new_user(USD="100000")
    key = new_key()
    every_outcome: list[Any] = [
        *(batched(quantity="0.1"), batched(quantity="9"), batched(key=key, quantity="1.0"), batched("ETH", key=f" {new_key()} ")),
        *(batched("NOSUCH"), batched(quantity="0"), batched(key=" "), {}, 1),
    ]
    linked = [batched(quantity="0.1"), batched(quantity="9")]
    voided = new_key()
    void, lookup = (path.format(user_id=user) for path in (VOID, LOOKUP))
    answers = [
        (EXECUTE, "POST", moto_market.post(order(user), key)),
        (EXECUTE, "POST", moto_market.post(order(user), key)),
        (EXECUTE, "POST", moto_market.post(order(user, quantity="9"), new_key())),
        (EXECUTE, "POST", moto_market.post(b"x" * 20_000, new_key())),
        (BATCH, "POST", moto_market.post_batch({"user_id": user, "orders": every_outcome})),
        (BATCH, "POST", moto_market.post_batch({"user_id": user, "orders": [*every_outcome, every_outcome[0]]})),
        (BATCH, "POST", moto_market.post_batch(b"x" * 80_000)),
        (BATCH, "POST", moto_market.get(BATCH)),
        (BATCH, "POST", moto_market.post_batch({"user_id": user, "orders": linked, "all_or_nothing": True})),
        (BATCH, "POST", moto_market.post_batch({"user_id": user, "orders": every_outcome, "all_or_nothing": True})),
        *((PREVIEW, "POST", moto_market.send("POST", PREVIEW, body | {"user_id": user})) for body in ORDERS.values()),
        *((PREVIEW, "POST", moto_market.send("POST", PREVIEW, order(user, quantity=each))) for each in ("9", "0.00000001", "0")),
        (PREVIEW, "POST", moto_market.send("POST", PREVIEW, order(user, "DOGE"))),
        *((VOID, "POST", moto_market.send("POST", void, {"idempotency_key": each})) for each in (voided, voided, key, " ")),
        (EXECUTE, "POST", moto_market.post(order(user), voided)),
        *((LOOKUP, "GET", moto_market.get(f"{lookup}?idempotency_key={each}")) for each in (key, voided, new_key(), "")),
        (PORTFOLIO, "GET", moto_market.get(f"/api/v1/trading/portfolio/{user}")),
        *((HISTORY, "GET", moto_market.get(f"/api/v1/trading/history/{user}{query}")) for query in ("", "?limit=1", "?after=2")),
        (HISTORY, "GET", moto_market.get(f"/api/v1/trading/history/{user}?limit=0")),
        *operators_answers(moto_market, user),
        ("/api/v1/trading/assets", "GET", moto_market.get("/api/v1/trading/assets")),
        *(
            (CANDLES, "GET", moto_market.get(f"/api/v1/trading/candles/{each}"))
            for each in ("BTC", "USD", "DOGE", "BTC?interval=2m")
        ),
        ("/health", "GET", moto_market.get("/health")),
        ("/openapi.json", "GET", moto_market.get("/openapi.json")),
        ("/docs", "GET", moto_market.get("/docs")),
        *(("/docs/{asset}", "GET", moto_market.get(f"/docs/{name}")) for name in ("swagger-ui.css", "start.js", "nothing.js")),
        (EXECUTE, "POST", moto_market.get(EXECUTE)),
    ]
    each_body = DOCUMENT["components"]["schemas"]["BatchResult"]["properties"]["body"]
    for path, method, answer in answers:
        responses = OPERATIONS[path, method]["responses"]
        response = resolve(responses.get(str(answer.status_code), responses["default"]))
        content_type = answer.headers["Content-Type"].partition(";")[0]
        schema = response["content"][content_type]["schema"]
        if content_type == "application/json" and "$ref" in schema:
            assert problems(schema, answer.json()) == [], (path, answer.text)
            for result in answer.json().get("results", []) if path == BATCH else []:
                assert problems(each_body, result["body"]) == [], result
        for name, header in response["headers"].items():
            assert name in answer.headers or not header.get("required"), (path, name)
            if name in answer.headers:
                text = answer.headers[name]
                assert problems(header["schema"], int(text) if header["schema"]["type"] == "integer" else text) == []


# The published patterns against the parsers.


def as_json_schema(pattern: Any) -> re.Pattern[str]:
    """A pattern as JSON Schema means it: in ECMA 262 `$` is the end of the text, in Python also before a last line break."""
    assert pattern.endswith("$")
    return re.compile(pattern[:-1] + r"\Z")


def accepts(read: Any, value: Any) -> bool:
    try:
        read(value)
    except InvalidValue:
        return False
    return True


QUANTITY_PATTERN = as_json_schema(QUANTITY.schema["anyOf"][0]["pattern"])
SYMBOL_PATTERN = as_json_schema(SYMBOL.schema["pattern"])
KEY_PATTERN = as_json_schema(KEY_SCHEMA["pattern"])
DIGITS = st.text(st.sampled_from("000001239..eE+-_ \n\u0661\uff11N"), max_size=40)


@settings(derandomize=True, max_examples=300)
@given(DIGITS | st.from_regex(QUANTITY_PATTERN) | st.from_regex(r"\A0{0,3}10{13,16}(\.0{0,9}1?)?\Z"))
@example("0")
@example("0.00000000")
@example("0.00000001")
@example("0.000000001")
@example("1.")
@example(".5")
@example("1\n")
@example("999999999999999.99999999")
@example("1000000000000000.00000000")
@example("1000000000000000.00000001")
@example("1000000000000001")
def test_the_pattern_of_a_quantity_accepts_what_the_parser_accepts(text: str) -> None:
    assert accepts(QUANTITY.read, text) == bool(QUANTITY_PATTERN.search(text))


@st.composite
def decimal_texts(draw: st.DrawFn) -> tuple[str, int]:
    """A quantity within its bounds at any scale, and the units in it."""
    decimals = draw(st.integers(0, DECIMALS))
    digits = draw(st.integers(1, MAX_QUANTITY * 10**decimals))
    return text_from(digits, decimals), digits * 10 ** (DECIMALS - decimals)


@settings(derandomize=True)
@given(decimal_texts())
def test_every_quantity_within_bounds_can_be_written(quantity: tuple[str, int]) -> None:
    text, units = quantity
    assert QUANTITY_PATTERN.search(text)
    assert QUANTITY.read(text).units == units


@settings(derandomize=True, max_examples=300)
@given(st.text(st.sampled_from("ABZaz019 \t\r\n\u00df\u212a\uff21-_."), max_size=14) | st.from_regex(SYMBOL_PATTERN))
@example("")
@example("A" * 10)
@example("A" * 11)
@example("BTC\u00a0")
def test_the_pattern_of_a_symbol_accepts_what_the_parser_accepts(text: str) -> None:
    assert accepts(SYMBOL.read, text) == bool(SYMBOL_PATTERN.search(text))


@settings(derandomize=True, max_examples=300)
@given(st.text(max_size=140).map(str.strip).filter(bool) | st.from_regex(KEY_PATTERN).map(str.strip))
@example("k" * 128)
@example("k" * 129)
@example("two words")
def test_the_schema_of_a_key_accepts_what_the_parser_accepts(key: str) -> None:
    assert accepts(idempotency_key, key) == (problems(KEY_SCHEMA, key) == [])


@settings(derandomize=True)
@given(st.integers() | st.integers(-1, 2) | st.integers(2**63 - 2, 2**63 + 1))
@example(2**63 - 1)
@example(2**63)
def test_the_schema_of_a_user_id_accepts_the_integers_that_the_parser_accepts(number: int) -> None:
    assert accepts(USER_ID.read, JsonNumber(number)) == (problems(dict(USER_ID.schema), number) == [])
