"""Publication: what functions have landed is listed, and read behind, so that a mark passes only what is listed.

A function acknowledges a batch when its segment is durable, and knows neither shards nor the manifest. So two things are
done here. Segments that no entry names are listed, in one compare-and-swap for many. And the stream is read a second time,
for positions only: the marks pass what a listed segment holds, and what is missing for a quarter of an hour is landed here.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Final

from tailrace.capture.lambda_events import QUARANTINED
from tailrace.capture.records import head_of, key_text
from tailrace.capture.source import StreamSource
from tailrace.clock import Budget, Clock
from tailrace.decide.publish import DUE_MS, SKEW_MS, is_of_this_epoch, known_names, look, may_be_unproven, unproven
from tailrace.errors import DataInvalid, NotFound, SegmentMissing, StateContended
from tailrace.jobs.capture import CONTENDED_MAX, Capturer, CaptureReport, CaptureSettings, counted, totalled
from tailrace.landing import LandedFile, Landing, Published, WrittenSegment
from tailrace.landing.names import QUARANTINE, changes_name, day_folders, hour_of
from tailrace.landing.segments import name_digest, unpacked
from tailrace.model.manifest import Manifest
from tailrace.model.positions import SequenceNumber
from tailrace.model.segments import Segment

log = logging.getLogger(__name__)

READERS: Final = 8  # segments read at once
LOOK_SECONDS: Final = 60.0  # between two looks, unless told otherwise; each lists two folders and more
AT_ONCE: Final = 64  # segments listed in one swap
BACKOFF_SECONDS: Final = 0.05  # the longest first pause after a lost swap: many functions may publish at once


@dataclass(frozen=True, slots=True)
class _Found:
    """A function's segment, read and recognised; `changes` are the identities of its records."""

    written: WrittenSegment
    oldest_ms: int
    changes: Sequence[int]


def _identity(number: int, key: str) -> int:
    """Of one change. Positions alone would do within a shard, but nobody promises more."""
    return hash((number, key))


class LandedChanges:
    """Keeps `tailrace.capture.reader.Landed` in memory: the changes of listed segments that the marks have not passed."""

    def __init__(self, landing: Landing) -> None:
        self.due_ms = 0
        self._landing = landing
        self._changes: dict[int, int] = {}  # identity to the newest moment of its segment
        self._read: set[int] = set()  # numbers of segments
        self._epoch = 0
        self._aside: dict[str, frozenset[int]] = {}  # quarantine object to positions

    def holds(self, number: SequenceNumber, keys: Mapping[str, Any]) -> bool:
        return _identity(number, key_text(keys)) in self._changes

    def is_set_aside(self, number: SequenceNumber) -> bool:
        if any(number in positions for positions in self._aside.values()):
            return True
        for name in self._landing.quarantine_names():
            if name.startswith(QUARANTINE + QUARANTINED) and name not in self._aside:
                self._aside[name] = self._positions(name)
        return any(number in positions for positions in self._aside.values())

    def _positions(self, name: str) -> frozenset[int]:
        try:
            records = self._landing.quarantine_file(name).records
        except (NotFound, DataInvalid):
            return frozenset()
        return frozenset(int(r.sequence_number) for r in records if r.sequence_number is not None)

    def refresh(self, manifest: Manifest, now_ms: int, pool: Executor) -> None:
        """Take in what is listed since, and forget what the marks have passed. Raises what reading a segment raises."""
        self.due_ms = now_ms - DUE_MS
        if manifest.epoch != self._epoch:
            self._epoch, self._changes, self._read = manifest.epoch, {}, set()
        through_ms = manifest.captured_through_ms
        self._changes = {change: ms for change, ms in self._changes.items() if may_be_unproven(ms, through_ms)}
        segments = unproven(self._landing.newest_first(manifest), manifest)
        self._read &= {segment.number for segment in segments}
        fresh = [segment for segment in segments if segment.number not in self._read]
        for segment, changes in zip(fresh, pool.map(self._changes_of, fresh), strict=True):
            self.take(segment.number, changes, segment.newest_change_ms or 0)

    def take(self, number: int, changes: Iterable[int], newest_ms: int) -> None:
        """The changes of a segment that is listed under this number."""
        self._read.add(number)
        for change in changes:
            self._changes[change] = max(newest_ms, self._changes.get(change, 0))

    def _changes_of(self, segment: Segment) -> list[int]:
        """Nothing where it is damaged or gone, which loads tell of: then what the stream still has of it is landed again."""
        try:
            lines = b"".join(unpacked(self._landing.read_segment(segment))).split(b"\n")[:-1]
            return [change for _, _, change in _changes_in(lines)]
        except (SegmentMissing, DataInvalid) as error:
            log.error("%s: a listed segment proves nothing: %s", self._landing.table, error)
            return []


