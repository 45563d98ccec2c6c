"""Our part of a stage's template: ``.chalice/resources.json``, ``price-feed.json`` where the feed is on, the stage's overlay.

Chalice merges it into the part that it generates itself (functions, roles, routes).
"""

import json
from typing import Any

from chalice.package import TemplateDeepMerger

from deploy.stage import Stage

Template = dict[str, Any]

TABLE = "AWS::DynamoDB::Table"


def compose(stage: Stage) -> Template:
    """Returns our part of the stage's template."""
    ours = stage.project / ".chalice"
    parts = [ours / "resources.json"]
    if stage.price_feed:
        parts.append(ours / "price-feed.json")
    if stage.overlay.exists():
        parts.append(stage.overlay)
    merged: Template = {}
    for part in parts:
        merged = TemplateDeepMerger().merge(json.loads(part.read_text()), merged)
    as_text: Template = _as_text(merged)
    return as_text


def _as_text(part: Any) -> Any:
    """Turns the parts marked ``Fn::ToJsonString`` into JSON text, for dashboards, log formats and mapping templates.

    CloudFormation could do this only with a second macro in front of SAM's. `${...}` in the text works as in Fn::Sub.
    """
    if isinstance(part, list):
        return [_as_text(each) for each in part]
    if not isinstance(part, dict):
        return part
    if "Fn::ToJsonString" in part:
        text = json.dumps(part["Fn::ToJsonString"], ensure_ascii=False)
        return {"Fn::Sub": text} if "${" in text else text
    return {name: _as_text(each) for name, each in part.items()}


def tables(template: Template) -> dict[str, dict[str, Any]]:
    """Returns the template's tables by logical id."""
    return {name: resource for name, resource in template["Resources"].items() if resource.get("Type") == TABLE}


def table_names(template: Template, stage: Stage) -> dict[str, str]:
    """Returns the names of a stage's tables by logical id."""
    return {
        name: table["Properties"]["TableName"]["Fn::Sub"].replace("${TablePrefix}", stage.table_prefix)
        for name, table in tables(template).items()
    }


def keeps_its_tables(template: Template) -> bool:
    """Returns whether the tables outlive the stack."""
    return any(table.get("DeletionPolicy") == "Retain" for table in tables(template).values())
