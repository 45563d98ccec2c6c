"""A stub of DynamoDB in a separate process, with just enough of its protocol for the engine to trade.

It keeps records, so a repeated key is a replay. Conditions on accounts always hold, since the single engine that uses it never
has a stale account.
"""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any
from zlib import crc32

ACCOUNT = {
    "user_id": {"N": "1"},
    "v": {"N": "2"},
    "balances": {"M": {"USD": {"N": str(10**24)}, "SOL": {"N": "0"}}},
    "cost_basis": {"M": {}},
    "realized_pl": {"S": "0"},
    "sequence": {"N": "1"},
    "head": {"B": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="},
}
PRICES_USD = {"BTC": "50000", "SOL": "100", "USD": "1"}
PRICE_AT = "2026-03-01T10:00:00.000000Z"

Answer = tuple[int, dict[str, Any]]


class Records:
    """The records that were put, by idempotency key."""

    def __init__(self) -> None:
        self._items: dict[str, Any] = {}

    def answer(self, operation: str, request: dict[str, Any]) -> Answer:
        """Returns the HTTP status and the body of the answer to a request."""
        match operation:
            case "GetItem":
                return 200, {"Item": ACCOUNT} if request["TableName"].endswith("-accounts") else {}
            case "BatchGetItem":
                ((table, wanted),) = request["RequestItems"].items()
                symbols = [key["symbol"]["S"] for key in wanted["Keys"]]
                items = [
                    {"symbol": {"S": symbol}, "price_usd": {"S": PRICES_USD[symbol]}, "price_at": {"S": PRICE_AT}}
                    for symbol in symbols
                ]
                return 200, {"Responses": {table: items}, "UnprocessedKeys": {}}
            case "TransactWriteItems":
                return self._transact(request)
        raise ValueError(operation)

    def _transact(self, request: dict[str, Any]) -> Answer:
        record = request["TransactItems"][0]["Put"]["Item"]
        stored = self._items.setdefault(record["idempotency_key"]["S"], record)
        if stored is record:
            return 200, {}
        reason = {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed", "Item": stored}
        return 400, {
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "Message": "Transaction cancelled, please refer cancellation reasons for specific reasons",
            "CancellationReasons": [reason, {"Code": "None"}],
        }


def _serve(connection: socket.socket, records: Records) -> None:
    with connection, connection.makefile("rwb") as stream:
        while stream.readline():
            headers = {}
            while (line := stream.readline()) != b"\r\n":
                name, _, value = line.decode().partition(":")
                headers[name.lower()] = value.strip()
            request = json.loads(stream.read(int(headers["content-length"])))
            status, answer = records.answer(headers["x-amz-target"].partition(".")[2], request)
            body = json.dumps(answer).encode()
            # The headers are those of DynamoDB's own replies.
            stream.write(
                b"HTTP/1.1 %d -\r\nServer: Server\r\nDate: Sun, 01 Mar 2026 10:00:00 GMT\r\n"
                b"Content-Type: application/x-amz-json-1.0\r\nContent-Length: %d\r\nConnection: keep-alive\r\n"
                b"x-amzn-RequestId: 0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEF\r\nx-amz-crc32: %d\r\n\r\n"
                % (status, len(body), crc32(body))
            )
            stream.write(body)
            stream.flush()


def main() -> None:
    """Prints the stub's port, and serves until standard input ends."""
    records = Records()
    listening = socket.create_server(("127.0.0.1", 0))
    print(listening.getsockname()[1], flush=True)

    def accept() -> None:
        while True:
            connection, _ = listening.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            Thread(target=_serve, args=(connection, records), daemon=True).start()

    Thread(target=accept, daemon=True).start()
    sys.stdin.read()


@contextmanager
def running() -> Iterator[str]:
    """Runs a stub, and yields its URL."""
    command = [sys.executable, __file__]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603  (our own)
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"


if __name__ == "__main__":
    main()
