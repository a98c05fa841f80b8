"""Stream capture: reads many shards at once, lands what they give, and moves marks only in the swap that lists it."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import Any, Final

from tailrace.capture.records import Line, line_of, payload_of
from tailrace.capture.source import RecordsPage, StreamSource
from tailrace.clock import Budget, Clock
from tailrace.decide.lineage import (
    LATEST_MARGIN_MS,
    absent,
    first_discovery,
    merge_listing,
    order_violation,
    ready_shards,
    unread_beyond_retention,
)
from tailrace.errors import (
    IteratorExpired,
    PermissionMissing,
    RecordInvalid,
    SourceChanged,
    StateContended,
    StreamTrimmed,
    Throttled,
    Transient,
)
from tailrace.landing import Landing, Published, SegmentDraft
from tailrace.model.manifest import Gap, Incarnation, Manifest, Pause, ShardState, Start, TableState
from tailrace.model.positions import SequenceNumber
from tailrace.model.quarantine import QuarantinedRecord
from tailrace.model.segments import ShardRange

log = logging.getLogger(__name__)

POLL_SECONDS_MIN: Final = 0.2  # after a page with records; DynamoDB likes at most about four reads a second
POLL_SECONDS_MAX: Final = 1.0  # of an idle shard
BACKOFF_SECONDS_MAX: Final = 20.0
EMPTY_PAGES_AT_TIP: Final = 3  # empty pages are normal in the middle of a shard; so many in a row mean its tip
DISCOVER_SECONDS: Final = 10.0
STANDBY_SECONDS: Final = 5.0  # after another worker published first


@dataclass(frozen=True, slots=True)
class CaptureSettings:
    """How to capture one table. A flush happens at `flush_bytes` of uncompressed lines or `flush_seconds`, whichever is first."""

    start: Start = "TRIM_HORIZON"
    flush_bytes: int = 16 << 20
    flush_seconds: float = 1.0
    heartbeat_seconds: float = 60.0
    buffer_bytes: int = 64 << 20  # shards are not read while more than this waits to be published
    workers: int = 8
    config_hash: str = ""


@dataclass(frozen=True, slots=True)
class CaptureReport:
    """What one step or tick did, and how the table stands. `caught_up`: every shard was read to its tip and published."""

    records: int = 0
    segments: int = 0
    bytes: int = 0
    quarantined: int = 0
    open_shards: int = 0
    lag_seconds: float | None = None
    state: TableState = "NEW"
    caught_up: bool = False
    standby: bool = False
    wait_seconds: float = 0.0


@dataclass(slots=True)
class _Reader:
    """A cache of one shard's reading: everything in it can be had again from the mark."""

    shard_id: str
    next_poll: float = 0.0
    iterator: str | None = None
    read_to: SequenceNumber | None = None  # the last number read, published or not
    first_was_checked: bool = False
    lines: list[Line] = field(default_factory=list)
    poison: list[QuarantinedRecord] = field(default_factory=list)
    bytes: int = 0
    ended: bool = False  # the null iterator was seen
    empty_pages: int = 0
    through_ms: int | None = None
    failures: int = 0
    skip_before_ms: int | None = None

    @property
    def at_tip(self) -> bool:
        return self.ended or self.empty_pages >= EMPTY_PAGES_AT_TIP


