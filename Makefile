# `make help` lists the targets. Two are for everyone: `make demo` and `make test`; the rest is for working.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# Where the lab has its own, too: lab/smblab/settings.py.
CACHE := $(or $(SMBFERRY_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/smbferry)
# Installed once for all checkouts that have the same lock and Python.
VENV := $(CACHE)/venv/$(shell python3 -c 'import sys; print(sys.implementation.cache_tag)')-$(shell cksum < requirements/dev.lock | tr ' ' -)
PY := $(VENV)/bin/python
LAB := lab/lab
PIP := $(PY) -m pip --disable-pip-version-check -q
export MYPY_CACHE_DIR := $(CACHE)/mypy
# What Python has compiled is kept, whatever the caller's environment says: every worker of the tests would do it anew.
export PYTHONDONTWRITEBYTECODE :=
CRD_DIRS := crds charts/smbferry/files/crds
CODE := crds operator agent_image cli charts lab tests
PYTEST := $(PY) -m pytest
LOCK := $(VENV)/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-annotate --no-header pyproject.toml

.PHONY: help demo demo-down unit coverage interop cluster fuzz bench bench-operator nemesis drain-check charts report-check playground-check pictures verify test sbom clean generate lock format images lab-up checks packages

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.done ## the main job, live: a domain, a cluster, a transfer, a stale keytab and its mending
	@$(PY) -m lab.demo

demo-down: ## take the demo away: no container, process, mount or network stays
	@$(LAB) down

test: $(PY) ## everything; what CI runs
	@$(PY) -m lab.test_all

unit: $(VENV)/.done ## pure tests, no network, under a minute
	@$(PYTEST) -q tests/unit

coverage: $(VENV)/.done ## lines and branches of the engine's codecs and core that its unit tests reach: 95 % at least
	@mkdir -p build
	@$(VENV)/bin/coverage run --branch --data-file=build/coverage --source=smbferry_engine.core,smbferry_engine.wire \
	  -m pytest -q tests/unit/engine --junitxml=build/reports/engine.xml
	@$(VENV)/bin/coverage report --data-file=build/coverage --show-missing --skip-covered --precision=1 --fail-under=95

interop: lab-up ## engine and agent against the real domain
	@$(LAB) tools -- python3 -m pytest -q -n 4 --dist loadfile tests/interop

cluster: lab-up images checks ## operator and agents in the real cluster
	@$(PYTEST) -q -n 4 --dist loadfile -m 'not alone' --keep-chart tests/cluster
	@$(PYTEST) -q -m alone tests/cluster

drain-check: lab-up images checks ## a run of 15 minutes whose node is drained, and forty at once; nothing else may use the machine
	@$(PYTEST) -q tests/drain

fuzz: $(VENV)/.done ## codecs and core against noise and hostile servers, FUZZ_SECONDS=600
	@PYTHONPATH=crds/src:agent_image/src $(PY) -m tests.fuzz --seconds $(or $(FUZZ_SECONDS),600)

bench: $(VENV)/.done ## speed, side by side with peers (see docs/performance.md)
	@$(LAB) up domain tools
	@$(LAB) tools -- python3 -m tests.bench

bench-operator: lab-up ## one operator against 5,000 tasks on played nodes; nothing else may use the cluster meanwhile
	@PYTHONPATH=agent_image/src $(PY) -m tests.bench_operator

nemesis: lab-up images ## everything is killed at random while work streams in, NEMESIS_SECONDS=900; NEMESIS_SEED= repeats a plan
	@NEMESIS_SECONDS=$(or $(NEMESIS_SECONDS),900) NEMESIS_SEED=$(NEMESIS_SEED) PYTHONPATH=crds/src $(PY) -m tests.nemesis

charts: $(VENV)/.done checks ## the chart with all kinds of values: helm lint, schemas, kube-score, checkov; kstatus
	@$(PYTEST) -q tests/charts

report-check: $(VENV)/.done ## the page of `smbferry report` in a real Chromium: telephone and desk, dark and light, accessible
	@$(PYTEST) -q tests/browser

playground-check: lab-up images ## examples/playground in the lab's cluster, as its page says
	@$(PYTEST) -q tests/playground

pictures: $(VENV)/.done ## take README's pictures again
	@PYTHONPATH=crds/src:agent_image/src:cli/src $(PY) -m tests.browser.pictures docs/images

verify: $(VENV)/.done ## generated files, lint, types, layers
	@PYTHONPATH=crds/src $(PY) -m smbferry_api.crd --check $(CRD_DIRS)
	@PYTHONPATH=crds/src $(PY) -m smbferry_api.reference --check docs/reference
	@$(VENV)/bin/ruff format --check -q $(CODE) || { echo 'run: make format'; exit 1; }
	@$(VENV)/bin/ruff check -q $(CODE)
	@$(VENV)/bin/mypy
	@$(VENV)/bin/mypy lab/smblab $(wildcard lab/*.py) charts/kustomize/render.py charts/smbferry/files/test.py tests
	@PYTHONPATH=crds/src:operator/src:agent_image/src:cli/src $(VENV)/bin/lint-imports --no-cache
	@git ls-files '*.sh' .ci/run lab/domain/entry lab/domain/member lab/domain/member-ready lab/domain/ready lab/docker/runc-without-sys-resource | xargs $(VENV)/bin/shellcheck

generate: $(VENV)/.done ## write the generated files again
	@PYTHONPATH=crds/src $(PY) -m smbferry_api.crd $(CRD_DIRS)
	@PYTHONPATH=crds/src $(PY) -m smbferry_api.reference docs/reference

format: $(VENV)/.done ## format the code
	@$(VENV)/bin/ruff format -q $(CODE)
	@$(VENV)/bin/ruff check -q --fix $(CODE)

lock: $(VENV)/.done ## resolve the dependencies again into requirements/*.lock
	@$(PIP) install uv
	@$(LOCK) --extra operator -o requirements/operator.lock
	@$(LOCK) --extra agent --extra kerberos --extra cli -o requirements/agent.lock
	@$(LOCK) --extra operator --extra agent --extra cli --extra dev -o requirements/dev.lock
	@$(filter-out pyproject.toml,$(LOCK)) requirements/checkov.in -o requirements/checkov.lock

images: $(VENV)/.done ## build the operator's and the agent's image and load them into the lab's cluster
	@$(LAB) build operator agent
	@$(LAB) load smbferry-operator:dev smbferry-agent:dev

lab-up: $(VENV)/.done
	@$(LAB) up

checks:
	@$(LAB) checks

packages: $(VENV)/.done

sbom: $(VENV)/.done ## what is in both images: CycloneDX in build/sbom, licences in docs/licences.md
	@$(LAB) build operator agent
	@$(PY) -m lab.sbom

clean: ## drop the lab, its cache and everything built
	@$(LAB) down
	@$(LAB) clean
	@rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis $(CACHE)/venv $(CACHE)/mypy

# Apart from the packages: `make test` installs those while the lab starts, and both may need apt-get.
$(PY):
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'smbferry needs Python 3.11 or newer'; exit 1; }
	@python3 -m venv $(VENV) 2>/dev/null || { \
	  [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null || { echo 'python3 has no venv module: install python3-venv'; exit 1; }; \
	  rm -rf $(VENV); apt-get update -qq; DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null; python3 -m venv $(VENV); }

$(VENV)/.done: | $(PY)
	@echo 'installing the Python packages (about 30 s)'
	@$(PIP) install --no-compile --only-binary :all: --require-hashes -r requirements/dev.lock
	@touch $@
