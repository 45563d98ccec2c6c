"""The permissions for deployments that docs/deployer-policy.json lists, against what a stage's stack is made of."""

import json
from fnmatch import fnmatch
from typing import Any

import pytest

from deploy import log_role
from deploy.stage import Stage
from deploy.template import compose, table_names
from harness.processes import ROOT
from harness.project import change_stage, copy_project

POLICY = json.loads((ROOT / "docs" / "deployer-policy.json").read_text())

SERVICES = {
    "ApiGateway": "apigateway",
    "CloudWatch": "cloudwatch",
    "DynamoDB": "dynamodb",
    "Events": "events",
    "IAM": "iam",
    "Lambda": "lambda",
    "Logs": "logs",
    "SNS": "sns",
    "Scheduler": "scheduler",
    "SecretsManager": "secretsmanager",
}
"""The prefix of a service's actions, by the name that CloudFormation's types have for it."""


def granted(action: str, resource: str) -> bool:
    def any_matches(patterns: str | list[str], name: str) -> bool:
        return any(fnmatch(name, pattern) for pattern in ([patterns] if isinstance(patterns, str) else patterns))

    return any(
        any_matches(statement["Action"], action) and any_matches(statement["Resource"], resource)
        for statement in POLICY["Statement"]
    )


def types(part: Any) -> set[str]:
    """Returns the types of all resources in a template."""
    return {resource["Type"] for resource in part["Resources"].values() if "Type" in resource}


@pytest.fixture
def stage(tmp_path: Any) -> Stage:
    """The stage `dev` with all that a stage can turn on."""
    project = copy_project(tmp_path, requirements=False)
    change_stage(project, "dev", environment_variables={"HFT_OPERATOR_API": "on", "HFT_PRICE_FEED": "on"})
    return Stage.load(project, "dev")


def test_a_deployer_may_make_each_kind_of_resource(stage: Stage) -> None:
    services = {SERVICES[kind.split("::")[1]] for kind in types(compose(stage))}
    services |= {"apigateway", "lambda", "cloudformation", "s3"}  # what Chalice adds, and what the deployment itself uses

    patterns = {action for statement in POLICY["Statement"] for action in statement["Action"]}
    assert services <= {pattern.partition(":")[0] for pattern in patterns}


def test_a_deployer_reaches_the_stages_own_names(stage: Stage) -> None:
    needed = [
        ("cloudformation:CreateChangeSet", f"arn:aws:cloudformation:us-east-1:1:stack/{stage.stack_name}/id"),
        ("s3:PutObject", f"arn:aws:s3:::{stage.app_name}-1-us-east-1/{stage.app_name}/dev/template.json"),
        ("lambda:UpdateFunctionCode", f"arn:aws:lambda:us-east-1:1:function:{stage.stack_name}-APIHandler-x"),
        ("iam:PassRole", f"arn:aws:iam::1:role/{stage.stack_name}-ApiHandlerRole-x"),
        ("events:PutRule", f"arn:aws:events:us-east-1:1:rule/{stage.stack_name}-PriceFeedPriceFeedEvent-x"),
        ("iam:AttachRolePolicy", f"arn:aws:iam::1:role/{log_role.NAME}"),
        *(
            ("dynamodb:Scan", f"arn:aws:dynamodb:us-east-1:1:table/{name}")
            for name in table_names(compose(stage), stage).values()
        ),
    ]

    assert [each for each in needed if not granted(*each)] == []


def test_a_deployer_has_no_access_to_other_stacks_and_roles() -> None:
    assert not granted("cloudformation:DeleteStack", "arn:aws:cloudformation:us-east-1:1:stack/another/id")
    assert not granted("iam:PassRole", "arn:aws:iam::1:role/Administrator")
