"""Loads on Spark into Iceberg: the same table as one process makes, whoever goes on with it."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
from lake_world import Lake, publish_history
from spark_world import World, awkward_items

from tailrace.targets.target import Mode
from tailrace.testing.target_contract import COMPOSITE, MIXED, MODES, PK, Change


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


@pytest.mark.parametrize("keys", [COMPOSITE, MIXED], ids=["S+S", "N+B"])
def test_every_value_reaches_the_table_as_one_process_brings_it(spark: Any, tmp_path: Path, keys: Any) -> None:
    world = World(tmp_path, keys)
    items = awkward_items(keys)
    for first in range(0, len(items), 20):
        world.publish([Change("r", item) for item in items[first : first + 20]])
    lakes = [Lake(world, who, "current", spark) for who in ("spark", "process")]
    for lake, by_spark in zip(lakes, (True, False), strict=True):
        assert lake.load(by_spark=by_spark).rows == len(items)
    assert lakes[0].digest == lakes[1].digest
    assert lakes[0].digest.rows == len(items)


def test_two_thousand_attributes_are_two_thousand_columns(spark: Any, tmp_path: Path) -> None:
    world = World(tmp_path, PK)
    for first in range(0, 40, 20):
        world.publish(
            [
                Change("r", {"pk": {"S": f"k{n}"}, **{f"a{n}-{m}": {"N": f"{m}.{n}"} for m in range(50)}})
                for n in range(first, first + 20)
            ]
        )
    lakes = [Lake(world, who, "current", spark, range_bytes=1 << 20) for who in ("spark", "process")]
    for lake, by_spark in zip(lakes, (True, False), strict=True):
        lake.load(by_spark=by_spark)
    assert lakes[0].digest == lakes[1].digest
    assert len(lakes[0].target.ledger(lakes[0].spec).columns) == 2001


def test_items_of_400_kb_go_through(spark: Any, tmp_path: Path) -> None:
    world = World(tmp_path, PK)
    world.publish([Change("r", {"pk": {"S": f"k{n}"}, "text": {"S": f"{n} " * 90_000}}) for n in range(60)])
    lakes = [Lake(world, who, "current", spark, range_bytes=8 << 20) for who in ("spark", "process")]
    for lake, by_spark in zip(lakes, (True, False), strict=True):
        lake.load(by_spark=by_spark)
    assert lakes[0].digest == lakes[1].digest
    assert lakes[0].digest.rows == 60
