"""A bot for dollar-cost averaging: run it as often as you like, it buys once a day.

    HFT_URL=http://127.0.0.1:8000 HFT_USER=1 python examples/dca_bot.py BTC 25

Cron may start it every hour. The day is the order's key, so that the first run that gets through buys, and all others learn what
that one got. The journal remembers an order across a crash.
"""

import os
import sys
from datetime import UTC, datetime

from hft_client import Client, InsufficientFunds, Journal, OutcomeUnknown, Rejected


def main() -> int:
    """Buys for today, unless that is done. Returns the exit code."""
    symbol, spend = sys.argv[1], sys.argv[2]
    journal = Journal(os.environ.get("DCA_JOURNAL", "dca.journal"))
    url, user_id = os.environ.get("HFT_URL", "http://127.0.0.1:8000"), int(os.environ.get("HFT_USER", "1"))
    with Client(url, user_id, token=os.environ.get("HFT_TOKEN"), journal=journal) as client:
        for result in client.recover():
            print(f"From an earlier run: {result.key}: {result.outcome}")
        try:
            fill = client.buy(symbol, spend=spend, key=f"dca-{symbol}-{datetime.now(UTC):%Y-%m-%d}")
        except InsufficientFunds as refused:
            print(f"Not today: {refused}")
        except Rejected as rejected:
            print(f"Nothing was decided, the next run tries again: {rejected}")
        except OutcomeUnknown as unknown:
            print(f"{unknown}. The next run finds out")
            return 1
        else:
            when = "earlier" if fill.replayed else "now"
            print(f"Bought {fill.quantity_filled:f} {symbol} for {fill.total_cost:f} {fill.paid_with}, {when}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
