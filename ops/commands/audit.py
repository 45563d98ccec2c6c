"""``audit``: whether accounts are what their records make of them."""

import sys
from collections.abc import Iterable

import rich_click as click

from ops.audit import Audited, Auditor
from ops.commands.shared import as_json_option, on_stage
from ops.output import progress, say, show_json
from ops.stage import Stage
from ops.values import USER

DIFFERENCE_FOUND = 3
"""The exit code where a difference is found."""


@click.command("audit")
@click.argument("user_id", metavar="[USER]", type=USER, required=False)
@click.option("--all", "everybody", is_flag=True, help="Every account, and users whose records have no account.")
@as_json_option
@on_stage
def audit(stage: Stage, user_id: int | None, *, everybody: bool, as_json: bool) -> None:
    """Replays accounts' records, and names the first difference in each.

    Each account must be what its records make of it, in sequence and chained; each record must agree with what the client was
    told and with the prices it was decided at. Reads only, and takes no harm from trading that goes on. Ends with 3 where there
    is a difference. JSON comes one object a line, the summary last.
    """
    if (user_id is None) != everybody:
        raise click.UsageError("Audit one USER, or --all.")
    auditor = Auditor(stage.dynamodb, stage.tables)
    if user_id is None:
        with progress("auditing", auditor.size()) as advance:
            found = _report(auditor.audit_all(advance), as_json=as_json)
    else:
        with progress(f"auditing user {user_id}", None) as advance:
            found = _report([auditor.audit(user_id, advance)], as_json=as_json)
    if found:
        sys.exit(DIFFERENCE_FOUND)


def _report(audits: Iterable[Audited], *, as_json: bool) -> int:
    """Shows each difference as it is found, and a summary; returns how many there were."""
    accounts_count = movements = refusals = found = 0
    for audited in audits:
        accounts_count += 1
        movements += audited.movements
        refusals += audited.refusals
        difference = audited.difference
        if difference is None:
            continue
        found += 1
        row = {
            "user_id": audited.user_id,
            "difference": difference.kind,
            "sequence": difference.sequence,
            "key": difference.key,
            "message": str(difference),
        }
        if as_json:
            show_json(row)
        else:
            at = f" at movement {difference.sequence}" if difference.sequence is not None else ""
            key = f" ({difference.key})" if difference.key is not None else ""
            say(f"user {audited.user_id}: {difference.kind}{at}{key}: {difference}")
    if as_json:
        show_json({"accounts": accounts_count, "movements": movements, "refusals": refusals, "differences": found})
    else:
        say(f"accounts: {accounts_count}, movements: {movements}, refusals: {refusals}, differences: {found or 'none'}")
    return found
