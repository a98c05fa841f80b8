"""The load job: what is landed, not yet applied and due goes into the target, oldest first."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from typing import Final, Protocol

from tailrace.clock import Budget, Clock
from tailrace.codec import DecodedSegments, Rejected, decode_segments, rejecting
from tailrace.decide.load import Due, Every, LoadLimits, LoadRule, due, order_prefix_of, pending, side_by_side
from tailrace.errors import (
    LoaderBusy,
    LoaderFenced,
    OutOfTime,
    SegmentCorrupt,
    SegmentMissing,
    TailraceError,
    UserFault,
)
from tailrace.jobs.lease import LoaderLease
from tailrace.landing import Landing
from tailrace.model.manifest import Manifest
from tailrace.model.quarantine import QuarantinedRecord
from tailrace.model.schema import AttributeSeen, Column, Seen
from tailrace.model.segments import Segment
from tailrace.targets.planning import unfit
from tailrace.targets.target import Applied, Layout, Ledger, Load, LoadedSegment, Mode, TableSpec, Target
from tailrace.targets.whole import whole

log = logging.getLogger(__name__)

DUE_SECONDS: Final = 60.0  # a look at what is due holds so long at most: clocks jump, and entries may lie on many pages


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What a step or tick did. `blocked`: the next segment is missing or damaged, and nothing behind it is applied.

    `again_ms`: segments wait, and this is when the next one is due (Unix milliseconds). `busy`: another one is at work,
    and this one did nothing.
    """

    loads: int = 0
    segments: int = 0
    rows: int = 0
    bytes: int = 0
    quarantined: int = 0
    skipped: int = 0  # segments that another loader had applied meanwhile
    added: tuple[str, ...] = ()
    widened: tuple[str, ...] = ()
    unloaded: int = 0  # segments that are published and not applied
    again_ms: int | None = None
    more: bool = False
    blocked: TailraceError | None = None
    busy: LoaderBusy | None = None

    def then(self, later: LoadReport) -> LoadReport:
        """Totals of two reports; how things stand comes from the later one."""
        return replace(
            later,
            loads=self.loads + later.loads,
            segments=self.segments + later.segments,
            rows=self.rows + later.rows,
            bytes=self.bytes + later.bytes,
            quarantined=self.quarantined + later.quarantined,
            skipped=self.skipped + later.skipped,
            added=self.added + later.added,
            widened=self.widened + later.widened,
        )


class LoadEngine(Protocol):
    """Carries out loads in this process's place."""

    def takes(self, table: TableSpec, segments: Sequence[Segment]) -> bool:
        """Whether it can carry out such a load. The others have few rows, and this process does them."""

    def load(
        self, table: TableSpec, segments: Sequence[Segment], ledger: Ledger, loaded_ms: int
    ) -> tuple[Sequence[LoadedSegment], Applied]:
        """Decode, set aside what is rejected, apply as `Target.apply` does under the ledger's fence. What became of each segment.

        Raises what decoding raises, of any of the segments, with its name in the facts, and what `Target.apply` raises.
        """


def table_spec(manifest: Manifest, name: str, mode: Mode, layout: Layout = Layout()) -> TableSpec:  # noqa: B008  (frozen)
    """How a target knows the table that a manifest is about."""
    source = manifest.incarnation
    return TableSpec(source.table, name, mode, source.key_schema, source.table_id, manifest.predecessors, layout)


