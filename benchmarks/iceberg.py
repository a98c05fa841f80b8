"""Loading into Iceberg: changes into a table that is already large, against other ways to bring them into a lake.

    python benchmarks/iceberg.py [--only 100k-string] [--rounds 3] [--quick]

Cases: 10,000 or 100,000 changes (70 % updates, 20 % inserts, 10 % deletes) of random keys into 1,000,000 rows, by a text key
and by a composite one; and 10,000 changes of neighbouring keys into 1,000,000 and 10,000,000 rows. ``tailrace`` gets what
decoding gives, repeated keys included, keeps an order key and deletes, and ends with the commit. The others get ready-made
columns, folded to one change per key, in tables that have no other column: ``deltalake`` its MERGE with all three branches;
``overwrite`` pyiceberg's overwrite of the whole table with what DuckDB joins; ``upsert`` pyiceberg's own, without the
deletes, which it cannot do. Of 100,000 composite keys that makes one filter and dies of a segmentation fault: "failed" in
the table. Tables are made once, in ``results/tmp``; every run works on a fresh copy, made before the clock starts.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.catalog import Catalog, load_catalog

import harness
from tailrace.clock import SystemClock
from tailrace.codec.tables import decoded_schema
from tailrace.model.keys import KeyAttribute, KeySchema
from tailrace.model.schema import AttributeSeen, NumberRange, Seen
from tailrace.model.segments import Segment
from tailrace.targets.iceberg import IcebergTarget
from tailrace.targets.target import Load, LoadedSegment, TableSpec

SCRATCH = (harness.RESULTS / "tmp" / "iceberg").absolute()
CHUNK_ROWS = 250_000  # rows of one load while a table is made
ATTRIBUTES = ("customer_id", "items", "pk", "sk", "status", "total")
SEEN: Seen = {
    ("customer_id", "S"): AttributeSeen(1),
    ("items", "N"): AttributeSeen(1, NumberRange(True, 9, 0)),
    ("pk", "S"): AttributeSeen(1),
    ("sk", "S"): AttributeSeen(1),
    ("status", "S"): AttributeSeen(1),
    ("total", "N"): AttributeSeen(1, NumberRange(False, 5, 2)),
}
SCHEMA = decoded_schema(SEEN)
COUNTS = {"10k": 10_000, "100k": 100_000}
SIZES = {"1M": 1_000_000, "10M": 10_000_000}

# An item is a function of its number and a version. Of a random key no bounds tell where it lies; others are in order.
KEYS = {
    "string": "md5(n::VARCHAR) AS pk, (n % 1000)::VARCHAR AS sk",
    "composite": "'CUST#' || lpad((hash(n, 1) % 100000)::VARCHAR, 6, '0') AS pk, 'ORDER#' || md5(n::VARCHAR) AS sk",
    "clustered": "'ORDER#' || lpad(n::VARCHAR, 12, '0') AS pk, (n % 1000)::VARCHAR AS sk",
}
ITEM = """'CUST#' || lpad((hash(n, v, 1) % 100000000)::VARCHAR, 8, '0') AS customer_id, (hash(n, v, 4) % 40)::BIGINT AS items,
    ['new', 'paid', 'packed', 'shipped', 'returned'][1 + (hash(n, v, 2) % 5)::INT] AS status,
    ((hash(n, v, 3) % 10000000)::BIGINT / 100)::DECIMAL(38,2) AS total"""


def key_names(kind: str) -> list[str]:
    return ["pk", "sk"] if kind == "composite" else ["pk"]


def spec(kind: str) -> TableSpec:
    parts = [KeyAttribute(name, "S") for name in key_names(kind)]
    return TableSpec("orders", "orders", "current", KeySchema(*parts), "bench")


def items(kind: str, numbers: str, version: int) -> pa.Table:
    """Items `numbers` (SQL giving n, op and line) in one version, in line order."""
    sql = f"SELECT op, line, {KEYS[kind]}, {ITEM} FROM (SELECT *, {version} AS v FROM ({numbers})) ORDER BY line"
    with duckdb.connect() as connection:
        return connection.execute(sql).to_arrow_table()


def changes_of(kind: str, count: int, size: int) -> pa.Table:
    """What a stream brings: (line, op, item)."""
    chosen = f"{size} // 2 + line" if kind == "clustered" else f"(hash(line, 5) % {size})::BIGINT"
    return items(
        kind,
        f"SELECT line, CASE WHEN r < 70 THEN 'u' WHEN r < 80 THEN 'd' ELSE 'c' END AS op,"
        f" CASE WHEN r < 80 THEN {chosen} ELSE {size} + line END AS n"
        f" FROM (SELECT range AS line, hash(range, 77) % 100 AS r FROM range({count}))",
        version=1,
    )


def load(kind: str, number: int, rows: pa.Table, first_position: int) -> Load:
    """The same as a decoder gives it; a delete holds its key only."""
    deleted = pc.equal(rows["op"], "d")
    arrays: list[Any] = [rows["op"], pa.array([1_790_000_000_000_000] * len(rows), pa.int64())]
    arrays.append(pa.array([f"0001|1|{first_position + line:040d}" for line in range(len(rows))]))
    arrays.append(pa.nulls(len(rows), pa.bool_()))
    for field in list(SCHEMA)[4:]:
        values = rows[field.name].cast(field.type)
        is_key = field.name in key_names(kind)
        arrays.append(values if is_key else pc.if_else(deleted, pa.scalar(None, field.type), values))
    changes = pa.Table.from_arrays(arrays, schema=SCHEMA)
    segment = Segment(number, f"changes/{number}", "stream", len(changes), 1, "0" * 64, 1)
    return Load(spec(kind), 1, [LoadedSegment(segment, len(changes), 0)], changes, SEEN, 1_790_000_000_000)


def properties(place: Path) -> dict[str, str]:
    return {
        "type": "sql",
        "uri": f"sqlite:///{place}/catalog.db",
        "warehouse": f"file://{place}/warehouse",
        "py-io-impl": "pyiceberg.io.pyarrow.PyArrowFileIO",
    }


def catalog(place: Path) -> Catalog:
    return load_catalog("default", **properties(place))


def target(place: Path) -> IcebergTarget:
    return IcebergTarget("bench", lambda: properties(place), ("lake",), str(place), SystemClock())


# ---- tables, made once where they are used, because their paths are written into them, and kept aside


def chunks(kind: str, size: int) -> Iterator[tuple[int, pa.Table]]:
    for start in range(0, size, CHUNK_ROWS):
        yield (
            start,
            items(kind, f"SELECT range AS line, range AS n, 'c' AS op FROM range({start}, {start + CHUNK_ROWS})", 0),
        )


def make_ours(place: Path, kind: str, size: int) -> None:
    for number, (start, rows) in enumerate(chunks(kind, size), 1):
        target(place).apply(load(kind, number, rows, start))


def make_plain(place: Path, kind: str, size: int) -> None:
    rows = pa.concat_tables([rows.drop_columns(["op", "line"]) for _, rows in chunks(kind, size)])
    held = catalog(place)
    held.create_namespace("lake")
    held.create_table("lake.orders", rows.schema).append(rows)


def make_delta(place: Path, kind: str, size: int) -> None:
    import deltalake

    for _, rows in chunks(kind, size):
        deltalake.write_deltalake(str(place), rows.drop_columns(["op", "line"]), mode="append")


MAKERS: dict[str, Callable[[Path, str, int], None]] = {"ours": make_ours, "plain": make_plain, "delta": make_delta}


def table_for(maker: str, kind: str, size_name: str) -> Path:
    """A fresh copy. Files that nobody changes are linked, not copied."""
    place = SCRATCH / f"{maker}-{kind}-{size_name}"
    kept = place.with_name(f"kept-{place.name}")
    if not kept.exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        MAKERS[maker](place, kind, SIZES[size_name])
        place.rename(kept)
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(kept, place, copy_function=lambda a, b: shutil.copy(a, b) if a.endswith(".db") else os.link(a, b))
    return place


@dataclass(frozen=True)
class Case:
    kind: str
    size: str
    changes: pa.Table

    @property
    def folded(self) -> pa.Table:
        """The last change of each key."""
        with duckdb.connect() as connection:
            connection.register("rows", self.changes)
            key = ", ".join(key_names(self.kind))
            last = f"QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY line DESC) = 1"
            return connection.execute(f"SELECT * EXCLUDE line FROM rows {last}").to_arrow_table()


class Cases(Mapping[str, Case]):
    names = ("10k-string-1M", "100k-string-1M", "100k-composite-1M", "10k-clustered-1M", "10k-clustered-10M")

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, name: str) -> Case:
        count, kind, size = name.split("-")
        return Case(kind, size, changes_of(kind, COUNTS[count], SIZES[size]))


def counted(rows: int) -> dict[str, Any]:
    return {"rows": rows}


@harness.prepares
def tailrace(case: Case) -> harness.Job:
    place = table_for("ours", case.kind, case.size)
    made, into = load(case.kind, 10_000, case.changes, 10**9), target(place)
    into.ledger(made.table)  # the catalog is open, as in a daemon

    def job() -> Callable[[], dict[str, Any]]:
        into.apply(made)
        return lambda: counted(into.ledger(made.table).rows)

    return job


@harness.prepares
def merge(case: Case) -> harness.Job:
    import deltalake

    place, rows = table_for("delta", case.kind, case.size), case.folded
    on = " AND ".join(f"t.{name} = s.{name}" for name in key_names(case.kind))

    def job() -> Callable[[], dict[str, Any]]:
        table = deltalake.DeltaTable(str(place))
        (
            table.merge(rows, on, source_alias="s", target_alias="t")
            .when_matched_delete("s.op = 'd'")
            .when_matched_update({name: f"s.{name}" for name in ATTRIBUTES}, "s.op <> 'd'")
            .when_not_matched_insert({name: f"s.{name}" for name in ATTRIBUTES}, "s.op <> 'd'")
            .execute()
        )
        return lambda: counted(deltalake.DeltaTable(str(place)).count())

    return job


@harness.prepares
def overwrite(case: Case) -> harness.Job:
    place, rows = table_for("plain", case.kind, case.size), case.folded
    held, key = catalog(place), ", ".join(key_names(case.kind))

    def job() -> Callable[[], dict[str, Any]]:
        table = held.load_table("lake.orders")
        with duckdb.connect() as connection:
            connection.register("held", table.scan().to_arrow())
            connection.register("rows", rows)
            names = ", ".join(table.schema().column_names)
            whole = connection.execute(
                f"SELECT {names} FROM held ANTI JOIN rows USING ({key}) UNION ALL SELECT {names} FROM rows WHERE op <> 'd'"
            ).to_arrow_table()
        table.overwrite(whole)
        return lambda: counted(held.load_table("lake.orders").scan().count())

    return job


@harness.prepares
def upsert(case: Case) -> harness.Job:
    place = table_for("plain", case.kind, case.size)
    rows = case.folded.filter(pc.field("op") != "d").drop_columns(["op"])
    held = catalog(place)

    def job() -> Callable[[], dict[str, Any]]:
        held.load_table("lake.orders").upsert(rows, join_cols=key_names(case.kind))
        return lambda: counted(held.load_table("lake.orders").scan().count())

    return job


TOOLS = {"tailrace": tailrace, "deltalake": merge, "overwrite": overwrite, "upsert": upsert}


def skipped(tool: str, case: str) -> bool:
    """pyiceberg's upsert is measured by random keys; ten million rows are for the tools that need not hold them."""
    return (tool == "upsert" and "clustered" in case) or (tool == "overwrite" and case.endswith("10M"))


if __name__ == "__main__":
    if harness.QUICK:
        Cases.names = ("10k-string-1M", "100k-string-1M")
    if "--one" not in sys.argv:
        SCRATCH.mkdir(parents=True, exist_ok=True)
    harness.main(
        "iceberg",
        TOOLS,
        Cases(),
        baseline="deltalake",
        rounds=3,
        pinned=False,
        skip=skipped,
        once=lambda tool, case: tool == "upsert" and case.startswith("100k"),
    )
