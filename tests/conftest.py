"""The engines that the suites run on.

`moto`: `chalice local`'s own server and app, in this process, over moto. `ministack`: two `chalice local` processes over one
DynamoDB on a real socket. What must hold for a user is tested on both.
"""

import gc
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from threading import Thread

import pytest

from harness.processes import ROOT, chalice_local, environment, ministack
from tests.support.market import Market
from tests.support.permissions import RecordingDynamoDB

PRICE_AGE_MS = "100"
"""Long enough for a read on a busy machine: no older copy decides anything. A market waits so long for a price that it set."""

TABLE_PREFIX = "hft-dev"
"""What the default stage of .chalice/config.json sets: `chalice local` lets it win over the environment."""

# Before anything imports the app, which reads its settings then: no endpoint, account or setting of this machine's.
_credentials = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}  # an emulator checks none, the SDK wants some
os.environ.update(environment(HFT_PRICE_AGE_MS=PRICE_AGE_MS, HFT_TABLE_PREFIX=TABLE_PREFIX) | _credentials)
for _name in [
    name
    for name in os.environ
    if name.startswith(("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "HFT_TOKEN_"))
]:
    del os.environ[_name]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """The rehearsal of a deployment takes minutes: it runs where it is asked for by name, as `make test-deployed` does."""
    asked_for = any("deployed" in argument for argument in config.args)
    return True if collection_path.name == "deployed" and not asked_for else None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collects the tests without a search for garbage, and leaves them out of every later one: they stay until the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session")
def moto_market() -> Iterator[Market]:
    """Over moto, in this process."""
    import chalice.local
    from chalice.cli.factory import CLIFactory

    import app
    from chalicelib.local import server

    app.DynamoDB = RecordingDynamoDB  # type: ignore[attr-defined]
    server.install(warm_up=app.engine, when_open=app.add_operator_api)
    config = CLIFactory(str(ROOT)).create_config_obj()
    local = chalice.local.create_local_server(app.app, config, "127.0.0.1", 0)
    thread = Thread(target=local.serve_forever)
    thread.start()
    yield Market([f"http://127.0.0.1:{local.server.server_address[1]}"], app.settings)
    local.shutdown()
    thread.join()
    local.server.server_close()


@pytest.fixture(scope="session")
def ministack_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A DynamoDB on a real socket."""
    with ministack(tmp_path_factory.mktemp("ministack") / "log") as server:
        yield server.url


@pytest.fixture(scope="session")
def ministack_market(ministack_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    """Over ministack, in two processes."""
    from chalicelib.config import Settings

    env = {"AWS_ENDPOINT_URL_DYNAMODB": ministack_url, "HFT_PRICE_AGE_MS": PRICE_AGE_MS, "HFT_TABLE_PREFIX": TABLE_PREFIX}
    logs = tmp_path_factory.mktemp("engines")
    with chalice_local(logs / "1", **env) as first, chalice_local(logs / "2", **env) as second:
        yield Market([first.url, second.url], Settings.from_environment(env))


@pytest.fixture(params=["moto", "ministack"])
def market(request: pytest.FixtureRequest) -> Market:
    """The contract holds on every engine."""
    market: Market = request.getfixturevalue(f"{request.param}_market")
    return market


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A place for a process's output."""
    return tmp_path / "log"
