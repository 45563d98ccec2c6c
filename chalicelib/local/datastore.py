"""Which DynamoDB a local run uses, and making it ready."""

import os
from ipaddress import ip_address
from urllib.parse import urlsplit

from chalicelib.config import Settings


def prepare(settings: Settings) -> None:
    """Makes the datastore of a local run ready to be connected to.

    In-process moto, unless an endpoint is named or the settings ask for AWS. Tables are created and seeded only where they are
    this machine's own.
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
    seed(build(settings, DynamoDB(settings)), client)


def is_own(settings: Settings) -> bool:
    """Whether what a local run trades with is on this machine, in moto or behind loopback. Elsewhere it belongs to somebody."""
    if settings.datastore_endpoint is None:
        return settings.datastore == "moto"
    return is_loopback(settings.datastore_endpoint)


def is_loopback(url: str) -> bool:
    """Whether a URL points at this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _start_moto() -> None:
    from moto import mock_aws

    from chalicelib.local import atomic_moto

    atomic_moto.install()
    mock_aws().start()  # with credentials of its own: real ones, if there are any, are out of its reach


def stand_in_credentials() -> None:
    """An engine on this machine checks no signature, but the SDK will not send a request without one."""
    if "AWS_ACCESS_KEY_ID" not in os.environ and "AWS_PROFILE" not in os.environ:
        os.environ["AWS_ACCESS_KEY_ID"] = os.environ["AWS_SECRET_ACCESS_KEY"] = "local"  # noqa: S105
