"""The verify job: every key and every value of a table against a target's live rows, without stopping anybody's work.

The target is read first, the table after it, so a key that differs has changed in between, is still on its way, or is wrong.
Those keys, and only those, are looked at again until they are equal or there is nothing left to wait for. Of all others 16 bytes
are kept.
"""

from __future__ import annotations

import base64
import contextlib
import json
import tempfile
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import IO, Any, Final, Literal, TypeAlias

import pyarrow as pa

from tailrace.capture.table import Item, TableSource, scan_pages
from tailrace.clock import Clock
from tailrace.codec import inflate
from tailrace.decide.digest import (
    DIGEST_BYTES,
    Entry,
    differing,
    digest,
    key_digest,
    source_entries,
    target_entries,
    target_key,
    whole_entries,
)
from tailrace.decide.load import watermark
from tailrace.errors import NotFound, SourceChanged
from tailrace.jobs.load import table_spec, unloaded
from tailrace.landing import Landing
from tailrace.model.keys import KeySchema, canonical_key
from tailrace.model.manifest import Gap, Manifest
from tailrace.model.numbers import canonical_number
from tailrace.model.schema import Column
from tailrace.targets.target import Layout, Ledger, Mode, TableSpec, Target

SCAN_SEGMENTS: Final = 8
SUSPECTS_MAX: Final = 100_000  # keys held in full to be looked at again; differences beyond them are counted only
EXAMPLES_MAX: Final = 20
SETTLE_SECONDS: Final = 10.0  # how long a change may take to the target before its absence means something
AWAKE_SECONDS: Final = 0.2  # a signal's handler runs only when the main thread is awake
PAUSE_SECONDS_MIN: Final = 0.25  # between two looks at the keys that differ
PAUSE_SECONDS_MAX: Final = 2.0

Kind: TypeAlias = Literal["missing", "extra", "different"]
Progress: TypeAlias = Callable[[str, int], None]
"""Gets what is being done and how many rows, items or keys of it are done (or, for rechecks, left)."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One key that is not the same. `key` is DynamoDB JSON; `attributes` are those that differ, none for whole rows."""

    key: Mapping[str, Mapping[str, Any]]
    kind: Kind
    attributes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What a comparison found. Keys counted under `waiting` and `moving` are in none of the three kinds of differences.

    `waiting`: a change of theirs is landed and not loaded; `unloaded` counts such segments. `moving`: changed again and
    again, and the target followed, but never were both seen alike. `unchecked`: differences looked at only once.
    """

    table: str
    target: str
    mode: Mode
    keys_source: int
    keys_target: int
    missing: int
    extra: int
    different: int
    examples: tuple[Difference, ...]
    waiting: int
    moving: int
    unchecked: int
    unloaded: int
    gaps: tuple[Gap, ...]
    quarantined: int
    captured_through_ms: int | None
    begun_ms: int

    @property
    def equal(self) -> bool:
        """Nothing differs that could be compared."""
        return self.missing == self.extra == self.different == 0

    @property
    def verified(self) -> bool:
        """Equal, and nothing waits to be loaded first."""
        return self.equal and self.waiting == 0

    def to_json(self) -> dict[str, Any]:
        """The JSON form; scripts depend on it."""
        return {
            "table": self.table,
            "target": self.target,
            "mode": self.mode,
            "verified": self.verified,
            "keys_source": self.keys_source,
            "keys_target": self.keys_target,
            "missing": self.missing,
            "extra": self.extra,
            "different": self.different,
            "examples": [
                {"key": _shown_key(e.key), "kind": e.kind, "attributes": list(e.attributes)} for e in self.examples
            ],
            "waiting": self.waiting,
            "moving": self.moving,
            "unchecked": self.unchecked,
            "segments_unloaded": self.unloaded,
            "gaps": [gap.to_json() for gap in self.gaps],
            "quarantined": self.quarantined,
        }


class DigestBag:
    """A multiset of digests in 16 bytes each and a little more: ten million keys take less than 250 MB."""

    def __init__(self) -> None:
        self._buckets: dict[bytes, bytearray] = defaultdict(bytearray)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, item: bytes) -> None:
        self._buckets[item[:2]] += item
        self._count += 1

    def discard(self, item: bytes) -> bool:
        """Take one out; False where there is none."""
        bucket = self._buckets.get(item[:2])
        if bucket is None:
            return False
        at = bucket.find(item)
        while at % DIGEST_BYTES and at >= 0:  # found across a border
            at = bucket.find(item, at + 1)
        if at < 0:
            return False
        bucket[at : at + DIGEST_BYTES] = bucket[-DIGEST_BYTES:]
        del bucket[-DIGEST_BYTES:]
        self._count -= 1
        return True


@dataclass(slots=True)
class _Suspect:
    """A key whose row was not the table's item. `seen`: what the item has been since the scan, None where it was absent."""

    key: Item
    seen: list[bytes | None]
    changed: float  # when the newest of them was seen first, on the monotonic clock
    rows: list[bytes | None] = field(default_factory=list)  # what the target's row has been
    is_double: bool = False  # the target has several rows
    attributes: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        if self.seen[-1] is None or self.is_double:
            return "extra"
        return "missing" if self.rows[-1] is None else "different"


