"""Requests, read into values. Numbers in a body are read digit for digit, never through a float."""

import json
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain
from operator import itemgetter
from typing import Any, NoReturn

from chalicelib.contract.caller import Caller
from chalicelib.contract.errors import FieldError, IdempotencyKeyRequired, TooLarge, ValidationFailed
from chalicelib.contract.fields import (
    IDEMPOTENCY_KEY,
    ORDER_FIELDS,
    SYMBOL,
    DuplicateName,
    Field,
    InvalidValue,
    Json,
    JsonNumber,
    idempotency_key,
    time_text,
    user_id_from_text,
)
from chalicelib.domain.candle import MAX_CANDLES, Chart, Interval
from chalicelib.domain.history import MAX_LIMIT, Paging
from chalicelib.domain.order import Order, Side

MAX_BODY_BYTES = 16 * 1024
MAX_SHOWN = 40
MAX_UNKNOWN_FIELDS_NAMED = 8
"""The number of unknown fields that an error names. The others are only counted, since a body may contain thousands."""

MAX_SEQUENCE = 2**63 - 1

KEY_HEADERS = ("X-Idempotency-Key", "Idempotency-Key")
_KEY_HEADERS = frozenset(name.lower() for name in KEY_HEADERS)

Headers = Mapping[str, list[str]]
"""Header values by lower-case name."""


def read_headers(event: Mapping[str, Any]) -> Headers:
    """Returns every value of the key headers in a Lambda event. API Gateway's plain map keeps only the last of each."""
    headers: dict[str, list[str]] = {}
    many = event.get("multiValueHeaders") or {name: [value] for name, value in (event.get("headers") or {}).items()}
    for name, values in many.items():
        lower = name.lower()
        if lower in _KEY_HEADERS:
            headers.setdefault(lower, []).extend(values)
    return headers


def read_terms(body: bytes, caller: Caller) -> Order:
    """Reads an order that is only previewed: it has no key.

    Raises:
        TooLarge, Forbidden, ValidationFailed: as `read_order`.
    """
    fields = read_order_fields(parse_object(body, MAX_BODY_BYTES), ORDER_FIELDS, "an order", caller)
    return order_of(fields, fields["user_id"], idempotency_key="")


def read_order(body: bytes, headers: Headers, caller: Caller) -> Order:
    """Reads the order in a request of this caller.

    Raises, in the order of the checks:
        TooLarge, ValidationFailed: the body is not a JSON object, so it names no account.
        Forbidden: its `user_id` is another user's. This is checked before all other fields.
        ValidationFailed: the body is not an order; the error names every wrong field, an unreadable `user_id` included.
        IdempotencyKeyRequired, ValidationFailed: the key is missing or invalid.
    """
    fields = read_order_fields(parse_object(body, MAX_BODY_BYTES), ORDER_FIELDS, "an order", caller)
    return order_of(fields, fields["user_id"], read_key(headers))


def order_of(fields: Mapping[str, Any], user_id: int, idempotency_key: str) -> Order:
    """Returns the order that `read_order_fields` read."""
    side = fields.get("side", Side.BUY)
    return Order(
        user_id=user_id,
        idempotency_key=idempotency_key,
        symbol=fields["symbol"],
        other=fields["pay_with" if side is Side.BUY else "receive"],
        quantity=fields.get("quantity"),
        notional=fields.get("notional"),
        side=side,
        limit_price=fields.get("limit_price"),
        expires_at=fields.get("expires_at"),
    )


def read_void(body: bytes) -> str:
    """Reads the key that a void names.

    Raises:
        TooLarge, ValidationFailed: the body is not `{"idempotency_key": …}`.
        IdempotencyKeyRequired: the key is missing, or blank.
    """
    given = parse_object(body, MAX_BODY_BYTES)
    unknown = [FieldError(_shown(name), "is not a field of a void") for name in given if name != IDEMPOTENCY_KEY.name]
    if unknown:
        raise ValidationFailed(*unknown[:MAX_UNKNOWN_FIELDS_NAMED])
    try:
        key = IDEMPOTENCY_KEY.read(given.get(IDEMPOTENCY_KEY.name))
    except InvalidValue as invalid:
        raise ValidationFailed(FieldError(IDEMPOTENCY_KEY.name, str(invalid))) from None
    if not key:
        raise IdempotencyKeyRequired(f"the field {IDEMPOTENCY_KEY.name}")
    return str(key)


