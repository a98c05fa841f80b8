"""The bytes of a segment: JSON lines, gzip'd, named by positions and content. Does no I/O."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tailrace.errors import SegmentCorrupt
from tailrace.model.positions import SequenceNumber
from tailrace.model.segments import Segment, SegmentKind, ShardRange

_deflate: Any = zlib
try:  # four times as fast, in other bytes; names and digests cover the content, so both may write one zone
    from isal import isal_zlib as _deflate
except ModuleNotFoundError as missing:
    if missing.name != "isal":
        raise

LEVEL: Final = 1  # stream segments are small and short-lived, compaction packs them tighter
GZIP: Final = 31  # zlib's code for a gzip wrapper; its header then holds neither a time nor a file name
PIECE_BYTES: Final = 1 << 20  # what unpacking holds at once, whatever the input claims to be


@dataclass(frozen=True, slots=True)
class SegmentDraft:
    """What a segment will hold: encoded JSON lines without newlines, and the positions they cover.

    `at_ms` decides the hour directory: the newest change's own time, so that retries give the same name.
    `lineage` names what it was made from, and then is part of its name: the same lines may be replayed twice.
    """

    kind: SegmentKind
    lines: Sequence[bytes]
    first: SequenceNumber
    last: SequenceNumber
    at_ms: int
    shards: Mapping[str, ShardRange] = field(default_factory=dict)
    newest_change_ms: int | None = None
    lineage: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.lines or self.first > self.last:
            raise ValueError(f"a segment without lines, or from {self.first} back to {self.last}")


@dataclass(frozen=True, slots=True)
class WrittenSegment:
    """A durable segment not listed yet. `bytes` counts the object, `sha256` covers its content."""

    name: str
    kind: SegmentKind
    rows: int
    bytes: int
    sha256: str
    newest_change_ms: int | None
    shards: Mapping[str, ShardRange]
    lineage: tuple[str, ...] = ()

    def entry(self, number: int, published_ms: int, through_ms: int | None, epoch: int = 1) -> Segment:
        """The manifest entry that publishes it as segment `number` of an epoch."""
        return Segment(
            number=number,
            name=self.name,
            kind=self.kind,
            rows=self.rows,
            bytes=self.bytes,
            sha256=self.sha256,
            published_ms=published_ms,
            through_ms=through_ms,
            newest_change_ms=self.newest_change_ms,
            shards=self.shards,
            lineage=self.lineage,
            epoch=epoch,
        )


@dataclass(frozen=True, slots=True)
class Packed:
    """An object's bytes; `sha256` covers what is inside, not the gzip around it."""

    data: bytes
    sha256: str


@dataclass(frozen=True, slots=True)
class LandedFile:
    """An object that somebody wrote with `pack`, read back. `bytes` counts the object, `sha256` covers its content."""

    name: str
    lines: Sequence[bytes]
    bytes: int
    sha256: str


def pack(lines: Sequence[bytes]) -> Packed:
    """Join lines, each with a newline behind it, and compress them."""
    plain = b"".join((b"\n".join(lines), b"\n")) if lines else b""
    compressor = _deflate.compressobj(LEVEL, zlib.DEFLATED, GZIP)
    data = compressor.compress(plain) + compressor.flush()
    return Packed(data, hashlib.sha256(plain).hexdigest())


def name_digest(sha256: str, lineage: Sequence[str]) -> str:
    """What a segment's name takes its eight characters from: the content's digest, for a replay also its origin."""
    return hashlib.sha256("\n".join((sha256, *lineage)).encode()).hexdigest() if lineage else sha256


def unpacked(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The content of an object in bounded pieces. SegmentCorrupt: cut, damaged, or too long."""
    decompressor = zlib.decompressobj(GZIP)
    for chunk in chunks:
        rest = chunk
        while rest:
            if decompressor.eof:
                raise SegmentCorrupt("Bytes follow the end of an object", hint="Restore it from a bucket version.")
            try:
                piece = decompressor.decompress(rest, PIECE_BYTES)
            except zlib.error as error:
                raise SegmentCorrupt(
                    f"An object is damaged: {error}", hint="Restore it from a bucket version."
                ) from error
            yield piece
            rest = decompressor.unused_data if decompressor.eof else decompressor.unconsumed_tail
    if not decompressor.eof:
        raise SegmentCorrupt("An object is cut", hint="Restore it from a bucket version.")


def content_sha256(chunks: Iterable[bytes]) -> str:
    """The digest that `pack` gave, from the object's bytes. Raises SegmentCorrupt as `unpacked` does."""
    digest = hashlib.sha256()
    for piece in unpacked(chunks):
        digest.update(piece)
    return digest.hexdigest()
