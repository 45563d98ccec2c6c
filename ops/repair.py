"""Rolling an account forward: it is computed anew from its records, and written in one conditional write.

The account is right where its records are: a record states a decision, the account only what all of them make. So an account that
is older than its records, is missing, or holds something else follows from them. The other way round nothing follows: a missing
record is never made up, and an account is never put back.

    read the account       as it is seen
    read its records       one history, 1 … n, chained, which contains the head that the account has
    compute the account    twice: by the engine's arithmetic and by the audit's, which must agree
    put it                 if the account still has the head and sequence that were seen

Two arithmetics, since a wrong one would be written here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.audit.discrepancy import Discrepancy, Kind
from chalicelib.audit.replay import Replayed, compare
from chalicelib.domain.account import Account, append
from chalicelib.domain.record import decision_from
from chalicelib.runtime.world import World
from chalicelib.store.connection import CONFLICT_CODES
from chalicelib.store.tables import Tables, item_from_account, number
from ops.audit import LOOK_AGAIN_S
from ops.spill import History
from ops.stored import Advance, Stored

_MOVED_ON = CONFLICT_CODES | {"ConditionalCheckFailedException"}

_COPY = "Restore the idempotency table to another second and copy what is missing from it; then repair again"
_COPY_ALTERED = "Restore the idempotency table to a second before that and copy the record from it; then repair again"
_AHEAD = (
    "Restore the idempotency table to a later second and copy them from it; then repair again. If they are lost for good, delete "
    "the account's item: then repair makes it anew, as its records end"
)
_DELETE = "If its records are right, delete the account's item: then repair makes it anew"
_BUG = "The engine's arithmetic and the audit's disagree, which is a bug: nothing can be written"
_REMEDIES = {
    Kind.SEQUENCE: _COPY,
    Kind.CHAIN: _COPY_ALTERED,
    Kind.RECORD: _COPY_ALTERED,
    Kind.UNREADABLE: _COPY_ALTERED,
    Kind.HEAD: f"Records were altered and their chain computed anew, or the account was. {_COPY_ALTERED}. {_DELETE}",
    Kind.FORM: "Run the release that wrote it",
}


class NotRepairable(Exception):
    """An account that its records do not lead to. The message says why, and what to do."""


class MovedOn(Exception):
    """The account was written by somebody else since it was read. Nothing was written."""


@dataclass(frozen=True, slots=True)
class Repair:
    """An account as it is stored, `None` where it is missing, and as its records make it."""

    before: Account | None
    after: Account

    @property
    def needed(self) -> bool:
        """True where the stored account is not the one that its records make."""
        return self.before != self.after


class Repairer:
    """Repairs a stage's accounts, over a boto3 client."""

    def __init__(self, dynamodb: Any, tables: Tables, world: World | None = None) -> None:
        self._dynamodb = dynamodb
        self._accounts = tables.accounts
        self._stored = Stored(dynamodb, tables)
        self._world = world or World()

    def users(self, advance: Advance = lambda _: None) -> Iterator[int]:
        """Yields every user who has an account or a record: see `Stored.users`."""
        return self._stored.users(advance)

    def size(self) -> int:
        """Returns about how much `users` counts."""
        return self._stored.size()

    def plan(self, user_id: int) -> Repair | None:
        """Returns what a repair would write. Returns `None` where there is neither an account nor a record.

        Looks twice before it refuses, like the audit: orders may go on meanwhile.

        Raises:
            NotRepairable: the account does not follow from its records.
        """
        try:
            return self._look(user_id)
        except NotRepairable:
            self._world.sleep_s(LOOK_AGAIN_S)
        return self._look(user_id)

    def write(self, repair: Repair) -> None:
        """Puts the account as its records make it, if it is still as it was seen.

        Raises:
            MovedOn: it is not.
        """
        seen = repair.before
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(user_id)"}
        if seen is not None:
            condition = {
                "ConditionExpression": "#head = :head AND #sequence = :sequence",
                "ExpressionAttributeNames": {"#head": "head", "#sequence": "sequence"},
                "ExpressionAttributeValues": {":head": {"B": seen.head}, ":sequence": number(seen.sequence)},
            }
        try:
            self._dynamodb.put_item(TableName=self._accounts, Item=item_from_account(repair.after), **condition)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _MOVED_ON:
                raise
            raise MovedOn(
                f"The account {repair.after.user_id} was written by somebody else meanwhile. Nothing was written: try again"
            ) from None

    def _look(self, user_id: int) -> Repair | None:
        try:
            before = self._stored.account(user_id)
        except Discrepancy as discrepancy:
            raise NotRepairable(f"User {user_id}: {discrepancy}. {_DELETE}") from None
        try:
            with History(user_id) as history:
                for records in self._stored.records(user_id):
                    history.add(records)
                then, after = _accounts_of(user_id, history, before)
        except Discrepancy as discrepancy:
            raise _refusal(user_id, discrepancy) from None
        if before is None and after.sequence == 0:
            return None
        if before in (then, None) and after.sequence > then.sequence:
            # Right as it was seen, and behind its records: unless those were made since, together with a newer account.
            now = self._stored.account(user_id)
            if now is not None and now.sequence >= after.sequence:
                return Repair(now, now)
        return Repair(before, after)


def _accounts_of(user_id: int, history: History, seen: Account | None) -> tuple[Account, Account]:
    """Returns the accounts that records make: as far as the stored one has come, and as far as they go.

    `seen`: the stored account, whose head must be in their chain.

    Raises:
        Discrepancy: they are not one whole history.
        NotRepairable: they end before the stored account.
    """
    replayed = Replayed(user_id, None if seen is None else {seen.sequence: seen.head})
    then = account = Account(user_id)
    for record in history.in_order():
        replayed.follow(record)
        account, _ = append(account, decision_from(record.text))
        if seen is not None and account.sequence == seen.sequence:
            then = account
    if seen is not None and replayed.sequence < seen.sequence:
        first, last = replayed.sequence + 1, seen.sequence
        missing = f"its record {first} is missing" if first == last else f"its records {first} to {last} are missing"
        raise NotRepairable(f"User {user_id}: the account is at {last}, and {missing}. {_AHEAD}")
    compare(replayed, account)
    return then, account


def _refusal(user_id: int, discrepancy: Discrepancy) -> NotRepairable:
    key = f" ({discrepancy.key})" if discrepancy.key is not None else ""
    finding = str(discrepancy) if str(discrepancy).endswith("?") else f"{discrepancy}."
    return NotRepairable(f"User {user_id}{key}: {finding} {_REMEDIES.get(discrepancy.kind, _BUG)}")
