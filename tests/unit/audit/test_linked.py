"""All-or-nothing batches and voids in the replay: honest ones pass, and each kind of damage is named for what it is.

Texts are changed and the whole chain computed anew, so that nothing but the rules of a batch can find it.
"""

from collections.abc import Sequence
from typing import Any

import pytest

from chalicelib.audit.discrepancy import Discrepancy, Kind
from chalicelib.audit.replay import compare, replay
from chalicelib.domain.position import Books
from tests.unit.audit.histories import (
    FILLED_TOGETHER,
    FUNDED,
    LINKED_BOOKS,
    LINKED_TEXTS,
    REFUSED_TOGETHER,
    USER,
    VOIDED,
    Change,
    Facts,
    account_of,
    all_of,
    chained,
    rewritten,
)


def found_in(texts: Sequence[str]) -> Discrepancy:
    with pytest.raises(Discrepancy) as raised:
        replay(USER, chained(texts))
    return raised.value


def changed(*changes: tuple[int, Change]) -> list[str]:
    """The honest history with some records changed, by their sequence."""
    texts = list(LINKED_TEXTS)
    for sequence, change in changes:
        texts[sequence - 1] = rewritten(texts[sequence - 1], change)
    return texts


def setting(**facts: Any) -> Change:
    return lambda record: record.update(facts)


def without(*names: str) -> Change:
    def change(facts: Facts) -> None:
        for name in names:
            del facts[name]

    return change


def in_terms(**terms: Any) -> Change:
    return lambda facts: facts["terms"].update(terms)


def refused(failed: int) -> Change:
    return all_of(without("changes", "balances"), setting(outcome="ERR_LINKED_ORDER", failed=failed))


def test_a_history_of_voids_and_batches_makes_its_account() -> None:
    records = chained(LINKED_TEXTS)

    replayed = replay(USER, records)

    compare(replayed, account_of(records, LINKED_BOOKS))
    assert replayed.open_batch is None


def test_a_batch_of_one_is_filled_or_refused_by_itself() -> None:
    filled = rewritten(FILLED_TOGETHER[0], setting(linked=[3, 1]))
    short = rewritten(REFUSED_TOGETHER[1], setting(sequence=4, linked=[4, 1], held="50000.00000000", needed="100000.00000000"))
    short = rewritten(short, in_terms(quantity="2"))

    records = chained([FUNDED, VOIDED, filled, short])

    replay(USER, records)


def test_a_batch_may_end_with_the_first_that_failed() -> None:
    first = rewritten(REFUSED_TOGETHER[0], setting(linked=[5, 2]))
    second = rewritten(REFUSED_TOGETHER[1], setting(linked=[5, 2]))

    replay(USER, chained([*LINKED_TEXTS[:4], first, second]))


def test_a_batch_may_begin_with_the_first_that_failed() -> None:
    first = rewritten(
        REFUSED_TOGETHER[1], all_of(setting(sequence=5, linked=[5, 2], held="75000.00000000", needed="100000.00000000"))
    )
    first = rewritten(first, in_terms(quantity="2"))
    second = rewritten(REFUSED_TOGETHER[0], setting(sequence=6, linked=[5, 2], failed=0))

    replay(USER, chained([*LINKED_TEXTS[:4], first, second]))


