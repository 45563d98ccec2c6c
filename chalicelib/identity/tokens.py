"""Token verification. Only the authorizer imports this module, since PyJWT and cryptography are slow to import.

Issuer, audience, keys and algorithms are settings. A token chooses none of them; it only names which of the issuer's keys signed
it. Two valid tokens can differ in their user and their times.
"""

import re
from collections.abc import Sequence
from typing import Any, Protocol

import jwt

from chalicelib.contract.caller import Caller
from chalicelib.contract.fields import InvalidValue, user_id_from_text
from chalicelib.identity.settings import TokenSettings

LEEWAY_S = 30
"""The accepted difference between the issuer's clock and ours."""

MIN_SECRET_BYTES = 32
"""A shared secret shorter than HS256's output can be guessed from a single token (RFC 7518, section 3.2)."""

KEYS_AGE_S = 900
"""The time for which fetched keys are kept: a withdrawn key stays valid this long, and the issuer may be down this long."""

REFETCH_AFTER_S = 30
"""The age from which an unknown key id causes the keys to be fetched again: anybody can invent key ids."""

FETCH_TIMEOUT_S = 3
"""The longest wait for the issuer's next byte. API Gateway would wait longer, but a trading client would not."""

_BEARER = re.compile(r"bearer +([a-z0-9_-]+\.[a-z0-9_-]+\.[a-z0-9_-]+)", re.ASCII | re.IGNORECASE)


class InvalidToken(Exception):
    """An invalid token. The message gives the reason for the log, and contains nothing from the token."""


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


class PublishedKeys:
    """The public keys that an issuer publishes, by key id, fetched when first needed."""

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
        """Returns the published key that the token names (see `Keys.key`)."""
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
            raise InvalidToken("it is not a bearer token")
        claims = self._claims(bearer[1])
        user_id = claims[self._settings.user_claim]
        try:
            if not isinstance(user_id, str):
                raise InvalidToken(f"its {self._settings.user_claim} is not a string")
            return Caller(user_id_from_text(user_id), int(claims["exp"]) + LEEWAY_S)
        except InvalidValue as error:
            raise InvalidToken(f"its {self._settings.user_claim} is not a user id") from error

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