def _changes_in(lines: Iterable[bytes]) -> Iterable[tuple[SequenceNumber, int, int]]:
    """Position, moment and identity of each change. Raises RecordInvalid."""
    for line in lines:
        number, created_ms, key = head_of(line)
        yield number, created_ms, _identity(number, key)


class Publisher:
    """Lists segments that functions have landed of one table. Any number may run: the swap decides.

    `open_table` puts a table on record that nobody has captured anything of yet. `on_listed` gets each segment's number, the
    identities of its changes, and the moment of the newest one.
    """

    def __init__(
        self,
        landing: Landing,
        clock: Clock,
        writer: str,
        *,
        open_table: Callable[[], None],
        on_published: Callable[[Manifest], None] = lambda manifest: None,
        on_listed: Callable[[int, Sequence[int], int], None] = lambda number, changes, newest_ms: None,
        executor: Executor | None = None,
    ) -> None:
        self._landing = landing
        self._clock = clock
        self._writer = writer
        self._open_table = open_table
        self._on_published = on_published
        self._on_listed = on_listed
        self.executor = executor or ThreadPoolExecutor(READERS, thread_name_prefix="tailrace-publish")
        self._jitter = random.Random(writer)
        self._pages: dict[str, list[tuple[int, str]]] = {}
        self._refused: set[tuple[str, str, int]] = set()  # name, stream, epoch: a cache, so that they are read once

    def publish(self, budget: Budget, names: Sequence[str] | None = None) -> CaptureReport:
        """List what is landed and not listed, or of that only `names`, relative to the table's folder. Totals of this call.

        `names` are such that `is_changes` holds. Nobody lists a segment before the hour in its name, so of the manifest no more
        is read than reaches back to the earliest of them.
        """
        published = self._opened()
        manifest = published.manifest
        span = look(manifest, self._clock.now_ms())
        known_ms = span.known_ms
        if names is None:
            there = list(self._landing.changes_between(span.first_ms, span.last_ms))
        else:
            there = self._recent(names, day_folders(span.first_ms, span.last_ms))
            known_ms = min((hour_of(name) for name in there), default=span.last_ms) - SKEW_MS
        known = known_names(self._named(manifest), known_ms)
        fresh = [name for name in there if name not in known and not self._is_refused(manifest, name)]
        report = CaptureReport(state=manifest.state)
        for start in range(0, len(fresh), AT_ONCE):
            if start and budget.spent():
                break
            found = self._recognised(manifest, fresh[start : start + AT_ONCE])
            if found:
                published, done = self._list(published, found, known_ms)
                report = totalled(report, done)
        return report

    def _recent(self, names: Sequence[str], folders: Sequence[str]) -> list[str]:
        """Those that a look would find, too. What is older was listed, perhaps compacted and deleted since, and came again."""
        recent = sorted({name for name in names if name.startswith(tuple(folders))})
        for name in set(names).difference(recent):
            log.info("%s: %s is so old that it must have been listed before", self._landing.table, name)
        return recent

    def _opened(self) -> Published:
        published = self._landing.load()
        if published is None:
            self._open_table()
            published = self._landing.load()
        assert published is not None, "a table that was put on record is there"
        return published

    def _named(self, manifest: Manifest) -> Iterator[tuple[int, str]]:
        """Moment of publication and name of all entries, the newest first. What a page holds never changes: it is read once."""
        yield from ((segment.published_ms, segment.name) for segment in reversed(manifest.segments))
        self._pages = {page.name: self._pages[page.name] for page in manifest.pages if page.name in self._pages}
        for page in reversed(manifest.pages):
            if page.name not in self._pages:
                self._pages[page.name] = [(s.published_ms, s.name) for s in reversed(self._landing.entries_of(page))]
            yield from self._pages[page.name]

    # ---- what is there

    def _recognised(self, manifest: Manifest, names: Sequence[str]) -> list[_Found]:
        found = [f for f in self.executor.map(lambda name: self._read(manifest, name), names) if f is not None]
        return sorted(found, key=lambda f: (f.written.newest_change_ms or 0, f.written.name))

    def _read(self, manifest: Manifest, name: str) -> _Found | None:
        """A segment that a function made of the stream on record; None, and a word in the log, for anything else."""
        try:
            file = self._landing.read_file(name)
            return _recognise(file, manifest.incarnation.stream_arn)
        except NotFound:
            log.info("%s: %s is gone", self._landing.table, name)
            return None
        except (DataInvalid, ValueError) as error:
            self._refuse(manifest, name)
            log.warning("%s: %s is not listed: %s", self._landing.table, name, error)
            return None

    def _refuse(self, manifest: Manifest, name: str) -> None:
        self._refused.add((name, manifest.incarnation.stream_arn, manifest.epoch))

    def _is_refused(self, manifest: Manifest, name: str) -> bool:
        return (name, manifest.incarnation.stream_arn, manifest.epoch) in self._refused

    # ---- one swap

    def _list(self, published: Published, found: Sequence[_Found], known_ms: int) -> tuple[Published, CaptureReport]:
        for attempt in range(CONTENDED_MAX):
            manifest = published.manifest
            known = known_names(self._named(manifest), known_ms)
            wanted = [f for f in found if f.written.name not in known and self._is_due(manifest, f)]
            if not wanted:
                return published, CaptureReport(state=manifest.state)
            try:
                saved = self._landing.save(
                    _with_entries(manifest, wanted, self._clock.now_ms()), published, self._writer
                )
            except StateContended:
                pause = min(1.0, BACKOFF_SECONDS * 2**attempt) * self._jitter.random()
                Budget(self._clock).wait(pause)
                published = self._opened()
                continue
            self._on_published(saved.manifest)
            for number, each in enumerate(wanted, start=manifest.next_number):
                self._on_listed(number, each.changes, each.written.newest_change_ms or 0)
            rows, size = (sum(getattr(f.written, what) for f in wanted) for what in ("rows", "bytes"))
            log.info("%s: listed %d segments with %d changes", self._landing.table, len(wanted), rows)
            return saved, CaptureReport(rows, len(wanted), size, state=saved.manifest.state)
        raise StateContended("Other workers published first, again and again", hint="Nothing was lost; it is repeated.")

    def _is_due(self, manifest: Manifest, found: _Found) -> bool:
        """Its stream is the one on record, whatever was published meanwhile, and it is none of an older epoch."""
        if not is_of_this_epoch(manifest, found.oldest_ms):
            self._refuse(manifest, found.written.name)
            log.info("%s: %s is older than the last repair", self._landing.table, found.written.name)
            return False
        return found.written.lineage == (manifest.incarnation.stream_arn,)


