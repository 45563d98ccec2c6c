"""The target of a deployment: an account, in the stage's region, on AWS or on an emulator on this machine."""

import os
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.config import is_loopback
from chalicelib.local.datastore import stand_in_credentials
from deploy import DeployError
from deploy.stage import Stage

SIGN_IN = "name a profile with AWS_PROFILE, or sign in (aws sso login, aws configure)"


@dataclass(frozen=True)
class Target:
    """The account of the caller's credentials."""

    session: boto3.Session
    account: str
    emulator: str | None
    """The URL of the emulator of AWS; `None` for AWS itself."""

    @classmethod
    def of(cls, stage: Stage) -> "Target":
        """Returns the account of the credentials, at AWS or at ``AWS_ENDPOINT_URL``.

        Raises:
            DeployError: the credentials are missing or invalid.
        """
        endpoint = os.environ.get("AWS_ENDPOINT_URL")
        emulator = endpoint.rstrip("/") if endpoint and is_loopback(endpoint) else None
        if emulator:
            stand_in_credentials()
        try:
            session = boto3.Session(region_name=stage.region)
            if session.get_credentials() is None:
                raise DeployError(f"There are no AWS credentials: {SIGN_IN}")
            account = session.client("sts").get_caller_identity()["Account"]
        except ClientError as error:
            raise DeployError(f"AWS rejects these credentials ({error.response['Error']['Code']}): {SIGN_IN}") from error
        except BotoCoreError as error:
            raise DeployError(f"These AWS credentials cannot be used: {error}") from error
        return cls(session, account, emulator)

    def client(self, service: str) -> Any:
        """Returns a client of an AWS service."""
        # An emulator's host cannot have a bucket's name in front: no resolver would find it.
        s3 = {"addressing_style": "path" if self.emulator else "auto"}
        return self.session.client(service, config=Config(s3=s3, retries={"mode": "standard", "total_max_attempts": 5}))
