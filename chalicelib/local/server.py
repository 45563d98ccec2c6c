"""The server of `chalice local`, with our sockets and our reading of requests.

Chalice builds its server from one class. `install` replaces that class, and nothing else of Chalice.
"""

import errno
import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from http import HTTPStatus
from socket import AF_INET6, IPPROTO_IPV6, IPV6_V6ONLY, SHUT_RDWR, SHUT_WR
from threading import current_thread, main_thread
from typing import Any, NoReturn

import chalice.local
from chalice.app import Chalice
from chalice.config import Config
from chalice.local import ChaliceRequestHandler, LocalDevServer, LocalGatewayException, ThreadedHTTPServer

from chalicelib.config import Settings
from chalicelib.contract.batch import MAX_BATCH_BODY_BYTES
from chalicelib.contract.errors import EngineError, TooLarge
from chalicelib.contract.requests import MAX_BODY_BYTES
from chalicelib.domain.record import UnsupportedForm
from chalicelib.local import authorizer as auth
from chalicelib.local import feed
from chalicelib.local.banner import banner, url_of
from chalicelib.local.datastore import DatastoreUnusable
from chalicelib.local.foreign_pages import refuse_foreign_page
from chalicelib.local.gateway import Answer, Gateway
from chalicelib.local.http import Head, read_body, read_head
from chalicelib.local.journal import JournalUnusable

POLL_S = 0.1
"""The time between two looks whether Ctrl-C was pressed."""

INTERRUPTED = 130
"""The exit status after Ctrl-C, as shells have it."""

OLDEST_GENERATION = 2
"""The generation of a full collection of garbage."""

DRAIN_READS, DRAIN_BYTES = 1024, 64 * 1024
DRAIN_TIMEOUT_S = 1


class Handler(ChaliceRequestHandler):
    """A connection. It sends each response in one piece, at once."""

    # Nagle's algorithm would wait 40 ms for the peer's delayed ACK wherever a response leaves in two pieces.
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = 75  # seconds until an idle connection is closed

    def __init__(self, *connection: Any, app_object: Chalice, config: Config, guard: Callable[[Head], None], cors: bool) -> None:
        self.local_gateway = Gateway(app_object, config)
        self._own_headers = {"Access-Control-Allow-Origin": "*"} if cors else {}
        self._guard = guard
        super(ChaliceRequestHandler, self).__init__(*connection)

    def handle_one_request(self) -> None:
        """Reads a request and sends its response. Ends the connection of a client that does not send or read in time."""
        try:
            self._exchange()
        except TimeoutError:
            self.close_connection = True
            with suppress(OSError):
                self.connection.shutdown(SHUT_RDWR)  # a part of a response may have left: the rest must not follow it later

    def _exchange(self) -> None:
        self.close_connection = True  # until the request is read to its end, nobody knows where the next one begins
        self.command, self.requestline, self.request_version = "", "", self.protocol_version  # what http.server logs
        head = None
        try:
            head = read_head(self.rfile)
            if head is not None:
                self._send(*self._response(head), head)
        except EngineError as error:
            answer = Answer(error)
            self._send(answer.CODE, self._own_headers | answer.headers, answer.body or b"", head)
            self.wfile.flush()
            if self.close_connection:
                self._drain()
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (http.server's name)
        """Writes a line of the access log, where it can be written: the request has its answer in any case."""
        if sys.stderr is not None:  # as it is where the run began without one
            with suppress(OSError):
                super().log_message(format, *args)

    def _drain(self) -> None:
        """Reads what the client is still sending: a connection closed before that may lose the answer on its way."""
        with suppress(OSError):
            self.connection.shutdown(SHUT_WR)
            self.connection.settimeout(DRAIN_TIMEOUT_S)
            for _ in range(DRAIN_READS):
                if not self.connection.recv(DRAIN_BYTES):
                    break

    def _response(self, head: Head) -> tuple[int, dict[str, Any], str | bytes]:
        self.command, self.requestline = head.method, head.line
        limit_bytes = MAX_BATCH_BODY_BYTES if head.target.partition("?")[0].endswith("/batch") else MAX_BODY_BYTES
        body = read_body(head, self.rfile, TooLarge(limit_bytes), self._go_on)
        self.close_connection = not head.keeps_connection
        try:
            self._guard(head)
            response = self.local_gateway.handle_request(head.method, head.target, head.headers, body or None)
        except LocalGatewayException as answer:
            return answer.CODE, self._own_headers | answer.headers, answer.body or b""
        response = self._handle_binary(response)
        return response["statusCode"], response["headers"] | response["multiValueHeaders"], response["body"] or b""

    def _send(self, status: int, headers: dict[str, Any], body: str | bytes, head: Head | None) -> None:
        content = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        if status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(content)))
        if self.close_connection:
            self.send_header("Connection", "close")
        elif head is not None and head.version == (1, 0):  # whose clients wait for the connection's end otherwise
            self.send_header("Connection", "keep-alive")
        self._send_headers(headers)
        if self.command != "HEAD":  # the client would read a body as the next response
            self.wfile.write(content)

    def _go_on(self) -> None:
        """Sends `100 Continue` at once: the client waits for it before it sends the body."""
        self.send_response_only(HTTPStatus.CONTINUE)
        self.end_headers()
        self.wfile.flush()


