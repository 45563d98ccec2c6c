"""The description of this API as OpenAPI 3.1, made from the code that runs it.

The fields of an order come from `fields`, which validates them; statuses, codes and messages come from `errors`; the examples are
the answers of the engine's own functions to sample data at a fixed time. So the document cannot drift from the engine unseen.
"""

from operator import attrgetter
from typing import Any

from chalicelib import __version__
from chalicelib.api.openapi import operator as operators
from chalicelib.api.openapi.parts import OPERATOR, SERVICE, TRADING, meaning
from chalicelib.api.openapi.paths import otherwise, paths
from chalicelib.api.openapi.schemas import schemas
from chalicelib.contract import errors
from chalicelib.contract.errors import EngineError

DESCRIPTION = """\
Each order has a key of your own choice. Send it again with the same key until you know the outcome: it is executed at most once.

<details><summary>Amounts, orders, rounding, exactly once, history</summary>

**Amounts** are strings in plain notation with 8 decimals (`"50000.00000000"`), so that no JSON reader makes floats of them.
Prices have 8 to 16 decimals. Times are RFC 3339 in UTC. Replies may gain fields: ignore unknown ones. A request takes no fields
but its own.

**Orders** are market orders, and are filled at once or not at all. A buy names what it pays with, and a `quantity` of its symbol
or a `notional`, the most that it spends. A sell names what it receives. A `limit_price` is the worst price taken.

**Rounding.** The engine computes each figure exactly and rounds it against the client, once: a cost up, proceeds down, a fee up.
An order for which rounding would cost more than 1 % of its value is refused. Displayed prices and values are rounded half up.

**Exactly once.** Each order has an idempotency key: a value that you choose, new for each order. The engine stores the first
decision under a key for ever: a fill, or a refusal with 402, 410, 412 or 424. Send the same order again and you get the same
reply, with the header `Idempotent-Replayed: true`, whatever has changed since. Any other 4xx decides nothing, so that the key may
fill later. In a batch each order has its own key, outcome and `replayed`.

**After 500, 503, 504 or no answer** the outcome is unknown. Send the same order with the same key, after the seconds in
`Retry-After`, until you get a decision: it happened, and it happened once. With a new key it would be a new order. A look-up
shows what is stored under a key now, and a void makes sure that a key never executes.

**History.** Every decision of an account is numbered 1, 2, 3 … without gaps, and chained: each `head` is SHA-256 over the head
before it and the decision's stored text. With the history alone you can verify an account up to the head in its portfolio.

</details>
<details><summary>Every error, and whether to send the same request again</summary>

| status | error_code | when | retry |
|---|---|---|---|
{table}

</details>
"""

AUTHORIZATION = """\
Names the account that may be used. A local run needs none unless its settings ask for one.

Where tokens are signed with a secret of your own, `make token USER=1` prints one for account 1, and `OPERATOR=1` makes it an
operator's. It reads the secret from `HFT_TOKEN_SECRET` or `HFT_TOKEN_SECRET_ARN`.
"""


def document(*, operator: bool = False) -> dict[str, Any]:
    """Returns the OpenAPI document, the same every time. `operator`: with the operator's routes, where they exist."""
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
            *([{"name": OPERATOR, "description": "Prices, listings and transfers"}] if operator else []),
            {"name": SERVICE, "description": "The engine itself"},
        ],
        "security": [{"token": []}],
        "paths": paths() | (operators.paths() if operator else {}),
        "components": {
            "schemas": schemas({kind.code for kind in kinds}) | (operators.schemas() if operator else {}),
            "responses": {"Otherwise": otherwise()},
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": AUTHORIZATION,
                }
            },
        },
    }


def _kinds_of_error() -> list[type[EngineError]]:
    """Returns every error, by status."""
    found = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, EngineError)]
    return sorted((kind for kind in found if kind is not EngineError), key=attrgetter("status"))


def _table_row(kind: type[EngineError]) -> str:
    retry = f"after {kind.retry_after_s} s" if kind.retry_after_s else ""
    return f"| {kind.status} | `{kind.code}` | {meaning(kind)} | {retry} |"
