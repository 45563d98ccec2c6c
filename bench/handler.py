"""The CPU cost of a request in the deployed function, log line and metrics included. DynamoDB is a stub in another process.

The cost is the difference of two runs of different lengths, divided by the difference in requests: the start's cost cancels out.
"""

import subprocess
from pathlib import Path

from bench import instructions
from bench.figures import Figure, of_rounds
from bench.lambda_process import FILL, PORTFOLIO, REFUSAL, REPLAY
from bench.on_lambda import command, environment
from bench.setting import Say
from bench.targets import at_most

PART = "handler"
KINDS = (FILL, REFUSAL, REPLAY, PORTFOLIO)
SHORT, LONG = 50, 250
"""The numbers of requests of the two runs that are counted."""
TIMED = 500
ROUNDS = 5
TARGET_MILLIONS = 4.2
"""The target for the instructions of a fill."""


def measure(task: Path, endpoint: str, say: Say) -> list[Figure]:
    """Measures instructions and CPU time of each kind of request, for an account in the process's cache."""
    figures = []
    if instructions.VALGRIND is None:
        figures.append(Figure(PART, instructions.NOT_COUNTED, 0, ""))
    else:
        for kind in KINDS:
            say(f"instructions of a {kind}")
            counted = Figure(PART, f"{kind}: instructions", _instructions(task, kind, endpoint) / 1e6, "million")
            figures.append(at_most(counted, TARGET_MILLIONS) if kind == FILL else counted)
    for kind in KINDS:
        say(f"CPU time of a {kind}")
        rounds = [_cpu_ms(task, kind, endpoint) for _ in range(ROUNDS)]
        figures.append(of_rounds(PART, f"{kind}: CPU time", rounds, "ms"))
    return figures


def _instructions(task: Path, kind: str, endpoint: str) -> float:
    short, long = (instructions.count(command(task, kind, requests), environment(endpoint)) for requests in (SHORT, LONG))
    return (long - short) / (LONG - SHORT)


def _cpu_ms(task: Path, kind: str, endpoint: str) -> float:
    done = subprocess.run(  # noqa: S603  (our own list of arguments, without a shell)
        command(task, kind, TIMED), env=environment(endpoint), capture_output=True, text=True, check=True
    )
    return float(done.stderr)
