"""Token verification. Only the authorizer imports this module, since PyJWT and cryptography are slow to import.

Issuer, audience, keys and algorithms are settings. A token chooses none of them; it only names which of the issuer's keys signed
it. Two valid tokens can differ in their user and their times.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, Protocol

import jwt

from chalicelib.contract.caller import Caller
from chalicelib.contract.fields import InvalidValue, user_id_from_text
from chalicelib.identity.settings import TokenSettings
from chalicelib.runtime.fetch import FetchFailed, fetch
from chalicelib.runtime.sockets import TimeLeft
from chalicelib.runtime.world import Moment, World

LEEWAY_S = 30
"""The accepted difference between the issuer's clock and ours."""

MIN_SECRET_BYTES = 32
"""A shared secret shorter than HS256's output can be guessed from a single token (RFC 7518, section 3.2)."""

KEYS_AGE_S = 900
"""The time for which fetched keys are kept: a withdrawn key stays valid this long, and the issuer may be down this long."""

REFETCHES = 5
"""The number of times that unknown key ids may cause the keys to be fetched again, within `REFETCH_WINDOW_S`."""

REFETCH_WINDOW_S = 30
"""The period of that limit. Anybody can invent key ids, and they must not turn every request into one to the issuer."""

FETCH_S = 3.0
"""The time to fetch the keys, to the last byte. API Gateway would wait longer, but a trading client would not."""

MAX_KEYS_BYTES = 256 * 1024
"""The largest answer of an issuer. Those of large providers have some 30 KB."""

_BEARER = re.compile(r"bearer +([a-z0-9_-]+\.[a-z0-9_-]+\.[a-z0-9_-]+)", re.ASCII | re.IGNORECASE)


class InvalidToken(Exception):
    """An invalid token. The message gives the reason, for the log and the client, and contains nothing from the token."""


class KeysUnavailable(Exception):
    """A failure to get the issuer's keys: the token can be neither accepted nor rejected."""


class Keys(Protocol):
    """The keys that tokens are checked with."""

    @property
    def algorithms(self) -> Sequence[str]:
        """The signature algorithms accepted for these keys."""
        ...

    def key(self, token: str, /) -> Any:
        """Returns the key for a token, as PyJWT takes it.

        Raises:
            InvalidToken: the token names no key, or an unknown one.
            KeysUnavailable: the keys cannot be read.
        """
        ...


class SharedSecret:
    """One secret key that the issuer signs with and the engine checks with."""

    algorithms = ("HS256",)

    def __init__(self, secret: str) -> None:
        self._key = secret.encode()
        if len(self._key) < MIN_SECRET_BYTES:
            raise ValueError(
                f"The secret for tokens has {len(self._key)} bytes; it needs {MIN_SECRET_BYTES}: openssl rand -hex 32"
            )

    def key(self, _: str = "") -> bytes:
        """Returns the same key for every token (see `Keys.key`)."""
        return self._key


@dataclass(frozen=True, slots=True)
class _KeySet:
    """The keys of one answer of the issuer."""

    by_id: Mapping[str, jwt.PyJWK]
    fetched_at: Moment


