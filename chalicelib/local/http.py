"""Requests of HTTP/1, read off a connection as RFC 9112 asks: what two readers could read differently is refused."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from chalicelib.contract.errors import EngineError, FieldError, TooLarge, ValidationFailed

MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 100
MAX_BLANK_LINES = 8
"""The number of empty lines before a request that are ignored. Some clients send one after a body."""

MAX_RECEIVED_BYTES = 10 * 1024 * 1024
"""API Gateway's own limit. A body up to it is read, and refused by the route; beyond it the connection ends."""

MAX_CHUNK_LINE_BYTES = 8 * 1024

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_REQUEST_LINE = re.compile(rb"(%b) ([\x21-\x7e\x80-\xff]+) HTTP/([0-9])\.([0-9])" % _TOKEN)
_NAME = re.compile(_TOKEN)
_ABSOLUTE = re.compile(r"https?://([^/?#]+)(.*)", re.IGNORECASE | re.DOTALL)
_CHUNK_SIZE = re.compile(rb"0*([0-9A-Fa-f]{1,16})[ \t]*(?:;.*)?\r?\n")
_LENGTH = re.compile(r"0*([0-9]{1,18})")


class BadRequest(ValidationFailed):
    """Bytes that are not a request of HTTP/1."""

    status = 400


class HeadTooLarge(TooLarge):
    """A request whose head is larger than any client's."""

    def __init__(self, message: str) -> None:
        EngineError.__init__(self, message)


class Headers(dict[str, str]):
    """Headers by lower-case name. `every` has all values of each, since a header may appear twice in HTTP."""

    def __init__(self) -> None:
        super().__init__()
        self.every: dict[str, list[str]] = {}

    def add(self, name: str, value: str) -> None:
        """Adds a header as it was sent."""
        self[name.lower()] = value
        self.every.setdefault(name.lower(), []).append(value)

    def listed(self, name: str) -> list[str]:
        """Returns the members of a header that is a list, in lower case."""
        members = (member.strip(" \t").lower() for value in self.every.get(name, []) for member in value.split(","))
        return [member for member in members if member]


@dataclass(frozen=True, slots=True)
class Head:
    """A request without its body. `host`: the server's name as the client wrote it, with the port; `None` from HTTP/1.0."""

    line: str
    method: str
    target: str
    version: tuple[int, int]
    host: str | None
    headers: Headers

    @property
    def keeps_connection(self) -> bool:
        """Returns whether the client will send another request on this connection."""
        wishes = self.headers.listed("connection")
        return "close" not in wishes and (self.version > (1, 0) or "keep-alive" in wishes)

    @property
    def awaits_continue(self) -> bool:
        """Returns whether the client waits for `100 Continue` before it sends the body."""
        return self.version > (1, 0) and "100-continue" in self.headers.listed("expect")


def read_head(stream: BinaryIO) -> Head | None:
    """Reads a request up to its body; returns `None` where the client has closed the connection.

    Raises:
        BadRequest, HeadTooLarge: it is not one that a server may answer.
    """
    lines = _lines(stream)
    line = next(lines, None)
    for _ in range(MAX_BLANK_LINES):
        if line != b"":
            break
        line = next(lines, None)
    if line is None:
        return None
    parts = _REQUEST_LINE.fullmatch(line)
    if parts is None:
        raise _bad("request", "does not begin with a line such as: GET /health HTTP/1.1")
    if parts[3] != b"1":
        raise _bad("request", f"is of HTTP/{parts[3].decode()}: this server takes HTTP/1.1")
    headers = _read_headers(lines)
    version = (1, int(parts[4]))
    target, host = _target(parts[2].decode("latin-1"), _host(headers, version))
    return Head(line.decode("latin-1"), parts[1].decode(), target, version, host, headers)


