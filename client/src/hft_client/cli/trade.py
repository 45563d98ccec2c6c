"""Orders: ``buy``, ``sell``, ``preview``, ``order``, ``void``."""

import sys
from collections.abc import Callable

import rich_click as click

from hft_client.cli.endings import ExitCode, exit_code
from hft_client.cli.output import amount, money, note, say, show_json, time
from hft_client.cli.settings import Session, on_engine
from hft_client.errors import HftError, OutcomeUnknown
from hft_client.orders import Order
from hft_client.results import Fill, PreviewedFill, Record

Command = Callable[..., None]

_what = click.argument("what", nargs=-1, required=True, metavar="[QUANTITY] SYMBOL")


def _conditions(command: Command) -> Command:
    """Adds the options that buys and sells have in common."""
    for option in (
        click.option("--expires-at", metavar="TIME", help="The time after which it is refused: 2026-12-31T12:00:00Z."),
        click.option("--limit", metavar="PRICE", help="The worst price accepted, the fee apart."),
    ):
        command = option(command)
    return command


def _buy_options(command: Command) -> Command:
    spend = click.option("--spend", metavar="AMOUNT", help="Spend at most this, fee included, instead of a QUANTITY; or all.")
    pay_with = click.option("--pay-with", default="USD", show_default=True, metavar="SYMBOL", help="The asset to pay with.")
    return _what(spend(pay_with(_conditions(command))))


def _sell_options(command: Command) -> Command:
    receive = click.option("--receive", default="USD", show_default=True, metavar="SYMBOL", help="The asset to receive.")
    return _what(receive(_conditions(command)))


_key = click.option("--key", help="The idempotency key; a new one by default. The same order again is executed at most once.")


@click.command()
@_buy_options
@_key
@on_engine
def buy(session: Session, /, what: tuple[str, ...], key: str | None, **options: str | None) -> None:
    """Buys a quantity, or as much as an amount pays for.

    hft buy 0.5 BTC · hft buy BTC --spend 250 · hft buy 1 ETH --pay-with BTC --limit 0.07
    """
    _execute(session, _order_to_buy(what, key=key, **options))


@click.command()
@_sell_options
@_key
@on_engine
def sell(session: Session, /, what: tuple[str, ...], key: str | None, **options: str | None) -> None:
    """Sells a quantity, or all.

    hft sell 0.5 BTC · hft sell all BTC --limit 49500
    """
    _execute(session, _order_to_sell(what, key=key, **options))


@click.group()
def preview() -> None:
    """Shows the answer that an order would get now. Stores nothing."""


@preview.command("buy")
@_buy_options
@on_engine
def preview_buy(session: Session, /, what: tuple[str, ...], **options: str | None) -> None:
    """Previews a purchase."""
    _preview(session, _order_to_buy(what, **options))


@preview.command("sell")
@_sell_options
@on_engine
def preview_sell(session: Session, /, what: tuple[str, ...], **options: str | None) -> None:
    """Previews a sale."""
    _preview(session, _order_to_sell(what, **options))


@click.command()
@click.argument("key")
@on_engine
def order(session: Session, /, key: str) -> None:
    """Shows what became of an order. Executes nothing."""
    record = session.client.order(key)
    if session.wants_json:
        show_json(record.raw)
        return
    fill = record.fill
    say(_sentence(fill) if fill else _refusal(record))
    say(f"Decision {record.sequence}, {time(record.decided_at)}")


@click.command()
@click.argument("key")
@on_engine
def void(session: Session, /, key: str) -> None:
    """Makes sure that an order never executes."""
    voided = session.client.void(key)
    if session.wants_json:
        show_json(voided.raw)
        return
    say(f"Voided at {time(voided.voided_at)}: the key {key} never executes (decision {voided.sequence})")


def _order_to_buy(
    what: tuple[str, ...],
    *,
    spend: str | None,
    pay_with: str | None,
    limit: str | None,
    expires_at: str | None,
    key: str | None = None,
) -> Order:
    quantity, symbol = _quantity_and_symbol(what, is_complete=spend is not None)
    return Order.buy(symbol, quantity, spend=spend, pay_with=str(pay_with), limit_price=limit, expires_at=expires_at, key=key)


def _order_to_sell(
    what: tuple[str, ...], *, receive: str | None, limit: str | None, expires_at: str | None, key: str | None = None
) -> Order:
    quantity, symbol = _quantity_and_symbol(what)
    return Order.sell(symbol, str(quantity), receive=str(receive), limit_price=limit, expires_at=expires_at, key=key)


def _quantity_and_symbol(what: tuple[str, ...], *, is_complete: bool = False) -> tuple[str | None, str]:
    """Reads a QUANTITY and a SYMBOL. `is_complete`: an amount to spend stands for the quantity."""
    match what:
        case (symbol,) if is_complete:
            return None, symbol
        case (_, _) if is_complete:
            raise click.UsageError("Give either a quantity or --spend, not both: hft buy BTC --spend 250")
        case (quantity, symbol) if quantity == "all" or quantity[:1].isdecimal():
            return quantity, symbol
        case _:
            raise click.UsageError(f"Write the quantity, then the symbol: 0.5 BTC, not {' '.join(what)}")


def _execute(session: Session, order: Order) -> None:
    try:
        fill = session.client.execute(order)
    except KeyboardInterrupt:
        note(f"Interrupted, the outcome is unknown. Find out with: hft order {order.key}, or make sure: hft void {order.key}")
        if session.wants_json:
            show_json({"error": "Interrupted", "keys": [order.key], "exit_code": ExitCode.UNKNOWN})
        sys.exit(ExitCode.UNKNOWN)
    except HftError as error:
        if not session.wants_json and not isinstance(error, OutcomeUnknown):
            note(f"Key {order.key}")
        raise
    if session.wants_json:
        show_json({**fill.raw, "idempotency_key": fill.key, "replayed": fill.replayed})
        return
    say(_sentence(fill))
    given = fill.paid_with or fill.symbol
    when = "executed earlier, at" if fill.replayed else "executed at"
    say(
        f"Left: {money(fill.remaining_balance, given)}. Key {fill.key}, decision {fill.sequence}, {when} {time(fill.executed_at)}"
    )


def _preview(session: Session, order: Order) -> None:
    previewed = session.client.preview(order)
    if session.wants_json:
        show_json(previewed.raw)
    elif previewed.fill:
        given = previewed.fill.paid_with or previewed.fill.symbol
        say(f"Would be: {_sentence(previewed.fill)}")
        say(f"Left: {money(previewed.fill.remaining_balance, given)}. Nothing was stored")
    if previewed.error:
        if not session.wants_json:
            note(f"Would be refused: {previewed.error} ({previewed.error.code})")
        sys.exit(exit_code(previewed.error))


def _sentence(fill: Fill | PreviewedFill) -> str:
    other = str(fill.paid_with or fill.received)
    moved = fill.total_cost if fill.total_cost is not None else fill.total_proceeds
    fee = f", fee {money(fill.fee, other)} included" if fill.fee and fill.side == "buy" else ""
    fee = f", after a fee of {money(fill.fee, other)}" if fill.fee and fill.side == "sell" else fee
    verb = "Bought" if fill.side == "buy" else "Sold"
    price = money(fill.execution_price, other)
    return f"{verb} {amount(fill.quantity_filled)} {fill.symbol} for {money(moved, other)}, at {price}{fee}"


def _refusal(record: Record) -> str:
    if record.kind == "void":
        return f"Voided: the key {record.idempotency_key} never executes"
    return f"Refused, for good: {record.reply.get('message', record.outcome)}"
