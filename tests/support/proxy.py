"""A proxy between an engine and its datastore that breaks what passes through it, as it is told: microburst."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from tests.support.processes import environment, free_port, running

TIMEOUT_S = 60

Rule = dict[str, Any]


class Proxy:
    """A running one. `url`: an endpoint for an engine; `upstream`: the datastore's own."""

    def __init__(self, url: str, upstream: str) -> None:
        self.url = url
        self.upstream = upstream

    @contextmanager
    def fault(self, *rules: Rule) -> Iterator[None]:
        """Breaks what matches the rules, for the time of the block, in which every rule must strike at least once."""
        added = self._rules("PATCH", list(rules))
        numbers = {rule["id"] for rule in added}
        try:
            yield
            idle = [rule for rule in self._rules("GET") if rule["id"] in numbers and not rule["fired_count"]]
            assert not idle, f"a fault that met no request proves nothing: {idle}"
        finally:
            # A rule goes by its fields, in the form that the proxy gave them.
            self._rules("DELETE", [{name: rule[name] for name in rule if name not in ("id", "fired_count")} for rule in added])

    def _rules(self, method: str, rules: list[Rule] | None = None) -> Any:
        reply = requests.request(method, f"{self.url}/_microburst/rules", json=rules, timeout=TIMEOUT_S)
        reply.raise_for_status()
        return reply.json()


@contextmanager
def proxy(upstream: str, log: Path) -> Iterator[Proxy]:
    """A proxy of its own on a free port in front of a datastore."""
    port = free_port()
    url = f"http://localhost:{port}"  # a host with a dot in its name would have it read the models of all of AWS, for seconds
    command = [sys.executable, "-m", "microburst", "--upstream", upstream, "--port", str(port)]
    with running(command, f"{url}/_microburst/health", log, environment()):
        yield Proxy(url, upstream)
