# Two commands to begin with: `make demo` and `make test`. `make help` lists the others.
.DEFAULT_GOAL := help
.PHONY: install-dev $(shell sed -n 's/^\([a-z-]*\):.*\#\# .*/\1/p' Makefile)

PYTHON ?=
EXTRAS ?=
CATALOG ?=
ARGS ?=
SIZE ?=
BESIDE ?=
ROUNDS ?=
PROMETHEUS ?=
STARTED := $(shell date +%s)
export PYTHON
# A night starts a dozen processes: each would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

help: ## list these commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

install: ## make .venv with the locked packages and the `recjobs` command (EXTRAS="gpu tracing" for more)
	@sh local/install.sh requirements.txt $(EXTRAS:%=requirements-%.txt)
	@$(MAKE) --no-print-directory catalogs/.schema.json

# what editors complete and check catalog files by
catalogs/.schema.json: $(wildcard recjobs/catalog/*.py) recjobs/core/recipe.py recjobs/core/source_formats.py recjobs/cli/serving.py requirements.txt
	@if [ -w catalogs ]; then .venv/bin/python -m recjobs schema >$@.part && mv $@.part $@; fi

install-dev:
	@sh local/install.sh requirements.txt requirements-dev.txt $(EXTRAS:%=requirements-%.txt)

demo: install ## a night on real transactions, through Airflow, into a browser (CATALOG=sample for a generated shop)
	@.venv/bin/python -m local demo --since $(STARTED) $(if $(CATALOG),--catalog $(CATALOG))

up: install ## start Postgres, Airflow and the web app in the background
	@.venv/bin/python -m local up

down: install ## stop what `make up` and `make demo` started
	@.venv/bin/python -m local down

status: install ## what runs where
	@.venv/bin/python -m recjobs status

mlflow: install ## open MLflow's UI on the same store
	@.venv/bin/python -m local mlflow

airflow: install ## Airflow's own command line, as in ARGS="dags list-import-errors"
	@.venv/bin/python -m local airflow $(ARGS)

PROFILE ?= dev

compose-up: ## the whole platform in containers, with the sample's first night (PROFILE=dev, test or prod)
	@sh docker/compose.sh up $(PROFILE)

compose-down: ## stop the containers; their volumes stay
	@sh docker/compose.sh down

# Files in their order, which ends with the unit tests: sorted by their number of tests, the longest tests came last.
test: install-dev ## all tests, as many at once as there are cores, with coverage
	@.venv/bin/coverage erase
	@.venv/bin/coverage run -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)
	@.venv/bin/coverage combine --quiet
	@.venv/bin/coverage report

coverage: install-dev ## what the last `make test` covered, as coverage.xml and htmlcov/index.html
	@.venv/bin/coverage xml --quiet
	@.venv/bin/coverage html --quiet

soak: export RECJOBS_SOAK := 1
soak: install-dev ## the tests that count, at full counts, one after the other (hours; ARGS=FILE for some)
	@.venv/bin/python -m pytest -m soak $(ARGS)

check: install-dev ## lint, format, types, architecture
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports
	@.venv/bin/python -m tests.landed_migrations

screenshots: install-dev ## take README's pictures of a platform of their own, by Chromium (CATALOG=sample)
	@CATALOG=$(CATALOG) .venv/bin/python -m tests.screenshots

scan: install-dev ## scan Dockerfiles, workflows, YAML, shell and licences, with planted faults (ARGS="zizmor --sarif FILE")
	@sh scanners/install.sh
	@.venv-scan/bin/python -m scanners $(ARGS)

fmt: install-dev ## format all code, and fix what the linter can fix
	@.venv/bin/ruff check --fix-only --quiet .
	@.venv/bin/ruff format .

precommit: install-dev ## the quick checks that git runs at every commit, over all files
	@.venv/bin/pre-commit run --all-files

clean: ## remove caches and what was built; keeps .venv, .local and data
	@rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage .coverage.* coverage.xml htmlcov build *.egg-info
	@find . \( -path ./.venv -o -path ./.local -o -path ./data \) -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +

lock: ## lock the newest versions that fit into requirements*.txt (needs uv)
	@for name in requirements $$(ls requirements-*.in | sed 's/[.]in$$//'); do \
	    echo "locking $$name.txt ..."; \
	    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --custom-compile-command "make lock" $(ARGS) $$name.in -o $$name.txt || exit; \
	done

images: ## build the images without a container engine: buildah and debootstrap, as root (ARGS="webapp")
	@sh docker/build.sh $(ARGS)

smoke: install ## smoke test and golden queries of a deployment (BASE_URL, CATALOG, COMMIT, BATCH, WAIT; API_KEY by environment)
	@.venv/bin/python -m acceptance smoke $(ARGS)

load: install ## load test with stages and thresholds (BASE_URL, CATALOG, USERS, PLAN; API_KEY by environment)
	@.venv/bin/python -m acceptance load $(ARGS)

traffic: install ## steady traffic, so that boards move, until Ctrl-C (BASE_URL, CATALOG, USERS, RATE, SECONDS)
	@.venv/bin/python -m acceptance traffic $(ARGS)

canary-check: install ## may the canary be promoted? 0 or 1, by the queries of its analysis (PROMETHEUS=http://...)
	@.venv/bin/python k8s/canary_check.py $(PROMETHEUS) $(ARGS)

prometheus-rules: install ## write k8s/ objects of grafana's rules and dashboards
	@.venv/bin/python k8s/from_grafana.py

BESIDE_ARGS = $(if $(BESIDE),--beside $(BESIDE)) $(if $(ROUNDS),--rounds $(ROUNDS))

bench: install ## stages of a night against floors and peers, then whole nights beside two peers' (SIZE=200k, 2m, 20m; BESIDE=COMMIT ROUNDS=8)
	@.venv/bin/python -m benchmarks $(if $(SIZE),--size $(SIZE)) $(BESIDE_ARGS) $(ARGS)

bench-plan: install ## `recjobs plan` against what a night then takes: rows, memory, seconds, disk (SIZE="200k 2m 20m")
	@.venv/bin/python -m benchmarks.plan $(SIZE:%=--size %) $(ARGS)

bench-airflow: install ## what a night costs more under Airflow than by one command, a task (SIZE=sample, 200k, 2m)
	@.venv/bin/python -m benchmarks.through_airflow $(if $(SIZE),--size $(SIZE)) $(ARGS)

bench-validate: install ## validate at 20 million rows: time against a floor, and memory (ARGS=--shapes: folders and CSV against a plain file)
	@.venv/bin/python -m benchmarks.validate $(ARGS)

bench-warm: install ## iterations that a cold and a warm start need
	@.venv/bin/python -m benchmarks.warm_start $(ARGS)

bench-dates: install ## the second stage against simpler lists at six dates of online_retail (ARGS="--timeout 15m": a search's recipe)
	@.venv/bin/python -m benchmarks.dates $(ARGS)

bench-evaluate: install ## evaluate sets without times, tuned for 15 minutes each, against a fixed blend (BESIDE=COMMIT)
	@.venv/bin/python -m benchmarks.evaluate $(if $(BESIDE),--beside $(BESIDE)) $(ARGS)

bench-search: install ## searches by processor time: recipes judged and best value (BESIDE=COMMIT ARGS="--seconds 240")
	@.venv/bin/python -m benchmarks.search $(if $(BESIDE),--beside $(BESIDE)) $(ARGS)

bench-gate: install ## sabotaged candidates, honest retrains and equal models before the gate
	@.venv/bin/python -m benchmarks.gate $(ARGS)

bench-kernels: install ## whole nights with two kernels of OpenBLAS: the same verdict, nearly all lists equal
	@.venv/bin/python -m benchmarks.kernels $(ARGS)

bench-copy: install ## lists into Postgres by 1, 2 and 4 COPYs at once
	@.venv/bin/python -m benchmarks.copying $(ARGS)

bench-spark: install ## a night on Spark, by one worker and by two, beside the same night here (SIZE="2m 20m")
	@.venv/bin/python -m benchmarks.on_spark $(SIZE:%=--size %) $(ARGS)

bench-user-sample: install ## NDCG by item factors of a half, a tenth and a hundredth of the users (SIZE="2m 20m")
	@.venv/bin/python -m benchmarks.user_sample $(SIZE:%=--size %) $(ARGS)

bench-new-items: install ## new items by title and category: against chance and popularity, and in whole lists
	@.venv/bin/python -m benchmarks.new_items $(ARGS)

bench-restore: install ## a back-up and its restore onto an empty machine (SIZE="200k 2m 20m")
	@.venv/bin/python -m benchmarks.restore $(if $(SIZE),--size $(SIZE)) $(ARGS)

bench-serve: install ## serving a million lists against pgbench and scoring on request, or BESIDE=COMMIT (3 GB in .local/bench-serve)
	@.venv/bin/python -m benchmarks.serve $(BESIDE_ARGS) $(ARGS)
