"""HTTP/1.1 as bytes: requests are made once and sent as they are; of a response only status and body are read."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

_HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Response:
    """A response. `body`: its bytes, unread."""

    status: int
    body: bytes

    def json(self) -> Any:
        """Returns the body's content."""
        return json.loads(self.body)


def post(url: str, body: object, headers: Mapping[str, str] | None = None) -> bytes:
    """Returns a whole POST of JSON, as the bytes to send."""
    parts = urlsplit(url)
    content = json.dumps(body).encode()
    lines = [
        f"POST {parts.path} HTTP/1.1",
        f"Host: {parts.netloc}",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
        *(f"{name}: {value}" for name, value in (headers or {}).items()),
    ]
    return "\r\n".join(lines).encode() + _HEAD_END + content


def get(url: str) -> bytes:
    """Returns a whole GET, as the bytes to send."""
    parts = urlsplit(url)
    return f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}".encode() + _HEAD_END


def parse(received: bytes) -> Response | None:
    """Returns the response in the bytes received on a connection; `None` while it is not complete.

    Raises:
        ValueError: the response has no Content-Length, or is longer.
    """
    head, end, body = received.partition(_HEAD_END)
    if not end:
        return None
    length = _LENGTH.search(head)
    if length is None:
        raise ValueError(f"a response without a Content-Length: {head[:200]!r}")
    if len(body) > int(length[1]):
        raise ValueError("a response longer than its Content-Length")
    if len(body) < int(length[1]):
        return None
    return Response(int(head.split(b" ", 2)[1]), body)
