"""Times as the API shows them."""

from datetime import UTC, datetime


def rfc3339(at: datetime) -> str:
    """Formats a time as RFC 3339 in UTC with microseconds: ``2026-02-21T14:01:48.011301Z``."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
