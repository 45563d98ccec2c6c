"""``audit``: are accounts what their records make of them?"""

import re
import sys
from collections.abc import Iterable

import rich_click as click

from chalicelib.contract.fields import InvalidValue
from ops.audit import Audited, Auditor
from ops.commands.shared import as_json_option, on_stage
from ops.failure import Failure
from ops.output import progress, say, show_json
from ops.stage import Stage
from ops.stored import MAX_SEQUENCE
from ops.values import USER, Value

DISCREPANCY_FOUND = 3
"""The exit code where a discrepancy is found."""

_KEPT_HEAD = re.compile(r"([1-9][0-9]{0,18}):([0-9A-Fa-f]{64})")


def _kept_head(text: str) -> tuple[int, bytes]:
    found = _KEPT_HEAD.fullmatch(text)
    if found is None or int(found[1]) > MAX_SEQUENCE:
        raise InvalidValue("must be a record's number, a colon and 64 hexadecimal digits")
    return int(found[1]), bytes.fromhex(found[2])


@click.command("audit")
@click.argument("user_id", metavar="[USER]", type=USER, required=False)
@click.option("--all", "everybody", is_flag=True, help="Every account, and users whose records have no account.")
@click.option(
    "--head",
    "heads",
    metavar="SEQUENCE:HEX",
    type=Value("head", _kept_head),
    multiple=True,
    help="A head of USER that somebody kept: the chain must still contain it. May be given several times.",
)
@as_json_option
@on_stage
def audit(stage: Stage, user_id: int | None, *, everybody: bool, heads: tuple[tuple[int, bytes], ...], as_json: bool) -> None:
    """Replays accounts' records, and names the first discrepancy in each.

    Each account must be what its records make of it, in sequence and chained; each record must claim what its terms, its prices
    and the account at that moment give. Only a head that somebody kept shows that a whole chain was computed anew. Reads only;
    trading may go on meanwhile. Ends with 3 where there is a discrepancy. JSON comes one object a line, the summary last.
    """
    if (user_id is None) != everybody:
        raise click.UsageError("Audit one USER, or --all.")
    if heads and everybody:
        raise click.UsageError("--head is of one USER.")
    kept_heads = dict(heads)
    if set(heads) != set(kept_heads.items()):
        raise click.UsageError("--head gives one record two heads.")
    auditor = Auditor(stage.dynamodb, stage.tables)
    if user_id is None:
        with progress("auditing", auditor.size()) as advance:
            found = _report(auditor.audit_all(advance), as_json=as_json)
    else:
        with progress(f"auditing user {user_id}", None) as advance:
            audited = auditor.audit(user_id, advance, kept_heads)
        if audited is None:
            raise Failure(f"User {user_id} has no account and no records")
        found = _report([audited], as_json=as_json)
    if found:
        sys.exit(DISCREPANCY_FOUND)


def _report(audits: Iterable[Audited], *, as_json: bool) -> int:
    """Shows each discrepancy as it is found, and a summary. Returns how many there were."""
    accounts_count = records_count = found = 0
    for audited in audits:
        accounts_count += 1
        records_count += audited.records
        discrepancy = audited.discrepancy
        if discrepancy is None:
            continue
        found += 1
        row = {
            "user_id": audited.user_id,
            "discrepancy": discrepancy.kind,
            "sequence": discrepancy.sequence,
            "key": discrepancy.key,
            "message": str(discrepancy),
        }
        if as_json:
            show_json(row)
        else:
            at = f" at record {discrepancy.sequence}" if discrepancy.sequence is not None else ""
            key = f" ({discrepancy.key})" if discrepancy.key is not None else ""
            say(f"user {audited.user_id}: {discrepancy.kind}{at}{key}: {discrepancy}")
    if as_json:
        show_json({"accounts": accounts_count, "records": records_count, "discrepancies": found})
    else:
        say(f"accounts: {accounts_count}, records: {records_count}, discrepancies: {found or 'none'}")
    return found
