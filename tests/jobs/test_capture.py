"""Stream capture against a model stream and a memory store. Numbers in the names are rows of the fault matrix."""

from __future__ import annotations

import json
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from capture_world import World

from tailrace.clock import Budget
from tailrace.errors import (
    ConfigInvalid,
    IteratorExpired,
    PermissionMissing,
    ServiceUnavailable,
    SourceChanged,
    StreamViewUnsupported,
    Throttled,
)
from tailrace.jobs.capture import Capturer, CaptureSettings
from tailrace.model.keys import KeyAttribute, KeySchema
from tailrace.testing.faults import FaultPlan, FaultyStore, stopped
from tailrace.testing.source import ModelSource, published
from tailrace.testing.stores import MemoryStore

DAY = 24 * 3600.0


def throttled() -> Throttled:
    return Throttled("slow down", hint="It is planned.")


def unavailable() -> ServiceUnavailable:
    return ServiceUnavailable("503", hint="It is planned.")


class CountingStore(MemoryStore):
    """Counts the calls that cost money on S3."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()

    def read(self, name: str) -> Any:
        self.calls["read"] += 1
        return super().read(name)

    def create(self, name: str, data: bytes) -> None:
        self.calls["create"] += 1
        super().create(name, data)

    def replace(self, name: str, data: bytes, expected: str | None) -> str:
        self.calls["replace"] += 1
        return super().replace(name, data, expected)

    def list(self, prefix: str) -> Any:
        self.calls["list"] += 1
        return super().list(prefix)


class BrokenStore(MemoryStore):
    """Refuses to create objects below a prefix while it is set."""

    broken = ""

    def create(self, name: str, data: bytes) -> None:
        if self.broken and name.startswith(self.broken):
            raise unavailable()
        super().create(name, data)


# ---- the plain course of things


def test_everything_written_is_published_once_and_in_order() -> None:
    world = World(shards=3)
    for number in range(100):
        world.source.write(f"key-{number % 7}", number, remove=number % 10 == 9)
    report = world.catch_up()
    assert (report.records, report.segments, report.state) == (100, 1, "CONSISTENT")
    assert len(published(world.landing)) == 100
    world.check()


def test_the_manifest_records_every_shard_before_anything_is_read() -> None:
    world = World(shards=3)
    world.source.denied = {"iterator"}
    world.source.write("a")
    with pytest.raises(PermissionMissing):
        world.capturer().step()
    assert world.manifest.shards.keys() == world.source.model.shards.keys()


def test_a_restart_goes_on_behind_the_mark() -> None:
    world = World()
    for number in range(10):
        world.source.write("a", number)
        assert world.catch_up().records == 1
    assert world.manifest.next_number == 11
    world.check()


def test_children_are_read_after_their_parent_is_published() -> None:
    world = World()
    capturer = world.capturer(flush_seconds=3600.0)
    for generation in range(4):
        for number in range(20):
            world.source.write(f"key-{number}", generation)
        for shard in [s.shard_id for s in world.source.model.shards.values() if s.last is None]:
            world.source.split(shard)
    world.catch_up(capturer)
    assert len(world.manifest.shards) == 1 + 2 + 4 + 8 + 16
    world.check()


def test_one_flush_carries_the_records_of_many_shards() -> None:
    world = World(shards=50)
    for number in range(500):
        world.source.write(f"key-{number}", number)
    report = world.catch_up()
    assert report.segments == 1
    (segment,) = world.manifest.segments
    assert len(segment.shards) == 50
    assert sum(r.rows for r in segment.shards.values()) == segment.rows == 500
    world.check()


def test_empty_pages_in_the_middle_of_a_shard_are_not_its_end() -> None:
    world = World()
    world.source.empty_pages = 2
    world.source.page_records = 5
    for number in range(50):
        world.source.write("a", number)
    world.source.roll()
    world.source.write("b")
    assert world.catch_up().records == 51
    world.check()


def test_a_shard_idle_for_days_is_polled_on() -> None:
    world = World()
    capturer = world.capturer()
    world.catch_up(capturer)
    reader = next(iter(capturer._readers.values()))
    reader.empty_pages = reader.failures = 100_000
    world.run(capturer, 3)
    world.source.errors["read"] = [unavailable()]
    world.run(capturer, 30)
    world.source.write("a")
    world.run(capturer, 30)
    world.check()


def test_records_delivered_twice_are_published_once() -> None:
    world = World()
    world.source.page_records = 10
    world.source.repeats = 7
    for number in range(100):
        world.source.write("a", number)
    assert world.catch_up().records == 100
    world.check()


def test_numbers_of_21_22_and_40_digits_are_compared_as_integers() -> None:
    for first in (10**21 - 5_000_000, 10**39 - 5_000_000):
        world = World(first_number=first)
        for number in range(20):
            world.source.write("a", number)
        world.source.split()
        for number in range(20):
            world.source.write("a", number)
        capturer = world.capturer()
        world.source.page_records = 3
        world.catch_up(capturer)
        assert len({len(str(number)) for number, _ in published(world.landing)}) == 2
        world.check()


# ---- rows 1-7: crashes, timeouts, lost races (the full enumeration is in test_capture_crashes.py)


@pytest.mark.parametrize("fault", ["lost_answer", "lost_request", "error"])
@pytest.mark.parametrize("what", ["create", "replace"])
def test_4_6_7_an_unknown_outcome_repeats_or_loses_nothing(what: str, fault: Any) -> None:
    world = World()
    world.catch_up()
    world.source.write("a", 1)
    plan = FaultPlan()
    capturer = world.capturer(store=FaultyStore(world.store, plan), flush_seconds=0.0)
    world.run(capturer, 5)
    world.source.write("a", 2)
    before = len(plan.effects)
    plan.at, plan.fault = before + (1 if what == "create" else 2), fault
    world.run(capturer, 30)
    assert plan.effects[plan.at - 1][0].startswith(what)
    world.source.write("a", 3)
    world.run(capturer, 30)
    assert len(published(world.landing)) == 3
    world.check()


# ---- row 17-21: throttling, errors, iterators


@pytest.mark.parametrize("operation", ["iterator", "read"])
@pytest.mark.parametrize("error", [throttled, unavailable])
def test_17_19_a_shard_backs_off_and_the_others_go_on(operation: str, error: Any) -> None:
    world = World(shards=4)
    for number in range(40):
        world.source.write(f"key-{number}", number)
    capturer = world.capturer()
    capturer._open()
    world.source.errors[operation] = [error() for _ in range(10)]
    assert world.catch_up(capturer).records == 40
    world.check()


def test_17_back_off_grows_to_twenty_seconds_and_not_beyond() -> None:
    world = World()
    capturer = world.capturer()
    capturer.step()
    (reader,) = capturer._readers.values()
    world.source.errors["read"] = [throttled() for _ in range(2000)]
    world.run(capturer, 800)
    assert 40 < world.source.calls["read"] < 100
    assert 10 <= reader.next_poll - world.clock.monotonic() + 20 <= 40


def test_17_a_third_reader_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    capturer = world.capturer()
    capturer.step()
    world.source.errors["read"] = [throttled() for _ in range(5)]
    world.run(capturer, 60)
    assert "third reader" in caplog.text


@pytest.mark.parametrize("operation", ["incarnation", "shards"])
def test_18_reading_goes_on_with_the_known_lineage(operation: str) -> None:
    world = World()
    capturer = world.capturer()
    world.catch_up(capturer)
    world.source.errors[operation] = [throttled() for _ in range(8)]
    world.source.write("a")
    world.run(capturer, 12)
    assert len(published(world.landing)) == 1
    world.run(capturer, 200)
    assert world.source.errors[operation] == []
    world.source.roll()
    world.source.write("a")
    world.run(capturer, 30)
    world.check()


def test_18_nothing_is_read_before_the_source_was_seen_to_be_the_right_one() -> None:
    world = World()
    world.catch_up()
    world.source.write("a")
    world.source.errors["incarnation"] = [throttled()]
    with pytest.raises(Throttled):
        world.capturer().step()
    assert published(world.landing) == []


def test_20_an_expired_iterator_resumes_behind_what_was_read() -> None:
    world = World()
    capturer = world.capturer()
    for number in range(5):
        world.source.write("a", number)
        world.run(capturer, 1)
        world.clock.ms += 16 * 60 * 1000
    world.run(capturer, 5)
    world.check()
    assert world.manifest.gaps == ()


def test_21_an_expired_iterator_of_a_shard_that_gave_nothing_begins_at_the_horizon() -> None:
    world = World()
    capturer = world.capturer()
    world.catch_up(capturer)
    world.source.write("a")
    world.source.expire_iterators()
    world.run(capturer, 5)
    assert len(published(world.landing)) == 1
    world.check()


def test_iterators_that_always_expire_do_not_spin() -> None:
    world = World()
    capturer = world.capturer()
    capturer.step()
    world.source.errors["read"] = [IteratorExpired("too old", hint="It is planned.") for _ in range(2000)]
    world.run(capturer, 60)
    assert world.source.calls["read"] < 20


# ---- rows 22-26: what is lost and what only seems so


def test_22_a_trimmed_position_is_a_durable_gap_before_anything_behind_it_is_read() -> None:
    world = World()
    world.source.write("a", 1)
    world.catch_up()
    mark = world.source.log[-1].number
    world.source.write("a", 2)
    world.source.trim()
    world.source.write("a", 3)
    seen: list[list[str]] = []
    capturer = world.capturer()
    original = world.source.read

    def read(iterator: str, limit: int = 1000) -> Any:
        page = original(iterator, limit)
        if page.records:
            seen.append([gap.kind for gap in world.manifest.gaps])
        return page

    world.source.read = read  # type: ignore[method-assign]
    assert world.catch_up(capturer).state == "GAP"
    assert seen[0] == ["stream_trimmed"]
    (gap,) = world.manifest.gaps
    assert (gap.after, gap.state) == (mark, "detected")
    world.check()


def test_22_a_listing_is_as_old_as_the_question_however_long_its_answer_takes() -> None:
    """Else a child that was born meanwhile would count as born later, and what was trimmed of it might not be missed."""
    world = World()
    capturer = world.capturer()
    original = world.source.shards

    def slow() -> Any:
        listing = original()
        world.source.shards = original  # type: ignore[method-assign]
        (child,) = world.source.roll()
        world.source.unlisted = {child}  # for the next look, too
        world.clock.ms += 26 * 3_600_000
        return listing

    world.source.write("b", 1)
    world.catch_up(capturer)
    world.source.shards = slow  # type: ignore[method-assign]
    world.clock.ms += 60_000
    asked_ms = world.clock.ms
    for look in range(3):
        if look == 2:
            world.source.unlisted = set()
        capturer.step()
        world.clock.ms += 60_000
    (child,) = (shard for shard in world.manifest.shards.values() if shard.parent is not None)
    assert child.since_ms is not None
    assert child.since_ms <= asked_ms


def test_22_a_gap_is_recorded_once_however_often_it_is_met() -> None:
    world = World()
    world.source.write("a", 1)
    world.catch_up()
    world.source.write("a", 2)
    world.source.trim()
    for _ in range(3):
        world.catch_up()
    assert len(world.manifest.gaps) == 1
    world.source.write("a", 3)
    world.catch_up()
    world.source.write("a", 4)
    world.source.trim()
    world.catch_up()
    assert len(world.manifest.gaps) == 2
    world.check()


def test_22_a_mark_never_goes_back_at_a_gap() -> None:
    world = World()
    world.source.write("a", 1)
    world.catch_up()
    world.source.write("a", 2)
    world.source.trim()
    world.source.roll()
    world.catch_up()
    parent = next(s for s in world.manifest.shards.values() if s.parent is None)
    assert parent.mark == world.source.log[0].number
    world.check()


def test_22_trimmed_before_anything_was_read() -> None:
    world = World()
    capturer = world.capturer()
    capturer._open()
    (reader_shard,) = world.manifest.shards
    world.source.write("a", 1)
    capturer._discover_if_due()
    capturer._readers[reader_shard] = capturer._new_reader(reader_shard)
    capturer._readers[reader_shard].iterator = world.source.iterator(reader_shard)
    world.source.trim()
    world.source.write("a", 2)
    world.catch_up(capturer)
    (gap,) = world.manifest.gaps
    assert (gap.kind, gap.after) == ("stream_trimmed", None)
    world.check()


@pytest.mark.parametrize("is_restarted", [True, False])
def test_23_an_outage_of_more_than_a_day_is_a_gap_of_every_shard(is_restarted: bool) -> None:
    world = World(shards=3)
    for number in range(20):
        world.source.write(f"key-{number}", number)
    capturer = world.capturer()
    world.catch_up(capturer)
    for number in range(20):
        world.source.write(f"key-{number}", number)
    world.source.age(DAY + 3600)
    for number in range(20):
        world.source.write(f"key-{number}", number)
    report = world.catch_up(None if is_restarted else capturer)
    assert report.state == "GAP"
    assert {gap.shard for gap in world.manifest.gaps} == set(world.manifest.shards)
    world.check()


@pytest.mark.parametrize("is_restarted", [True, False])
@pytest.mark.parametrize("was_at_tip", [True, False])
def test_23_a_shard_without_a_mark_is_a_gap_after_a_day_without_a_look(is_restarted: bool, was_at_tip: bool) -> None:
    world = World()
    capturer = world.capturer()
    if was_at_tip:
        world.catch_up(capturer)
    else:
        capturer._open()
    world.source.write("a", 1)
    world.source.age(DAY + 3600)
    world.source.write("a", 2)
    capturer = world.capturer() if is_restarted else capturer
    assert world.catch_up(capturer).state == "GAP"
    assert [gap.kind for gap in world.manifest.gaps] == ["stream_trimmed"]
    world.check()
    world.catch_up()
    assert len(world.manifest.gaps) == 1


def test_23_a_process_that_slept_for_days_before_its_first_read_tells_the_gap() -> None:
    world = World()
    world.source.write("a", 1)
    original, slept = world.source.iterator, []

    def sleep(*args: Any, **more: Any) -> str:
        if not slept:
            slept.append(True)
            world.source.age(DAY + 3600)
            world.source.write("a", 2)
        return original(*args, **more)

    world.source.iterator = sleep  # type: ignore[method-assign]
    world.run(world.capturer(), 2 * DAY, until=lambda: len(published(world.landing)) > 0)
    assert world.manifest.state == "GAP"
    assert [gap.kind for gap in world.manifest.gaps] == ["stream_trimmed"]
    assert [number for number, _ in published(world.landing)] == [world.source.log[1].number]


def test_23_a_quiet_table_that_is_watched_has_no_gap() -> None:
    world = World()
    capturer = world.capturer()
    for _ in range(30):
        world.run(capturer, 30)
        world.source.age(3600)
    world.source.write("a")
    world.run(capturer, 10)
    assert world.manifest.gaps == ()
    world.check()


def test_24_a_shard_that_left_the_listing_unread_is_a_gap() -> None:
    world = World()
    world.source.write("a", 1)
    world.catch_up()
    world.source.write("a", 2)
    (parent,) = world.source.model.shards
    world.source.roll()
    world.source.write("a", 3)
    world.source.gone.add(parent)
    capturer = world.capturer()
    capturer.step()
    assert world.manifest.gaps == ()  # one listing may be incomplete
    assert world.catch_up(capturer).state == "GAP"
    (gap,) = world.manifest.gaps
    assert (gap.kind, gap.shard, gap.after) == ("shard_vanished", parent, world.source.log[0].number)
    world.check()


def test_24_what_was_read_of_a_vanished_shard_is_published() -> None:
    world = World()
    capturer = world.capturer(flush_seconds=7200.0, heartbeat_seconds=7200.0)
    world.source.write("a", 1)
    world.run(capturer, 5)
    world.source.gone.update(world.source.model.shards)
    world.run(capturer, 200)
    assert len(published(world.landing)) == 1
    assert [gap.after for gap in world.manifest.gaps] == [world.source.log[0].number]


def test_24_a_whole_generation_that_came_and_went_is_a_gap() -> None:
    world = World()
    world.source.write("a", 1)
    world.catch_up()
    world.source.roll()
    world.source.write("a", 2)
    world.source.age(2 * DAY)
    world.source.roll()
    world.source.age(2 * DAY)
    world.source.write("a", 3)
    world.catch_up()
    vanished = {gap.shard for gap in world.manifest.gaps if gap.kind == "shard_vanished"}
    assert world.source.log[1].shard_id in vanished
    world.check()


def test_24_a_listing_that_shows_children_before_their_parent_breaks_no_order() -> None:
    world = World()
    capturer = world.capturer()
    world.catch_up(capturer)
    (middle,) = world.source.roll()
    world.source.write("a", 1)
    world.source.roll(middle)
    world.source.write("a", 2)
    world.source.unlisted = {middle}
    world.run(capturer, 20)
    world.source.unlisted = set()
    world.run(capturer, 40)
    assert [number for number, _ in published(world.landing)] == [w.number for w in world.source.log]
    assert world.manifest.gaps == ()


def test_24_two_incomplete_listings_make_no_shard_vanish_that_can_be_read() -> None:
    world = World()
    capturer = world.capturer()
    world.catch_up(capturer)
    world.source.unlisted = set(world.source.model.shards)
    world.run(capturer, 300)
    world.source.write("a")
    world.run(capturer, 30)
    assert (world.manifest.gaps, len(published(world.landing))) == ((), 1)


def test_23_a_child_born_during_an_outage_may_have_lost_its_first_records() -> None:
    world = World()
    world.source.write("a", 1)
    capturer = world.capturer()
    world.catch_up(capturer)
    (parent,) = world.source.model.shards
    world.source.roll()
    world.run(capturer, 0.5, until=lambda: world.manifest.shards[parent].finished_ms is not None)
    world.source.write("a", 2)
    world.source.age(DAY + 60)
    world.source.write("a", 3)
    assert world.catch_up().state == "GAP"
    world.check()


def test_a_shard_is_finished_once() -> None:
    world = World()
    capturer = world.capturer()
    world.catch_up(capturer)
    (parent,) = world.source.model.shards
    world.source.model.hide_children_seconds = 50
    world.source.roll()
    world.run(capturer, 5)
    finished_ms = world.manifest.shards[parent].finished_ms
    assert finished_ms is not None
    world.run(capturer, 90)
    assert world.manifest.shards[parent].finished_ms == finished_ms


def test_24_a_listing_that_lacks_a_shard_for_a_moment_loses_nothing() -> None:
    world = World(shards=3)
    capturer = world.capturer()
    world.catch_up(capturer)
    world.source.unlisted = set(world.source.model.shards)
    world.run(capturer, 40)
    world.source.unlisted = set()
    for number in range(20):
        world.source.write(f"key-{number}", number)
    world.run(capturer, 200)
    assert world.manifest.gaps == ()
    world.check()


def test_25_a_closed_leaf_waits_for_its_child_and_the_watermark_with_it() -> None:
    world = World(shards=2)
    capturer = world.capturer()
    world.catch_up(capturer)
    closed = next(i for i, shard in sorted(world.source.model.shards.items()) if shard.last is None)
    world.source.model.hide_children_seconds = 300
    world.source.split(closed)
    started_ms = world.clock.ms
    for number in range(20):
        world.source.write(f"key-{number}", number)
    world.run(capturer, 200)
    assert not capturer.step().caught_up
    assert world.manifest.captured_through_ms is not None
    assert world.manifest.captured_through_ms <= started_ms + 15_000
    assert 0 < len(published(world.landing)) < 20  # the other shard goes on
    world.run(capturer, 200)
    assert world.manifest.gaps == ()
    assert world.manifest.captured_through_ms > started_ms + 300_000
    world.check()


def test_25_a_closed_leaf_without_a_child_for_25_hours_is_a_gap_and_holds_up_nothing_else() -> None:
    world = World(shards=2)
    world.catch_up()
    world.source.model.hide_children_seconds = 10 * DAY
    world.source.roll()
    capturer = world.capturer()
    for _ in range(26):
        world.run(capturer, 60)
        world.clock.ms += 3600 * 1000
    world.run(capturer, 60)
    assert [gap.kind for gap in world.manifest.gaps] == ["lineage_broken"]
    assert world.catch_up().state == "GAP"


def test_25_a_child_hidden_for_a_moment_is_found_within_two_seconds() -> None:
    world = World()
    capturer = world.capturer()
    world.catch_up(capturer)
    world.source.model.hide_children_seconds = 3
    world.source.roll()
    world.source.write("a")
    world.run(capturer, 7)
    assert len(published(world.landing)) == 1


def test_26_a_child_waits_for_its_open_parent() -> None:
    world = World()
    world.source.write("a", 1)
    (parent,) = world.source.model.shards
    (child,) = world.source.roll()
    world.source.write("a", 2)
    world.source.model.shards[parent].last = None  # the listing does not show yet that it is closed
    capturer = world.capturer()
    world.run(capturer, 60)
    assert [number for number, _ in published(world.landing)] == [world.source.log[0].number]
    assert world.manifest.captured_through_ms is not None
    assert world.manifest.captured_through_ms <= world.source.model.shards[child].created * 1000
    world.source.model.shards[parent].last = world.source.model.shards[child].first - 1
    world.run(capturer, 60)
    world.check()


@pytest.mark.parametrize("shape", ["itself", "cycle"])
def test_76_a_shard_that_is_its_own_ancestor_is_read_and_shown(shape: str) -> None:
    world = World(shards=2)
    one, two = world.source.model.shards
    world.source.parents = {one: one} if shape == "itself" else {one: two, two: one}
    for number in range(20):
        world.source.write(f"key-{number}", number)
    assert world.catch_up().state == "GAP"
    assert {gap.kind for gap in world.manifest.gaps} == {"lineage_broken"}
    world.check()


# ---- row 27: many shards


def test_27_a_thousand_shards_split_at_once() -> None:
    world = World(shards=1000)
    capturer = world.capturer()
    for number in range(3000):
        world.source.write(f"key-{number}", number)
    world.catch_up(capturer)
    for shard in list(world.source.model.shards):
        world.source.roll(shard)
    for number in range(3000):
        world.source.write(f"key-{number}", number)
    version = world.manifest.version
    report = world.catch_up(capturer)
    assert report.open_shards == 1000
    assert world.manifest.version - version < 50  # closed shards are published together
    world.check()


def test_27_at_most_so_many_reads_are_under_way_and_every_shard_gets_its_turn() -> None:
    world = World(shards=200)
    for number in range(400):
        world.source.write(f"key-{number}", number)
    lock, under_way, most, shards = threading.Lock(), 0, 0, Counter[str]()
    original = world.source.read

    def read(iterator: str, limit: int = 1000) -> Any:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
            shards[iterator.rpartition("/")[0]] += 1
        try:
            return original(iterator, limit)
        finally:
            with lock:
                under_way -= 1

    world.source.read = read  # type: ignore[method-assign]
    with ThreadPoolExecutor(4) as executor:
        settings = CaptureSettings(workers=4)
        capturer = Capturer(world.source, world.landing, settings, world.clock, "threads", executor=executor)
        queued = 0
        for _ in range(5000):
            report = capturer.step()
            queued = max(queued, len(capturer._inflight))
            if report.caught_up:
                break
            world.clock.ms += 50
        capturer.flush()
    assert most <= 4
    assert queued <= 8
    assert len(shards) == 200
    assert max(shards.values()) - min(shards.values()) <= 8  # nobody starves
    world.check()


# ---- rows 28-32: another table


@pytest.mark.parametrize(
    "changed",
    [
        {"stream_arn": "arn:aws:dynamodb:eu-west-1:111122223333:table/orders/stream/2026-11-23T00:00:00.000"},
        {"table_id": "id-2"},
        {"key_schema": KeySchema(KeyAttribute("pk", "S"), KeyAttribute("sk", "N"))},
    ],
    ids=["28_stream_arn", "30_32_table_id", "31_key_schema"],
)
@pytest.mark.parametrize("is_restarted", [True, False])
def test_28_30_31_32_another_table_is_never_mixed_in(changed: dict[str, Any], is_restarted: bool) -> None:
    world = World()
    world.source.write("a", 1)
    capturer = world.capturer()
    world.catch_up(capturer)
    world.source.replace_table(**changed)
    capturer = world.capturer() if is_restarted else capturer
    world.clock.ms += 11_000
    world.source.write("a", 2)
    for _ in range(3):
        with pytest.raises(SourceChanged) as raised:
            world.capturer().step() if is_restarted else capturer.step()
        assert next(iter(changed)) in raised.value.message
        assert raised.value.hint
    if not is_restarted:
        capturer._start_reads()  # nobody is left to be read
    capturer.flush()
    assert len(published(world.landing)) == 1
    assert world.manifest.state == "SOURCE_CHANGED"
    assert [gap.kind for gap in world.manifest.gaps] == ["stream_replaced"]


@pytest.mark.parametrize("is_restarted", [True, False])
@pytest.mark.parametrize("there", ["a stream", "no stream"])
def test_somebody_elses_credentials_are_refused_and_leave_nothing_behind(there: str, is_restarted: bool) -> None:
    """No table is made anew in another account or region: it is the configuration that led there."""
    world = World()
    world.source.write("a", 1)
    capturer = world.capturer()
    world.catch_up(capturer)
    ours, before = world.source.table, world.manifest
    if there == "a stream":
        arn = "arn:aws:dynamodb:us-east-1:999999999999:table/orders/stream/2026-11-23T00:00:00.000"
        world.source.table = replace(ours, account="999999999999", region="us-east-1", table_id="id-2", stream_arn=arn)
    else:
        off = StreamViewUnsupported(
            "the stream is off", hint="Switch it on.", account="999999999999", region="us-east-1"
        )
        world.source.errors["incarnation"] = [off] * 3
    capturer = world.capturer() if is_restarted else capturer
    world.clock.ms += 11_000
    for _ in range(3):
        with pytest.raises(ConfigInvalid, match="another account or region") as raised:
            capturer.step()
        assert raised.value.facts["found"] == "999999999999 in us-east-1"
    assert (world.manifest.state, world.manifest.gaps) == (before.state, ())
    world.source.table = ours
    world.source.write("a", 2)
    world.catch_up(world.capturer() if is_restarted else capturer)
    assert len(published(world.landing)) == 2
    assert world.manifest.gaps == ()


def test_28_what_was_read_of_the_old_stream_is_published_first() -> None:
    world = World()
    capturer = world.capturer(flush_seconds=3600.0)
    world.source.write("a", 1)
    world.run(capturer, 5)
    assert published(world.landing) == []
    world.source.replace_table(table_id="id-2")
    world.run(capturer, 15)
    assert len(published(world.landing)) == 1


def test_28_a_stream_that_is_switched_off_is_over() -> None:
    world = World()
    capturer = world.capturer()
    world.catch_up(capturer)
    world.source.errors["incarnation"] = [StreamViewUnsupported("the stream is off", hint="Switch it on.")] * 5
    world.clock.ms += 11_000
    with pytest.raises(SourceChanged, match="the stream is off"):
        capturer.step()
    assert world.manifest.state == "SOURCE_CHANGED"


def test_29_a_stream_without_new_images_is_refused_at_the_start() -> None:
    world = World()
    world.source.errors["incarnation"] = [StreamViewUnsupported("KEYS_ONLY", hint="Use new images.")]
    with pytest.raises(StreamViewUnsupported):
        world.capturer().step()
    assert world.landing.load() is None


# ---- rows 47-48: several workers


def test_47_two_workers_on_one_shard_publish_every_record_once() -> None:
    world = World()
    workers = [world.capturer(flush_seconds=0.0), world.capturer(flush_seconds=0.0)]
    for number in range(60):
        world.source.write(f"key-{number % 5}", number)
        if number % 20 == 10:
            world.source.split()
        for worker in workers if number % 2 else reversed(workers):
            worker.step()
        world.clock.ms += 700
        world.check(settled=False)
    world.clock.ms += 20_000
    for worker in workers:
        world.run(worker, 60)
    world.check()


def test_47_the_second_worker_stands_by_while_the_first_publishes_and_takes_over_when_it_stops() -> None:
    world = World()
    one, two = world.capturer(), world.capturer()
    world.run(one, 2)
    published_by: Counter[str] = Counter()
    for number in range(300):
        world.source.write("a", number)
        for worker in (one, two):
            worker.step()
        world.clock.ms += 200
        published_by[world.manifest.writer] += 1
    first = published_by.most_common(1)[0][0]
    assert published_by[first] > 250
    heir = two if first == "worker-1" else one
    world.run(heir, 30)
    assert world.manifest.writer != first
    world.check()


def test_who_publishes_no_marks_is_no_reason_to_stand_by() -> None:
    """A compaction or a replay came first: the very next step publishes what was read."""
    world = World()
    capturer = world.capturer(flush_seconds=1.0)
    world.run(capturer, 2)
    world.source.write("a", 1)
    world.run(capturer, 0.5)
    found = world.landing.load()
    assert found is not None
    world.landing.save(replace(found.manifest, compacted_through=1), found, "compactor")
    world.run(capturer, 1.5)
    assert world.manifest.counters["rows"] == 1
    assert world.manifest.compacted_through == 1
    world.check()


def test_48_a_zombie_that_resumes_publishes_nothing() -> None:
    world = World()
    zombie = world.capturer(flush_seconds=30.0)
    world.source.write("a", 1)
    world.run(zombie, 5)  # it has read, and is stopped before it publishes
    world.source.write("a", 2)
    world.catch_up()
    world.clock.ms += 10 * 60 * 1000
    version = world.manifest.version
    report = zombie.step()
    assert report.standby
    assert report.records == 0
    assert world.manifest.version == version
    world.run(zombie, 60)
    world.source.write("a", 3)
    world.run(zombie, 60)
    world.check()


def test_48_a_zombie_keeps_nothing_that_was_trimmed_before_its_heir_looked() -> None:
    """Else the older of two changes would be published, and the gap behind it be told as if all before now were captured."""
    world = World()
    world.source.page_records = 1
    world.source.write("a", 1)
    world.source.write("a", 2)
    world.source.age(DAY - 3600)  # old when capture begins
    zombie = world.capturer(flush_seconds=DAY)
    world.run(zombie, 60, until=lambda: zombie._has_news())
    world.source.age(2 * 3600)
    world.catch_up()
    assert world.manifest.captured_through_ms is not None
    world.run(zombie, 600)
    assert published(world.landing) == []
    assert world.manifest.gaps == ()
    world.source.write("a", 3)
    world.run(world.capturer(), 60)
    assert [number for number, _ in published(world.landing)] == [world.source.log[-1].number]


# ---- rows 57-58: poison


BAD_ENVELOPES: dict[str, dict[str, Any]] = {
    "no_keys": {"Keys": None},
    "keys_are_text": {"Keys": "pk"},
    "no_new_image": {"NewImage": None},
    "unknown_event": {"eventName": "UPSERT"},
    "no_event": {"eventName": None},
    "no_time": {"ApproximateCreationDateTime": None},
    "time_is_text": {"ApproximateCreationDateTime": "today"},
    "time_in_milliseconds": {"ApproximateCreationDateTime": 1_790_000_000_000.0},
    "time_is_no_number": {"ApproximateCreationDateTime": float("nan")},
}
NO_POSITION: dict[str, dict[str, Any]] = {
    "no_number": {"SequenceNumber": None},
    "number_of_41_digits": {"SequenceNumber": "1" * 41},
    "number_is_text": {"SequenceNumber": "abc"},
    "no_change_at_all": {"dynamodb": None},
    "change_is_text": {"dynamodb": "none"},
}


@pytest.mark.parametrize("odd", (BAD_ENVELOPES | NO_POSITION).values(), ids=[*BAD_ENVELOPES, *NO_POSITION])
@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_57_a_poison_record_is_set_aside_once_and_the_rest_flows(odd: dict[str, Any], place: str) -> None:
    world = World()
    for number in range(3):
        if place == ("first", "middle", "last")[number]:
            world.source.write("poison", number, **odd)
        if place != "last" or number < 2:
            world.source.write("a", number)
    report = world.catch_up()
    assert report.quarantined == 1
    world.check()
    world.catch_up()
    world.source.write("a", 9)
    world.catch_up()
    (file,) = world.landing.quarantined()
    (record,) = file.records
    assert (record.kind, record.shard) == ("bad_envelope", world.source.log[0].shard_id)
    assert record.reason
    world.check()


def test_57_the_mark_moves_over_poison_at_the_end_of_a_shard_and_the_child_follows() -> None:
    world = World()
    for number in range(5):
        world.source.write("poison", number, Keys=None)
    last = world.source.log[-1]
    world.source.roll()
    world.source.write("a")
    capturer = world.capturer()
    world.catch_up(capturer)
    assert world.manifest.shards[last.shard_id].mark == last.number
    assert world.manifest.counters["quarantined"] == 5
    world.check()


def test_57_poison_read_again_after_a_crash_is_set_aside_once() -> None:
    world = World()
    world.source.write("a", 0)
    for number in range(3):
        world.source.write("poison", number, **(NO_POSITION["no_number"] if number == 1 else {"Keys": None}))
    plan = FaultPlan()
    first = world.capturer(store=FaultyStore(world.store, plan), flush_seconds=0.0)
    plan.at, plan.fault = 7, "error"  # three quarantine objects are written and the segment, the swap fails
    with stopped():
        first.tick(Budget(world.clock, 5))
    assert plan.effects[-1][0].startswith("replace")
    world.source.write("poison", 4, Keys=None)
    world.catch_up()
    world.check()


def test_58_without_a_quarantine_nothing_is_dropped() -> None:
    store = BrokenStore()
    world = World(store=store)
    world.source.write("a", 1)
    world.catch_up()
    store.broken = "orders/quarantine/"
    world.source.write("poison", 2, Keys=None)
    world.source.write("a", 3)
    capturer = world.capturer()
    world.run(capturer, 60)
    assert len(published(world.landing)) == 1
    assert next(iter(world.manifest.shards.values())).mark == world.source.log[0].number
    store.broken = ""
    world.run(capturer, 60)
    world.check()


# ---- row 60: permission


@pytest.mark.parametrize("operation", ["incarnation", "shards", "iterator", "read"])
def test_60_a_lost_permission_is_a_pause_with_its_reason_until_it_is_back(operation: str) -> None:
    world = World()
    world.source.write("a", 1)
    world.catch_up()
    world.source.write("a", 2)
    world.source.denied = {operation}
    capturer = world.capturer()
    world.run(capturer, 60)
    pause = world.manifest.pause
    assert pause is not None
    assert (world.manifest.state, pause.action, pause.resource) == ("PAUSED", operation, "orders")
    assert world.source.calls[operation] < 200
    world.source.denied = set()
    world.run(capturer, 60)
    assert (world.manifest.state, world.manifest.pause) == ("CONSISTENT", None)
    world.check()


# ---- row 73: stopping


def test_73_a_stop_publishes_what_was_read() -> None:
    world = World()
    capturer = world.capturer(flush_seconds=3600.0)
    world.source.write("a", 1)
    stop = threading.Event()
    original = world.source.read

    def read(iterator: str, limit: int = 1000) -> Any:
        stop.set()
        return original(iterator, limit)

    world.source.read = read  # type: ignore[method-assign]
    report = capturer.tick(Budget(world.clock, None, stop))
    assert (report.records, world.source.calls["read"]) == (1, 1)
    assert len(published(world.landing)) == 1


def test_73_the_last_flush_happens_even_when_the_last_read_was_refused() -> None:
    world = World(shards=2)
    capturer = world.capturer(flush_seconds=3600.0)
    for number in range(10):
        world.source.write(f"key-{number}", number)
    world.run(capturer, 2)
    world.source.denied = {"read"}
    world.clock.ms += 5000
    capturer._start_reads()
    with pytest.raises(PermissionMissing):
        capturer.flush()
    assert len(published(world.landing)) == 10


# ---- row 85: order


def test_85_a_child_that_begins_before_its_parent_ended_is_refused_before_it_is_published() -> None:
    world = World()
    world.source.write("a", 1)
    world.source.model._number -= 500_000_000  # the next numbers are smaller
    (child,) = world.source.roll()
    world.source.write("a", 2)
    capturer = world.capturer()
    with pytest.raises(SourceChanged, match="order"):
        capturer.tick(Budget(world.clock, 600))
    world.run(capturer, 60)
    assert len(published(world.landing)) == 1
    assert world.manifest.shards[child].mark is None
    pause = world.manifest.pause
    assert pause is not None
    assert (world.manifest.state, pause.reason[:15]) == ("PAUSED", "sequence_order:")
    world.run(world.capturer(), 60)  # a restart changes nothing
    assert (world.manifest.state, len(published(world.landing))) == ("PAUSED", 1)


def test_85_the_other_shards_go_on() -> None:
    world = World(shards=4)
    capturer = world.capturer()
    world.catch_up(capturer)
    before = world.source.model._number
    world.source.model._number -= 500_000_000
    (child,) = world.source.roll()
    for number in range(40):
        world.source.write(f"key-{number}", number)
        world.source.model._number = max(before, world.source.model._number)
    world.source.model.shards[child].records.sort(key=lambda r: r.number)
    first = world.source.model.shards[child].records[0].number
    world.source.bodies[first]["dynamodb"]["SequenceNumber"] = "1" * 20
    world.run(capturer, 60)
    outside = [w for w in world.source.log if w.shard_id != child]
    assert len(published(world.landing)) == len(outside) > 0
    assert world.manifest.state == "PAUSED"


def test_85_another_trouble_that_comes_and_goes_does_not_hide_a_refused_shard() -> None:
    world = World()
    world.source.write("a", 1)
    world.source.model._number -= 500_000_000
    world.source.roll()
    world.source.write("a", 2)
    capturer = world.capturer()
    world.run(capturer, 30)
    world.source.denied = {"shards"}
    world.run(capturer, 30)
    assert world.manifest.state == "PAUSED"
    world.source.denied = set()
    world.run(capturer, 120)
    pause = world.manifest.pause
    assert pause is not None
    assert (world.manifest.state, pause.reason[:15]) == ("PAUSED", "sequence_order:")


# ---- LATEST


def test_latest_reads_what_is_written_from_now_on_and_idle_shards_lose_nothing() -> None:
    world = World(shards=4)
    for number in range(40):
        world.source.write(f"old-{number}", number)
    world.source.age(3600)
    world.catch_up(start="LATEST")
    assert published(world.landing) == []
    world.source.age(1800)  # nobody looks, the idle shards have no position
    new = [world.source.write(f"new-{number}", number) for number in range(40)]
    world.catch_up(start="LATEST")
    assert sorted(number for number, _ in published(world.landing)) == [w.number for w in new]


def test_latest_is_for_the_first_discovery_only_children_are_read_whole() -> None:
    world = World()
    world.source.write("old")
    world.source.age(3600)
    capturer = world.capturer(start="LATEST")
    world.catch_up(capturer)
    world.source.roll()
    world.source.write("a", 1)
    world.source.age(3600)  # the child is found late
    world.source.write("a", 2)
    world.catch_up(world.capturer(start="LATEST"))
    assert [number for number, _ in published(world.landing)] == [w.number for w in world.source.log[1:]]


# ---- flushes, buffers, cost, lag


def test_a_flush_by_size() -> None:
    world = World()
    world.source.page_records = 10
    for number in range(100):
        world.source.write("a", number)
    capturer = world.capturer(flush_bytes=4000, flush_seconds=3600.0, heartbeat_seconds=7200.0)
    world.run(capturer, 10)
    assert len(world.manifest.segments) >= 3
    assert all(segment.rows <= 40 for segment in world.manifest.segments)
    world.check(settled=False)


def test_a_flush_by_time() -> None:
    world = World()
    capturer = world.capturer(flush_seconds=10.0)
    world.catch_up(capturer)
    for number in range(100):
        world.source.write("a", number)
        world.run(capturer, 0.5)
    assert 4 <= len(world.manifest.segments) <= 6


@pytest.mark.parametrize("buffer_bytes", [2000, 10**9])
def test_shards_are_not_read_while_too_much_waits_to_be_published(buffer_bytes: int) -> None:
    store = BrokenStore()
    world = World(store=store)
    world.source.page_records = 5
    for number in range(200):
        world.source.write("a", number)
    capturer = world.capturer(buffer_bytes=buffer_bytes)
    store.broken = "orders/changes/"
    world.run(capturer, 300)
    read = sum(len(reader.lines) for reader in capturer._readers.values())
    assert read <= 20 if buffer_bytes == 2000 else read == 200
    store.broken = ""
    world.run(capturer, 300)
    world.check()


def test_a_silent_table_costs_one_put_a_minute() -> None:
    store = CountingStore()
    world = World(store=store, shards=4)
    capturer = world.capturer()
    world.catch_up(capturer)
    world.run(capturer, 2)
    store.calls.clear()
    world.run(capturer, 900)
    assert store.calls.keys() == {"replace"}
    assert 14 <= store.calls["replace"] <= 15


def test_a_change_a_minute_costs_two_puts_each() -> None:
    store = CountingStore()
    world = World(store=store)
    capturer = world.capturer()
    world.catch_up(capturer)
    world.run(capturer, 2)
    store.calls.clear()
    for number in range(15):
        world.source.write("a", number)
        world.run(capturer, 60)
    assert store.calls == {"create": 15, "replace": 15}


def test_a_busy_table_costs_two_puts_a_flush() -> None:
    store = CountingStore()
    world = World(store=store, shards=4)
    capturer = world.capturer(flush_seconds=10.0)
    world.catch_up(capturer)
    store.calls.clear()
    started = world.clock.monotonic()
    for number in range(400):
        world.source.write(f"key-{number}", number)
        world.run(capturer, 0.5)
    flushes = (world.clock.monotonic() - started) / 10
    assert flushes - 3 <= store.calls["create"] <= flushes
    assert flushes - 3 <= store.calls["replace"] <= flushes
    assert store.calls.keys() == {"create", "replace"}


def test_lag_is_the_age_of_what_is_not_captured() -> None:
    world = World()
    capturer = world.capturer()
    world.catch_up(capturer)
    assert capturer.step().lag_seconds == pytest.approx(0, abs=2)
    world.source.denied = {"read"}
    world.run(capturer, 120)
    world.source.denied = set()
    world.clock.ms += 2000
    world.source.errors["read"] = [unavailable()] * 2
    assert capturer.step().lag_seconds == pytest.approx(122, abs=10)
    world.run(capturer, 30)
    assert capturer.step().lag_seconds == pytest.approx(0, abs=2)


def seconds_before(source: ModelSource, ms: int | None) -> set[int]:
    """Numbers of what was written before this moment; the stream tells whole seconds, so the last one does not count."""
    times = {w.number: json.loads(w.line or b"")["Metadata"]["WriteTimestampMicros"]["N"] for w in source.log}
    return {number for number, micros in times.items() if ms is not None and int(micros) // 1000 + 1000 <= ms}


def test_the_watermark_never_passes_a_record_that_is_not_published() -> None:
    world = World(shards=2)
    capturer = world.capturer(flush_seconds=0.0)
    for number in range(80):
        world.source.write(f"key-{number % 10}", number)
        if number % 9 == 5:
            world.source.errors["read"] = [unavailable()] * 3  # some shards lag behind the others
        if number % 20 == 10:
            world.source.model.hide_children_seconds = number % 4
            world.source.split()
        world.run(capturer, 0.7)
        there = {number for number, _ in published(world.landing)}
        assert seconds_before(world.source, world.manifest.captured_through_ms) <= there
    numbers = [number for number, _ in published(world.landing)]
    for segment in world.manifest.segments:
        so_far = set(numbers[: sum(s.rows for s in world.manifest.segments if s.number <= segment.number)])
        assert seconds_before(world.source, segment.through_ms) <= so_far


def test_after_an_unknown_outcome_of_the_very_first_swap_it_goes_on() -> None:
    world = World()
    plan = FaultPlan(2, "lost_answer")
    capturer = world.capturer(store=FaultyStore(world.store, plan))
    world.source.write("a")
    world.catch_up(capturer)
    world.check()


def test_a_worker_with_real_threads_captures_everything() -> None:
    world = World(shards=20)
    capturer = Capturer(world.source, world.landing, CaptureSettings(), world.clock, "threads")
    try:
        for number in range(2000):
            world.source.write(f"key-{number}", number)
        for shard in list(world.source.model.shards)[::3]:
            world.source.split(shard)
        world.catch_up(capturer)
    finally:
        capturer.close()
    world.check()
