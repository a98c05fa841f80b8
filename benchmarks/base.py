"""A full export into an empty DuckDB file: 2 GB of JSON in 400 files, against `read_json` and MERGE, with all cores.

    python benchmarks/base.py [--rounds 3] [--quick]

Wide orders (data set B's items) as DynamoDB exports them, gzip -6, 5 MB of JSON a file; ``quick`` takes 40 files.
``tailrace`` is `Loader.tick` over a landing zone that lists the files where they lie: MD5 checked, lossless, ledger and
position included. ``duckdb`` is its own reader with explicit columns and `MERGE INTO`, in one statement; money is a DOUBLE
there, NULL is absent. Wall time and the peak of memory are what counts here; ``cores`` is CPU time over wall time.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import shutil
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb

import alternatives
import datasets
import harness
from tailrace.clock import Budget, SystemClock
from tailrace.jobs.load import Loader
from tailrace.landing import Landing
from tailrace.landing.local import LocalStore
from tailrace.model.keys import KeyAttribute, KeySchema
from tailrace.model.manifest import Incarnation, Manifest
from tailrace.model.segments import Segment
from tailrace.pipeline import READERS
from tailrace.targets.duckdb import DuckDbTarget

SCRATCH = harness.RESULTS / "tmp" / "base"
FILES = {"400 files": 400, "40 files": 40}
FILE_BYTES = 5_000_000
FOLDER = "exports/full/AWSDynamoDB/01790000000000-aaaaaaaa/data"
KEYS = KeySchema(KeyAttribute("order_id", "S"))


def make(count: int) -> Path:
    """The landing folder with so many files, made once."""
    folder = SCRATCH / str(count)
    if not (folder / "orders" / "manifest.json").exists():
        data = folder / "orders" / FOLDER
        data.mkdir(parents=True, exist_ok=True)
        with ProcessPoolExecutor() as pool:
            segments = list(pool.map(_write, range(count), [data] * count))
        incarnation = Incarnation("1", "eu-west-1", "orders", "id", "arn:s", "NEW_IMAGE", KEYS)
        manifest = Manifest(incarnation, segments=tuple(segments), next_number=count + 1)
        Landing(LocalStore(folder), "orders").save(manifest, None, "bench")
    return folder


def _write(number: int, data: Path) -> Segment:
    lines: list[bytes] = []
    pieces = -(-FILE_BYTES // datasets.PIECE_BYTES)
    for piece in range(number * pieces, (number + 1) * pieces):
        lines += datasets._piece("B", piece)[0]
    size, taken = 0, 0
    while taken < len(lines) and size < FILE_BYTES:
        size, taken = size + len(lines[taken]), taken + 1
    packed = gzip.compress(b"".join(lines[:taken]), 6, mtime=0)
    path = data / f"{number:06d}.json.gz"
    path.write_bytes(packed)
    md5 = base64.b64encode(hashlib.md5(packed, usedforsecurity=False).digest()).decode()
    return Segment(number + 1, f"{FOLDER}/{path.name}", "base", taken, len(packed), "", 1, md5=md5)


def _fresh(name: str) -> Path:
    path = SCRATCH / f"{name}.duckdb"
    for leftover in (path, Path(f"{path}.wal")):
        leftover.unlink(missing_ok=True)
    shutil.rmtree(f"{path}.tmp", ignore_errors=True)
    return path


def _checked(path: Path, folder: Path, seconds: tuple[float, float]) -> dict[str, Any]:
    manifest = json.loads((folder / "orders" / "manifest.json").read_text())
    expected = sum(segment["rows"] for segment in manifest["segments"])
    with duckdb.connect(str(path), read_only=True) as connection:
        rows, keys = connection.execute("SELECT count(*), count(DISTINCT order_id) FROM orders").fetchall()[0]
    assert rows == keys == expected, (rows, keys, expected)
    cpu, wall = seconds
    return {"rows": rows, "cores": f"{cpu / wall:.2f}", "file MB": path.stat().st_size >> 20}


def tailrace(folder: Path) -> Any:
    path, clock = _fresh("tailrace"), SystemClock()
    begun = time.process_time(), time.perf_counter()
    target = DuckDbTarget("bench", path, clock)
    landing, ahead = Landing(LocalStore(folder), "orders"), ThreadPoolExecutor(1)
    loader = Loader(
        landing, target, "orders", "current", clock, threads=READERS, ahead=ahead
    )  # as the pipeline makes it
    assert loader.tick(Budget(clock)).blocked is None
    seconds = time.process_time() - begun[0], time.perf_counter() - begun[1]
    return lambda: _checked(path, folder, seconds)


def read_json(folder: Path) -> Any:
    path = _fresh("read_json")
    begun = time.process_time(), time.perf_counter()
    query = alternatives.duckdb_query("B", folder / "orders" / FOLDER / "*.json.gz")
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"CREATE TABLE orders AS {query} LIMIT 0")
        connection.execute(
            f"MERGE INTO orders AS o USING ({query}) AS i ON o.order_id = i.order_id"
            " WHEN MATCHED THEN UPDATE WHEN NOT MATCHED THEN INSERT"
        )
    seconds = time.process_time() - begun[0], time.perf_counter() - begun[1]
    return lambda: _checked(path, folder, seconds)


TOOLS = {"tailrace": tailrace, "duckdb read_json + MERGE": read_json}


class Cases(dict[str, Path]):
    """Landing folders by name, made when they are looked up."""

    def __missing__(self, name: str) -> Path:
        return make(FILES[name])


if __name__ == "__main__":
    name = "40 files" if harness.QUICK else "400 files"
    harness.main(
        "base", TOOLS, Cases({name: make(FILES[name])}), baseline="duckdb read_json + MERGE", rounds=3, pinned=False
    )
