"""The manifest: the one compare-and-swap document of a table. Format 1 is described in ``docs/formats/manifest.md``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, TypeAlias

from tailrace.errors import ManifestInvalid
from tailrace.model.documents import array, build, parse
from tailrace.model.exports import BaseExport, ExportState
from tailrace.model.keys import KeySchema
from tailrace.model.positions import SequenceNumber, parse_sequence_number
from tailrace.model.repair import RepairState
from tailrace.model.scan import ScanState
from tailrace.model.segments import Segment

MANIFEST_FORMAT: Final = 1

TableState: TypeAlias = Literal[
    "NEW", "CAPTURING", "BASE_LOADING", "CATCHING_UP", "CONSISTENT", "GAP", "SOURCE_CHANGED", "QUARANTINE", "PAUSED"
]
Start: TypeAlias = Literal["TRIM_HORIZON", "LATEST"]
GapState: TypeAlias = Literal["detected", "repairing", "closed"]


@dataclass(frozen=True, slots=True)
class Incarnation:
    """Which table this manifest is about. Any difference is another table under the same name: SOURCE_CHANGED."""

    account: str
    region: str
    table: str
    table_id: str
    stream_arn: str
    view_type: str
    key_schema: KeySchema

    def to_json(self) -> dict[str, Any]:
        return {
            "account": self.account,
            "region": self.region,
            "table": self.table,
            "table_id": self.table_id,
            "stream_arn": self.stream_arn,
            "view_type": self.view_type,
            "key_schema": self.key_schema.to_json(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Incarnation:
        return build(cls, {**value, "key_schema": KeySchema.from_json(value["key_schema"])})


@dataclass(frozen=True, slots=True)
class ShardState:
    """What is known of one shard of the stream.

    `mark` is the last sequence number that a published segment holds; None: nothing was read yet, so reading begins at
    `start`. `since_ms`: it began after that, or that was the first look at the stream; for `LATEST` (only ever at the first
    discovery) it is the moment that was meant: an idle shard has no number to remember. `last` is EndingSequenceNumber where the
    listing showed one.
    `listed_ms`: when a listing first showed it; None: it is only known as somebody's parent.
    `finished_ms`: read to its end and everything published; kept 48 hours after that and until it left the listing.
    """

    parent: str | None
    mark: SequenceNumber | None = None
    start: Start = "TRIM_HORIZON"
    since_ms: int | None = None
    last: SequenceNumber | None = None
    finished_ms: int | None = None
    listed_ms: int | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "parent": self.parent,
            "mark": None if self.mark is None else str(self.mark),
            "start": self.start,
            "since_ms": self.since_ms,
            "last": None if self.last is None else str(self.last),
            "finished_ms": self.finished_ms,
            **({} if self.listed_ms is None else {"listed_ms": self.listed_ms}),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ShardState:
        numbers = {"mark": _number(value["mark"]), "last": _number(value["last"])}
        return build(cls, {**value, **numbers}, optional=("listed_ms",))


@dataclass(frozen=True, slots=True)
class Gap:
    """Changes not proven to be captured. Leaves `detected` only for a repair, and is closed only by a completed one.

    `since_ms`: every change before it is captured, whatever is missing later; None: not known.
    """

    kind: str  # stream_trimmed, shard_vanished, lineage_broken, stream_replaced, source_replaced, pitr_reset
    reason: str
    detected_ms: int
    shard: str | None = None
    after: SequenceNumber | None = None  # the last position we hold, None: nothing was read
    state: GapState = "detected"
    since_ms: int | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "reason": self.reason,
            "detected_ms": self.detected_ms,
            "shard": self.shard,
            "after": None if self.after is None else str(self.after),
            "state": self.state,
            **({} if self.since_ms is None else {"since_ms": self.since_ms}),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Gap:
        return build(cls, {**value, "after": _number(value["after"])}, optional=("since_ms",))


def _number(text: str | None) -> SequenceNumber | None:
    return None if text is None else parse_sequence_number(text)


@dataclass(frozen=True, slots=True)
class Page:
    """An immutable object that holds old segment entries, so that the manifest stays small."""

    name: str
    first_number: int
    last_number: int
    rows: int
    bytes: int

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "first_number": self.first_number,
            "last_number": self.last_number,
            "rows": self.rows,
            "bytes": self.bytes,
        }


@dataclass(frozen=True, slots=True)
class Garbage:
    """What one compaction left behind: the objects under the own names of the segments that lie in `name` now, and pages.

    Of the segments only those from `first_number` to `last_number`; smaller ones are deleted already. A reader that holds
    an older manifest may still need all of it, for a while after `since_ms`.
    """

    name: str
    since_ms: int
    first_number: int
    last_number: int
    pages: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "since_ms": self.since_ms,
            "first_number": self.first_number,
            "last_number": self.last_number,
            "pages": list(self.pages),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Garbage:
        return build(cls, {**value, "pages": tuple(array(value["pages"]))})


@dataclass(frozen=True, slots=True)
class Pause:
    """Why Tailrace refuses to go on with a table, and what would remove the cause."""

    reason: str
    action: str
    resource: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """All state of one table's replication. A new value is published with one compare-and-swap, or not at all.

    `version` grows by one with each published value; `writer` is the nonce of whoever published it, so that a write with
    an unknown outcome can be recognised by reading it back. `captured_through_ms`: every change before it is captured.
    `segments` holds the newest entries in publish order; `pages` name the objects that hold the older ones.
    `compacted_through`: up to this number nothing is left to compact.
    """

    incarnation: Incarnation
    version: int = 0
    writer: str = ""
    epoch: int = 1
    epoch_kind: Literal["full", "repair"] = "full"
    fence: int = 0
    state: TableState = "CAPTURING"
    pause: Pause | None = None
    config_hash: str = ""
    captured_through_ms: int | None = None
    next_number: int = 1
    shards: Mapping[str, ShardState] = field(default_factory=dict)
    exports: ExportState | None = None  # of a table that is captured by exports; it has no shards then
    scan: ScanState | None = None  # of a base that is scanned, or was
    base_export: BaseExport | None = None  # of a base that is exported beside the stream, or was
    repair: RepairState | None = None  # the newest one
    oldest_epoch: int = 1  # a completed full repair swept everything before it
    predecessors: tuple[str, ...] = ()  # TableIds that answered under the name before
    segments: tuple[Segment, ...] = ()
    pages: tuple[Page, ...] = ()
    gaps: tuple[Gap, ...] = ()
    compacted_through: int = 0
    garbage: tuple[Garbage, ...] = ()
    counters: Mapping[str, int] = field(default_factory=dict)  # rows, bytes, segments, quarantined …: of all time

    @property
    def open_gaps(self) -> tuple[Gap, ...]:
        return tuple(gap for gap in self.gaps if gap.state != "closed")

    def published_by(self, writer: str) -> Manifest:
        """The next version of this document, signed by `writer`."""
        return replace(self, version=self.version + 1, writer=writer)

    def to_bytes(self) -> bytes:
        """Deterministic UTF-8 JSON with a final newline."""
        document = {
            "format": MANIFEST_FORMAT,
            "version": self.version,
            "writer": self.writer,
            "incarnation": self.incarnation.to_json(),
            "epoch": self.epoch,
            "epoch_kind": self.epoch_kind,
            "fence": self.fence,
            "state": self.state,
            "pause": None
            if self.pause is None
            else {"reason": self.pause.reason, "action": self.pause.action, "resource": self.pause.resource},
            "config_hash": self.config_hash,
            "captured_through_ms": self.captured_through_ms,
            "next_number": self.next_number,
            "shards": {shard_id: shard.to_json() for shard_id, shard in sorted(self.shards.items())},
            **({} if self.exports is None else {"exports": self.exports.to_json()}),
            **({} if self.scan is None else {"scan": self.scan.to_json()}),
            **({} if self.base_export is None else {"base_export": self.base_export.to_json()}),
            **({} if self.repair is None else {"repair": self.repair.to_json()}),
            **({} if self.oldest_epoch == 1 else {"oldest_epoch": self.oldest_epoch}),
            **({"predecessors": list(self.predecessors)} if self.predecessors else {}),
            **({"compacted_through": self.compacted_through} if self.compacted_through else {}),
            **({"garbage": [garbage.to_json() for garbage in self.garbage]} if self.garbage else {}),
            "gaps": [gap.to_json() for gap in self.gaps],
            "counters": dict(sorted(self.counters.items())),
            "pages": [page.to_json() for page in self.pages],
            "segments": [segment.to_json() for segment in self.segments],
        }
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """Read a document; raises ManifestInvalid when it is damaged or of a newer format."""
        try:
            value = parse(data)
            found = value.pop("format")
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ManifestInvalid(
                "The manifest is not a Tailrace manifest document",
                hint="Restore it from a backup; nothing was changed.",
            ) from error
        if type(found) is not int or found != MANIFEST_FORMAT:
            raise ManifestInvalid(
                f"The manifest has format {found!r:.40}, this release understands {MANIFEST_FORMAT}",
                hint="Upgrade this Tailrace to the release that wrote it.",
            )
        try:
            pause = value["pause"]
            return build(
                cls,
                {
                    **value,
                    "incarnation": Incarnation.from_json(value["incarnation"]),
                    "pause": None if pause is None else build(Pause, pause),
                    "shards": {i: ShardState.from_json(s) for i, s in value["shards"].items()},
                    **({"exports": ExportState.from_json(value["exports"])} if "exports" in value else {}),
                    **({"scan": ScanState.from_json(value["scan"])} if "scan" in value else {}),
                    **({"base_export": BaseExport.from_json(value["base_export"])} if "base_export" in value else {}),
                    **({"repair": RepairState.from_json(value["repair"])} if "repair" in value else {}),
                    "predecessors": tuple(array(value.get("predecessors", []))),
                    "garbage": tuple(map(Garbage.from_json, array(value.get("garbage", [])))),
                    "gaps": tuple(map(Gap.from_json, array(value["gaps"]))),
                    "pages": tuple(build(Page, p) for p in array(value["pages"])),
                    "segments": tuple(map(Segment.from_json, array(value["segments"]))),
                },
                optional=("exports", "scan", "base_export", "repair", "oldest_epoch", "compacted_through"),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ManifestInvalid(
                f"The manifest lacks or misspells a field: {error!r:.400}",
                hint="Restore it from a backup; nothing was changed.",
            ) from error
