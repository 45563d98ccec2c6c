"""Errors: each has its place in the contract, and every reason of the domain is mapped to one."""

import inspect
import json
import re

import pytest

from chalicelib.contract import errors
from chalicelib.contract.errors import (
    AssetHalted,
    AssetNotFound,
    Contention,
    DatastoreUnavailable,
    EngineError,
    FieldError,
    InternalError,
    OrderRuleBroken,
    PriceStale,
    TooManyRequests,
    TransferOverdraws,
    ValidationFailed,
    error_of,
)
from chalicelib.domain import refusals
from chalicelib.domain.refusals import (
    BrokenRule,
    HaltedAsset,
    StalePrice,
    TransferRejected,
    Undecided,
    UndecidedTogether,
    UnknownAsset,
)

AT = "2026-01-01T12:00:00.000007Z"
ALL = {
    name: error
    for name, error in vars(errors).items()
    if inspect.isclass(error) and issubclass(error, EngineError) and error is not EngineError
}


def test_the_tree_at_the_top_of_the_module_is_the_whole_truth() -> None:
    tree = re.findall(r"── (\w+) +(\d{3}) (ERR_\w+)", errors.__doc__ or "")

    assert {(name, int(status), code) for name, status, code in tree} == {
        (name, error.status, error.code) for name, error in ALL.items()
    }


def test_a_retry_is_suggested_where_it_can_help_and_nowhere_else() -> None:
    retryable = {error for error in ALL.values() if error.retry_after_s is not None}

    assert retryable == {TooManyRequests, Contention, DatastoreUnavailable, InternalError}


def test_a_body_has_the_contracts_shape_and_details_where_there_are_some() -> None:
    assert json.loads(Contention().body(AT)).keys() == {"timestamp", "status", "error_code", "message"}
    assert json.loads(
        ValidationFailed(FieldError("quantity", "must be more than 0"), FieldError("user_id", "missing")).body(AT)
    ) == {
        "timestamp": AT,
        "status": 422,
        "error_code": "ERR_VALIDATION",
        "message": "quantity: must be more than 0; user_id: missing",
        "details": [{"field": "quantity", "message": "must be more than 0"}, {"field": "user_id", "message": "missing"}],
    }


REASONS: list[tuple[Undecided, type[EngineError], str]] = [
    (UnknownAsset(["NOPE", "NEVER"]), AssetNotFound, "NOPE, NEVER"),
    (HaltedAsset(["BTC"]), AssetHalted, "BTC"),
    (
        StalePrice({"BTC": "2026-01-01T12:00:00.000007Z", "ETH": "2026-01-01T11:00:00.000000Z"}, 60),
        PriceStale,
        "last priced BTC at 2026-01-01T12:00:00.000007Z, ETH at 2026-01-01T11:00:00.000000Z, more than 60 s ago. Nothing was",
    ),
    (BrokenRule("notional", "size", "is too large", needs_account=True), OrderRuleBroken, "notional: is too large (rule size)"),
    (TransferRejected("a debit overdraws", overdraws=True), TransferOverdraws, "debit overdraws"),
    (TransferRejected("the balance would be too large"), ValidationFailed, "amount: the balance would be too large"),
    (
        UndecidedTogether([1, 3], BrokenRule("quantity", "size", "is too large", needs_account=True), needs_account=True),
        OrderRuleBroken,
        "orders[1], orders[3]: quantity: is too large",
    ),
]


@pytest.mark.parametrize(("reason", "error", "says"), REASONS)
def test_a_reason_of_the_domain_is_the_contracts_error(reason: Undecided, error: type[EngineError], says: str) -> None:
    mapped = error_of(reason)

    assert type(mapped) is error
    assert says in str(mapped)


def test_every_reason_of_the_domain_has_its_error() -> None:
    reasons = {each for each in vars(refusals).values() if inspect.isclass(each) and issubclass(each, Undecided)}

    assert {type(reason) for reason, *_ in REASONS} == reasons - {Undecided}


def test_a_broken_rule_names_its_field() -> None:
    broken = BrokenRule("quantity", "min_quantity", "must be more", needs_account=False)

    (detail,) = error_of(broken).details
    assert (detail.field, detail.message) == ("quantity", "must be more (rule min_quantity)")
    details = error_of(UndecidedTogether([0, 2], broken, needs_account=False)).details
    assert [detail.field for detail in details] == ["orders[0].quantity", "orders[2].quantity"]