Query = Mapping[str, Sequence[str]]
"""Query parameters by name, each with all of its values."""


def read_query(query: Query, known: Sequence[str]) -> dict[str, str]:
    """Reads query parameters by name.

    Raises:
        ValidationFailed: one is unknown, or appears twice.
    """
    wrong = [FieldError(_shown(name), "is not a parameter of this route") for name in query if name not in known]
    wrong += [FieldError(name, "appears twice") for name, values in query.items() if name in known and len(values) > 1]
    if wrong:
        raise ValidationFailed(*wrong[:MAX_UNKNOWN_FIELDS_NAMED])
    return {name: values[0] for name, values in query.items()}


def read_paging(query: Mapping[str, str]) -> Paging:
    """Reads the parameters of a history's page.

    Raises:
        ValidationFailed: a parameter is invalid, or both ends are given.
    """
    numbers: dict[str, int] = {}
    wrong: list[FieldError] = []
    for name, least, most in (("limit", 1, MAX_LIMIT), ("before", 1, MAX_SEQUENCE), ("after", 0, MAX_SEQUENCE)):
        if name in query:
            try:
                numbers[name] = _whole(query[name], least, most)
            except InvalidValue as invalid:
                wrong.append(FieldError(name, str(invalid)))
    if "before" in query and "after" in query:
        wrong.append(FieldError("after", "cannot be combined with before"))
    if wrong:
        raise ValidationFailed(*wrong)
    return Paging(**numbers)


CHART = ("interval", "limit", "before")
"""The query parameters of a chart."""


def read_chart(query: Mapping[str, str]) -> Chart:
    """Reads the parameters of a chart.

    Raises:
        ValidationFailed: a parameter is invalid.
    """
    readers: Mapping[str, Callable[[str], Any]] = {
        "interval": _interval,
        "limit": lambda text: _whole(text, 1, MAX_CANDLES),
        "before": lambda text: datetime.fromisoformat(time_text(text)),
    }
    fields: dict[str, Any] = {}
    wrong: list[FieldError] = []
    for name in CHART:
        if name in query:
            try:
                fields[name] = readers[name](query[name])
            except InvalidValue as invalid:
                hint = ": in a URL, write the + of an offset as %2B" if name == "before" and " " in query[name] else ""
                wrong.append(FieldError(name, f"{invalid}{hint}"))
    if wrong:
        raise ValidationFailed(*wrong)
    return Chart(**fields)


def _interval(text: str) -> Interval:
    try:
        return Interval(text)
    except ValueError:
        raise InvalidValue(f"must be one of {', '.join(Interval)}") from None


def _whole(text: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(most)) and least <= int(text) <= most):
        raise InvalidValue(f"must be a whole number from {least} to {most}")
    return int(text)


def read_symbol(text: str) -> str:
    """Reads the symbol in a path.

    Raises:
        ValidationFailed: the text is not a symbol.
    """
    try:
        return str(SYMBOL.read(text))
    except InvalidValue as invalid:
        raise ValidationFailed(FieldError("symbol", str(invalid))) from None


def read_key_parameter(query: Mapping[str, str]) -> str:
    """Reads the key that a look-up names.

    Raises:
        IdempotencyKeyRequired, ValidationFailed: the key is missing or invalid.
    """
    try:
        key = idempotency_key(query.get(IDEMPOTENCY_KEY.name, ""))
    except InvalidValue as invalid:
        raise ValidationFailed(FieldError(IDEMPOTENCY_KEY.name, str(invalid))) from None
    if not key:
        raise IdempotencyKeyRequired(f"the parameter {IDEMPOTENCY_KEY.name}")
    return key


