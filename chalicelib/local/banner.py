"""The first lines of a local run."""

import json
import shlex

from chalicelib import __version__
from chalicelib.config import Settings, is_loopback

HFT_URL = "http://127.0.0.1:8000"
"""The engine that the command line ``hft`` takes by default."""


def url_of(host: str, port: int) -> str:
    """Returns the URL of a run on this machine."""
    everywhere = host in ("0.0.0.0", "::")  # noqa: S104  (compared, not bound)
    return f"http://{'127.0.0.1' if everywhere else _in_url(host)}:{port}"


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def banner(host: str, port: int, settings: Settings, identity: str, feed: str | None, *, is_open: bool) -> str:
    """Returns the first lines of a run: its addresses, an order to try, what moves prices, and whom the authorizer accepts."""
    url = url_of(host, port)
    order = json.dumps({"user_id": 1, "symbol": "BTC", "pay_with": "USD", "quantity": "1.0"})
    execute = shlex.quote(f"{url}/api/v1/trading/execute")  # some shells read the brackets of an IPv6 address as a pattern
    token = "" if is_open else ' -H "Authorization: Bearer $TOKEN"'
    lines = [
        f"HFT Trading Engine v{__version__}",
        f"  Console     {url}/",
        f"  Swagger UI  {url}/docs",
        f"  Portfolio   {url}/api/v1/trading/portfolio/1",
        f"  An order    curl -s -X POST {execute}{token} -H 'X-Idempotency-Key: order-1' -d '{order}'",
        f"  A terminal  pip install './client[cli]', then: {'' if url == HFT_URL else f'HFT_URL={url} '}hft buy 0.5 BTC",
        f"  State       {_state(settings)}",
        f"  Identity    {identity}",
    ]
    if feed is not None:
        lines.append(f"  Feed        {feed} sets the prices once a second")
    if not is_loopback(f"//{_in_url(host)}"):
        lines.append("  Reach       every machine that can connect to this one; connections are not encrypted")
        if is_open:
            lines.append("  Names       an IP address, localhost, and the names in HFT_LOCAL_HOSTS; other hosts get a 403")
            lines.append("  WARNING     ANYBODY ON THOSE MACHINES CAN READ AND TRADE EVERY ACCOUNT: requests need no token")
    return "\n".join(lines)


def _state(settings: Settings) -> str:
    tables = f"the tables {settings.table_prefix}-*"
    if settings.datastore_endpoint is not None:
        return f"in the datastore at {settings.datastore_endpoint}: {tables}"
    if settings.datastore == "aws":
        return f"in DynamoDB at AWS, {settings.region}: {tables}"
    if settings.data_directory is not None:
        return f"on disk in {settings.data_directory}: the next run with this directory continues from it"
    return "in this process's memory: it is lost when the process ends; DATA=directory keeps it"
