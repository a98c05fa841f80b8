"""Read a base of 500,000 items through each deployed chain, in links of seconds, while they change: ``make chains ITEMS=500000``.

The rendered template is deployed to the embedded AWS, with a shorter timeout of the chain's function; that and slow pages of Scan
make the chain hand over at least ten times. Exit code 0 and a line of JSON for each chain when `tailrace verify` finds nothing;
an AssertionError else, with the folder kept.
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

from stacks import Stack, alone
from stream_reader import Account

from tailrace.clock import SystemClock
from tailrace.gen.profiles import PROFILES
from tailrace.gen.writer import Plan, Writer, ensure_table
from tailrace.local.client import LocalAws

TABLE = "events"
RULES = 'capture = "lambda"\nflush_seconds = 5\nworkers = 1\n'
SWEEP_SECONDS = 300.0
SWEEPS_MAX = 60
CHAINS = ("step_functions", "chain_table")
HANDOVERS_MIN = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=500_000, help="in the table before anything is deployed")
    parser.add_argument("--link", type=int, default=20, help="seconds of the function's timeout; a quarter is reserve")
    parser.add_argument(
        "--page", type=float, default=3.0, help="seconds that a page of Scan takes longer than it would"
    )
    parser.add_argument("--rate", type=float, default=50.0, help="changes a second meanwhile")
    parser.add_argument("--chain", choices=CHAINS, action="append", help="only this one")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    for kind in arguments.chain or CHAINS:
        folder = Path(tempfile.mkdtemp(prefix="tailrace-chain-"))
        print(f"{kind}: seed {arguments.seed}, folder {folder}", file=sys.stderr)
        with LocalAws(seed=arguments.seed % 1000) as aws:
            os.environ.update(aws.env())
            print(json.dumps({"chain": kind, **backfill(folder, Account(aws), kind, arguments)}), flush=True)


def backfill(folder: Path, account: Account, kind: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Write, let the stream forget it, deploy, and begin the chain; what was seen."""
    aws, profile = account.aws, PROFILES["narrow"]
    ensure_table(account.dynamodb, TABLE, profile, SystemClock())
    plan = Plan(profile, arguments.seed, (1, 0, 0))
    writer = Writer(account.dynamodb, TABLE, plan, SystemClock())
    writer.write(arguments.items)
    aws.shards("trim", TABLE)
    print(f"{arguments.items} items are in the table, and none in its stream", file=sys.stderr)
    stack = Stack(account, alone(TABLE, RULES, f'backfill = "{kind}"\n'), folder, link_seconds=arguments.link)
    stack.create(TABLE)
    aws.fault("slow", operation="Scan", table=TABLE, seconds=arguments.page, count=10**6)

    plan.mix = (20, 50, 30)  # from here on old and new items change and go
    stop = threading.Event()
    thread = threading.Thread(target=lambda: writer.write(10**9, rate=arguments.rate, stop=stop), name="test-writer")
    thread.start()
    begun = time.monotonic()
    try:
        handovers = stack.backfilled(TABLE, 3600)
        seconds = time.monotonic() - begun
        print(f"the chain is done after {handovers} hand-overs, {seconds:.0f} s", file=sys.stderr)
        aws.clear_faults()
        rows = base_rows(stack)
        settle(stack)  # it is still written to
    finally:
        stop.set()
        thread.join()
    settle(stack)
    sentence = verified(folder)
    assert handovers >= HANDOVERS_MIN, (
        f"{handovers} hand-overs are not {HANDOVERS_MIN}: give it slower pages, or shorter links"
    )
    return {
        "items": arguments.items,
        "changes_meanwhile": writer.written.changes - arguments.items,
        "link_seconds": arguments.link,
        "page_seconds": arguments.page,
        "handovers": handovers,
        "chain_seconds": round(seconds),
        "base_rows": rows,
        "seconds": round(time.monotonic() - begun),
        "verify": sentence,
        "seed": arguments.seed,
    }


def base_rows(stack: Stack) -> int:
    landing = stack.pipeline.landing(TABLE)
    published = landing.load()
    assert published is not None
    return sum(segment.rows for segment in landing.segments(published.manifest) if segment.kind == "base")


def settle(stack: Stack) -> None:
    """Until the deployed schedule has made the target consistent."""
    for _ in range(SWEEPS_MAX):
        stack.account.aws.advance(SWEEP_SECONDS)
        for _ in range(30):
            time.sleep(1)
            (status,) = stack.pipeline.status()
            if status.state == "CONSISTENT" and not status.unloaded:
                return
    raise AssertionError(f"after {SWEEPS_MAX} calls of the schedule: {status}")


def verified(folder: Path) -> str:
    """What `tailrace verify` says. Raises AssertionError where it finds anything."""
    command = [sys.executable, "-m", "tailrace", "-c", str(folder / "tailrace.toml"), "verify"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout.strip()


if __name__ == "__main__":
    main()
