#!/usr/bin/env bash
# Type-checks the three packages, and the benchmarks that run in batchsim's own environment, with mypy. mypy needs the
# installed layout (batchsim/agents, batchsim/scenes), so this script builds it from symbolic links.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tree=build/types
rm -rf "$tree"
mkdir -p "$tree/batchsim"
for entry in batchsim/*; do ln -s "$PWD/$entry" "$tree/batchsim/"; done
ln -s "$PWD/agents" "$PWD/scenes" "$tree/batchsim/"
mkdir "$tree/benchmarks"
ln -s "$PWD"/benchmarks/{__init__.py,gpu,pages} "$tree/benchmarks/"

cd "$tree"
exec "${PYTHON:-$OLDPWD/.venv/bin/python}" -m mypy --config-file "$OLDPWD/pyproject.toml" \
    --cache-dir "$OLDPWD/.mypy_cache" --package batchsim --package benchmarks "$@"
