"""A DynamoDB stream in memory, and what may never be true of its capture. For tests and simulation.

::

    clock = ManualClock()
    source = ModelSource(clock)
    source.write("a")
    source.split()
    capturer = Capturer(source, landing, CaptureSettings(), clock, "worker", executor=InlineExecutor())
    capturer.tick(Budget(clock))
    assert violations(source, landing) == []

Shards, records and trimming are those of the embedded endpoint (`tailrace.local.shards`); this adds what a caller meets:
pages, iterators, errors, listings that are not complete.
"""

from __future__ import annotations

import gzip
import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from tailrace.capture.records import TTL_PRINCIPAL, head_of, line_of, payload_of
from tailrace.capture.source import PAGE_RECORDS, RecordsPage
from tailrace.clock import ManualClock
from tailrace.errors import IteratorExpired, NotFound, PermissionMissing, RecordInvalid, StreamTrimmed, TailraceError
from tailrace.landing import Landing
from tailrace.local.shards import FIRST_NUMBER, Options, Shard, StreamModel
from tailrace.model.keys import KeyAttribute, KeySchema
from tailrace.model.manifest import Incarnation
from tailrace.model.positions import SequenceNumber
from tailrace.model.shards import ShardInfo

ITERATOR_SECONDS: Final = 15 * 60


@dataclass(frozen=True, slots=True)
class Written:
    """One record that the stream was given: `line` is what must stand in a segment, None where the envelope is bad.

    Then `payload` must stand in quarantine.
    """

    shard_id: str
    number: int
    key: str
    line: bytes | None
    payload: bytes


