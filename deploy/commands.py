"""The commands for a stage: deploy it, adopt its tables, show it, destroy it."""

from collections.abc import Callable
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from chalicelib.domain.record import FORM
from chalicelib.store.tables import Tables
from deploy import DeployError
from deploy.artifacts import Artifacts
from deploy.checks import require_log_role, require_python, require_valid
from deploy.first_order import first_order
from deploy.log_role import log_role, make_log_role
from deploy.package import package
from deploy.stack import Stack
from deploy.stage import Stage
from deploy.target import Target
from deploy.template import TABLE, compose, keeps_its_tables, table_names, tables

Say = Callable[[str], None]


def apply(stage: Stage, say: Say) -> None:
    """Deploys this working tree to a stage.

    Raises:
        DeployError: a check or the deployment failed.
    """
    target = Target.of(stage)
    require_python(target)
    require_log_role(target, stage.name)
    stack = Stack(target, stage.stack_name, say)
    if not stack.exists():
        _require_no_tables(stage, target)
    say(f"Packaging {stage.name}")
    packaged = package(stage)
    require_valid(packaged.template, stage.region)
    say(f"Uploading {packaged.archive.stat().st_size / 1e6:.1f} MB")
    artifacts = Artifacts(target, stage)
    artifacts.prepare()
    template = packaged.with_code_at(artifacts.bucket, artifacts.upload_archive(packaged.archive))
    say(f"Deploying {stack.name} to {_place(stage, target)}")
    changed = stack.apply(artifacts.upload_template(template), stage.parameters())
    say("Deployed" if changed else "Nothing to change")
    # An older release does not read items of a newer form: it would answer 503 for every account that this one has written to.
    say(f"  Roll back        only to a release that reads form {FORM} of accounts and records, which this one writes")
    outputs(stage, say, target)


def outputs(stage: Stage, say: Say, target: Target | None = None) -> None:
    """Shows a stage's URL and its stack's outputs, and lines to paste where no asset is listed yet.

    Raises:
        DeployError: the stage has no stack.
    """
    target = target or Target.of(stage)
    found = Stack(target, stage.stack_name, say).outputs()
    url = url_of(found, target)
    for name, value in sorted({**found, "EndpointURL": url}.items()):
        say(f"  {name:<16} {value}")
    say(f"  Try it           curl -s {url}/health")
    if _is_empty(stage, target):
        say("Nothing is listed yet. From the project's directory, as far as a first order:")
        for line in first_order(stage, target, url, found):
            say(line)


def url_of(found: dict[str, str], target: Target) -> str:
    """Returns the URL of a deployed stage. `found`: its stack's outputs."""
    url = urlsplit(found["EndpointURL"].rstrip("/"))
    return f"{target.emulator}/_aws/execute-api/{found['RestAPIId']}{url.path}" if target.emulator else url.geturl()


def allow_logs(stage: Stage, say: Say) -> None:
    """Makes the role with which API Gateway writes logs, once for an account in a region. A role that is there is kept.

    Raises:
        DeployError: API Gateway does not take the role.
    """
    target = Target.of(stage)
    where = f"in account {target.account}, {stage.region}"
    found = log_role(target)
    say(f"API Gateway writes logs {where} as {found or make_log_role(target)}")


def adopt(stage: Stage, say: Say) -> None:
    """Makes a stack around existing tables, so that the stage can be deployed onto them.

    Raises:
        DeployError: there are no tables, or the adoption failed.
    """
    target = Target.of(stage)
    template = compose(stage)
    left = _existing_tables(stage, target)
    if not left:
        raise DeployError(f"There are no tables {stage.table_prefix}-* to adopt in {_place(stage, target)}")
    only_tables = {
        "Parameters": {"TablePrefix": template["Parameters"]["TablePrefix"]},
        # A failed adoption, or a stack deleted by mistake, must not delete the tables.
        "Resources": {name: {**table, "DeletionPolicy": "Retain"} for name, table in tables(template).items() if name in left},
    }
    artifacts = Artifacts(target, stage)
    artifacts.prepare()
    Stack(target, stage.stack_name, say).adopt(
        artifacts.upload_template(only_tables),
        {"TablePrefix": stage.table_prefix},
        [
            {"ResourceType": TABLE, "LogicalResourceId": name, "ResourceIdentifier": {"TableName": table}}
            for name, table in left.items()
        ],
    )
    say(f"Adopted {', '.join(left.values())}. To deploy the rest: make deploy STAGE={stage.name}")


def destroy(stage: Stage, say: Say, *, force: bool) -> None:
    """Deletes a stage's stack, and shows what remains.

    Raises:
        DeployError: the stage is protected and `force` is not set, or the deletion failed.
    """
    keeps = keeps_its_tables(compose(stage))
    if keeps and not force:
        raise DeployError(f"The stage {stage.name} is protected. To destroy it anyway: make destroy STAGE={stage.name} FORCE=1")
    target = Target.of(stage)
    deleted = Stack(target, stage.stack_name, say).delete()
    say(f"{'Destroyed' if deleted else 'There is no stack'} {stage.stack_name} in {_place(stage, target)}")
    left = _existing_tables(stage, target)
    if left:
        say(f"The tables {', '.join(left.values())} remain, with their data")
        say(f"  to deploy the stage onto them again: make adopt STAGE={stage.name}, then make deploy STAGE={stage.name}")
        say("  to delete them for good: aws dynamodb update-table --no-deletion-protection-enabled, then delete-table, for each")
    say(f"The packages in s3://{Artifacts(target, stage).bucket} remain")


def _is_empty(stage: Stage, target: Target) -> bool:
    """Returns whether no asset is listed; false where the credentials may not look."""
    try:
        found = target.client("dynamodb").scan(TableName=Tables.of(stage.table_prefix).assets, Limit=1)
    except ClientError:
        return False
    return not found["Items"]


def _require_no_tables(stage: Stage, target: Target) -> None:
    left = _existing_tables(stage, target)
    if left:
        raise DeployError(
            f"There is no stack {stage.stack_name}, but its tables {', '.join(left.values())} exist. "
            f"To deploy onto them: make adopt STAGE={stage.name}, then repeat this command"
        )


def _existing_tables(stage: Stage, target: Target) -> dict[str, str]:
    """Returns the stage's tables that exist, with a stack or without, by logical id."""
    dynamodb = target.client("dynamodb")
    pages = dynamodb.get_paginator("list_tables").paginate()
    existing = {name for page in pages for name in page["TableNames"]}
    return {name: table for name, table in table_names(compose(stage), stage).items() if table in existing}


def _place(stage: Stage, target: Target) -> str:
    return f"account {target.account}, {stage.region}" + (f", on {target.emulator}" if target.emulator else "")
