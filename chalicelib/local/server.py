"""The server of `chalice local`, with our sockets, our reading of requests and a gateway's own errors.

Chalice builds its server from one class. `install` replaces that class, and nothing else of Chalice.
"""

import errno
import os
import re
import sys
import uuid
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any, NoReturn

import chalice.local
from chalice.app import Chalice
from chalice.config import Config
from chalice.local import ChaliceRequestHandler, LocalDevServer, LocalGateway, LocalGatewayException, ThreadedHTTPServer

from chalicelib.contract.errors import EngineError, FieldError, MethodNotAllowed, RouteNotFound, TooLarge, ValidationFailed
from chalicelib.contract.requests import MAX_BODY_BYTES
from chalicelib.domain.record import UnsupportedForm
from chalicelib.domain.timestamps import rfc3339
from chalicelib.local import authorizer as auth
from chalicelib.local.banner import banner
from chalicelib.local.datastore import DatastoreUnusable
from chalicelib.local.journal import JournalUnusable
from chalicelib.runtime.world import utc_now

MAX_LINE_BYTES = 8 * 1024
CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})(?:[ \t]*;.*)?\r?\n")
SWITCH_INTERVAL_S = 0.0005
"""The time after which a thread gives way to others, a tenth of Python's default. With many connections to one account, one
thread works while the others read and answer. This setting cuts the slowest request's wait by a third.
"""

MAX_RECEIVED_BYTES = 10 * 1024 * 1024
"""API Gateway's own limit. A body up to it is read, and refused by the route; beyond it the connection ends."""


class Headers(dict[str, str]):
    """Headers by name. `every` holds all values of each, since a header may appear twice in HTTP."""

    every: dict[str, list[str]]


class Gateway(LocalGateway):
    """Chalice's stand-in for API Gateway, with the contract's error shape for the gateway's own errors."""

    def __init__(self, app_object: Chalice, config: Config) -> None:
        super().__init__(app_object, config)
        self._authorizer = auth.LocalAuthorizer(app_object)

    def _generate_lambda_event(self, method: str, path: str, headers: Any, body: bytes | None) -> dict[str, Any]:
        try:
            event: dict[str, Any] = super()._generate_lambda_event(method, path, headers, body)
        except ValueError:
            raise Answer(RouteNotFound()) from None
        event["multiValueHeaders"] = headers.every
        return event

    def _has_user_defined_options_method(self, lambda_event: dict[str, Any]) -> bool:  # noqa: ARG002
        """Returns true, so that Chalice does not answer OPTIONS by itself, as it would for routes with CORS."""
        return True

    def handle_request(self, method: str, path: str, headers: Any, body: bytes | None) -> dict[str, Any]:
        """Returns one request's response, in the form of Lambda's proxy integration."""
        try:
            answer: dict[str, Any] = super().handle_request(method, path, headers, body)
        except EngineError as error:  # from the authorizer: the routes answer their own errors
            raise Answer(error) from None
        if answer["statusCode"] == HTTPStatus.METHOD_NOT_ALLOWED:
            raise Answer(MethodNotAllowed(), Allow=answer["headers"]["Allow"])
        return answer


class Answer(LocalGatewayException):
    """An error of the gateway's own, in the contract's shape."""

    def __init__(self, error: EngineError, status: int | None = None, **headers: str) -> None:
        super().__init__({"X-Request-Id": str(uuid.uuid4()), **error.headers, **headers}, error.body(rfc3339(utc_now())).encode())
        self.CODE = status or error.status


