"""``accounts repair``: accounts as their records make them, after a restore."""

import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import rich_click as click

from ops.commands.shared import as_json_option, dry_run_option, on_stage
from ops.failure import Failure
from ops.output import note, progress, say, show, show_json
from ops.repair import MovedOn, NotRepairable, Repairer
from ops.stage import Stage
from ops.values import USER

COLUMNS = ("user_id", "before", "after", "result")
NOTHING_TO_DO, REFUSED = "nothing to do", "refused"

Row = dict[str, Any]


@click.command("repair")
@click.argument("user_id", metavar="[USER]", type=USER, required=False)
@click.option("--all", "everybody", is_flag=True, help="Every account, and users whose records have no account.")
@dry_run_option
@as_json_option
@on_stage
def repair(stage: Stage, user_id: int | None, *, everybody: bool, dry_run: bool, as_json: bool) -> None:
    """Rolls an account forward from its records, or says why not.

    For tables that were restored, each to its own second: the account becomes what its records make of it, if they are one whole,
    unaltered history that contains the account as it is. Otherwise nothing is written, and the command ends with 1. Shows the
    number of decisions before and after. With --all, accounts that are right are only counted; JSON is one object a line, the
    count last.
    """
    if (user_id is None) != everybody:
        raise click.UsageError("Repair one USER, or --all.")
    repairer = Repairer(stage.dynamodb, stage.tables)
    if user_id is None:
        with progress("repairing", repairer.size()) as advance:
            refused = _report(_repair_each(repairer, repairer.users(advance), dry_run=dry_run), as_json=as_json)
        if refused:
            sys.exit(1)
        return
    row = _repair(repairer, user_id, dry_run=dry_run)
    if row is None:
        raise Failure(f"User {user_id} has no account and no records")
    show([row], COLUMNS, as_json=as_json)


def _repair(repairer: Repairer, user_id: int, *, dry_run: bool) -> Row | None:
    plan = repairer.plan(user_id)
    if plan is None:
        return None
    if plan.needed and not dry_run:
        repairer.write(plan)
    before = None if plan.before is None else plan.before.sequence
    result = NOTHING_TO_DO if not plan.needed else "would be written" if dry_run else "written"
    return {"user_id": user_id, "before": before, "after": plan.after.sequence, "result": result}


def _repair_each(repairer: Repairer, users: Iterator[int], *, dry_run: bool) -> Iterator[Row]:
    for user_id in users:
        try:
            row = _repair(repairer, user_id, dry_run=dry_run)
        except (MovedOn, NotRepairable) as error:
            row = {"user_id": user_id, "result": REFUSED, "message": str(error)}
        if row is not None:
            yield row


def _report(rows: Iterator[Row], *, as_json: bool) -> int:
    """Shows each account that was not right, and a count. Returns how many were refused."""
    counts: Counter[str] = Counter()
    for row in rows:
        counts[row["result"]] += 1
        if row["result"] == NOTHING_TO_DO:
            continue
        if as_json:
            show_json(row)
        elif row["result"] == REFUSED:
            note(f"error: {row['message']}")
        else:
            say(f"user {row['user_id']}: {row['before'] or 'no account'} → {row['after']}, {row['result']}")
    if as_json:
        show_json({"accounts": counts.total(), "results": counts})
    else:
        say(", ".join([f"accounts: {counts.total()}", *(f"{result}: {count}" for result, count in sorted(counts.items()))]))
    return counts[REFUSED]
