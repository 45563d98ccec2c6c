"""Clocks, waiting, randomness and locks: what a request needs of the process it runs in."""
