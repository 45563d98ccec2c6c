"""The operator's part of the HTTP contract, through API Gateway, authorizer and Lambda."""

# ruff: noqa: F403
import pytest

from tests.contract.test_operator import *
from tests.deployed.market import DeployedMarket


@pytest.fixture
def market(operators_market: DeployedMarket) -> DeployedMarket:
    return operators_market
