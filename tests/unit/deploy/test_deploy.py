"""Refusals of `make deploy`: one line each, with the problem and the remedy. Deployments that succeed are in tests/deployed."""

import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import ANY, Stubber
from click.testing import CliRunner

from deploy import DeployError, archive, commands
from deploy.__main__ import cli
from deploy.artifacts import Artifacts
from deploy.checks import require_log_role, require_python
from deploy.first_order import first_order
from deploy.log_role import make_log_role
from deploy.package import Package, package
from deploy.stack import Stack, lost_tables
from deploy.stage import Stage
from deploy.target import Target
from harness.processes import ROOT, environment
from harness.project import change_stage, copy_project

AWS = Target(boto3.Session(region_name="us-east-1"), "123456789012", None)
NEW_YEAR = "2026-01-01T00:00:00Z"
EMULATOR = Target(boto3.Session(region_name="us-east-1"), "000000000000", "http://127.0.0.1:4566")


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str, Any], Stubber]:
    """Stubs an AWS service's answer: `answers("sts", "get_caller_identity", {...})`."""

    def stub(service: str, operation: str, answer: Any) -> Stubber:
        client = boto3.client(service, region_name="us-east-1")
        stubber = Stubber(client)
        if isinstance(answer, str):
            stubber.add_client_error(operation, service_error_code=answer)
        else:
            stubber.add_response(operation, answer)
        stubber.activate()
        monkeypatch.setattr(boto3.Session, "client", lambda *_, **__: client)
        return stubber

    return stub


def run(*arguments: str) -> tuple[int, str]:
    """Runs the command line. Returns its exit code and its output."""
    done = CliRunner().invoke(cli, arguments)
    return done.exit_code, done.output.strip()


# Before a deployment.


def test_an_unknown_stage() -> None:
    code, said = run("apply", "staging")

    assert code == 1
    assert said == "There is no stage 'staging' in .chalice/config.json; the stages are dev, prod"


@pytest.mark.parametrize("setting", ["region", "log_retention_in_days", "HFT_TABLE_PREFIX"])
def test_a_stage_that_lacks_a_setting(tmp_path: Path, setting: str) -> None:
    project = copy_project(tmp_path)
    change_stage(project, "dev", **({"environment_variables": {setting: ""}} if setting.isupper() else {setting: None}))

    with pytest.raises(DeployError, match=f"^The stage 'dev' has no {setting} in .chalice/config.json$"):
        Stage.load(project, "dev")


@pytest.mark.parametrize("command", ["apply", "outputs", "adopt"])
def test_no_credentials(command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))

    code, said = run(command, "dev")

    assert code == 1
    assert said == ("There are no AWS credentials: name a profile with AWS_PROFILE, or sign in (aws sso login, aws configure)")


@pytest.mark.parametrize("problem", ["ExpiredToken", "InvalidClientTokenId"])
def test_invalid_credentials(problem: str, answers: Callable[..., Stubber]) -> None:
    answers("sts", "get_caller_identity", problem)

    code, said = run("apply", "dev")

    assert code == 1
    assert said.startswith(f"AWS rejects these credentials ({problem}): name a profile")
    assert "\n" not in said


def test_a_profile_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")

    code, said = run("apply", "dev")

    assert (code, said) == (1, "These AWS credentials cannot be used: The config profile (nobody) could not be found")


@pytest.mark.parametrize(
    ("version", "refusal"), [((3, 11), "no longer supports Python 3.11"), ((3, 99), "does not support Python 3.99")]
)
def test_a_python_that_lambda_does_not_take(version: tuple[int, int], refusal: str) -> None:
    with pytest.raises(DeployError, match=refusal):
        require_python(AWS, version)
    require_python(EMULATOR, version)


@pytest.mark.parametrize("version", [(3, 12), (3, 13)])
def test_a_python_that_lambda_takes(version: tuple[int, int]) -> None:
    require_python(AWS, version)


def test_an_account_whose_gateway_may_not_write_logs(answers: Callable[..., Stubber]) -> None:
    answers("apigateway", "get_account", {})

    with pytest.raises(
        DeployError, match=r"^API Gateway may not write logs in account 123456789012, us-east-1\. .*make log-role STAGE=dev$"
    ):
        require_log_role(AWS, "dev")


def test_an_account_whose_gateway_may_log(answers: Callable[..., Stubber]) -> None:
    answers("apigateway", "get_account", {"cloudwatchRoleArn": "arn:aws:iam::123456789012:role/logs"})

    require_log_role(AWS, "dev")


def test_no_stage_at_all() -> None:
    done = subprocess.run(["make", "deploy"], cwd=ROOT, env=environment(STAGE=""), capture_output=True, text=True, check=False)

    assert done.returncode
    assert done.stderr.splitlines()[0] == "Which stage? For example: make deploy STAGE=dev"


