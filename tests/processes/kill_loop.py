"""Kill `tailrace run` again and again while a generator writes, then compare everything: ``make kill ROUNDS=1000``.

Exit code 0 and a line of JSON when nothing is missing, extra, different or doubled; an AssertionError else, with the folder kept.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from harness import Killer, Site
from tailrace.local.client import LocalAws


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--rate", type=float, default=60.0, help="changes a second")
    parser.add_argument("--landing", default="file:./landing", help="or s3://lake/kill, on the embedded S3")
    parser.add_argument("--check-every", type=int, default=50, help="rounds between two full comparisons")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="tailrace-kill-"))
    print(f"seed {arguments.seed}, folder {folder}", file=sys.stderr)
    begun = time.monotonic()
    with LocalAws(seed=arguments.seed % 1000) as aws:
        os.environ.update(aws.env())
        site = Site(folder, aws, landing=arguments.landing, seed=arguments.seed)
        killer = Killer(site, arguments.seed)
        comparisons = 0
        try:
            while (done := sum(killer.done.values())) < arguments.rounds:
                with site.writing(arguments.rate):
                    for _ in range(min(arguments.check_every, arguments.rounds - done)):
                        killer.round()
                site.settle()
                keys, records = site.check()
                comparisons += 1
                done = sum(killer.done.values())
                print(f"{done} rounds, {killer.kills} kills, {keys} keys, {records} records: equal", file=sys.stderr)
            segments, compacted = site.published(), site.compacted()
        finally:
            site.close()
    summary = {
        "rounds": sum(killer.done.values()),
        "kills": killer.kills,
        "by_kind": dict(sorted(killer.done.items())),
        "seed": arguments.seed,
        "landing": arguments.landing.partition(":")[0],
        "comparisons": comparisons,
        "keys": keys,
        "records": records,
        "segments": segments,
        "compacted": compacted,
        "seconds": round(time.monotonic() - begun),
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
