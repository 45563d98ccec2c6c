"""The commands, on machines of every kind. The interpreters here only pretend: nothing is ever installed."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from socket import create_server

import pytest
import requests

from harness.processes import CHALICE, ROOT, environment, free_port, interruptible

TOOLS = ("cat", "cp", "dirname", "echo", "make", "mkdir", "rm", "sh")

# Answers questions about itself as the Python that it pretends to be; makes environments that pretend the same.
INTERPRETER = """#!/bin/sh
case "$*" in
"-m venv "*)
    echo venv >>"$LOG"
    rm -rf .venv
    mkdir -p .venv/bin
    cp "$0" .venv/bin/python
    ;;
"-m pip "*)
    case "$*" in
    *--constraint*) echo pip-local >>"$LOG" ;;
    *--editable*) exit ;;
    *) echo pip >>"$LOG" ;;
    esac
    eval "$PIP_DOES"
    ;;
"-m gevent.monkey "*)
    shift 2
    UNDER=gevent exec '{python}' "$@"
    ;;
*)
    PYTHONPATH='{pretence}' exec '{python}' "$@"
    ;;
esac
"""
PRETENCE = """
import sys
sys.version_info = {version_info}
sys.base_prefix = {prefix!r}
if not {has_venv}:
    sys.modules["ensurepip"] = None
"""


class Machine:
    """A checkout, and a PATH with nothing on it but make, what a shell script needs, and the interpreters of the test."""

    def __init__(self, root: Path) -> None:
        self.checkout = root / "the checkout"
        self.log = root / "log"
        self.log.touch()
        self.bin = root / "bin"
        self.bin.mkdir()
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found, f"the tests of the commands need {tool}"
            (self.bin / tool).symlink_to(found)
        (self.checkout / "scripts").mkdir(parents=True)
        for name in ("Makefile", "pyproject.toml", "requirements-dev.txt", "scripts/setup.sh"):
            shutil.copy(ROOT / name, self.checkout / name)

    def add_python(self, name: str, version: str, *, has_venv: bool = True) -> None:
        """Puts an interpreter on the PATH."""
        pretence = self.bin / f"{name}-pretence"
        pretence.mkdir()
        version_info = (*map(int, version.split(".")), "final", 0)
        (pretence / "sitecustomize.py").write_text(
            PRETENCE.format(version_info=version_info, prefix=f"/opt/{name}", has_venv=has_venv)
        )
        write_script(self.bin / name, INTERPRETER.format(pretence=pretence, python=sys.executable))

    def make(self, *arguments: str, pip_does: str = "true", **env: str) -> subprocess.CompletedProcess[str]:
        """Runs make in the checkout. `pip_does`: what an install comes to, in shell."""
        return subprocess.run(
            ["make", *arguments],
            cwd=self.checkout,
            env={"PATH": str(self.bin), "LOG": str(self.log), "PIP_DOES": pip_does, **env},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    @property
    def setups(self) -> list[str]:
        """What was done to set up, from the first call on."""
        return self.log.read_text().split()


ONE_SETUP = ["venv", "pip"]


def write_script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def complaints(run: subprocess.CompletedProcess[str]) -> list[str]:
    """What a failed run said, without make's own closing line."""
    assert run.returncode != 0
    return [line for line in run.stderr.splitlines() if not line.startswith("make: ***")]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def ready(machine: Machine) -> Machine:
    """A machine that was set up once."""
    machine.add_python("python3", "3.12.1")
    assert machine.make("setup").returncode == 0
    assert machine.setups == ONE_SETUP
    return machine


def test_make_alone_lists_the_commands_and_does_nothing(machine: Machine) -> None:
    listed = machine.make().stdout
    assert all(f"make {command}" in listed for command in ("run", "test", "lint", "pins", "clean"))
    assert machine.setups == []


def test_no_python_is_said_in_one_line(machine: Machine) -> None:
    (complaint,) = complaints(machine.make("run"))
    assert complaint.startswith("There is no python3 on this machine: install Python 3.11 or newer")


def test_an_old_python_is_refused_in_one_line(machine: Machine) -> None:
    machine.add_python("python3", "3.10.13")
    (complaint,) = complaints(machine.make("run"))
    assert complaint.startswith("python3 is Python 3.10.13, which is too old: install Python 3.11 or newer")
    assert machine.setups == []


def test_a_python_without_venv_is_refused_in_one_line(machine: Machine) -> None:
    machine.add_python("python3", "3.11.2", has_venv=False)
    (complaint,) = complaints(machine.make("run"))
    assert complaint.startswith("python3 (Python 3.11.2) has no venv module.")
    assert complaint.endswith("apt-get install python3.11-venv")
    assert machine.setups == []


def test_a_newer_python_beside_an_old_python3_is_used(machine: Machine) -> None:
    machine.add_python("python3", "3.9.2")
    machine.add_python("python3.12", "3.12.1")
    machine.add_python("python3.11", "3.11.7")
    run = machine.make("setup")
    assert run.returncode == 0
    assert run.stdout.startswith("Setting up .venv with Python 3.12.1: ")