class InlineExecutor(Executor):
    """Does the work where it is handed in, so that a run is the same each time."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:  # also a SimulatedCrash: it strikes whoever asks for the result
            future.set_exception(error)
        return future


class ModelSource:
    """Keeps `tailrace.capture.source.StreamSource`. Its attributes are the world's moods; change them at any time."""

    def __init__(
        self,
        clock: ManualClock,
        *,
        table: str = "orders",
        shards: int = 1,
        seed: int = 0,
        first_number: int = FIRST_NUMBER,
    ) -> None:
        self.clock = clock
        options = Options(shards=shards, first_number=first_number, split_records_per_second=0)
        self.model = StreamModel(options, seed=seed, now=self._now)
        self.bodies: dict[int, dict[str, Any]] = {}  # what a record holds, by sequence number
        arn = f"arn:aws:dynamodb:eu-west-1:111122223333:table/{table}/stream/2026-11-22T05:00:00.000"
        schema = KeySchema(KeyAttribute("pk", "S"))
        self.table = Incarnation("111122223333", "eu-west-1", table, "id-1", arn, "NEW_IMAGE", schema)
        self.log: list[Written] = []
        self.trimmed: set[int] = set()  # numbers that are no longer there
        self.calls: Counter[str] = Counter()
        self.errors: dict[str, list[TailraceError]] = {}  # by operation: the next calls fail so, one by one
        self.denied: set[str] = set()  # operations that answer AccessDenied
        self.unlisted: set[str] = set()  # shards that no listing shows, though they are there
        self.gone: set[str] = set()  # shards that have vanished with everything in them
        self.parents: dict[str, str | None] = {}  # what a listing says instead of the truth
        self.page_records = PAGE_RECORDS
        self.empty_pages = 0  # before each page
        self.repeats = 0  # records of the page before that come again with each page
        self._lock = threading.RLock()
        self._iterators: dict[str, tuple[str, int, int, int]] = {}  # shard, after, empty pages to come, given at ms
        self._given = 0

    # ---- the world

    def write(
        self,
        key: str,
        value: int = 0,
        *,
        remove: bool = False,
        expired: bool = False,
        image: Mapping[str, Any] | None = None,
        **odd: Any,
    ) -> Written:
        """One change; `image` without its key. `odd` replaces parts of the record's envelope; None takes them away."""
        with self._lock:
            keys = {"pk": {"S": key}}
            change: dict[str, Any] = {"Keys": keys, "ApproximateCreationDateTime": int(self._now)}
            if not remove:
                change["NewImage"] = {**keys, **({"value": {"N": str(value)}} if image is None else image)}
            body: dict[str, Any] = {"eventName": "REMOVE" if remove else "MODIFY", "dynamodb": change}
            if expired:
                body["userIdentity"] = {"Type": "Service", "PrincipalId": TTL_PRINCIPAL}
            self.model.append(key, 100, self._now, lambda number, _: self._keep(number, body))
            number = next(reversed(self.bodies))
            change["SequenceNumber"] = str(number)
            for name, part in odd.items():
                place: dict[str, Any] = body if name in body else change
                place[name] = part
                if part is None:
                    del place[name]
            shard_id = next(i for i, s in self.model.shards.items() if s.last is None and s.newest == number)
            given = _as_boto3_gives_it(body)
            try:
                line = line_of(given).data
            except RecordInvalid:
                line = None
            written = Written(shard_id, number, key, line, payload_of(given))
            self.log.append(written)
            return written

    def split(self, shard_id: str | None = None) -> list[str]:
        """Close the widest open shard, or this one; the ids of its two children."""
        return self.model.split(shard_id, self._now)

    def roll(self, shard_id: str | None = None) -> list[str]:
        """Close the widest open shard, or this one; the id of its one child."""
        return self.model.roll(shard_id, self._now)

    def trim(self) -> None:
        """Everything that is in the stream now is dropped, as after 24 hours; idle shards stay."""
        with self._lock:
            self.trimmed |= {record.number for shard in self.model.shards.values() for record in shard.records}
            self.model.trim(self._now, everything=True)

    def age(self, seconds: float) -> None:
        """Time passes, and what has become older than 24 hours is trimmed."""
        with self._lock:
            self.clock.ms += int(seconds * 1000)
            before = {record.number for shard in self.model.shards.values() for record in shard.records}
            self.model.trim(self._now)
            self.trimmed |= before - {r.number for shard in self.model.shards.values() for r in shard.records}

    def replace_table(self, **changed: Any) -> None:
        """Another table, stream or key schema answers from now on."""
        self.table = replace(self.table, **changed)

    def expire_iterators(self) -> None:
        self._iterators.clear()

    # ---- the port

    def incarnation(self) -> Incarnation:
        with self._lock:
            self._meet("incarnation")
            return self.table

    def shards(self) -> Sequence[ShardInfo]:
        with self._lock:
            self._meet("shards")
            hidden = self.unlisted | self.gone
            return [self._info(s) for s in self.model.listed(self._now) if s.shard_id not in hidden]

    def iterator(self, shard_id: str, *, after: SequenceNumber | None = None, latest: bool = False) -> str:
        with self._lock:
            self._meet("iterator")
            shard = self._shard(shard_id)
            at = shard.trimmed_to if after is None else int(after)
            if latest and shard.records:
                at = shard.records[-1].number
            if at < shard.trimmed_to:
                raise StreamTrimmed("the position was trimmed", hint="It is a model.", shard=shard_id)
            return self._iterator(shard_id, at, self.empty_pages)

    def read(self, iterator: str, limit: int = PAGE_RECORDS) -> RecordsPage:
        with self._lock:
            self._meet("read")
            shard_id, after, empty, given_ms = self._iterators.get(iterator, ("", 0, 0, 0))
            if self.clock.ms - given_ms > ITERATOR_SECONDS * 1000:
                raise IteratorExpired("the iterator is too old", hint="It is a model.")
            shard = self._shard(shard_id)
            if after < shard.trimmed_to:
                raise StreamTrimmed("the position was trimmed", hint="It is a model.", shard=shard_id)
            if empty > 0:
                return RecordsPage([], self._iterator(shard_id, after, empty - 1))
            found = shard.after(after, min(limit, self.page_records))
            again = [r for r in shard.records if r.number <= after][-self.repeats :] if found and self.repeats else []
            at = found[-1].number if found else after
            ended = shard.last is not None and not shard.after(at, 1)
            page = [_as_boto3_gives_it(self.bodies[record.number]) for record in (*again, *found)]
            return RecordsPage(page, None if ended else self._iterator(shard_id, at, self.empty_pages if found else 0))

    # ---- inside

    def _keep(self, number: int, body: dict[str, Any]) -> bytes:
        """Bodies are kept here, because some are nothing that JSON could hold."""
        self.bodies[number] = body
        return b""

    @property
    def _now(self) -> float:
        return self.clock.ms / 1000

    def _meet(self, operation: str) -> None:
        self.calls[operation] += 1
        if operation in self.denied:
            raise PermissionMissing(
                "not authorized", hint="It is a model.", operation=operation, table=self.table.table
            )
        if self.errors.get(operation):
            raise self.errors[operation].pop(0)

    def _shard(self, shard_id: str) -> Shard:
        shard = self.model.shards.get(shard_id)
        if shard is None or shard_id in self.gone or shard.visible_at > self._now:
            raise NotFound("no such shard", hint="It is a model.", shard=shard_id)
        return shard

    def _info(self, shard: Shard) -> ShardInfo:
        parent = self.parents.get(shard.shard_id, shard.parent)
        last = None if shard.last is None else SequenceNumber(shard.last)
        return ShardInfo(shard.shard_id, parent, SequenceNumber(shard.first), last)

    def _iterator(self, shard_id: str, after: int, empty_pages: int) -> str:
        self._given += 1
        iterator = f"{shard_id}/{self._given}"
        self._iterators[iterator] = (shard_id, after, empty_pages, self.clock.ms)
        return iterator