class Server(ThreadedHTTPServer):
    """A server with one thread a connection, and a backlog for a burst of connections."""

    request_queue_size = 1024
    interrupted = False

    def __init__(self, address: tuple[str, int], handler: Callable[..., Any]) -> None:
        if ":" in address[0]:
            self.address_family = AF_INET6
        super().__init__(address, handler)

    def server_bind(self) -> None:
        """Binds the socket; `::` takes connections over IPv4, too, which some systems leave out otherwise."""
        if self.address_family == AF_INET6:
            self.socket.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, 0)
        super().server_bind()

    def service_actions(self) -> None:
        """Ends the server after Ctrl-C."""
        if self.interrupted:
            raise KeyboardInterrupt

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
                settings = Settings.from_environment()
                self._feed = feed.wanted(settings, is_open=is_open)
            except (ValueError, feed.FeedUnusable) as error:
                _end(str(error))
            if is_open:
                when_open()
            guard = partial(refuse_foreign_page, settings=settings) if is_open else _let_pass
            handler = partial(Handler, guard=guard, cors=bool(settings.cors_origins))
            try:
                super().__init__(app_object, config, host, port, handler_cls=handler, server_cls=Server)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    _end(f"Cannot listen on {host}, port {port}: {error.strerror}")
                _end(f"Port {port} is in use. Choose another: make run PORT={port + 1}")
            try:
                engine = warm_up()
            except (DatastoreUnusable, JournalUnusable, UnsupportedForm) as error:
                _end(str(error))
            gc.callbacks.append(_freeze_survivors)
            port = self.server.server_address[1]
            self._url = url_of(host, port)
            print(banner(host, port, engine.settings, auth.describe(), self._feed, is_open=is_open), flush=True)

        def serve_forever(self) -> None:
            prices = feed.running(self._feed, self._url) if self._feed else nullcontext()
            with suppress(KeyboardInterrupt), prices, interrupts_kept_for(self.server):
                self.server.serve_forever(POLL_S)

    chalice.local.LocalDevServer = DevServer  # type: ignore[assignment,misc]


def _freeze_survivors(phase: str, collection: dict[str, int]) -> None:
    """Excludes what survives a full collection from the next one.

    moto's tables grow with every decision. A search through all of them stops every request, for longer each time.
    """
    if phase == "stop" and collection["generation"] == OLDEST_GENERATION:
        gc.freeze()


@contextmanager
def interrupts_kept_for(server: Server) -> Iterator[None]:
    """Lets Ctrl-C end the server. Where requests are tasks of one thread, Python would end the one that runs just then.

    A second Ctrl-C ends the process at once: a request that waits for ever, for a log that nobody reads, stops the server's loop.
    """
    if current_thread() is not main_thread() or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield  # of a test, or in the background
        return

    def interrupt(*_: object) -> None:
        if server.interrupted:
            os._exit(INTERRUPTED)
        server.interrupted = True

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _let_pass(_: Head) -> None:
    """Lets every request pass: where tokens are required, a foreign page has none."""


def _end(reason: str) -> NoReturn:
    """Ends the process. Under Chalice's reloader this is not the main thread, so an exception would leave the process hanging."""
    print(reason, file=sys.stderr, flush=True)
    os._exit(1)
