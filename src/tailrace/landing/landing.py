"""One table's folder in a store: its manifest, its segments, its quarantine. Knows neither DynamoDB nor targets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tailrace.errors import (
    AlreadyExists,
    ManifestInvalid,
    NotFound,
    OutcomeUnknown,
    SegmentCorrupt,
    SegmentMissing,
    ServiceUnavailable,
    StateContended,
)
from tailrace.landing.names import MANIFEST, changes_name, check_table, page_name, quarantine_name
from tailrace.landing.segments import Packed, SegmentDraft, pack, unpack
from tailrace.landing.store import Store
from tailrace.model.manifest import Manifest, Page
from tailrace.model.quarantine import QuarantinedRecord
from tailrace.model.segments import Segment

SEGMENTS_MAX: Final = (
    1000  # entries in the manifest document before the older half moves to a page (about 300 KB)
)
CHUNK_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Published:
    """A manifest as the store holds it, with the version that the next compare-and-swap names."""

    manifest: Manifest
    version: str


@dataclass(frozen=True, slots=True)
class WrittenSegment:
    """A durable segment that no manifest lists yet."""

    draft: SegmentDraft
    name: str
    bytes: int
    sha256: str

    def entry(self, number: int, published_ms: int, through_ms: int | None) -> Segment:
        """The manifest entry that publishes it as segment `number`."""
        return Segment(
            number=number,
            name=self.name,
            kind=self.draft.kind,
            rows=len(self.draft.lines),
            bytes=self.bytes,
            sha256=self.sha256,
            published_ms=published_ms,
            through_ms=through_ms,
            newest_change_ms=self.draft.newest_change_ms,
            shards=dict(self.draft.shards),
        )


@dataclass(frozen=True, slots=True)
class QuarantineFile:
    """One object of set-aside records."""

    name: str
    records: tuple[QuarantinedRecord, ...]


class Landing:
    """See the module. One object per table and process: it remembers the newest manifest version it has seen."""

    def __init__(self, store: Store, table: str) -> None:
        self.store = store
        self.table = check_table(table)
        self._newest_version = 0

    # ---- manifest

    def load(self) -> Published | None:
        """The manifest; None for a table that was never captured. Raises ManifestInvalid when it is older than one seen before."""
        try:
            stored = self.store.read(self._name(MANIFEST))
        except NotFound:
            if self._newest_version > 0:
                raise self._went_back("is gone") from None
            return None
        manifest = Manifest.from_bytes(stored.data)
        if manifest.version < self._newest_version:
            raise self._went_back(f"has version {manifest.version} after {self._newest_version} was seen")
        self._newest_version = manifest.version
        return Published(manifest, stored.version)

    def save(self, manifest: Manifest, expected: Published | None, writer: str) -> Published:
        """Publish `manifest` with one compare-and-swap over `expected` (None: there is none yet).

        An unknown outcome is settled by reading back: our `writer` nonce with our version means it was applied.
        Raises StateContended when another worker published first, ServiceUnavailable when nothing was published.
        """
        manifest = self._paged(manifest).published_by(writer)
        if expected is not None and manifest.version != expected.manifest.version + 1:
            raise AssertionError(f"version {manifest.version} does not follow {expected.manifest.version}")
        version = None if expected is None else expected.version
        try:
            saved = Published(
                manifest, self.store.replace(self._name(MANIFEST), manifest.to_bytes(), version)
            )
        except (StateContended, OutcomeUnknown) as error:
            saved = self._settle(manifest, version, error)
        self._newest_version = manifest.version
        return saved

    def _settle(
        self, manifest: Manifest, expected: str | None, error: StateContended | OutcomeUnknown
    ) -> Published:
        """Did our write happen? After a lost answer, and after a refusal that may be the echo of our own first attempt."""
        found = self.load()
        if found is not None and found.manifest == manifest:
            return found
        if isinstance(error, OutcomeUnknown) and (found.version if found else None) == expected:
            raise ServiceUnavailable(
                "The manifest was not published", hint="Nothing was lost; it is repeated.", table=self.table
            ) from error
        raise StateContended(
            "Another worker published first", hint="Read the manifest again and go on.", table=self.table
        ) from error

    def _paged(self, manifest: Manifest) -> Manifest:
        """Move the older half of the entries to an immutable page once the document has grown."""
        if len(manifest.segments) <= SEGMENTS_MAX:
            return manifest
        cut = len(manifest.segments) // 2
        old = manifest.segments[:cut]
        data = (
            json.dumps([s.to_json() for s in old], ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        )
        name = page_name(old[0].number, old[-1].number, hashlib.sha256(data).hexdigest())
        self.store.create(self._name(name), data)
        page = Page(name, old[0].number, old[-1].number, sum(s.rows for s in old), sum(s.bytes for s in old))
        return replace(manifest, pages=(*manifest.pages, page), segments=manifest.segments[cut:])

    def _went_back(self, what: str) -> ManifestInvalid:
        return ManifestInvalid(
            f"The manifest {what}: it was restored from an old backup, or deleted",
            hint="Put the newest manifest back. Going on would capture or load changes twice.",
            table=self.table,
        )

    # ---- segments

    def segments(self, manifest: Manifest, *, after: int = 0) -> Iterator[Segment]:
        """Entries with a greater number than `after`, in publish order; pages are read only where needed."""
        for page in manifest.pages:
            if page.last_number > after:
                entries = json.loads(self.store.read(self._name(page.name)).data)
                yield from (s for s in map(Segment.from_json, entries) if s.number > after)
        yield from (s for s in manifest.segments if s.number > after)

    def write_segment(self, draft: SegmentDraft) -> WrittenSegment:
        """Make a draft durable under its own name. Repeating it changes nothing."""
        packed = pack(draft.lines)
        name = changes_name(draft.first, draft.last, packed.sha256, draft.at_ms)
        stored_bytes = self._create_packed(name, packed)
        return WrittenSegment(draft, name, stored_bytes, packed.sha256)

    def read_segment(self, segment: Segment) -> Iterator[bytes]:
        """The object's bytes in chunks. Raises SegmentMissing, or SegmentCorrupt when its length is not as listed."""
        try:
            stream = self.store.open(self._name(segment.name))
        except NotFound as error:
            raise SegmentMissing(
                "A segment that the manifest lists is gone",
                hint="Somebody or a lifecycle rule deleted it. Restore it from a bucket version, or start a new epoch.",
                table=self.table,
                segment=segment.name,
            ) from error
        total = 0
        with stream:
            while chunk := stream.read(CHUNK_BYTES):
                total += len(chunk)
                yield chunk
        if total != segment.bytes:
            raise SegmentCorrupt(
                f"A segment has {total} bytes where the manifest says {segment.bytes}",
                hint="It was changed or cut after it was published. Restore it from a bucket version.",
                table=self.table,
                segment=segment.name,
            )

    def verify_segment(self, segment: Segment) -> None:
        """Compare the content with the manifest's sha256; raises SegmentCorrupt or SegmentMissing."""
        plain = unpack(b"".join(self.read_segment(segment)))
        if hashlib.sha256(plain).hexdigest() != segment.sha256:
            raise SegmentCorrupt(
                "A segment's content is not what was published",
                hint="Restore it from a bucket version.",
                table=self.table,
                segment=segment.name,
            )

    def _create_packed(self, name: str, packed: Packed) -> int:
        """Create an object; one that holds the same content in other gzip bytes is the same. Its stored length."""
        full = self._name(name)
        try:
            self.store.create(full, packed.data)
        except AlreadyExists:
            stored = self.store.read(full).data
            if hashlib.sha256(unpack(stored)).hexdigest() != packed.sha256:
                raise
            return len(stored)
        return len(packed.data)

    # ---- quarantine

    def quarantine(self, origin: str, records: Sequence[QuarantinedRecord]) -> str:
        """Set records aside, durably and idempotently; the object's name."""
        packed = pack([record.to_bytes() for record in records])
        name = quarantine_name(origin, packed.sha256)
        self._create_packed(name, packed)
        return name

    def quarantined(self) -> Iterator[QuarantineFile]:
        """All set-aside records, in name order."""
        root = self._name("")
        for listed in self.store.list(self._name("quarantine/")):
            yield self.quarantine_file(listed.name.removeprefix(root))

    def quarantine_file(self, name: str) -> QuarantineFile:
        """One object of set-aside records. Raises NotFound."""
        lines = unpack(self.store.read(self._name(name)).data).split(b"\n")
        return QuarantineFile(name, tuple(QuarantinedRecord.from_bytes(line) for line in lines if line))

    def release(self, name: str) -> None:
        """Forget one object of set-aside records: it was replayed or dropped."""
        self.store.delete(self._name(name))

    def _name(self, name: str) -> str:
        return f"{self.table}/{name}"
