"""Settings, read from the environment once and frozen."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

LOCAL_REGION = "us-east-1"
"""The region of a datastore on this machine, where a region is only a name."""

MAX_PRICE_STALE_S = 365 * 86_400

_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+)+-[0-9]+")
_HOST = re.compile(r"[a-z0-9_.-]+")
_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]+)?|https?://\[[0-9a-f:]+\](:[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings that may differ between stages. `from_environment` lists each field's environment variable."""

    table_prefix: str = "hft-local"
    """The tables are ``<prefix>-assets``, ``<prefix>-accounts``, ``<prefix>-idempotency`` and ``<prefix>-candles``."""

    region: str = LOCAL_REGION

    datastore_endpoint: str | None = None
    """The URL of a DynamoDB other than AWS's; `None` for AWS (on Lambda) or the in-process one (locally)."""

    datastore: Literal["moto", "aws"] = "moto"
    """The datastore of a local run that names no endpoint. On Lambda it is always AWS."""

    data_directory: str | None = None
    """The directory in which a local run on moto keeps its books, with its whole path; `None` keeps them in memory alone."""

    on_lambda: bool = False

    operator_api: bool = False
    """True where the operator's routes exist. A local run that is open has them in any case."""

    price_feed: bool = False
    """True where the stage has the function that sets prices once a minute."""

    price_age_ms: int = 1_000
    """The largest age of a price's copy when it decides an order."""

    price_stale_s: int | None = None
    """The age of a price, since the market set it, above which it decides no order: up to a year; `None` for no limit."""

    request_budget_ms: int = 20_000
    """The time that a request may take. API Gateway ends it at 29 s; the rest is for a cold start and the response."""

    connect_timeout_ms: int = 1_000
    """The time to connect, TLS included, to all of a host's addresses together. Within one region it takes a few milliseconds."""

    read_timeout_ms: int = 2_000
    """The time from a request's first byte to its reply's last. DynamoDB answers a transaction in about 10 ms, a slow one in
    a few hundred."""

    cached_accounts: int = 10_000
    """The number of accounts that a process caches, at about 1 KB each."""

    cors_origins: frozenset[str] = frozenset()
    """The origins whose pages may call the engine, such as ``https://trade.example``; without any, CORS is off."""

    local_hosts: frozenset[str] = frozenset()
    """Further names of this machine, by which requests may reach an open local run."""

    @property
    def call_worst_ms(self) -> int:
        """The longest time of one call to the datastore, resolving its name apart: see `chalicelib.store.transport`."""
        return self.connect_timeout_ms + self.read_timeout_ms

    @property
    def in_process(self) -> bool:
        """Returns whether moto may be the datastore, in this process: nothing names another."""
        return self.datastore_endpoint is None and self.datastore == "moto" and not self.on_lambda

    @property
    def on_this_machine(self) -> bool:
        """Returns whether the datastore is in this process or on loopback. Any other may contain real data."""
        return self.in_process or (self.datastore_endpoint is not None and is_loopback(self.datastore_endpoint))

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Reads the settings.

        Raises:
            ValueError: a setting is invalid.
        """
        defaults = cls()
        on_lambda = "AWS_LAMBDA_FUNCTION_NAME" in environment
        settings = cls(
            table_prefix=environment.get("HFT_TABLE_PREFIX", defaults.table_prefix),
            datastore_endpoint=_endpoint(environment, on_lambda=on_lambda),
            datastore=_datastore(environment),
            data_directory=_data_directory(environment),
            on_lambda=on_lambda,
            operator_api=_switch(environment, "HFT_OPERATOR_API"),
            price_feed=_switch(environment, "HFT_PRICE_FEED"),
            price_age_ms=_positive(environment, "HFT_PRICE_AGE_MS", defaults.price_age_ms),
            price_stale_s=_price_stale_s(environment),
            request_budget_ms=_positive(environment, "HFT_REQUEST_BUDGET_MS", defaults.request_budget_ms),
            connect_timeout_ms=_positive(environment, "HFT_CONNECT_TIMEOUT_MS", defaults.connect_timeout_ms),
            read_timeout_ms=_positive(environment, "HFT_READ_TIMEOUT_MS", defaults.read_timeout_ms),
            cached_accounts=_positive(environment, "HFT_CACHED_ACCOUNTS", defaults.cached_accounts),
            cors_origins=_origins(environment, "HFT_CORS_ORIGINS"),
            local_hosts=_hosts(environment, "HFT_LOCAL_HOSTS"),
        )
        if not settings.on_this_machine:
            settings = replace(settings, region=_region(environment))
        if settings.request_budget_ms < 2 * settings.call_worst_ms:
            raise ValueError(
                f"HFT_REQUEST_BUDGET_MS is {settings.request_budget_ms}, but a call to the datastore may take "
                f"{settings.call_worst_ms}, and an order needs time for two: no order could be executed"
            )
        if settings.data_directory is not None and not settings.in_process:
            raise ValueError("HFT_DATA is for a run whose datastore is in this process; this one names another datastore")
        return settings


def is_loopback(url: str) -> bool:
    """Returns whether a URL points at this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _endpoint(environment: Mapping[str, str], *, on_lambda: bool) -> str | None:
    """Returns the endpoint that our own setting names. On Lambda an emulator of AWS names its own, for all services at once."""
    name = "AWS_ENDPOINT_URL_DYNAMODB"
    url = environment.get(name) or (environment.get("AWS_ENDPOINT_URL") if on_lambda else None)
    if not url:
        return None
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url:
        raise ValueError(f"{name} must be a URL such as http://127.0.0.1:4566, not {url!r}")
    return url


