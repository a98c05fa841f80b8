"""Decoding: gzip'd DynamoDB JSON to typed Arrow batches, and to Parquet (zstd 1), on one core, by ready-made tools and by us.

    python benchmarks/decode.py [--only A B-parquet C-1GB …] [--tools …] [--rounds 5] [--quick]

Speed is in MB of plain JSON per CPU second. ``loses`` says what a tool drops or rounds; what Tailrace gives is
complete. Every result is checked: the number of rows, and the sum of one attribute. Slow tools get a small file.
Batches are counted and let go, as a pipeline of bounded memory would; ``-1GB`` shows that its memory does not grow.
``-plain`` leaves gunzip out, in which all are alike.
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

os.environ["POLARS_MAX_THREADS"] = "1"  # read when polars is imported

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import alternatives
import datasets
import harness
from alternatives import LOSSES
from datasets import DataSet, chunks
from tailrace.convert import DICTIONARIES

BIG_BYTES = 1_000_000_000


@dataclass(frozen=True)
class Case:
    """What to make of which data: ``arrow`` or ``parquet``. Of `big` the data comes again and again, up to BIG_BYTES."""

    data: DataSet
    small: DataSet
    form: str
    big: bool = False
    plain: bool = False

    def path(self, data: DataSet) -> Path:
        return data.plain if self.plain else data.gz

    def pieces(self, data: DataSet) -> Iterator[bytes]:
        return datasets.stream_gz(data, BIG_BYTES) if self.big else chunks(self.path(data))

    @property
    def output(self) -> Path:
        return datasets.FOLDER / f"out-{os.getpid()}.parquet"


@dataclass(frozen=True)
class Result:
    """What a tool made of a data set, for the check: all its rows, and the sum of one attribute."""

    rows: int
    sum: Any
    more: dict[str, Any]

    def checked(self, data: DataSet, times: int = 1) -> dict[str, Any]:
        if (self.rows, round(Decimal(str(self.sum)), 2)) != (data.rows * times, data.sum * times):
            raise SystemExit(f"wrong: {self.rows} rows, sum {self.sum}; not {data.rows * times}, {data.sum * times}")
        return {"MB": round(data.bytes * times / 1e6, 3), **self.more}


# ---- what is done with batches ----------------------------------------------------------------------------


def _counted(batches: Iterable[Any], place: Callable[[Any], int]) -> Result:
    """Look at every batch once and let it go."""
    rows, total = 0, Decimal(0)
    for batch in batches:
        rows += batch.num_rows
        total += Decimal(str(pc.sum(batch.column(place(batch.schema))).as_py() or 0))
    return Result(rows, total, {})


def _written(batches: Iterable[Any], path: Path) -> list[Path]:
    """Parquet of zstd 1 without dictionaries but for our own meta columns, which is fastest here.

    Where the schema widens, another file begins.
    """
    paths: list[Path] = []
    writer = None
    for batch in batches:
        if writer is None or not writer.schema.equals(batch.schema):
            if writer is not None:
                writer.close()
            paths.append(path.with_suffix(f".{len(paths)}.parquet"))
            writer = pq.ParquetWriter(
                paths[-1], batch.schema, compression="zstd", compression_level=1, use_dictionary=DICTIONARIES
            )
        writer.write_batch(batch)
    if writer is not None:
        writer.close()
    return paths


def _read_back(paths: list[Path], place: Callable[[Any], int]) -> Result:
    """The same figures from files, which are gone then."""
    rows, total, size = 0, Decimal(0), 0
    for path in paths:
        with pq.ParquetFile(path) as file:
            names = [file.schema_arrow.names[place(file.schema_arrow)]]
            found = _counted(file.iter_batches(columns=names), lambda schema: 0)
        rows, total, size = rows + found.rows, total + found.sum, size + path.stat().st_size
        path.unlink()
    return Result(rows, total, {"out MB": round(size / 1e6, 1)})


def _job(
    case: Case, data: DataSet, batches: Callable[[], Iterable[Any]], place: Callable[[Any], int], loses: str
) -> harness.Job:
    """Do the case's work with batches; the check comes after the clock has stopped."""
    more = {"loses": loses} if loses else {}
    times = -(-BIG_BYTES // data.bytes) if case.big else 1

    def job() -> Callable[[], harness.Figures]:
        if case.form == "arrow":
            result = _counted(batches(), place)
            return lambda: result.checked(data, times) | more
        paths = _written(batches(), case.output)
        return lambda: _read_back(paths, place).checked(data, times) | more

    return job


# ---- tools ------------------------------------------------------------------------------------------------


def tailrace(engine_name: str, case: Case) -> harness.Job:
    """The codec as the product uses it: chunks of the file in, batches out; it is told nothing in advance."""
    from tailrace import codec
    from tailrace.decide.schema import plan_columns

    engine = codec.engine(engine_name)
    data = case.small if engine.name == "python" and not case.big else case.data

    columns: Sequence[Any] = ()

    def decoded() -> Iterator[Any]:
        nonlocal columns
        decoder, schema = engine.decoder("0001|0|"), None
        for batch in _pushed(decoder, case.pieces(data)):
            if case.form == "arrow":
                yield batch
                continue
            if batch.schema != schema:  # columns as a target would have them
                columns = plan_columns(columns, decoder.seen, None, reserved=codec.META_FIELDS).columns
                schema = batch.schema
            yield from codec.project(pa.Table.from_batches([batch]), columns).to_batches()
        if decoder.rejected:
            raise SystemExit(f"rejected: {decoder.rejected[0]}")

    def place(schema: Any) -> int:
        if case.form == "arrow":
            return int(codec.field_index(schema, data.summed, "N") or 0)
        return next(i for i, c in enumerate(columns) if (c.attribute, c.tag) == (data.summed, "N"))

    return _job(case, data, decoded, place, "")


def _pushed(decoder: Any, pieces: Iterable[bytes]) -> Iterator[Any]:
    for piece in pieces:
        yield from decoder.push(piece)
    yield from decoder.finish()


@harness.prepares
def tailrace_decode(case: Case) -> harness.Job:
    """What ``tailrace decode`` does: one file whose columns fit all of its input, the four fields of metadata included."""
    from tailrace import convert

    data = case.data

    def job() -> Callable[[], harness.Figures]:
        done = convert.convert([case.path(data)], case.output, "parquet")
        place = next(i for i, c in enumerate(done.columns) if (c.attribute, c.tag) == (data.summed, "N"))
        return lambda: _read_back([case.output], lambda s: s.get_field_index(done.columns[place].name)).checked(data)

    return job


@harness.prepares
def pyarrow(case: Case) -> harness.Job:
    importlib.import_module("pyarrow.json")
    data = case.data
    loses = ", ".join(filter(None, (LOSSES[data.name], "" if data.name == "A" else "B stays base64")))
    batches = functools.partial(alternatives.pyarrow_json, data.name, case.path(data))
    return _job(case, data, batches, lambda schema: schema.get_field_index(data.summed), loses)


@harness.prepares
def polars(case: Case) -> harness.Job:
    import polars as pl

    data = case.data
    more = {"loses": LOSSES[data.name]} if LOSSES[data.name] else {}
    frame = alternatives.polars_frame(data.name, case.path(data))

    def count() -> harness.Figures:
        rows, total = 0, Decimal(0)
        for batch in frame.collect_batches():
            rows, total = rows + len(batch), total + Decimal(str(batch[data.summed].sum()))
        return Result(rows, total, more).checked(data)

    def write() -> Callable[[], harness.Figures]:
        frame.sink_parquet(case.output, compression="zstd", compression_level=1)
        return lambda: _read_back([case.output], lambda s: s.get_field_index(data.summed)).checked(data) | more

    assert pl.thread_pool_size() == 1
    return count if case.form == "arrow" else write


@harness.prepares
def duckdb(case: Case) -> harness.Job:
    import duckdb as db

    data = case.data
    more = {"loses": LOSSES[data.name]} if LOSSES[data.name] else {}
    query = alternatives.duckdb_query(data.name, case.path(data))
    connection = db.connect()
    connection.execute("SET threads = 1")

    def place(schema: Any) -> int:
        return int(schema.get_field_index(data.summed))

    def write() -> Callable[[], harness.Figures]:
        options = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1"
        connection.execute(f"COPY ({query}) TO '{case.output}' ({options})")
        return lambda: _read_back([case.output], place).checked(data) | more

    if case.form == "parquet":
        return write
    return lambda: _counted(connection.execute(query).to_arrow_reader(), place).checked(data) | more


@harness.prepares
def boto3(case: Case) -> harness.Job:
    importlib.import_module("boto3.dynamodb.types")
    importlib.import_module("orjson")
    data = case.small

    def batches() -> Iterator[pa.RecordBatch]:
        yield from alternatives.boto3_table(data.gz).to_batches()

    return _job(
        case, data, batches, lambda s: s.get_field_index(f"{data.summed}__Decimal"), "numbers in JSON are strings"
    )


@harness.prepares
def boto3_dicts(case: Case) -> harness.Job:
    """Dictionaries as boto3 gives them, and no Arrow."""
    importlib.import_module("boto3.dynamodb.types")
    importlib.import_module("orjson")
    data = case.small

    def job() -> harness.Figures:
        rows, total = 0, Decimal(0)
        for item in alternatives.boto3_items(data.gz):
            rows += 1
            value = item.get(data.summed)
            if isinstance(value, Decimal):
                total += value
        return Result(rows, total, {}).checked(data)

    return job


def gunzip(library: str, case: Case) -> harness.Job:
    """Inflating in chunks and nothing else: the floor for whoever reads a .gz."""
    zlib: Any = importlib.import_module(library)

    def job() -> harness.Figures:
        inflate = zlib.decompressobj(31)
        size = sum(len(inflate.decompress(chunk)) for chunk in chunks(case.data.gz))
        if size != case.data.bytes or not inflate.eof:
            raise SystemExit(f"wrong: {size} bytes")
        return {"MB": case.data.bytes / 1e6}

    return job


def _with(tool: Callable[[str, Case], harness.Job], name: str) -> harness.Tool:
    return harness.prepares(functools.partial(tool, name))


TOOLS: dict[str, harness.Tool] = {
    "tailrace native": _with(tailrace, "native"),
    "tailrace decode": tailrace_decode,
    "tailrace python": _with(tailrace, "python"),
    "pyarrow": pyarrow,
    "polars": polars,
    "duckdb": duckdb,
    "boto3": boto3,
    "boto3 dicts": boto3_dicts,
    "gunzip isal": _with(gunzip, "isal.isal_zlib"),
    "gunzip zlib": _with(gunzip, "zlib"),
}


def is_big(tool: str, case: str) -> bool:
    return case.endswith("-1GB")


def skip(tool: str, case: str) -> bool:
    if tool == "tailrace native" and not harness.has_native():
        return True
    if is_big(tool, case):
        return tool not in ("tailrace native", "tailrace python") or (tool == "tailrace python" and case[0] != "A")
    if case.endswith("-plain"):
        return tool not in ("tailrace native", "pyarrow", "polars", "duckdb")
    if case.endswith("-parquet"):
        return tool.startswith("gunzip") or tool == "boto3 dicts"
    return tool == "tailrace decode"


def main() -> None:
    size = "quick" if harness.QUICK else "part"
    data = {name: (datasets.ensure(name, size), datasets.ensure(name, "quick")) for name in "ABC"}
    cases = {name: Case(*pair, "arrow") for name, pair in data.items()}
    cases |= {f"{name}-plain": Case(*pair, "arrow", plain=True) for name, pair in data.items()}
    cases |= {f"{name}-parquet": Case(*pair, "parquet") for name, pair in data.items()}
    if not harness.QUICK:
        cases |= {f"{name}-1GB": Case(*pair, "parquet", big=True) for name, pair in data.items()}
    if not harness.has_native() and "--one" not in sys.argv:
        print("tailrace-core is not installed: without the native codec", file=sys.stderr)
    harness.main("decode", TOOLS, cases, baseline="pyarrow", skip=skip, once=is_big, per="MB")


if __name__ == "__main__":
    main()
