"""A stage's life, with money in its tables: updated, spared, destroyed, adopted. The tests are steps in this sequence.

They run after the suites of the stage `dev`, which they change and destroy.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

from harness.processes import ROOT, environment
from harness.project import change_stage
from tests.deployed.market import DeployedMarket
from tests.deployed.rehearsal import Rehearsal
from tests.support.market import Market, new_key, order


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def function(rehearsal: Rehearsal, stage: str) -> dict[str, Any]:
    name = rehearsal.outputs(stage)["APIHandlerName"]
    configuration: dict[str, Any] = rehearsal.client("lambda").get_function_configuration(FunctionName=name)
    return configuration


def tables(rehearsal: Rehearsal, prefix: str) -> set[str]:
    names = rehearsal.client("dynamodb").list_tables()["TableNames"]
    return {name for name in names if name.startswith(f"{prefix}-")}


@pytest.fixture(scope="module")
def filled(market: DeployedMarket) -> tuple[int, str, dict[str, Any]]:
    """A user, the key of an order that was filled before anything changed, and its reply."""
    user, key = market.new_user(USD="100000"), new_key()
    reply = market.post(order(user), key)
    assert reply.status_code == 200
    return user, key, reply.json()


def assert_nothing_is_lost(market: DeployedMarket, filled: tuple[int, str, dict[str, Any]]) -> None:
    user, key, reply = filled
    again = market.post(order(user), key)
    assert (again.status_code, again.json(), again.headers["Idempotent-Replayed"]) == (200, reply, "true")
    assert market.portfolio(user)["holdings"] == {"BTC": "1.00000000", "USD": "50000.00000000"}


def test_deploying_the_same_again_changes_nothing(dev: Rehearsal) -> None:
    again = dev.deploy("apply", "dev")

    assert again.returncode == 0, again.stderr
    assert "Nothing to change" in again.stdout


def test_an_update_of_code_and_settings_keeps_the_data(
    dev: Rehearsal, market: DeployedMarket, filled: tuple[int, str, dict[str, Any]]
) -> None:
    url = dev.url("dev")
    edit(dev.project / "chalicelib" / "__init__.py", '__version__ = "', '__version__ = "9.')
    config = dev.project / ".chalice" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"lambda_memory_size": 1536}))
    overlay = dev.project / ".chalice" / "stages" / "dev.json"
    overlay.write_text(json.dumps(json.loads(overlay.read_text()) | {"Parameters": {"RequestsPerSecond": {"Default": 77}}}))

    updated = dev.deploy("apply", "dev")

    assert updated.returncode == 0, updated.stderr
    assert dev.url("dev") == url, "clients keep their URL"
    assert "HFT Trading Engine v9." in requests.get(f"{url}/health", timeout=60).json()["engine"]
    assert function(dev, "dev")["MemorySize"] == 1536
    (gateway,) = dev.client("apigateway").get_stages(restApiId=dev.outputs("dev")["RestAPIId"])["item"]
    assert gateway["methodSettings"]["*/*"]["throttlingRateLimit"] == 77
    assert_nothing_is_lost(market, filled)


def test_a_change_that_would_lose_a_table_is_refused_and_nothing_changes(
    dev: Rehearsal, market: DeployedMarket, filled: tuple[int, str, dict[str, Any]]
) -> None:
    resources = dev.project / ".chalice" / "resources.json"
    before = resources.read_text()
    edit(resources, "${TablePrefix}-accounts", "${TablePrefix}-customers")

    refused = dev.deploy("apply", "dev")

    resources.write_text(before)
    assert refused.returncode == 1
    assert refused.stderr.startswith("This would replace or remove AccountsTable and lose")
    assert function(dev, "dev")["MemorySize"] == 1536
    assert_nothing_is_lost(market, filled)


def test_dev_is_destroyed_with_its_data(dev: Rehearsal) -> None:
    destroyed = dev.deploy("destroy", "dev")

    assert destroyed.returncode == 0, destroyed.stderr
    assert tables(dev, "hft-dev") == set()
    assert "tables" not in destroyed.stdout
    assert "The packages in s3://hft-trading-engine-000000000000-us-east-1 remain" in destroyed.stdout
    gone = dev.deploy("outputs", "dev")
    assert (gone.returncode, gone.stderr.strip()) == (1, "There is no stack hft-trading-engine-dev: deploy the stage first")


def test_the_packages_are_in_a_closed_bucket(dev: Rehearsal) -> None:
    s3, bucket = dev.client("s3"), "hft-trading-engine-000000000000-us-east-1"

    assert set(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values()) == {True}
    (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"


# Production.


def holdings_with_a_minted_token(rehearsal: Rehearsal) -> Any:
    """Reads user 1's holdings with a token of `make token`, signed with the secret that the stack made."""
    minted = subprocess.run(
        [sys.executable, "-m", "ops", "token", "1"],
        cwd=ROOT,
        env=environment(
            AWS_ENDPOINT_URL=rehearsal.emulator,
            AWS_ACCESS_KEY_ID="local",
            AWS_SECRET_ACCESS_KEY="local",
            HFT_TOKEN_SECRET_ARN=rehearsal.outputs("prod")["TokenSecretArn"],
        ),
        capture_output=True,
        text=True,
        check=True,
    )
    url = f"{rehearsal.url('prod')}/api/v1/trading/portfolio/1"
    response = requests.get(url, headers={"Authorization": f"Bearer {minted.stdout.strip()}"}, timeout=60)
    assert response.status_code == 200, response.text
    return response.json()["holdings"]


