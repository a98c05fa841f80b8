"""Replay: what was set aside lands again as a segment of its own, with the positions it had, and the next load applies it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from tailrace.capture.records import line_of, record_of
from tailrace.clock import Clock
from tailrace.codec import engine
from tailrace.errors import DataInvalid, NotFound, StateContended
from tailrace.landing import Landing, Published, QuarantineFile, SegmentDraft
from tailrace.landing.segments import unpacked
from tailrace.model.keys import KeySchema
from tailrace.model.positions import CLASS_CHANGE, POSITION_DIGITS, SequenceNumber, order_prefix
from tailrace.model.quarantine import QuarantinedRecord
from tailrace.model.segments import Segment

PUBLISH_TRIES: Final = (
    20  # capture publishes about once a second: losing so often in a row means that something is wrong
)


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What a replay did: `landed` records are in `segment`; `kept` ones stand in `kept_in`, each with its reason of today."""

    landed: int
    segment: str | None
    kept: tuple[QuarantinedRecord, ...]
    kept_in: str | None


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A record and the line that it lands as; where there is no line, the record says why."""

    record: QuarantinedRecord
    line: bytes | None = None
    position: int = 0
    written_ms: int = 0


def replay(landing: Landing, name: str, clock: Clock, writer: str) -> ReplayReport:
    """Land one quarantine object's records again. Stopped anywhere and repeated, it lands nothing twice and loses nothing.

    First the segment, then the swap that lists it, then the records that cannot land, and last the object's release. The
    listed segment has the object in its lineage: that is how a second replay knows how far the first one got.

    Raises NotFound for an object that is not there, StateContended when other workers published first again and again.
    """
    file = landing.quarantine_file(name)
    for _ in range(PUBLISH_TRIES):
        published = landing.load()
        if published is None:
            raise NotFound("Nothing of this table is captured", hint="Start `tailrace run`.", table=landing.table)
        keys = published.manifest.incarnation.key_schema
        attempts = [_attempt(record, keys, published.manifest.oldest_epoch) for record in file.records]
        segment = _listed(landing, published, name)
        if segment is not None:
            return _settle(landing, file, segment.name, _landed_before(landing, segment, attempts))
        try:
            return _settle(landing, file, _publish(landing, published, name, attempts, clock, writer), attempts)
        except StateContended:
            continue
    raise StateContended(
        "Other workers published first, again and again", hint="Nothing was lost; try again.", table=landing.table
    )


def _attempt(record: QuarantinedRecord, keys: KeySchema, oldest_epoch: int) -> _Attempt:
    """Make the line and decode it as the loader will. No line where it would be rejected again, or where it was cut."""
    if record.cut:
        return _Attempt(record)
    if record.epoch < oldest_epoch:
        return _refused(record, "it is older than the base that a repair has read since: drop it")
    try:
        line = record.payload if record.segment is not None else line_of(record_of(record.payload)).data
        decoder = engine().decoder(order_prefix(1, CLASS_CHANGE), keys=keys)
        batches = decoder.push(line + b"\n") + decoder.finish()
    except DataInvalid as error:
        return _refused(record, error.message)
    for rejected in decoder.rejected:
        return _refused(record, rejected.reason)
    if decoder.rows != 1 or b"\n" in line:
        return _refused(record, "it is not one line")
    op, written_us, position, *_ = (column[0].as_py() for batch in batches for column in batch.columns)
    if op == "r":
        return _refused(record, "it is a base row, which only a new base brings")
    return _Attempt(
        record,
        line,
        position=int(position[-POSITION_DIGITS:]),
        written_ms=0 if written_us is None else written_us // 1000,
    )


def _refused(record: QuarantinedRecord, reason: str) -> _Attempt:
    return _Attempt(replace(record, reason=reason))


def _listed(landing: Landing, published: Published, name: str) -> Segment | None:
    """The segment that an earlier replay of this object has published."""
    return next((s for s in landing.segments(published.manifest) if s.kind == "replay" and name in s.lineage), None)


def _window_end(landing: Landing, published: Published, origin: str | None) -> int | None:
    """Of the window whose segment `origin` is: it comes first in the order of what was in it. None: met in capture."""
    if origin is None:
        return None
    return next((s.window_end for s in landing.newest_first(published.manifest) if s.name == origin), None)


def _landed_before(landing: Landing, segment: Segment, attempts: Sequence[_Attempt]) -> list[_Attempt]:
    """Only what that segment holds has landed, whatever would decode by now."""
    lines = set(b"".join(unpacked(landing.read_segment(segment))).split(b"\n"))
    return [attempt if attempt.line in lines else _Attempt(attempt.record) for attempt in attempts]


def _publish(
    landing: Landing, published: Published, name: str, attempts: Sequence[_Attempt], clock: Clock, writer: str
) -> str | None:
    """Land the lines in their order, each once, and list the segment. Its name; None where there is nothing to land."""
    lines = {a.line: a for a in sorted(attempts, key=lambda a: a.position) if a.line is not None}
    if not lines:
        return None
    positions = [a.position for a in lines.values()]
    newest_ms = max(a.written_ms for a in lines.values())
    written = landing.write_segment(
        SegmentDraft(
            kind="replay",
            lines=list(lines),
            first=SequenceNumber(positions[0]),
            last=SequenceNumber(positions[-1]),
            at_ms=newest_ms,
            newest_change_ms=newest_ms,
            lineage=(name,),
        )
    )
    manifest = published.manifest
    counters = dict(manifest.counters)
    for counter, more in (("rows", written.rows), ("bytes", written.bytes), ("segments", 1)):
        counters[counter] = counters.get(counter, 0) + more
    first = next(attempt.record for attempt in lines.values())  # an object's records are of one segment
    entry = written.entry(manifest.next_number, clock.now_ms(), manifest.captured_through_ms, first.epoch)
    entry = replace(entry, window_end=_window_end(landing, published, first.segment))
    landing.save(
        replace(
            manifest,
            segments=(*manifest.segments, entry),
            next_number=manifest.next_number + 1,
            counters=counters,
        ),
        published,
        writer,
    )
    return written.name


def _settle(landing: Landing, file: QuarantineFile, segment: str | None, attempts: Sequence[_Attempt]) -> ReplayReport:
    """Keep what did not land, and only then let the object go."""
    kept = tuple(attempt.record for attempt in attempts if attempt.line is None)
    kept_in = landing.quarantine(file.origin, kept) if kept else None
    if kept_in != file.name:
        landing.release(file.name)
    return ReplayReport(len(attempts) - len(kept), segment, kept, kept_in)
