"""The three data sets that everything is measured on: tables of `tailrace gen`'s profiles as DynamoDB exports them.

    python benchmarks/datasets.py [--set A B C] [--size part|quick]

A `narrow`: 3 attributes, 128 bytes a line. B `order`: 26 attributes in random order, nested ones among them, 1.2 KB. C
`single-table`: five kinds of items, and attributes that are a number in 70 % of the items and a string in 30 %.
One ``{"Item":{…}}`` a line, UTF-8, as plain text and as one member of gzip -6.
"""

from __future__ import annotations

import argparse
import base64
import bisect
import itertools
import json
import os
import zlib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from tailrace.gen.profiles import PROFILES

FOLDER = Path(os.environ.get("TAILRACE_BENCH_DATA") or Path(__file__).parent / "results" / "tmp")
SEED = 7
PIECE_BYTES = 2_000_000  # made at once, by one process, from a seed of its own
SIZES = {"part": {"A": 87_500_000, "B": 100_000_000, "C": 87_500_000}, "quick": dict.fromkeys("ABC", 8_000_000)}
PROFILE = {"A": "narrow", "B": "order", "C": "single-table"}
SUMMED = {"A": "value", "B": "total", "C": "total"}  # in C a string in 30 % of the items that have it


@dataclass(frozen=True)
class DataSet:
    """Where a data set lies, and what a decoder must find in it: `sum` is that of all N of the attribute `summed`."""

    name: str
    plain: Path
    gz: Path
    rows: int
    bytes: int
    summed: str
    sum: Decimal


def ensure(name: str, size: str = "part") -> DataSet:
    """The data set A, B or C, made where it is not there yet."""
    stem = FOLDER / f"{name}-{size}"
    plain, gz, facts = (stem.with_suffix(suffix) for suffix in (".json", ".json.gz", ".facts"))
    if not facts.exists():  # it is written last
        FOLDER.mkdir(parents=True, exist_ok=True)
        facts.write_text(json.dumps(_make(name, SIZES[size][name], plain, gz)), encoding="utf-8")
    found = json.loads(facts.read_text(encoding="utf-8"))
    return DataSet(name, plain, gz, found["rows"], found["bytes"], SUMMED[name], Decimal(found["sum"]))


def stream_gz(data: DataSet, total_bytes: int) -> Iterator[bytes]:
    """Gzip of at least `total_bytes` of lines, in chunks, out of nothing but `data`, again and again."""
    for _ in range(-(-total_bytes // data.bytes)):
        yield from chunks(data.gz)


def chunks(path: Path, size: int = 1 << 18) -> Iterator[bytes]:
    """A file's bytes, in pieces."""
    with path.open("rb") as file:
        while chunk := file.read(size):
            yield chunk


def _make(name: str, size: int, plain: Path, gz: Path) -> dict[str, Any]:
    deflate = zlib.compressobj(6, zlib.DEFLATED, 31)
    rows, written, total = 0, 0, Decimal(0)
    pieces = range(-(-size // PIECE_BYTES))
    with ProcessPoolExecutor() as pool, plain.open("wb") as text, gz.open("wb") as packed:
        for lines, numbers in pool.map(_piece, itertools.repeat(name), pieces):
            ends = list(itertools.accumulate(map(len, lines), initial=written))
            wanted = bisect.bisect_left(ends, size)  # lines that begin before the size is reached
            data = b"".join(lines[:wanted])
            text.write(data)
            packed.write(deflate.compress(data))
            rows, written, total = rows + len(lines[:wanted]), written + len(data), total + sum(numbers[:wanted])
        packed.write(deflate.flush())
    return {"rows": rows, "bytes": written, "sum": str(total)}


def _piece(name: str, piece: int) -> tuple[list[bytes], list[Decimal]]:
    """Lines of at least PIECE_BYTES together, and of each the number to sum."""
    random = Random(f"{SEED}:{name}:{piece}")
    lines: list[bytes] = []
    numbers: list[Decimal] = []
    size = 0
    while size < PIECE_BYTES:
        item = _item(name, random, piece * PIECE_BYTES + len(lines))
        lines.append(_encode({"Item": item}).encode() + b"\n")
        numbers.append(Decimal(item.get(SUMMED[name], {}).get("N", 0)))
        size += len(lines[-1])
    return lines, numbers


def _item(name: str, random: Random, number: int) -> dict[str, Any]:
    """`number`: another one for every item of the set, so that keys differ."""
    profile = PROFILES[PROFILE[name]]
    key = profile.key(random, number)
    item = key | profile.attributes(random, key)
    if name == "B":  # the key, too, stands anywhere
        names = list(item)
        random.shuffle(names)
        item = {name: item[name] for name in names}
    return item


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_base64).encode


def main() -> None:
    parser = argparse.ArgumentParser(description="make the data sets of the benchmarks")
    parser.add_argument("--set", nargs="*", choices=list("ABC"), default=list("ABC"))
    parser.add_argument("--size", choices=list(SIZES), default="part")
    arguments = parser.parse_args()
    for name in arguments.set:
        data = ensure(name, arguments.size)
        ratio = data.bytes / data.gz.stat().st_size
        print(f"{data.plain}: {data.rows:,} rows, {data.bytes / 1e6:.1f} MB, gzip -6 ratio {ratio:.1f}")


if __name__ == "__main__":
    main()
