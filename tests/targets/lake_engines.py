"""Tables of each lake, loaded through what surprises a schema, and the engines by which others read them."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import iceberg_place
import polars as pl
import pyarrow as pa
import pyarrow.dataset
from deltalake import DeltaTable
from lake_place import location_of, store_of

from tailrace.clock import SystemClock
from tailrace.model.numbers import canonical_number
from tailrace.targets.delta import DeltaTarget
from tailrace.targets.parquet import ParquetTarget
from tailrace.targets.target import Mode, Target
from tailrace.testing.strategies import HOSTILE_NAMES
from tailrace.testing.target_contract import EVERYTHING, EXTREMES, HISTORY, MODES, Change, Replica, delete, put

Loads = Sequence[tuple[int, Sequence[Change]]]
Rows = list[dict[str, Any]]

ONE: Mapping[str, Any] = {"N": "1"}
TEXT: Mapping[str, Any] = {"S": "x"}
# Pairs that are one name for whoever ignores case: by ASCII, beyond it, by capitals only (ſ, ı, µ, ς), in two letters (İ).
ALIKE = (
    *("Price", "price", "PRICE", "Straße", "STRASSE", "É", "é", "Ǆ", "ǅ", "ǆ", "\u212a", "k", "K", "ſ", "s", "S"),
    *("ı", "i", "İ", "I", "\u00b5", "\u03bc", "\u039c", "ς", "σ", "Σ", "ﬁ", "FI"),
)
SURPRISES: Mapping[str, Loads] = {
    "every mode": (*HISTORY, (6, [put(60, "all", **EVERYTHING), put(61, "most", **EXTREMES), delete(62, "b")])),
    "a new attribute": (
        (1, [put(1), put(2, "b")]),
        (2, [put(3, late={"BOOL": True}), put(4, "c", later={"SS": ["x"]})]),
    ),
    "whole numbers, then decimals, then text": (
        (1, [put(1, n={"N": "5"}, s={"NS": ["1"]}), put(2, "b", n={"N": "9223372036854775807"})]),
        (2, [put(3, n={"N": "1.25"}, s={"NS": ["0.5"]}), put(4, "c", n={"N": "-0.000000000000000001"})]),
        (3, [put(5, "d", n={"N": "1E-130"}, s={"NS": ["1E125", "2"]}), put(6, n={"N": "9.9E125"})]),
    ),
    "types in conflict": (
        (1, [put(1, n={"N": "5"}), put(2, "b", n={"S": "x"}), put(3, "c", n={"M": {"n": {"N": "1.50"}}})]),
        (2, [put(4, n={"B": "AP8A"}), put(5, "d", n={"NULL": True}), put(6, "e", n={"BS": ["AA==", ""]})]),
        (3, [put(7, "b", n={"N": "0.1"}), put(8, "f", n={"NS": ["1.5"]}), put(9, "g", n={"L": []}, x={"M": {}})]),
    ),
    "names that differ by case": (
        (1, [put(1, **dict.fromkeys(ALIKE[::2], ONE)), put(2, "b", Price={"N": "2"}, PK={"S": "x"})]),
        (2, [put(3, "c", **dict.fromkeys(ALIKE[1::2], ONE)), put(4, "d", price={"N": "2.5"}, DT=ONE, Hr=ONE)]),
    ),
    "hostile names": (
        (1, [put(1, **dict.fromkeys([*HOSTILE_NAMES, "list"], TEXT))]),
        (2, [put(2, "b", **dict.fromkeys(["a,b;{}()=", "x.element", "list.element", "\r", "a__", "-", "1"], ONE))]),
    ),
    "2,000 attributes": (
        (1, [put(1, x0={"N": "1"})]),
        (2, [put(2, "b", **{f"x{n}": {"N": str(n)} for n in range(2000)})]),
        (3, [put(3, "c", x1={"N": "0.5"}, x1999={"S": "x"}), delete(4)]),
    ),
}


@dataclass(frozen=True)
class Case:
    """A lake's table and what it goes through."""

    kind: str
    mode: Mode
    surprise: str

    def __str__(self) -> str:
        return f"{self.kind}-{self.mode}-{self.surprise}"


MODES_OF: Mapping[str, Sequence[Mode]] = {"iceberg": MODES, "delta": MODES, "parquet": ("changelog",)}
CASES = [
    Case(kind, mode, surprise)
    for kind, modes in MODES_OF.items()
    for surprise in SURPRISES
    for mode in (modes if surprise == "every mode" else modes[:1])
]


@dataclass(frozen=True)
class Lake:
    """A loaded table. `rows`: as our own query gives them, which was compared with the history in plain Python."""

    kind: str
    place: Path
    rows: list[str]

    @property
    def folder(self) -> Path:
        """Of Delta: the table's; of Parquet: its newest version's."""
        folder = self.place / "orders"
        return folder if self.kind == "delta" else max(folder.glob("v*"), key=lambda version: int(version.name[1:]))


