"""Histories written by hand, from the contract and not by the engine, and the means to damage them."""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from hashlib import sha256
from typing import Any

from chalicelib.domain.account import Account
from chalicelib.domain.position import Books
from ops.spill import StoredRecord

Facts = dict[str, Any]
Change = Callable[[Facts], Any]
"""A change to a record's facts."""

USER = 7

FUNDED = (
    '{"v":2,"user_id":7,"sequence":1,"key":"deposit","kind":"transfer","outcome":"ACCOUNT_FUNDED",'
    '"symbol":"USD","amount":"100000.00000000","balance":"100000.00000000","at":"2026-02-21T14:00:00.000000Z"}'
)
BOUGHT = (
    '{"v":2,"user_id":7,"sequence":2,"key":"a","kind":"order","outcome":"ORDER_FILLED",'
    '"terms":{"side":"buy","symbol":"BTC","pay_with":"USD","quantity":"1.0"},"by":"MainThread",'
    '"prices":{"BTC":["50000.00000000","2026-02-21T14:00:00.900000Z"],"USD":["1.00000000","2026-01-01T00:00:00Z"]},'
    '"fee_bps":"25","changes":{"BTC":"1.00000000","USD":"-50125.00000000"},'
    '"balances":{"BTC":"1.00000000","USD":"49875.00000000"},"fee":"125.00000000","at":"2026-02-21T14:00:01.000000Z"}'
)
SHORT = (
    '{"v":2,"user_id":7,"sequence":3,"key":"b","kind":"order","outcome":"ERR_LIQUIDITY",'
    '"terms":{"side":"buy","symbol":"BTC","pay_with":"USD","quantity":"2"},"by":"MainThread",'
    '"prices":{"BTC":["50000.00000000","2026-02-21T14:00:01.900000Z"],"USD":["1.00000000","2026-01-01T00:00:00Z"]},'
    '"fee_bps":"25","needed":"100250.00000000","held":"49875.00000000","at":"2026-02-21T14:00:02.000000Z"}'
)
SOLD = (
    '{"v":2,"user_id":7,"sequence":4,"key":"c","kind":"order","outcome":"ORDER_FILLED",'
    '"terms":{"side":"sell","symbol":"BTC","receive":"USD","quantity":"0.5","limit_price":"51999.50000000"},"by":"Thread-1",'
    '"prices":{"BTC":["52000.00000000","2026-02-21T14:00:02.900000Z"],"USD":["1.00000000","2026-01-01T00:00:00Z"]},'
    '"fee_bps":"25","changes":{"BTC":"-0.50000000","USD":"25935.00000000"},'
    '"balances":{"BTC":"0.50000000","USD":"75810.00000000"},"fee":"65.00000000","at":"2026-02-21T14:00:03.000000Z"}'
)
FUNDED_AT_A_PRICE = (
    '{"v":2,"user_id":7,"sequence":5,"key":"eth","kind":"transfer","outcome":"ACCOUNT_FUNDED",'
    '"symbol":"ETH","amount":"10.00000000","balance":"10.00000000",'
    '"prices":{"ETH":["3000.00000000","2026-02-21T14:00:03.900000Z"]},"at":"2026-02-21T14:00:04.000000Z"}'
)
BOUGHT_FOR_A_NOTIONAL = (
    '{"v":2,"user_id":7,"sequence":6,"key":"d","kind":"order","outcome":"ORDER_FILLED",'
    '"terms":{"side":"buy","symbol":"BTC","pay_with":"USD","notional":"250.00","expires_at":"2026-02-21T14:00:05.000000Z"},'
    '"by":"MainThread",'
    '"prices":{"BTC":["50000.00000000","2026-02-21T14:00:04.900000Z"],"USD":["1.00000000","2026-01-01T00:00:00Z"]},'
    '"fee_bps":"25","step":"0.00000001","changes":{"BTC":"0.00498753","USD":"-249.99994125"},'
    '"balances":{"BTC":"0.50498753","USD":"75560.00005875"},"fee":"0.62344125","at":"2026-02-21T14:00:05.000000Z"}'
)
BEYOND_ITS_LIMIT = (
    '{"v":2,"user_id":7,"sequence":7,"key":"e","kind":"order","outcome":"ERR_PRICE_LIMIT",'
    '"terms":{"side":"buy","symbol":"BTC","pay_with":"USD","quantity":"0.1","limit_price":"49999.9999999999999999"},'
    '"by":"MainThread",'
    '"prices":{"BTC":["50000.00000000","2026-02-21T14:00:05.900000Z"],"USD":["1.00000000","2026-01-01T00:00:00Z"]},'
    '"at":"2026-02-21T14:00:06.000000Z"}'
)
EXPIRED = (
    '{"v":2,"user_id":7,"sequence":8,"key":"f","kind":"order","outcome":"ERR_ORDER_EXPIRED",'
    '"terms":{"side":"sell","symbol":"BTC","receive":"USD","quantity":"0.1","expires_at":"2026-02-21T14:00:06.999999Z"},'
    '"by":"MainThread",'
    '"prices":{"BTC":["50000.00000000","2026-02-21T14:00:06.900000Z"],"USD":["1.00000000","2026-01-01T00:00:00Z"]},'
    '"at":"2026-02-21T14:00:07.000000Z"}'
)
WITHDRAWN = (
    '{"v":2,"user_id":7,"sequence":9,"key":"out","kind":"transfer","outcome":"ACCOUNT_DEBITED",'
    '"symbol":"ETH","amount":"4.00000000","balance":"6.00000000","at":"2026-02-21T14:00:08.000000Z"}'
)
ALL_OF_NOTHING = (
    '{"v":2,"user_id":7,"sequence":10,"key":"g","kind":"order","outcome":"ERR_LIQUIDITY",'
    '"terms":{"side":"sell","symbol":"SOL","receive":"USD","quantity":"all"},"by":"MainThread",'
    '"prices":{"SOL":["100.00000000","2026-02-21T14:00:08.900000Z"],"USD":["1.00000000","2026-01-01T00:00:00Z"]},'
    '"held":"0.00000000","at":"2026-02-21T14:00:09.000000Z"}'
)
SOLD_ALL_FOR_ANOTHER = (
    '{"v":2,"user_id":7,"sequence":11,"key":"h","kind":"order","outcome":"ORDER_FILLED",'
    '"terms":{"side":"sell","symbol":"ETH","receive":"BTC","quantity":"all"},"by":"MainThread",'
    '"prices":{"ETH":["3000.00000000","2026-02-21T14:00:09.900000Z"],"BTC":["50000.00000000","2026-02-21T14:00:09.900000Z"]},'
    '"fee_bps":"25","changes":{"ETH":"-6.00000000","BTC":"0.35910000"},'
    '"balances":{"ETH":"0.00000000","BTC":"0.86408753"},"fee":"0.00090000","at":"2026-02-21T14:00:10.000000Z"}'
)
FUNDED_WITHOUT_A_PRICE = (
    '{"v":2,"user_id":7,"sequence":12,"key":"gift","kind":"transfer","outcome":"ACCOUNT_FUNDED",'
    '"symbol":"SOL","amount":"5.00000000","balance":"5.00000000","at":"2026-02-21T14:00:11.000000Z"}'
)
TEXTS = (
    FUNDED,
    BOUGHT,
    SHORT,
    SOLD,
    FUNDED_AT_A_PRICE,
    BOUGHT_FOR_A_NOTIONAL,
    BEYOND_ITS_LIMIT,
    EXPIRED,
    WITHDRAWN,
    ALL_OF_NOTHING,
    SOLD_ALL_FOR_ANOTHER,
    FUNDED_WITHOUT_A_PRICE,
)
"""Each outcome of transfers, and of orders by themselves, in one history."""

