"""The journal: an intent is on disk before it is sent, and what became of it is found out after a crash."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hft_client import (
    Client,
    Fill,
    InsufficientFunds,
    Journal,
    JournalError,
    OrderVoided,
    OutcomeUnknown,
    Verified,
)
from hft_client import Order as MakeOrder
from hft_client.wire import Answer, Request, Unanswered
from tests.client.script import (
    CONTENTION,
    DECIDED,
    FILLED,
    HALTED,
    LOST,
    NO_FUNDS,
    NOT_FOUND,
    REPLAYED,
    RULE,
    UNREACHED,
    VOID_REFUSAL,
    VOIDED,
    Script,
    Scripted,
    of_orders,
)

TRANSFERRED = Answer(200, {"status": "ACCOUNT_FUNDED", "symbol": "USD", "amount": "5.0", "balance": "5.0", "sequence": 1})


class Killed(BaseException):
    """The process ends between two instructions."""


def killed(_: Request) -> Answer | Unanswered:
    raise Killed


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "journal")
    yield journal
    journal.close()


def outcomes(journal: Journal) -> dict[str, str | None]:
    return {intent.key: intent.outcome for intent in journal.intents()}


def after_a_kill(journal: Journal) -> Journal:
    """Returns the journal as the next process finds it."""
    journal.close()
    return Journal(journal.path)


def test_an_intent_is_written_before_it_is_sent(journal: Journal) -> None:
    written: list[dict[str, str | None]] = []

    def look(_: Request) -> Answer:
        written.append(outcomes(journal))
        return FILLED

    script = Script(look, journal=journal)
    script.run(script.operations.buy("BTC", "1.0", key="k"))

    assert written == [{"k": None}]
    assert outcomes(journal) == {"k": "ORDER_FILLED"}
    (intent,) = journal.intents()
    assert (intent.status, intent.reply, dict(intent.terms)["quantity"]) == (200, FILLED.body, "1.0")


def test_it_is_on_disk_and_not_only_written(journal: Journal) -> None:
    connection = journal._database  # noqa: SLF001  (durability is a setting of its connection)
    assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2
    assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [(NO_FUNDS, "ERR_LIQUIDITY"), (HALTED, "ERR_ASSET_HALTED"), (CONTENTION, "ERR_CONTENTION"), (UNREACHED, "NoAnswer")],
)
def test_a_known_outcome_closes_the_intent(journal: Journal, answer: Scripted, outcome: str) -> None:
    script = Script(answer, journal=journal)

    with pytest.raises(Exception):  # noqa: B017, PT011  (each its own)
        script.run(script.operations.buy("BTC", 1, key="k"))

    assert outcomes(journal) == {"k": outcome}
    assert script.run(script.operations.recover()) == []


def test_an_unknown_outcome_stays_open_until_it_is_resolved(journal: Journal) -> None:
    script = Script(LOST, journal=journal)
    with pytest.raises(OutcomeUnknown) as unknown:
        script.run(script.operations.buy("BTC", 1, key="k"))
    assert outcomes(journal) == {"k": None}
    script.answers.extend([REPLAYED])
    script.answers.popleft()

    unknown.value.resolve()

    assert outcomes(journal) == {"k": "ORDER_FILLED"}


def test_an_intent_in_flight_is_not_recovered_by_its_own_process(journal: Journal) -> None:
    recovered: list[object] = []

    def look(_: Request) -> Answer:
        recovered.append(script.run(script.operations.recover()))
        return FILLED

    script = Script(look, journal=journal)
    script.run(script.operations.buy("BTC", 1, key="k"))

    assert recovered == [[]]


def crashed(journal: Journal) -> Journal:
    """Returns the journal of a process that was killed while an order, a batch and a linked batch were on their way."""
    script = Script(killed, journal=journal)
    operations = script.operations
    for flow in (
        operations.buy("BTC", 1, key="single"),
        operations.batch([MakeOrder.buy("BTC", 1, key="b1"), MakeOrder.buy("BTC", 2, key="b2")]),
        operations.batch([MakeOrder.buy("BTC", 1, key="l1"), MakeOrder.buy("BTC", 2, key="l2")], all_or_nothing=True),
    ):
        with pytest.raises(Killed):
            script.run(flow)
    return after_a_kill(journal)


def test_after_a_crash_everything_is_sent_again_with_its_keys(journal: Journal) -> None:
    script = Script(REPLAYED, of_orders(FILLED, NO_FUNDS), of_orders(REPLAYED, REPLAYED), journal=(journal := crashed(journal)))

    results = script.run(script.operations.recover())

    assert [(result.key, type(result.outcome)) for result in results] == [
        ("single", Fill),
        ("b1", Fill),
        ("b2", InsufficientFunds),
        ("l1", Fill),
        ("l2", Fill),
    ]
    assert script.sent == ["execute", "batch", "batch"]
    assert [bool((request.body or {}).get("all_or_nothing")) for request in script.requests] == [False, False, True]
    assert script.run(script.operations.recover()) == []
    journal.close()


def test_after_a_crash_everything_is_voided_before_it_is_asked_for(journal: Journal) -> None:
    script = Script(
        *(VOIDED, VOID_REFUSAL),
        *(VOIDED, DECIDED, of_orders(VOID_REFUSAL, REPLAYED)),
        *(VOIDED, VOIDED, of_orders(VOID_REFUSAL, VOID_REFUSAL)),
        journal=(journal := crashed(journal)),
    )

    results = script.run(script.operations.recover("void"))

    assert script.sent == ["void", "execute", "void", "void", "batch", "void", "void", "batch"]
    assert [type(result.outcome) for result in results] == [OrderVoided, OrderVoided, Fill, OrderVoided, OrderVoided]
    assert None not in outcomes(journal).values()
    journal.close()


def test_after_a_crash_a_look_up_executes_nothing_and_leaves_open_what_has_no_outcome(journal: Journal) -> None:
    script = Script(FILLED, REPLAYED, NOT_FOUND, journal=(journal := crashed(journal)))

    results = script.run(script.operations.recover("look_up"))

    assert [result.is_known for result in results] == [True, False, False, False, False]
    assert outcomes(journal) == {"single": "ORDER_FILLED", "b1": None, "b2": None, "l1": None, "l2": None}
    assert set(script.sent) == {"lookup", "execute"}
    journal.close()


def test_an_order_that_the_engine_rejects_after_a_crash_is_voided_so_that_its_outcome_is_known(journal: Journal) -> None:
    script = Script(killed, journal=journal)
    with pytest.raises(Killed):
        script.run(script.operations.buy("BTC", 1, key="k"))
    script = Script(RULE, VOIDED, RULE, journal=(journal := after_a_kill(journal)))

    (result,) = script.run(script.operations.recover())

    assert script.sent == ["execute", "void", "execute"]
    assert (result.is_known, outcomes(journal)) == (True, {"k": "ERR_ORDER_RULE"})
    journal.close()


def test_a_transfer_is_sent_again_after_a_crash(journal: Journal) -> None:
    script = Script(killed, journal=journal)
    with pytest.raises(Killed):
        script.run(script.operations.transfer("USD", 5, key="t"))
    script = Script(TRANSFERRED, journal=(journal := after_a_kill(journal)))

    assert [result.is_known for result in script.run(script.operations.recover("look_up"))] == [False]
    (result,) = script.run(script.operations.recover("void"))

    assert (result.is_known, script.keys, outcomes(journal)) == (True, ["t"], {"t": "ACCOUNT_FUNDED"})
    journal.close()


def test_what_stays_unknown_stays_open_for_the_next_recovery(journal: Journal) -> None:
    script = Script(LOST, journal=(journal := crashed(journal)))
    assert not any(result.is_known for result in script.run(script.operations.recover()))

    again = Script(LOST, journal=journal)

    assert len(again.run(again.operations.recover())) == 5
    journal.close()


def test_a_key_that_is_sent_again_is_open_again(journal: Journal) -> None:
    """A rejection decided nothing: killed in the second attempt, its outcome is unknown."""
    script = Script(HALTED, killed, journal=journal)
    with pytest.raises(Exception, match="HALTED"):
        script.run(script.operations.buy("BTC", 1, key="k"))
    with pytest.raises(Killed):
        script.run(script.operations.buy("BTC", 1, key="k"))

    assert outcomes(journal) == {"k": None}


def test_a_key_stands_for_one_order(journal: Journal) -> None:
    script = Script(FILLED, journal=journal)
    script.run(script.operations.buy("BTC", 1, key="k"))

    with pytest.raises(ValueError, match="another order under the key"):
        script.run(script.operations.buy("BTC", 2, key="k"))


def test_a_journal_belongs_to_one_engine(journal: Journal) -> None:
    with Client("http://127.0.0.1:1/", 1, journal=journal), Client("http://127.0.0.1:1", 2, journal=journal):
        pass
    with pytest.raises(JournalError, match=r"belongs to the engine at http://127\.0\.0\.1:1,"):
        Client("http://127.0.0.1:2", 1, journal=journal)


def test_a_journal_belongs_to_one_process(journal: Journal) -> None:
    program = f"from hft_client import Journal; Journal({journal.path!r})"

    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=30)

    assert "JournalError" in other.stderr
    assert "One process at a time" in other.stderr


def test_a_journal_of_a_newer_form_is_not_touched(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "newer") as database:
        database.execute("PRAGMA user_version = 9")

    with pytest.raises(JournalError, match="form 9"):
        Journal(tmp_path / "newer")


def test_known_outcomes_are_forgotten_by_age_and_open_ones_never(journal: Journal) -> None:
    script = Script(FILLED, LOST, journal=journal)
    script.run(script.operations.buy("BTC", 1, key="filled"))
    with pytest.raises(OutcomeUnknown):
        script.run(script.operations.buy("BTC", 1, key="open"))

    assert journal.forget(datetime.now(UTC) - timedelta(days=1)) == 0
    assert journal.forget(datetime.now(UTC) + timedelta(days=1)) == 1
    assert outcomes(journal) == {"open": None}


def test_it_keeps_what_was_verified(journal: Journal) -> None:
    journal.keep_verified(Verified(1, 5, "aa"))
    journal.keep_verified(Verified(1, 6, "bb"))

    assert (journal.last_verified(1), journal.last_verified(2)) == (Verified(1, 6, "bb"), None)


def test_a_client_without_a_journal_has_nothing_to_recover() -> None:
    script = Script(FILLED)

    with pytest.raises(ValueError, match="no journal"):
        script.run(script.operations.recover())
