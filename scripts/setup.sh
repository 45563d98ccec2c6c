#!/bin/sh
# Makes .venv ready: a virtual environment with the pinned packages. Where it is ready already, this takes one start of Python.
# Otherwise (other requirements, another or a missing Python, a moved directory, an interrupted install) it is made again.
#
#   setup.sh local   installs the packages of a local run and of the operator's commands
#   setup.sh dev     installs all packages, in addition to those of a local run
#
#   PYTHON   the interpreter; by default python3, or the newest python3.x on this machine where python3 is too old
set -eu
cd "$(dirname "$0")/.."
wanted=$1

fail() {
    echo "$*" >&2
    exit 1
}

# Prints the environment's directory, Python and packages. The file `ready-…` contains them, and is written last.
expected() {
    pwd
    "$1" -c 'import sys; print(*sys.version_info[:2], sys.base_prefix)' 2>/dev/null
    cat pyproject.toml requirements-dev.txt
}

is_ready() {
    [ -f ".venv/ready-$1" ] && [ "$(expected "${PYTHON:-.venv/bin/python}")" = "$(cat ".venv/ready-$1")" ]
}

if is_ready dev || { [ "$wanted" = local ] && is_ready local; }; then
    exit 0
fi

# Prints an interpreter's version. Fails where it is too old or missing.
version_of() {
    "$1" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3]); sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

# Prints the packages that a local run needs, as pyproject.toml names them.
local_packages() {
    .venv/bin/python -c '
import tomllib
with open("pyproject.toml", "rb") as file:
    project = tomllib.load(file)
print(*project["project"]["dependencies"], *project["dependency-groups"]["local"], sep="\n")'
}

# Shows the number of packages that pip has reached: on one line of a terminal, elsewhere every tenth.
progress() {
    count=0
    while read -r word package _; do
        [ "$word" = Collecting ] || continue
        count=$((count + 1))
        if [ -t 1 ]; then
            printf '\r\033[K  %d packages: %s' "$count" "${package%%[=<>!;\[]*}"
        elif [ $((count % 10)) -eq 0 ]; then
            echo "  $count packages"
        fi
    done
    if [ -t 1 ]; then printf '\r\033[K'; fi
}

# Runs pip with these arguments. Shows pip's complaints only where it fails.
install() {
    rm -f .venv/installed
    {
        .venv/bin/python -m pip install --disable-pip-version-check --no-input --progress-bar off "$@" 2>.venv/complaints &&
            : >.venv/installed
    } | progress
    if [ ! -f .venv/installed ]; then
        cat .venv/complaints >&2
        fail "Installing the packages failed: see the reason above. The same command tries again"
    fi
}

if is_ready local; then
    echo "Adding the packages for development to .venv: this takes about a minute, once"
else
    if [ -n "${PYTHON:-}" ]; then
        set -- "$PYTHON"
    else
        set -- python3 python3.14 python3.13 python3.12 python3.11
    fi
    for python; do
        version=$(version_of "$python") && break
        python=
    done

    if [ -z "$python" ]; then
        hint="install Python 3.11 or newer, or name one: make run PYTHON=/path/to/python3"
        version=$(version_of "$1") || [ -n "$version" ] || fail "There is no $1 on this machine: $hint"
        fail "$1 is Python $version, which is too old: $hint"
    fi
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "$python (Python $version) has no venv module. On Debian and Ubuntu: apt-get install python${version%.*}-venv"

    if [ "$wanted" = local ]; then how_long="less than half a minute"; else how_long="a minute or two"; fi
    echo "Setting up .venv with Python $version: this takes $how_long, once"
    rm -f .venv/ready-*
    "$python" -m venv --clear .venv || fail "Making .venv failed: see the reason above"
fi

if [ "$wanted" = local ]; then
    # shellcheck disable=SC2046  (one word a package)
    install --constraint requirements-dev.txt $(local_packages)
else
    install --requirement requirements-dev.txt
    install --no-deps --no-build-isolation --editable client
fi
expected .venv/bin/python >".venv/ready-$wanted"
