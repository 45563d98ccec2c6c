"""The bucket for packages: one for each account and region, created when it is missing."""

import json
from pathlib import Path

from botocore.exceptions import ClientError

from deploy import DeployError
from deploy.stage import Stage
from deploy.target import Target
from deploy.template import Template

FIRST_REGION = "us-east-1"
"""The region that a request to create a bucket must not name."""


class Artifacts:
    """A stage's directory in the bucket. Nothing in it is ever removed, since a rollback needs the earlier package."""

    def __init__(self, target: Target, stage: Stage) -> None:
        self._s3 = target.client("s3")
        self._region = stage.region
        self._prefix = f"{stage.app_name}/{stage.name}"
        # Bucket names are global and this one can be guessed: another account that took it must not get our code.
        self._owner = {"ExpectedBucketOwner": target.account}
        self.bucket = f"{stage.app_name}-{target.account}-{stage.region}"

    def prepare(self) -> None:
        """Creates the bucket where it is missing, encrypted and closed to the public.

        Raises:
            DeployError: the bucket belongs to another account.
        """
        try:
            self._s3.head_bucket(Bucket=self.bucket, **self._owner)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:  # noqa: PLR2004  (HTTP's)
                raise DeployError(
                    f"The bucket {self.bucket} cannot be used: it belongs to another account, or you lack access to it"
                ) from error
        else:
            return
        place = {} if self._region == FIRST_REGION else {"CreateBucketConfiguration": {"LocationConstraint": self._region}}
        self._s3.create_bucket(Bucket=self.bucket, **place)
        self._s3.get_waiter("bucket_exists").wait(Bucket=self.bucket, **self._owner)
        self._s3.put_public_access_block(
            Bucket=self.bucket,
            PublicAccessBlockConfiguration=dict.fromkeys(
                ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
            ),
        )
        self._s3.put_bucket_encryption(
            Bucket=self.bucket,
            ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]},
        )

    def upload_archive(self, archive: Path) -> str:
        """Uploads a package's archive, unless the bucket has it, and returns its key."""
        key = f"{self._prefix}/{archive.name}"
        try:
            self._s3.head_object(Bucket=self.bucket, Key=key, **self._owner)
        except ClientError:
            self._put(key, archive.read_bytes())
        return key

    def upload_template(self, template: Template) -> str:
        """Uploads a template, which is too large for a request, and returns its URL."""
        key = f"{self._prefix}/template.json"
        self._put(key, json.dumps(template).encode())
        return f"{self._s3.meta.endpoint_url}/{self.bucket}/{key}"

    def _put(self, key: str, content: bytes) -> None:
        self._s3.put_object(Bucket=self.bucket, Key=key, Body=content, **self._owner)
