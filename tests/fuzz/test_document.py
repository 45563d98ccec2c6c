"""Requests that the OpenAPI document allows or forbids, sent to the running engine: schemathesis draws them, and checks answers.

No 5xx; status, content type, headers and body are as the document has them; what breaks a schema is refused; and what keeps all
of them is executed, or refused for a reason that no schema can express.
"""

from collections.abc import Mapping
from typing import Any

import pytest
import schemathesis
from schemathesis import Case, CheckContext, Response

from chalicelib.contract.requests import KEY_HEADERS
from tests.fuzz.document import (
    BATCH,
    EXECUTE,
    PREVIEW,
    USER,
    beyond_the_document,
    breaks_a_rule,
    is_user_too_large,
    plain_key,
    steered_document,
    with_plain_keys,
    without_whole_floats,
)
from tests.fuzz.effort import TIMES, inputs
from tests.support.market import Market

CONFIG = schemathesis.Config.from_dict(
    {
        **({} if TIMES else {"seed": 1}),
        "checks": {
            # A local run lets everybody in.
            "ignored_auth": {"enabled": False},
            # Too little money, an unknown asset or key, too late, beyond the limit, and what `refused_for_a_reason` looks at.
            "positive_data_acceptance": {"expected-statuses": [200, 402, 404, 409, 410, 412, 422, 424]},
            "negative_data_rejection": {"expected-statuses": [400, 404, 405, 422]},
            "missing_required_header": {"expected-statuses": [400]},
        },
        "generation": {"with-security-parameters": False},
        # Of a batch only its envelope is refused as a whole: `refused_in_its_place` looks at the rest.
        "operations": [
            {
                "include-path": BATCH,
                "checks": {
                    "positive_data_acceptance": {"expected-statuses": [200, 404, 409, 422]},
                    "negative_data_rejection": {"expected-statuses": [200, 422]},
                },
            }
        ],
        # What is drawn does not depend on what was answered.
        "phases": {"fuzzing": {"extra-data-sources": {"responses": False}, "error-feedback": {"enabled": False}}},
    }
)
schema = schemathesis.openapi.from_dict(steered_document(), config=CONFIG)


@schema.hook
def map_body(_: schemathesis.HookContext, body: Any) -> Any:
    """Changes every body that is drawn."""
    return with_plain_keys(without_whole_floats(body))


@schema.hook
def map_headers(_: schemathesis.HookContext, headers: Any) -> Any:
    """Changes all headers that are drawn."""
    if not headers or not isinstance(headers.get(KEY_HEADERS[0]), str):
        return headers
    return headers | {KEY_HEADERS[0]: plain_key(headers[KEY_HEADERS[0]])}


def check_reason(order: Mapping[str, Any], error: Mapping[str, Any]) -> None:
    """Asserts that there is a reason for the 422 of an order that keeps its schema."""
    fields = {detail["field"] for detail in error["details"]}
    match error["error_code"]:
        case "ERR_IDEMPOTENCY_KEY_REUSED":
            return
        case "ERR_ORDER_RULE":
            assert fields == {"quantity" if "quantity" in order else "notional"}, error
            assert breaks_a_rule(order), error
        case _:
            assert fields == beyond_the_document(order), error


def refused_for_a_reason(_: CheckContext, response: Response, case: Case[Any]) -> None:
    """An order that keeps its schema gets a 422 only for what JSON Schema cannot express."""
    assert case.meta is not None
    if case.meta.generation.mode.is_positive and case.path in (EXECUTE, PREVIEW) and response.status_code == 422:
        assert isinstance(case.body, dict)
        check_reason(case.body, response.json())


def refused_in_its_place(_: CheckContext, response: Response, case: Case[Any]) -> None:
    """A batch that keeps its schema is refused only if a key appears twice; of one that breaks it something is refused."""
    assert case.meta is not None
    if case.path != BATCH or response.status_code not in (200, 422):
        return
    positive = case.meta.generation.mode.is_positive
    sent: Any = case.body
    if response.status_code == 422:
        if positive and not is_user_too_large(sent["user_id"]) and not sent.get("all_or_nothing"):
            keys = [order["idempotency_key"] for order in sent["orders"]]
            assert len(set(keys)) < len(keys), response.text
        return
    results = response.json()["results"]
    if not positive:
        assert {400, 422} & {result["status"] for result in results}, response.text
        return
    for order, result in zip(sent["orders"], results, strict=True):
        assert result["idempotency_key"] == order["idempotency_key"]
        assert result["status"] in (200, 402, 404, 410, 412, 422, 424)
        if result["status"] == 422:
            check_reason(order, result["body"])


@pytest.fixture(scope="module", autouse=True)
def _money(moto_market: Market) -> None:
    for symbol in ("BTC", "USD"):
        moto_market.fund(USER, symbol, "1" + "0" * 22)


@schema.parametrize()
@inputs(40)
def test_every_answer_is_as_the_document_says(case: Case[Any], moto_market: Market) -> None:
    case.call_and_validate(moto_market.urls[0], additional_checks=[refused_for_a_reason, refused_in_its_place])
