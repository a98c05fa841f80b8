"""Loads on Spark into Iceberg: the same table as one process makes, whoever goes on with it."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
from spark_world import World

from tailrace.clock import Budget, ManualClock
from tailrace.jobs.load import Loader, LoadReport, table_spec
from tailrace.pipeline import SPREAD_LIMITS
from tailrace.runtimes.spark.loads import SparkLoads
from tailrace.targets.iceberg import IcebergTarget
from tailrace.targets.target import Mode
from tailrace.testing.digests import TableDigest, table_digest
from tailrace.testing.target_contract import MODES, PK, Change, delete, put


class Lake:
    """A table in a catalog of its own, loaded by Spark, by one process, or by both."""

    def __init__(self, world: World, name: str, mode: Mode, spark: Any, range_bytes: int = 6_000) -> None:
        self.world = world
        self.mode: Mode = mode
        self.clock = ManualClock()
        self.folder = world.folder / name
        self.target = open_lake(self.folder, self.clock)
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
        table = self.target._tables.load("orders")
        assert table is not None
        snapshots = sorted(table.metadata.snapshots, key=lambda s: s.sequence_number)
        notes = (s.summary.additional_properties for s in snapshots if s.summary is not None)
        return [note["tailrace.engine"] for note in notes if "tailrace.engine" in note]

    def everything(self) -> list[str]:
        """All rows, dead ones too, with all metadata."""
        columns = {c.name: f"{c.attribute}|{c.tag}" for c in self.target.ledger(self.spec).columns}
        rows = self.target.query('SELECT * FROM "orders"').to_pylist()
        return sorted(repr(sorted((columns.get(n, n), v) for n, v in row.items() if v is not None)) for row in rows)


def open_lake(folder: Path, clock: ManualClock) -> IcebergTarget:
    folder.mkdir(parents=True, exist_ok=True)
    properties = {
        "type": "sql",
        "uri": f"sqlite:///{folder}/catalog.db",
        "warehouse": f"file://{folder}/warehouse",
        "py-io-impl": "pyiceberg.io.pyarrow.PyArrowFileIO",
    }
    return IcebergTarget("lake", lambda: properties, ("lake",), str(folder), clock)


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


@pytest.mark.parametrize("mode", MODES)
def test_both_engines_make_the_same_table_and_take_turns_at_it(spark: Any, tmp_path: Path, mode: Mode) -> None:
    world, random = World(tmp_path, PK), Random(7)
    lakes = {who: Lake(world, who, mode, spark) for who in ("process", "spark", "turns")}

    def load_and_compare(turn: bool) -> None:
        rows = {
            who: lakes[who].load(by_spark=by_spark).rows
            for who, by_spark in (("process", False), ("spark", True), ("turns", turn))
        }
        assert len(set(rows.values())) == 1, rows
        expected = lakes["process"]
        for lake in lakes.values():
            assert lake.digest == expected.digest
            assert lake.everything() == expected.everything()
            ledger, other = (one.target.ledger(one.spec) for one in (lake, expected))
            assert ledger.applied_through == world.manifest.next_number - 1
            assert (ledger.rows, ledger.applied_beyond) == (other.rows, frozenset())

    publish_history(world, random, 1000, 2)
    load_and_compare(turn=True)
    for first in range(0, 150, 50):
        world.publish([Change("r", {"pk": {"S": f"k{n:03}"}, "v": {"N": "1"}}) for n in range(first, first + 50)])
    load_and_compare(turn=False)
    publish_history(world, random, 3000, 2)
    load_and_compare(turn=True)
    publish_history(world, random, 2000, 1)  # late, and wider
    load_and_compare(turn=False)
    assert lakes["turns"].engines == ["spark", "process", "spark", "process"]
