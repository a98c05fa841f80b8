"""What may never be true, checked at every publication and every commit against what the simulator knows to have happened.

The judge makes its own order keys, reads segments with its own few lines, and folds by itself: it shares no rule with the
product but the manifest's form. The names in brackets are those of the invariants (`docs/reliability.md`). What depends on where
changes come from is said by `streams.StreamJudge` and `exports.ExportJudge`.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Final

from tailrace.clock import ManualClock
from tailrace.decide.load import watermark
from tailrace.errors import ManifestInvalid, TailraceError
from tailrace.landing import Landing
from tailrace.model.manifest import Gap, Manifest
from tailrace.model.segments import Segment
from tailrace.targets.target import Load, LoadedSegment
from tailrace.testing.sim.target import ModelTarget, Row, Values
from tailrace.testing.stores import MemoryStore

_NUMBER: Final = re.compile(r"[0-9]+(\.[0-9]+)?(E[0-9]+)?")


class Violation(Exception):
    """An invariant does not hold. `rule` is its short name."""

    def __init__(self, rule: str, what: str) -> None:
        super().__init__(f"[{rule}] {what}")
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of a segment, as the judge reads it: what a target must make of it."""

    key: tuple[Any, ...]
    position: str
    op: str
    written_us: int | None  # base rows have none
    expired: bool
    values: Values
    number: int  # SequenceNumber; 0 where there is none
    is_good: bool  # it can be decoded


