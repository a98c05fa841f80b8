"""Replay: what was set aside lands once more, exactly once, wherever it is stopped; and nothing is lost on the way."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tailrace.capture.records import line_of, payload_of
from tailrace.clock import Budget, ManualClock
from tailrace.errors import NotFound, StateContended, UsageInvalid
from tailrace.jobs.load import Loader
from tailrace.jobs.replay import ReplayReport, replay
from tailrace.landing import Landing, SegmentDraft
from tailrace.landing.segments import unpacked
from tailrace.model.keys import KeyAttribute, KeySchema
from tailrace.model.manifest import Incarnation, Manifest
from tailrace.model.positions import SequenceNumber
from tailrace.model.quarantine import QuarantinedRecord
from tailrace.targets.duckdb import DuckDbTarget
from tailrace.testing.faults import FaultPlan, FaultyStore, every_fault, stopped
from tailrace.testing.stores import MemoryStore

KEYS = KeySchema(KeyAttribute("pk", "S"))
INCARNATION = Incarnation("1", "eu-west-1", "orders", "id", "arn", "NEW_IMAGE", KEYS)
T0 = 1_790_000_000_000
FIRST = 10**20


def record(number: int, key: str = "a", **attributes: Any) -> dict[str, Any]:
    """A stream record as boto3 gives it."""
    return {
        "eventName": "MODIFY",
        "dynamodb": {
            "ApproximateCreationDateTime": datetime.fromtimestamp(T0 / 1000 + number, UTC),
            "Keys": {"pk": {"S": key}},
            "NewImage": {"pk": {"S": key}, "n": {"N": str(number)}, **attributes},
            "SequenceNumber": str(FIRST + number),
        },
    }


def line(number: int, key: str = "a", **attributes: Any) -> bytes:
    return line_of(record(number, key, **attributes)).data


def rejected(number: int, payload: bytes, segment: str = "changes/dt=2026-09-21/hr=14/s.json.gz") -> QuarantinedRecord:
    """As a loader of an older release has set it aside."""
    return QuarantinedRecord("bad_value", "an older release said no", payload, segment=segment, line=number, offset=0)


def captured(payload: bytes) -> QuarantinedRecord:
    return QuarantinedRecord("bad_envelope", "an older release said no", payload, shard="s-1", sequence_number="7")


GOOD = [rejected(1, line(1)), rejected(2, line(2, "b")), rejected(3, line(3))]
BAD = rejected(4, b'{"Item"')


def published(landing: Landing) -> Manifest:
    found = landing.load()
    assert found is not None
    return found.manifest


def zone(*records: QuarantinedRecord, store: MemoryStore | None = None) -> tuple[Landing, str]:
    """A captured table without segments, and one quarantine object."""
    landing = Landing(store or MemoryStore(), "orders")
    landing.save(Manifest(INCARNATION, captured_through_ms=T0), None, "w")
    return landing, landing.quarantine(records[0].segment or "capture", records)


def play(landing: Landing, name: str) -> ReplayReport:
    return replay(landing, name, ManualClock(T0), "replayer")


def lines_of(landing: Landing) -> list[bytes]:
    """All published lines, in publish order."""
    segments = landing.segments(published(landing))
    return [x for s in segments for x in b"".join(unpacked(landing.read_segment(s))).split(b"\n") if x]


def aside(landing: Landing) -> list[QuarantinedRecord]:
    return [record for file in landing.quarantined() for record in file.records]


def load(landing: Landing, path: Path, mode: Any = "changelog") -> list[tuple[Any, ...]]:
    """Load everything; the target's rows."""
    target = DuckDbTarget("local", path, ManualClock(T0))
    Loader(landing, target, "orders", mode, ManualClock(T0)).tick(Budget(ManualClock(T0)))
    rows = target.query("SELECT pk, n, _tr_pos FROM orders ORDER BY _tr_pos").to_pylist()
    return [(row["pk"], int(row["n"]), row["_tr_pos"]) for row in rows]


def position(number: int) -> str:
    return f"0001|1|{FIRST + number:040d}"


