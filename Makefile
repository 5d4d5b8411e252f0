# Everything sets itself up from requirements.lock: Python 3.11+, make and git are enough.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: demo test chaos fuzz soak mutants lint bench lock clean

$(VENV)/.ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

## Plan, apply and plan again: the example manifests against the embedded CRM, then against another vendor's.
demo: $(VENV)/.ready
	$(BIN)/crmctl sandbox reset
	$(BIN)/crmctl plan
	$(BIN)/crmctl apply --auto-approve
	$(BIN)/crmctl plan --detailed-exitcode
	$(BIN)/crmctl sandbox reset --db .crmctl/thena.db
	$(BIN)/crmctl plan --target support
	$(BIN)/crmctl apply --target support --auto-approve
	$(BIN)/crmctl plan --target support --detailed-exitcode

## The whole suite, its coverage gate, and the house rules.
test: $(VENV)/.ready lint
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n auto --dist worksteal
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --fail-under=90
	$(BIN)/coverage report --fail-under=100 --include='$(PURE)'

# The pure stages: every branch of them runs in the suite.
PURE := crmctl/answers.py,crmctl/batching.py,crmctl/canary.py,crmctl/capability.py,crmctl/conflict.py,crmctl/describe.py,crmctl/desired.py,crmctl/diff.py,crmctl/document.py,crmctl/errors.py,crmctl/found.py,crmctl/history.py,crmctl/halving.py,crmctl/identity.py,crmctl/judge.py,crmctl/kinds.py,crmctl/limits.py,crmctl/memory.py,crmctl/narrowing.py,crmctl/origin.py,crmctl/outcome.py,crmctl/pace.py,crmctl/parser.py,crmctl/plan.py,crmctl/ratelimit.py,crmctl/redact.py,crmctl/resource.py,crmctl/retry.py,crmctl/saved.py,crmctl/schema.py,crmctl/syntax.py,crmctl/undo.py,crmctl/values.py,crmctl/verification.py,crmctl/window.py,crmctl/wording.py,crmctl/reports/*

## Every fault at every request, kill -9 at every point, several applies at once: all that `make test` takes a sample of.
chaos: $(VENV)/.ready
	CHAOS=all $(BIN)/python -m pytest $(CHAOS_TESTS)

CHAOS_TESTS := tests/test_chaos.py tests/test_kill.py tests/test_together.py tests/test_crash.py tests/test_crash_kinds.py \
  tests/test_stateful.py

## Thousands of inputs and answers that are nearly right, and the largest there may be.
fuzz: $(VENV)/.ready
	CHAOS=all $(BIN)/python -m pytest tests/test_fuzz.py tests/test_sizes.py

## Half an hour of applies with edits in between; SOAK_MINUTES shortens it.
soak: $(VENV)/.ready
	$(BIN)/python tests/soak.py

## Switch off one guard at a time, in a copy, and show which test notices.
mutants: $(VENV)/.ready
	$(BIN)/python tests/mutations.py

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

## Seconds, requests and memory of each stage, as ratios to its floor and to the obvious stack.
bench: $(VENV)/.ready
	$(BIN)/python benchmarks/run.py

## Resolve the dependencies anew (needs uv); the result carries hashes and no address.
lock:
	uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --upgrade \
	  --generate-hashes --no-emit-index-url --no-annotate --custom-compile-command "make lock" -o requirements.lock

clean:
	rm -rf $(VENV) .crmctl .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist
