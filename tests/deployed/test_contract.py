"""The HTTP contract, through API Gateway, authorizer and Lambda: the same tests as on every other engine."""

# ruff: noqa: F403
from tests.contract.test_batch import *
from tests.contract.test_execute import *
from tests.contract.test_idempotency import *
from tests.contract.test_queries import *
from tests.contract.test_refusals import *
