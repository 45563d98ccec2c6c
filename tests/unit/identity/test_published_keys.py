"""The issuer's keys: when they are fetched, how old they may get, and when a token is neither accepted nor rejected."""

import json
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from threading import Event, Lock, Thread
from typing import Any

import pytest

from chalicelib.identity import tokens
from chalicelib.identity.tokens import InvalidToken, KeysUnavailable, PublishedKeys, Verifier
from chalicelib.runtime.fetch import FetchFailed
from chalicelib.runtime.world import World
from tests.support.issuer import UNKNOWN_KEY, Issuer, ec_key, published, reason, rsa_key


class Clock:
    """Two clocks that stand still until a test moves them."""

    def __init__(self) -> None:
        self.monotonic_s = 0.0
        self.wall = datetime(2026, 2, 21, 14, 1, tzinfo=UTC)

    @property
    def world(self) -> World:
        return World(monotonic_s=lambda: self.monotonic_s, now=lambda: self.wall)

    def advance(self, seconds: float) -> None:
        self.monotonic_s += seconds
        self.advance_wall(seconds)

    def advance_wall(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def verifier(provider: Issuer, clock: Clock) -> Verifier:
    return Verifier(provider.settings, PublishedKeys(provider.url, clock.world))


def accepted(verifier: Verifier, token: str) -> bool:
    try:
        return verifier.caller(f"Bearer {token}").user_id == 1
    except InvalidToken:
        return False


def test_the_keys_are_fetched_once_for_many_tokens(verifier: Verifier, provider: Issuer) -> None:
    for user_id in ("1", "2", "3"):
        verifier.caller(f"Bearer {provider.token(user_id)}")

    assert provider.fetches == 1


def test_threads_that_wait_for_the_keys_share_one_fetch(verifier: Verifier, provider: Issuer) -> None:
    token = provider.token()
    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(lambda _: accepted(verifier, token), range(8)))

    assert provider.fetches == 1


@pytest.fixture
def all_wait(monkeypatch: pytest.MonkeyPatch) -> Event:
    """An event: the threads of a test, eight of them, have or await the lock of the keys."""
    all_wait = Event()
    arrivals = count(1)

    class ObservedLock:
        def __init__(self) -> None:
            self._lock = Lock()

        def __enter__(self) -> None:
            if next(arrivals) == 8:
                all_wait.set()
            self._lock.acquire()

        def __exit__(self, *_: object) -> None:
            self._lock.release()

    monkeypatch.setattr(tokens, "Lock", ObservedLock)
    return all_wait


def test_threads_that_wait_for_a_fetch_share_its_failure_and_a_later_one_fetches_anew(
    all_wait: Event, monkeypatch: pytest.MonkeyPatch, provider: Issuer
) -> None:
    """Each would wait for the issuer's time-out otherwise, one after the other."""
    fetches = 0

    def fetch(*_: object) -> bytes:
        nonlocal fetches
        fetches += 1
        assert all_wait.wait(30)
        if fetches == 1:
            raise FetchFailed("does not answer in time")
        return json.dumps({"keys": provider.keys}).encode()

    def unavailable(_: int) -> bool:
        try:
            return not accepted(verifier, token)
        except KeysUnavailable:
            return True

    monkeypatch.setattr(tokens, "fetch", fetch)
    verifier, token = Verifier(provider.settings, PublishedKeys(provider.url)), provider.token()
    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(unavailable, range(8)))

    assert fetches == 1
    assert accepted(verifier, token)
    assert fetches == 2


# A new key of the issuer's.


def test_a_new_key_is_accepted_at_once(verifier: Verifier, provider: Issuer) -> None:
    verifier.caller(f"Bearer {provider.token()}")
    provider.keys = [published(ec_key(), "new")]

    assert accepted(verifier, provider.token("1", "new", "ES256")), "in the second in which the old keys were fetched"
    assert provider.fetches == 2
    assert reason(verifier, f"Bearer {provider.token()}") == UNKNOWN_KEY


def test_invented_key_ids_cause_a_limited_number_of_fetches(verifier: Verifier, provider: Issuer, clock: Clock) -> None:
    verifier.caller(f"Bearer {provider.token()}")
    for _ in range(3):
        before = provider.fetches
        for number in range(tokens.REFETCHES):
            assert reason(verifier, f"Bearer {provider.token(key_id=f'invented-{number}')}") == UNKNOWN_KEY
        for number in range(20):
            with pytest.raises(KeysUnavailable):
                verifier.caller(f"Bearer {provider.token(key_id=f'invented-{number}')}")

        assert provider.fetches - before == tokens.REFETCHES
        assert accepted(verifier, provider.token()), "known keys stay usable"
        clock.advance(tokens.REFETCH_WINDOW_S)


def test_a_new_key_beyond_that_limit_is_not_rejected_and_is_accepted_when_the_window_ends(
    verifier: Verifier, provider: Issuer, clock: Clock
) -> None:
    """A rejection would be cached for a minute, a failure is not."""
    verifier.caller(f"Bearer {provider.token()}")
    for _ in range(tokens.REFETCHES):
        reason(verifier, f"Bearer {provider.token(key_id='invented')}")
    provider.keys.append(published(ec_key(), "new"))
    token = provider.token("1", "new", "ES256")

    with pytest.raises(KeysUnavailable):
        verifier.caller(f"Bearer {token}")
    clock.advance_wall(tokens.REFETCH_WINDOW_S)  # alone: the other clock of a frozen Lambda may stand still
    assert accepted(verifier, token)


