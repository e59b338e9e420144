# Every recipe here is the one that continuous integration runs. `make help` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

# The machine's Python only starts things; everything else runs in .venv.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)
CARGO_HOME ?= $(HOME)/.cargo
export PYTHON
export PATH := $(CARGO_HOME)/bin:$(PATH)
# An environment that happens to be active must not decide where packages go.
unexport VIRTUAL_ENV UV_PROJECT_ENVIRONMENT PYTHONPATH PYTHONHOME
# What the machine trusts, a company's proxy for instance, uv trusts too. A machine without a store uses uv's own.
ifneq ($(wildcard /etc/ssl/certs/ca-certificates.crt),)
export UV_SYSTEM_CERTS ?= true
endif

UV := .cache/uv-bootstrap/bin/uv
BIN := .venv/bin
INSTALLED := .venv/.installed
RUST_READY := .cache/rust-ready
# cargo runs inside node/, where rust-toolchain.toml is.
CARGO := cd node && cargo
# The binding is left out: it is built into .venv by maturin and tested from Python.
RUST_PACKAGES := --workspace --exclude sequencer-python
SIMULATOR := --locked --profile sim -p sequencer-sim --bin sequencer-sim
# The crates that the Python module links; the simulator is not among them.
NATIVE_CRATES := wire link core storage runtime client load python
NATIVE_SOURCES := $(foreach crate,$(NATIVE_CRATES),$(wildcard $(addprefix node/crates/sequencer-$(crate)/,\
	Cargo.toml src/*.rs src/*/*.rs src/*/*/*.rs)))

SEEDS ?= 2000
SEED ?= 1
SOAK_SEEDS ?= 50000
SOAK_FUZZ_SECONDS ?= 600
SOAK_TEETH_FROM ?= 1 10001 20001 30001 40001
SUITES ?= check test-rust test-python test-process sim second-opinion sim-teeth

.PHONY: help setup build check fix gen unit test test-rust test-python test-process sim second-opinion sim-teeth bench-core \
	soak replay demo story demo-down bench e2e clean

help:  ## Say what each target does.
	@echo "usage: make TARGET [NAME=value]"
	@echo
	@sed -nE 's/^([a-z0-9-]+):.*  ## (.*)$$/\1\t\2/p' Makefile | while IFS=$$'\t' read -r target text; do \
		printf '  %-16s %s\n' "$$target" "$$text"; done
	@echo
	@echo "Start with 'make test': it installs what is missing, into this directory and $(CARGO_HOME) alone."

setup: $(INSTALLED)  ## Install the tools and both packages into .venv, and Rust where it is missing.

build: setup  ## Build the Rust workspace; the packages in .venv are built by setup.
	$(CARGO) build $(RUST_PACKAGES) --locked

check: setup  ## Format, lint, types and import order, for Python and Rust; writes nothing.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache --no-logo
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) clippy -p sequencer-sim --features teeth --all-targets --locked -- -D warnings

fix: setup  ## Format the code and mend what the linter can mend by itself.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(CARGO) fmt --all

gen: $(UV) $(RUST_READY)  ## Rebuild what is generated: uv.lock and the test vectors; read the difference before you commit it.
	$(UV) lock --python "$(PYTHON)"
	cd node && REGENERATE_VECTORS=1 cargo test -p sequencer-wire --locked --test vectors

unit: setup  ## The edit-test loop: unit tests of both languages, in seconds once built.
	$(CARGO) test --quiet $(RUST_PACKAGES) --lib --locked
	$(BIN)/pytest -q tests/unit

test: setup  ## Everything a change must pass, suite by suite, with the minutes of each (SUITES="check sim").
	@"$(PYTHON)" scripts/suites.py "$(MAKE)" $(SUITES)

test-rust: setup  ## All Rust tests, the short fuzz runs of the decoders among them.
	$(CARGO) test $(RUST_PACKAGES) --locked

test-python: setup  ## All Python tests but the second opinion and those with processes.
	$(BIN)/pytest tests --ignore=tests/simulation --ignore=tests/process

test-process: setup  ## Real nodes: started, killed, stopped, cut short and refused, under load; then the log is audited.
	$(BIN)/pytest tests/process

sim: setup  ## Simulate SEEDS=2000 clusters under faults and check every invariant.
	$(CARGO) run $(SIMULATOR) -- run --seeds $(SEEDS)

second-opinion: setup  ## Judge traces of the simulator by a checker that shares no code with the core.
	$(CARGO) build $(SIMULATOR)
	$(BIN)/pytest tests/simulation

sim-teeth: setup  ## Plant each known bug in turn; the simulator must find every one.
	$(CARGO) run --features teeth $(SIMULATOR) -- teeth

bench-core: setup  ## Measure the append path of core and storage in one thread, and the recovery scan.
	$(CARGO) bench --locked -p sequencer-runtime --bench core

bench: setup  ## Measure this project, and its peers where they are at hand, side by side; writes docs/reference/benchmarks.md.
	$(UV) sync --locked --inexact --group bench --python "$(PYTHON)" --quiet
	$(BIN)/python scripts/bench.py $(BENCH)

soak: setup  ## The long form: SOAK_SEEDS=50000, each bug from five first seeds, SOAK_FUZZ_SECONDS=600 of fuzzing.
	$(CARGO) run $(SIMULATOR) -- run --seeds $(SOAK_SEEDS)
	cd node && for first in $(SOAK_TEETH_FROM); do \
		cargo run --features teeth $(SIMULATOR) -- teeth --first "$$first" --bound 10000; done
	cd node && FUZZ_SECONDS=$(SOAK_FUZZ_SECONDS) cargo test --release --locked -p sequencer-wire --test 'fuzz_*'

replay: setup  ## Run the one seed SEED=1 again and print every event as a readable trace.
	$(CARGO) run --quiet $(SIMULATOR) -- replay --seed $(SEED) --trace

demo: setup  ## A cluster of processes loses its leader under load, and the log is checked; 15 seconds once it is built.
	$(BIN)/python scripts/demo.py

story: setup  ## Show how one simulated cluster, SEED=1, elects, fails and heals; `make replay` shows every event.
	$(CARGO) run --quiet $(SIMULATOR) -- replay --seed $(SEED) --story

clean:  ## Remove what was built and installed in this directory.
	rm -rf .venv .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis node/target

# Directories have these names, so make would call them up to date; each says plainly what is missing.
demo-down e2e:
	@echo "make $@: nothing can be deployed to Kubernetes yet, so this target arrives with the operator; see README.md." >&2; exit 1

$(UV): scripts/bootstrap_uv.py scripts/uv.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed; install it, or name one with PYTHON=..." >&2; exit 1; }
	"$(PYTHON)" scripts/bootstrap_uv.py .cache/uv-bootstrap
	@touch $@

$(RUST_READY): scripts/ensure_rust.sh node/rust-toolchain.toml
	@mkdir -p $(@D)
	scripts/ensure_rust.sh
	@touch $@

$(INSTALLED): $(UV) $(RUST_READY) pyproject.toml uv.lock node/pyproject.toml operator/pyproject.toml \
		node/Cargo.toml node/Cargo.lock $(NATIVE_SOURCES)
	$(UV) sync --locked --python "$(PYTHON)"
	@touch $@
