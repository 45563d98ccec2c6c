"""What the documents show is what a reader gets who pastes it."""

import re
import subprocess
from pathlib import Path

import pytest

from harness.processes import ROOT, chalice_local
from tests.support.documents import PRICE_AGE_MS, Command, commands, rewritten, run, written

SHOWN = ["README.md", "docs/api.md", "docs/client.md"]
MARKDOWN = sorted(
    subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
)


@pytest.mark.parametrize("name", SHOWN)
def test_every_command_prints_what_the_document_shows(name: str, tmp_path: Path) -> None:
    document = (ROOT / name).read_text()
    directory = tmp_path / "work"
    directory.mkdir()

    with chalice_local(tmp_path / "log", HFT_PRICE_AGE_MS=PRICE_AGE_MS) as server:
        ran = run(document, server.url, directory)

    assert ran
    for shown, came in zip(written(document), ran, strict=True):
        assert came.essence == shown.essence, f"$ {came.text}\n{came.output}"


@pytest.mark.parametrize("name", MARKDOWN)
def test_every_link_to_a_file_leads_to_one(name: str) -> None:
    document = (ROOT / name).read_text()
    linked = {target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", document) if "://" not in target}

    assert [target for target in linked if target and not (ROOT / name).parent.joinpath(target).exists()] == []


@pytest.mark.parametrize("name", MARKDOWN)
def test_every_target_of_make_that_is_named_exists(name: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+(?: [a-z-]+)*):", makefile, re.MULTILINE))
    known = {target for several in targets for target in several.split()}

    assert set(re.findall(r"(?:^    |`)make ([a-z-]+)", (ROOT / name).read_text(), re.MULTILINE)) <= known


def test_a_command_goes_on_after_a_backslash_and_within_quotes() -> None:
    block = '$ curl -s \\\n    -d \'{"a":\n 1}\'\n{"b": 2}\n$ true\n'

    assert list(commands(block)) == [Command("curl -s \\\n    -d '{\"a\":\n 1}'", '{"b": 2}'), Command("true", "")]


def test_a_rewritten_document_has_the_outputs_that_came() -> None:
    document = "Text.\n\n```console\n$ date\nyesterday\n```\n"

    assert rewritten(document, [Command("date", "today")]) == "Text.\n\n```console\n$ date\ntoday\n```\n"
