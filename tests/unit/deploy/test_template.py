"""The template of each stage, packaged as `make deploy` packages it.

The emulator of AWS does not imitate gateway responses, throttling and alarms, so only these tests check them.
"""

import copy
import io
import json
import logging
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from samtranslator.translator.transform import transform

from chalicelib.api import metrics
from chalicelib.config import Settings
from chalicelib.contract import errors
from chalicelib.contract.batch import MAX_BATCH_BODY_BYTES
from chalicelib.contract.errors import FieldError
from chalicelib.contract.requests import MAX_BODY_BYTES
from chalicelib.local import schema
from chalicelib.runtime.world import utc_now
from chalicelib.telemetry import emf, log
from deploy import DeployError
from deploy.checks import require_valid
from deploy.package import Package, package
from deploy.stage import Stage
from deploy.template import Template, tables
from harness.processes import ROOT, environment
from harness.project import change_stage, copy_project

STAGES = sorted(json.loads((ROOT / ".chalice" / "config.json").read_text())["stages"])
PUBLIC = {"/", "/console/{release}/{asset}", "/health", "/docs", "/docs/{asset}", "/openapi.json"}
PRIVATE = {
    "/api/v1/trading/execute",
    "/api/v1/trading/execute/batch",
    "/api/v1/trading/preview",
    "/api/v1/trading/orders/{user_id}/lookup",
    "/api/v1/trading/orders/{user_id}/void",
    "/api/v1/trading/portfolio/{user_id}",
    "/api/v1/trading/history/{user_id}",
    "/api/v1/trading/assets",
    "/api/v1/trading/candles/{symbol}",
}
GATEWAY_LIMIT_S = 29


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_project(tmp_path_factory.mktemp("project"), requirements=False)


@pytest.fixture(scope="module")
def packages(project: Path) -> dict[str, Package]:
    return {name: package(Stage.load(project, name)) for name in STAGES}


@pytest.fixture(params=STAGES)
def stage(request: pytest.FixtureRequest, project: Path) -> Stage:
    return Stage.load(project, request.param)


@pytest.fixture
def template(stage: Stage, packages: dict[str, Package]) -> Template:
    return packages[stage.name].template


@pytest.fixture
def translated(stage: Stage, template: Template, monkeypatch: pytest.MonkeyPatch) -> Template:
    """The template as CloudFormation sees it: SAM's resources turned into API Gateway's and Lambda's."""

    monkeypatch.setenv("AWS_DEFAULT_REGION", stage.region)
    uploaded = Package(template, Path("code.zip")).with_code_at("bucket", "key")
    seen: Template = transform(copy.deepcopy(uploaded), {}, NoManagedPolicies())
    return seen


class NoManagedPolicies:
    """An empty list of named policies for SAM."""

    def load(self) -> dict[str, str]:
        return {}


def of_type(template: Template, kind: str) -> dict[str, dict[str, Any]]:
    return {
        name: resource["Properties"] for name, resource in template["Resources"].items() if resource["Type"] == f"AWS::{kind}"
    }


