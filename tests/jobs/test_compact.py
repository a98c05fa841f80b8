"""Compaction: few objects in place of many, the same lines for every reader, and nothing deleted that anybody may need."""

from __future__ import annotations

import gzip
import itertools
import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from load_world import World

from tailrace.clock import Budget, ManualClock
from tailrace.errors import SegmentCorrupt, SegmentMissing, StateContended, TailraceError
from tailrace.jobs import compact as compact_module
from tailrace.jobs.compact import Compactor, CompactReport, CompactSettings
from tailrace.landing import Landing
from tailrace.landing import landing as landing_module
from tailrace.landing.segments import unpacked
from tailrace.model.manifest import Manifest
from tailrace.model.segments import Segment
from tailrace.testing.faults import FaultPlan, FaultyStore, effects_of, every_fault, stopped
from tailrace.testing.stores import MemoryStore
from tailrace.testing.target_contract import delete, put

HOUR_MS = 3_600_000
GRACE_MS = 25 * HOUR_MS
POISON = b'{"Metadata":{},"Keys":{}}'


class HeldStore(MemoryStore):
    """Refuses to delete what any manifest names that a reader may hold: that was the newest one within the grace."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self.clock = clock
        self.manifests: list[tuple[int, bytes]] = []
        self.deleted: list[str] = []

    def replace(self, name: str, data: bytes, expected: str | None) -> str:
        version = super().replace(name, data, expected)
        self.manifests.append((self.clock.ms, data))
        return version

    def delete(self, name: str) -> None:
        replaced_ms = [*(ms for ms, _ in self.manifests[1:]), self.clock.ms]
        held = [
            data for (_, data), ms in zip(self.manifests, replaced_ms, strict=True) if ms > self.clock.ms - GRACE_MS
        ]
        for data in [*held, self.manifests[-1][1]]:
            assert name not in self.named_by(Manifest.from_bytes(data)), f"{name} may still be read"
        self.deleted.append(name)
        super().delete(name)

    def named_by(self, manifest: Manifest) -> set[str]:
        segments = Landing(self, "Orders").segments(manifest)
        objects = {segment.name if segment.place is None else segment.place.name for segment in segments}
        return {f"Orders/{name}" for name in [*objects, *(page.name for page in manifest.pages)]}


class Site(World):
    """A world whose store watches deletions."""

    def __init__(self, folder: Path, mode: Any = "changelog") -> None:
        super().__init__(folder, mode)
        store = HeldStore(self.clock)
        store.objects, store.manifests = self.store.objects, [(0, self.store.objects["Orders/manifest.json"])]
        self.store = store
        self.landing = Landing(store, "Orders")

    @property
    def manifest(self) -> Manifest:
        published = self.landing.load()
        assert published is not None
        return published.manifest

    @property
    def entries(self) -> list[Segment]:
        return list(self.landing.segments(self.manifest))

    @property
    def changes(self) -> list[str]:
        """The objects under ``changes/``."""
        return sorted(name for name in self.store.objects if name.startswith("Orders/changes/"))

    def lines(self) -> list[bytes]:
        """Every line, in publish order, as readers get it."""
        plain = [b"".join(unpacked(self.landing.read_segment(segment))) for segment in self.entries]
        return b"".join(plain).splitlines()

    def compactor(self, landing: Landing | None = None, **settings: Any) -> Compactor:
        return Compactor(landing or self.landing, CompactSettings(**settings), self.clock, secrets.token_hex(4))

    def compact(self, **settings: Any) -> CompactReport:
        return self.compactor(**settings).tick(Budget(self.clock))

    def an_hour_later(self) -> None:
        self.clock.ms += HOUR_MS

    def after_the_grace(self) -> None:
        self.clock.ms += GRACE_MS


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landing_module, "SEGMENTS_MAX", 4)
    monkeypatch.setattr(landing_module, "SEGMENTS_KEPT", 2)


def publish(site: Site, count: int) -> list[Segment]:
    first = site.manifest.next_number
    return [site.publish(put(10 * n, str(n % 3)), put(10 * n + 1, "x")) for n in range(first, first + count)]


def without_places(entries: list[Segment]) -> list[Segment]:
    return [replace(entry, place=None) for entry in entries]


# ---- what becomes of the files


def test_an_hour_becomes_one_object_and_every_entry_stays(site: Site) -> None:
    before = publish(site, 10)
    lines, sizes = site.lines(), [segment.bytes for segment in before]
    objects = [site.store.objects[site.object_of(segment)] for segment in before]
    site.an_hour_later()
    assert site.compact() == CompactReport(outputs=1, segments=10, bytes=sum(sizes))
    assert without_places(site.entries) == before
    [name] = {entry.place.name for entry in site.entries if entry.place}
    assert site.store.objects[f"Orders/{name}"] == b"".join(objects)
    assert gzip.decompress(b"".join(objects)).splitlines() == lines == site.lines()
    for entry in site.entries:
        site.landing.verify_segment(entry)
    assert site.manifest.next_number == 11
    assert site.manifest.counters == {"compacted": 10, "outputs": 1}
    assert site.compact() == CompactReport()
    site.tick()
    site.replica.check()


def test_what_was_replaced_is_deleted_after_the_grace_and_loads_go_on(site: Site) -> None:
    publish(site, 5)
    site.an_hour_later()
    site.compact()
    assert len(site.changes) == 6
    site.clock.ms += GRACE_MS - 1
    assert site.compact().deleted == 0
    site.clock.ms += 1
    assert site.compact() == CompactReport(deleted=5)
    assert len(site.changes) == 1
    assert site.manifest.garbage == ()
    site.tick()
    site.replica.check()


def test_the_hour_that_goes_on_is_left_alone(site: Site) -> None:
    publish(site, 3)
    assert site.compact() == CompactReport()
    site.an_hour_later()
    publish(site, 3)
    assert site.compact().segments == 3
    assert [entry.place is None for entry in site.entries] == [False] * 3 + [True] * 3


def test_outputs_are_as_large_as_wanted_and_what_is_large_stays(site: Site) -> None:
    sizes = [segment.bytes for segment in publish(site, 10)]
    large = site.publish(*(put(1000 + n, f"{n:050}") for n in range(50)))
    assert large.bytes > 2 * max(sizes)
    site.an_hour_later()
    target = 4 * max(sizes)
    assert site.compact(target_bytes=target).outputs == 3
    outputs = [len(site.store.objects[name]) for name in site.changes if "/compacted-" in name]
    assert len(outputs) == 3
    assert max(outputs) <= target
    assert site.entries[-1].place is None
    assert site.compact(target_bytes=target) == CompactReport()


def test_nothing_is_gathered_where_that_is_switched_off(site: Site) -> None:
    publish(site, 3)
    site.an_hour_later()
    assert site.compact(target_bytes=0) == CompactReport()


def test_base_rows_and_changes_lie_apart(site: Site) -> None:
    for number in range(1, 7):
        site.publish(put(number), kind="base" if number % 2 else "stream")
    site.an_hour_later()
    assert site.compact().outputs == 2
    places = [entry.place.name for entry in site.entries if entry.place]
    assert places == [places[0], places[1]] * 3
    assert places[0] != places[1]
    assert site.manifest.compacted_through == 6
    site.after_the_grace()
    assert site.compact().deleted == 6
    site.tick()
    assert site.replica.ledger.applied_through == 6


def test_files_that_dynamodb_wrote_and_replays_stay_where_they_are(site: Site) -> None:
    publish(site, 2)
    site.publish(put(900), kind="replay")
    site.publish(put(901), kind="replay")
    published = site.landing.load()
    assert published is not None
    exported = tuple(replace(s, md5="x") if s.number < 3 else s for s in published.manifest.segments)
    site.landing.save(replace(published.manifest, segments=exported), published, "w")
    site.an_hour_later()
    assert site.compact() == CompactReport()


def test_a_table_that_was_never_captured_is_nothing_to_do(site: Site) -> None:
    assert site.compactor(Landing(MemoryStore(), "Never")).tick(Budget(site.clock)) == CompactReport()


def test_many_at_once_give_the_same(site: Site) -> None:
    publish(site, 30)
    lines = site.lines()
    site.an_hour_later()
    assert site.compact(threads=4).segments == 30
    site.after_the_grace()
    assert site.compact(threads=4).deleted == 30
    assert site.lines() == lines


@pytest.mark.usefixtures("small_pages")
def test_entries_in_pages_move_too_and_old_pages_go_with_the_rest(site: Site) -> None:
    before = publish(site, 12)
    old = [page.name for page in site.manifest.pages]
    assert len(old) == 3
    site.an_hour_later()
    publish(site, 6)
    lines, untouched = site.lines(), [page.name for page in site.manifest.pages][len(old) + 1 :]
    site.compact()
    assert without_places(site.entries)[:12] == before
    assert site.lines() == lines
    pages = [page.name for page in site.manifest.pages]
    assert not set(old) & set(pages)
    assert pages[len(old) + 1 :] == untouched
    site.after_the_grace()
    site.compact(target_bytes=0)
    assert not any(f"Orders/{name}" in site.store.objects for name in old)
    assert site.lines() == lines
    site.tick()
    site.replica.check()


@pytest.mark.usefixtures("small_pages")
def test_what_nobody_can_gather_is_not_looked_at_for_ever(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compact_module, "CURSOR_LAG", 8)
    for number in range(1, 13):
        site.publish(put(number), kind="settle")
    site.an_hour_later()
    assert site.compact() == CompactReport()
    plan = FaultPlan()
    site.compactor(Landing(FaultyStore(site.store, plan), "Orders")).tick(Budget(site.clock))
    assert [name for name, _ in plan.effects] == ["read Orders/manifest.json"]


def test_a_budget_that_ends_leaves_an_output_of_what_was_read(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compact_module, "AT_ONCE", 4)
    publish(site, 11)
    lines = site.lines()
    site.an_hour_later()
    for gathered in (4, 8, 11):
        budget = Budget(site.clock)
        budget.stop.set()
        assert site.compactor().step(budget).outputs == 1
        assert sum(1 for entry in site.entries if entry.place) == gathered
    site.after_the_grace()
    budget.stop.set()
    compactor = site.compactor()
    assert [compactor.step(budget).deleted for _ in range(4)] == [4, 4, 3, 0]
    assert site.lines() == lines


def test_a_spent_budget_begins_nothing(site: Site) -> None:
    publish(site, 3)
    site.an_hour_later()
    budget = Budget(site.clock)
    budget.stop.set()
    assert site.compactor().tick(budget) == CompactReport(more=True)


def test_deletions_are_recorded_round_by_round(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compact_module, "DELETES_MAX", 3)
    publish(site, 8)
    site.an_hour_later()
    site.compact()
    site.after_the_grace()
    compactor = site.compactor()
    assert compactor.step(Budget(site.clock)).deleted == 3
    assert [garbage.first_number for garbage in site.manifest.garbage] == [4]
    assert compactor.tick(Budget(site.clock)).deleted == 5
    assert len(site.store.deleted) == 8


# ---- loading what is compacted


def test_neighbours_are_read_at_once(site: Site) -> None:
    publish(site, 9)
    site.an_hour_later()
    site.compact()
    publish(site, 2)
    plan = FaultPlan()
    site.loader(landing=Landing(FaultyStore(site.store, plan), "Orders"), segments=6).tick(Budget(site.clock))
    reads = [name.split()[0] for name, _ in plan.effects if "changes/" in name]
    assert reads == ["read_range", "read_range", "open", "open"]
    site.replica.check()


def test_a_loader_that_has_some_of_an_output_takes_only_the_rest(site: Site) -> None:
    publish(site, 8)
    site.loader(segments=1).step()
    site.loader(segments=2).step()
    site.an_hour_later()
    site.compact()
    assert site.tick().segments == 5
    site.replica.check()
    assert site.replica.ledger.applied_through == 8


def test_what_is_set_aside_says_the_same_before_and_after(tmp_path: Path) -> None:
    found = []
    for compacted in (False, True):
        site = Site(tmp_path / str(compacted))
        site.publish(put(1), POISON, put(2, "b"))
        site.publish(put(3))
        site.publish(b"not json", put(4, "b"))
        if compacted:
            site.an_hour_later()
            site.compact()
        report = site.tick()
        assert (report.segments, report.rows, report.quarantined) == (3, 4, 2)
        site.replica.check()
        found.append(list(site.landing.quarantined()))
    assert found[0] == found[1]
    assert [(record.line, record.offset) for file in found[0] for record in file.records][1] == (1, 0)


@pytest.mark.parametrize("order", list(itertools.permutations("LSCD")), ids="".join)
def test_whatever_the_order_of_loads_and_compaction_each_change_counts_once(
    tmp_path: Path, order: tuple[str, ...]
) -> None:
    """L: load a segment; S: load one with the manifest of the beginning; C: gather; D: delete what was replaced."""
    site = Site(tmp_path)
    publish(site, 3)
    site.an_hour_later()
    stale = site.manifest
    deleted = False
    for step in order:
        if step == "C":
            site.compact()
        elif step == "D":
            site.after_the_grace()
            deleted = bool(site.compact(target_bytes=0).deleted)
        else:
            report = site.loader(segments=1).step(stale if step == "S" else None)
            assert isinstance(report.blocked, SegmentMissing) == (step == "S" and deleted)
    site.compact()
    report = site.tick()
    assert report.blocked is None
    assert site.replica.ledger.applied_through == 3
    site.replica.check()


def test_a_compaction_in_the_midst_of_a_load_changes_nothing(site: Site) -> None:
    publish(site, 4)
    site.an_hour_later()
    target = Interrupted(site.target, lambda: site.compact())
    site.loader(target).tick(Budget(site.clock))
    assert site.entries[0].place is not None
    site.replica.check()


class Interrupted:
    """A target that does something else first."""

    def __init__(self, target: Any, first: Callable[[], object]) -> None:
        self._target = target
        self._first = first

    def apply(self, load: Any, budget: Any = None) -> Any:
        self._first()
        return self._target.apply(load, budget)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)


# ---- others at work


class Interfering(FaultyStore):
    """Does something whenever an output is about to be written or a manifest replaced, so often."""

    def __init__(self, store: MemoryStore, at: str, act: Callable[[], object], times: int = 1) -> None:
        super().__init__(store, FaultPlan())
        self.at, self.act, self.times = at, act, times

    def _acts(self, what: str) -> None:
        if what == self.at and self.times:
            self.times -= 1
            self.act()

    def create(self, name: str, data: bytes) -> None:
        self._acts("create")
        super().create(name, data)

    def replace(self, name: str, data: bytes, expected: str | None) -> str:
        self._acts("replace")
        return super().replace(name, data, expected)


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("at", ["create", "replace"])
@pytest.mark.parametrize("times", [1, 7])
def test_capture_publishes_meanwhile_and_both_are_kept(site: Site, at: str, times: int) -> None:
    publish(site, 6)
    site.an_hour_later()
    landing = Landing(Interfering(site.store, at, lambda: publish(site, 1), times), "Orders")
    report = site.compactor(landing).tick(Budget(site.clock))
    assert (report.outputs, report.segments) == (1, 6)
    assert site.manifest.next_number == 7 + times
    assert [entry.place is not None for entry in site.entries] == [True] * 6 + [False] * times
    site.tick()
    site.replica.check()


def test_who_always_comes_second_gives_up_and_has_changed_nothing(site: Site) -> None:
    publish(site, 3)
    site.an_hour_later()
    landing = Landing(Interfering(site.store, "replace", lambda: publish(site, 1), 99), "Orders")
    with pytest.raises(StateContended):
        site.compactor(landing).tick(Budget(site.clock))
    assert not any(entry.place for entry in site.entries)
    assert site.compact().segments == 3


@pytest.mark.parametrize("at", ["create", "replace"])
@pytest.mark.parametrize("first", [{}, {"target_bytes": 400}], ids=["the same", "another choice"])
def test_of_two_compactors_one_wins(site: Site, at: str, first: dict[str, int]) -> None:
    publish(site, 8)
    lines = site.lines()
    site.an_hour_later()
    landing = Landing(Interfering(site.store, at, lambda: site.compactor(**first).step(Budget(site.clock))), "Orders")
    report = site.compactor(landing).tick(Budget(site.clock))
    named = {entry.place.name for entry in site.entries if entry.place}
    written = {name.removeprefix("Orders/") for name in site.changes if "/compacted-" in name}
    assert report.outputs == (1 if first else 0)
    assert len(named) == len(site.manifest.garbage) == (2 if first else 1)
    assert written >= named
    assert site.manifest.counters == {"compacted": 8, "outputs": len(named)}
    assert site.lines() == lines
    site.after_the_grace()
    assert site.compact().deleted == 8
    site.tick()
    site.replica.check()


def test_of_two_that_delete_one_records_it(site: Site) -> None:
    publish(site, 3)
    site.an_hour_later()
    site.compact()
    site.after_the_grace()
    landing = Landing(Interfering(site.store, "replace", lambda: site.compact()), "Orders")
    version = site.manifest.version
    site.compactor(landing).tick(Budget(site.clock))
    assert site.manifest.version == version + 1
    assert site.manifest.garbage == ()


# ---- damage


@pytest.mark.parametrize("how", ["missing", "cut", "flipped", "longer", "another"])
@pytest.mark.parametrize("at", [0, 4])
def test_a_damaged_input_stops_compaction_and_nothing_is_replaced(site: Site, how: str, at: int) -> None:
    segments = publish(site, 5)
    site.an_hour_later()
    name = site.object_of(segments[at])
    data = site.store.objects[name]
    harmed = {
        "cut": data[:-4],
        "flipped": data[:40] + bytes([data[40] ^ 1]) + data[41:],
        "longer": data + b"\0",
        "another": site.store.objects[site.object_of(segments[2])],
    }
    before, objects = site.manifest, set(site.store.objects)
    if how == "missing":
        del site.store.objects[name]
    else:
        site.store.objects[name] = harmed[how]
    with pytest.raises(SegmentMissing if how == "missing" else SegmentCorrupt) as caught:
        site.compact()
    assert caught.value.facts["segment"] == segments[at].name
    assert caught.value.hint
    assert site.manifest == before
    assert set(site.store.objects) <= objects
    site.store.objects[name] = data
    assert site.compact().segments == 5


@pytest.mark.parametrize("how", ["missing", "cut", "flipped"])
def test_inputs_of_a_damaged_output_are_not_deleted(site: Site, how: str) -> None:
    publish(site, 5)
    site.an_hour_later()
    site.compact()
    [name] = (name for name in site.changes if "/compacted-" in name)
    data = site.store.objects[name]
    if how == "missing":
        del site.store.objects[name]
    else:
        site.store.objects[name] = data[:-1] if how == "cut" else data[:-30] + bytes([data[-30] ^ 1]) + data[-29:]
    site.after_the_grace()
    with pytest.raises(SegmentMissing if how == "missing" else SegmentCorrupt) as caught:
        site.compact()
    assert f"Orders/{caught.value.facts['object']}" == name
    assert site.store.deleted == []
    report = site.tick()
    assert isinstance(report.blocked, TailraceError)
    site.store.objects[name] = data
    assert site.compact().deleted == 5
    site.tick()
    site.replica.check()


@pytest.mark.parametrize("left", [0, 2, 5])
def test_an_output_that_ends_early_blocks_the_load_at_the_segment_that_is_cut(site: Site, left: int) -> None:
    segments = publish(site, 5)
    site.an_hour_later()
    site.compact()
    [name] = (name for name in site.changes if "/compacted-" in name)
    whole = site.store.objects[name]
    site.store.objects[name] = whole[: sum(segment.bytes for segment in segments[:left])]
    report = site.tick()
    assert report.segments == left
    if left < 5:
        assert isinstance(report.blocked, SegmentCorrupt)
        assert report.blocked.facts["segment"] == segments[left].name
        assert f"Orders/{report.blocked.facts['object']}" == name
    site.store.objects[name] = whole
    site.tick()
    site.replica.check()


# ---- every effect failing


def test_wherever_compaction_fails_the_next_one_makes_it_whole(
    tmp_path: Path, small_pages: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows 68 to 71: every read, write, swap and deletion fails in every way; lines, entries and what is held stay."""
    monkeypatch.setattr(compact_module, "DELETES_MAX", 2)
    site = Site(tmp_path)
    publish(site, 4)
    site.publish(delete(100, "x"), put(101, "y"))
    publish(site, 1)
    site.an_hour_later()
    began, objects, before = site.clock.ms, dict(site.store.objects), site.entries
    lines, manifests = site.lines(), list(site.store.manifests)

    def scenario(plan: FaultPlan) -> None:
        site.clock.ms = began
        site.store = HeldStore(site.clock)
        site.store.objects, site.store.manifests = dict(objects), list(manifests)
        site.landing = Landing(site.store, "Orders")
        for faulty in (plan, FaultPlan()):
            process = Landing(FaultyStore(site.store, faulty), "Orders")
            for _ in range(2):
                with stopped():
                    site.compactor(process).tick(Budget(site.clock))
                assert without_places(site.entries) == before
                assert site.lines() == lines
                site.after_the_grace()
        site.compact()
        assert all(entry.place for entry in site.entries)
        assert site.manifest.garbage == ()
        assert site.manifest.counters == {"compacted": 6, "outputs": 1}
        assert site.lines() == lines
        assert len(site.changes) == 1
        pages = {name for name in site.store.objects if name.startswith("Orders/manifest/")}
        assert len(pages) == len(site.manifest.pages) == 1

    names = [name.split()[0] for name, _ in effects_of(scenario)]
    assert {"read", "open", "read_range", "create", "replace", "delete"} == set(names)
    for plan in every_fault(scenario):
        scenario(plan)
        assert plan.struck, plan


@pytest.fixture(autouse=True)
def _no_two_entries_share_a_place(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever a test did: of each output every byte belongs to one entry."""
    yield
    site = request.node.funcargs.get("site")
    if site is not None:
        spans = sorted((e.place.name, e.place.offset, e.bytes) for e in site.entries if e.place)
        for (name, offset, size), (other, later, _) in itertools.pairwise(spans):
            assert name != other or offset + size == later
