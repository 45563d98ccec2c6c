"""The role with which API Gateway writes logs: a setting of the whole account in a region, which no stack can make."""

import json
import time

from botocore.exceptions import ClientError

from deploy import DeployError
from deploy.target import Target

NAME = "api-gateway-logs"
POLICY = "service-role/AmazonAPIGatewayPushToCloudWatchLogs"
ATTEMPTS, POLL_S = 10, 3.0
"""IAM takes some seconds to show a new role to other services, which reject it until then."""

_TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "apigateway.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


def log_role(target: Target) -> str | None:
    """Returns the ARN of the account's role for API Gateway's logs, if there is one."""
    arn: str | None = target.client("apigateway").get_account().get("cloudwatchRoleArn") or None
    return arn


def make_log_role(target: Target, poll_s: float = POLL_S) -> str:
    """Makes the role where it is missing, and names it in API Gateway's settings. Returns its ARN.

    Raises:
        DeployError: API Gateway does not take the role.
    """
    iam, gateway = target.client("iam"), target.client("apigateway")
    try:
        arn: str = iam.get_role(RoleName=NAME)["Role"]["Arn"]
    except iam.exceptions.NoSuchEntityException:
        arn = iam.create_role(RoleName=NAME, AssumeRolePolicyDocument=json.dumps(_TRUST))["Role"]["Arn"]
    partition = arn.split(":")[1]
    iam.attach_role_policy(RoleName=NAME, PolicyArn=f"arn:{partition}:iam::aws:policy/{POLICY}")
    setting = {"op": "replace", "path": "/cloudwatchRoleArn", "value": arn}
    reason: ClientError | None = None
    for _ in range(ATTEMPTS):
        try:
            gateway.update_account(patchOperations=[setting])
        except (gateway.exceptions.BadRequestException, gateway.exceptions.TooManyRequestsException) as error:
            reason = error
            time.sleep(poll_s)
        else:
            return arn
    raise DeployError(f"API Gateway does not take the role {arn}: {reason}")