def _recognise(file: LandedFile, stream_arn: str) -> _Found:
    """Raises ValueError for a segment that nobody made of this stream under this name, RecordInvalid for odd lines."""
    changes = list(_changes_in(file.lines))
    if not changes:
        raise ValueError("it holds nothing")
    numbers, moments = [number for number, _, _ in changes], [ms for _, ms, _ in changes]
    lineage = (stream_arn,)
    if changes_name(min(numbers), max(numbers), name_digest(file.sha256, lineage), max(moments)) != file.name:
        raise ValueError("no function has landed it of the stream on record")
    written = WrittenSegment(file.name, "lambda", len(changes), file.bytes, file.sha256, max(moments), {}, lineage)
    return _Found(written, min(moments), [change for _, _, change in changes])


def _with_entries(manifest: Manifest, found: Sequence[_Found], now_ms: int) -> Manifest:
    """The manifest with these segments; what is known to be captured stays as it was."""
    entries = [
        replace(f.written, lineage=()).entry(number, now_ms, manifest.captured_through_ms, manifest.epoch)
        for number, f in enumerate(found, start=manifest.next_number)
    ]
    rows, size = sum(entry.rows for entry in entries), sum(entry.bytes for entry in entries)
    return replace(
        manifest,
        segments=(*manifest.segments, *entries),
        next_number=manifest.next_number + len(entries),
        counters=counted(manifest.counters, rows=rows, bytes=size, segments=len(entries)),
    )


