"""COPY from S3: the manifest, each of its files as rows, and the rows as CSV for PostgreSQL."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal, localcontext
from typing import Any, Final, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from tailrace.local.redshift.lexer import RedshiftError, not_here
from tailrace.local.redshift.sql import Copy
from tailrace.local.redshift.types import SqlType

JSON_OBJECT_BYTES: Final = 4 * 1024 * 1024
BATCH_ROWS: Final = 65_536
TOO_LONG: Final = 1204  # Redshift's number for a string that exceeds its column

GetObject: TypeAlias = Callable[[str, str], Awaitable[bytes | None]]
"""Bucket and key to content; None where there is no such object."""


class LoadFailed(RedshiftError):
    """A row that cannot be loaded. What is wrong with it stands in sys_load_error_detail, not in the message."""

    def __init__(self, table: str, file: str, line: int, column: str, kind: str, code: int, reason: str) -> None:
        super().__init__(
            f"Load into table {table} failed.  Check 'sys_load_error_detail' system table for details.",
            sqlstate="XX000",
        )
        self.row = (table, file, line, column, kind, code, reason)


@dataclass(frozen=True, slots=True)
class Column:
    """Of the table that is loaded. `name` as Redshift has it."""

    name: str
    kind: SqlType


async def files_of_manifest(copy: Copy, get: GetObject) -> list[tuple[str, bytes]]:
    """URL and content of each file, in the manifest's order; one that is listed twice comes twice."""
    text = await _object(copy.url, get)
    if text is None:
        raise _no_such_key(copy.url)
    try:
        entries = json.loads(text)["entries"]
        listed = [(str(entry["url"]), bool(entry.get("mandatory", False)), entry.get("meta")) for entry in entries]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RedshiftError("Manifest file is not in correct json format", detail=copy.url) from error
    files = []
    for url, mandatory, meta in listed:
        length = meta.get("content_length") if isinstance(meta, dict) else None
        if copy.form == "PARQUET" and not isinstance(length, int):
            raise RedshiftError("the manifest gives no content_length, which PARQUET needs", detail=url)
        data = await _object(url, get)
        if data is None:
            if mandatory:
                raise _no_such_key(url)
            continue
        if length is not None and length != len(data):
            raise RedshiftError(
                f"the manifest says content_length {length}, the file has {len(data)} bytes",
                detail=url,
                sqlstate="XX000",
            )
        files.append((url, data))
    if not files:
        raise RedshiftError("no file of the manifest was found", detail=copy.url)
    return files


async def _object(url: str, get: GetObject) -> bytes | None:
    scheme, _, rest = url.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not key:
        raise RedshiftError("not the URL of an object in S3", detail=url)
    return await get(bucket, key)


def _no_such_key(url: str) -> RedshiftError:
    return RedshiftError("S3ServiceException:The specified key does not exist.,Status 404,Error NoSuchKey", detail=url)


def csv_of(copy: Copy, columns: Sequence[Column], url: str, data: bytes) -> Iterator[bytes]:
    """Of one file: every value in quotes, and nothing for NULL."""
    if copy.form == "PARQUET":
        yield from _csv_of_parquet(copy, columns, url, data)
    else:
        yield from _csv_of_json(copy, columns, url, data)


# ---- Parquet: columns by position


def _csv_of_parquet(copy: Copy, columns: Sequence[Column], url: str, data: bytes) -> Iterator[bytes]:
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
    except (pa.ArrowException, OSError) as error:
        raise _scan_error(f"File '{url}' is not a Parquet file: {error}") from error
    fields = list(file.schema_arrow)
    if len(fields) != len(columns):
        raise _scan_error(
            f"File '{url}' has {len(fields)} columns, the table or the list of columns has {len(columns)}"
        )
    for item, column in zip(fields, columns, strict=True):
        if not _fits(item.type, column.kind, copy.serialize_to_json):
            raise _scan_error(
                f"File '{url}' has an incompatible Parquet schema for column '{column.name}'. "
                f"Column type: {str(column.kind).upper()}, Parquet schema: {item.name} {item.type}"
            )
    try:
        for batch in file.iter_batches(BATCH_ROWS):
            texts = [_text_column(batch.column(at), column, url) for at, column in enumerate(columns)]
            sink = io.BytesIO()
            options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="all_valid")
            names = [str(at) for at in range(len(columns))]
            pyarrow.csv.write_csv(pa.RecordBatch.from_arrays(texts, names), sink, options)
            yield sink.getvalue()
    except (pa.ArrowException, OSError) as error:
        raise _scan_error(f"File '{url}' cannot be read: {error}") from error


def _fits(found: pa.DataType, kind: SqlType, serialize: bool) -> bool:
    match kind.name:
        case "varchar" | "char":
            return bool(pa.types.is_string(found) or pa.types.is_large_string(found))
        case "varbyte":
            return bool(pa.types.is_binary(found) or pa.types.is_large_binary(found))
        case "super":
            return serialize and bool(pa.types.is_list(found) or pa.types.is_struct(found))
        case "numeric":
            precision, scale = kind.arguments
            return bool(pa.types.is_decimal128(found) and found.scale == scale and found.precision <= precision)
        case "timestamp":
            return bool(pa.types.is_timestamp(found) and found.unit in ("ms", "us"))
    return bool(found == _ARROW.get(kind.name))


