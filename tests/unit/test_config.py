"""Settings: what is wrong is said at the start, not met in the middle of an order."""

import pytest

from chalicelib.config import Settings


def test_settings_come_from_the_environment() -> None:
    settings = Settings.from_environment(
        {
            "HFT_TABLE_PREFIX": "hft-x",
            "AWS_REGION": "eu-central-1",
            "AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:4566",
            "HFT_PRICE_AGE_MS": "50",
        }
    )

    assert settings == Settings(
        table_prefix="hft-x", region="eu-central-1", datastore_endpoint="http://127.0.0.1:4566", price_age_ms=50
    )


def test_without_any_there_are_defaults() -> None:
    assert Settings.from_environment({}) == Settings()


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "soon", "", "１"])
@pytest.mark.parametrize(
    "name",
    ["HFT_PRICE_AGE_MS", "HFT_REQUEST_BUDGET_MS", "HFT_CONNECT_TIMEOUT_MS", "HFT_READ_TIMEOUT_MS", "HFT_CACHED_ACCOUNTS"],
)
def test_a_number_that_is_none_is_refused(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=name):
        Settings.from_environment({name: value})


def test_a_budget_in_which_no_call_fits_is_refused() -> None:
    with pytest.raises(ValueError, match="HFT_REQUEST_BUDGET_MS"):
        Settings.from_environment({"HFT_REQUEST_BUDGET_MS": "5999"})

    assert Settings.from_environment({"HFT_REQUEST_BUDGET_MS": "6000"}).request_budget_ms == 6_000


def test_an_unknown_datastore_is_refused() -> None:
    with pytest.raises(ValueError, match="HFT_DATASTORE"):
        Settings.from_environment({"HFT_DATASTORE": "sqlite"})