def test_a_python_that_is_named_is_used_or_refused_but_never_replaced(machine: Machine) -> None:
    machine.add_python("python3", "3.13.0")
    machine.add_python("python3.10", "3.10.13")
    machine.add_python("python3.11", "3.11.7")
    assert "Python 3.11" in machine.make("setup", "PYTHON=python3.11").stdout
    assert "python3.10 is Python 3.10.13" in "".join(complaints(machine.make("setup", "PYTHON=python3.10")))
    assert "There is no python3.14 on this machine" in "".join(complaints(machine.make("setup", "PYTHON=python3.14")))
    assert machine.setups == ONE_SETUP


def test_a_second_setup_does_nothing(ready: Machine) -> None:
    again = ready.make("setup")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert ready.setups == ONE_SETUP


def test_a_local_run_installs_what_it_needs_and_the_first_test_adds_the_rest(machine: Machine) -> None:
    machine.add_python("python3", "3.12.1")
    for expected in (["venv", "pip-local"], ["venv", "pip-local"]):
        assert machine.make("setup-local").returncode == 0
        assert machine.setups == expected
    added = machine.make("setup")
    assert added.stdout.startswith("Adding the packages for development to .venv")
    assert machine.setups == ["venv", "pip-local", "pip"]
    for again in ("setup", "setup-local"):
        assert machine.make(again).stdout == ""
    assert machine.setups == ["venv", "pip-local", "pip"]


def test_an_install_shows_its_progress(machine: Machine) -> None:
    machine.add_python("python3", "3.12.1")
    shown = machine.make("setup", pip_does="for n in 1 2 3 4 5 6 7 8 9 10 11; do echo Collecting package$n==1; done")
    assert shown.stdout.splitlines()[1:] == ["  10 packages"]


def pins_change(machine: Machine) -> None:
    with (machine.checkout / "requirements-dev.txt").open("a") as pins:
        pins.write("another==1.0\n")


def its_python_is_removed(machine: Machine) -> None:
    (machine.checkout / ".venv" / "bin" / "python").unlink()


def its_python_is_upgraded(machine: Machine) -> None:
    shutil.rmtree(machine.bin / "python3-pretence")
    machine.add_python("python3", "3.13.0")


def the_checkout_is_moved(machine: Machine) -> None:
    machine.checkout = machine.checkout.rename(machine.checkout.with_name("elsewhere"))


@pytest.mark.parametrize("happens", [pins_change, its_python_is_removed, its_python_is_upgraded, the_checkout_is_moved])
def test_an_environment_that_no_longer_fits_is_made_anew(ready: Machine, happens: Callable[[Machine], None]) -> None:
    happens(ready)
    assert ready.make("setup").returncode == 0
    assert ready.setups == ONE_SETUP * 2
    assert ready.make("setup").returncode == 0
    assert ready.setups == ONE_SETUP * 2


def test_naming_another_python_makes_the_environment_anew_and_naming_it_again_does_not(ready: Machine) -> None:
    ready.add_python("python3.13", "3.13.0")
    for arguments in (["PYTHON=python3.13"], ["PYTHON=python3.13"], []):
        assert ready.make("setup", *arguments).returncode == 0
        assert ready.setups == ONE_SETUP * 2


def test_a_failed_install_is_said_in_one_line_and_tried_again(machine: Machine) -> None:
    machine.add_python("python3", "3.12.1")
    first = machine.make("run", pip_does="echo 'ERROR: the reason' >&2; exit 1")
    reason, complaint = complaints(first)
    assert reason == "ERROR: the reason"
    assert complaint.startswith("Installing the packages failed")
    assert machine.make("setup").returncode == 0
    assert machine.setups == ["venv", "pip-local", "venv", "pip"]


def test_an_install_that_was_killed_is_made_anew(machine: Machine) -> None:
    machine.add_python("python3", "3.12.1")
    assert machine.make("setup", pip_does="kill -KILL $PPID").returncode != 0
    assert machine.make("setup").returncode == 0
    assert machine.setups == ONE_SETUP * 2


@pytest.mark.parametrize("port", ["", "abc", "-1", "80a", "65536", "100000000000000000000", "8000 8001", "'; exit 0; '"])
def test_a_port_that_is_none_is_said_before_anything_is_set_up(machine: Machine, port: str) -> None:
    machine.add_python("python3", "3.12.1")
    assert complaints(machine.make("run", f"PORT={port}")) == [f"PORT must be a number from 0 to 65535, not '{port}'"]
    assert machine.setups == []


@pytest.mark.parametrize(
    ("arguments", "env", "address"),
    [
        ([], {}, "127.0.0.1 8000"),
        (["HOST=0.0.0.0", "PORT=8001"], {}, "0.0.0.0 8001"),
        ([], {"PORT": "8001"}, "127.0.0.1 8001"),
        ([], {"HOST": "machine.example"}, "127.0.0.1 8000"),  # what some shells export is no wish to be reached
    ],
)
def test_run_hands_host_and_port_to_chalice_under_gevent(
    ready: Machine, arguments: list[str], env: dict[str, str], address: str
) -> None:
    (ready.checkout / ".venv" / "bin" / "chalice").write_text("import os, sys\nprint(os.environ['UNDER'], *sys.argv[1:])\n")
    host, port = address.split()
    assert ready.make("run", *arguments, **env).stdout == f"gevent local --no-autoreload --host {host} --port {port}\n"