_ARROW: Final = {
    "smallint": pa.int16(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "real": pa.float32(),
    "double precision": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
}


def _text_column(values: pa.Array, column: Column, url: str) -> pa.Array:
    if column.kind.name == "super":
        return pa.array([None if value is None else _json(value) for value in values.to_pylist()], pa.string())
    if column.kind.name in ("varchar", "char", "varbyte"):
        longest, most = pc.max(pc.binary_length(values)).as_py() or 0, column.kind.arguments[0]
        if longest > most:
            raise _scan_error(
                f"The length of the data column {column.name} is longer than the length defined in the table. "
                f"Table: {most}, Data: {longest}, File name: {url}"
            )
        if column.kind.name == "varbyte":
            return pa.array(
                [None if value is None else "\\x" + value.hex() for value in values.to_pylist()], pa.string()
            )
        return values
    return pc.cast(values, pa.string())


def _scan_error(context: str) -> RedshiftError:
    return RedshiftError("Spectrum Scan Error", detail=f"error: Spectrum Scan Error code: 15001 context: {context}")


# ---- JSON: columns by name


class _Number(str):
    """A number as it was written."""


def _csv_of_json(copy: Copy, columns: Sequence[Column], url: str, data: bytes) -> Iterator[bytes]:
    def failed(line: int, column: Column | None, code: int, reason: str) -> LoadFailed:
        name, kind = (column.name, str(column.kind)) if column is not None else ("", "")
        return LoadFailed(copy.table, url, line, name, kind, code, reason)

    if copy.json_option == "noshred" and [column.kind.name for column in columns] != ["super"]:
        raise RedshiftError("noshred loads into one SUPER column", sqlstate="42601")
    try:
        text = (gzip.decompress(data) if copy.gzip else data).decode("utf-8")
    except UnicodeDecodeError as error:
        raise failed(
            1, None, 1220, f"String contains invalid or unsupported UTF8 codepoints: {error.reason}"
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise RedshiftError("the file is not gzip", detail=url) from error
    lines: list[str] = []
    for number, document in enumerate(_documents(text, failed), 1):
        if copy.json_option == "noshred":
            values: list[str | None] = [_json(document)]
        else:
            if copy.json_option == "auto ignorecase":
                document = {name.lower(): value for name, value in document.items()}
            values = []
            for column in columns:
                try:
                    values.append(_value(document.get(column.name), column.kind, copy.truncate_columns))
                except OverflowError as error:
                    raise failed(number, column, TOO_LONG, str(error)) from error
                except (ValueError, ArithmeticError) as error:
                    raise failed(number, column, 1207, str(error)) from error
        lines.append(",".join("" if value is None else '"' + value.replace('"', '""') + '"' for value in values))
        if len(lines) == BATCH_ROWS:
            yield ("\n".join(lines) + "\n").encode()
            lines.clear()
    if lines:
        yield ("\n".join(lines) + "\n").encode()


def _documents(text: str, failed: Callable[[int, Column | None, int, str], LoadFailed]) -> Iterator[dict[str, Any]]:
    decoder = json.JSONDecoder(parse_int=_Number, parse_float=_Number, parse_constant=_no_constant)
    at, number, end = 0, 0, len(text)
    while True:
        while at < end and text[at].isspace():
            at += 1
        if at == end:
            return
        number += 1
        try:
            document, behind = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            raise failed(number, None, 1224, f"Invalid JSON: {error}") from error
        if not isinstance(document, dict):
            raise failed(number, None, 1224, "Invalid JSON: an object is wanted")
        if behind - at > JSON_OBJECT_BYTES // 4 and len(text[at:behind].encode()) > JSON_OBJECT_BYTES:
            raise failed(number, None, 1224, f"JSON object is larger than {JSON_OBJECT_BYTES} bytes")
        at = behind
        yield document


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


def _value(value: Any, kind: SqlType, truncate: bool) -> str | None:
    """As PostgreSQL's text. Raises OverflowError for too long a string, ValueError for what the column cannot be."""
    if value is None:
        return None
    if kind.name == "super":
        return _json(value)
    text = value if isinstance(value, str) else _json(value)
    if kind.name in ("varchar", "char"):
        return _cut(text, kind.arguments[0], truncate)
    if kind.name == "varbyte":
        if len(bytes.fromhex(text)) > kind.arguments[0]:
            raise OverflowError("String length exceeds DDL length")
        return "\\x" + text
    if kind.name == "numeric":
        with localcontext(prec=400):
            return format(Decimal(text).quantize(Decimal(1).scaleb(-kind.arguments[1]), ROUND_DOWN), "f")
    return text


def _cut(text: str, most: int, truncate: bool) -> str:
    data = text.encode()
    if len(data) <= most:
        return text
    if not truncate:
        raise OverflowError("String length exceeds DDL length")
    return data[:most].decode(errors="ignore")


def _json(value: Any) -> str:
    """Plain JSON, numbers as they are."""
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{json.dumps(str(name))}:{_json(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_json, value)) + "]"
    if value is None or isinstance(value, str | int | float | bool):
        return json.dumps(value)
    raise not_here(f"SERIALIZETOJSON of {type(value).__name__}")