def open_lake(kind: str, place: Path) -> Target:
    if kind == "iceberg":
        return iceberg_place.open_target(place)
    return {"delta": DeltaTarget, "parquet": ParquetTarget}[kind](
        "lake", store_of(place), location_of(place), SystemClock()
    )


def loaded(case: Case, place: Path) -> Lake:
    """The table with all loads of the case in it."""
    replica = Replica(open_lake(case.kind, place), case.mode)
    for segment in SURPRISES[case.surprise]:
        replica.apply(segment)
    replica.check()
    rows = replica.target.query("SELECT * FROM orders").to_pylist()
    assert len(rows) > 1
    return Lake(case.kind, place, shown(rows))


def shown(rows: Rows) -> list[str]:
    """Rows in one spelling, what is NULL left away: numbers exact, bytes as hex, moments in UTC."""
    return sorted(repr(sorted((n, _spelled(v)) for n, v in row.items() if v is not None)) for row in rows)


def _spelled(value: Any) -> Any:
    if isinstance(value, list):
        return [_spelled(member) for member in value]
    if isinstance(value, bytes | bytearray):
        return f"bytes {value.hex()}"
    if isinstance(value, datetime):
        return (value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)).isoformat()
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return f"number {canonical_number(str(value))}"
    return value


# ---- engines


@functools.cache
def _extension(name: str) -> str:
    """DuckDB's own extension, out of its wheel, so that nothing is fetched."""
    spec = importlib.util.find_spec(f"duckdb_extension_{name}")
    assert spec is not None
    assert spec.origin is not None
    [found] = Path(spec.origin).parent.rglob(f"{name}.duckdb_extension")
    return str(found)


def by_duckdb(lake: Lake) -> Rows:
    scans: Mapping[str, tuple[tuple[str, ...], Callable[[], str]]] = {
        "iceberg": (
            ("avro", "iceberg"),
            lambda: f"iceberg_scan('{iceberg_place.orders(lake.place).metadata_location}')",
        ),
        "delta": (("delta",), lambda: f"delta_scan('{lake.folder}')"),
        "parquet": ((), lambda: f"read_parquet('{lake.folder}/**/*.parquet', union_by_name = true)"),
    }
    extensions, scan = scans[lake.kind]
    with duckdb.connect(config={"autoinstall_known_extensions": False}) as connection:
        for name in extensions:
            connection.execute(f"LOAD '{_extension(name)}'")
        columns = "* EXCLUDE (dt, hr)" if lake.kind == "parquet" else "*"
        return connection.execute(f"SELECT {columns} FROM {scan()}").to_arrow_table().to_pylist()  # type: ignore[no-any-return]


def by_polars(lake: Lake) -> Rows:
    if lake.kind == "iceberg":
        return pl.scan_iceberg(iceberg_place.orders(lake.place)).collect().to_dicts()
    if lake.kind == "delta":
        return pl.read_delta(str(lake.folder)).to_dicts()
    newest = pl.scan_parquet(_newest(lake), hive_partitioning=False).collect_schema()
    files = f"{lake.folder}/**/*.parquet"
    rows = pl.scan_parquet(files, schema=newest, missing_columns="insert", hive_partitioning=False)
    return rows.collect().to_dicts()


def by_pyarrow(lake: Lake) -> Rows:
    """Iceberg by pyiceberg, which is pyarrow with Iceberg's rules; Delta with its log read by deltalake."""
    if lake.kind == "iceberg":
        return iceberg_place.orders(lake.place).scan().to_arrow().to_pylist()  # type: ignore[no-any-return]
    if lake.kind == "delta":
        table = DeltaTable(lake.folder)
        files: Any = table.file_uris()
        schema = pa.schema(table.schema().to_arrow())
    else:
        files, schema = lake.folder, pa.parquet.read_schema(_newest(lake))
    return pa.dataset.dataset(files, schema=schema).to_table().to_pylist()  # type: ignore[no-any-return]


def _newest(lake: Lake) -> Path:
    """The file with all columns."""
    return max(lake.folder.rglob("*.parquet"), key=lambda file: file.name)


def by_spark(spark: Any, lake: Lake) -> Rows:
    """With the jars of Iceberg and Delta for their tables."""
    if lake.kind == "iceberg":
        frame = spark.read.format("iceberg").load(iceberg_place.orders(lake.place).metadata_location)
    elif lake.kind == "delta":
        frame = spark.read.format("delta").load(str(lake.folder))
    else:
        frame = spark.read.option("mergeSchema", True).parquet(str(lake.folder)).drop("dt", "hr")
    in_zone = {field.name for field in frame.schema.fields if field.dataType.typeName() == "timestamp"}
    return [
        {name: _in_utc(value) if name in in_zone else value for name, value in row.asDict().items()}
        for row in frame.collect()
    ]


def _in_utc(moment: datetime | None) -> datetime | None:
    """PySpark gives moments in this process's own zone."""
    return None if moment is None else moment.astimezone(UTC)
