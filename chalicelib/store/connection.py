"""One call to DynamoDB, and what its failure means.

The SDK makes one attempt a call. Trying again is the execution loop's business alone: it has the deadline, it knows whether an
answer is missing, and the idempotency key makes every repeat safe. A second retry policy underneath would only hide from it what
happened: an error after the SDK's own retry leaves open whether the first attempt committed.
"""

import os
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import urlsplit
from zlib import crc32

from botocore.config import Config
from botocore.exceptions import ChecksumError, HTTPClientError, IncompleteReadError
from botocore.exceptions import ConnectionError as NotConnected
from botocore.httpsession import create_urllib3_context, get_cert_path
from botocore.parsers import ResponseParserError
from botocore.session import Session
from botocore.utils import get_environ_proxies
from pynamodb.connection import Connection
from pynamodb.exceptions import CancellationReason, VerboseClientError

from chalicelib.config import Settings
from chalicelib.runtime.deadline import Deadline
from chalicelib.runtime.world import World
from chalicelib.store import serialization
from chalicelib.store.transport import Transport

Item = dict[str, dict[str, Any]]
"""An item in DynamoDB's own notation: ``{"user_id": {"N": "1"}}``."""

# The names differ between an error of its own and a cancellation reason.
THROTTLED_CODES = frozenset(
    {
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingError",
        "ThrottlingException",
    }
)
_NO_ANSWER = (HTTPClientError, NotConnected, IncompleteReadError, ResponseParserError, ChecksumError)
CONFLICT_CODES = frozenset({"TransactionConflict", "TransactionConflictException"})


class Throttled(Exception):
    """DynamoDB answered that it will not take this call now. Nothing happened."""


class Unanswered(Exception):
    """An answer that is missing, or does not show what happened: a write may have been made, or may be made yet."""


class Cancelled(Exception):
    """DynamoDB answered that it made no part of a transaction, and why: a reason or `None` for each action, in their order."""

    def __init__(self, reasons: list[CancellationReason | None]) -> None:
        super().__init__([reason.code if reason else None for reason in reasons])
        self.reasons = reasons


class Datastore(Protocol):
    """DynamoDB, as narrow as this engine uses it."""

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Makes one call, in one attempt.

        Raises:
            Throttled, Unanswered, Cancelled: see there. Anything else is a bug or a misconfiguration (a missing table, a missing
            permission), and trying again would not help.
        """
        ...


class DynamoDB:
    """`Datastore` over pynamodb's connection."""

    def __init__(self, settings: Settings, world: World | None = None) -> None:
        self._connection = Connection(
            region=settings.region,
            host=settings.datastore_endpoint,
            connect_timeout_seconds=settings.connect_timeout_ms / 1000,
            read_timeout_seconds=settings.read_timeout_ms / 1000,
            retry_configuration={"total_max_attempts": 1, "mode": "standard"},
            # More threads than this share an engine only in a local run, where the surplus pays for a new connection.
            max_pool_connections=64,
        )
        # What a request does not need, in a third of a million instructions each time: a user agent built anew, a compression
        # that no call of ours is large enough for, an endpoint per account.
        session = self._connection.session
        session.set_default_client_config(
            Config(user_agent="hft-trading-engine", disable_request_compression=True, account_id_endpoint_mode="disabled")
        )
        serialization.register(session)
        session.register("before-parse.dynamodb", _check_whole)
        # Where moto may be the datastore, it answers this very event. An operator's command on AWS is no Lambda and names no
        # endpoint: there too botocore sends by itself.
        if not (settings.in_process or _proxied(settings)):
            session.register("before-send.dynamodb", _transport(settings, session, world or World()).send)
        # Made here, before there are threads: making one is not thread-safe, and in Lambda the init phase has the time for it.
        _ = self._connection.client

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """See `Datastore.call`."""
        try:
            # pynamodb would ask what the call consumed; who wants to know that asks for it.
            return self._connection.dispatch(operation, {"ReturnConsumedCapacity": "NONE"} | request)
        except _NO_ANSWER as error:
            raise Unanswered(f"{operation}: {type(error).__name__}") from error
        except VerboseClientError as error:
            raise _translate(error, operation) from error


def _proxied(settings: Settings) -> bool:
    """Returns whether the environment names a proxy to the datastore: then botocore sends, and no call has an end."""
    url = settings.datastore_endpoint or f"https://dynamodb.{settings.region}.amazonaws.com"
    return urlsplit(url).scheme in get_environ_proxies(url)


def _transport(settings: Settings, session: Session, world: World) -> Transport:
    tls = None
    if not (settings.datastore_endpoint or "").startswith("http:"):
        tls = create_urllib3_context()
        trusted = session.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE")
        tls.load_verify_locations(get_cert_path(trusted or True))
    return Transport(settings.connect_timeout_ms / 1000, settings.read_timeout_ms / 1000, tls, world)


def _check_whole(response_dict: Mapping[str, Any], **_: Any) -> None:
    """Holds a reply against the checksum that DynamoDB sends along.

    The SDK compares the two only to try again. Where it may not it takes what came, and half a reply reads as one without items.
    """
    stated, body = response_dict["headers"].get("x-amz-crc32"), response_dict["body"]
    if stated is not None and int(stated) != crc32(body):
        raise ChecksumError(checksum_type="crc32", expected_checksum=stated, actual_checksum=crc32(body))


def _translate(error: VerboseClientError, operation: str) -> Exception:
    """Returns what an error that DynamoDB sent means for the caller."""
    code = error.response["Error"].get("Code", "")
    if code == "TransactionCanceledException":
        return Cancelled(error.cancellation_reasons)
    if code in THROTTLED_CODES:
        return Throttled(f"{operation}: {code}")
    answered = error.__cause__
    unknown = HTTPStatus.INTERNAL_SERVER_ERROR
    status = getattr(answered, "response", {}).get("ResponseMetadata", {}).get("HTTPStatusCode", unknown)
    # A 5xx says nothing about whether the write was made.
    if status >= unknown or code == "TransactionInProgressException":
        return Unanswered(f"{operation}: {code}")
    return error


MAX_KEYS = 100
"""BatchGetItem takes no more keys."""


def read_items(datastore: Datastore, table: str, keys: list[Item], deadline: Deadline) -> list[Item]:
    """Reads those items of a table that exist under these keys, in no particular order; each is strongly consistent by itself.

    Makes one request for up to 100 keys.

    Raises:
        Throttled, Unanswered: as `Datastore.call`. DeadlineExceeded: something was left to read.
    """
    items: list[Item] = []
    for start in range(0, len(keys), MAX_KEYS):
        wanted = {table: {"Keys": keys[start : start + MAX_KEYS], "ConsistentRead": True}}
        with deadline.call():
            answer = datastore.call("BatchGetItem", {"RequestItems": wanted})
        if answer.get("UnprocessedKeys"):
            raise Throttled("BatchGetItem left keys unprocessed")
        items.extend(answer["Responses"].get(table, []))
    return items
