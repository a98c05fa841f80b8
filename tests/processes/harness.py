"""Real processes: `tailrace run` beside a generator and an embedded AWS, and an oracle that reads the stream for itself."""

from __future__ import annotations

import functools
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
from tailrace.decide.base import is_base_read
from tailrace.decide.digest import digest, source_entries, target_entries
from tailrace.errors import StateContended
from tailrace.gen.profiles import PROFILES
from tailrace.gen.writer import Plan, Writer, ensure_table
from tailrace.jobs.load import table_spec
from tailrace.jobs.verify import VerifyReport
from tailrace.landing import Landing
from tailrace.local.client import LocalAws
from tailrace.model.manifest import Manifest
from tailrace.pipeline import Pipeline

TABLE = "events"
STOP_SECONDS = 60  # generous: the machine may be busy
STREAM_TRIES = 20
FAT_ITEMS, FAT_BYTES = 200, 120_000  # so that a scan segment has more than one page of 1 MB
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
SLOW_BASE = """\
base = "scan"
scan_segments = 24
flush_bytes = "64KiB"
backfill_units = {units}
"""
SLOW_UNITS, ANY_UNITS = 1, 1000  # the emulator takes one for a page, whatever is on it


class Site:
    """A folder with a configuration, a table on an embedded AWS, and the processes that were started on it."""

    def __init__(
        self, folder: Path, aws: LocalAws, *, landing: str = "file:./landing", seed: int = 0, items: int = 0
    ) -> None:
        """`items`: so many lie in the table, and nowhere in its stream, before anything captures it."""
        self.folder = folder
        self.aws = aws
        self.on_s3 = landing.startswith("s3:")
        self.config = folder / "tailrace.toml"
        self._text = CONFIG.format(landing=landing, endpoint_url=aws.endpoint_url)
        self._text += SLOW_BASE if items else ""
        self._configure(SLOW_UNITS)
        self.environment = {**os.environ, **aws.env()}
        settings = AwsSettings(region="us-east-1", endpoint_url=aws.endpoint_url)
        self.dynamodb = Aws(settings).client("dynamodb")
        self.streams = Aws(settings).client("dynamodbstreams", attempts=STREAM_TRIES)
        if self.on_s3:
            Aws(settings).client("s3").create_bucket(Bucket=landing.removeprefix("s3://").split("/")[0])
        profile = PROFILES["single-table"]
        ensure_table(self.dynamodb, TABLE, profile, SystemClock())
        plan = Plan(profile, seed, (90, 10, 0))
        if items:
            self._fill(plan, items)
        plan.mix = (50, 35, 15)
        self.writer = Writer(self.dynamodb, TABLE, plan, SystemClock(), batch=5)
        self.records: dict[int, Mapping[str, Any]] = {}
        self.processes: list[subprocess.Popen[bytes]] = []
        self.log = (folder / "run.log").open("ab")
        self._stop_writing = threading.Event()
        self._writing: threading.Thread | None = None

    def _configure(self, units: int) -> None:
        self.config.write_text(self._text.format(units=units))

    def _fill(self, plan: Plan, items: int) -> None:
        Writer(self.dynamodb, TABLE, plan, SystemClock()).write(items)
        for number in range(FAT_ITEMS):
            text = f"{number:06d} " * (FAT_BYTES // 7)
            item = {"pk": {"S": f"FAT#{number}"}, "sk": {"S": "TEXT"}, "type": {"S": "fat"}, "text": {"S": text}}
            self.dynamodb.put_item(TableName=TABLE, Item=item)
        self.aws.shards("trim", TABLE)

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
        self._begin_writing(rate)
        try:
            yield
        finally:
            self._end_writing()

    @contextmanager
    def pause_in_writing(self, rate: float) -> Iterator[None]:
        """Nothing is written inside; before and after it is."""
        self._end_writing()
        try:
            yield
        finally:
            self._begin_writing(rate)

    def _begin_writing(self, rate: float) -> None:
        self._stop_writing.clear()
        write = functools.partial(self.writer.write, 10**9, rate=rate, stop=self._stop_writing)
        self._writing = threading.Thread(target=write, name="test-writer")
        self._writing.start()

    def _end_writing(self) -> None:
        assert self._writing is not None
        assert self._writing.is_alive(), "the writer has given up"
        self._stop_writing.set()
        self._writing.join()

    @functools.cached_property
    def _landing(self) -> Landing:
        return self.pipeline().landing(TABLE)

    def manifest(self) -> Manifest | None:
        found = self._landing.load()
        return None if found is None else found.manifest

    def published(self) -> int:
        """How many segments the manifest lists."""
        manifest = self.manifest()
        return 0 if manifest is None else manifest.next_number - 1

    def age(self, hours: int = 26) -> None:
        """Let so much time have passed for compaction: what is published is of past hours, what was replaced may go."""
        ms = hours * 3_600_000
        while (found := self._landing.load()) is not None:
            manifest = found.manifest
            segments = tuple(replace(s, published_ms=s.published_ms - ms) for s in manifest.segments)
            garbage = tuple(replace(g, since_ms=g.since_ms - ms) for g in manifest.garbage)
            try:
                self._landing.save(replace(manifest, segments=segments, garbage=garbage), found, "age")
            except StateContended:  # the request of a process that is dead has only now arrived
                continue
            return

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

    def collect(self) -> dict[str, int | None]:
        """Keep every record that the stream holds in `records`, read from all shards without any of our code.

        For each shard the number that a consumer must have come to: its newest record's, 0 where there is none, None once it
        is closed: then it must be finished.
        """
        arn = self.dynamodb.describe_table(TableName=TABLE)["Table"]["LatestStreamArn"]
        shards, request = [], {"StreamArn": arn}
        while True:
            description = self.streams.describe_stream(**request)["StreamDescription"]
            shards += description["Shards"]
            if not description.get("LastEvaluatedShardId"):
                break
            request["ExclusiveStartShardId"] = description["LastEvaluatedShardId"]
        ends: dict[str, int | None] = {}
        for shard in shards:
            name = shard["ShardId"]
            records = self._records(arn, name)
            self.records |= records
            is_closed = "EndingSequenceNumber" in shard["SequenceNumberRange"]
            ends[name] = None if is_closed else max(records, default=0)
        return ends

    def _records(self, arn: str, shard: str) -> dict[int, Mapping[str, Any]]:
        iterator = self.streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
        position, empty = iterator["ShardIterator"], 0
        records: dict[int, Mapping[str, Any]] = {}
        while position and empty < 3:
            page = self.streams.get_records(ShardIterator=position)
            position = page.get("NextShardIterator")
            empty = 0 if page["Records"] else empty + 1
            records |= {int(record["dynamodb"]["SequenceNumber"]): record for record in page["Records"]}
        return records

    def trim(self, seconds: float = 60) -> None:
        """Once all of it is captured, let everything leave the stream, closed shards too, as it does after 24 hours.

        Nobody may write meanwhile.
        """
        ends, deadline = self.collect(), time.monotonic() + seconds
        while not _is_captured(self.manifest(), ends):
            assert time.monotonic() < deadline, f"the tip was not captured for {seconds} s; see {self.folder}/run.log"
            time.sleep(0.05)
        self.aws.shards("trim", TABLE)

    def settle(self) -> None:
        """Let one undisturbed run catch up."""
        self._configure(ANY_UNITS)
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
        self.collect()
        records = self.records
        pipeline = self.pipeline()
        published = pipeline.landing(TABLE).load()
        assert published is not None
        spec = table_spec(published.manifest, TABLE, "changelog")
        columns = pipeline.target("log").ledger(spec).columns
        values = ", ".join(f'CAST("{c.name}" AS VARCHAR)' if c.type.kind == "json" else f'"{c.name}"' for c in columns)
        with duckdb.connect(str(self.folder / "log.duckdb"), read_only=True) as connection:
            rows = connection.execute(f"SELECT _tr_pos, _tr_op, {values} FROM {TABLE} WHERE _tr_op <> 'r'").fetchall()
            scanned = f"SELECT pk FROM {TABLE} WHERE _tr_op = 'r' GROUP BY pk, sk HAVING count(*) > 1"
            scanned_twice = connection.execute(scanned).fetchall()
        assert not scanned_twice, f"{len(scanned_twice)} base rows stand twice or more, for example {scanned_twice[0]}"
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


def _is_captured(manifest: Manifest | None, ends: Mapping[str, int | None]) -> bool:
    """Whether what `Site.collect` saw is captured, and every closed shard is finished."""
    known = {} if manifest is None else manifest.shards
    return all(
        name in known and (known[name].finished_ms is not None if end is None else end <= (known[name].mark or 0))
        for name, end in ends.items()
    )


FAULTS = [
    *[("throttle", 0, o) for o in ("GetRecords", "GetShardIterator", "DescribeStream", "DescribeTable", "Scan")],
    *[("error", 500, o) for o in ("GetRecords", "GetShardIterator", "DescribeStream", "DescribeTable", "Scan")],
    *[("error", 503, o) for o in ("GetRecords", "DescribeStream", "DescribeTable", "Scan")],
    *[("lost_answer", 0, o) for o in ("GetRecords", "Scan")],
    *[("slow", 0, o) for o in ("GetRecords", "Scan")],
]
FAULTS_OF_S3 = [
    *[("throttle", 0, o) for o in ("GetObject", "PutObject", "DeleteObject")],
    *[("error", 500, o) for o in ("GetObject", "PutObject", "DeleteObject")],
    *[("error", 503, o) for o in ("GetObject", "PutObject")],
    *[("lost_answer", 0, o) for o in ("PutObject", "DeleteObject")],
    *[("slow", 0, o) for o in ("GetObject", "PutObject")],  # a write that arrives after its sender is dead
]
COUNT_MAX = 8  # requests that one fault strikes: botocore hides a few, the rest comes to us
ROUNDS = {"kill": 50, "early": 12, "two": 10, "split": 8, "trim": 7, "zombie": 5, "stop": 4, "steady": 4}


class Killer:
    """One round of ill treatment after another, drawn from a seed. `counts`: what was done, and what it met."""

    def __init__(self, site: Site, seed: int, *, rate: float = 60.0) -> None:
        self.site = site
        self.rate = rate  # at which is written meanwhile
        self.random = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.start_seconds = 1.5  # from the start of a process to what it publishes first
        self._planned: Counter[str] = Counter()
        self._published = 0

    @property
    def kills(self) -> int:
        return self.counts["kills"]

    def fault_names(self) -> list[str]:
        """All that `counts` is to hold of them in the end."""
        at_once = ("split", "roll", "trim", "duplicate", "expire_iterators")
        return [*(f"fault {_named(*fault)}" for fault in self._faults()), *(f"fault {kind}" for kind in at_once)]

    def round(self) -> None:
        self.one(self.random.choices(list(ROUNDS), list(ROUNDS.values()))[0])

    def one(self, kind: str) -> None:
        self.site.age()
        self._published = self.site.published()
        getattr(self, f"_{kind}")()
        self.counts[f"round {kind}"] += 1

    # ---- the rounds

    def _kill(self) -> None:
        """kill -9 at any moment of normal work."""
        process = self.site.start("run")
        self._let_live(self._start() + self.random.uniform(0, 4.0))
        self._end(process)

    def _early(self) -> None:
        """kill -9 while it starts, at whatever it does then."""
        process = self.site.start("run")
        self._let_live(self.random.uniform(0.05, self.start_seconds))
        self._end(process)

    def _steady(self) -> None:
        """kill -9 right when it has published. This one also tells how long a start takes."""
        begun = time.monotonic()
        process = self.site.start("run")
        self.site.wait_for_segments(1)
        self.start_seconds = time.monotonic() - begun
        self._end(process)

    def _split(self) -> None:
        """kill -9 around the end of a shard."""
        process = self.site.start("run")
        self._let_live(self._start())
        kind = self.random.choice(("split", "roll"))
        self.site.aws.shards(kind, TABLE)
        self.counts[f"fault {kind}"] += 1
        self._let_live(self.random.uniform(0, 2.0))
        self._end(process)

    def _trim(self) -> None:
        """kill -9 after records and closed shards have left the stream."""
        process = self.site.start("run")
        self._let_live(self._start())
        self._clear_faults()
        with self.site.pause_in_writing(self.rate):
            self.site.trim()
        self.counts["fault trim"] += 1
        self._let_live(self.random.uniform(0, 2.0))
        self._end(process)

    def _two(self) -> None:
        """Two at once on one table; both are killed."""
        processes = [self.site.start("run"), self.site.start("run")]
        self._let_live(self._start())
        self.random.shuffle(processes)
        for process in processes:
            self._let_live(self.random.uniform(0, 1.5))
            self._end(process)

    def _zombie(self) -> None:
        """One sleeps in the middle of its work while another goes on; then it wakes up and goes on with what it remembers."""
        sleeper = self.site.start("run")
        self._let_live(self._start() + self.random.uniform(0, 1.0))
        sleeper.send_signal(signal.SIGSTOP)  # at worst while it holds the manifest's lock or DuckDB's file
        other = self.site.start("run")
        self._let_live(self._start() + self.random.uniform(0, 2.0))
        sleeper.send_signal(signal.SIGCONT)
        self._let_live(self.random.uniform(0, 2.0))
        self._end(sleeper)
        self._end(other)

    def _stop(self) -> None:
        """SIGTERM: it must end by itself, cleanly. No faults here: one that is not over yet is rightly told by exit code 1."""
        said = os.fstat(self.site.log.fileno()).st_size
        process = self.site.start("run")
        time.sleep(self._start() + self.random.uniform(0, 1.0))
        code = self.site.end(process, signal.SIGTERM)
        is_booting = code == -signal.SIGTERM and os.fstat(self.site.log.fileno()).st_size == said
        assert code == 0 or is_booting, f"exit code {code}; see {self.site.folder}/run.log"

    # ---- parts of them

    def _start(self) -> float:
        return self.start_seconds * self.random.uniform(0.9, 1.2)

    def _let_live(self, seconds: float) -> None:
        """Let the processes work for so long, and at some moment of it, or from the first on, plan faults for them."""
        before = self.random.choice((0.0, self.random.uniform(0, seconds)))
        time.sleep(before)
        for kind, status, operation in self.random.sample(self._faults(), self.random.choice((0, 1, 1, 2, 4))):
            count = self.random.randint(1, COUNT_MAX)
            details = {"status": status} if status else {"seconds": self.random.uniform(0.1, 3.0)}
            self.site.aws.fault(kind, operation=operation, count=count, **details)
            self._planned[_named(kind, status, operation)] += count
        for kind in self.random.choice(((), (), (), (), ("duplicate",), ("expire_iterators",))):
            self.site.aws.shards(kind, TABLE)
            self.counts[f"fault {kind}"] += 1
        time.sleep(seconds - before)

    def _faults(self) -> list[tuple[str, int, str]]:
        return FAULTS + (FAULTS_OF_S3 if self.site.on_s3 else [])

    def _clear_faults(self) -> None:
        """Count the planned ones that were met and forget the rest, before a request of our own meets them."""
        left: Counter[str] = Counter()
        for fault in self.site.aws.faults():
            status = fault["status"] if fault["kind"] == "error" else 0
            left[_named(fault["kind"], status, fault["operation"])] += fault["count"]
        self.site.aws.clear_faults()
        for name, count in (self._planned - left).items():
            self.counts[f"fault {name}"] += count
        self._planned.clear()

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """kill -9, of a process that lives."""
        assert process.poll() is None, f"it ended by itself with {process.returncode}; see {self.site.folder}/run.log"
        assert self.site.end(process, signal.SIGKILL) == -signal.SIGKILL
        self._clear_faults()
        self.counts["kills"] += 1
        manifest = self.site.manifest()
        if manifest is None or not is_base_read(manifest):
            self.counts["kills before the base was complete"] += 1
        published = self.site.published()
        if published > self._published:
            self.counts["kills after something was published"] += 1
        self._published = published


def _named(kind: str, status: int, operation: str) -> str:
    return f"{status or kind} {operation}"
