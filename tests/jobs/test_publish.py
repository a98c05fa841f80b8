"""Publication of what functions land: listed once, proven by the stream itself, and landed here where a function fails."""

from __future__ import annotations

import gzip
import random
from dataclasses import replace
from pathlib import Path

import pytest
from lambda_world import LambdaWorld

from tailrace.capture.source import RecordsPage
from tailrace.clock import Budget
from tailrace.decide.publish import DUE_MS
from tailrace.errors import SourceChanged, StateContended
from tailrace.jobs.compact import Compactor, CompactSettings
from tailrace.jobs.load import Loader
from tailrace.landing import Landing
from tailrace.model.repair import RepairState
from tailrace.targets.duckdb import DuckDbTarget
from tailrace.targets.target import Mode
from tailrace.testing.faults import FaultPlan, FaultySource, FaultyStore, every_fault, stopped
from tailrace.testing.source import published

HOUR_MS = 3_600_000


@pytest.fixture
def world() -> LambdaWorld:
    return LambdaWorld()


# ---- listing


def test_what_a_function_lands_is_listed_once_and_the_marks_pass_it(world: LambdaWorld) -> None:
    records = [world.source.write(f"k{n % 3}", n) for n in range(10)]
    world.deliver(*records[:6])
    world.deliver(*records[6:])
    report = world.tick()
    assert (report.caught_up, report.segments, report.records, report.rescued) == (True, 2, 10, 0)
    manifest = world.manifest
    assert [s.kind for s in manifest.segments] == ["lambda", "lambda"]
    assert manifest.state == "CONSISTENT"
    assert world.clock.ms - 1000 <= (manifest.captured_through_ms or 0) <= world.clock.ms
    assert {shard.mark for shard in manifest.shards.values() if shard.mark} == {records[-1].number}
    assert world.tick().segments == 0
    world.check()


def test_a_file_by_its_name_is_listed_and_nothing_is_claimed(world: LambdaWorld) -> None:
    first, second = world.source.write("a"), world.source.write("b")
    name = world.deliver(first)
    world.deliver(second)
    assert name is not None
    for _ in range(2):  # the event comes twice
        world.publisher().publish(Budget(world.clock), [name])
    manifest = world.manifest
    assert [(s.name, s.through_ms) for s in manifest.segments] == [(name, None)]
    assert manifest.captured_through_ms is None
    world.check(settled=False)


def test_what_is_young_and_not_landed_is_waited_for(world: LambdaWorld) -> None:
    records = [world.source.write("a", n) for n in range(3)]
    world.deliver(records[0])
    world.clock.ms += 1000
    report = world.tick()
    assert (report.waits, report.caught_up, report.rescued) == (True, False, 0)
    through_ms = world.manifest.captured_through_ms
    assert through_ms is not None
    assert through_ms <= world.clock.ms - 1000
    assert [number for number, _ in published(world.landing)] == [records[0].number]
    world.deliver(*records[1:])
    assert world.tick().caught_up
    world.check()


def test_what_is_due_and_not_landed_is_landed_here(world: LambdaWorld, caplog: pytest.LogCaptureFixture) -> None:
    records = [world.source.write("a", n) for n in range(3)]
    world.deliver(records[0], records[2])
    world.tick()
    world.clock.ms += DUE_MS + 1000
    report = world.tick()
    assert (report.caught_up, report.rescued) == (True, 1)
    assert "were due and not landed" in caplog.text
    assert world.manifest.counters["rescued"] == 1
    assert {s.kind for s in world.manifest.segments} == {"lambda"}, "the function may still land the same"
    world.check()
    world.deliver(records[1])  # the function gets to it after all
    assert world.tick().segments == 1
    world.check()


def test_without_any_function_it_captures_all_itself(world: LambdaWorld) -> None:
    for n in range(2500):
        world.source.write(f"k{n % 7}", n)
    world.source.split()
    world.source.write("a")
    world.tick()
    world.clock.ms += DUE_MS + 1000
    report = world.tick()
    assert (report.caught_up, report.rescued) == (True, 2501)
    world.check()


