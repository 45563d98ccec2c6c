"""The process around a request: clocks, waiting, randomness and locks."""
