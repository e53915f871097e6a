#!/usr/bin/env bash
# Type-checks the three packages with mypy. mypy needs the layout that is installed (batchsim/agents, batchsim/scenes),
# so this script shows it one made of symbolic links.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tree=build/types
rm -rf "$tree"
mkdir -p "$tree/batchsim"
for entry in batchsim/*; do ln -s "$PWD/$entry" "$tree/batchsim/"; done
ln -s "$PWD/agents" "$PWD/scenes" "$tree/batchsim/"

cd "$tree"
exec "${PYTHON:-$OLDPWD/.venv/bin/python}" -m mypy --config-file "$OLDPWD/pyproject.toml" \
    --cache-dir "$OLDPWD/.mypy_cache" --package batchsim "$@"
