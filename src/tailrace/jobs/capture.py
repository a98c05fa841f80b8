"""Stream capture: reads many shards at once, lands what they give, and moves marks only in the swap that lists it."""

from __future__ import annotations

import heapq
import logging
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, fields, replace
from typing import Final, NoReturn

from tailrace.capture.reader import EMPTY_PAGES_AT_TIP, Landed, ShardReader
from tailrace.capture.source import PAGE_RECORDS, RecordsPage, StreamSource
from tailrace.clock import Budget, Clock
from tailrace.decide.base import base_of, base_stage
from tailrace.decide.lineage import (
    LATEST_MARGIN_MS,
    UNREAD_MS,
    Lineage,
    absent_since,
    closed_leaves,
    first_discovery,
    merge_listing,
    order_violation,
    ready_shards,
    seen_open,
    unread_beyond_retention,
    waits,
    whole_before,
)
from tailrace.errors import (
    ConfigInvalid,
    IteratorExpired,
    NotFound,
    PermissionMissing,
    SourceChanged,
    StateContended,
    StreamTrimmed,
    StreamViewUnsupported,
    TailraceError,
    Throttled,
    Transient,
)
from tailrace.jobs.source import check_place
from tailrace.landing import Landing, Published, SegmentDraft
from tailrace.model.manifest import Gap, Manifest, Pause, Start, TableState
from tailrace.model.positions import SequenceNumber
from tailrace.model.segments import SegmentKind
from tailrace.model.shards import ShardInfo

log = logging.getLogger(__name__)

POLL_SECONDS_MIN: Final = 0.2  # after a page with records; DynamoDB likes at most about four reads a second
POLL_SECONDS_MAX: Final = 1.0  # of an idle shard
BACKOFF_SECONDS_MAX: Final = 20.0
THROTTLES_NORMAL: Final = 5  # in a row; more of them mean that others read the same shard
DISCOVER_SECONDS: Final = 10.0
CHILD_SECONDS: Final = 1.0  # how often to look for the children of a shard that has ended
STANDBY_SECONDS: Final = 5.0  # after another worker published first
READS_PER_WORKER: Final = 2  # under way or queued, so that a worker never waits for the next one
COLLECT_SECONDS_MAX: Final = 1.0  # how long a step waits for an answer before it looks around
CONTENDED_MAX: Final = 50  # swaps lost in a row to other jobs


@dataclass(frozen=True, slots=True)
class CaptureSettings:
    """How to capture one table. A flush happens at `flush_bytes` of uncompressed lines or `flush_seconds`, whichever is first."""

    start: Start = "TRIM_HORIZON"
    flush_bytes: int = 16 << 20
    flush_seconds: float = 1.0
    heartbeat_seconds: float = 60.0
    buffer_bytes: int = 64 << 20  # shards are not read while more than this waits to be published
    workers: int = 8
    has_base: bool = False  # a base is to be read beside the stream
    config_hash: str = ""


@dataclass(frozen=True, slots=True)
class CaptureReport:
    """What one step or tick did, and how the table stands. `caught_up`: every shard was read to its tip and published.

    `through_ms`: every change before it was read. `rescued`: of `records`, those that a function should have landed and did
    not. `waits`: all that is left is for a function to land, or for AWS to export.
    """

    records: int = 0
    segments: int = 0
    bytes: int = 0
    quarantined: int = 0
    open_shards: int = 0
    lag_seconds: float | None = None
    through_ms: int | None = None
    state: TableState = "NEW"
    caught_up: bool = False
    standby: bool = False
    rescued: int = 0
    waits: bool = False
    wait_seconds: float = 0.0


