"""The console's files: small, whole, and of one release."""

import re
from pathlib import Path
from urllib.parse import urljoin

import pytest

from chalicelib.api import console

FILES = sorted(path for path in console.FILES.iterdir() if path.suffix in {".html", *console.CONTENT_TYPES})
LARGEST_BYTES = 110_000
REFERENCE = re.compile(r'(?:src|href)="([^"#]+)"')


@pytest.mark.parametrize("root", ["/", "/dev", "/dev/", "/v1/dev", "/v1/dev/"])
def test_the_page_finds_its_files_wherever_the_engine_is_mounted(root: str) -> None:
    mounted = f"https://host{root.rstrip('/')}/"
    found = {urljoin(f"https://host{root}", reference) for reference in REFERENCE.findall(console.page(root))}

    files = f"{mounted}console/{console.release()}/"
    pages = {f"{mounted}docs", *(f"{files}{name}" for name in ("app.js", "theme.js", "console.css"))}
    assert {reference for reference in found if not reference.startswith("data:")} == pages


@pytest.mark.parametrize("path", [path for path in FILES if path.suffix != ".html"], ids=lambda path: path.name)
def test_each_file_is_served(path: Path) -> None:
    assert console.asset(console.release(), path.name) == (path.read_text(), console.CONTENT_TYPES[path.suffix])


@pytest.mark.parametrize(
    ("release", "name"),
    [
        ("another", "app.js"),
        (None, "nothing.js"),
        (None, "__init__.py"),
        (None, "index.html"),
        (None, "../pages.py"),
        (None, "../console/app.js"),
        (None, "/etc/hosts.css"),
    ],
)
def test_nothing_else_is_served(release: str | None, name: str) -> None:
    assert console.asset(release or console.release(), name) is None


def test_it_is_small() -> None:
    assert sum(path.stat().st_size for path in FILES) < LARGEST_BYTES


def test_nothing_in_it_leads_elsewhere_or_needs_an_inline_script_or_style() -> None:
    page = console.page("/")
    assert not re.search(r"<script>|<style|\son\w+=|\sstyle=", page)
    addresses = {address for path in FILES for address in re.findall(r"\w+://[\w.]+", path.read_text())}
    assert addresses == {"http://www.w3.org"}  # the name of SVG


def test_every_imported_module_is_there() -> None:
    names = {path.name for path in FILES}
    for path in FILES:
        assert set(re.findall(r"from '\./([\w.]+)'", path.read_text())) <= names