def test_packaging_that_fails_is_reported_in_chalices_words(tmp_path: Path) -> None:
    project = copy_project(tmp_path, requirements=False)
    (project / "app.py").write_text("raise RuntimeError('out of order')")

    with pytest.raises(DeployError, match=r"(?s)^chalice package failed:.*out of order"):
        package(Stage.load(project, "dev"))


# No table is lost.

TABLE = "AWS::DynamoDB::Table"


def change(action: str, replacement: str | None = None, kind: str = TABLE) -> dict[str, Any]:
    resource = {"LogicalResourceId": "AccountsTable", "ResourceType": kind, "Action": action}
    return {"Type": "Resource", "ResourceChange": resource | ({"Replacement": replacement} if replacement else {})}


@pytest.mark.parametrize(
    ("harmless", "lost"),
    [
        (change("Add"), []),
        (change("Import"), []),
        (change("Modify", "False"), []),
        (change("Modify", "True", kind="AWS::Lambda::Function"), []),
        (change("Remove", kind="AWS::Lambda::Permission"), []),
        (change("Modify", "True"), ["AccountsTable"]),
        (change("Modify", "Conditional"), ["AccountsTable"]),
        (change("Remove"), ["AccountsTable"]),
    ],
)
def test_a_change_set_is_searched_for_tables_that_it_would_lose(harmless: dict[str, Any], lost: list[str]) -> None:
    assert lost_tables([harmless]) == lost


@pytest.mark.parametrize("status", ["UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_FAILED", "DELETE_FAILED"])
def test_a_stack_that_cannot_be_changed_now(status: str, answers: Callable[..., Stubber]) -> None:
    answers(
        "cloudformation", "describe_stacks", {"Stacks": [{"StackName": "hft", "StackStatus": status, "CreationTime": NEW_YEAR}]}
    )

    with pytest.raises(DeployError, match=f"^The stack hft is in {status}"):
        Stack(AWS, "hft").apply("https://template", {})


@pytest.mark.parametrize(
    ("status", "exists"), [("ROLLBACK_COMPLETE", False), ("REVIEW_IN_PROGRESS", False), ("UPDATE_COMPLETE", True)]
)
def test_a_first_attempt_that_failed_made_no_stack(status: str, *, exists: bool, answers: Callable[..., Stubber]) -> None:
    """Such an attempt may have left tables, so the command looks for them then too."""
    answers(
        "cloudformation", "describe_stacks", {"Stacks": [{"StackName": "hft", "StackStatus": status, "CreationTime": NEW_YEAR}]}
    )

    assert Stack(AWS, "hft").exists() is exists


def test_a_protected_stage_is_not_destroyed_without_force() -> None:
    code, said = run("destroy", "prod")

    assert (code, said) == (1, "The stage prod is protected. To destroy it anyway: make destroy STAGE=prod FORCE=1")


# The bucket.


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    client = boto3.client("s3", region_name="eu-central-1")
    monkeypatch.setattr(boto3.Session, "client", lambda *_, **__: client)
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


BUCKET = {"Bucket": "hft-trading-engine-123456789012-eu-central-1"}
OURS = {**BUCKET, "ExpectedBucketOwner": "123456789012"}


@pytest.fixture
def artifacts(s3: Stubber) -> Artifacts:
    del s3  # the stub replaces S3 from now on
    return Artifacts(AWS, replace(Stage.load(ROOT, "prod"), region="eu-central-1"))


def test_a_missing_bucket_is_made_in_the_stages_region_closed_and_encrypted(s3: Stubber, artifacts: Artifacts) -> None:
    s3.add_client_error("head_bucket", service_error_code="404", http_status_code=404, expected_params=OURS)
    s3.add_response("create_bucket", {}, {**BUCKET, "CreateBucketConfiguration": {"LocationConstraint": "eu-central-1"}})
    s3.add_response("head_bucket", {"ResponseMetadata": {"HTTPStatusCode": 200}}, OURS)
    s3.add_response("put_public_access_block", {}, {**BUCKET, "PublicAccessBlockConfiguration": ANY})
    s3.add_response("put_bucket_encryption", {}, {**BUCKET, "ServerSideEncryptionConfiguration": ANY})

    artifacts.prepare()


def test_another_accounts_bucket_of_that_name_gets_no_code(s3: Stubber, artifacts: Artifacts) -> None:
    s3.add_client_error("head_bucket", service_error_code="403", http_status_code=403, expected_params=OURS)

    with pytest.raises(DeployError, match=r"^The bucket hft-trading-engine-123456789012-eu-central-1 cannot be used"):
        artifacts.prepare()


