"""Rows on their way through S3: Parquet and a manifest for COPY, and what UNLOAD left there.

COPY takes columns by position, and loads a file twice that is listed twice. So every file's name holds a hash of its content,
is written once, and stands in the manifest with its length.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import math
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tailrace.aws import is_refused_by_condition, translate
from tailrace.errors import ConfigInvalid, OutcomeUnknown, OutOfTime, SegmentCorrupt, ServiceUnavailable
from tailrace.model.numbers import canonical_number
from tailrace.targets.planning import BATCH_ROWS

FILE_BYTES: Final = 64 * 1024 * 1024  # of Arrow data: some files for the slices, none of them tiny
DELETE_MAX: Final = 1000  # keys in one DeleteObjects


def _forever() -> float:
    return math.inf


class Staging:
    """A folder in S3 that we write, and Redshift reads and writes under `iam_role`. `s3`: a boto3 client."""

    def __init__(self, s3: Any, url: str, iam_role: str) -> None:
        scheme, _, rest = url.partition("://")
        self._bucket, _, prefix = rest.partition("/")
        if scheme != "s3" or not self._bucket:
            raise ConfigInvalid("Rows reach Redshift through S3", hint='Set staging = "s3://bucket/prefix".')
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._s3 = s3
        self.iam_role = iam_role

    # ---- in: COPY

    @contextmanager
    def staged(self, table: str, rows: pa.Table, left: Callable[[], float] = _forever) -> Iterator[str]:
        """The COPY that fills the quoted `table`. The files go when it is done, unless it goes on or nobody knows.

        `left`: seconds for it. Raises OutOfTime between two files.
        """
        folder = _folder(table)
        manifest = self.put(folder, rows, left)
        try:
            yield self.copy(table, manifest)
        except (OutcomeUnknown, OutOfTime):
            raise
        except BaseException:
            self.clear(folder)
            raise
        self.clear(folder)

    def forget(self, table: str) -> None:
        """Remove the files of a COPY into the quoted `table`."""
        self.clear(_folder(table))

    def copy(self, table: str, manifest: str) -> str:
        """The statement that loads what the manifest under this URL lists into the quoted `table`."""
        return f"COPY {table} FROM {_literal(manifest)} IAM_ROLE {_literal(self.iam_role)} FORMAT AS PARQUET MANIFEST"

    def put(self, folder: str, rows: pa.Table, left: Callable[[], float] = _forever) -> str:
        """Write the rows under `folder`. The URL of their manifest, which is the same for the same rows."""
        entries: list[dict[str, Any]] = []
        for part in _parts(rows):
            if left() <= 0:
                raise OutOfTime("No time is left for what is to be staged", hint="The next tick goes on.")
            data = _parquet(part)
            name = f"{folder}/{hashlib.sha256(data).hexdigest()[:16]}-{len(entries):04}.parquet"
            self._create(name, data)
            entry = {"url": self._url(name), "mandatory": True, "meta": {"content_length": len(data)}}
            entries.append(entry)
        manifest = json.dumps({"entries": entries}, indent=1).encode()
        name = f"{folder}/{hashlib.sha256(manifest).hexdigest()[:16]}.manifest"
        self._create(name, manifest)
        return self._url(name)

    def _create(self, name: str, data: bytes) -> None:
        """Nothing where it is there: its name says that it is the same."""
        try:
            self._s3.put_object(Bucket=self._bucket, Key=self._prefix + name, Body=data, IfNoneMatch="*")
        except Exception as error:
            if not is_refused_by_condition(error):
                raise translate(error, operation="PutObject", bucket=self._bucket, key=self._prefix + name) from error

    # ---- out: UNLOAD

    def unloaded(
        self, sql: str, schema: pa.Schema, rows: Callable[[str], list[tuple[Any, ...]]]
    ) -> Iterator[pa.RecordBatch]:
        """The result of a query, in columns of these types, by UNLOAD. `rows` carries out a statement."""
        folder = f"unload/{uuid.uuid4().hex}"
        try:
            rows(self.unload(sql, folder))
            manifest = self._get(f"{folder}/manifest")
            if manifest is not None:
                yield from self._batches(json.loads(manifest)["entries"], schema)
            elif rows(f"SELECT count(*) FROM ({sql}) q") != [(0,)]:
                raise ServiceUnavailable("UNLOAD wrote no manifest", hint="Nothing was changed; it is read again.")
        finally:
            self.clear(folder)

    def unload(self, sql: str, folder: str) -> str:
        """The statement that writes the result of a query under `folder`."""
        to, role = _literal(self._url(f"{folder}/")), _literal(self.iam_role)
        return f"UNLOAD ({_literal(sql)}) TO {to} IAM_ROLE {role} FORMAT AS PARQUET MANIFEST"

    def _batches(self, entries: Sequence[dict[str, Any]], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        for entry in entries:
            url = str(entry["url"])
            data = self._get(url.removeprefix(self._url("")))
            length = (entry.get("meta") or {}).get("content_length")
            if data is None or length not in (None, len(data)):
                raise SegmentCorrupt("A file that UNLOAD wrote is gone or was changed", hint="Read again.", file=url)
            for batch in pq.ParquetFile(pa.BufferReader(data)).iter_batches(BATCH_ROWS):
                columns = [_read(column, field.type) for column, field in zip(batch.columns, schema, strict=True)]
                yield pa.RecordBatch.from_arrays(columns, schema=schema)

    def _get(self, name: str) -> bytes | None:
        try:
            return bytes(self._s3.get_object(Bucket=self._bucket, Key=self._prefix + name)["Body"].read())
        except self._s3.exceptions.NoSuchKey:
            return None
        except Exception as error:
            raise translate(error, operation="GetObject", bucket=self._bucket, key=self._prefix + name) from error

    # ---- both

    def clear(self, folder: str) -> None:
        """Delete everything under `folder`."""
        try:
            pages = self._s3.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=f"{self._prefix}{folder}/", PaginationConfig={"PageSize": DELETE_MAX}
            )
            for page in pages:
                keys = [{"Key": item["Key"]} for item in page.get("Contents", ())]
                if keys:
                    self._s3.delete_objects(Bucket=self._bucket, Delete={"Objects": keys, "Quiet": True})
        except Exception as error:
            raise translate(
                error, operation="DeleteObjects", bucket=self._bucket, key=f"{self._prefix}{folder}/"
            ) from error

    def _url(self, name: str) -> str:
        return f"s3://{self._bucket}/{self._prefix}{name}"


def _folder(table: str) -> str:
    return f"stage/{hashlib.sha256(table.encode()).hexdigest()[:24]}"


def _literal(text: str) -> str:
    """Redshift reads a backslash in every string as an escape."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def _parts(rows: pa.Table) -> Iterator[pa.Table]:
    """At least one, also of no rows: a COPY of nothing is an error."""
    step = max(1, rows.num_rows * FILE_BYTES // max(1, rows.nbytes))
    for start in range(0, max(1, rows.num_rows), step):
        yield rows.slice(start, step)


def _parquet(rows: pa.Table) -> bytes:
    sink = io.BytesIO()
    columns = [_written(column) for column in rows.columns]
    table = pa.Table.from_arrays(columns, names=[f"c{n}" for n in range(len(columns))])
    pq.write_table(table, sink, compression="zstd", store_schema=False)
    return sink.getvalue()


# ---- lists: JSON in bytes, because a text ends at 65,535 of them


def _written(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pa.types.is_list(column.type):
        return column
    if pa.types.is_integer(column.type.value_type):
        return _bracketed(pc.binary_join(column.cast(pa.list_(pa.string())), ","))
    if pa.types.is_string(column.type.value_type) and not _needs_escapes(pc.list_flatten(column)):
        quoted = _bracketed(pc.binary_join(column, '","'), '"')
        return pc.if_else(pc.equal(pc.list_value_length(column), 0), pa.scalar(b"[]"), quoted)
    return pa.chunked_array([pa.array(map(_list_json, column.to_pylist()), pa.binary())])


def _bracketed(texts: pa.ChunkedArray, quote: str = "") -> pa.ChunkedArray:
    return pc.binary_join_element_wise(f"[{quote}", texts, f"{quote}]", "").cast(pa.binary())


def _needs_escapes(texts: pa.ChunkedArray) -> bool:
    return bool(pc.any(pc.match_substring_regex(texts, r'["\\\x00-\x1f]')).as_py())


def _list_json(values: list[Any] | None) -> bytes | None:
    """Whole numbers of 64 bits as JSON's; other numbers as their exact text, since SUPER may round them; bytes as base64."""
    if values is None:
        return None
    return json.dumps([_member(value) for value in values], ensure_ascii=False, separators=(",", ":")).encode()


def _member(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return canonical_number(format(value, "f")) if isinstance(value, Decimal) else value


def _read(column: pa.Array, wanted: pa.DataType) -> pa.Array:
    if not pa.types.is_list(wanted):
        return column.cast(wanted)
    member = wanted.value_type
    return pa.array([None if v is None else _members(v, member) for v in column.to_pylist()], wanted)


def _members(text: bytes | str, member: pa.DataType) -> list[Any]:
    values = json.loads(text, parse_float=Decimal)
    if pa.types.is_binary(member):
        return [base64.b64decode(value) for value in values]
    if pa.types.is_decimal(member):
        return [Decimal(value) for value in values]
    return [str(value) for value in values] if pa.types.is_string(member) else list(values)