class Capturer:
    """Captures one table. Everything it remembers between calls is a cache; the truth is the manifest.

    Not safe between threads; any number of processes may run one each, and the compare-and-swap lets one of them win.
    With `landed` it reads behind a function that lands the changes: marks pass what is there, and only what is missing and due
    is landed here.
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
        landed: Landed | None = None,
    ) -> None:
        self._source = source
        self._landing = landing
        self._settings = settings
        self._clock = clock
        self._writer = writer
        self._on_published = on_published
        self._landed = landed
        self._executor = executor or ThreadPoolExecutor(settings.workers, thread_name_prefix="tailrace-read")
        self._jitter = random.Random(writer)
        self._published: Published | None = None
        self._ready: tuple[str, ...] = ()
        self._parents: frozenset[str | None] = frozenset()
        self._leaves: tuple[str, ...] = ()
        self._readers: dict[str, ShardReader] = {}
        self._inflight: dict[Future[RecordsPage], tuple[ShardReader, int]] = {}
        self._absent_since: Mapping[str, int] = {}
        self._listed: frozenset[str] = frozenset()
        self._listed_ms: int | None = None
        self._open_ms: Mapping[str, int] = {}
        self._is_discovered = False
        self._discovery_failures = 0
        self._next_discovery = 0.0
        self._buffered_since: float | None = None
        self._last_publish = 0.0
        self._standby_until: float | None = None
        self._report = CaptureReport()

    # ---- what callers use

    def tick(self, budget: Budget) -> CaptureReport:
        """Capture until every shard is read to its tip and published, or the budget is spent. Totals of this call."""
        total = CaptureReport()
        for reader in self._readers.values():
            reader.empty_pages = 0  # a tip that was reached before this call says nothing about now
        while not budget.spent():
            report = self.step()
            total = totalled(total, report)
            if report.caught_up or report.standby or report.waits:
                break
            budget.wait(report.wait_seconds)
        return totalled(total, self.flush())

    def step(self) -> CaptureReport:
        """One bounded round: look for shards where due, read those that are ready, publish where due.

        Raises SourceChanged, PermissionMissing (both recorded in the manifest first) and Transient errors, after which
        the next call simply goes on.
        """
        self._report = CaptureReport()
        try:
            if self._published is None:
                self._open()
            if not self._has_to_stand_by():
                self._discover_if_due()
                self._read()
                if self._is_flush_due():
                    self._flush()
        except StateContended:
            self._give_way()
            return replace(self._finished_report(), caught_up=False)  # what this step has seen is not on record
        except PermissionMissing as error:
            self._pause(Pause(error.message, str(error.facts.get("operation", "")), str(error.facts.get("table", ""))))
            raise
        return self._finished_report()

    def flush(self) -> CaptureReport:
        """Publish everything that was read, now."""
        self._report = CaptureReport()
        for _ in range(CONTENDED_MAX):
            try:
                try:
                    self._collect(block_seconds=0.0)
                finally:
                    if self._has_news() or (self._published and self._caught_up() and self._standby_until is None):
                        self._flush()
                break
            except StateContended:
                self._give_way()
                if self._standby_until is not None:
                    break
        return self._finished_report()

    def ask_again(self) -> None:
        """Read at once what waits for a function: perhaps it has landed by now."""
        for reader in self._readers.values():
            if reader.waits:
                reader.waits, reader.next_poll = False, 0.0

    def go_on_from(self, published: Published) -> None:
        """Take the newest manifest where other jobs alone have published: on an older one the next swap would be lost."""
        if self._published is not None and _captured(self._manifest) == _captured(published.manifest):
            self._adopt(published)

    def open(self) -> None:
        """Put every shard on record, where nothing of the table is yet. Reads no record."""
        if self._published is None:
            try:
                self._open()
            except StateContended:
                self._adopt(self._landing.load())

    def close(self) -> None:
        """Let go of the reading threads; nothing is published."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    # ---- opening and discovery

    @property
    def _manifest(self) -> Manifest:
        assert self._published is not None
        return self._published.manifest

    def _adopt(self, published: Published | None) -> None:
        """The newest manifest, and what follows from its lineage."""
        self._published = published
        if published is not None:
            shards = published.manifest.shards
            self._ready = ready_shards(shards)
            self._parents = frozenset(shard.parent for shard in shards.values())
            self._leaves = closed_leaves(shards, published.manifest.gaps)

    def _open(self) -> None:
        """Read the manifest, or create it with every shard recorded before anything is read."""
        self._adopt(self._landing.load())
        self._last_publish = self._clock.monotonic()
        if self._published is not None:
            self._listed_ms = self._manifest.captured_through_ms
        else:
            incarnation, asked_ms = self._source.incarnation(), self._clock.now_ms()
            lineage = first_discovery(self._source.shards(), self._settings.start, asked_ms)
            self._publish(
                Manifest(
                    incarnation,
                    config_hash=self._settings.config_hash,
                    shards=lineage.shards,
                    gaps=lineage.gaps,
                    state="GAP" if lineage.gaps else "CAPTURING",
                )
            )

    def _discover_if_due(self) -> None:
        """Look at the source. While it does not answer, the lineage as known serves on; before the first look it cannot."""
        if self._clock.monotonic() < self._next_discovery:
            return
        asked_ms = self._clock.now_ms()  # a listing is as old as the question: the answer may have been long on its way
        try:
            listing = self._look()
        except StateContended:
            raise
        except Transient as error:
            if not self._is_discovered:
                raise
            self._discovery_failures += 1
            pause = self._back_off_seconds(self._discovery_failures)
            self._next_discovery = self._clock.monotonic() + pause
            log.warning("the shards cannot be listed: %s; again in %.1f s", error, pause)
            return
        self._merge(listing, asked_ms)
        self._is_discovered = True
        self._discovery_failures = 0
        pause = CHILD_SECONDS if self._leaves else DISCOVER_SECONDS
        self._next_discovery = self._clock.monotonic() + pause

    def _look(self) -> Sequence[ShardInfo]:
        """The listing of the stream that we capture; another one is refused."""
        if self._manifest.exports is not None:
            raise ConfigInvalid(
                "This landing folder was captured by exports, and one epoch has one kind of source",
                hint='Set capture = "exports" again, or start over with a new landing prefix and target table.',
                table=self._manifest.incarnation.table,
            )
        known = self._manifest.incarnation
        try:
            found = self._source.incarnation()
        except StreamViewUnsupported as error:
            if "account" in error.facts:
                check_place(str(error.facts["account"]), str(error.facts["region"]), known)
            self._refuse(error.message)
        check_place(found.account, found.region, known)
        if found != known:
            what = (field.name for field in fields(known) if getattr(found, field.name) != getattr(known, field.name))
            self._refuse(f"another {', '.join(what)} answers under the table's name")
        return self._source.shards()

    def _refuse(self, reason: str) -> NoReturn:
        """Publish what was read of the stream that we knew, say that it is over, and read nothing of another one."""
        if self._manifest.state != "SOURCE_CHANGED":
            self._flush()
            since_ms = whole_before(self._manifest.shards, self._manifest.captured_through_ms)
            gap = Gap("stream_replaced", reason, self._clock.now_ms(), since_ms=since_ms)
            self._publish(replace(self._manifest, state="SOURCE_CHANGED", gaps=(*self._manifest.gaps, gap)))
        self._readers.clear()
        self._inflight.clear()
        self._published = None  # the next step looks whether a repair began
        raise SourceChanged(
            f"The stream is not the one that was captured: {reason}",
            hint="Changes between the two are missing: `tailrace repair` begins anew with this one.",
            table=self._landing.table,
        )

    def _merge(self, listing: Sequence[ShardInfo], asked_ms: int) -> None:
        """Bring the listing in; publish new shards and gaps before anything of them is read."""
        self._note_absent(listing, asked_ms)
        lineage = self._merged(listing, asked_ms)
        if lineage.gaps:
            self._flush()  # what was read of a shard that is gone
            lineage = self._merged(listing, asked_ms)
        if lineage.gaps:
            self._publish_gaps(lineage)
        elif lineage.shards != self._manifest.shards:
            self._publish(replace(self._manifest, shards=lineage.shards))
        self._open_ms = seen_open(self._manifest.shards, listing, asked_ms, self._open_ms)
        self._listed_ms = asked_ms
        self._listed = frozenset(info.shard_id for info in listing)
        self._note_absent(listing, asked_ms)  # those, too, that it only names as parents

    def _note_absent(self, listing: Sequence[ShardInfo], asked_ms: int) -> None:
        self._absent_since = absent_since(
            self._manifest.shards,
            listing,
            asked_ms,
            before=self._absent_since,
            listed_ms=self._listed_ms,
        )

    def _merged(self, listing: Sequence[ShardInfo], asked_ms: int) -> Lineage:
        manifest = self._manifest
        return merge_listing(
            manifest.shards,
            manifest.gaps,
            listing,
            asked_ms,
            open_ms=self._open_ms,
            absent_since_ms=self._absent_since,
            missed=[shard_id for shard_id in self._absent_since if self._is_missed(shard_id)],
            captured_through_ms=manifest.captured_through_ms,
            shown_ms=self._clock.now_ms(),
        )

    def _is_missed(self, shard_id: str) -> bool:
        """Reads do not find it, or there are none: nobody begins to read a shard before it is listed."""
        reader = self._readers.get(shard_id)
        if reader is not None:
            return reader.misses >= 2
        return shard_id in self._ready and self._manifest.shards[shard_id].mark is None

    def _publish_gaps(self, lineage: Lineage) -> None:
        for gap in lineage.gaps:
            log.error("changes are missing: shard %s: %s", gap.shard, gap.reason)
        since_ms = whole_before(lineage.shards, self._manifest.captured_through_ms)
        gaps = (*self._manifest.gaps, *(replace(gap, since_ms=since_ms) for gap in lineage.gaps))
        manifest = replace(self._manifest, shards=lineage.shards, gaps=gaps)
        self._publish(replace(manifest, state=manifest.state if manifest.state == "SOURCE_CHANGED" else "GAP"))

    # ---- reading

    def _read(self) -> None:
        """Start reads of the shards that are due, and take in what has arrived."""
        self._readers = {
            shard_id: self._readers.get(shard_id) or self._new_reader(shard_id)
            for shard_id in self._ready
            if shard_id in self._readers or self._is_listed(shard_id)
        }
        self._check_retention(self._readers.values())
        self._start_reads()
        self._collect(block_seconds=min(COLLECT_SECONDS_MAX, self._settings.flush_seconds))

    def _is_listed(self, shard_id: str) -> bool:
        """A shard that is only heard of, as a parent, by us or by another writer, may itself have a parent that comes first."""
        return shard_id in self._listed or self._manifest.shards[shard_id].mark is not None

    def _new_reader(self, shard_id: str) -> ShardReader:
        shard = self._manifest.shards[shard_id]
        reader = ShardReader(shard_id, read_to=shard.mark, landed=self._landed)
        if shard.start == "LATEST" and shard.mark is None and shard.since_ms is not None:
            reader.skip_before_ms = shard.since_ms - LATEST_MARGIN_MS
        return reader

    def _check_retention(self, readers: Iterable[ShardReader]) -> None:
        """Shards of which nothing was ever read have no position that could be refused: only time tells that they lost some.

        So the clock is looked at before a read and after it: this process may have slept for days in between.
        """
        now_ms = self._clock.now_ms()
        unread = {
            reader.shard_id: self._manifest.shards[reader.shard_id]
            for reader in readers
            if reader.read_to is None and now_ms - (reader.through_ms or 0) > UNREAD_MS
        }
        if not unread:
            return
        lost = unread_beyond_retention(unread, self._manifest.gaps, self._manifest.captured_through_ms, now_ms)
        if lost is not None:
            self._publish_gaps(Lineage({**self._manifest.shards, **lost.shards}, lost.gaps))
            for gap in lost.gaps:
                assert gap.shard is not None
                self._readers[gap.shard] = self._new_reader(gap.shard)

    def _start_reads(self) -> None:
        """Ask for the shards that have waited longest, as many as the workers can take on, while there is room to keep it."""
        room = READS_PER_WORKER * self._settings.workers - len(self._inflight)
        if room <= 0 or self._buffered_bytes() >= self._settings.buffer_bytes:
            return
        now_ms = self._clock.now_ms()
        due = self._due(self._clock.monotonic())
        for reader in heapq.nsmallest(room, due, key=lambda r: (r.next_poll, r.shard_id)):
            self._inflight[self._executor.submit(reader.fetch, self._source)] = (reader, now_ms)

    def _due(self, now: float) -> list[ShardReader]:
        """Readers to be asked now."""
        busy = {reader.shard_id for reader, _ in self._inflight.values()}
        return [
            reader
            for reader in self._readers.values()
            if reader.next_poll <= now and not (reader.ended or reader.refused) and reader.shard_id not in busy
        ]

    def _collect(self, block_seconds: float) -> None:
        """Take in finished reads; wait for the first one at most so long."""
        if not self._inflight:
            return
        done, _ = wait(self._inflight, timeout=block_seconds, return_when=FIRST_COMPLETED)
        for future in sorted(done, key=lambda f: self._inflight[f][0].shard_id):
            reader, asked_ms = self._inflight.pop(future)
            if self._readers.get(reader.shard_id) is reader:
                self._take(reader, future, asked_ms)

    def _take(self, reader: ShardReader, future: Future[RecordsPage], asked_ms: int) -> None:
        try:
            page = future.result()
        except IteratorExpired as error:
            reader.iterator = None
            self._back_off(reader, error)
        except StreamTrimmed as error:
            self._trimmed(reader, error)
        except NotFound as error:
            reader.misses += 1
            self._back_off(reader, error)
        except Transient as error:
            self._back_off(reader, error)
        else:
            self._take_page(reader, page, asked_ms)

    def _take_page(self, reader: ShardReader, page: RecordsPage, asked_ms: int) -> None:
        self._check_retention([reader])
        if self._readers[reader.shard_id] is not reader:
            return  # a gap came before it: read once more
        reader.take(page, None if reader.shard_id in self._parents else asked_ms)
        if not reader.checked and reader.began_at is not None:
            self._check_order(reader, reader.began_at)
        pause = _doubled(POLL_SECONDS_MIN, reader.empty_pages - EMPTY_PAGES_AT_TIP, POLL_SECONDS_MAX)
        if reader.waits:
            pause = self._settings.flush_seconds
        elif len(page.records) >= PAGE_RECORDS:
            pause = 0.0
        reader.next_poll = self._clock.monotonic() + pause
        if reader.has_news and self._buffered_since is None:
            self._buffered_since = self._clock.monotonic()

    def _check_order(self, reader: ShardReader, first: SequenceNumber) -> None:
        violation = order_violation(self._manifest.shards, reader.shard_id, first)
        reader.checked = True
        if violation is not None:
            reader.refuse(violation)
            self._pause(_order_pause(reader))
            raise SourceChanged(
                f"The order of changes cannot be proved: {violation}",
                hint="Nothing of this shard was published. Please report it; a new epoch starts over.",
                table=self._manifest.incarnation.table,
            )

    def _trimmed(self, reader: ShardReader, error: StreamTrimmed) -> None:
        """The position is gone. The gap is durable before one record behind it is read."""
        self._flush()
        shard = self._manifest.shards[reader.shard_id]
        gap = Gap("stream_trimmed", error.message, self._clock.now_ms(), reader.shard_id, shard.mark)
        if not any((g.kind, g.shard, g.after) == (gap.kind, gap.shard, gap.after) for g in self._manifest.open_gaps):
            self._publish_gaps(Lineage(self._manifest.shards, (gap,)))
        reader.iterator, reader.from_horizon = None, True
        reader.misses += 1
        self._back_off(reader, error)

    def _back_off(self, reader: ShardReader, error: TailraceError) -> None:
        """Ask again at once the first time where a new iterator is all it takes, later and later otherwise."""
        reader.failures += 1
        reader.empty_pages = 0  # who knows where its tip is now
        again = isinstance(error, IteratorExpired | StreamTrimmed) and reader.failures == 1
        pause = 0.0 if again else self._back_off_seconds(reader.failures)
        reader.next_poll = self._clock.monotonic() + pause
        many = isinstance(error, Throttled) and reader.failures >= THROTTLES_NORMAL
        note = "; is there a third reader on this shard? DynamoDB serves two" if many else ""
        level = logging.INFO if isinstance(error, Throttled | IteratorExpired) and not many else logging.WARNING
        log.log(level, "shard %s: %s%s; again in %.1f s", reader.shard_id, error, note, pause)

    def _back_off_seconds(self, failures: int) -> float:
        return _doubled(POLL_SECONDS_MIN, failures, BACKOFF_SECONDS_MAX) * self._jitter.uniform(0.5, 1.0)

    # ---- publishing

    def _has_news(self) -> bool:
        return any(reader.has_news for reader in self._readers.values())

    def _buffered_bytes(self) -> int:
        return sum(reader.bytes for reader in self._readers.values())

    def _is_flush_due(self) -> bool:
        now = self._clock.monotonic()
        if self._buffered_bytes() >= min(self._settings.flush_bytes, self._settings.buffer_bytes):
            return True
        if self._buffered_since is not None:
            waited = now - self._buffered_since
            if waited >= self._settings.flush_seconds:
                return True
            if self._landed is not None and (self._caught_up() or self._waits()):
                return True  # until the next look at what a function has landed nothing can be added
            has_ended = any(reader.ended for reader in self._readers.values())  # its children wait for it
            return has_ended and (waited >= CHILD_SECONDS or not self._due(now))
        return self._state_now() != self._manifest.state or now - self._last_publish >= self._settings.heartbeat_seconds

    def _flush(self) -> None:
        """Make what was read durable, then list it and move the marks in one swap. After a failure it is all still here."""
        manifest = self._manifest
        now_ms, captured_ms = self._clock.now_ms(), self._captured_through_ms()
        readers = [reader for _, reader in sorted(self._readers.items()) if reader.has_news]
        poison = [record for reader in readers for record in reader.poison]
        for record in poison:  # an object each, named by its position, so that reading it again adds nothing
            name = f"capture-{record.shard}-{record.sequence_number or 'unnumbered'}"
            self._landing.quarantine(name, [replace(record, epoch=manifest.epoch)])
        entries = []
        draft = _draft([reader for reader in readers if reader.lines], "stream" if self._landed is None else "lambda")
        if draft is not None:
            entries = [
                self._landing.write_segment(draft).entry(manifest.next_number, now_ms, captured_ms, manifest.epoch)
            ]
        shards = dict(manifest.shards)
        for reader in readers:
            finished_ms = now_ms if reader.ended else None
            shards[reader.shard_id] = replace(shards[reader.shard_id], mark=reader.read_to, finished_ms=finished_ms)
        rows = sum(entry.rows for entry in entries)
        rescued = {} if self._landed is None or not rows else {"rescued": rows}
        stored_bytes = sum(entry.bytes for entry in entries)
        self._publish(
            replace(
                manifest,
                shards=shards,
                segments=(*manifest.segments, *entries),
                next_number=manifest.next_number + len(entries),
                captured_through_ms=captured_ms,
                counters=counted(
                    manifest.counters,
                    rows=rows,
                    bytes=stored_bytes,
                    segments=len(entries),
                    quarantined=len(poison),
                    **rescued,
                ),
                pause=self._pause_left(),
                state=self._state_now(),
            )
        )
        if any(reader.ended for reader in readers):
            self._next_discovery = 0.0  # look for children at once
        for reader in readers:
            reader.published()
            if reader.ended:
                del self._readers[reader.shard_id]
        self._buffered_since = None
        self._report = replace(
            self._report,
            records=self._report.records + rows,
            segments=self._report.segments + len(entries),
            bytes=self._report.bytes + stored_bytes,
            quarantined=self._report.quarantined + len(poison),
            rescued=self._report.rescued + rescued.get("rescued", 0),
        )
        if rescued:
            log.warning(
                "%s: %d changes were due and not landed by its function, so they were landed here; does it fail?",
                self._landing.table,
                rows,
            )

    def _publish(self, manifest: Manifest) -> None:
        self._adopt(self._landing.save(manifest, self._published, self._writer))
        self._last_publish = self._clock.monotonic()
        self._on_published(self._manifest)

    # ---- refusals and other workers

    def _pause(self, pause: Pause) -> None:
        """Say in the manifest why we refuse to go on."""
        for reader in self._readers.values():
            reader.answered = False
        if self._published is not None and self._manifest.pause != pause:
            state = self._state_with(pause, caught_up=False)
            self._publish(replace(self._manifest, pause=pause, state=state))

    def _pause_left(self) -> Pause | None:
        """None once pages come again: of the very shard where the pause is about one, of any where it is not.

        A shard that we refuse outlives every other reason: nothing else would tell that it is not captured.
        """
        refused = next((reader for reader in self._readers.values() if reader.refused), None)
        if refused is not None:
            return _order_pause(refused)
        pause = self._manifest.pause
        if pause is None:
            return None
        about = self._manifest.shards.get(pause.resource)
        if about is None:
            return None if any(reader.answered for reader in self._readers.values()) else pause
        reader = self._readers.get(pause.resource)
        return None if reader is not None and reader.checked and not reader.refused else pause

    def _give_way(self) -> None:
        """Somebody published first. Another job: go on on top of it. Another capturer: forget what was read, and stand by.

        Also of shards that it left as they were: what we have read of one since yesterday may have been trimmed before it looked.
        """
        before = None if self._published is None else self._manifest
        self._adopt(self._landing.load())
        after = None if self._published is None else self._manifest
        if before is not None and after is not None and _captured(before) == _captured(after):
            return
        self._readers.clear()
        self._buffered_since = None
        self._standby_until = self._clock.monotonic() + STANDBY_SECONDS * self._jitter.uniform(0.5, 1.0)
        log.info("another worker captures %s; standing by", self._landing.table)

    def _has_to_stand_by(self) -> bool:
        """True while another worker publishes: we look at the manifest now and then, and take over when it rests."""
        if self._standby_until is None:
            return False
        if self._clock.monotonic() >= self._standby_until:
            self._standby_until = None
            self._give_way()
        return self._standby_until is not None

    # ---- how it stands

    def _caught_up(self) -> bool:
        """Every shard that is not finished has a reader at its tip, and no closed one waits for its children."""
        if self._leaves:
            return False
        open_shards = [i for i, shard in self._manifest.shards.items() if shard.finished_ms is None]
        return all(i in self._readers and self._readers[i].at_tip and not self._readers[i].ended for i in open_shards)

    def _waits(self) -> bool:
        """Every shard that may be read is at its tip, or at a change that a function has yet to land; one at least is."""
        readers = [reader for reader in self._readers.values() if not reader.refused]
        return any(r.waits for r in readers) and all(r.waits or (r.at_tip and not r.ended) for r in readers)

    def _state_now(self) -> TableState:
        return self._state_with(self._pause_left(), caught_up=self._caught_up())

    def _state_with(self, pause: Pause | None, *, caught_up: bool) -> TableState:
        """GAP outranks everything; a table without a base is consistent from the first time that it has caught up."""
        manifest = self._manifest
        if manifest.state == "SOURCE_CHANGED":
            return "SOURCE_CHANGED"
        if manifest.open_gaps:
            return "GAP"
        if pause is not None:
            return "PAUSED"
        stage = base_stage(manifest, is_wanted=self._settings.has_base, through_ms=self._captured_through_ms())
        if stage is not None:
            return stage
        is_well = caught_up or manifest.state == "CONSISTENT" or base_of(manifest) is not None
        return "CONSISTENT" if is_well else "CAPTURING"

    def _captured_through_ms(self) -> int | None:
        """Every change before this moment was read: the least of all shards that may be read, and never less than before."""
        known_ms, shards = self._manifest.captured_through_ms, self._manifest.shards
        if self._leaves:
            return known_ms  # their children may hold older changes than any other shard
        throughs: list[int] = []
        for shard_id, shard in shards.items():
            if shard.finished_ms is not None or waits(shards, shard):
                continue
            reader = self._readers.get(shard_id)
            if reader is None or reader.through_ms is None:
                return known_ms
            throughs.append(reader.through_ms)
        return max([min(throughs), *([] if known_ms is None else [known_ms])]) if throughs else known_ms

    def _finished_report(self) -> CaptureReport:
        if self._published is None:
            return replace(self._report, standby=True, wait_seconds=POLL_SECONDS_MAX)
        now, captured_ms = self._clock.monotonic(), self._captured_through_ms()
        report = replace(
            self._report,
            open_shards=sum(shard.finished_ms is None for shard in self._manifest.shards.values()),
            lag_seconds=None if captured_ms is None else max(0.0, (self._clock.now_ms() - captured_ms) / 1000),
            through_ms=captured_ms,
            state=self._manifest.state,
        )
        if self._standby_until is not None:
            return replace(report, standby=True, wait_seconds=max(0.0, self._standby_until - now))
        waits_seconds = [
            reader.next_poll - now for reader in self._readers.values() if not (reader.ended or reader.refused)
        ]
        return replace(
            report,
            caught_up=self._caught_up() and not self._has_news(),
            waits=self._waits(),
            wait_seconds=0.0 if self._inflight else max(0.0, min([*waits_seconds, POLL_SECONDS_MIN])),
        )


