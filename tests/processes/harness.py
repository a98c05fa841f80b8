"""Real processes: `tailrace run` beside a generator and an embedded AWS, and an oracle that reads the stream for itself."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb

from tailrace.aws import Aws, AwsSettings
from tailrace.clock import SystemClock
from tailrace.decide.digest import digest, source_entries, target_entries
from tailrace.gen.profiles import PROFILES
from tailrace.gen.writer import Plan, Writer, ensure_table
from tailrace.jobs.load import table_spec
from tailrace.jobs.verify import VerifyReport
from tailrace.local.client import LocalAws
from tailrace.pipeline import Pipeline

TABLE = "events"
STOP_SECONDS = 60  # generous: the machine may be busy
CONFIG = """\
[landing]
url = "{landing}"
[source]
region = "us-east-1"
endpoint_url = "{endpoint_url}"
[targets.now]
kind = "duckdb"
path = "now.duckdb"
[targets.log]
kind = "duckdb"
path = "log.duckdb"
mode = "changelog"
[tables.events]
"""


class Site:
    """A folder with a configuration, a table on an embedded AWS, and the processes that were started on it."""

    def __init__(self, folder: Path, aws: LocalAws, *, landing: str = "file:./landing", seed: int = 0) -> None:
        self.folder = folder
        self.aws = aws
        self.config = folder / "tailrace.toml"
        self.config.write_text(CONFIG.format(landing=landing, endpoint_url=aws.endpoint_url))
        self.environment = {**os.environ, **aws.env()}
        settings = AwsSettings(region="us-east-1", endpoint_url=aws.endpoint_url)
        self.dynamodb = Aws(settings).client("dynamodb")
        self.streams = Aws(settings).client("dynamodbstreams")
        if landing.startswith("s3:"):
            Aws(settings).client("s3").create_bucket(Bucket=landing.removeprefix("s3://").split("/")[0])
        profile = PROFILES["single-table"]
        ensure_table(self.dynamodb, TABLE, profile, SystemClock())
        self.writer = Writer(self.dynamodb, TABLE, Plan(profile, seed, (50, 35, 15)), SystemClock(), batch=5)
        self.processes: list[subprocess.Popen[bytes]] = []
        self.log = (folder / "run.log").open("ab")

    # ---- processes

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """`tailrace COMMAND…` as a process of its own; its messages go to run.log."""
        process = subprocess.Popen(
            [sys.executable, "-m", "tailrace", "--config", str(self.config), *command],
            cwd=self.folder,
            env=self.environment,
            stdout=self.log,
            stderr=self.log,
        )
        self.processes.append(process)
        return process

    def finish(self, *command: str, seconds: float = 300) -> int:
        """Run a command to its end; its exit code."""
        return self.start(*command).wait(seconds)

    def end(self, process: subprocess.Popen[bytes], number: int) -> int:
        """Send a signal, continue it if it was stopped, and wait; the exit code."""
        process.send_signal(number)
        process.send_signal(signal.SIGCONT)
        return process.wait(STOP_SECONDS)

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()
        self.log.close()

    # ---- load

    @contextmanager
    def writing(self, rate: float) -> Iterator[None]:
        """Write beside whatever happens inside."""
        stop = threading.Event()
        thread = threading.Thread(target=lambda: self.writer.write(10**9, rate=rate, stop=stop), name="test-writer")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def published(self) -> int:
        """How many segments the manifest lists."""
        found = self.pipeline().landing(TABLE).load()
        return 0 if found is None else found.manifest.next_number - 1

    def age(self, hours: int = 26) -> None:
        """Let so much time have passed for compaction: what is published is of past hours, what was replaced may go."""
        landing, ms = self.pipeline().landing(TABLE), hours * 3_600_000
        found = landing.load()
        if found is not None:
            manifest = found.manifest
            segments = tuple(replace(s, published_ms=s.published_ms - ms) for s in manifest.segments)
            garbage = tuple(replace(g, since_ms=g.since_ms - ms) for g in manifest.garbage)
            landing.save(replace(manifest, segments=segments, garbage=garbage), found, "age")

    def compacted(self) -> int:
        """How many segments lie in outputs of compaction, after a look at what is inside every segment."""
        landing = self.pipeline().landing(TABLE)
        found = landing.load()
        assert found is not None
        entries = list(landing.segments(found.manifest))
        for entry in entries:
            landing.verify_segment(entry)
        return sum(1 for entry in entries if entry.place is not None)

    def wait_for_segments(self, more: int, seconds: float = 60) -> None:
        """Until so many more segments are published."""
        wanted, deadline = self.published() + more, time.monotonic() + seconds
        while self.published() < wanted:
            assert time.monotonic() < deadline, f"nothing was published for {seconds} s; see {self.folder}/run.log"
            time.sleep(0.02)

    def pipeline(self) -> Pipeline:
        """A fresh one, so that nothing is remembered from before."""
        return Pipeline.from_config(self.config)

    # ---- oracles

    def verify(self) -> dict[str, VerifyReport]:
        """A report for each target."""
        return {report.target: report for report in self.pipeline().verify(deadline_seconds=30)}

    def stream(self) -> dict[int, Mapping[str, Any]]:
        """Every record that the stream holds, by sequence number, read from all shards without any of our code."""
        arn = self.dynamodb.describe_table(TableName=TABLE)["Table"]["LatestStreamArn"]
        shards, request = [], {"StreamArn": arn}
        while True:
            description = self.streams.describe_stream(**request)["StreamDescription"]
            shards += [shard["ShardId"] for shard in description["Shards"]]
            if not description.get("LastEvaluatedShardId"):
                break
            request["ExclusiveStartShardId"] = description["LastEvaluatedShardId"]
        records: dict[int, Mapping[str, Any]] = {}
        for shard in shards:
            iterator = self.streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
            position, empty = iterator["ShardIterator"], 0
            while position and empty < 3:
                page = self.streams.get_records(ShardIterator=position)
                position = page.get("NextShardIterator")
                empty = 0 if page["Records"] else empty + 1
                records |= {int(record["dynamodb"]["SequenceNumber"]): record for record in page["Records"]}
        return records

    def settle(self) -> None:
        """Let one undisturbed run catch up."""
        code = self.finish("run", "--until-caught-up")
        assert code == 0, f"exit code {code}; see {self.folder}/run.log"

    def check(self) -> tuple[int, int]:
        """Nothing is missing, extra or different in `current`, and the changelog is the stream: (keys, records)."""
        reports = self.verify()
        for report in reports.values():
            assert report.verified, report.to_json()
        return reports["now"].keys_source, self.check_changelog()

    def check_changelog(self) -> int:
        """Every stream record stands in the changelog exactly once and as it was, beside scanned rows; how many there are."""
        records = self.stream()
        pipeline = self.pipeline()
        published = pipeline.landing(TABLE).load()
        assert published is not None
        spec = table_spec(published.manifest, TABLE, "changelog")
        columns = pipeline.target("log").ledger(spec).columns
        values = ", ".join(f'CAST("{c.name}" AS VARCHAR)' if c.type.kind == "json" else f'"{c.name}"' for c in columns)
        with duckdb.connect(str(self.folder / "log.duckdb"), read_only=True) as connection:
            rows = connection.execute(f"SELECT _tr_pos, _tr_op, {values} FROM {TABLE} WHERE _tr_op <> 'r'").fetchall()
        held = Counter(int(row[0].rpartition("|")[2]) for row in rows)
        twice = [number for number, count in held.items() if count > 1]
        assert not twice, f"{len(twice)} records stand twice or more, for example {twice[0]}"
        assert not records.keys() - held.keys(), f"{len(records.keys() - held.keys())} records are missing"
        assert not held.keys() - records.keys(), f"{len(held.keys() - records.keys())} records were never in the stream"
        for row in rows:
            record = records[int(row[0].rpartition("|")[2])]
            assert row[1] == {"INSERT": "c", "MODIFY": "u", "REMOVE": "d"}[record["eventName"]], row[0]
            if row[1] != "d":
                expected = digest(source_entries(record["dynamodb"]["NewImage"]))
                assert digest(target_entries(columns, row[2:])) == expected, f"record {row[0]} is not as it was"
        return len(records)


class Killer:
    """One round of ill treatment after another, drawn from a seed."""

    def __init__(self, site: Site, seed: int) -> None:
        self.site = site
        self.random = random.Random(seed)
        self.done: Counter[str] = Counter()
        self.kills = 0

    def round(self) -> None:
        self.site.age()
        kind = self.random.choices(("kill", "early", "two", "zombie", "stop", "split"), (50, 15, 15, 8, 7, 5))[0]
        self.one(kind)

    def one(self, kind: str) -> None:
        getattr(self, f"_{kind}")()
        self.done[kind] += 1

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        self.site.end(process, signal.SIGKILL)
        self.kills += 1

    def _pause(self, most: float) -> None:
        time.sleep(self.random.uniform(0, most))

    def _kill(self) -> None:
        """kill -9 at any moment of normal work."""
        process = self.site.start("run")
        self.site.wait_for_segments(1)
        self._pause(4.0)
        self._end(process)

    def _early(self) -> None:
        """kill -9 while it starts, at whatever it does then."""
        process = self.site.start("run")
        self._pause(3.0)
        self._end(process)

    def _split(self) -> None:
        """kill -9 around the end of a shard."""
        process = self.site.start("run")
        self.site.wait_for_segments(1)
        self.site.aws.split(TABLE)
        self._pause(2.0)
        self._end(process)

    def _two(self) -> None:
        """Two at once on one table; both are killed."""
        processes = [self.site.start("run"), self.site.start("run")]
        self.site.wait_for_segments(2)
        self.random.shuffle(processes)
        for process in processes:
            self._pause(1.5)
            self._end(process)

    def _zombie(self) -> None:
        """One sleeps in the middle of its work while another goes on; then it wakes up and goes on with what it remembers."""
        sleeper = self.site.start("run")
        self.site.wait_for_segments(1)
        self._pause(1.0)
        sleeper.send_signal(signal.SIGSTOP)  # at worst while it holds the manifest's lock or DuckDB's file
        other = self.site.start("run")
        self._pause(8.0)
        sleeper.send_signal(signal.SIGCONT)
        self._pause(2.0)
        self._end(sleeper)
        self._end(other)

    def _stop(self) -> None:
        """SIGTERM: it must end by itself, cleanly."""
        process = self.site.start("run")
        self.site.wait_for_segments(1)
        self._pause(1.0)
        assert self.site.end(process, signal.SIGTERM) == 0