def test_records_land_again_in_their_order_with_the_positions_they_had(tmp_path: Path) -> None:
    landing, name = zone(*reversed(GOOD))
    report = play(landing, name)
    (segment,) = published(landing).segments
    assert report == ReplayReport(3, segment.name, (), None)
    assert segment.kind == "replay"
    assert segment.lineage == (name,)
    assert segment.name.startswith(f"changes/dt=2026-09-21/hr=14/{FIRST + 1}-{FIRST + 3}-")
    assert segment.newest_change_ms == T0 + 3000
    assert segment.through_ms == T0
    landing.verify_segment(segment)
    assert lines_of(landing) == [line(1), line(2, "b"), line(3)]
    assert aside(landing) == []
    assert load(landing, tmp_path / "w.duckdb") == [
        ("a", 1, position(1)),
        ("b", 2, position(2)),
        ("a", 3, position(3)),
    ]


def test_a_replayed_change_does_not_win_over_a_newer_one(tmp_path: Path) -> None:
    landing, name = zone(GOOD[0])
    at = SequenceNumber(FIRST + 9)
    written = landing.write_segment(SegmentDraft("stream", [line(9)], at, at, T0))
    before = landing.load()
    assert before is not None
    manifest = replace(before.manifest, segments=(written.entry(1, T0, T0),), next_number=2)
    landing.save(manifest, before, "w")
    assert load(landing, tmp_path / "w.duckdb", "current") == [("a", 9, position(9))]
    play(landing, name)
    assert load(landing, tmp_path / "w.duckdb", "current") == [("a", 9, position(9))]


WINDOW = T0 // 1000 + 900


def exported(number: int) -> bytes:
    """A change as an export's window has it: its place in the order is the time it was written at."""
    document = {
        "Metadata": {"WriteTimestampMicros": {"N": str(T0 * 1000 + number)}},
        "Keys": {"pk": {"S": "a"}},
        "NewImage": {"pk": {"S": "a"}, "n": {"N": str(number)}},
    }
    return json.dumps(document).encode()


def window(landing: Landing, end: int, *lines: bytes) -> str:
    """The name of a listed segment of an export's window."""
    found = landing.load()
    assert found is not None
    number, at = found.manifest.next_number, SequenceNumber(found.manifest.next_number)
    entry = landing.write_segment(SegmentDraft("export", list(lines), at, at, T0)).entry(number, T0, T0)
    segments = (*found.manifest.segments, replace(entry, window_end=end))
    landing.save(replace(found.manifest, segments=segments, next_number=number + 1), found, "w")
    return entry.name


@pytest.mark.parametrize("mode", ["current", "changelog", "history"])
def test_a_change_of_a_window_keeps_its_place_among_windows(tmp_path: Path, mode: Any) -> None:
    landing = Landing(MemoryStore(), "orders")
    landing.save(Manifest(INCARNATION, captured_through_ms=T0), None, "w")
    window(landing, WINDOW, exported(1))
    origin = window(landing, WINDOW + 900, exported(5).replace(b'"a"', b'"b"'))
    load(landing, tmp_path / "w.duckdb", mode)
    aside = rejected(2, exported(2), segment=origin)
    for again in range(2):  # what comes out of a replay keeps it, too
        segment = play(landing, landing.quarantine(aside.segment or "", [aside])).segment
        assert segment is not None
        assert published(landing).segments[-1].window_end == WINDOW + 900
        rows = [row for row in load(landing, tmp_path / "w.duckdb", mode) if row[0] == "a"]
        newest = ("a", 2, f"0001|1|{WINDOW + 900:020d}{T0 * 1000 + 2:020d}")
        assert rows[-1] == newest, again
        assert len(rows) == (1 if mode == "current" else 2), again
        aside = replace(aside, segment=segment)


def test_counters_grow_by_what_landed() -> None:
    landing, name = zone(*GOOD, BAD)
    play(landing, name)
    manifest = published(landing)
    assert manifest.counters == {"rows": 3, "segments": 1, "bytes": manifest.segments[0].bytes}
    assert manifest.next_number == 2


def test_what_fails_again_stays_with_the_reason_of_today() -> None:
    landing, name = zone(GOOD[0], BAD)
    report = play(landing, name)
    assert report.landed == 1
    assert aside(landing) == list(report.kept)
    (kept,) = report.kept
    assert replace(kept, reason=BAD.reason) == BAD
    assert kept.reason.startswith("not JSON")
    assert report.kept_in is not None
    assert report.kept_in != name
    again = play(landing, report.kept_in)
    assert again == ReplayReport(0, None, (kept,), report.kept_in)
    assert aside(landing) == [kept]
    assert len(published(landing).segments) == 1


