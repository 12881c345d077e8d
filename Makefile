# `make help` lists the targets. `make demo` and `make test` are for users; the others are for development.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# The lab uses the same folder: lab/smblab/settings.py.
CACHE := $(or $(SMBFERRY_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/smbferry)
# Shared by all checkouts with the same lock file and Python version.
VENV := $(CACHE)/venv/$(shell python3 -c 'import sys; print(sys.implementation.cache_tag)')-$(shell cksum < requirements/dev.lock | tr ' ' -)
PY := $(VENV)/bin/python
LAB := lab/lab
PIP := $(PY) -m pip --disable-pip-version-check -q
export MYPY_CACHE_DIR := $(CACHE)/mypy
# Keeps compiled bytecode regardless of the caller's environment; otherwise every test worker would compile again.
export PYTHONDONTWRITEBYTECODE :=
CRD_DIRS := crds charts/smbferry/files/crds
CODE := crds operator agent_image cli charts lab tests
# What is typed below lab/; its other folders are build contexts of images.
LAB_CODE := $(addprefix lab/,smblab support fake_server bench bench_operator nemesis fuzz)
PYTEST := $(PY) -m pytest
LOCK := $(VENV)/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-annotate --no-header pyproject.toml

.PHONY: help demo demo-down unit coverage interop cluster fuzz bench bench-operator nemesis drain-check charts report-check playground-check pictures verify test sbom clean generate lock format images lab-up checks packages

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.done ## start a domain and a cluster, copy a tree, then break a keytab and fix it
	@$(PY) -m lab.demo

demo-down: ## remove the demo's containers, processes, mounts and networks
	@$(LAB) down

test: $(PY) ## run all tests, as CI does
	@$(PY) -m lab.test_all

unit: $(VENV)/.done ## run unit tests: no network, under a minute
	@$(PYTEST) -q tests/unit

coverage: $(VENV)/.done ## measure line and branch coverage of the engine's codecs and core: at least 95 %
	@mkdir -p build
	@$(VENV)/bin/coverage run --branch --data-file=build/coverage --source=smbferry_engine.core,smbferry_engine.runtime,smbferry_engine.wire \
	  -m pytest -q tests/unit/engine --junitxml=build/reports/engine.xml
	@$(VENV)/bin/coverage report --data-file=build/coverage --show-missing --skip-covered --precision=1 --fail-under=95

interop: lab-up ## test engine and agent against the real domain
	@$(LAB) tools -- python3 -m pytest -q -n 4 --dist loadfile tests/interop

cluster: lab-up images checks ## test operator and agents in the real cluster
	@$(PYTEST) -q -n 4 --dist loadfile -m 'not alone' --keep-chart tests/cluster
	@$(PYTEST) -q -m alone tests/cluster

drain-check: lab-up images checks ## drain the node of a 15-minute run, start forty runs at once, and sixty at a limit; run nothing else on the machine
	@$(PYTEST) -q tests/drain

fuzz: $(VENV)/.done ## fuzz codecs and core with random data and hostile servers, FUZZ_SECONDS=600
	@PYTHONPATH=crds/src:agent_image/src $(PY) -m lab.fuzz --seconds $(or $(FUZZ_SECONDS),600)

bench: $(VENV)/.done ## compare the speed with other clients (see docs/performance.md)
	@$(LAB) up domain tools
	@$(LAB) tools -- python3 -m lab.bench

bench-operator: lab-up ## run one operator with 5,000 tasks on simulated nodes; run nothing else on the cluster
	@PYTHONPATH=crds/src:agent_image/src:operator/src $(PY) -m lab.bench_operator $(BENCH_OPERATOR)

nemesis: lab-up images ## kill components at random under load, NEMESIS_SECONDS=900; NEMESIS_SEED= repeats a plan
	@NEMESIS_SECONDS=$(or $(NEMESIS_SECONDS),900) NEMESIS_SEED=$(NEMESIS_SEED) PYTHONPATH=crds/src $(PY) -m lab.nemesis

charts: $(VENV)/.done checks ## test the chart with many values: helm lint, schemas, kube-score, checkov, kstatus
	@$(PYTEST) -q tests/charts

report-check: $(VENV)/.done ## test the page of `smbferry report` in Chromium: phone and desktop, dark and light, accessibility
	@$(PYTEST) -q tests/browser

playground-check: lab-up images ## run examples/playground in the lab's cluster
	@$(PYTEST) -q tests/playground

pictures: $(VENV)/.done ## update the README's pictures
	@PYTHONPATH=crds/src:agent_image/src:cli/src $(PY) -m tests.browser.pictures docs/images

verify: $(VENV)/.done ## check generated files, lint, types and layers
	@PYTHONPATH=crds/src $(PY) -m smbferry_api.crd --check $(CRD_DIRS)
	@PYTHONPATH=crds/src $(PY) -m smbferry_api.reference --check docs/reference
	@PYTHONPATH=crds/src:agent_image/src:cli/src $(PY) -m smbferry_cli.reference --check docs/reference
	@PYTHONPATH=crds/src $(PY) -m lab.test_columns --check
	@$(VENV)/bin/ruff format --check -q $(CODE) || { echo 'run: make format'; exit 1; }
	@$(VENV)/bin/ruff check -q $(CODE)
	@$(VENV)/bin/mypy
	@$(VENV)/bin/mypy $(LAB_CODE) $(wildcard lab/*.py) charts/kustomize/render.py charts/smbferry/files/test.py tests
	@PYTHONPATH=crds/src:operator/src:agent_image/src:cli/src $(VENV)/bin/lint-imports --no-cache
	@git ls-files '*.sh' .ci/run lab/domain/entry lab/domain/member lab/domain/member-ready lab/domain/ready lab/docker/runc-without-sys-resource | xargs $(VENV)/bin/shellcheck

generate: $(VENV)/.done ## update the generated files
	@PYTHONPATH=crds/src $(PY) -m smbferry_api.crd $(CRD_DIRS)
	@PYTHONPATH=crds/src $(PY) -m smbferry_api.reference docs/reference
	@PYTHONPATH=crds/src:agent_image/src:cli/src $(PY) -m smbferry_cli.reference docs/reference
	@PYTHONPATH=crds/src $(PY) -m lab.test_columns

format: $(VENV)/.done ## format the code
	@$(VENV)/bin/ruff format -q $(CODE)
	@$(VENV)/bin/ruff check -q --fix $(CODE)

lock: $(VENV)/.done ## update the dependencies in requirements/*.lock
	@$(PIP) install uv
	@$(LOCK) --extra operator -o requirements/operator.lock
	@$(LOCK) --extra agent --extra kerberos --extra cli -o requirements/agent.lock
	@$(LOCK) --extra operator --extra agent --extra cli --extra dev -o requirements/dev.lock
	@$(filter-out pyproject.toml,$(LOCK)) requirements/checkov.in -o requirements/checkov.lock

images: $(VENV)/.done ## build the images of operator and agent and load them into the lab's cluster
	@$(LAB) build operator agent
	@$(LAB) load smbferry-operator:dev smbferry-agent:dev

lab-up: $(VENV)/.done
	@$(LAB) up

checks:
	@$(LAB) checks

packages: $(VENV)/.done

sbom: $(VENV)/.done ## list the content of both images: CycloneDX in build/sbom, licenses in docs/licenses.md
	@$(LAB) build operator agent
	@$(PY) -m lab.sbom

clean: ## remove the lab, its cache and all build results
	@$(LAB) down
	@$(LAB) clean
	@rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis $(CACHE)/venv $(CACHE)/mypy

# Separate from the packages: `make test` installs those while the lab starts, and both may need apt-get.
$(PY):
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'smbferry needs Python 3.11 or newer'; exit 1; }
	@python3 -m venv $(VENV) 2>/dev/null || { \
	  [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null || { echo 'python3 has no venv module: install python3-venv'; exit 1; }; \
	  rm -rf $(VENV); apt-get update -qq; DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null; python3 -m venv $(VENV); }

$(VENV)/.done: | $(PY)
	@echo 'installing the Python packages (about 30 s)'
	@$(PIP) install --no-compile --only-binary :all: --require-hashes -r requirements/dev.lock
	@touch $@
