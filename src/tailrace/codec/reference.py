"""DynamoDB JSON lines to Arrow in plain Python: the specification of ``docs/formats/decoding.md``, the fallback and the oracle.

It knows nothing of files, targets or speed; where the native core differs from it, this module is right.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

from tailrace.codec.tables import arrow_type, field_for
from tailrace.codec.types import BATCH_BYTES, DEPTH_MAX, LINE_BYTES_MAX, META_FIELDS, REJECTED_RAW_MAX, Rejected
from tailrace.errors import OrderConflict, SegmentCorrupt
from tailrace.model.keys import KeySchema
from tailrace.model.numbers import canonical_number, split_number
from tailrace.model.positions import POSITION_DIGITS
from tailrace.model.schema import TAGS, AttributeSeen, NumberRange, Seen, Tag, column_type

INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1
JSON_DEPTH_MAX: Final = 256
GZIP_MAGIC: Final = b"\x1f\x8b"
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
OP_OF_EVENT: Final = {"INSERT": "c", "MODIFY": "u", "REMOVE": "d"}


class Invalid(Exception):
    """This line cannot be represented: kind and reason of the rejection."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


# ---- bytes to lines -------------------------------------------------------------------------------------------------


class Inflater:
    """Gunzips a stream of members, or passes plain bytes through; decides by the first two bytes."""

    def __init__(self) -> None:
        self._head = b""
        self._plain: bool | None = None
        self._member: zlib._Decompress | None = None
        self._padding = False

    def push(self, data: bytes) -> Iterator[bytes]:
        if self._plain is None:
            self._head += data
            if len(self._head) < len(GZIP_MAGIC):
                return
            data, self._plain = self._head, not self._head.startswith(GZIP_MAGIC)
        if self._plain:
            yield data
        else:
            yield from self._gunzip(data)

    def finish(self) -> Iterator[bytes]:
        if self._plain is None and self._head:
            yield self._head
        if self._member is not None:
            raise SegmentCorrupt("The gzip stream ends in the middle of a member", hint="Fetch the file again; it is cut.")

    def _gunzip(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._member is None:
                if self._padding or data[0] == 0:
                    self._padding = True
                    if data.strip(b"\0"):
                        raise SegmentCorrupt("Bytes follow the gzip stream", hint="Fetch the file again; it is damaged.")
                    return
                self._member = zlib.decompressobj(wbits=31)
            try:
                plain = self._member.decompress(data)
            except zlib.error as error:
                raise SegmentCorrupt(f"The gzip stream is damaged: {error}", hint="Fetch the file again.") from error
            if plain:
                yield plain
            data = b""
            if self._member.eof:
                data, self._member = self._member.unused_data, None


class LineSplitter:
    """Cuts bytes at newlines; counts lines and offsets; never holds more than one line of the permitted length."""

    def __init__(self, line_bytes_max: int) -> None:
        self._max = line_bytes_max
        self._pending = b""
        self._dropped = 0  # bytes of an overlong line that were let go
        self._line = 0
        self._offset = 0
        self._started = False

    def push(self, data: bytes) -> Iterator[tuple[int, int, bytes, bool]]:
        """Yield (line, offset, bytes, too long) for each complete line."""
        *lines, rest = data.split(b"\n")
        for line in lines:
            yield self._close(line, ended=True)
        self._keep(rest)

    def finish(self) -> Iterator[tuple[int, int, bytes, bool]]:
        if self._pending or self._dropped:
            yield self._close(b"", ended=False)

    def _keep(self, data: bytes) -> None:
        self._pending += data
        if len(self._pending) > self._max:
            self._dropped += len(self._pending) - self._max
            self._pending = self._pending[: self._max]

    def _close(self, data: bytes, *, ended: bool) -> tuple[int, int, bytes, bool]:
        self._keep(data)
        line, dropped, offset = self._pending, self._dropped, self._offset
        self._pending, self._dropped = b"", 0
        self._offset += len(line) + dropped + ended
        self._line += 1
        if self._line == 1 and line.startswith(BYTE_ORDER_MARK):
            line = line[len(BYTE_ORDER_MARK) :]
        return self._line, offset, line, dropped > 0


# ---- a line to JSON -------------------------------------------------------------------------------------------------


class _Repeated(Exception):
    pass


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Repeated
    return members


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


# Numbers stay text: nothing in DynamoDB JSON is a JSON number but a bare WriteTimestampMicros, read by `_micros`.
class _Literal(str):
    __slots__ = ()


_load = json.JSONDecoder(
    object_pairs_hook=_no_repeats, parse_constant=_no_constant, parse_int=_Literal, parse_float=_Literal
).decode


def parse_line(line: bytes) -> dict[str, Any]:
    """Strict JSON: one object, no repeated names, valid UTF-8, no lone surrogates. Raises Invalid."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Invalid("invalid_utf8", f"byte {error.start} of the line is not UTF-8") from error
    try:
        document = _load(text)
    except _Repeated as error:
        raise Invalid("duplicate_name", "a name stands twice in one object") from error
    except (ValueError, RecursionError) as error:
        ion = " (this looks like Ion: export with ExportFormat DYNAMODB_JSON)" if text.startswith("$ion") else ""
        raise Invalid("not_json", f"not JSON{ion}: {error}") from error
    if "\\u" in text and _has_surrogate(document):
        raise Invalid("lone_surrogate", "a lone surrogate cannot be written as UTF-8")
    if (text.count("{") + text.count("[")) > JSON_DEPTH_MAX and _depth(document) > JSON_DEPTH_MAX:
        raise Invalid("not_json", f"nested deeper than {JSON_DEPTH_MAX}")
    if not isinstance(document, dict):
        raise Invalid("unknown_shape", "the line is not an object")
    return document


def _has_surrogate(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


def _depth(value: Any) -> int:
    deepest, todo = 0, [(value, 1)]
    while todo:
        node, depth = todo.pop()
        deepest = max(deepest, depth)
        children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        todo.extend((child, depth + 1) for child in children if isinstance(child, dict | list))
    return deepest


# ---- typed values ---------------------------------------------------------------------------------------------------


def _string(value: Any) -> str:
    if type(value) is not str:
        raise Invalid("bad_value", "S is not a string")
    return value


def _number(value: Any) -> str:
    if type(value) is not str:
        raise Invalid("bad_value", "N is not a string of digits")
    try:
        return canonical_number(value)
    except ValueError as error:
        raise Invalid("bad_number", f"{value!r:.80}: {error}") from error


def _base64(value: Any) -> str:
    if type(value) is not str:
        raise Invalid("bad_value", "B is not a string of base64")
    try:
        if base64.b64encode(base64.b64decode(value, validate=True)).decode() == value:
            return value
    except (binascii.Error, ValueError):
        pass
    raise Invalid("bad_base64", f"{value!r:.80} is not base64")


def _binary(value: Any) -> bytes:
    return base64.b64decode(_base64(value))


def _boolean(value: Any) -> bool:
    if value is not True and value is not False:
        raise Invalid("bad_value", "BOOL is neither true nor false")
    return bool(value)


def _null(value: Any) -> None:
    if value is not True:
        raise Invalid("bad_value", "NULL is not true")


def _set(value: Any, member: Callable[[Any], Any], order: Callable[[Any], Any]) -> list[Any]:
    if not isinstance(value, list):
        raise Invalid("bad_value", "a set is not an array")
    members = sorted((member(m) for m in value), key=order)
    if any(left == right for left, right in zip(members, members[1:], strict=False)):
        raise Invalid("bad_set", "a member stands twice in a set")
    return members


def number_order(text: str) -> tuple[int, int, str]:
    """Sorts canonical numbers by value, without arithmetic."""
    sign, digits, exponent = split_number(text)
    if not digits:
        return (0, 0, "")
    first = exponent + len(digits) - 1 + 1000  # now positive
    if not sign:
        return (1, first, digits)
    return (-1, -first, "".join(chr(ord("9") - ord(d) + ord("0")) for d in digits) + "~")


def utf8_order(text: str) -> bytes:
    return text.encode("utf-8")


def typed(value: Any, depth: int) -> tuple[Tag, Any]:
    """Check one AttributeValue; give its tag and its Python value (numbers as canonical text, M and L as JSON text)."""
    if not isinstance(value, dict) or len(value) != 1:
        raise Invalid("bad_value", "a typed value is an object with exactly one member")
    [(tag, inner)] = value.items()
    if tag in ("M", "L"):
        return tag, _nested(tag, inner, depth)
    decode = _SCALARS.get(tag)
    if decode is None:
        raise Invalid("bad_value", f"{tag!r:.40} is no DynamoDB type")
    return tag, decode(inner)


_SCALARS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "S": _string,
    "N": _number,
    "B": _binary,
    "BOOL": _boolean,
    "NULL": _null,
    "SS": lambda value: _set(value, _string, utf8_order),
    "NS": lambda value: _set(value, _number, number_order),
    "BS": lambda value: _set(value, _binary, bytes),
}


def _nested(tag: str, value: Any, depth: int) -> str:
    if depth > DEPTH_MAX:
        raise Invalid("too_deep", f"values are nested deeper than {DEPTH_MAX}")
    if tag == "M":
        if not isinstance(value, dict):
            raise Invalid("bad_value", "M is not an object")
        members = sorted(value.items(), key=lambda member: utf8_order(member[0]))
        return "{" + ",".join(f"{_quoted(name)}:{_json(member, depth + 1)}" for name, member in members) + "}"
    if not isinstance(value, list):
        raise Invalid("bad_value", "L is not an array")
    return "[" + ",".join(_json(member, depth + 1) for member in value) + "]"


_quoted = json.JSONEncoder(ensure_ascii=False).encode


def _json(value: Any, depth: int) -> str:
    """Plain JSON text of a nested typed value; a value inside a container of `depth - 1` has `depth`."""
    if depth > DEPTH_MAX:
        raise Invalid("too_deep", f"values are nested deeper than {DEPTH_MAX}")
    tag, plain = typed(value, depth)
    if tag in ("M", "L", "N"):
        return str(plain)
    if tag == "NS":
        return "[" + ",".join(plain) + "]"
    if tag in ("BOOL", "NULL"):
        return {True: "true", False: "false", None: "null"}[plain]
    if tag == "B":
        return _quoted(base64.b64encode(plain).decode())
    if tag == "BS":
        return "[" + ",".join(_quoted(base64.b64encode(m).decode()) for m in plain) + "]"
    return _quoted(plain) if tag == "S" else "[" + ",".join(map(_quoted, plain)) + "]"


def number_range(canonical: str) -> NumberRange:
    """What one number needs of a column."""
    _sign, digits, exponent = split_number(canonical)
    if not digits:
        return NumberRange()
    whole = max(0, len(digits) + exponent)
    int64 = exponent >= 0 and whole <= 19 and INT64_MIN <= int(canonical) <= INT64_MAX
    return NumberRange(int64, whole, max(0, -exponent))


# ---- records --------------------------------------------------------------------------------------------------------


def _unwrap(metadata: Mapping[str, Any], name: str, tag: str) -> Any:
    """The inner value of a wrapped metadata member, None where the member is absent."""
    value = metadata.get(name)
    if value is None:
        return None
    if not isinstance(value, dict) or set(value) != {tag}:
        raise Invalid("bad_metadata", f"{name} is not of the form {{{tag!r}: …}}")
    return value[tag]


def _digits(value: Any, name: str, digits_max: int) -> int | None:
    if value is None:
        return None
    if not isinstance(value, str) or not (value.isascii() and value.isdigit()) or len(value) > digits_max:
        raise Invalid("bad_metadata", f"{name} {value!r:.60} is not 1 to {digits_max} digits")
    return int(value)


def _micros(metadata: Mapping[str, Any]) -> int | None:
    value = metadata.get("WriteTimestampMicros")
    if isinstance(value, dict):
        value = _unwrap(metadata, "WriteTimestampMicros", "N")
    micros = _digits(value, "WriteTimestampMicros", 19)
    if micros is not None and micros > INT64_MAX:
        raise Invalid("bad_metadata", "WriteTimestampMicros does not fit 64 bits")
    return micros


class Record:
    """One line, understood: meta fields and typed values."""

    __slots__ = ("expired", "op", "position", "ts", "values")

    def __init__(self, document: Mapping[str, Any], keys: KeySchema | None, prefix_length: int) -> None:
        item, record_keys = document.get("Item"), document.get("Keys")
        if ("Item" in document) == ("Keys" in document):
            raise Invalid("unknown_shape", "a record has either Item or Keys")
        self.op, self.ts, self.expired, self.position = "r", None, False, "0" * (POSITION_DIGITS + 7 - prefix_length)
        image = item
        if item is None:
            self._read_metadata(document, prefix_length)
            image = record_keys if self.op == "d" else document.get("NewImage")
        self.values = _attributes(image)
        self._check_keys(self.values if item is not None else _attributes(record_keys), keys, is_item=item is not None)

    def _read_metadata(self, document: Mapping[str, Any], prefix_length: int) -> None:
        metadata = document.get("Metadata", {})
        if not isinstance(metadata, dict):
            raise Invalid("bad_metadata", "Metadata is not an object")
        sequence = _digits(_unwrap(metadata, "SequenceNumber", "S"), "SequenceNumber", POSITION_DIGITS)
        self.ts = _micros(metadata)
        position = self.ts if sequence is None else sequence
        if position is None:
            raise Invalid("bad_metadata", "neither SequenceNumber nor WriteTimestampMicros")
        width = POSITION_DIGITS + 7 - prefix_length
        self.position = f"{position:0{width}d}"
        if len(self.position) != width:
            raise Invalid("bad_metadata", f"position {position} does not fit {width} digits")
        expired = _unwrap(metadata, "Expired", "BOOL")
        if expired not in (None, True, False):
            raise Invalid("bad_metadata", "Expired is neither true nor false")
        self.expired = bool(expired)
        self.op = _operation(_unwrap(metadata, "EventName", "S"), "NewImage" in document)

    def _check_keys(self, found: Mapping[str, tuple[Tag, Any]], keys: KeySchema | None, *, is_item: bool) -> None:
        if keys is not None:
            fits = all(found.get(a.name, ("", None))[0] == a.tag for a in keys.attributes)
            if not fits or (not is_item and len(found) != len(keys.attributes)):
                raise Invalid("key_mismatch", f"the key is not {', '.join(keys.names)}")
        if is_item:
            return
        if not 1 <= len(found) <= 2 or any(tag not in ("S", "N", "B") for tag, _ in found.values()):
            raise Invalid("key_mismatch", "Keys holds one or two attributes of type S, N or B")
        if any(self.values.get(name) != value for name, value in found.items()):
            raise Invalid("key_mismatch", "Keys and the image differ")


def _operation(event: str | None, has_image: bool) -> str:
    if event is None:
        return "u" if has_image else "d"
    if event not in OP_OF_EVENT:
        raise Invalid("bad_metadata", f"unknown EventName {event!r:.40}")
    op = OP_OF_EVENT[event]
    if op == "d" and has_image:
        raise Invalid("bad_event", "REMOVE with a NewImage")
    if op != "d" and not has_image:
        raise Invalid("missing_image", f"{event} without a NewImage: the stream must carry new images")
    return op


def _attributes(image: Any) -> dict[str, tuple[Tag, Any]]:
    if not isinstance(image, dict):
        raise Invalid("bad_value", "an image is not an object")
    if "" in image:
        raise Invalid("bad_name", "an attribute has an empty name")
    return {name: typed(value, 1) for name, value in image.items()}


# ---- rows to batches ------------------------------------------------------------------------------------------------


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
        self._keys = keys
        self._batch_bytes = batch_bytes
        self._inflater = Inflater()
        self._lines = LineSplitter(line_bytes_max)
        self._known = {name: AttributeSeen(0, seen.numbers) for name, seen in (known or {}).items()}
        self._counts: dict[tuple[str, Tag], int] = {}
        self._ranges: dict[tuple[str, Tag], NumberRange] = {}
        self._rejected: list[Rejected] = []
        self.rows = 0
        self._start_batch()

    @property
    def seen(self) -> Seen:
        return {name: AttributeSeen(count, self._ranges.get(name)) for name, count in self._counts.items()}

    @property
    def rejected(self) -> tuple[Rejected, ...]:
        return tuple(self._rejected)

    def push(self, data: bytes) -> list[pa.RecordBatch]:
        return [batch for plain in self._inflater.push(data) for batch in self._decode(self._lines.push(plain))]

    def finish(self) -> list[pa.RecordBatch]:
        batches = [batch for plain in self._inflater.finish() for batch in self._decode(self._lines.push(plain))]
        batches += self._decode(self._lines.finish())
        if self._ops:
            batches.append(self._seal())
        return batches

    def _decode(self, lines: Iterator[tuple[int, int, bytes, bool]]) -> Iterator[pa.RecordBatch]:
        for line, offset, data, too_long in lines:
            stripped = data.strip(b" \t\r")
            if not stripped:
                continue
            try:
                if too_long:
                    raise Invalid("line_too_long", "the line is longer than any DynamoDB record")
                self._add(Record(parse_line(stripped), self._keys, len(self._prefix)))
            except Invalid as invalid:
                raw = data[:REJECTED_RAW_MAX]
                cut = too_long or len(data) > REJECTED_RAW_MAX
                self._rejected.append(Rejected(line, offset, invalid.kind, str(invalid), raw, cut))
            self._batch_size += len(data)
            if self._batch_size >= self._batch_bytes and self._ops:
                yield self._seal()

    def _start_batch(self) -> None:
        self._ops: list[str] = []
        self._ts: list[int | None] = []
        self._positions: list[str] = []
        self._expired: list[bool] = []
        self._columns: dict[tuple[str, Tag], list[Any]] = {}
        self._batch_size = 0

    def _add(self, record: Record) -> None:
        row = len(self._ops)
        for name, (tag, value) in record.values.items():
            column = (name, tag)
            self._counts[column] = self._counts.get(column, 0) + 1
            if tag == "NULL":
                continue
            if tag == "N":
                self._widen(column, value)
            elif tag == "NS":
                self._ranges.setdefault(column, NumberRange())
                for member in value:
                    self._widen(column, member)
            values = self._columns.get(column)
            if values is None:
                values = self._columns[column] = []
            values.extend([None] * (row - len(values)))
            values.append(value)
        self._ops.append(record.op)
        self._ts.append(record.ts)
        self._positions.append(self._prefix + record.position)
        self._expired.append(record.expired)
        self.rows += 1

    def _widen(self, column: tuple[str, Tag], canonical: str) -> None:
        needed = number_range(canonical)
        known = self._ranges.get(column)
        if known is None:
            self._ranges[column] = needed
        elif needed != known:
            self._ranges[column] = known.join(needed)

    def _seal(self) -> pa.RecordBatch:
        rows = len(self._ops)
        arrays = [
            pa.array(self._ops, pa.string()),
            pa.array(self._ts, pa.int64()),
            pa.array(self._positions, pa.string()),
            pa.array(self._expired, pa.bool_()),
        ]
        types = (pa.string(), pa.int64(), pa.string(), pa.bool_())
        fields = [pa.field(name, type_) for name, type_ in zip(META_FIELDS, types, strict=True)]
        for name, tag in sorted(self._all_columns(), key=lambda c: (utf8_order(c[0]), TAGS.index(c[1]))):
            values = self._columns.get((name, tag), [])
            values.extend([None] * (rows - len(values)))
            kind = column_type(tag, self._range_of((name, tag)))
            fields.append(field_for(name, tag, arrow_type(kind)))
            arrays.append(pa.array(_converted(values, kind.kind), fields[-1].type))
        self._start_batch()
        return pa.record_batch(arrays, schema=pa.schema(fields))

    def _all_columns(self) -> list[tuple[str, Tag]]:
        columns = dict.fromkeys(self._counts) | dict.fromkeys(self._known)
        return [column for column in columns if column[1] != "NULL"]

    def _range_of(self, column: tuple[str, Tag]) -> NumberRange:
        known = self._known.get(column, AttributeSeen(0)).numbers or NumberRange()
        return known.join(self._ranges.get(column, NumberRange()))


def _converted(values: list[Any], kind: str) -> list[Any]:
    """Canonical number texts to what Arrow takes for the column's type."""
    from decimal import Decimal

    make: Callable[[str], Any] | None = {"int64": int, "decimal": Decimal}.get(kind.removeprefix("list_"))
    if make is None:
        return values
    if kind.startswith("list_"):
        return [None if members is None else [make(m) for m in members] for members in values]
    return [None if value is None else make(value) for value in values]


# ---- fold -----------------------------------------------------------------------------------------------------------


def fold_latest(table: pa.Table, keys: Sequence[int], order: int) -> pa.UInt64Array:
    """Indices of the latest row per key, in row order. Raises OrderConflict."""
    key_rows = list(zip(*(table.column(i).to_pylist() for i in keys), strict=True))
    positions = table.column(order).to_pylist()
    latest: dict[tuple[Any, ...], int] = {}
    for row, (key, position) in enumerate(zip(key_rows, positions, strict=True)):
        before = latest.setdefault(key, row)
        if position > positions[before]:
            latest[key] = row
        elif position == positions[before] and before != row and not _same_row(table, before, row):
            raise OrderConflict(
                "Two different records have one key and one position",
                hint="The landing zone is damaged or two tables write into it; compare the segments with `tailrace why`.",
                key=key,
                position=position,
            )
    return pa.array(sorted(latest.values()), pa.uint64())


def _same_row(table: pa.Table, left: int, right: int) -> bool:
    return all(c.slice(left, 1).to_pylist() == c.slice(right, 1).to_pylist() for c in table.columns)
