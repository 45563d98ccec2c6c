"""Findings of an audit."""

from enum import StrEnum


class Kind(StrEnum):
    """Subject of a finding."""

    SEQUENCE = "sequence"
    """A record is missing or appears twice, or the account is not where its records end."""

    CHAIN = "chain"
    """A record, or a head, was altered after it was written."""

    HEAD = "head"
    """A head that somebody kept is not in the chain: the chain was computed anew."""

    RECORD = "record"
    """A record claims something that its prices, its terms or the account at that moment do not give."""

    BALANCES = "balances"
    """The account does not hold what its records give."""

    COST_BASIS = "cost_basis"
    """The account's cost basis is not what its records give."""

    REALIZED_PL = "realized_pl"
    """The account's realized profit or loss is not what its records give."""

    FORM = "form"
    """Another release wrote an item: 1.x, or a newer one."""

    UNREADABLE = "unreadable"
    """An item or a text is not of the form that the engine writes."""


class Discrepancy(Exception):
    """The first place where records and account do not agree. `sequence` and `key` name the record, where it is about one."""

    def __init__(self, kind: Kind, message: str, *, sequence: int | None = None, key: str | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.sequence = sequence
        self.key = key
