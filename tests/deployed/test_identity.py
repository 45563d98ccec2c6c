"""Identity, through API Gateway and the authorizer's own Lambda: the same tests as on a closed local run."""

from pathlib import Path

import pytest

from tests.deployed.rehearsal import Rehearsal
from tests.unit.identity.test_identity_http import (  # noqa: F401  (pytest collects them in this module)
    Engine,
    test_a_batch_for_anothers_account_is_refused_as_a_whole_without_a_hint_and_moves_nothing,
    test_a_body_that_names_no_account_is_refused_for_that,
    test_a_caller_trades_and_looks_at_the_own_account,
    test_a_caller_trades_on_the_own_account_in_batches,
    test_an_order_for_anothers_account_is_refused_without_a_hint_and_moves_nothing,
    test_an_order_of_a_batch_cannot_name_an_account_of_its_own,
    test_anothers_key_replays_nothing,
    test_anothers_portfolio_is_refused_without_a_hint_whether_there_is_one,
    test_in_a_batch_anothers_key_replays_nothing,
    test_the_assets_are_for_every_caller,
    test_the_connection_outlives_a_refusal,
    test_what_is_public_asks_for_no_token,
    test_who_is_asking_comes_before_what_is_asked,
    test_whose_account_it_is_comes_before_what_is_wrong_with_an_order_of_the_batch,
    test_whose_account_it_is_comes_before_what_is_wrong_with_the_batch,
    test_whose_account_it_is_comes_before_what_is_wrong_with_the_order_and_before_the_key,
    test_without_a_valid_token_nothing_private_answers,
)


@pytest.fixture
def closed(dev: Rehearsal, log: Path) -> Engine:
    return Engine(dev.url("dev"), log)