def _as_boto3_gives_it(record: Any) -> dict[str, Any]:
    change = record.get("dynamodb")
    created = change.get("ApproximateCreationDateTime") if isinstance(change, dict) else None
    if not isinstance(created, int):
        return dict(record)
    return {**record, "dynamodb": {**change, "ApproximateCreationDateTime": datetime.fromtimestamp(created, UTC)}}


def _written_ms(written: Written) -> int:
    """When it had surely been written: it tells the second. Of a bad record nobody knows."""
    return 1 << 62 if written.line is None else head_of(written.line).created_ms + 1000


def published(landing: Landing) -> list[tuple[int, bytes]]:
    """(sequence number, line) of everything that the manifest lists, in publish order."""
    found = landing.load()
    if found is None:
        return []
    return [
        (int(json.loads(line)["Metadata"]["SequenceNumber"]["S"]), line)
        for segment in landing.segments(found.manifest)
        for line in gzip.decompress(b"".join(landing.read_segment(segment))).rstrip(b"\n").split(b"\n")
    ]


def violations(source: ModelSource, landing: Landing, *, settled: bool = False, delivered: bool = False) -> list[str]:
    """What is wrong between a stream and its landing zone at this moment, whatever has happened so far.

    Every record up to a shard's mark stands in exactly one segment or in quarantine, once; nothing beyond a mark stands in
    a segment; what was lost has a gap, and a gap has its reason; each key's changes are published in their order. `settled`:
    capture has caught up, so nothing at all may be missing but what a gap tells. `delivered`: a function lands the changes, so
    they may come again, out of order and before a mark; never later than one, nor than `captured_through_ms`.
    """
    found = landing.load()
    if found is None:
        return []
    manifest = found.manifest
    lines = published(landing)
    times, line_of_number = Counter(number for number, _ in lines), dict(lines)
    aside = Counter(record.payload for file in landing.quarantined() for record in file.records)
    gaps = {gap.shard for gap in manifest.gaps}
    wrong: list[str] = []
    for written in source.log:
        what = f"{written.key} at {written.number} in {written.shard_id}"
        shard = manifest.shards.get(written.shard_id)
        is_lost = written.number in source.trimmed or written.shard_id in source.gone
        is_due = shard is not None and (shard.finished_ms is not None or written.number <= (shard.mark or 0))
        copies = times[written.number] if written.line is not None else aside[written.payload]
        is_due = is_due or (delivered and _written_ms(written) <= (manifest.captured_through_ms or 0))
        if copies > 1 and not delivered:
            wrong.append(f"{what} is there {copies} times")
        if copies == 0 and (is_due or settled):
            if not is_lost:
                wrong.append(f"{what} is missing")
            elif not gaps or (shard is not None and written.shard_id not in gaps):
                wrong.append(f"{what} was lost silently")
        if times[written.number] and shard is not None and not is_due and not delivered:
            wrong.append(f"{what} is published beyond the mark")
        if line_of_number.get(written.number, written.line) != written.line:
            wrong.append(f"{what} reads {line_of_number[written.number]!r}")
    trimmed = [w for w in source.log if w.number in source.trimmed]
    wrong.extend(
        f"nothing was trimmed in the gap of {gap.shard} after {gap.after}"
        for gap in manifest.gaps
        if gap.kind == "stream_trimmed" and gap.after is not None
        if not any(w.shard_id == gap.shard and w.number > gap.after for w in trimmed)
    )
    newest: dict[str, int] = {}
    for number, line in lines:
        key = json.loads(line)["Keys"]["pk"]["S"]
        if number <= newest.get(key, 0) and not delivered:
            wrong.append(f"{key} goes back from {newest[key]} to {number}")
        newest[key] = number
    return wrong