def read_user_id(text: str) -> int:
    """Reads the user id in a path.

    Raises:
        ValidationFailed: the text is not a user id.
    """
    try:
        return user_id_from_text(text)
    except InvalidValue as invalid:
        raise ValidationFailed(FieldError("user_id", str(invalid))) from None


def read_order_fields(
    given: Mapping[str, Json],
    wanted: Sequence[Field],
    whole: str,
    caller: Caller,
    unknown_named: int = MAX_UNKNOWN_FIELDS_NAMED,
) -> dict[str, Any]:
    """Reads the fields of an order, by name. `whole`: the name of the whole in messages, such as "an order".

    Raises:
        Forbidden: the `user_id` is another user's.
        ValidationFailed: a field is wrong.
    """
    fields, wrong = read_fields(given, wanted, whole, caller, unknown_named)
    read_or_wrong = {*fields, *(error.field for error in wrong)}
    if "side" in fields or "side" not in read_or_wrong:
        wrong = [*_form_errors(fields, given), *wrong]
        places = {field.name: place for place, field in enumerate(wanted)}
        wrong.sort(key=lambda error: places.get(error.field, len(places)))
    if wrong:
        raise ValidationFailed(*wrong)
    return fields


def _form_errors(fields: Mapping[str, Any], given: Mapping[str, Json]) -> Iterator[FieldError]:
    """Yields the errors of fields that are valid by themselves but not together."""
    buys = fields.get("side", Side.BUY) is Side.BUY
    other, wrong_other = ("pay_with", "receive") if buys else ("receive", "pay_with")
    if other not in given:
        yield FieldError(other, "is required")
    if wrong_other in given:
        does = "a buy names what it pays with" if buys else "a sell names what it receives"
        yield FieldError(wrong_other, f"is not a field of a {'buy' if buys else 'sell'}: {does}, in {other}")
    if "symbol" in fields and fields["symbol"] == fields.get(other):
        yield FieldError(other, "must be another asset than symbol")
    if not buys and "notional" in given:
        yield FieldError("notional", "is for buys: a sell takes a quantity")
    elif "quantity" in given and "notional" in given:
        yield FieldError("notional", "cannot be combined with quantity: an order has one of the two")
    if "quantity" not in given and not (buys and "notional" in given):
        yield FieldError("quantity", "is required, or notional" if buys else "is required")
    quantity = fields.get("quantity")
    if buys and quantity is not None and quantity.units is None:
        yield FieldError("quantity", 'takes "all" on sells; on a buy "notional": "all" spends the whole balance')


def read_fields(
    given: Mapping[str, Json],
    wanted: Sequence[Field],
    whole: str,
    caller: Caller,
    unknown_named: int = MAX_UNKNOWN_FIELDS_NAMED,
) -> tuple[dict[str, Any], list[FieldError]]:
    """Reads the fields of a `whole`. Returns the valid ones by name, and the errors of the others.

    Of the unknown fields, `unknown_named` get an error each; the others are only counted.

    Raises:
        Forbidden: the `user_id` is not the caller's.
    """
    fields: dict[str, Any] = {}
    wrong: list[FieldError] = []
    for field in wanted:
        if field.name not in given:
            if field.required:
                wrong.append(FieldError(field.name, "is required"))
            continue
        try:
            fields[field.name] = field.read(given[field.name])
        except InvalidValue as invalid:
            wrong.append(FieldError(field.name, str(invalid)))
    if "user_id" in fields:  # checked first: another user's request gets no other error
        caller.require(fields["user_id"])
    known = {field.name for field in wanted}
    # A client that sends {"stop_price": "40000"} must not buy at any price.
    unknown = [name for name in given if name not in known]
    wrong.extend(FieldError(_shown(name), f"is not a field of {whole}{_hint(name)}") for name in unknown[:unknown_named])
    if len(unknown) > unknown_named:
        wrong.append(FieldError("body", f"has {len(unknown)} unknown fields"))
    return fields, wrong


