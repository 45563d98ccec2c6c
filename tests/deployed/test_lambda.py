"""A deployed stage's peculiarities: its own path, several processes of one function, a gateway that answers by itself."""

import re
import sys
import zipfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from urllib.parse import urljoin

import pytest
import requests
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from chalicelib.audit import replay
from tests.deployed.market import DeployedMarket
from tests.deployed.rehearsal import Rehearsal
from tests.support.market import batched, new_key, order

AT_ONCE = 4
"""The number of simultaneous requests. Each one is a separate process, so more would only measure this machine's cores."""


def test_processes_of_one_function_meet_at_one_account(market: DeployedMarket) -> None:
    user = market.new_user(USD="100000")
    competing = [(order(user, quantity="0.6"), new_key()) for _ in range(AT_ONCE)]

    replies = market.post_all(competing)
    again = market.post_all(competing)

    assert Counter(reply.status_code for reply in replies) == {200: 3, 402: 1}
    assert [reply.json() for reply in again] == [reply.json() for reply in replies]
    assert {reply.headers["Idempotent-Replayed"] for reply in again} == {"true"}
    assert market.holdings(user) == {"BTC": Decimal("1.8"), "USD": Decimal(10_000)}
    replay.compare(replay.replay(user, market.records(user)), market.account(user))


def test_duplicates_at_the_same_moment_fill_once_and_all_get_that_reply(market: DeployedMarket) -> None:
    user, key = market.new_user(USD="100000"), new_key()

    replies = market.post_all([(order(user), key)] * AT_ONCE)

    assert len({reply.text for reply in replies}) == 1
    assert Counter(reply.headers.get("Idempotent-Replayed") for reply in replies) == {None: 1, "true": AT_ONCE - 1}
    assert market.holdings(user) == {"BTC": Decimal(1), "USD": Decimal(50_000)}


def test_batches_in_several_processes_meet_at_one_account(market: DeployedMarket) -> None:
    """The same batch, sent to all processes at the same moment, is filled once, and all get those replies."""
    user = market.new_user(USD="100000")
    body = {"user_id": user, "orders": [batched(quantity=quantity) for quantity in ("0.6", "2", "0.4")]}

    with ThreadPoolExecutor(AT_ONCE) as threads:
        replies = list(threads.map(market.post_batch, [body] * AT_ONCE))

    results = [[(result["status"], result["body"]) for result in reply.json()["results"]] for reply in replies]
    assert [status for status, _ in results[0]] == [200, 402, 200]
    assert results == [results[0]] * AT_ONCE
    replayed = Counter(result["replayed"] for reply in replies for result in reply.json()["results"])
    assert replayed == {False: 3, True: 3 * (AT_ONCE - 1)}
    assert market.holdings(user) == {"BTC": Decimal(1), "USD": Decimal(50_000)}


def test_the_documentation_finds_everything_behind_the_stages_path(market: DeployedMarket) -> None:
    docs = f"{market.urls[0]}/docs"
    page = requests.get(docs, timeout=30).text

    for asset in ("docs/swagger-ui.css", "docs/swagger-ui-bundle.js", "docs/start.js"):
        assert f'"{asset}"' in page
        assert requests.get(urljoin(docs, asset), timeout=30).status_code == 200
    described = requests.get(urljoin(urljoin(docs, "docs/start.js"), "../openapi.json"), timeout=30).json()
    assert {"/api/v1/trading/execute", "/api/v1/trading/execute/batch"} <= described["paths"].keys()


def test_the_console_finds_everything_behind_the_stages_path(market: DeployedMarket) -> None:
    """API Gateway also says where the slash at the end is missing; the emulator adds it."""
    console = f"{market.urls[0]}/"
    page = requests.get(console, timeout=30)

    assert (page.status_code, page.headers["Referrer-Policy"]) == (200, "no-referrer")
    files = re.findall(r'"([^"]+\.(?:js|css))"', page.text)
    assert len(files) == 3
    for file in files:
        asset = requests.get(urljoin(console, file), timeout=30)
        assert (asset.status_code, asset.headers["Cache-Control"]) == (200, "public, max-age=31536000, immutable")


def test_the_package_contains_the_requirements_and_nothing_else(dev: Rehearsal) -> None:
    (package,) = dev.stage("dev").build_directory.glob(f"{'?' * 64}.zip")
    held = zipfile.ZipFile(package).namelist()
    lines = [line for line in (dev.project / "requirements.txt").read_text().splitlines() if "==" in line]
    wanted = [Requirement(line) for line in lines]

    packed = {found[1] for name in held if (found := re.match(r"([\w.]+?)-[\w.]+\.dist-info/", name))}
    assert {canonicalize_name(name) for name in packed} == {
        canonicalize_name(requirement.name)
        for requirement in wanted
        if requirement.marker is None or requirement.marker.evaluate()
    }
    assert package.stat().st_size < 15_000_000
    assert not [name for name in held if name.startswith("chalicelib/local")]
    compiled = f".{sys.implementation.cache_tag}.pyc"
    for name in ("app", "chalicelib/trading/execution", "botocore/session"):
        folder, _, module = name.rpartition("/")
        assert {f"{name}.py", f"{folder}/__pycache__/{module}{compiled}".removeprefix("/")} <= set(held)


@pytest.mark.parametrize(
    "target", ["DELETE /api/v1/trading/assets", "GET /api/v1/trading/execute", "GET /api/v1/trading/execute/batch", "GET /nope"]
)
def test_an_unknown_route_is_not_found(market: DeployedMarket, target: str) -> None:
    """For a method that a route does not take, a deployed stage returns 404 where `chalice local` returns 405."""
    method, path = target.split()

    response = requests.request(method, market.urls[0] + path, timeout=30)

    assert (response.status_code, response.json()["error_code"]) == (404, "ERR_NOT_FOUND")
    assert response.headers["X-Request-Id"]
