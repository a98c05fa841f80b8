# Two commands for a newcomer: `make demo` and `make test`. Both set up what they need first, in .venv.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: help setup demo demo-exports test setup-spark setup-rest test-spark spark-base explore check lint types rust format bench kill faults lake lake-glue lake-rest golden backfill chains sim sim-long fuzz deploy-check lock clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: .venv/ready  ## create .venv with everything pinned, and the native core where Rust is at hand

.venv/ready: requirements/dev.txt pyproject.toml scripts/setup $(shell find core -name '*.rs' -o -name 'Cargo.*' -o -name pyproject.toml 2>/dev/null | grep -v /target/)
	@PYTHON="$(PYTHON)" scripts/setup
	@touch $@

demo: setup  ## a live DynamoDB table streams into DuckDB, verified, without an account
	@$(BIN)/tailrace demo

demo-exports: setup  ## the same by PITR exports: a full export and six windows on a clock that is moved
	@$(BIN)/tailrace demo --mode exports --items 7000

test: setup  ## all tests that CI runs, those of Spark beside them where it is installed
	@if [ -d .venv/lib/python3*/site-packages/pyspark ]; then $(BIN)/python -m pytest -q tests/spark; fi
	@$(BIN)/python -m pytest -n 3 --dist loadfile --ignore tests/spark

setup-spark: setup  ## Spark beside it, 350 MB; from then on `make test` runs what needs it, with Java 17
	@$(BIN)/pip install -q --require-hashes -r requirements/spark.txt
	@scripts/jars spark .venv/jars

test-spark: setup-spark  ## only what runs on Spark
	@$(BIN)/python -m pytest tests/spark

spark-base: setup-spark  ## long: a base by one process and by local Spark into equal tables, memory of each (ROWS=1000000 LOSE=--lose-executor)
	@$(BIN)/python tests/spark/base_load.py --rows $(or $(ROWS),1000000) $(LOSE)

check: lint types rust  ## everything CI checks beside the tests

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: setup
	@$(BIN)/mypy

rust: setup  ## format, lints and tests of the native core; says so where there is no Rust
	@scripts/check-rust

format: setup  ## write the house format
	@$(BIN)/ruff check --fix-only -q . ; $(BIN)/ruff format -q .
	@command -v cargo >/dev/null 2>&1 && cargo fmt --manifest-path core/Cargo.toml || true

bench: setup  ## compare with real alternatives on this machine; results in benchmarks/results
	@$(BIN)/pip install -q --require-hashes -r requirements/bench.txt
	@PYTHON=$(BIN)/python benchmarks/run $(BENCH)

kill: setup  ## long: kill -9 a running pipeline a thousand times under faults, comparing all (KILLS=1000 LANDING=s3://lake/kill)
	@$(BIN)/python tests/processes/kill_loop.py --kills $(or $(KILLS),1000) --landing $(or $(LANDING),file:./landing)

faults: setup  ## long: every fault at every call and every statement of loads into the Redshift stand-in
	@FAULTS=all $(BIN)/python -m pytest -q tests/targets/test_redshift_faults.py

setup-rest: setup  ## Iceberg's own REST catalog beside it, 82 MB; from then on `make test` runs what needs it, with Java 17
	@scripts/jars rest .venv/jars/rest

lake: setup  ## long: the whole target contract for Iceberg, Delta and Parquet on S3 of the embedded AWS; readers who poll 200 loads
	@LAKES_ON=s3 $(BIN)/python -m pytest -q tests/targets/test_iceberg.py tests/targets/test_delta.py::TestDelta tests/targets/test_parquet.py::TestParquet
	@LOADS=200 $(BIN)/python -m pytest -q tests/targets/test_lake_readers.py -k polls

lake-glue: setup  ## long: the same for Iceberg with its catalog in Glue of the embedded AWS
	@LAKES_ON=glue $(BIN)/python -m pytest -q tests/targets/test_iceberg.py

lake-rest: setup-rest  ## long: the same with Iceberg's own REST catalog
	@LAKES_ON=rest $(BIN)/python -m pytest -q tests/targets/test_iceberg.py

golden: setup  ## write the golden files of SQL statements anew
	@GOLDEN=write $(BIN)/python -m pytest -q tests/targets/test_statements.py -k golden

backfill: setup  ## long: a million items in ticks of 20 seconds, while they change (ITEMS=1000000)
	@$(BIN)/python tests/processes/backfill_loop.py --items $(or $(ITEMS),1000000)

chains: setup  ## long: a base of 500,000 items by both deployed chains, in links of seconds, while they change (ITEMS=500000)
	@PYTHONPATH=tests/local $(BIN)/python tests/deploy/chain_loop.py --items $(or $(ITEMS),500000)

sim: setup  ## 20,000 simulated histories under faults (SEEDS=0:20000 JOBS=2)
	@$(BIN)/python -m tailrace.testing.sim --seeds $(or $(SEEDS),0:20000) --jobs $(or $(JOBS),2)

sim-long: setup  ## long: a million of them
	@$(BIN)/python -m tailrace.testing.sim --seeds $(or $(SEEDS),0:1000000) --jobs $(or $(JOBS),2)

fuzz: setup  ## long: damaged files for the decoder and the readers, each for so long (SECONDS=3600 SEED=0)
	@$(BIN)/python tests/fuzz/fuzz.py all --seconds $(or $(SECONDS),3600) --seed $(or $(SEED),0)

deploy-check: setup  ## rendered deployments through cfn-lint, SAM, the CDK and a parser of HCL; needs node
	@scripts/deploy-check

lock:  ## resolve requirements/*.in anew (needs uv)
	uv pip compile -q --generate-hashes --no-header --python-version 3.11 --universal requirements/dev.in -o requirements/dev.txt
	uv pip compile -q --generate-hashes --no-header --python-version 3.11 --universal requirements/bench.in -o requirements/bench.txt
	uv pip compile -q --generate-hashes --no-header --python-version 3.11 --universal requirements/deploy.in -o requirements/deploy.txt
	uv pip compile -q --generate-hashes --no-header --python-version 3.11 --universal requirements/spark.in -o requirements/spark.txt

clean:
	rm -rf .venv .venv-deploy core/target dist build demo .mypy_cache .pytest_cache .ruff_cache .hypothesis
