"""Settings, read from the environment once and frozen."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings that may differ between stages. `from_environment` lists each field's environment variable."""

    table_prefix: str = "hft-local"
    """The tables are ``<prefix>-assets``, ``<prefix>-accounts`` and ``<prefix>-idempotency``."""

    region: str = "us-east-1"

    datastore_endpoint: str | None = None
    """The URL of a DynamoDB other than AWS's; `None` for AWS (on Lambda) or the in-process one (locally)."""

    datastore: Literal["moto", "aws"] = "moto"
    """The datastore of a local run that names no endpoint. On Lambda it is always AWS."""

    data_directory: str | None = None
    """The directory in which a local run on moto keeps its books; `None` keeps them in memory alone."""

    on_lambda: bool = False

    price_age_ms: int = 1_000
    """The largest age of a price's copy when it decides an order."""

    request_budget_ms: int = 20_000
    """The time that a request may take. API Gateway ends it at 29 s; the rest is for a cold start and the response."""

    connect_timeout_ms: int = 1_000
    """The time to connect, TLS included, to all of a host's addresses together. Within one region it takes a few milliseconds."""

    read_timeout_ms: int = 2_000
    """The time from a request's first byte to its reply's last. DynamoDB answers a transaction in about 10 ms, a slow one in
    a few hundred."""

    cached_accounts: int = 10_000
    """The number of accounts that a process caches, at about 1 KB each."""

    @property
    def call_worst_ms(self) -> int:
        """The longest time of one call to the datastore, resolving its name apart: see `chalicelib.store.transport`."""
        return self.connect_timeout_ms + self.read_timeout_ms

    @property
    def in_process(self) -> bool:
        """Returns whether the datastore is moto, in this process."""
        return self.datastore_endpoint is None and self.datastore == "moto" and not self.on_lambda

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Reads the settings.

        Raises:
            ValueError: a setting is invalid.
        """
        defaults = cls()
        settings = cls(
            table_prefix=environment.get("HFT_TABLE_PREFIX", defaults.table_prefix),
            region=environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or defaults.region,
            datastore_endpoint=environment.get("AWS_ENDPOINT_URL_DYNAMODB") or environment.get("AWS_ENDPOINT_URL") or None,
            datastore=_datastore(environment),
            data_directory=environment.get("HFT_DATA") or None,
            on_lambda="AWS_LAMBDA_FUNCTION_NAME" in environment,
            price_age_ms=_positive(environment, "HFT_PRICE_AGE_MS", defaults.price_age_ms),
            request_budget_ms=_positive(environment, "HFT_REQUEST_BUDGET_MS", defaults.request_budget_ms),
            connect_timeout_ms=_positive(environment, "HFT_CONNECT_TIMEOUT_MS", defaults.connect_timeout_ms),
            read_timeout_ms=_positive(environment, "HFT_READ_TIMEOUT_MS", defaults.read_timeout_ms),
            cached_accounts=_positive(environment, "HFT_CACHED_ACCOUNTS", defaults.cached_accounts),
        )
        if settings.request_budget_ms < 2 * settings.call_worst_ms:
            raise ValueError(
                f"HFT_REQUEST_BUDGET_MS is {settings.request_budget_ms}, but a call to the datastore may take "
                f"{settings.call_worst_ms}, and an order needs time for two: no order could be executed"
            )
        if settings.data_directory is not None and not settings.in_process:
            raise ValueError("HFT_DATA is for a run whose datastore is in this process; this one names another datastore")
        return settings


def _positive(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise ValueError(f"{name} must be a positive whole number, not {text!r}")
    return int(text)


def _datastore(environment: Mapping[str, str]) -> Literal["moto", "aws"]:
    name = environment.get("HFT_DATASTORE", "moto")
    match name:
        case "moto" | "aws":
            return name
        case _:
            raise ValueError(f"HFT_DATASTORE must be moto or aws, not {name!r}")
