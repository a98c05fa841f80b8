"""DynamoDB JSON lines to Arrow in plain Python: ``docs/formats/decoding.md`` as code, fallback and oracle.

It knows nothing of files and targets; where the native core differs from it, this module is right.
"""

from __future__ import annotations

import base64
import functools
import importlib
import itertools
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any, Final, NamedTuple, TypeAlias

import pyarrow as pa

from tailrace.codec.tables import META_COUNT, decoded_columns, decoded_schema
from tailrace.codec.types import (
    BATCH_BYTES,
    DEPTH_MAX,
    LINE_BYTES_MAX,
    REJECTED_RAW_MAX,
    Rejected,
)
from tailrace.errors import OrderConflict, SegmentCorrupt
from tailrace.model.keys import KeySchema
from tailrace.model.numbers import canonical_number, is_canonical
from tailrace.model.positions import ORDER_KEY_LENGTH, POSITION_DIGITS
from tailrace.model.schema import (
    INT64_MAX,
    AttributeSeen,
    NumberRange,
    Seen,
    Tag,
    join_seen,
    range_of,
)

fast_zlib: Any
try:
    fast_zlib = importlib.import_module("isal.isal_zlib")  # the same interface, two to three times as fast
except ModuleNotFoundError:
    fast_zlib = zlib
HAS_ISAL: Final = fast_zlib is not zlib

JSON_DEPTH_MAX: Final = 256
GZIP_MAGIC: Final = b"\x1f\x8b"
GZIP_FLAGS_AT: Final = 3
GZIP_NAME_ALONE: Final = 8  # as gzip writes it
INFLATED_BYTES: Final = 1 << 20  # inflated at once: a bomb costs time, not memory
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
CONFLICT_HINT: Final = "The landing zone is damaged, or two tables write into it; see `tailrace why SEGMENT`."
OP_OF_EVENT: Final = {"INSERT": "c", "MODIFY": "u", "REMOVE": "d"}


Values: TypeAlias = dict[str, tuple[Tag, Any]]
"""The decoded attributes of one image: name to tag and value."""


