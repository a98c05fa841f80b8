"""One table's folder: what is published stays published, once, whole and in order."""

from __future__ import annotations

import gzip
import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tailrace.errors import (
    AlreadyExists,
    ManifestInvalid,
    SegmentCorrupt,
    SegmentMissing,
    StateContended,
    Transient,
    UsageInvalid,
)
from tailrace.landing import Landing, Published, SegmentDraft
from tailrace.landing import landing as landing_module
from tailrace.landing.segments import unpacked
from tailrace.landing.store import Store
from tailrace.model.keys import KeyAttribute, KeySchema
from tailrace.model.manifest import Incarnation, Manifest
from tailrace.model.positions import SequenceNumber
from tailrace.model.quarantine import QuarantinedRecord
from tailrace.model.segments import Segment, ShardRange
from tailrace.testing.faults import FaultPlan, FaultyStore, every_fault, stopped
from tailrace.testing.stores import MemoryStore

T0 = 1_795_323_600_000  # 2026-11-22T05:00:00Z
KEYS = KeySchema(KeyAttribute("pk", "S"))
INCARNATION = Incarnation("111122223333", "eu-west-1", "orders", "id-1", "arn:s", "NEW_IMAGE", KEYS)
EMPTY = Manifest(INCARNATION)
MANIFEST = "orders/manifest.json"


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def landing(store: MemoryStore) -> Landing:
    return Landing(store, "orders")


def draft(first: int, *lines: bytes, at_ms: int = T0) -> SegmentDraft:
    last = first + len(lines) - 1
    ranges = {"shard-1": ShardRange(SequenceNumber(first), SequenceNumber(last), len(lines))}
    return SegmentDraft(
        "stream", lines, SequenceNumber(first), SequenceNumber(last), at_ms, ranges, newest_change_ms=at_ms
    )


def with_segments(landing: Landing, manifest: Manifest, *drafts: SegmentDraft) -> Manifest:
    """The manifest that lists these drafts too, made durable first."""
    for one in drafts:
        entry = landing.write_segment(one).entry(manifest.next_number, T0, None)
        segments = (*manifest.segments, entry)
        manifest = replace(manifest, segments=segments, next_number=manifest.next_number + 1)
    return manifest


def published(landing: Landing, *drafts: SegmentDraft) -> Published:
    return landing.save(with_segments(landing, EMPTY, *drafts), None, "w1")


def lines_of(landing: Landing) -> list[bytes]:
    """Every line that the manifest lists, in publish order."""
    found = landing.load()
    segments = [] if found is None else list(landing.segments(found.manifest))
    assert [segment.number for segment in segments] == list(range(1, len(segments) + 1))
    plain = b"".join(b"".join(unpacked(landing.read_segment(segment))) for segment in segments)
    return plain.split(b"\n")[:-1]


# ---- manifest


def test_a_table_that_was_never_captured_has_no_manifest(landing: Landing) -> None:
    assert landing.load() is None


def test_a_published_manifest_is_what_others_load(store: MemoryStore, landing: Landing) -> None:
    saved = published(landing, draft(1, b"{}"))
    assert saved.manifest.version == 1
    assert saved.manifest.writer == "w1"
    assert Landing(store, "orders").load() == saved


def test_only_one_of_two_successors_is_published(store: MemoryStore, landing: Landing) -> None:
    start = published(landing)
    rival = Landing(store, "orders")
    landing.save(replace(start.manifest, fence=1), start, "w1")
    with pytest.raises(StateContended):
        rival.save(replace(start.manifest, fence=2), start, "w2")
    with pytest.raises(StateContended):
        rival.save(EMPTY, None, "w2")


def test_a_successor_of_another_version_is_our_bug(landing: Landing) -> None:
    start = published(landing)
    with pytest.raises(AssertionError):
        landing.save(EMPTY, start, "w1")


@pytest.mark.parametrize("other", ["w1", "w2"])
def test_a_publish_with_a_lost_answer_that_was_overtaken_is_contended(store: MemoryStore, other: str) -> None:
    """Ours was applied and another worker went on from it: its manifest is the one to go on from."""
    plan = FaultPlan()
    landing, rival = Landing(FaultyStore(store, plan), "orders"), Landing(store, "orders")
    start = published(landing)

    class Overtaken(FaultyStore):
        def replace(self, name: str, data: bytes, expected: str | None) -> str:
            try:
                return super().replace(name, data, expected)
            finally:
                ours = rival.load()
                assert ours is not None
                rival.save(replace(ours.manifest, fence=9), ours, other)

    landing.store = Overtaken(store, FaultPlan(at=1, fault="lost_answer"))
    with pytest.raises(StateContended):
        landing.save(replace(start.manifest, fence=7), start, "w1")


