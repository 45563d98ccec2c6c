"""Virtual time, and tasks that hand over wherever real threads would wait.

A task is a greenlet: it runs the engine's synchronous code unchanged. Only the scheduler decides which task goes on, and only a
wait lets it decide: between two waits a task has the world for itself.
"""

from collections.abc import Callable, Generator
from heapq import heappop, heappush
from random import Random
from typing import Any

from greenlet import GreenletExit, getcurrent, greenlet

US_PER_S = 1_000_000
MAX_EVENTS = 20_000
"""A run takes some hundreds to a few thousand: this many mean that something in it goes round in circles."""


class Endless(Exception):
    """The run does not come to an end."""


class Task:
    """A simulated thread. Made and resumed by its scheduler only."""

    __slots__ = ("_greenlet", "_scheduler")

    def __init__(self, scheduler: "Scheduler", body: Callable[[], None]) -> None:
        self._scheduler = scheduler
        self._greenlet = greenlet(body, scheduler.hub)

    def go_on(self, *value: object) -> None:
        """Runs it until its next wait; the wait that it comes from returns `value`. What is dead stays dead."""
        if not self._greenlet.dead:
            self._scheduler.current = self
            self._greenlet.switch(*value)
            self._scheduler.current = None

    def kill(self) -> None:
        """Ends it where it waits: all that it still does is unwind."""
        if not self._greenlet.dead:
            self._greenlet.throw(GreenletExit)


class Wait:
    """One wait of the running task: whatever ends it first counts, everything else comes too late."""

    __slots__ = ("_scheduler", "_task")

    def __init__(self, scheduler: "Scheduler") -> None:
        assert scheduler.current is not None, "only a task can wait"
        self._scheduler = scheduler
        self._task: Task | None = scheduler.current

    @property
    def over(self) -> bool:
        """True once something has ended it."""
        return self._task is None

    def end(self, value: object = None) -> None:
        """Lets the task go on with `value`. To be called from an event, not from another task."""
        task, self._task = self._task, None
        if task is not None:
            task.go_on(value)

    def result(self) -> Any:
        """Hands over until the wait is ended, and returns what it was ended with."""
        return self._scheduler.hub.switch()


class Scheduler:
    """Events by time, and a seeded choice wherever there is one."""

    def __init__(self, seed: int, max_events: int = MAX_EVENTS) -> None:
        self.hub = getcurrent()
        self.current: Task | None = None
        self.now_us = 0
        self.random = Random(seed)
        self._events: list[tuple[int, int, Callable[..., object], tuple[object, ...]]] = []
        self._made = 0
        self._max_events = max_events

    def after(self, delay_us: int, action: Callable[..., object], *arguments: object) -> None:
        """Has something happen later."""
        self._made += 1
        heappush(self._events, (self.now_us + delay_us, self._made, action, arguments))

    def start(self, body: Callable[[], None], delay_us: int = 0) -> Task:
        """Starts a task."""
        task = Task(self, body)
        self.after(delay_us, task.go_on)
        return task

    def follow(self, steps: Generator[int, None, None]) -> None:
        """Runs a generator that yields how long, in µs, until it wants to go on: cheaper than a task where no call is deep."""
        for delay_us in steps:
            self.after(delay_us, self.follow, steps)
            return

    def sleep(self, delay_us: int) -> None:
        """Lets the running task wait."""
        wait = Wait(self)
        self.after(delay_us, wait.end)
        wait.result()

    def run(self) -> None:
        """Runs until nothing is left to happen.

        Raises:
            Endless: that is not in sight.
        """
        events = self._events
        while events:
            if self._made > self._max_events:
                raise Endless
            self.now_us, _, action, arguments = heappop(events)
            action(*arguments)


class Turn:
    """`threading.Lock` among the tasks of one process; who of those that wait comes next is the scheduler's choice."""

    __slots__ = ("_held", "_scheduler", "_waiting")

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._held = False
        self._waiting: list[Wait] = []

    def acquire(self, *, timeout: float) -> bool:
        """Waits for the lock. `timeout`: in seconds."""
        if not self._held:
            self._held = True
            return True
        wait = Wait(self._scheduler)
        self._waiting.append(wait)
        self._scheduler.after(round(timeout * US_PER_S), wait.end, False)  # noqa: FBT003
        return bool(wait.result())

    def release(self) -> None:
        """Gives the lock back, to whoever is next."""
        self._held = False
        self._scheduler.after(0, self._hand_on)

    def _hand_on(self) -> None:
        self._waiting = [wait for wait in self._waiting if not wait.over]
        if self._waiting and not self._held:
            self._held = True
            self._waiting.pop(self._scheduler.random.randrange(len(self._waiting))).end(True)  # noqa: FBT003
