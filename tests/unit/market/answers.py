"""Answers of price sources, and what becomes of each: the table in docs/feeds.md."""

import gzip
from typing import NamedTuple

from chalicelib.market.fetch import MAX_BYTES
from tests.support.tickers import BINANCE, COINBASE, KRAKEN, Reply, binance, coinbase, http, kraken

PRICE = "/price"


class Case(NamedTuple):
    """An answer, what it is in words, and the price, or the words of the problem, that comes of it."""

    words: str
    reply: bytes | Reply
    comes: str
    path: str = PRICE
    pointer: str = PRICE


def answered(words: str, value: str, comes: str) -> Case:
    """Returns the case of a document that holds a value."""
    return Case(words, http(f'{{"price":{value}}}'), comes)


def of(path: str, words: str, reply: bytes, comes: str) -> Case:
    """Returns the case of a public ticker."""
    pointer = {COINBASE: "/data/amount", KRAKEN: "/result/XXBTZUSD/c/0", BINANCE: "/price"}[path]
    return Case(words, reply, comes, path, pointer)


def no_price(shown: str) -> str:
    return f"has no price at '/price' but {shown}"


RANGE = "has a price that is not from 10^-16 to 10^12 USD: "
SLOW = "does not answer in time"

TAKEN = [
    of(COINBASE, "Coinbase's ticker", coinbase("64250.125"), "64250.12500000"),
    of(KRAKEN, "Kraken's ticker", kraken("64251.10000"), "64251.10000000"),
    of(BINANCE, "Binance's ticker", binance("64249.99000000"), "64249.99000000"),
    answered("a JSON number", "64250.1", "64250.10000000"),
    answered("a number with an exponent", "6.42501E+4", "64250.10000000"),
    answered("a string with an exponent", '"1.25e-5"', "0.00001250"),
    answered("a float with all of its digits", "64250.12000000000261934474110603332519531", "64250.1200000000026193"),
    answered("more than 16 decimals", "0.00001234567890123456789", "0.0000123456789012"),
    answered("a number that a float would round", "900719925474.0993", "900719925474.09930000"),
    Case(
        "a chunked body",
        http('10\r\n{"price": 64250}\r\n0\r\n\r\n', Content_Length=None, Transfer_Encoding="chunked"),
        "64250.00000000",
    ),
    Case("a byte order mark before the JSON", http(b'\xef\xbb\xbf{"price": 64250}'), "64250.00000000"),
]

REFUSED = [
    # Not the price.
    of(
        KRAKEN,
        "an error in a 200 (Kraken)",
        http('{"error":["EQuery:Unknown asset pair"]}'),
        "has nothing at '/result/XXBTZUSD/c/0'",
    ),
    Case("another document", http('{"data":{"amount":"64250"}}'), "has nothing at '/price'"),
    answered("zero", "0.00", f"{RANGE}0.00"),
    answered("a negative price", "-64250", no_price('"-64250"')),
    answered("NaN", "NaN", no_price('"NaN"')),
    answered("NaN as a string", '"NaN"', no_price('"NaN"')),
    answered("infinity", "Infinity", no_price('"Infinity"')),
    answered("more than 10^12", "1000000000000.01", f"{RANGE}1000000000000.01"),
    answered("less than 10^-16", "9e-17", f"{RANGE}9e-17"),
    answered("a huge exponent", "1e400", f"{RANGE}1e400"),
    answered("an exponent of many digits, as a string", '"1e99999999"', no_price('"1e99999999"')),
    answered("null", "null", no_price("null")),
    answered("true", "true", no_price("true")),
    answered("an object", '{"usd": 1}', no_price('{"usd": "1"}')),
    answered("an empty string", '""', no_price('""')),
    answered("a string with separators", '"64,250.10"', no_price('"64,250.10"')),
    answered("a string with underscores", '"64_250"', no_price('"64_250"')),
    answered("a string with a blank", '" 64250"', no_price('" 64250"')),
    answered("full-width digits", '"６４２５０"', no_price('"６４２５０"')),
    # Not JSON.
    Case(
        "an HTML page in a 200",
        http("<!DOCTYPE html><title>Maintenance</title>", Content_Type="text/html"),
        "answers something that is not JSON",
    ),
    Case("an empty body", http(""), "answers something that is not JSON"),
    Case(
        "JSON that is nested 20,000 deep",
        http('{"price":' + "[" * 20_000 + "]" * 20_000 + "}"),
        "answers something that is not JSON",
    ),
    # Not a 200.
    Case("429 Too Many Requests", http('{"price":"64250"}', "429 Too Many Requests", Retry_After="60"), "answers 429"),
    Case("500", http('{"price":"64250"}', "500 Internal Server Error"), "answers 500"),
    Case("503 with an HTML page", http("<html>", "503 Service Unavailable", Content_Type="text/html"), "answers 503"),
    Case("a redirect", http("", "302 Found", Location="/elsewhere"), "answers 302"),
    Case("206, a part of the document", http('{"price":"64250"}', "206 Partial Content"), "answers 206"),
    # Not whole, or too much.
    Case("a body shorter than announced", http('{"price":"64250"}', Content_Length="100"), "answers less than it announced"),
    Case(
        "a chunked body without its end",
        http('10\r\n{"price": 64250', Content_Length=None, Transfer_Encoding="chunked"),
        "does not answer: IncompleteRead",
    ),
    Case(
        "a chunk of a negative size",
        http('-5\r\n{"price": 64250}', Content_Length=None, Transfer_Encoding="chunked"),
        "does not answer: ValueError",
    ),
    Case(
        "no length at all",
        http('{"price": 64250}', Content_Length=None),
        "states no length, so that its answer could be cut short",
    ),
    Case(
        "a compressed body",
        http(gzip.compress(b'{"price": 64250}'), Content_Encoding="gzip"),
        "answers something compressed, though nobody asked for it",
    ),
    Case(
        "a body of 1 MB", http(b'{"price": 64250, "more": "' + b"x" * 1_000_000 + b'"}'), f"answers more than {MAX_BYTES} bytes"
    ),
    Case(
        "a chunked body of 1 MB",
        http(b"f4240\r\n" + b" " * 1_000_000 + b"\r\n0\r\n\r\n", Content_Length=None, Transfer_Encoding="chunked"),
        f"answers more than {MAX_BYTES} bytes",
    ),
    Case(
        "headers of 1 MB",
        b"HTTP/1.1 200 OK\r\n" + (b"X: " + b"x" * 10_000 + b"\r\n") * 100,
        f"answers more than {MAX_BYTES} bytes",
    ),
    Case("`100 Continue` without end", b"HTTP/1.1 100 Continue\r\n\r\n" * 40_000, f"answers more than {MAX_BYTES} bytes"),
    # Not in time.
    Case("a body that drips in", Reply(http('{"price": 64250}'), drips=True), SLOW),
    Case("nothing, on an open connection", Reply(b"", stays=True), SLOW),
    Case("half of the headers, on an open connection", Reply(b"HTTP/1.1 200 OK\r\nContent-", stays=True), SLOW),
    # Not HTTP.
    Case("a connection that is closed at once", b"", "does not answer: RemoteDisconnected"),
    Case("another protocol", b"SSH-2.0-OpenSSH_9.6\r\n", "does not answer: BadStatusLine"),
]