BOOKS = Books(
    balances={"USD": 75560_00005875, "BTC": 86408753, "ETH": 0, "SOL": 5_00000000},
    # BTC: 25062.50 are left of the first purchase, 249.99994125 were spent, and 0.3591 BTC were worth 17955.
    # SOL came without a price.
    cost_basis={"BTC": 43267_49994125, "SOL": 0},
    # 25935 - 25062.50 for the BTC sold, 17955 - 18000 for the ETH.
    realized_pl_units=827_50000000,
)
"""Books of `TEXTS`, worked out by hand."""

UNFUNDED = (
    '{"v":2,"user_id":8,"sequence":1,"key":"a","kind":"order","outcome":"ERR_LIQUIDITY",'
    '"terms":{"side":"buy","symbol":"BTC","pay_with":"USD","quantity":"1"},"by":"MainThread",'
    '"prices":{"BTC":["50000.00000000","2026-02-21T14:00:00Z"],"USD":["1.00000000","2026-01-01T00:00:00Z"]},'
    '"needed":"50000.00000000","held":"0.00000000","unfunded":true,"at":"2026-02-21T14:00:01.000000Z"}'
)
UNFUNDED_ALL = (
    '{"v":2,"user_id":8,"sequence":2,"key":"b","kind":"order","outcome":"ERR_LIQUIDITY",'
    '"terms":{"side":"buy","symbol":"BTC","pay_with":"USD","notional":"all"},"by":"MainThread",'
    '"prices":{"BTC":["50000.00000000","2026-02-21T14:00:00Z"],"USD":["1.00000000","2026-01-01T00:00:00Z"]},'
    '"step":"0.00000001","held":"0.00000000","unfunded":true,"at":"2026-02-21T14:00:02.000000Z"}'
)
UNFUNDED_TEXTS = (UNFUNDED, UNFUNDED_ALL)
"""An account that nobody funded: refusals alone."""

