"""Every error of the contract, with its status, its code, and whether a retry can help.

EngineError
├── final: the same request gets the same answer
│   ├── Unauthenticated          401 ERR_UNAUTHENTICATED          no token, or not a valid one
│   ├── Forbidden                403 ERR_FORBIDDEN                another's account, whether it exists or not
│   ├── ValidationFailed         422 ERR_VALIDATION               names each field
│   ├── IdempotencyKeyRequired   400 ERR_IDEMPOTENCY_REQUIRED
│   ├── IdempotencyKeyReused     422 ERR_IDEMPOTENCY_KEY_REUSED   the key belongs to another order
│   ├── TooLarge                 413 ERR_TOO_LARGE
│   ├── InsufficientFunds        402 ERR_LIQUIDITY                a decision: stored, and replayed
│   ├── TransferOverdraws        402 ERR_LIQUIDITY                a debit: decides nothing
│   ├── OrderExpired             410 ERR_ORDER_EXPIRED            a decision
│   ├── OrderVoided              410 ERR_ORDER_VOIDED             a decision
│   ├── PriceLimitExceeded       412 ERR_PRICE_LIMIT              a decision
│   ├── OrderDecided             409 ERR_ORDER_DECIDED            a void came too late
│   ├── OrdersDecided            409 ERR_ORDER_DECIDED            an all-or-nothing batch came too late
│   ├── LinkedOrderFailed        424 ERR_LINKED_ORDER             a decision
│   ├── OrderNotFound            404 ERR_ORDER_NOT_FOUND          nothing is stored under the key now
│   ├── AssetNotFound            404 ERR_ASSET_NOT_FOUND          decides nothing: the key stays unused
│   ├── AssetHalted              409 ERR_ASSET_HALTED             decides nothing: the key stays unused
│   ├── PriceStale               409 ERR_PRICE_STALE              decides nothing: the key stays unused
│   ├── OrderRuleBroken          422 ERR_ORDER_RULE               decides nothing: the key stays unused
│   ├── RouteNotFound            404 ERR_NOT_FOUND
│   └── MethodNotAllowed         405 ERR_METHOD_NOT_ALLOWED
└── retryable: the same request, with the same key, is safe and may succeed
    ├── TooManyRequests          429 ERR_THROTTLED                API Gateway's own: the engine never saw the request
    ├── Contention               409 ERR_CONTENTION               decided nothing
    ├── DatastoreUnavailable     503 ERR_DATASTORE_UNAVAILABLE    the outcome may be unknown
    └── InternalError            500 ERR_INTERNAL                 a bug; the outcome may be unknown
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from chalicelib.domain.record import Record
from chalicelib.domain.refusals import (
    BrokenRule,
    HaltedAsset,
    StalePrice,
    TransferRejected,
    Undecided,
    UndecidedTogether,
    UnknownAsset,
)


@dataclass(frozen=True, slots=True)
class FieldError:
    """An error in one field of a request."""

    field: str
    message: str


class EngineError(Exception):
    """An error that the contract defines. Its message is for the client and contains no internals."""

    status: ClassVar[int]
    code: ClassVar[str]
    retry_after_s: ClassVar[int | None] = None
    """Seconds to wait before the same request; `None` where it would get the same answer."""
    headers: Mapping[str, str] = {}
    """Further headers of the response."""
    details: Sequence[FieldError] = ()

    def body(self, at: str, **more: object) -> str:
        """Returns the contract's error body as JSON text. `at`: RFC 3339; `more`: fields that this occasion adds."""
        body: dict[str, object] = {
            "timestamp": at,
            "status": self.status,
            "error_code": self.code,
            "message": str(self),
        }
        if self.details:
            body["details"] = [{"field": detail.field, "message": detail.message} for detail in self.details]
        return json.dumps(body | more)


class Unauthenticated(EngineError):
    """No token, or an invalid one."""

    status = 401
    code = "ERR_UNAUTHENTICATED"

    def __init__(self, reason: str | None = None) -> None:
        """Makes the error. `reason`: a sentence without quotes and without any part of the token; `None` for a missing token."""
        required = "A valid token is required, in the header: Authorization: Bearer <token>"
        super().__init__(required if reason is None else f"{reason}. {required}")
        # RFC 6750, section 3.1: a request without a token gets no error code.
        challenge = "Bearer" if reason is None else f'Bearer error="invalid_token", error_description="{reason}"'
        self.headers = {"WWW-Authenticate": challenge}


