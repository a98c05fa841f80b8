"""What goes wrong on a cluster: workers die at each stage, others load meanwhile, records contradict one another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from lake_world import Lake, publish_history
from spark_world import World

from tailrace.errors import OrderConflict, ServiceUnavailable
from tailrace.runtimes.spark import frames, loads
from tailrace.testing.target_contract import PK, put


def dying_once(marker: Path, work: Callable[..., Any], *, after: bool) -> Callable[..., Any]:
    """The same work, whose process is killed the first time: before it, or when it is done and nobody knows."""
    place = str(marker)

    def die() -> None:
        import os
        import signal

        try:
            os.close(os.open(place, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
        os.kill(os.getpid(), signal.SIGKILL)

    def killed(*given: Any) -> Any:
        if not after:
            die()
        found = work(*given)
        found = list(found) if hasattr(found, "__next__") else found
        if after:
            die()
        return found

    return killed


STAGES = {"look": (frames, "survey"), "decode": (frames, "rows"), "lay out": (loads, "_work")}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("stage", STAGES)
def test_a_worker_that_is_killed_changes_nothing(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str, after: bool
) -> None:
    world = World(tmp_path, PK)
    publish_history(world, Random(3), 1000, 2)
    lake, expected = (Lake(world, name, "current", spark) for name in ("spark", "process"))
    module, name = STAGES[stage]
    marker = tmp_path / "killed"
    monkeypatch.setattr(module, name, dying_once(marker, getattr(module, name), after=after))
    lake.load(by_spark=True)
    assert marker.exists(), "nobody was killed, so nothing was shown"
    monkeypatch.undo()
    expected.load(by_spark=False)
    assert lake.everything() == expected.everything()


def test_a_loader_that_comes_first_makes_the_other_one_begin_anew(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, PK)
    publish_history(world, Random(4), 1000, 2)
    lake = Lake(world, "lake", "current", spark)
    lake.load(by_spark=True)
    publish_history(world, Random(5), 2000, 1)
    rival, honest = Lake(world, "lake", "current", spark, machine="another"), loads.worked

    def overtaken(*given: Any) -> Any:
        found = honest(*given)
        rival.load(by_spark=False)
        return found

    monkeypatch.setattr(loads, "worked", overtaken)
    report = lake.load(by_spark=True)
    assert (report.segments, report.skipped, report.unloaded) == (0, 1, 0)
    assert lake.engines == ["spark", "process"]
    monkeypatch.undo()
    expected = Lake(world, "expected", "current", spark)
    expected.load(by_spark=False)
    assert lake.digest == expected.digest
    assert lake.files() == lake.listed_files(), "what the loser wrote was left"


def test_two_records_of_one_key_and_place_that_differ_stop_the_load_in_their_own_words(
    spark: Any, tmp_path: Path
) -> None:
    world = World(tmp_path, PK)
    world.publish([put(7, "a", v={"N": "1"})], kind="stream")
    world.publish([put(7, "a", v={"N": "2"})], kind="stream")
    lake = Lake(world, "lake", "current", spark)
    with pytest.raises(OrderConflict):
        lake.load(by_spark=True)
    assert lake.target.ledger(lake.spec).applied_through == 0


def test_work_that_fails_each_time_ends_in_words_and_applies_nothing(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, PK)
    publish_history(world, Random(6), 1000, 1)
    lake = Lake(world, "lake", "current", spark)

    def broken(*given: Any) -> Any:
        raise RuntimeError("the disk of this executor is full")

    monkeypatch.setattr(loads, "_work", broken)
    with pytest.raises(ServiceUnavailable, match="the disk of this executor is full"):
        lake.load(by_spark=True)
    assert lake.target.ledger(lake.spec).applied_through == 0
    monkeypatch.undo()
    assert lake.load(by_spark=True).segments == 1
