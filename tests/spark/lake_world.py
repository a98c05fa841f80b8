"""Iceberg tables that Spark and one process load out of one landing zone."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

from spark_world import World

from tailrace.clock import Budget, ManualClock
from tailrace.jobs.load import Loader, LoadReport, table_spec
from tailrace.pipeline import SPREAD_LIMITS
from tailrace.runtimes.spark.loads import SparkLoads
from tailrace.targets.iceberg import FILE_IO, IcebergTarget
from tailrace.targets.target import Mode
from tailrace.testing.digests import TableDigest, table_digest
from tailrace.testing.target_contract import delete, put


class Lake:
    """A table in a catalog of its own, loaded by Spark, by one process, or by both."""

    def __init__(
        self, world: World, name: str, mode: Mode, spark: Any, range_bytes: int = 6_000, machine: str = ""
    ) -> None:
        self.world = world
        self.mode: Mode = mode
        self.clock = ManualClock()
        self.folder = world.folder / name
        self.target = open_lake(self.folder, self.clock, machine)
        self.engine = SparkLoads(spark, self.target, world.site, part_bytes=1, range_bytes=range_bytes)
        self.spec = table_spec(world.manifest, "orders", mode)

    def load(self, by_spark: bool) -> LoadReport:
        engine = self.engine if by_spark else None
        loader = Loader(self.world.landing, self.target, "orders", self.mode, self.clock, SPREAD_LIMITS, engine=engine)
        return loader.tick(Budget(self.clock))

    @property
    def digest(self) -> TableDigest:
        return table_digest(self.target.ledger(self.spec).columns, self.target.rows(self.spec))

    @property
    def engines(self) -> list[str]:
        """Who made each snapshot of the table, oldest first."""
        table = self.target.lake.tables.load("orders")
        assert table is not None
        snapshots = sorted(table.metadata.snapshots, key=lambda s: s.sequence_number)
        notes = (s.summary.additional_properties for s in snapshots if s.summary is not None)
        return [note["tailrace.engine"] for note in notes if "tailrace.engine" in note]

    def files(self) -> set[str]:
        """All data files on disk."""
        return {path.name for path in self.folder.rglob("*.parquet")}

    def listed_files(self) -> set[str]:
        """Those that a snapshot of any branch refers to."""
        table = self.target.lake.tables.load("orders")
        assert table is not None
        paths = (
            entry.data_file.file_path
            for snapshot in table.metadata.snapshots
            for manifest in snapshot.manifests(table.io)
            for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=False)
        )
        return {Path(path).name for path in paths}

    def everything(self) -> list[str]:
        """All rows, dead ones too, with all metadata."""
        columns = {c.name: f"{c.attribute}|{c.tag}" for c in self.target.ledger(self.spec).columns}
        rows = self.target.query('SELECT * FROM "orders"').to_pylist()
        return sorted(repr(sorted((columns.get(n, n), v) for n, v in row.items() if v is not None)) for row in rows)


def open_lake(folder: Path, clock: ManualClock, machine: str) -> IcebergTarget:
    """With another `machine` no lock within this process is shared."""
    folder.mkdir(parents=True, exist_ok=True)
    properties = {
        "type": "sql",
        "uri": f"sqlite:///{folder}/catalog.db",
        "warehouse": f"file://{folder}/warehouse",
        "py-io-impl": FILE_IO,
    }
    return IcebergTarget("lake", lambda: properties, ("lake",), f"{folder}{machine}", clock)


def publish_history(world: World, random: Random, first: int, count: int) -> None:
    """Segments of changes of 150 keys, some of them to be late, some attributes new or wider."""
    position = first
    for number in range(count):
        changes = []
        for _ in range(60):
            position += random.randint(1, 5)
            key = f"k{random.randrange(150):03}"
            if random.random() < 0.3:
                changes.append(delete(position, key, expired=random.random() < 0.5))
            else:
                value = random.choice([{"N": str(position)}, {"N": f"{position}.25"}, {"S": f"text {position}"}])
                changes.append(put(position, key, v=value, **{f"a{number}": {"NS": ["1", str(position)]}}))
        world.publish(changes, kind="stream")
