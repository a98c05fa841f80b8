"""Backfill over a table in memory: whole, once, in time, at its pace, by whomever, wherever it is killed."""

from __future__ import annotations

import gzip
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tailrace.capture.table import ScanPage
from tailrace.clock import Budget, ManualClock, SystemClock
from tailrace.errors import ConfigInvalid, SourceChanged, TailraceError, Throttled
from tailrace.jobs.backfill import Backfiller, BackfillReport, BackfillSettings
from tailrace.jobs.capture import Capturer, CaptureSettings
from tailrace.landing import Landing, Store
from tailrace.model.manifest import Manifest
from tailrace.model.scan import ScanState
from tailrace.testing.faults import FaultPlan, Faulty, FaultyStore, SimulatedCrash, every_fault
from tailrace.testing.source import InlineExecutor, ModelSource
from tailrace.testing.stores import MemoryStore
from tailrace.testing.tables import MemoryTable

PAGE_ITEMS = 4


class SlowTable(MemoryTable):
    """Each page takes time; some are refused, some come empty. Remembers what was asked for."""

    def __init__(self, world: World, seconds: float = 0.0, empty_pages: int = 0) -> None:
        super().__init__(world.source.table.key_schema, PAGE_ITEMS)
        self.clock = world.clock
        self.seconds = seconds
        self.empty_pages = empty_pages
        self.errors: list[TailraceError] = []
        self.asked: list[tuple[int, str]] = []
        self.units = 0

    def scan_page(self, scan_segment: int, scan_segments: int, after: Any) -> ScanPage:
        self.clock.ms += int(self.seconds * 1000)
        if self.errors:
            raise self.errors.pop(0)
        self.asked.append((scan_segment, json.dumps(after)))
        skipped = int((after or {}).get("skip", {}).get("N", "0"))
        real = None if after is None else {name: value for name, value in after.items() if name != "skip"} or None
        if skipped < self.empty_pages:
            return ScanPage((), {**(real or {}), "skip": {"N": str(skipped + 1)}}, 1)
        page = super().scan_page(scan_segment, scan_segments, real)
        self.units += page.units
        return page


class World:
    def __init__(self, items: int = 50, **table: Any) -> None:
        self.clock = ManualClock()
        self.source = ModelSource(self.clock)
        self.store = MemoryStore()
        self.table = SlowTable(self, **table)
        self.table_id = self.source.table.table_id
        self.workers = 0
        self.items = items
        for number in range(items):
            self.table.put({"pk": {"S": f"key-{number}"}, "value": {"N": str(number)}})

    @property
    def landing(self) -> Landing:
        return Landing(self.store, "orders")

    @property
    def manifest(self) -> Manifest:
        found = self.landing.load()
        assert found is not None
        return found.manifest

    @property
    def scan(self) -> ScanState:
        assert self.manifest.scan is not None
        return self.manifest.scan

    def capturer(self, **rules: Any) -> Capturer:
        self.workers += 1
        return Capturer(
            self.source,
            self.landing,
            CaptureSettings(**rules),
            self.clock,
            f"capturer-{self.workers}",
            executor=InlineExecutor(),
        )

    def worker(self, *, table: Any = None, store: Store | None = None, **rules: Any) -> Backfiller:
        self.workers += 1
        return Backfiller(
            table or self.table,
            lambda: self.table_id,
            Landing(store or self.store, "orders"),
            BackfillSettings(**{"scan_segments": 3, "units": None, **rules}),
            self.clock,
            f"worker-{self.workers}",
            executor=InlineExecutor(),
        )

    def begin(self) -> World:
        """Capture has put the shards on record."""
        self.capturer().open()
        return self

    def budget(self, seconds: float | None = None) -> Budget:
        return Budget(self.clock, seconds)

    def landed(self) -> list[str]:
        """The keys of everything that the manifest lists as base, in publish order."""
        return [
            json.loads(line)["Item"]["pk"]["S"]
            for segment in self.landing.segments(self.manifest)
            if segment.kind == "base"
            for line in gzip.decompress(b"".join(self.landing.read_segment(segment))).splitlines()
        ]

    def check_whole(self) -> None:
        """Every item once, every page counted, numbers dense."""
        counts = Counter(self.landed())
        assert set(counts) == {f"key-{number}" for number in range(self.items)}
        assert set(counts.values()) == {1}
        assert self.scan.finished_ms is not None
        assert self.scan.rows == len(counts)
        segments = list(self.landing.segments(self.manifest))
        assert [segment.number for segment in segments] == list(range(1, len(segments) + 1))
        assert self.scan.last_number == max(s.number for s in segments if s.kind == "base")
        for segment in segments:
            self.landing.verify_segment(segment)


def test_a_table_arrives_whole_several_pages_to_a_file() -> None:
    world = World().begin()
    report = world.worker().tick(world.budget())
    assert report.done
    assert (report.rows, report.parts, report.parts_done) == (50, 3, 3)
    assert report.pages == len(world.table.asked) > 9
    assert report.segments == 3
    assert report.units == world.table.units == world.scan.units
    names = [segment.name for segment in world.manifest.segments]
    assert all(re.fullmatch(r"base/1/[012]-0-[0-9a-f]{8}\.json\.gz", name) for name in names)
    world.check_whole()
    assert world.worker().tick(world.budget()) == BackfillReport(parts=3, parts_done=3, done=True)