def test_an_archive_that_is_there_is_not_uploaded_again(s3: Stubber, artifacts: Artifacts, tmp_path: Path) -> None:
    (tmp_path / "digest.zip").write_bytes(b"code")
    key = "hft-trading-engine/prod/digest.zip"
    s3.add_client_error("head_object", service_error_code="404", http_status_code=404)
    s3.add_response("put_object", {}, {**OURS, "Key": key, "Body": b"code"})
    s3.add_response("head_object", {}, {**OURS, "Key": key})

    assert artifacts.upload_archive(tmp_path / "digest.zip") == key
    assert artifacts.upload_archive(tmp_path / "digest.zip") == key


def test_a_template_is_where_cloudformation_finds_it(s3: Stubber, artifacts: Artifacts) -> None:
    s3.add_response("put_object", {}, {**OURS, "Key": "hft-trading-engine/prod/template.json", "Body": b"{}"})

    url = artifacts.upload_template({})

    bucket = BUCKET["Bucket"]
    assert url == f"https://s3.eu-central-1.amazonaws.com/{bucket}/hft-trading-engine/prod/template.json"


# Output.


def test_on_aws_the_url_is_the_stacks_own() -> None:
    found = {"EndpointURL": "https://abc.execute-api.us-east-1.amazonaws.com/dev/", "RestAPIId": "abc"}

    assert commands.url_of(found, AWS) == "https://abc.execute-api.us-east-1.amazonaws.com/dev"
    assert commands.url_of(found, EMULATOR) == "http://127.0.0.1:4566/_aws/execute-api/abc/dev"


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., list[str]]:
    """Deploys without AWS. Returns what `apply` prints."""

    def deploy(stage: str = "dev", *, empty: bool = True) -> list[str]:
        (tmp_path / "code.zip").write_bytes(b"code")
        found = {
            "EndpointURL": "https://abc.execute-api.us-east-1.amazonaws.com/dev/",
            "RestAPIId": "abc",
            "TokenSecretArn": SECRET_ARN,
        }
        for owner, name, answer in (
            (Target, "of", AWS),
            (commands, "require_python", None),
            (commands, "require_log_role", None),
            (commands, "require_valid", None),
            (commands, "package", Package({"Resources": {}}, tmp_path / "code.zip")),
            (commands, "_is_empty", empty),
            (Artifacts, "prepare", None),
            (Artifacts, "upload_archive", "key"),
            (Artifacts, "upload_template", "https://template"),
            (Stack, "exists", True),
            (Stack, "apply", True),
            (Stack, "outputs", found),
        ):
            monkeypatch.setattr(owner, name, lambda *_, answer=answer: answer)
        code, said = run("apply", stage)
        assert code == 0, said
        return said.splitlines()

    return deploy


SECRET_ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:tokens-AbCdEf"


def test_a_deployment_states_the_form_that_a_rollback_must_read(deployed: Callable[..., list[str]]) -> None:
    line = "  Roll back        only to a release that reads form 2 of accounts and records, which this one writes"

    assert line in deployed()


def test_where_nothing_is_listed_a_deployment_ends_with_lines_to_paste_as_far_as_a_first_order(
    deployed: Callable[..., list[str]],
) -> None:
    """A stage of the rehearsal (tests/deployed) pastes them."""
    *_, usd, btc, funding, secret, token, order = deployed()

    assert usd == 'make ops STAGE=dev ARGS="assets set USD 1 --new"'
    assert btc == 'make ops STAGE=dev ARGS="assets set BTC 50000 --new"'
    assert funding == 'make ops STAGE=dev ARGS="accounts fund 1 USD 100000 --key opening-1"'
    assert (secret, token) == (f"export HFT_TOKEN_SECRET_ARN={SECRET_ARN}", "TOKEN=$(make -s token USER=1)")
    assert order.startswith("curl -s -X POST https://abc.execute-api.us-east-1.amazonaws.com/dev/api/v1/trading/execute -H ")


def test_where_assets_are_listed_there_is_nothing_to_paste(deployed: Callable[..., list[str]]) -> None:
    """Their prices would be overwritten."""
    assert deployed(empty=False)[-1].startswith("  Try it ")


