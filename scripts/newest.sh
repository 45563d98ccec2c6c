#!/bin/sh
# Runs the unit and contract tests, and packages and deploys a stage to the emulator, on the newest Python of this machine that is
# newer than the one in .venv: Lambda takes no Python as old as the oldest that a local run takes. Says which Python it is, or that
# there is none. Arguments go to pytest instead of these suites.
set -eu
cd "$(dirname "$0")/.."

# Prints an interpreter's version as a number, such as 313. Fails where it cannot be run.
number_of() {
    "$1" -c 'import sys; print("%d%02d" % sys.version_info[:2])' 2>/dev/null
}

newest=
number=$(number_of .venv/bin/python)
for python in python3.15 python3.14 python3.13 python3.12 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.*/bin/python \
    "$HOME"/.local/share/uv/python/cpython-3.*/bin/python3; do
    found=$(number_of "$python") || continue
    if [ "$found" -gt "$number" ]; then
        newest=$(command -v "$python")
        number=$found
    fi
done
if [ -z "$newest" ]; then
    echo "NO NEWER PYTHON WAS TRIED: there is none on this machine beside $(.venv/bin/python --version)"
    exit 0
fi

# Without the tests that drive a browser: what they test is the pages.
[ $# -gt 0 ] || set -- tests/golden tests/unit tests/contract tests/deployed/test_lambda.py \
    --ignore-glob 'tests/unit/api/test_*_browser.py' --numprocesses auto --dist worksteal
echo "On $("$newest" --version), beside $(.venv/bin/python --version)"
# An environment of its own, of the same pins. What make and the documents call stays .venv.
exec .venv/bin/uv run --quiet --isolated --no-project --python "$newest" --with-requirements requirements-dev.txt \
    --with-editable ./client -- python -m pytest --quiet -p no:cacheprovider "$@"