class PublishedKeys:
    """The public keys that an issuer publishes, by key id, fetched when first needed.

    API Gateway caches a rejection, and an issuer may start to use a key at any moment. A token that names an unknown key is
    therefore rejected only after the keys were fetched for it. The number of such fetches is limited, since anybody can invent
    key ids. Beyond the limit the token is neither accepted nor rejected: that answer is a 500, which API Gateway does not cache.
    """

    algorithms = ("RS256", "ES256")

    def __init__(self, url: str, world: World | None = None) -> None:
        self._world = world or World()
        self._url = url
        self._lock = Lock()
        self._keys: _KeySet | None = None
        self._window_from: Moment | None = None
        self._refetches = 0
        self._failures = 0

    def key(self, token: str) -> jwt.PyJWK:
        """Returns the published key that the token names (see `Keys.key`)."""
        try:
            key_id = jwt.get_unverified_header(token)["kid"]
        except (jwt.PyJWTError, KeyError) as error:
            raise InvalidToken("The token names no key") from error
        keys = self._current()
        if keys is None or key_id not in keys.by_id:
            keys = self._fetched_for(key_id, self._failures)
        if key_id not in keys.by_id:
            raise InvalidToken("The token names a key that the issuer does not publish")
        return keys.by_id[key_id]

    def _fetched_for(self, key_id: str, failures: int) -> _KeySet:
        """Returns keys that this request fetched, or another one for which it waited. `failures`: those before the wait.

        Requests that waited for a fetch share its failure. Each would wait for `FETCH_S` otherwise, one after the other.
        """
        with self._lock:
            keys = self._current()
            if keys is not None and key_id in keys.by_id:
                return keys
            if self._failures != failures:
                raise KeysUnavailable(f"{self._url}: a fetch that this request waited for failed")
            if keys is not None:
                self._count_refetch()
            try:
                keys = self._keys = self._fetch()
            except KeysUnavailable:
                self._failures += 1
                raise
            return keys

    def _current(self) -> _KeySet | None:
        """Returns the keys unless the clock that shows more makes them too old: a frozen Lambda's may stand still."""
        keys = self._keys
        return keys if keys is not None and self._world.age_s(keys.fetched_at) < KEYS_AGE_S else None

    def _count_refetch(self) -> None:
        if self._window_from is None or self._world.age_s(self._window_from) >= REFETCH_WINDOW_S:
            self._window_from, self._refetches = self._world.moment(), 0
        if self._refetches == REFETCHES:
            raise KeysUnavailable(
                f"{self._url}: tokens named unknown keys too often: {REFETCHES} fetches in {REFETCH_WINDOW_S} s"
            )
        self._refetches += 1

    def _fetch(self) -> _KeySet:
        """Fetches the keys. An answer that is not a key set is the issuer's failure, and replaces no keys."""
        fetched_at = self._world.moment()
        try:
            document = json.loads(fetch(self._url, TimeLeft(self._world, FETCH_S), MAX_KEYS_BYTES))
        except (FetchFailed, ValueError, RecursionError) as error:
            raise KeysUnavailable(f"{self._url}: {error}") from error
        published = document.get("keys") if isinstance(document, dict) else None
        keys = [_signing_key(each) for each in published] if isinstance(published, list) else []
        by_id = {key.key_id: key for key in reversed(keys) if key is not None and isinstance(key.key_id, str)}
        if not by_id:
            raise KeysUnavailable(f"{self._url}: the answer holds no key that signs")
        return _KeySet(by_id, fetched_at)


def _signing_key(published: object) -> jwt.PyJWK | None:
    """Returns a published key; `None` for a key that signs nothing or is of a kind that PyJWT cannot read."""
    if not isinstance(published, dict) or published.get("use", "sig") != "sig":
        return None
    try:
        return jwt.PyJWK(published)
    except Exception:  # noqa: BLE001  (PyJWT raises its own errors and others; the issuer's other keys stay usable)
        return None


