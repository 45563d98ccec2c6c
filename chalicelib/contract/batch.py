"""Batches: several orders of one account in one request, decided one by one and stored in one transaction."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from chalicelib.contract.caller import Caller
from chalicelib.contract.errors import EngineError, FieldError, IdempotencyKeyRequired, ValidationFailed, in_batch
from chalicelib.contract.fields import BATCH_FIELDS, BATCH_ORDER_FIELDS, IDEMPOTENCY_KEY, TERMS, InvalidValue, Json
from chalicelib.contract.requests import MAX_UNKNOWN_FIELDS_NAMED, order_of, parse_object, read_fields, read_order_fields
from chalicelib.domain.order import Order

MAX_BATCH_BODY_BYTES = 64 * 1024
"""The size of 99 of the longest possible orders, written on many lines."""

UNKNOWN_FIELDS_NAMED = 40
"""The number of unknown fields named in a whole batch. After that, one of each order is named and the others are counted. Without
this limit, an answer could be ten times as long as the answer to 99 fills.
"""

BATCH_ORDER_NAMES = {field.name for field in BATCH_ORDER_FIELDS}


class InvalidOrder(NamedTuple):
    """An order that cannot be read, with the error and its key. The key is `None` where it cannot be read either."""

    idempotency_key: str | None
    error: EngineError


class Batch(NamedTuple):
    """Orders sent for one account, in the sequence in which they were sent."""

    user_id: int
    sent: Sequence[Order | InvalidOrder]
    all_or_nothing: bool = False

    @property
    def orders(self) -> list[Order]:
        """The orders that can be executed."""
        return [each for each in self.sent if isinstance(each, Order)]


def read_batch(body: bytes, caller: Caller) -> Batch:
    """Reads the batch in a request of this caller. The error of a single order takes that order's place in the batch.

    Raises, in the order of the checks:
        TooLarge, ValidationFailed: the body is not a JSON object.
        Forbidden: its `user_id` is another user's.
        ValidationFailed: its fields are not those of a batch; or one key appears twice, so that it does not identify one order.
    """
    fields, wrong = read_fields(parse_object(body, MAX_BATCH_BODY_BYTES), BATCH_FIELDS, "a batch", caller)
    if wrong:
        raise ValidationFailed(*wrong)
    sent: list[Order | InvalidOrder] = []
    named = 0
    for each in fields["orders"]:
        may_name = max(1, min(MAX_UNKNOWN_FIELDS_NAMED, UNKNOWN_FIELDS_NAMED - named))
        sent.append(_read(each, fields["user_id"], caller, may_name))
        if isinstance(each, dict):
            named += min(may_name, len(each.keys() - BATCH_ORDER_NAMES))
    times = Counter(each.idempotency_key for each in sent if each.idempotency_key is not None)
    wrong = [
        FieldError(f"orders[{place}].idempotency_key", "appears twice in the batch")
        for place, each in enumerate(sent)
        if each.idempotency_key is not None and times[each.idempotency_key] > 1
    ]
    if wrong:
        raise ValidationFailed(*wrong)
    all_or_nothing = fields.get("all_or_nothing", False)
    if all_or_nothing:
        _require_all(sent)
    return Batch(fields["user_id"], sent, all_or_nothing)


def _require_all(sent: Sequence[Order | InvalidOrder]) -> None:
    """Raises the first error among orders, naming every place with an error of its kind."""
    errors = {place: each.error for place, each in enumerate(sent) if isinstance(each, InvalidOrder)}
    if not errors:
        return
    first = next(iter(errors.values()))
    places = [place for place, error in errors.items() if type(error) is type(first)]
    if isinstance(first, ValidationFailed):
        raise ValidationFailed(
            *(
                FieldError(f"orders[{place}].{detail.field}", detail.message)
                for place in places
                for detail in errors[place].details
            )
        )
    raise in_batch(first, places)


def _read(given: Json, user_id: int, caller: Caller, unknown_named: int) -> Order | InvalidOrder:
    """Reads one order. It checks the fields first and the key last, as for a single order."""
    if not isinstance(given, dict):
        return InvalidOrder(None, ValidationFailed(FieldError("body", "must be a JSON object")))
    rest = {name: value for name, value in given.items() if name != IDEMPOTENCY_KEY.name}
    key, wrong_key = _read_key(given.get(IDEMPOTENCY_KEY.name))
    try:
        fields = read_order_fields(rest, TERMS, "an order in a batch", caller, unknown_named)
    except ValidationFailed as wrong:
        return InvalidOrder(key, wrong)
    if key is None:
        assert wrong_key is not None, "a key that cannot be read has an error"
        return InvalidOrder(None, wrong_key)
    return order_of(fields, user_id, key)


def _read_key(given: Json) -> tuple[str | None, EngineError | None]:
    try:
        key = IDEMPOTENCY_KEY.read(given)
    except InvalidValue as invalid:
        return None, ValidationFailed(FieldError(IDEMPOTENCY_KEY.name, str(invalid)))
    return (key, None) if key else (None, IdempotencyKeyRequired(f"the field {IDEMPOTENCY_KEY.name}"))
