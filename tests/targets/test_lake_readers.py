"""What others see: DuckDB by its own readers, polars and pyarrow read our files and give what our own query gives."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pytest
from deltalake import DeltaTable

from tailrace.clock import SystemClock
from tailrace.landing import LocalStore
from tailrace.model.numbers import canonical_number
from tailrace.targets.delta import DeltaTarget
from tailrace.targets.lake.location import Location
from tailrace.targets.parquet import ParquetTarget
from tailrace.targets.target import Mode
from tailrace.testing.target_contract import EVERYTHING, EXTREMES, MODES, Replica, delete, put

MANY = {f"attribute_{n:04}": {"N": str(n)} for n in range(2000)}
SURPRISES = (  # new attributes, numbers that widen twice, a second type, names that differ by case, very many attributes
    (1, [put(1, n={"N": "5"}, Price={"N": "1"}), put(2, "b", price={"S": "x"}), put(3, "c", **EVERYTHING)]),
    (2, [put(4, n={"N": "1.25"}), put(5, "d", late={"BOOL": True}), delete(6, "b")]),
    (3, [put(7, "e", n={"N": "1E-130"}, Price={"S": "one"}), put(8, "f", **EXTREMES)]),
    (4, [put(9, "g", **MANY), put(10, "a", n={"S": "text"})]),
)


def shown(rows: list[dict[str, Any]]) -> list[str]:
    """Rows with their own columns in one spelling: numbers exact, bytes as hex, what is NULL left away."""
    return sorted(
        json.dumps(
            {n: _spelled(v) for n, v in row.items() if v is not None and not n.startswith("_tr_")}, sort_keys=True
        )
        for row in rows
    )


def _spelled(value: Any) -> Any:
    if isinstance(value, list):
        return [_spelled(member) for member in value]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return canonical_number(str(value))
    return value


def loaded(target: Any, mode: Mode) -> Replica:
    replica = Replica(target, mode)
    for segment in SURPRISES:
        replica.apply(segment)
    replica.check()
    return replica


# ---- Parquet


def by_duckdb(folder: Path) -> list[dict[str, Any]]:
    files = f"read_parquet('{folder}/**/*.parquet', union_by_name = true, hive_partitioning = true)"
    with duckdb.connect() as connection:
        return connection.execute(f"SELECT * EXCLUDE (dt, hr) FROM {files}").to_arrow_table().to_pylist()  # type: ignore[no-any-return]


def by_polars(folder: Path) -> list[dict[str, Any]]:
    newest = pl.scan_parquet(max(folder.rglob("*.parquet"), key=lambda file: file.name), hive_partitioning=False)
    rows = pl.scan_parquet(
        f"{folder}/**/*.parquet", schema=newest.collect_schema(), missing_columns="insert", hive_partitioning=False
    )
    return rows.collect().to_dicts()


def by_pyarrow(folder: Path) -> list[dict[str, Any]]:
    schema = pa.parquet.read_schema(max(folder.rglob("*.parquet"), key=lambda file: file.name))
    return pa.dataset.dataset(folder, schema=schema).to_table().to_pylist()  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> ParquetTarget:
    place = tmp_path_factory.mktemp("files")
    target = ParquetTarget("files", LocalStore(place), Location.local(place), SystemClock())
    loaded(target, "changelog")
    return target


def folder_of(target: Any) -> Path:
    return Path(target._location.path) / "orders"


@pytest.mark.parametrize("read", [by_duckdb, by_polars, by_pyarrow])
def test_a_folder_of_parquet_is_read_alike(files: ParquetTarget, read: Callable[[Path], list[dict[str, Any]]]) -> None:
    ours = files.query("SELECT * FROM orders").to_pylist()
    assert len(ours) == sum(len(changes) for _, changes in SURPRISES)
    assert shown(read(folder_of(files) / "v3")) == shown(ours)


def test_a_former_version_stays_as_it_was_for_who_reads_it(files: ParquetTarget) -> None:
    first = by_duckdb(folder_of(files) / "v1")
    assert len(first) == 3
    assert {type(row["n"]) for row in first if row["n"] is not None} == {int}


# ---- Delta


def delta_by_duckdb(folder: Path) -> list[dict[str, Any]]:
    """By DuckDB's own extension, out of its wheel, so that nothing is fetched."""
    spec = importlib.util.find_spec("duckdb_extension_delta")
    assert spec is not None
    assert spec.origin is not None
    [extension] = Path(spec.origin).parent.rglob("delta.duckdb_extension")
    with duckdb.connect() as connection:
        connection.execute(f"LOAD '{extension}'")
        return connection.execute(f"SELECT * FROM delta_scan('{folder}')").to_arrow_table().to_pylist()  # type: ignore[no-any-return]


def delta_by_polars(folder: Path) -> list[dict[str, Any]]:
    return pl.read_delta(str(folder)).to_dicts()


def delta_by_pyarrow(folder: Path) -> list[dict[str, Any]]:
    table = DeltaTable(folder)
    schema = pa.schema(table.schema().to_arrow())
    return pa.dataset.dataset(table.file_uris(), schema=schema).to_table().to_pylist()  # type: ignore[no-any-return]


@pytest.fixture(scope="module", params=MODES)
def delta(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> DeltaTarget:
    place = tmp_path_factory.mktemp("delta")
    target = DeltaTarget("lake", LocalStore(place), Location.local(place), SystemClock())
    loaded(target, request.param)
    return target


@pytest.mark.parametrize("read", [delta_by_duckdb, delta_by_polars, delta_by_pyarrow])
def test_a_delta_table_is_read_alike(delta: DeltaTarget, read: Callable[[Path], list[dict[str, Any]]]) -> None:
    ours = delta.query("SELECT * FROM orders").to_pylist()
    assert len(ours) > 5
    assert shown(read(folder_of(delta))) == shown(ours)
