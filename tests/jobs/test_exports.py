"""Capture by exports, step by step over a model table: the whole life, every kill, and the proof that windows are exact."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tailrace.clock import ManualClock
from tailrace.codec import decode_segments, decoded_columns
from tailrace.decide.load import order_prefix_of
from tailrace.decide.windows import WindowRule
from tailrace.errors import ConfigInvalid, SourceChanged, UserFault, WindowMissing
from tailrace.jobs import exports as job
from tailrace.jobs.capture import Capturer, CaptureSettings
from tailrace.jobs.exports import ExportCapturer, ExportSettings
from tailrace.landing import Landing
from tailrace.model.keys import KeyAttribute, KeySchema
from tailrace.model.manifest import Manifest
from tailrace.testing.exports import ModelTable
from tailrace.testing.faults import FaultPlan, Faulty, FaultyStore, every_fault, stopped
from tailrace.testing.source import InlineExecutor, ModelSource
from tailrace.testing.stores import MemoryStore

T0 = 1_790_000_100  # a whole quarter of an hour
KEYS = KeySchema(KeyAttribute("id", "S"))
TILES = WindowRule(900, 900)
SLIDES = WindowRule(900, 300)


class World:
    """A model table, a landing zone, and the capturer that works for it."""

    def __init__(self, rule: WindowRule = TILES, **table: Any) -> None:
        self.store = MemoryStore()
        self.table = ModelTable(self.store, "orders", KEYS, T0 - 100, **table)
        self.rule = rule
        self.clock = ManualClock((T0 - 100) * 1000)
        self.settings = ExportSettings("lake", "tailrace/orders", rule, config_hash=f"{rule}")
        self.landing = Landing(self.store, "orders")

    def capturer(self, landing: Landing | None = None) -> ExportCapturer:
        landing = landing or self.landing
        return ExportCapturer(self.table, self.table, landing, self.settings, self.clock, "writer")

    def advance(self, seconds: float) -> None:
        self.table.now += seconds
        self.clock.ms += int(seconds * 1000)

    def put(self, key: str, value: object) -> None:
        self.table.put({"id": {"S": key}, "v": {"N": str(value)}})

    def delete(self, key: str) -> None:
        self.table.delete({"id": {"S": key}})

    @property
    def manifest(self) -> Manifest:
        published = self.landing.load()
        assert published is not None
        return published.manifest

    def settle_down(self) -> None:
        """Steps until nothing is due, letting time pass only while an export runs."""
        capturer = self.capturer()
        for _ in range(200):
            report = capturer.step()
            if report.caught_up:
                return
            if report.wait_seconds:
                self.advance(report.wait_seconds)
        raise AssertionError("it never settles down")

    def replayed(self) -> dict[str, str]:
        """What a target holds once everything published is applied: the newest of each key by order key."""
        manifest = self.manifest
        newest: dict[str, tuple[str, str, Any]] = {}
        for segment in self.landing.segments(manifest):
            prefix = order_prefix_of(segment)
            table = decode_segments([self.landing.read_segment(segment)], prefix, keys=KEYS).table
            names = [name for name, _ in decoded_columns(table.schema)]
            columns = {name: table.column(4 + i).to_pylist() for i, name in enumerate(names)}
            values = columns.get("v", [None] * table.num_rows)
            rows = zip(
                table.column(0).to_pylist(), table.column(2).to_pylist(), columns.get("id", ()), values, strict=True
            )
            for op, position, key, value in rows:
                if key not in newest or position > newest[key][0]:
                    newest[key] = (position, op, value)
        return {key: str(value) for key, (_, op, value) in newest.items() if op != "d"}

    def truth(self, seconds: float) -> dict[str, str]:
        return {item["id"]["S"]: item["v"]["N"] for item in self.table.state_at(seconds)}


def test_the_whole_life() -> None:
    world = World()
    world.put("a", 1)
    world.put("b", 2)
    world.advance(900)
    world.settle_down()
    assert world.manifest.exports is not None
    assert world.manifest.exports.base is not None
    assert world.replayed() == {"a": "1", "b": "2"}
    world.put("a", 3)
    world.delete("b")
    world.put("c", 4)
    world.put("gone", 5)
    world.delete("gone")
    world.advance(1800)
    world.settle_down()
    assert world.replayed() == {"a": "3", "c": "4"}
    manifest = world.manifest
    assert manifest.exports is not None
    windows = [w.window for w in manifest.exports.windows]
    assert windows[0].start == manifest.exports.base
    assert all(left.end == right.start for left, right in itertools.pairwise(windows))
    assert manifest.captured_through_ms == windows[-1].end * 1000


def test_an_outage_is_made_up_with_wider_windows_that_still_tile() -> None:
    world = World()
    world.put("a", 1)
    world.advance(900)
    world.settle_down()
    world.advance(40 * 3600)
    world.put("a", 2)
    world.advance(3600)
    world.settle_down()
    state = world.manifest.exports
    assert state is not None
    widths = [w.window.end - w.window.start for w in state.windows]
    assert max(widths) == 24 * 3600
    assert len(widths) <= 4
    assert world.replayed() == {"a": "2"}


def test_whoever_calls_may_go_while_aws_exports() -> None:
    world = World()
    world.put("a", 1)
    world.advance(900)
    capturer = world.capturer()
    reports = [capturer.step() for _ in range(4)]  # the manifest, the plan, the request, a look
    assert [report.waits for report in reports] == [False, False, False, True]
    assert not reports[-1].caught_up
    world.advance(300)
    taken = world.capturer().step()
    assert (taken.records, taken.waits) == (1, False)


def test_recovery_off_is_refused_with_the_command_that_switches_it_on() -> None:
    world = World(recovery=False)
    with pytest.raises(UserFault, match="off") as caught:
        world.capturer().step()
    assert "update-continuous-backups" in caught.value.hint
    assert world.landing.load() is None


def test_recovery_is_switched_on_where_asked() -> None:
    world = World(recovery=False)
    world.settings = ExportSettings("lake", "tailrace/orders", TILES, enable_recovery=True, config_hash=f"{TILES}")
    world.put("a", 1)
    for _ in range(3):
        world.settle_down() if world.table.recovery else world.capturer().step()
        world.advance(60)
    assert world.table.calls.count("enable_recovery") == 1
    assert world.replayed() == {"a": "1"}


def test_recovery_switched_off_and_on_is_a_gap_that_stays_and_stops_the_chain() -> None:
    world = World()
    world.put("a", 1)
    world.advance(900)
    world.settle_down()
    world.table.switch_recovery(False)
    world.advance(10)
    world.table.switch_recovery(True)
    world.advance(7200)
    for _ in range(3):
        with pytest.raises(WindowMissing, match="begins at"):
            world.capturer().step()
    assert [gap.kind for gap in world.manifest.open_gaps] == ["pitr_reset"]
    assert world.manifest.state == "GAP"


def test_another_table_under_the_name_is_no_continuation() -> None:
    world = World()
    world.advance(900)
    world.settle_down()
    world.table.table_id = "99999999-2222-3333-4444-555555555555"
    with pytest.raises(SourceChanged, match="table_id"):
        world.capturer().step()
    assert world.manifest.state == "SOURCE_CHANGED"


def test_another_account_is_no_other_table_but_a_wrong_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.advance(900)
    world.settle_down()
    before, ours = world.manifest, world.table.incarnation
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(world.table, "incarnation", lambda: replace(ours(), region="us-east-1", table_id="other"))
        with pytest.raises(ConfigInvalid, match="another account or region"):
            world.capturer().step()
    assert world.manifest == before
    world.advance(900)
    world.settle_down()


def test_a_chain_does_not_change_its_step() -> None:
    world = World(SLIDES)
    world.advance(900)
    world.settle_down()
    world.settings = ExportSettings("lake", "tailrace/orders", TILES, config_hash=f"{TILES}")
    with pytest.raises(ConfigInvalid, match="chain of windows"):
        world.capturer().step()


def test_a_failed_export_is_repeated_for_the_same_window_under_another_prefix() -> None:
    world = World(failing=["S3NoSuchBucket", "S3AccessDenied"])
    world.put("a", 1)
    world.advance(900)
    world.settle_down()
    assert world.replayed() == {"a": "1"}
    folders = {name.split("/AWSDynamoDB")[0] for name in world.store.objects if "AWSDynamoDB" in name}
    assert [folder.rpartition("-")[2] for folder in folders] == ["attempt3"]


def test_failures_without_end_show_as_paused_and_end_when_the_cause_is_gone() -> None:
    world = World(failing=["S3NoSuchBucket"] * 4)
    world.put("a", 1)
    world.advance(900)
    capturer = world.capturer()
    while world.table.failing:
        world.advance(capturer.step().wait_seconds)
    assert world.manifest.state == "PAUSED"
    assert world.manifest.pause is not None
    assert "S3NoSuchBucket" in world.manifest.pause.reason
    world.settle_down()
    assert world.manifest.pause is None
    assert world.replayed() == {"a": "1"}


def damage(kind: str, data: bytes) -> bytes | None:
    return {"missing": None, "cut": data[:-9], "changed": data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]}[kind]


@pytest.mark.parametrize("kind", ["missing", "cut", "changed"])
@pytest.mark.parametrize("what", [".json.gz", "manifest-files.json", "manifest-summary.json", "manifest-files.md5"])
def test_a_damaged_export_is_never_published_and_is_exported_again(kind: str, what: str) -> None:
    world = World()
    world.put("a", 1)
    world.put("b", 2)
    world.advance(900)
    capturer = world.capturer()
    for _ in range(3):
        capturer.step()  # the manifest, the plan, the request
    world.advance(300)
    assert world.manifest.exports is not None
    world.table.describe(world.manifest.exports.under_way[0].arn or "")
    name = next(name for name in sorted(world.store.objects) if what in name)
    damaged = damage(kind, world.store.objects[name])
    if damaged is None:
        del world.store.objects[name]
    else:
        world.store.objects[name] = damaged
    capturer.step()
    state = world.manifest.exports
    assert state is not None
    assert (world.manifest.next_number, state.under_way[0].attempt) == (1, 2)
    assert state.under_way[0].failure
    world.settle_down()
    assert world.replayed() == {"a": "1", "b": "2"}


def histories() -> st.SearchStrategy[list[tuple[int, str, int | None]]]:
    """(seconds until it, key, value or None for a delete): several windows of them, few keys, few values."""
    step = st.tuples(st.integers(0, 700), st.sampled_from(["a", "b"]), st.none() | st.integers(1, 3))
    return st.lists(step, max_size=14)


def run_history(world: World, history: list[tuple[int, str, int | None]], check: Callable[[World], None]) -> None:
    """Write a history while steps happen all the time; `check` is called after each published window.

    Steps come right before each write, so that without delays the table is read as it was at the window's end.
    """
    capturer = world.capturer()
    seen = 0

    def work() -> None:
        nonlocal seen
        for _ in range(400):
            report = capturer.step()
            state = world.manifest.exports
            assert state is not None
            done = len(state.windows) + (state.base is not None)
            if done > seen:
                seen = done
                check(world)
            if report.wait_seconds > 0:  # nothing more can be done now
                return
        raise AssertionError("it never catches up")

    for pause, key, value in history:
        for _ in range(pause // 20):
            work()
            world.advance(20)
        work()
        if value is None:
            world.delete(key)
        else:
            world.put(key, value)
        world.advance(0.5)
    for _ in range(3 * 1800 // 20):
        work()
        world.advance(20)


def quick(test: Callable[..., None]) -> Callable[..., None]:
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=60, deadline=None, suppress_health_check=checks)(test)


def end_of(world: World) -> int:
    state = world.manifest.exports
    assert state is not None
    assert state.base is not None
    return state.windows[-1].window.end if state.windows else state.base


@quick
@given(history=histories(), equal_images=st.booleans(), lag=st.sampled_from([0, 300]))
def test_tiling_windows_are_exact_at_every_end(history: Any, equal_images: bool, lag: int) -> None:
    world = World(TILES, equal_images=equal_images, lag_seconds=lag, export_seconds=lag)

    def check(world: World) -> None:
        assert world.replayed() == world.truth(end_of(world))

    run_history(world, history, check)
    assert world.replayed() == world.truth(world.table.now)


@quick
@given(history=histories())
def test_sliding_windows_are_exact_at_every_end_when_the_table_is_read_at_it(history: Any) -> None:
    world = World(SLIDES, equal_images=True, lag_seconds=0, export_seconds=0)

    def check(world: World) -> None:
        assert world.replayed() == world.truth(end_of(world))

    run_history(world, history, check)


@quick
@given(history=histories(), equal_images=st.booleans())
def test_sliding_windows_end_exact_whatever_the_delay(history: Any, equal_images: bool) -> None:
    world = World(SLIDES, equal_images=equal_images)
    run_history(world, history, lambda world: None)
    assert world.replayed() == world.truth(world.table.now)


def test_without_settling_sliding_windows_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "settled_lines", lambda *arguments: [])
    world = World(SLIDES, equal_images=True, lag_seconds=0, export_seconds=0)
    wrong = 0

    def check(world: World) -> None:
        nonlocal wrong
        wrong += world.replayed() != world.truth(end_of(world))

    inside_the_overlap, after_it = 1000, 300
    run_history(world, [(inside_the_overlap, "a", 1), (after_it, "a", None)], check)
    assert wrong > 0


# ---- killed anywhere, twice at once


def written_world() -> World:
    """A world with a base and, later, two windows' worth of changes."""
    world = World(SLIDES)
    for number in range(5):
        world.put(f"k{number}", number)
    world.advance(900)
    return world