def test_an_envelope_that_is_understood_by_now_goes_through_capture_again() -> None:
    sent = {**record(5, "c", blob={"B": b"\x00\xff"}), "userIdentity": {"PrincipalId": "dynamodb.amazonaws.com"}}
    landing, name = zone(captured(payload_of(sent)))
    assert play(landing, name).landed == 1
    assert lines_of(landing) == [line_of(sent).data]
    assert json.loads(lines_of(landing)[0])["NewImage"]["blob"] == {"B": "AP8="}


@pytest.mark.parametrize(
    "payload",
    [
        payload_of({**record(5), "eventName": "TRUNCATE"}),
        payload_of({"eventName": "MODIFY"}),
        b"{}",
        b"[]",
        b"7",
        b"",
        b"\xff",
        b'{"dynamodb":7}',
        b'{"dynamodb":{"ApproximateCreationDateTime":"yesterday"}}',
        b"[" * 100_000,
    ],
)
def test_an_envelope_that_is_still_wrong_stays(payload: bytes) -> None:
    landing, name = zone(captured(payload))
    report = play(landing, name)
    assert report.landed == 0
    assert [r.payload for r in aside(landing)] == [payload]
    assert published(landing).segments == ()


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "not one line"),
        (b"  ", "not one line"),
        (line(1) + b"\n" + line(2), "not one line"),
        (line(1) + b"\n", "not one line"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b'{"Item":{"pk":{"S":"a"}}}', "a base row"),
        (line(1).replace(b'"pk"', b'"id"'), "key"),
    ],
)
def test_what_is_no_change_of_this_table_stays(payload: bytes, reason: str) -> None:
    landing, name = zone(rejected(1, payload))
    report = play(landing, name)
    assert report.landed == 0
    assert reason in report.kept[0].reason
    assert [r.payload for r in aside(landing)] == [payload]


def test_a_record_of_which_only_the_beginning_was_kept_stays_even_if_it_reads_well() -> None:
    landing, name = zone(replace(GOOD[0], cut=True), GOOD[1])
    report = play(landing, name)
    assert report.landed == 1
    assert aside(landing) == [replace(GOOD[0], cut=True)]


def test_one_change_that_was_set_aside_twice_lands_once() -> None:
    landing, name = zone(rejected(1, line(1)), rejected(2, line(1)))
    assert play(landing, name).landed == 2
    assert lines_of(landing) == [line(1)]


def test_an_object_that_comes_back_after_its_replay_is_let_go_and_not_loaded_twice() -> None:
    """A second target, loaded from the beginning by an old release, sets the same lines aside again."""
    landing, name = zone(*GOOD)
    play(landing, name)
    assert landing.quarantine(GOOD[0].segment or "", GOOD) == name
    assert play(landing, name).landed == 3
    assert len(lines_of(landing)) == 3
    assert aside(landing) == []


def test_what_an_old_loader_rejects_out_of_a_replay_can_be_replayed_again() -> None:
    landing, name = zone(*GOOD)
    for generation in range(1, 4):
        segment = play(landing, name).segment
        assert segment is not None
        assert len(published(landing).segments) == generation
        name = landing.quarantine(segment, [replace(r, segment=segment) for r in GOOD])
    names = [segment.name for segment in published(landing).segments]
    assert len(set(names)) == 3, "each replay is a segment of its own, though the content is the same"


def test_a_later_release_that_understands_more_loses_nothing_of_a_replay_that_was_killed() -> None:
    """Published with two of three lines, then killed; by now all three would decode, and the third has not landed."""
    landing, name = zone(*GOOD)
    landing.release(name)
    as_before = landing.quarantine(GOOD[0].segment or "", [GOOD[0], GOOD[1], replace(GOOD[2], cut=True)])
    play(landing, as_before)
    # The same object as the later release sees it: the third line is whole, under the first one's name.
    found = landing.load()
    assert found is not None
    entry = replace(found.manifest.segments[0], lineage=(name,))
    landing.save(replace(found.manifest, segments=(entry,)), found, "w")
    landing.quarantine(GOOD[0].segment or "", GOOD)
    report = play(landing, name)
    assert report.landed == 2
    assert [r.payload for r in report.kept] == [line(3)]
    assert line(3) in [r.payload for r in aside(landing)]
    assert Counter(lines_of(landing)) == Counter([line(1), line(2, "b")])


