"""Who is calling: what the authorizer found out, and what follows from it for a request.

The authorizer is another function than the one that trades. What it knows of a caller travels in the request's context, where
API Gateway puts it and no client can; here it is read, and an account that is not the caller's is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chalicelib.contract.errors import Forbidden, Unauthenticated
from chalicelib.contract.fields import InvalidValue, user_id_from_text


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever holds a token that counts."""

    user_id: int
    """Whose account it is for."""

    expires_at_s: int
    """From when on it counts no more, leeway included: seconds since 1970."""

    def require(self, user_id: int) -> None:
        """To be said of each account that a request asks for.

        Raises:
            Forbidden: it is another's.
        """
        if user_id != self.user_id:
            raise Forbidden

    def context(self) -> dict[str, str]:
        """The caller, as an authorizer hands it on: API Gateway makes every value a string."""
        return {"user_id": str(self.user_id), "expires_at_s": str(self.expires_at_s)}


def read_caller(request_context: Mapping[str, Any], now: datetime) -> Caller:
    """The caller of a request, as its authorizer handed it on.

    The time is looked at again: what an authorizer said is kept for a while, and a token must not outlive itself that way.

    Raises:
        Unauthenticated: no authorizer has let this request in, or not for now.
    """
    found = request_context.get("authorizer") or {}
    try:
        caller = Caller(user_id_from_text(found["user_id"]), int(found["expires_at_s"]))
    except (KeyError, InvalidValue, ValueError):
        raise Unauthenticated from None
    if now.timestamp() >= caller.expires_at_s:
        raise Unauthenticated
    return caller
