"""Many seeds, over several processes, with a progress bar.

A module of its own: spawned workers import it by its name, and ``__main__`` has none that they could.
"""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from simulation.checks import Violation, judge
from simulation.run import run
from simulation.workload import plan

CHUNK = 50
"""Seeds that a worker runs at a time: a second's work, more or less."""


def first_failing(seeds: range, jobs: int) -> int | None:
    """Finds the first seed under which a rule is broken."""
    chunks = [seeds[start : start + CHUNK] for start in range(0, len(seeds), CHUNK)]
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("seeds"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with ExitStack() as stack:
        progress = stack.enter_context(Progress(*columns))
        bar = progress.add_task("simulating", total=len(seeds))
        found: Iterator[int | None]
        if jobs > 1:
            pool = ProcessPoolExecutor(jobs, get_context("spawn"))  # the progress bar has a thread: no forking beside it
            stack.callback(pool.shutdown, cancel_futures=True)
            found = pool.map(failing_in, chunks)
        else:
            found = map(failing_in, chunks)
        for chunk, failing in zip(chunks, found, strict=True):
            if failing is not None:
                return failing
            progress.advance(bar, len(chunk))
    return None


def failing_in(seeds: range) -> int | None:
    """Finds the first of these seeds under which a rule is broken."""
    return next((seed for seed in seeds if verdict(seed) is not None), None)


def verdict(seed: int) -> Violation | None:
    """Runs one seed, and judges it."""
    try:
        return judge(run(plan(seed)))
    except Exception as error:
        error.add_note(f"under seed {seed}")
        raise
