"""The use cases: executing orders exactly once, transfers, queries."""