def test_nothing_to_replay_is_said() -> None:
    landing, name = zone(*GOOD)
    with pytest.raises(NotFound, match="in quarantine"):
        play(landing, "quarantine/other.json.gz")
    with pytest.raises(UsageInvalid):
        play(landing, "manifest.json")
    landing.store.delete("orders/manifest.json")
    with pytest.raises(NotFound, match="captured"):
        replay(Landing(landing.store, "orders"), name, ManualClock(T0), "w")


class Busy(FaultyStore):
    """Another worker publishes before each of our first `count` swaps."""

    def __init__(self, store: MemoryStore, count: int) -> None:
        super().__init__(store, FaultPlan())
        self.other = Landing(store, "orders")
        self.count = count

    def replace(self, name: str, data: bytes, expected: str | None) -> str:
        if self.count > 0:
            self.count -= 1
            found = self.other.load()
            assert found is not None
            self.other.save(found.manifest, found, "other")
        return super().replace(name, data, expected)


@pytest.mark.parametrize("count", [1, 5])
def test_a_publisher_who_was_first_is_no_obstacle(count: int) -> None:
    store = MemoryStore()
    _, name = zone(*GOOD, store=store)
    landing = Landing(Busy(store, count), "orders")
    assert play(landing, name).landed == 3
    assert len(lines_of(landing)) == 3
    assert published(landing).version == 1 + count + 1


def test_losing_for_ever_is_said_and_loses_nothing() -> None:
    store = MemoryStore()
    landing, name = zone(*GOOD, store=store)
    with pytest.raises(StateContended, match="again and again"):
        play(Landing(Busy(store, 1000), "orders"), name)
    assert aside(landing) == GOOD


# ---- fail at each effect

RECORDS = [GOOD[1], BAD, GOOD[0], replace(BAD, cut=True, line=9), GOOD[2]]


def scenario(plan: FaultPlan, store: MemoryStore | None = None) -> MemoryStore:
    store = store or MemoryStore()
    _, name = zone(*RECORDS, store=store)
    play(Landing(FaultyStore(store, plan), "orders"), name)
    return store


def test_the_effects_are_in_the_order_that_loses_nothing() -> None:
    plan = FaultPlan()
    scenario(plan)
    assert [name.split(" ")[0] for name, is_write in plan.effects if is_write] == [
        "create",
        "replace",
        "create",
        "delete",
    ]


@pytest.mark.parametrize("plan", every_fault(scenario), ids=str)
def test_stopped_at_any_effect_and_repeated_it_lands_everything_once(plan: FaultPlan, tmp_path: Path) -> None:
    store = MemoryStore()
    with stopped():
        scenario(plan, store)
    assert plan.struck
    landing = Landing(store, "orders")
    before = {r.payload for r in aside(landing)} | set(lines_of(landing))
    assert before == {r.payload for r in RECORDS}, "something is neither landed nor set aside"
    for name in list(landing.quarantine_names()):
        play(landing, name)
    assert Counter(lines_of(landing)) == Counter([line(1), line(2, "b"), line(3)])
    assert sorted((r.line or 0, r.payload, r.cut) for r in aside(landing)) == [
        (4, BAD.payload, False),
        (9, BAD.payload, True),
    ]
    assert [n for _, n, _ in load(landing, tmp_path / "w.duckdb")] == [1, 2, 3]


# ---- what a target does with a replay of something that it holds


@pytest.mark.parametrize("together", [True, False], ids=["one load", "two loads"])
def test_a_changelog_holds_a_change_once_that_both_its_segment_and_a_replay_brought(
    tmp_path: Path, together: bool
) -> None:
    """A target filled anew by a later release decodes the line where it first lay, and meets it again in the replay."""
    landing, name = zone(*GOOD)
    found = landing.load()
    assert found is not None
    first, last = SequenceNumber(FIRST + 1), SequenceNumber(FIRST + 3)
    written = landing.write_segment(SegmentDraft("stream", [r.payload for r in GOOD], first, last, T0))
    landing.save(replace(found.manifest, segments=(written.entry(1, T0, T0),), next_number=2), found, "w")
    expected = [("a", 1, position(1)), ("b", 2, position(2)), ("a", 3, position(3))]
    if not together:
        assert load(landing, tmp_path / "w.duckdb") == expected
    play(landing, name)
    assert len(lines_of(landing)) == 6
    assert load(landing, tmp_path / "w.duckdb") == expected
