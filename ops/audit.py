"""Auditing a stage: each account is compared with its records. Read-only, and right on a live stage.

An account and its records are separate reads, and orders go on in between:

    read the account          it is at record n
    read its records          1 … n, and perhaps some that were made since: those are left to the next audit
    read the account again    if there were any: it must have come as far

Whatever does not agree is looked at once more, from the start, before it is reported.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from chalicelib.audit.discrepancy import Discrepancy, Kind
from chalicelib.audit.replay import account_behind, compare, replay
from chalicelib.domain.account import Account
from chalicelib.runtime.world import World
from chalicelib.store.tables import Tables
from ops.spill import History
from ops.stored import Advance, Stored

LOOK_AGAIN_S = 1.0
"""The wait before the second look: far longer than the parts of one transaction take to be seen by separate reads."""


@dataclass(frozen=True, slots=True)
class Audited:
    """The result of one account's audit: the first `discrepancy`, if there is one. `records`: as many as the account counts."""

    user_id: int
    records: int
    discrepancy: Discrepancy | None


class Auditor:
    """Audits a stage's accounts, over a boto3 client."""

    def __init__(self, dynamodb: Any, tables: Tables, world: World | None = None) -> None:
        self._stored = Stored(dynamodb, tables)
        self._world = world or World()

    def audit(
        self, user_id: int, advance: Advance = lambda _: None, kept_heads: Mapping[int, bytes] | None = None
    ) -> Audited | None:
        """Audits one account. Returns `None` where there is neither an account nor a record, and no head of one was kept.

        `advance` takes the count of its records; `kept_heads`: heads that somebody kept, by sequence.
        """
        audited = self._look(user_id, advance, kept_heads)
        if audited is None or audited.discrepancy is None:
            return audited
        self._world.sleep_s(LOOK_AGAIN_S)
        return self._look(user_id, advance, kept_heads)

    def audit_all(self, advance: Advance = lambda _: None) -> Iterator[Audited]:
        """Audits every account, and every user whose records have none. `advance` takes the count of users, then of records.

        The second part reads all records once more: an accounts table restored from an earlier time lacks those who came later,
        and would otherwise pass.
        """
        for user_id in self._stored.users(advance):
            audited = self.audit(user_id)
            if audited is not None:
                yield audited

    def size(self) -> int:
        """Returns about how much `audit_all` counts: DynamoDB counts items every six hours."""
        return self._stored.size()

    def _look(self, user_id: int, advance: Advance, kept_heads: Mapping[int, bytes] | None) -> Audited | None:
        sequence = 0
        try:
            account = self._stored.account(user_id)
            sequence = newest = 0 if account is None else account.sequence
            with History(user_id) as history:
                for records in self._stored.records(user_id):
                    history.add(record for record in records if record.sequence <= sequence)
                    newest = max([newest, *(record.sequence for record in records)])
                    advance(len(records))
                if account is None and newest == 0 and not kept_heads:
                    return None
                if newest > sequence:
                    self._check_came_as_far(user_id, newest)
                compare(replay(user_id, history.in_order(), kept_heads), account or Account(user_id))
        except Discrepancy as discrepancy:
            return Audited(user_id, sequence, discrepancy)
        return Audited(user_id, sequence, None)

    def _check_came_as_far(self, user_id: int, newest: int) -> None:
        account = self._stored.account(user_id)
        if account is None:
            message = f"there is no account, its records go on to {newest}. Was it deleted, or restored from an earlier time?"
            raise Discrepancy(Kind.SEQUENCE, message, sequence=1)
        if account.sequence < newest:
            raise account_behind(account.sequence, newest)
