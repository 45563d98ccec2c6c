"""A pytest plugin for mutmut, which runs the tests once for each mutant: the same tests, in less time (see pyproject.toml)."""

import pytest
from hypothesis import Phase, settings

# One failing example is enough, so none is made smaller. A slow test has not found the mutant, so there is no deadline.
settings.register_profile("mutants", deadline=None, derandomize=True, database=None, phases=(Phase.explicit, Phase.generate))
settings.load_profile("mutants")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sorts the tests that start an engine last, since mutmut stops at the first test that fails."""
    items.sort(key=lambda item: "moto_market" in getattr(item, "fixturenames", ()))