class Capturer:
    """Captures one table. Everything it remembers between calls is a cache; the truth is the manifest.

    Not safe between threads; any number of processes may run one each, and the compare-and-swap lets one of them win.
    """

    def __init__(
        self,
        source: StreamSource,
        landing: Landing,
        settings: CaptureSettings,
        clock: Clock,
        writer: str,
        *,
        on_published: Callable[[Manifest], None] = lambda manifest: None,
        executor: Executor | None = None,
    ) -> None:
        self._source = source
        self._landing = landing
        self._settings = settings
        self._clock = clock
        self._writer = writer
        self._on_published = on_published
        self._executor = executor or ThreadPoolExecutor(settings.workers, thread_name_prefix="tailrace-read")
        self._jitter = random.Random(writer)
        self._published: Published | None = None
        self._readers: dict[str, _Reader] = {}
        self._inflight: dict[Future[RecordsPage], tuple[_Reader, int]] = {}
        self._absent: frozenset[str] = frozenset()
        self._next_discovery = 0.0
        self._buffered_since: float | None = None
        self._last_publish = 0.0
        self._standby_until = 0.0
        self._report = CaptureReport()

    # ---- what callers use

    def tick(self, budget: Budget) -> CaptureReport:
        """Capture until every shard is read to its tip and published, or the budget is spent. Totals of this call."""
        total = CaptureReport()
        while not budget.spent():
            report = self.step()
            total = totalled(total, report)
            if report.caught_up or report.standby:
                break
            budget.wait(report.wait_seconds)
        return totalled(total, self.flush())

    def step(self) -> CaptureReport:
        """One bounded round: look for shards where due, read those that are ready, publish where due.

        Raises SourceChanged, PermissionMissing (both recorded in the manifest first) and Transient errors, after which
        the next call simply goes on.
        """
        self._report = CaptureReport()
        if self._clock.monotonic() < self._standby_until:
            return replace(self._report, standby=True, wait_seconds=self._standby_until - self._clock.monotonic())
        try:
            if self._published is None:
                self._open()
            if self._clock.monotonic() >= self._next_discovery:
                self._discover()
            self._read()
            if self._is_flush_due():
                self._flush()
        except StateContended:
            self._stand_by()
        except PermissionMissing as error:
            self._pause(Pause(error.message, str(error.facts.get("operation", "")), str(error.facts.get("table", ""))))
            raise
        return self._finished_report()

    def flush(self) -> CaptureReport:
        """Publish everything that was read, now."""
        self._report = CaptureReport()
        if self._published is not None:
            try:
                self._collect(block_seconds=0.0)
                self._flush()
            except StateContended:
                self._stand_by()
        return self._finished_report()

    def close(self) -> None:
        """Let go of the reading threads; nothing is published."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    # ---- opening and discovery

    @property
    def _manifest(self) -> Manifest:
        assert self._published is not None
        return self._published.manifest

    def _open(self) -> None:
        """Read the manifest, or create it with every shard recorded before anything is read."""
        incarnation = self._source.incarnation()
        self._published = self._landing.load()
        if self._published is None:
            now_ms = self._clock.now_ms()
            shards = first_discovery(self._source.shards(), self._settings.start, now_ms)
            manifest = Manifest(
                incarnation=incarnation, config_hash=self._settings.config_hash, shards=shards, captured_through_ms=None
            )
            self._publish(manifest)
            return
        self._check_incarnation(incarnation)
        manifest = self._manifest
        gaps = unread_beyond_retention(manifest.shards, manifest.captured_through_ms, self._clock.now_ms())
        if gaps and not manifest.open_gaps:
            self._record_gaps(manifest.shards, gaps)
        if manifest.pause is not None:
            self._publish(replace(self._manifest, pause=None, state=_state(self._manifest, caught_up=False)))

    def _check_incarnation(self, found: Incarnation) -> None:
        known = self._manifest.incarnation
        if found == known:
            return
        what = ", ".join(
            name for name in ("account", "region", "table_id", "stream_arn", "view_type", "key_schema")
            if getattr(found, name) != getattr(known, name)
        )  # fmt: skip
        if self._manifest.state != "SOURCE_CHANGED":
            gap = Gap("stream_replaced", f"another {what} answers under the table's name", self._clock.now_ms())
            self._publish(replace(self._manifest, state="SOURCE_CHANGED", gaps=(*self._manifest.gaps, gap)))
        raise SourceChanged(
            f"The table is not the one that was captured: another {what}",
            hint="Changes between the two are missing. Use a new landing prefix and target table to start over.",
            table=known.table,
        )

    def _discover(self) -> None:
        """Bring the listing in; publish new shards and gaps before anything of them is read."""
        self._check_incarnation(self._source.incarnation())
        listing = self._source.shards()
        known = self._manifest.shards
        lineage = merge_listing(known, listing, self._clock.now_ms(), self._absent)
        self._absent = absent(known, listing)
        self._next_discovery = self._clock.monotonic() + DISCOVER_SECONDS
        if lineage.gaps:
            self._record_gaps(lineage.shards, lineage.gaps)
        elif lineage.shards != known:
            self._publish(replace(self._manifest, shards=lineage.shards))

    def _record_gaps(self, shards: Mapping[str, ShardState], gaps: Sequence[Gap]) -> None:
        for gap in gaps:
            log.error("changes are missing: shard %s: %s", gap.shard, gap.reason)
        manifest = replace(self._manifest, shards=shards, gaps=(*self._manifest.gaps, *gaps))
        self._publish(replace(manifest, state=_state(manifest, caught_up=False)))

    # ---- reading

    def _read(self) -> None:
        """Start a read of every shard that is due, and take in what has arrived."""
        now = self._clock.monotonic()
        ready = set(ready_shards(self._manifest.shards))
        self._readers = {i: r for i, r in self._readers.items() if i in ready}
        for shard_id in sorted(ready - self._readers.keys()):
            self._readers[shard_id] = self._new_reader(shard_id)
        busy = {reader.shard_id for reader, _ in self._inflight.values()}
        if sum(reader.bytes for reader in self._readers.values()) < self._settings.buffer_bytes:
            due = [r for r in self._readers.values() if not r.ended and r.next_poll <= now and r.shard_id not in busy]
            for reader in sorted(due, key=lambda r: (r.next_poll, r.shard_id)):
                self._inflight[self._executor.submit(self._fetch, reader)] = (reader, self._clock.now_ms())
        self._collect(block_seconds=self._settings.flush_seconds)

    def _new_reader(self, shard_id: str) -> _Reader:
        shard = self._manifest.shards[shard_id]
        since_ms = shard.since_ms if shard.start == "LATEST" and shard.mark is None else None
        return _Reader(
            shard_id, read_to=shard.mark, skip_before_ms=None if since_ms is None else since_ms - LATEST_MARGIN_MS
        )

    def _fetch(self, reader: _Reader) -> RecordsPage:
        """One GetRecords, with a new iterator where there is none. Runs in a worker thread and touches only its reader."""
        if reader.iterator is None:
            reader.iterator = self._source.iterator(reader.shard_id, after=reader.read_to)
        return self._source.read(reader.iterator)

    def _collect(self, block_seconds: float) -> None:
        """Take in finished reads; wait for the first one at most so long."""
        if not self._inflight:
            return
        done, _ = wait(self._inflight, timeout=block_seconds, return_when=FIRST_COMPLETED)
        for future in sorted(done, key=lambda f: self._inflight[f][0].shard_id):
            reader, asked_ms = self._inflight.pop(future)
            if self._readers.get(reader.shard_id) is reader:
                self._take(reader, future, asked_ms)

    def _take(self, reader: _Reader, future: Future[RecordsPage], asked_ms: int) -> None:
        try:
            page = future.result()
        except IteratorExpired:
            reader.iterator = None
        except StreamTrimmed as error:
            self._trimmed(reader, error)
        except Transient as error:
            self._back_off(reader, error)
        else:
            self._take_page(reader, page, asked_ms)

    def _take_page(self, reader: _Reader, page: RecordsPage, asked_ms: int) -> None:
        for record in page.records:
            self._take_record(reader, record)
        reader.failures = 0
        reader.iterator = page.next_iterator
        reader.ended = page.next_iterator is None
        reader.empty_pages = 0 if page.records else reader.empty_pages + 1
        if page.records:
            reader.through_ms = reader.lines[-1].created_ms if reader.lines else reader.through_ms
        elif reader.at_tip:
            reader.through_ms = asked_ms
        pause = min(POLL_SECONDS_MAX, POLL_SECONDS_MIN * 2 ** max(0, reader.empty_pages - EMPTY_PAGES_AT_TIP))
        reader.next_poll = self._clock.monotonic() + (0.0 if len(page.records) >= 1000 else pause)
        if (reader.lines or reader.poison or reader.ended) and self._buffered_since is None:
            self._buffered_since = self._clock.monotonic()

    def _take_record(self, reader: _Reader, record: Mapping[str, Any]) -> None:
        try:
            line = line_of(record)
        except RecordInvalid as error:
            number = str(record.get("dynamodb", {}).get("SequenceNumber", ""))[:80]
            reader.poison.append(
                QuarantinedRecord(
                    "bad_envelope", error.message, payload_of(record), shard=reader.shard_id, sequence_number=number
                )
            )
            return
        if reader.read_to is not None and line.sequence_number <= reader.read_to:
            return  # delivered twice
        if not reader.first_was_checked:
            self._check_order(reader, line.sequence_number)
        reader.read_to = line.sequence_number
        if reader.skip_before_ms is not None and line.created_ms < reader.skip_before_ms:
            return  # written before LATEST was asked for
        reader.lines.append(line)
        reader.bytes += len(line.data)

    def _check_order(self, reader: _Reader, first: SequenceNumber) -> None:
        violation = order_violation(self._manifest.shards, reader.shard_id, first)
        if violation is not None:
            self._pause(Pause(f"sequence_order: {violation}", "report this to the maintainers", reader.shard_id))
            raise SourceChanged(
                f"The order of changes cannot be proved: {violation}",
                hint="Nothing of this shard was published. Please report it; a new epoch starts over.",
                table=self._manifest.incarnation.table,
            )
        reader.first_was_checked = True

    def _trimmed(self, reader: _Reader, error: StreamTrimmed) -> None:
        """The position is gone. The gap is durable before one record behind it is read."""
        self._flush()
        shard = self._manifest.shards[reader.shard_id]
        gap = Gap("stream_trimmed", error.message, self._clock.now_ms(), reader.shard_id, shard.mark)
        self._record_gaps(self._manifest.shards, [gap])
        self._readers[reader.shard_id] = replace(
            self._new_reader(reader.shard_id), read_to=None, first_was_checked=True, lines=[], poison=[]
        )

    def _back_off(self, reader: _Reader, error: Transient) -> None:
        reader.failures += 1
        pause = min(BACKOFF_SECONDS_MAX, POLL_SECONDS_MIN * 2**reader.failures) * self._jitter.uniform(0.5, 1.0)
        reader.next_poll = self._clock.monotonic() + pause
        level = logging.INFO if isinstance(error, Throttled) else logging.WARNING
        log.log(level, "shard %s: %s; again in %.1f s", reader.shard_id, error, pause)

    # ---- publishing

    def _is_flush_due(self) -> bool:
        now = self._clock.monotonic()
        if sum(reader.bytes for reader in self._readers.values()) >= self._settings.flush_bytes:
            return True
        if any(reader.ended for reader in self._readers.values()):
            return True  # its children wait for it
        if self._buffered_since is not None:
            return now - self._buffered_since >= self._settings.flush_seconds
        if self._state_now() != self._manifest.state:
            return True
        return now - self._last_publish >= self._settings.heartbeat_seconds

    def _flush(self) -> None:
        """Make what was read durable, then list it and move the marks in one swap. After a failure it is all still here."""
        manifest = self._manifest
        readers = [r for _, r in sorted(self._readers.items()) if r.lines or r.poison or r.ended]
        poison = [record for reader in readers for record in reader.poison]
        if poison:
            self._landing.quarantine("capture", poison)
        entries = []
        draft = self._draft([r for r in readers if r.lines])
        if draft is not None:
            written = self._landing.write_segment(draft)
            entries = [written.entry(manifest.next_number, self._clock.now_ms(), self._through_ms())]
        shards = dict(manifest.shards)
        for reader in readers:
            finished_ms = self._clock.now_ms() if reader.ended else None
            shards[reader.shard_id] = replace(shards[reader.shard_id], mark=reader.read_to, finished_ms=finished_ms)
        rows = sum(entry.rows for entry in entries)
        stored_bytes = sum(entry.bytes for entry in entries)
        self._publish(
            replace(
                manifest,
                shards=shards,
                segments=(*manifest.segments, *entries),
                next_number=manifest.next_number + len(entries),
                captured_through_ms=self._through_ms() or manifest.captured_through_ms,
                counters=counted(
                    manifest.counters, rows=rows, bytes=stored_bytes, segments=len(entries), quarantined=len(poison)
                ),
                state=self._state_now(),
            )
        )
        if any(reader.ended for reader in readers):
            self._next_discovery = 0.0  # look for children at once
        for reader in readers:
            reader.lines, reader.poison, reader.bytes = [], [], 0
        self._buffered_since = None
        self._report = replace(
            self._report,
            records=self._report.records + rows,
            segments=self._report.segments + len(entries),
            bytes=self._report.bytes + stored_bytes,
            quarantined=self._report.quarantined + len(poison),
        )

    def _draft(self, readers: Sequence[_Reader]) -> SegmentDraft | None:
        """One segment with the records of many shards, each shard's in its own order."""
        if not readers:
            return None
        ranges = {
            r.shard_id: ShardRange(r.lines[0].sequence_number, r.lines[-1].sequence_number, len(r.lines))
            for r in readers
        }
        newest_ms = max(line.created_ms for reader in readers for line in reader.lines)
        return SegmentDraft(
            kind="stream",
            lines=[line.data for reader in readers for line in reader.lines],
            first=min(r.first for r in ranges.values()),
            last=max(r.last for r in ranges.values()),
            at_ms=newest_ms,
            shards=ranges,
            newest_change_ms=newest_ms,
        )

    def _publish(self, manifest: Manifest) -> None:
        self._published = self._landing.save(manifest, self._published, self._writer)
        self._last_publish = self._clock.monotonic()
        self._on_published(self._manifest)

    def _pause(self, pause: Pause) -> None:
        """Say in the manifest why we refuse to go on."""
        if self._published is not None and self._manifest.pause != pause:
            self._publish(replace(self._manifest, pause=pause, state="PAUSED"))

    def _stand_by(self) -> None:
        """Another worker published first: forget what it has published, and let it work for a while."""
        before = None if self._published is None else self._manifest.shards
        self._published = self._landing.load()
        after: Mapping[str, ShardState] = {} if self._published is None else self._manifest.shards
        for shard_id in list(self._readers):
            if before is None or before.get(shard_id) != after.get(shard_id):
                del self._readers[shard_id]
        if not any(reader.lines or reader.poison or reader.ended for reader in self._readers.values()):
            self._buffered_since = None
        self._standby_until = self._clock.monotonic() + STANDBY_SECONDS * self._jitter.uniform(0.5, 1.0)
        log.info("another worker captures %s; standing by", self._landing.table)

    # ---- how it stands

    def _caught_up(self) -> bool:
        """Every shard that is not finished has a reader at its tip, and nothing waits to be published."""
        open_shards = [i for i, shard in self._manifest.shards.items() if shard.finished_ms is None]
        return all(i in self._readers and self._readers[i].at_tip and not self._readers[i].ended for i in open_shards)

    def _state_now(self) -> TableState:
        return _state(self._manifest, caught_up=self._caught_up())

    def _through_ms(self) -> int | None:
        """Every change before this moment was read: the least of all shards that are not finished; None: not known yet."""
        throughs = []
        for shard_id, shard in self._manifest.shards.items():
            reader = self._readers.get(shard_id)
            if shard.finished_ms is not None or (reader is not None and reader.ended):
                continue
            if reader is None and shard.parent in self._readers:
                continue  # a child that is not open yet: its parent speaks for it
            if reader is None or reader.through_ms is None:
                return None
            throughs.append(reader.through_ms)
        return min(throughs, default=None)

    def _finished_report(self) -> CaptureReport:
        if self._published is None:
            return replace(self._report, standby=True, wait_seconds=POLL_SECONDS_MAX)
        now, through_ms = self._clock.monotonic(), self._through_ms()
        waits = [r.next_poll - now for r in self._readers.values() if not r.ended]
        buffered = any(r.lines or r.poison or r.ended for r in self._readers.values())
        return replace(
            self._report,
            open_shards=sum(shard.finished_ms is None for shard in self._manifest.shards.values()),
            lag_seconds=None if through_ms is None else max(0.0, (self._clock.now_ms() - through_ms) / 1000),
            state=self._manifest.state,
            caught_up=self._caught_up() and not buffered and not self._inflight,
            standby=now < self._standby_until,
            wait_seconds=0.0 if self._inflight else max(0.0, min([*waits, POLL_SECONDS_MIN])),
        )


def _state(manifest: Manifest, *, caught_up: bool) -> TableState:
    """GAP outranks everything; a table without a base is consistent from the first time that it has caught up."""
    if manifest.state == "SOURCE_CHANGED":
        return "SOURCE_CHANGED"
    if manifest.open_gaps:
        return "GAP"
    if manifest.pause is not None:
        return "PAUSED"
    return "CONSISTENT" if caught_up or manifest.state == "CONSISTENT" else "CAPTURING"


def counted(counters: Mapping[str, int], **more: int) -> dict[str, int]:
    return {**counters, **{name: counters.get(name, 0) + count for name, count in more.items()}}


def totalled(total: CaptureReport, report: CaptureReport) -> CaptureReport:
    """The report's standing with the sums of both."""
    return replace(
        report,
        records=total.records + report.records,
        segments=total.segments + report.segments,
        bytes=total.bytes + report.bytes,
        quarantined=total.quarantined + report.quarantined,
    )
