"""What Iceberg's own reader in Spark makes of our tables: the same rows, to the last digit."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest
from lake_world import Lake, publish_history
from spark_world import World, awkward_items

from tailrace.testing.target_contract import COMPOSITE, PK, Change


def plain(value: Any) -> Any:
    """A value as both readers show it."""
    if isinstance(value, bytearray):
        return bytes(value)
    if isinstance(value, list):
        return [plain(member) for member in value]
    return value.normalize() if isinstance(value, Decimal) else value


def read_by_spark(spark: Any, lake: Lake) -> list[str]:
    """All rows of the table as Iceberg's reader finds them by its metadata file."""
    table = lake.target.lake.tables.load("orders")
    assert table is not None
    frame = spark.read.format("iceberg").load(table.metadata_location)
    return sorted(
        repr(sorted((n, plain(v)) for n, v in row.asDict().items() if v is not None)) for row in frame.collect()
    )


def read_by_us(lake: Lake) -> list[str]:
    rows = lake.target.query('SELECT * FROM "orders"').to_pylist()
    return sorted(repr(sorted((n, plain(v)) for n, v in row.items() if v is not None)) for row in rows)


@pytest.mark.parametrize("by_spark", [False, True], ids=["process", "spark"])
def test_it_reads_every_value(lake_spark: Any, tmp_path: Path, by_spark: bool) -> None:
    world = World(tmp_path, COMPOSITE)
    world.publish([Change("r", item) for item in awkward_items(COMPOSITE)])
    lake = Lake(world, "lake", "current", lake_spark)
    lake.load(by_spark=by_spark)
    found = read_by_spark(lake_spark, lake)
    assert found == read_by_us(lake)
    assert any("1E-130" in row for row in found)


def test_it_reads_what_was_widened_deleted_and_written_by_both(lake_spark: Any, tmp_path: Path) -> None:
    world, random = World(tmp_path, PK), Random(11)
    lake = Lake(world, "lake", "history", lake_spark)
    for turn in range(3):
        publish_history(world, random, 1000 * (turn + 1), 1)
        lake.load(by_spark=turn == 1)
        assert read_by_spark(lake_spark, lake) == read_by_us(lake)
