"""What may never be true, checked at every publication and every commit against what the simulator knows to have happened.

The judge makes its own order keys, reads segments with its own few lines, and folds by itself: it shares no rule with the
product but the manifest's form. The names in brackets are those of the invariants (`docs/reliability.md`).
"""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tailrace.decide.load import watermark
from tailrace.model.manifest import Gap, Manifest, ShardState
from tailrace.model.segments import Segment
from tailrace.targets.target import Load, LoadedSegment
from tailrace.testing.sim.target import ModelTarget, Row, Values
from tailrace.testing.source import ModelSource, Written
from tailrace.testing.stores import MemoryStore

STREAM_TRIMMED = "stream_trimmed"


class Violation(Exception):
    """An invariant does not hold. `rule` is its short name."""

    def __init__(self, rule: str, what: str) -> None:
        super().__init__(f"[{rule}] {what}")
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Change:
    """One write, as the world made it. `image` None is a delete; `is_good` False: nobody can decode it."""

    key: str
    image: Mapping[str, Any] | None
    ms: int
    expired: bool = False
    is_good: bool = True


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of a segment, as the judge reads it: what a target must make of it."""

    key: tuple[Any, ...]
    position: str
    op: str
    written_us: int
    expired: bool
    values: Values
    number: int  # SequenceNumber; 0 where there is none


@dataclass(slots=True)
class Judge:
    """Watches one table. Raises Violation out of the very effect that breaks a rule."""

    store: MemoryStore
    table: str
    source: ModelSource | None = None
    time_is_exact: bool = True  # all clocks agree, so that watermarks can be compared with the world's time
    changes: dict[int, Change] = field(default_factory=dict)  # by sequence number: what the stream was given
    written: dict[int, Written] = field(default_factory=dict)
    manifest: Manifest | None = None
    target: ModelTarget | None = None
    unpublished: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))  # by shard
    early: set[int] = field(default_factory=set)  # written before capture began
    hidden: set[int] = field(default_factory=set)  # in a shard that a listing did not show, when a watermark passed it
    forgiven: set[int] = field(default_factory=set)  # of these, lost before they were read
    published_in: dict[int, int] = field(default_factory=dict)  # sequence number to segment number
    newest: dict[tuple[Any, ...], int] = field(default_factory=dict)  # published, by key
    facts: dict[int, list[Fact]] = field(default_factory=dict)  # by segment number
    expected: dict[tuple[Any, ...], Fact] = field(default_factory=dict)  # what the target must hold
    expected_history: int = 0
    applied: set[int] = field(default_factory=set)
    parents: dict[str, str | None] = field(default_factory=dict)  # the truth, whatever a listing says

    # ---- what happens in the world

    def wrote(self, written: Written, change: Change) -> None:
        """The stream was given a record."""
        assert written.number not in self.changes, "the model gave one number twice"
        self.changes[written.number] = change
        self.written[written.number] = written
        self.unpublished[written.shard_id].add(written.number)

    def is_lost(self, number: int) -> bool:
        """The source does not have it any more."""
        assert self.source is not None
        return number in self.source.trimmed or self.written[number].shard_id in self.source.gone

    def _begin(self) -> None:
        """What was gone before the stream was ever looked at is no loss of ours; what is old may go at any moment."""
        self.early = set(self.changes)
        for numbers in self.unpublished.values():
            for number in [n for n in numbers if self.is_lost(n)]:
                self.forgive(number)

    def forgive(self, number: int) -> None:
        self.forgiven.add(number)
        self.unpublished[self.written[number].shard_id].discard(number)

    # ---- at each publication

    def published(self, data: bytes) -> None:
        """The manifest was replaced by this document."""
        manifest, before = Manifest.from_bytes(data), self.manifest
        if before is None:
            self._begin()
        if manifest.version != (1 if before is None else before.version + 1):
            raise Violation("I10", f"version {manifest.version} follows {None if before is None else before.version}")
        added = self._added(manifest, before)
        for segment in added:
            self._check_segment(segment, manifest)
        self._check_gaps(manifest, before)
        if self.source is not None:
            self._check_stream(manifest, before, added)
        self.manifest = manifest

    def _added(self, manifest: Manifest, before: Manifest | None) -> list[Segment]:
        """New entries; the old ones must stand as they were. [I2, I13]"""
        known = before.next_number - 1 if before is not None else 0
        kept = {s.number: s for s in manifest.segments if s.number <= known}
        paged = max((page.last_number for page in manifest.pages), default=0)
        for segment in before.segments if before is not None else ():
            if segment.number > paged and kept.get(segment.number) != segment:
                raise Violation("I2", f"segment {segment.number} was dropped or changed")
        added = [s for s in manifest.segments if s.number > known]
        numbers = [s.number for s in added]
        if numbers != list(range(known + 1, manifest.next_number)):
            raise Violation("I9", f"segments {numbers} behind {known}, and the next is {manifest.next_number}")
        return added

    def _check_segment(self, segment: Segment, manifest: Manifest) -> None:
        """It is there, with as many lines as it says. [I2, I15]"""
        data = self.store.objects.get(f"{self.table}/{segment.name}")
        if data is None:
            raise Violation("I2", f"segment {segment.name} is listed and not there")
        lines = gzip.decompress(data).splitlines()
        if len(lines) != segment.rows or len(data) != segment.bytes:
            raise Violation("I15", f"segment {segment.name} has {len(lines)} lines, the manifest says {segment.rows}")
        self.facts[segment.number] = [fact_of(line, segment, manifest.epoch) for line in lines]
        if self.source is not None and segment.kind == "stream":
            for fact, line in zip(self.facts[segment.number], lines, strict=True):
                self._check_line(fact, line, segment)

    def _check_line(self, fact: Fact, line: bytes, segment: Segment) -> None:
        """Published once, in the order of its key, as it was written. [I5, I8]"""
        written = self.written.get(fact.number)
        if written is None or written.line != line:
            raise Violation("I8", f"{fact.number} is published as {line!r}, which nobody wrote")
        if fact.number in self.published_in:
            raise Violation("I8", f"{fact.number} is published twice")
        if fact.number <= self.newest.get(fact.key, 0):
            raise Violation("I5", f"{fact.key} goes back from {self.newest[fact.key]} to {fact.number}")
        self.newest[fact.key] = fact.number
        self.published_in[fact.number] = segment.number
        self.unpublished[written.shard_id].discard(fact.number)

    def _check_stream(self, manifest: Manifest, before: Manifest | None, added: Sequence[Segment]) -> None:
        known: Mapping[str, ShardState] = {} if before is None else before.shards
        for shard_id, shard in manifest.shards.items():
            was = known.get(shard_id)
            if was is not shard and was != shard:
                self._check_mark(shard_id, shard, was, manifest)
        for shard_id, shard in known.items():
            if shard_id not in manifest.shards and (shard.finished_ms is None or self._is_there(shard_id)):
                raise Violation("I4", f"shard {shard_id} was forgotten before its time")
        for segment in added:
            for shard_id in segment.shards:
                self._check_lineage(shard_id, segment, manifest)
        self._check_watermark(manifest, before)

    def _check_mark(self, shard_id: str, shard: ShardState, was: ShardState | None, manifest: Manifest) -> None:
        """A mark moves over nothing that is not published, set aside, or told as a gap; and never back. [I2, I3, I14]"""
        if was is not None and (was.mark or 0) > (shard.mark or 0):
            raise Violation("I3", f"the mark of {shard_id} goes back from {was.mark} to {shard.mark}")
        if was is not None and was.finished_ms is not None and shard.finished_ms is None:
            raise Violation("I3", f"shard {shard_id} is not finished any more")
        is_over = shard.finished_ms is not None
        for number in sorted(self.unpublished.get(shard_id, ())):
            if not is_over and number > (shard.mark or 0):
                break
            if self.written[number].line is None and self._is_set_aside(number):
                self.unpublished[shard_id].discard(number)
            elif not self.is_lost(number):
                raise Violation("I3", f"{number} of {shard_id} is passed over: mark {shard.mark}, finished {is_over}")
            elif _tells(manifest.gaps, shard_id):
                continue
            elif number in self.early:  # it was old when capture began
                self.forgive(number)
            else:
                raise Violation("I14", f"{number} of {shard_id} was lost, and no gap tells")
        beyond = [n for n in self.published_in if n > (shard.mark or 0) and self.written[n].shard_id == shard_id]
        if beyond and not is_over:
            raise Violation("I3", f"{beyond} of {shard_id} are published beyond the mark {shard.mark}")

    def _check_lineage(self, shard_id: str, segment: Segment, manifest: Manifest) -> None:
        """Nothing of a child before all of its parents is published, or known to be lost. [I4]"""
        parent = self.parents.get(shard_id)
        while parent is not None:
            for number in self.unpublished.get(parent, ()):
                if self.written[number].line is not None and not self.is_lost(number):
                    raise Violation("I4", f"segment {segment.number} of {shard_id} before {number} of parent {parent}")
            parent = self.parents.get(parent)

    def _check_watermark(self, manifest: Manifest, before: Manifest | None) -> None:
        """Every change before `captured_through_ms` is published, unless a gap tells. [8.3, watermark honesty]"""
        through, earlier = manifest.captured_through_ms, before.captured_through_ms if before is not None else None
        if earlier is not None and (through is None or through < earlier):
            raise Violation("I6", f"the capture watermark goes back from {earlier} to {through}")
        if through is None or not self.time_is_exact or manifest.open_gaps:
            return
        for numbers in self.unpublished.values():
            for number in numbers:
                is_due = self.changes[number].ms < through and self.written[number].line is not None
                is_excused = number in self.early and self.is_lost(number)
                if is_due and not is_excused and not self._is_hidden(number, manifest):
                    raise Violation(
                        "I6", f"captured through {through}, and {number} of {self.changes[number].ms} is not"
                    )

    def _is_hidden(self, number: int, manifest: Manifest) -> bool:
        """In one of two children of a shard, of which a listing showed the other: nobody could know that it was there."""
        if number in self.hidden:
            return True
        shard_id: str | None = self.written[number].shard_id
        while shard_id is not None and shard_id not in manifest.shards:
            parent = self.parents[shard_id]
            if parent is not None and any(self.parents[i] == parent for i in manifest.shards):
                self.hidden.add(number)
                return True
            shard_id = parent
        return False

    def _check_gaps(self, manifest: Manifest, before: Manifest | None) -> None:
        """Gaps stay, are shown, and are true. [I14]"""
        known = before.gaps if before is not None else ()
        if manifest.gaps[: len(known)] != known:
            raise Violation("I14", f"a gap was taken back: {known} became {manifest.gaps}")
        if manifest.open_gaps and manifest.state not in ("GAP", "SOURCE_CHANGED"):
            raise Violation("I14", f"the state is {manifest.state} in spite of {manifest.open_gaps[0]}")
        if manifest.state == "GAP" and not manifest.open_gaps:
            raise Violation("I14", "the state is GAP, and there is none")
        for gap in manifest.gaps[len(known) :]:
            if self.source is not None and self.time_is_exact and not self._is_true(gap):
                raise Violation("I14", f"nothing was lost, and yet {gap}")

    def _is_true(self, gap: Gap) -> bool:
        """Where only time tells (nothing was ever read of a shard) a gap may be told although nothing was written."""
        assert self.source is not None
        assert gap.shard is not None or gap.kind == "stream_replaced"
        if gap.kind == STREAM_TRIMMED and gap.after is not None:
            after = gap.after
            return any(n > after and self.written[n].shard_id == gap.shard for n in self.source.trimmed)
        if gap.kind == "shard_vanished":
            assert gap.shard is not None
            return not self._is_there(gap.shard)
        return True

    def _is_there(self, shard_id: str) -> bool:
        assert self.source is not None
        return shard_id in self.source.model.shards and shard_id not in self.source.gone

    def _is_set_aside(self, number: int) -> bool:
        payload = self.written[number].payload
        return any(payload == aside for aside in self._set_aside())

    def _set_aside(self) -> Iterator[bytes]:
        from tailrace.landing import Landing

        for file in Landing(self.store, self.table).quarantined():
            yield from (record.payload for record in file.records)

    # ---- at each commit

    def committed(self, load: Load, fresh: Sequence[LoadedSegment], rows: Sequence[Row]) -> None:
        """The target has taken a load: exactly these rows, once, and what stands is the fold. [I6, I7, I8, I9, I15]"""
        assert self.target is not None
        contents = self.target.contents
        touched: dict[tuple[Any, ...], None] = {}
        due: list[Fact] = []
        for s in fresh:
            number = s.segment.number
            if number in self.applied:
                raise Violation("I9", f"segment {number} is applied twice")
            facts = self.facts.get(number)
            if facts is None:
                raise Violation("I9", f"segment {number} is applied and not published")
            self.applied.add(number)
            good = [fact for fact in facts if self._is_good(fact)]
            if (s.rows, s.rows + s.quarantined) != (len(good), s.segment.rows):
                raise Violation(
                    "I15", f"segment {number} gave {s.rows} + {s.quarantined} of {len(good)}, {s.segment.rows}"
                )
            if len(good) < len(facts) and not self._has_quarantine(s.segment):
                raise Violation("I15", f"segment {number} was applied before its bad lines were set aside")
            due += good
        for fact in due:
            standing = self.expected.get(fact.key)
            if standing is None or fact.position > standing.position:
                self.expected[fact.key] = fact
            touched[fact.key] = None
        self._check_history(contents.history, due)
        for key in touched:
            if not _is_same(contents.rows.get(key), self.expected[key]):
                raise Violation("I6", f"{key} is {contents.rows.get(key)}, and should be {self.expected[key]}")
        if len(contents.ledger) != len(self.applied):
            raise Violation("I9", f"the ledger has {len(contents.ledger)} rows for {len(self.applied)} segments")
        self._check_target_watermark()

    def _check_history(self, history: Sequence[Row], due: Sequence[Fact]) -> None:
        """Every change of these segments stands behind the others, once, as it was written. [I8]"""
        new = history[self.expected_history :]
        self.expected_history += len(due)
        if len(new) != len(due):
            raise Violation("I8", f"the history grew by {len(new)} rows for {len(due)} changes")
        for row, fact in zip(new, due, strict=True):
            if not _is_same(row, fact):
                raise Violation("I8", f"the history has {row} for {fact}")

    def _check_target_watermark(self) -> None:
        """What the target claims to be complete up to, it is. [8.3, watermark honesty]"""
        assert self.target is not None
        if self.manifest is None or not self.time_is_exact or self.source is None:
            return
        through = 0
        while through + 1 in self.applied:
            through += 1
        entry = self.target.contents.ledger.get(through)
        claimed = watermark(self.manifest, through, None if entry is None else entry.through_ms).ms
        if claimed is None:
            return
        for number, change in self.changes.items():
            if (
                change.ms < claimed
                and self.written[number].line is not None
                and number not in self.forgiven | self.early
            ):
                segment = self.published_in.get(number)
                is_excused = self.is_lost(number) or self._is_hidden(number, self.manifest)
                if segment not in self.applied and not is_excused:
                    raise Violation(
                        "I6", f"complete through {claimed} is claimed, and {number} of {change.ms} is missing"
                    )

    def _is_good(self, fact: Fact) -> bool:
        change = self.changes.get(fact.number)
        return change is None or change.is_good

    def _has_quarantine(self, segment: Segment) -> bool:
        start = f"{self.table}/quarantine/{segment.name.removesuffix('.json.gz').replace('/', '.')}"
        return any(name.startswith(start) for name in self.store.objects)


def _tells(gaps: Sequence[Gap], shard_id: str) -> bool:
    return any(gap.shard == shard_id or gap.kind == "stream_replaced" for gap in gaps)


def fact_of(line: bytes, segment: Segment, epoch: int) -> Fact:
    """What a line says, read with nothing but a JSON parser."""
    record = json.loads(line)
    if "Item" in record:
        image = record["Item"]
        return Fact((_pk(image),), f"{epoch:04d}|0|{0:040d}", "u", 0, False, _values(image), 0)
    meta = record["Metadata"]
    image, written_us = record.get("NewImage"), int(meta["WriteTimestampMicros"]["N"])
    number = int(meta["SequenceNumber"]["S"]) if "SequenceNumber" in meta else written_us
    place = f"{number:040d}" if segment.window_end is None else f"{segment.window_end:020d}{number:020d}"
    return Fact(
        key=(_pk(record["Keys"]),),
        position=f"{epoch:04d}|{0 if segment.kind == 'base' else 1}|{place}",
        op="d" if image is None else "u",
        written_us=written_us,
        expired="Expired" in meta,
        values=_values(record["Keys"] if image is None else image),
        number=number if segment.window_end is None else 0,
    )


def _pk(keys: Mapping[str, Any]) -> str:
    return str(keys["pk"]["S"])


def _values(image: Mapping[str, Any]) -> Values:
    values: Values = {}
    for name, typed in image.items():
        ((tag, value),) = typed.items()
        values[name, tag] = value
    return values


def _is_same(row: Row | None, fact: Fact) -> bool:
    if row is None:
        return False
    return (row.key, row.position, row.op, row.written_us, row.expired) == (
        fact.key,
        fact.position,
        fact.op,
        fact.written_us,
        fact.expired,
    ) and _are_same_values(row.values, fact.values)


def _are_same_values(held: Values, wanted: Values) -> bool:
    if held.keys() != wanted.keys():
        return False
    for name, value in wanted.items():
        found = held[name]
        if name[1] == "N":
            if Decimal(found) != Decimal(value):
                return False
        elif found != value:
            return False
    return True
