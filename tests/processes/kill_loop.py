"""Kill `tailrace run` again and again during a backfill, stream, compaction and load under faults: ``make kill KILLS=1000``.

Each table is a new one that holds items from before its stream was captured. Between kills AWS splits, trims, throttles and
fails; after the last one everything is compared. Exit code 0 and a line of JSON when nothing is missing, extra, different or
doubled, and no fault was left out; an AssertionError else, with the folder kept.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from harness import Killer, Site
from tailrace.local.client import LocalAws

# What no process may say, whatever befalls it.
UNEXPECTED = ("Traceback", "a defect of Tailrace", "SOURCE_CHANGED", "GAP")


def one_table(folder: Path, arguments: argparse.Namespace, seed: int, kills: int) -> Counter[str]:
    """A table from its backfill to the comparison: what was done, met and found equal."""
    folder.mkdir()
    with LocalAws(directory=folder / "aws", seed=seed % 1000) as aws:
        os.environ.update(aws.env())
        site = Site(folder, aws, landing=arguments.landing, seed=seed, items=arguments.items)
        killer = Killer(site, seed, rate=arguments.rate)
        try:
            with site.writing(arguments.rate):
                killer.one("early")
                killer.one("steady")
                while killer.kills < kills:
                    killer.round()
            site.settle()
            keys, records = site.check()
            log = (folder / "run.log").read_text()
            found = [words for words in UNEXPECTED if words in log]
            assert not found, f"{found[0]}: see {folder}/run.log"
            killer.counts.update(
                tables=1, keys=keys, records=records, segments=site.published(), compacted=site.compacted()
            )
        finally:
            site.close()
    left_out = [name for name in killer.fault_names() if name not in killer.counts]
    killer.counts.update(dict.fromkeys(left_out, 0))
    return killer.counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument(
        "--kills-per-table", type=int, default=50, help="then everything is compared, and a new one begins"
    )
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--rate", type=float, default=60.0, help="changes a second")
    parser.add_argument("--items", type=int, default=3000, help="written to each table before its stream is captured")
    parser.add_argument("--landing", default="file:./landing", help="or s3://lake/kill, on the embedded S3")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="tailrace-kill-"))
    print(f"seed {arguments.seed}, folder {folder}", file=sys.stderr)
    begun, seeds = time.monotonic(), random.Random(arguments.seed)
    total: Counter[str] = Counter()
    while total["kills"] < arguments.kills:
        here = folder / f"table-{total['tables'] + 1}"
        kills = min(arguments.kills_per_table, arguments.kills - total["kills"])
        counts = one_table(here, arguments, seeds.getrandbits(32), kills)
        total.update(counts)
        shutil.rmtree(here)
        seconds = round(time.monotonic() - begun)
        summary = {"seed": arguments.seed, "landing": arguments.landing.partition(":")[0], "seconds": seconds}
        print(json.dumps(summary | dict(sorted(total.items()))), flush=True)
    left_out = [name for name, count in total.items() if not count]
    assert not left_out, f"never met: {', '.join(left_out)}; it proves nothing of them, so use more --kills"


if __name__ == "__main__":
    main()