class Invalid(Exception):
    """This line cannot be represented: kind and reason of the rejection."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


# ---- bytes to lines ---------------------------------------------------------------------------------------


class Inflater:
    """Gunzips a stream of members, or passes plain bytes through; decides by the first two bytes."""

    def __init__(self) -> None:
        self._head = b""
        self._plain: bool | None = None
        self._member: Any = None
        self._padding = False

    def push(self, data: bytes) -> Iterator[bytes]:
        if self._plain is None:
            self._head += data
            if len(self._head) < len(GZIP_MAGIC):
                return
            data, self._head, self._plain = self._head, b"", not self._head.startswith(GZIP_MAGIC)
        if self._plain:
            yield data
        else:
            yield from self._gunzip(data)

    def finish(self) -> Iterator[bytes]:
        if self._plain is None and self._head:
            yield self._head
        elif self._member is not None or self._head:
            raise SegmentCorrupt(
                "The gzip stream ends in the middle of a member", hint="Fetch the file again; it is cut."
            )

    def _gunzip(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._padding or (self._member is None and (self._head or data)[0] == 0):
                self._padding = True
                if data.strip(b"\0"):
                    raise SegmentCorrupt("Bytes follow the gzip stream", hint="Fetch the file again; it is damaged.")
                return
            if self._member is None:
                data, self._head = self._head + data, b""
                if len(data) <= GZIP_FLAGS_AT:
                    self._head = data
                    return
                self._member = _library_for(data[GZIP_FLAGS_AT]).decompressobj(wbits=31)
            yield from self._inflate(data)
            data = b""
            if self._member.eof:
                data, self._member = self._member.unused_data, None

    def _inflate(self, data: bytes) -> Iterator[bytes]:
        """All that this data gives of the current member; a full piece may leave more inside."""
        plain = None
        while plain is None or data or len(plain) == INFLATED_BYTES:
            try:
                plain = self._member.decompress(data, INFLATED_BYTES)
            except (zlib.error, fast_zlib.error) as error:
                raise SegmentCorrupt(f"The gzip stream is damaged: {error}", hint="Fetch the file again.") from error
            if plain:
                yield plain
            if self._member.eof:
                return
            data = self._member.unconsumed_tail


def _library_for(flags: int) -> Any:
    """ISA-L loses its place in a header of several fields that comes in pieces, and takes flags that do not exist."""
    return fast_zlib if flags in (0, GZIP_NAME_ALONE) else zlib


def inflate(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """All plain bytes of an input, in pieces; raises SegmentCorrupt."""
    inflater = Inflater()
    for chunk in chunks:
        yield from inflater.push(chunk)
    yield from inflater.finish()


Line: TypeAlias = tuple[int, int, bytes, bool]
"""One line without its newline: number, offset, bytes, and whether it is longer than permitted and therefore cut."""


class LineSplitter:
    """Cuts bytes at newlines; counts lines and offsets; never holds more of a line than is permitted."""

    def __init__(self, line_bytes_max: int) -> None:
        self._max = line_bytes_max
        self._pending = bytearray()
        self._length = 0  # of the pending line, of which only `_max` bytes are held
        self._number = 0
        self._offset = 0

    def push(self, data: bytes) -> Iterator[Line]:
        *lines, rest = data.split(b"\n")
        for line in lines:
            if self._length or not self._number or len(line) > self._max:
                yield self._close(line)
            else:  # nearly all
                self._number += 1
                offset = self._offset
                self._offset += len(line) + 1
                yield self._number, offset, line, False
        self._keep(rest)

    def finish(self) -> Iterator[Line]:
        if self._length:
            yield self._close(b"")

    def _keep(self, data: bytes) -> None:
        self._length += len(data)
        held = self._max if self._number else self._max + len(BYTE_ORDER_MARK)  # which goes away in `_close`
        self._pending += data[: held - len(self._pending)]

    def _close(self, data: bytes) -> Line:
        length = len(data)
        if self._length:
            self._keep(data)
            data, length = bytes(self._pending), self._length
            self._pending.clear()
            self._length = 0
        offset = self._offset
        self._offset += length + 1
        self._number += 1
        if self._number == 1:
            data = data.removeprefix(BYTE_ORDER_MARK)
        return self._number, offset, data[: self._max], length > self._max


# ---- a line to JSON ---------------------------------------------------------------------------------------


class _Repeated(Exception):
    """A name stands twice in one object."""


def _object(pairs: list[tuple[str, Any]]) -> tuple[str, Any] | dict[str, Any]:
    """An object of one member is that pair: nearly all objects are typed values. See `_members`."""
    if len(pairs) == 1:
        return pairs[0]
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Repeated
    return members


def _members(value: Any) -> dict[str, Any] | None:
    """The members of an object as `_object` made it; None for everything else."""
    if type(value) is tuple:
        return {value[0]: value[1]}
    return value if type(value) is dict else None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


class _Literal(str):
    """A JSON number, kept as text: nothing in DynamoDB JSON is one but a bare WriteTimestampMicros."""

    __slots__ = ()


_scan: Any = json.JSONDecoder(  # type: ignore[attr-defined]  # what raw_decode calls, without its cost
    object_pairs_hook=_object, parse_constant=_no_constant, parse_int=_Literal, parse_float=_Literal
).scan_once
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def parse_line(line: bytes) -> dict[str, Any]:
    """Strict JSON: one object, no repeated names, valid UTF-8, no lone surrogates. Raises Invalid."""
    try:
        text = line.decode("utf-8")
        document, end = _scan(text, 0)
    except UnicodeDecodeError as error:
        raise Invalid("invalid_utf8", f"byte {error.start} of the line is not UTF-8") from error
    except _Repeated as error:
        raise Invalid("duplicate_name", "a name stands twice in one object") from error
    except (ValueError, StopIteration, RecursionError) as error:
        ion = " (this looks like Ion: export with ExportFormat DYNAMODB_JSON)" if line.startswith(b"$ion") else ""
        reason = f"a value is expected at character {error.value}" if isinstance(error, StopIteration) else error
        raise Invalid("not_json", f"not JSON{ion}: {reason}") from error
    if end != len(text):
        raise Invalid("not_json", f"text follows the value at character {end}")
    deep = len(line) > JSON_DEPTH_MAX and line.count(b"{") + line.count(b"[") > JSON_DEPTH_MAX
    if deep and _depth(document) > JSON_DEPTH_MAX:
        raise Invalid("not_json", f"nested deeper than {JSON_DEPTH_MAX}")
    if "\\u" in text and _SURROGATE.search(text) and _has_surrogate(document):
        raise Invalid("lone_surrogate", "a lone surrogate cannot be written as UTF-8")
    if type(document) is tuple:
        return {document[0]: document[1]}
    if type(document) is not dict:
        raise Invalid("unknown_shape", "the line is not an object")
    return document


def _has_surrogate(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


def _depth(value: Any) -> int:
    deepest = 0
    todo: list[tuple[Any, int]] = [([value], 0)]
    while todo:
        node, depth = todo.pop()
        deepest = max(deepest, depth)
        children = node.values() if isinstance(node, dict) else node
        todo.extend((child, depth + 1) for child in children if isinstance(child, dict | list | tuple))
    return deepest


# ---- typed values -----------------------------------------------------------------------------------------


def _string(value: Any) -> str:
    if type(value) is not str:
        raise Invalid("bad_value", "a string is expected")
    return value


def _number(value: Any) -> str:
    if type(value) is not str:
        raise Invalid("bad_value", "a string is expected")
    try:
        return canonical_number(value)
    except ValueError as error:
        raise Invalid("bad_number", f"{value!r:.80}: {error}") from error


def _binary(value: Any) -> bytes:
    try:
        data = base64.b64decode(_string(value), validate=True)
        if base64.b64encode(data).decode("ascii") == value:
            return data
    except ValueError:
        pass
    raise Invalid("bad_base64", f"{value!r:.80} is not base64")


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Invalid("bad_value", "BOOL is neither true nor false")
    return value


def _null(value: Any) -> bool:
    if value is not True:
        raise Invalid("bad_value", "NULL is not true")
    return True


def _set(value: Any, member: Callable[[Any], Any], order: Callable[[Any], Any] | None = None) -> list[Any]:
    """Sorted members. Strings of Python compare by code point, which is the order of their UTF-8 bytes."""
    if not isinstance(value, list):
        raise Invalid("bad_value", "a set is not an array")
    members = [member(m) for m in value]
    if len(set(members)) != len(members):
        raise Invalid("bad_set", "a member stands twice in a set")
    return sorted(members, key=order)


_DECODE: Final[Mapping[str, Callable[[Any], Any]]] = {
    "S": _string,
    "N": _number,
    "B": _binary,
    "BOOL": _boolean,
    "NULL": _null,
    "SS": lambda value: _set(value, _string),
    "NS": lambda value: _set(value, _number, Decimal),
    "BS": lambda value: _set(value, _binary),
    "M": lambda value: _map_text(value, 1),
    "L": lambda value: _list_text(value, 1),
}


def decode_attributes(image: Any) -> Values:
    """Check and decode: numbers to canonical text, M and L to JSON text, sets sorted. Raises Invalid."""
    members = _members(image)
    if members is None:
        raise Invalid("bad_value", "an image is not an object")
    if "" in members:
        raise Invalid("bad_name", "an attribute has an empty name")
    values: Values = {}
    for name, value in members.items():
        tag, inner = value if type(value) is tuple else (None, None)
        if type(inner) is str and (tag == "S" or (tag == "N" and is_canonical(inner))):  # most of them
            values[name] = value
        else:
            tag, inner = _tagged(value)
            values[name] = tag, _DECODE[tag](inner)
    return values


def _tagged(value: Any) -> tuple[Tag, Any]:
    if type(value) is not tuple:
        raise Invalid("bad_value", "a typed value is an object with exactly one member")
    if value[0] not in _DECODE:
        raise Invalid("bad_value", f"{value[0]!r:.40} is no DynamoDB type")
    return value


# JSON text of nested values. A top-level attribute's value has depth 1, each M or L around a value adds one.


def _map_text(value: Any, depth: int) -> str:
    members = _members(value)
    if members is None:
        raise Invalid("bad_value", "M is not an object")
    return "{" + ",".join([f"{encode_basestring(n)}:{_text(members[n], depth + 1)}" for n in sorted(members)]) + "}"


def _list_text(value: Any, depth: int) -> str:
    if not isinstance(value, list):
        raise Invalid("bad_value", "L is not an array")
    return "[" + ",".join([_text(member, depth + 1) for member in value]) + "]"


def _text(value: Any, depth: int) -> str:
    if depth > DEPTH_MAX:
        raise Invalid("too_deep", f"values are nested deeper than {DEPTH_MAX}")
    if type(value) is tuple and value[0] == "S" and type(value[1]) is str:  # most of them
        return encode_basestring(value[1])
    tag, inner = _tagged(value)
    if tag == "N":
        return _number(inner)
    if tag == "M":
        return _map_text(inner, depth)
    if tag == "L":
        return _list_text(inner, depth)
    return _scalar_text(tag, _DECODE[tag](inner))


def _scalar_text(tag: Tag, value: Any) -> str:
    if tag == "S":
        return encode_basestring(value)
    if tag == "N":
        return str(value)
    if tag == "BOOL":
        return "true" if value else "false"
    if tag == "NULL":
        return "null"
    if tag == "B":
        return f'"{base64.b64encode(value).decode("ascii")}"'
    member_tag: Tag = {"SS": "S", "NS": "N", "BS": "B"}[tag]  # type: ignore[assignment]
    return "[" + ",".join([_scalar_text(member_tag, member) for member in value]) + "]"


# ---- records ----------------------------------------------------------------------------------------------


class Meta(NamedTuple):
    """What a line says beside its values. `position` is the order key without its prefix."""

    op: str
    ts: int | None
    position: str
    expired: bool


@functools.cache
def _base_meta(position_digits: int) -> Meta:
    return Meta("r", None, "0" * position_digits, False)


def read_record(
    document: Mapping[str, Any], keys: KeySchema | None, position_digits: int = POSITION_DIGITS
) -> tuple[Meta, Values]:
    """Raises Invalid. `position_digits`: what the order prefix leaves for the position."""
    if ("Item" in document) == ("Keys" in document):
        raise Invalid("unknown_shape", "a record has either Item or Keys")
    if "Item" not in document:
        return _change(document, keys, position_digits)
    values = decode_attributes(document["Item"])
    if keys is not None:
        _check_schema(values, keys)
    return _base_meta(position_digits), values


def _change(document: Mapping[str, Any], keys: KeySchema | None, position_digits: int) -> tuple[Meta, Values]:
    metadata = _members(document.get("Metadata", {}))
    if metadata is None:
        raise Invalid("bad_metadata", "Metadata is not an object")
    op = _operation(metadata, "NewImage" in document)
    ts = _micros(metadata)
    position = _position(metadata, ts, position_digits)
    expired = _wrapped(metadata, "Expired", "BOOL") if "Expired" in metadata else False
    if not isinstance(expired, bool):
        raise Invalid("bad_metadata", "Expired is neither true nor false")
    key = decode_attributes(document["Keys"])
    values = key if op == "d" else decode_attributes(document["NewImage"])
    _check_key(key, values, keys)
    return Meta(op, ts, position, expired), values


def _wrapped(metadata: Mapping[str, Any], name: str, tag: str) -> Any:
    value = metadata[name]
    if type(value) is not tuple or value[0] != tag:
        raise Invalid("bad_metadata", f"{name} is not of the form {{{tag!r}: …}}")
    return value[1]


def _integer(value: Any, name: str, digits_max: int) -> int:
    if not isinstance(value, str) or not (value.isascii() and value.isdigit()) or len(value) > digits_max:
        raise Invalid("bad_metadata", f"{name} {value!r:.60} is not 1 to {digits_max} digits")
    return int(value)


def _micros(metadata: Mapping[str, Any]) -> int | None:
    if "WriteTimestampMicros" not in metadata:
        return None
    value = metadata["WriteTimestampMicros"]
    if isinstance(value, tuple | dict):
        value = _string_of(_wrapped(metadata, "WriteTimestampMicros", "N"), "WriteTimestampMicros")
    micros = _integer(value, "WriteTimestampMicros", 19)
    if micros > INT64_MAX:
        raise Invalid("bad_metadata", "WriteTimestampMicros does not fit 64 bits")
    return micros


def _position(metadata: Mapping[str, Any], ts: int | None, digits: int) -> str:
    position = ts
    if "SequenceNumber" in metadata:
        text = _string_of(_wrapped(metadata, "SequenceNumber", "S"), "SequenceNumber")
        position = _integer(text, "SequenceNumber", POSITION_DIGITS)
    if position is None:
        raise Invalid("bad_metadata", "neither SequenceNumber nor WriteTimestampMicros")
    padded = f"{position:0{digits}d}"
    if len(padded) > digits:
        raise Invalid("bad_metadata", f"position {position} does not fit {digits} digits")
    return padded


def _string_of(value: Any, name: str) -> str:
    if type(value) is not str:
        raise Invalid("bad_metadata", f"{name} does not hold a string")
    return value


def _operation(metadata: Mapping[str, Any], has_image: bool) -> str:
    if "EventName" not in metadata:
        return "u" if has_image else "d"
    event = _wrapped(metadata, "EventName", "S")
    op = OP_OF_EVENT.get(event) if isinstance(event, str) else None
    if op is None:
        raise Invalid("bad_metadata", f"unknown EventName {event!r:.40}")
    if op == "d" and has_image:
        raise Invalid("bad_event", "REMOVE with a NewImage")
    if op != "d" and not has_image:
        raise Invalid("missing_image", f"{event} without a NewImage: the stream must carry new images")
    return op


def _check_schema(values: Values, keys: KeySchema) -> None:
    for attribute in keys.attributes:
        if attribute.name not in values or values[attribute.name][0] != attribute.tag:
            raise Invalid("key_mismatch", f"key attribute {attribute.name!r:.80} is not there as {attribute.tag}")


def _check_key(key: Values, values: Values, keys: KeySchema | None) -> None:
    if not 1 <= len(key) <= 2 or any(tag not in ("S", "N", "B") for tag, _ in key.values()):
        raise Invalid("key_mismatch", "Keys holds one or two attributes of type S, N or B")
    if keys is not None:
        _check_schema(key, keys)
        if len(key) != len(keys.attributes):
            raise Invalid("key_mismatch", f"Keys holds more than {', '.join(keys.names)}")
    if any(values.get(name) != typed for name, typed in key.items()):
        raise Invalid("key_mismatch", "Keys and the image differ")


# ---- rows to batches --------------------------------------------------------------------------------------


class ReferenceDecoder:
    """See `tailrace.codec.types.Decoder`."""

    def __init__(
        self,
        order_prefix: str,
        *,
        keys: KeySchema | None = None,
        batch_bytes: int = BATCH_BYTES,
        line_bytes_max: int = LINE_BYTES_MAX,
        known: Seen | None = None,
    ) -> None:
        self._prefix = order_prefix
        self._position_digits = ORDER_KEY_LENGTH - len(order_prefix)
        self._keys = keys
        self._batch_bytes = batch_bytes
        self._inflater = Inflater()
        self._lines = LineSplitter(line_bytes_max)
        self._known = {column: AttributeSeen(0, seen.numbers) for column, seen in (known or {}).items()}
        self._seen: dict[tuple[str, Tag], AttributeSeen] = {}  # of sealed batches
        self._rejected: list[Rejected] = []
        self.rows = 0
        self._start_batch()

    @property
    def seen(self) -> Seen:
        return join_seen(self._seen, self._seen_in_batch())

    @property
    def rejected(self) -> tuple[Rejected, ...]:
        return tuple(self._rejected)

    def push(self, data: bytes) -> list[pa.RecordBatch]:
        return [batch for plain in self._inflater.push(data) for batch in self._decode(self._lines.push(plain))]

    def finish(self) -> list[pa.RecordBatch]:
        batches = [batch for plain in self._inflater.finish() for batch in self._decode(self._lines.push(plain))]
        batches += self._decode(self._lines.finish())
        if self._rows_in_batch:
            batches.append(self._seal())
        return batches

    def _decode(self, lines: Iterable[Line]) -> Iterator[pa.RecordBatch]:
        for line in lines:
            _, _, data, too_long = line
            data = data.strip(b" \t\r")
            if not data and not too_long:
                continue
            try:
                if too_long:
                    raise Invalid("line_too_long", "the line is longer than any DynamoDB record")
                self._add(*read_record(parse_line(data), self._keys, self._position_digits))
            except Invalid as invalid:
                self._reject(line, invalid)
            self._batch_size += len(data)
            if self._batch_size >= self._batch_bytes and self._rows_in_batch:
                yield self._seal()

    def _reject(self, line: Line, invalid: Invalid) -> None:
        number, offset, data, too_long = line
        cut = too_long or len(data) > REJECTED_RAW_MAX
        self._rejected.append(Rejected(number, offset, invalid.kind, str(invalid), data[:REJECTED_RAW_MAX], cut))

    def _start_batch(self) -> None:
        self._rows_in_batch = 0
        self._ops: list[str] = []
        self._ts: list[int | None] = []
        self._positions: list[str] = []
        self._expired: list[bool] = []
        self._columns: dict[str, dict[Tag, list[Any]]] = {}  # each only as long as the last row that has a value
        self._batch_size = 0

    def _add(self, meta: Meta, values: Values) -> None:
        row, columns = self._rows_in_batch, self._columns
        for name, (tag, value) in values.items():
            try:
                column = columns[name][tag]
            except KeyError:
                column = columns.setdefault(name, {}).setdefault(tag, [])
            if len(column) != row:
                column.extend([None] * (row - len(column)))
            column.append(value)
        op, ts, position, expired = meta
        self._ops.append(op)
        self._ts.append(ts)
        self._positions.append(self._prefix + position)
        self._expired.append(expired)
        self._rows_in_batch += 1
        self.rows += 1

    def _seen_in_batch(self) -> Seen:
        return {
            (name, tag): AttributeSeen(len(values) - values.count(None), _numbers(tag, values))
            for name, tags in self._columns.items()
            for tag, values in tags.items()
        }

    def _seal(self) -> pa.RecordBatch:
        self._seen = join_seen(self._seen, self._seen_in_batch())
        schema = decoded_schema(join_seen(self._known, self._seen))
        meta = (self._ops, self._ts, self._positions, self._expired)
        arrays = [pa.array(values, field.type) for values, field in zip(meta, schema, strict=False)]
        for (name, tag), field in zip(decoded_columns(schema), list(schema)[META_COUNT:], strict=True):
            column = self._columns.get(name, {}).get(tag, [])
            arrays.append(_array(column + [None] * (self._rows_in_batch - len(column)), field.type))
        self._start_batch()
        return pa.record_batch(arrays, schema=schema)


def _numbers(tag: Tag, values: Iterable[Any]) -> NumberRange | None:
    if tag == "NS":
        values = (member for members in values if members is not None for member in members)
    elif tag != "N":
        return None
    return range_of([value for value in values if value is not None])


def _array(values: list[Any], type_: pa.DataType) -> pa.Array:
    """Numbers come as canonical text, whatever the column's type."""
    member = type_.value_type if pa.types.is_list(type_) else type_
    make = int if member == pa.int64() else Decimal if pa.types.is_decimal(member) else None
    if make is None:
        return pa.array(values, type_)
    if member is type_:
        return pa.array(values, pa.string()).cast(type_)
    return pa.array([None if members is None else [make(m) for m in members] for members in values], type_)