def live_on(world: World, landing: Landing, source: Any, table: Any, steps: int) -> None:
    """Capture for a while: writes between steps, so that windows have inserts, updates, deletes and settled keys."""
    capturer = ExportCapturer(source, table, landing, world.settings, world.clock, "writer")
    for number in range(steps):
        report = capturer.step()
        world.advance(max(report.wait_seconds, 40))
        if number % 3 == 0:
            world.put(f"n{number}", number)
        if number % 4 == 2:
            world.delete(f"n{number - 2}")


def scenario(plan: FaultPlan) -> World:
    world = written_world()
    landing = Landing(FaultyStore(world.store, plan), "orders")
    source: Any = Faulty(
        world.table, plan, writes=("start", "enable_recovery"), reads=("incarnation", "restorable", "describe")
    )
    table: Any = Faulty(world.table, plan, reads=("get_items",))
    with stopped():
        live_on(world, landing, source, table, 24)
    return world


@pytest.mark.parametrize("plan", every_fault(scenario), ids=str)
def test_killed_or_failing_at_any_effect_it_ends_as_if_nothing_had_happened(plan: FaultPlan) -> None:
    world = scenario(plan)
    assert plan.struck
    live_on(world, Landing(world.store, "orders"), world.table, world.table, 6)
    for _ in range(100):  # no more writes: the last windows become exact
        report = world.capturer().step()
        world.advance(max(report.wait_seconds, 20))
    assert world.replayed() == world.truth(world.table.now)
    numbers = [segment.number for segment in world.landing.segments(world.manifest)]
    names = [segment.name for segment in world.landing.segments(world.manifest)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(set(names)) == len(names)
    starts = world.table.calls.count("start")
    exports = len({name.split("/AWSDynamoDB")[0] for name in world.store.objects if "AWSDynamoDB" in name})
    assert starts - exports <= 2, "a repeated request began another export"


@quick
@given(turns=st.lists(st.booleans(), min_size=60, max_size=60))
def test_two_workers_at_once_do_what_one_does(turns: list[bool]) -> None:
    world = written_world()
    workers = [world.capturer(Landing(world.store, "orders")) for _ in range(2)]
    for number, turn in enumerate(turns):
        workers[turn].step()
        world.advance(30)
        if number % 5 == 0:
            world.put(f"n{number}", number)
            world.delete(f"n{number - 10}")
    for number in range(120):
        workers[number % 2].step()
        world.advance(30)
    assert world.replayed() == world.truth(world.table.now)
    names = [segment.name for segment in world.landing.segments(world.manifest)]
    assert len(set(names)) == len(names)


def test_a_folder_of_exports_is_not_continued_from_the_stream_and_the_other_way_round() -> None:
    world = World()
    world.advance(900)
    world.settle_down()
    source = ModelSource(world.clock)
    with pytest.raises(ConfigInvalid, match="captured by exports"):
        Capturer(source, world.landing, CaptureSettings(), world.clock, "w", executor=InlineExecutor()).step()
    other = Landing(MemoryStore(), "orders")
    Capturer(source, other, CaptureSettings(), world.clock, "w", executor=InlineExecutor()).step()
    with pytest.raises(ConfigInvalid, match="captured from the stream"):
        world.capturer(other).step()