class Forbidden(EngineError):
    """A request for another user's account, whether that account exists or not, or one that only an operator may send."""

    status = 403
    code = "ERR_FORBIDDEN"

    def __init__(self, message: str = "The token is for another account") -> None:
        super().__init__(message)


class ValidationFailed(EngineError):
    """An invalid body, path or key."""

    status = 422
    code = "ERR_VALIDATION"

    def __init__(self, *details: FieldError) -> None:
        super().__init__("; ".join(f"{detail.field}: {detail.message}" for detail in details))
        self.details = details


class IdempotencyKeyRequired(EngineError):
    """No key, or a blank one."""

    status = 400
    code = "ERR_IDEMPOTENCY_REQUIRED"

    def __init__(self, where: str = "the X-Idempotency-Key header") -> None:
        super().__init__(f"An idempotency key is required, in {where}: a value of your own, new for each order")


class IdempotencyKeyReused(EngineError):
    """A key that this user used for another order, or for another transfer."""

    status = 422
    code = "ERR_IDEMPOTENCY_KEY_REUSED"

    def __init__(self, stored: str, received: str, kind: str = "order") -> None:
        super().__init__(f"This key was used for another {kind}: it stands for {stored}, this is {received}")
        self.stored = stored
        self.details = (FieldError("X-Idempotency-Key", f"stands for {stored}"),)


class TooLarge(EngineError):
    """A request larger than any order."""

    status = 413
    code = "ERR_TOO_LARGE"

    def __init__(self, limit_bytes: int, what: str = "The body") -> None:
        super().__init__(f"{what} is larger than {limit_bytes} bytes")


class InsufficientFunds(EngineError):
    """A balance that does not cover the order. Stored."""

    status = 402
    code = "ERR_LIQUIDITY"

    def __init__(self, needed: str | None, held: str, symbol: str, *, unfunded: bool = False) -> None:
        if needed is None:
            message = f"There is no {symbol} to trade: the balance is {held} {symbol}"
        else:
            message = f"Need {needed} {symbol} but only have {held} {symbol}"
        super().__init__(f"{message}. This account was never funded" if unfunded else message)


class TransferOverdraws(EngineError):
    """A debit larger than the balance. It decides nothing."""

    status = 402
    code = "ERR_LIQUIDITY"

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason[:1].upper()}{reason[1:]}. Nothing was decided")


class OrderExpired(EngineError):
    """An order decided after its `expires_at`. Stored."""

    status = 410
    code = "ERR_ORDER_EXPIRED"

    def __init__(self, expires_at: str) -> None:
        super().__init__(f"The order expired at {expires_at}")


class PriceLimitExceeded(EngineError):
    """A market price worse than the order's limit. Stored."""

    status = 412
    code = "ERR_PRICE_LIMIT"

    def __init__(self, price: str, limit: str, symbol: str, other: str) -> None:
        super().__init__(f"One {symbol} is at {price} {other}, beyond the limit of {limit} {other}")


class OrderVoided(EngineError):
    """The order's key was voided. Stored."""

    status = 410
    code = "ERR_ORDER_VOIDED"

    def __init__(self, voided_at: str) -> None:
        super().__init__(f"This key was voided at {voided_at}: it never executes")


class OrderDecided(EngineError):
    """A void that came too late: the key has an outcome. `record`: the stored one."""

    status = 409
    code = "ERR_ORDER_DECIDED"

    def __init__(self, record: Record) -> None:
        super().__init__(f"This key has an outcome, {record.decision.outcome}, and can no longer be voided")
        self.record = record


class OrdersDecided(EngineError):
    """An all-or-nothing batch in which some keys have outcomes and others do not. `places`: the former, from 0."""

    status = 409
    code = "ERR_ORDER_DECIDED"

    def __init__(self, places: Sequence[int]) -> None:
        super().__init__(f"{_places(places)}: this key has an outcome, and others of the batch have none. Nothing was decided")


class LinkedOrderFailed(EngineError):
    """An order of an all-or-nothing batch in which another one did not fill. Stored."""

    status = 424
    code = "ERR_LINKED_ORDER"

    def __init__(self, failed: int) -> None:
        super().__init__(f"orders[{failed}] did not fill, so no order of this all-or-nothing batch does")


class OrderNotFound(EngineError):
    """A key under which nothing is stored now. A request under way may still store something, unless a void prevents it."""

    status = 404
    code = "ERR_ORDER_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("Nothing is stored under this key now. To make sure that it never executes, void it")


