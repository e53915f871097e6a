# `make train` and `make test` do everything, from a fresh clone on; `make help` lists the rest.

PYTHON ?= python3
OUT ?= runs/quickstart
ARGS ?=

bin := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help train test gpu-check format clean

help:
	@echo "make train       train the quickstart agent, evaluate it, write its report (OUT=$(OUT); goes on where it stopped)"
	@echo "make test        lint, formatting, tests (ARGS='-k name' for some of the tests)"
	@echo "make gpu-check   all that an NVIDIA GPU has to show, in nine minutes: tests and figures (OUT=gpu-check)"
	@echo "                 ARGS=--training: what training costs there, in nine minutes more"
	@echo "make format      put the code into the project's format"
	@echo "make clean       remove .venv and caches; runs/ stays"
	@echo "All but gpu-check make .venv and install what they need first. PYTHON=python3.12 names the Python to make it with."

train: .venv/.ready
	@tools/egl.sh
	$(bin)/batchsim-train --preset quickstart --out $(OUT) $(if $(wildcard $(OUT)/checkpoint),--resume) $(ARGS)

test: .venv/.ready-dev
	@tools/egl.sh
	$(bin)/ruff check .
	$(bin)/ruff format --check .
	$(bin)/python -m pytest $(ARGS)

# Installs nothing: on a machine without network the Python at hand has to hold what is needed.
gpu-check:
	$(or $(wildcard $(bin)/python),$(PYTHON)) -m benchmarks.gpu.gpu_check $(ARGS) $(if $(filter file,$(origin OUT)),,$(OUT))

format: .venv/.ready-dev
	$(bin)/ruff check --fix .
	$(bin)/ruff format .

clean:
	rm -rf .venv build *.egg-info .pytest_cache .ruff_cache .hypothesis

# The stamps are older than what they depend on when there is something to install. The developer's environment
# holds all that the plain one does.
.venv/.ready: pyproject.toml constraints.txt tools/environment.sh
	@PYTHON=$(PYTHON) tools/environment.sh report
	@touch $@

.venv/.ready-dev: pyproject.toml constraints.txt tools/environment.sh
	@PYTHON=$(PYTHON) tools/environment.sh dev
	@touch .venv/.ready $@
