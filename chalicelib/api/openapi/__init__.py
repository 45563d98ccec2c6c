"""The description of this API as OpenAPI 3.1, made from what runs it.

What an order may hold comes from `fields`, which validates it; statuses, codes and messages come from `errors`; the examples are
what the engine's own functions answer to sample data at a fixed time. So the document cannot drift from the engine unseen.
"""

from operator import attrgetter
from typing import Any

from chalicelib import __version__
from chalicelib.api.openapi.parts import SERVICE, TRADING, meaning
from chalicelib.api.openapi.paths import otherwise, paths
from chalicelib.api.openapi.schemas import schemas
from chalicelib.contract import errors
from chalicelib.contract.errors import EngineError

DESCRIPTION = """\
**Amounts** are strings in plain notation with 8 decimals (`"50000.00000000"`), so that no JSON reader makes floats of them.
Times are RFC 3339 in UTC. Replies may gain fields: ignore those you do not know. An order takes no fields but its own.

**Rounding.** What an order costs is computed exactly from two USD prices, then rounded up to 8 decimals: never in the buyer's
favour, never to zero. What is only shown, a price or a valuation, is rounded half up.

**Exactly once.** Each order carries an idempotency key: a value of your own, new for each order. The first decision under a key,
a fill or `ERR_LIQUIDITY`, is stored and belongs to it for ever. Send the same order again and you get the same reply, with the
header `Idempotent-Replayed: true`, whatever has changed since. Any other 4xx decides nothing and leaves the key as it was. In
a batch each order has its own key, outcome and `replayed`, and is the same order as by itself.

**After 500, 503, 504 or no answer** the outcome is unknown. Send the same order with the same key, after the seconds in
`Retry-After` where there are some, until a fill or `ERR_LIQUIDITY` comes: that is what happened, and it happened once. With a
new key it would be a new order.

| status | error_code | when | retry |
|---|---|---|---|
{table}
"""


def document() -> dict[str, Any]:
    """The OpenAPI document, the same every time."""
    kinds = _kinds_of_error()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "HFT Trading Engine",
            "version": __version__,
            "summary": "Market orders, executed exactly once",
            "description": DESCRIPTION.format(table="\n".join(_table_row(kind) for kind in kinds)),
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        # Relative to this document's own address: right at the root, behind an API Gateway stage and under a domain's path.
        "servers": [{"url": ".", "description": "the engine that serves this document"}],
        "tags": [
            {"name": TRADING, "description": "Orders, accounts and prices"},
            {"name": SERVICE, "description": "The engine itself"},
        ],
        "security": [{"token": []}],
        "paths": paths(),
        "components": {
            "schemas": schemas({kind.code for kind in kinds}),
            "responses": {"Otherwise": otherwise()},
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "Says whose account may be used. A local run asks for none unless it was told to.",
                }
            },
        },
    }


def _kinds_of_error() -> list[type[EngineError]]:
    """Every error there is, by status."""
    found = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, EngineError)]
    return sorted((kind for kind in found if kind is not EngineError), key=attrgetter("status"))


def _table_row(kind: type[EngineError]) -> str:
    retry = f"after {kind.retry_after_s} s" if kind.retry_after_s else ""
    return f"| {kind.status} | `{kind.code}` | {meaning(kind)} | {retry} |"
