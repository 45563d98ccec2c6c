"""Everything that can go wrong, by what it means for the order.

HftError
├── ApiError                       the engine's answer: status, code, message, details
│   ├── Refused                    a decision: stored under the key for ever, and replayed
│   │   ├── InsufficientFunds      402 ERR_LIQUIDITY
│   │   ├── OrderExpired           410 ERR_ORDER_EXPIRED
│   │   ├── OrderVoided            410 ERR_ORDER_VOIDED
│   │   ├── PriceLimitExceeded     412 ERR_PRICE_LIMIT
│   │   └── LinkedOrderFailed      424 ERR_LINKED_ORDER
│   ├── Rejected                   decided nothing: nothing was stored
│   │   ├── ValidationFailed       422 ERR_VALIDATION
│   │   ├── OrderRuleBroken        422 ERR_ORDER_RULE
│   │   ├── IdempotencyKeyRequired 400 ERR_IDEMPOTENCY_REQUIRED
│   │   ├── IdempotencyKeyReused   422 ERR_IDEMPOTENCY_KEY_REUSED   the key stands for another order
│   │   ├── TransferOverdraws      402 ERR_LIQUIDITY                a debit beyond the balance
│   │   ├── AssetNotFound          404 ERR_ASSET_NOT_FOUND
│   │   ├── AssetHalted            409 ERR_ASSET_HALTED
│   │   ├── PriceStale             409 ERR_PRICE_STALE
│   │   ├── OrderNotFound          404 ERR_ORDER_NOT_FOUND
│   │   ├── OrderDecided           409 ERR_ORDER_DECIDED            a void came too late; `record` is the outcome
│   │   ├── RouteNotFound          404 ERR_NOT_FOUND
│   │   ├── MethodNotAllowed       405 ERR_METHOD_NOT_ALLOWED
│   │   └── TooLarge               413 ERR_TOO_LARGE
│   ├── Unauthenticated            401 ERR_UNAUTHENTICATED
│   ├── Forbidden                  403 ERR_FORBIDDEN
│   └── Unavailable                no decision in time, after retries
│       ├── Contention             409 ERR_CONTENTION
│       ├── TooManyRequests        429 ERR_THROTTLED
│       ├── DatastoreUnavailable   503 ERR_DATASTORE_UNAVAILABLE
│       └── InternalError          500 ERR_INTERNAL
├── OutcomeUnknown                 an attempt had no answer: the order may have been executed
├── NoAnswer                       no answer in time, where that leaves no order in doubt
├── UnexpectedAnswer               an answer that is not this engine's
├── VerificationFailed
│   ├── BrokenChain                the first link that does not hold
│   └── HistoryRewritten           the history no longer contains what was verified before
└── JournalError                   the journal belongs to another process or to another engine
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from hft_client.results import Record

DECISIONS = frozenset(
    {HTTPStatus.PAYMENT_REQUIRED, HTTPStatus.GONE, HTTPStatus.PRECONDITION_FAILED, HTTPStatus.FAILED_DEPENDENCY}
)
"""The statuses of stored refusals."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """An error in one field of a request."""

    field: str
    message: str


class HftError(Exception):
    """Anything that this package raises on its own account, except a `TypeError` or `ValueError` for a wrong argument."""


class ApiError(HftError):
    """The engine's answer, where it is not the result.

    `status`, `code`: of the contract. `details`: the errors of single fields. `request_id`: for the engine's operator. `key`: the
    order's or transfer's. `raw`: the whole body.
    """

    expected_status: ClassVar[int | None] = None
    expected_code: ClassVar[str | None] = None
    stored: ClassVar[bool] = False
    """True where the engine stored this answer under the key: it is the order's outcome, for ever."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        raw: Mapping[str, Any],
        *,
        request_id: str | None = None,
        key: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.raw = raw
        self.request_id = request_id
        self.key = key
        details = raw.get("details", ())
        self.details: Sequence[FieldError] = tuple(FieldError(each["field"], each["message"]) for each in details)