class Verifier:
    """The process's check of tokens. Its threads share it."""

    def __init__(self, settings: TokenSettings, keys: Keys) -> None:
        self._settings = settings
        self._keys = keys

    def caller(self, authorization: str) -> Caller:
        """Returns the caller that an Authorization header identifies.

        Raises:
            InvalidToken: the header holds no valid token.
            KeysUnavailable: the keys cannot be read.
        """
        bearer = _BEARER.fullmatch(authorization)
        if bearer is None:
            raise InvalidToken("The Authorization header does not hold a bearer token")
        claims = self._claims(bearer[1])
        operator = self._is_operator(claims)
        return Caller(self._user_id(claims, operator=operator), int(claims["exp"]) + LEEWAY_S, operator=operator)

    def _claims(self, token: str) -> dict[str, Any]:
        """Returns the claims of a token that its issuer signed, for this audience and this moment."""
        settings = self._settings
        by_aud = settings.audience_claim == "aud"
        try:
            claims = jwt.decode(
                token,
                self._keys.key(token),
                algorithms=self._keys.algorithms,
                issuer=settings.issuer,
                audience=settings.audiences if by_aud else None,
                leeway=LEEWAY_S,
                options={
                    "require": ["exp", settings.audience_claim],
                    "verify_aud": by_aud,
                    "verify_sub": False,  # an integer is accepted
                    "enforce_minimum_key_length": True,
                },
            )
        except jwt.MissingRequiredClaimError as error:
            raise InvalidToken(f"The token has no {error.claim}") from error
        except jwt.PyJWTError as error:
            raise InvalidToken(_REASONS.get(type(error), "The token is malformed")) from error
        if not by_aud and claims[settings.audience_claim] not in settings.audiences:
            raise InvalidToken(_REASONS[jwt.InvalidAudienceError])
        return claims

    def _is_operator(self, claims: Mapping[str, Any]) -> bool:
        """Returns whether a claim of scopes holds the operator's, as one of a string's words or of a list's strings."""
        for name in _SCOPE_CLAIMS if self._settings.operator_scope is not None else ():
            scopes = claims.get(name)
            if self._settings.operator_scope in (scopes.split() if isinstance(scopes, str) else _listed(scopes)):
                return True
        return False

    def _user_id(self, claims: Mapping[str, Any], *, operator: bool) -> int | None:
        """Returns the account that a token names; `None` for an operator's that names none, such as a machine's."""
        name = self._settings.user_claim
        value = claims.get(name)
        try:
            if isinstance(value, str | int):
                return user_id_from_text(str(value))
        except InvalidValue:
            pass
        if operator:
            return None
        raise InvalidToken(f"The token has no {name}" if value is None else f"The token's {name} is not a user id")


_SCOPE_CLAIMS = ("scope", "scp", "permissions")
"""The claims in which providers list what a token is for."""

_REASONS: Mapping[type[jwt.PyJWTError], str] = {
    jwt.ExpiredSignatureError: "The token has expired",
    jwt.ImmatureSignatureError: "The token is not valid yet",
    jwt.InvalidIssuerError: "The token is from another issuer",
    jwt.InvalidAudienceError: "The token is for another audience",
    jwt.InvalidAlgorithmError: "The token is signed with an algorithm that is not accepted",
    jwt.InvalidSignatureError: "The token's signature is wrong",
}


def _listed(scopes: object) -> Sequence[object]:
    return scopes if isinstance(scopes, list) else ()


def verifier(settings: TokenSettings) -> Verifier:
    """Returns the verifier for these settings. A shared secret is read now; published keys are fetched when first needed.

    Raises:
        ValueError: the secret is too short.
        botocore.exceptions.ClientError, BotoCoreError: the secret cannot be read.
    """
    if settings.jwks_url is not None:
        return Verifier(settings, PublishedKeys(settings.jwks_url))
    return Verifier(settings, SharedSecret(shared_secret(settings)))


def shared_secret(settings: TokenSettings) -> str:
    """Returns the secret that the settings contain or name."""
    if settings.secret is not None:
        return settings.secret
    assert settings.secret_arn is not None, "TokenSettings.from_environment lets nothing else through"
    import botocore.config
    import botocore.session

    _, _, service, region, *_ = settings.secret_arn.split(":")
    timeouts = botocore.config.Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 3})
    client = botocore.session.get_session().create_client(service, region_name=region, config=timeouts)
    if service == "ssm":
        stored = client.get_parameter(Name=settings.secret_arn, WithDecryption=True)["Parameter"]["Value"]
    else:
        stored = client.get_secret_value(SecretId=settings.secret_arn)["SecretString"]
    return str(stored)
