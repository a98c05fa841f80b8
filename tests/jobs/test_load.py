"""The load job over a store in memory and a real DuckDB file: what is taken, what blocks, and every effect failing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from load_world import World

from tailrace.clock import Budget
from tailrace.decide.load import Every, LoadLimits
from tailrace.errors import OrderConflict, SegmentCorrupt, SegmentMissing, TailraceError, TargetBusy, UserFault
from tailrace.jobs.load import Loader, LoadReport, table_spec
from tailrace.landing import Landing
from tailrace.landing.segments import pack
from tailrace.model.manifest import Manifest
from tailrace.model.segments import Segment
from tailrace.targets.duckdb import DuckDbTarget
from tailrace.targets.target import Applied, Load, Target
from tailrace.testing.faults import FaultPlan, Faulty, FaultyStore, effects_of, every_fault, stopped
from tailrace.testing.stores import MemoryStore
from tailrace.testing.target_contract import PK, Change, Replica, delete, put

POISON = b'{"Metadata":{},"Keys":{}}'


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


class Watching:
    """A target that notes the numbers of each load, and may be told to do something first."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.name, self.kind = target.name, target.kind
        self.loads: list[list[int]] = []
        self.before: Any = lambda load: None

    def apply(self, load: Load, budget: Budget | None = None) -> Applied:
        self.before(load)
        self.loads.append([s.segment.number for s in load.segments])
        return self._target.apply(load, budget)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)


# ---- what is taken


