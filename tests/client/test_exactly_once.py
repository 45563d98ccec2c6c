"""Sending an order until its outcome is known: what each answer leads to, and what is never claimed."""

import pytest

from hft_client import (
    AssetHalted,
    Contention,
    DatastoreUnavailable,
    Fill,
    IdempotencyKeyReused,
    InsufficientFunds,
    LinkedOrderFailed,
    NoAnswer,
    Order,
    OrderDecided,
    OrderRuleBroken,
    OrderVoided,
    OutcomeUnknown,
    TooManyRequests,
    TransferOverdraws,
    Unauthenticated,
    UnexpectedAnswer,
)
from tests.client.script import (
    BAD_GATEWAY,
    BUG,
    CONTENTION,
    DECIDED,
    DENIED,
    FILLED,
    HALTED,
    LOST,
    NO_FUNDS,
    NOT_FOUND,
    PAGE,
    REPLAYED,
    REUSED,
    RULE,
    THROTTLED,
    UNAVAILABLE,
    UNREACHED,
    VOID_REFUSAL,
    VOIDED,
    Script,
    Scripted,
    of_orders,
    refusal,
)

ORDER = Order.buy("BTC", "1.0", key="k")
TRANSFERRED = {"status": "ACCOUNT_FUNDED", "symbol": "USD", "amount": "5.00000000", "balance": "5.00000000", "sequence": 1}


def unknown(script: Script, order: Order = ORDER) -> OutcomeUnknown:
    with pytest.raises(OutcomeUnknown) as raised:
        script.run(script.operations.execute(order))
    return raised.value


@pytest.mark.parametrize(
    "trouble",
    [[LOST], [UNREACHED], [CONTENTION], [THROTTLED], [UNAVAILABLE], [BUG], [BAD_GATEWAY], [LOST, UNAVAILABLE, CONTENTION, LOST]],
)
def test_the_same_order_goes_again_with_the_same_key_until_it_is_decided(trouble: list[Scripted]) -> None:
    script = Script(*trouble, REPLAYED)

    fill = script.run(script.operations.execute(ORDER))

    assert (fill.key, fill.replayed, fill.sequence) == ("k", True, 2)
    assert script.sent == ["execute"] * (len(trouble) + 1)
    assert set(script.keys) == {"k"}
    assert len({str(request.body) for request in script.requests}) == 1


def test_every_order_gets_a_key_of_its_own() -> None:
    script = Script(FILLED)

    for _ in range(2):
        script.run(script.operations.buy("BTC", 1))

    assert len(set(script.keys)) == 2


def test_pauses_grow_and_the_engines_retry_after_is_a_lower_bound() -> None:
    script = Script(UNREACHED, UNREACHED, UNREACHED, CONTENTION, FILLED)

    script.run(script.operations.execute(ORDER))

    assert script.pauses_s == pytest.approx([0.075, 0.15, 0.3, 1.0])


def test_a_refusal_is_raised_at_once_and_says_that_it_is_stored() -> None:
    script = Script(NO_FUNDS)

    with pytest.raises(InsufficientFunds) as raised:
        script.run(script.operations.execute(ORDER))

    assert (raised.value.stored, raised.value.key, script.sent) == (True, "k", ["execute"])


def test_a_rejection_of_the_only_attempt_is_raised_at_once() -> None:
    script = Script(HALTED)

    with pytest.raises(AssetHalted) as raised:
        script.run(script.operations.execute(ORDER))

    assert (raised.value.stored, raised.value.key, script.sent) == (False, "k", ["execute"])


@pytest.mark.parametrize(("answer", "error"), [(CONTENTION, Contention), (THROTTLED, TooManyRequests), (UNREACHED, NoAnswer)])
def test_attempts_that_decided_nothing_leave_no_doubt_at_the_deadline(answer: Scripted, error: type[Exception]) -> None:
    script = Script(answer)

    with pytest.raises(error):
        script.run(script.operations.execute(ORDER))

    assert 10 < script.now_s <= 20
    assert len(script.sent) > 3


@pytest.mark.parametrize("doubt", [LOST, UNAVAILABLE, BUG, BAD_GATEWAY])
@pytest.mark.parametrize("last", [CONTENTION, THROTTLED, UNREACHED, LOST])
def test_one_attempt_without_a_decision_known_leaves_the_outcome_unknown_at_the_deadline(doubt: Scripted, last: Scripted) -> None:
    script = Script(doubt, last)

    error = unknown(script)

    assert (error.key, error.keys, error.user_id) == ("k", ("k",), 7)
    assert script.now_s <= 20 + 0.1