EXPIRED_BEFORE = "2026-02-21T14:00:02.999999Z"
DAMAGE: list[tuple[str, list[tuple[int, Change]], int, str]] = [
    (
        "half filled: the second was not",
        [(4, refused(0))],
        4,
        "it was not filled, though what came before it in its all-or-nothing batch of records 3 to 4 was",
    ),
    (
        "half filled: the first was not",
        [(3, refused(1))],
        4,
        "it was filled, though what came before it in its all-or-nothing batch of records 3 to 4 was not",
    ),
    (
        "a member says that it was by itself",
        [(4, without("linked"))],
        4,
        "it should be one of the all-or-nothing batch of records 3 to 4, and does not say so",
    ),
    (
        "a member says that its batch is longer",
        [(4, setting(linked=[3, 3]))],
        4,
        "it should be one of the all-or-nothing batch of records 3 to 4, and does not say so",
    ),
    (
        "a batch that reaches into the next one",
        [(3, setting(linked=[3, 3])), (4, setting(linked=[3, 3]))],
        5,
        "it should be one of the all-or-nothing batch of records 3 to 5, and does not say so",
    ),
    (
        "a batch without its first",
        [(3, without("linked"))],
        4,
        "it says that it is one of the all-or-nothing batch of records 3 to 4, and the record before is not",
    ),
    (
        "a batch that begins later",
        [(3, setting(linked=[4, 1]))],
        3,
        "it says that it is one of the all-or-nothing batch of record 4, and the record before is not",
    ),
    (
        "another time",
        [(4, setting(at="2026-02-21T14:00:02.000001Z"))],
        4,
        (
            "it was decided at 2026-02-21T14:00:02.000001Z, "
            "but its all-or-nothing batch of records 3 to 4 at 2026-02-21T14:00:02.000000Z"
        ),
    ),
    (
        "the first that failed is another order",
        [(5, setting(failed=2))],
        6,
        (
            "it failed for a reason of its own, but the records before it say that record 7 was the first that failed "
            "of its all-or-nothing batch of records 5 to 8"
        ),
    ),
    (
        "one that follows names another order",
        [(7, setting(failed=0))],
        7,
        "it was refused for record 5, but record 6 was the first that failed",
    ),
    (
        "refused for itself",
        [(5, setting(failed=0))],
        5,
        "it was refused for record 5, which is not another order of its batch, records 5 to 8",
    ),
    (
        "refused for an order beyond the batch",
        [(5, setting(failed=4))],
        5,
        "it was refused for record 9, which is not another order of its batch, records 5 to 8",
    ),
    (
        "none failed for a reason of its own",
        [(6, all_of(without("needed", "held"), setting(outcome="ERR_LINKED_ORDER", failed=1)))],
        6,
        "it was refused for record 6, which is not another order of its batch, records 5 to 8",
    ),
    (
        "a shortage on the account as it was, not as it would have been",
        [(6, setting(held="75000.00000000"))],
        6,
        "it says that the account held 75000.00000000 USD, its records give 25000.00000000",
    ),
    (
        "a shortage after a sale of another amount",
        [(7, in_terms(quantity="1"))],
        8,
        "it says that the account held 99250.00000000 USD, its records give 74500.00000000",
    ),
    (
        "refused for another, and its notional buys less than a step",
        [(5, in_terms(notional="40000"))],
        5,
        "it is so small that it would not have been decided: rounding costs more than 1 % of its value",
    ),
    (
        "refused for another, and its own funds are short",
        [(5, in_terms(notional="120000"))],
        5,
        "it was refused for another order, though it needed 100000.00000000 USD of its own, and 75000.00000000 were there",
    ),
    (
        "refused for another, and its own limit is passed",
        [(5, in_terms(limit_price="49999.99999999"))],
        5,
        "it was refused for another order, though the market was beyond its own limit",
    ),
    (
        "refused for another, and it had expired itself",
        [(5, in_terms(expires_at=EXPIRED_BEFORE))],
        5,
        f"it was decided at 2026-02-21T14:00:03.000000Z, though the order expires at {EXPIRED_BEFORE}",
    ),
]


@pytest.mark.parametrize(("changes", "sequence", "message"), [each[1:] for each in DAMAGE], ids=[each[0] for each in DAMAGE])
def test_a_batch_whose_members_disagree_is_found(changes: list[tuple[int, Change]], sequence: int, message: str) -> None:
    found = found_in(changed(*changes))

    assert (found.sequence, str(found)) == (sequence, message)


ALL_OF_ETH: Facts = {
    "terms": {"side": "sell", "symbol": "ETH", "receive": "USD", "quantity": "all"},
    "prices": {"ETH": ["3000.00000000", "2026-02-21T14:00:00Z"], "USD": ["1.00000000", "2026-01-01T00:00:00Z"]},
}


