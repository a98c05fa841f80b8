"""The loader lease: no work twice, nobody held up for ever, nothing applied by one who woke up late."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from load_world import World

from tailrace.clock import Budget, SystemClock
from tailrace.decide.lease import LEASE_SECONDS
from tailrace.errors import LoaderBusy, LoaderFenced, ManifestInvalid, StateContended, TailraceError
from tailrace.jobs.lease import IDLE_SECONDS, LoaderLease
from tailrace.jobs.load import Loader
from tailrace.landing import Landing
from tailrace.model.lease import Lease
from tailrace.targets.duckdb import DuckDbTarget
from tailrace.targets.target import Load
from tailrace.testing.faults import FaultPlan, Faulty, FaultyStore, SimulatedCrash, effects_of, every_fault, stopped
from tailrace.testing.stores import MemoryStore
from tailrace.testing.target_contract import Replica, delete, put

MS = 1000 * LEASE_SECONDS
LEASE = "Orders/loaders/local.json"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


class Stepping:
    """A target that does something before and after a load is applied."""

    def __init__(self, target: DuckDbTarget) -> None:
        self._target = target
        self.before: Any = lambda load: None
        self.after: Any = lambda load: None
        self.fences: list[int] = []

    def apply(self, load: Load, budget: Budget | None = None) -> Any:
        self.before(load)
        applied = self._target.apply(load, budget)
        self.fences.append(load.fence)
        self.after(load)
        return applied

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)


def budget(world: World) -> Budget:
    return Budget(world.clock)


# ---- one at a time


def test_while_one_loads_another_finds_it_busy_and_then_nothing_to_do(world: World) -> None:
    world.publish(put(1))
    other = world.loader(holder="b")
    target = Stepping(world.target)
    target.before = lambda load: reports.append(other.tick(budget(world)))
    reports: list[Any] = []
    assert world.loader(target, holder="a").tick(budget(world)).segments == 1  # type: ignore[arg-type]
    (report,) = reports
    assert (report.segments, report.more, report.unloaded) == (0, False, 1)
    assert isinstance(report.busy, LoaderBusy)
    assert report.busy.facts == {"table": "Orders", "target": "local", "holder": "a"}
    report = other.tick(budget(world))
    assert (report.segments, report.skipped, report.busy) == (0, 0, None)
    world.replica.check()


def test_a_tick_gives_it_back_also_when_it_fails(world: World) -> None:
    world.publish(put(1))
    target = Stepping(world.target)
    target.before = lambda load: [].pop()
    with pytest.raises(IndexError):
        world.loader(target, holder="a").tick(budget(world))  # type: ignore[arg-type]
    assert world.landing.lease("local").lease.holder is None
    assert world.loader(holder="b").tick(budget(world)).segments == 1


def test_many_loads_take_it_once(world: World) -> None:
    """One read, one conditional write, and one more to give it back; the manifest is read for each step."""
    for number in range(1, 8):
        world.publish(put(number))
    plan = FaultPlan()
    landing = Landing(FaultyStore(world.store, plan), "Orders")
    world.loader(landing=landing, holder="a", segments=1).tick(budget(world))
    assert [name for name, _ in plan.effects if "loaders" in name] == [f"read {LEASE}"] + [f"replace {LEASE}"] * 2


def test_a_loader_of_a_stream_keeps_it_between_files_and_gives_it_back_when_nothing_comes(world: World) -> None:
    plan = FaultPlan()
    loader = world.loader(landing=Landing(FaultyStore(world.store, plan), "Orders"), holder="a")
    for number in range(1, 21):
        world.publish(put(number))
        assert loader.step().segments == 1
        assert loader.step().segments == 0
        world.clock.ms += 3000
    writes = [name for name, is_write in plan.effects if is_write]
    assert writes == [f"replace {LEASE}"] * 4  # taken, and renewed three times in a minute
    assert world.landing.lease("local").lease.holder == "a"
    world.clock.ms += int(1000 * IDLE_SECONDS)
    loader.step()
    assert world.landing.lease("local").lease.holder is None
    assert world.landing.lease("local").lease.fence == 1


def test_who_takes_it_after_another_reads_the_ledger_again(world: World) -> None:
    plan = FaultPlan()
    mine = world.loader(Faulty(world.target, plan, writes=("apply",), reads=("ledger",)), holder="a")  # type: ignore[arg-type]
    world.publish(put(1))
    mine.tick(budget(world))
    world.publish(put(2))
    world.loader(holder="b").tick(budget(world))
    world.publish(put(3))
    report = mine.tick(budget(world))
    assert (report.segments, report.skipped) == (1, 0)
    assert [name for name, _ in plan.effects] == ["ledger", "apply", "ledger", "apply"]


# ---- nobody for ever


def test_a_dead_loader_holds_the_next_one_up_for_thirty_seconds(world: World) -> None:
    world.publish(put(1))
    plan = FaultPlan(2, "crash_before")  # ledger, apply
    with stopped():
        world.loader(Faulty(world.target, plan, writes=("apply",), reads=("ledger",)), holder="a").step()  # type: ignore[arg-type]
    world.clock.ms += MS - 1
    assert world.loader(holder="b").tick(budget(world)).busy is not None
    world.clock.ms += 1
    assert world.loader(holder="b").tick(budget(world)).segments == 1
    world.replica.check()


def test_one_that_is_known_to_be_dead_holds_nobody_up(world: World) -> None:
    world.publish(put(1))
    LoaderLease(world.landing, "local", "a", world.clock).take(0)
    lease = LoaderLease(world.landing, "local", "b", world.clock, is_gone=lambda holder: holder == "a")
    assert lease.take(0).fence == 2


@pytest.mark.parametrize("ahead_ms", [-(10**10), 10**10])
def test_a_wrong_clock_costs_work_and_no_row(world: World, ahead_ms: int) -> None:
    world.publish(put(1))
    world.clock.ms += ahead_ms
    LoaderLease(world.landing, "local", "a", world.clock).take(0)
    world.clock.ms -= ahead_ms
    assert world.loader(holder="b").tick(budget(world)).segments == 1


def test_by_force_it_is_taken_once(world: World) -> None:
    LoaderLease(world.landing, "local", "a", world.clock).take(0)
    forced = LoaderLease(world.landing, "local", "b", world.clock, takes_over=True)
    assert forced.take(0).fence == 2
    forced.give_back()
    LoaderLease(world.landing, "local", "c", world.clock).take(0)
    with pytest.raises(LoaderBusy):
        forced.take(0)


def test_a_lease_that_was_deleted_begins_behind_what_the_target_has_seen(world: World) -> None:
    for number in range(1, 4):
        world.publish(put(number))
        world.loader(holder=f"{number}").tick(budget(world))
    assert world.replica.ledger.fence == 3
    del world.store.objects[LEASE]
    world.publish(put(4))
    assert world.loader(holder="x").tick(budget(world)).segments == 1
    assert world.landing.lease("local").lease.fence == 4


def test_a_lease_that_cannot_be_read_is_said_and_nothing_loaded(world: World) -> None:
    world.publish(put(1))
    world.store.objects[LEASE] = b"{}"
    with pytest.raises(ManifestInvalid, match="cannot be understood") as caught:
        world.loader(holder="a").tick(budget(world))
    assert "delete the object" in caught.value.hint


# ---- one who wakes up late


def test_a_zombie_is_turned_away_and_looks_again(world: World) -> None:
    """It slept between its taking and its load, for longer than the lease lasts."""
    world.publish(put(1))
    target = Stepping(world.target)

    def sleep(load: Load) -> None:
        target.before = lambda load: None
        world.publish(put(2))
        world.clock.ms += MS
        assert world.loader(holder="b", segments=1).step().segments == 1

    target.before = sleep
    zombie = world.loader(target, holder="a")  # type: ignore[arg-type]
    report = zombie.step()
    assert (report.segments, report.more) == (0, True)
    assert world.replica.ledger.applied_through == 1
    assert zombie.step().busy is not None
    world.clock.ms += MS
    assert zombie.tick(budget(world)).segments == 1
    assert target.fences == [3]
    assert [(row.number, row.fence) for row in world.replica.ledger.recent] == [(2, 3), (1, 2)]
    world.replica.check()


def test_without_a_lease_a_smaller_fence_is_the_callers_matter(world: World) -> None:
    world.publish(put(1))
    target = Stepping(world.target)
    target.before = lambda load: world.loader(holder="b").tick(budget(world))
    with pytest.raises(LoaderFenced) as caught:
        world.loader(target).tick(budget(world))  # type: ignore[arg-type]
    assert caught.value.facts == {"table": "Orders", "fence": 0, "recorded": 1}


# ---- while a load takes long


def test_a_long_load_keeps_its_lease(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tailrace.jobs.lease.LEASE_SECONDS", 0.03)  # between two renewals a third of it
    world.publish(put(1))
    seen: list[int] = []

    def until_it_has_moved(load: Load) -> None:
        first = world.landing.lease("local").lease.until_ms
        end = time.monotonic() + 20
        while world.landing.lease("local").lease.until_ms == first and time.monotonic() < end:
            time.sleep(0.005)
        seen.append(world.landing.lease("local").lease.until_ms - first)

    target = Stepping(world.target)
    target.before = until_it_has_moved
    lease = LoaderLease(world.landing, "local", "a", SystemClock(), keeps=True)
    before = set(threading.enumerate())
    loader = Loader(world.landing, target, "orders", "current", world.clock, lease=lease)  # type: ignore[arg-type]
    assert loader.tick(budget(world)).segments == 1
    assert seen[0] > 0
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
    assert set(threading.enumerate()) <= before
    assert world.landing.lease("local").lease.holder is None


# ---- every effect failing


def test_wherever_it_fails_the_next_loader_makes_it_whole(tmp_path: Path) -> None:
    """Every read and write of the lease among the others: before, after, with an unknown outcome, by death. [8, 9, 48]"""
    published = World(tmp_path / "published")
    for changes in ((put(1), put(2, "b")), (delete(3, "b"), put(4, "c")), (put(5, "b"),)):
        published.publish(*changes)

    def scenario(plan: FaultPlan) -> None:
        store = MemoryStore()
        store.objects = dict(published.store.objects)
        folder = tmp_path / str(plan)
        shutil.rmtree(folder, ignore_errors=True)
        world = World(folder, "changelog")
        world.store, world.landing, world.clock = store, Landing(store, "Orders"), published.clock
        target = DuckDbTarget("local", folder / "warehouse.duckdb", world.clock)
        faulty = Faulty(target, plan, writes=("apply",), reads=("ledger",))
        loader = world.loader(faulty, Landing(FaultyStore(store, plan), "Orders"), holder="a", segments=2)  # type: ignore[arg-type]
        with stopped():
            loader.tick(budget(world))
        if not plan.dead:
            with stopped():
                loader.tick(budget(world))
        world.clock.ms += MS
        report = world.loader(target, holder="b").tick(budget(world))
        assert report.busy is None
        replica = Replica(target, "changelog")
        replica.applied = published.replica.applied
        replica.check()
        assert replica.ledger.applied_through == 3

    writes = [name for name, is_write in effects_of(scenario) if is_write]  # a tick without work reads only
    assert writes == [f"replace {LEASE}", "apply", "apply", f"replace {LEASE}"]
    effects = effects_of(scenario)
    for plan in every_fault(scenario):
        if LEASE in effects[plan.at - 1][0] or effects[plan.at - 1][0] == "apply":  # of the others test_load.py knows
            scenario(plan)
            assert plan.struck, plan


@pytest.mark.parametrize("fault", ["lost_answer", "lost_request", "error"])
def test_a_loader_goes_on_after_a_lease_write_without_an_answer(world: World, fault: Any) -> None:
    world.publish(put(1))
    plan = FaultPlan(2, fault)  # read, replace
    lease = LoaderLease(Landing(FaultyStore(world.store, plan), "Orders"), "local", "a", world.clock)
    if fault == "lost_answer":
        assert lease.take(0).fence == 1  # it looked, and found its own
    else:
        with pytest.raises(TailraceError):
            lease.take(0)
    assert lease.take(0).fence == 1
    assert plan.struck


def test_of_two_who_take_it_at_once_one_has_it(world: World) -> None:
    leases = [LoaderLease(world.landing, "local", holder, world.clock) for holder in "ab"]
    for lease in leases:
        lease.look()
    assert leases[0].take(0).fence == 1
    with pytest.raises(LoaderBusy):
        leases[1].take(0)
    with pytest.raises(StateContended):
        world.landing.save_lease("local", Lease(7), None)


def test_giving_back_what_was_taken_over_changes_nothing(world: World) -> None:
    mine = LoaderLease(world.landing, "local", "a", world.clock)
    mine.take(0)
    LoaderLease(world.landing, "local", "b", world.clock, takes_over=True).take(0)
    mine.give_back()
    assert world.landing.lease("local").lease.holder == "b"


def test_a_process_that_dies_before_it_gives_back_is_no_error(world: World) -> None:
    world.publish(put(1))
    plan = FaultPlan(at=0)
    store = FaultyStore(world.store, plan)
    loader = world.loader(landing=Landing(store, "Orders"), holder="a")
    assert loader.step().segments == 1
    plan.dead = True
    with pytest.raises(SimulatedCrash):
        loader.give_back()
    world.clock.ms += MS
    assert world.loader(holder="b").tick(budget(world)).busy is None