@dataclass(slots=True)
class Judge:
    """Watches one table. Raises Violation out of the very effect that breaks a rule."""

    store: MemoryStore
    table: str
    target: ModelTarget
    time_is_exact: bool  # all clocks agree, so that watermarks can be compared with the world's time
    clock: ManualClock
    grace_ms: int | None  # of what was compacted
    manifest: Manifest | None = None
    moved_ms: dict[str, int] = field(default_factory=dict)  # when a segment's object became needless, by name
    segments: dict[int, Segment] = field(default_factory=dict)  # all that were ever published
    facts: dict[int, list[Fact]] = field(default_factory=dict)  # by segment number
    expected: dict[tuple[Any, ...], Fact] = field(default_factory=dict)  # what the target must hold
    expected_history: int = 0
    applied: set[int] = field(default_factory=set)
    fence: int = 0  # of the last load

    # ---- what depends on where changes come from

    def check_source(self, manifest: Manifest, before: Manifest | None, added: Sequence[Segment]) -> None:
        """Compare a publication with what the source was given."""

    def is_true(self, gap: Gap) -> bool:
        """Whether something was lost indeed."""
        raise NotImplementedError

    def check_claim(self, claimed_ms: int) -> None:
        """Compare what the target says to be complete up to with what it holds."""

    # ---- at each publication

    def published(self, data: bytes) -> None:
        """The manifest was replaced by this document."""
        manifest, before = Manifest.from_bytes(data), self.manifest
        if manifest.version != (1 if before is None else before.version + 1):
            raise Violation("I10", f"version {manifest.version} follows {None if before is None else before.version}")
        added = self._added(manifest, before)
        for segment in added:
            if segment.epoch != manifest.epoch:
                raise Violation("I8", f"segment {segment.number} of epoch {segment.epoch} in epoch {manifest.epoch}")
            self._check_segment(segment)
        self._check_gaps(manifest, before)
        self.check_source(manifest, before, added)
        self.manifest = manifest

    def _added(self, manifest: Manifest, before: Manifest | None) -> list[Segment]:
        """New entries; the old ones must stand as they were. [I2, I13]"""
        known = before.next_number - 1 if before is not None else 0
        try:
            listed = {s.number: s for s in Landing(self.store, self.table).segments(manifest)}
        except ManifestInvalid as error:
            raise Violation("I2", f"{error}") from error
        for number, segment in self.segments.items():
            found = listed.get(number)
            if found is not segment and found != segment:
                self._check_moved(segment, found, manifest)
        added = [s for number, s in listed.items() if number > known]
        self.segments.update({s.number: s for s in added})
        numbers = [s.number for s in added]
        if numbers != list(range(known + 1, manifest.next_number)):
            raise Violation("I9", f"segments {numbers} behind {known}, and the next is {manifest.next_number}")
        return added

    def _check_moved(self, segment: Segment, found: Segment | None, manifest: Manifest) -> None:
        """Nothing but the place of its bytes may change. [I2, I12]"""
        if found is None or replace(found, place=segment.place) != segment or segment.place is not None:
            raise Violation("I2", f"segment {segment.number} was dropped or changed")
        self._check_place(found)
        self.segments[segment.number] = found
        assert found.place is not None
        since_ms = [garbage.since_ms for garbage in manifest.garbage if garbage.name == found.place.name]
        if not since_ms:
            raise Violation("I13", f"nobody remembers that {segment.name} is needless now")
        self.moved_ms[segment.name] = min(
            since_ms
        )  # when its swap was prepared: a moment or, after a sleep, long before

    def _check_place(self, segment: Segment) -> None:
        """The same lines lie there as were published. [I12]"""
        try:
            lines = gzip.decompress(b"".join(Landing(self.store, self.table).read_segment(segment))).splitlines()
        except (TailraceError, EOFError, OSError) as error:
            raise Violation("I12", f"segment {segment.number} cannot be read at {segment.place}: {error}") from error
        facts = [fact_of(line, segment) for line in lines]
        if facts != self.facts[segment.number]:
            raise Violation("I12", f"segment {segment.number} is another one at {segment.place}")

    def check_places(self, manifest: Manifest) -> None:
        """Every segment can still be read. [I2, I13]"""
        for segment in Landing(self.store, self.table).segments(manifest):
            self._check_place(segment)

    def deleted(self, name: str) -> None:
        """Nothing may go that the manifest lists. [I13]"""
        inside = name.removeprefix(f"{self.table}/")
        used = {s.name if s.place is None else s.place.name for s in self.segments.values()}
        pages = () if self.manifest is None else self.manifest.pages
        if inside in used or any(page.name == inside for page in pages):
            raise Violation("I13", f"{inside} was deleted and is listed")
        rested_ms = self.clock.ms - self.moved_ms.get(inside, 0)
        if self.time_is_exact and self.grace_ms is not None and rested_ms < self.grace_ms:
            raise Violation("I13", f"{inside} was deleted while a load may still read it")

    def _check_segment(self, segment: Segment) -> None:
        """It is there, with as many lines as it says. [I2, I15]"""
        data = self.store.objects.get(f"{self.table}/{segment.name}")
        if data is None:
            raise Violation("I2", f"segment {segment.name} is listed and not there")
        try:
            lines = gzip.decompress(data).splitlines()
        except (EOFError, OSError) as error:
            raise Violation("I15", f"segment {segment.name} is damaged: {error}") from error
        if len(lines) != segment.rows or len(data) != segment.bytes:
            raise Violation("I15", f"segment {segment.name} has {len(lines)} lines, the manifest says {segment.rows}")
        self.facts[segment.number] = [fact_of(line, segment) for line in lines]

    def _check_gaps(self, manifest: Manifest, before: Manifest | None) -> None:
        """Gaps stay, are shown, and are true; only a repair takes them up, and only its end closes them. [I14]"""
        known, repair = before.gaps if before is not None else (), manifest.repair
        begins = before is not None and manifest.epoch == before.epoch + 1
        ends = repair is not None and repair.finished_ms is not None and before is not None and repair != before.repair
        for gap, now in zip(known, manifest.gaps, strict=False):
            is_moved = (gap.state, now.state) == ("detected", "repairing") and begins
            is_moved |= (gap.state, now.state) == ("repairing", "closed") and ends
            if now != gap and not (is_moved and replace(now, state=gap.state) == gap):
                raise Violation("I14", f"a gap was taken back: {gap} became {now}")
        if len(manifest.gaps) < len(known) or any(gap.state != "detected" for gap in manifest.gaps[len(known) :]):
            raise Violation("I14", f"gaps were lost: {known} became {manifest.gaps}")
        is_begun = repair is not None and repair.finished_ms is None
        if manifest.open_gaps and manifest.state not in ("GAP", "SOURCE_CHANGED"):
            raise Violation("I14", f"the state is {manifest.state} in spite of {manifest.open_gaps[0]}")
        if manifest.state == "GAP" and not (manifest.open_gaps or is_begun):
            raise Violation("I14", "the state is GAP, and there is none")
        for gap in manifest.gaps[len(known) :]:
            if self.time_is_exact and not self.is_true(gap):
                raise Violation("I14", f"nothing was lost, and yet {gap}")

    # ---- at each commit

    def committed(self, load: Load, fresh: Sequence[LoadedSegment], rows: Sequence[Row]) -> None:
        """The target has taken a load: exactly these rows, once, and what stands is the fold. [I6, I7, I8, I9, I10, I15]"""
        contents = self.target.contents
        if load.fence < self.fence:
            raise Violation("I10", f"a load of fence {load.fence} is committed behind one of {self.fence}")
        self.fence = load.fence
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
            good = [fact for fact in facts if fact.is_good]
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
        sweeps = [s.segment for s in fresh if s.segment.kind == "sweep"]
        if sweeps:
            due += self._swept(max(sweep.epoch for sweep in sweeps))
        self._check_history(contents.history, due)
        if len(contents.rows) != len(self.expected):
            raise Violation("I6", f"{len(contents.rows)} keys, and {len(self.expected)} should be there")
        for key in touched:
            if not is_same(contents.rows.get(key), self.expected[key]):
                raise Violation("I6", f"{key} is {contents.rows.get(key)}, and should be {self.expected[key]}")
        if len(contents.ledger) != len(self.applied):
            raise Violation("I9", f"the ledger has {len(contents.ledger)} rows for {len(self.applied)} segments")
        self._check_watermark()

    def _swept(self, epoch: int) -> list[Fact]:
        """Older epochs end: all that is theirs is no longer expected, and each key that lived gets a delete."""
        old = {key: fact for key, fact in self.expected.items() if fact.position < f"{epoch:04d}|"}
        for key in old:
            del self.expected[key]
        position = f"{epoch:04d}|0|{0:040d}"
        return [
            Fact(key, position, "d", None, False, values_of({"pk": {"S": key[0]}}), 0, True)
            for key, fact in sorted(old.items())
            if fact.op != "d"
        ]

    def _check_watermark(self) -> None:
        if self.manifest is None or not self.time_is_exact:
            return
        through = self.applied_through
        entry = self.target.contents.ledger.get(through)
        claimed = watermark(self.manifest, through, None if entry is None else entry.through_ms).ms
        if claimed is not None:
            self.check_claim(claimed)

    @property
    def applied_through(self) -> int:
        through = 0
        while through + 1 in self.applied:
            through += 1
        return through

    def _check_history(self, history: Sequence[Row], due: Sequence[Fact]) -> None:
        """Every change of these segments stands behind the others, once, as it was written. [I8]"""
        new = history[self.expected_history :]
        self.expected_history += len(due)
        if len(new) != len(due):
            raise Violation("I8", f"the history grew by {len(new)} rows for {len(due)} changes")
        for row, fact in zip(new, due, strict=True):
            if not is_same(row, fact):
                raise Violation("I8", f"the history has {row} for {fact}")

    def _has_quarantine(self, segment: Segment) -> bool:
        start = f"{self.table}/quarantine/{segment.name.removesuffix('.json.gz').replace('/', '.')}"
        return any(name.startswith(start) for name in self.store.objects)


