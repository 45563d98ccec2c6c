"""A call to DynamoDB: the bytes that are sent, the end that each call has, and the connections that are kept."""

import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from threading import Event, Thread
from typing import Any, BinaryIO

import botocore.session
import pytest
from botocore.serialize import create_serializer

from chalicelib.config import Settings
from chalicelib.runtime.deadline import Deadline
from chalicelib.runtime.world import World
from chalicelib.store import transport
from chalicelib.store.connection import DynamoDB, Unanswered, read_items
from chalicelib.store.history import History
from chalicelib.store.ledger import Ledger, Unused
from chalicelib.store.prices import PriceBook
from chalicelib.store.tables import Tables, account_key, asset_key
from tests.unit.store.test_ledger import NOBODY, SEEN, decided, filled, sold, transferred

CONNECT_MS, READ_MS = 300, 200
SETTINGS = Settings(connect_timeout_ms=CONNECT_MS, read_timeout_ms=READ_MS)
MARGIN_S = 0.4
"""For a busy machine. What never ends, or drips for seconds, is far beyond it."""

DRIP_S = 0.05
REQUEST = {"TableName": "hft-local-accounts", "Key": account_key(1)}

Answer = Callable[[socket.socket], None]
"""Answers one request; `ConnectionError` ends the connection."""


def replying(body: bytes = b"{}", headers: str = "") -> Answer:
    head = f"HTTP/1.1 200 OK\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode()
    return lambda connection: connection.sendall(head + body)