def verify(
    table: TableSource,
    landing: Landing,
    target: Target,
    name: str,
    mode: Mode,
    clock: Clock,
    *,
    deadline_seconds: float = 60.0,
    suspects_max: int = SUSPECTS_MAX,
    on_progress: Progress = lambda what, done: None,
    layout: Layout = Layout(),  # noqa: B008  (frozen)
) -> VerifyReport:
    """Compare a table with one of its targets. Raises NotFound where nothing was captured yet, and what the ports raise."""
    verification = _Verification(table, landing, target, name, mode, layout, clock, suspects_max, on_progress)
    return verification.run(deadline_seconds)


class _Verification:
    def __init__(
        self,
        table: TableSource,
        landing: Landing,
        target: Target,
        name: str,
        mode: Mode,
        layout: Layout,
        clock: Clock,
        suspects_max: int,
        on_progress: Progress,
    ) -> None:
        self._table = table
        self._landing = landing
        self._target = target
        self._clock = clock
        self._suspects_max = suspects_max
        self._on_progress = on_progress
        self._manifest = self._published()
        self._spec: TableSpec = table_spec(self._manifest, name, mode, layout)
        self._keys: KeySchema = self._spec.keys
        self._begun_ms = clock.now_ms()
        self._ledger = Ledger()
        self._columns: dict[tuple[str, ...], list[Column]] = {}
        self._lock = threading.Lock()
        self._unmatched = DigestBag()  # rows of the target that no item equals
        self._equal = 0  # keys found the same on both sides
        self._scanned = 0
        self._suspects: dict[str, _Suspect] = {}
        self._beyond = DigestBag()  # key digests of items that differ, beyond `suspects_max`
        self._counted: dict[Kind, int] = dict.fromkeys(("missing", "extra", "different"), 0)  # without a second look
        self._damaged: list[Difference] = []  # rows whose key nobody can read

    def run(self, deadline_seconds: float) -> VerifyReport:
        deadline = self._clock.monotonic() + deadline_seconds
        with tempfile.TemporaryFile(prefix="tailrace-verify-") as spool:
            schema = self._read_target(spool)
            self._scan_table()
            if schema is not None and len(self._unmatched):
                self._name_unmatched(spool, schema)
        self._counted["missing"] += len(self._beyond)
        proven = self._look_until(deadline)
        return self._report(proven)

    def _published(self) -> Manifest:
        published = self._landing.load()
        if published is None:
            table = self._landing.table
            raise NotFound("Nothing was captured of this table yet", hint="Start `tailrace run` first.", table=table)
        return published.manifest

    # ---- once over everything

    def _read_target(self, spool: IO[bytes]) -> pa.Schema | None:
        """Copy the rows to a file of our own, because the target may be held only shortly; then digest them."""
        writer, done = None, 0
        for batch in self._target.rows(self._spec):
            if writer is None:
                writer = pa.ipc.new_stream(spool, batch.schema, options=pa.ipc.IpcWriteOptions(compression="lz4"))
            writer.write_batch(batch)
            done += batch.num_rows
            self._on_progress("reading the target", done)
        if writer is None:
            return None
        writer.close()
        schema = batch.schema
        for done, (_, entries) in enumerate(self._rows(spool, schema), start=1):
            self._unmatched.add(digest(entries))
            if done % 1000 == 0:
                self._on_progress("digesting the target's rows", done)
        return schema

    def _rows(self, spool: IO[bytes], schema: pa.Schema) -> Iterator[tuple[list[Any], list[Entry]]]:
        """The copied rows as key values and entries."""
        spool.seek(0)
        columns = self._columns_of(schema)
        with pa.ipc.open_stream(spool) as batches:
            for batch in batches:
                yield from _unpacked(batch, columns, self._keys)

    def _columns_of(self, schema: pa.Schema) -> list[Column]:
        """The columns that rows read before this call have, in the rows' order: columns are only ever added."""
        names = tuple(schema.names)
        if names not in self._columns:
            known = {column.name: column for column in self._target.ledger(self._spec).columns}
            self._columns[names] = [known[name] for name in names if name in known]
        return self._columns[names]

    def _scan_table(self) -> None:
        """All items, in parallel; what equals a row takes it out of `_unmatched`, the rest becomes suspects."""
        stop = threading.Event()
        with ThreadPoolExecutor(SCAN_SEGMENTS, thread_name_prefix="tailrace-scan") as pool:
            try:
                parts = [pool.submit(self._scan_part, part, stop) for part in range(SCAN_SEGMENTS)]
                while wait(parts, timeout=AWAKE_SECONDS, return_when=FIRST_EXCEPTION).not_done:
                    if any(part.done() and part.exception() is not None for part in parts):
                        break
                for part in parts:
                    if part.done():
                        part.result()
            finally:
                stop.set()  # after a failure or Ctrl-C the others end with their page

    def _scan_part(self, part: int, stop: threading.Event) -> None:
        for page in scan_pages(self._table, part, SCAN_SEGMENTS):
            now = self._clock.monotonic()
            found = [(item, digest(self._entries(item))) for item in page]
            with self._lock:
                for item, item_digest in found:
                    if self._unmatched.discard(item_digest):
                        self._equal += 1
                    else:
                        self._suspect(item, item_digest, now)
                self._scanned += len(found)
                self._on_progress("scanning the table", self._scanned)
            if stop.is_set():
                return

    def _suspect(self, item: Item, item_digest: bytes, now: float) -> None:
        key = self._key_of(item)
        if len(self._suspects) < self._suspects_max:
            self._suspects[key] = _Suspect({n: item[n] for n in self._keys.names}, [item_digest], now)
        else:
            self._beyond.add(key_digest(key))

    def _entries(self, item: Item) -> list[Entry]:
        """As a row of the target should be."""
        return source_entries(item) if self._spec.layout.shape == "columns" else whole_entries(item, self._keys)

    def _key_of(self, item: Item) -> str:
        try:
            return canonical_key(self._keys, item)
        except ValueError as error:
            raise SourceChanged(
                f"An item does not have the key that was captured: {error}",
                hint="The table was made anew with another key; start over with a new landing prefix and target table.",
                table=self._spec.source,
            ) from error

    def _name_unmatched(self, spool: IO[bytes], schema: pa.Schema) -> None:
        """The keys of the rows that no item equals; only their digests were kept."""
        now = self._clock.monotonic()
        for key_values, entries in self._rows(spool, schema):
            if not self._unmatched.discard(digest(entries)):
                continue
            try:
                key = _key_of_row(self._keys, key_values)
            except ValueError:
                shown = zip(self._keys.attributes, key_values, strict=True)
                self._damaged.append(Difference({a.name: {a.tag: v} for a, v in shown}, "extra"))
                continue
            if key in self._suspects:
                continue
            if self._beyond.discard(key_digest(key)):
                self._counted["different"] += 1
            elif len(self._suspects) < self._suspects_max:
                self._suspects[key] = _Suspect(_typed(self._keys, key_values), [None], now)
            else:
                self._counted["extra"] += 1
            if not len(self._unmatched):
                break

    # ---- again and again over what differs

    def _look_until(self, deadline: float) -> dict[str, _Suspect]:
        """Look at the suspects until each is equal or proven different; those that are not equal."""
        proven: dict[str, _Suspect] = {}
        self._suspects = dict(sorted(self._suspects.items()))  # so that the examples are the same ones each time
        pause, standing, still_since = PAUSE_SECONDS_MIN, (0, 0, 0), self._clock.monotonic()
        if not self._suspects:
            self._see_what_is_loaded()
        while self._suspects:
            begun = self._clock.monotonic()
            self._on_progress("waiting for keys that differ", len(self._suspects))
            self._see_what_is_loaded()
            found = (self._manifest.version, self._ledger.applied_through, len(self._ledger.applied_beyond))
            if found != standing:
                standing, still_since = found, begun
            self._look()
            now = self._clock.monotonic()
            for key in [k for k, s in self._suspects.items() if self._is_proven(s, now, now - still_since)]:
                proven[key] = self._suspects.pop(key)
            if now >= deadline:
                break
            if self._suspects:
                self._clock.wait(min(max(pause, now - begun), max(0.0, deadline - now)), threading.Event())
            pause = min(2 * pause, PAUSE_SECONDS_MAX)
        return proven | self._suspects

    def _see_what_is_loaded(self) -> None:
        self._manifest = self._published()
        self._ledger = self._target.ledger(self._spec)

    def _look(self) -> None:
        """One more look at every suspect, at the target first: what it shows now the table had before, or has now."""
        rows = self._found_rows(list(self._suspects.values()))
        behind: list[_Suspect] = []
        for key, suspect in list(self._suspects.items()):
            found = rows.get(key, [])
            suspect.is_double = len(found) > 1
            row = None if not found else digest(found[0]) if len(found) == 1 else digest([("", "", found)])
            if row not in suspect.rows[-1:]:
                suspect.rows.append(row)
            if row in suspect.seen:
                self._settle(key)
            else:
                behind.append(suspect)
        items = {self._key_of(i): self._entries(i) for i in self._table.get_items([s.key for s in behind])}
        now, shown = self._clock.monotonic(), 0
        for key, suspect in list(self._suspects.items()):
            entries = items.get(key)
            item_digest = None if entries is None else digest(entries)
            if item_digest != suspect.seen[-1]:
                suspect.seen.append(item_digest)
                suspect.changed = now
            if item_digest == suspect.rows[-1]:
                self._settle(key)
            elif shown < EXAMPLES_MAX:
                shown += 1
                found = rows.get(key, [])
                suspect.attributes = tuple(differing(entries, found[0])) if entries and len(found) == 1 else ()

    def _settle(self, key: str) -> None:
        suspect = self._suspects.pop(key)
        self._equal += suspect.rows[-1] is not None

    def _found_rows(self, suspects: Sequence[_Suspect]) -> dict[str, list[list[Entry]]]:
        """The target's rows of these keys, by canonical key."""
        found: dict[str, list[list[Entry]]] = defaultdict(list)
        if not self._ledger.columns:
            return found
        rows = self._target.find(self._spec, [_parts(self._keys, suspect.key) for suspect in suspects])
        columns = self._columns_of(rows.schema)
        for batch in rows.to_batches():
            for key_values, entries in _unpacked(batch, columns, self._keys):
                found[_key_of_row(self._keys, key_values)].append(entries)
        return found

    def _is_proven(self, suspect: _Suspect, now: float, still_seconds: float) -> bool:
        """Whether waiting longer would change nothing: what the item is now should have arrived.

        Either the target says that it is complete up to a moment well after the item's last change, or nobody has captured
        or loaded anything for so long that nobody seems to be at work.
        """
        age = now - suspect.changed
        if age < SETTLE_SECONDS:
            return False
        mark = watermark(self._manifest, self._ledger.applied_through, self._ledger.through_ms).ms
        changed_ms = self._clock.now_ms() - age * 1000
        return still_seconds >= SETTLE_SECONDS or (mark is not None and mark >= changed_ms + SETTLE_SECONDS * 1000)

    # ---- what it comes to

    def _report(self, unequal: dict[str, _Suspect]) -> VerifyReport:
        waiting = self._keys_waiting(unequal)
        now = self._clock.monotonic()
        counts = dict(self._counted)
        counts["extra"] += len(self._damaged)
        moving, examples = 0, list(self._damaged[:EXAMPLES_MAX])
        for key, suspect in sorted(unequal.items()):
            if key in waiting:
                continue
            if len(suspect.rows) > 1 and now - suspect.changed < SETTLE_SECONDS:
                moving += 1
                continue
            counts[suspect.kind] += 1
            if len(examples) < EXAMPLES_MAX:
                examples.append(Difference(suspect.key, suspect.kind, suspect.attributes))
        both = self._counted["different"]
        return VerifyReport(
            table=self._spec.source,
            target=self._target.name,
            mode=self._spec.mode,
            keys_source=self._equal
            + sum(s.seen[-1] is not None for s in unequal.values())
            + self._counted["missing"]
            + both,
            keys_target=self._equal
            + sum(s.rows[-1] is not None for s in unequal.values())
            + self._counted["extra"]
            + both
            + len(self._damaged),
            missing=counts["missing"],
            extra=counts["extra"],
            different=counts["different"],
            examples=tuple(examples),
            waiting=len(waiting),
            moving=moving,
            unchecked=sum(self._counted.values()),
            unloaded=unloaded(self._manifest, self._ledger),
            gaps=self._manifest.open_gaps,
            quarantined=sum(len(file.records) for file in self._landing.quarantined()),
            captured_through_ms=self._manifest.captured_through_ms,
            begun_ms=self._begun_ms,
        )

    def _keys_waiting(self, unequal: Mapping[str, _Suspect]) -> set[str]:
        """Which of these keys have a change that is landed and not loaded: nobody can say yet whether they are right."""
        if not unequal or not unloaded(self._manifest, self._ledger):
            return set()
        waiting: set[str] = set()
        for segment in self._landing.segments(self._manifest, after=self._ledger.applied_through):
            if self._ledger.holds(segment.number) or len(waiting) == len(unequal):
                continue
            self._on_progress("reading segments that are not loaded", segment.number)
            for line in _lines(self._landing.read_segment(segment)):
                with contextlib.suppress(ValueError, AttributeError, RecursionError):  # quarantine will say so
                    record = json.loads(line)
                    key = canonical_key(self._keys, record.get("Keys") or record.get("Item") or {})
                    if key in unequal:
                        waiting.add(key)
        return waiting


