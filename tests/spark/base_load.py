"""A base of many rows, loaded by one process and by local Spark into two Iceberg tables, which are compared row by row.

``make spark-base ROWS=50000000``, or ``python tests/spark/base_load.py --rows 1000000 --folder DIR [--lose-executor]``.
Prints one line of JSON for each engine: seconds, and the most memory that its processes held together; and one that says
whether both tables are equal. Exit code 4 where they are not. With --lose-executor Spark runs as a cluster of two executors
on this machine (local-cluster), one of which is killed while it works. A landing zone that the folder has is used again, and
with --engines one engine is run at a time, to be compared with what the other one left there.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import psutil

from tailrace.aws import AwsSettings
from tailrace.clock import Budget, SystemClock
from tailrace.decide.load import BASE_LIMITS, LoadLimits
from tailrace.jobs.load import Loader, table_spec
from tailrace.landing import Landing, LocalStore
from tailrace.model.keys import KeyAttribute, KeySchema
from tailrace.model.manifest import Incarnation, Manifest
from tailrace.targets.iceberg import FILE_IO, IcebergTarget

TABLE: Final = "orders"
KEYS: Final = KeySchema(KeyAttribute("customer", "S"), KeyAttribute("order", "N"))
ENGINES: Final = ("process", "spark")
FILE_ROWS: Final = 250_000
LOOK_SECONDS: Final = 1.0  # reading what all processes hold takes itself some hundredths


def lines(first: int, count: int) -> Iterator[bytes]:
    """Orders: a composite key in no order, exact decimals, a map, a set, an attribute that few have."""
    for n in range(first, first + count):
        digest = hashlib.blake2b(n.to_bytes(8, "big"), digest_size=8).hexdigest()
        rare = b',"note":{"S":"caf\xc3\xa9 %d"}' % n if n % 17 == 0 else b""
        yield (
            b'{"Item":{"customer":{"S":"%s"},"order":{"N":"%d"},"amount":{"N":"%d.%02d"},"status":{"S":"%s"},'
            b'"paid":{"BOOL":%s},"tags":{"SS":["a","t%d"]},"address":{"M":{"zip":{"S":"%05d"},"n":{"N":"%d"}}}%s}}'
            % (
                *(digest.encode(), n, n % 100_000, n % 100, (b"open", b"paid", b"sent")[n % 3]),
                *(b"true" if n % 2 else b"false", n % 10, n % 99_999, n % 300, rare),
            )
        )


def make_landing(folder: Path, rows: int) -> None:
    """A landing zone with a base of so many rows, as a scan would have left it."""
    landing = Landing(LocalStore(folder / "landing"), TABLE)
    if landing.load() is not None:
        return
    source = Incarnation("111122223333", "eu-west-1", TABLE, "table-id-1", "arn:s", "NEW_IMAGE", KEYS)
    entries = []
    for number, first in enumerate(range(0, rows, FILE_ROWS), 1):
        written = landing.write_base(1, 0, number, list(lines(first, min(FILE_ROWS, rows - first))))
        entries.append(written.entry(number, 1_790_000_000_000, 1_790_000_000_000))
    manifest = Manifest(source)
    landing.save(replace(manifest, segments=tuple(entries), next_number=len(entries) + 1), None, "made")


def open_lake(folder: Path) -> IcebergTarget:
    folder.mkdir(parents=True, exist_ok=True)
    properties = {
        "type": "sql",
        "uri": f"sqlite:///{folder}/catalog.db",
        "warehouse": f"file://{folder}/warehouse",
        "py-io-impl": FILE_IO,
    }
    return IcebergTarget("lake", lambda: properties, ("lake",), str(folder), SystemClock())


def load(folder: Path, engine: str, master: str, memory: str) -> None:
    """What the child process does: load everything by one engine."""
    landing, target, clock = Landing(LocalStore(folder / "landing"), TABLE), open_lake(folder / engine), SystemClock()
    if engine == "process":
        loader = Loader(landing, target, TABLE, "current", clock, LoadLimits(base_times=BASE_LIMITS), threads=2)
    else:
        from tailrace.pipeline import SPREAD_LIMITS
        from tailrace.runtimes.spark.loads import SparkLoads
        from tailrace.runtimes.spark.session import session
        from tailrace.runtimes.spark.tasks import Site

        spark = session(
            {"spark.master": master, "spark.driver.memory": memory, "spark.local.dir": str(folder / "spill")}
        )
        site = Site(f"file:{folder}/landing", "/", TABLE, AwsSettings())
        loader = Loader(landing, target, TABLE, "current", clock, SPREAD_LIMITS, engine=SparkLoads(spark, target, site))
    report = loader.tick(Budget(clock))
    if engine == "spark":
        spark.stop()
    assert report.blocked is None, report.blocked
    assert report.unloaded == 0, report


class Watched:
    """A child process and its own: the most memory that they held together, each shared page counted once (PSS)."""

    def __init__(self, command: list[str], lose_executor: bool) -> None:
        self.peak = 0
        self.lost: float | None = None
        begun = time.monotonic()
        self._process = psutil.Popen(command)
        self._killer = threading.Thread(target=self._lose) if lose_executor else None
        if self._killer is not None:
            self._killer.start()
        while self._process.poll() is None:
            self.peak = max(self.peak, sum(map(_held, self._family())))
            time.sleep(LOOK_SECONDS)
        self.seconds = time.monotonic() - begun
        if self._process.returncode != 0:
            raise SystemExit(f"{command} ended with {self._process.returncode}")

    def _family(self) -> list[psutil.Process]:
        try:
            return [self._process, *self._process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def _lose(self) -> None:
        """Kill an executor as soon as one of its Python workers has worked for a while."""
        while self._process.poll() is None:
            for process in self._family():
                try:
                    if "CoarseGrainedExecutorBackend" not in " ".join(process.cmdline()):
                        continue
                    used = sum(sum(c.cpu_times()[:2]) for c in process.children(recursive=True))
                    if used > 4:
                        process.send_signal(signal.SIGKILL)
                        self.lost = used
                        return
                except psutil.NoSuchProcess:
                    continue
            time.sleep(LOOK_SECONDS)


def _held(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0


def digest(folder: Path, engine: str) -> dict[str, Any]:
    """Of all rows of a table: how many, and the sum of their hashes, over columns by name."""
    target = open_lake(folder / engine)
    published = Landing(LocalStore(folder / "landing"), TABLE).load()
    assert published is not None
    columns = sorted(c.name for c in target.ledger(table_spec(published.manifest, TABLE, "current")).columns)
    names = ", ".join(f'"{name}"' for name in [*columns, "_tr_op", "_tr_pos"])
    [row] = target.query(f'SELECT count(*) AS n, sum(hash({names})::HUGEINT)::VARCHAR AS s FROM "{TABLE}"').to_pylist()
    return {"rows": row["n"], "sum": row["s"], "columns": columns}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--master")
    parser.add_argument("--memory", default="2g", help="of Spark's driver")
    parser.add_argument("--lose-executor", action="store_true")
    parser.add_argument("--engines", default=",".join(ENGINES), help="what is loaded now; all that stands is compared")
    parser.add_argument("--child")
    given = parser.parse_args()
    master = given.master or ("local-cluster[2,1,1024]" if given.lose_executor else "local[*,4]")
    if given.child:
        load(given.folder, given.child, master, given.memory)
        return
    folder = (given.folder or Path(tempfile.mkdtemp())).absolute()
    make_landing(folder, given.rows)
    for engine in given.engines.split(","):
        command = [sys.executable, __file__, "--child", engine, "--folder", str(folder)]
        command += ["--master", master, "--memory", given.memory]
        watched = Watched(command, given.lose_executor and engine == "spark")
        facts: dict[str, Any] = {"seconds": round(watched.seconds, 1), "peak_mb": watched.peak >> 20}
        if given.lose_executor and engine == "spark":
            facts["lost_an_executor"] = watched.lost is not None
        print(json.dumps({"engine": engine, "rows": given.rows, **facts}), flush=True)
    digests = [digest(folder, engine) for engine in ENGINES if (folder / engine).exists()]
    equal = all(found == digests[0] for found in digests)
    print(json.dumps({"tables": len(digests), "equal": equal, "rows": digests[0]["rows"], "sum": digests[0]["sum"]}))
    sys.exit(0 if equal else 4)


if __name__ == "__main__":
    main()
