"""Capture and landing on one core: a stream in memory goes through the poller's rules into segments on disk.

    python benchmarks/capture.py [--only narrow order] [--rounds 5] [--quick]

Eight shards, full pages, default settings. ``records`` is given what the boto3 port gives; ``answers`` also parses the
body of each GetRecords, as the port does. No network, no HTTP, no AWS limits: what is measured is what Tailrace spends
on a record. `narrow` has a new and an old image of 110 bytes each, `order` a new image of about 1 KB. Every record is
counted in the segments afterwards, and its shard's mark compared.
"""

from __future__ import annotations

import base64
import functools
import json
import os
import pickle
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from random import Random
from typing import Any

import datasets
import harness
from tailrace.capture.source import PAGE_RECORDS, RecordsPage
from tailrace.clock import Budget, SystemClock
from tailrace.codec.reference import inflate
from tailrace.gen.profiles import PROFILES
from tailrace.jobs.capture import Capturer, CaptureSettings
from tailrace.landing import Landing
from tailrace.landing.local import LocalStore
from tailrace.model.keys import KeyAttribute, KeySchema
from tailrace.model.manifest import Incarnation
from tailrace.model.positions import SequenceNumber
from tailrace.model.shards import ShardInfo

SHARDS = 8
PAGES = {"narrow": 25, "order": 6}  # of each shard
FIRST = 4_000_000_000_000_000_000_000_000

Page = tuple[bytes, SequenceNumber]
"""The body of a GetRecords answer, and its last number."""


class MemorySource:
    """Keeps `tailrace.capture.source.StreamSource`; every shard stays open and ends with empty pages."""

    def __init__(self, shards: Mapping[str, Sequence[Page]], *, parsed: bool) -> None:
        self._shards = shards
        self._parsed = {i: [_records(body) for body, _ in pages] for i, pages in shards.items()} if parsed else None

    def incarnation(self) -> Incarnation:
        arn = "arn:aws:dynamodb:eu-west-1:111122223333:table/bench/stream/2026-11-22T00:00:00.000"
        key = KeySchema(KeyAttribute("id", "S"))
        return Incarnation("111122223333", "eu-west-1", "bench", "table-id", arn, "NEW_AND_OLD_IMAGES", key)

    def shards(self) -> Sequence[ShardInfo]:
        return [ShardInfo(i, None, SequenceNumber(FIRST)) for i in self._shards]

    def iterator(self, shard_id: str, *, after: SequenceNumber | None = None, latest: bool = False) -> str:
        ahead = [n for n, (_, last) in enumerate(self._shards[shard_id]) if after is None or last > after]
        return f"{shard_id} {ahead[0] if ahead else len(self._shards[shard_id])}"

    def read(self, iterator: str, limit: int = PAGE_RECORDS) -> RecordsPage:
        shard_id, number = iterator.split()
        pages = self._shards[shard_id]
        if int(number) >= len(pages):
            return RecordsPage([], iterator)
        records = _records(pages[int(number)][0]) if self._parsed is None else self._parsed[shard_id][int(number)]
        return RecordsPage(records, f"{shard_id} {int(number) + 1}")


def _records(body: bytes) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads(body)["Records"]
    return records


def _page(profile_name: str, shard: int, number: int) -> Page:
    """A full page of new and changed items, spelled as the service does."""
    profile, random = PROFILES[profile_name], Random(f"{profile_name}:{shard}:{number}")
    records = []
    position = FIRST + shard
    for row in range(number * PAGE_RECORDS, (number + 1) * PAGE_RECORDS):
        key = profile.key(random, shard * 1_000_000 + row)
        position = FIRST + row * 1000 + shard
        change: dict[str, Any] = {
            "ApproximateCreationDateTime": 1_790_000_000.0 + row // 100,
            "Keys": key,
            "NewImage": key | profile.attributes(random, key),
            "SequenceNumber": str(position),
            "SizeBytes": 200,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        }
        if profile_name == "narrow":
            change["OldImage"] = key | profile.attributes(random, key)
        records.append(
            {
                "awsRegion": "eu-west-1",
                "dynamodb": change,
                "eventID": f"{random.getrandbits(128):032x}",
                "eventName": "MODIFY" if "OldImage" in change else "INSERT",
                "eventSource": "aws:dynamodb",
                "eventVersion": "1.1",
            }
        )
    return json.dumps({"Records": records}, default=_base64, separators=(",", ":")).encode(), SequenceNumber(position)


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


class Cases(Mapping[str, Mapping[str, Sequence[Page]]]):
    """Each profile's pages by shard, made once."""

    def __iter__(self) -> Iterator[str]:
        return iter(PAGES)

    def __len__(self) -> int:
        return len(PAGES)

    def __getitem__(self, name: str) -> dict[str, list[Page]]:
        count = 2 if harness.QUICK else PAGES[name]
        cached = datasets.FOLDER / f"stream-{name}-{count}.pickle"
        if not cached.exists():
            datasets.FOLDER.mkdir(parents=True, exist_ok=True)
            with ProcessPoolExecutor() as pool:
                made = [pool.map(_page, [name] * count, [shard] * count, range(count)) for shard in range(SHARDS)]
                pages = {f"shardId-{shard:020d}-bench": list(pages) for shard, pages in enumerate(made)}
            unfinished = cached.with_suffix(".unfinished")
            unfinished.write_bytes(pickle.dumps(pages))
            unfinished.rename(cached)
        shards: dict[str, list[Page]] = pickle.loads(cached.read_bytes())
        return shards


def tailrace(parsed: bool, shards: Mapping[str, Sequence[Page]]) -> harness.Job:
    clock = SystemClock()
    folder = datasets.FOLDER / f"landing-{os.getpid()}"
    landing = Landing(LocalStore(folder), "bench")
    capturer = Capturer(MemorySource(shards, parsed=parsed), landing, CaptureSettings(), clock, "bench")

    def job() -> Callable[[], harness.Figures]:
        report = capturer.tick(Budget(clock))
        capturer.close()
        return functools.partial(check, report.records)

    def check(reported: int) -> harness.Figures:
        published = landing.load()
        assert published is not None
        manifest = published.manifest
        lines = size = 0
        for segment in manifest.segments:
            for piece in inflate(landing.read_segment(segment)):
                lines, size = lines + piece.count(b"\n"), size + len(piece)
        wanted = sum(len(pages) for pages in shards.values()) * PAGE_RECORDS
        marks = {i: shard.mark for i, shard in manifest.shards.items()}
        if not wanted == lines == reported or marks != {i: pages[-1][1] for i, pages in shards.items()}:
            raise SystemExit(f"wrong: {lines} lines, {reported} reported, not {wanted}; or the marks differ: {marks}")
        shutil.rmtree(folder)
        landed = sum(segment.bytes for segment in manifest.segments)
        return {
            "records": lines,
            "segments": len(manifest.segments),
            "line bytes": size // lines,
            "landed bytes": landed // lines,
        }

    return job


TOOLS = {
    "records": harness.prepares(functools.partial(tailrace, True)),
    "answers": harness.prepares(functools.partial(tailrace, False)),
}

if __name__ == "__main__":
    harness.main("capture", TOOLS, Cases(), baseline="records", per="records")