@pytest.mark.parametrize("rejection", [HALTED, RULE, refusal(404, "ERR_ASSET_NOT_FOUND"), refusal(422, "ERR_VALIDATION")])
def test_a_rejection_says_nothing_of_an_earlier_attempt_without_an_answer(rejection: Scripted) -> None:
    """It may still be under way: the order is looked up, and not sent, until its key has an outcome."""
    script = Script(LOST, rejection, NOT_FOUND, NOT_FOUND, FILLED, REPLAYED)

    fill = script.run(script.operations.execute(ORDER))

    assert fill.replayed
    assert script.sent == ["execute", "execute", "lookup", "lookup", "lookup", "execute"]


def test_a_rejection_after_an_attempt_without_an_answer_is_never_reported_as_nothing_decided() -> None:
    script = Script(LOST, HALTED, NOT_FOUND)

    error = unknown(script)

    assert isinstance(error.__cause__, AssetHalted)
    assert set(script.sent[2:]) == {"lookup"}


def test_a_key_of_another_order_is_certain_whatever_came_before() -> None:
    """The key stands for the other order for ever, so this one was never executed under it."""
    script = Script(LOST, REUSED)

    with pytest.raises(IdempotencyKeyReused):
        script.run(script.operations.execute(ORDER))


def test_a_token_that_expired_meanwhile_leaves_the_outcome_unknown_at_once() -> None:
    script = Script(LOST, DENIED)

    error = unknown(script)

    assert isinstance(error.__cause__, Unauthenticated)
    assert script.sent == ["execute", "execute"]


@pytest.mark.parametrize(
    "strange", [PAGE, FILLED.__class__(200, None, description="a page"), FILLED.__class__(200, {"a": "fill?"})]
)
def test_an_answer_that_is_not_the_engines_leaves_the_outcome_unknown(strange: Scripted) -> None:
    script = Script(strange)

    error = unknown(script)

    assert isinstance(error.__cause__, UnexpectedAnswer)
    assert script.sent == ["execute"]


def test_an_unknown_outcome_is_resolved_by_sending_the_same_order_again() -> None:
    script = Script(LOST)
    error = unknown(script)
    script.answers.extend([UNAVAILABLE, REPLAYED])
    script.answers.popleft()

    fill = error.resolve()

    assert isinstance(fill, Fill)
    assert set(script.keys) == {"k"}


def test_an_order_that_is_still_unknown_can_be_resolved_again() -> None:
    script = Script(LOST)

    with pytest.raises(OutcomeUnknown) as again:
        unknown(script).resolve()

    assert again.value.key == "k"


def test_a_resolved_order_that_is_rejected_stays_unknown_until_it_is_voided() -> None:
    script = Script(LOST)
    error = unknown(script)
    script.answers.extend([HALTED, NOT_FOUND])
    script.answers.popleft()
    with pytest.raises(OutcomeUnknown) as still:
        error.resolve()
    script.answers.extend([VOIDED, VOID_REFUSAL, VOIDED])
    script.answers.popleft()

    voided = still.value.void()

    assert voided.idempotency_key == "k"


def test_a_void_that_comes_too_late_says_what_was_decided() -> None:
    script = Script(LOST)
    error = unknown(script)
    script.answers.extend([DECIDED, REPLAYED, DECIDED])
    script.answers.popleft()

    with pytest.raises(OrderDecided):
        error.void()


def test_an_order_that_was_voided_meanwhile_is_refused() -> None:
    script = Script(LOST, VOID_REFUSAL)

    with pytest.raises(OrderVoided):
        script.run(script.operations.execute(ORDER))


def test_no_attempt_begins_after_the_deadline_and_none_may_outlast_it() -> None:
    script = Script(LOST)

    unknown(script)

    assert sum(script.pauses_s) + sum(request.timeout_s for request in script.requests) <= 20 + 0.1


def orders(count: int) -> list[Order]:
    return [Order.buy("BTC", place + 1, key=str(place)) for place in range(count)]


def test_of_a_batch_only_what_is_undecided_goes_again() -> None:
    """What was rejected must not be sent again beside it: it could fill, and be reported as rejected."""
    script = Script(of_orders(FILLED, HALTED, CONTENTION, NO_FUNDS), of_orders(FILLED))

    results = script.run(script.operations.batch(orders(4)))

    assert [type(result.outcome) for result in results] == [Fill, AssetHalted, Fill, InsufficientFunds]
    (again,) = script.requests[1:]
    assert again.body is not None
    assert [order["idempotency_key"] for order in again.body["orders"]] == ["2"]


