"""The parts of an operation's description."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from typing import Any

from chalicelib.contract import errors
from chalicelib.contract.errors import EngineError
from chalicelib.contract.replies import record_body
from chalicelib.domain.timestamps import rfc3339

Json = dict[str, Any]

AT = datetime(2026, 2, 21, 14, 1, 48, 11_301, UTC)
"""The time of all examples."""

TRADING, OPERATOR, SERVICE = "Trading", "Operator", "Service"

STORED = (
    errors.InsufficientFunds,
    errors.LinkedOrderFailed,
    errors.OrderExpired,
    errors.OrderVoided,
    errors.PriceLimitExceeded,
)
"""The errors that are decisions: stored, and replayed."""

REQUEST_ID = {
    "X-Request-Id": {
        "required": True,
        "description": "The id of this request in the engine's logs.",
        "schema": {"type": "string"},
    }
}
REPLAYED = {
    "Idempotent-Replayed": {
        "description": "Present where an earlier request with this key decided the order: this is the reply of that time.",
        "schema": {"type": "string", "const": "true"},
    }
}
RETRY_AFTER = {
    "Retry-After": {
        "description": "Seconds to wait before the same request, with the same key.",
        "schema": {"type": "integer", "minimum": 1},
    }
}


def operation(
    operation_id: str,
    tag: str,
    summary: str,
    description: str,
    reply: Json,
    *refusals: EngineError,
    public: bool = False,
    **parts: Any,
) -> Json:
    """Returns an operation. `reply`: its 200; `refusals`: a sample of each error; `parts`: the rest, by OpenAPI's names."""
    everywhere = (errors.InternalError(),) if public else (errors.Unauthenticated(), errors.InternalError())
    return {
        "operationId": operation_id,
        "tags": [tag],
        "summary": summary,
        "description": description,
        **({"security": []} if public else {}),
        **parts,
        "responses": {
            "200": reply,
            **_by_status(*refusals, *everywhere),
            "default": {"$ref": "#/components/responses/Otherwise"},
        },
    }


def in_path(name: str, description: str, example: Any, schema: Json) -> Json:
    """Returns a parameter in a path."""
    return {"name": name, "in": "path", "required": True, "description": description, "schema": schema, "example": example}


def in_query(name: str, description: str, example: Any, schema: Json, *, required: bool = False) -> Json:
    """Returns a parameter in the query."""
    return {"name": name, "in": "query", "required": required, "description": description, "schema": schema, "example": example}


def reply(description: str, schema: str, examples: Mapping[str, Any], headers: Json | None = None) -> Json:
    """Returns a JSON response."""
    return response(description, json_content(schema, examples), headers)


def response(description: str, content: Json, headers: Json | None = None) -> Json:
    """Returns a response. Each has the id of its request."""
    return {"description": description, "headers": REQUEST_ID | (headers or {}), "content": content}


def json_content(schema: str, examples: Mapping[str, Any]) -> Json:
    """Returns JSON content of a schema in ``components/schemas``, with named examples."""
    named = {name: {"summary": name, "value": example} for name, example in examples.items()}
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}, "examples": named}}


def refusal(*samples: EngineError) -> Json:
    """Returns the response of one or several errors, each of them an example."""
    headers: Json = {}
    for sample in samples:
        headers |= {name: {"schema": {"type": "string"}, "example": text} for name, text in sample.headers.items()}
        headers |= RETRY_AFTER if sample.retry_after_s else {}
        headers |= REPLAYED if isinstance(sample, STORED) else {}
    return reply(
        "<br>".join(f"`{sample.code}`: {meaning(type(sample))}" for sample in samples),
        "ErrorWithDetails" if any(sample.details for sample in samples) else "Error",
        {sample.code: _body(sample) for sample in samples},
        headers,
    )


def _body(sample: EngineError) -> Any:
    more = {"order": record_body(sample.record)} if isinstance(sample, errors.OrderDecided) else {}
    return json.loads(sample.body(rfc3339(AT), **more))


def meaning(kind: type[EngineError]) -> str:
    """Returns the first sentence of an error's docstring."""
    return (kind.__doc__ or "").partition(".")[0]


def _by_status(*samples: EngineError) -> Json:
    ordered = sorted(samples, key=attrgetter("status"))
    return {str(status): refusal(*same) for status, same in groupby(ordered, key=attrgetter("status"))}
