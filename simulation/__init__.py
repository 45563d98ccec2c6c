"""A deterministic simulator: the real execution loop and ledger against a simulated DynamoDB, on one thread, in virtual time.

One seed is one run: a plan of what clients, operators and processes do (`workload`), and the weather they do it in (`faults`).
Every datastore call, wait and lock hands over to a scheduler (`scheduler`) that decides who goes on and when; nothing else
decides anything, so the same seed is the same run, to the microsecond. After each run its history is judged (`checks`); a run
that breaks a rule is cut down to the shortest one that still does (`shrink`) and printed as a timeline (`journal`).

In the manner of TigerBeetle's VOPR (``docs/internals/vopr.md`` there).
"""
