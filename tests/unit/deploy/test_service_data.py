"""botocore's data as packaged: a function calls the same endpoints, and reads the same answers, as with all of it."""

import json
import shutil
from pathlib import Path
from typing import Any

import botocore
import pytest
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.loaders import Loader
from botocore.session import Session

from deploy import service_data

WHOLE = Path(botocore.__file__).parent / "data"
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "dynamodb": ("transact_write_items", {"TransactItems": [{"Delete": {"TableName": "t", "Key": {"id": {"S": "1"}}}}]}),
    "secretsmanager": ("get_secret_value", {"SecretId": "arn:aws:secretsmanager:us-east-1:123456789012:secret:s"}),
    "ssm": ("get_parameter", {"Name": "arn:aws:ssm:us-east-1:123456789012:parameter/s"}),
}
REGIONS = sorted(
    region for partition in json.loads((WHOLE / "endpoints.json").read_bytes())["partitions"] for region in partition["regions"]
)


@pytest.fixture(scope="module")
def trimmed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("data")
    for path in WHOLE.iterdir():
        if path.is_file():
            shutil.copy(path, data)
    for service in service_data.SERVICES:
        shutil.copytree(WHOLE / service, data / service)
    service_data.trim(data)
    return data


def session_over(data: Path) -> Session:
    session = Session()
    session.register_component("data_loader", Loader([str(data)], include_default_search_paths=False))
    session.set_credentials("AKIDEXAMPLE", "secret")
    return session


def where_it_goes(session: Session, service: str, region: str, **config: Any) -> tuple[str, str]:
    """Returns the URL that a call is sent to, and the region and service that it is signed for."""
    settings = Config(account_id_endpoint_mode="disabled", **config)
    client = session.create_client(service, region_name=region, config=settings)
    # First, before moto, which other tests in this process may have started.
    client.meta.events.register_first("before-send", _not_sent)
    operation, request = CALLS[service]
    with pytest.raises(NotSent) as stopped:
        getattr(client, operation)(**request)
    asked = stopped.value.request
    signed = asked.headers["Authorization"].decode().split("Credential=")[1].split(",")[0]
    return asked.url, "/".join(signed.split("/")[2:])


class NotSent(Exception):
    """Raised instead of sending a request."""

    def __init__(self, request: AWSRequest) -> None:
        super().__init__(request.url)
        self.request = request


def _not_sent(request: AWSRequest, **_: Any) -> None:
    raise NotSent(request)


@pytest.mark.parametrize("service", service_data.SERVICES)
def test_calls_go_to_the_same_place_in_every_region(service: str, trimmed: Path) -> None:
    whole, packaged = session_over(WHOLE), session_over(trimmed)

    for region in [*REGIONS, "us-west-9"]:  # and in a future one
        assert where_it_goes(packaged, service, region) == where_it_goes(whole, service, region)


@pytest.mark.parametrize("region", ["us-east-1", "us-west-2", "ca-central-1"])
def test_calls_that_need_certified_cryptography_go_to_the_same_place(region: str, trimmed: Path) -> None:
    whole, packaged = (where_it_goes(session_over(data), "dynamodb", region, use_fips_endpoint=True) for data in (WHOLE, trimmed))

    assert packaged == whole


@pytest.mark.parametrize("service", service_data.SERVICES)
def test_requests_and_answers_are_described_as_before(service: str, trimmed: Path) -> None:
    whole, packaged = (session_over(data).get_service_model(service) for data in (WHOLE, trimmed))

    assert packaged.operation_names == whole.operation_names
    assert packaged.shape_names == whole.shape_names
    for name in whole.shape_names:
        one, other = packaged.shape_for(name), whole.shape_for(name)
        assert (one.type_name, one.metadata, one.serialization) == (other.type_name, other.metadata, other.serialization)
        assert list(getattr(one, "members", ())) == list(getattr(other, "members", ()))


def test_what_is_left_is_small(trimmed: Path) -> None:
    assert (trimmed / "endpoints.json").stat().st_size < 50_000
    assert not list(trimmed.glob(f"*/*/{service_data.RULE_SETS}"))
