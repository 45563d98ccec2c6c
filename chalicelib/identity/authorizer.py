"""The authorizer: the Lambda function that API Gateway calls to identify the caller, before it passes a request on.

The authorizer is a separate module so that its function starts without the engine, and the engine without PyJWT and cryptography.

API Gateway caches the answer by token and uses it for every route, so the answer allows all of them. It identifies the caller;
the routes decide which accounts the caller may use. An invalid token is allowed no route: API Gateway returns ACCESS_DENIED, and
the template turns that into the contract's 401; a local run adds the reason. Where the token cannot be checked (unreachable keys,
a broken configuration), the function fails with a 500, which API Gateway does not cache and an alarm reports.
"""

import os
from functools import cache
from typing import TYPE_CHECKING

from chalice.app import AuthRequest, AuthResponse, Blueprint

from chalicelib.identity.settings import TokenSettings
from chalicelib.telemetry import log

if TYPE_CHECKING:
    from chalicelib.identity.tokens import Verifier

ANSWER_AGE_S = 60
"""The time for which API Gateway caches an answer. An expired token is refused all the same (see `read_caller`); a token signed
with a withdrawn key may be accepted for this much longer.
"""

log.configure()
blueprint = Blueprint(__name__)


@cache
def verifier() -> "Verifier | None":
    """Returns the process's verifier; `None` where no issuer is configured, and then no token is valid.

    Raises:
        ValueError: the configuration is broken.
    """
    settings = TokenSettings.from_environment()
    if settings is None:
        return None
    from chalicelib.identity import tokens

    return tokens.verifier(settings)


@blueprint.authorizer(ttl_seconds=ANSWER_AGE_S)
def authorizer(request: AuthRequest) -> AuthResponse:
    """Allows every route to the holder of a valid token, and no route to other callers."""
    token_verifier = verifier()
    if token_verifier is None:
        return _nobody("No issuer of tokens is configured")
    from chalicelib.identity.tokens import InvalidToken

    try:
        caller = token_verifier.caller(request.token)
    except InvalidToken as invalid:
        return _nobody(str(invalid))
    principal = "operator" if caller.user_id is None else str(caller.user_id)
    return AuthResponse(routes=["*"], principal_id=principal, context=caller.context())


def _nobody(reason: str) -> AuthResponse:
    log.info("unauthenticated", reason=reason)
    return AuthResponse(routes=[], principal_id="nobody", context={"reason": reason})


if os.environ.get("_HANDLER", "").startswith(f"{__name__}."):
    verifier()  # in the init phase, which has a full CPU at any memory size