def test_the_lines_to_paste_use_the_stages_own_settings_of_tokens(tmp_path: Path) -> None:
    project = copy_project(tmp_path, requirements=False)

    def lines(**settings: str) -> list[str]:
        change_stage(project, "dev", lambda_functions={"authorizer": {"environment_variables": settings}})
        return first_order(Stage.load(project, "dev"), AWS, "https://url", {"TokenSecretArn": "arn:other"})

    own = lines(HFT_TOKEN_SECRET_ARN=SECRET_ARN, HFT_TOKEN_ISSUER="desk $1")
    provider = lines(HFT_TOKEN_JWKS_URL="https://issuer.example/jwks", HFT_TOKEN_ISSUER="https://issuer.example/")

    assert own[-4:-2] == ["export HFT_TOKEN_ISSUER='desk $1'", f"export HFT_TOKEN_SECRET_ARN={SECRET_ARN}"]
    assert provider[-2] == "TOKEN='paste an access token of https://issuer.example/ for user 1'"


# The role for API Gateway's logs.


class Gateway:
    """API Gateway and IAM, which know a role only some time after it was made."""

    class exceptions:  # noqa: N801  (as a client names them)
        class NoSuchEntityException(Exception):
            pass

        BadRequestException = ClientError
        TooManyRequestsException = ClientError

    def __init__(self, rejections: int, *, role: bool = False) -> None:
        self.calls: list[str] = []
        self.rejections = rejections
        self.role = role

    def get_role(self, **_: Any) -> Any:
        if not self.role:
            raise self.exceptions.NoSuchEntityException
        return {"Role": {"Arn": ROLE}}

    def create_role(self, **_: Any) -> Any:
        self.calls.append("create")
        return {"Role": {"Arn": ROLE}}

    def attach_role_policy(self, **request: Any) -> None:
        self.calls.append(request["PolicyArn"])

    def update_account(self, **_: Any) -> None:
        self.calls.append("update")
        if self.calls.count("update") <= self.rejections:
            answer = {"Error": {"Code": "BadRequestException", "Message": "The role ARN does not have required permissions"}}
            raise self.exceptions.BadRequestException(answer, "UpdateAccount")


ROLE = "arn:aws-us-gov:iam::123456789012:role/api-gateway-logs"
LOG_POLICY = "arn:aws-us-gov:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"


def test_the_log_role_is_made_and_named_as_soon_as_the_gateway_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = Gateway(rejections=2)
    monkeypatch.setattr(Target, "client", lambda *_: gateway)

    assert make_log_role(AWS, poll_s=0) == ROLE
    assert gateway.calls == ["create", LOG_POLICY, "update", "update", "update"]


def test_a_log_role_that_is_there_is_named_again(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = Gateway(rejections=0, role=True)
    monkeypatch.setattr(Target, "client", lambda *_: gateway)

    make_log_role(AWS)

    assert gateway.calls == [LOG_POLICY, "update"]


def test_a_log_role_that_the_gateway_never_takes_is_a_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Target, "client", lambda *_: Gateway(rejections=1_000))

    with pytest.raises(DeployError, match=f"^API Gateway does not take the role {ROLE}: .* required permissions"):
        make_log_role(AWS, poll_s=0)


# The archive.


NEEDED = [
    "app.py",
    "chalicelib/store/connection.py",
    "botocore/session.py",
    "botocore/data/endpoints.json",
    "botocore/data/dynamodb/2012-08-10/service-2.json.gz",
    "botocore/data/ssm/2014-11-06/service-2.json.gz",
    "swagger_ui_bundle/__init__.py",
    "swagger_ui_bundle/vendor/swagger-ui-5.31.0/swagger-ui.css",
]
NOT_NEEDED = [
    "chalicelib/local/__init__.py",
    "chalicelib/local/data/anything.json",
    "botocore/data/ssm-contacts/2021-05-03/service-2.json.gz",
    "botocore/data/ec2/2016-11-15/service-2.json.gz",
    "swagger_ui_bundle/vendor/swagger-ui-5.31.0/swagger-ui.css.map",
    "swagger_ui_bundle/vendor/swagger-ui-5.31.0/swagger-ui-es-bundle.js",
]


def test_the_archive_holds_what_is_needed() -> None:
    assert [name for name in NEEDED + NOT_NEEDED if archive.is_needed(name)] == NEEDED


def test_the_archive_is_compiled_and_always_the_same(tmp_path: Path) -> None:
    for name, day in (("one", (2026, 1, 1, 0, 0, 0)), ("other", (2026, 2, 2, 0, 0, 0))):
        with zipfile.ZipFile(tmp_path / name, "w") as made:
            made.writestr(zipfile.ZipInfo("module.py", day), "import sys\n")
            made.writestr(zipfile.ZipInfo("botocore/data/ec2/service.json", day), "{}")

    one, other = (archive.trim(tmp_path / name, tmp_path / f"{name}.zip", {}).read_bytes() for name in ("one", "other"))

    assert one == other
    assert zipfile.ZipFile(tmp_path / "one.zip").namelist() == [
        f"__pycache__/module.{sys.implementation.cache_tag}.pyc",
        "module.py",
    ]
