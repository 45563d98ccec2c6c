"""Two clients trade while a walk sets the prices twenty times a second: seconds of what `make run FEED=walk` does for days.

`python -m tests.support.living_market 120 100` does the same for two minutes, at the feed's own pace.
"""

import signal
import subprocess
import sys
from pathlib import Path

from harness.processes import ROOT, chalice_local, environment
from tests.support.living_market import LivingMarket, fund


def test_every_fill_and_every_candle_has_prices_of_the_walk(log: Path) -> None:
    with chalice_local(log) as server:
        market = LivingMarket(server.url, log)
        fund(server.url, 2)
        command = [sys.executable, "-m", "ops", "feed", "--source", "walk", "--url", server.url, "--every", "0.05"]
        with subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE) as feed:
            market.trade([1, 2], orders=100, seconds=5)
            feed.send_signal(signal.SIGTERM)
            assert feed.communicate(timeout=60)[0].count(b" set at ") == 3
        figures = market.compare([1, 2])

    assert figures.fills == 100
    assert figures.steps > 30
    assert figures.candles >= 3
