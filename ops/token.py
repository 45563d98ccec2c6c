"""Signing a token. The holder of the shared secret is the issuer; a provider's tokens come from the provider alone."""

from datetime import datetime, timedelta
from typing import Any

import jwt

from chalicelib.identity.settings import TokenSettings
from chalicelib.identity.tokens import SharedSecret, shared_secret
from ops.failure import Failure


def mint(settings: TokenSettings, user_id: int | None, now: datetime, lifetime: timedelta, *, operator: bool = False) -> str:
    """Returns a token for a user's account, for an operator, or for both.

    Raises:
        Failure: the issuer is a provider, the settings name no operator's scope, or the token would be for nobody.
        ValueError: the secret is too short.
        botocore.exceptions.ClientError, BotoCoreError: the secret cannot be read.
    """
    if user_id is None and not operator:
        raise Failure("A token is for an account, for an operator, or for both: make token USER=1, make token OPERATOR=1")
    if operator and settings.operator_scope is None:
        raise Failure(
            "No token is an operator's until HFT_TOKEN_OPERATOR_SCOPE names the scope, here and where the engine runs: "
            "hft/operator, for example"
        )
    if settings.jwks_url is not None:
        raise Failure(f"Tokens come from {settings.issuer}, which alone has the keys to sign them")
    keys = SharedSecret(shared_secret(settings))
    (algorithm,) = keys.algorithms
    claims: dict[str, Any] = {
        "iss": settings.issuer,
        settings.audience_claim: settings.audiences[0],
        "iat": now,
        "exp": now + lifetime,
    }
    if user_id is not None:
        claims[settings.user_claim] = str(user_id)
    if operator:
        claims["scope"] = settings.operator_scope
    return jwt.encode(claims, keys.key(), algorithm)
