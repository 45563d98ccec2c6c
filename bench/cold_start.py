"""The cost of a new process until its first reply, as deployed, in three parts, compared with a bare client of botocore.

The first reply is a fill that reads the account and the prices: three requests to a stub of DynamoDB.
"""

import resource
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench import instructions
from bench.figures import Figure, of_rounds
from bench.lambda_process import FILL
from bench.on_lambda import command, environment
from bench.setting import Say
from bench.targets import at_most

PART = "cold start"
ROUNDS = 9
TARGET_RATIO = 0.95
"""The target for the cost to the first reply, in multiples of a botocore client's from an ordinary, untrimmed installation."""

BARE_CLIENT = """
import botocore.session
botocore.session.get_session().create_client("dynamodb", region_name="us-east-1")
"""

INTERPRETER, BOTOCORE = "a bare interpreter", "a bare botocore client"
IMPORTED, CLIENT, REPLIED = "imports", "imports and client", "to the first reply"

Run = tuple[Sequence[str], Mapping[str, str]]
"""A command and its environment."""


def measure(task: Path, endpoint: str, say: Say) -> list[Figure]:
    """Measures instructions and CPU time of the package's first reply."""
    runs = _runs(task, endpoint)
    for run in runs.values():  # from now on the files are in memory, and bare botocore has its byte code
        _cpu_ms(run)
    figures = []
    if instructions.VALGRIND is None:
        figures.append(Figure(PART, instructions.NOT_COUNTED, 0, ""))
    else:
        counts = _each(runs, lambda run: instructions.count(*run) / 1e6, lambda name: say(f"instructions: {name}"))
        figures += [Figure(PART, f"{name}: instructions", value, "million") for name, value in _parts(counts).items()]
        figures.append(
            at_most(Figure(PART, "first reply : bare botocore", counts[REPLIED] / counts[BOTOCORE], "×"), TARGET_RATIO)
        )
    rounds = []
    for number in range(ROUNDS):
        say(f"CPU time: round {number + 1} of {ROUNDS}")
        rounds.append(_parts(_each(runs, _cpu_ms)))
    figures += [of_rounds(PART, f"{name}: CPU time", [each[name] for each in rounds], "ms") for name in rounds[0]]
    return figures


def _runs(task: Path, endpoint: str) -> dict[str, Run]:
    """Returns the steps. Each begins with the start of a process, and goes further than the one before."""
    elsewhere = environment(endpoint, on_lambda=False)
    on_lambda = environment(endpoint)
    return {
        INTERPRETER: ([sys.executable, "-P", "-S", "-c", ""], elsewhere),
        BOTOCORE: ([sys.executable, "-P", "-c", BARE_CLIENT], environment(None, on_lambda=False)),
        # Without Lambda's variables the client is made only when it is needed.
        IMPORTED: (command(task, FILL, 0), elsewhere),
        CLIENT: (command(task, FILL, 0), on_lambda),
        REPLIED: (command(task, FILL, 1), on_lambda),
    }


def _each(runs: Mapping[str, Run], measured: Callable[[Run], float], say: Say = lambda _: None) -> dict[str, float]:
    values = {}
    for name, run in runs.items():
        say(name)
        values[name] = measured(run)
    return values


def _parts(values: Mapping[str, float]) -> dict[str, float]:
    """Returns the cost of each step without the one before it, and their sum."""
    return {
        INTERPRETER: values[INTERPRETER],
        BOTOCORE: values[BOTOCORE],
        "import": values[IMPORTED] - values[INTERPRETER],
        "client": values[CLIENT] - values[IMPORTED],
        "first request": values[REPLIED] - values[CLIENT],
        REPLIED: values[REPLIED],
    }


def _cpu_ms(run: Run) -> float:
    command, environment = run
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)  # noqa: S603
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime) * 1000