class Refused(ApiError):
    """A decision: the engine stored the refusal under the key, and replays it. The order never executes."""

    stored = True


class InsufficientFunds(Refused):
    """The balance did not cover the order."""

    expected_status, expected_code = 402, "ERR_LIQUIDITY"


class OrderExpired(Refused):
    """The order was decided after its `expires_at`."""

    expected_status, expected_code = 410, "ERR_ORDER_EXPIRED"


class OrderVoided(Refused):
    """The key was voided before the order could execute."""

    expected_status, expected_code = 410, "ERR_ORDER_VOIDED"


class PriceLimitExceeded(Refused):
    """The market was beyond the order's `limit_price`."""

    expected_status, expected_code = 412, "ERR_PRICE_LIMIT"


class LinkedOrderFailed(Refused):
    """Another order of the same all-or-nothing batch did not fill."""

    expected_status, expected_code = 424, "ERR_LINKED_ORDER"


class Rejected(ApiError):
    """The engine decided nothing and stored nothing."""


class ValidationFailed(Rejected):
    """Something in the request is not what it should be: see `details`."""

    expected_status, expected_code = 422, "ERR_VALIDATION"


class OrderRuleBroken(Rejected):
    """The order breaks a trading rule."""

    expected_status, expected_code = 422, "ERR_ORDER_RULE"


class IdempotencyKeyRequired(Rejected):
    """The request has no key. This client always sends one."""

    expected_status, expected_code = 400, "ERR_IDEMPOTENCY_REQUIRED"


class IdempotencyKeyReused(Rejected):
    """The key stands for another order, for ever. So this one was never executed, and never will be under this key."""

    expected_status, expected_code = 422, "ERR_IDEMPOTENCY_KEY_REUSED"


class TransferOverdraws(Rejected):
    """A debit is larger than the balance."""

    expected_status, expected_code = 402, "ERR_LIQUIDITY"


class AssetNotFound(Rejected):
    """The symbol is not listed."""

    expected_status, expected_code = 404, "ERR_ASSET_NOT_FOUND"


class AssetHalted(Rejected):
    """An operator halted trading in the asset."""

    expected_status, expected_code = 409, "ERR_ASSET_HALTED"


class PriceStale(Rejected):
    """The market's price is too old to trade by."""

    expected_status, expected_code = 409, "ERR_PRICE_STALE"


class OrderNotFound(Rejected):
    """Nothing is stored under the key now. A request under way may still store something, unless a void prevents it."""

    expected_status, expected_code = 404, "ERR_ORDER_NOT_FOUND"


class OrderDecided(Rejected):
    """A void, or an all-or-nothing batch, came too late: the key has an outcome."""

    expected_status, expected_code = 409, "ERR_ORDER_DECIDED"

    @property
    def record(self) -> "Record | None":
        """The stored record, where a void came too late."""
        from hft_client.results import Record

        stored = self.raw.get("order")
        return None if stored is None else Record.read(stored)


class RouteNotFound(Rejected):
    """The engine has no such route. The operator's routes exist only where a stage turns them on."""

    expected_status, expected_code = 404, "ERR_NOT_FOUND"


class MethodNotAllowed(Rejected):
    """The route does not take the method."""

    expected_status, expected_code = 405, "ERR_METHOD_NOT_ALLOWED"


class TooLarge(Rejected):
    """The request is larger than any order."""

    expected_status, expected_code = 413, "ERR_TOO_LARGE"


class Unauthenticated(ApiError):
    """There is no token, or not a valid one."""

    expected_status, expected_code = 401, "ERR_UNAUTHENTICATED"


class Forbidden(ApiError):
    """The token is for another account, or not an operator's."""

    expected_status, expected_code = 403, "ERR_FORBIDDEN"


class Unavailable(ApiError):
    """The engine gave no decision in time. For an order: nothing was decided, or `OutcomeUnknown` would have been raised."""