def _data_directory(environment: Mapping[str, str]) -> str | None:
    """Returns the directory's whole path. Not every shell expands the ``~`` in `DATA=~/hft`."""
    text = environment.get("HFT_DATA")
    if not text:
        return None
    try:
        return str(Path(text).expanduser().absolute())
    except RuntimeError as error:
        raise ValueError(f"HFT_DATA begins with the home directory of a user that is unknown: {text!r}") from error


def _region(environment: Mapping[str, str]) -> str:
    """Returns the region of a datastore at AWS. The SDK takes other names, and looks for `local` on this machine."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        region = environment.get(name)
        if region:
            if not _REGION.fullmatch(region):
                raise ValueError(f"{name} must be a region of AWS such as {LOCAL_REGION}, not {region!r}")
            return region
    return LOCAL_REGION


def _words(environment: Mapping[str, str], name: str) -> list[str]:
    return environment.get(name, "").lower().replace(",", " ").split()


def _origins(environment: Mapping[str, str], name: str) -> frozenset[str]:
    origins = _words(environment, name)
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise ValueError(f"{name} must list origins such as https://trade.example, without a path, not {origin!r}")
    return frozenset(origins)


def _switch(environment: Mapping[str, str], name: str) -> bool:
    text = environment.get(name, "")
    if text not in ("", "off", "on"):
        raise ValueError(f"{name} must be on or off, not {text!r}")
    return text == "on"


def _hosts(environment: Mapping[str, str], name: str) -> frozenset[str]:
    hosts = _words(environment, name)
    for host in hosts:
        if not _HOST.fullmatch(host):
            raise ValueError(f"{name} must list names such as trader.lan, without a port, not {host!r}")
    return frozenset(hosts)


def _positive(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise ValueError(f"{name} must be a positive whole number, not {text!r}")
    return int(text)


def _price_stale_s(environment: Mapping[str, str]) -> int | None:
    seconds = _positive(environment, "HFT_PRICE_STALE_S", 0)
    if seconds > MAX_PRICE_STALE_S:
        raise ValueError(f"HFT_PRICE_STALE_S must be at most {MAX_PRICE_STALE_S}, which is a year; unset, there is no limit")
    return seconds or None


def _datastore(environment: Mapping[str, str]) -> Literal["moto", "aws"]:
    name = environment.get("HFT_DATASTORE", "moto")
    match name:
        case "moto" | "aws":
            return name
        case _:
            raise ValueError(f"HFT_DATASTORE must be moto or aws, not {name!r}")
