"""Loading: changes into a table that is already large, against a bare DuckDB MERGE INTO of the same, ready-made columns.

    python benchmarks/load.py [--only 100k-into-1M] [--rounds 5] [--quick]

Cases are CHANGES-into-ROWS; a run does several such loads one after another, as a daemon does, and gives their sum: DuckDB
tidies its file after some of them, and a single load would be lucky or unlucky. ``bare merge`` gets folded changes, one per
key, as typed Arrow columns, and its table has nothing but the attributes; ``tailrace`` gets what decoding gives, repeated
keys included, and does everything from there to the closed file. ``step`` is `Loader.step` from gzip'd segments, decoding
included, for information. Keys are random text, updates hit all of the table. Both write with one thread, which is DuckDB's
fastest on one core. Files are made once, in ``results/tmp``; every run works on fresh copies.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

import harness
from tailrace.clock import SystemClock
from tailrace.codec.tables import decoded_schema
from tailrace.jobs.load import Loader
from tailrace.landing import Landing, SegmentDraft
from tailrace.landing.local import LocalStore
from tailrace.model.keys import KeyAttribute, KeySchema
from tailrace.model.manifest import Incarnation, Manifest
from tailrace.model.positions import SequenceNumber
from tailrace.model.schema import AttributeSeen, NumberRange, Seen
from tailrace.model.segments import Segment, ShardRange
from tailrace.targets.duckdb import DuckDbTarget
from tailrace.targets.target import Load, LoadedSegment, TableSpec

SCRATCH = harness.RESULTS / "tmp" / "load"
CHUNK_ROWS = 250_000  # rows of one load while a file is made
SIZES = {"1M": 1_000_000, "10M": 10_000_000}
COUNTS = {"500": 500, "100k": 100_000}
LOADS = {"500": 10, "100k": 4}  # in one run
SEGMENT_ROWS = 10_000  # records in one segment of ``step``
TABLE = TableSpec("orders", "orders", "current", KeySchema(KeyAttribute("order_id", "S")), "bench")

INT = NumberRange(True, 9, 0)
SEEN_TAGS: dict[tuple[str, Any], NumberRange | None] = {
    ("address", "M"): None,
    ("created_at", "S"): None,
    ("customer_id", "S"): None,
    ("items", "N"): INT,
    ("note", "S"): None,
    ("order_id", "S"): None,
    ("paid", "BOOL"): None,
    ("status", "S"): None,
    ("tags", "SS"): None,
    ("total", "N"): NumberRange(False, 5, 2),
}
SEEN: Seen = {column: AttributeSeen(1, numbers) for column, numbers in SEEN_TAGS.items()}
SCHEMA = decoded_schema(SEEN)
ATTRIBUTES = [name for name, _ in SEEN_TAGS]

BARE = (
    "order_id VARCHAR, customer_id VARCHAR, status VARCHAR, total DECIMAL(38,2), items BIGINT, created_at VARCHAR,"
    " address JSON, tags VARCHAR[], paid BOOLEAN, note VARCHAR"
)

# An item is a function of its number and a version. Its key is random text, so no zone map finds it.
ITEM = """
    md5(n::VARCHAR) AS order_id, 'CUST#' || lpad((hash(n, v, 1) % 100000000)::VARCHAR, 8, '0') AS customer_id,
        ['new', 'paid', 'packed', 'shipped', 'returned'][1 + (hash(n, v, 2) % 5)::INT] AS status,
        ((hash(n, v, 3) % 10000000)::BIGINT / 100)::DECIMAL(38,2) AS total, (hash(n, v, 4) % 40)::BIGINT AS items,
        strftime(make_timestamp(1770000000000000 + (hash(n, v, 5) % 25920000000000)::BIGINT), '%Y-%m-%dT%H:%M:%S.%f')
            AS created_at,
        '{"city":"Zürich","street":"' || (hash(n, v, 6) % 1000000)::VARCHAR || ' Weir Lane","zip":"'
            || (hash(n, v, 7) % 100000)::VARCHAR || '"}' AS address,
        ['t' || (hash(n, v, 8) % 50)::VARCHAR, 'u' || (hash(n, v, 9) % 50)::VARCHAR] AS tags,
        hash(n, v, 10) % 2 = 0 AS paid,
        CASE WHEN hash(n, v, 11) % 3 = 0 THEN repeat('note ', (hash(n, v, 12) % 12)::INT) END AS note
