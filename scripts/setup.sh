#!/bin/sh
# Makes .venv ready: a virtual environment with the pinned packages. Where it is ready already, this takes one start of Python.
# Anything else (other requirements, another Python or one that is gone, a directory that was moved, an install that was
# interrupted) ends the same way: it is made anew.
#
#   setup.sh local   what a local run and the operator's commands need
#   setup.sh dev     everything; it adds to what a local run has
#
#   PYTHON   the interpreter to make it with; by default python3, or the newest python3.x there is where python3 is too old
set -eu
cd "$(dirname "$0")/.."
wanted=$1

fail() {
    echo "$*" >&2
    exit 1
}

# What makes an environment the right one: where it is, its Python, its packages. `ready-…` holds it, and is written last.
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

# Prints an interpreter's version. Fails where it is too old, or where there is none.
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

# Shows how many packages pip has come to: over one line on a terminal, else every tenth.
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

# Installs what pip's arguments say. Of what pip complains, only a failure's reason is shown.
install() {
    rm -f .venv/installed
    {
        .venv/bin/python -m pip install --disable-pip-version-check --no-input --progress-bar off "$@" 2>.venv/complaints &&
            : >.venv/installed
    } | progress
    if [ ! -f .venv/installed ]; then
        cat .venv/complaints >&2
        fail "Installing the packages failed: the reason stands above, and the same command tries again"
    fi
}

if is_ready local; then
    echo "Adding to .venv what development needs: this takes about a minute, once"
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
        version=$(version_of "$1") || [ -n "$version" ] || fail "There is no $1 here: $hint"
        fail "$1 is Python $version, which is too old: $hint"
    fi
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "$python (Python $version) has no venv module. On Debian and Ubuntu it comes with: apt-get install python${version%.*}-venv"

    if [ "$wanted" = local ]; then how_long="less than half a minute"; else how_long="a minute or two"; fi
    echo "Setting up .venv with Python $version: this takes $how_long, once"
    rm -f .venv/ready-*
    "$python" -m venv --clear .venv || fail "Making .venv failed: the reason stands above"
fi

if [ "$wanted" = local ]; then
    # shellcheck disable=SC2046  (one word a package)
    install --constraint requirements-dev.txt $(local_packages)
else
    install --requirement requirements-dev.txt
fi
expected .venv/bin/python >".venv/ready-$wanted"