def test_an_empty_table_is_done_at_once_and_lands_nothing() -> None:
    world = World(items=0).begin()
    assert world.worker().tick(world.budget()).done
    assert world.manifest.segments == ()
    assert world.scan.finished_ms is not None


def test_nothing_is_read_before_the_shards_are_on_record() -> None:
    world = World()
    worker = world.worker()
    assert worker.tick(world.budget()).waits_for_capture
    assert world.table.asked == []
    world.begin()
    assert worker.tick(world.budget()).done


def test_a_part_that_is_refused_is_waited_for_also_when_the_others_are_read_to_their_end() -> None:
    world = World(items=6).begin()
    original, refusals = world.table.scan_page, [Throttled("slow down", hint="It is planned.")] * 5

    def scan_page(scan_segment: int, scan_segments: int, after: Any) -> ScanPage:
        if scan_segment == 1 and refusals:
            raise refusals.pop()
        return original(scan_segment, scan_segments, after)

    world.table.scan_page = scan_page  # type: ignore[method-assign]
    worker = world.worker(flush_seconds=3600.0)
    waits = []
    for _ in range(100):
        report = worker.step(world.budget())
        if report.done:
            break
        waits.append(report.wait_seconds)
        world.clock.ms += int(1000 * report.wait_seconds) + 1
    assert report.done
    assert waits.count(0.0) <= 3, "it must not spin"


def test_one_page_that_took_an_hour_does_not_keep_later_ticks_from_reading() -> None:
    world = World(seconds=3600.0).begin()
    worker = world.worker()
    worker.tick(world.budget(20))
    world.table.seconds = 0.1
    for _ in range(10):
        report = worker.tick(world.budget(20))
    assert report.done
    world.check_whole()


def test_an_empty_page_is_not_the_end() -> None:
    world = World(empty_pages=3).begin()
    assert world.worker().tick(world.budget()).done
    world.check_whole()


def test_an_empty_page_alone_moves_the_position() -> None:
    world = World(items=5, empty_pages=3, seconds=1.0).begin()
    for _ in range(40):
        if world.worker(scan_segments=1).tick(world.budget(1.5)).done:
            break
    world.check_whole()
    assert len(world.table.asked) == len(set(world.table.asked)), "a page was read twice"


def test_files_are_cut_by_bytes() -> None:
    world = World().begin()
    report = world.worker(flush_bytes=400).tick(world.budget())
    assert report.segments > 5
    world.check_whole()
    assert len({s.name for s in world.manifest.segments}) == report.segments


def test_files_are_cut_by_time() -> None:
    world = World(seconds=1.0).begin()
    report = world.worker(flush_seconds=4.0).tick(world.budget())
    assert 3 < report.segments < report.pages
    world.check_whole()


# ---- budgets


@pytest.mark.parametrize("budget", [1.6, 2.5, 7.0, 20.0])
def test_ticks_keep_their_budget_and_no_page_is_read_twice(budget: float) -> None:
    world = World(seconds=1.0).begin()
    ticks = 0
    while True:
        begun = world.clock.monotonic()
        report = world.worker(workers=1).tick(world.budget(budget))
        assert world.clock.monotonic() - begun <= budget
        assert report.pages > 0, "a tick without progress"
        ticks += 1
        if report.done:
            break
    assert ticks >= 15 / budget
    assert len(world.table.asked) == len(set(world.table.asked))
    world.check_whole()


def test_a_page_that_hangs_is_given_up_in_time_and_read_again() -> None:
    world = World().begin()
    go_on = threading.Event()

    class Hanging(MemoryTable):
        def scan_page(self, scan_segment: int, scan_segments: int, after: Any) -> ScanPage:
            if scan_segment == 1:
                go_on.wait(30)
            return world.table.scan_page(scan_segment, scan_segments, after)

    clock = SystemClock()
    settings_ = BackfillSettings(scan_segments=3, units=None)
    worker = Backfiller(Hanging(world.table.keys), lambda: world.table_id, world.landing, settings_, clock, "w")
    begun = time.monotonic()
    report = worker.tick(Budget(clock, 1.5))
    assert time.monotonic() - begun < 3.5
    assert (report.parts_done, report.done) == (2, False)
    go_on.set()
    assert world.worker().tick(world.budget()).done
    world.check_whole()


def test_a_stop_publishes_what_was_read() -> None:
    world = World().begin()
    stop = threading.Event()
    worker = world.worker(workers=1)
    worker.step(Budget(world.clock, None, stop))
    stop.set()
    report = worker.flush(Budget(world.clock, None, stop))
    assert report.rows == PAGE_ITEMS
    assert len(world.landed()) == PAGE_ITEMS


# ---- pace


