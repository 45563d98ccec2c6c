"""A web server of price sources on loopback, each answering with given bytes, as a public ticker does or as it must not."""

import socketserver
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from threading import Event, Thread
from typing import Any

PIECE_S = 0.05
"""The pause before each byte of a reply that drips."""


class Reply:
    """The bytes of a reply. `drips`: one at a time; `stays`: the connection is left open after the last one."""

    def __init__(self, raw: bytes, *, drips: bool = False, stays: bool = False) -> None:
        self.raw = raw
        self.drips = drips
        self.stays = stays


def http(body: bytes | str, status: str = "200 OK", **headers: str | None) -> bytes:
    """Returns a reply. `headers`: with underscores; `None` leaves one of the usual two out."""
    content = body.encode() if isinstance(body, str) else body
    usual: dict[str, str | None] = {"Content_Type": "application/json; charset=utf-8", "Content_Length": str(len(content))}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in (usual | headers).items() if value is not None]
    return "\r\n".join((f"HTTP/1.1 {status}", *lines, "", "")).encode() + content


COINBASE = "/v2/prices/BTC-USD/spot"
KRAKEN = "/0/public/Ticker?pair=XBTUSD"
BINANCE = "/api/v3/ticker/price?symbol=BTCUSDT"
POINTERS = {COINBASE: "/data/amount", KRAKEN: "/result/XXBTZUSD/c/0", BINANCE: "/price"}
"""The places of the price in the public tickers' answers."""


def coinbase(amount: str) -> bytes:
    """Returns an answer as api.coinbase.com gives it."""
    return http(f'{{"data":{{"amount":"{amount}","base":"BTC","currency":"USD"}}}}')


def kraken(last: str) -> bytes:
    """Returns an answer as api.kraken.com gives it."""
    pair = (
        f'{{"a":["{last}","1","1.000"],"b":["{last}","2","2.000"],"c":["{last}","0.00127650"],'
        f'"v":["1.1","2.2"],"p":["{last}","{last}"],"t":[18016,36071],"l":["{last}","{last}"],"h":["{last}","{last}"],"o":"{last}"}}'
    )
    return http(f'{{"error":[],"result":{{"XXBTZUSD":{pair}}}}}')


def binance(price: str) -> bytes:
    """Returns an answer as api.binance.com gives it."""
    return http(f'{{"symbol":"BTCUSDT","price":"{price}"}}')


class Tickers:
    """A running server. `answers`: the reply to each path; `asked`: the heads of the requests so far."""

    def __init__(self, answers: Mapping[str, bytes | Reply], url: str) -> None:
        self.answers = dict(answers)
        self.url = url
        self.asked: list[bytes] = []

    def source(self, path: str, pointer: str | None = None) -> dict[str, str]:
        """Returns a source as a list of sources names it."""
        return {"url": self.url + path, "pointer": POINTERS[path] if pointer is None else pointer}


@contextmanager
def tickers(answers: Mapping[str, bytes | Reply], tls: ssl.SSLContext | None = None) -> Iterator[Tickers]:
    """Runs a server on a free port, until the end of the block."""
    over = Event()

    class Connection(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):  # who asked may have left
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    line = self.rfile.readline()
                    if not line:
                        return
                    head += line
                running.asked.append(head)
                reply = running.answers[head.split(b" ", 2)[1].decode()]
                self._send(reply if isinstance(reply, Reply) else Reply(reply))

        def _send(self, reply: Reply) -> None:
            pieces = [reply.raw[place : place + 1] for place in range(len(reply.raw))] if reply.drips else [reply.raw]
            for piece in pieces:
                self.wfile.write(piece)
                if reply.drips and over.wait(PIECE_S):
                    return
            if reply.stays:
                over.wait()

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 128

        def get_request(self) -> Any:
            connection, address = super().get_request()
            return connection if tls is None else tls.wrap_socket(connection, server_side=True), address

        def handle_error(self, *_: Any) -> None:
            """Says nothing of a client that does not trust it."""

    with Server(("127.0.0.1", 0), Connection) as server:
        scheme, host = ("http", "127.0.0.1") if tls is None else ("https", "localhost")
        running = Tickers(answers, f"{scheme}://{host}:{server.server_address[1]}")
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield running
        finally:
            over.set()
            server.shutdown()
            thread.join()
