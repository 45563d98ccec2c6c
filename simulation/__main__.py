"""``python -m simulation``: many seeds with a progress bar, or one seed in full.

A seed that breaks a rule ends it: its shortest history is printed, and the exit status is 1.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from chalicelib import engine
from simulation.checks import judge
from simulation.journal import timeline
from simulation.process import Build
from simulation.run import run
from simulation.seeds import first_failing
from simulation.shrink import shrink
from simulation.workload import plan

SEEDS = 2_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what the command line asks for. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m simulation", description="Simulates the engine, and checks what it did.")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"how many seeds to run ({SEEDS})")
    parser.add_argument("--first", type=int, default=0, help="the first of them (0)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many processes share the work (one per CPU)")
    parser.add_argument("--seed", type=int, help="show what happens under this seed, instead")
    options = parser.parse_args(arguments)
    if options.seed is not None:
        return show(options.seed)
    failing = first_failing(range(options.first, options.first + options.seeds), options.jobs)
    if failing is None:
        print(f"{options.seeds} seeds, from {options.first} on: no rule broken")
        return 0
    return show(failing)


def show(seed: int, build: Build = engine.build) -> int:
    """Prints what happens under a seed: if a rule is broken, the shortest history that shows it. Returns the exit status."""
    planned = plan(seed)
    history = run(planned, build)
    violation = judge(history)
    if violation is not None:
        print(f"seed {seed} breaks a rule; looking for the shortest history that shows it …", file=sys.stderr)
        history = run(shrink(planned, violation.rule, build), build)
        violation = judge(history)
    print("\n".join(timeline(history.journal)))
    if violation is None:
        print(f"\nseed {seed}: no rule broken")
        return 0
    print(f"\nseed {seed} breaks the rule: {violation.rule}\n{violation.what}\nagain: python -m simulation --seed {seed}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
