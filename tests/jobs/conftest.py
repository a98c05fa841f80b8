"""A small world: a table in memory whose changes land in a real local store and load into a real DuckDB file."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tailrace.capture.records import line_of
from tailrace.capture.table import Item
from tailrace.clock import Budget, ManualClock
from tailrace.jobs.load import Loader
from tailrace.jobs.verify import VerifyReport, verify
from tailrace.landing import Landing, SegmentDraft
from tailrace.landing.local import LocalStore
from tailrace.model.keys import KeyAttribute, KeySchema
from tailrace.model.manifest import Incarnation, Manifest
from tailrace.model.positions import SequenceNumber
from tailrace.model.segments import Segment, ShardRange
from tailrace.targets.duckdb import DuckDbTarget
from tailrace.targets.target import Mode
from tailrace.testing.tables import MemoryTable

FIRST = 10**20


class World:
    """One table of items, its landing zone and one target. `write` changes the table; what it gives can be landed."""

    def __init__(self, folder: Path, keys: KeySchema, mode: Mode) -> None:
        self.keys = keys
        self.mode = mode
        self.clock = ManualClock()
        self.table = MemoryTable(keys)
        self.landing = Landing(LocalStore(folder / "landing"), "orders")
        self.file = folder / "warehouse.duckdb"
        self.target = DuckDbTarget("local", self.file, self.clock)
        self._next = FIRST
        incarnation = Incarnation("111122223333", "eu-west-1", "orders", "id-1", "arn:s", "NEW_IMAGE", keys)
        self.landing.save(Manifest(incarnation), None, "w")

    def put(self, *items: Item) -> list[dict[str, Any]]:
        """Put items into the table; their stream records."""
        for item in items:
            self.table.put(item)
        return [self._record("MODIFY", item, {"NewImage": item}) for item in items]

    def delete(self, *keys: Item) -> list[dict[str, Any]]:
        for key in keys:
            self.table.delete(key)
        return [self._record("REMOVE", key, {}) for key in keys]

    def _record(self, event: str, item: Item, images: dict[str, Any]) -> dict[str, Any]:
        self._next += 1
        change = {
            "SequenceNumber": str(self._next),
            "ApproximateCreationDateTime": datetime.fromtimestamp(self.clock.now_ms() // 1000, UTC),
            "Keys": {name: item[name] for name in self.keys.names},
            **images,
        }
        return {"eventName": event, "dynamodb": change}

    def land(self, records: Sequence[dict[str, Any]]) -> None:
        """Publish records as one segment."""
        lines = [line_of(record) for record in records]
        first, last = lines[0].sequence_number, lines[-1].sequence_number
        ranges = {"shard-1": ShardRange(SequenceNumber(first), SequenceNumber(last), len(lines))}
        now = self.clock.now_ms()
        draft = SegmentDraft("stream", [line.data for line in lines], first, last, now, ranges, newest_change_ms=now)
        published = self.landing.load()
        assert published is not None
        manifest = published.manifest
        entry = self.landing.write_segment(draft).entry(manifest.next_number, now, now)
        self.landing.save(
            replace(
                manifest,
                segments=(*manifest.segments, entry),
                next_number=manifest.next_number + 1,
                captured_through_ms=now,
            ),
            published,
            "w",
        )

    def land_export(self, data: bytes, rows: int) -> None:
        """Publish a file of an export where it lies."""
        published = self.landing.load()
        assert published is not None
        manifest, now = published.manifest, self.clock.now_ms()
        name = f"exports/{manifest.next_number}/AWSDynamoDB/1/data/a.json.gz"
        self.landing.store.create(f"{self.landing.table}/{name}", data)
        md5 = base64.b64encode(hashlib.md5(data).digest()).decode()
        entry = Segment(manifest.next_number, name, "base", rows, len(data), "", now, md5=md5)
        entries = (*manifest.segments, entry)
        self.landing.save(replace(manifest, segments=entries, next_number=manifest.next_number + 1), published, "w")

    def load(self) -> None:
        """Apply everything that is landed."""
        Loader(self.landing, self.target, "orders", self.mode, self.clock).tick(Budget(self.clock))

    def replicate(self, *items: Item) -> None:
        self.land(self.put(*items))
        self.load()

    def sql(self, statement: str, *values: Any) -> None:
        """What somebody does to the target by hand."""
        with duckdb.connect(str(self.file)) as connection:
            changed = connection.execute(statement, values).fetchall()
            assert changed != [(0,)], "the statement changed nothing"

    def verify(self, **options: Any) -> VerifyReport:
        return verify(self.table, self.landing, self.target, "orders", self.mode, self.clock, **options)


@pytest.fixture
def world(tmp_path: Path) -> Callable[..., World]:
    """Make a world: ``world(mode="current", hash="S", range=None)``."""

    def make(mode: Mode = "current", hash: str = "S", range: str | None = None) -> World:
        attributes = [KeyAttribute("pk", hash)]  # type: ignore[arg-type]
        attributes += [] if range is None else [KeyAttribute("sk", range)]  # type: ignore[arg-type]
        folder = tmp_path / f"world-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        return World(folder, KeySchema(*attributes), mode)

    return make
