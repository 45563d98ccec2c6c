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
        self.chance = 0.5
        self.turns = TurnTaking(replace(self.time.world, random=lambda: self.chance))
        self.stood_back_s = 0.0
        self.sequence = 0

    def order(self, of_others: int = 0) -> bool:
        """An order that fills at once, after others' commits. Returns whether it looked first."""
        self.stood_back_s = self.turns.before_order()
        self.time.elapsed_s += self.stood_back_s
        looked = self.turns.should_refresh()
        if looked:
            self.turns.refreshed()
        started_s = self.time.elapsed_s
        self.time.elapsed_s += COMMIT_S
        seen = self.sequence + of_others
        self.sequence = seen + 1
        self.turns.committed(started_s, seen, self.sequence)
        return looked

    def lose(self) -> float:
        """A commit that comes too late. Returns how long to wait."""
        self.time.elapsed_s += COMMIT_S
        return self.turns.conflicted(brought=False)

    def orders_until_it_stands_back(self, of_others: int = 0) -> int:
        """Returns how many orders filled before the one that stood back. Others' commits come before the first."""
        for filled in range(100):
            self.order(0 if filled else of_others)
            if self.stood_back_s:
                return filled
        raise AssertionError("it never stood back")


@pytest.fixture
def process() -> Process:
    process = Process()
    for _ in range(100):  # what a commit takes is known
        process.order()
    return process


def test_who_is_alone_neither_looks_nor_waits(process: Process) -> None:
    for _ in range(1_000):
        assert not process.order()
        assert process.stood_back_s == 0


def test_the_first_loss_costs_no_wait_and_no_look_where_the_account_came_with_the_answer(process: Process) -> None:
    assert process.turns.conflicted(brought=True) == 0
    assert not process.turns.should_refresh()


def test_so_does_one_in_its_own_turn(process: Process) -> None:
    process.lose()
    process.order()

    assert process.turns.conflicted(brought=True) == 0
    assert not process.turns.should_refresh()


def test_one_in_anothers_turn_costs_a_wait_and_a_look(process: Process) -> None:
    process.lose()
    for _ in range(turns.TURN):
        process.order()
    assert process.turns.before_order() > 0
    process.turns.refreshed()

    assert process.turns.conflicted(brought=True) > 0
    assert process.turns.should_refresh()


def test_the_second_loss_in_a_row_costs_both(process: Process) -> None:
    process.turns.conflicted(brought=True)

    assert process.turns.conflicted(brought=True) > 0
    assert process.turns.should_refresh()


def test_who_lost_reads_the_account_before_the_next_attempt(process: Process) -> None:
    process.lose()

    assert process.turns.should_refresh()
    process.turns.refreshed()
    assert not process.turns.should_refresh()


def test_a_view_ages_while_others_are_about(process: Process) -> None:
    process.lose()
    process.order()

    process.time.elapsed_s += turns.FRESH * COMMIT_S * 0.9
    assert not process.turns.should_refresh()
    process.time.elapsed_s += turns.FRESH * COMMIT_S
    assert process.turns.should_refresh()


def test_others_are_known_by_their_commits_as_well(process: Process) -> None:
    process.order(of_others=1)
    process.time.elapsed_s += 2 * turns.FRESH * COMMIT_S

    assert process.turns.should_refresh()


def test_a_view_does_not_age_where_nobody_else_trades(process: Process) -> None:
    process.time.elapsed_s += 3_600

    assert not process.turns.should_refresh()


def test_waits_grow_with_each_loss_up_to_an_end(process: Process) -> None:
    process.chance = 1.0
    waits = [process.lose() / COMMIT_S for _ in range(10)]

    assert waits == pytest.approx([2, 4, 8, *[16] * 7], rel=0.01)


def test_a_commit_ends_the_growth_of_waits(process: Process) -> None:
    for _ in range(5):
        process.lose()
    process.order()

    assert process.lose() == pytest.approx(COMMIT_S, rel=0.01), "half of two commits"


def test_waits_are_random_so_that_two_losers_part(process: Process) -> None:
    process.chance = 0.0
    assert process.lose() == 0
    process.chance = 1.0
    assert process.lose() == pytest.approx(4 * COMMIT_S, rel=0.01)


def test_while_others_are_about_a_turn_ends_after_some_commits(process: Process) -> None:
    process.order()
    process.lose()

    assert process.orders_until_it_stands_back() == turns.TURN
    assert process.orders_until_it_stands_back() == turns.TURN - 1, "the order that stood back begins the next turn"


def test_who_stood_back_reads_the_account_first(process: Process) -> None:
    process.lose()
    looks = [process.order() for _ in range(turns.TURN + 1)]

    assert looks == [True, *[False] * (turns.TURN - 1), True]


def test_who_stood_back_for_long_reads_the_account_although_it_met_nobody_meanwhile(process: Process) -> None:
    process.lose()
    for _ in range(turns.TURN):
        process.order()

    assert process.turns.before_order() > 0
    process.time.elapsed_s += 2 * turns.ABOUT_S
    assert process.turns.should_refresh()


def test_it_stands_back_for_nearly_as_long_as_others_needed_the_account_and_catches_up_where_it_fell_behind(
    process: Process,
) -> None:
    parts = []
    for turns_of_others in (1, 3, 7):
        for _ in range(20):
            process.lose()
            process.orders_until_it_stands_back(of_others=turns_of_others * turns.TURN)
        parts.append(process.stood_back_s / (turns_of_others * turns.TURN * COMMIT_S))

    assert parts == pytest.approx([1, 0.9, 0.82], rel=0.01)


def test_it_stands_back_for_a_turn_at_least_and_for_eight_at_most(process: Process) -> None:
    stood_back = []
    for of_others in (1, 1_000_000):
        for _ in range(20):
            process.lose()
            process.orders_until_it_stands_back(of_others)
        stood_back.append(process.stood_back_s / (turns.TURN * COMMIT_S))

    assert stood_back == pytest.approx([1, 8], rel=0.01)


def test_processes_that_end_a_turn_together_come_back_apart(process: Process) -> None:
    stood_back = []
    for process.chance in (0.0, 1.0):
        process.lose()
        process.orders_until_it_stands_back()
        stood_back.append(process.stood_back_s / (turns.TURN * COMMIT_S))

    assert stood_back == pytest.approx([0.75, 1.25], rel=0.01)


def test_what_others_did_long_ago_counts_for_nothing(process: Process) -> None:
    process.order(of_others=1_000_000)
    process.time.elapsed_s += 2 * turns.ABOUT_S
    process.order()
    process.lose()
    process.orders_until_it_stands_back()

    assert process.stood_back_s == pytest.approx(turns.TURN * COMMIT_S, rel=0.01)


def test_others_who_went_away_cost_nothing_after_a_while(process: Process) -> None:
    process.lose()
    process.order()
    process.time.elapsed_s += turns.ABOUT_S

    for _ in range(100):
        assert not process.order()
        assert process.stood_back_s == 0


def test_all_times_are_in_units_of_what_a_commit_takes_here() -> None:
    slow = Process()
    slow.chance = 1.0
    for _ in range(200):
        started_s = slow.time.elapsed_s
        slow.time.elapsed_s += 10 * COMMIT_S
        slow.turns.committed(started_s, 0, 0)

    assert slow.lose() == pytest.approx(20 * COMMIT_S, rel=0.01)
