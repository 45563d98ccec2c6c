"""docs/faults.md: the tests that it names are there."""

import ast
import re

import pytest

from harness.processes import ROOT

PAGE = (ROOT / "docs" / "faults.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", PAGE)))


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_a_test_that_the_page_names_is_there(path: str, name: str) -> None:
    module = ast.parse((ROOT / path).read_text())

    assert name in {each.name for each in module.body if isinstance(each, ast.FunctionDef)}


def test_every_row_names_a_test() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ")][1:]

    assert len(rows) > 20
    assert [row for row in rows if "`tests/" not in row] == []
