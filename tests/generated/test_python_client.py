"""A Python client, generated from the OpenAPI document as anybody would generate one, trades."""

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.generated.document import write_document
from tests.support.market import Market, new_key

PACKAGE = "generated_hft_client"


@pytest.fixture(scope="module")
def generated(moto_market: Market, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The package, imported: its client, its models and the modules of its operations."""
    directory = tmp_path_factory.mktemp("python")
    document = write_document(moto_market, directory)
    done = subprocess.run(
        [
            *(Path(sys.executable).with_name("openapi-python-client"), "generate", "--path", document, "--meta", "none"),
            *("--output-path", directory / PACKAGE, "--fail-on-warning", "--config", _configuration(directory)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for file in (directory / PACKAGE).rglob("*.py"):
        compile(file.read_text(), file, "exec")  # also what no test of these imports
    sys.path.insert(0, str(directory))
    try:
        yield SimpleNamespace(
            client=importlib.import_module(f"{PACKAGE}.client"),
            models=importlib.import_module(f"{PACKAGE}.models"),
            **{name: importlib.import_module(f"{PACKAGE}.api.trading.{name}") for name in OPERATIONS},
        )
    finally:
        sys.path.remove(str(directory))


OPERATIONS = ("execute_order", "execute_batch", "get_portfolio", "get_history", "list_assets")


def _configuration(directory: Path) -> Path:
    """Writes a configuration that runs no formatter afterwards: which are found depends on the shell's path."""
    path = directory / "configuration.json"
    path.write_text('{"post_hooks": []}')
    return path


@pytest.fixture
def client(generated: Any, moto_market: Market) -> Any:
    return generated.client.Client(base_url=moto_market.urls[0])


def test_it_places_an_order_and_reads_the_portfolio(generated: Any, client: Any, moto_market: Market) -> None:
    user, key = moto_market.new_user(USD="100000"), new_key()
    order = generated.models.BuyAQuantity(user_id=user, symbol="BTC", pay_with="USD", quantity="1.0")

    filled = generated.execute_order.sync(client=client, body=order, x_idempotency_key=key)
    again = generated.execute_order.sync_detailed(client=client, body=order, x_idempotency_key=key)
    portfolio = generated.get_portfolio.sync(user, client=client)

    assert isinstance(filled, generated.models.BuyFill)
    assert (filled.quantity_filled, filled.total_cost, filled.sequence) == ("1.0", "50000.00000000", 2)
    assert (again.parsed, again.headers["Idempotent-Replayed"]) == (filled, "true")
    assert portfolio.holdings.to_dict() == {"BTC": "1.00000000", "USD": "50000.00000000"}
    assert portfolio.positions["BTC"].average_price_usd == "50000.00000000"


def test_it_sells_and_reads_the_history(generated: Any, client: Any, moto_market: Market) -> None:
    user = moto_market.new_user(BTC="1")
    order = generated.models.Sell(user_id=user, side="sell", symbol="BTC", receive="USD", quantity="all")

    sold = generated.execute_order.sync(client=client, body=order, x_idempotency_key=new_key())
    history = generated.get_history.sync(user, client=client)

    assert isinstance(sold, generated.models.SellFill)
    assert sold.total_proceeds == "50000.00000000"
    assert [(record.sequence, record.outcome) for record in history.records] == [(2, "ORDER_FILLED"), (1, "ACCOUNT_FUNDED")]


def test_it_sends_a_batch_whose_optional_boolean_is_one(generated: Any, client: Any, moto_market: Market) -> None:
    user, models = moto_market.new_user(USD="100000"), generated.models
    orders = [
        models.BuyAQuantityInABatch(idempotency_key=new_key(), symbol="BTC", pay_with="USD", quantity=quantity)
        for quantity in ("1", "5")
    ]

    results = generated.execute_batch.sync(client=client, body=models.Batch(user_id=user, orders=orders, all_or_nothing=True))

    assert [result.status for result in results.results] == [424, 402]


def test_it_reads_an_error(generated: Any, client: Any, moto_market: Market) -> None:
    user = moto_market.new_user(USD="1")
    order = generated.models.BuyAQuantity(user_id=user, symbol="BTC", pay_with="USD", quantity="1")

    refused = generated.execute_order.sync(client=client, body=order, x_idempotency_key=new_key())

    assert isinstance(refused, generated.models.Error)
    assert (refused.status, refused.error_code) == (402, "ERR_LIQUIDITY")
