"""An account: ``portfolio``, ``history``, ``verify``."""

import sys
from collections.abc import Callable
from decimal import Decimal

import rich_click as click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from hft_client.cli.output import (
    GAIN,
    LOSS,
    QUIET,
    amount,
    console,
    gain,
    money,
    say,
    show_json,
    table,
    time,
)
from hft_client.cli.settings import Session, on_engine, state_file
from hft_client.heads import FileHeads
from hft_client.results import Record


@click.command()
@on_engine
def portfolio(session: Session, /) -> None:
    """Shows the account's holdings, their value, cost and gain."""
    shown = session.client.portfolio()
    if session.wants_json:
        show_json(shown.raw)
        return
    rows = table("asset", "quantity", "price", "value USD", "cost USD", "gain USD", "share", left=["asset"])
    for symbol, position in shown.positions.items():
        share = "–" if position.share is None else f"{position.share:.1%}"
        rows.add_row(
            symbol,
            amount(position.quantity),
            amount(position.price, "USD"),
            amount(position.value_usd, "USD"),
            amount(position.cost_basis_usd, "USD"),
            gain(position.unrealized_pl_usd),
            share,
        )
    if shown.positions:
        console().print(rows)
    else:
        say("Nothing was ever held")
    say(
        f"Total {money(shown.total_valuation_usd)}, deposits {money(shown.net_deposits_usd)}, "
        f"realized {gain(shown.realized_pl_usd)} USD. Account {shown.user_id}, {shown.sequence} decisions"
    )


@click.command()
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="The most decisions to show.")
@click.option("--all", "wants_all", is_flag=True, help="Show every decision.")
@click.option("--oldest-first", is_flag=True, help="Begin with the first decision.")
@on_engine
def history(session: Session, /, limit: int, *, wants_all: bool, oldest_first: bool) -> None:
    """Shows the account's decisions: orders, refusals, transfers, voids."""
    records = session.client.history(after=0 if oldest_first else None, limit=None if wants_all else limit)
    if session.wants_json:
        for record in records:
            show_json(record.raw)
        return
    rows = table("no", "time", "decision", "change", "key", left=["time", "decision", "change", "key"])
    for record in records:
        decision, change = _decision(record)
        rows.add_row(str(record.sequence), time(record.decided_at), decision, change, Text(record.idempotency_key, style=QUIET))
    if rows.row_count:
        console().print(rows)
    else:
        say("No decision yet")


@click.command()
@click.option("--from-start", is_flag=True, help="Begin at decision 1, not where the last verification ended.")
@click.option("--forget", is_flag=True, help="Forget what was verified before: for an engine that was emptied on purpose.")
@on_engine
def verify(session: Session, /, *, from_start: bool, forget: bool) -> None:
    """Verifies the account's history: recomputes its hash chain up to the head that the portfolio shows.

    What was verified is kept on this machine, and the history must still contain it the next time.
    """
    if forget:
        FileHeads(state_file(session.client.url)).forget(session.client.user_id)
    with _progress() as progress:
        verified = session.client.verify(from_start=from_start, progress=progress)
    if session.wants_json:
        show_json({"user_id": verified.user_id, "sequence": verified.sequence, "head": verified.head})
        return
    say(f"1 … {verified.sequence} verified, the head matches" if verified.sequence else "No decision yet, and no head: verified")


class _progress:  # noqa: N801  (used like a function)
    """A bar on stderr, if that is a terminal."""

    def __init__(self) -> None:
        self._bar = Progress(
            TextColumn("Verifying"), BarColumn(), MofNCompleteColumn(), transient=True, disable=not sys.stderr.isatty()
        )

    def __enter__(self) -> Callable[[int, int], None]:
        self._bar.start()
        task = self._bar.add_task("")
        return lambda done, total: self._bar.update(task, completed=done, total=total)

    def __exit__(self, *_: object) -> None:
        self._bar.stop()


def _decision(record: Record) -> tuple[Text, str]:
    """Returns a decision in words, and what it changed."""
    if record.fill is not None:
        fill = record.fill
        other = str(fill.paid_with or fill.received)
        quantity = f"{amount(fill.quantity_filled)} {fill.symbol}"
        if fill.side == "buy":
            return Text("Bought", style=GAIN), f"+{quantity}, -{money(fill.total_cost, other)}"
        return Text("Sold", style=LOSS), f"-{quantity}, +{money(fill.total_proceeds, other)}"
    if record.transfer is not None:
        is_in = record.outcome == "ACCOUNT_FUNDED"
        moved = money(Decimal(record.transfer["amount"]).copy_abs(), record.transfer["symbol"])
        return Text("Deposit" if is_in else "Withdrawal"), f"{'+' if is_in else '-'}{moved}"
    if record.kind == "void":
        return Text("Voided", style=QUIET), "the key never executes"
    return Text("Refused", style=QUIET), str(record.reply.get("message", record.outcome))
