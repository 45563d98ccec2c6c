"""One account's place in a process: where requests meet, and travel together.

A request that finds the account idle leads: it goes at once. Those that come meanwhile wait; the leader's next transaction takes
along all that wait by then, first come, first served. A request whose outcomes are known is released, wherever its leader is; a
leader that is done, or fails, hands the lead to the one that has waited longest.

    A   leads ─ commits A ────────── done
    B        waits ─────────────────────── leads ─ commits B, C, D ─ done
    C           waits ─────────────────────────────────────────────── released
    D              waits ──────────────────────────────────────────── released

All of this makes an order fast or slow, never wrong: what decides is the transaction. One thing it must get right by itself. A
request whose time is up leaves, and its decision may be in a transaction under way: then its outcome is unknown, not absent. So a
leader boards its company just before it commits, and a request that leaves learns under the same lock whether it was aboard.
"""

from collections import deque
from collections.abc import Sequence
from threading import Lock
from typing import Protocol, TypeVar

from chalicelib.domain.account import Account
from chalicelib.runtime.world import TimedLock, World
from chalicelib.trading.turn_taking import TurnTaking


class Passenger(Protocol):
    """A request at an account."""

    slot_state: "SlotState"

    @property
    def size(self) -> int:
        """The number of entries of a transaction that it takes."""
        ...

    @property
    def settled(self) -> bool:
        """True once all of its outcomes are known."""
        ...


class SlotState:
    """A waiting request's standing in the slot. Changed under the slot's lock alone."""

    __slots__ = ("aboard", "leads", "left", "turn")

    def __init__(self) -> None:
        self.turn: TimedLock | None = None
        self.leads = False
        self.aboard = False
        self.left = False


AnyPassenger = TypeVar("AnyPassenger", bound=Passenger)


class AccountSlot:
    """One account in this process: `account` is `None` where nothing is known, or what was known is in doubt."""

    __slots__ = ("_led", "_lock", "_waiting", "_world", "account", "turns", "users")

    def __init__(self, world: World) -> None:
        self.account: Account | None = None
        self.turns = TurnTaking(world)
        self.users = 0
        self._world = world
        self._lock = Lock()
        self._led = False
        self._waiting: deque[Passenger] = deque()

    def enter(self, request: Passenger, timeout_s: float) -> bool:
        """Returns whether the request is to lead. If not, it was settled by another, or its time is up and it has left."""
        with self._lock:
            if not self._led:
                self._led = True
                return True
            turn = self._world.new_lock()
            turn.acquire(timeout=0)
            request.slot_state.turn = turn
            self._waiting.append(request)
        turn.acquire(timeout=max(0.0, timeout_s))
        state = request.slot_state
        with self._lock:
            if state.leads:
                return True
            if request in self._waiting:
                self._waiting.remove(request)
                state.left = True
            return False

    def company(self, leader: AnyPassenger, most: int) -> list[AnyPassenger]:
        """Returns the leader and those that wait, in their order, as far as they fit: `most` entries, each request whole."""
        company = [leader]
        room = most - leader.size
        with self._lock:
            for request in self._waiting:
                room -= request.size
                if room < 0:
                    break
                company.append(request)  # type: ignore[arg-type]  # one kind of passenger travels here
        return company

    def board(self, company: Sequence[Passenger]) -> bool:
        """Takes the company aboard a transaction, unless one of it has left. Returns whether it did."""
        with self._lock:
            if any(request.slot_state.left for request in company):
                return False
            for request in company:
                request.slot_state.aboard = True
            return True

    def land(self, company: Sequence[Passenger]) -> None:
        """Ends a transaction: those that are settled are released; the others wait on, in their order."""
        with self._lock:
            for request in company:
                request.slot_state.aboard = False
                if request.settled and request in self._waiting:
                    self._waiting.remove(request)
                    assert request.slot_state.turn is not None, "a request that waits has its turn to wait for"
                    request.slot_state.turn.release()

    def hand_over(self) -> None:
        """Gives the lead to the request that has waited longest, or leaves the account idle."""
        with self._lock:
            if not self._waiting:
                self._led = False
                return
            successor = self._waiting.popleft()
            successor.slot_state.leads = True
            assert successor.slot_state.turn is not None, "a request that waits has its turn to wait for"
            successor.slot_state.turn.release()
