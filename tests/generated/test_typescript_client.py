"""A TypeScript client, whose types are generated from the OpenAPI document, compiles under `strict` and trades.

It needs Node.js, npm and npm's registry. Where one of them is missing, the test is skipped and pytest's summary says so.
"""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.generated.document import write_document
from tests.support.market import Market, new_key

HERE = Path(__file__).parent
COMPILER_OPTIONS = (
    "--strict",
    "--noUncheckedIndexedAccess",
    "--exactOptionalPropertyTypes",
    "--target",
    "es2022",
    "--module",
    "nodenext",
    "--skipLibCheck",  # the compiler's own declarations
)
INSTALL_TIMEOUT_S = 120


def run(directory: Path, *command: str | Path) -> str:
    done = subprocess.run([*map(str, command)], cwd=directory, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the generator, the compiler and the program."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"NO TYPESCRIPT CLIENT WAS GENERATED: there is no {program} on this machine")
    directory = tmp_path_factory.mktemp("typescript")
    for name in ("package.json", "package-lock.json", "order.ts"):
        shutil.copy(HERE / name, directory)
    install = ["npm", "ci", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund"]
    try:
        done = subprocess.run(install, cwd=directory, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("NO TYPESCRIPT CLIENT WAS GENERATED: npm did not install the generator in time")
    if done.returncode:
        pytest.skip(f"NO TYPESCRIPT CLIENT WAS GENERATED: npm did not install the generator: {done.stderr.strip()[:300]}")
    return directory


def test_it_compiles_places_an_order_and_reads_the_portfolio(project: Path, moto_market: Market) -> None:
    tools = project / "node_modules" / ".bin"
    user = moto_market.new_user(USD="100000")
    run(project, tools / "openapi-typescript", write_document(moto_market, project), "--output", "schema.ts")
    run(project, tools / "tsc", *COMPILER_OPTIONS, "--lib", "es2022,dom", "order.ts")

    said = run(project, "node", "order.js", moto_market.urls[0], str(user), new_key())

    assert json.loads(said) == {"status": "ORDER_FILLED", "sequence": 2, "bitcoin": "1.00000000"}
    assert moto_market.holdings(user)["BTC"] == 1
