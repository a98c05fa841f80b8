"""Backfill: reads the whole table once, many scan segments at a time, and lands what it reads as the base.

A page counts when one compare-and-swap lists its bytes and moves its scan segment's position. So anybody may stop anywhere, and
anybody goes on: a tick of 14 minutes in a function, ten workers, a laptop that is closed.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, field, replace
from typing import Any, Final

from tailrace.capture.records import encode
from tailrace.capture.table import ScanPage, TableSource
from tailrace.clock import Budget, Clock
from tailrace.decide.base import base_of, is_base_read
from tailrace.decide.scan import Pace, ReadPages, begun, is_complete, next_parts, with_pages
from tailrace.errors import ConfigInvalid, SourceChanged, StateContended, Throttled, Transient
from tailrace.jobs.capture import CONTENDED_MAX, counted
from tailrace.jobs.source import check_source
from tailrace.landing import Landing, Published, WrittenSegment
from tailrace.model.manifest import Manifest
from tailrace.model.scan import ScanPart, ScanState

log = logging.getLogger(__name__)

COLLECT_SECONDS_MAX: Final = 1.0  # how long a step waits for a page before it looks around
BACKOFF_SECONDS_MIN: Final = 0.2
BACKOFF_SECONDS_MAX: Final = 20.0
CHECK_SECONDS: Final = 10.0  # between two looks which table answers
FLUSH_SECONDS: Final = 0.5  # what publishing may take, before one was seen
CAPTURE_SECONDS: Final = 1.0  # between two looks whether capture has begun


@dataclass(frozen=True, slots=True)
class BackfillSettings:
    """How to scan one table. `scan_segments` is fixed once a scan has begun. `units`: read capacity units a second; None: any.

    What was read is published at `flush_bytes` of uncompressed lines or after `flush_seconds`, whichever is first.
    """

    scan_segments: int = 8
    units: float | None = 500.0
    flush_bytes: int = 16 << 20
    flush_seconds: float = 10.0
    buffer_bytes: int = 64 << 20
    workers: int = 8


@dataclass(frozen=True, slots=True)
class BackfillReport:
    """What one step or tick did, and how the base stands: `parts_done` of `parts` scan segments are read to their end.

    `waits_for_capture`: nothing was read, because the stream's shards are not on record yet. `out_of_time`: nothing is under way
    and another page would not end within the budget. `waits_for_aws`: an export takes minutes.
    """

    rows: int = 0
    pages: int = 0
    segments: int = 0
    bytes: int = 0
    units: int = 0
    parts: int = 0
    parts_done: int = 0
    done: bool = False
    waits_for_capture: bool = False
    out_of_time: bool = False
    waits_for_aws: bool = False
    wait_seconds: float = 0.0

    def then(self, later: BackfillReport) -> BackfillReport:
        """Totals of two reports; how things stand comes from the later one."""
        return replace(
            later,
            rows=self.rows + later.rows,
            pages=self.pages + later.pages,
            segments=self.segments + later.segments,
            bytes=self.bytes + later.bytes,
            units=self.units + later.units,
        )


@dataclass(slots=True)
class _Reader:
    """What was read of one scan segment behind its published position and waits to be published."""

    part: int
    before: ScanPart
    after: ScanPart
    lines: list[bytes] = field(default_factory=list)
    bytes: int = 0
    units: int = 0
    failures: int = 0
    next_read: float = 0.0
    written: WrittenSegment | None = None

    @property
    def has_news(self) -> bool:
        return self.after != self.before

    def take(self, page: ScanPage) -> None:
        lines = [encode({"Item": item}) for item in page.items]
        self.lines += lines
        self.bytes += sum(map(len, lines))
        self.units += page.units
        self.after = ScanPart(page.after, self.after.pages + 1, page.after is None)
        self.failures, self.written = 0, None

    def pages(self) -> ReadPages:
        return ReadPages(self.part, self.before, self.after, self.units)


class PageThreads(Executor):
    """A thread for each page. Unlike a pool's, none keeps the process from ending: a page given up is only a read."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()

        def work() -> None:
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:
                future.set_exception(error)

        threading.Thread(target=work, name="tailrace-scan", daemon=True).start()
        return future