def test_the_limit_on_units_holds() -> None:
    world = World(items=400).begin()
    begun = world.clock.monotonic()
    world.worker(units=10).tick(world.budget())
    seconds = world.clock.monotonic() - begun
    assert world.table.units == 400
    assert seconds >= 400 / 10 - 30, "the first page is charged as a whole one"
    assert world.table.units <= 10 * seconds + 300
    world.check_whole()


def test_refusals_slow_it_down_and_lose_nothing() -> None:
    world = World(seconds=0.1).begin()
    world.table.errors = [Throttled("planned", hint="It is planned.") for _ in range(12)]
    begun = world.clock.monotonic()
    assert world.worker().tick(world.budget()).done
    assert world.clock.monotonic() - begun > 5
    world.check_whole()


# ---- what is refused


def test_another_number_of_scan_segments_is_refused_until_it_is_done() -> None:
    world = World(seconds=1.0).begin()
    world.worker().tick(world.budget(3))
    with pytest.raises(ConfigInvalid, match="began with 3") as caught:
        world.worker(scan_segments=4).tick(world.budget())
    assert "scan_segments = 3" in caught.value.hint
    world.worker().tick(world.budget())
    assert world.worker(scan_segments=4).tick(world.budget()).done


def test_another_table_is_not_read() -> None:
    world = World(items=400, seconds=1.0).begin()
    worker = world.worker(flush_seconds=100.0)
    worker.step(world.budget())
    world.table_id = "another"
    with pytest.raises(SourceChanged):
        worker.tick(world.budget())
    assert len(world.table.asked) <= 15, "it goes on reading for longer than ten seconds"
    with pytest.raises(SourceChanged):
        world.worker().tick(world.budget())


def test_a_scan_that_began_anew_takes_nothing_from_the_one_before() -> None:
    world = World(seconds=1.0).begin()
    worker = world.worker(flush_seconds=100.0)
    worker.step(world.budget())
    published = world.landing.load()
    assert published is not None
    fresh = ScanState(2, world.scan.parts, world.clock.now_ms())
    world.landing.save(replace(published.manifest, epoch=2, scan=fresh), published, "another")
    worker.flush(world.budget())
    assert world.landed() == []
    worker.tick(world.budget())
    world.check_whole()
    assert {s.name.split("/")[1] for s in world.manifest.segments} == {"2"}


# ---- beside capture, and beside one another


def test_capture_goes_on_while_the_base_is_published_and_does_not_stand_by() -> None:
    world = World(items=200, seconds=0.2)
    capturer = world.capturer(flush_seconds=0.5)
    capturer.step()
    worker = world.worker(flush_seconds=1.0)
    for number in range(400):
        world.source.write(f"key-{number % 7}", number)
        assert not capturer.step().standby
        if worker.step(world.budget()).done:
            break
        world.clock.ms += 100
    assert not capturer.tick(world.budget(60)).standby
    world.check_whole()
    published = [s for s in world.landing.segments(world.manifest) if s.kind == "stream"]
    assert sum(s.rows for s in published) == len(world.source.log)
    assert len(published) > 5


def quick(test: Callable[..., None]) -> Callable[..., None]:
    return settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])(test)


@quick
@given(
    turns=st.lists(st.integers(0, 2), max_size=60),
    flush_bytes=st.sampled_from([100, 500, 10_000]),
    fresh=st.sets(st.integers(0, 59)),
)
def test_three_workers_at_once_do_what_one_does(turns: list[int], flush_bytes: int, fresh: set[int]) -> None:
    world = World(seconds=0.1).begin()
    workers = [world.worker(flush_bytes=flush_bytes, workers=2) for _ in range(3)]
    for number, turn in enumerate(turns):
        if number in fresh:  # it dies, and another one takes its place
            workers[turn] = world.worker(flush_bytes=flush_bytes, workers=2)
        workers[turn].step(world.budget())
    for worker in workers:
        worker.flush(world.budget())
    assert max(Counter(world.landed()).values(), default=1) == 1
    assert workers[1].tick(world.budget()).done
    world.check_whole()


# ---- killed anywhere


def scenario(plan: FaultPlan) -> World:
    world = World(items=30, empty_pages=1, seconds=1.0).begin()
    worker = world.worker(
        table=Faulty(world.table, plan, reads=("scan_page",)), store=FaultyStore(world.store, plan), flush_seconds=4.0
    )
    for _ in range(60):
        try:
            if worker.step(world.budget()).done:
                break
        except SimulatedCrash:
            return world
        except TailraceError:
            pass  # a daemon logs it and steps on
        world.clock.ms += 200
    return world


PLANS = every_fault(scenario)


def test_the_scenario_has_everything_in_it() -> None:
    plan = FaultPlan()
    world = scenario(plan)
    names = [name for name, _ in plan.effects]
    assert sum("create" in name for name in names) >= 3
    assert sum("replace" in name for name in names) >= 4
    assert len(PLANS) > 90
    world.check_whole()


@pytest.mark.parametrize("plan", PLANS, ids=str)
def test_killed_or_failing_at_any_effect_it_ends_whole_and_nothing_comes_twice(plan: FaultPlan) -> None:
    world = scenario(plan)
    assert plan.struck
    assert world.worker().tick(world.budget()).done
    world.check_whole()