class Handler(ChaliceRequestHandler):
    """A connection. It sends each response in one piece, at once."""

    # Chalice writes headers and body separately: Nagle's algorithm would wait 40 ms for the peer's delayed ACK in between.
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = 75  # seconds until an idle connection is closed

    def __init__(self, request: Any, client_address: Any, server: Any, app_object: Chalice, config: Config) -> None:
        self.local_gateway = Gateway(app_object, config)
        super(ChaliceRequestHandler, self).__init__(request, client_address, server)

    def _parse_payload(self) -> tuple[Any, bytes | None]:
        headers = Headers(self.headers.items())
        headers.every = {name: self.headers.get_all(name, []) for name in self.headers}
        return headers, self._read_body()

    def _read_body(self) -> bytes | None:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self._read_chunks()
        length = self.headers.get("Content-Length", "0")
        if not (length.isascii() and length.isdigit()):
            self.close_connection = True
            raise Answer(ValidationFailed(FieldError("Content-Length", "must be a number of bytes")))
        self._bound(int(length))
        body: bytes = self.rfile.read(int(length))
        return body or None

    def _read_chunks(self) -> bytes:
        chunks: list[bytes] = []
        length = 0
        while size := self._chunk_size():
            length += size
            self._bound(length)
            chunks.append(self.rfile.read(size))
            self.rfile.readline(MAX_LINE_BYTES)
        while self.rfile.readline(MAX_LINE_BYTES).strip():
            pass  # trailers, which are ignored
        return b"".join(chunks)

    def _chunk_size(self) -> int:
        size = CHUNK_SIZE.match(self.rfile.readline(MAX_LINE_BYTES))
        if size is None:
            self.close_connection = True
            raise Answer(ValidationFailed(FieldError("body", "is not in chunks as announced")))
        return int(size[1], 16)

    def _bound(self, length: int) -> None:
        if length > MAX_RECEIVED_BYTES:
            self.close_connection = True
            raise Answer(TooLarge(MAX_BODY_BYTES))

    def _generic_handle(self) -> None:
        try:
            super()._generic_handle()
        except Answer as answer:  # from reading the body, which Chalice does not guard
            self._send_error_response(answer)

    # http.server's names.
    do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = do_OPTIONS = do_HEAD = _generic_handle  # noqa: N815

    def _send_http_response_with_body(self, code: int, headers: Any, body: Any) -> None:
        if self.close_connection:
            headers["Connection"] = "close"
        if self.command == "HEAD":  # the client would read a body as the next response
            self._send_http_response_no_body(code, headers)
        else:
            super()._send_http_response_with_body(code, headers, body)

    def handle_expect_100(self) -> bool:
        """Sends `100 Continue` at once: the client waits for it before it sends the body."""
        go_on: bool = super().handle_expect_100()
        self.wfile.flush()
        return go_on

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """Answers what http.server itself refuses: requests that are not HTTP, lines that are too long, unknown methods."""
        self.close_connection = True
        if code == HTTPStatus.NOT_IMPLEMENTED:  # the gateway names the methods that the route takes
            self._generic_handle()
            self.wfile.flush()
            return
        self.command = getattr(self, "command", None) or "GET"
        self.request_version = self.protocol_version
        reason = message or HTTPStatus(code).phrase
        if code in (HTTPStatus.REQUEST_URI_TOO_LONG, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE):
            answer = Answer(TooLarge(64 * 1024, "The request line, or a header,"))
        else:
            answer = Answer(ValidationFailed(FieldError("request", reason)))
        self._send_error_response(answer)


class Server(ThreadedHTTPServer):
    """A server with one thread a connection, and a backlog for a burst of connections."""

    request_queue_size = 1024

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Reports an error, unless the client closed the connection."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def install(warm_up: Callable[[], Any], when_open: Callable[[], None]) -> None:
    """Makes `chalice local` serve with the classes above.

    `warm_up` makes the engine ready before the first request. `when_open` adds the routes of a run that is open.

    app.py calls it under every command of Chalice, but only `chalice local` builds a server.
    """

    class DevServer(LocalDevServer):
        def __init__(self, app_object: Chalice, config: Config, host: str, port: int) -> None:
            try:
                is_open = auth.is_open()
            except ValueError as error:
                _end(str(error))
            if is_open:
                when_open()
            try:
                super().__init__(app_object, config, host, port, handler_cls=Handler, server_cls=Server)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    _end(f"Cannot listen on {host}, port {port}: {error.strerror}")
                _end(f"Port {port} is in use. Choose another: make run PORT={port + 1}")
            try:
                engine = warm_up()
            except (DatastoreUnusable, JournalUnusable, UnsupportedForm) as error:
                _end(str(error))
            sys.setswitchinterval(SWITCH_INTERVAL_S)
            print(banner(host, self.server.server_address[1], engine.settings, auth.describe(), is_open=is_open), flush=True)

        def serve_forever(self) -> None:
            with suppress(KeyboardInterrupt):  # Ctrl-C ends a local run
                self.server.serve_forever()

    chalice.local.LocalDevServer = DevServer  # type: ignore[assignment,misc]


def _end(reason: str) -> NoReturn:
    """Ends the process. Under Chalice's reloader this is not the main thread, so an exception would leave the process hanging."""
    print(reason, file=sys.stderr, flush=True)
    os._exit(1)
