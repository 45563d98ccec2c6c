"""botocore's description of AWS, reduced to the functions' needs.

Every new client reads it: the endpoints of about 300 services, documentation, and a rule set that computes each call's endpoint.
For a service without a rule set, botocore takes the endpoint from ``endpoints.json``, once for each client. A test compares those
endpoints with the rule sets for every AWS region.
"""

import gzip
import json
from pathlib import Path
from typing import Any

SERVICES = ("dynamodb", "secretsmanager", "ssm")
"""The services that the functions call: DynamoDB by the engine, the others by the authorizer for the secret that signs tokens."""

RULE_SETS = "endpoint-rule-set-1.json.gz"


def trim(data: Path) -> None:
    """Reduces a directory ``botocore/data`` in place."""
    endpoints = data / "endpoints.json"
    endpoints.write_bytes(_json(_of_our_services(json.loads(endpoints.read_bytes()))))
    for rules in data.glob(f"*/*/{RULE_SETS}"):
        rules.unlink()
    for model in data.glob("*/*/service-2.json.gz"):
        described = json.loads(gzip.decompress(model.read_bytes()))
        # Without a time, the same content always has the same bytes.
        model.write_bytes(gzip.compress(_json(_without_documentation(described)), mtime=0))


def _of_our_services(endpoints: dict[str, Any]) -> dict[str, Any]:
    partitions = [
        {**partition, "services": {name: partition["services"][name] for name in SERVICES if name in partition["services"]}}
        for partition in endpoints["partitions"]
    ]
    return {**endpoints, "partitions": partitions}


def _without_documentation(part: Any) -> Any:
    if isinstance(part, list):
        return [_without_documentation(each) for each in part]
    if isinstance(part, dict):
        # Only texts are documentation: a service's own member of that name is an object.
        kept = {name: each for name, each in part.items() if name != "documentation" or not isinstance(each, str)}
        return {name: _without_documentation(each) for name, each in kept.items()}
    return part


def _json(content: Any) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()
