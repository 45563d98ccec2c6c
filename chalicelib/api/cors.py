"""Cross-origin requests: the headers that let pages of listed origins call the engine (the Fetch standard's CORS protocol)."""

from collections.abc import Iterable

from chalicelib.config import Settings
from chalicelib.contract.requests import KEY_HEADERS

_EXPOSED = "Idempotent-Replayed, X-Request-Id, Retry-After"
_ALLOWED = ", ".join(("Authorization", "Content-Type", *KEY_HEADERS))
_PREFLIGHT_AGE_S = 600
"""The time for which a browser may keep the answer to a preflight."""


def response_headers(origin: str | None, settings: Settings) -> dict[str, str]:
    """Returns the headers of a response to a request from an origin; none where CORS is off."""
    if not settings.cors_origins:
        return {}
    if origin is None or origin.lower() not in settings.cors_origins:
        return {"Vary": "Origin"}
    return {"Vary": "Origin", "Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": _EXPOSED}


def preflight_headers(origin: str | None, methods: Iterable[str], settings: Settings) -> dict[str, str]:
    """Returns the headers of the answer to a preflight for a route that takes these methods."""
    headers = {"Allow": ", ".join(methods), **response_headers(origin, settings)}
    if "Access-Control-Allow-Origin" in headers:
        headers |= {
            "Access-Control-Allow-Methods": headers["Allow"],
            "Access-Control-Allow-Headers": _ALLOWED,
            "Access-Control-Max-Age": str(_PREFLIGHT_AGE_S),
        }
    return headers
