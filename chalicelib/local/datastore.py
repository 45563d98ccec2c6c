"""The DynamoDB of a local run, and its preparation."""

import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from chalicelib.config import Settings

if TYPE_CHECKING:
    from botocore.exceptions import BotoCoreError, ClientError

_OURS = frozenset({"AWS_ENDPOINT_URL_DYNAMODB", "AWS_CHALICE_CLI_MODE"})
"""The variables named AWS_… that are not the SDK's own configuration."""

_FOREIGN_PREFIXES = ("AWS_", "MOTO_", "TEST_SERVER_MODE", "TEST_PROXY_MODE", "INITIAL_NO_AUTH_ACTION_COUNT")
"""The variables of the SDK, and those of moto: some would send its calls to a server."""

_TIMES = {"connect_timeout": 2, "read_timeout": 10, "retries": {"mode": "standard", "total_max_attempts": 2}}


class DatastoreUnusable(Exception):
    """A datastore that cannot be used. The message gives the reason, in one line."""


def prepare(settings: Settings) -> None:
    """Makes the datastore of a local run ready for connections.

    It is moto in this process, unless our settings name an endpoint or AWS. Tables are created and seeded only on this machine.

    Raises:
        DatastoreUnusable: the datastore does not answer, or AWS credentials are missing.
        JournalUnusable: the directory in HFT_DATA cannot be used.
        UnsupportedForm: the tables hold items of version 1.x, or of a newer release.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        if settings.on_this_machine:
            isolate(settings)
            _prepare_tables(settings)
        else:
            _require_credentials(settings)
            require_tables(settings)
    except (BotoCoreError, ClientError) as error:
        raise DatastoreUnusable(explain(error, settings)) from error


def isolate(settings: Settings) -> None:
    """Removes the SDK's own configuration from this process: files, profiles, regions, endpoints, proxies, time-outs.

    Without this, a profile or a variable set for other programs could redirect a local run to real tables.
    """
    # A store on this machine with TLS has a certificate of its own.
    kept = _OURS | {"AWS_CA_BUNDLE"} if (settings.datastore_endpoint or "").startswith("https:") else _OURS
    for name in [name for name in os.environ if name.startswith(_FOREIGN_PREFIXES) and name not in kept]:
        del os.environ[name]
    os.environ |= {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_REGION": settings.region,
        "AWS_DEFAULT_REGION": settings.region,
    }
    stand_in_credentials()
    # Other requests, such as those for tokens' keys, keep their proxies: only the datastore is reached without one.
    host = urlsplit(settings.datastore_endpoint or f"https://dynamodb.{settings.region}.amazonaws.com").netloc
    for name in ("no_proxy", "NO_PROXY"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), host]))


def stand_in_credentials() -> None:
    """Sets made-up credentials, unless keys are set: the SDK needs some, though a datastore on this machine ignores them.

    Profiles are removed, since they would take precedence and may be signed out.
    """
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
        os.environ.pop(name, None)
    if "AWS_ACCESS_KEY_ID" not in os.environ:
        os.environ["AWS_ACCESS_KEY_ID"] = os.environ["AWS_SECRET_ACCESS_KEY"] = "local"  # noqa: S105


def _prepare_tables(settings: Settings) -> None:
    if settings.in_process:
        _start_moto()

    import boto3
    from botocore.config import Config

    from chalicelib.engine import build
    from chalicelib.local.schema import create_missing
    from chalicelib.local.seed import seed
    from chalicelib.store.connection import DynamoDB

    client: Any = boto3.Session().client(
        "dynamodb", region_name=settings.region, endpoint_url=settings.datastore_endpoint, config=Config(**_TIMES)
    )
    create_missing(client, settings.table_prefix)
    if settings.data_directory is not None:
        _keep_books(Path(settings.data_directory), settings)
    seed(build(settings, DynamoDB(settings)), client)


def _keep_books(directory: Path, settings: Settings) -> None:
    """Fills the tables from a directory's journal, and writes every later change to it.

    Raises:
        JournalUnusable: see there.
    """
    from moto.core.models import DEFAULT_ACCOUNT_ID

    from chalicelib.local import durable_moto
    from chalicelib.local.journal import Journal

    try:
        journal = Journal(directory)
        durable_moto.load(journal, settings.region, DEFAULT_ACCOUNT_ID)
    except OSError as error:
        raise DatastoreUnusable(f"{directory} cannot be used for data: {error.strerror}") from error
    if journal.cut_bytes:
        print(f"Cut off a torn last line of {journal.cut_bytes} bytes: a write that was never acknowledged", flush=True)
    durable_moto.install(journal)


def _start_moto() -> None:
    from moto import mock_aws

    from chalicelib.local import atomic_moto, indexed_moto

    atomic_moto.install()
    indexed_moto.install()
    mock_aws().start()  # with its own credentials: it never uses real ones


def _require_credentials(settings: Settings) -> None:
    """Checks the credentials for a datastore elsewhere, and ignores other endpoints in the SDK's configuration.

    Raises:
        DatastoreUnusable: the credentials are missing.
        BotoCoreError: the credentials cannot be used.
    """
    import boto3

    logging.getLogger("botocore").setLevel(logging.CRITICAL)  # it logs the traceback of what is raised as well
    if settings.datastore_endpoint is None:
        # An endpoint in the SDK's configuration would not be in the banner, so it is ignored.
        os.environ["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"] = "true"
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        if (path := os.environ.get(name)) and not Path(path).exists():
            raise DatastoreUnusable(f"{name} names a file that does not exist: {path}")
    credentials = boto3.Session().get_credentials()
    if credentials is None:
        where = settings.datastore_endpoint or "HFT_DATASTORE=aws"
        raise DatastoreUnusable(f"{where} needs AWS credentials: set AWS_PROFILE, or sign in (aws sso login, aws configure)")
    credentials.get_frozen_credentials()  # SSO and roles get their credentials at this call


def require_tables(settings: Settings) -> None:
    """Reads an asset, so that a missing table or permission ends a run as it starts. No answer ends nothing: one may come.

    Raises:
        ClientError: DynamoDB refuses the read.
    """
    import boto3
    from botocore.config import Config
    from botocore.exceptions import ConnectionError as NotConnected
    from botocore.exceptions import HTTPClientError

    from chalicelib.store.tables import Tables, asset_key

    client: Any = boto3.Session().client(
        "dynamodb", region_name=settings.region, endpoint_url=settings.datastore_endpoint, config=Config(**_TIMES)
    )
    with suppress(NotConnected, HTTPClientError):
        client.get_item(TableName=Tables.of(settings.table_prefix).assets, Key=asset_key("USD"))


def explain(error: "BotoCoreError | ClientError", settings: Settings) -> str:
    """Returns one line about an error of the SDK."""
    from botocore.exceptions import ClientError, HTTPClientError, WaiterError
    from botocore.exceptions import ConnectionError as NotConnected

    text = " ".join(str(error).split())
    if isinstance(error, ClientError) and error.response["Error"]["Code"] == "ResourceNotFoundException":
        where = settings.datastore_endpoint or settings.region
        return f"There are no tables {settings.table_prefix}-* in {where}: is the stage deployed there, in this account?"
    if not settings.on_this_machine and isinstance(error, ClientError):
        return f"DynamoDB refuses these AWS credentials: {text}"
    if not settings.on_this_machine:
        return f"The AWS configuration cannot be used: {text}"
    if isinstance(error, NotConnected | HTTPClientError):
        return (
            f"Nothing answers at {settings.datastore_endpoint}, which AWS_ENDPOINT_URL_DYNAMODB names: start a datastore there, "
            "or unset the variable to trade in memory"
        )
    if isinstance(error, ClientError | WaiterError):
        return f"{settings.datastore_endpoint} does not answer as DynamoDB does: {text}"
    return f"The datastore cannot be used: {text}"
