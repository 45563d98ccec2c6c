"""Loaded into pytest by mutmut, which runs the tests once for each mutant: the same tests, in less time (see pyproject.toml)."""

import pytest
from hypothesis import Phase, settings

# One failing example is enough: nobody reads which is the smallest. And a test that only takes long has noticed nothing.
settings.register_profile("mutants", deadline=None, derandomize=True, database=None, phases=(Phase.explicit, Phase.generate))
settings.load_profile("mutants")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """mutmut stops at the first test that fails: those that start an engine come last."""
    items.sort(key=lambda item: "moto_market" in getattr(item, "fixturenames", ()))
