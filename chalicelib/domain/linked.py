"""Orders that are decided together: either every one of them fills, or none does."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from chalicelib.domain.account import Account, append
from chalicelib.domain.asset import Asset
from chalicelib.domain.decision import decide
from chalicelib.domain.facts import Fill, OrderOutcome, Refusal
from chalicelib.domain.order import Order
from chalicelib.domain.record import Record
from chalicelib.domain.refusals import Undecided, UndecidedTogether


def append_linked(  # noqa: PLR0917
    account: Account,
    orders: Sequence[Order],
    market: Mapping[str, Asset],
    at: datetime,
    by: str,
    price_stale_s: int | None = None,
) -> tuple[Account, list[Record]]:
    """Decides orders in their order, and appends the decisions to the account's history. `price_stale_s`: see `decide`.

    Where one is refused, all are: each that fails for its own reason, the others for the first that failed.

    Raises:
        UndecidedTogether: some cannot be decided; nothing is.
    """
    decisions = _decide_each(account, orders, lambda order, account: decide(order, account, market, at, by, price_stale_s))
    failed = next((place for place, decision in enumerate(decisions) if isinstance(decision, Refusal)), None)
    linked = account.sequence + 1, len(orders)
    records: list[Record] = []
    for decision in decisions:
        circumstances = replace(decision.circumstances, linked=linked)
        if failed is not None and isinstance(decision, Fill):
            decision = Refusal(decision.order, circumstances, OrderOutcome.LINKED, failed=failed)  # noqa: PLW2901
        account, record = append(account, replace(decision, circumstances=circumstances))
        records.append(record)
    return account, records


def _decide_each(
    account: Account, orders: Sequence[Order], decided: Callable[[Order, Account], Fill | Refusal]
) -> list[Fill | Refusal]:
    """Decides each order on the account as the fills before leave it."""
    decisions: list[Fill | Refusal] = []
    undecided: dict[int, Undecided] = {}
    for place, order in enumerate(orders):
        try:
            decision = decided(order, account)
        except Undecided as reason:
            undecided[place] = reason
            continue
        decisions.append(decision)
        if isinstance(decision, Fill):
            account, _ = append(account, decision)
    if undecided:
        first = next(iter(undecided.values()))
        alike = [place for place, reason in undecided.items() if type(reason) is type(first)]
        # What follows the first was looked at on an account that will never be: the first reason counts.
        raise UndecidedTogether(alike, first, needs_account=first.needs_account)
    return decisions
