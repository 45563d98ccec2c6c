"""Whatever the OpenAPI document allows and forbids, sent to the running engine: schemathesis draws it, and checks each answer.

No 5xx; status, content type, headers and body as the document says; what breaks a schema is refused; and what keeps all of them
is executed, or refused for a reason that no schema can tell beforehand.
"""

from typing import Any

import pytest
import schemathesis
from schemathesis import Case, CheckContext, Response

from tests.fuzz.document import (
    BATCH,
    EXECUTE,
    USER,
    beyond_the_document,
    steered_document,
    with_trimmed_keys,
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
            # Too little money, an unknown asset, and what `refused_for_a_reason` looks at.
            "positive_data_acceptance": {"expected-statuses": [200, 402, 404, 422]},
            "negative_data_rejection": {"expected-statuses": [400, 404, 405, 422]},
            "missing_required_header": {"expected-statuses": [400]},
        },
        "generation": {"with-security-parameters": False},
        # Of a batch only its envelope is refused as a whole: `refused_in_its_place` looks at the rest.
        "operations": [
            {
                "include-path": BATCH,
                "checks": {
                    "positive_data_acceptance": {"expected-statuses": [200, 422]},
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
    """Of every body that is drawn."""
    return with_trimmed_keys(without_whole_floats(body))


def refused_for_a_reason(_: CheckContext, response: Response, case: Case[Any]) -> None:
    """An order that keeps its schema gets a 422 only for what JSON Schema cannot express, or because its key was used."""
    assert case.meta is not None
    if case.meta.generation.mode.is_positive and case.path == EXECUTE and response.status_code == 422:
        error = response.json()
        fields = {detail["field"] for detail in error["details"]}
        assert isinstance(case.body, dict)
        assert error["error_code"] == "ERR_IDEMPOTENCY_KEY_REUSED" or fields == beyond_the_document(case.body), error


def refused_in_its_place(_: CheckContext, response: Response, case: Case[Any]) -> None:
    """A batch that keeps its schema is refused only if a key stands twice; of one that breaks it something is refused."""
    assert case.meta is not None
    if case.path != BATCH or response.status_code not in (200, 422):
        return
    positive = case.meta.generation.mode.is_positive
    sent: Any = case.body
    if response.status_code == 422:
        if positive:
            keys = [order["idempotency_key"] for order in sent["orders"]]
            assert len(set(keys)) < len(keys), response.text
        return
    results = response.json()["results"]
    if not positive:
        assert {400, 422} & {result["status"] for result in results}, response.text
        return
    for order, result in zip(sent["orders"], results, strict=True):
        assert result["idempotency_key"] == order["idempotency_key"]
        assert result["status"] in (200, 402, 404, 422)
        if result["status"] == 422:
            fields = {detail["field"] for detail in result["body"]["details"]}
            reused = result["body"]["error_code"] == "ERR_IDEMPOTENCY_KEY_REUSED"
            assert reused or fields == beyond_the_document(order), result


@pytest.fixture(scope="module", autouse=True)
def _money(moto_market: Market) -> None:
    for symbol in ("BTC", "USD"):
        moto_market.fund(USER, symbol, "1" + "0" * 25)


@schema.parametrize()
@inputs(40)
def test_every_answer_is_as_the_document_says(case: Case[Any], moto_market: Market) -> None:
    case.call_and_validate(moto_market.urls[0], additional_checks=[refused_for_a_reason, refused_in_its_place])
