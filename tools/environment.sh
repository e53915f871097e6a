#!/usr/bin/env bash
# Creates .venv and installs batchsim in editable mode, with the dependency versions of constraints.txt.
#
#   PYTHON=python3.12 tools/environment.sh EXTRAS     EXTRAS: extras of pyproject.toml, separated by commas
#
# Exits with code 2 and one line on stderr if the machine lacks something.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python=${PYTHON:-python3}
extras=${1:-}

fail() {
    echo "batchsim: $*" >&2
    exit 2
}

check_python() {
    command -v "$python" > /dev/null || fail "$python not found; install Python 3.10 or later (Debian: python3)."
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
        fail "$("$python" --version) is too old: 3.10 or later is needed. To select another: make PYTHON=python3.12 ..."
    # On Debian, ensurepip is in a separate package.
    "$python" -c 'import ensurepip, venv' 2> /dev/null ||
        fail "$python cannot create virtual environments: install its venv module (Debian: apt-get install python3-venv)."
}

make_venv() {
    if .venv/bin/python -m pip --version > /dev/null 2>&1; then return; fi
    check_python
    echo "Creating .venv with $("$python" --version) ..."
    "$python" -m venv .venv
}

has_nvidia_gpu() { [ -e /dev/nvidiactl ]; }

install() {
    if has_nvidia_gpu; then extras="cuda${extras:+,$extras}"; fi
    echo "Installing batchsim${extras:+ [$extras]} into .venv; this takes minutes the first time ..."
    .venv/bin/python -m pip install --disable-pip-version-check --constraint constraints.txt \
        --editable ".${extras:+[$extras]}"
}

make_venv
install