@pytest.fixture(scope="module")
def prod(rehearsal: Rehearsal) -> Rehearsal:
    """The stage `prod`, deployed, with the lines pasted that the deployment ends with."""
    assert rehearsal.deploy("log-role", "prod").returncode == 0
    deployed = rehearsal.deploy("apply", "prod")
    assert deployed.returncode == 0, deployed.stderr
    _, _, to_paste = deployed.stdout.partition("Nothing is listed yet. From the project's directory, as far as a first order:\n")
    *_, reply = rehearsal.paste(to_paste.splitlines()).splitlines()
    assert json.loads(reply)["status"] == "ORDER_FILLED", reply
    return rehearsal


HELD = {"BTC": "1.00000000", "USD": "50000.00000000"}


def test_production_accepts_a_token_of_its_own_secret(prod: Rehearsal) -> None:
    assert holdings_with_a_minted_token(prod) == HELD


def test_production_is_destroyed_only_with_force_and_its_tables_stay(prod: Rehearsal) -> None:
    refused = prod.deploy("destroy", "prod")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert holdings_with_a_minted_token(prod) == HELD

    destroyed = prod.deploy("destroy", "prod", "--force")

    assert destroyed.returncode == 0, destroyed.stderr
    assert tables(prod, "hft-prod") == {"hft-prod-assets", "hft-prod-accounts", "hft-prod-idempotency"}
    assert "The tables hft-prod-assets, hft-prod-accounts, hft-prod-idempotency remain" in destroyed.stdout
    assert "make adopt STAGE=prod, then make deploy STAGE=prod" in destroyed.stdout


def test_remaining_tables_are_adopted_and_deployed_onto_with_their_data(prod: Rehearsal) -> None:
    refused = prod.deploy("apply", "prod")
    assert refused.returncode == 1
    assert refused.stderr.strip().endswith("To deploy onto them: make adopt STAGE=prod, then repeat this command")

    for command in ("adopt", "apply"):
        done = prod.deploy(command, "prod")
        assert done.returncode == 0, done.stderr

    assert holdings_with_a_minted_token(prod) == HELD
    again = prod.deploy("adopt", "prod")
    assert (again.returncode, again.stderr.strip()) == (
        1,
        "The stack hft-trading-engine-prod exists: there is nothing to adopt",
    )


def restore(rehearsal: Rehearsal, table: str) -> None:
    """Restores a table of `prod` as it is now. The emulator knows no other second."""
    rehearsal.client("dynamodb").restore_table_to_point_in_time(
        SourceTableName=f"hft-prod-{table}", TargetTableName=f"hft-prod-2-{table}", UseLatestRestorableTime=True
    )


def operate(rehearsal: Rehearsal, *command: str) -> subprocess.CompletedProcess[str]:
    """Runs an operator's command on the restored tables."""
    return subprocess.run(
        [sys.executable, "-m", "ops", *command, "--all", "--prefix", "hft-prod-2", "--region", "us-east-1"],
        cwd=ROOT,
        env=environment(AWS_ENDPOINT_URL_DYNAMODB=rehearsal.emulator),
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_stage_is_restored_into_new_tables_with_all_that_its_records_hold(prod: Rehearsal) -> None:
    """The restore of docs/operations.md: accounts from an earlier second than records, and rolled forward to them."""
    market = Market([prod.url("prod")], prod.settings("prod"))
    restore(prod, "accounts")
    market.fund(1, "USD", "1")  # the restored account is older than its records
    newcomer = market.new_user(USD="7")  # nor is there an account of this one
    restore(prod, "idempotency")
    restore(prod, "assets")

    found = operate(prod, "audit")
    repaired = operate(prod, "accounts", "repair")
    audited = operate(prod, "audit")

    assert (found.returncode, repaired.returncode, audited.returncode) == (3, 0, 0), repaired.stderr + audited.stdout
    assert set(repaired.stdout.splitlines()) == {
        "user 1: 2 → 3, written",
        f"user {newcomer}: no account → 1, written",
        "accounts: 2, written: 2",
    }
    assert prod.deploy("destroy", "prod", "--force").returncode == 0
    change_stage(prod.project, "prod", environment_variables={"HFT_TABLE_PREFIX": "hft-prod-2"})
    for command in ("adopt", "apply"):
        done = prod.deploy(command, "prod")
        assert done.returncode == 0, done.stderr
    assert holdings_with_a_minted_token(prod) == {"BTC": "1.00000000", "USD": "50001.00000000"}
    assert {f"hft-prod-2-{table}" for table in ("assets", "accounts", "idempotency")} <= tables(prod, "hft-prod-2")
