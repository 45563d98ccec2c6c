"""The operator's audit, as a test asserts it."""

from ops.audit import Auditor
from tests.support.market import Market


def assert_audit(market: Market, user_id: int) -> None:
    """Asserts that an account is what its records, replayed in order, make it: sequence without a gap, chain, books."""
    audited = Auditor(market.dynamodb, market.tables).audit(user_id)
    assert audited is not None, "there is neither an account nor a record"
    if audited.discrepancy is not None:
        raise audited.discrepancy
