"""Loading into Redshift's stand-in: 200,000 changes into 2,000,000 rows, against the bare COPY and merge of the same files.

    python benchmarks/redshift.py [--rounds 5] [--rows 2000000] [--changes 200000] [--quick]

``tailrace`` begins with gzip'd segments in the embedded S3 and ends with the committed load, as a daemon does one after
another: manifest and state read, segments fetched and decoded, folded, written as Parquet and a manifest to S3, COPY,
order key and tombstones, delete, insert, ledger, staging removed. ``bare`` begins with those very Parquet files already on
S3 (folded, typed, one row a key): it makes a staging table, and in one transaction COPY, DELETE of the staged keys, INSERT
of what is no delete, and drops the staging table. Its table has nothing but the attributes, and it forgets that an older
change may come later.
``bare, in order`` keeps the order key, too, and lets a staged row go that is not newer.

All run through the stand-in's Data API, ``tailrace driver`` by redshift_connector. Each has a table of its own that was filled
alike; they take turns, and every table is vacuumed before its turn. CPU is that of all processes together (ours, the
embedded AWS, PostgreSQL), which other work on the machine disturbs least; the stand-in's own COPY is Python, not Redshift.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

import harness
import load
from tailrace.aws import Aws, AwsSettings
from tailrace.clock import SystemClock
from tailrace.decide.load import LoadLimits
from tailrace.jobs.load import Loader, LoadReport, table_spec
from tailrace.landing import Landing, SegmentDraft, open_store
from tailrace.local.client import LocalAws
from tailrace.model.manifest import Incarnation, Manifest
from tailrace.model.positions import SequenceNumber
from tailrace.model.segments import ShardRange
from tailrace.pipeline import READERS
from tailrace.targets.redshift import DataApiConnection, Staging, Warehouse, redshift_target
from tailrace.targets.redshift.connector import ConnectorConnection
from tailrace.targets.redshift.credentials import Credentials, Login
from tailrace.targets.target import Ledger
from tailrace.targets.warehouse.connection import Connection

ROLE = "arn:aws:iam::111122223333:role/RedshiftCopy"
SEED_ROWS = 1_000  # loaded by Tailrace, which makes its tables so; the rest is filled by SQL
FILL_ROWS = 250_000
SEGMENT_ROWS = 10_000
LIMITS = LoadLimits(rows=1_000_000, bytes=1 << 30)  # so that it is one load, as COPY is one
WAIT_SECONDS = 3600.0
SETTLE_SECONDS = 1.0  # until a server process whose session is over has been waited for, and so is counted
BARE, ORDERED = "bare", "bare, in order"
TABLES = {BARE: "bare", ORDERED: "bare_ordered", "tailrace": "orders", "tailrace driver": "orders_driver"}
OURS = ("tailrace", "tailrace driver")
META = {
    "_tr_op": "'c'",
    "_tr_ts": "1790000000000000",
    "_tr_pos": "'0001|1|' || lpad(n::VARCHAR, 40, '0')",
    "_tr_loaded_at": "TIMESTAMP '2026-11-24 05:00:00'",
}
ADDED = {BARE: {}, ORDERED: {"pos": META["_tr_pos"]}, **dict.fromkeys(OURS, META)}  # beside the attributes

ITEM = """
    md5(n::VARCHAR) AS order_id, 'CUST#' || lpad((n % 99999989)::VARCHAR, 8, '0') AS customer_id,
    CASE n % 3 WHEN 0 THEN 'new' WHEN 1 THEN 'packed' ELSE 'returned' END AS status,
    CAST((n % 10000000) / 100.0 AS DECIMAL(38, 2)) AS total, n % 40 AS items, '2026-02-03T04:05:06.789012' AS created_at,
    JSON_PARSE('{"city":"Zürich","street":"' || (n % 1000000)::VARCHAR || ' Weir Lane","zip":"' || (n % 100000)::VARCHAR || '"}')
        AS address, JSON_PARSE('["t' || (n % 50)::VARCHAR || '","u7"]') AS tags, n % 2 = 0 AS paid,
    CASE WHEN n % 3 = 0 THEN repeat('note ', (n % 12)::INTEGER) END AS note
