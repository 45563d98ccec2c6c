"""HTTP/1.1 as bytes: a request made once and sent as it is, a response read for no more than its status and its body."""

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
    """Returns a whole POST of JSON, as it goes through the socket."""
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


def parse(received: bytes) -> Response | None:
    """Returns the response that the bytes received on a connection make; `None` while it is not complete.

    Raises:
        ValueError: it has no Content-Length, or more came than that.
    """
    head, end, body = received.partition(_HEAD_END)
    if not end:
        return None
    length = _LENGTH.search(head)
    if length is None:
        raise ValueError(f"a response without a Content-Length: {head[:200]!r}")
    if len(body) > int(length[1]):
        raise ValueError("more came than the response's Content-Length")
    if len(body) < int(length[1]):
        return None
    return Response(int(head.split(b" ", 2)[1]), body)
