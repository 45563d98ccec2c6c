"""The permissions that the application uses: each call in the suites is held against what its role grants, and recorded."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from chalicelib.store.connection import DynamoDB
from deploy.stage import Stage
from deploy.template import compose, table_names
from harness.processes import ROOT

Policy = dict[str, Any]

Permission = tuple[str, str]
"""An IAM action, and the table, or the ``table/index/name``, that it is used on."""

USED: set[Permission] = set()

# IAM has a permission for each action of a transaction, not for the transaction itself.
IN_A_TRANSACTION = {
    "ConditionCheck": "ConditionCheckItem",
    "Delete": "DeleteItem",
    "Get": "GetItem",
    "Put": "PutItem",
    "Update": "UpdateItem",
}


class RecordingDynamoDB(DynamoDB):
    """A connection of the API's role, with the operator's policy. It adds the permissions of each call to `USED`."""

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Makes one call (see `Datastore.call`). A call that the role does not grant fails."""
        for permission in permissions(operation, request):
            assert _is_granted(permission), f"the API's role does not grant {permission}"
            USED.add(permission)
        return super().call(operation, request)


def permissions(operation: str, request: dict[str, Any]) -> Iterator[Permission]:
    """Yields the permissions that a call takes."""
    match request:
        case {"TransactItems": transaction}:
            for action in transaction:
                for kind, body in action.items():
                    yield f"dynamodb:{IN_A_TRANSACTION[kind]}", body["TableName"]
        case {"RequestItems": by_table}:
            for table in by_table:
                yield f"dynamodb:{operation}", table
        case {"TableName": table, "IndexName": index}:
            yield f"dynamodb:{operation}", f"{table}/index/{index}"
        case {"TableName": table}:
            yield f"dynamodb:{operation}", table
        case _:
            raise AssertionError(f"{operation}: which table?")


def policy(name: str) -> Policy:
    read: Policy = json.loads((ROOT / ".chalice" / f"policy-{name}.json").read_text())
    return read


def operators_policy() -> Policy:
    """Returns what the API's role may do besides, in a stage that has the operator's routes."""
    resources: Policy = compose(Stage.load(ROOT, "dev"))["Resources"]
    document: Policy = resources["OperatorPolicy"]["Properties"]["PolicyDocument"]
    return document


def actions(statement: dict[str, Any]) -> list[str]:
    """Returns a statement's actions, of which IAM takes one as a string."""
    found = statement.get("Action", [])
    return [found] if isinstance(found, str) else found


def granted(policy: Policy, service: str) -> set[tuple[str, Any]]:
    """Returns the actions of a service that a policy allows, each with its resource."""
    return {
        (action, json.dumps(statement["Resource"]))
        for statement in policy["Statement"]
        for action in actions(statement)
        if action.startswith(f"{service}:")
    }


def in_template_terms(used: set[Permission]) -> set[tuple[str, str]]:
    """Returns permissions with their tables named as a policy names them."""
    stage = Stage.load(ROOT, "dev")
    names = {table: name for name, table in table_names(compose(stage), stage).items()}

    def arn(resource: str) -> str:
        table, _, index = resource.partition("/")
        name = names[table]
        return json.dumps({"Fn::Sub": f"${{{name}.Arn}}/{index}"} if index else {"Fn::GetAtt": [name, "Arn"]})

    return {(action, arn(resource)) for action, resource in used}


@cache
def _is_granted(permission: Permission) -> bool:
    return in_template_terms({permission}) <= granted(policy("api"), "dynamodb") | granted(operators_policy(), "dynamodb")
