"""The bytes of a segment: JSON lines, gzip'd reproducibly, named by positions and content."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tailrace.errors import SegmentCorrupt
from tailrace.model.positions import SequenceNumber
from tailrace.model.segments import SegmentKind, ShardRange

LEVEL: Final = 1  # of zlib: stream segments are small and short-lived, compaction packs them tighter
GZIP_WBITS: Final = 31


@dataclass(frozen=True, slots=True)
class SegmentDraft:
    """What a segment will hold: encoded JSON lines without newlines, and the positions they cover."""

    kind: SegmentKind
    lines: Sequence[bytes]
    first: SequenceNumber
    last: SequenceNumber
    at_ms: int  # decides the hour directory: the newest change's own time where it has one
    shards: Mapping[str, ShardRange] = field(default_factory=dict)
    newest_change_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Packed:
    """A draft as an object: `sha256` covers the uncompressed bytes, so another zlib gives the same name."""

    data: bytes
    sha256: str


def pack(lines: Sequence[bytes]) -> Packed:
    """Join and compress. No time and no file name go into the gzip header: equal lines, equal bytes."""
    plain = b"\n".join(lines) + b"\n" if lines else b""
    compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP_WBITS)
    data = compressor.compress(plain) + compressor.flush()
    return Packed(data, hashlib.sha256(plain).hexdigest())


def unpack(data: bytes) -> bytes:
    """The uncompressed bytes of one of our objects; raises SegmentCorrupt when it is cut or damaged."""
    decompressor = zlib.decompressobj(GZIP_WBITS)
    try:
        plain = decompressor.decompress(data)
    except zlib.error as error:
        raise SegmentCorrupt(f"The object is damaged: {error}", hint="Fetch it again.") from error
    if not decompressor.eof or decompressor.unused_data:
        raise SegmentCorrupt("The object is cut, or bytes follow it", hint="Fetch it again.")
    return plain