_PRICES = '"prices":{"BTC":["50000.00000000","2026-02-21T14:00:00Z"],"USD":["1.00000000","2026-01-01T00:00:00Z"]}'
VOIDED = '{"v":2,"user_id":7,"sequence":2,"key":"void","kind":"void","outcome":"ORDER_VOIDED","at":"2026-02-21T14:00:01.000000Z"}'
FILLED_TOGETHER = (
    (
        '{"v":2,"user_id":7,"sequence":3,"key":"a","kind":"order","outcome":"ORDER_FILLED",'
        '"terms":{"side":"buy","symbol":"BTC","pay_with":"USD","quantity":"1"},"by":"MainThread",'
        f'{_PRICES},"linked":[3,2],"changes":{{"BTC":"1.00000000","USD":"-50000.00000000"}},'
        '"balances":{"BTC":"1.00000000","USD":"50000.00000000"},"at":"2026-02-21T14:00:02.000000Z"}'
    ),
    (
        '{"v":2,"user_id":7,"sequence":4,"key":"b","kind":"order","outcome":"ORDER_FILLED",'
        '"terms":{"side":"sell","symbol":"BTC","receive":"USD","quantity":"0.5"},"by":"MainThread",'
        f'{_PRICES},"linked":[3,2],"changes":{{"BTC":"-0.50000000","USD":"25000.00000000"}},'
        '"balances":{"BTC":"0.50000000","USD":"75000.00000000"},"at":"2026-02-21T14:00:02.000000Z"}'
    ),
)
REFUSED_TOGETHER = (
    (
        '{"v":2,"user_id":7,"sequence":5,"key":"c","kind":"order","outcome":"ERR_LINKED_ORDER",'
        '"terms":{"side":"buy","symbol":"BTC","pay_with":"USD","notional":"60000"},"by":"MainThread",'
        f'{_PRICES},"step":"1.00000000","linked":[5,4],"failed":1,"at":"2026-02-21T14:00:03.000000Z"}}'
    ),
    (
        '{"v":2,"user_id":7,"sequence":6,"key":"d","kind":"order","outcome":"ERR_LIQUIDITY",'
        '"terms":{"side":"buy","symbol":"BTC","pay_with":"USD","quantity":"1"},"by":"MainThread",'
        f'{_PRICES},"linked":[5,4],"needed":"50000.00000000","held":"25000.00000000","at":"2026-02-21T14:00:03.000000Z"}}'
    ),
    (
        '{"v":2,"user_id":7,"sequence":7,"key":"e","kind":"order","outcome":"ERR_LINKED_ORDER",'
        '"terms":{"side":"sell","symbol":"BTC","receive":"USD","quantity":"all"},"by":"MainThread",'
        f'{_PRICES},"fee_bps":"100","linked":[5,4],"failed":1,"at":"2026-02-21T14:00:03.000000Z"}}'
    ),
    (
        '{"v":2,"user_id":7,"sequence":8,"key":"f","kind":"order","outcome":"ERR_LIQUIDITY",'
        '"terms":{"side":"buy","symbol":"BTC","pay_with":"USD","quantity":"2"},"by":"MainThread",'
        f'{_PRICES},"linked":[5,4],"needed":"100000.00000000","held":"99250.00000000","at":"2026-02-21T14:00:03.000000Z"}}'
    ),
)
"""The first would leave 25000 USD and 1.5 BTC, which the third would sell for 75000 USD less a fee of 750."""
LINKED_TEXTS = (FUNDED, VOIDED, *FILLED_TOGETHER, *REFUSED_TOGETHER)
"""A void and all-or-nothing batches."""
LINKED_BOOKS = Books(
    balances={"USD": 75_000_00000000, "BTC": 50_000_000}, cost_basis={"BTC": 25_000_00000000}, realized_pl_units=0
)


def chained(texts: Iterable[str], user_id: int = USER) -> list[StoredRecord]:
    """Returns texts as records: keys and sequences as the texts have them, each head over the one before."""
    head = b""
    records = []
    for text in texts:
        facts = json.loads(text)
        head = sha256(head + text.encode()).digest()
        kind = "transfer" if facts["kind"] == "transfer" else "order"
        records.append(StoredRecord(user_id, f"{kind}#{facts['key']}", facts["sequence"], head, text))
    return records


def account_of(records: list[StoredRecord], books: Books, user_id: int = USER) -> Account:
    """Returns the account that records have led to."""
    return Account(user_id, books, len(records), records[-1].head if records else b"")


def all_of(*changes: Change) -> Change:
    """Returns a change that makes several, in their order."""

    def change(facts: Facts) -> None:
        for each in changes:
            each(facts)

    return change


def rewritten(text: str, change: Change) -> str:
    """Returns a text of which some facts were changed."""
    facts = json.loads(text)
    change(facts)
    return json.dumps(facts, separators=(",", ":"))


def with_basis(books: Books, **cost_basis: int) -> Books:
    """Returns books with another cost basis."""
    return replace(books, cost_basis={**books.cost_basis, **cost_basis})
