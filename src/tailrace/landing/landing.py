"""One table's folder in a store: manifest, segments, quarantine. Knows neither DynamoDB nor targets."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import itertools
import json
import posixpath
from collections.abc import Iterator, Mapping, Sequence
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
    Transient,
    UsageInvalid,
)
from tailrace.landing.names import (
    MANIFEST,
    QUARANTINE,
    base_name,
    changes_name,
    check_table,
    compacted_name,
    day_folders,
    is_changes,
    keys_name,
    lease_name,
    page_name,
    quarantined_in,
    settled_name,
    sweep_name,
)
from tailrace.landing.quarantine import QuarantineFile, pack_records, unpack_records
from tailrace.landing.segments import (
    LandedFile,
    Packed,
    SegmentDraft,
    WrittenSegment,
    content_sha256,
    name_digest,
    pack,
    unpacked,
)
from tailrace.landing.store import Listed, Store
from tailrace.model.lease import Lease
from tailrace.model.manifest import MANIFEST_FORMAT, Manifest, Page
from tailrace.model.quarantine import QuarantinedRecord
from tailrace.model.segments import Place, Segment

SEGMENTS_MAX: Final = 1000  # entries in the manifest before the older ones move to a page; about 300 KB
SEGMENTS_KEPT: Final = 100  # newest entries that stay: a loader that keeps up never reads a page
DOCUMENT_BYTES_MAX: Final = 512 << 10  # many shards make entries large: then entries move out earlier
CHUNK_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Published:
    """A manifest as the store holds it, with the version that the next compare-and-swap names."""

    manifest: Manifest
    version: str


@dataclass(frozen=True, slots=True)
class Leased:
    """A loader lease as the store holds it, with the version that the next compare-and-swap names; None: there was none yet."""

    lease: Lease
    version: str | None


class Landing:
    """Everything Tailrace keeps of one table. Safe to share between threads.

    It remembers the newest manifest version that it has seen, and refuses an older one: going on from a
    restored backup would capture or load changes twice.
    """

    def __init__(self, store: Store, table: str) -> None:
        self.store = store
        self.table = check_table(table)
        self._newest = 0

    # ---- manifest

    def load(self) -> Published | None:
        """The manifest; None for a table that was never captured. Raises ManifestInvalid."""
        newest = self._newest  # before the read: another thread may publish while we read
        try:
            stored = self.store.read(self._name(MANIFEST))
        except NotFound:
            if newest > 0:
                raise self._went_back("is gone") from None
            return None
        manifest = Manifest.from_bytes(stored.data)
        if manifest.version < newest:
            raise self._went_back(f"has version {manifest.version} after {newest} was seen")
        self._newest = max(self._newest, manifest.version)
        return Published(manifest, stored.version)

    def save(self, manifest: Manifest, expected: Published | None, writer: str) -> Published:
        """Publish the successor of `expected` (None: there is none yet) with one compare-and-swap.

        `writer` is a nonce of this worker. Older entries may move to a page, so go on from the result.
        Raises StateContended when another worker published first, ServiceUnavailable when nobody did.
        """
        version, document_version = (expected.manifest.version, expected.version) if expected else (0, None)
        assert manifest.version == version, f"version {manifest.version} is no successor of {version}"
        manifest = self._paged(manifest.published_by(writer))
        data = manifest.to_bytes()
        try:
            saved = Published(manifest, self.store.replace(self._name(MANIFEST), data, document_version))
        except (StateContended, OutcomeUnknown) as error:
            saved = self._settle(data, document_version, error)
        self._newest = max(self._newest, manifest.version)
        return saved

    def _settle(self, data: bytes, expected: str | None, error: Transient) -> Published:
        """Did our write happen? A refusal may be the echo of our own first attempt, so it is looked at too.

        All bytes must be ours, not just nonce and version: after an answer that never came, the same worker
        may have tried again with more segments, and the first attempt may have won.
        """
        found = self.load()
        if found is not None and found.manifest.to_bytes() == data:
            return found
        if isinstance(error, OutcomeUnknown) and (None if found is None else found.version) == expected:
            raise ServiceUnavailable(
                "The manifest was not published", hint="Nothing was lost; it is repeated.", table=self.table
            ) from error
        raise StateContended(
            "Another worker published first", hint="Read the manifest again and go on.", table=self.table
        ) from error

    def _paged(self, manifest: Manifest) -> Manifest:
        """Move all but the newest entries to an immutable page, once the document has grown."""
        count = len(manifest.segments)
        if count <= SEGMENTS_KEPT:
            return manifest
        if count <= SEGMENTS_MAX and len(manifest.to_bytes()) <= DOCUMENT_BYTES_MAX:
            return manifest
        page = self._write_page(manifest.segments[:-SEGMENTS_KEPT])
        return replace(manifest, pages=(*manifest.pages, page), segments=manifest.segments[-SEGMENTS_KEPT:])

    def _write_page(self, entries: Sequence[Segment]) -> Page:
        document = {"format": MANIFEST_FORMAT, "segments": [segment.to_json() for segment in entries]}
        data = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        first, last = entries[0].number, entries[-1].number
        name = page_name(first, last, hashlib.sha256(data).hexdigest())
        self.store.create(self._name(name), data)
        return Page(name, first, last, sum(entry.rows for entry in entries), sum(entry.bytes for entry in entries))

    def with_places(self, manifest: Manifest, places: Mapping[int, Place]) -> tuple[Manifest, tuple[str, ...]]:
        """The manifest with these segments (by number) in their new places, and the names of pages that are replaced.

        A page is immutable, so one with new contents is written under its own name before the manifest can name it.
        """
        first, last = min(places), max(places)

        def placed(entries: Sequence[Segment]) -> tuple[Segment, ...]:
            return tuple(replace(e, place=places[e.number]) if e.number in places else e for e in entries)

        pages, replaced = [], []
        for page in manifest.pages:
            if first <= page.last_number and page.first_number <= last:
                new = self._write_page(placed(self.entries_of(page)))
                if new != page:
                    replaced.append(page.name)
                pages.append(new)
            else:
                pages.append(page)
        return replace(manifest, pages=tuple(pages), segments=placed(manifest.segments)), tuple(replaced)

    def _went_back(self, what: str) -> ManifestInvalid:
        return ManifestInvalid(
            f"The manifest {what}: somebody restored an old backup, or deleted it",
            hint="Put the newest manifest back. Going on would capture or load changes twice.",
            table=self.table,
            store=self.store.url,
        )

    # ---- who loads

    def lease(self, target: str) -> Leased:
        """The loader lease of a target. Raises ManifestInvalid where it cannot be understood."""
        try:
            stored = self.store.read(self._name(lease_name(target)))
        except NotFound:
            return Leased(Lease(), None)
        return Leased(Lease.from_bytes(stored.data), stored.version)

    def save_lease(self, target: str, lease: Lease, expected: str | None) -> Leased:
        """Replace the lease of version `expected` with one compare-and-swap.

        Raises StateContended when another loader did so first, ServiceUnavailable when nobody did.
        """
        name, data = self._name(lease_name(target)), lease.to_bytes()
        try:
            return Leased(lease, self.store.replace(name, data, expected))
        except (StateContended, OutcomeUnknown) as error:  # of our own first attempt, perhaps
            found = self.lease(target)
            if found.lease == lease:
                return found
            if isinstance(error, OutcomeUnknown) and found.version == expected:
                raise ServiceUnavailable(
                    "The loader lease was not written", hint="Nothing was lost; it is repeated.", table=self.table
                ) from error
            raise StateContended(
                "Another loader took the lease first", hint="Look at it again.", table=self.table
            ) from error

    # ---- segments

    def segments(self, manifest: Manifest, *, after: int = 0) -> Iterator[Segment]:
        """Entries with a greater number than `after`, in publish order; a page is read only if needed."""
        for page in manifest.pages:
            if page.last_number > after:
                yield from (segment for segment in self.entries_of(page) if segment.number > after)
        yield from (segment for segment in manifest.segments if segment.number > after)

    def newest_first(self, manifest: Manifest) -> Iterator[Segment]:
        """All entries from the newest to the oldest; a page is read only if somebody asks for what it holds."""
        yield from reversed(manifest.segments)
        for page in reversed(manifest.pages):
            yield from reversed(self.entries_of(page))

    def changes_between(self, first_ms: int, last_ms: int) -> Iterator[str]:
        """The names of all segments of changes in the folders of these days and of those between, listed or not."""
        for folder in day_folders(first_ms, last_ms):
            for listed in self.store.list(self._name(folder)):
                name = listed.name.removeprefix(self._name(""))
                if is_changes(name):
                    yield name

    def read_file(self, name: str) -> LandedFile:
        """A whole object that is perhaps not listed yet. Raises NotFound, SegmentCorrupt."""
        data = self.store.read(self._name(name)).data
        try:
            plain = b"".join(unpacked([data]))
        except SegmentCorrupt as error:
            error.facts |= {"table": self.table, "object": name}
            raise
        return LandedFile(name, plain.split(b"\n")[:-1], len(data), hashlib.sha256(plain).hexdigest())

    def entries_of(self, page: Page) -> tuple[Segment, ...]:
        """What one page holds, in publish order. Raises ManifestInvalid."""
        try:
            data = self.store.read(self._name(page.name)).data
            document = json.loads(data)
            if document["format"] != MANIFEST_FORMAT:
                raise ValueError(f"format {document['format']}, this release understands {MANIFEST_FORMAT}")
            segments = tuple(Segment.from_json(entry) for entry in document["segments"])
            if hashlib.sha256(data).hexdigest()[:8] not in page.name:
                raise ValueError("its content is not what was written")
        except (NotFound, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ManifestInvalid(
                f"A page of the manifest is missing or damaged: {error}",
                hint="Restore it from a bucket version or a backup; nothing was changed.",
                table=self.table,
                page=page.name,
            ) from error
        return segments

    def write_segment(self, draft: SegmentDraft) -> WrittenSegment:
        """Make a draft durable under its own name. Repeating it changes nothing and gives the same answer."""
        packed = pack(draft.lines)
        name = changes_name(draft.first, draft.last, name_digest(packed.sha256, draft.lineage), draft.at_ms)
        return WrittenSegment(
            name=name,
            kind=draft.kind,
            rows=len(draft.lines),
            bytes=self._create_packed(name, packed),
            sha256=packed.sha256,
            newest_change_ms=draft.newest_change_ms,
            shards=dict(draft.shards),
            lineage=draft.lineage,
        )

    def write_base(self, epoch: int, scan_segment: int, page: int, lines: Sequence[bytes]) -> WrittenSegment:
        """Make pages of a scan durable, from page `page` of a scan segment on. Other contents get another name."""
        packed = pack(lines)
        name = base_name(epoch, scan_segment, page, packed.sha256)
        size = self._create_packed(name, packed)
        return WrittenSegment(name, "base", len(lines), size, packed.sha256, None, {})

    def write_keys(self, epoch: int, lines: Sequence[bytes]) -> WrittenSegment:
        """Make items of single keys, and tombstones of absent ones, durable as part of an epoch's base."""
        packed = pack(lines)
        name = keys_name(epoch, packed.sha256)
        size = self._create_packed(name, packed)
        return WrittenSegment(name, "base", len(lines), size, packed.sha256, None, {})

    def write_sweep(self, epoch: int) -> WrittenSegment:
        """Make the empty object of a sweep durable, so that it is read and checked like every segment."""
        packed = pack([])
        name = sweep_name(epoch, packed.sha256)
        return WrittenSegment(name, "sweep", 0, self._create_packed(name, packed), packed.sha256, None, {})

    def write_settled(self, folder: str, lines: Sequence[bytes], window_end: int) -> WrittenSegment:
        """Make settled rows of an export's window durable beside its files. Other contents get another name."""
        packed = pack(lines)
        name = settled_name(folder, packed.sha256)
        size = self._create_packed(name, packed)
        return WrittenSegment(name, "settle", len(lines), size, packed.sha256, window_end * 1000, {})

    def write_compacted(self, segments: Sequence[Segment], pieces: Sequence[bytes]) -> tuple[Place, ...]:
        """Make one object of these segments' bytes, as they are: gzip members one behind the other. Where each lies."""
        data = b"".join(pieces)
        folder, digest = posixpath.dirname(segments[0].name), hashlib.sha256(data).hexdigest()
        name = compacted_name(folder, segments[0].number, segments[-1].number, digest)
        self.store.create(self._name(name), data)
        offsets = itertools.accumulate((len(piece) for piece in pieces), initial=0)
        return tuple(Place(name, offset) for _, offset in zip(segments, offsets, strict=False))

    def delete_object_of(self, segment: Segment) -> None:
        """Delete the object that a compacted segment lay in before; absent is fine."""
        assert segment.place is not None, f"{segment.name} lies nowhere else"
        self.store.delete(self._name(segment.name))

    def delete_page(self, name: str) -> None:
        """Delete a page that no manifest names any more; absent is fine."""
        self.store.delete(self._name(name))

    def read_segment(self, segment: Segment) -> Iterator[bytes]:
        """The segment's bytes in chunks. Raises SegmentMissing, or SegmentCorrupt where the length differs."""
        if segment.place is None:
            yield from self._read_object(segment)
        else:
            yield self.read_neighbours([segment])

    def read_neighbours(self, segments: Sequence[Segment]) -> bytes:
        """The bytes of compacted segments that lie side by side, in one read. Raises as `read_segment` does."""
        first, size = segments[0], sum(segment.bytes for segment in segments)
        assert first.place is not None
        try:
            data = self.store.read_range(self._name(first.place.name), first.place.offset, size)
        except NotFound as error:
            raise self._missing(first) from error
        if len(data) != size:
            raise self._corrupt(first, f"{len(data)} of {size} bytes are left of it and its neighbours")
        return data

    def _read_object(self, segment: Segment) -> Iterator[bytes]:
        total, digest = 0, hashlib.md5(usedforsecurity=False)
        try:
            stream = self.store.open(self._name(segment.name))
        except NotFound as error:
            raise self._missing(segment) from error
        with stream:
            while chunk := stream.read(CHUNK_BYTES):
                total += len(chunk)
                if total > segment.bytes:
                    break
                if segment.md5 is not None:
                    digest.update(chunk)
                yield chunk
        if total != segment.bytes:
            more = "more than" if total > segment.bytes else f"{total} instead of"
            raise self._corrupt(segment, f"it has {more} the {segment.bytes} bytes that the manifest lists")
        if segment.md5 not in (None, base64.b64encode(digest.digest()).decode("ascii")):
            raise self._corrupt(segment, "its content has another MD5 than DynamoDB's manifest lists")

    def md5(self, name: str) -> str:
        """Base64 of the MD5 of any object of the store, as DynamoDB's manifests have it."""
        digest = hashlib.md5(usedforsecurity=False)
        with self.store.open(name) as stream:
            while chunk := stream.read(CHUNK_BYTES):
                digest.update(chunk)
        return base64.b64encode(digest.digest()).decode("ascii")

    def verify_segment(self, segment: Segment) -> None:
        """Compare length and content with what was published. Raises SegmentCorrupt or SegmentMissing."""
        if segment.md5 is not None:
            for _ in self.read_segment(segment):
                pass
            return
        try:
            sha256 = content_sha256(self.read_segment(segment))
        except SegmentCorrupt as error:
            raise self._corrupt(segment, error.message) from error
        if sha256 != segment.sha256:
            raise self._corrupt(segment, "its content has another SHA-256 than the manifest lists")

    def objects(self) -> Iterator[Listed]:
        """Everything in the table's folder, listed or not; names are relative to it."""
        for listed in self.store.list(self._name("")):
            yield replace(listed, name=listed.name.removeprefix(self._name("")))

    def _missing(self, segment: Segment) -> SegmentMissing:
        return SegmentMissing(
            "A segment that the manifest lists is gone: somebody or a lifecycle rule deleted it",
            hint="Restore it from a bucket version or a backup, or start a new epoch.",
            table=self.table,
            segment=segment.name,
            object=None if segment.place is None else segment.place.name,
            store=self.store.url,
        )

    def _corrupt(self, segment: Segment, what: str) -> SegmentCorrupt:
        return SegmentCorrupt(
            f"A segment is not what was published: {what}",
            hint="Nothing of it was applied. Restore it from a bucket version or a backup.",
            table=self.table,
            segment=segment.name,
            object=None if segment.place is None else segment.place.name,
            store=self.store.url,
        )

    def _create_packed(self, name: str, packed: Packed) -> int:
        """Create an object, or find that its content is there in another gzip's bytes. Its stored length."""
        full = self._name(name)
        try:
            self.store.create(full, packed.data)
        except AlreadyExists:
            stored = self.store.read(full).data
            with contextlib.suppress(SegmentCorrupt):
                if content_sha256([stored]) == packed.sha256:
                    return len(stored)
            raise
        return len(packed.data)

    # ---- quarantine

    def quarantine(self, origin: str, records: Sequence[QuarantinedRecord]) -> str:
        """Set records aside durably; repeating it changes nothing. The object's name, for `release`."""
        name, packed = pack_records(origin, records)
        self._create_packed(name, packed)
        return name

    def quarantined(self) -> Iterator[QuarantineFile]:
        """All set-aside records, in name order. Raises SegmentCorrupt for an object that cannot be read."""
        for name in self.quarantine_names():
            with contextlib.suppress(NotFound):  # released since it was listed
                yield self.quarantine_file(name)

    def quarantine_names(self) -> Iterator[str]:
        """The names of all objects of set-aside records, in order, without reading them."""
        for listed in self.store.list(self._name(QUARANTINE)):
            yield listed.name.removeprefix(self._name(""))

    def quarantine_count(self) -> int:
        """How many records are set aside, from the names of their objects; a damaged object counts too."""
        return sum(map(quarantined_in, self.quarantine_names()))

    def quarantine_file(self, name: str) -> QuarantineFile:
        """One object of set-aside records. Raises NotFound, SegmentCorrupt when it cannot be read."""
        try:
            data = self.store.read(self._quarantine_name(name)).data
        except NotFound as error:
            raise NotFound(
                "No such object is in quarantine",
                hint="It was replayed or dropped, or never there: see `tailrace quarantine list`.",
                table=self.table,
                object=name,
            ) from error
        return QuarantineFile(name, tuple(unpack_records(name, data)))

    def release(self, name: str) -> None:
        """Forget one object of set-aside records, after it was replayed or by the operator's wish."""
        self.store.delete(self._quarantine_name(name))

    def _quarantine_name(self, name: str) -> str:
        if not name.startswith(QUARANTINE):
            raise UsageInvalid(f"{name!r:.200} is not in quarantine", hint="See `tailrace quarantine list`.")
        return self._name(name)

    def _name(self, name: str) -> str:
        return f"{self.table}/{name}"
