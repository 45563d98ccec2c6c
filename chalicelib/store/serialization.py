"""A transaction's body, written here and not by botocore.

botocore walks a request attribute by attribute, beside its model of the service. A transaction, whole items in DynamoDB's own
notation, is JSON already but for the binary values: one pass of the standard library's encoder, at a fifth of the cost. Two of
botocore's documented events do it; signing, sending and parsing stay botocore's, and so do all small requests.
"""

import json
from base64 import b64encode
from typing import Any

from botocore.session import Session

_OURS = "hft_request"
"""The name under which botocore's context of a call carries the request from the first event to the second."""


def register(session: Session) -> None:
    """Serializes the transactions of the session's future clients."""
    session.register("provide-client-params.dynamodb.TransactWriteItems", _set_aside)
    session.register("before-call.dynamodb.TransactWriteItems", _serialize)


def _set_aside(params: dict[str, Any], context: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Leaves botocore an empty request, to which it adds a `ClientRequestToken`."""
    context[_OURS] = params
    return {}


def _serialize(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    """Puts the request back, in the HTTP request that botocore made of the rest."""
    params["body"] = _encode(context[_OURS] | json.loads(params["body"])).encode("ascii")


def _base64(value: object) -> str:
    if isinstance(value, bytes):
        return b64encode(value).decode("ascii")
    raise TypeError(f"{type(value).__name__} is not in DynamoDB's notation")


_encode = json.JSONEncoder(default=_base64, separators=(",", ":"), check_circular=False).encode