@dataclass
class Server:
    """A datastore on loopback. `answers`: one for each request; the last one stays."""

    answers: list[Answer]
    tls: ssl.SSLContext | None = None
    heads: list[list[str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    connections: int = 0
    closed: Event = field(default_factory=Event)
    """Set when the client has closed a connection, or this server has."""

    def __post_init__(self) -> None:
        self._ended = Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        Thread(target=self._accept, daemon=True).start()

    @property
    def settings(self) -> Settings:
        return replace(SETTINGS, datastore_endpoint=f"http{'s' if self.tls else ''}://localhost:{self.port}")

    def close(self) -> None:
        self._ended.set()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                if self.tls is not None:
                    connection = self.tls.wrap_socket(connection, server_side=True)
                stream = connection.makefile("rb")
                while self._read_request(stream):
                    (self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])(connection)
            except OSError:
                pass
            connection.close()
        self.closed.set()

    def _read_request(self, stream: BinaryIO) -> bool:
        head: list[str] = []
        while (line := stream.readline()) not in (b"", b"\r\n"):
            head.append(line.decode().rstrip())
        if not head:
            return False
        self.heads.append(head)
        self.bodies.append(stream.read(int(header(head, "content-length"))))
        return True


def header(head: list[str], name: str) -> str:
    (value,) = [line.partition(":")[2].strip() for line in head[1:] if line.lower().startswith(f"{name}:")]
    return value


@contextmanager
def serving(*answers: Answer, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    server = Server(list(answers), tls)
    try:
        yield server
    finally:
        server.close()


@dataclass
class Clocks:
    """A wall clock that a test sets; the monotonic one stands still, as in a frozen Lambda."""

    wall: datetime = datetime(2026, 3, 1, tzinfo=UTC)

    def world(self) -> World:
        return World(monotonic_s=lambda: 0.0, now=lambda: self.wall)


# The end of a call


def drip(head: bytes) -> Answer:
    """Answers a byte at a time, each well within a socket's time-out, for ten times as long as a call may take."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(head)
        for _ in range(int(10 * READ_MS / 1000 / DRIP_S)):
            Event().wait(DRIP_S)
            connection.sendall(b" ")
        raise ConnectionError

    return answer


def stall(said: bytes = b"") -> Answer:
    """Says that much, and then nothing until the client gives up."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(said)
        connection.recv(1)

    return answer


@pytest.mark.parametrize(
    "answer",
    [
        drip(b""),
        drip(b"HTTP/1.1 200 OK\r\nX-Long: "),
        drip(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"),
        drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9"),
        stall(),
        stall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"),
        stall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{"),
        stall(b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["drips", "drips a head", "drips a body", "drips a chunk", "says nothing", "sends a head", "half a body", "continue"],
)
def test_a_call_ends_in_its_time_whatever_the_host_does(answer: Answer) -> None:
    with serving(answer) as server:
        datastore = DynamoDB(server.settings)
        started_s = time.monotonic()
        with pytest.raises(Unanswered):
            datastore.call("GetItem", REQUEST)
        assert time.monotonic() - started_s < READ_MS / 1000 + MARGIN_S
        assert server.closed.wait(1), "its connection is not used again"


def test_a_tls_handshake_is_part_of_the_time_to_connect() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = replace(SETTINGS, datastore_endpoint=f"https://localhost:{silent.getsockname()[1]}")
        datastore = DynamoDB(settings)
        started_s = time.monotonic()
        with pytest.raises(Unanswered):
            datastore.call("GetItem", REQUEST)
        assert time.monotonic() - started_s < CONNECT_MS / 1000 + MARGIN_S


@contextmanager
def full_host() -> Iterator[tuple[str, int]]:
    """The address of a host that takes no further connection: one that is begun hangs."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.settimeout(0)
            each.connect_ex(address)
        yield address
        for each in waiting:
            each.close()


def resolving_to(*addresses: tuple[str, int]) -> Callable[..., list[Any]]:
    return lambda *_args, **_kwargs: [(socket.AF_INET, socket.SOCK_STREAM, 0, "", address) for address in addresses]


def test_all_addresses_of_a_host_share_the_time_to_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    with full_host() as dead:
        datastore = DynamoDB(replace(SETTINGS, datastore_endpoint="http://localhost:1"))
        monkeypatch.setattr(socket, "getaddrinfo", resolving_to(dead, dead, dead))
        started_s = time.monotonic()
        with pytest.raises(Unanswered):
            datastore.call("GetItem", REQUEST)
        assert time.monotonic() - started_s < CONNECT_MS / 1000 + MARGIN_S


def test_an_address_that_hangs_leaves_the_next_one_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with full_host() as dead, serving(replying()) as server:
        datastore = DynamoDB(server.settings)
        monkeypatch.setattr(socket, "getaddrinfo", resolving_to(dead, ("127.0.0.1", server.port)))
        assert datastore.call("GetItem", REQUEST)["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_a_call_s_longest_time_is_that_to_connect_and_that_to_be_answered() -> None:
    assert SETTINGS.call_worst_ms == CONNECT_MS + READ_MS


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"gibberish\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 101 + b"\r\n",
    ],
    ids=["nothing", "not HTTP", "half a body", "too many headers"],
)
def test_a_host_that_hangs_up_or_speaks_no_http_leaves_the_call_unanswered(said: bytes) -> None:
    def answer(connection: socket.socket) -> None:
        connection.sendall(said)
        raise ConnectionError

    with serving(answer) as server, pytest.raises(Unanswered):
        DynamoDB(server.settings).call("GetItem", REQUEST)


def test_nobody_there_is_no_answer_either() -> None:
    with serving(replying()) as server:
        pass
    with pytest.raises(Unanswered):
        DynamoDB(server.settings).call("GetItem", REQUEST)


# Connections


def test_a_connection_is_used_again() -> None:
    with serving(replying()) as server:
        datastore = DynamoDB(server.settings)
        for _ in range(3):
            datastore.call("GetItem", REQUEST)
        assert (server.connections, len(server.heads)) == (1, 3)


def test_a_reply_in_chunks_is_read_whole() -> None:
    chunks = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{"Item":\r\n3\r\n{}}\r\n0\r\n\r\n'
    with serving(lambda connection: connection.sendall(chunks), replying()) as server:
        datastore = DynamoDB(server.settings)
        assert datastore.call("GetItem", REQUEST)["Item"] == {}
        datastore.call("GetItem", REQUEST)
        assert server.connections == 1


@pytest.mark.parametrize(
    ("moved", "reconnects"),
    [
        (timedelta(seconds=transport.MAX_IDLE_S), False),
        (timedelta(seconds=transport.MAX_IDLE_S + 1), True),
        (timedelta(hours=2), True),
        (timedelta(seconds=-1), True),
    ],
    ids=["idle for a while", "idle for long", "frozen for hours", "the wall clock was set back"],
)
def test_a_connection_idle_for_long_by_the_wall_clock_is_closed_before_use(moved: timedelta, reconnects: bool) -> None:  # noqa: FBT001
    clocks = Clocks()
    with serving(replying()) as server:
        datastore = DynamoDB(server.settings, clocks.world())
        datastore.call("GetItem", REQUEST)
        clocks.wall += moved
        datastore.call("GetItem", REQUEST)
        assert server.connections == 1 + reconnects
        if reconnects:
            assert server.closed.wait(1)


def test_a_connection_that_the_host_has_closed_costs_no_attempt() -> None:
    def answer_and_close(connection: socket.socket) -> None:
        replying()(connection)
        raise ConnectionError

    with serving(answer_and_close, replying()) as server:
        datastore = DynamoDB(server.settings)
        datastore.call("GetItem", REQUEST)
        assert server.closed.wait(1)
        datastore.call("GetItem", REQUEST)
        assert server.connections == 2


def test_a_host_that_announces_its_end_is_not_asked_again_on_that_connection() -> None:
    with serving(replying(headers="Connection: close\r\n"), replying()) as server:
        datastore = DynamoDB(server.settings)
        datastore.call("GetItem", REQUEST)
        datastore.call("GetItem", REQUEST)
        assert server.connections == 2


def test_no_more_connections_are_kept_than_are_useful(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MAX_KEPT", 0)
    with serving(replying()) as server:
        datastore = DynamoDB(server.settings)
        datastore.call("GetItem", REQUEST)
        assert server.closed.wait(1)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificate, with its key, of a host called localhost."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(signed.public_bytes(pem) + private)
    return path


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_a_host_is_trusted_by_the_sdk_s_own_setting(
    tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    with serving(replying(), tls=tls) as server:
        datastore = DynamoDB(server.settings)
        datastore.call("GetItem", REQUEST)
        datastore.call("GetItem", REQUEST)
        assert (server.connections, len(server.heads)) == (1, 2)


def test_an_unknown_certificate_is_not_trusted(tls: ssl.SSLContext) -> None:
    with serving(replying(), tls=tls) as server:
        with pytest.raises(Unanswered):
            DynamoDB(server.settings).call("GetItem", REQUEST)
        assert server.heads == []


def test_a_proxy_is_left_to_the_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(replying()) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        DynamoDB(replace(SETTINGS, datastore_endpoint="http://datastore.test")).call("GetItem", REQUEST)
        assert proxy.heads[0][0] == "POST http://datastore.test/ HTTP/1.1"


# What is sent


def test_the_head_is_what_was_signed() -> None:
    with serving(replying()) as server:
        DynamoDB(server.settings).call("GetItem", REQUEST)
        (head,) = server.heads
        assert head[0] == "POST / HTTP/1.1"
        assert header(head, "host") == f"localhost:{server.port}"
        assert header(head, "x-amz-target") == "DynamoDB_20120810.GetItem"
        assert header(head, "content-type") == "application/x-amz-json-1.0"
        assert header(head, "accept-encoding") == "identity", "a reply is read as it comes"
        signed = header(head, "authorization").partition("SignedHeaders=")[2].partition(",")[0].split(";")
        for name in signed:
            assert header(head, name)


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("https://dynamodb.eu-west-1.amazonaws.com/", "dynamodb.eu-west-1.amazonaws.com", 443),
        ("https://dynamodb.eu-west-1.amazonaws.com:443/", "dynamodb.eu-west-1.amazonaws.com", 443),
        ("http://LocalHost:4566/", "localhost:4566", 4566),
        ("http://[::1]:8000/", "[::1]:8000", 8000),
    ],
)
def test_the_host_is_named_as_it_was_signed(url: str, host: str, port: int) -> None:
    target = transport._target(url)  # noqa: SLF001  (no such host can be had in a test)
    assert (target.host, target.port) == (host, port)


@dataclass
class Recorder:
    """A datastore that records what it is asked, and holds nothing."""

    requests: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        self.requests.append((operation, request))
        if operation == "BatchGetItem":
            return {"Responses": {}}
        return {"Items": []} if operation in {"Query", "Scan"} else {}


def requests_of_every_kind() -> list[tuple[str, dict[str, Any]]]:
    recorder, tables, deadline = Recorder(), Tables.of("hft"), Deadline(World(), 60.0, 1.0)
    ledger = Ledger(recorder, tables)
    ledger.read_account(7, deadline)
    ledger.read_records(7, ["order#a", 'order#"\\/~ <>&'], deadline)
    for seen, decisions in (
        (NOBODY, [transferred("5")]),
        (SEEN, [filled("1")]),
        (SEEN, [filled("3")]),
        (SEEN, [sold("1"), transferred("-7"), filled("0.00000001", "ETH")]),
    ):
        after, records = decided(seen, *decisions)
        ledger.commit(records, seen, after, deadline)
    ledger.commit([Unused("transfer#k")], SEEN, SEEN, deadline)
    PriceBook(recorder, tables, 1.0, World()).all_assets(deadline)
    History(recorder, tables).read(7, 1, 100, deadline)
    read_items(recorder, tables.assets, [asset_key("BTC"), asset_key("USD")], deadline)
    page = {"TableName": "hft-assets", "ExclusiveStartKey": asset_key("BTC")}
    odd = {"Put": {"TableName": "t", "Item": {"é": {"B": bytes(range(256))}, "b": {"M": {"c": {"L": [{"S": '"\\\u2028'}]}}}}}}
    return [*recorder.requests, ("Scan", page), ("TransactWriteItems", {"TransactItems": [odd]})]


@pytest.mark.parametrize(
    ("operation", "request_"),
    [pytest.param(*each, id=f"{number}-{each[0]}") for number, each in enumerate(requests_of_every_kind(), 1)],
)
def test_a_body_is_what_the_sdk_would_make_of_the_request(operation: str, request_: dict[str, Any]) -> None:
    with serving(replying()) as server:
        DynamoDB(server.settings).call(operation, request_)
        (body,) = server.bodies
    sent = json.loads(body)
    if operation == "TransactWriteItems":
        assert len(sent.pop("ClientRequestToken")) == 36
    model = botocore.session.get_session().get_service_model("dynamodb")
    serializer = create_serializer("json", include_validation=False)
    made = serializer.serialize_to_request({"ReturnConsumedCapacity": "NONE"} | request_, model.operation_model(operation))
    assert sent == json.loads(made["body"])


def test_a_request_is_left_as_it_was() -> None:
    request = {"TableName": "hft-local-accounts", "Key": account_key(1)}
    with serving(replying()) as server:
        DynamoDB(server.settings).call("GetItem", request)
    assert request == {"TableName": "hft-local-accounts", "Key": account_key(1)}


def test_a_missing_table_is_named() -> None:
    body = b'{"__type":"com.amazonaws.dynamodb.v20120810#ResourceNotFoundException","message":"Requested resource not found"}'

    def answer(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    with serving(answer) as server, pytest.raises(Exception, match="hft-local-accounts"):
        DynamoDB(server.settings).call("GetItem", REQUEST)


def test_what_is_not_in_dynamodbs_notation_is_a_bug() -> None:
    actions = [{"Put": {"TableName": "t", "Item": {"a": {"N": Decimal(1)}}}}]
    with serving(replying()) as server, pytest.raises(TypeError, match="Decimal is not in DynamoDB's notation"):
        DynamoDB(server.settings).call("TransactWriteItems", {"TransactItems": actions})
