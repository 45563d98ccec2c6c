"""The list of sources: what it takes, and what it refuses in one line that names the place."""

import json
import re
from typing import Any

import pytest

from chalicelib.market.sources import MAX_SOURCES, MAX_SYMBOLS, InvalidSources, Source, read_sources
from harness.processes import ROOT

GOOD = {"url": "https://api.example/price?pair=BTC&key=secret", "pointer": "/data/0/a~1b"}


def test_a_list_is_read() -> None:
    local = {"url": "http://127.0.0.1:8080/", "pointer": ""}

    sources = read_sources(json.dumps({"BTC": [GOOD, local], "1INCH": [local]}))

    assert sources == {"BTC": (Source(**GOOD), Source(**local)), "1INCH": (Source(**local),)}


def test_a_source_is_named_without_its_query() -> None:
    assert Source(**GOOD).name == "api.example/price"


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example/price",
        "ftp://api.example/price",
        "https:///price",
        "https://user:secret@api.example/price",
        "https://api.example/price#top",
        "https://api.example/a b",
        "https://api.example/a\r\nX-Injected: 1",
        "https://bücher.example/price",
        "https://api.example:0/price",
        "https://api.example:x/price",
        "https://[::1/price",
        "api.example/price",
        "",
        None,
        7,
    ],
)
def test_a_url_that_is_not_plain_https_is_refused(url: Any) -> None:
    with pytest.raises(InvalidSources, match=r"^BTC: url must be https://host/path"):
        read_sources(json.dumps({"BTC": [{"url": url, "pointer": "/a"}]}))


@pytest.mark.parametrize("pointer", ["a", "data/amount", "/a~2", "/a~", "#/a", None, 1])
def test_a_pointer_that_is_not_one_is_refused(pointer: Any) -> None:
    with pytest.raises(InvalidSources, match=r"^BTC: pointer must be a JSON Pointer such as /data/amount \(RFC 6901\)"):
        read_sources(json.dumps({"BTC": [{"url": "https://a.example/", "pointer": pointer}]}))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", f"must be an object of 1 to {MAX_SYMBOLS} symbols"),
        ("{}", f"must be an object of 1 to {MAX_SYMBOLS} symbols"),
        ('{"BTC": [], "BTC": []}', "is not JSON: a name appears twice"),
        ('{"btc": []}', "'btc' must be a symbol of 1 to 10 capital letters or digits"),
        ('{"BTC/USD": []}', "'BTC/USD' must be a symbol"),
        ('{"USD": []}', "USD is the unit of account"),
        ('{"BTC": []}', f"BTC must have a list of 1 to {MAX_SOURCES} sources"),
        ('{"BTC": {}}', f"BTC must have a list of 1 to {MAX_SOURCES} sources"),
        ('{"BTC": ["https://a.example/"]}', "BTC: a source is"),
        ('{"BTC": [{"url": "https://a.example/"}]}', "BTC: a source is"),
        (json.dumps({"BTC": [{**GOOD, "weight": 2}]}), "BTC: a source is"),
        (json.dumps({"BTC": [GOOD, GOOD]}), "BTC lists a source twice"),
        (json.dumps({f"A{number}": [GOOD] for number in range(MAX_SYMBOLS + 1)}), "must be an object of 1 to"),
        (json.dumps({"BTC": [{**GOOD, "pointer": f"/{number}"} for number in range(MAX_SOURCES + 1)]}), "BTC must have a list"),
    ],
)
def test_any_other_list_is_refused_by_name(text: str, says: str) -> None:
    with pytest.raises(InvalidSources) as refused:
        read_sources(text)

    assert str(refused.value).startswith(says)
    assert "\n" not in str(refused.value)


def test_the_documented_list_is_one() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", (ROOT / "docs" / "feeds.md").read_text(), re.DOTALL)

    assert [len(sources) for sources in read_sources(example).values()] == [3]