def test_all_of_nothing_is_a_reason_of_its_own() -> None:
    found = found_in(changed((7, setting(**ALL_OF_ETH))))

    assert (found.sequence, str(found)) == (7, "it was refused for another order, though it offers all of no ETH")


def test_a_sale_of_next_to_nothing_would_not_have_been_decided() -> None:
    cheap = {"BTC": ["0.00000001", "2026-02-21T14:00:00Z"], "USD": ["1.00000000", "2026-01-01T00:00:00Z"]}

    found = found_in(changed((7, all_of(in_terms(quantity="0.1"), setting(prices=cheap)))))

    assert (found.sequence, str(found)) == (
        7,
        "it is so small that it would not have been decided: rounding costs more than 1 % of its value",
    )


def rich_swap(held: str) -> list[str]:
    """A swap of all BTC, where one unit of it buys 10²⁸ units of SOL."""
    rich = rewritten(FUNDED, setting(symbol="BTC", amount=held, balance=held))
    swap = {"side": "buy", "symbol": "SOL", "pay_with": "BTC", "notional": "all"}
    prices = {
        "SOL": ["0.0000000000000001", "2026-02-21T14:00:00Z"],
        "BTC": ["1000000000000.00000000", "2026-02-21T14:00:00Z"],
    }
    return [rich, rewritten(REFUSED_TOGETHER[0], setting(sequence=2, linked=[2, 2], terms=swap, prices=prices))]


def test_an_order_that_would_leave_too_much_would_not_have_been_decided() -> None:
    found = found_in(rich_swap("10.00000001"))

    assert (found.sequence, str(found)) == (2, "it would not have been decided: it leaves more SOL than an account may hold")


def test_an_order_may_leave_as_much_as_an_account_may_hold() -> None:
    """10³⁷ units."""
    assert replay(USER, chained(rich_swap("10.00000000"))).open_batch == "records 2 to 3"


@pytest.mark.parametrize(("last", "batch"), [(3, "records 3 to 4"), (5, "records 5 to 8"), (7, "records 5 to 8")])
def test_a_history_that_was_cut_within_a_batch_is_found(last: int, batch: str) -> None:
    """The records after were deleted, and the account put back to what it was."""
    records = chained(LINKED_TEXTS[:last])
    replayed = replay(USER, records)
    books = Books(replayed.balances, replayed.cost_basis, replayed.realized_pl)

    with pytest.raises(Discrepancy) as raised:
        compare(replayed, account_of(records, books))

    assert (raised.value.kind, raised.value.sequence) == (Kind.SEQUENCE, last + 1)
    assert (
        str(raised.value)
        == f"the account and its records end at {last}, within the all-or-nothing batch of {batch}. Were both cut?"
    )


def test_a_transfer_within_a_batch_is_found() -> None:
    transfer = rewritten(FUNDED, setting(sequence=4, key="more", balance="150000.00000000"))

    found = found_in([*LINKED_TEXTS[:3], transfer])

    assert (found.kind, found.key) == (Kind.RECORD, "transfer#more")
    assert str(found) == "it should be one of the all-or-nothing batch of records 3 to 4, and does not say so"


def test_a_fill_within_a_batch_is_checked_as_any_other() -> None:
    found = found_in(changed((4, lambda facts: facts["changes"].update(USD="25000.00000001"))))

    assert str(found) == "it brought 25000.00000001 USD before its fee, which its quantity and prices do not give"


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (setting(balance="1.00000000"), Kind.UNREADABLE, "its text has unknown fields: balance"),
        (setting(sequence=3), Kind.SEQUENCE, "record 2 is missing: 3 comes next"),
    ],
)
def test_a_void_says_nothing_else(change: Change, kind: Kind, message: str) -> None:
    found = found_in(changed((2, change)))

    assert (found.kind, str(found)) == (kind, message)


def test_a_void_belongs_under_its_orders_key() -> None:
    records = chained(LINKED_TEXTS)
    records[1] = records[1]._replace(key="transfer#void")

    with pytest.raises(Discrepancy) as raised:
        replay(USER, records)

    assert str(raised.value) == "its text belongs under the key order#void"