def _captured(manifest: Manifest) -> tuple[object, ...]:
    """What only capturers publish; other jobs leave it as it is."""
    return (
        manifest.epoch,
        manifest.shards,
        manifest.captured_through_ms,
        manifest.gaps,
        manifest.pause,
        manifest.state,
    )


def _doubled(seconds: float, times: int, seconds_max: float) -> float:
    """`seconds` doubled so often (not at all below 1), and never more than `seconds_max`."""
    return min(seconds_max, seconds * float(2 ** min(max(times, 0), 30)))


def _order_pause(reader: ShardReader) -> Pause:
    return Pause(f"sequence_order: {reader.refused}", "report this to the maintainers", reader.shard_id)


def _draft(readers: Sequence[ShardReader], kind: SegmentKind) -> SegmentDraft | None:
    """One segment with the records of many shards, each shard's in its own order."""
    if not readers:
        return None
    ranges = {reader.shard_id: reader.range for reader in readers}
    newest_ms = max(reader.newest_ms for reader in readers)
    return SegmentDraft(
        kind=kind,
        lines=[line for reader in readers for line in reader.lines],
        first=min(r.first for r in ranges.values()),
        last=max(r.last for r in ranges.values()),
        at_ms=newest_ms,
        shards=ranges,
        newest_change_ms=newest_ms,
    )


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
        rescued=total.rescued + report.rescued,
    )