def read_body(head: Head, stream: BinaryIO, too_large: TooLarge, go_on: Callable[[], None]) -> bytes:
    """Reads a request's body. `too_large` is raised where it is beyond any limit; `go_on` asks a client that waits for it.

    Raises:
        BadRequest: the body is not as long as announced, or it is announced in two ways.
        TooLarge: see above.
    """
    codings, lengths = head.headers.listed("transfer-encoding"), head.headers.listed("content-length")
    if codings or "transfer-encoding" in head.headers:
        if lengths:
            raise _bad("Content-Length", "cannot be combined with Transfer-Encoding")
        if codings != ["chunked"] or head.version == (1, 0):
            raise _bad("Transfer-Encoding", "can only be chunked, in HTTP/1.1")
        if head.awaits_continue:
            go_on()
        return b"".join(_chunks(stream, too_large))
    if "content-length" not in head.headers:
        return b""
    if len(set(lengths)) != 1 or not (lengths[0].isascii() and lengths[0].isdigit()):
        raise _bad("Content-Length", "must be one number of bytes")
    length = _LENGTH.fullmatch(lengths[0])
    if length is None or int(length[1]) > MAX_RECEIVED_BYTES:
        raise too_large
    if head.awaits_continue and int(length[1]):
        go_on()
    return _exactly(stream, int(length[1]))


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """Yields the lines of a head without their ends.

    Raises:
        BadRequest, HeadTooLarge: a line has no end, or contains what no line may; all lines together are too long.
    """
    left = MAX_HEAD_BYTES
    while line := stream.readline(left + 1):
        left -= len(line)
        if left < 0:
            raise HeadTooLarge(f"The request line and the headers are larger than {MAX_HEAD_BYTES} bytes")
        if not line.endswith(b"\n"):
            raise _bad("request", "ends before its headers do")
        content = line[:-1].removesuffix(b"\r")
        if b"\r" in content or b"\0" in content:
            raise _bad("request", "has a control character in its first line or a header")
        yield content


def _read_headers(lines: Iterator[bytes]) -> Headers:
    headers = Headers()
    for count, line in enumerate(lines):
        if not line:
            return headers
        if count == MAX_HEADERS:
            raise HeadTooLarge(f"The request has more than {MAX_HEADERS} headers")
        name, colon, value = line.partition(b":")
        if not colon or not _NAME.fullmatch(name):
            raise _bad("request", "has a line among its headers that is not `Name: value`, without a space before the colon")
        headers.add(name.decode(), value.strip(b" \t").decode("latin-1"))
    raise _bad("request", "ends before its headers do")


def _host(headers: Headers, version: tuple[int, int]) -> str | None:
    hosts = headers.every.get("host", [])
    if len(hosts) > 1 or (not hosts and version > (1, 0)):
        raise _bad("Host", "is required, once")
    return hosts[0] if hosts else None


def _target(target: str, host: str | None) -> tuple[str, str | None]:
    """Returns the path, with the query, and the host: a target with a host in it, as for a proxy, overrides the header."""
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is not None:
        target, host = absolute[2], absolute[1]
    elif target[0] not in "/*":
        raise _bad("request", "is not for a path that begins with /")
    return "/" + target.lstrip("/"), host


def _chunks(stream: BinaryIO, too_large: TooLarge) -> Iterator[bytes]:
    """Yields the chunks of a body. Trailers are read and ignored."""
    length = 0
    while size := _chunk_size(stream):
        length += size
        if length > MAX_RECEIVED_BYTES:
            raise too_large
        yield _exactly(stream, size)
        if stream.readline(2) not in (b"\r\n", b"\n"):
            raise _bad("body", "is not in chunks as announced")
    for trailer in _lines(stream):
        if not trailer:
            return
    raise _bad("body", "ends before it is complete")


def _chunk_size(stream: BinaryIO) -> int:
    size = _CHUNK_SIZE.fullmatch(stream.readline(MAX_CHUNK_LINE_BYTES))
    if size is None:
        raise _bad("body", "is not in chunks as announced")
    return int(size[1], 16)


def _exactly(stream: BinaryIO, length: int) -> bytes:
    content = stream.read(length)
    if len(content) < length:
        raise _bad("body", f"is shorter than announced: {len(content)} of {length} bytes")
    return content


def _bad(field: str, message: str) -> BadRequest:
    return BadRequest(FieldError(field, message))