class LambdaCapturer:
    """Captures one table whose changes a function lands; offers what `Capturer` offers.

    `settings.flush_seconds`: between two looks at what has landed.
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
        self._landing = landing
        self._settings = settings
        self._clock = clock
        self._landed = LandedChanges(landing)
        self._capturer = Capturer(
            source, landing, settings, clock, writer, on_published=on_published, executor=executor, landed=self._landed
        )
        self._publisher = Publisher(
            landing,
            clock,
            writer,
            open_table=self._capturer.open,
            on_published=on_published,
            on_listed=self._landed.take,
            executor=executor,
        )
        self._next_look = 0.0

    def publish(self, budget: Budget, names: Sequence[str] | None = None) -> CaptureReport:
        """List what is landed, or of that only `names`. Does not read the stream, so nothing more is known to be captured."""
        return self._publisher.publish(budget, names)

    def tick(self, budget: Budget) -> CaptureReport:
        """List what is landed, and read behind it to where a function has yet to land something, or until the budget is spent."""
        report = self._look(budget)
        return report if budget.spent() else totalled(report, self._capturer.tick(budget))

    def step(self) -> CaptureReport:
        """One bounded round. Raises what `Capturer.step` and the store raise; the next call simply goes on."""
        report = CaptureReport()
        if self._clock.monotonic() >= self._next_look:
            report = self._look(Budget(self._clock, self._settings.flush_seconds))
        report = totalled(report, self._capturer.step())
        is_idle = (report.caught_up or report.waits) and report.wait_seconds > 0  # 0: a read is due, or under way
        pause = self._next_look - self._clock.monotonic() if is_idle else 0.0
        return replace(report, wait_seconds=max(report.wait_seconds, pause))

    def flush(self) -> CaptureReport:
        """Publish how far the stream was read, now."""
        return self._capturer.flush()

    def open(self) -> None:
        """Put every shard on record, where nothing of the table is yet."""
        self._capturer.open()

    def close(self) -> None:
        """Let go of the reading threads; nothing is published."""
        self._capturer.close()
        self._publisher.executor.shutdown(wait=False, cancel_futures=True)

    def _look(self, budget: Budget) -> CaptureReport:
        report = self._publisher.publish(budget)
        published = self._landing.load()
        assert published is not None, "publication puts the table on record"
        self._landed.refresh(published.manifest, self._clock.now_ms(), self._publisher.executor)
        self._capturer.go_on_from(published)
        self._capturer.ask_again()
        self._next_look = self._clock.monotonic() + self._settings.flush_seconds
        return report
