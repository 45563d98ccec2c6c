"""The authorizer: the Lambda function that API Gateway asks who is calling, before it passes a request on.

A module of its own so that its function starts without the engine, and the engine's without PyJWT and cryptography.

API Gateway keeps an answer for a while, by token, for every route that asks: so the answer opens all of them. It says who is
calling; what one may do with which account, the routes decide. A token that does not count opens none: API Gateway then answers
ACCESS_DENIED, which the template makes the contract's 401. If nobody can tell whether it counts (keys out of reach, a broken
configuration), the function fails: 500, which is not kept, and which an alarm sees.
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
"""How long API Gateway keeps an answer. It never prolongs a token's own time (see `read_caller`), but a withdrawn key's."""

log.configure()
blueprint = Blueprint(__name__)


@cache
def verifier() -> "Verifier | None":
    """The process's verifier; `None` where no issuer is configured, and then no token counts.

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
    """Opens every route to the holder of a token that counts, and none to anybody else."""
    checks = verifier()
    if checks is None:
        return _nobody("no issuer is configured")
    from chalicelib.identity.tokens import InvalidToken

    try:
        caller = checks.caller(request.token)
    except InvalidToken as refused:
        return _nobody(str(refused))
    return AuthResponse(routes=["*"], principal_id=str(caller.user_id), context=caller.context())


def _nobody(reason: str) -> AuthResponse:
    log.info("unauthenticated", reason=reason)
    return AuthResponse(routes=[], principal_id="nobody")


if os.environ.get("_HANDLER", "").startswith(f"{__name__}."):
    verifier()  # in the init phase, which has a full CPU at any memory size