# ---- fold -------------------------------------------------------------------------------------------------


def rejected_rows(chunks: Iterable[bytes], reasons: Mapping[int, str], rejected: Sequence[Rejected]) -> list[Rejected]:
    """The lines of some rows of a decoded input, given once more, for another reason than a decoder's. `rejected`: by it."""
    splitter, gone, row, found = LineSplitter(LINE_BYTES_MAX), {r.line for r in rejected}, 0, []
    for line in itertools.chain(
        (line for piece in inflate(chunks) for line in splitter.push(piece)), splitter.finish()
    ):
        number, offset, data, _ = line
        if number in gone or not data.strip(b" \t\r"):
            continue
        if row in reasons:
            cut = len(data) > REJECTED_RAW_MAX
            found.append(Rejected(number, offset, "unfit", reasons[row], data[:REJECTED_RAW_MAX], cut))
        row += 1
    return found


def fold_latest(table: pa.Table, keys: Sequence[int], order: int) -> pa.UInt64Array:
    """Indices of the latest row per key, in row order. Raises OrderConflict."""
    key_rows = zip(*(table.column(i).to_pylist() for i in keys), strict=True)
    positions = table.column(order).to_pylist()
    first: dict[tuple[Any, ...], int] = {}
    latest: dict[tuple[Any, ...], int] = {}
    for row, (key, position) in enumerate(zip(key_rows, positions, strict=True)):
        same = first.setdefault((key, position), row)
        if same != row and not _same_row(table, same, row):
            raise OrderConflict(
                "Two different records have one key and one position",
                hint=CONFLICT_HINT,
                key=key,
                position=position,
            )
        if position > positions[latest.setdefault(key, row)]:
            latest[key] = row
    return pa.array(sorted(latest.values()), pa.uint64())


def _same_row(table: pa.Table, left: int, right: int) -> bool:
    return all(c.slice(left, 1).to_pylist() == c.slice(right, 1).to_pylist() for c in table.columns)
