"""Minting a token. Whoever has the shared secret is the issuer; a provider's tokens come from the provider alone."""

from datetime import datetime, timedelta

import jwt

from chalicelib.identity.settings import TokenSettings
from chalicelib.identity.tokens import SharedSecret, shared_secret
from ops.failure import Failure


def mint(settings: TokenSettings, user_id: int, now: datetime, lifetime: timedelta) -> str:
    """A token for a user's account.

    Raises:
        Failure: the issuer is another.
        ValueError: the secret is too short.
        botocore.exceptions.ClientError, BotoCoreError: it cannot be read.
    """
    if settings.jwks_url is not None:
        raise Failure(f"Tokens come from {settings.issuer}, which alone has the keys to sign them")
    keys = SharedSecret(shared_secret(settings))
    (algorithm,) = keys.algorithms
    claims = {
        "iss": settings.issuer,
        "aud": settings.audience,
        settings.user_claim: str(user_id),
        "iat": now,
        "exp": now + lifetime,
    }
    return jwt.encode(claims, keys.key(), algorithm)
