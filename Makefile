# The same commands here and in continuous integration. Each installs what it needs first.
#   make run    [LISTEN=HOST:PORT] [DATA=DIR] [SAMPLES=DIR]    a log with real entries, until interrupted
#   make test   [PYTHON=python3.13] [ARGS="-k name"]           lint, types, import rules, then the tests
#   make faults [IMAGES=2000] [FLIPS=200]                      power cuts and flipped bits, more than in make test
#   make crash  [CYCLES=100]                                   kill -9 under load, again and again
#   make bench  [SECTIONS="singles reads"] [BENCH_SECONDS=3]   speed, beside the machine's limits (docs/bench.md)
PYTHON ?=
ARGS ?=
BIN := .venv/bin

.PHONY: install run test test-peers faults crash lint check vectors openapi configuration bench bench-start lock dist clean

install:
	@scripts/install.sh $(PYTHON)

run: install
	@exec $(BIN)/python scripts/run.py

test: lint
	@$(if $(ARGS),$(BIN)/pytest -m "not peers" $(ARGS),scripts/test.sh $(BIN) $(PROCESS_TESTS))

# Run with two workers beside the process that writes, too: everything that starts a server.
PROCESS_TESTS = tests/cli/test_server_process.py tests/cli/test_admin_listen.py \
  tests/cli/test_tls.py tests/cli/test_client_end_to_end.py tests/cli/test_client_kill.py tests/clients/test_appender_kill.py tests/faults/test_kill.py tests/faults/test_full_disk.py tests/real

# Needs Go; says why it skips where Go is absent.
test-peers: install
	$(BIN)/pytest -m peers -rs tests/peers tests/bench $(ARGS)

IMAGES ?= 2000
FLIPS ?= 200
CYCLES ?= 100

faults: install
	POWER_IMAGES=$(IMAGES) $(BIN)/pytest -s tests/faults/test_powercut.py $(ARGS)
	BIT_FLIPS=$(FLIPS) $(BIN)/pytest -s tests/faults/test_bit_flips.py $(ARGS)

crash: install
	CRASH_CYCLES=$(CYCLES) $(BIN)/pytest -s tests/faults/test_kill.py $(ARGS)

lint: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# What a change must pass before it is proposed, but for the tests.
check: lint vectors
	@git diff --exit-code --stat -- spec/vectors
	@test -z "$$(git status --porcelain -- spec/vectors)" || { git status --short -- spec/vectors; exit 1; }

vectors: install
	$(BIN)/python -m tests.make_vectors

# What the server gives at /openapi.json.
openapi: install
	$(BIN)/python -m tests.make_openapi

# The table of docs/configuration.md, from the options of `tlog serve`.
configuration: install
	$(BIN)/python -m tests.make_configuration

bench: install
	@SECTIONS="$(SECTIONS)" $(BIN)/python -m bench

# How long a server takes to start; ENTRIES=10000000 in its log.
bench-start: install
	@ENTRIES=$(ENTRIES) $(BIN)/python -m bench.start

# Pins stay as they are where they still fit; UPGRADE=1 takes the newest of everything.
lock: install
	@cp requirements.lock .venv/requirements.new
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --extra dev \
	  --no-emit-index-url --no-emit-find-links --no-annotate --no-header $(if $(UPGRADE),--upgrade) \
	  --output-file .venv/requirements.new pyproject.toml >/dev/null
	@{ echo "# Written by 'make lock' from pyproject.toml: every package, for Python 3.11 and newer, with its hashes."; \
	  cat .venv/requirements.new; } >requirements.lock

# Three alternatives, never installed together: the server, the clients, the verifier.
dist: install
	@rm -rf dist
	$(BIN)/python -m hatchling build -d dist
	cd clients && ../$(BIN)/python -m hatchling build -t wheel -d ../dist
	cd proofs && ../$(BIN)/python -m hatchling build -d ../dist

clean:
	rm -rf .venv dist build .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