class Backfiller:
    """Scans one table. Everything it remembers between calls is a cache; the truth is the manifest.

    Not safe between threads; any number of processes may run one each. `table_id` asks which table answers under the name.
    """

    def __init__(
        self,
        table: TableSource,
        table_id: Callable[[], str],
        landing: Landing,
        settings: BackfillSettings,
        clock: Clock,
        writer: str,
        *,
        on_published: Callable[[Manifest], None] = lambda manifest: None,
        executor: Executor | None = None,
    ) -> None:
        self._table = table
        self._table_id = table_id
        self._landing = landing
        self._settings = settings
        self._clock = clock
        self._writer = writer
        self._on_published = on_published
        self._executor = executor or PageThreads()
        self._jitter = random.Random(writer)
        self._published: Published | None = None
        self._readers: dict[int, _Reader] = {}
        self._inflight: dict[Future[ScanPage], tuple[_Reader, float, float]] = {}  # begun at, units charged
        self._pace = Pace.at_start(settings.units, clock.monotonic())
        self._buffered_since: float | None = None
        self._checked_at = 0.0
        self._page_seconds = 0.0  # the longest that one took, as the next one
        self._flush_seconds = FLUSH_SECONDS
        self._report = BackfillReport()

    # ---- what callers use

    def tick(self, budget: Budget) -> BackfillReport:
        """Scan until the base is complete or the budget is spent, and publish what was read. Totals of this call.

        No page is begun that would not end and be published in time, as far as the pages before tell; one that takes
        longer is given up, and read again by the next tick.
        """
        total = BackfillReport()
        # What took long because this machine slept must not keep all later ticks from beginning anything.
        self._page_seconds = min(self._page_seconds, budget.remaining() / 2)
        self._flush_seconds = min(self._flush_seconds, budget.remaining() / 4)
        while not budget.spent():
            report = self.step(budget)
            total = total.then(report)
            if report.done or report.waits_for_capture or report.out_of_time:
                break
            budget.wait(report.wait_seconds)
        return total.then(self.flush(budget))

    def step(self, budget: Budget) -> BackfillReport:
        """One bounded round: begin pages while there is room, take in those that came, publish where due.

        Raises ConfigInvalid, SourceChanged, PermissionMissing and Transient errors, after which the next call simply goes on.
        """
        self._report = BackfillReport()
        if not self._open():
            return self._finished()
        if not self._is_done():
            if self._clock.monotonic() - self._checked_at >= CHECK_SECONDS and self._has_room(budget):
                self._check_source()
            self._start_reads(budget)
            self._collect(min(COLLECT_SECONDS_MAX, max(0.0, budget.remaining() - self._flush_seconds)))
            if self._is_flush_due():
                self._flush()
        return replace(self._finished(), out_of_time=not self._inflight and not self._has_room(budget))

    def flush(self, budget: Budget) -> BackfillReport:
        """Publish what was read. Pages under way are waited for while the budget allows it, and else given up."""
        self._report = BackfillReport()
        while self._inflight and not budget.stop.is_set() and budget.remaining() > self._flush_seconds:
            self._collect(min(COLLECT_SECONDS_MAX, budget.remaining() - self._flush_seconds))
        self._inflight.clear()
        if any(reader.has_news for reader in self._readers.values()):
            self._flush()
        return self._finished()

    # ---- opening

    @property
    def _manifest(self) -> Manifest:
        assert self._published is not None
        return self._published.manifest

    @property
    def _state(self) -> ScanState:
        assert self._manifest.scan is not None
        return self._manifest.scan

    def _is_done(self) -> bool:
        return is_base_read(self._manifest)

    def _open(self) -> bool:
        """Read the manifest, and record that a scan begins before anything is read. False: capture has not begun.

        What was written before the stream's shards were on record is in the pages; what was written later, in the stream.
        """
        if self._published is None or self._is_done():
            self._published = self._landing.load()
            if self._published is not None:
                self._check_source()
        if self._published is None:
            return False
        if self._manifest.exports is not None:
            raise ConfigInvalid(
                "This table is captured by exports, and its full export is its base",
                hint='Set base = "export", or capture = "streams".',
                table=self._landing.table,
            )
        if base_of(self._manifest) is None and not self._is_done():
            log.info("the base of %s begins: a scan in %d segments", self._landing.table, self._settings.scan_segments)
            self._swap(self._begun)
        if self._manifest.scan is not None and self._manifest.scan.epoch == self._manifest.epoch:
            self._check_segments()
        elif not self._is_done():
            raise ConfigInvalid(
                "The base of this table is being exported",
                hint='Set base = "export" until it is done.',
                table=self._landing.table,
            )
        return True

    def _begun(self, manifest: Manifest) -> Manifest:
        """With a scan of the epoch that is now; a repair may have begun it since we looked."""
        if base_of(manifest) is not None or is_base_read(manifest):
            return manifest
        return replace(manifest, scan=begun(manifest.epoch, self._settings.scan_segments, self._clock.now_ms()))

    def _check_segments(self) -> None:
        """How a table is cut into scan segments follows from their number, so positions hold for one number only."""
        began, wanted = len(self._state.parts), self._settings.scan_segments
        if self._state.finished_ms is None and began != wanted:
            raise ConfigInvalid(
                f"The scan under way began with {began} segments, and scan_segments is {wanted}",
                hint=f"Set scan_segments = {began} until it is done; `tailrace repair` begins a new one.",
                table=self._landing.table,
            )

    def _check_source(self) -> None:
        """Before reading, and every ten seconds while there is time: capture itself looks no more often.

        What another table gave in between stands in an epoch that capture then finds to be over, and that a repair sweeps.
        """
        try:
            check_source(self._table_id(), self._manifest)
        except SourceChanged:
            self._published, self._buffered_since = None, None  # the next step looks whether a repair began
            self._readers.clear()
            self._inflight.clear()
            raise
        self._checked_at = self._clock.monotonic()

    # ---- reading

    def _start_reads(self, budget: Budget) -> None:
        """Begin as many pages as the workers, the buffer, the pace and the budget allow."""
        busy = {reader.part for reader, _, _ in self._inflight.values()}
        ended = {part for part, reader in self._readers.items() if reader.after.is_done}
        pages = {part: reader.after.pages for part, reader in self._readers.items()}
        now = self._clock.monotonic()
        for part in next_parts(self._state, pages, busy | ended):
            if len(self._inflight) >= self._settings.workers or not self._has_room(budget):
                return
            if self._buffered_bytes() >= self._settings.buffer_bytes or self._pace.wait_seconds(now) > 0:
                return
            reader = self._readers.get(part)
            if reader is None:
                published = self._state.parts[part]
                reader = self._readers[part] = _Reader(part, published, published)
            if reader.next_read > now:
                continue
            future = self._executor.submit(self._table.scan_page, part, len(self._state.parts), reader.after.after)
            self._inflight[future] = (reader, now, self._pace.page_units)
            self._pace = self._pace.page_begun(now)

    def _has_room(self, budget: Budget) -> bool:
        """Whether a page that begins now would end, and be published, in time."""
        return budget.remaining() > self._page_seconds + self._flush_seconds and not budget.stop.is_set()

    def _collect(self, block_seconds: float) -> None:
        """Take in pages that came; wait for the first one at most so long."""
        if not self._inflight:
            return
        done, _ = wait(self._inflight, timeout=block_seconds, return_when=FIRST_COMPLETED)
        for future in sorted(done, key=lambda f: self._inflight[f][0].part):
            reader, begun_at, charged = self._inflight.pop(future)
            self._take(reader, future, begun_at, charged)

    def _take(self, reader: _Reader, future: Future[ScanPage], begun_at: float, charged: float) -> None:
        now = self._clock.monotonic()
        try:
            page = future.result()
        except Transient as error:
            self._pace = self._pace.page_failed(charged, now, throttled=isinstance(error, Throttled))
            reader.failures += 1
            pause = min(BACKOFF_SECONDS_MAX, BACKOFF_SECONDS_MIN * 2.0 ** min(reader.failures, 10))
            reader.next_read = now + pause * self._jitter.uniform(0.5, 1.0)
            log.info("scan segment %d: %s; again in %.1f s", reader.part, error, reader.next_read - now)
            return
        self._pace = self._pace.page_came(charged, page.units, now)
        self._page_seconds = max(self._page_seconds, now - begun_at)
        if self._readers.get(reader.part) is not reader:
            return  # another worker has published this page meanwhile
        reader.take(page)
        if self._buffered_since is None:
            self._buffered_since = now

    # ---- publishing

    def _buffered_bytes(self) -> int:
        return sum(reader.bytes for reader in self._readers.values())

    def _is_flush_due(self) -> bool:
        if self._buffered_since is None:
            return False
        if self._buffered_bytes() >= min(self._settings.flush_bytes, self._settings.buffer_bytes):
            return True
        if self._clock.monotonic() - self._buffered_since >= self._settings.flush_seconds:
            return True
        ended = {part for part, reader in self._readers.items() if reader.after.is_done}
        return all(published.is_done or part in ended for part, published in enumerate(self._state.parts))

    def _flush(self) -> None:
        """Make what was read durable, then list it and move the positions in one swap. After a failure it is all still here."""
        begun_at, now_ms = self._clock.monotonic(), self._clock.now_ms()
        self._adopt()
        for reader in self._readers.values():
            if reader.lines and reader.written is None:
                reader.written = self._landing.write_base(
                    self._state.epoch, reader.part, reader.before.pages, reader.lines
                )
        published: list[_Reader] = []

        def change(manifest: Manifest) -> Manifest:
            published[:] = [reader for _, reader in sorted(self._readers.items()) if reader.has_news]
            return _with_base(manifest, published, now_ms) if published else manifest

        self._swap(change)
        segments = [reader.written for reader in published if reader.written is not None]
        self._report = replace(
            self._report,
            rows=self._report.rows + sum(s.rows for s in segments),
            pages=self._report.pages + sum(r.after.pages - r.before.pages for r in published),
            segments=self._report.segments + len(segments),
            bytes=self._report.bytes + sum(s.bytes for s in segments),
            units=self._report.units + sum(r.units for r in published),
        )
        for reader in published:
            reader.before = reader.after
            reader.lines, reader.bytes, reader.units, reader.written = [], 0, 0, None
            if reader.after.is_done:
                del self._readers[reader.part]
        self._buffered_since = None
        self._flush_seconds = max(self._flush_seconds, self._clock.monotonic() - begun_at)

    def _swap(self, change: Callable[[Manifest], Manifest]) -> None:
        """Publish a change. Whoever publishes in between, a capturer every second, does not disturb: it is made again on top."""
        for _ in range(CONTENDED_MAX):
            manifest = change(self._manifest)
            if manifest is self._manifest:
                return
            try:
                self._published = self._landing.save(manifest, self._published, self._writer)
            except StateContended:
                self._adopt()
            else:
                self._on_published(self._manifest)
                return
        raise StateContended("Other workers published first again and again", hint="It is repeated.")

    def _adopt(self) -> None:
        """The newest manifest. Scan segments that another worker has moved on are read from where they stand now.

        Pages of an older epoch are no part of this one: they may show what was before the changes that its repair makes up for.
        """
        before = self._manifest.scan
        self._published = self._landing.load()
        after = None if self._published is None else self._manifest.scan
        is_same_scan = (
            before is not None
            and after is not None
            and (before.epoch, before.begun_ms) == (after.epoch, after.begun_ms)
            and after.epoch == self._manifest.epoch
        )
        for part, reader in list(self._readers.items()):
            if not is_same_scan or (after and after.parts[part] != reader.before):
                del self._readers[part]

    def _finished(self) -> BackfillReport:
        if self._published is None:
            return replace(self._report, waits_for_capture=True, wait_seconds=CAPTURE_SECONDS)
        if self._is_done() or self._manifest.scan is None:
            state = self._manifest.scan
            parts = 0 if state is None else len(state.parts)
            return replace(self._report, parts=parts, parts_done=parts, done=self._is_done())
        state, now = self._state, self._clock.monotonic()
        ended = {part for part, reader in self._readers.items() if reader.after.is_done}
        left = [self._readers.get(part) for part in next_parts(state, {}, ended)]
        due = min((reader.next_read - now if reader else 0.0 for reader in left), default=0.0)
        pause = max(self._pace.wait_seconds(now), due)
        return replace(
            self._report,
            parts=len(state.parts),
            parts_done=sum(part.is_done for part in state.parts),
            wait_seconds=0.0 if self._inflight else max(0.0, pause),
        )


def _with_base(manifest: Manifest, readers: Sequence[_Reader], now_ms: int) -> Manifest:
    """The manifest with what these readers hold."""
    assert manifest.scan is not None
    written = [reader.written for reader in readers if reader.written is not None]
    first = manifest.next_number
    entries = [
        segment.entry(number, now_ms, None, manifest.epoch) for number, segment in enumerate(written, start=first)
    ]
    rows, size = sum(entry.rows for entry in entries), sum(entry.bytes for entry in entries)
    last = first + len(entries) - 1
    scan = with_pages(manifest.scan, [reader.pages() for reader in readers], rows, size, last if entries else 0)
    if is_complete(scan):
        scan = replace(scan, finished_ms=now_ms)
    return replace(
        manifest,
        scan=scan,
        segments=(*manifest.segments, *entries),
        next_number=last + 1,
        counters=counted(manifest.counters, rows=rows, bytes=size, segments=len(entries)),
    )
