"""One account's place in a process: where requests meet, and are committed together.

A request that finds the account idle leads: it goes at once. Those that come meanwhile wait; the leader's next transaction takes
along all that wait by then, first come, first served. A request whose outcomes are known is released, wherever its leader is; a
leader that is done, or fails, hands the lead to the one that has waited longest.

    A   leads ─ commits A ────────── done
    B        waits ─────────────────────── leads ─ commits B, C, D ─ done
    C           waits ─────────────────────────────────────────────── released
    D              waits ──────────────────────────────────────────── released

All of this makes an order fast or slow, never wrong: what decides is the transaction. One thing it must get right by itself. A
request whose time is up leaves, and its decision may be in a transaction under way: then its outcome is unknown, not absent. So a
leader notes who is in a transaction just before it sends it. A request that leaves is marked under the same lock, and no later
transaction begins with it.
"""

from collections import deque
from collections.abc import Sequence
from threading import Lock

from chalicelib.domain.account import Account
from chalicelib.runtime.world import World
from chalicelib.trading.request import Request
from chalicelib.trading.turn_taking import TurnTaking


class AccountSlot:
    """One account in this process: `account` is `None` where nothing is known, or what was known is in doubt."""

    __slots__ = ("_led", "_lock", "_waiting", "account", "turns", "users", "world")

    def __init__(self, world: World) -> None:
        self.account: Account | None = None
        self.turns = TurnTaking(world)
        self.users = 0
        self.world = world
        self._lock = Lock()
        self._led = False
        self._waiting: deque[Request] = deque()

    def enter(self, request: Request, timeout_s: float) -> bool:
        """Returns whether the request is to lead. If not, it was settled by another, or its time is up and it has left."""
        with self._lock:
            if not self._led:
                self._led = True
                return True
            turn = self.world.new_lock()
            turn.acquire(timeout=0)
            request.turn = turn
            self._waiting.append(request)
        try:
            turn.acquire(timeout=max(0.0, timeout_s))
        except BaseException:
            if self._leave(request):  # nobody else would lead those that wait
                self.hand_over()
            raise
        return self._leave(request)

    def _leave(self, request: Request) -> bool:
        """Ends a request's wait. Returns whether it is to lead."""
        with self._lock:
            if request in self._waiting:
                self._waiting.remove(request)
                request.left = True
            return request.leads

    def group(self, leader: Request, most: int) -> list[Request]:
        """Returns the leader and those that wait, in their order, as far as they fit: `most` entries, each request whole."""
        group = [leader]
        room = most - leader.size
        with self._lock:
            for request in self._waiting:
                room -= request.size
                if room < 0:
                    break
                group.append(request)
        return group

    def begin(self, group: Sequence[Request]) -> bool:
        """Begins a transaction for a group, unless one of it has left. Returns whether it did."""
        with self._lock:
            if any(request.left for request in group):
                return False
            for request in group:
                request.in_transaction = True
            return True

    def end(self, group: Sequence[Request]) -> None:
        """Ends a transaction: those that are settled are released; the others wait on, in their order."""
        with self._lock:
            for request in group:
                request.in_transaction = False
                if request.settled and request in self._waiting:
                    self._waiting.remove(request)
                    assert request.turn is not None, "a request that waits has its turn to wait for"
                    request.turn.release()

    def hand_over(self) -> None:
        """Gives the lead to the request that has waited longest, or leaves the account idle."""
        with self._lock:
            if not self._waiting:
                self._led = False
                return
            successor = self._waiting.popleft()
            successor.leads = True
            assert successor.turn is not None, "a request that waits has its turn to wait for"
            successor.turn.release()
