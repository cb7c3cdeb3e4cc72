# Two commands are enough: `make demo` and `make test`. `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SETUP := $(PYTHON) setup_environment.py

.DEFAULT_GOAL := help
.PHONY: help demo gameday test test-postgresql bench bench-quick setup run worker stream sim lint audit format typecheck screenshots soak lock clean

help:  ## Show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo:  ## Start simulator, web, worker and stream with the day of 6 November 2025 loaded
	@$(SETUP) run
	@exec $(BIN)/python manage.py demo

test:  ## Run the whole suite
	@$(SETUP) dev
	@$(BIN)/python -m pytest $(ARGS)

test-postgresql:  ## Run the suite, or PATHS="tests/orders …", on a PostgreSQL of its own
	@$(SETUP) dev
	@$(BIN)/python -m tests.on_postgresql $(ARGS) $(PATHS)

gameday:  ## Play fifteen failures against the running demo (ARGS="--no-wait --only 6")
	@$(SETUP) run
	@$(BIN)/python -m gameday $(ARGS)

bench:  ## Measure every row of docs/performance.md (ARGS="--postgresql --json FILE --picture FILE --only ROW")
	@$(SETUP) dev
	@$(BIN)/python -m benchmarks $(ARGS)

bench-quick:  ## The same with small sizes, to see whether it works
	@$(SETUP) dev
	@$(BIN)/python -m benchmarks --quick $(ARGS)

setup:  ## Install everything that development needs into .venv
	@$(SETUP) dev

run:  ## Start the web server alone (settings from the environment)
	@$(SETUP) run
	@exec $(BIN)/python manage.py web

worker:  ## Start the worker with its watchdog alone
	@$(SETUP) run
	@exec $(BIN)/python manage.py worker

stream:  ## Follow the stream of trade updates alone
	@$(SETUP) run
	@exec $(BIN)/python manage.py stream

sim:  ## Start the simulator alone
	@$(SETUP) run
	@exec $(BIN)/python manage.py alpacasim

lint: setup  ## Check style, types, imports, templates, migrations and deployment settings
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@git ls-files -z 'templates/*.html' '*/templates/*.html' | xargs -0 $(BIN)/djade --target-version 5.2 --check
	@$(MAKE) --no-print-directory typecheck
	@$(BIN)/lint-imports
	@$(BIN)/python -W error manage.py makemigrations --check --dry-run
	@SECRET_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(60))') \
		DEBUG=0 HTTPS=1 ALLOWED_HOSTS=example.test $(BIN)/python -W error manage.py check --deploy --fail-level WARNING

audit: setup  ## Look up every locked package in the public lists of vulnerabilities (needs the network)
	@$(BIN)/python audit_dependencies.py

format: setup  ## Format Python and templates
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
	@git ls-files -z 'templates/*.html' '*/templates/*.html' | xargs -0 $(BIN)/djade --target-version 5.2

typecheck: setup  ## Check types with mypy and django-stubs
	@$(BIN)/mypy .

screenshots: setup  ## Make the pictures of the README from a real demo
	@$(BIN)/python docs/make_screenshots.py

soak: setup  ## Drive the code through random days: MINUTES=10, or SEED=4711 [DAYS=3] [STEPS=1,2] to replay one
	@$(BIN)/python -m tests.soak --days $(or $(DAYS),3) $(if $(SEED),--seed $(SEED) --steps "$(STEPS)",--minutes $(or $(MINUTES),10))

lock: setup  ## Resolve requirements/*.in anew into the lock files, with hashes
	@for name in run dev installer; do \
		$(BIN)/uv pip compile --universal --upgrade --python-version 3.11 --generate-hashes --no-annotate \
			--no-header --quiet requirements/$$name.in -o requirements/$$name.txt; done
	@$(BIN)/uv pip compile --universal --no-deps --python-version 3.11 --generate-hashes --no-annotate \
		--no-header --quiet requirements/specification.in -o requirements/specification.txt

clean:  ## Remove the environment and caches, never the data in var/
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