"""


def items(numbers: str, version: int) -> pa.Table:
    """Items `numbers` (SQL giving n, op and line) in one version, in line order."""
    sql = f"SELECT op, line, {ITEM} FROM (SELECT *, {version} AS v FROM ({numbers})) ORDER BY line"
    with duckdb.connect() as connection:
        return connection.execute(sql).to_arrow_table()


def decoded(rows: pa.Table, first_position: int) -> pa.Table:
    """The same as a decoder gives it; a delete holds its key only."""
    deleted = pc.equal(rows["op"], "d")
    arrays: list[Any] = [rows["op"], pa.array([1_790_000_000_000_000] * len(rows), pa.int64())]
    arrays.append(pa.array([f"0001|1|{first_position + line:040d}" for line in range(len(rows))]))
    arrays.append(pa.nulls(len(rows), pa.bool_()))
    for field in list(SCHEMA)[4:]:
        values = rows[field.name].cast(field.type)
        arrays.append(values if field.name == "order_id" else pc.if_else(deleted, pa.scalar(None, field.type), values))
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def load(number: int, changes: pa.Table) -> Load:
    segment = Segment(number, f"changes/{number}", "stream", len(changes), 1, "0" * 64, 1)
    return Load(TABLE, 1, [LoadedSegment(segment, len(changes), 0)], changes, SEEN, 1_790_000_000_000)


def target(path: Path) -> DuckDbTarget:
    return DuckDbTarget("bench", path, SystemClock())


def changes_of(count: int, size: int, load: int) -> pa.Table:
    """Of the changes of one load 70 % update and 10 % delete random keys, 20 % insert new ones: (line, op, item)."""
    return items(
        f"SELECT line, CASE WHEN r < 70 THEN 'u' WHEN r < 80 THEN 'd' ELSE 'c' END AS op,"
        f" CASE WHEN r < 80 THEN (hash(line, 5, {load}) % {size})::BIGINT ELSE {size + load * count} + line END AS n"
        f" FROM (SELECT range AS line, hash(range, 77, {load}) % 100 AS r FROM range({count}))",
        version=load + 1,
    )


def make_files(size_name: str) -> None:
    """The table of this size, once as Tailrace loads it and once bare. A file gets its name when it is complete."""
    size = SIZES[size_name]
    ours, bare = SCRATCH / f"ours-{size_name}.duckdb", SCRATCH / f"bare-{size_name}.duckdb"
    if ours.exists() and bare.exists():
        return
    SCRATCH.mkdir(parents=True, exist_ok=True)
    making = SCRATCH / "making-ours.duckdb", SCRATCH / "making-bare.duckdb"
    for path in making:
        path.unlink(missing_ok=True)
    with duckdb.connect(str(making[1])) as connection:
        connection.execute(f"CREATE TABLE orders ({BARE})")
    for number, start in enumerate(range(0, size, CHUNK_ROWS), 1):
        end = min(size, start + CHUNK_ROWS)
        rows = items(f"SELECT range AS line, range AS n, 'c' AS op FROM range({start}, {end})", version=0)
        target(making[0]).apply(load(number, decoded(rows, start)))
        with duckdb.connect(str(making[1])) as connection:
            connection.register("incoming", rows.drop_columns(["op", "line"]))
            connection.execute("INSERT INTO orders BY NAME SELECT * FROM incoming")
        harness.progress(f"making files: {end:,} of {size:,} rows")
    making[0].rename(ours)
    making[1].rename(bare)


@dataclass(frozen=True)
class Case:
    """Fresh files and the changes of each load, as each tool takes them."""

    ours: Path
    bare: Path
    first_number: int
    changes: list[pa.Table]
    folded: list[pa.Table]
    landing: Path


class Cases(Mapping[str, Case]):
    """Cases by name. Looking one up makes fresh copies of its files, before the clock starts."""

    names = tuple(f"{count}-into-{size}" for size in SIZES for count in COUNTS)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, name: str) -> Case:
        count, _, size = name.partition("-into-")
        copies = []
        for kind in ("ours", "bare"):
            copies.append(SCRATCH / f"run-{kind}.duckdb")
            shutil.copyfile(SCRATCH / f"{kind}-{size}.duckdb", copies[-1])
            Path(f"{copies[-1]}.wal").unlink(missing_ok=True)
        tables = [changes_of(COUNTS[count], SIZES[size], n) for n in range(LOADS[count])]
        changes = [decoded(rows, SIZES[size] + n * COUNTS[count]) for n, rows in enumerate(tables)]
        first_number = SIZES[size] // CHUNK_ROWS + 1
        landing = SCRATCH / f"landing-{name}"
        if "step" in sys.argv and not landing.exists():
            land(changes[0], landing, first_number)
        return Case(copies[0], copies[1], first_number, changes, [folded(rows) for rows in tables], landing)


def folded(rows: pa.Table) -> pa.Table:
    """The last change of each key."""
    with duckdb.connect() as connection:
        connection.register("rows", rows)
        sql = "SELECT * EXCLUDE line FROM rows QUALIFY row_number() OVER (PARTITION BY order_id ORDER BY line DESC) = 1"
        return connection.execute(sql).to_arrow_table()


def land(changes: pa.Table, folder: Path, first_number: int) -> None:
    """Publish the changes of one load as segments."""
    making = folder.with_name("making-landing")
    shutil.rmtree(making, ignore_errors=True)
    landing = Landing(LocalStore(making), "orders")
    incarnation = Incarnation("1", "eu-west-1", TABLE.source, TABLE.incarnation, "arn:s", "NEW_IMAGE", TABLE.keys)
    segments = []
    for number, start in enumerate(range(0, len(changes), SEGMENT_ROWS), first_number):
        rows = changes.slice(start, SEGMENT_ROWS).to_pylist()
        first, last = (SequenceNumber(int(row["_tr_pos"][7:])) for row in (rows[0], rows[-1]))
        lines = [line(row) for row in rows]
        draft = SegmentDraft("stream", lines, first, last, 1, {"shard-1": ShardRange(first, last, len(lines))}, 1)
        segments.append(landing.write_segment(draft).entry(number, 1, 1))
    manifest = Manifest(incarnation, segments=tuple(segments), next_number=first_number + len(segments))
    landing.save(manifest, None, "bench")
    making.rename(folder)


def line(row: Mapping[str, Any]) -> bytes:
    """A decoded row as the record that it came from."""
    metadata = {
        "WriteTimestampMicros": {"N": str(row["_tr_ts"])},
        "SequenceNumber": {"S": row["_tr_pos"][7:].lstrip("0")},
        "EventName": {"S": {"c": "INSERT", "u": "MODIFY", "d": "REMOVE"}[row["_tr_op"]]},
    }
    record: dict[str, Any] = {"Metadata": metadata, "Keys": {"order_id": {"S": row["order_id"]}}}
    if row["_tr_op"] != "d":
        record["NewImage"] = {name: typed(tag, row[name]) for name, tag in SEEN if row[name] is not None}
    return json.dumps(record, separators=(",", ":")).encode()


def typed(tag: str, value: Any) -> dict[str, Any]:
    if tag == "M":
        return {tag: {name: {"S": text} for name, text in json.loads(value).items()}}
    return {tag: str(value) if tag == "N" else value}


def tailrace(case: Case) -> dict[str, Any]:
    for number, changes in enumerate(case.changes, case.first_number):
        target(case.ours).apply(load(number, changes))
    return {"loads": len(case.changes)}


def bare_merge(case: Case) -> dict[str, Any]:
    values = ", ".join(f"{name} = i.{name}" for name in ATTRIBUTES)
    for rows in case.folded:
        with duckdb.connect(str(case.bare), config={"threads": 1}) as connection:
            connection.register("incoming", rows)
            connection.execute(
                "MERGE INTO orders AS o USING incoming AS i ON o.order_id = i.order_id"
                " WHEN MATCHED AND i.op = 'd' THEN DELETE"
                f" WHEN MATCHED THEN UPDATE SET {values}"
                f" WHEN NOT MATCHED AND i.op <> 'd' THEN INSERT ({', '.join(ATTRIBUTES)})"
                f" VALUES ({', '.join(f'i.{name}' for name in ATTRIBUTES)})"
            )
    return {"loads": len(case.folded)}


def step(case: Case) -> dict[str, Any]:
    landing = Landing(LocalStore(case.landing), "orders")
    report = Loader(landing, target(case.ours), "orders", "current", SystemClock()).step()
    return {"loads": report.loads, "rows": report.rows}


TOOLS = {"bare merge": bare_merge, "tailrace": tailrace, "step": step}

if __name__ == "__main__":
    if harness.QUICK:
        SIZES.pop("10M")
        Cases.names = tuple(name for name in Cases.names if name.endswith("1M"))
    if "--one" not in sys.argv:
        for size_name in SIZES:
            make_files(size_name)
    harness.main(
        "load", TOOLS, Cases(), baseline="bare merge", skip=lambda tool, case: tool == "step" and case != "100k-into-1M"
    )
