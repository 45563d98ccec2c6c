"""The HTTP contract, through API Gateway, authorizer and Lambda: the same tests as on every other engine.

The operator's routes, and the candles that their prices make, are in modules of their own, on a stage that has them.
`test_concurrency` and `test_void_races` start engines of their own; test_lambda.py has the stage's.
"""

# ruff: noqa: F403
from tests.contract.test_batch import *
from tests.contract.test_execute import *
from tests.contract.test_history import *
from tests.contract.test_idempotency import *
from tests.contract.test_linked_batch import *
from tests.contract.test_order_forms import *
from tests.contract.test_queries import *
from tests.contract.test_refusals import *
from tests.contract.test_service import *
