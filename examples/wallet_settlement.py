"""A wallet backend's settlement: deposits and withdrawals from a file, each booked once, however often it runs.

    HFT_URL=http://127.0.0.1:8000 HFT_TOKEN=… python examples/wallet_settlement.py payments.csv

A line of the file is a payment: id, user, asset, amount (negative for a withdrawal). The id is the transfer's key, so a payment
in two files is booked once. At the end the history of each account is verified. It needs an operator's token; an open local run
takes anybody for an operator.
"""

import csv
import os
import sys
from pathlib import Path

from hft_client import Client, HftError, Journal, OutcomeUnknown, Transferred


def main() -> int:
    """Books the payments. Returns 1 where one is not booked."""
    failed = 0
    booked: dict[int, Transferred] = {}
    url, token = os.environ.get("HFT_URL", "http://127.0.0.1:8000"), os.environ.get("HFT_TOKEN")
    with Client(url, token=token, journal=Journal("settlement.journal")) as operator, Path(sys.argv[1]).open(newline="") as file:
        operator.recover()  # what a run before could not find out
        for payment_id, user_id, symbol, amount in csv.reader(file):
            try:
                booked[int(user_id)] = operator.for_user(int(user_id)).transfer(symbol, amount, key=payment_id)
            except OutcomeUnknown as unknown:
                failed += 1
                print(f"{payment_id}: {unknown}. The next run finds out")
            except HftError as error:
                failed += 1
                print(f"{payment_id}: not booked: {error}")
        for user, last in booked.items():
            verified = operator.for_user(user).verify()
            print(f"user {user}: 1 … {verified.sequence} verified, {last.balance:f} {last.symbol} after the last payment")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
