#!/usr/bin/env bash
# Builds the installed layout (batchsim/agents, batchsim/scenes) in build/layout, for tools that read source files instead
# of importing them. Files are symbolic links.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tree=build/layout
rm -rf "$tree"
mkdir -p "$tree/benchmarks"
cp -rs "$PWD/batchsim" "$tree/"
cp -rs "$PWD/agents" "$PWD/scenes" "$tree/batchsim/"
cp -rs "$PWD"/benchmarks/{__init__.py,compat,gpu,pages} "$tree/benchmarks/"
find "$tree" -name __pycache__ -prune -exec rm -r {} +