class Loader:
    """Loads one table into one target. What it remembers between steps is a cache of the target's ledger.

    Any number of loaders may run: `Target.apply` looks at the ledger again under its own lock. With a `lease` they do not do
    the same work side by side. `rule`: what is left until later. `threads` read and decode that many files at once; with
    `ahead` the next load's files are decoded there while the target is busy with this one's. `engine`: carries out the loads
    that it takes.
    """

    def __init__(
        self,
        landing: Landing,
        target: Target,
        name: str,
        mode: Mode,
        clock: Clock,
        limits: LoadLimits = LoadLimits(),  # noqa: B008  (frozen)
        rule: LoadRule = "continuous",
        lease: LoaderLease | None = None,
        threads: int = 1,
        ahead: Executor | None = None,
        layout: Layout = Layout(),  # noqa: B008  (frozen)
        engine: LoadEngine | None = None,
    ) -> None:
        self._landing = landing
        self._target = target
        self._name = name
        self._mode: Mode = mode
        self._clock = clock
        self._limits = limits
        self._rule: LoadRule = rule
        self._lease = lease
        self._threads = threads
        self._ahead = ahead
        self._layout = layout
        self._engine = engine
        self._begun: tuple[tuple[Segment, ...], Future[DecodedSegments]] | None = None
        self._ledger: Ledger | None = None
        self._due: tuple[float, Due] | None = None  # the monotonic moment of the look, and what it showed

    def tick(self, budget: Budget) -> LoadReport:
        """Load until everything due is applied, something blocks, another loader is at work, or the budget is spent."""
        report = LoadReport(more=True)
        try:
            while report.more and not budget.spent():
                report = report.then(self.step(budget=budget))
        finally:
            self.give_back()
        return report

    def give_back(self) -> None:
        """Whoever waits for this loader may begin."""
        if self._lease is not None:
            self._lease.give_back()

    def step(self, manifest: Manifest | None = None, budget: Budget | None = None) -> LoadReport:
        """One load at most. Raises what the target and the store raise; a damaged or missing segment is reported instead.

        `manifest` saves reading it, where the caller has just published it. Where the warehouse is still at work when `budget`
        is spent, nothing was loaded and there is more: a later step goes on with it.
        """
        if manifest is None:
            published = self._landing.load()
            if published is None:
                return LoadReport()
            manifest = published.manifest
        if self._rule == "by_hand":
            return LoadReport()  # the target is not even asked
        table = table_spec(manifest, self._name, self._mode, self._layout)
        try:
            return self._step(table, manifest, budget)
        except OutOfTime as error:
            log.info("%s into %s: %s %s", self._name, self._target.name, error, error.hint)
            return LoadReport(more=True, unloaded=unloaded(manifest, self._ledger or Ledger()))
        except LoaderFenced as fenced:
            if self._lease is None:
                raise
            log.warning("%s", fenced)
            self._ledger = None
            self._lease.lost()
            return LoadReport(more=True)

    def _step(self, table: TableSpec, manifest: Manifest, budget: Budget | None) -> LoadReport:
        if self._ledger is None:
            if self._lease is not None:
                self._lease.look()
            self._ledger = self._target.ledger(table, budget)
            check_zone(self._landing, manifest, self._ledger)
        ledger = self._ledger
        is_due = self._look(manifest, ledger)
        segments = self._pending(manifest, ledger, is_due)
        if not segments:
            if self._lease is not None:
                self._lease.rest()
            return LoadReport(unloaded=unloaded(manifest, ledger), again_ms=is_due.again_ms)
        self._ledger = None
        if self._lease is None:
            report = self._load_some(table, manifest, segments, ledger, is_due, budget)
        else:
            try:
                hold = self._lease.take(ledger.fence)
            except LoaderBusy as busy:
                return LoadReport(busy=busy, unloaded=unloaded(manifest, ledger))
            if not hold.is_fresh:
                return LoadReport(more=True)  # what the ledger said may be old, and the lease is ours now: look again
            with self._lease.kept():
                ledger = replace(ledger, fence=hold.fence)
                report = self._load_some(table, manifest, segments, ledger, is_due, budget)
        return replace(report, more=report.blocked is None, unloaded=unloaded(manifest, ledger) - report.segments)

    def _look(self, manifest: Manifest, ledger: Ledger) -> Due:
        """What is due now. What was due is due, and what was not is not before its time, so not every step reads the entries."""
        now, now_ms = self._clock.monotonic(), self._clock.now_ms()
        if self._due is not None and now < self._due[0] + DUE_SECONDS:
            known = self._due[1]
            if ledger.applied_through < known.through or (known.again_ms is not None and now_ms < known.again_ms):
                return known
        listed = self._landing.segments(manifest, after=ledger.applied_through)
        waiting = (segment for segment in listed if not ledger.holds(segment.number))
        found = due(self._rule, now_ms, waiting, manifest.next_number - 1)
        self._due = (now, found) if isinstance(self._rule, Every) else None
        return found

    def _pending(self, manifest: Manifest, ledger: Ledger, is_due: Due) -> tuple[Segment, ...]:
        if is_due.through <= ledger.applied_through:
            return ()  # without a look at the entries, which may lie on pages
        listed = self._landing.segments(manifest, after=ledger.applied_through)
        return pending(
            itertools.takewhile(lambda segment: segment.number <= is_due.through, listed),
            ledger.applied_through,
            ledger.applied_beyond,
            self._limits,
            one_each=self._rule == "on_file",
            begun_through=ledger.begun_through,
        )

    def _load_some(
        self,
        table: TableSpec,
        manifest: Manifest,
        segments: tuple[Segment, ...],
        ledger: Ledger,
        is_due: Due,
        budget: Budget | None,
    ) -> LoadReport:
        """Load these under the ledger's fence, or only the ones before a segment that cannot be read, found by halving.

        A window is loaded whole.
        """
        try:
            return self._load(table, manifest, segments, ledger, is_due, budget)
        except (SegmentMissing, SegmentCorrupt) as error:
            if len(segments) > 1 and segments[0].window_end is None:
                return self._load_some(table, manifest, segments[: len(segments) // 2], ledger, is_due, budget)
            at = segments[error.facts.pop("part", 0)]
            error.facts = {"table": table.source, "segment": at.name, **error.facts}
            log.error("%s", error)
            return LoadReport(blocked=error)

    def _load(
        self,
        table: TableSpec,
        manifest: Manifest,
        segments: tuple[Segment, ...],
        ledger: Ledger,
        is_due: Due,
        budget: Budget | None,
    ) -> LoadReport:
        if self._engine is not None and self._engine.takes(table, segments):
            loaded, applied = self._engine.load(table, segments, ledger, self._clock.now_ms())
            return self._reported(segments, loaded, applied, ledger)
        groups = side_by_side(segments)
        decoded = self._begun_before(segments) or self._decode(table, groups, ledger)
        if any(decoded.rejected) and len(groups) < len(segments):
            groups = [(segment,) for segment in segments]  # what is set aside says where it stands in its own segment
            decoded = self._decode(table, groups, ledger)
        if self._ahead is not None:
            then = ledger.after((segment.number for segment in segments), ledger.columns)
            following = self._pending(manifest, then, is_due)
            if following:
                job = self._ahead.submit(self._decode, table, side_by_side(following), ledger)
                self._begun = following, job
        per_group = zip(groups, decoded.rows, decoded.rejected, strict=True)
        loaded = tuple(one for group, rows, rejected in per_group for one in counted(group, rows, len(rejected)))
        for (segment, *_), rejected in zip(groups, decoded.rejected, strict=True):
            set_aside(self._landing, segment, rejected)
        applied = self._target.apply(
            Load(
                table,
                segments[0].epoch,
                loaded,
                decoded.table,
                decoded.seen,
                loaded_ms=self._clock.now_ms(),
                fence=ledger.fence,
            ),
            budget,
        )
        return self._reported(segments, loaded, applied, ledger)

    def _reported(
        self, segments: tuple[Segment, ...], loaded: Sequence[LoadedSegment], applied: Applied, ledger: Ledger
    ) -> LoadReport:
        if not applied.skipped:  # else another loader is at work, whose columns and segments we do not know
            self._ledger = ledger.after((segment.number for segment in segments), applied.columns)
        return LoadReport(
            loads=1 if applied.segments else 0,
            segments=applied.segments,
            rows=applied.rows,
            bytes=sum(segment.bytes for segment in segments) if applied.segments else 0,
            quarantined=sum(s.quarantined for s in loaded),
            skipped=applied.skipped,
            added=applied.added,
            widened=applied.widened,
        )

    def _decode(self, table: TableSpec, groups: Sequence[Sequence[Segment]], ledger: Ledger) -> DecodedSegments:
        decoded = decode_segments(
            (self._read(group) for group in groups),
            order_prefix_of(groups[0][0]),
            keys=table.keys,
            known=known(ledger.columns),
            threads=self._threads,
        )
        if table.layout.shape == "super":
            changes, seen = whole(decoded.table, decoded.seen, table.keys)
            decoded = replace(decoded, table=changes, seen=seen)
        reasons = unfit(decoded.table, self._target.limits)
        return rejecting(decoded, reasons, lambda number: self._read(groups[number])) if reasons else decoded

    def _begun_before(self, segments: tuple[Segment, ...]) -> DecodedSegments | None:
        """What was decoded ahead, if it is what is wanted now. Raises what decoding raised."""
        begun, self._begun = self._begun, None
        if begun is None or begun[0] != segments:
            return None
        return begun[1].result()

    def _read(self, group: Sequence[Segment]) -> Iterable[bytes]:
        return self._landing.read_segment(group[0]) if len(group) == 1 else [self._landing.read_neighbours(group)]


def set_aside(landing: Landing, segment: Segment, rejected: Sequence[Rejected]) -> None:
    """Make a segment's rejected lines durable, before a load that leaves them out can commit. Repeating it changes nothing."""
    records = [
        QuarantinedRecord(
            r.kind,
            r.reason,
            r.raw,
            segment=segment.name,
            line=r.line,
            offset=r.offset,
            cut=r.cut,
            epoch=segment.epoch,
        )
        for r in rejected
    ]
    if records:
        landing.quarantine(segment.name, records)


def known(columns: Sequence[Column]) -> Seen:
    """What a target's columns say about attributes, so that decoding gives wide enough numbers from the first batch."""
    return {(c.attribute, c.tag): AttributeSeen(0, c.numbers) for c in columns}


def check_zone(landing: Landing, manifest: Manifest, ledger: Ledger) -> None:
    """A ledger knows segments by their numbers, which mean something in one landing zone only.

    Raises UserFault where the target was loaded from another one than this.
    """
    newest = max(ledger.recent, key=lambda row: row.number, default=None)
    if newest is None:
        return
    if newest.number >= manifest.next_number:  # another loader may have applied what was published since we read
        published = landing.load()
        manifest = manifest if published is None else published.manifest
    listed = next(landing.segments(manifest, after=newest.number - 1), None)
    if listed is not None and (listed.number, listed.name) == (newest.number, newest.segment):
        return
    raise UserFault(
        "The target was loaded from another landing zone, or from this one before it was deleted or put back to an older state",
        hint="Put the landing zone back; or load into a new place, by another `name` or target, and read a base into it.",
        table=landing.table,
        number=newest.number,
        applied=newest.segment,
        listed=None if listed is None else listed.name,
    )


def unloaded(manifest: Manifest, ledger: Ledger) -> int:
    """How many published segments the target has not applied."""
    return manifest.next_number - 1 - ledger.applied_through - len(ledger.applied_beyond)


def counted(group: Sequence[Segment], rows: int, rejected: int) -> tuple[LoadedSegment, ...]:
    """Segments that were read in one, one with lines that were rejected alone: every line became a row or was rejected.

    Anything else is damage that gzip's checksum cannot see: SegmentCorrupt.
    """
    expected = sum(segment.rows for segment in group)
    if rows + rejected != expected:
        raise SegmentCorrupt(
            f"A segment holds {rows + rejected} records where the manifest says {expected}",
            hint="It was changed after it was published. Restore it from a bucket version.",
            segment=group[0].name,
        )
    return tuple(LoadedSegment(segment, segment.rows - rejected, rejected) for segment in group)
