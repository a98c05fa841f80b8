"""Repair: after changes were lost, the target ends equal to the table, by exports of the missing window or by a new base."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from base_world import Baser, World, shown
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_exports import World as ExportWorld

from tailrace.clock import Budget
from tailrace.decide.repair import missing_since, next_window
from tailrace.errors import ConfigInvalid, SourceChanged, TailraceError, UsageInvalid, UserFault, WindowMissing
from tailrace.jobs.exports import Exporter
from tailrace.jobs.repair import Repairer, RepairReport
from tailrace.jobs.replay import replay
from tailrace.landing import Landing
from tailrace.model.quarantine import QuarantinedRecord
from tailrace.targets.target import Mode
from tailrace.testing.faults import FaultPlan, Faulty, FaultyStore, every_fault, stopped

MODES: tuple[Mode, ...] = ("current", "soft_delete", "changelog", "history")


def capture(world: World) -> None:
    capturer = world.capturer()
    with contextlib.suppress(TailraceError):
        capturer.tick(Budget(world.clock, 30))


def whole(keys: str = "abcdefgh") -> World:
    """A table whose base is read and whose stream is captured past it."""
    world = World()
    for key in keys:
        world.write(key)
    world.capturer().open()
    world.finish()
    world.advance(3600)
    capture(world)
    return world


def with_gap(*, kind: str = "window") -> World:
    """Changes that are captured, changes that are lost, and changes behind them."""
    world = whole()
    world.write("a")
    world.write("new")
    capture(world)
    world.advance(60)
    world.write("b")
    world.write("c", remove=True)
    world.write("new", remove=True)
    world.lose()
    world.write("d")
    capture(world)
    assert world.manifest.state == "GAP"
    if kind == "full":
        world.backups.switch_recovery(False)
        world.backups.switch_recovery(True)
    return world


def repair(world: World, steps: int = 200, baser: Baser | None = None) -> RepairReport:
    """Until it is complete; the base is read where it is to be read anew."""
    repairer = world.repairer()
    baser = baser or world.baser()
    for _ in range(steps):
        report = repairer.step()
        if report.done:
            return report
        if report.kind == "full":
            baser.step(Budget(world.clock))
        world.advance(max(report.wait_seconds, 0.1))
    raise AssertionError("it is never complete")


def check(world: World, folder: Any) -> None:
    world.advance(5)
    capture(world)
    for mode in MODES:
        target = world.target(folder, mode)
        world.loader(target, mode).tick(Budget(world.clock))
        world.check(target, mode)


def test_the_missing_window_is_exported_and_nothing_else_is_read(tmp_path: Any) -> None:
    world = with_gap()
    for mode in MODES:
        world.loader(world.target(tmp_path, mode), mode).tick(Budget(world.clock))
    gap_began_ms = world.manifest.gaps[0].since_ms
    assert gap_began_ms is not None
    begun = world.repairer().begin()
    assert (begun.kind, begun.done) == ("window", False)
    assert world.manifest.state == "GAP"
    assert {gap.state for gap in world.manifest.gaps} == {"repairing"}
    report = repair(world)
    assert report.start is not None
    assert gap_began_ms - 20 * 60_000 < report.start * 1000 < gap_began_ms - 300_000
    assert world.backups.calls.count("start") == 2, "26 hours are two windows"
    assert report.rows <= 6
    assert report.keys == 1, "of the key that came and went nothing is exported"
    assert {gap.state for gap in world.manifest.gaps} == {"closed"}
    assert world.manifest.scan is not None
    assert world.manifest.scan.epoch == 1, "it was scanned again"
    check(world, tmp_path)


def test_a_gap_before_what_backups_hold_takes_a_new_base_and_a_sweep(tmp_path: Any) -> None:
    world = with_gap(kind="full")
    for mode in MODES:
        target = world.target(tmp_path, mode)
        world.loader(target, mode).tick(Budget(world.clock))
        assert "c" in shown(target, world.manifest, mode), "its delete was lost"
    begun = world.repairer().begin()
    assert begun.kind == "full"
    assert "reach back" in begun.why
    repair(world)
    manifest = world.manifest
    assert [s.kind for s in manifest.segments if s.epoch == 2][-1] == "sweep"
    assert manifest.oldest_epoch == 2
    check(world, tmp_path)
    changes = world.target(tmp_path, "changelog").query("SELECT _tr_op FROM orders WHERE pk = 'c' ORDER BY _tr_pos")
    assert changes["_tr_op"].to_pylist()[-1] == "d"
    hidden = world.target(tmp_path, "soft_delete").query("SELECT _tr_deleted, value FROM orders WHERE pk = 'c'")
    assert hidden.to_pylist() == [{"_tr_deleted": True, "value": 3}]


def test_a_base_that_may_show_what_was_lost_is_read_anew(tmp_path: Any) -> None:
    """A key that the base saw, whose insert and delete are both lost: no export and no change tells of it."""
    world = World()
    world.write("a")
    capturer = world.capturer()
    capturer.tick(Budget(world.clock, 5))
    world.write("zombie")
    world.advance(1)
    assert world.baser().tick(Budget(world.clock)).done
    world.write("zombie", remove=True)
    world.lose()
    capture(world)
    assert "base" in world.repairer().begin().why
    repair(world)
    check(world, tmp_path)


def test_where_backups_were_switched_off_meanwhile_the_repair_says_so() -> None:
    """Asking AWS for the same window again would be refused for ever."""
    world = with_gap()
    repairer = world.repairer()
    repairer.begin()
    while world.manifest.repair is None or world.manifest.repair.plan is None:
        world.advance(repairer.step().wait_seconds)
    world.backups.switch_recovery(False)
    world.backups.switch_recovery(True)
    with pytest.raises(UserFault, match="no longer covers") as raised:
        repairer.step()
    assert "--full" in raised.value.hint


def test_a_worker_that_was_reading_another_tables_base_goes_on_with_the_new_one(tmp_path: Any) -> None:
    world = World()
    for key in "abcdefgh":
        world.write(key)
    capture(world)
    baser = world.baser()
    baser.step(Budget(world.clock))
    world.recreate(table=True)
    baser._table = world.table  # type: ignore[union-attr]
    for key in "cxy":
        world.write(key)
    world.advance(60)
    capture(world)
    with pytest.raises(SourceChanged):
        baser.step(Budget(world.clock))
    world.repairer().begin()
    repair(world, baser=baser)
    check(world, tmp_path)


def test_without_a_bucket_it_is_a_new_base() -> None:
    world = with_gap()
    assert world.repairer(can_export=False).begin().why == "the landing zone is not on S3"


def test_nothing_is_repaired_where_nothing_is_missing() -> None:
    world = whole()
    before = world.manifest
    report = world.repairer().begin()
    assert (report.kind, report.done) == (None, True)
    assert world.manifest == before
    assert world.repairer().begin(full=True).kind == "full"


def test_a_repair_under_way_is_gone_on_with_and_not_begun_again() -> None:
    world = with_gap()
    world.repairer().begin()
    version = world.manifest.version
    assert world.repairer().begin().kind == "window"
    assert world.manifest.version == version
    assert world.repairer().begin(full=True).kind == "full"
    assert world.manifest.epoch == 3


def test_before_anything_is_captured_there_is_nothing_to_repair() -> None:
    with pytest.raises(UsageInvalid, match="captured"):
        World().repairer().begin()


class Meanwhile(FaultPlan):
    """Something that others do just before the first write."""

    def __init__(self, happens: Callable[[], None]) -> None:
        super().__init__()
        self.happens = [happens]

    def write(self, name: str, effect: Callable[[], Any]) -> Any:
        if self.happens:
            self.happens.pop()()
        return super().write(name, effect)


def test_a_scan_is_begun_for_the_epoch_that_is_when_it_is_published() -> None:
    """While one worker was about to begin the base of a repair, others completed it and began the next repair."""
    world = whole()
    world.repairer().begin(full=True)

    def others() -> None:
        repair(world)
        world.repairer().begin(full=True)

    world.baser(FaultyStore(world.store, Meanwhile(others))).step(Budget(world.clock))
    scan = world.manifest.scan
    assert scan is not None
    assert (scan.epoch, world.manifest.epoch) == (3, 3)


def test_a_page_that_was_read_before_a_repair_began_is_no_part_of_its_base(tmp_path: Any) -> None:
    """A worker that had not published it yet still holds it: it shows what was before the changes that are lost."""
    world = World()
    for key in "abcdefgh":
        world.write(key)
    capture(world)
    baser = world.baser()
    assert baser.step(Budget(world.clock)).segments == 0, "it is published too soon for this test"
    for key in "abcdefgh":
        world.write(key)
    world.lose()
    capture(world)
    assert world.repairer().begin().kind == "full"
    repair(world, baser=baser)
    check(world, tmp_path)


def test_what_is_lost_during_a_repair_is_not_closed_by_it(tmp_path: Any) -> None:
    world = with_gap()
    world.repairer().begin()
    world.write("e")
    world.lose()
    capture(world)
    assert [gap.state for gap in world.manifest.gaps] == ["repairing", "detected"]
    repair(world)
    assert [gap.state for gap in world.manifest.gaps] == ["closed", "detected"]
    assert world.manifest.state == "GAP"
    world.repairer().begin()
    repair(world)
    check(world, tmp_path)


@pytest.mark.parametrize("table", [False, True], ids=["stream", "table"])
def test_another_stream_and_another_table_under_the_name(tmp_path: Any, table: bool) -> None:
    world = whole()
    world.write("a", remove=True)
    for mode in MODES:
        world.loader(world.target(tmp_path, mode), mode).tick(Budget(world.clock))
    world.advance(60)
    capturer = world.capturer()
    capturer.tick(Budget(world.clock, 5))
    world.write("b", remove=True)  # lost with the old stream
    world.recreate(table=table)
    world.advance(60)
    for key in "cxy":
        world.write(key)
    capturer = world.capturer()
    with pytest.raises(SourceChanged):
        capturer.tick(Budget(world.clock, 5))
    assert world.manifest.state == "SOURCE_CHANGED"
    assert world.repairer().begin().kind == ("full" if table else "window")
    capturer.tick(Budget(world.clock, 30))  # the same worker goes on by itself
    repair(world)
    check(world, tmp_path)
    rows = shown(world.target(tmp_path, "current"), world.manifest, "current")
    assert set(rows) == (set("cxy") if table else set("cdefghxy"))


@pytest.mark.parametrize("before", ["full", "window"])
@pytest.mark.parametrize("table", [False, True], ids=["stream", "table"])
def test_a_source_that_is_replaced_during_a_repair(tmp_path: Any, before: str, table: bool) -> None:
    """What is under way would wait for ever for a base that nobody reads, or for exports of a table that is gone."""
    world = with_gap(kind=before)
    assert world.repairer().begin().kind == before
    world.recreate(table=table)
    for key in "cxy":
        world.write(key)
    capture(world)
    assert world.manifest.state == "SOURCE_CHANGED"
    goes_on = before == "window" and not table
    assert world.repairer().begin().epoch == (2 if goes_on else 3)
    repair(world)
    capture(world)
    world.repairer().begin()
    repair(world)
    check(world, tmp_path)


def test_a_table_with_another_key_is_not_mixed_in() -> None:
    world = whole()
    schema = replace(world.keys, hash=replace(world.keys.hash, name="other"))
    world.source.replace_table(key_schema=schema, table_id="other")
    capture(world)
    with pytest.raises(SourceChanged, match="another key"):
        world.repairer().begin()


@pytest.mark.parametrize("full", [False, True])
def test_a_table_of_another_account_is_not_read_in_its_place(full: bool) -> None:
    world = with_gap(kind="full")
    before = world.manifest
    world.source.table = replace(world.source.table, account="999999999999", table_id="other")
    with pytest.raises(ConfigInvalid, match="another account or region"):
        world.repairer().begin(full=full)
    assert world.manifest == before


def test_what_was_set_aside_before_a_sweep_does_not_come_back() -> None:
    world = with_gap(kind="full")
    line = b'{"Metadata":{"SequenceNumber":{"S":"1"}},"Keys":{"pk":{"S":"c"}},"NewImage":{"pk":{"S":"c"}}}'
    name = world.landing.quarantine("old", [QuarantinedRecord("bad_value", "why", line, segment="s", line=1)])
    world.repairer().begin()
    repair(world)
    report = replay(world.landing, name, world.clock, "w")
    assert report.landed == 0
    assert "older than the base" in report.kept[0].reason


def test_a_broken_chain_of_windows_begins_anew_with_a_full_export() -> None:
    world = ExportWorld()
    for key in "abc":
        world.put(key, 1)
    world.advance(900)
    world.settle_down()
    world.table.switch_recovery(False)
    world.delete("a")
    world.table.switch_recovery(True)
    world.put("b", 2)
    world.advance(7200)
    with pytest.raises(WindowMissing):
        world.capturer().step()
    exporter = Exporter(world.table, world.landing, world.settings, world.clock)
    repairer = Repairer(world.landing, None, world.table, world.table, exporter, world.clock, "w")
    assert repairer.begin().why == "its chain of windows is broken"
    for _ in range(60):
        pause = world.capturer().step().wait_seconds
        if repairer.step().done:
            break
        world.advance(max(pause, 1))
    assert world.manifest.open_gaps == ()
    assert world.manifest.segments[-1].kind == "sweep"
    assert {s.epoch for s in world.manifest.segments} == {1, 2}
    swept = [s for s in world.manifest.segments if s.epoch == 2]
    assert sum(s.rows for s in swept) == 2
    world.put("c", 3)
    world.advance(1800)
    world.settle_down()
    assert world.manifest.exports is not None
    assert world.manifest.exports.windows


# ---- windows


@given(start=st.integers(0, 10**6), width=st.integers(900, 35 * 86_400))
def test_windows_tile_and_have_widths_that_aws_takes(start: int, width: int) -> None:
    at, end = start, start + width
    while at < end:
        window = next_window(at, end)
        assert window.start == at
        at = window.end
    assert at == end


def test_the_oldest_gap_decides_where_the_window_begins() -> None:
    world = with_gap()
    gap = world.manifest.gaps[0]
    older = replace(gap, since_ms=(gap.since_ms or 0) - 5_000_000)
    two = replace(world.manifest, gaps=(gap, older))
    assert (missing_since(two) or 0) == (missing_since(world.manifest) or 0) - 5000


# ---- anything may happen


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32), recovery=st.booleans())
def test_whatever_was_lost_the_target_ends_equal(
    tmp_path_factory: pytest.TempPathFactory, seed: int, recovery: bool
) -> None:
    chance, world = random.Random(seed), whole("abcd")
    folder = tmp_path_factory.mktemp("repair")

    def some(writes: int) -> None:
        for _ in range(chance.randrange(writes)):
            world.write(chance.choice("abcdefg"), remove=chance.random() < 0.4)
            world.advance(chance.choice((0.1, 2, 400)))
            if chance.random() < 0.3:
                capture(world)

    for _ in range(chance.choice((1, 1, 2))):
        some(10)
        world.lose()
        some(6)
        capture(world)
        if not recovery:
            world.backups.switch_recovery(False)
            world.backups.switch_recovery(True)
        if world.manifest.open_gaps:
            world.repairer().begin()
        some(4)
        if world.manifest.open_gaps:
            repair(world)
        some(4)
    mode = chance.choice(MODES)
    target = world.target(folder, mode)
    capture(world)
    world.advance(5)
    capture(world)
    world.loader(target, mode).tick(Budget(world.clock))
    world.check(target, mode)


def scenario(plan: FaultPlan) -> World:
    world = with_gap()
    names = ("incarnation", "restorable", "describe")
    backups = Faulty(world.backups, plan, writes=("start",), reads=names)
    repairer = world.repairer(FaultyStore(world.store, plan), backups)
    with stopped():
        for _ in range(60):
            try:
                repairer.begin()
                report = repairer.step()
            except TailraceError:
                world.advance(1)
                continue
            if report.done:
                break
            world.advance(report.wait_seconds)
    return world


def worth_striking() -> list[FaultPlan]:
    """Every write; of the reads, which leave nothing behind, some."""
    plans = every_fault(scenario)
    writes = {plan.at for plan in plans if plan.fault == "lost_answer"}
    return [plan for plan in plans if plan.at in writes or plan.at % 6 == 0]


@pytest.mark.parametrize("plan", worth_striking(), ids=str)
def test_killed_or_failing_at_any_effect_it_is_repaired_once(plan: FaultPlan) -> None:
    world = scenario(plan)
    assert plan.struck
    world.repairer().begin()
    repair(world)
    manifest = world.manifest
    assert (manifest.epoch, manifest.open_gaps) == (2, ())
    names = [segment.name for segment in Landing(world.store, "orders").segments(manifest) if segment.epoch == 2]
    assert len(names) == len(set(names))
    exports = {name.split("/AWSDynamoDB")[0] for name in world.store.objects if "AWSDynamoDB" in name}
    assert len(exports) == 2, "a repeated request began another export"


def test_two_workers_at_once_repair_once() -> None:
    world = with_gap()
    workers = [world.repairer(), world.repairer()]
    for turn in range(200):
        workers[turn % 2].begin()
        if workers[turn % 2].step().done:
            break
        world.advance(10)
    assert world.manifest.epoch == 2
    numbers = [segment.number for segment in world.manifest.segments]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len({segment.name for segment in world.manifest.segments}) == len(numbers)
