"""Tokens: whether one counts, and whose it is. The authorizer's alone: nothing else may pay for PyJWT and cryptography.

What may differ between two tokens that both count is their user and their times. Issuer, audience, keys and algorithms are
settings; nothing that a token says about itself chooses any of them, but which of the issuer's keys to check it with.
"""

import re
from collections.abc import Sequence
from typing import Any, Protocol

import jwt

from chalicelib.contract.caller import Caller
from chalicelib.contract.fields import InvalidValue, user_id_from_text
from chalicelib.identity.settings import TokenSettings

LEEWAY_S = 30
"""How far the issuer's clock may be from ours."""

MIN_SECRET_BYTES = 32
"""A shared secret shorter than HS256's output can be guessed from a single token (RFC 7518, section 3.2)."""

KEYS_AGE_S = 900
"""How long fetched keys are kept: how long one that the issuer withdrew still counts, and how long the issuer may be down."""

REFETCH_AFTER_S = 30
"""How old they must be before an unknown key id has them fetched again: anybody can make up key ids."""

FETCH_TIMEOUT_S = 3
"""Time without a sign of life. API Gateway waits longer, but whoever wants to trade does not."""

_BEARER = re.compile(r"bearer +([a-z0-9_-]+\.[a-z0-9_-]+\.[a-z0-9_-]+)", re.ASCII | re.IGNORECASE)


class InvalidToken(Exception):
    """The token does not count. The message says why, for the log; nothing in it comes out of the token."""


class KeysUnavailable(Exception):
    """The issuer's keys cannot be had: whether the token counts is unknown."""


class Keys(Protocol):
    """What tokens are checked with."""

    @property
    def algorithms(self) -> Sequence[str]:
        """With what they may have been used."""
        ...

    def key(self, token: str, /) -> Any:
        """The key for a token, as PyJWT takes it.

        Raises:
            InvalidToken: there is none for it.
            KeysUnavailable: there is no telling.
        """
        ...


class SharedSecret:
    """One secret key, with which the issuer signs and we check."""

    algorithms = ("HS256",)

    def __init__(self, secret: str) -> None:
        self._key = secret.encode()
        if len(self._key) < MIN_SECRET_BYTES:
            raise ValueError(
                f"The secret for tokens has {len(self._key)} bytes; it needs {MIN_SECRET_BYTES}: openssl rand -hex 32"
            )

    def key(self, _: str = "") -> bytes:
        """See `Keys.key`. It is the same for every token."""
        return self._key


class PublishedKeys:
    """The public keys that an issuer publishes, by key id. Fetched when first needed."""

    algorithms = ("RS256", "ES256")

    def __init__(self, url: str, refetch_after_s: float = REFETCH_AFTER_S) -> None:
        self._client = jwt.PyJWKClient(
            url,
            lifespan=KEYS_AGE_S,
            cooldown_duration=refetch_after_s,
            timeout=FETCH_TIMEOUT_S,
            headers={"Accept": "application/json"},
        )

    def key(self, token: str) -> jwt.PyJWK:
        """See `Keys.key`."""
        try:
            key_id = jwt.get_unverified_header(token)["kid"]
        except (jwt.PyJWTError, KeyError) as error:
            raise InvalidToken("it names no key") from error
        try:
            return self._client.get_signing_key(key_id)
        except (jwt.PyJWKClientConnectionError, jwt.PyJWKSetError, OSError, ValueError) as error:
            raise KeysUnavailable(f"{self._client.uri}: {error}") from error
        except jwt.PyJWKClientError as error:
            raise InvalidToken("it names a key that the issuer does not publish") from error


class Verifier:
    """Checks tokens. One for a process; its threads share what it remembers."""

    def __init__(self, settings: TokenSettings, keys: Keys) -> None:
        self._settings = settings
        self._keys = keys

    def caller(self, authorization: str) -> Caller:
        """The caller that an Authorization header speaks for.

        Raises:
            InvalidToken: it does not speak for anybody here.
            KeysUnavailable: there is no telling.
        """
        bearer = _BEARER.fullmatch(authorization)
        if bearer is None:
            raise InvalidToken("it is no bearer token")
        claims = self._claims(bearer[1])
        user_id = claims[self._settings.user_claim]
        try:
            if not isinstance(user_id, str):
                raise InvalidToken(f"its {self._settings.user_claim} is no string")
            return Caller(user_id_from_text(user_id), int(claims["exp"]) + LEEWAY_S)
        except InvalidValue as error:
            raise InvalidToken(f"its {self._settings.user_claim} is no user id") from error

    def _claims(self, token: str) -> dict[str, Any]:
        try:
            return jwt.decode(
                token,
                self._keys.key(token),
                algorithms=self._keys.algorithms,
                issuer=self._settings.issuer,
                audience=self._settings.audience,
                leeway=LEEWAY_S,
                options={"require": ["exp", self._settings.user_claim], "enforce_minimum_key_length": True},
            )
        except jwt.PyJWTError as error:
            raise InvalidToken(type(error).__name__) from error


def verifier(settings: TokenSettings) -> Verifier:
    """The verifier for these settings. Reads the shared secret, if there is one; keys to be fetched are fetched when needed.

    Raises:
        ValueError: the secret is too short.
        botocore.exceptions.ClientError, BotoCoreError: it cannot be read.
    """
    if settings.jwks_url is not None:
        return Verifier(settings, PublishedKeys(settings.jwks_url))
    return Verifier(settings, SharedSecret(shared_secret(settings)))


def shared_secret(settings: TokenSettings) -> str:
    """The secret that the settings hold or name."""
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
