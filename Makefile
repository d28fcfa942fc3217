# genrestream: `make demo` and `make test` set up everything they need in .venv/.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo up test test-abuse test-endurance lint format schemas formats rights study models bench test-kafka test-faults \
	test-radio test-stations test-page test-history fuzz fuzz-decode test-machine soak test-compose picture clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

$(VENV)/.runtime: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.up: $(VENV)/.runtime
	$(PIP) install --quiet --constraint constraints.txt --editable '.[gateway,radio,history,notify]'
	@touch $@

$(VENV)/.dev: $(VENV)/.up
	$(PIP) install --quiet --constraint constraints.txt --editable \
		'.[gateway,radio,history,notify,training,dev]'
	@touch $@

demo: $(VENV)/.runtime ## Send a clip through a broker and both services; print its labels
	$(BIN)/genrestream demo

up: $(VENV)/.up ## Run broker, services and the page until Ctrl-C
	$(BIN)/genrestream up

test: $(VENV)/.dev ## Lint, types, import contract and all fast tests
	$(MAKE) lint
	$(BIN)/python -m pytest -n 3 --dist loadfile

test-kafka: $(VENV)/.dev ## The broker tests on Apache Kafka (KAFKA_BOOTSTRAP_SERVERS, or Java and Maven)
	$(BIN)/python -m pytest -m "not faults and not compose" --broker kafka tests/security \
		tests/broker/test_lag.py tests/broker/test_streams.py tests/broker/test_bad_input.py \
		tests/broker/test_restart.py

test-faults: $(VENV)/.dev ## Kill, restart and pause workers and brokers under load, on both brokers
	$(BIN)/python -m pytest -m faults --broker both tests/faults $(FAULTS)

test-endurance: $(VENV)/.dev ## Joins to cold clusters and thirty kills, for an hour (ENDURANCE="--broker kafka")
	$(BIN)/python -m tests.faults.endurance cold $(ENDURANCE)
	$(BIN)/python -m tests.faults.endurance kills $(ENDURANCE)

test-radio: $(VENV)/.dev ## Fail the servers and decoders of stations in every way (needs ffmpeg)
	$(BIN)/python -m pytest -m "radio or not radio" -n 3 --dist loadfile -rs \
		tests/receiver tests/radio

test-abuse: $(VENV)/.dev ## What no producer should send, beside good streams, on both brokers (ABUSE="--broker kafka")
	$(BIN)/python -m pytest -m abuse --broker both -rs tests/abuse $(ABUSE)

test-stations: $(VENV)/.dev ## Ten minutes of each kind of source, a day of radio, every fault on 20 stations, receivers killed (an hour)
	RADIO_SECONDS=600 $(BIN)/python -m pytest -m radio tests/radio/test_equal_sound.py
	$(BIN)/python -m tests.radio.day
	$(BIN)/python -m tests.radio.endurance faults $(STATIONS)
	$(BIN)/python -m tests.radio.endurance receivers --rounds 10 $(STATIONS)

fuzz: $(VENV)/.dev ## Send 200,000 broken messages to both services (FUZZ="--messages N --seed S")
	$(BIN)/python -m tests.faults.fuzz $(FUZZ)

test-machine: $(VENV)/.dev ## Commands on a read-only machine, without a network, in odd folders (Linux, root)
	$(BIN)/python -m pytest -m machine -rs tests/commands

fuzz-decode: $(VENV)/.dev ## Decode 100,000 mutated files and compare what is heard with ffmpeg (COUNT=)
	$(BIN)/python -m tests.faults.decode_fuzz $(or $(COUNT),100000)

soak: $(VENV)/.dev ## Play 100 live streams for 20 minutes on Apache Kafka (SOAK="--minutes N --streams N")
	$(BIN)/python -m tests.faults.soak $(SOAK)

test-page: $(VENV)/.dev ## The page in Chromium, on the whole system (installs chromium by apt where it may)
	command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get install -qq -y chromium; } || \
		echo "no chromium: the tests of the page are skipped"
	$(PIP) install --quiet --constraint constraints.txt playwright
	$(BIN)/python -m pytest -m page -rs tests/page

test-history: $(VENV)/.dev ## History and messages with PostgreSQL and mosquitto (installs them by apt where it may)
	command -v mosquitto >/dev/null && ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || \
		{ [ "$$(id -u)" = 0 ] && apt-get install -qq -y postgresql mosquitto; } || \
		echo "no PostgreSQL or mosquitto: the tests that need them are skipped"
	$(BIN)/python -m pytest -m history -rs $(HISTORY) tests/history tests/recorder tests/notifier

picture: $(VENV)/.dev ## Take the picture of the page in the README again (needs chromium)
	$(PIP) install --quiet --constraint constraints.txt playwright
	$(BIN)/python -m benchmarks.picture docs/page.png

bench: $(VENV)/.dev ## Measure everything that docs/performance.md quotes; figures go to reports/benchmarks
	set -e; for name in extraction pipeline latency memory startup; do \
		$(BIN)/python -m benchmarks.$$name; done

test-compose: $(VENV)/.dev ## Bring the stack up in containers, kill, scale, secure it (needs Docker)
	$(BIN)/python -m pytest -m compose -rs tests/compose

lint: $(VENV)/.dev ## Ruff, mypy and the import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	PATH="$(CURDIR)/$(BIN):$$PATH" deploy/lint.sh

format: $(VENV)/.dev ## Format the code
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

schemas: $(VENV)/.dev ## Write the JSON Schemas and the AsyncAPI document anew
	$(BIN)/python -m schemas.generate

rights: $(VENV)/.dev ## Write deploy/secure/rights.txt and its table in docs/security.md anew
	$(BIN)/python -m services.kafka.generate_rights

formats: $(VENV)/.dev ## Write docs/formats.md anew from the table of formats
	$(BIN)/python -m features.generate_formats

.PHONY: data-folder
data-folder:
	@test -d "$(DATA)/tables" || { echo "DATA=$(DATA): give the folder that holds tables/ and splits/ \
	of GTZAN, as in make models DATA=/path/to/data (docs/training.md)" >&2; exit 2; }

study: data-folder $(VENV)/.dev ## Repeat the study on DATA=folder and write the report to reports/study
	$(BIN)/genrestream study --data $(DATA) --output reports/study

models: data-folder $(VENV)/.dev ## Fit the shipped models on DATA=folder again, with their cards
	$(BIN)/genrestream train-shipped --data $(DATA) --output models

clean: ## Remove the environment and caches
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis
