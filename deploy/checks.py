"""Checks before a deployment. Each raises `DeployError` where the deployment would fail."""

import json
import sys

from deploy import DeployError
from deploy.log_role import log_role
from deploy.target import Target
from deploy.template import Template

OLDEST_PYTHON = (3, 12)
"""The oldest Python to deploy: by AWS's published table, Lambda's support of 3.11 ended on 30 June 2026.

Chalice deploys for the Python that runs it.
"""


def require_python(target: Target, version: tuple[int, int] = sys.version_info[:2]) -> None:
    """Checks that Lambda supports the Python that runs this. An emulator takes any."""
    if target.emulator:
        return
    python, oldest = (".".join(map(str, each)) for each in (version, OLDEST_PYTHON))
    hint = f"make deploy PYTHON=/path/to/python{oldest}"
    if version < OLDEST_PYTHON:
        raise DeployError(f"Lambda no longer supports Python {python}; {oldest} is the oldest: {hint}")
    if f"python{python}" not in target.client("lambda").meta.service_model.shape_for("Runtime").enum:
        raise DeployError(f"Lambda does not support Python {python} yet, by this version of boto3: {hint}")


def require_log_role(target: Target, stage: str) -> None:
    """Checks that API Gateway may write logs, a setting of the whole account in a region."""
    if log_role(target) is None:
        raise DeployError(
            f"API Gateway may not write logs in account {target.account}, {target.session.region_name}. "
            f"Once for all stacks there: make log-role STAGE={stage}"
        )


def require_valid(template: Template, region: str) -> None:
    """Checks the template with cfn-lint, since CloudFormation would find an error only halfway."""
    import cfnlint.api  # half a second, for a deployment alone

    findings = [
        f"{finding.rule.id} {finding.message} ({'/'.join(map(str, finding.path or []))})"
        for finding in cfnlint.api.lint(json.dumps(template, indent=1), regions=[region])
    ]
    if findings:
        raise DeployError("\n  ".join(["cfn-lint rejects the template:", *findings]))
