"""botocore's description of AWS, cut down to what a function asks it for.

Every client that is made reads it: endpoints of some 300 services, documentation, and a rule set that then works out each call's
endpoint anew. Where a service has no rule set, botocore takes its endpoint from ``endpoints.json``, once for a client; a test
holds those against the rule sets, for each region that AWS has.
"""

import gzip
import json
from pathlib import Path
from typing import Any

SERVICES = ("dynamodb", "secretsmanager", "ssm")
"""The services that the functions call: the engine its tables, the authorizer the secret that signs tokens."""

RULE_SETS = "endpoint-rule-set-1.json.gz"


def trim(data: Path) -> None:
    """Rewrites a directory ``botocore/data``."""
    endpoints = data / "endpoints.json"
    endpoints.write_bytes(_json(_of_our_services(json.loads(endpoints.read_bytes()))))
    for rules in data.glob(f"*/*/{RULE_SETS}"):
        rules.unlink()
    for model in data.glob("*/*/service-2.json.gz"):
        described = json.loads(gzip.decompress(model.read_bytes()))
        # Always the same bytes for the same content, whenever it is packaged.
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
        # A text: a member of that name would be a description of its own.
        kept = {name: each for name, each in part.items() if name != "documentation" or not isinstance(each, str)}
        return {name: _without_documentation(each) for name, each in kept.items()}
    return part


def _json(content: Any) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()