@pytest.mark.parametrize("what", ["older", "gone"])
def test_a_manifest_that_went_back_is_refused(store: MemoryStore, landing: Landing, what: str) -> None:
    start = published(landing)
    backup = store.objects[MANIFEST]
    landing.save(start.manifest, start, "w1")
    if what == "older":
        store.objects[MANIFEST] = backup
    else:
        del store.objects[MANIFEST]
    with pytest.raises(ManifestInvalid, match="old backup") as caught:
        landing.load()
    assert caught.value.facts["table"] == "orders"


def test_a_reader_that_is_slower_than_a_writer_does_not_cry_wolf(store: MemoryStore) -> None:
    """A read that began before another thread's publish may end after it with the older version."""

    class Slow(FaultyStore):
        def read(self, name: str):  # type: ignore[no-untyped-def]
            stored = super().read(name)
            if then := self.__dict__.pop("then", None):
                then()
            return stored

    slow = Slow(store, FaultPlan())
    landing = Landing(slow, "orders")
    start = published(landing)
    slow.then = lambda: landing.save(start.manifest, start, "w1")  # type: ignore[attr-defined]
    loaded = landing.load()
    assert loaded is not None
    assert loaded.manifest.version == 1
    now = landing.load()
    assert now is not None
    assert now.manifest.version == 2


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b"\xff",
        b'{"format":1}',
        b'{"format":2}',
        b'{"format":"1"}',
        b"[" * 99999,
    ],
)
def test_a_damaged_or_newer_manifest_is_refused_and_left_alone(
    store: MemoryStore, landing: Landing, data: bytes
) -> None:
    store.objects[MANIFEST] = data
    with pytest.raises(ManifestInvalid):
        landing.load()
    assert store.objects[MANIFEST] == data


@pytest.mark.parametrize("table", ["ab", "", "a" * 256, "../x", "a/b", "..", "orders\n", "ordérs", ".tailrace"])
def test_what_is_no_table_name_makes_no_folder(store: MemoryStore, table: str) -> None:
    with pytest.raises(UsageInvalid):
        Landing(store, table)


@pytest.mark.parametrize("table", ["abc", "a" * 255, "My_table-1.2", "..."])
def test_every_table_name_of_dynamodb_makes_a_folder(store: MemoryStore, table: str) -> None:
    landing = Landing(store, table)
    saved = published(landing, draft(1, b"{}"))
    assert landing.load() == saved


# ---- pages


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landing_module, "SEGMENTS_MAX", 8)
    monkeypatch.setattr(landing_module, "SEGMENTS_KEPT", 3)


def grown(landing: Landing, count: int) -> Manifest:
    """`count` segments of one line each, published one at a time."""
    saved = published(landing)
    for number in range(1, count + 1):
        saved = landing.save(with_segments(landing, saved.manifest, draft(number, b"%d" % number)), saved, "w1")
    return saved.manifest


@pytest.mark.usefixtures("small_pages")
def test_old_entries_move_to_pages_and_stay_in_order(landing: Landing) -> None:
    manifest = grown(landing, 30)
    assert [(page.first_number, page.last_number) for page in manifest.pages] == [
        (1, 6),
        (7, 12),
        (13, 18),
        (19, 24),
    ]
    assert all(page.rows == 6 for page in manifest.pages)
    assert [segment.number for segment in manifest.segments] == [25, 26, 27, 28, 29, 30]
    assert lines_of(landing) == [b"%d" % number for number in range(1, 31)]


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("after", [0, 1, 6, 7, 17, 18, 19, 24, 25, 29, 30, 99])
def test_only_the_pages_that_are_needed_are_read(store: MemoryStore, landing: Landing, after: int) -> None:
    manifest = grown(landing, 30)
    plan = FaultPlan()
    reader = Landing(FaultyStore(store, plan), "orders")
    assert [s.number for s in reader.segments(manifest, after=after)] == list(range(after + 1, 31))
    assert len(plan.effects) == sum(1 for page in manifest.pages if page.last_number > after)