# The age of the keys.


@pytest.mark.parametrize(("monotonic_s", "wall_s"), [(tokens.KEYS_AGE_S, 0), (0, tokens.KEYS_AGE_S), (0, -1)])
def test_keys_that_are_too_old_by_either_clock_are_fetched_again(
    verifier: Verifier, provider: Issuer, clock: Clock, monotonic_s: float, wall_s: float
) -> None:
    """A frozen Lambda's monotonic clock may stand still; a wall clock that was set back leaves the age unknown."""
    withdrawn = provider.token()
    verifier.caller(f"Bearer {withdrawn}")
    provider.keys = [published(ec_key(), "new")]

    clock.monotonic_s += monotonic_s
    clock.advance_wall(wall_s)

    assert reason(verifier, f"Bearer {withdrawn}") == UNKNOWN_KEY
    assert provider.fetches == 2


def test_keys_are_kept_until_then(verifier: Verifier, provider: Issuer, clock: Clock) -> None:
    verifier.caller(f"Bearer {provider.token()}")
    clock.advance(tokens.KEYS_AGE_S - 1)

    assert accepted(verifier, provider.token())
    assert provider.fetches == 1


# Where the keys cannot be had.


def test_while_the_issuer_is_unreachable_known_keys_stay_usable(verifier: Verifier, provider: Issuer, clock: Clock) -> None:
    verifier.caller(f"Bearer {provider.token()}")
    provider.status = 503

    assert accepted(verifier, provider.token())
    with pytest.raises(KeysUnavailable):
        verifier.caller(f"Bearer {provider.token(key_id='new')}")
    assert accepted(verifier, provider.token())
    clock.advance(tokens.KEYS_AGE_S)
    with pytest.raises(KeysUnavailable):
        verifier.caller(f"Bearer {provider.token()}")


NO_KEY_SETS = [
    *(b"", b"<html>We will be back soon</html>", b"[", b"[]", b"null", b"0", b'"keys"', b"[" * 100_000, b"\xff"),
    *(b"{}", b'{"issuer": "this is the other document"}', b'{"keys": []}', b'{"keys": {}}', b'{"keys": null}'),
    *(b'{"keys": [{}]}', b'{"keys": [null, 1, "rsa-1"]}', b'{"keys": [{"kty": "RSA", "kid": "rsa-1", "n": 1, "e": 1}]}'),
    json.dumps({"keys": [{**published(rsa_key(), "rsa-1"), "use": "enc"}]}).encode(),
    json.dumps({"keys": [{**published(rsa_key(), "rsa-1"), "kid": None}]}).encode(),
]


@pytest.mark.parametrize("body", NO_KEY_SETS, ids=lambda body: repr(body[:40]))
def test_an_answer_without_keys_rejects_no_token_and_replaces_no_keys(verifier: Verifier, provider: Issuer, body: bytes) -> None:
    provider.body = body
    with pytest.raises(KeysUnavailable):
        verifier.caller(f"Bearer {provider.token()}")

    provider.body = None
    assert accepted(verifier, provider.token())
    provider.body = body
    with pytest.raises(KeysUnavailable):
        verifier.caller(f"Bearer {provider.token(key_id='new')}")
    assert accepted(verifier, provider.token())


def test_a_key_that_cannot_be_read_leaves_the_others_usable(verifier: Verifier, provider: Issuer) -> None:
    odd: list[dict[str, Any]] = [{"n": 1}, {"alg": ["RS256"]}, {"alg": "RSA-OAEP"}, {"kty": "future"}]
    provider.keys = [*({**published(rsa_key(), "odd"), **changed} for changed in odd), *provider.keys]

    assert accepted(verifier, provider.token())


pause = Event().wait
"""Waits for so many seconds."""


def silence(_: socket.socket) -> None:
    """Takes a connection, and says nothing."""


def drip(connection: socket.socket) -> None:
    """Sends a byte whenever a time-out for the next byte would be about to end, and never the last."""
    with suppress(OSError):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while True:
            connection.sendall(b" ")
            pause(0.02)


def drip_headers(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            connection.sendall(b"X: 1\r\n")
            pause(0.05)


@pytest.mark.parametrize("behaviour", [silence, drip, drip_headers])
def test_an_issuer_is_waited_for_no_longer_than_a_total_time(
    provider: Issuer, monkeypatch: pytest.MonkeyPatch, behaviour: Callable[[socket.socket], None]
) -> None:
    monkeypatch.setattr(tokens, "FETCH_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        connections: list[socket.socket] = []

        def serve() -> None:
            connections.append(server.accept()[0])  # kept: one that is collected is closed
            behaviour(connections[0])

        Thread(target=serve, daemon=True).start()
        keys = PublishedKeys(f"http://127.0.0.1:{server.getsockname()[1]}/jwks.json")
        started_s = time.monotonic()
        with pytest.raises(KeysUnavailable, match="does not answer in time"):
            keys.key(provider.token())
        assert time.monotonic() - started_s < 3, "ten times what it may take"


def test_a_redirect_is_not_followed(verifier: Verifier, provider: Issuer) -> None:
    provider.status = 302
    with pytest.raises(KeysUnavailable):
        verifier.caller(f"Bearer {provider.token()}")
