#!/bin/sh
# Makes .venv ready: a virtual environment with the packages of requirements-dev.txt. Where it is ready already, this takes one
# start of Python. Anything else (other requirements, another Python or one that is gone, a directory that was moved, an install
# that was interrupted) ends the same way: it is made anew.
#
#   PYTHON   the interpreter to make it with; by default python3, or the newest python3.x there is where python3 is too old
set -eu
cd "$(dirname "$0")/.."

fail() {
    echo "$*" >&2
    exit 1
}

# What makes an environment the right one: where it is, its Python, its packages. `ready` holds it, and is written last.
expected() {
    pwd
    "$1" -c 'import sys; print(*sys.version_info[:2], sys.base_prefix)' 2>/dev/null
    cat requirements-dev.txt
}

if [ -f .venv/ready ] && [ "$(expected "${PYTHON:-.venv/bin/python}")" = "$(cat .venv/ready)" ]; then
    exit 0
fi

# Prints an interpreter's version. Fails where it is too old, or where there is none.
version_of() {
    "$1" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3]); sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

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

echo "Setting up .venv with Python $version: this takes a minute or two, once"
rm -f .venv/ready
"$python" -m venv --clear .venv || fail "Making .venv failed: the reason stands above"
.venv/bin/python -m pip install --quiet --quiet --disable-pip-version-check --no-input -r requirements-dev.txt ||
    fail "Installing requirements-dev.txt failed: the reason stands above, and the same command tries again"
expected .venv/bin/python >.venv/ready
