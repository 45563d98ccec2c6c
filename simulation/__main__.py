"""``python -m simulation``: many seeds with a progress bar, or one seed told in full.

A seed that breaks a rule ends it: its shortest history is printed, and the exit status is 1.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from chalicelib import engine
from simulation.checks import Violation, judge
from simulation.journal import timeline
from simulation.process import Build
from simulation.run import run
from simulation.shrink import shrink
from simulation.workload import plan

SEEDS = 2_000
CHUNK = 50
"""Seeds that a worker runs at a time: a second's work, more or less."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what the command line asks for. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m simulation", description="Simulates the engine, and checks what it did.")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"how many seeds to run ({SEEDS})")
    parser.add_argument("--first", type=int, default=0, help="the first of them (0)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many processes share the work (one per CPU)")
    parser.add_argument("--seed", type=int, help="tell what happens under this seed, instead")
    options = parser.parse_args(arguments)
    if options.seed is not None:
        return tell(options.seed)
    failing = first_failing(range(options.first, options.first + options.seeds), options.jobs)
    if failing is None:
        print(f"{options.seeds} seeds, from {options.first} on: no rule broken")
        return 0
    return tell(failing)


def first_failing(seeds: range, jobs: int) -> int | None:
    """The first seed under which a rule is broken."""
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
    """The first of some seeds under which a rule is broken."""
    return next((seed for seed in seeds if verdict(seed) is not None), None)


def verdict(seed: int) -> Violation | None:
    """Runs one seed, and judges it."""
    try:
        return judge(run(plan(seed)))
    except Exception as error:
        error.add_note(f"under seed {seed}")
        raise


def tell(seed: int, build: Build = engine.build) -> int:
    """Prints what happens under a seed: if a rule is broken, the shortest history that shows it. Returns the exit status."""
    told = plan(seed)
    history = run(told, build)
    violation = judge(history)
    if violation is not None:
        print(f"seed {seed} breaks a rule; looking for the shortest history that shows it …", file=sys.stderr)
        history = run(shrink(told, violation.rule, build), build)
        violation = judge(history)
    print("\n".join(timeline(history.journal)))
    if violation is None:
        print(f"\nseed {seed}: no rule broken")
        return 0
    print(f"\nseed {seed} breaks the rule: {violation.rule}\n{violation.what}\nagain: python -m simulation --seed {seed}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
