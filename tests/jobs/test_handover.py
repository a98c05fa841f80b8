"""From the base to the stream: whatever the order of capture, base, load and writes, targets end equal to the table.

Each value of a key is greater than the one before, so that a key that steps back shows itself.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
from base_world import Kind, World, shown
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tailrace.clock import Budget
from tailrace.decide.base import EXPORT_MARGIN_MS
from tailrace.errors import ConfigInvalid, TailraceError, UserFault
from tailrace.jobs.base_export import BaseExporter
from tailrace.jobs.exports import ExportSettings
from tailrace.targets.target import Mode
from tailrace.testing.faults import FaultPlan, Faulty, FaultyStore, every_fault, stopped

MODES: tuple[Mode, ...] = ("current", "soft_delete", "changelog", "history")


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**32),
    kind=st.sampled_from(["scan", "export"]),
    start=st.sampled_from(["TRIM_HORIZON", "LATEST"]),
)
def test_whatever_comes_first_the_target_ends_equal_and_steps_back_never_once_consistent(
    tmp_path_factory: pytest.TempPathFactory, seed: int, kind: Kind, start: Any
) -> None:
    chance, world = random.Random(seed), World(kind, start)
    mode = chance.choice(MODES)
    target = world.target(tmp_path_factory.mktemp("handover"), mode)
    for _ in range(chance.randrange(12)):
        world.write(chance.choice("abcdef"), remove=chance.random() < 0.2)
    if chance.random() < 0.5:  # the stream has forgotten it
        world.source.age(25 * 3600)
        world.advance(0)
    capturer, baser, loader = world.capturer(), world.baser(), world.loader(target, mode)
    newest: dict[str, int] = {}
    for _ in range(80):
        what = chance.choices(("write", "capture", "base", "load", "sleep", "split"), (5, 4, 4, 2, 2, 0.5))[0]
        if what == "write":
            world.write(chance.choice("abcdef"), remove=chance.random() < 0.3)
        elif what == "capture":
            capturer.step()
        elif what == "base":
            baser.step(Budget(world.clock))
        elif what == "load" and world.landing.load() is not None:
            loader.step()
            if world.state(target, mode) == "CONSISTENT":
                now = shown(target, world.manifest, mode)
                assert all(now[key] >= newest.get(key, 0) for key in now), "a key stepped back"
                newest |= now
        elif what == "split" and world.landing.load() is not None:
            world.source.split()
        world.advance(chance.choice((0.05, 0.7, 60 if kind == "export" else 3)))
    world.finish()
    loader.tick(Budget(world.clock))
    world.check(target, mode)


def test_the_states_on_the_way(tmp_path: Any) -> None:
    world = World()
    for key in "abcdefgh":
        world.write(key)
    world.source.age(25 * 3600)
    target = world.target(tmp_path, "current")
    loader = world.loader(target, "current")
    capturer, baser = world.capturer(), world.baser()
    capturer.tick(Budget(world.clock, 5))
    assert (world.manifest.state, world.state(target, "current")) == ("CAPTURING", "CAPTURING")
    baser.step(Budget(world.clock))
    loader.tick(Budget(world.clock))
    assert world.state(target, "current") == "BASE_LOADING"
    assert baser.tick(Budget(world.clock)).done
    assert world.state(target, "current") == "BASE_LOADING", "complete, and not loaded"
    loader.tick(Budget(world.clock))
    assert world.state(target, "current") == "CATCHING_UP"
    world.advance(5)
    capturer.tick(Budget(world.clock, 5))
    assert (world.manifest.state, world.state(target, "current")) == ("CONSISTENT", "CONSISTENT")
    world.check(target, "current")


def test_a_key_may_step_back_only_before_the_table_is_called_consistent(tmp_path: Any) -> None:
    world = World()
    world.source.page_records = 1
    target = world.target(tmp_path, "current")
    loader = world.loader(target, "current")
    capturer = world.capturer()
    capturer.tick(Budget(world.clock, 5))  # an empty stream, at its tip
    world.advance(1)
    for _ in range(3):
        world.write("a")
    world.advance(1)
    assert world.baser().tick(Budget(world.clock)).done
    seen = []
    for _ in range(20):
        loader.tick(Budget(world.clock))
        seen.append((shown(target, world.manifest, "current")["a"], world.state(target, "current")))
        capturer.step()
        capturer.flush()
        world.advance(1)
    values = [value for value, _ in seen]
    assert values[0] == values[-1] == 3
    assert min(values) == 1, "it did step back"
    consistent = [value for value, state in seen if state == "CONSISTENT"]
    assert set(consistent) == {3}


def test_a_base_row_that_comes_last_loses_to_a_delete(tmp_path: Any) -> None:
    world = World()
    world.write("a")
    baser = world.baser()
    world.capturer().open()
    baser.step(Budget(world.clock))  # reads a, publishes nothing yet
    world.write("a", remove=True)
    world.capturer().tick(Budget(world.clock, 5))
    for mode in MODES:
        target = world.target(tmp_path, mode)
        world.loader(target, mode).tick(Budget(world.clock))
    world.finish()
    baser.flush(Budget(world.clock))
    for mode in MODES:
        target = world.target(tmp_path, mode)
        world.loader(target, mode).tick(Budget(world.clock))
        assert shown(target, world.manifest, mode) == {}


# ---- the export


def test_the_export_shows_a_moment_behind_the_one_when_the_shards_were_on_record() -> None:
    world = World("export")
    world.write("a")
    baser = world.baser()
    assert baser.tick(Budget(world.clock)).waits_for_capture
    world.capturer().open()
    on_record_ms = world.clock.now_ms()
    world.finish()
    export = world.manifest.base_export
    assert export is not None
    assert export.moment is not None
    assert export.moment * 1000 >= on_record_ms + EXPORT_MARGIN_MS
    assert world.backups.calls.count("start") == 1
    assert [segment.kind for segment in world.manifest.segments] == ["stream", "base"]


def test_recovery_that_is_off_is_switched_on_only_where_asked() -> None:
    world = World("export")
    world.backups.recovery = False
    world.capturer().open()
    settings_ = ExportSettings("lake", "tailrace/orders")
    refused = BaseExporter(world.backups, world.landing, settings_, world.clock, "w")
    with pytest.raises(UserFault, match="recovery is off"):
        refused.tick(Budget(world.clock))
    world.finish()
    assert world.backups.calls.count("enable_recovery") == 1


def test_a_failed_export_is_made_again_under_another_prefix() -> None:
    world = World("export")
    world.write("a")
    world.backups.failing = ["S3NoSuchBucket"]
    world.capturer().open()
    world.finish()
    assert "-attempt2/" in world.manifest.segments[-1].name


@pytest.mark.parametrize(("began", "then"), [("scan", "export"), ("export", "scan")])
def test_the_kind_of_a_base_does_not_change_while_it_is_read(began: Kind, then: Kind) -> None:
    world = World(began)
    for key in "abcdefgh":
        world.write(key)
    world.capturer().open()
    world.baser().step(Budget(world.clock))
    world.kind = then
    with pytest.raises(ConfigInvalid, match="base"):
        world.baser().step(Budget(world.clock))
    world.kind = began
    world.finish()
    world.kind = then
    assert world.baser().step(Budget(world.clock)).done


def scenario(plan: FaultPlan) -> World:
    world = World("export")
    for key in "abc":
        world.write(key)
    world.capturer().open()
    source = Faulty(world.backups, plan, writes=("start",), reads=("incarnation", "restorable", "describe"))
    baser = world.baser(FaultyStore(world.store, plan), source)
    with stopped():
        for _ in range(60):
            try:
                report = baser.step(Budget(world.clock))
            except TailraceError:
                world.advance(1)
                continue
            if report.done:
                break
            world.advance(report.wait_seconds)
    return world


@pytest.mark.parametrize("plan", every_fault(scenario), ids=str)
def test_killed_or_failing_at_any_effect_the_base_is_exported_once(plan: FaultPlan) -> None:
    world = scenario(plan)
    assert plan.struck
    world.finish()
    names = [segment.name for segment in world.manifest.segments if segment.kind == "base"]
    assert len(names) == len(set(names)) > 0
    assert sum(s.rows for s in world.manifest.segments if s.kind == "base") == 3
    exports = {name.split("/AWSDynamoDB")[0] for name in world.store.objects if "AWSDynamoDB" in name}
    assert len(exports) == 1, "a repeated request began another export"


@pytest.mark.parametrize("kind", ["scan", "export"])
def test_two_workers_at_once_make_one_base(kind: Kind) -> None:
    world = World(kind)
    for key in "abcdefgh":
        world.write(key)
    world.capturer().open()
    workers = [world.baser(), world.baser()]
    for turn in range(200):
        workers[turn % 2].step(Budget(world.clock))
        world.advance(20 if kind == "export" else 0.2)
    assert workers[0].tick(Budget(world.clock)).done
    rows = [s.rows for s in world.manifest.segments if s.kind == "base"]
    assert sum(rows) == 8
