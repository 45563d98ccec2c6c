"""The caller of a request, as the authorizer identified it, and the check of the accounts that it may use.

The authorizer and the engine are separate functions. API Gateway carries the caller from one to the other in the request's
context, which no client can write.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chalicelib.contract.errors import Forbidden, Unauthenticated
from chalicelib.contract.fields import InvalidValue, user_id_from_text


@dataclass(frozen=True, slots=True)
class Caller:
    """The holder of a valid token."""

    user_id: int
    """The user whose account the token is for."""

    expires_at_s: int
    """The end of the token's validity, leeway included, in seconds since 1970."""

    def require(self, user_id: int) -> None:
        """Checks that the caller may use an account. Each request checks every account that it names.

        Raises:
            Forbidden: the account is another user's.
        """
        if user_id != self.user_id:
            raise Forbidden

    def context(self) -> dict[str, str]:
        """Returns the caller as the authorizer's context. API Gateway turns every value into a string."""
        return {"user_id": str(self.user_id), "expires_at_s": str(self.expires_at_s)}


def read_caller(request_context: Mapping[str, Any], now: datetime) -> Caller:
    """Returns the caller of a request, as its authorizer passed it on.

    The expiry is checked again, since API Gateway caches the authorizer's answer and an expired token must not be accepted.

    Raises:
        Unauthenticated: no authorizer accepted this request, or the token has expired.
    """
    found = request_context.get("authorizer") or {}
    try:
        caller = Caller(user_id_from_text(found["user_id"]), int(found["expires_at_s"]))
    except (KeyError, InvalidValue, ValueError):
        raise Unauthenticated from None
    if now.timestamp() >= caller.expires_at_s:
        raise Unauthenticated
    return caller
