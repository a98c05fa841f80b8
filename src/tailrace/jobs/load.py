"""The load job: what is landed and not yet applied goes into the target, oldest first."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace

from tailrace.clock import Budget, Clock
from tailrace.codec import DecodedSegments, decode_segments, rejecting
from tailrace.decide.load import LoadLimits, order_prefix_of, pending, side_by_side
from tailrace.errors import OutOfTime, SegmentCorrupt, SegmentMissing, TailraceError
from tailrace.landing import Landing
from tailrace.model.manifest import Manifest
from tailrace.model.quarantine import QuarantinedRecord
from tailrace.model.schema import AttributeSeen, Column, Seen
from tailrace.model.segments import Segment
from tailrace.targets.planning import unfit
from tailrace.targets.target import Layout, Ledger, Load, LoadedSegment, Mode, TableSpec, Target
from tailrace.targets.whole import whole

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What a step or tick did. `blocked`: the next segment is missing or damaged, and nothing behind it is applied."""

    loads: int = 0
    segments: int = 0
    rows: int = 0
    bytes: int = 0
    quarantined: int = 0
    skipped: int = 0  # segments that another loader had applied meanwhile
    added: tuple[str, ...] = ()
    widened: tuple[str, ...] = ()
    unloaded: int = 0  # segments that are published and not applied
    more: bool = False
    blocked: TailraceError | None = None

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


def table_spec(manifest: Manifest, name: str, mode: Mode, layout: Layout = Layout()) -> TableSpec:  # noqa: B008  (frozen)
    """How a target knows the table that a manifest is about."""
    source = manifest.incarnation
    return TableSpec(source.table, name, mode, source.key_schema, source.table_id, manifest.predecessors, layout)


class Loader:
    """Loads one table into one target. What it remembers between steps is a cache of the target's ledger.

    Any number of loaders may run: `Target.apply` looks at the ledger again under its own lock. `threads` read and decode
    that many files at once; with `ahead` the next load's files are decoded there while the target is busy with this one's.
    """

    def __init__(
        self,
        landing: Landing,
        target: Target,
        name: str,
        mode: Mode,
        clock: Clock,
        limits: LoadLimits = LoadLimits(),  # noqa: B008  (frozen)
        threads: int = 1,
        ahead: Executor | None = None,
        layout: Layout = Layout(),  # noqa: B008  (frozen)
    ) -> None:
        self._landing = landing
        self._target = target
        self._name = name
        self._mode: Mode = mode
        self._clock = clock
        self._limits = limits
        self._threads = threads
        self._ahead = ahead
        self._layout = layout
        self._begun: tuple[tuple[Segment, ...], Future[DecodedSegments]] | None = None
        self._ledger: Ledger | None = None

    def tick(self, budget: Budget) -> LoadReport:
        """Load until everything published is applied, something blocks, or the budget is spent."""
        report = LoadReport(more=True)
        while report.more and not budget.spent():
            report = report.then(self.step(budget=budget))
        return report

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
        table = table_spec(manifest, self._name, self._mode, self._layout)
        ledger = self._ledger
        try:
            ledger = self._ledger = ledger or self._target.ledger(table, budget)
            segments = self._pending(manifest, ledger)
            if not segments:
                return LoadReport()
            self._ledger = None
            report = self._load_some(table, manifest, segments, ledger, budget)
        except OutOfTime as error:
            log.info("%s into %s: %s %s", self._name, self._target.name, error, error.hint)
            return LoadReport(more=True, unloaded=unloaded(manifest, ledger or Ledger()))
        return replace(report, more=report.blocked is None, unloaded=unloaded(manifest, ledger) - report.segments)

    def _pending(self, manifest: Manifest, ledger: Ledger) -> tuple[Segment, ...]:
        listed = self._landing.segments(manifest, after=ledger.applied_through)
        return pending(
            listed, ledger.applied_through, ledger.applied_beyond, self._limits, begun_through=ledger.begun_through
        )

    def _load_some(
        self,
        table: TableSpec,
        manifest: Manifest,
        segments: tuple[Segment, ...],
        ledger: Ledger,
        budget: Budget | None,
    ) -> LoadReport:
        """Load these, or only the ones before a segment that cannot be read, found by halving. A window is loaded whole."""
        try:
            return self._load(table, manifest, segments, ledger, budget)
        except (SegmentMissing, SegmentCorrupt) as error:
            if len(segments) > 1 and segments[0].window_end is None:
                return self._load_some(table, manifest, segments[: len(segments) // 2], ledger, budget)
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
        budget: Budget | None,
    ) -> LoadReport:
        groups = side_by_side(segments)
        decoded = self._begun_before(segments) or self._decode(table, groups, ledger)
        if any(decoded.rejected) and len(groups) < len(segments):
            groups = [(segment,) for segment in segments]  # what is set aside says where it stands in its own segment
            decoded = self._decode(table, groups, ledger)
        if self._ahead is not None:
            then = ledger.after((segment.number for segment in segments), ledger.columns)
            following = self._pending(manifest, then)
            if following:
                job = self._ahead.submit(self._decode, table, side_by_side(following), ledger)
                self._begun = following, job
        loaded = _counted(groups, decoded)
        self._set_aside(groups, decoded)
        applied = self._target.apply(
            Load(table, segments[0].epoch, loaded, decoded.table, decoded.seen, loaded_ms=self._clock.now_ms()),
            budget,
        )
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

    def _set_aside(self, groups: Sequence[Sequence[Segment]], decoded: DecodedSegments) -> None:
        """Make rejected lines durable before the load that leaves them out can commit."""
        for (segment, *_), rejected in zip(groups, decoded.rejected, strict=True):
            if rejected:
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
                self._landing.quarantine(segment.name, records)


def known(columns: Sequence[Column]) -> Seen:
    """What a target's columns say about attributes, so that decoding gives wide enough numbers from the first batch."""
    return {(c.attribute, c.tag): AttributeSeen(0, c.numbers) for c in columns}


def unloaded(manifest: Manifest, ledger: Ledger) -> int:
    """How many published segments the target has not applied."""
    return manifest.next_number - 1 - ledger.applied_through - len(ledger.applied_beyond)


def _counted(groups: Sequence[Sequence[Segment]], decoded: DecodedSegments) -> tuple[LoadedSegment, ...]:
    """Every line of a segment became a row or was rejected; anything else is damage that gzip's checksum cannot see."""
    loaded: list[LoadedSegment] = []
    for group, rows, rejected in zip(groups, decoded.rows, decoded.rejected, strict=True):
        expected = sum(segment.rows for segment in group)
        if rows + len(rejected) != expected:
            raise SegmentCorrupt(
                f"A segment holds {rows + len(rejected)} records where the manifest says {expected}",
                hint="It was changed after it was published. Restore it from a bucket version.",
                segment=group[0].name,
            )
        loaded += [LoadedSegment(segment, segment.rows - len(rejected), len(rejected)) for segment in group]
    return tuple(loaded)