def test_a_second_worker_goes_on_from_the_marks(world: LambdaWorld) -> None:
    publisher = world.publisher()
    for n in range(5):
        world.deliver(*[world.source.write(f"k{i}", n) for i in range(4)])
        world.source.roll()
        world.clock.ms += 20_000
        assert world.tick(publisher if n % 2 else None).rescued == 0
    world.clock.ms += 60_000
    assert world.tick().caught_up
    assert len(published(world.landing)) == 20


def test_steps_publish_at_their_pace(world: LambdaWorld) -> None:
    publisher = world.publisher(flush_seconds=60.0)
    world.run(publisher, 20)  # type: ignore[arg-type]
    looked, begun_ms = world.store.list, world.clock.ms
    looks: list[str] = []
    world.store.list = lambda prefix: looks.append(prefix) or looked(prefix)  # type: ignore[method-assign, func-returns-value]
    world.deliver(world.source.write("a"))
    world.run(publisher, 600)  # type: ignore[arg-type]
    assert len(published(world.landing)) == 1
    assert world.clock.ms - (world.manifest.captured_through_ms or 0) <= 130_000
    assert looks.count("orders/changes/dt=2026-09-21/") <= (world.clock.ms - begun_ms) // 60_000 + 2
    world.check()


def test_every_look_asks_again_for_what_was_waited_for(world: LambdaWorld) -> None:
    read, publisher = world.source.read, world.publisher(flush_seconds=60.0)

    def slowly(iterator: str) -> RecordsPage:
        world.clock.ms += 50  # so that what waits since a look waits until a moment after the next one
        return read(iterator)

    world.source.read = slowly  # type: ignore[method-assign]
    world.run(publisher, 20)  # type: ignore[arg-type]
    for n in range(4):
        record = world.source.write("a", n)
        world.run(publisher, 30)  # type: ignore[arg-type]
        world.deliver(record)
        world.run(publisher, 30)  # type: ignore[arg-type]
        assert record.number in {shard.mark for shard in world.manifest.shards.values()}
    world.check()


# ---- what may come late, twice, or from elsewhere


def test_files_are_found_however_long_nobody_published(world: LambdaWorld) -> None:
    world.tick()
    name = world.deliver(world.source.write("a"))
    world.source.trim()
    world.clock.ms += 80 * HOUR_MS
    world.publisher().publish(Budget(world.clock))
    assert [s.name for s in world.manifest.segments] == [name]


def test_a_late_file_goes_into_the_hour_of_its_records_and_is_found(world: LambdaWorld) -> None:
    late = world.source.write("a")
    world.clock.ms += 23 * HOUR_MS
    world.deliver(world.source.write("b"))
    world.tick()
    (rescued,) = (s for s in world.manifest.segments if s.number == 2)
    world.deliver(late)
    assert world.tick().segments == 1
    again = world.manifest.segments[-1]
    assert again.name.split("/")[:-1] == rescued.name.split("/")[:-1], "the folder of the hour in which it was written"
    assert again.name != rescued.name
    world.check()


