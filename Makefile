# HOST does not come from the environment: some shells export the machine's name as HOST, which would open the engine to a network
# by accident. Nor does DATA: many shells export it for programs of their own, and a run would write there.
HOST = 127.0.0.1
DATA =
PORT ?= 8000
FEED ?=
PYTHON ?=
ARGS ?=
export HOST PORT PYTHON
HFT_DATA_FROM_SHELL := $(HFT_DATA)

.PHONY: help run check test test-newest ci lint simulate fuzz bench mutants pins clean setup setup-local port token deploy adopt outputs log-role destroy stage test-deployed ops audit

help:
	@echo 'make run            runs the engine on http://$(HOST):$(PORT), with its state in memory. DATA=directory keeps the state on disk,'
	@echo '                    HOST=0.0.0.0 listens on every interface, HOST=:: on IPv6 too, PORT=8001 on another port;'
	@echo '                    FEED=walk moves the prices, FEED=file:prices.csv and FEED=ccxt:kraken set them from elsewhere'
	@echo 'make test           runs all checks: lint, then the tests. ARGS="tests/unit/domain -k cost" goes to pytest'
	@echo 'make test-newest    runs the unit and contract tests, and packages a stage, on the newest Python of this machine'
	@echo 'make ci             runs all of it: test, test-newest, test-deployed'
	@echo 'make check          runs lint and the quick tests: half a minute'
	@echo 'make lint           checks formatting, ruff and mypy'
	@echo 'make simulate       runs the engine on a simulated DynamoDB with crashes and lost messages. SEEDS=2000 sets the number of runs'
	@echo 'make fuzz           sends generated input to the interface. FUZZ_TIMES=100 sends ten times as much'
	@echo 'make bench          measures the engine and shows a table; a run of all parts replaces bench/results. PARTS=hot,batch,'
	@echo '                    ROUNDS=5, PEER=http://127.0.0.1:9000 to compare another engine'
	@echo 'make mutants        makes small changes to the code that moves money, and lists those that no test notices'
	@echo 'make pins           rewrites requirements*.txt from pyproject.toml. ARGS=--upgrade takes newer versions'
	@echo 'make clean          removes all files that the other commands made'
	@echo 'make token USER=1   prints a token for an account, signed with the secret in HFT_TOKEN_SECRET or HFT_TOKEN_SECRET_ARN.'
	@echo '                    OPERATOR=1, with or without USER, adds the scope in HFT_TOKEN_OPERATOR_SCOPE'
	@echo 'make deploy         deploys a stage of .chalice/config.json to AWS: STAGE=dev'
	@echo 'make log-role       lets API Gateway write logs: once for each account and region, before the first deployment there'
	@echo 'make outputs        shows the URL of a deployed stage'
	@echo 'make destroy        deletes a stage, but not a protected one without FORCE=1'
	@echo 'make adopt          makes a new stack around the tables that a destroyed stage left'
	@echo 'make test-deployed  rehearses a deployment on an emulator of AWS on this machine'
	@echo 'make ops            lists the operator'"'"'s commands. STAGE=dev ARGS="assets list" runs one'
	@echo 'make audit          replays every account of STAGE=dev, or one with USER=1, and names the first difference in each'
	@echo 'Each command sets up .venv where necessary, with python3 or PYTHON=/path/to/python3 (3.11 or newer).'

run: export HFT_DATA = $(or $(DATA),$(HFT_DATA_FROM_SHELL))
run: export HFT_FEED = $(FEED)
run: port setup-local
	@exec .venv/bin/python -m gevent.monkey .venv/bin/chalice local --no-autoreload --host "$$HOST" --port "$$PORT"

# Some shells forbid Python to keep what it compiled. The tests start Python a hundred times: each time, it would compile all of it.
test check test-newest test-deployed fuzz: export PYTHONDONTWRITEBYTECODE =

# In one process more than there are cores, since tests wait, too; a second one costs more than it gains. What ARGS names runs in
# one process.
test: lint
	.venv/bin/pytest $(or $(ARGS),--numprocesses $$(.venv/bin/python -c 'import os; print(os.cpu_count() + 1)') --dist worksteal)

test-newest: setup
	@scripts/newest.sh $(ARGS)

ci: test test-newest test-deployed

# What needs no server, no store and no browser.
QUICK = tests/golden tests/unit/audit tests/unit/contract tests/unit/domain tests/unit/runtime tests/unit/test_imports.py \
	tests/unit/local/test_journal.py tests/unit/trading/test_account_cache.py tests/unit/trading/test_group_commit.py \
	tests/unit/trading/test_turn_taking.py \
	tests/client/test_amounts.py tests/client/test_exactly_once.py tests/client/test_journal.py

check: lint
	.venv/bin/pytest --quiet $(QUICK) $(ARGS)

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

# The Lambda package has the versions that the tests ran with.
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

# Every shell sets USER, which is not an account of the engine: only `make token USER=…` counts.
token: export USER =
token: OPERATOR =
token: setup-local
	@.venv/bin/python -m ops token $(if $(OPERATOR),--operator) $(if $(USER),"$$USER")

deploy: COMMAND = apply
adopt: COMMAND = adopt
outputs: COMMAND = outputs
log-role: COMMAND = log-role
destroy: COMMAND = destroy $(if $(FORCE),--force)
deploy adopt outputs log-role destroy: stage setup
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
