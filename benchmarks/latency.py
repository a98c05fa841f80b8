"""From the acknowledged write to the row that a reader sees: ``python benchmarks/latency.py --seconds 60 --rate 200``.

A real `tailrace run` with default settings on the embedded AWS; a reader opens the DuckDB file every 100 ms, as a notebook would,
and looks for the ids that were written. So this is the delay that a person sees, with nothing rounded; `status` estimates the
same from the stream's own times, which AWS rounds down to whole seconds, and is therefore up to a second higher.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import duckdb

from tailrace.aws import Aws, AwsSettings
from tailrace.clock import SystemClock
from tailrace.codec import engine
from tailrace.gen.profiles import PROFILES
from tailrace.gen.writer import ensure_table
from tailrace.local.client import LocalAws
from tailrace.pipeline import Pipeline

TABLE = "orders"
BATCH = 5
POLL_SECONDS = 0.1
WARM_SECONDS = 5.0  # the first changes meet a process that still starts; they are not counted
CONFIG = """\
[landing]
url = "{landing}"
[source]
region = "us-east-1"
endpoint_url = "{endpoint_url}"
[targets.local]
kind = "duckdb"
path = "warehouse.duckdb"
[tables.orders]
"""


class Reader:
    """Sees new rows by polling; `seen` maps ids to the moment of the first look that showed them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._newest: Any = None
        self.seen: dict[str, float] = {}

    def look(self) -> None:
        try:
            with duckdb.connect(str(self._path), read_only=True) as connection:
                after = "" if self._newest is None else "WHERE _tr_loaded_at >= ?"
                values = [] if self._newest is None else [self._newest]
                rows = connection.execute(f"SELECT order_id, _tr_loaded_at FROM {TABLE} {after}", values).fetchall()
        except duckdb.Error:
            return  # a load commits, or nothing is there yet
        now = time.monotonic()
        for order_id, loaded_at in rows:
            self.seen.setdefault(order_id, now)
            self._newest = loaded_at if self._newest is None else max(self._newest, loaded_at)


def write(client: Any, rate: float, seconds: float, written: dict[str, float]) -> None:
    """Items at a steady rate; each id with the moment at which its write was acknowledged."""
    profile, begun, number = PROFILES["order"], time.monotonic(), 0
    while (elapsed := time.monotonic() - begun) < seconds:
        if number > elapsed * rate:
            time.sleep((number - elapsed * rate) / rate)
            continue
        items = [profile.item_of(1, number + offset, 0) for offset in range(BATCH)]
        client.batch_write_item(RequestItems={TABLE: [{"PutRequest": {"Item": item}} for item in items]})
        now = time.monotonic()
        written.update({item["order_id"]["S"]: now for item in items})
        number += BATCH


def measure(folder: Path, aws: LocalAws, landing: str, rate: float, seconds: float) -> dict[str, Any]:
    settings = AwsSettings(region="us-east-1", endpoint_url=aws.endpoint_url)
    client = Aws(settings).client("dynamodb")
    ensure_table(client, TABLE, PROFILES["order"], SystemClock())
    if landing.startswith("s3:"):
        Aws(settings).client("s3").create_bucket(Bucket="lake")
    config = folder / "tailrace.toml"
    config.write_text(CONFIG.format(landing=landing, endpoint_url=aws.endpoint_url))
    command = [sys.executable, "-m", "tailrace", "--quiet", "--config", str(config), "run"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    written: dict[str, float] = {}
    reader = Reader(folder / "warehouse.duckdb")
    writer = threading.Thread(target=write, args=(client, rate, seconds + WARM_SECONDS, written))
    try:
        begun = time.monotonic()
        writer.start()
        while len(reader.seen) < len(written) or writer.is_alive():
            reader.look()
            time.sleep(POLL_SECONDS)
            if time.monotonic() - begun > 2 * seconds + 60:
                break
    finally:
        writer.join()
        process.send_signal(signal.SIGINT)
        process.wait()
    (target,) = Pipeline.from_config(config).status()[0].targets
    counted = [i for i, moment in written.items() if moment - begun >= WARM_SECONDS]
    delays = sorted(reader.seen[i] - written[i] for i in counted if i in reader.seen)
    cuts = statistics.quantiles(delays, n=100)
    return {
        "rate_wanted": rate,
        "rate_reached": round(len(counted) / seconds, 1),
        "changes": len(counted),
        "never_seen": len(counted) - len(delays),
        "seconds_p50": round(cuts[49], 2),
        "seconds_p90": round(cuts[89], 2),
        "seconds_p99": round(cuts[98], 2),
        "seconds_max": round(delays[-1], 2),
        "status_ms_p50": target.latency_ms_p50,
        "status_ms_p99": target.latency_ms_p99,
        "landing": landing.partition(":")[0],
        "codec": engine().name,
        "load_average": round(os.getloadavg()[0], 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=200.0, help="changes a second")
    parser.add_argument("--landing", choices=["file:./landing", "s3://lake/tailrace"], default="file:./landing")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tailrace-latency-") as folder, LocalAws(seed=5) as aws:
        os.environ.update(aws.env())
        print(json.dumps(measure(Path(folder), aws, arguments.landing, arguments.rate, arguments.seconds)))


if __name__ == "__main__":
    main()
