"""Records in many files to Arrow: decoded side by side, in the order of the files, in bounded memory.

`read_export` gives one export as a stream of batches that polars, DuckDB and pyarrow take as it is; `decode` a table.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

import pyarrow as pa

from tailrace.aws import Aws, AwsSettings
from tailrace.codec import (
    META_FIELDS,
    ORDER_PREFIX,
    Decoder,
    Rejected,
    arrow_type,
    decoded_columns,
    engine,
    named,
    records_of,
    unify,
)
from tailrace.codec.tables import ATTRIBUTE, META_TYPES, TAG
from tailrace.decide.schema import plan_columns
from tailrace.errors import ExportInvalid, RecordInvalid, SegmentCorrupt, UsageInvalid
from tailrace.inputs import Input, Source, find_inputs, open_place
from tailrace.landing.exports import REFETCH
from tailrace.lanes import side_by_side
from tailrace.model.numbers import DIGITS_MAX
from tailrace.model.schema import TAGS, AttributeSeen, Column, NumberRange, Seen, Tag, column_type, join_seen

THREADS: Final = min(8, 2 + (os.cpu_count() or 1))  # a few more than cores, because some wait for disk or network
AHEAD_BYTES_MAX: Final = 32 << 20  # of decoded batches that wait for whoever reads
REJECTED_BYTES_MAX: Final = 256 << 20  # of one input; beyond it is another kind of file
REJECTED_LOOK_BYTES: Final = 8 << 20  # of input between looks at what was rejected

OnRead: TypeAlias = Callable[[int], None]
"""Hears how many more bytes were read; from any thread."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What decoding an input gave in one step. `number` counts inputs from 0; `seen` is what was seen in it so far.

    `is_last`: the input was read to its end and is whole; `rows` and `rejected` are complete then, and empty before.
    """

    number: int
    batches: tuple[pa.RecordBatch, ...]
    seen: Seen
    is_last: bool = False
    rows: int = 0
    rejected: tuple[Rejected, ...] = ()


def read_pieces(
    inputs: Sequence[Input],
    known: Callable[[], Seen] = dict,
    *,
    threads: int = THREADS,
    keep_order: bool = True,
    on_read: OnRead = lambda count: None,
) -> Generator[Piece, None, None]:
    """Decode all inputs, the pieces of each in order and the inputs one behind the other; at least one piece of each.

    Without `keep_order` pieces of different inputs mix as they are ready, so that also large inputs are decoded side by side.
    `known` is asked when an input is begun: see `Engine`. Raises ExportInvalid where a file is not what its export lists,
    SegmentCorrupt, RecordInvalid and NotFound with the file in their facts.
    """
    sources = (_pieces(number, one, known, on_read) for number, one in enumerate(inputs))
    return side_by_side(sources, threads=threads, size_of=_bytes_of, bytes_max=AHEAD_BYTES_MAX, keep_order=keep_order)


def _bytes_of(piece: Piece) -> int:
    return sum(batch.nbytes for batch in piece.batches)


def _pieces(number: int, source: Input, known: Callable[[], Seen], on_read: OnRead) -> Generator[Piece, None, None]:
    decoder = engine().decoder(ORDER_PREFIX, known=known())
    try:
        for batches in _batches(source, decoder, on_read):
            yield Piece(number, tuple(batches), decoder.seen)
        batches = decoder.finish()
    except (SegmentCorrupt, RecordInvalid) as error:
        if source.items is not None and isinstance(error, SegmentCorrupt):
            raise _damaged(source, f"is damaged: {error.message}") from error
        error.facts = {**({"path": source.name} if source.name else {}), **error.facts}
        raise
    if source.items not in (None, found := decoder.rows + len(decoder.rejected)):
        raise _damaged(source, f"holds {found} records where the manifest lists {source.items}")
    yield Piece(number, tuple(batches), decoder.seen, True, decoder.rows, decoder.rejected)


def _damaged(source: Input, what: str) -> ExportInvalid:
    return ExportInvalid(f"A file of the export {what}", hint=REFETCH, file=source.name)


def _batches(source: Input, decoder: Decoder, on_read: OnRead) -> Iterator[list[pa.RecordBatch]]:
    """What each piece of input completed, where it completed something. A listed file is damaged or whole, nothing between."""

    def counted() -> Iterator[bytes]:
        for chunk in source.chunks():
            on_read(len(chunk))
            yield chunk

    unlooked = 0
    for chunk in counted() if source.items is not None else records_of(counted()):
        if batches := decoder.push(chunk):
            yield batches
        unlooked += len(chunk)
        if unlooked > REJECTED_LOOK_BYTES:
            unlooked = 0
            _refuse_foreign(decoder)


def _refuse_foreign(decoder: Decoder) -> None:
    """Rejected lines are held in memory, so a large file of something else must not be read to its end."""
    if sum(len(line.raw) for line in decoder.rejected) > REJECTED_BYTES_MAX:
        first = decoder.rejected[0]
        raise RecordInvalid(
            f"The file holds too many lines that are no records of DynamoDB, the first one because: {first.reason}",
            hint="Check that it is an export in DYNAMODB_JSON, a segment, or stream records.",
            line=first.line,
        )


# ---- for people -------------------------------------------------------------------------------------------


def read_export(
    source: Source,
    *,
    schema: pa.Schema | None = None,
    threads: int = THREADS,
    keep_order: bool = True,
    region: str | None = None,
    profile: str | None = None,
    endpoint_url: str | None = None,
) -> pa.RecordBatchReader:
    """One DynamoDB export as a stream of Arrow batches, which polars, DuckDB and pyarrow take as it is.

    `source` is a folder or ``s3://bucket/prefix`` with one export in or below it, full or incremental. Rows stand in the order
    of the files in its manifest and of the lines in them; without `keep_order` files of more than some ten megabytes are
    decoded side by side too, and their batches mix. Columns are those of `tailrace.decode`, each with its
    ``attribute`` and ``tag`` (the DynamoDB type) in the field's metadata.

    Without a `schema` all files are read twice: first for the schema that fits every value, which also proves that the
    export is whole before there is a first row, then for the rows. With one they are read once, and damage raises when the
    damaged file's end is reached. `schema` is that of an earlier reader, or one of your own: attributes that it does not
    name are left out, and a value that does not fit it raises. A field's type says the DynamoDB type: utf8 S, int64 and
    decimal128(38, s) N, binary B, bool BOOL, lists SS, NS and BS; M, L and numbers as utf8 need the ``tag``.

    >>> from tailrace import read_export
    >>> orders = read_export("s3://acme-lake/exports/AWSDynamoDB/01772359200123-0a1b2c3d")  # doctest: +SKIP
    >>> duckdb.sql("SELECT status, count(*) FROM orders GROUP BY ALL")                      # doctest: +SKIP

    Raises NotFound, UsageInvalid and ExportInvalid at once; ExportInvalid and RecordInvalid also while it is read.
    """
    aws = Aws(AwsSettings(region=region, profile=profile, endpoint_url=endpoint_url))
    export = open_place(source, aws).one_export()
    schema = _schema(_discover(export.inputs, threads)) if schema is None else schema
    columns = [_column_of(field) for field in schema]
    return pa.RecordBatchReader.from_batches(schema, _read(export.inputs, schema, columns, threads, keep_order))


def decode(source: bytes | Source) -> pa.Table:
    """DynamoDB JSON as a table: the meta fields, then a column per attribute and type, named as in a target.

    `source` is the bytes themselves, a path or ``s3://bucket/prefix``: a file of an export, a segment, a Lambda event or
    what GetRecords gave, gzip'd or not; or a folder of them. Of a folder with exports exactly the files that their manifests list
    are read, and checked.

    >>> from tailrace import decode
    >>> table = decode(b'{"Item": {"id": {"N": "9007199254740993"}, "price": {"N": "0.10"}, "tags": {"SS": ["b", "a"]}}}')
    >>> table.select(["id", "price", "tags"]).to_pylist()
    [{'id': 9007199254740993, 'price': Decimal('0.1'), 'tags': ['a', 'b']}]

    Raises RecordInvalid when a line cannot be represented, SegmentCorrupt and ExportInvalid when a file is damaged, NotFound.
    """
    inputs = [Input("", len(source), lambda: iter([source]))] if isinstance(source, bytes) else find_inputs([source])
    seen: Seen = {}
    batches: list[pa.RecordBatch] = []
    with closing(read_pieces(inputs)) as pieces:
        for piece in pieces:
            _refuse_rejected(piece, inputs)
            batches += piece.batches
            seen = join_seen(seen, piece.seen) if piece.is_last else seen
    return named(unify(batches, seen), columns_of(seen))


def _discover(inputs: Sequence[Input], threads: int) -> Seen:
    """What all inputs hold, and that they are whole. Raises what `read_pieces` raises, RecordInvalid also for one line."""
    seen: Seen = {}
    with closing(read_pieces(inputs, threads=threads, keep_order=False)) as pieces:
        for piece in pieces:
            _refuse_rejected(piece, inputs)
            seen = join_seen(seen, piece.seen) if piece.is_last else seen
    return seen


def columns_of(seen: Seen) -> tuple[Column, ...]:
    """The columns of an output, as a target would name and type them."""
    return plan_columns((), seen, None, reserved=META_FIELDS).columns


def _refuse_rejected(piece: Piece, inputs: Sequence[Input]) -> None:
    for rejected in piece.rejected:
        raise RecordInvalid(
            f"A record cannot be represented: {rejected.reason}",
            hint="`tailrace decode` sets such records aside in a report and decodes the rest.",
            path=inputs[piece.number].name or None,
            kind=rejected.kind,
            line=rejected.line,
            offset=rejected.offset,
        )


# ---- a stream of one schema -------------------------------------------------------------------------------

_TAG_OF: Final[Mapping[pa.DataType, Tag]] = {
    pa.string(): "S", pa.int64(): "N", pa.binary(): "B", pa.bool_(): "BOOL",
    pa.list_(pa.string()): "SS", pa.list_(pa.int64()): "NS", pa.list_(pa.binary()): "BS",
}  # fmt: skip


def _schema(seen: Seen) -> pa.Schema:
    """The meta fields, then the columns, each with the attribute and tag that it holds."""
    fields = [pa.field(name, type_) for name, type_ in zip(META_FIELDS, META_TYPES, strict=True)]
    for column in columns_of(seen):
        origin = {ATTRIBUTE: column.attribute.encode(), TAG: column.tag.encode()}
        fields.append(pa.field(column.name, arrow_type(column.type), metadata=origin))
    return pa.schema(fields)


def _column_of(field: pa.Field) -> Column | None:
    """The column that a field asks for; None for a meta field. Raises UsageInvalid."""
    origin = field.metadata or {}
    if not origin and (field.name, field.type) in zip(META_FIELDS, META_TYPES, strict=True):
        return None
    member = field.type.value_type if pa.types.is_list(field.type) else field.type
    if pa.types.is_decimal128(member):
        default: Tag | None = "N" if member is field.type else "NS"
    else:
        default = _TAG_OF.get(field.type)
    tag = cast(Tag, origin[TAG].decode()) if TAG in origin else default
    attribute = origin[ATTRIBUTE].decode() if ATTRIBUTE in origin else field.name
    numbers = _numbers_of(member) if tag in ("N", "NS") else None
    if tag not in TAGS or tag == "NULL" or arrow_type(kind := column_type(tag, numbers)) != field.type:
        raise UsageInvalid(
            f"No column of DynamoDB type {tag} is {field.type}" if tag else f"No DynamoDB type is read as {field.type}",
            hint="Use utf8, int64, decimal128(38, s), binary, bool or a list of them; see `tailrace.read_export`.",
            field=field.name,
        )
    return Column(attribute, tag, field.name, kind, numbers)


def _numbers_of(type_: pa.DataType) -> NumberRange:
    """The widest range that a type of numbers holds."""
    if type_ == pa.int64():
        return NumberRange()
    if pa.types.is_decimal128(type_) and type_.scale >= 0:
        return NumberRange(False, DIGITS_MAX - type_.scale, type_.scale)
    return NumberRange(False, DIGITS_MAX, DIGITS_MAX)  # text


def _read(
    inputs: Sequence[Input], schema: pa.Schema, columns: Sequence[Column | None], threads: int, keep_order: bool
) -> Iterator[pa.RecordBatch]:
    wanted = {(c.attribute, c.tag): c for c in columns if c is not None}
    known: Seen = {id_: AttributeSeen(0, column.numbers) for id_, column in wanted.items()}
    attributes = {attribute for attribute, _ in wanted}
    with closing(read_pieces(inputs, lambda: known, threads=threads, keep_order=keep_order)) as pieces:
        for piece in pieces:
            _refuse_rejected(piece, inputs)
            for attribute, tag in piece.seen:
                if attribute in attributes and tag != "NULL" and (attribute, tag) not in wanted:
                    raise _misfit(inputs[piece.number], attribute, tag, "has no column for it")
            for batch in piece.batches:
                yield from _conformed(batch, schema, columns, inputs[piece.number]).to_batches()


def _conformed(batch: pa.RecordBatch, schema: pa.Schema, columns: Sequence[Column | None], origin: Input) -> pa.Table:
    """A batch's columns as the schema has them. They are that wide already, so a wider one holds what does not fit."""
    places = {column: place for place, column in enumerate(decoded_columns(batch.schema), start=len(META_FIELDS))}
    arrays = []
    for field, column in zip(schema, columns, strict=True):
        place = META_FIELDS.index(field.name) if column is None else places.get((column.attribute, column.tag))
        found = pa.nulls(len(batch), field.type) if place is None else batch.column(place)
        if found.type != field.type:
            raise _misfit(origin, field.name, found.type, f"is {field.type}")
        arrays.append(found)
    return pa.Table.from_arrays(arrays, schema=schema)


def _misfit(origin: Input, name: str, found: Any, what: str) -> RecordInvalid:
    return RecordInvalid(
        f"{name!r:.200} holds {found}, and the schema {what}",
        hint="Read without a schema once: the reader's `schema` then fits every value.",
        path=origin.name,
    )
