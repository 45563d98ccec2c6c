"""The DynamoDB of a local run, and its preparation."""

import os
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from chalicelib.config import Settings


def prepare(settings: Settings) -> None:
    """Makes the datastore of a local run ready for connections.

    It is moto in this process, unless the settings name an endpoint or AWS. Tables are created and seeded only on this machine.

    Raises:
        UnsupportedForm: the tables hold items of version 1.x, or of a newer release.
    """
    if not is_own(settings):
        return
    if settings.datastore_endpoint is None:
        _start_moto()
    else:
        stand_in_credentials()

    import boto3

    from chalicelib.engine import build
    from chalicelib.local.schema import create_missing
    from chalicelib.local.seed import seed
    from chalicelib.store.connection import DynamoDB

    client = boto3.client("dynamodb", region_name=settings.region, endpoint_url=settings.datastore_endpoint)
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

    journal = Journal(directory)
    durable_moto.load(journal, settings.region, DEFAULT_ACCOUNT_ID)
    if journal.cut_bytes:
        print(f"Cut off a torn last line of {journal.cut_bytes} bytes: a write that was never acknowledged", flush=True)
    durable_moto.install(journal)


def is_own(settings: Settings) -> bool:
    """Returns whether the datastore is on this machine, in moto or on loopback. Any other may contain real data."""
    if settings.datastore_endpoint is None:
        return settings.datastore == "moto"
    return is_loopback(settings.datastore_endpoint)


def is_loopback(url: str) -> bool:
    """Returns whether a URL points at this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _start_moto() -> None:
    from moto import mock_aws

    from chalicelib.local import atomic_moto, indexed_moto

    atomic_moto.install()
    indexed_moto.install()
    mock_aws().start()  # with its own credentials: it never uses real ones


def stand_in_credentials() -> None:
    """Sets made-up credentials where none are set: the SDK needs them, though a datastore on this machine ignores them."""
    if "AWS_ACCESS_KEY_ID" not in os.environ and "AWS_PROFILE" not in os.environ:
        os.environ["AWS_ACCESS_KEY_ID"] = os.environ["AWS_SECRET_ACCESS_KEY"] = "local"  # noqa: S105