@pytest.mark.parametrize(("arguments", "feed"), [([], ""), (["FEED=walk"], "walk"), (["FEED=file:a b.csv"], "file:a b.csv")])
def test_run_hands_on_the_feed(ready: Machine, arguments: list[str], feed: str) -> None:
    (ready.checkout / ".venv" / "bin" / "chalice").write_text("import os\nprint(os.environ['HFT_FEED'])\n")
    assert ready.make("run", *arguments).stdout == f"{feed}\n"


@pytest.mark.parametrize(
    ("arguments", "env", "directory"),
    [
        ([], {}, ""),
        (["DATA=a dir"], {}, "a dir"),
        ([], {"DATA": "/mnt/data"}, ""),  # what a shell exports for other programs
        ([], {"HFT_DATA": "kept"}, "kept"),
        (["DATA=a dir"], {"DATA": "/mnt/data", "HFT_DATA": "kept"}, "a dir"),
    ],
)
def test_run_keeps_its_data_where_the_command_line_or_a_variable_of_ours_says(
    ready: Machine, arguments: list[str], env: dict[str, str], directory: str
) -> None:
    (ready.checkout / ".venv" / "bin" / "chalice").write_text("import os\nprint(os.environ['HFT_DATA'])\n")
    assert ready.make("run", *arguments, **env).stdout == f"{directory}\n"


@pytest.mark.parametrize(
    ("arguments", "passed_on"),
    [
        (["USER=1"], ["1"]),
        (["OPERATOR=1"], ["--operator"]),
        (["OPERATOR=1", "USER=7"], ["--operator", "7"]),
        (["USER=1; exit 0"], ["1; exit 0"]),
        ([], []),
    ],
)
def test_token_passes_on_the_user_and_the_operator_that_are_named(
    ready: Machine, arguments: list[str], passed_on: list[str]
) -> None:
    """Shells export a USER of their own; an OPERATOR in the environment grants nothing either."""
    (ready.checkout / "ops").mkdir()
    (ready.checkout / "ops" / "__main__.py").write_text("import sys\nprint(sys.argv[1:])\n")

    assert ready.make("token", *arguments, USER="root", OPERATOR="1").stdout == f"{['token', *passed_on]}\n"


def pinned(name: str) -> dict[str, str]:
    """The packages of a requirements file: name → version."""
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / name).read_text(), re.MULTILINE))


def asked_for_by_pyproject(name: str) -> set[str]:
    """The packages that a requirements file says it holds because pyproject.toml names them."""
    packages = re.split(r"^(?=[a-z])", (ROOT / name).read_text(), flags=re.MULTILINE)
    return {package.partition("==")[0] for package in packages if "(pyproject.toml" in package}


def test_the_pins_were_compiled_from_pyproject_as_it_is() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())

    def names(dependencies: list[str]) -> set[str]:
        return {re.split(r"[^a-z0-9-]", dependency)[0] for dependency in dependencies}

    packed = names(pyproject["project"]["dependencies"])
    assert asked_for_by_pyproject("requirements.txt") == packed
    groups = pyproject["dependency-groups"]
    developed = names(groups["local"]) | names(groups["feeds"]) | names([each for each in groups["dev"] if isinstance(each, str)])
    assert asked_for_by_pyproject("requirements-dev.txt") == packed | developed


def test_what_is_packed_for_lambda_is_what_was_tested() -> None:
    assert pinned("requirements.txt").items() <= pinned("requirements-dev.txt").items()


def chalice_local(*arguments: str) -> list[str]:
    return interruptible(*CHALICE, "local", "--no-autoreload", *arguments)


def test_a_port_in_use_is_said_in_one_line() -> None:
    with create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        run = subprocess.run(
            chalice_local("--port", str(port)),
            cwd=ROOT,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert complaints(run) == [f"Port {port} is in use. Choose another: make run PORT={port + 1}"]


def test_on_a_terminal_a_run_begins_with_its_banner_and_ends_quietly_with_ctrl_c() -> None:
    port = free_port()
    screen, terminal = os.openpty()
    process = subprocess.Popen(
        chalice_local("--port", str(port)), cwd=ROOT, env=environment(), stdin=terminal, stdout=terminal, stderr=terminal
    )
    os.close(terminal)
    try:
        # Nobody answers at this terminal: what asks it questions waits, and shows.
        shown = os.read(screen, 65536)
        assert shown.startswith(b"HFT Trading Engine")
        requests.get(f"http://127.0.0.1:{port}/health", timeout=30)  # from here on it serves
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
        shown += os.read(screen, 65536)
        assert b"Traceback" not in shown
        assert b"Aborted" not in shown
    finally:
        process.kill()
        process.wait()
        os.close(screen)
