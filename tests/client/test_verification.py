"""Verification of a history that somebody tampered with. The chain is the engine's own; the tampering is planted."""

import copy
import hashlib
import json
from typing import Any

import pytest

from hft_client import BrokenChain, FileHeads, HistoryRewritten, Verified
from hft_client.wire import Answer, Request
from tests.client.script import USER, Script
from tests.support.market import Market, order

Account = tuple[dict[str, Any], list[dict[str, Any]]]
"""A portfolio and a whole history, oldest first."""


@pytest.fixture(scope="module")
def honest(moto_market: Market) -> Account:
    user = moto_market.new_user(USD="100000")
    for number in range(6):
        moto_market.post(order(user, quantity="0.1" if number % 2 else "100"), f"key-{number}")
    records = moto_market.get(f"/api/v1/trading/history/{user}?after=0&limit=100").json()["records"]
    portfolio = moto_market.portfolio(user)
    renamed = json.loads(json.dumps([portfolio, records]).replace(str(user), str(USER)))
    rechain(*renamed)
    return renamed[0], renamed[1]


def rechain(portfolio: dict[str, Any], records: list[dict[str, Any]], start: int = 0) -> None:
    """Computes the chain anew from a place on, as whoever rewrites a history would."""
    head = bytes.fromhex(records[start - 1]["head"]) if start else b""
    for record in records[start:]:
        head = hashlib.sha256(head + record["record"].encode()).digest()
        record["head"] = head.hex()
    portfolio |= {"head": head.hex(), "sequence": len(records)}


def serve(account: Account) -> Script:
    """Returns a script that answers from an account."""
    portfolio, records = account

    def answer(request: Request) -> Answer:
        if "portfolio" in request.path:
            return Answer(200, portfolio)
        after, limit = int(request.query["after"]), int(request.query["limit"])
        return Answer(200, {"records": records[after : after + limit], "next": None, "sequence": len(records)})

    return Script(answer)


def verify(script: Script, **how: Any) -> Verified:
    return script.run(script.operations.verify(**how))


def test_an_honest_history_is_verified_and_then_only_what_is_new(honest: Account) -> None:
    portfolio, records = copy.deepcopy(honest)
    script = serve((portfolio, records[:-2]))
    rechain(portfolio, records[:-2])
    progress: list[tuple[int, int]] = []

    first = verify(script, progress=lambda done, total: progress.append((done, total)))
    script.answers = serve(honest).answers
    second = verify(script)

    assert (first.sequence, second.sequence) == (len(records) - 2, len(records))
    assert second.head == honest[0]["head"]
    assert progress == [(5, 5)]
    assert script.requests[-1].query["after"] == "4"  # from the last one verified on


def text_altered(_: dict[str, Any], records: list[dict[str, Any]]) -> None:
    records[3]["record"] = records[3]["record"].replace('"at":"2', '"at":"3')


def field_altered(_: dict[str, Any], records: list[dict[str, Any]]) -> None:
    records[3]["outcome"] = "ERR_LINKED_ORDER"


def order_altered(_: dict[str, Any], records: list[dict[str, Any]]) -> None:
    records[3]["order"]["quantity"] = "7"


def balances_altered(_: dict[str, Any], records: list[dict[str, Any]]) -> None:
    (fill,) = (each for each in records[3:5] if each["status"] == 200)
    fill["reply"]["balances"]["BTC"] = "9.00000000"


def record_removed(_: dict[str, Any], records: list[dict[str, Any]]) -> None:
    del records[3]


def record_removed_and_chained(portfolio: dict[str, Any], records: list[dict[str, Any]]) -> None:
    del records[3]
    rechain(portfolio, records)


def records_swapped(_: dict[str, Any], records: list[dict[str, Any]]) -> None:
    records[3], records[4] = records[4], records[3]


def head_of_the_portfolio_altered(portfolio: dict[str, Any], _: list[dict[str, Any]]) -> None:
    portfolio["head"] = "00" * 32


def end_cut_off(_: dict[str, Any], records: list[dict[str, Any]]) -> None:
    del records[-1]