def test_nothing_published_is_nothing_to_do(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert (
        Loader(Landing(MemoryStore(), "Never"), world.target, "orders", "current", world.clock).step() == LoadReport()
    )
    assert world.tick() == LoadReport()
    assert not world.target.path.exists()


def test_segments_are_applied_in_publish_order_within_the_limits(world: World) -> None:
    sizes = [len(world.publish(*(put(10 * n + m, str(m)) for m in range(n))).name) for n in range(1, 7)]
    assert len(sizes) == 6
    target = Watching(world.target)
    report = world.loader(target, segments=2, rows=6).tick(Budget(world.clock))
    assert target.loads == [[1, 2], [3], [4], [5], [6]]
    assert (report.loads, report.segments, report.rows, report.unloaded, report.more) == (5, 6, 21, 0, False)
    world.replica.check()


def test_a_segment_beyond_the_limits_is_taken_alone(world: World) -> None:
    world.publish(put(1), put(2))
    world.publish(*(put(n) for n in range(3, 9)))
    target = Watching(world.target)
    world.loader(target, rows=2, bytes=1).tick(Budget(world.clock))
    assert target.loads == [[1], [2]]


def test_base_rows_and_changes_never_share_a_load(world: World) -> None:
    base = Change("r", {"pk": {"S": "b"}})
    world.publish(put(1))
    world.publish(base, Change("r", {"pk": {"S": "a"}, "x": {"S": "older"}}), kind="base")
    world.publish(put(2, "c"))
    target = Watching(world.target)
    world.loader(target).tick(Budget(world.clock))
    assert target.loads == [[1], [2], [3]]
    world.replica.check()


def test_a_tick_ends_with_its_budget_and_the_next_goes_on(world: World) -> None:
    for number in range(1, 6):
        world.publish(put(number))
    budget = Budget(world.clock, 10)
    target = Watching(world.target)
    target.before = lambda load: setattr(world.clock, "ms", world.clock.ms + 4000)
    report = world.loader(target, segments=1).tick(budget)
    assert target.loads == [[1], [2], [3]]
    assert (report.more, report.unloaded, report.segments) == (True, 2, 3)
    assert world.tick().segments == 2
    world.replica.check()


def test_a_stopped_tick_starts_nothing_more(world: World) -> None:
    world.publish(put(1))
    world.publish(put(2))
    budget = Budget(world.clock)
    target = Watching(world.target)
    target.before = lambda load: budget.stop.set()
    report = world.loader(target, segments=1).tick(budget)
    assert (target.loads, report.more) == ([[1]], True)
    assert world.loader(target).tick(budget) == LoadReport(more=True)


def test_what_another_loader_applied_meanwhile_is_skipped(world: World) -> None:
    world.publish(put(1))
    world.publish(put(2))
    target = Watching(world.target)

    def other(load: Load) -> None:
        target.before = lambda load: None
        world.tick(segments=1)

    target.before = other
    report = world.loader(target).tick(Budget(world.clock))
    assert (report.segments, report.skipped, report.rows, report.unloaded) == (0, 2, 0, 0)
    world.replica.check()


def test_a_loader_remembers_the_ledger_only_while_it_is_true(world: World) -> None:
    world.publish(put(1))
    loader = world.loader()
    assert loader.step().segments == 1
    world.publish(put(2))
    world.tick()
    world.publish(put(3))
    assert loader.tick(Budget(world.clock)).segments == 1
    world.replica.check()


def test_a_manifest_in_hand_is_not_read_again(world: World) -> None:
    world.publish(put(1))
    published = world.landing.load()
    assert published is not None
    world.store.objects.pop("Orders/manifest.json")
    assert world.loader().step(published.manifest).segments == 1


def test_columns_are_reported(world: World) -> None:
    world.publish(put(1, x={"N": "1"}))
    world.publish(put(2, x={"N": "1.5"}, y={"S": ""}))
    report = world.tick(segments=1)
    assert (report.added, report.widened) == (("pk", "x", "y"), ("x",))
    world.replica.check()


def test_decoding_on_threads_gives_the_same(world: World) -> None:
    for number in range(1, 9):
        world.publish(*(put(100 * number + n, str(n), **{f"x{number}": {"N": str(n)}}) for n in range(20)))
    Loader(world.landing, world.target, "orders", "current", world.clock, threads=3).step()
    world.replica.check()


# ---- when to load


def test_on_file_each_segment_is_a_load_of_its_own(world: World) -> None:
    for number in range(1, 4):
        world.publish(put(number))
    window = [world.publish(put(number), kind="export", window_end=900).number for number in (4, 5)]
    target = Watching(world.target)
    report = world.loader(target, rule="on_file").tick(Budget(world.clock))
    assert target.loads == [[1], [2], [3], window]
    assert (report.loads, report.segments, report.unloaded, report.more) == (4, 5, 0, False)


def test_by_hand_nothing_is_loaded_and_the_target_left_alone(world: World) -> None:
    world.publish(put(1))
    assert world.loader(rule="by_hand").tick(Budget(world.clock)) == LoadReport()
    assert not world.target.path.exists()


def test_the_target_moves_from_hour_to_hour(world: World) -> None:
    """A loader that is asked every minute, and another one, asked once in three hours, load the same."""
    hour = 3_600_000
    start = world.clock.ms = world.clock.ms // hour * hour
    target, late = (
        Watching(world.target),
        Watching(DuckDbTarget("l", world.target.path.parent / "l.duckdb", world.clock)),
    )
    loader, seldom = (world.loader(t, rule=Every(3600, 300)) for t in (target, late))
    applied = []
    for minute in range(185):
        if minute % 20 == 0:
            world.publish(put(minute + 1, str(minute)))
        report = loader.tick(Budget(world.clock))
        applied.append(report.segments)
        assert (report.more, report.again_ms) == (False, start + max(1, (minute + 55) // 60) * hour + 300_000)
        world.clock.ms += 60_000
    assert {minute: count for minute, count in enumerate(applied) if count} == {65: 3, 125: 3}
    assert target.loads == [[1, 2, 3], [4, 5, 6]]
    assert seldom.tick(Budget(world.clock)).segments == 9
    assert late.loads == [[1, 2, 3, 4, 5, 6, 7, 8, 9]]
    assert loader.tick(Budget(world.clock)).unloaded == 1


def test_while_an_hour_waits_its_entries_are_read_once_a_minute_at_most(world: World) -> None:
    listed = []
    segments = world.landing.segments

    def noted(*arguments: Any, **options: Any) -> Any:
        listed.append(world.clock.ms)
        return segments(*arguments, **options)

    world.landing.segments = noted  # type: ignore[method-assign]
    world.publish(put(1))
    loader = world.loader(rule=Every(86_400))
    for _ in range(600):
        loader.step()
        world.clock.ms += 1000
    looks = len(set(listed))
    assert looks == 10


@pytest.mark.parametrize("jump", [-7, -1, 1, 30])
def test_a_clock_that_jumps_loads_nothing_twice_and_leaves_nothing(world: World, jump: int) -> None:
    world.publish(put(1))
    loader = world.loader(rule=Every(3600))
    loader.step()
    world.clock.ms += jump * 3_600_000
    loader.tick(Budget(world.clock))
    world.publish(put(2))
    world.clock.ms += 40 * 3_600_000
    report = loader.tick(Budget(world.clock))
    assert (report.unloaded, report.again_ms) == (0, None)
    world.replica.check()


# ---- decoding ahead


@pytest.fixture
def ahead() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def ahead_of(world: World, target: Target, pool: ThreadPoolExecutor) -> Loader:
    limits = LoadLimits(segments=1)
    return Loader(world.landing, target, "orders", world.mode, world.clock, limits, ahead=pool)


def test_the_next_load_is_decoded_while_the_target_is_busy(world: World, ahead: ThreadPoolExecutor) -> None:
    for number in range(1, 5):
        world.publish(put(1, str(number), x={"N": f"{number}.{number}" if number == 3 else str(number)}))
    target = Watching(world.target)
    reads: list[str] = []
    read_segment = world.landing.read_segment

    def noted(segment: Segment) -> Any:
        reads.append(segment.name)
        return read_segment(segment)

    def wait_for_the_next(load: Load) -> None:
        ahead.submit(lambda: None).result()  # whatever was begun is finished
        seen.append(len(reads))

    seen: list[int] = []
    target.before = wait_for_the_next
    world.landing.read_segment = noted  # type: ignore[method-assign]
    report = ahead_of(world, target, ahead).tick(Budget(world.clock))
    assert (seen, reads) == ([2, 3, 4, 4], list(dict.fromkeys(reads)))  # one further each time, none read twice
    assert (report.segments, report.widened, report.unloaded) == (4, ("x",), 0)
    world.replica.check()


@pytest.mark.parametrize("how", ["missing", "flipped"])
def test_damage_that_is_met_ahead_blocks_in_its_turn(world: World, ahead: ThreadPoolExecutor, how: str) -> None:
    world.publish(put(1))
    damaged = world.publish(put(2))
    good = world.store.objects[world.object_of(damaged)]
    damage(world, damaged, how)
    loader = ahead_of(world, world.target, ahead)
    report = loader.tick(Budget(world.clock))
    assert report.segments == 1
    assert report.blocked is not None
    assert report.blocked.facts["segment"] == damaged.name
    world.store.objects[world.object_of(damaged)] = good
    assert loader.tick(Budget(world.clock)).segments == 1
    world.replica.check()


def test_what_was_decoded_ahead_is_dropped_where_something_else_is_next(
    world: World, ahead: ThreadPoolExecutor
) -> None:
    """Another loader takes the next segment, and a target that is busy makes this one begin again."""
    for number in range(1, 5):
        world.publish(put(number))
    target = Watching(world.target)
    loader = ahead_of(world, target, ahead)
    assert loader.step().segments == 1
    world.loader(segments=1).step()
    assert loader.step().skipped == 1

    def busy(load: Load) -> None:
        target.before = lambda load: None
        raise TargetBusy("held", hint="wait")

    target.before = busy
    with pytest.raises(TargetBusy):
        loader.step()
    assert loader.tick(Budget(world.clock)).segments == 2
    world.replica.check()


# ---- what blocks


def damage(world: World, segment: Segment, how: str) -> None:
    name = world.object_of(segment)
    data = world.store.objects[name]
    if how == "missing":
        del world.store.objects[name]
    elif how == "cut":
        world.store.objects[name] = data[:-4]
    elif how == "flipped":
        middle = len(data) // 2
        world.store.objects[name] = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
    elif how == "longer":
        world.store.objects[name] = data + b"\0"
    elif how == "emptied":
        world.store.objects[name] = b""


@pytest.mark.parametrize("how", ["missing", "cut", "flipped", "longer", "emptied"])
def test_of_a_window_with_a_damaged_file_nothing_is_applied(world: World, how: str) -> None:
    world.publish(put(1))
    files = [world.publish(put(number), kind="export", window_end=900) for number in range(2, 6)]
    good = world.store.objects[world.object_of(files[2])]
    damage(world, files[2], how)
    report = world.tick()
    assert (report.segments, report.unloaded) == (1, 4)
    assert report.blocked is not None
    assert report.blocked.facts["segment"] == files[2].name
    assert world.target.ledger(table_spec(world.manifest, "orders", "current")).applied_through == 1
    world.store.objects[world.object_of(files[2])] = good
    assert world.tick().segments == 4


@pytest.mark.parametrize("how", ["missing", "cut", "flipped", "longer", "emptied"])
@pytest.mark.parametrize("at", [1, 4, 6])
def test_a_damaged_segment_blocks_what_is_behind_it_and_nothing_before_it(world: World, how: str, at: int) -> None:
    """Rows 40, 41 and 64 of the fault matrix."""
    segments = [world.publish(put(number, str(number))) for number in range(1, 7)]
    good = world.store.objects[world.object_of(segments[at - 1])]
    damage(world, segments[at - 1], how)
    report = world.tick()
    assert isinstance(report.blocked, SegmentMissing if how == "missing" else SegmentCorrupt)
    assert report.blocked.facts["segment"] == segments[at - 1].name
    assert report.blocked.facts["table"] == "Orders"
    assert report.blocked.hint
    assert (report.segments, report.more, report.unloaded) == (at - 1, False, 7 - at)
    assert world.replica.ledger.applied_through == at - 1
    assert world.tick().segments == 0
    world.store.objects[world.object_of(segments[at - 1])] = good
    report = world.tick()
    assert (report.segments, report.blocked) == (7 - at, None)
    world.replica.check()


@pytest.mark.parametrize("rows", [1, 3])
def test_a_segment_with_another_number_of_records_is_damaged(world: World, rows: int) -> None:
    """Row 41: what gzip's checksum cannot see, because it was written anew."""
    world.publish(put(1))
    segment = world.publish(put(2), put(3), rows=rows)
    report = world.tick()
    assert isinstance(report.blocked, SegmentCorrupt)
    assert f"holds 2 records where the manifest says {rows}" in report.blocked.message
    assert report.blocked.facts["segment"] == segment.name
    assert report.segments == 1


def test_two_contents_at_one_place_end_the_load(world: World) -> None:
    world.publish(put(1, x={"N": "1"}))
    world.publish(put(1, x={"N": "2"}))
    with pytest.raises(OrderConflict):
        world.tick()
    assert world.replica.ledger.applied_through == 0


def test_a_busy_target_is_the_callers_matter(world: World) -> None:
    world.publish(put(1))
    target = Watching(world.target)

    def busy(load: Load) -> None:
        raise TargetBusy("planned")

    target.before = busy
    loader = world.loader(target)
    with pytest.raises(TargetBusy):
        loader.step()
    target.before = lambda load: None
    assert loader.step().segments == 1


# ---- quarantine


def test_what_cannot_be_represented_is_set_aside_before_the_load_commits(world: World) -> None:
    segment = world.publish(put(1), POISON, put(2, "b"), b"not json", put(3, "c"))
    target = Watching(world.target)
    seen: list[int] = []
    target.before = lambda load: seen.append(sum(len(file.records) for file in world.landing.quarantined()))
    report = world.loader(target).tick(Budget(world.clock))
    assert seen == [2]
    assert (report.rows, report.quarantined) == (3, 2)
    [file] = world.landing.quarantined()
    assert [(r.segment, r.line, r.payload) for r in file.records] == [
        (segment.name, 2, POISON),
        (segment.name, 4, b"not json"),
    ]
    [row] = world.replica.ledger.recent
    assert (row.rows, row.quarantined) == (3, 2)
    world.replica.check()


def test_nothing_is_loaded_while_nothing_can_be_set_aside(world: World) -> None:
    """Row 58: a record is never dropped because quarantine is not available."""
    world.publish(put(1), POISON)

    class NoQuarantine(MemoryStore):
        def create(self, name: str, data: bytes) -> None:
            raise TargetBusy("planned") if "quarantine" in name else AssertionError(name)

    store = NoQuarantine()
    store.objects = world.store.objects
    with pytest.raises(TargetBusy):
        world.loader(landing=Landing(store, "Orders")).step()
    assert world.replica.ledger.applied_through == 0
    assert world.tick().quarantined == 1
    world.replica.check()


def test_a_segment_of_nothing_but_poison_is_applied(world: World) -> None:
    world.publish(POISON)
    world.publish(put(1))
    report = world.tick()
    assert (report.segments, report.rows, report.quarantined) == (2, 1, 1)
    assert world.tick() == LoadReport()
    world.replica.check()


# ---- every effect failing


CRASHING: Sequence[Sequence[Change | bytes]] = (
    (put(1, x={"N": "1"}), put(2, "b")),
    (delete(3, "b"), POISON, put(4, "c", x={"N": "1.5"})),
    (put(5, "b"), put(6, x={"S": "s"})),
)


@pytest.fixture(scope="module", params=["current", "changelog"])
def crashing(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(tmp_path_factory.mktemp("crashing"), request.param)
    for changes in CRASHING:
        world.publish(*changes)
    return world


def test_wherever_a_load_fails_the_next_one_makes_it_whole(crashing: World, tmp_path: Path) -> None:
    """Rows 8 to 11: every read, every write and the load itself, in every way; afterwards each change counts once."""

    def scenario(plan: FaultPlan) -> None:
        store = MemoryStore()
        store.objects = dict(crashing.store.objects)
        folder = tmp_path / str(plan)
        shutil.rmtree(folder, ignore_errors=True)
        target = DuckDbTarget("local", folder / "warehouse.duckdb", crashing.clock)
        faulty = Faulty(target, plan, writes=("apply",), reads=("ledger",))
        landing = Landing(FaultyStore(store, plan), "Orders")
        with stopped():
            crashing.loader(faulty, landing, segments=2).tick(Budget(crashing.clock))
        crashing.loader(target, Landing(store, "Orders")).tick(Budget(crashing.clock))
        replica = Replica(target, crashing.mode)
        replica.applied = crashing.replica.applied
        replica.check()
        assert replica.ledger.applied_through == len(CRASHING)
        quarantined = [record for file in Landing(store, "Orders").quarantined() for record in file.records]
        assert [record.payload for record in quarantined] == [POISON]

    names = [name.split()[0] for name, _ in effects_of(scenario)]
    assert {"read", "open", "ledger", "apply", "create"} <= set(names)
    for plan in every_fault(scenario):
        scenario(plan)
        assert plan.struck, plan


def test_a_loader_goes_on_after_an_answer_that_was_lost(crashing: World, tmp_path: Path) -> None:
    """The same loader, whose memory of the ledger must not outlive the doubt."""
    for fault in ("lost_answer", "lost_request", "error"):
        target = DuckDbTarget("local", tmp_path / fault / "warehouse.duckdb", crashing.clock)
        plan = FaultPlan(2, fault)  # ledger, apply
        loader = crashing.loader(Faulty(target, plan, writes=("apply",), reads=("ledger",)), segments=2)  # type: ignore[arg-type]
        with pytest.raises(TailraceError):
            loader.tick(Budget(crashing.clock))
        loader.tick(Budget(crashing.clock))
        replica = Replica(target, crashing.mode)
        replica.applied = crashing.replica.applied
        replica.check()


# ---- figures


def test_lag_is_from_the_write_to_the_commit(world: World) -> None:
    now = world.clock.now_ms()
    ages_ms = [*(10 * n for n in range(1, 100)), 60_000]
    lines = [
        put(n, str(n)).line(PK).replace(str(1_700_000_000_000_000 + n).encode(), str((now - age) * 1000).encode())
        for n, age in enumerate(ages_ms, 1)
    ]
    world.publish(*(line.rstrip() for line in lines))
    world.tick()
    [row] = world.replica.ledger.recent
    assert (row.lag_ms_p50, row.lag_ms_p99) == (500, 990)
    assert (row.applied_ms, row.through_ms) == (now, now)


def test_a_target_knows_the_table_by_its_incarnation(world: World) -> None:
    published = world.landing.load()
    assert published is not None
    spec = table_spec(published.manifest, "orders", "soft_delete")
    assert (spec.source, spec.name, spec.mode, spec.keys, spec.incarnation) == (
        "Orders",
        "orders",
        "soft_delete",
        PK,
        "table-id-1",
    )


def elsewhere(world: World, *changes: Change) -> None:
    """The same table is captured into another landing zone; a segment a change."""
    source, world.store = world.manifest.incarnation, MemoryStore()
    world.landing = Landing(world.store, "Orders")
    world.landing.save(Manifest(source), None, "w")
    for change in changes:
        world.publish(change)


@pytest.mark.parametrize("segments", [0, 1, 2, 3])
def test_a_target_that_was_loaded_from_another_landing_zone_is_refused(world: World, segments: int) -> None:
    """Its numbers would say of segments that nobody loaded that they are applied."""
    for number in (1, 2):
        world.publish(put(number, str(number)))
    world.tick()
    elsewhere(world, *(put(number, f"other-{number}") for number in range(11, 11 + segments)))
    with pytest.raises(UserFault, match="another landing zone") as raised:
        world.tick()
    assert raised.value.facts["number"] == 2
    assert sorted(world.target.query("SELECT pk FROM orders")["pk"].to_pylist()) == ["1", "2"]


def test_a_landing_zone_that_was_moved_with_its_manifest_goes_on(world: World) -> None:
    world.publish(put(1, "1"))
    world.tick()
    copied = MemoryStore()
    for name, data in world.store.objects.items():
        copied.create(name, data)
    world.store, world.landing = copied, Landing(copied, "Orders")
    world.publish(put(2, "2"))
    assert world.tick().segments == 1
    world.replica.check()


def test_a_loader_that_read_the_manifest_before_another_one_applied_what_came_later_is_not_misled(world: World) -> None:
    world.publish(put(1, "1"))
    old = world.manifest
    world.publish(put(2, "2"))
    world.tick()
    assert world.loader().step(old).unloaded <= 0
    world.replica.check()


def test_old_segments_on_pages_are_loaded(world: World) -> None:
    from tailrace.landing import landing as module

    for number in range(1, module.SEGMENTS_MAX + 5):
        world.store.objects[f"Orders/changes/{number}"] = pack([put(number, str(number % 7)).line(PK).rstrip()]).data
        world.replica.applied[number] = [put(number, str(number % 7))]
    entries = tuple(
        Segment(
            number, f"changes/{number}", "stream", 1, len(world.store.objects[f"Orders/changes/{number}"]), "0" * 64, 1
        )
        for number in world.replica.applied
    )
    published = world.landing.load()
    assert published is not None
    saved = world.landing.save(
        replace(published.manifest, segments=entries, next_number=len(entries) + 1), published, "w"
    )
    assert saved.manifest.pages
    report = world.tick(segments=700)
    assert (report.loads, report.segments, report.unloaded) == (2, len(entries), 0)
    world.replica.check()


def test_a_loader_that_is_alone_reads_the_ledger_once(world: World) -> None:
    plan = FaultPlan()
    loader = world.loader(Faulty(world.target, plan, writes=("apply",), reads=("ledger",)), segments=2)  # type: ignore[arg-type]
    for number in range(1, 6):
        world.publish(put(number, x={"N": f"1E-{number}"}))
    loader.tick(Budget(world.clock))
    world.publish(put(6, y={"S": "y"}))
    loader.tick(Budget(world.clock))
    assert [name for name, _ in plan.effects] == ["ledger", "apply", "apply", "apply", "apply"]
    world.replica.check()
