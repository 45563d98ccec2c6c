"""The command and environment that run `bench/lambda_process.py` as Lambda runs the application, with a stub of DynamoDB."""

import os
import sys
from pathlib import Path

PROCESS = Path(__file__).with_name("lambda_process.py")
PRICE_AGE_MS = 86_400_000
"""An age that no price reaches during the measurement, so that none is read again. Valgrind takes a second for a few requests."""


def environment(endpoint: str | None, *, on_lambda: bool = True) -> dict[str, str]:
    """Returns a Lambda process's environment, with a fixed seed for hashes, so that every run counts the same."""
    variables = {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "PYTHONHASHSEED": "0",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        # As long as Lambda's own.
        "AWS_SESSION_TOKEN": "t" * 800,
        "HFT_PRICE_AGE_MS": str(PRICE_AGE_MS),
    }
    if on_lambda:
        variables["AWS_LAMBDA_FUNCTION_NAME"] = "hft-trading-engine-dev"
    if endpoint is not None:
        variables["AWS_ENDPOINT_URL_DYNAMODB"] = endpoint
    return variables


def command(directory: Path, kind: str, requests: int) -> list[str]:
    """Returns the command that runs the package in a directory, without this installation's packages."""
    return [sys.executable, "-P", "-S", str(PROCESS), str(directory), kind, str(requests)]
