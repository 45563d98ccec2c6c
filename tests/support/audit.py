"""The operator's audit, as a test asserts it."""

from ops.audit import Auditor
from tests.support.market import Market


def assert_audit(market: Market, user_id: int) -> None:
    """Asserts that an account follows from its records, replayed in sequence: no gap, an intact chain, the same books."""
    audited = Auditor(market.dynamodb, market.tables).audit(user_id)
    assert audited is not None, "there is neither an account nor a record"
    if audited.discrepancy is not None:
        raise audited.discrepancy
