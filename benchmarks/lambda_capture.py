"""The capture function: a cold start with its first batch, and one of 10,000 records, each in processes of their own.

    python benchmarks/lambda_capture.py [--rounds 5]

`cold`: from the first line of a new interpreter to the landed batch of 100 records: imports, client, two requests to the
embedded S3 (the start of the interpreter itself does not count, as Lambda's own does not). `batch`: 10,000 records of the
`narrow` profile, in a function that is warm; Lambda hands over 6 MB at most. Peak memory is that of the whole process, and the
size that of what it imports of Tailrace, zipped.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import boto3

from capture import PAGE_RECORDS, _page
from harness import environment
from tailrace.local.client import LocalAws

ARN = "arn:aws:dynamodb:eu-west-1:111122223333:table/orders/stream/2026-11-22T05:00:00.000"
FUNCTION = """
import time
began, cpu = time.perf_counter(), time.process_time()
import json, sys
from tailrace.runtimes.aws_lambda import capture

class Context:
    def get_remaining_time_in_millis(self):
        return 60_000

def timed(event):
    before, used = time.perf_counter(), time.process_time()
    assert capture(event, Context()) == {"batchItemFailures": []}
    return time.perf_counter() - before, time.process_time() - used

imported = time.perf_counter() - began, time.process_time() - cpu
small, large = (json.load(open(name)) for name in sys.argv[1:])
cold = tuple(map(sum, zip(imported, timed(small))))
batch = timed(large)
import resource
ours = sorted(m.__file__ for n, m in sys.modules.items() if n.partition(".")[0] == "tailrace" and getattr(m, "__file__", None))
print(json.dumps({"cold": cold, "batch": batch, "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "ours": ours}))
"""


def event(records: int) -> dict[str, Any]:
    found: list[dict[str, Any]] = []
    for number in range(-(-records // PAGE_RECORDS)):
        found += json.loads(_page("narrow", 0, number)[0])["Records"]
    for record in found:
        record["eventSourceARN"] = ARN
        del record["dynamodb"]["OldImage"]  # as of a stream of new images
    return {"Records": found[:records]}


def zipped_kb(files: list[str]) -> float:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(file)
    return len(packed.getvalue()) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one round")
    arguments = parser.parse_args()
    rounds = 1 if arguments.quick else arguments.rounds
    runs = []
    with LocalAws() as aws, tempfile.TemporaryDirectory() as folder:
        os.environ.update(aws.env())
        boto3.client("s3").create_bucket(Bucket="lake")
        events = []
        for records in (100, 10_000):
            events.append(Path(folder, f"{records}.json"))
            events[-1].write_text(json.dumps(event(records), separators=(",", ":")))
        for number in range(rounds):
            # A landing zone of its own, so that nothing is there already.
            variables = os.environ | {"TAILRACE_LANDING": f"s3://lake/{number}"}
            done = subprocess.run(
                [sys.executable, "-c", FUNCTION, *map(str, events)],
                env=variables,
                capture_output=True,
                text=True,
                check=True,
            )
            runs.append(json.loads(done.stdout.splitlines()[-1]))
        megabytes = events[1].stat().st_size / 1e6

    def shown(name: str) -> str:
        wall, cpu = (statistics.median(run[name][n] for run in runs) for n in (0, 1))
        return f"{wall:.2f} s on the clock, {cpu:.2f} s of CPU"

    print(f"{environment()} load {os.getloadavg()[0]:.1f}. Medians of {rounds}.")
    print(f"cold start with 100 records: {shown('cold')}")
    print(f"10,000 records, {megabytes:.1f} MB of JSON: {shown('batch')}")
    memory, size = max(run["mb"] for run in runs), zipped_kb(runs[0]["ours"])
    print(f"at most {memory:.0f} MB; what is imported of Tailrace: {size:.0f} KB zipped")


if __name__ == "__main__":
    main()
