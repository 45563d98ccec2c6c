"""The tables, created from the same file that CloudFormation deploys."""

import json
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

RESOURCES = Path(__file__).parents[2] / ".chalice" / "resources.json"
PREFIX_PARAMETER = "${TablePrefix}"
CREATE_PROPERTIES = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")


def definitions(prefix: str) -> list[dict[str, Any]]:
    """Returns CreateTable's arguments for each table of ``.chalice/resources.json``, with names that start with the prefix."""
    resources = json.loads(RESOURCES.read_text())["Resources"]
    return [
        {"TableName": properties["TableName"]["Fn::Sub"].replace(PREFIX_PARAMETER, prefix)}
        | {name: properties[name] for name in CREATE_PROPERTIES if name in properties}
        for properties in (
            resource["Properties"] for resource in resources.values() if resource.get("Type") == "AWS::DynamoDB::Table"
        )
    ]


def create_missing(client: Any, prefix: str) -> None:
    """Creates the missing tables with a boto3 client, and waits until all can be used.

    Several processes may do this at once: those that come later find the table in use and wait with the first.
    """
    for definition in definitions(prefix):
        try:
            client.create_table(**definition)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceInUseException":
                raise
        client.get_waiter("table_exists").wait(TableName=definition["TableName"], WaiterConfig={"Delay": 1, "MaxAttempts": 30})
