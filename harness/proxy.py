"""A proxy (microburst) between an engine and its datastore that breaks or delays requests and replies."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from harness.processes import environment, free_port, running

TIMEOUT_S = 60

Rule = dict[str, Any]


class Proxy:
    """A running proxy. `url`: the endpoint for an engine; `upstream`: the datastore's own."""

    def __init__(self, url: str, upstream: str) -> None:
        self.url = url
        self.upstream = upstream

    @contextmanager
    def fault(self, *rules: Rule) -> Iterator[None]:
        """Applies rules for the time of the block.

        Raises:
            AssertionError: a rule matched no request.
        """
        added = self._rules("PATCH", list(rules))
        numbers = {rule["id"] for rule in added}
        try:
            yield
            idle = [rule for rule in self._rules("GET") if rule["id"] in numbers and not rule["fired_count"]]
            assert not idle, f"a fault that met no request proves nothing: {idle}"
        finally:
            # The proxy removes a rule by its fields, in the form that it returned.
            self._rules("DELETE", [{name: rule[name] for name in rule if name not in ("id", "fired_count")} for rule in added])

    def _rules(self, method: str, rules: list[Rule] | None = None) -> Any:
        reply = requests.request(method, f"{self.url}/_microburst/rules", json=rules, timeout=TIMEOUT_S)
        reply.raise_for_status()
        return reply.json()


@contextmanager
def proxy(upstream: str, log: Path) -> Iterator[Proxy]:
    """Runs a proxy on a free port in front of a datastore."""
    port = free_port()
    url = f"http://localhost:{port}"  # for a host with a dot in its name, microburst reads all of AWS's models, for seconds
    command = [sys.executable, "-m", "microburst", "--upstream", upstream, "--port", str(port)]
    # Asked to end, it waits for its connections, which engines keep open.
    with running(command, f"{url}/_microburst/health", log, environment(), signal.SIGKILL):
        yield Proxy(url, upstream)
