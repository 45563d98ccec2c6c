"""``orders``: what became of an order, and voiding a key that must not execute any more."""

import rich_click as click

from chalicelib.contract.errors import OrderDecided, OrderNotFound
from chalicelib.contract.replies import record_body, reply_of
from chalicelib.domain.facts import Void, Voided
from chalicelib.domain.record import Record
from ops.commands import decisions
from ops.commands.shared import Group, as_json_option, dry_run_option, on_stage, user_argument
from ops.output import say, show, show_json
from ops.stage import Stage
from ops.values import KEY

VOID_COLUMNS = ("user_id", "key", "sequence", "at", "result")

key_argument = click.argument("key", type=KEY)


@click.group("orders", cls=Group)
def group() -> None:
    """Orders by their idempotency keys: what became of one, and voiding a key that must not execute any more."""


@group.command("show")
@user_argument
@key_argument
@as_json_option
@on_stage
def show_order(stage: Stage, user_id: int, key: str, *, as_json: bool) -> None:
    """Shows what is stored under an order's key, and the reply that the client gets. Executes nothing.

    Ends with 1 where nothing is stored.
    """
    record = stage.engine.queries.order(user_id, key, stage.engine.deadline())
    if as_json:
        show_json(record_body(record))
        return
    show([decisions.row(record)], decisions.COLUMNS, as_json=False)
    status, reply = reply_of(record)
    say(f"{status} {reply}")


@group.command("void")
@user_argument
@key_argument
@dry_run_option
@as_json_option
@on_stage
def void(stage: Stage, user_id: int, key: str, *, dry_run: bool, as_json: bool) -> None:
    """Makes sure that an order's key never executes. An order that has an outcome keeps it: the command ends with 1."""
    instruction = Void(user_id, key)
    if dry_run:
        record, replayed = _stored_void(stage, instruction)
    else:
        outcome = stage.engine.voids.make(instruction, stage.engine.deadline())
        record, replayed = outcome.record, outcome.replayed
    row = {
        "user_id": user_id,
        "key": key,
        "sequence": record and record.sequence,
        "at": record and record.decision.at,
        "result": "done before" if replayed else "would be done" if dry_run else "done",
    }
    show([row], VOID_COLUMNS, as_json=as_json)


def _stored_void(stage: Stage, instruction: Void) -> tuple[Record | None, bool]:
    """Returns the void that is stored under a key, and whether there is one.

    Raises:
        OrderDecided: the key has another outcome.
    """
    try:
        record = stage.engine.queries.order(instruction.user_id, instruction.idempotency_key, stage.engine.deadline())
    except OrderNotFound:
        return None, False
    if not isinstance(record.decision, Voided):
        raise OrderDecided(record)
    return record, True