class AssetNotFound(EngineError):
    """A symbol that is not listed."""

    status = 404
    code = "ERR_ASSET_NOT_FOUND"

    def __init__(self, symbols: Sequence[str]) -> None:
        super().__init__(f"Unknown asset: {', '.join(symbols)}")


class AssetHalted(EngineError):
    """An asset in which an operator halted trading."""

    status = 409
    code = "ERR_ASSET_HALTED"

    def __init__(self, symbols: Sequence[str]) -> None:
        super().__init__(f"Trading is halted: {', '.join(symbols)}. Nothing was decided; the same key can be sent again")


class PriceStale(EngineError):
    """A price that is older than an order may be decided by. Its feed fell silent."""

    status = 409
    code = "ERR_PRICE_STALE"

    def __init__(self, price_at: Mapping[str, str], max_age_s: int) -> None:
        last = ", ".join(f"{symbol} at {at}" for symbol, at in price_at.items())
        super().__init__(
            f"No price is fresh enough: last priced {last}, more than {max_age_s} s ago. "
            "Nothing was decided; the same key can be sent again"
        )


class OrderRuleBroken(EngineError):
    """An order that breaks a trading rule."""

    status = 422
    code = "ERR_ORDER_RULE"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.details = (FieldError(field, message),)


class RouteNotFound(EngineError):
    """An unknown route."""

    status = 404
    code = "ERR_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("No such route. The API is described at /docs")


class MethodNotAllowed(EngineError):
    """A route that does not take the request's method."""

    status = 405
    code = "ERR_METHOD_NOT_ALLOWED"

    def __init__(self) -> None:
        super().__init__("This route does not take that method")


class TooManyRequests(EngineError):
    """A request above the gateway's limit. Only the gateway returns this; the engine describes it in its OpenAPI document."""

    status = 429
    code = "ERR_THROTTLED"
    retry_after_s = 1

    def __init__(self) -> None:
        super().__init__("Too many requests at once; nothing was decided. Send the same request again, with the same key")


class Contention(EngineError):
    """An account that stayed busy until the deadline. Every attempt was answered, so nothing was decided."""

    status = 409
    code = "ERR_CONTENTION"
    retry_after_s = 1

    def __init__(self) -> None:
        super().__init__("The account stayed busy; nothing was decided. Send the same request again, with the same key")


class DatastoreUnavailable(EngineError):
    """A datastore that throttled until the deadline, or left an attempt without an answer."""

    status = 503
    code = "ERR_DATASTORE_UNAVAILABLE"
    retry_after_s = 1

    def __init__(self) -> None:
        super().__init__(
            "The datastore did not answer in time and the outcome may be unknown. "
            "Send the same request again, with the same key: it is executed at most once"
        )


class InternalError(EngineError):
    """A bug. The response contains nothing about it but the request id."""

    status = 500
    code = "ERR_INTERNAL"
    retry_after_s = 1

    def __init__(self) -> None:
        super().__init__(
            "Something went wrong and the outcome may be unknown. "
            "Send the same request again, with the same key: it is executed at most once"
        )


def error_of(reason: Undecided) -> EngineError:  # noqa: PLR0911  (one for each reason)
    """Returns the contract's error for the reason why an order cannot be decided."""
    match reason:
        case UnknownAsset(symbols=symbols):
            return AssetNotFound(symbols)
        case HaltedAsset(symbols=symbols):
            return AssetHalted(symbols)
        case StalePrice(price_at=price_at, max_age_s=max_age_s):
            return PriceStale(price_at, max_age_s)
        case BrokenRule(field=field):
            return OrderRuleBroken(field, str(reason))
        case UndecidedTogether(places=places, reason=of_one):
            return in_batch(error_of(of_one), places)
        case TransferRejected(overdraws=True):
            return TransferOverdraws(str(reason))
        case TransferRejected():
            return ValidationFailed(FieldError("amount", str(reason)))
        case _:
            raise reason


def in_batch(error: EngineError, places: Sequence[int]) -> EngineError:
    """Adds the places of its orders in an all-or-nothing batch to an error. Returns the error."""
    error.args = (f"{_places(places)}: {error}",)
    error.details = [
        FieldError(f"orders[{place}].{detail.field}", detail.message) for place in places for detail in error.details
    ]
    return error


def _places(places: Sequence[int]) -> str:
    return ", ".join(f"orders[{place}]" for place in places)
