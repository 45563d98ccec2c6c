"""Settings: what is wrong is said at the start, not met in the middle of an order."""

from pathlib import Path

import pytest

from chalicelib.config import Settings
from chalicelib.local.banner import banner


def test_settings_come_from_the_environment() -> None:
    settings = Settings.from_environment(
        {
            "HFT_TABLE_PREFIX": "hft-x",
            "AWS_REGION": "eu-central-1",
            "AWS_ENDPOINT_URL_DYNAMODB": "https://dynamodb.example",
            "HFT_PRICE_AGE_MS": "50",
            "HFT_PRICE_STALE_S": "60",
            "HFT_CORS_ORIGINS": "https://a.example, http://localhost:3000",
            "HFT_LOCAL_HOSTS": "Trader.lan",
        }
    )

    assert settings == Settings(
        table_prefix="hft-x",
        region="eu-central-1",
        datastore_endpoint="https://dynamodb.example",
        price_age_ms=50,
        price_stale_s=60,
        cors_origins=frozenset({"https://a.example", "http://localhost:3000"}),
        local_hosts=frozenset({"trader.lan"}),
    )


def test_the_region_of_a_store_on_this_machine_is_always_the_same() -> None:
    for store in ({}, {"AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:4566"}):
        assert Settings.from_environment({"AWS_REGION": "local", **store}).region == Settings().region


def test_only_on_lambda_does_an_endpoint_of_all_services_name_the_store() -> None:
    all_services = {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}

    assert Settings.from_environment(all_services).datastore_endpoint is None
    on_lambda = Settings.from_environment(all_services | {"AWS_LAMBDA_FUNCTION_NAME": "hft"})
    assert on_lambda.datastore_endpoint == "http://127.0.0.1:4566"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            ("AWS_ENDPOINT_URL_DYNAMODB", url)
            for url in ("127.0.0.1:4566", "localhost", "ftp://a", "http://", "http://[::1", "http://a:x")
        ),
        *(("AWS_REGION", region) for region in ("local", "the moon", "eu_west_1")),
        *(("HFT_LOCAL_HOSTS", host) for host in ("trader.lan:8000", "http://trader.lan", "*")),
        *(("HFT_CORS_ORIGINS", origin) for origin in ("*", "null", "a.example", "https://a.example/", "https://a.example/x")),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=name):
        Settings.from_environment({"HFT_DATASTORE": "aws", name: value})


def test_without_any_there_are_defaults() -> None:
    assert Settings.from_environment({}) == Settings()


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "soon", "", "１"])
@pytest.mark.parametrize(
    "name",
    [
        *("HFT_PRICE_AGE_MS", "HFT_PRICE_STALE_S", "HFT_REQUEST_BUDGET_MS"),
        *("HFT_CONNECT_TIMEOUT_MS", "HFT_READ_TIMEOUT_MS", "HFT_CACHED_ACCOUNTS"),
    ],
)
def test_a_number_that_is_none_is_refused(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=name):
        Settings.from_environment({name: value})


@pytest.mark.parametrize(("name", "field"), [("HFT_OPERATOR_API", "operator_api"), ("HFT_PRICE_FEED", "price_feed")])
def test_a_switch_is_off_unless_it_is_on(name: str, field: str) -> None:
    assert [getattr(Settings.from_environment({name: value}), field) for value in ("on", "off", "")] == [True, False, False]

    for value in ("true", "1", "On", "yes"):
        with pytest.raises(ValueError, match=f"{name} must be on or off"):
            Settings.from_environment({name: value})


def test_prices_may_be_of_any_age_unless_a_limit_of_up_to_a_year_is_set() -> None:
    assert Settings.from_environment({}).price_stale_s is None
    assert Settings.from_environment({"HFT_PRICE_STALE_S": "31536000"}).price_stale_s == 31_536_000

    with pytest.raises(ValueError, match="HFT_PRICE_STALE_S must be at most 31536000"):
        Settings.from_environment({"HFT_PRICE_STALE_S": "31536001"})


def test_a_budget_in_which_no_call_fits_is_refused() -> None:
    with pytest.raises(ValueError, match="HFT_REQUEST_BUDGET_MS"):
        Settings.from_environment({"HFT_REQUEST_BUDGET_MS": "5999"})

    assert Settings.from_environment({"HFT_REQUEST_BUDGET_MS": "6000"}).request_budget_ms == 6_000


def test_a_data_directory_has_its_whole_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The shell may leave the tilde to the program; the banner then shows where the state is."""
    monkeypatch.setenv("HOME", "/home/trader")
    monkeypatch.chdir(tmp_path)

    for text, path in [("~/hft", "/home/trader/hft"), ("~", "/home/trader"), ("hft", f"{tmp_path}/hft"), ("/a/~b", "/a/~b")]:
        settings = Settings.from_environment({"HFT_DATA": text})
        assert settings.data_directory == path
        assert f"on disk in {path}: " in banner("127.0.0.1", 8000, settings, "open", None, is_open=True)

    with pytest.raises(
        ValueError, match="HFT_DATA begins with the home directory of a user that is unknown: '~nobody-like-this/hft'"
    ):
        Settings.from_environment({"HFT_DATA": "~nobody-like-this/hft"})


def test_an_unknown_datastore_is_refused() -> None:
    with pytest.raises(ValueError, match="HFT_DATASTORE"):
        Settings.from_environment({"HFT_DATASTORE": "sqlite"})