class Contention(Unavailable):
    """The account stayed busy."""

    expected_status, expected_code = 409, "ERR_CONTENTION"


class TooManyRequests(Unavailable):
    """The gateway's limit was exceeded; the engine never saw the request."""

    expected_status, expected_code = 429, "ERR_THROTTLED"


class DatastoreUnavailable(Unavailable):
    """The datastore did not answer in time."""

    expected_status, expected_code = 503, "ERR_DATASTORE_UNAVAILABLE"


class InternalError(Unavailable):
    """A bug of the engine's."""

    expected_status, expected_code = 500, "ERR_INTERNAL"


class OutcomeUnknown(HftError):
    """An attempt had no answer, and nothing since says what became of it: the order may have been executed, once at most.

    `keys`: one key, or those of an all-or-nothing batch. `resolve` and `void` return awaitables where the client is asynchronous.
    """

    def __init__(
        self, keys: Sequence[str], user_id: int, reason: str, resolve: Callable[[], Any], void: Callable[[], Any]
    ) -> None:
        named = f"key {keys[0]}" if len(keys) == 1 else f"keys {', '.join(keys)}"
        super().__init__(f"The outcome is unknown ({named}): {reason}")
        self.keys = tuple(keys)
        self.user_id = user_id
        self.reason = reason
        self._resolve = resolve
        self._void = void

    @property
    def key(self) -> str:
        """The order's or transfer's key; of a batch, the first one."""
        return self.keys[0]

    def resolve(self) -> Any:
        """Sends the same request with the same keys until the outcome is known. Returns it, or raises, as the first call would.

        Raises:
            OutcomeUnknown: it is still unknown at the deadline.
        """
        return self._resolve()

    def void(self) -> Any:
        """Makes sure that the order never executes. Returns a `Voided`; of an all-or-nothing batch, a list.

        Raises:
            OrderDecided: it has an outcome, which is in `record`.
            OutcomeUnknown: no answer in time; calling it again is safe.
            TypeError: it is a transfer, which cannot be voided.
        """
        return self._void()


class NoAnswer(HftError):
    """No answer in time. Of an order, no attempt reached the engine; a read or an operator's change is safe to call again."""


class UnexpectedAnswer(HftError):
    """An answer that is not this engine's, such as a proxy's page."""


class VerificationFailed(HftError):
    """The history is not what it claims to be. `sequence`: the first decision in question."""

    def __init__(self, sequence: int, message: str) -> None:
        super().__init__(message)
        self.sequence = sequence


class BrokenChain(VerificationFailed):
    """A link of the chain does not hold."""


class HistoryRewritten(VerificationFailed):
    """The history no longer contains what was verified before."""


class JournalError(HftError):
    """The journal is in use by another process, or belongs to another engine."""


def _leaves(kind: type[ApiError]) -> list[type[ApiError]]:
    below = kind.__subclasses__()
    return [leaf for each in below for leaf in _leaves(each)] if below else [kind]


_BY_CODE: Mapping[str, type[ApiError]] = {
    kind.expected_code: kind for kind in _leaves(ApiError) if kind.expected_code is not None and kind is not TransferOverdraws
}


def error_class(status: int, code: str, *, of_transfer: bool = False) -> type[ApiError]:
    """Returns the class of an error. A code that this version does not know has the class that its status implies."""
    if of_transfer and status == HTTPStatus.PAYMENT_REQUIRED:
        return TransferOverdraws
    known = _BY_CODE.get(code)
    if known is not None:
        return known
    by_status: Mapping[int, type[ApiError]] = {
        HTTPStatus.UNAUTHORIZED: Unauthenticated,
        HTTPStatus.FORBIDDEN: Forbidden,
        HTTPStatus.TOO_MANY_REQUESTS: TooManyRequests,
    }
    if status in DECISIONS:
        return Refused
    return by_status.get(status, Unavailable if status >= HTTPStatus.INTERNAL_SERVER_ERROR else Rejected)
