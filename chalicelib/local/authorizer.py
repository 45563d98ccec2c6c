"""The door of a local run: open, unless tokens are configured, or what is traded with is not this machine's own.

              when                                  a request without a token        a request with one
    ──────    ──────────────────────────────────    ─────────────────────────────    ────────────────────────────────
    open      the datastore is on this machine,     is let in, for whichever         is refused: nobody can check it
              and no HFT_TOKEN_* is set             account it asks for
    closed    otherwise                             is refused, as when deployed     is checked, as when deployed

All of the openness is here: the application is the deployed one, and sees callers that an authorizer has let in.
"""

from datetime import timedelta
from functools import cache
from typing import Any

from chalice.local import ForbiddenError, LocalGatewayAuthorizer, NotAuthorizedError

from chalicelib.config import Settings
from chalicelib.contract.batch import MAX_BATCH_BODY_BYTES
from chalicelib.contract.caller import Caller
from chalicelib.contract.errors import EngineError, InternalError, Unauthenticated
from chalicelib.contract.fields import USER_ID, InvalidValue
from chalicelib.contract.requests import parse_object, read_user_id
from chalicelib.identity.authorizer import verifier
from chalicelib.local.datastore import is_own
from chalicelib.runtime.world import utc_now
from chalicelib.telemetry import log

ANYBODY = 1
"""Who asks for no account in particular."""

VISIT = timedelta(minutes=1)


@cache
def is_open() -> bool:
    """Whether requests without a token are let in.

    Raises:
        ValueError: what is configured is broken.
    """
    return verifier() is None and is_own(Settings.from_environment())


def describe() -> str:
    """What the door is, in a line for whoever starts the run."""
    if is_open():
        return "open: a request without a token may trade for any account. HFT_TOKEN_SECRET or HFT_TOKEN_JWKS_URL closes it"
    if verifier() is None:
        return (
            "closed, and to everybody: what is traded with is not this machine's own, and no HFT_TOKEN_* says whose tokens count"
        )
    return "closed: a request needs a token, and asks for that token's account. For a shared secret: make token USER=1"


class Door(LocalGatewayAuthorizer):
    """API Gateway's side of the authorizer. Where API Gateway would answer by itself, the contract's error is raised."""

    def authorize(self, raw_path: str, lambda_event: dict[str, Any], lambda_context: Any) -> tuple[dict[str, Any], Any]:
        """Lets a request in, with its caller in its context.

        Raises:
            Unauthenticated: it has no token that counts.
            InternalError: the authorizer failed.
        """
        if is_open() and "authorization" not in lambda_event["headers"]:
            visitor = Caller(_account_asked_for(lambda_event), int((utc_now() + VISIT).timestamp()))
            lambda_event["requestContext"]["authorizer"] = visitor.context()
            return lambda_event, lambda_context
        try:
            return super().authorize(raw_path, lambda_event, lambda_context)
        except (NotAuthorizedError, ForbiddenError):
            raise Unauthenticated from None
        except Exception as error:  # noqa: BLE001  (a gateway does not fall over with its authorizer)
            log.bug(error, request_id=lambda_context.aws_request_id)
            raise InternalError from None


def _account_asked_for(event: dict[str, Any]) -> int:
    """Read as the routes read it. Where they could not, it is for them to say so: to anybody."""
    path = event["pathParameters"]
    try:
        if "user_id" in path:
            return read_user_id(path["user_id"])
        user_id: int = USER_ID.read(parse_object(event["body"] or b"", MAX_BATCH_BODY_BYTES).get("user_id"))
    except (EngineError, InvalidValue):
        return ANYBODY
    return user_id
