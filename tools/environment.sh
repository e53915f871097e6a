#!/usr/bin/env bash
# Makes the project's own environment, .venv: the project, editable, and what it needs, in the versions of
# constraints.txt.
#
#   PYTHON=python3.12 tools/environment.sh EXTRAS     EXTRAS: of pyproject.toml, joined by commas; may be empty
#
# Exit code 2 and one line on stderr where the machine lacks something.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python=${PYTHON:-python3}
extras=${1:-}

fail() {
    echo "batchsim: $*" >&2
    exit 2
}

check_python() {
    command -v "$python" > /dev/null || fail "there is no $python; install Python 3.10 or later (Debian: python3)."
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
        fail "$("$python" --version) is too old: 3.10 or later is needed. Name another: make PYTHON=python3.12 ..."
    # Debian keeps venv's pip in a package of its own.
    "$python" -c 'import ensurepip, venv' 2> /dev/null ||
        fail "$python cannot make virtual environments: install its venv module (Debian: apt-get install python3-venv)."
}

make_venv() {
    if .venv/bin/python -m pip --version > /dev/null 2>&1; then return; fi
    check_python
    echo "Making .venv with $("$python" --version) ..."
    "$python" -m venv .venv
}

has_nvidia_gpu() { [ -e /dev/nvidiactl ]; }

install() {
    if has_nvidia_gpu; then extras="cuda${extras:+,$extras}"; fi
    echo "Installing batchsim${extras:+ [$extras]} into .venv; the first time takes minutes ..."
    .venv/bin/python -m pip install --disable-pip-version-check --constraint constraints.txt \
        --editable ".${extras:+[$extras]}"
}

make_venv
install
