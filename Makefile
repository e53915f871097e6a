# `make train` and `make test` do everything from a fresh clone; `make help` lists all targets.

PYTHON ?= python3
OUT ?= runs/quickstart
ARGS ?=
WORKERS ?= 2

bin := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help train test test-compat docs gpu-check format clean

help:
	@echo "make train       train the quickstart agent, evaluate it, write its report (OUT=$(OUT)); resumes if stopped"
	@echo "make test        run ruff, codespell, mypy and pytest (ARGS='-k name' selects tests, WORKERS=4 runs more at once)"
	@echo "make test-compat train one-room with every trainer that has an adapter and write the table of docs/compat.md"
	@echo "make docs        build the documentation as a web site in site/"
	@echo "make gpu-check   run all GPU tests and measurements, in at most nine minutes (OUT=gpu-check)"
	@echo "                 ARGS=--training measures training on a GPU instead"
	@echo "make format      format the code"
	@echo "make clean       remove .venv, build output and caches; runs/ is kept"
	@echo "All targets except gpu-check create .venv and install what they need. PYTHON=python3.12 selects the interpreter."

train: .venv/.ready
	@tools/egl.sh
	$(bin)/batchsim-train --preset quickstart --out $(OUT) $(if $(wildcard $(OUT)/checkpoint/*/manifest.json),--resume) $(ARGS)

test: .venv/.ready-dev
	@tools/egl.sh
	$(bin)/ruff check .
	$(bin)/ruff format --check .
	$(bin)/codespell
	tools/typecheck.sh
	$(bin)/python -m pytest --numprocesses $(WORKERS) $(ARGS)

test-compat: .venv/.ready-dev
	@tools/egl.sh
	$(bin)/python -m benchmarks.compat.run_compat $(ARGS)

docs: .venv/.ready-dev
	NO_MKDOCS_2_WARNING=1 $(bin)/mkdocs build --strict $(ARGS)

# Installs nothing: without .venv it uses $(PYTHON), which must have batchsim's dependencies.
gpu-check:
	$(or $(wildcard $(bin)/python),$(PYTHON)) -m benchmarks.gpu.gpu_check $(ARGS) $(if $(filter file,$(origin OUT)),,$(OUT))

format: .venv/.ready-dev
	$(bin)/ruff check --fix .
	$(bin)/ruff format .

clean:
	rm -rf .venv build dist site *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis

# A stamp is newer than everything that decides what is installed. The dev environment includes the plain one.
.venv/.ready: pyproject.toml constraints.txt tools/environment.sh
	@PYTHON=$(PYTHON) tools/environment.sh report
	@touch $@

.venv/.ready-dev: pyproject.toml constraints.txt tools/environment.sh
	@PYTHON=$(PYTHON) tools/environment.sh dev
	@touch .venv/.ready $@
