"""The authorizer of a local run: open, unless tokens are configured or the datastore is not on this machine.

              when                                  a request without a token        a request with one
    ──────    ──────────────────────────────────    ─────────────────────────────    ────────────────────────────────────
    open      the datastore is on this machine,     is accepted, for whichever       is refused, since no key is set to
              and no HFT_TOKEN_* is set             account it names, as an          check it with
                                                    operator
    closed    otherwise                             is refused, as when deployed     is checked, as when deployed

Only this module knows an open run: the application is the deployed one, and receives callers from an authorizer.
"""

from base64 import b64decode
from datetime import timedelta
from functools import cache
from typing import Any

from chalice.local import LocalGatewayAuthorizer, NotAuthorizedError

from chalicelib.config import Settings
from chalicelib.contract.batch import MAX_BATCH_BODY_BYTES
from chalicelib.contract.caller import Caller
from chalicelib.contract.errors import EngineError, InternalError, Unauthenticated
from chalicelib.contract.fields import USER_ID, InvalidValue
from chalicelib.contract.requests import parse_object, read_user_id
from chalicelib.identity.authorizer import verifier
from chalicelib.runtime.world import utc_now
from chalicelib.telemetry import log

ANYBODY = 1
"""The caller of a request that names no account."""

OPEN_CALLER_LIFETIME = timedelta(minutes=1)


@cache
def is_open() -> bool:
    """Returns whether requests without a token are accepted.

    Raises:
        ValueError: the configuration is broken.
    """
    return verifier() is None and Settings.from_environment().on_this_machine


def describe() -> str:
    """Returns one line about the authorizer for the run's banner."""
    if is_open():
        return (
            "open: requests need no token and may use any account. Set HFT_TOKEN_SECRET or HFT_TOKEN_JWKS_URL to require tokens"
        )
    if verifier() is None:
        return "closed to everybody: the datastore is not on this machine, and HFT_TOKEN_* names no issuer of tokens"
    return "closed: a request needs a token and may use only that token's account. For a shared secret: make token USER=1"


class LocalAuthorizer(LocalGatewayAuthorizer):
    """The gateway's side of the authorizer. It raises the contract's error where API Gateway would answer by itself."""

    def authorize(self, raw_path: str, lambda_event: dict[str, Any], lambda_context: Any) -> tuple[dict[str, Any], Any]:
        """Accepts a request, and puts its caller into its context.

        Raises:
            Unauthenticated: the request has no valid token.
            InternalError: the authorizer failed.
        """
        if is_open() and "authorization" not in lambda_event["headers"]:
            until_s = int((utc_now() + OPEN_CALLER_LIFETIME).timestamp())
            caller = Caller(_account_asked_for(lambda_event), until_s, operator=True)
            lambda_event["requestContext"]["authorizer"] = caller.context()
            return lambda_event, lambda_context
        try:
            return super().authorize(raw_path, lambda_event, lambda_context)
        except NotAuthorizedError:
            raise Unauthenticated from None
        except Unauthenticated:
            raise
        except Exception as error:  # noqa: BLE001  (a gateway survives a failure of its authorizer)
            log.bug(error, request_id=lambda_context.aws_request_id)
            raise InternalError from None

    def _check_can_invoke_view_function(self, arn: str, auth_result: dict[str, Any]) -> bool:
        """Raises the authorizer's refusal with its reason, which Chalice's own error leaves out.

        Raises:
            Unauthenticated: the authorizer allows no route.
        """
        if not super()._check_can_invoke_view_function(arn, auth_result):
            raise Unauthenticated(auth_result["context"]["reason"])
        return True


def _account_asked_for(event: dict[str, Any]) -> int:
    """Returns the account that a request names, read as the routes read it. They report one that cannot be read."""
    path = event["pathParameters"]
    try:
        if "user_id" in path:
            return read_user_id(path["user_id"])
        body = event["body"] or b""
        if event.get("isBase64Encoded"):
            body = b64decode(body)
        user_id: int = USER_ID.read(parse_object(body, MAX_BATCH_BODY_BYTES).get("user_id"))
    except (EngineError, InvalidValue):
        return ANYBODY
    return user_id