def only(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    (one,) = found.values()
    return one


def test_cfn_lint_finds_nothing(stage: Stage, template: Template) -> None:
    require_valid(template, stage.region)


def test_findings_of_cfn_lint_are_refused(template: Template) -> None:
    broken = copy.deepcopy(template)
    broken["Resources"]["AssetsTable"]["Properties"]["BillingMode"] = "FREE"

    with pytest.raises(DeployError, match=r"(?s)cfn-lint rejects the template.*FREE.*AssetsTable"):
        require_valid(broken, "us-east-1")


def test_every_parameter_has_a_value(stage: Stage, template: Template) -> None:
    assert set(stage.parameters()) == {name for name, each in template["Parameters"].items() if "Default" not in each}


# Identity.


def test_every_route_that_is_not_public_has_the_authorizer(template: Template) -> None:
    definition = only(of_type(template, "Serverless::Api"))["DefinitionBody"]
    (authorizer,) = definition["securityDefinitions"]

    assert definition["paths"].keys() == PUBLIC | PRIVATE
    for path, methods in definition["paths"].items():
        for method, operation in methods.items():
            asks = operation.get("security") == [{authorizer: []}]
            assert asks is (path in PRIVATE), f"{method} {path}"


def test_a_stage_that_lists_origins_takes_their_preflights_without_a_token(tmp_path: Path) -> None:
    project = copy_project(tmp_path, requirements=False)
    change_stage(project, "prod", environment_variables={"HFT_CORS_ORIGINS": "https://trade.example"})

    template = package(Stage.load(project, "prod")).template
    paths = only(of_type(template, "Serverless::Api"))["DefinitionBody"]["paths"]

    for path in PUBLIC | PRIVATE:
        assert "security" not in paths[path]["options"], path
        assert paths[path]["options"]["x-amazon-apigateway-integration"]["type"] == "aws_proxy"
    for path in PRIVATE:
        assert all("security" in operation for method, operation in paths[path].items() if method != "options"), path


def test_the_authorizer_is_a_function_of_its_own(template: Template) -> None:
    definition = only(of_type(template, "Serverless::Api"))["DefinitionBody"]
    uri = only(definition["securityDefinitions"])["x-amazon-apigateway-authorizer"]["authorizerUri"]["Fn::Sub"]

    assert "${Authorizer.Arn}" in uri
    assert template["Resources"]["Authorizer"]["Properties"]["Handler"] != "app.app"


# Tables.


DERIVED = {"CandlesTable"}
"""Tables of data that is worth no recovery."""


def test_tables_are_on_demand_recoverable_and_encrypted(template: Template) -> None:
    assert len(tables(template)) == 4
    for name, table in tables(template).items():
        properties = table["Properties"]
        assert properties["BillingMode"] == "PAY_PER_REQUEST"
        assert properties["SSESpecification"]["SSEEnabled"] is True
        recovery = None if name in DERIVED else {"PointInTimeRecoveryEnabled": True}
        assert properties.get("PointInTimeRecoverySpecification") == recovery


def test_candles_expire_and_go_with_the_stack(template: Template) -> None:
    candles = tables(template)["CandlesTable"]

    assert candles["Properties"]["TimeToLiveSpecification"] == {"AttributeName": "expires_at_s", "Enabled": True}
    assert (candles["DeletionPolicy"], candles["UpdateReplacePolicy"]) == ("Delete", "Delete")
    assert "DeletionProtectionEnabled" not in candles["Properties"]


def test_an_accounts_records_have_an_index_by_sequence(template: Template) -> None:
    (index,) = template["Resources"]["IdempotencyTable"]["Properties"]["GlobalSecondaryIndexes"]

    assert index == {
        "IndexName": "by-sequence",
        "KeySchema": [{"AttributeName": "user_id", "KeyType": "HASH"}, {"AttributeName": "sequence", "KeyType": "RANGE"}],
        "Projection": {"ProjectionType": "ALL"},
    }


@pytest.mark.parametrize("table", schema.definitions("hft"), ids=lambda table: str(table["TableName"]))
def test_a_table_defines_the_attributes_of_its_keys_and_indexes_and_no_others(table: dict[str, Any]) -> None:
    """DynamoDB refuses a table that defines more or fewer."""
    keyed = [table, *table.get("GlobalSecondaryIndexes", [])]
    used = {key["AttributeName"] for each in keyed for key in each["KeySchema"]}

    assert {attribute["AttributeName"] for attribute in table["AttributeDefinitions"]} == used


@pytest.mark.parametrize(("name", "policy"), [("prod", "Retain"), ("dev", "Delete")])
def test_production_tables_outlive_everything(packages: dict[str, Package], name: str, policy: str) -> None:
    for table in [table for logical, table in tables(packages[name].template).items() if logical not in DERIVED]:
        assert (table["DeletionPolicy"], table["UpdateReplacePolicy"]) == (policy, policy)
        assert table["Properties"]["DeletionProtectionEnabled"] is (policy == "Retain")


# Functions.


def test_functions_run_on_x86_64_and_are_traced(template: Template) -> None:
    functions = of_type(template, "Serverless::Function")
    assert functions.keys() == {"APIHandler", "Authorizer"}
    for function in functions.values():
        assert function["Architectures"] == ["x86_64"]
        assert function["Tracing"] == "Active"
        assert "ReservedConcurrentExecutions" not in function


def test_the_package_contains_no_local_code_and_starts_without_it(packages: dict[str, Package], tmp_path: Path) -> None:
    with zipfile.ZipFile(packages["prod"].archive) as archive:
        archive.extractall(tmp_path)

    assert not (tmp_path / "chalicelib" / "local").exists()
    subprocess.run(
        [sys.executable, "-c", "import app; app.engine()"],
        cwd=tmp_path,
        env=environment(AWS_LAMBDA_FUNCTION_NAME="hft", AWS_REGION="eu-west-1", HFT_TABLE_PREFIX="hft"),
        check=True,
    )


def test_a_request_ends_before_its_function_and_the_function_before_the_gateway(template: Template) -> None:
    timeout_s = template["Resources"]["APIHandler"]["Properties"]["Timeout"]

    assert Settings().request_budget_ms / 1000 < timeout_s < GATEWAY_LIMIT_S


def test_every_function_keeps_its_log_for_the_stages_retention(stage: Stage, template: Template) -> None:
    logs = of_type(template, "Logs::LogGroup")
    kept = {each["LogGroupName"]["Fn::Sub"]: each["RetentionInDays"] for each in logs.values()}

    assert kept == {
        "/aws/lambda/${APIHandler}": stage.log_retention_days,
        "/aws/lambda/${Authorizer}": stage.log_retention_days,
        "/aws/apigateway/${AWS::StackName}": {"Ref": "LogRetentionDays"},
    }
    assert stage.parameters()["LogRetentionDays"] == str(stage.log_retention_days)


def test_reserved_concurrency_is_a_setting_away(tmp_path: Path) -> None:
    project = copy_project(tmp_path, requirements=False)
    change_stage(project, "prod", lambda_functions={"api_handler": {"reserved_concurrency": 7}})

    functions = of_type(package(Stage.load(project, "prod")).template, "Serverless::Function")

    assert functions["APIHandler"]["ReservedConcurrentExecutions"] == 7
    assert "ReservedConcurrentExecutions" not in functions["Authorizer"]


@pytest.mark.parametrize(
    ("arn", "action"),
    [
        ("", "secretsmanager:GetSecretValue"),
        ("arn:aws:secretsmanager:eu-west-1:123456789012:secret:tokens-AbCdEf", "secretsmanager:GetSecretValue"),
        ("arn:aws:ssm:eu-west-1:123456789012:parameter/tokens", "ssm:GetParameter"),
    ],
)
@pytest.mark.parametrize("only_the_authorizers", [False, True])
def test_an_own_secret_can_be_in_secrets_manager_or_ssm(
    tmp_path: Path, arn: str, action: str, *, only_the_authorizers: bool
) -> None:
    project = copy_project(tmp_path, requirements=False)
    variables: dict[str, Any] = {"environment_variables": {"HFT_TOKEN_SECRET_ARN": arn}}
    change_stage(project, "prod", **({"lambda_functions": {"authorizer": variables}} if only_the_authorizers else variables))

    parameters = Stage.load(project, "prod").parameters()

    assert (parameters["TokenSecretArn"], parameters["TokenSecretAction"]) == (arn, action)


# The gateway.


def test_the_api_has_one_stage_which_is_throttled_and_logged(stage: Stage, translated: Template) -> None:
    gateway = only(of_type(translated, "ApiGateway::Stage"))

    assert gateway["StageName"] == stage.name
    (settings,) = gateway["MethodSettings"]
    assert (settings["ResourcePath"], settings["HttpMethod"]) == ("/*", "*")
    assert settings["ThrottlingRateLimit"] == {"Ref": "RequestsPerSecond"}
    assert settings["ThrottlingBurstLimit"] == {"Ref": "RequestsAtOnce"}
    assert settings["LoggingLevel"] == "OFF", "no template can limit the log group of execution logs"
    assert gateway["AccessLogSetting"]["DestinationArn"] == {"Fn::GetAtt": ["AccessLog", "Arn"]}
    # SAM's own default makes a second stage beside it, with neither.
    assert "StageName" not in only(of_type(translated, "ApiGateway::Deployment"))


def test_the_access_log_contains_the_caller_and_the_route_but_no_token(template: Template) -> None:
    line = json.loads(only(of_type(template, "Serverless::Api"))["AccessLogSetting"]["Format"])

    assert line["request_id"] == "$context.requestId"
    assert line["user_id"] == "$context.authorizer.user_id"
    assert not any("header" in value or "authorizationToken" in value for value in line.values())


def test_responses_are_compressed(translated: Template) -> None:
    assert only(of_type(translated, "ApiGateway::RestApi"))["MinimumCompressionSize"] == 1024


THE_GATEWAY_ANSWERS = {
    "UNAUTHORIZED": errors.Unauthenticated(),
    "ACCESS_DENIED": errors.Unauthenticated(),
    "MISSING_AUTHENTICATION_TOKEN": errors.RouteNotFound(),
    "RESOURCE_NOT_FOUND": errors.RouteNotFound(),
    # The gateway looks for a signature of AWS's where it has no route for a request with an Authorization header.
    "INVALID_SIGNATURE": errors.RouteNotFound(),
    "EXPIRED_TOKEN": errors.Unauthenticated(),
    "QUOTA_EXCEEDED": errors.TooManyRequests(),
    "BAD_REQUEST_BODY": errors.ValidationFailed(FieldError("body", "cannot be taken by the gateway")),
    "BAD_REQUEST_PARAMETERS": errors.ValidationFailed(FieldError("request", "cannot be taken by the gateway")),
    "UNSUPPORTED_MEDIA_TYPE": errors.ValidationFailed(FieldError("Content-Type", "cannot be taken: send application/json")),
    "THROTTLED": errors.TooManyRequests(),
    "DEFAULT_5XX": errors.InternalError(),
}
"""The gateway's answers that equal an error of the engine."""

ONLY_THE_GATEWAY_ANSWERS = {
    "WAF_FILTERED": (403, "ERR_FORBIDDEN", None),
    "INVALID_API_KEY": (403, "ERR_FORBIDDEN", None),
    "REQUEST_TOO_LARGE": (413, "ERR_TOO_LARGE", None),
    "DEFAULT_4XX": (404, "ERR_NOT_FOUND", None),
    "INTEGRATION_TIMEOUT": (504, "ERR_DATASTORE_UNAVAILABLE", "'1'"),
}


def gateway_responses(translated: Template) -> dict[str, Any]:
    responses: dict[str, Any] = only(of_type(translated, "ApiGateway::RestApi"))["Body"]["x-amazon-apigateway-gateway-responses"]
    return responses


def body_of(response: dict[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(response["responseTemplates"]["application/json"])
    return body


def test_every_answer_of_the_gateway_has_the_contracts_shape(translated: Template) -> None:
    responses = gateway_responses(translated)

    assert responses.keys() == THE_GATEWAY_ANSWERS.keys() | ONLY_THE_GATEWAY_ANSWERS.keys()
    for response in responses.values():
        body = body_of(response)
        details = ["details"] if body["status"] == HTTPStatus.UNPROCESSABLE_ENTITY else []
        assert list(body) == ["timestamp", "status", "error_code", "message", *details]
        assert body["status"] == int(response["statusCode"])
        assert response["responseParameters"]["gatewayresponse.header.X-Request-Id"] == "context.requestId"
        assert response["responseParameters"]["gatewayresponse.header.Access-Control-Allow-Origin"] == "'*'"


@pytest.mark.parametrize("kind", THE_GATEWAY_ANSWERS)
def test_the_gateway_answers_as_the_engine_would(translated: Template, kind: str) -> None:
    response, error = gateway_responses(translated)[kind], THE_GATEWAY_ANSWERS[kind]

    body = body_of(response)
    assert (body["status"], body["error_code"], body["message"]) == (error.status, error.code, str(error))
    headers = dict(error.headers) | ({"Retry-After": str(error.retry_after_s)} if error.retry_after_s else {})
    for name, value in headers.items():
        assert response["responseParameters"][f"gatewayresponse.header.{name}"] == f"'{value}'"


@pytest.mark.parametrize("kind", ONLY_THE_GATEWAY_ANSWERS)
def test_the_gateway_has_answers_of_its_own(translated: Template, kind: str) -> None:
    response = gateway_responses(translated)[kind]

    retry_after = response["responseParameters"].get("gatewayresponse.header.Retry-After")
    assert (body_of(response)["status"], body_of(response)["error_code"], retry_after) == ONLY_THE_GATEWAY_ANSWERS[kind]


def test_an_answer_of_the_gateway_that_no_other_describes_does_not_blame_the_route_alone(translated: Template) -> None:
    message = body_of(gateway_responses(translated)["DEFAULT_4XX"])["message"]

    assert message.startswith("No such route, or a request that the gateway does not take ($context.error.responseType).")


def test_the_gateway_names_both_limits_since_it_does_not_know_the_route(translated: Template) -> None:
    message = body_of(gateway_responses(translated)["REQUEST_TOO_LARGE"])["message"]

    assert message == f"The body is too large: an order may have {MAX_BODY_BYTES} bytes, a batch {MAX_BATCH_BODY_BYTES}"


# Alarms and the dashboard.


def test_there_is_an_alarm_for_each_failure_and_it_notifies_the_topic(template: Template) -> None:
    alarms = of_type(template, "CloudWatch::Alarm")

    assert {name.removesuffix("Alarm"): alarm["MetricName"] for name, alarm in alarms.items()} == {
        "ServerErrors": "5XXError",
        "Latency": "Latency",
        "Throttling": "ThrottledRequests",
        "AssetsThrottling": "ReadThrottleEvents",
        "AccountsThrottling": "WriteThrottleEvents",
        "AccountsReadThrottling": "ReadThrottleEvents",
        "IdempotencyThrottling": "WriteThrottleEvents",
        "SequenceIndexThrottling": "WriteThrottleEvents",
        "Contention": "Refusals",
        "Unavailable": "Refusals",
        "InternalErrors": "Refusals",
        "Bugs": "Bugs",
        "PricesHeld": "PricesHeld",
        "StalePrices": "Refusals",
    }
    for alarm in alarms.values():
        assert alarm["AlarmActions"] == [{"Ref": "AlarmTopic"}]
        assert alarm["TreatMissingData"] == "notBreaching"
        assert "docs/operations.md" in alarm["AlarmDescription"]


def test_the_index_has_an_alarm_of_its_own(template: Template) -> None:
    """DynamoDB counts a throttled index under its name: the table's own metric stays silent while its writes are refused."""
    (index,) = template["Resources"]["IdempotencyTable"]["Properties"]["GlobalSecondaryIndexes"]

    assert template["Resources"]["SequenceIndexThrottlingAlarm"]["Properties"]["Dimensions"] == [
        {"Name": "TableName", "Value": {"Ref": "IdempotencyTable"}},
        {"Name": "GlobalSecondaryIndexName", "Value": index["IndexName"]},
    ]


@pytest.mark.parametrize(
    ("name", "figures_of"),
    [
        *(
            (name, lambda stage, code=code: metrics.of_refusal(stage, utc_now(), code))
            for name, code in {
                "Contention": errors.Contention.code,
                "Unavailable": errors.DatastoreUnavailable.code,
                "InternalErrors": errors.InternalError.code,
                "StalePrices": errors.PriceStale.code,
            }.items()
        ),
        *(
            (name, lambda stage, error=error: only_line(metrics.of_batch_results(stage, utc_now(), [error, error])))
            for name, error in {"Unavailable": errors.DatastoreUnavailable(), "InternalErrors": errors.InternalError()}.items()
        ),
        ("PricesHeld", lambda stage: emf.of_held_prices(stage, utc_now(), 2)),
    ],
)
def test_an_alarm_watches_the_metric_that_the_engine_writes(
    stage: Stage, template: Template, name: str, figures_of: Callable[[str], dict[str, Any]]
) -> None:
    """Otherwise it could never go off. An order of a batch counts as one that came alone, although the batch is a 200."""
    alarm = template["Resources"][f"{name}Alarm"]["Properties"]

    figures = figures_of(stage.table_prefix)

    (directive,) = figures["_aws"]["CloudWatchMetrics"]
    assert alarm["Namespace"] == directive["Namespace"]
    assert [alarm["MetricName"]] == [metric["Name"] for metric in directive["Metrics"]]
    watched = {dimension["Name"]: dimension["Value"] for dimension in alarm["Dimensions"]}
    assert watched == {name: figures[name] for name in directive["Dimensions"][0]} | {"Stage": {"Ref": "TablePrefix"}}
    assert stage.parameters()["TablePrefix"] == figures["Stage"]
    assert figures[alarm["MetricName"]] >= alarm["Threshold"] == 1


def only_line(lines: Iterable[dict[str, Any]]) -> dict[str, Any]:
    (line,) = lines
    return line


@pytest.mark.parametrize("name", ["InternalErrors", "Bugs", "PricesHeld", "StalePrices"])
def test_what_should_never_happen_raises_its_alarm_the_first_time(template: Template, name: str) -> None:
    alarm = template["Resources"][f"{name}Alarm"]["Properties"]

    assert (alarm["EvaluationPeriods"], alarm["DatapointsToAlarm"], alarm["Threshold"]) == (1, 1, 1)


def test_every_bug_that_a_function_logs_is_counted(template: Template) -> None:
    filters = [each for each in of_type(template, "Logs::MetricFilter").values() if "bug" in each["FilterPattern"]]

    assert [each["LogGroupName"] for each in filters] == [{"Ref": "ApiHandlerLogGroup"}, {"Ref": "AuthorizerLogGroup"}]
    alarm = template["Resources"]["BugsAlarm"]["Properties"]
    for each in filters:
        (metric,) = each["MetricTransformations"]
        assert (metric["MetricNamespace"], metric["MetricName"]) == (alarm["Namespace"], alarm["MetricName"])
        assert each["FilterPattern"] == '{ $.event = "bug" }'
    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    handler.setFormatter(log.JsonLines())
    logging.getLogger("hft").addHandler(handler)
    try:
        log.bug(ValueError("a bug"))
    finally:
        logging.getLogger("hft").removeHandler(handler)
    assert json.loads(lines.getvalue())["event"] == "bug"


# The operator's routes.


@pytest.fixture(scope="module")
def with_operators(tmp_path_factory: pytest.TempPathFactory) -> tuple[Stage, Template]:
    """A stage that has turned the operator's routes on, and its template."""
    project = copy_project(tmp_path_factory.mktemp("operators"), requirements=False)
    change_stage(project, "prod", environment_variables={"HFT_OPERATOR_API": "on"})
    stage = Stage.load(project, "prod")
    return stage, package(stage).template


def operators_paths(template: Template) -> dict[str, Any]:
    paths = only(of_type(template, "Serverless::Api"))["DefinitionBody"]["paths"]
    return {path: methods for path, methods in paths.items() if "/operator/" in path}


def test_a_stage_has_no_operators_routes_unless_it_turns_them_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, template: Template, stage: Stage
) -> None:
    assert operators_paths(template) == {}
    assert stage.parameters()["OperatorApi"] == "off"

    monkeypatch.setenv("HFT_OPERATOR_API", "on")
    project = copy_project(tmp_path, requirements=False)
    of_this_shell = package(Stage.load(project, stage.name)).template
    assert operators_paths(of_this_shell) == {}, "the stage's settings count, and not the shell's"


def test_a_stage_that_turns_them_on_has_them_behind_the_authorizer(with_operators: tuple[Stage, Template]) -> None:
    stage, template = with_operators

    assert stage.parameters()["OperatorApi"] == "on"
    require_valid(template, stage.region)
    assert template["Resources"]["APIHandler"]["Properties"]["Environment"]["Variables"]["HFT_OPERATOR_API"] == "on"
    paths = operators_paths(template)
    assert sorted(paths) == [
        "/api/v1/operator/assets/{symbol}",
        "/api/v1/operator/assets/{symbol}/halt",
        "/api/v1/operator/assets/{symbol}/resume",
        "/api/v1/operator/prices",
        "/api/v1/operator/transfers",
    ]
    (authorizer,) = only(of_type(template, "Serverless::Api"))["DefinitionBody"]["securityDefinitions"]
    assert all(operation["security"] == [{authorizer: []}] for methods in paths.values() for operation in methods.values())


def test_only_a_stage_that_turns_them_on_may_write_assets(template: Template) -> None:
    policy = template["Resources"]["OperatorPolicy"]

    assert template["Conditions"][policy["Condition"]] == {"Fn::Equals": [{"Ref": "OperatorApi"}, "on"]}
    assert policy["Properties"]["Roles"] == [{"Ref": "ApiHandlerRole"}]
    assert template["Resources"]["APIHandler"]["Properties"]["Role"] == {"Fn::GetAtt": ["ApiHandlerRole", "Arn"]}


def test_the_dashboard_shows_the_stages_own_metrics(template: Template) -> None:
    text = only(of_type(template, "CloudWatch::Dashboard"))["DashboardBody"]["Fn::Sub"]

    shown = {widget["properties"]["title"] for widget in json.loads(text)["widgets"]}
    assert len(shown) == 8
    assert set(re.findall(r"\$\{([\w:.]+)\}", text)) <= {
        *("AWS::Region", "AWS::StackName", "ApiName", "RestAPI.Stage", "TablePrefix", "APIHandler", "Authorizer"),
        *tables(template),
    }
