"""`Client` and `AsyncClient`: the operations, over httpx. Both have the same methods, which `Operations` documents."""

import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import closing
from functools import wraps
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar

import anyio
import anyio.to_thread
import httpx

from hft_client.heads import Heads, MemoryHeads
from hft_client.journal import Journal
from hft_client.operations import Cursor, Operations
from hft_client.results import Record
from hft_client.retry import RetryPolicy
from hft_client.version import __version__
from hft_client.wire import Answer, Flow, Local, Pause, Request, Step, Unanswered, read_answer

DEFAULT_URL = "http://127.0.0.1:8000"
CONNECT_TIMEOUT_S = 5.0

Parameters = ParamSpec("Parameters")
Done = TypeVar("Done")
Http = TypeVar("Http")

WITHOUT_PROXY: dict[str, None] = {"all://127.0.0.1": None, "all://localhost": None, "all://[::1]": None}
"""An engine on this machine is reached directly, whatever proxies the environment names for the rest of the world."""

NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""The errors that httpx raises before it has written a byte of the request. After any other the engine may have received it."""


class _Connection(ABC, Generic[Http]):
    """The parts of both clients: the engine's address, the account, the token."""

    def __init__(
        self,
        url: str = DEFAULT_URL,
        user_id: int | None = None,
        *,
        token: str | Callable[[], str] | None = None,
        journal: Journal | None = None,
        heads: Heads | None = None,
        policy: RetryPolicy | None = None,
        http: Http | None = None,
    ) -> None:
        """Makes a client.

        `url`: the engine, with the stage's path where it has one. `user_id`: the account; an operator needs none. `token`: a
        bearer token, or a function that returns one for each request. `journal`: where intents are written before they are sent.
        `heads`: where `verify` keeps what it verified; by default the journal, or else this client. `policy`: deadlines. `http`:
        a client of httpx's own, for proxies and certificates; it is yours to close.

        Raises:
            ValueError: the URL is not one.
            JournalError: the journal belongs to another engine.
        """
        self.url = url.rstrip("/")
        parsed = httpx.URL(self.url)
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise ValueError(f"{url!r} is not the URL of an engine, such as {DEFAULT_URL}")
        if journal is not None:
            journal.bind(self.url)
        self.journal = journal
        self._token = token
        self._heads: Heads = heads or journal or MemoryHeads()
        self._policy = policy or RetryPolicy()
        self._owns_http = http is None
        self._http = http or self._new_http()
        self._operations = Operations(user_id, self._policy, journal, self._heads, self._run)

    def for_user(self, user_id: int) -> Self:
        """Returns a client for another account, which shares this one's connections and journal."""
        return type(self)(
            self.url,
            user_id,
            token=self._token,
            journal=self.journal,
            heads=self._heads,
            policy=self._policy,
            http=self._http,
        )

    @property
    def user_id(self) -> int:
        """The account.

        Raises:
            ValueError: the client was made without one.
        """
        return self._operations.user_id

    @abstractmethod
    def _new_http(self) -> Http: ...

    @abstractmethod
    def _run(self, flow: Flow[Any]) -> Any: ...

    def _http_request(self, request: Request) -> dict[str, Any]:
        """Returns httpx's arguments for a request.

        Raises:
            ValueError: the token cannot be one.
        """
        headers = {"Accept": "application/json", "User-Agent": f"hft-client/{__version__}"}
        token = self._token() if callable(self._token) else self._token
        if token:
            if not all("!" <= character <= "~" for character in token):
                raise ValueError("The token contains a blank, a line end or another character that no token has")
            headers["Authorization"] = f"Bearer {token}"
        if request.key is not None:
            headers["X-Idempotency-Key"] = request.key
        return {
            "method": request.method,
            "url": f"{self.url}{request.target}",
            "json": request.body,
            "headers": headers,
            "timeout": httpx.Timeout(request.timeout_s, connect=min(request.timeout_s, CONNECT_TIMEOUT_S)),
        }


def _answer(response: httpx.Response) -> Answer:
    return read_answer(response.status_code, response.headers, response.content)


def _unanswered(error: httpx.HTTPError) -> Unanswered:
    what = "the engine cannot be reached" if isinstance(error, NEVER_SENT) else "no answer arrived"
    return Unanswered(f"{what} ({type(error).__name__}: {error})", was_sent=not isinstance(error, NEVER_SENT))


def _blocking(
    flow: Callable[Concatenate[Operations, Parameters], Flow[Done]],
) -> Callable[Concatenate["Client", Parameters], Done]:
    @wraps(flow)
    def method(client: "Client", /, *arguments: Parameters.args, **named: Parameters.kwargs) -> Done:
        return client._run(flow(client._operations, *arguments, **named))  # noqa: SLF001  (a method of the client)

    return method


