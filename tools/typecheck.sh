#!/usr/bin/env bash
# Type-checks the three packages, and the benchmarks that run in batchsim's own environment, with mypy.
#
#   tools/typecheck.sh [OPTIONS OF MYPY]
#   PYTHON=python3 tools/typecheck.sh      with another interpreter than .venv/bin/python
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tools/installed_layout.sh
cd build/layout
exec "${PYTHON:-$OLDPWD/.venv/bin/python}" -m mypy --config-file "$OLDPWD/pyproject.toml" \
    --cache-dir "$OLDPWD/.mypy_cache" --package batchsim --package benchmarks "$@"
