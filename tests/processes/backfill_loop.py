"""Bring a table of a million items into DuckDB in ticks of 20 seconds while it is written to: ``make backfill ITEMS=1000000``.

Each tick is a process of its own, `tailrace run --once` and `tailrace backfill` by turns, so the next one always goes on where
another one stopped. Exit code 0 and a line of JSON when nothing is missing, extra, different or scanned into the target twice,
and no tick took two seconds longer than its budget; an AssertionError else, with the folder kept.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import duckdb

from harness import CONFIG, TABLE
from tailrace.aws import Aws, AwsSettings
from tailrace.clock import SystemClock
from tailrace.gen.profiles import PROFILES
from tailrace.gen.writer import Plan, Writer, ensure_table
from tailrace.local.client import LocalAws

DAY_SECONDS = 25 * 3600.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=1_000_000, help="in the table before anything is captured")
    parser.add_argument("--budget", type=float, default=20.0, help="seconds of a tick")
    parser.add_argument("--late", type=float, default=2.0, help="seconds that a tick may end after its budget")
    parser.add_argument("--rate", type=float, default=100.0, help="changes a second meanwhile")
    parser.add_argument("--profile", choices=list(PROFILES), default="narrow")
    parser.add_argument("--landing", default="file:./landing", help="or s3://lake/backfill, on the embedded S3")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="tailrace-backfill-"))
    print(f"seed {arguments.seed}, folder {folder}", file=sys.stderr)
    with LocalAws(seed=arguments.seed % 1000) as aws:
        os.environ.update(aws.env())
        print(json.dumps(backfill(folder, aws, arguments)))


def backfill(folder: Path, aws: LocalAws, arguments: argparse.Namespace) -> dict[str, Any]:
    """Write, let the stream forget it, and tick until the table is there; what was seen."""
    settings = AwsSettings(region="us-east-1", endpoint_url=aws.endpoint_url)
    config = CONFIG.format(landing=arguments.landing, endpoint_url=aws.endpoint_url) + 'base = "scan"\n'
    (folder / "tailrace.toml").write_text(config)
    if arguments.landing.startswith("s3:"):
        bucket = arguments.landing.removeprefix("s3://").split("/")[0]
        Aws(settings).client("s3").create_bucket(Bucket=bucket)
    dynamodb, profile = Aws(settings).client("dynamodb"), PROFILES[arguments.profile]
    ensure_table(dynamodb, TABLE, profile, SystemClock())
    plan = Plan(profile, arguments.seed, (1, 0, 0))
    writer = Writer(dynamodb, TABLE, plan, SystemClock())
    writer.write(arguments.items)
    aws.advance(DAY_SECONDS)
    print(f"{arguments.items} items are in the table, and none in its stream", file=sys.stderr)

    plan.mix = (20, 50, 30)  # from here on old and new items change and go
    stop = threading.Event()
    thread = threading.Thread(target=lambda: writer.write(10**9, rate=arguments.rate, stop=stop), name="test-writer")
    thread.start()
    begun, latest, ticks = time.monotonic(), 0.0, 0
    try:
        while (state := state_of(folder)) != "CONSISTENT":
            command = ("run", "--once") if ticks % 2 == 0 else ("backfill",)
            tick = time.monotonic()
            tailrace(folder, *command, "--budget", f"{arguments.budget}s")
            late = time.monotonic() - tick - arguments.budget
            latest, ticks = max(latest, late), ticks + 1
            print(
                f"tick {ticks}: {' '.join(command)}, {late:+.2f} s of its budget; {state}", file=sys.stderr, flush=True
            )
            assert late <= arguments.late, f"a tick ended {late:.2f} s after its budget"
    finally:
        stop.set()
        thread.join()
    seconds = time.monotonic() - begun
    tailrace(folder, "run", "--until-caught-up")
    reports = json.loads(tailrace(folder, "verify", "--json"))
    assert all(report["verified"] for report in reports), reports
    with duckdb.connect(str(folder / "log.duckdb"), read_only=True) as connection:
        keys = ", ".join(f'"{name}"' for name in profile.keys)
        scanned = f"SELECT {keys}, count(*) AS times FROM {TABLE} WHERE _tr_op = 'r' GROUP BY ALL"
        rows, twice = connection.execute(f"SELECT count(*), count(*) FILTER (times > 1) FROM ({scanned})").fetchall()[0]
    assert not twice, f"{twice} items were scanned into the target twice"
    return {
        "items": arguments.items,
        "changes_meanwhile": writer.written.changes - arguments.items,
        "budget_seconds": arguments.budget,
        "ticks": ticks,
        "latest_seconds": round(latest, 2),
        "rows_scanned": rows,
        "keys": reports[0]["keys_source"],
        "seconds": round(seconds),
        "seed": arguments.seed,
        "landing": arguments.landing.partition(":")[0],
    }


def state_of(folder: Path) -> str:
    """The table's; CONSISTENT once its base is complete and loaded."""
    (document,) = json.loads(tailrace(folder, "status", "--json"))
    return str(document["state"])


def tailrace(folder: Path, *arguments: str) -> str:
    """A command as a process of its own; what it printed. Exit code 3 is one of warnings, as of a table that is NEW."""
    done = subprocess.run(
        [sys.executable, "-m", "tailrace", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 3), f"tailrace {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


if __name__ == "__main__":
    main()
