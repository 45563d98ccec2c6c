"""The client beside the engine's own description: every error has its class, every field of a reply its attribute."""

import inspect
from typing import Any

import pytest

import hft_client
from chalicelib.api.openapi import document
from chalicelib.contract import errors as engine
from hft_client import errors, results
from hft_client.clients import AsyncClient, Client
from hft_client.operations import Operations
from hft_client.results import Reply, reply_fields

DOCUMENT = document(operator=True)
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
ENGINES = [
    kind
    for kind in vars(engine).values()
    if isinstance(kind, type) and issubclass(kind, engine.EngineError) and kind is not engine.EngineError
]
STORED = {"InsufficientFunds", "OrderExpired", "OrderVoided", "PriceLimitExceeded", "LinkedOrderFailed"}


@pytest.mark.parametrize("code", SCHEMAS["Error"]["properties"]["error_code"]["enum"])
def test_every_error_code_has_a_class(code: str) -> None:
    (status,) = {kind.status for kind in ENGINES if kind.code == code}

    kind = errors.error_class(status, code)

    assert (kind.expected_status, kind.expected_code) == (status, code)
    assert getattr(hft_client, kind.__name__) is kind


@pytest.mark.parametrize("of_engine", ENGINES, ids=lambda kind: kind.__name__)
def test_a_class_of_the_engines_name_means_what_the_engine_means(of_engine: type[engine.EngineError]) -> None:
    name = {"OrdersDecided": "OrderDecided"}.get(of_engine.__name__, of_engine.__name__)
    kind = getattr(errors, name)

    assert (kind.expected_status, kind.expected_code) == (of_engine.status, of_engine.code)
    assert kind.stored == (name in STORED)
    assert issubclass(kind, errors.Unavailable) == (of_engine.retry_after_s is not None)


def test_a_code_of_a_newer_engine_has_the_class_of_its_status() -> None:
    kinds = [errors.error_class(status, "ERR_NEW") for status in (401, 402, 403, 404, 409, 422, 424, 429, 500, 503)]

    assert kinds == [
        errors.Unauthenticated,
        errors.Refused,
        errors.Forbidden,
        errors.Rejected,
        errors.Rejected,
        errors.Rejected,
        errors.Refused,
        errors.TooManyRequests,
        errors.Unavailable,
        errors.Unavailable,
    ]


@pytest.mark.parametrize(
    ("kind", "schemas"),
    [
        (results.Fill, ["BuyFill", "SellFill"]),
        (results.Transferred, ["Transfer"]),
        (results.Voided, ["Voided"]),
        (results.Record, ["Record"]),
        (results.Portfolio, ["Portfolio"]),
        (results.Position, ["Position"]),
        (results.Candle, ["Candle"]),
        (results.Asset, ["Asset", "GuardedAsset"]),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_a_result_has_every_field_that_the_engine_documents(kind: type[Reply], schemas: list[str]) -> None:
    documented = {name for schema in schemas for name in properties(SCHEMAS[schema])}
    left_to_raw = {"executed_by_thread"} | ({"status"} if kind in (results.Fill, results.Voided) else set())
    parsed_apart = {"positions"} if kind is results.Portfolio else set()

    assert {*reply_fields(kind), *parsed_apart} == documented - left_to_raw


def properties(schema: dict[str, Any]) -> set[str]:
    of_parts = {name for part in schema.get("allOf", ()) for name in properties(part)}
    referred = properties(SCHEMAS[schema["$ref"].rpartition("/")[2]]) if "$ref" in schema else set()
    return {*schema.get("properties", {}), *of_parts, *referred}


def test_fields_of_a_newer_engine_are_kept_in_raw() -> None:
    body = {"idempotency_key": "k", "voided_at": "2026-01-01T00:00:00.000000Z", "sequence": 1, "new": 1}

    voided = results.Voided.read(body)

    assert voided.raw["new"] == 1
    assert voided == results.Voided.read({**body, "new": 2})


@pytest.mark.parametrize("wrong", [{}, {"sequence": "1"}, {"sequence": 1.0}, {"voided_at": 3}, None, []])
def test_an_answer_of_another_form_is_unexpected(wrong: Any) -> None:
    body = {"idempotency_key": "k", "voided_at": "2026-01-01T00:00:00.000000Z", "sequence": 1}
    body = {**body, **wrong} if wrong else wrong

    with pytest.raises(errors.UnexpectedAnswer):
        results.Voided.read(body)


def test_both_clients_have_every_operation() -> None:
    operations = {name: value for name, value in vars(Operations).items() if inspect.isfunction(value) and name[0] != "_"}

    for client in (Client, AsyncClient):
        for name, operation in operations.items():
            method = getattr(client, name)
            assert inspect.signature(method) == inspect.signature(operation)
            assert method.__doc__


def test_every_error_and_every_result_is_exported() -> None:
    kinds = {
        name
        for module in (errors, results)
        for name, kind in vars(module).items()
        if isinstance(kind, type) and kind.__module__ == module.__name__
    }

    assert kinds - {"Reply"} <= set(hft_client.__all__)
