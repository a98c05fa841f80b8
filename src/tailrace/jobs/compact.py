"""The compact job: the small segments of hours that are over are gathered into few objects; later what they lay in goes.

Entries keep their numbers, names and digests; only the place of their bytes changes, in one swap. So nobody who counts
by number (every ledger does) can apply anything twice, whatever comes first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Final, TypeVar

from tailrace.clock import Budget, Clock
from tailrace.decide.compact import Choice, choose, hour_began_ms
from tailrace.errors import SegmentCorrupt, StateContended
from tailrace.landing import Landing, Published
from tailrace.landing.segments import content_sha256
from tailrace.model.manifest import Garbage, Manifest
from tailrace.model.segments import Segment

log = logging.getLogger(__name__)

PUBLISH_TRIES: Final = (
    20  # capture publishes about once a second: losing so often in a row means that something is wrong
)
AT_ONCE: Final = 64  # reads or deletions between two looks at the budget
DELETES_MAX: Final = 1000  # before what is deleted is recorded
CURSOR_LAG: Final = 1000  # entries that nobody can gather, before the manifest says so

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CompactSettings:
    """`target_bytes`: compressed bytes of one output, held in memory twice; 0: gather nothing.

    `grace_seconds`: how long inputs stay; it must exceed the longest load, whose manifest may still name them.
    """

    target_bytes: int = 64 * 10**6
    grace_seconds: float = 25 * 3600.0
    threads: int = 1


@dataclass(frozen=True, slots=True)
class CompactReport:
    """What a step or tick did: `segments` of `bytes` compressed bytes were gathered into `outputs`; `deleted` objects went."""

    outputs: int = 0
    segments: int = 0
    bytes: int = 0
    deleted: int = 0
    more: bool = False

    def then(self, later: CompactReport) -> CompactReport:
        return CompactReport(
            self.outputs + later.outputs,
            self.segments + later.segments,
            self.bytes + later.bytes,
            self.deleted + later.deleted,
            later.more,
        )


class Compactor:
    """Compacts one table. Any number may run: the swap decides, and the same inputs give the same output and name."""

    def __init__(self, landing: Landing, settings: CompactSettings, clock: Clock, writer: str) -> None:
        self._landing = landing
        self._settings = settings
        self._clock = clock
        self._writer = writer
        self._looked_through = 0  # a cache: nothing up to this number can be gathered

    def tick(self, budget: Budget) -> CompactReport:
        """Delete what is due and gather what there is, or until the budget is spent."""
        report = CompactReport(more=True)
        while report.more and not budget.spent():
            report = report.then(self.step(budget))
        return report

    def step(self, budget: Budget) -> CompactReport:
        """One output at most, or one round of deletions.

        Raises SegmentMissing, SegmentCorrupt and ManifestInvalid, having replaced and deleted nothing.
        """
        published = self._landing.load()
        if published is None:
            return CompactReport()
        due_ms = self._clock.now_ms() - int(self._settings.grace_seconds * 1000)
        due = next((garbage for garbage in published.manifest.garbage if garbage.since_ms <= due_ms), None)
        if due is not None:
            return self._collect(published, due, budget)
        manifest = published.manifest
        after = max(manifest.compacted_through, self._looked_through)
        choice = choose(
            self._landing.segments(manifest, after=after),
            after,
            self._settings.target_bytes,
            hour_began_ms(self._clock.now_ms()),
        )
        if choice.inputs:
            return self._gather(published, choice, budget)
        self._looked_through = choice.through
        if choice.through - manifest.compacted_through >= CURSOR_LAG:
            self._publish(published, lambda m: _looked_through(m, choice.through))
        return CompactReport(more=choice.more)

    # ---- gathering

    def _gather(self, published: Published, choice: Choice, budget: Budget) -> CompactReport:
        """Write the output, then list it in place of its inputs, if they are still listed as they were.

        Where the budget ends earlier, what was read by then becomes the output.
        """
        pieces = self._do_all(self._checked, choice.inputs, budget)
        inputs, through = choice.inputs[: len(pieces)], choice.through
        if len(inputs) < len(choice.inputs):
            through = min(through, inputs[-1].number)
        places = self._landing.write_compacted(inputs, pieces)
        by_number = {segment.number: place for segment, place in zip(inputs, places, strict=True)}
        first, last = inputs[0].number, inputs[-1].number

        def replaced(manifest: Manifest) -> Manifest | None:
            if [s for s in self._entries(manifest, first, last) if s.number in by_number] != list(inputs):
                return None
            manifest, pages = self._landing.with_places(manifest, by_number)
            garbage = Garbage(places[0].name, self._clock.now_ms(), first, last, pages)
            counters = dict(manifest.counters)
            for counter, more in (("compacted", len(inputs)), ("outputs", 1)):
                counters[counter] = counters.get(counter, 0) + more
            manifest = replace(manifest, garbage=(*manifest.garbage, garbage), counters=counters)
            return _looked_through(manifest, through)

        if self._publish(published, replaced) is None:
            log.info("another worker compacts %s", self._landing.table)
            return CompactReport(more=True)
        size = sum(segment.bytes for segment in inputs)
        log.info("compacted %d segments of %s into %s", len(inputs), self._landing.table, places[0].name)
        return CompactReport(outputs=1, segments=len(inputs), bytes=size, more=True)

    def _checked(self, segment: Segment) -> bytes:
        """All bytes of a segment, after a look at what is inside."""
        data = b"".join(self._landing.read_segment(segment))
        self._check(segment, data)
        return data

    def _check(self, segment: Segment, data: bytes) -> None:
        try:
            found = content_sha256([data])
        except SegmentCorrupt as error:
            found = error.message
        if found != segment.sha256:
            raise SegmentCorrupt(
                "A segment is not what was published, so it is not compacted and nothing is deleted",
                hint="`tailrace why` shows it. Restore it from a bucket version or a backup.",
                table=self._landing.table,
                segment=segment.name,
                object=None if segment.place is None else segment.place.name,
            )

    # ---- deleting

    def _collect(self, published: Published, due: Garbage, budget: Budget) -> CompactReport:
        """Delete the objects that a compaction made needless; each round is recorded when it is done, so it may be repeated.

        Before the first byte goes the output is read once more: this is the last moment at which damage costs nothing.
        """
        entries = [
            segment
            for segment in self._entries(published.manifest, due.first_number, due.last_number)
            if segment.place is not None and segment.place.name == due.name
        ]
        self._check_output(entries)
        gone = len(self._do_all(self._landing.delete_object_of, entries[:DELETES_MAX], budget))
        left = entries[gone:]
        if not left:
            for page in due.pages:
                self._landing.delete_page(page)

        def recorded(manifest: Manifest) -> Manifest | None:
            if due not in manifest.garbage:
                return None  # another worker deleted the same
            rest = replace(due, first_number=left[0].number) if left else None
            kept = [rest if garbage == due else garbage for garbage in manifest.garbage]
            return replace(manifest, garbage=tuple(garbage for garbage in kept if garbage is not None))

        self._publish(published, recorded)
        return CompactReport(deleted=gone + (0 if left else len(due.pages)), more=True)

    def _check_output(self, entries: Sequence[Segment]) -> None:
        data = memoryview(self._landing.read_neighbours(entries)) if entries else memoryview(b"")
        for segment in entries:
            self._check(segment, bytes(data[: segment.bytes]))
            data = data[segment.bytes :]

    # ---- inside

    def _entries(self, manifest: Manifest, first: int, last: int) -> Iterable[Segment]:
        """The entries from number `first` to `last`, both included."""
        return takewhile(lambda s: s.number <= last, self._landing.segments(manifest, after=first - 1))

    def _do_all(self, effect: Callable[[Segment], T], segments: Sequence[Segment], budget: Budget) -> list[T]:
        """The effect on each, some at once, in order; on fewer where the budget ends, yet never on fewer than AT_ONCE."""
        done: list[T] = []
        with ThreadPoolExecutor(self._settings.threads, thread_name_prefix="tailrace-compact") as pool:
            each = pool.map if self._settings.threads > 1 else map
            while len(done) < len(segments) and not (done and budget.spent()):
                done += each(effect, segments[len(done) : len(done) + AT_ONCE])
        return done

    def _publish(self, published: Published, change: Callable[[Manifest], Manifest | None]) -> Published | None:
        """Swap in the changed manifest, on top of whatever others publish meanwhile; None where the change no longer fits."""
        for _ in range(PUBLISH_TRIES):
            manifest = change(published.manifest)
            if manifest is None:
                return None
            try:
                return self._landing.save(manifest, published, self._writer)
            except StateContended:
                found = self._landing.load()
                assert found is not None, "a manifest never vanishes: Landing.load raises"
                published = found
        raise StateContended(
            "Other workers published first, again and again",
            hint="Nothing was lost; try again.",
            table=self._landing.table,
        )


def _looked_through(manifest: Manifest, through: int) -> Manifest:
    return replace(manifest, compacted_through=max(manifest.compacted_through, through))
