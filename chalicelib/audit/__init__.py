"""Replay and verification of an account's history. Shares no reader and no arithmetic with what decides orders.

discrepancy   what an audit finds
reader        a record's text as facts: strict, by a grammar of its own
arithmetic    what must hold between figures, as inequalities
claims        what a decision claims, against the account as it was
linked        all-or-nothing batches: every record of one is a fill, or none is
replay        records 1 … n, one after the other, and the account that they make
"""