def test_many_shards_make_a_page_before_the_document_grows_too_large(
    landing: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landing_module, "SEGMENTS_KEPT", 3)
    entry = landing.write_segment(draft(1, b"{}")).entry(1, T0, None)
    shards = {f"shard-{n:05d}": ShardRange(SequenceNumber(n), SequenceNumber(n), 1) for n in range(4000)}
    wide = tuple(replace(entry, number=n, shards=shards) for n in range(1, 8))
    saved = landing.save(replace(EMPTY, segments=wide, next_number=8), None, "w1")
    assert len(saved.manifest.segments) == 3
    assert list(landing.segments(saved.manifest)) == list(wide)


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("harm", ["gone", "cut", "changed", "newer"])
def test_a_missing_or_damaged_page_is_named(store: MemoryStore, landing: Landing, harm: str) -> None:
    manifest = grown(landing, 9)
    name = f"orders/{manifest.pages[0].name}"
    data = store.objects.pop(name)
    if harm != "gone":
        old, new = {"cut": (b"\n", b""), "changed": (b'"rows":1', b'"rows":2'), "newer": (b":1,", b":2,")}[harm]
        store.objects[name] = data[:-9] if harm == "cut" else data.replace(old, new, 1)
    with pytest.raises(ManifestInvalid) as caught:
        list(landing.segments(manifest))
    assert caught.value.facts["page"] == manifest.pages[0].name


# ---- segments


def test_a_segment_is_named_by_positions_and_content_in_the_hour_of_its_newest_change(
    landing: Landing,
) -> None:
    written = landing.write_segment(draft(41, b'{"a":1}', b'{"a":2}', at_ms=T0 + 59 * 60_000))
    digest = hashlib.sha256(b'{"a":1}\n{"a":2}\n').hexdigest()
    assert written.name == f"changes/dt=2026-11-22/hr=05/41-42-{digest[:8]}.json.gz"
    assert written.sha256 == digest
    assert (written.rows, written.kind, written.newest_change_ms) == (2, "stream", T0 + 59 * 60_000)


def test_writing_a_segment_again_gives_the_same_and_writes_nothing(store: MemoryStore, landing: Landing) -> None:
    first = landing.write_segment(draft(1, b"{}"))
    before = dict(store.objects)
    assert Landing(store, "orders").write_segment(draft(1, b"{}")) == first
    assert store.objects == before


def test_a_segment_that_another_gzip_packed_is_the_same_segment(store: MemoryStore, landing: Landing) -> None:
    ours = landing.write_segment(draft(1, b"{}"))
    store.objects[f"orders/{ours.name}"] = gzip.compress(b"{}\n", 9, mtime=1)
    again = landing.write_segment(draft(1, b"{}"))
    assert again == replace(ours, bytes=len(store.objects[f"orders/{ours.name}"]))
    landing.verify_segment(again.entry(1, T0, None))


@pytest.mark.parametrize("found", [b"", b"other", b"\x1f\x8b\x08"])
def test_other_bytes_under_a_segments_name_are_never_taken_for_it(
    store: MemoryStore, landing: Landing, found: bytes
) -> None:
    ours = landing.write_segment(draft(1, b"{}"))
    store.objects[f"orders/{ours.name}"] = found
    with pytest.raises(AlreadyExists):
        landing.write_segment(draft(1, b"{}"))


HUNDRED = [b'{"n":%d}' % n for n in range(100)]


def one_segment(landing: Landing) -> Segment:
    return published(landing, draft(1, *HUNDRED)).manifest.segments[0]


def test_a_segment_reads_back_as_it_was_written(landing: Landing) -> None:
    segment = one_segment(landing)
    landing.verify_segment(segment)
    assert lines_of(landing) == HUNDRED


def test_a_segment_that_is_gone_is_a_gap(store: MemoryStore, landing: Landing) -> None:
    segment = one_segment(landing)
    store.delete(f"orders/{segment.name}")
    for read in (lambda: list(landing.read_segment(segment)), lambda: landing.verify_segment(segment)):
        with pytest.raises(SegmentMissing) as caught:
            read()
        assert caught.value.facts["segment"] == segment.name