def _awaitable(
    flow: Callable[Concatenate[Operations, Parameters], Flow[Done]],
) -> Callable[Concatenate["AsyncClient", Parameters], Coroutine[Any, Any, Done]]:
    @wraps(flow)
    async def method(client: "AsyncClient", /, *arguments: Parameters.args, **named: Parameters.kwargs) -> Done:
        return await client._run(flow(client._operations, *arguments, **named))  # noqa: SLF001  (a method of the client)

    return method


class Client(_Connection[httpx.Client]):
    """A client that waits. Its threads may share it."""

    buy = _blocking(Operations.buy)
    sell = _blocking(Operations.sell)
    execute = _blocking(Operations.execute)
    preview = _blocking(Operations.preview)
    batch = _blocking(Operations.batch)
    order = _blocking(Operations.order)
    void = _blocking(Operations.void)
    recover = _blocking(Operations.recover)
    portfolio = _blocking(Operations.portfolio)
    page = _blocking(Operations.page)
    assets = _blocking(Operations.assets)
    candles = _blocking(Operations.candles)
    verify = _blocking(Operations.verify)
    set_prices = _blocking(Operations.set_prices)
    transfer = _blocking(Operations.transfer)
    list_asset = _blocking(Operations.list_asset)
    set_rules = _blocking(Operations.set_rules)
    halt = _blocking(Operations.halt)
    resume = _blocking(Operations.resume)

    def history(self, *, before: int | None = None, after: int | None = None, limit: int | None = None) -> Iterator[Record]:
        """Yields the account's decisions: newest first, below `before`; or with `after`, oldest first, above it.

        `after=0` begins with the first one. `limit`: the most records to yield.
        """
        cursor = Cursor(before, after, limit)
        while not cursor.is_over:
            yield from cursor.take(self.page(**cursor.paging))

    def close(self) -> None:
        """Closes the connections. The journal stays open: it is yours."""
        if self._owns_http:
            self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _new_http(self) -> httpx.Client:
        return httpx.Client(mounts=WITHOUT_PROXY)

    def _run(self, flow: Flow[Done]) -> Done:
        with closing(flow):
            outcome = None
            while True:
                try:
                    step = flow.send(outcome)
                except StopIteration as end:
                    done: Done = end.value
                    return done
                outcome = self._perform(step)

    def _perform(self, step: Step) -> Any:
        match step:
            case Request():
                try:
                    return _answer(self._http.request(**self._http_request(step)))
                except httpx.HTTPError as error:
                    return _unanswered(error)
            case Pause(seconds):
                time.sleep(seconds)
            case Local(function):
                return function()
        return None


class AsyncClient(_Connection[httpx.AsyncClient]):
    """A client for asyncio. Its tasks may share it."""

    buy = _awaitable(Operations.buy)
    sell = _awaitable(Operations.sell)
    execute = _awaitable(Operations.execute)
    preview = _awaitable(Operations.preview)
    batch = _awaitable(Operations.batch)
    order = _awaitable(Operations.order)
    void = _awaitable(Operations.void)
    recover = _awaitable(Operations.recover)
    portfolio = _awaitable(Operations.portfolio)
    page = _awaitable(Operations.page)
    assets = _awaitable(Operations.assets)
    candles = _awaitable(Operations.candles)
    verify = _awaitable(Operations.verify)
    set_prices = _awaitable(Operations.set_prices)
    transfer = _awaitable(Operations.transfer)
    list_asset = _awaitable(Operations.list_asset)
    set_rules = _awaitable(Operations.set_rules)
    halt = _awaitable(Operations.halt)
    resume = _awaitable(Operations.resume)

    async def history(
        self, *, before: int | None = None, after: int | None = None, limit: int | None = None
    ) -> AsyncIterator[Record]:
        """Yields the account's decisions: see `Client.history`."""
        cursor = Cursor(before, after, limit)
        while not cursor.is_over:
            for record in cursor.take(await self.page(**cursor.paging)):
                yield record

    async def aclose(self) -> None:
        """Closes the connections. The journal stays open: it is yours."""
        if self._owns_http:
            await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _new_http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(mounts=WITHOUT_PROXY)

    async def _run(self, flow: Flow[Done]) -> Done:
        with closing(flow):
            outcome = None
            while True:
                try:
                    step = flow.send(outcome)
                except StopIteration as end:
                    done: Done = end.value
                    return done
                outcome = await self._perform(step)

    async def _perform(self, step: Step) -> Any:
        match step:
            case Request():
                try:
                    return _answer(await self._http.request(**self._http_request(step)))
                except httpx.HTTPError as error:
                    return _unanswered(error)
            case Pause(seconds):
                await anyio.sleep(seconds)
            case Local(function):
                return await anyio.to_thread.run_sync(function)
        return None