def test_a_batch_without_an_answer_is_uncertain_in_every_order() -> None:
    script = Script(LOST, of_orders(REPLAYED, HALTED), NOT_FOUND)

    filled, halted = script.run(script.operations.batch(orders(2)))

    assert isinstance(filled.outcome, Fill)
    assert isinstance(halted.outcome, OutcomeUnknown)
    assert (halted.is_known, halted.outcome.keys) == (False, ("1",))


def test_an_order_of_a_batch_is_resolved_by_itself() -> None:
    script = Script(LOST, of_orders(REPLAYED, HALTED), NOT_FOUND)
    _, halted = script.run(script.operations.batch(orders(2)))
    script.answers.extend([FILLED])
    script.answers.popleft()

    assert isinstance(halted.outcome, OutcomeUnknown)
    assert isinstance(halted.outcome.resolve(), Fill)
    assert script.requests[-1].key == "1"


def test_a_batch_that_is_rejected_whole_raises() -> None:
    script = Script(refusal(422, "ERR_VALIDATION"))

    with pytest.raises(Exception, match="a scripted ERR_VALIDATION"):
        script.run(script.operations.batch(orders(2)))


def test_a_refused_order_alone_in_its_batch_is_a_result() -> None:
    script = Script(of_orders(NO_FUNDS))

    (result,) = script.run(script.operations.batch(orders(1)))

    with pytest.raises(InsufficientFunds):
        result.get()


def test_a_linked_batch_goes_again_whole() -> None:
    linked = refusal(424, "ERR_LINKED_ORDER")
    script = Script(LOST, CONTENTION, of_orders(linked, NO_FUNDS))

    results = script.run(script.operations.batch(orders(2), all_or_nothing=True))

    assert [type(result.outcome) for result in results] == [LinkedOrderFailed, InsufficientFunds]
    assert len({str(request.body) for request in script.requests}) == 1


def test_a_linked_batch_that_is_rejected_after_a_lost_answer_is_unknown_as_a_whole() -> None:
    script = Script(LOST, RULE, NOT_FOUND)

    with pytest.raises(OutcomeUnknown) as raised:
        script.run(script.operations.batch(orders(2), all_or_nothing=True))

    assert raised.value.keys == ("0", "1")
    assert isinstance(raised.value.__cause__, OrderRuleBroken)


def test_a_linked_batch_is_sent_again_only_once_all_of_its_keys_are_found() -> None:
    script = Script(LOST, RULE, FILLED, NOT_FOUND, FILLED, FILLED, of_orders(REPLAYED, REPLAYED))

    results = script.run(script.operations.batch(orders(2), all_or_nothing=True))

    assert [result.is_known for result in results] == [True, True]
    assert script.sent == ["batch", "batch", "lookup", "lookup", "lookup", "lookup", "batch"]


def test_a_transfer_that_overdraws_decides_nothing() -> None:
    script = Script(NO_FUNDS)

    with pytest.raises(TransferOverdraws) as raised:
        script.run(script.operations.transfer("USD", -5))

    assert raised.value.stored is False


def test_a_rejected_transfer_stays_uncertain_after_a_lost_answer_and_is_sent_again() -> None:
    script = Script(LOST, NO_FUNDS, FILLED.__class__(200, TRANSFERRED, replayed=True))

    transferred = script.run(script.operations.transfer("USD", 5, key="t"))

    assert transferred.replayed
    assert set(script.keys) == {"t"}


def test_a_read_goes_again_and_ends_with_the_last_error() -> None:
    script = Script(LOST, UNAVAILABLE, FILLED.__class__(200, []))
    assert script.run(script.operations.assets()) == []

    script = Script(UNAVAILABLE)
    with pytest.raises(DatastoreUnavailable):
        script.run(script.operations.assets())


def test_prices_without_a_time_are_not_sent_again_after_a_lost_answer() -> None:
    """Sent again they would be prices of a later moment, and could replace newer ones."""
    script = Script(LOST, FILLED.__class__(200, {"results": {"BTC": "set"}}))
    with pytest.raises(NoAnswer):
        script.run(script.operations.set_prices({"BTC": 1}))

    script = Script(THROTTLED, FILLED.__class__(200, {"results": {"BTC": "set"}}))
    assert script.run(script.operations.set_prices({"BTC": 1})) == {"BTC": "set"}

    script = Script(LOST, FILLED.__class__(200, {"results": {"BTC": "older"}}))
    timed = script.operations.set_prices({"BTC": 1}, as_of="2026-01-01T00:00:00Z")
    assert script.run(timed) == {"BTC": "older"}


def test_a_client_without_an_account_says_so() -> None:
    script = Script(FILLED, user_id=None)

    with pytest.raises(ValueError, match="has no account"):
        script.run(script.operations.execute(ORDER))
