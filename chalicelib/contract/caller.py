"""The caller of a request, as the authorizer identified it, and the check of the accounts that it may use.

The authorizer and the engine are separate functions. API Gateway carries the caller from one to the other in the request's
context, which no client can write.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from chalicelib.contract.errors import Forbidden, Unauthenticated
from chalicelib.contract.fields import InvalidValue, user_id_from_text


class Caller(NamedTuple):
    """The holder of a valid token."""

    user_id: int | None
    """The user whose account the token is for; `None` for an operator's token that names no account."""

    expires_at_s: int
    """The end of the token's validity, leeway included, in seconds since 1970."""

    operator: bool = False
    """True for a token with the operator's scope."""

    def require(self, user_id: int) -> None:
        """Checks that the caller may use an account. Each request checks every account that it names.

        Raises:
            Forbidden: the account is another user's.
        """
        if user_id != self.user_id:
            raise Forbidden

    def require_reader(self, user_id: int) -> None:
        """Checks that the caller may read an account and void its orders: it is the caller's own, or the caller is an operator.

        Raises:
            Forbidden: the account is another user's.
        """
        if not self.operator:
            self.require(user_id)

    def require_operator(self) -> None:
        """Checks that the caller is an operator.

        Raises:
            Forbidden: the token lacks the operator's scope.
        """
        if not self.operator:
            raise Forbidden("This route needs a token with the operator's scope")

    def context(self) -> dict[str, str]:
        """Returns the caller as the authorizer's context. API Gateway turns every value into a string.

        A user id or an operator's scope that the caller does not have is left out.
        """
        context = {"expires_at_s": str(self.expires_at_s)}
        if self.user_id is not None:
            context["user_id"] = str(self.user_id)
        if self.operator:
            context["operator"] = "true"
        return context


def read_caller(request_context: Mapping[str, Any], now: datetime) -> Caller:
    """Returns the caller of a request, as its authorizer passed it on.

    The expiry is checked again, since API Gateway caches the authorizer's answer and an expired token must not be accepted.

    Raises:
        Unauthenticated: no authorizer accepted this request, or the token has expired.
    """
    found = request_context.get("authorizer") or {}
    user_id, expires_at_s, operator = (found.get(name) for name in ("user_id", "expires_at_s", "operator"))
    if operator not in (None, "true") or (user_id is None and operator is None):
        raise Unauthenticated
    if not isinstance(expires_at_s, str) or not _SECONDS.fullmatch(expires_at_s):
        raise Unauthenticated
    try:
        caller = Caller(None if user_id is None else user_id_from_text(user_id), int(expires_at_s), operator=operator is not None)
    except (InvalidValue, TypeError):
        raise Unauthenticated from None
    if now.timestamp() >= caller.expires_at_s:
        raise Unauthenticated("The token has expired")
    return caller


_SECONDS = re.compile(r"[0-9]{1,15}")