"""


class Abort(Exception):
    """The staged rows are known; nothing else is to be done."""


class Site:
    """The embedded AWS with one warehouse, its tables, and a landing zone for each of ours."""

    def __init__(self, aws: LocalAws, rows: int, changes: int) -> None:
        self.aws, self.rows, self.changes = aws, rows, changes
        os.environ.update(aws.env())
        self.clients = Aws(AwsSettings(region="us-east-1", endpoint_url=aws.endpoint_url))
        self.s3, self.data = self.clients.client("s3"), self.clients.client("redshift-data", read_seconds=120)
        self.s3.create_bucket(Bucket="lake")
        self.staging = Staging(self.s3, "s3://lake/staging", ROLE)
        self.api = DataApiConnection(
            self.data, Warehouse("dev", "bench"), self.staging, SystemClock(), wait_seconds=WAIT_SECONDS
        )
        login = Credentials(lambda: Login("bench", "none"), SystemClock())
        self.driver = ConnectorConnection(*aws.redshift("bench"), "dev", login, self.staging, WAIT_SECONDS)
        store = open_store("s3://lake/landing", self.s3, Path())
        self.landings = {name: Landing(store, name) for name in ("orders", "orders_driver")}
        self.loaders = {tool: self.loader(tool) for tool in OURS}

    def connection(self, tool: str) -> Connection:
        return self.driver if tool.endswith("driver") else self.api

    def fill(self, tools: Sequence[str]) -> None:
        """Every table with the same rows."""
        seed = load.items(f"SELECT range AS line, range AS n, 'c' AS op FROM range({SEED_ROWS})", version=0)
        self.publish(load.decoded(seed, 1))
        for loader in self.loaders.values():
            loader.step()
        attributes = "order_id VARCHAR(65535), customer_id VARCHAR(65535), status VARCHAR(65535), total DECIMAL(38, 2),"
        attributes += (
            " items BIGINT, created_at VARCHAR(65535), address SUPER, tags SUPER, paid BOOLEAN, note VARCHAR(65535)"
        )
        keys = " DISTSTYLE KEY DISTKEY (order_id) SORTKEY (order_id)"
        self.api.transaction([f"CREATE TABLE bare ({attributes}){keys}"])
        self.api.transaction([f"CREATE TABLE bare_ordered ({attributes}, pos VARCHAR(64)){keys}"])
        names = ", ".join(load.ATTRIBUTES)
        self.api.transaction([f"INSERT INTO bare ({names}) SELECT {names} FROM orders"])
        self.api.transaction([f"INSERT INTO bare_ordered ({names}, pos) SELECT {names}, _tr_pos FROM orders"])
        for tool in tools:
            table, meta = TABLES[tool], ADDED[tool]
            into = ", ".join([names, *meta])
            for start in range(SEED_ROWS, self.rows, FILL_ROWS):
                end = min(start + FILL_ROWS, self.rows) - 1
                values = ", ".join([names, *meta.values()])
                source = f"(SELECT n, {ITEM} FROM generate_series({start}, {end}) AS g(n)) x"
                self.api.transaction([f"INSERT INTO {table} ({into}) SELECT {values} FROM {source}"])
                harness.progress(f"filling {table}: {end + 1:,} of {self.rows:,}")

    def publish(self, changes: pa.Table) -> None:
        """Land the changes for every table of ours."""
        for name, landing in self.landings.items():
            before = landing.load()
            incarnation = Incarnation("1", "us-east-1", name, "bench", "arn:s", "NEW_IMAGE", load.TABLE.keys)
            manifest = Manifest(incarnation) if before is None else before.manifest
            entries = []
            for start in range(0, len(changes), SEGMENT_ROWS):
                rows = changes.slice(start, SEGMENT_ROWS).to_pylist()
                first, last = (SequenceNumber(int(row["_tr_pos"][7:])) for row in (rows[0], rows[-1]))
                lines = [load.line(row) for row in rows]
                shards = {"shard-1": ShardRange(first, last, len(lines))}
                written = landing.write_segment(SegmentDraft("stream", lines, first, last, 1, shards, 1))
                entries.append(written.entry(manifest.next_number + len(entries), 1, 1))
            segments = (*manifest.segments, *entries)
            grown = replace(manifest, segments=segments, next_number=manifest.next_number + len(entries))
            landing.save(grown, before, "bench")

    def loader(self, tool: str, connection: Connection | None = None) -> Loader:
        target = redshift_target("dwh", connection or self.connection(tool), "public", SystemClock())
        return Loader(
            self.landings[TABLES[tool]], target, TABLES[tool], "current", SystemClock(), LIMITS, threads=READERS
        )

    def staged(self) -> tuple[pa.Table, list[str]]:
        """What Tailrace stages of the published changes, and the statements that make its staging table."""
        peek = Peek(self.api)
        with suppress(Abort):
            self.loader("tailrace", peek).step()
        assert peek.shown is not None
        return peek.shown, peek.create

    def ledger(self) -> Ledger:
        published = self.landings["orders"].load()
        assert published is not None
        return redshift_target("dwh", self.api, "public", SystemClock()).ledger(
            table_spec(published.manifest, "orders", "current")
        )

    def vacuum(self, table: str) -> None:
        self.api.rows(f"VACUUM {table}")

    def count(self, table: str) -> tuple[int, Any]:
        [(count, total)] = self.api.rows(f"SELECT count(*), sum(total) FROM {table}")
        return count, total


class Peek:
    """A connection that shows what would be staged."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.shown: pa.Table | None = None
        self.create: list[str] = []

    def opened(self, budget: Any = None) -> Any:
        return nullcontext()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def stage(self, create: Sequence[str], table: str, rows: pa.Table, name: str = "") -> None:
        self.shown, self.create = rows, list(create)
        raise Abort


