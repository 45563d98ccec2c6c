"""Import direction: which room may import which. No arrow up, no circle; the table is the architecture."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

MAY_IMPORT: Mapping[str, frozenset[str]] = {
    room: frozenset(below.split())
    for room, below in {
        # Ground floor: pure rules, clocks, settings.
        "domain": "",
        "runtime": "",
        "config": "",
        # First floor: what travels, what is reported, what is verified, what is stored.
        "contract": "domain",
        "telemetry": "domain",
        "audit": "domain",
        "store": "domain runtime config",
        # Second floor: the use cases, and who may ask for them.
        "trading": "domain contract store runtime",
        "identity": "contract telemetry runtime config",
        # Third floor: the engine's wiring, and the function that feeds it prices.
        "engine": "trading store runtime config",
        "market": "trading telemetry store domain runtime config",
        # Fourth floor: the two front doors. Only app.py imports both.
        "api": "engine trading identity contract telemetry audit store domain runtime config",
        "local": "engine trading identity contract telemetry audit store domain runtime config",
    }.items()
}
SDK = {"botocore", "pynamodb", "boto3", "moto"}
KNOW_THE_SDK = {"store", "identity", "local"}
"""`identity` reads a shared secret from Secrets Manager or SSM; DynamoDB is known by `store` alone."""


def room_of(path: Path, top: Path) -> str:
    """Returns the package, or the module, of the library that a file belongs to."""
    return path.relative_to(top).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[str]:
    """Yields the dotted names of the modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def wrong_imports(top: Path) -> list[str]:
    """Returns every import of the library that its table does not allow."""
    wrong = []
    for path in sorted(top.rglob("*.py")):
        room = room_of(path, top)
        for name in imported(path):
            package, _, rest = name.partition(".")
            other = rest.partition(".")[0]
            ours = package == "chalicelib" and other not in {room, "__version__"}
            if (ours and other not in MAY_IMPORT.get(room, {"__version__"})) or (package in SDK and room not in KNOW_THE_SDK):
                wrong.append(f"{path.relative_to(top)} imports {name}")
            if package in {"app", "tests"}:
                wrong.append(f"{path.relative_to(top)} imports {name}")
    return wrong


def test_rooms_import_only_what_lies_below_them() -> None:
    assert wrong_imports(ROOT / "chalicelib") == []


@pytest.mark.parametrize(
    ("room", "line"),
    [
        ("domain", "from chalicelib.contract.errors import EngineError"),
        ("domain", "import pynamodb"),
        ("trading", "from chalicelib import api"),
        ("api", "from chalicelib.local import server"),
        ("local", "import chalicelib.api.pages"),
        ("store", "def late() -> None:\n    from chalicelib.trading.queries import Queries"),
        ("engine", "from app import engine"),
        ("attic", "from chalicelib.domain import money"),
    ],
)
def test_a_planted_import_is_found(tmp_path: Path, room: str, line: str) -> None:
    (tmp_path / room).mkdir()
    (tmp_path / room / "planted.py").write_text(line)

    assert len(wrong_imports(tmp_path)) == 1


def test_every_room_has_its_rule() -> None:
    top = ROOT / "chalicelib"
    assert {room_of(path, top) for path in top.rglob("*.py")} == {*MAY_IMPORT, "__init__"}


def test_no_two_rooms_import_each_other() -> None:
    def below(room: str) -> set[str]:
        return {other for lower in MAY_IMPORT[room] for other in {lower, *below(lower)}}

    assert all(room not in below(room) for room in MAY_IMPORT)


@pytest.mark.parametrize("package", ["bench", "simulation", "harness", "ops", "deploy"])
def test_no_tool_imports_the_tests(package: str) -> None:
    wrong = [f"{path}: {name}" for path in (ROOT / package).rglob("*.py") for name in imported(path) if name.startswith("tests")]

    assert wrong == []


def test_the_client_imports_nothing_of_the_engine() -> None:
    ours = {"app", "bench", "chalicelib", "deploy", "harness", "ops", "simulation", "tests", *SDK}
    paths = [*(ROOT / "client" / "src").rglob("*.py"), *(ROOT / "examples").rglob("*.py")]
    wrong = [f"{path}: {name}" for path in paths for name in imported(path) if name.partition(".")[0] in ours]

    assert len(paths) > 10
    assert wrong == []


def test_the_command_line_alone_imports_its_libraries() -> None:
    top = ROOT / "client" / "src" / "hft_client"
    paths = [path for path in top.rglob("*.py") if path.parent != top / "cli"]
    wrong = [
        f"{path}: {name}"
        for path in paths
        for name in imported(path)
        if name.partition(".")[0] in {"click", "rich", "rich_click"}
    ]

    assert wrong == []


def test_the_app_is_wiring_of_a_hundred_lines_at_most() -> None:
    assert len((ROOT / "app.py").read_text().splitlines()) <= 100