def of_another_account(portfolio: dict[str, Any], records: list[dict[str, Any]]) -> None:
    for record in records:
        record["record"] = record["record"].replace(f'"user_id":{USER}', '"user_id":8')
    rechain(portfolio, records)


@pytest.mark.parametrize(
    ("tamper", "place"),
    [
        (text_altered, 4),
        (field_altered, 4),
        (order_altered, 4),
        (balances_altered, (4, 5)),
        (record_removed, 4),
        (record_removed_and_chained, 4),
        (records_swapped, 4),
        (head_of_the_portfolio_altered, 7),
        (end_cut_off, 7),
        (of_another_account, 1),
    ],
)
def test_the_first_link_that_does_not_hold_is_named(honest: Account, tamper: Any, place: Any) -> None:
    account = copy.deepcopy(honest)
    tamper(*account)

    script = serve(account)
    with pytest.raises(BrokenChain) as raised:
        verify(script)

    assert raised.value.sequence in (place if isinstance(place, tuple) else (place,))
    assert script.heads.last_verified(USER) is None


@pytest.mark.parametrize("at_one", [True, False])
@pytest.mark.parametrize("more", [0, 1])
def test_a_history_that_was_computed_anew_is_rewritten(honest: Account, more: int, *, at_one: bool) -> None:
    """Every link holds; only who remembers the head can know."""
    before, now = copy.deepcopy(honest), copy.deepcopy(honest)
    if more:
        del before[1][-1]
        rechain(*before)
    now[1][2]["record"] = now[1][2]["record"].replace('"at":"2', '"at":"3')
    now[1][2]["decided_at"] = "3" + now[1][2]["decided_at"][1:]
    rechain(*now)
    verify(serve(now))
    script = serve(before)
    verified = verify(script)
    script.answers = serve(now).answers

    with pytest.raises(HistoryRewritten, match="rewritten") as raised:
        verify(script, from_start=at_one)

    assert raised.value.sequence == len(before[1])
    assert script.heads.last_verified(USER) == verified


def test_a_history_that_was_shortened_is_rewritten(honest: Account) -> None:
    shorter = copy.deepcopy(honest)
    del shorter[1][-1]
    rechain(*shorter)
    script = serve(honest)
    verify(script)
    script.answers = serve(shorter).answers

    with pytest.raises(HistoryRewritten, match="shortened"):
        verify(script)


def test_a_record_that_continues_from_another_head_is_found_though_the_old_one_is_shown(honest: Account) -> None:
    before, now = copy.deepcopy(honest), copy.deepcopy(honest)
    del before[1][-2:]
    rechain(*before)
    now[1][2]["record"] = now[1][2]["record"].replace('"at":"2', '"at":"3')
    rechain(*now)
    now[1][4] = before[1][4]
    script = serve(before)
    verify(script)
    script.answers = serve(now).answers

    with pytest.raises(BrokenChain) as raised:
        verify(script)

    assert raised.value.sequence == 6


def test_an_empty_account_is_verified(honest: Account) -> None:
    portfolio = {**honest[0], "head": "", "sequence": 0}

    assert verify(serve((portfolio, []))) == Verified(USER, 0, "")


def test_what_the_index_does_not_show_yet_is_asked_for_again(honest: Account) -> None:
    portfolio, records = honest
    late = Answer(200, {"records": [], "next": "after=0", "sequence": len(records)})
    script = Script(Answer(200, portfolio), late, late, *serve(honest).answers)

    assert verify(script).sequence == len(records)


def test_verified_heads_are_kept_in_a_file(tmp_path: Any) -> None:
    heads = FileHeads(tmp_path / "new" / "heads.json")
    assert heads.last_verified(1) is None

    heads.keep_verified(Verified(1, 5, "aa"))
    heads.keep_verified(Verified(2, 6, "bb"))
    heads.forget(2)

    assert FileHeads(tmp_path / "new" / "heads.json").last_verified(1) == Verified(1, 5, "aa")
    assert heads.last_verified(2) is None