def _lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The lines of a segment, which may be a file of an export: as a load reads it."""
    rest = b""
    for chunk in inflate(chunks):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    if rest:
        yield rest


def _unpacked(
    batch: pa.RecordBatch, columns: Sequence[Column], keys: KeySchema
) -> Iterator[tuple[list[Any], list[Entry]]]:
    """Rows as key values and entries."""
    values = [batch.column(batch.schema.get_field_index(column.name)).to_pylist() for column in columns]
    places = [
        next(i for i, c in enumerate(columns) if (c.attribute, c.tag) == (a.name, a.tag)) for a in keys.attributes
    ]
    for row in zip(*values, strict=True):
        yield [row[place] for place in places], target_entries(columns, row)


def _key_of_row(keys: KeySchema, values: Sequence[Any]) -> str:
    """Raises ValueError for a key that no item can have."""
    if any(value is None for value in values):
        raise ValueError("a key column is NULL")
    return target_key(keys, values)


def _typed(keys: KeySchema, values: Sequence[Any]) -> Item:
    """A row's key as DynamoDB takes it."""
    pairs = zip(keys.attributes, values, strict=True)
    return {a.name: {a.tag: canonical_number(str(v)) if a.tag == "N" else v} for a, v in pairs}


def _parts(keys: KeySchema, key: Item) -> list[str | bytes]:
    """A key as `Target.find` takes it."""
    return [canonical_number(key[a.name]["N"]) if a.tag == "N" else key[a.name][a.tag] for a in keys.attributes]


def _shown_key(key: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    def shown(value: Any) -> Any:
        if isinstance(value, bytes):
            return base64.b64encode(value).decode("ascii")
        return value if value is None else str(value)

    return {name: {tag: shown(value) for tag, value in typed.items()} for name, typed in key.items()}