HINTS = {
    "qty": "quantity",
    "size": "quantity",
    "amount": "quantity, or notional for an amount of pay_with",
    "userid": "user_id",
    "user": "user_id",
    "account": "user_id",
    "price": "limit_price, the worst price taken",
    "limit": "limit_price, the worst price taken",
    "type": "limit_price: every order is a market order, and may have a limit",
    "asset": "symbol",
    "paywith": "pay_with",
    "currency": "pay_with or receive",
    "expires": "expires_at",
    "idempotencykey": "the X-Idempotency-Key header, or idempotency_key in a batch",
}
"""The hint for each common mistake in a field's name. The keys are in lower case without underscores."""


def _hint(name: str) -> str:
    meant = HINTS.get(name.lower().replace("_", ""))
    return "" if meant is None else f"; perhaps {meant}"


def parse_object(body: bytes, max_bytes: int) -> dict[str, Json]:
    """Reads a body as a JSON object. Its numbers become `JsonNumber`, with the digits that the client wrote.

    Raises:
        TooLarge, ValidationFailed: the body is not a JSON object.
    """
    if len(body) > max_bytes:
        raise TooLarge(max_bytes)
    try:
        parsed = json.loads(
            body.decode(),
            parse_int=JsonNumber,
            parse_float=JsonNumber,
            parse_constant=_refuse_constant,
            object_pairs_hook=_unique,
        )
    except UnicodeDecodeError:
        raise ValidationFailed(FieldError("body", _mistake(body) or "must be UTF-8")) from None
    except json.JSONDecodeError as error:
        message = _mistake(body) or f"is not JSON: {error.msg} at character {error.pos}"
        raise ValidationFailed(FieldError("body", message)) from None
    except RecursionError:
        raise ValidationFailed(FieldError("body", "is nested too deeply")) from None
    if not isinstance(parsed, dict):
        raise ValidationFailed(FieldError("body", "must be a JSON object"))
    return parsed


_FORM = re.compile(rb"\s*[\w.%+-]+=[^\s{]*\s*|\s*--[^\r\n]+\r?\nContent-Disposition:.*", re.DOTALL | re.IGNORECASE)


def _mistake(body: bytes) -> str | None:
    """Returns what a client sent in place of JSON, where it is a common mistake."""
    if not body.strip():
        return "is empty: it must be a JSON object"
    if body.startswith(b"\x1f\x8b"):
        return "is compressed: send it without Content-Encoding"
    if body.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return "is UTF-16: it must be UTF-8"
    if body.startswith(BOM_UTF8):
        return "begins with a byte order mark: send UTF-8 without one"
    if _FORM.fullmatch(body):
        return 'is a form: it must be a JSON object, such as {"user_id": 1}'
    return None


def _refuse_constant(name: str) -> NoReturn:
    raise ValidationFailed(FieldError("body", f"is not JSON: {name} is not a number"))


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        times = Counter(map(itemgetter(0), pairs))
        fields |= {name: DuplicateName() for name, count in times.items() if count > 1}
    return fields


def _shown(name: str) -> str:
    """Returns a client's field name, cut to a length that a message can contain."""
    return name if len(name) <= MAX_SHOWN else name[: MAX_SHOWN - 1] + "…"


def read_key(headers: Headers) -> str:
    """Reads the idempotency key in headers.

    Raises:
        IdempotencyKeyRequired, ValidationFailed: the key is missing or invalid.
    """
    try:
        sent = dict.fromkeys(chain.from_iterable(headers.get(name.lower(), []) for name in KEY_HEADERS))
        given = [idempotency_key(value) for value in sent]
    except InvalidValue as invalid:
        raise ValidationFailed(FieldError(KEY_HEADERS[0], str(invalid))) from None
    keys = {key for key in given if key}
    if not keys:
        raise IdempotencyKeyRequired
    if len(keys) > 1:
        raise ValidationFailed(FieldError(KEY_HEADERS[0], "was sent with two different values"))
    return keys.pop()
