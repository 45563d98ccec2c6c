"""Clients of an engine over moto: one that waits, and one whose coroutines a thread of its own runs."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from hft_client import AsyncClient, Client, RetryPolicy
from tests.support.faulty_http import FaultyProxy, faulty_proxy
from tests.support.market import Market

PATIENT = RetryPolicy(deadline_s=30.0, attempt_timeout_s=10.0)

MakeClient = Callable[..., Client]
"""Makes a client of either kind, with the methods of `Client`."""


class Awaited:
    """An asynchronous client, used like one that waits."""

    def __init__(self, client: AsyncClient, portal: BlockingPortal) -> None:
        self._client = client
        self._portal = portal

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._client, name)
        if name == "history":
            return lambda **how: self._portal.call(_listed, value(**how))
        return partial(self._call, value) if callable(value) else value

    def for_user(self, user_id: int) -> "Awaited":
        return Awaited(self._client.for_user(user_id), self._portal)

    def wait_for(self, value: Awaitable[Any]) -> Any:
        return self._portal.call(_waited_for, value)

    def _call(self, method: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        return self._portal.call(partial(method, *arguments, **named))


def done(client: Client | Awaited, value: Any) -> Any:
    """Returns what an error's `resolve()` or `void()` returned, once it is there."""
    return client.wait_for(value) if isinstance(client, Awaited) else value


async def _waited_for(value: Awaitable[Any]) -> Any:
    return await value


async def _listed(records: AsyncIterator[Any]) -> list[Any]:
    return [record async for record in records]


@pytest.fixture(params=["sync", "async"])
def client_of(request: pytest.FixtureRequest, moto_market: Market) -> Iterator[MakeClient]:
    """What holds for one client holds for the other."""
    made: list[Any] = []
    if request.param == "sync":

        def make(user_id: int | None, **more: Any) -> Any:
            made.append(Client(**{"url": moto_market.urls[0], "user_id": user_id, "policy": PATIENT, **more}))
            return made[-1]

        yield make
        for client in made:
            client.close()
        return
    with start_blocking_portal("asyncio") as portal:

        def make_awaited(user_id: int | None, **more: Any) -> Any:
            client = AsyncClient(**{"url": moto_market.urls[0], "user_id": user_id, "policy": PATIENT, **more})
            made.append(client)
            return Awaited(client, portal)

        yield make_awaited
        for client in made:
            portal.call(client.aclose)


@pytest.fixture
def faulty(moto_market: Market) -> Iterator[FaultyProxy]:
    """A proxy in front of the engine."""
    with faulty_proxy(moto_market.urls[0]) as proxy:
        yield proxy
