"""Records set aside in a table's folder: immutable objects of one JSON line a record. Does no I/O."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tailrace.errors import DataInvalid, SegmentCorrupt
from tailrace.landing.names import quarantine_name
from tailrace.landing.segments import Packed, pack, unpacked
from tailrace.model.quarantine import QuarantinedRecord

CAPTURE: Final = "capture"  # the origin of what never reached a segment


@dataclass(frozen=True, slots=True)
class QuarantineFile:
    """One object of set-aside records, all of one origin. `name` is relative to the table."""

    name: str
    records: tuple[QuarantinedRecord, ...]

    @property
    def origin(self) -> str:
        """What `pack_records` was told: the segment that a loader met them in, or ``capture``."""
        return self.records[0].segment or CAPTURE if self.records else CAPTURE


def pack_records(origin: str, records: Sequence[QuarantinedRecord]) -> tuple[str, Packed]:
    """Its name and bytes: equal records of one origin give the same object, so retries are no-ops."""
    packed = pack([record.to_bytes() for record in records])
    return quarantine_name(origin, len(records), packed.sha256), packed


def unpack_records(name: str, data: bytes) -> Iterator[QuarantinedRecord]:
    """Read an object back. Raises SegmentCorrupt with its name, and the line where there is one."""
    at = 0
    try:
        for line in b"".join(unpacked([data])).splitlines():
            at += 1
            yield QuarantinedRecord.from_bytes(line)
    except (DataInvalid, ValueError) as error:
        raise SegmentCorrupt(
            f"A quarantine object cannot be read: {error}",
            hint="Restore it from a bucket version, or drop it.",
            object=name,
            line=at,
        ) from error