def test_names_on_pages_are_known_and_each_page_is_read_once(
    world: LambdaWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tailrace.landing.landing.SEGMENTS_MAX", 6)
    monkeypatch.setattr("tailrace.landing.landing.SEGMENTS_KEPT", 2)
    records, publisher = [world.source.write("a", n) for n in range(30)], world.publisher()
    for record in records:
        world.deliver(record)
        publisher.publish(Budget(world.clock))
    manifest = world.manifest
    assert (len(manifest.pages) > 3, manifest.next_number) == (True, 31)
    reads: list[str] = []
    read = world.store.read
    world.store.read = lambda name: reads.append(name) or read(name)  # type: ignore[method-assign, func-returns-value]
    publisher.publish(Budget(world.clock))
    publisher.publish(Budget(world.clock))
    assert world.manifest.next_number == 31
    assert max(reads.count(f"orders/{page.name}") for page in manifest.pages) <= 1
    world.publisher().publish(Budget(world.clock))
    assert world.manifest.next_number == 31


def test_for_a_name_no_more_pages_are_read_than_its_hour_needs(
    world: LambdaWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tailrace.landing.landing.SEGMENTS_MAX", 4)
    monkeypatch.setattr("tailrace.landing.landing.SEGMENTS_KEPT", 1)
    names, read = [], world.store.read
    for n in range(24):
        name = world.deliver(world.source.write("a", n))
        assert name is not None
        names.append(name)
        world.publisher().publish(Budget(world.clock), [name])
        world.clock.ms += HOUR_MS
    pages = [f"orders/{page.name}" for page in world.manifest.pages]
    reads: list[str] = []
    world.store.read = lambda name: reads.append(name) or read(name)  # type: ignore[method-assign, func-returns-value]
    counts = []
    for name in (names[-1], names[-9], names[0]):
        reads.clear()
        world.publisher().publish(Budget(world.clock), [name])
        counts.append(sum(name in pages for name in reads))
    assert counts == [0, 2, 5]
    assert world.manifest.next_number == 25, "all were listed before"


def test_a_compacted_segment_that_comes_again_is_not_listed_again(world: LambdaWorld) -> None:
    records = [world.source.write("a", n) for n in range(4)]
    for record in records:
        world.deliver(record)
    world.tick()
    world.clock.ms += 2 * HOUR_MS
    compactor = Compactor(world.landing, CompactSettings(grace_seconds=60), world.clock, "c")
    assert compactor.tick(Budget(world.clock)).segments == 4
    world.clock.ms += 120_000
    assert compactor.tick(Budget(world.clock)).deleted == 4
    world.deliver(records[0])
    world.tick()
    assert world.manifest.next_number == 5
    world.check()


def test_an_event_of_long_ago_lists_nothing_again(world: LambdaWorld) -> None:
    record = world.source.write("a")
    name = world.deliver(record)
    assert name is not None
    world.tick()
    for _ in range(5):
        world.clock.ms += 20 * HOUR_MS
        world.tick()
    compacted = world.manifest.segments
    world.deliver(record)  # and its event calls for publication by name
    world.publisher().publish(Budget(world.clock), [name])
    assert world.manifest.segments == compacted


@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_a_listed_segment_that_is_lost_proves_nothing(world: LambdaWorld, damage: str) -> None:
    record = world.source.write("a")
    name = world.deliver(record)
    world.publisher().publish(Budget(world.clock))
    data = world.store.objects.pop(f"orders/{name}")
    if damage == "cut":
        world.store.objects[f"orders/{name}"] = data[:-9]
    world.clock.ms += DUE_MS + 1000
    report = world.publisher().tick(Budget(world.clock, 60))
    assert (report.rescued, report.caught_up) == (1, True), "its changes are still in the stream"


def test_what_no_function_made_of_this_stream_is_left_alone(
    world: LambdaWorld, caplog: pytest.LogCaptureFixture
) -> None:
    record = world.source.write("a")
    ours = world.deliver(record)
    assert ours is not None
    folder = f"orders/{ours.rsplit('/', 1)[0]}"
    arn = world.source.table.stream_arn
    world.source.table = replace(world.source.table, stream_arn=arn + "-before")
    world.deliver(record)
    world.source.table = replace(world.source.table, stream_arn=arn)
    world.store.create(f"{folder}/1-2-0123abcd.json.gz", b"no gzip")
    world.store.create(f"{folder}/1-3-0123abcd.json.gz", gzip.compress(b'{"Item":{}}\n'))
    world.store.create(f"{folder}/1-4-0123abcd.json.gz", gzip.compress(b""))
    world.store.create(f"{folder}/notes.txt", b"mine")
    world.capturer().tick(Budget(world.clock))  # a poller that lost its swap leaves a segment like this
    poller = next(n for n in world.store.objects if n.startswith(folder) and str(record.number) in n and ours not in n)
    assert poller
    world.store.delete("orders/manifest.json")
    world.tick()
    assert [s.name for s in world.manifest.segments] == [ours]
    assert caplog.text.count("is not listed") == 5
    world.check()


def test_files_of_before_a_repair_stay_out_of_its_epoch(world: LambdaWorld) -> None:
    world.tick()
    old = world.source.write("a", 1)
    world.clock.ms += 1000
    saved = world.landing.load()
    assert saved is not None
    repair = RepairState(2, "full", world.clock.ms)
    world.landing.save(replace(saved.manifest, epoch=2, repair=repair), saved, "r")
    world.deliver(old)
    assert world.tick().segments == 0
    world.clock.ms += DUE_MS + 1000
    new = world.source.write("a", 2)
    world.deliver(new)
    assert world.tick().rescued == 1, "read from the stream again, because no mark has passed it"
    assert {s.epoch for s in world.manifest.segments} == {2}
    world.check()


def test_a_record_that_the_function_set_aside_is_not_set_aside_again(world: LambdaWorld) -> None:
    records = [world.source.write("a"), world.source.write("b", Keys=None), world.source.write("c")]
    world.deliver(*records)
    assert world.publisher().tick(Budget(world.clock, 60)).caught_up
    assert world.landing.quarantine_count() == 1
    assert len(published(world.landing)) == 2


def test_a_child_that_begins_before_its_parent_ended_pauses_the_table(world: LambdaWorld) -> None:
    world.deliver(*[world.source.write("a", n) for n in range(3)])
    world.tick()
    (child,) = world.source.roll()
    parent = next(i for i, s in world.source.model.shards.items() if i != child)
    world.source.model.shards[parent].last = 10**30
    world.deliver(world.source.write("a", 9))
    world.clock.ms += 60_000
    with pytest.raises(SourceChanged, match="order of changes cannot be proved"):
        world.publisher().tick(Budget(world.clock, 600))
    assert world.manifest.state == "PAUSED"


def test_a_pause_of_more_than_a_day_is_a_gap_because_nothing_proves_what_was_trimmed(world: LambdaWorld) -> None:
    world.deliver(world.source.write("a", 1))
    world.tick()
    world.deliver(world.source.write("a", 2))
    world.source.trim()
    world.clock.ms += 30 * HOUR_MS
    world.deliver(world.source.write("a", 3))
    world.tick()
    assert world.manifest.state == "GAP"
    assert len(published(world.landing)) == 3, "what was landed is listed all the same"


# ---- targets


@pytest.mark.parametrize("mode", ["current", "changelog", "history", "soft_delete"])
def test_segments_that_overlap_are_applied_once(tmp_path: Path, world: LambdaWorld, mode: Mode) -> None:
    records = [world.source.write(f"k{n % 3}", n) for n in range(9)]
    for first, last in ((0, 4), (2, 6), (0, 9), (5, 9)):
        world.deliver(*records[first:last])
    world.tick()
    assert len(published(world.landing)) == 4 + 4 + 9 + 4
    target = DuckDbTarget("local", tmp_path / "w.duckdb", world.clock)
    loader = Loader(world.landing, target, "orders", mode, world.clock)
    for size in (1, 4):
        loader._limits = replace(loader._limits, segments=size)
        loader.step()
    rows = target.query('SELECT "_tr_pos" FROM "orders"').to_pylist()
    positions = sorted(int(row["_tr_pos"][-40:]) for row in rows)
    wanted = records if mode in ("changelog", "history") else records[6:]
    assert positions == [r.number for r in wanted]


# ---- faults and races


def test_publishers_that_race_list_each_segment_once(world: LambdaWorld) -> None:
    names = [world.deliver(world.source.write(f"k{n}")) for n in range(6)]
    one, two = world.publisher(), world.publisher()
    store = world.store
    replace_, raced = store.replace, []

    def racing(name: str, data: bytes, expected: str | None) -> str:
        if not raced:
            raced.append(1)
            two.publish(Budget(world.clock), [n for n in names[2:] if n])
        return replace_(name, data, expected)

    one.open()
    store.replace = racing  # type: ignore[method-assign]
    one.publish(Budget(world.clock))
    assert sorted(s.name for s in world.manifest.segments) == sorted(n for n in names if n)
    world.check(settled=False)


def test_a_worker_loses_no_swap_to_itself(world: LambdaWorld) -> None:
    publisher = world.publisher()
    world.tick(publisher)
    store, refused = world.store.replace, []

    def counting(name: str, data: bytes, expected: str | None) -> str:
        try:
            return store(name, data, expected)
        except StateContended:
            refused.append(name)
            raise

    world.store.replace = counting  # type: ignore[method-assign]
    for n in range(3):
        world.deliver(world.source.write("a", n))
        world.clock.ms += 60_000
        assert world.tick(publisher).caught_up
    assert refused == []
    world.check()


def test_what_was_read_of_a_stream_is_not_listed_of_its_successor(world: LambdaWorld) -> None:
    world.tick()
    world.clock.ms += 10 * HOUR_MS
    world.deliver(world.source.write("a"))
    publisher = world.publisher()
    replace_ = world.store.replace

    def raced(name: str, data: bytes, expected: str | None) -> str:
        world.store.replace = replace_  # type: ignore[method-assign]
        saved = world.landing.load()
        assert saved is not None
        repaired = replace(saved.manifest, epoch=2, repair=RepairState(2, "full", world.clock.ms - 2 * HOUR_MS))
        successor = replace(repaired.incarnation, stream_arn="arn:aws:s2")
        world.landing.save(replace(repaired, incarnation=successor), saved, "r")
        return replace_(name, data, expected)

    world.store.replace = raced  # type: ignore[method-assign]
    assert publisher.publish(Budget(world.clock)).segments == 0
    assert world.manifest.segments == ()


def story(world: LambdaWorld, plan: FaultPlan) -> None:
    source, store = FaultySource(world.source, plan), FaultyStore(world.store, plan)
    records = [world.source.write("a", n) for n in range(3)]
    with stopped():
        world.deliver(*records[:2], store=store)
        world.publisher(source=source, store=store).tick(Budget(world.clock, 60))
        world.clock.ms += DUE_MS + 1000
        world.publisher(source=source, store=store).tick(Budget(world.clock, 60))


@pytest.mark.parametrize("plan", every_fault(lambda plan: story(LambdaWorld(), plan)), ids=str)
def test_wherever_it_fails_nothing_is_lost_or_claimed(plan: FaultPlan) -> None:
    world = LambdaWorld()
    story(world, plan)
    assert plan.struck
    world.check(settled=False)
    world.clock.ms += DUE_MS + 60_000
    assert world.tick().caught_up
    world.check()


@pytest.mark.parametrize("seed", range(25))
def test_any_delivery_is_made_whole(tmp_path: Path, seed: int) -> None:
    """Batches of any borders, twice, late, lost, in disorder, over splits; two publishers; then everything is there once."""
    dice, world = random.Random(seed), LambdaWorld()
    publishers = [world.publisher(flush_seconds=20), world.publisher(flush_seconds=20)]
    waiting: list[int] = []
    for _ in range(60):
        match dice.randrange(8):
            case 0 | 1 | 2:
                for _ in range(dice.randrange(1, 6)):
                    waiting.append(len(world.source.log))
                    world.source.write(f"k{dice.randrange(4)}", dice.randrange(99), remove=dice.random() < 0.2)
            case 3 | 4:
                if waiting:
                    first = dice.randrange(len(waiting))
                    batch = waiting[first : first + dice.randrange(1, 9)]
                    world.deliver(*[world.source.log[n] for n in batch])
                    if dice.random() < 0.7:
                        del waiting[first : first + len(batch)]
            case 5:
                dice.choice([world.source.split, world.source.roll])()
            case 6:
                world.clock.ms += dice.choice([500, 5_000, 90_000, DUE_MS])
            case _:
                world.tick(dice.choice(publishers), seconds=30)
    world.clock.ms += DUE_MS + 60_000
    for _ in range(3):
        report = world.tick()
    assert report.caught_up
    world.check()
    target = DuckDbTarget("local", tmp_path / "w.duckdb", world.clock)
    loader = Loader(Landing(world.store, "orders"), target, "orders", "changelog", world.clock)
    loader.tick(Budget(world.clock))
    rows = target.query('SELECT "_tr_pos" FROM "orders"').to_pylist() if world.source.log else []
    assert sorted(int(r["_tr_pos"][-40:]) for r in rows) == sorted(w.number for w in world.source.log)
