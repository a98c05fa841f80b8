"""What an export holds: its records counted, the first and the last write of a window, and an item of a full export.

The records are read whole, which also compares every MD5 and count.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from tailrace.codec import decoded_columns
from tailrace.codec.reference import inflate
from tailrace.codec.types import META_FIELDS
from tailrace.decide.boundaries import Span
from tailrace.errors import ExportInvalid
from tailrace.inputs import Export
from tailrace.landing.exports import ExportListing
from tailrace.model.numbers import canonical_number
from tailrace.model.schema import Tag
from tailrace.reading import OnRead, read_pieces

OP: Final = META_FIELDS.index("_tr_op")
TS: Final = META_FIELDS.index("_tr_ts")

Image: TypeAlias = Mapping[tuple[str, Tag], Any]
"""The values of one item, those of numbers in canonical text; NULL is absent."""


@dataclass(frozen=True, slots=True)
class Write:
    """The last write of one key inside a window. `image` is the item after it; None where it was deleted."""

    micros: int
    key: Image
    image: Image | None

    @property
    def key_text(self) -> str:
        """For people: ``{"order_id": "k1"}``."""
        return json.dumps({name: _shown(value) for (name, _), value in self.key.items()}, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Contents:
    """`first` and `last` write by time; None in full exports and empty windows. `rejected`: not representable."""

    records: int
    deletes: int
    rejected: int
    first: Write | None = None
    last: Write | None = None


@dataclass(frozen=True, slots=True)
class Inspected:
    """An export that was read whole; of a damaged one there are no `contents`, and `damage` says why."""

    export: Export
    contents: Contents | None
    damage: str = ""

    @property
    def listing(self) -> ExportListing:
        return self.export.listing

    @property
    def first(self) -> Write | None:
        return None if self.contents is None else self.contents.first

    @property
    def last(self) -> Write | None:
        return None if self.contents is None else self.contents.last

    def outside(self) -> list[Write]:
        """First and last write, where they lie outside the window."""
        if self.listing.window is None:
            return []
        low, high = (second * 1_000_000 for second in self.listing.window)
        return [write for write in (self.first, self.last) if write is not None and not low <= write.micros < high]


def inspect_export(
    export: Export, on_read: OnRead = lambda count: None, on_file: Callable[[], None] = lambda: None
) -> Inspected:
    """Read all of it; damage is part of the result."""
    try:
        return Inspected(export, _read(export, on_read, on_file))
    except ExportInvalid as error:
        return Inspected(export, None, str(error))


def span_of(listing: ExportListing) -> Span:
    """What an export covers."""
    if listing.window is None:
        return Span(listing.table_arn, listing.table_id, listing.moment_ms, listing.moment_ms)
    start, end = listing.window
    return Span(listing.table_arn, listing.table_id, start * 1000, end * 1000)


def holds_write(full: Inspected, window: Inspected) -> bool | None:
    """Whether a full export holds the item of a window's first write as it is after it, rather than as it was before.

    None where there is nothing to compare. Reads the full export once more, as far as it must.
    """
    if full.listing.window is not None or full.contents is None or window.first is None:
        return None
    return _find_item(full.export, window.first.key) == window.first.image


def _read(export: Export, on_read: OnRead, on_file: Callable[[], None]) -> Contents:
    records = deletes = rejected = 0
    first: tuple[int, pa.RecordBatch] | None = None
    last: tuple[int, pa.RecordBatch] | None = None
    with closing(read_pieces(export.inputs, on_read=on_read)) as pieces:
        for piece in pieces:
            records, rejected = records + piece.rows, rejected + len(piece.rejected)
            if piece.is_last:
                on_file()
            if export.listing.window is None:
                continue
            for batch in piece.batches:
                deletes += pc.sum(pc.equal(batch.column(OP), "d")).as_py()
                found = pc.min_max(batch.column(TS))
                least, most = found["min"], found["max"]
                if least.is_valid and (first is None or least.as_py() < first[0]):
                    first = (least.as_py(), batch.slice(pc.index(batch.column(TS), least).as_py(), 1))
                if most.is_valid and (last is None or most.as_py() > last[0]):
                    last = (most.as_py(), batch.slice(pc.index(batch.column(TS), most).as_py(), 1))
    if first is None or last is None:
        return Contents(records, deletes, rejected)
    keys = _key_names(export)
    return Contents(records, deletes, rejected, _write(*first, keys), _write(*last, keys))


def _find_item(export: Export, key: Image) -> Image | None:
    """The item of a full export under this key; None where it holds none."""
    with closing(read_pieces(export.inputs, keep_order=False)) as pieces:
        for piece in pieces:
            for batch in piece.batches:
                place = _place_of(batch, key)
                if place is not None:
                    return _image(batch.slice(place, 1))
    return None


def _key_names(export: Export) -> list[str]:
    """The key's attributes, as a window's first record names them; its manifests do not."""
    for line in _lines(export):
        try:
            return list(json.loads(line)["Keys"])
        except (ValueError, TypeError, KeyError):
            continue  # a record that was rejected
    return []


def _lines(export: Export) -> Iterator[bytes]:
    for one in export.inputs:
        rest = b""
        for piece in inflate(one.chunks()):
            *lines, rest = (rest + piece).split(b"\n")
            yield from lines
        yield rest


def _write(micros: int, row: pa.RecordBatch, keys: Sequence[str]) -> Write:
    image = _image(row)
    key = {id_: value for id_, value in image.items() if id_[0] in keys}
    return Write(micros, key, None if row.column(OP)[0].as_py() == "d" else image)


def _image(row: pa.RecordBatch) -> Image:
    """The one row of a batch."""
    columns = enumerate(decoded_columns(row.schema), start=len(META_FIELDS))
    values = {id_: _plain(id_[1], row.column(place)[0].as_py()) for place, id_ in columns}
    return {id_: value for id_, value in values.items() if value is not None}


def _plain(tag: Tag, value: Any) -> Any:
    """Equal for equal values, whatever type the numbers of a batch happen to have."""
    if isinstance(value, list):
        return [_plain(tag, member) for member in value]
    return canonical_number(str(value)) if value is not None and tag in ("N", "NS") else value


def _place_of(batch: pa.RecordBatch, key: Image) -> int | None:
    """Where a batch holds the row with this key."""
    places = {id_: place for place, id_ in enumerate(decoded_columns(batch.schema), start=len(META_FIELDS))}
    found: Any = None
    for id_, value in key.items():
        if id_ not in places:
            return None
        column = batch.column(places[id_])
        wanted = _scalar(value, column.type) if id_[1] == "N" else pa.scalar(value, column.type)
        if wanted is None:
            return None
        is_equal = pc.equal(column, wanted)
        found = is_equal if found is None else pc.and_(found, is_equal)
    place = pc.index(found, True).as_py()
    return None if place < 0 else place


def _scalar(number: str, type_: pa.DataType) -> pa.Scalar | None:
    """A canonical number as a column's type has it; None where no value of that type equals it."""
    if type_ == pa.string():
        return pa.scalar(number)
    value = Decimal(number)
    try:
        if type_ == pa.int64():
            return pa.scalar(int(value), type_) if value == value.to_integral_value() else None
        return pa.scalar(value, type_)
    except (pa.ArrowInvalid, OverflowError):
        return None


def _shown(value: Any) -> Any:
    return base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else value
