"""A segment: an immutable landed file of records in DynamoDB's own export form, named by its positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from tailrace.model.documents import array, build
from tailrace.model.positions import SequenceNumber, parse_sequence_number

SegmentKind: TypeAlias = Literal["stream", "lambda", "base", "export", "settle", "replay", "sweep"]


@dataclass(frozen=True, slots=True)
class ShardRange:
    """What one shard gave to a segment: `rows` records from `first` to `last`, both included."""

    first: SequenceNumber
    last: SequenceNumber
    rows: int

    def __post_init__(self) -> None:
        if self.rows < 1 or self.first > self.last:
            raise ValueError(f"empty or reversed shard range {self}")

    @classmethod
    def from_json(cls, value: Sequence[Any]) -> ShardRange:
        first, last, rows = array(value)
        parts = {"first": parse_sequence_number(first), "last": parse_sequence_number(last), "rows": rows}
        return build(cls, parts)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a segment's bytes lie since it was compacted: in the object `name`, from byte `offset` on, beside others."""

    name: str
    offset: int

    def __post_init__(self) -> None:
        if self.offset < 0:
            raise ValueError(f"a place before the object's first byte: {self}")

    def to_json(self) -> list[Any]:
        return [self.name, self.offset]

    @classmethod
    def from_json(cls, value: Sequence[Any]) -> Place:
        name, offset = array(value)
        return build(cls, {"name": name, "offset": offset})


@dataclass(frozen=True, slots=True)
class Segment:
    """The manifest's entry for one file. Written once, in the compare-and-swap that publishes it; compaction adds `place`.

    `number` is the publish order, dense from 1 within a table; loaders apply in this order.
    `name` is relative to the table's folder. `sha256` covers the uncompressed bytes, `bytes` counts the compressed ones.
    `through_ms`: every change that its shards had before this moment (Unix milliseconds) is in this or an earlier segment.
    A file that DynamoDB wrote is listed where it lies: `md5` (base64, of the compressed bytes) stands instead of `sha256`.
    `window_end` belongs to the records of an export's window, in Unix seconds: it comes first in their order.
    `lineage` holds what this one was made from: the quarantine object that was replayed; empty for an original.
    `epoch` comes first of all in the order of its records. A ``sweep`` holds none: it removes what older epochs left.
    `place`: the same bytes lie there too, and are read from there; the object under `name` may be gone.
    """

    number: int
    name: str
    kind: SegmentKind
    rows: int
    bytes: int
    sha256: str
    published_ms: int
    through_ms: int | None = None
    newest_change_ms: int | None = None
    shards: Mapping[str, ShardRange] = field(default_factory=dict)
    lineage: tuple[str, ...] = ()
    md5: str | None = None
    window_end: int | None = None
    place: Place | None = None
    epoch: int = 1

    @property
    def may_repeat(self) -> bool:
        """Other segments may hold the same records: they were set aside and replayed, or Lambda delivered them again."""
        return self.kind in ("replay", "lambda")

    def to_json(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "name": self.name,
            "kind": self.kind,
            "rows": self.rows,
            "bytes": self.bytes,
            "sha256": self.sha256,
            "published_ms": self.published_ms,
            "through_ms": self.through_ms,
            "newest_change_ms": self.newest_change_ms,
            "shards": {i: [str(r.first), str(r.last), r.rows] for i, r in sorted(self.shards.items())},
            "lineage": list(self.lineage),
            **({} if self.md5 is None else {"md5": self.md5}),
            **({} if self.window_end is None else {"window_end": self.window_end}),
            **({} if self.place is None else {"place": self.place.to_json()}),
            **({} if self.epoch == 1 else {"epoch": self.epoch}),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Segment:
        """Raises KeyError, TypeError, ValueError, AttributeError where `value` is no entry."""
        shards = {shard: ShardRange.from_json(part) for shard, part in value["shards"].items()}
        parts = {**value, "shards": shards, "lineage": tuple(array(value["lineage"]))}
        if "place" in value:
            parts["place"] = Place.from_json(value["place"])
        return build(cls, parts, optional=("md5", "window_end", "place", "epoch"))
