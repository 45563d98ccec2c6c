"""How a process shares a hot account: when it looks, waits and stands back."""

from dataclasses import replace

import pytest

from chalicelib.trading import turn_taking as turns
from chalicelib.trading.turn_taking import TurnTaking
from tests.support.faults import VirtualTime

COMMIT_S = 0.01


class Process:
    """One process at one account, in a time of its own."""

    def __init__(self) -> None:
        self.time = VirtualTime()
        self.turns = TurnTaking(replace(self.time.world, random=lambda: 0.5))
        self.sequence = 0
        self.stood_back_s = 0.0

    def order(self) -> bool:
        """An order that fills at once. Returns whether it looked first."""
        self.stood_back_s = self.turns.before_order()
        self.time.elapsed_s += self.stood_back_s
        looked = self.turns.should_refresh()
        if looked:
            self.turns.refreshed(self.sequence)
        self.commit()
        return looked

    def commit(self) -> None:
        started_s = self.time.elapsed_s
        self.time.elapsed_s += COMMIT_S
        self.sequence += 1
        self.turns.committed(self.sequence, started_s)

    def lose(self) -> float:
        """A commit that comes too late, since somebody else's came first. Returns how long to wait."""
        self.time.elapsed_s += COMMIT_S
        self.sequence += 1
        return self.turns.conflicted(self.sequence)

    def look(self) -> None:
        self.turns.refreshed(self.sequence)

    def meet_a_rival(self) -> None:
        """An order that comes too late twice: with the remembered view, and with the one that came back."""
        self.turns.before_order()
        assert self.lose() == 0
        self.time.elapsed_s += self.lose()
        self.look()
        self.commit()


@pytest.fixture
def process() -> Process:
    return Process()


def test_who_is_alone_neither_looks_nor_waits_but_for_a_moment_now_and_then(process: Process) -> None:
    stood_back = []
    for number in range(1_000):
        assert not process.order()
        if process.stood_back_s:
            stood_back.append(number)

    assert stood_back == [32, 96, 224, 480, 992], "after 32 orders in a row, and after twice as many each time that nobody came"


def test_who_comes_now_and_then_never_stands_aside(process: Process) -> None:
    for _ in range(1_000):
        process.order()
        assert process.stood_back_s == 0
        process.time.elapsed_s += 1


def test_the_first_loss_costs_no_wait_and_no_look(process: Process) -> None:
    """The answer brought the account along."""
    process.order()
    process.turns.before_order()

    assert process.lose() == 0
    assert not process.turns.should_refresh()


def test_who_loses_with_what_came_back_waits_and_then_looks(process: Process) -> None:
    process.order()
    process.turns.before_order()
    process.lose()

    assert process.lose() > 0
    assert process.turns.should_refresh()


def test_the_waits_grow_up_to_a_turn_and_a_half(process: Process) -> None:
    process.order()
    process.turns.before_order()
    process.lose()

    waits_s = [process.lose() for _ in range(8)]

    assert waits_s[:4] == sorted(set(waits_s[:4]))
    assert waits_s[-1] <= turns.WAIT_MAX * COMMIT_S


def test_a_conflict_counts_as_a_loss_that_brought_nothing_along(process: Process) -> None:
    process.order()
    process.turns.before_order()

    assert process.turns.conflicted(None) > 0
    assert process.turns.should_refresh()


def test_an_account_that_others_trade_is_looked_at_before_a_transaction_is_wasted_on_it(process: Process) -> None:
    process.order()
    process.turns.before_order()
    process.lose()
    process.commit()
    process.time.elapsed_s += 1

    assert process.order(), "somebody else may have been there since"


def test_an_account_that_others_have_left_alone_is_not_looked_at_again(process: Process) -> None:
    test_an_account_that_others_trade_is_looked_at_before_a_transaction_is_wasted_on_it(process)
    process.time.elapsed_s += 1

    assert not process.order()


def test_with_a_rival_known_a_turn_comes_to_an_end(process: Process) -> None:
    process.meet_a_rival()

    for _ in range(turns.TURN - 1):
        process.order()
        assert process.stood_back_s == 0
    assert process.order(), "after a turn of others the account is another"
    assert process.stood_back_s == pytest.approx(turns.TURN * COMMIT_S, rel=0.5)


def test_who_comes_back_and_loses_stands_back_longer_the_next_time(process: Process) -> None:
    process.meet_a_rival()
    for _ in range(turns.TURN):
        process.order()
    once_s = process.stood_back_s
    process.sequence += turns.TURN  # somebody else's turn
    process.meet_a_rival()
    for _ in range(turns.TURN):
        process.order()

    assert process.stood_back_s > 1.2 * once_s


def test_who_comes_back_and_finds_that_nobody_was_there_soon_takes_no_turns_any_more(process: Process) -> None:
    process.meet_a_rival()

    stood_back = 0
    for _ in range(20 * turns.TURN):
        process.order()
        stood_back += process.stood_back_s > turns.ASIDE * COMMIT_S

    assert 0 < stood_back <= 3


def test_rivals_that_were_not_heard_of_for_a_while_are_taken_to_be_gone(process: Process) -> None:
    process.meet_a_rival()
    process.time.elapsed_s += 10

    for _ in range(3 * turns.TURN):
        process.order()
        assert process.stood_back_s == 0


def test_who_stood_aside_and_was_overtaken_takes_turns_from_then_on(process: Process) -> None:
    for _ in range(turns.UNDISTURBED):
        process.order()
    assert process.turns.before_order() > 0
    process.lose()
    process.commit()

    for _ in range(turns.TURN - 1):
        process.order()
    assert process.order()
    assert process.stood_back_s > turns.ASIDE * COMMIT_S
