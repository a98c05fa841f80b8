"""A landing zone in memory, one real DuckDB file, and what should be in it: for the jobs that read segments."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tailrace.clock import Budget, ManualClock
from tailrace.decide.load import LoadLimits, LoadRule
from tailrace.jobs.lease import LoaderLease
from tailrace.jobs.load import Loader, LoadReport
from tailrace.landing import Landing, SegmentDraft
from tailrace.model.manifest import Incarnation, Manifest
from tailrace.model.positions import SequenceNumber
from tailrace.model.segments import Segment, SegmentKind
from tailrace.targets.duckdb import DuckDbTarget
from tailrace.targets.target import Mode, Target
from tailrace.testing.stores import MemoryStore
from tailrace.testing.target_contract import PK, Change, Replica


class World:
    """A landing zone, one target, and what should be in it."""

    def __init__(self, folder: Path, mode: Mode = "current") -> None:
        self.clock = ManualClock()
        self.store = MemoryStore()
        self.landing = Landing(self.store, "Orders")
        self.target = DuckDbTarget("local", folder / "warehouse.duckdb", self.clock)
        self.replica = Replica(self.target, mode)
        self.mode: Mode = mode
        incarnation = Incarnation("111122223333", "eu-west-1", "Orders", "table-id-1", "arn:s", "NEW_IMAGE", PK)
        self.landing.save(Manifest(incarnation), None, "w")

    @property
    def manifest(self) -> Manifest:
        published = self.landing.load()
        assert published is not None
        return published.manifest

    def publish(
        self,
        *changes: Change | bytes,
        kind: SegmentKind = "stream",
        rows: int | None = None,
        window_end: int | None = None,
    ) -> Segment:
        """List a segment of these records or raw lines; `rows` where the manifest is to say something else."""
        lines = [change if isinstance(change, bytes) else change.line(PK).rstrip() for change in changes]
        published = self.landing.load()
        assert published is not None
        manifest, now = published.manifest, self.clock.now_ms()
        number = manifest.next_number
        draft = SegmentDraft(kind, lines, SequenceNumber(number), SequenceNumber(number), now)
        entry = self.landing.write_segment(draft).entry(number, now, now)
        entry = replace(entry, rows=entry.rows if rows is None else rows, window_end=window_end)
        self.landing.save(
            replace(manifest, segments=(*manifest.segments, entry), next_number=number + 1, captured_through_ms=now),
            published,
            "w",
        )
        self.replica.applied[number] = [change for change in changes if isinstance(change, Change)]
        return entry

    def loader(
        self,
        target: Target | None = None,
        landing: Landing | None = None,
        rule: LoadRule = "continuous",
        holder: str | None = None,
        **limits: int,
    ) -> Loader:
        """With a `holder` under a lease."""
        target, landing = target or self.target, landing or self.landing
        lease = None if holder is None else LoaderLease(landing, "local", holder, self.clock)
        return Loader(landing, target, "orders", self.mode, self.clock, LoadLimits(**limits), rule, lease)

    def tick(self, **limits: int) -> LoadReport:
        return self.loader(**limits).tick(Budget(self.clock))

    def object_of(self, segment: Segment) -> str:
        return f"Orders/{segment.name}"