def fact_of(line: bytes, segment: Segment) -> Fact:
    """What a line says, read with nothing but a JSON parser."""
    record, epoch = json.loads(line), segment.epoch
    if "Item" in record:
        image = record["Item"]
        values = values_of(image)
        return Fact((_pk(image),), f"{epoch:04d}|0|{0:040d}", "r", None, False, values, 0, _is_good(values))
    meta = record["Metadata"]
    image = record.get("NewImage")
    written_us = int(meta["WriteTimestampMicros"]["N"]) if "WriteTimestampMicros" in meta else None
    number = int(meta["SequenceNumber"]["S"]) if "SequenceNumber" in meta else written_us or 0
    values = values_of(record["Keys"] if image is None else image)
    place = f"{number:040d}" if segment.window_end is None else f"{segment.window_end:020d}{number:020d}"
    return Fact(
        key=(_pk(record["Keys"]),),
        position=f"{epoch:04d}|{0 if segment.kind == 'base' else 1}|{place}",
        op="d" if image is None else "u",
        written_us=written_us,
        expired="Expired" in meta,
        values=values,
        number=number if segment.kind == "stream" else 0,
        is_good=_is_good(values),
    )


def _pk(keys: Mapping[str, Any]) -> str:
    return str(keys["pk"]["S"])


def values_of(image: Mapping[str, Any]) -> Values:
    """By (attribute, type); numbers as their text."""
    values: Values = {}
    for name, typed in image.items():
        ((tag, value),) = typed.items()
        values[name, tag] = value
    return values


def _is_good(values: Values) -> bool:
    return all(_NUMBER.fullmatch(value) is not None for (_, tag), value in values.items() if tag == "N")


def is_same(row: Row | None, fact: Fact) -> bool:
    """The target holds what the line says, digit for digit."""
    if row is None:
        return False
    return (row.key, row.position, row.op, row.written_us, row.expired) == (
        fact.key,
        fact.position,
        fact.op,
        fact.written_us,
        fact.expired,
    ) and are_same_values(row.values, fact.values)


def are_same_values(held: Values, wanted: Values) -> bool:
    """Decoded values and the texts that they came from."""
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
