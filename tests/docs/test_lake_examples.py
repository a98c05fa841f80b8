"""The examples of reading lake tables, each run as it stands over a table that was just loaded.

Those for Spark are run in tests/spark, and that for Athena is not run: a parser of its dialect reads it.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
import sqlglot
from duckdb_extensions import import_extension

from tailrace.clock import SystemClock
from tailrace.landing import LocalStore
from tailrace.model.keys import KeyAttribute, KeySchema
from tailrace.targets.delta import DeltaTarget
from tailrace.targets.iceberg import IcebergTarget
from tailrace.targets.lake.location import Location
from tailrace.targets.parquet import ParquetTarget
from tailrace.targets.target import Mode, Target
from tailrace.testing.target_contract import Change, Replica

EXAMPLES = Path(__file__).parents[2] / "examples" / "lake"
MODELS = EXAMPLES.parent / "dbt" / "models"
KEYS = KeySchema(KeyAttribute("order_id", "S"))
ANSWER = [("open", 2), ("sent", 1)]


def change(position: int, key: str, status: str = "") -> Change:
    item = {"order_id": {"S": key}, **({"status": {"S": status}} if status else {})}
    return Change("u" if status else "d", item, position)


def loaded(target: Target, mode: Mode) -> None:
    replica = Replica(target, mode, KEYS)
    replica.apply((1, [change(1, "1"), change(2, "2", "open"), change(3, "3", "open"), change(4, "4", "open")]))
    replica.apply((2, [change(5, "2", "sent"), change(6, "5", "sent"), change(7, "1", "open"), change(8, "5")]))
    replica.apply((3, [change(9, "4")]))


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each kind of example is given: a folder, or a metadata file."""
    place, clock = tmp_path_factory.mktemp("lake"), SystemClock()
    files, delta = place / "files", place / "delta"
    loaded(ParquetTarget("lake", LocalStore(files), Location.local(files), clock), "changelog")
    loaded(DeltaTarget("lake", LocalStore(delta), Location.local(delta), clock), "current")
    properties = {"type": "sql", "uri": f"sqlite:///{place}/catalog.db", "warehouse": f"file://{place}/iceberg"}
    properties["py-io-impl"] = "pyiceberg.io.pyarrow.PyArrowFileIO"
    iceberg = IcebergTarget("lake", lambda: properties, ("lake",), str(place), clock)
    loaded(iceberg, "current")
    table = iceberg.lake.tables.load("orders")
    assert table is not None
    return {"parquet": f"{files}/orders/v1", "delta": f"{delta}/orders", "iceberg": table.metadata_location}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    settings = {
        "extension_directory": str(tmp_path_factory.mktemp("extensions")),
        "autoinstall_known_extensions": False,
    }
    with duckdb.connect(config=settings) as connection:  # type: ignore[arg-type]
        for name in ("avro", "iceberg", "delta"):
            import_extension(name, con=connection)
            connection.execute(f"LOAD {name}")
        yield connection


@pytest.mark.parametrize(
    "name",
    ["parquet_polars.py", "parquet_pyarrow.py", "delta_polars.py", "iceberg_polars.py", "iceberg_pyiceberg.py"],
)
def test_a_script_gives_the_answer(places: dict[str, str], name: str) -> None:
    command = [sys.executable, str(EXAMPLES / name), places[name.partition("_")[0]]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.split("\n") == [*(f"{status} {count}" for status, count in ANSWER), ""], done.stderr


@pytest.mark.parametrize("name", ["parquet_duckdb.sql", "delta_duckdb.sql", "iceberg_duckdb.sql"])
def test_a_statement_gives_the_answer(places: dict[str, str], engine: duckdb.DuckDBPyConnection, name: str) -> None:
    place = places[name.partition("_")[0]]
    text = (EXAMPLES / name).read_text().replace("FOLDER", place).replace("METADATA", place)
    assert engine.execute(text).fetchall() == ANSWER


def test_what_athena_is_asked_is_its_own_sql() -> None:
    statements = sqlglot.parse((EXAMPLES / "iceberg_athena.sql").read_text(), read="athena")
    assert [type(statement).__name__ for statement in statements] == ["Select", "Select"]


def test_the_models_of_dbt_give_the_answer(places: dict[str, str], engine: duckdb.DuckDBPyConnection) -> None:
    """With what dbt puts in for the names of sources and models."""
    [location] = re.findall(r'external_location: "(.*)"', (MODELS / "sources.yml").read_text())
    source = location.replace("{{ env_var('ORDERS') }}", places["parquet"])
    for name in ("orders", "orders_by_status"):
        text = (MODELS / f"{name}.sql").read_text()
        text = text.replace("{{ source('lake', 'orders') }}", source).replace("{{ ref('orders') }}", '"orders"')
        engine.execute(f'CREATE TEMP VIEW "{name}" AS {text}')
    assert engine.execute("FROM orders_by_status ORDER BY status").fetchall() == ANSWER
    assert engine.execute("FROM orders ORDER BY order_id").fetchall() == [("1", "open"), ("2", "sent"), ("3", "open")]


def test_every_example_is_in_the_list() -> None:
    listed = (EXAMPLES / "README.md").read_text()
    assert all(f"]({file.name})" in listed for file in EXAMPLES.iterdir() if file.name != "README.md")