def by_hand(site: Site, tool: str, rows: pa.Table, create: Sequence[str]) -> list[str]:
    """The statements that a person would write, over files that are there already."""
    table, pos = TABLES[tool], ["pos"] if tool == ORDERED else []
    columns = [column.name for column in site.ledger().columns]
    key = f"c{columns.index('order_id')}"
    values = [f"JSON_PARSE(s.c{n})" if name in ("address", "tags") else f"s.c{n}" for n, name in enumerate(columns)]
    older = f"DELETE FROM by_hand USING {table} WHERE {table}.order_id = by_hand.{key} AND {table}.pos >= by_hand.pos"
    return [
        f"CREATE TABLE by_hand ({create[-1].split(' (', 1)[1]}",
        f"COPY by_hand FROM '{site.staging.put(f'bare/{table}', rows)}' IAM_ROLE '{ROLE}' FORMAT AS PARQUET MANIFEST",
        *([older] if pos else []),
        f"DELETE FROM {table} USING by_hand s WHERE {table}.order_id = s.{key}",
        (
            f"INSERT INTO {table} ({', '.join(columns + pos)})"
            f" SELECT {', '.join(values + [f's.{name}' for name in pos])} FROM by_hand s WHERE s.op <> 'd'"
        ),
        "DROP TABLE by_hand",
    ]


# ---- measuring


def cpu_of_all() -> float:
    """CPU seconds of this process and of all that it started, those that have ended and were waited for included."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(path.parent.name)] = int(fields[1])
        ticks[int(path.parent.name)] = sum(map(int, fields[11:15]))
    family, size = {os.getpid()}, 0
    while len(family) > size:
        size = len(family)
        family |= {process for process, parent in parents.items() if parent in family}
    return sum(ticks.get(process, 0) for process in family) / os.sysconf("SC_CLK_TCK")


def timed(job: Callable[[], Any]) -> harness.Measured:
    own, cpu, wall = time.process_time(), cpu_of_all(), time.perf_counter()
    job()
    wall, own = time.perf_counter() - wall, time.process_time() - own
    time.sleep(SETTLE_SECONDS)
    cpu = cpu_of_all() - cpu
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return harness.Measured(cpu, wall, rss, {"own_cpu": round(own, 2)})


def one_round(site: Site, number: int, results: dict[str, list[harness.Measured]], order: Sequence[str]) -> None:
    first = site.rows + number * site.changes
    site.publish(load.decoded(load.changes_of(site.changes, site.rows, number + 1), first))
    rows, create = site.staged()
    for tool in order:
        harness.progress(f"redshift: round {number + 1}, {tool}")
        site.vacuum(TABLES[tool])
        if tool in (BARE, ORDERED):
            statements = by_hand(site, tool, rows, create)
            results[tool].append(timed(lambda: site.api.transaction(statements)))  # noqa: B023
        else:
            loader = site.loaders[tool]
            results[tool].append(timed(lambda: check(loader.step())))  # noqa: B023


def check(report: LoadReport) -> None:
    assert report.loads == 1, report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=harness.ROUNDS)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--changes", type=int, default=200_000)
    parser.add_argument(
        "--quick", action="store_true", help="20,000 changes into 200,000 rows, one round; writes no result"
    )
    parser.add_argument("--tools", nargs="*", default=list(TABLES), choices=list(TABLES))
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds, arguments.rows, arguments.changes = 1, 200_000, 20_000
    started = f"load {os.getloadavg()[0]:.1f} at the start"
    results: dict[str, list[harness.Measured]] = {tool: [] for tool in arguments.tools}
    with LocalAws() as aws:
        site = Site(aws, arguments.rows, arguments.changes)
        site.fill(arguments.tools)
        for number in range(arguments.rounds):
            one_round(site, number, results, arguments.tools[:: 1 if number % 2 else -1])
        counts = {tool: site.count(TABLES[tool]) for tool in arguments.tools}
    harness.progress("")
    assert len(set(counts.values())) == 1, counts  # nobody is fast by being wrong
    where = f"{harness.environment()} {started}, {os.getloadavg()[0]:.1f} at the end. CPU of all processes together."
    case = f"{arguments.changes:,} into {arguments.rows:,}"
    text = harness.table("redshift", where, {case: results}, BARE, None)
    print(text)
    for figure in ("cpu_s", "wall_s"):
        base = harness.median(results[BARE], figure)
        print(figure, {tool: round(harness.median(runs, figure) / base, 2) for tool, runs in results.items()})
    if not arguments.quick:
        harness.write("redshift", where, {case: results}, text)


if __name__ == "__main__":
    main()
