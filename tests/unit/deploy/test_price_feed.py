"""A stage with a price feed: its function, role and alarms. A stage without one has nothing of it."""

import json
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chalicelib.market import feed
from chalicelib.runtime.world import utc_now
from chalicelib.telemetry import emf
from deploy import DeployError
from deploy.checks import require_valid
from deploy.package import Package, package
from deploy.stage import Stage
from deploy.template import Template
from harness.processes import environment
from harness.project import change_stage, copy_project
from tests.unit.deploy.test_template import of_type

SOURCES = {"BTC": [{"url": "https://api.coinbase.com/v2/prices/BTC-USD/spot", "pointer": "/data/amount"}]}
MINUTE_S = 60


@dataclass
class Fed:
    """A stage with a price feed, packaged."""

    stage: Stage
    package: Package

    @property
    def template(self) -> Template:
        return self.package.template

    def resource(self, name: str) -> dict[str, Any]:
        properties: dict[str, Any] = self.template["Resources"][name]["Properties"]
        return properties


def turn_on(project: Path, sources: str | None, value: str = "on") -> Stage:
    """Turns the feed of `prod` on, with this list of sources."""
    change_stage(project, "prod", environment_variables={"HFT_PRICE_FEED": value})
    stage = Stage.load(project, "prod")
    if sources is not None:
        stage.sources.parent.mkdir()
        stage.sources.write_text(sources)
    return stage


@pytest.fixture(scope="module")
def fed(tmp_path_factory: pytest.TempPathFactory) -> Fed:
    stage = turn_on(copy_project(tmp_path_factory.mktemp("fed"), requirements=False), json.dumps(SOURCES))
    return Fed(stage, package(stage))


def test_cfn_lint_finds_nothing(fed: Fed) -> None:
    require_valid(fed.template, fed.stage.region)


