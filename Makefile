# HOST is not taken from the environment: some shells export the machine's name as HOST, and this must not open the engine to a
# network by accident.
HOST = 127.0.0.1
PORT ?= 8000
PYTHON ?=
ARGS ?=
export HOST PORT PYTHON
HFT_DATA_FROM_SHELL := $(HFT_DATA)

.PHONY: help run test lint simulate fuzz bench mutants pins clean setup setup-local port token deploy adopt outputs destroy stage test-deployed ops audit

help:
	@echo 'make run    the engine on http://$(HOST):$(PORT), its state in memory; HOST=0.0.0.0 for every interface, PORT=8001 for another port'
	@echo 'make test   everything that is checked: lint, then the tests; ARGS="tests/domain -k cost" goes to pytest'
	@echo 'make lint   formatting, ruff, mypy'
	@echo 'make simulate SEEDS=2000    the engine on a simulated DynamoDB, under that many seeds of crashes and lost messages'
	@echo 'make fuzz   the interface with inputs that are new each time; FUZZ_TIMES=100 for ten times as many'
	@echo 'make bench  how fast it is, as a table; all parts replace bench/results; PEER=http://127.0.0.1:9000 beside another engine, PARTS=hot,batch, ROUNDS=5'
	@echo 'make mutants   small changes to the code that moves money, each of which some test must notice; what none does is listed'
	@echo 'make pins   requirements*.txt anew from pyproject.toml; ARGS=--upgrade for newer versions'
	@echo 'make clean  removes everything that the others made'
	@echo 'make token USER=1   a token for that account, signed with the secret in HFT_TOKEN_SECRET or named by HFT_TOKEN_SECRET_ARN;'
	@echo '                    OPERATOR=1, with or without USER, adds the scope in HFT_TOKEN_OPERATOR_SCOPE'
	@echo 'make deploy STAGE=dev    a stage of .chalice/config.json on AWS; outputs: where it is; destroy: takes it down; adopt: its tables, left behind'
	@echo 'make test-deployed       the whole deployment rehearsed on an emulator of AWS, on this machine'
	@echo 'make ops STAGE=dev ARGS="assets list"   the operator'"'"'s commands: prices, accounts; without ARGS it says which there are'
	@echo 'make audit STAGE=dev     replays every account of a stage, or one with USER=1, and names the first difference in each'
	@echo 'Each sets up .venv first where it has to, with python3 or with PYTHON=/path/to/python3 (3.11 or newer).'

run: export HFT_DATA = $(or $(DATA),$(HFT_DATA_FROM_SHELL))
run: port setup-local
	@exec .venv/bin/chalice local --no-autoreload --host "$$HOST" --port "$$PORT"

test: lint
	.venv/bin/pytest $(ARGS)

lint: setup
	.venv/bin/ruff format --check
	.venv/bin/ruff check
	.venv/bin/mypy

simulate: setup
	@.venv/bin/python -m simulation $(if $(SEEDS),--seeds $(SEEDS)) $(ARGS)

fuzz: setup
	FUZZ_TIMES="$(or $(FUZZ_TIMES),10)" .venv/bin/pytest tests/fuzz $(ARGS)

bench: setup
	@.venv/bin/python -m bench $(if $(PEER),--peer "$(PEER)") $(if $(PARTS),--parts "$(PARTS)") $(if $(ROUNDS),--rounds "$(ROUNDS)") $(ARGS)

mutants: setup
	.venv/bin/mutmut run $(ARGS)
	.venv/bin/mutmut results

# The Lambda package's versions are those that the tests ran with.
UV_COMPILE = .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url \
	--custom-compile-command 'make pins' $(ARGS)

pins: setup
	$(UV_COMPILE) --group dev --output-file requirements-dev.txt pyproject.toml
	$(UV_COMPILE) --constraints requirements-dev.txt --output-file requirements.txt pyproject.toml

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis mutants .chalice/deployments build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup:
	@scripts/setup.sh dev

setup-local:
	@scripts/setup.sh local

port:
	@case "$$PORT" in '' | *[!0-9]* | ??????*) false ;; *) [ "$$PORT" -le 65535 ] ;; esac || \
		{ echo "PORT must be a number from 0 to 65535, not '$$PORT'" >&2; exit 1; }

# Every shell has a USER, and it is no account of ours: only `make token USER=…` counts.
token: export USER =
token: OPERATOR =
token: setup-local
	@.venv/bin/python -m ops token $(if $(OPERATOR),--operator) $(if $(USER),"$$USER")

deploy: COMMAND = apply
adopt: COMMAND = adopt
outputs: COMMAND = outputs
destroy: COMMAND = destroy $(if $(FORCE),--force)
deploy adopt outputs destroy: stage setup
	@.venv/bin/python -m deploy $(COMMAND) "$(STAGE)"

stage:
	@[ -n "$(STAGE)" ] || { echo 'Which stage? For example: make $(MAKECMDGOALS) STAGE=dev' >&2; exit 1; }

test-deployed: setup
	.venv/bin/pytest tests/deployed $(ARGS)

ops: setup-local
	@HFT_STAGE="$(STAGE)" .venv/bin/python -m ops $(or $(ARGS),--help)

audit: export USER =
audit: stage setup-local
	@.venv/bin/python -m ops audit --stage "$(STAGE)" $(if $(USER),"$$USER",--all)
