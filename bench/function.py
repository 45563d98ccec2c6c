"""The packaged function, as Lambda runs it: the cost of a request, and of a cold start."""

from bench import cold_start, handler, packaged
from bench.figures import Figure
from bench.setting import Say


def measure(say: Say) -> list[Figure]:
    """Measures both on one package.

    Raises:
        deploy.DeployError: the package could not be made.
    """
    with packaged.on_lambda(say) as (task, endpoint):
        return [*handler.measure(task, endpoint, say), *cold_start.measure(task, endpoint, say)]
