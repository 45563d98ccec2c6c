"""A stage's CloudFormation stack. It is changed by change sets only, and each is checked before it is executed."""

import time
import uuid
from collections.abc import Callable, Iterable
from typing import Any

from botocore.exceptions import ClientError, WaiterError

from deploy import DeployError
from deploy.target import Target
from deploy.template import TABLE

POLL_S = 2
DONE = frozenset({"CREATE_COMPLETE", "DELETE_COMPLETE", "IMPORT_COMPLETE", "UPDATE_COMPLETE"})
NEVER_MADE = frozenset({None, "REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE"})
"""The states of a stack that is missing or has no resources: its first change set was not executed, or failed."""

CAN_CHANGE = DONE | {"UPDATE_ROLLBACK_COMPLETE", "IMPORT_ROLLBACK_COMPLETE"}

Say = Callable[[str], None]


class Stack:
    """One stack. `say` receives its progress, line by line."""

    def __init__(self, target: Target, name: str, say: Say = print, poll_s: float = POLL_S) -> None:
        self._cloudformation = target.client("cloudformation")
        self._say = say
        self._poll_s = poll_s
        self.name = name

    def exists(self) -> bool:
        """Returns whether there is a stack with anything in it."""
        return self._status() not in NEVER_MADE

    def outputs(self) -> dict[str, str]:
        """Returns the stack's outputs.

        Raises:
            DeployError: there is no stack.
        """
        found = self._describe(self.name)
        if found is None or found["StackStatus"] in NEVER_MADE:
            raise DeployError(f"There is no stack {self.name}: deploy the stage first")
        return {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}

    def apply(self, template_url: str, parameters: dict[str, str]) -> bool:
        """Applies a template. Returns whether anything changed.

        Raises:
            DeployError: the change would lose a table, or it failed.
        """
        self._require_changeable()
        if self.exists():
            return self._change("UPDATE", TemplateURL=template_url, Parameters=_as_list(parameters))
        self.delete()  # the remains of a failed first attempt
        return self._change("CREATE", TemplateURL=template_url, Parameters=_as_list(parameters))

    def adopt(self, template_url: str, parameters: dict[str, str], resources: list[dict[str, Any]]) -> None:
        """Makes a stack out of existing resources, without changing them.

        Raises:
            DeployError: the stack exists, or the adoption failed.
        """
        if self.exists():
            raise DeployError(f"The stack {self.name} exists: there is nothing to adopt")
        self.delete()  # the remains of a failed first attempt
        self._change("IMPORT", TemplateURL=template_url, Parameters=_as_list(parameters), ResourcesToImport=resources)

    def delete(self) -> bool:
        """Deletes the stack, and waits for it. Returns whether there was one.

        Raises:
            DeployError: the deletion failed.
        """
        found = self._describe(self.name)
        if found is None:
            return False
        token = uuid.uuid4().hex
        self._cloudformation.delete_stack(StackName=found["StackId"], ClientRequestToken=token)
        self._follow(found["StackId"], token)
        return True

    def _require_changeable(self) -> None:
        status = self._status()
        if status not in CAN_CHANGE | NEVER_MADE:
            raise DeployError(f"The stack {self.name} is in {status}: wait until that ends, or repair the stack")

    def _change(self, kind: str, **request: Any) -> bool:
        token = uuid.uuid4().hex
        created = self._cloudformation.create_change_set(
            StackName=self.name,
            ChangeSetName=f"deploy-{token}",
            ChangeSetType=kind,
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            **request,
        )
        change_set = created["Id"]
        if not self._has_changes(change_set):
            self._cloudformation.delete_change_set(ChangeSetName=change_set)
            return False
        lost = lost_tables(self._changes(change_set))
        if lost:
            self._cloudformation.delete_change_set(ChangeSetName=change_set)
            raise DeployError(f"This would replace or remove {', '.join(lost)} and lose their data. Nothing was changed")
        self._cloudformation.execute_change_set(ChangeSetName=change_set, ClientRequestToken=token)
        self._follow(created["StackId"], token)
        return True

    def _has_changes(self, change_set: str) -> bool:
        """Waits for the change set. Returns whether it contains changes.

        Raises:
            DeployError: CloudFormation rejects the template.
        """
        try:
            waiter = self._cloudformation.get_waiter("change_set_create_complete")
            waiter.wait(ChangeSetName=change_set, WaiterConfig={"Delay": self._poll_s, "MaxAttempts": 150})
        except WaiterError as error:
            reason = error.last_response.get("StatusReason", "")
            if "didn't contain changes" in reason or "No updates are to be performed" in reason:
                return False
            raise DeployError(f"CloudFormation rejects the template: {reason or error}") from error
        return True

    def _changes(self, change_set: str) -> list[dict[str, Any]]:
        pages = self._cloudformation.get_paginator("describe_change_set").paginate(ChangeSetName=change_set)
        return [change for page in pages for change in page["Changes"]]

    def _follow(self, stack_id: str, token: str) -> None:
        """Waits for the end of an operation, and shows its progress.

        Raises:
            DeployError: the operation failed.
        """
        seen: set[str] = set()
        reasons: list[str] = []
        while True:
            found = self._describe(stack_id)
            status = found["StackStatus"] if found else "DELETE_COMPLETE"
            for event in self._new_events(stack_id, token, seen):
                if not event["ResourceStatus"].endswith("_IN_PROGRESS"):
                    self._say(f"  {event['ResourceStatus']:<20} {event['LogicalResourceId']}")
                if event["ResourceStatus"].endswith("_FAILED") and event.get("ResourceStatusReason"):
                    reasons.append(f"{event['LogicalResourceId']}: {event['ResourceStatusReason']}")
            if not status.endswith("_IN_PROGRESS"):
                break
            time.sleep(self._poll_s)
        if status not in DONE:
            raise DeployError(f"{self.name} ended in {status}. {reasons[0] if reasons else 'CloudFormation gives no reason'}")

    def _new_events(self, stack_id: str, token: str, seen: set[str]) -> list[dict[str, Any]]:
        """Returns the new events of an operation, oldest first. CloudFormation lists all of the stack's, newest first."""
        new: list[dict[str, Any]] = []
        try:
            for page in self._cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack_id):
                for event in page["StackEvents"]:
                    if event["EventId"] in seen or event.get("ClientRequestToken") != token:
                        return new
                    new.insert(0, event)
        finally:
            seen.update(event["EventId"] for event in new)
        return new

    def _status(self) -> str | None:
        found = self._describe(self.name)
        return found["StackStatus"] if found else None

    def _describe(self, name: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self._cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return found


def lost_tables(changes: Iterable[dict[str, Any]]) -> list[str]:
    """Returns the tables that a change set would, or might, replace or remove. A replaced table is empty."""
    resources = (change["ResourceChange"] for change in changes)
    return [
        resource["LogicalResourceId"]
        for resource in resources
        if resource["ResourceType"] == TABLE
        and (resource["Action"] == "Remove" or resource.get("Replacement") in ("True", "Conditional"))
    ]


def _as_list(parameters: dict[str, str]) -> list[dict[str, str]]:
    return [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()]
