"""An account's history: every decision is one link of its chain, numbered without a gap."""

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

import pytest

from chalicelib.domain.account import Account, append
from chalicelib.domain.decision import decide
from chalicelib.domain.facts import Decision, Fill, Transfer
from chalicelib.domain.money import MAX_BALANCE_UNITS
from chalicelib.domain.record import next_head
from chalicelib.domain.transfer import transfer
from tests.unit.domain.builders import AT, SEED, account, buy, sell


def test_every_decision_takes_the_next_number_and_links_to_the_one_before() -> None:
    decisions: list[Callable[[Account], Decision]] = [
        lambda held: decide(buy("1"), held, SEED, AT, "thread"),
        lambda held: transfer(held, Transfer(7, "in", "USD", 60_000 * 10**8), SEED["USD"], AT),
        lambda held: decide(buy("1"), held, SEED, AT, "thread"),
        lambda held: decide(sell("2"), held, SEED, AT, "thread"),
        lambda held: transfer(held, Transfer(7, "out", "BTC", -(10**8)), SEED["BTC"], AT),
    ]
    held = Account(7)
    heads: list[bytes] = [b""]
    texts: list[str] = []
    for number, decide_it in enumerate(decisions, start=1):
        held, record = append(held, decide_it(held))
        assert (record.user_id, record.sequence, held.sequence) == (7, number, number)
        assert record.head == held.head
        heads.append(record.head)
        texts.append(record.text)

    for before, text, head in zip(heads, texts, heads[1:], strict=False):
        assert head == sha256(before + text.encode()).digest()
    assert list(map(key_of, texts)) == ["k", "in", "k", "k", "out"]


def key_of(text: str) -> str:
    return text.split('"key":"')[1].split('"', maxsplit=1)[0]


def test_a_record_is_stored_under_its_instructions_key() -> None:
    held = account(USD="60000")
    order, funding = buy("1"), Transfer(7, "k", "USD", 1)

    assert append(held, decide(order, held, SEED, AT, "thread"))[1].key == "order#k"
    assert append(held, transfer(held, funding, None, AT))[1].key == "transfer#k"


def test_the_head_stands_for_the_text_and_for_all_that_came_before() -> None:
    heads = {next_head(b"", "text"), next_head(b"", "Text"), next_head(b"x", "text"), next_head(next_head(b"", "text"), "text")}

    assert len(heads) == 4


def test_a_fill_changes_the_two_balances_and_no_other() -> None:
    held = account(USD="60000", ETH="3", BTC="1")

    after, _ = append(held, decide(buy("1"), held, SEED, AT, "thread"))

    assert after.balances == account(USD="10000", ETH="3", BTC="2").balances
    assert held.balances == account(USD="60000", ETH="3", BTC="1").balances, "the account as it was is left alone"


def test_a_fill_that_would_overdraw_is_a_bug() -> None:
    rich, poor = account(USD="60000"), account(USD="49999.99999999")
    fill = decide(buy("1"), rich, SEED, AT, "thread")
    assert isinstance(fill, Fill)

    with pytest.raises(AssertionError):
        append(poor, fill)


def test_a_fill_that_leaves_more_than_can_be_stored_is_a_bug() -> None:
    fill = decide(buy("1"), account(USD="60000"), SEED, AT, "thread")
    full = replace(
        account(USD="60000"), books=replace(account(USD="60000").books, balances={"USD": 10**14, "BTC": MAX_BALANCE_UNITS})
    )

    with pytest.raises(AssertionError):
        append(full, fill)
