"""`make test-newest`: which Python it takes, and that it says so."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.processes import ROOT


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A project whose environment is of Python 3.11, on a machine with no other Python. Its `uv` prints what it is to run."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "newest.sh", tmp_path / "scripts")
    add_python(tmp_path / ".venv" / "bin" / "python", 3, 11)
    add_program(tmp_path / ".venv" / "bin" / "uv", 'echo "$@"')
    (tmp_path / "bin").mkdir()
    for tool in ("sh", "dirname"):
        found = shutil.which(tool)
        assert found is not None
        (tmp_path / "bin" / tool).symlink_to(found)
    return tmp_path


def add_program(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def add_python(path: Path, major: int, minor: int) -> None:
    number, version = f"{major}{minor:02}", f"Python {major}.{minor}.1"
    add_program(path, f'case "$1" in -c) echo {number} ;; *) echo {version} ;; esac')


def run(machine: Path, *arguments: str) -> str:
    done = subprocess.run(
        [machine / "scripts" / "newest.sh", *arguments],
        env={"PATH": str(machine / "bin"), "PYENV_ROOT": str(machine / "pyenv"), "HOME": os.devnull},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_the_newest_that_runs_is_taken_and_named(machine: Path) -> None:
    add_python(machine / "bin" / "python3.12", 3, 12)
    add_program(machine / "bin" / "python3.14", "exit 127")  # a shim of a version manager that has it switched off
    add_python(machine / "pyenv" / "versions" / "3.13.0" / "bin" / "python", 3, 13)
    add_python(machine / "pyenv" / "versions" / "3.9.18" / "bin" / "python", 3, 9)

    said, command = run(machine).splitlines()

    assert said == "On Python 3.13.1, beside Python 3.11.1"
    assert f"--python {machine}/pyenv/versions/3.13.0/bin/python " in command
    assert "tests/golden tests/unit tests/contract tests/deployed/test_lambda.py" in command


def test_arguments_go_to_pytest(machine: Path) -> None:
    add_python(machine / "bin" / "python3.13", 3, 13)

    assert run(machine, "tests/unit/domain", "-k", "cost").splitlines()[-1].endswith(" tests/unit/domain -k cost")


def test_where_there_is_none_it_says_so_loudly(machine: Path) -> None:
    add_python(machine / "bin" / "python3.12", 3, 11)  # it is not what its name says

    assert run(machine) == "NO NEWER PYTHON WAS TRIED: there is none on this machine beside Python 3.11.1\n"
