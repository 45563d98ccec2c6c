"""The guard of an open local run: no web page trades through a visitor's browser.

A page of any origin can send a POST to this machine without asking it first, and a name that its owner lets point to this machine
gives it the engine's own origin. A browser says both: it names the page's origin, and the host that it believes to talk to.
"""

from ipaddress import ip_address
from urllib.parse import urlsplit

from chalicelib.config import Settings
from chalicelib.contract.errors import Forbidden
from chalicelib.local.http import Head

PAGES = frozenset({"/", "/docs"})
"""The paths of pages, to which a link on any page may lead."""


def refuse_foreign_page(head: Head, settings: Settings) -> None:
    """Lets a request pass that no foreign page can have sent.

    Raises:
        Forbidden: a foreign page may have sent it.
    """
    if head.host is not None and not _is_ours(head.host, settings):
        raise Forbidden(
            "An open local run answers to an IP address, to localhost, and to the names in HFT_LOCAL_HOSTS, "
            f"not to the host {_shown(head.host)}"
        )
    origins = head.headers.every.get("origin", [])
    unlisted = [origin for origin in origins if origin.lower() not in settings.cors_origins]
    for origin in unlisted:
        if not _is_same(origin, head.host):
            raise Forbidden(
                f"An open local run takes no requests from pages of {_shown(origin)}: HFT_CORS_ORIGINS lists the origins that may"
            )
    is_listed = bool(origins) and not unlisted
    if not is_listed and head.headers.get("sec-fetch-site", "").lower() == "cross-site" and not _is_navigation(head):
        raise Forbidden("An open local run takes no requests from pages of other sites")


def _is_ours(host: str, settings: Settings) -> bool:
    try:
        parts = urlsplit(f"//{host}")
        name = parts.hostname or ""
        _ = parts.port
    except ValueError:
        return False
    if "@" in host or "/" in host or not name:
        return False
    name = name.removesuffix(".")
    if name == "localhost" or name.endswith(".localhost") or name in settings.local_hosts:
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _is_same(origin: str, host: str | None) -> bool:
    """Returns whether an origin has the host and port of the request. `null` has none."""
    scheme, separator, rest = origin.lower().partition("://")
    return bool(separator) and scheme in ("http", "https") and host is not None and rest == host.lower()


def _is_navigation(head: Head) -> bool:
    path = head.target.partition("?")[0]
    return (
        head.method == "GET"
        and (path.rstrip("/") or "/") in PAGES
        and head.headers.get("sec-fetch-mode") == "navigate"
        and head.headers.get("sec-fetch-dest", "document") == "document"
    )


def _shown(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode()[:100]
