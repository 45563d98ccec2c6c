"""The journal of a run, moment by moment, for people to read.

An entry is a function and its arguments, and becomes text only where somebody reads it: of all runs, one in a great many is read.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from chalicelib.domain.money import price_text, text_from
from chalicelib.domain.portfolio import Portfolio
from chalicelib.store.connection import Cancelled, Item
from chalicelib.trading.listings import PriceResult
from simulation.faults import Fault
from simulation.scheduler import US_PER_S, Scheduler
from simulation.workload import Instruction, Tick, View, each_of

Entry = tuple[int, str, Callable[..., str], tuple[Any, ...]]
"""The time (µs), the actor, and the event: a function and its arguments."""


class Journal:
    """Takes down what happens."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self.entries: list[Entry] = []

    def __call__(self, who: str, what: Callable[..., str], *arguments: Any) -> None:
        """Takes down one thing."""
        self.entries.append((self._scheduler.now_us, who, what, arguments))


def timeline(entries: Iterable[Entry]) -> list[str]:
    """Entries as lines of text: ``0.001234  process 2 7.1/3  GetItem account 1``."""
    return [f"{at_us / US_PER_S:11.6f}  {who:18}  {what(*arguments)}" for at_us, who, what, arguments in entries]


def send_text(wanted: Instruction, fault: Fault | None) -> str:
    """Describes what is asked for, and what goes wrong with it."""
    match wanted:
        case View(None):
            what = "the list of assets"
        case Tick(symbol, price, as_of, allow_move):
            what = f"{symbol} at {price_text(price)} USD as of {as_of}{', however far that is' if allow_move else ''}"
        case View(user_id):
            what = f"the portfolio of user {user_id}"
        case _:
            what = f"user {wanted.user_id}, {' | '.join(f'{each.record_key}: {each.fingerprint}' for each in each_of(wanted))}"
    return f"asks for {what}{_trouble(fault)}"


def answer_text(answer: Any) -> str:
    """Describes the answer that a client receives."""
    match answer:
        case None:
            return "has no answer"
        case PriceResult():
            return f"gets the result {answer}"
        case Portfolio(account):
            return f"is shown {_balances(account.balances)} after decision {account.sequence}"
        case list():
            return f"is shown {', '.join(f'{asset.symbol} at {price_text(asset.price)} USD' for asset in answer) or 'nothing'}"
        case _:
            answers = [f"{each.status} {_short(each.body)}{' (replayed)' if each.replayed else ''}" for each in answer]
            return f"receives {' | '.join(answers) or 'an error'}"


def call_text(operation: str, request: dict[str, Any], fault: Fault | None) -> str:
    """Describes a call to the datastore, and what goes wrong with it."""
    match operation:
        case "GetItem":
            what = f"GetItem {_name(request['Key'])}"
        case "BatchGetItem":
            keys = [_name(key) for wanted in request["RequestItems"].values() for key in wanted["Keys"]]
            what = f"BatchGetItem {', '.join(keys)}"
        case "TransactWriteItems":
            what = f"TransactWriteItems {' | '.join(_action(action) for action in request['TransactItems'])}"
        case "UpdateItem" | "DeleteItem":
            what = f"{operation} {_action({operation.removesuffix('Item'): request}).partition(' ')[2]}"
        case _:
            what = operation
    return what + _trouble(fault)


def reply_text(reply: Any) -> str:
    """Describes the datastore's answer."""
    if isinstance(reply, Cancelled):
        return f"← cancelled: {', '.join(_reason(reason) for reason in reply.reasons)}"
    if isinstance(reply, Exception):
        return f"← {type(reply).__name__}: {reply}"
    if "Responses" in reply:
        found = [_item(item) for items in reply["Responses"].values() for item in items]
        return f"← {', '.join(found) or 'nothing'}{', and keys unprocessed' if reply['UnprocessedKeys'] else ''}"
    if "Items" in reply:
        return f"← {', '.join(_item(item) for item in reply['Items'])}{', and more' if 'LastEvaluatedKey' in reply else ''}"
    return f"← {_item(reply['Item'])}" if "Item" in reply else "← done"


def asset_text(symbol: str, price: int | None, halted: bool) -> str:  # noqa: FBT001
    """Describes an operator's change to the list of assets."""
    if price is None:
        return f"takes {symbol} off the list"
    return f"lists {symbol} at {price_text(price)} USD{', halted' if halted else ''}"


def write_text(key: Sequence[str], item: Item) -> str:
    """Describes what the datastore now holds."""
    return f"holds {_item(item)}" if item else f"holds no {'/'.join(key)} any more"


def _trouble(fault: Fault | None) -> str:
    return f"   ✗ {fault}" if fault is not None else ""


def _action(transact_item: dict[str, Any]) -> str:
    ((kind, body),) = transact_item.items()
    item = body.get("Item") or body["Key"]
    condition = body.get("ConditionExpression")
    text = f"{kind} {_name(item)}"
    if kind == "Put":
        text += f" {_fields(item)}"
    if kind == "Update":
        text += f" {_filled(body['UpdateExpression'], body)}"
    return text + (f" if {_filled(condition, body)}" if condition else "")


def _filled(expression: str, body: dict[str, Any]) -> str:
    """Returns an expression with its placeholders replaced, the longest first: ``#s10`` contains ``#s1``."""
    replacements = dict(body.get("ExpressionAttributeNames", {}))
    replacements |= {name: _value(value) for name, value in body.get("ExpressionAttributeValues", {}).items()}
    for placeholder in sorted(replacements, key=len, reverse=True):
        expression = expression.replace(placeholder, replacements[placeholder])
    return expression


def _reason(reason: Any) -> str:
    if reason is None:
        return "–"
    shown = f" ({_item(reason.raw_item)})" if reason.raw_item else ""
    return f"{reason.code}{shown}"


def _name(item: Item) -> str:
    if "symbol" in item:
        return f"{item['symbol']['S']} {item['at']['S']}" if "at" in item else str(item["symbol"]["S"])
    if "idempotency_key" in item:
        return f"record {item['user_id']['N']}/{item['idempotency_key']['S']}"
    return f"account {item['user_id']['N']}"


def _item(item: Item) -> str:
    return f"{_name(item)} {_fields(item)}"


_SHOWN = ("price_usd", "price_at", "halted", "version", "candles", "candle", "sequence", "head", "balances")


def _fields(item: Item) -> str:
    """Describes what distinguishes an item: a reader does not need the rest."""
    shown: dict[str, str] = {name: _value(item[name]) for name in _SHOWN if name in item}
    if "record" in item:
        shown["record"] = _short(item["record"]["S"])
    return ", ".join(f"{name} {value}" for name, value in shown.items())


def _value(attribute: dict[str, Any]) -> str:
    ((kind, value),) = attribute.items()
    match kind:
        case "B":
            return str(value.hex())[:8] or "none"
        case "M":
            return "{" + ", ".join(f"{name}: {_value(inner)}" for name, inner in value.items()) + "}"
        case _:
            return str(value)


def _short(body: str) -> str:
    """Returns the part of a reply that a reader needs."""
    try:
        reply = json.loads(body)
    except ValueError:
        return body
    kept = ("outcome", "changes", "total_cost", "total_proceeds", "sequence", "message", "amount", "symbol", "by", "at")
    return " ".join(f"{name}={reply[name]}" for name in kept if name in reply)


def _balances(balances: Any) -> str:
    return ", ".join(f"{text_from(units)} {symbol}" for symbol, units in balances.items()) or "nothing"