@pytest.mark.parametrize(
    "harm", [lambda d: d[:-4], lambda d: d[: len(d) // 2], lambda d: d + b"x", lambda d: b"", lambda d: d * 3]
)
def test_a_segment_of_another_length_is_refused(
    store: MemoryStore, landing: Landing, harm: Callable[[bytes], bytes]
) -> None:
    segment = one_segment(landing)
    name = f"orders/{segment.name}"
    store.objects[name] = harm(store.objects[name])
    for read in (lambda: list(landing.read_segment(segment)), lambda: landing.verify_segment(segment)):
        with pytest.raises(SegmentCorrupt) as caught:
            read()
        assert caught.value.facts["segment"] == segment.name


def test_no_flipped_byte_escapes_verification(store: MemoryStore, landing: Landing) -> None:
    segment = one_segment(landing)
    name = f"orders/{segment.name}"
    data = store.objects[name]
    for at in range(10, len(data)):  # behind the gzip header, whose time and system mean nothing
        store.objects[name] = data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]
        try:
            landing.verify_segment(segment)
        except SegmentCorrupt:
            continue
        assert b"".join(unpacked([store.objects[name]])).split(b"\n")[:-1] == HUNDRED  # padding bits


def test_another_whole_segment_in_its_place_is_refused(store: MemoryStore, landing: Landing) -> None:
    segment = one_segment(landing)
    other = landing.write_segment(draft(1, *[b'{"m":%d}' % n for n in range(100)]))
    store.objects[f"orders/{segment.name}"] = store.objects[f"orders/{other.name}"]
    with pytest.raises(SegmentCorrupt):
        landing.verify_segment(replace(segment, bytes=other.bytes))


# ---- failing everywhere

LINES = [b'{"n":%d}' % n for n in range(1, 31)]


def worker(store: Store, writer: str) -> None:
    """A small capture: three lines a segment from the mark on, both in one swap, errors retried."""
    landing = Landing(store, "orders")
    for _ in range(5):  # a worker that is told to repeat does so
        try:
            saved = landing.load() or landing.save(EMPTY, None, writer)
            while (mark := saved.manifest.counters.get("mark", 0)) < len(LINES):
                batch = LINES[mark : mark + 3]
                if mark == 15:
                    landing.quarantine("capture", [QuarantinedRecord("bad", "why", batch[0], shard="s")])
                manifest = with_segments(landing, saved.manifest, draft(mark + 1, *batch))
                counters = {"mark": mark + len(batch)}
                saved = landing.save(replace(manifest, counters=counters), saved, writer)
            return
        except Transient:
            continue
    raise AssertionError("never succeeded")


def small_worker_run(plan: FaultPlan) -> None:
    patch = pytest.MonkeyPatch()
    with patch.context() as small:
        small.setattr(landing_module, "SEGMENTS_MAX", 4)
        small.setattr(landing_module, "SEGMENTS_KEPT", 2)
        worker(FaultyStore(MemoryStore(), plan), "w1")


def check_nothing_lost_or_repeated(store: MemoryStore) -> None:
    landing = Landing(store, "orders")
    assert lines_of(landing) == LINES
    assert [record.payload for file in landing.quarantined() for record in file.records] == [LINES[15]]
    found = landing.load()
    assert found is not None
    for segment in landing.segments(found.manifest):
        landing.verify_segment(segment)


@pytest.mark.parametrize("plan", every_fault(small_worker_run), ids=str)
def test_wherever_a_worker_fails_its_successor_completes_exactly(plan: FaultPlan, store: MemoryStore) -> None:
    with pytest.MonkeyPatch.context() as small:
        small.setattr(landing_module, "SEGMENTS_MAX", 4)
        small.setattr(landing_module, "SEGMENTS_KEPT", 2)
        with stopped():
            worker(FaultyStore(store, plan), "w1")
        assert plan.struck
        worker(store, "w2")
        check_nothing_lost_or_repeated(store)


@pytest.mark.usefixtures("small_pages")
def test_many_workers_on_one_table_do_no_harm(store: MemoryStore) -> None:
    barrier = threading.Barrier(4)

    def run(number: int) -> None:
        barrier.wait()
        for _ in range(200):
            try:
                worker(store, f"w{number}")
            except AssertionError:
                continue  # beaten five times in a row
            return

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(4)))
    check_nothing_lost_or_repeated(store)
