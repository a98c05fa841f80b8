"""Settling: what a sliding window must look up in the table itself, because no export can tell.

Two windows overlap. A key inserted in the overlap and deleted after the end of the first one has no record in the second:
it was absent at its start and at its end. The target holds it all the same. So each live key that was last written in the
overlap and has no record in the new window is read, strongly consistent: absent becomes a delete, present its image.
Deleting blindly would be wrong, since a write without a net effect may leave no record either.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from tailrace.capture.records import encode
from tailrace.capture.table import Item, TableSource
from tailrace.codec import decode_segments, fold_latest, project
from tailrace.decide.load import order_prefix_of
from tailrace.landing import Landing
from tailrace.model.keys import KeySchema, canonical_key
from tailrace.model.manifest import Manifest
from tailrace.model.schema import Column, ColumnType
from tailrace.model.segments import Segment

# A settled row comes before every change that its window holds, and behind all earlier windows.
POSITION: Final = "0"


def settled_lines(
    landing: Landing,
    table: TableSource,
    manifest: Manifest,
    earlier: Sequence[Segment],
    window: Sequence[Segment],
    overlap: tuple[int, int],
) -> list[bytes]:
    """Lines for the keys that must be settled, sorted by key, as the table has them now; empty where there is none.

    `earlier`: segments of the windows before that may hold a key's last write; `window`: those of the new one.
    `overlap`: from the new window's start to the end of the one before, in seconds. A line keeps the last write's time.
    """
    keys = manifest.incarnation.key_schema
    before = _changes(landing, earlier, keys)
    candidates = before.take(fold_latest(before, range(len(keys.names)), before.num_columns - 1))
    first_us, end_us = overlap[0] * 1_000_000, overlap[1] * 1_000_000
    in_overlap = pc.and_(pc.greater_equal(candidates["ts"], first_us), pc.less(candidates["ts"], end_us))
    candidates = candidates.filter(pc.and_(in_overlap, pc.not_equal(candidates["op"], "d")))
    written = {_text(row) for row in _keys(_changes(landing, window, keys), keys)}
    times = {
        _text(row): (row, ts)
        for row, ts in zip(_keys(candidates, keys), candidates["ts"].to_pylist(), strict=True)
        if _text(row) not in written
    }
    found = {
        canonical_key(keys, item): item for item in table.get_items([_typed(row, keys) for row, _ in times.values()])
    }
    lines = []
    for _, (row, ts) in sorted(times.items()):
        key = _typed(row, keys)
        lines.append(encode(_record(key, found.get(canonical_key(keys, key)), ts)))
    return lines


def untold_keys(
    landing: Landing, touched: Sequence[Segment], told: Sequence[Segment], keys: KeySchema, since_us: int
) -> list[Item]:
    """Keys with a row in `touched` that was written since a moment (or nobody knows when), and with none in `told`; sorted."""
    changes = _changes(landing, touched, keys)
    recent = changes.filter(pc.fill_null(pc.greater_equal(changes["ts"], since_us), True))
    known = {_text(row) for row in _keys(_changes(landing, told, keys), keys)}
    rows = {_text(row): row for row in _keys(recent, keys)}
    return [_typed(row, keys) for text, row in sorted(rows.items()) if text not in known]


def key_lines(table: TableSource, keys: KeySchema, wanted: Sequence[Item]) -> list[bytes]:
    """Base rows for these distinct keys, as the table has them now, strongly consistent; tombstones for those that are gone."""
    found = {canonical_key(keys, item): item for item in table.get_items(wanted)}
    lines = []
    for key in wanted:
        item = found.get(canonical_key(keys, key))
        gone = {"Metadata": {"SequenceNumber": {"S": POSITION}}, "Keys": key}
        lines.append(encode(gone if item is None else {"Item": item}))
    return lines


def _changes(landing: Landing, segments: Sequence[Segment], keys: KeySchema) -> pa.Table:
    """The key columns (k0, k1, as text or bytes), then op, ts and pos of all changes. Only this is held of them."""
    columns = [Column(a.name, a.tag, f"k{i}", _TYPES[a.tag]) for i, a in enumerate(keys.attributes)]
    tables = [_empty(columns)]
    for segment in segments:
        prefix = order_prefix_of(segment)
        decoded = decode_segments([landing.read_segment(segment)], prefix, keys=keys).table
        meta = [decoded.column(i) for i in (0, 1, 2)]
        table = project(decoded, columns)
        for name, array in zip(("op", "ts", "pos"), meta, strict=True):
            table = table.append_column(name, array)
        tables.append(table)
    return pa.concat_tables(tables).combine_chunks()


_TYPES: Final[Mapping[str, ColumnType]] = {
    "S": ColumnType("string"),
    "N": ColumnType("number_text"),
    "B": ColumnType("binary"),
}


def _empty(columns: Sequence[Column]) -> pa.Table:
    types = [pa.binary() if c.tag == "B" else pa.string() for c in columns]
    names = [c.name for c in columns]
    meta = [("op", pa.string()), ("ts", pa.int64()), ("pos", pa.string())]
    return pa.schema([*zip(names, types, strict=True), *meta]).empty_table()


def _keys(table: pa.Table, keys: KeySchema) -> Iterable[tuple[Any, ...]]:
    return zip(*(table.column(i).to_pylist() for i in range(len(keys.names))), strict=True)


def _text(row: tuple[Any, ...]) -> str:
    return json.dumps([part.hex() if isinstance(part, bytes) else part for part in row], ensure_ascii=False)


def _typed(row: tuple[Any, ...], keys: KeySchema) -> Item:
    return {a.name: {a.tag: part} for a, part in zip(keys.attributes, row, strict=True)}


def _record(key: Item, item: Item | None, ts: int) -> dict[str, Any]:
    record: dict[str, Any] = {
        "Metadata": {"WriteTimestampMicros": {"N": str(ts)}, "SequenceNumber": {"S": POSITION}},
        "Keys": key,
    }
    return record if item is None else {**record, "NewImage": item}