def test_the_function_runs_once_a_minute_and_a_run_that_failed_is_not_repeated(fed: Fed) -> None:
    function = fed.resource("PriceFeed")

    assert function["Handler"] == "chalicelib.market.schedule.price_feed"
    (event,) = function["Events"].values()
    assert (event["Type"], event["Properties"]["Schedule"]) == ("Schedule", "rate(1 minute)")
    assert function["EventInvokeConfig"] == {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": MINUTE_S}


def test_a_run_ends_before_its_function_and_the_function_before_the_next_run(fed: Fed) -> None:
    assert feed.ALL_SOURCES_S + feed.SETTING_S < fed.resource("PriceFeed")["Timeout"] < MINUTE_S


def test_the_function_has_a_role_of_its_own(fed: Fed) -> None:
    assert fed.resource("PriceFeed")["Role"] == {"Fn::GetAtt": ["PriceFeedRole", "Arn"]}
    (policy,) = fed.resource("PriceFeedRole")["Policies"]
    assert policy["PolicyDocument"] == json.loads((fed.stage.project / ".chalice" / "policy-price-feed.json").read_text())


def test_its_log_is_kept_as_long_as_the_others(fed: Fed) -> None:
    logs = of_type(fed.template, "Logs::LogGroup")["PriceFeedLogGroup"]

    assert (logs["LogGroupName"]["Fn::Sub"], logs["RetentionInDays"]) == (
        "/aws/lambda/${PriceFeed}",
        fed.stage.log_retention_days,
    )


def test_the_package_contains_the_stages_sources(fed: Fed) -> None:
    with zipfile.ZipFile(fed.package.archive) as archive:
        assert json.loads(archive.read("price-sources.json")) == SOURCES


@pytest.mark.parametrize(
    ("module", "never"),
    [
        ("app", ("chalicelib.market",)),
        ("chalicelib.market.schedule", ("app", "chalicelib.api", "chalicelib.local", "chalicelib.identity", "chalicelib.engine")),
    ],
)
def test_neither_function_imports_the_other(fed: Fed, tmp_path: Path, module: str, never: tuple[str, ...]) -> None:
    with zipfile.ZipFile(fed.package.archive) as archive:
        archive.extractall(tmp_path)
    found = f"[name for name in sys.modules if any(name == part or name.startswith(part + '.') for part in {never})]"

    done = subprocess.run(
        [sys.executable, "-c", f"import sys, {module}; print({found})"],
        cwd=tmp_path,
        env=environment(AWS_LAMBDA_FUNCTION_NAME="hft", AWS_REGION="eu-west-1", HFT_TABLE_PREFIX="hft", HFT_PRICE_FEED="on"),
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == "[]"


def test_an_old_price_and_a_silent_feed_raise_the_same_alarm(fed: Fed) -> None:
    alarm = fed.resource("PriceAgeAlarm")
    line = emf.of_price_feed(fed.stage.table_prefix, utc_now(), held=0, missing=0, oldest_s=181.0)

    directive = next(each for each in line["_aws"]["CloudWatchMetrics"] if each["Metrics"][0]["Name"] == "PriceAge")
    assert (alarm["Namespace"], alarm["MetricName"], alarm["Statistic"]) == (directive["Namespace"], "PriceAge", "Maximum")
    assert [dimension["Name"] for dimension in alarm["Dimensions"]] == directive["Dimensions"][0] == ["Stage"]
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanThreshold", {"Ref": "MaxPriceAgeS"})
    assert fed.template["Parameters"]["MaxPriceAgeS"]["Default"] == 180
    assert alarm["TreatMissingData"] == "breaching"


def test_a_held_price_of_the_feed_raises_the_alarm_of_held_prices(fed: Fed) -> None:
    alarm = fed.resource("PricesHeldAlarm")
    line = emf.of_price_feed(fed.stage.table_prefix, utc_now(), held=1, missing=0, oldest_s=None)

    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert alarm["MetricName"] in {metric["Name"] for metric in directive["Metrics"]}
    assert [dimension["Name"] for dimension in alarm["Dimensions"]] == directive["Dimensions"][0]
    assert line[alarm["MetricName"]] >= alarm["Threshold"]


def test_a_function_that_fails_raises_an_alarm(fed: Fed) -> None:
    alarm = fed.resource("PriceFeedErrorsAlarm")

    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/Lambda", "Errors")
    assert alarm["Dimensions"] == [{"Name": "FunctionName", "Value": {"Ref": "PriceFeed"}}]


def test_the_alarms_notify_the_topic_and_are_documented(fed: Fed) -> None:
    for name in ("PriceAgeAlarm", "PriceFeedErrorsAlarm"):
        alarm = fed.resource(name)
        assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "AlarmTopic"}]
        assert "docs/operations.md" in alarm["AlarmDescription"]


# Off.


@pytest.mark.parametrize("value", ["", "off"])
def test_a_stage_without_a_feed_has_nothing_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """Neither a list of sources nor the setting in this shell turns it on."""
    monkeypatch.setenv("HFT_PRICE_FEED", "on")
    packaged = package(turn_on(copy_project(tmp_path, requirements=False), json.dumps(SOURCES), value))

    assert [name for name in packaged.template["Resources"] if name.startswith(("PriceFeed", "PriceAge"))] == []
    assert "MaxPriceAgeS" not in packaged.template["Parameters"]
    assert "price-sources.json" not in zipfile.ZipFile(packaged.archive).namelist()


# Refused.


@pytest.mark.parametrize(
    ("sources", "refusal"),
    [
        (None, "The stage 'prod' has a price feed, but there is no .chalice/feeds/prod.json with its sources"),
        ("{", ".chalice/feeds/prod.json: is not JSON"),
        ('{"BTC": []}', ".chalice/feeds/prod.json: BTC must have a list of 1 to 9 sources"),
    ],
)
def test_a_feed_without_usable_sources_is_not_packaged(tmp_path: Path, sources: str | None, refusal: str) -> None:
    stage = turn_on(copy_project(tmp_path, requirements=False), sources)

    with pytest.raises(DeployError) as refused:
        package(stage)

    assert str(refused.value).startswith(refusal)
    assert "\n" not in str(refused.value)
