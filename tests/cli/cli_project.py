"""A project as a person has it: a folder with a configuration, a landing zone and a DuckDB file. No AWS is called."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from tailrace.cli import main
from tailrace.clock import Budget, SystemClock
from tailrace.landing import Landing, LocalStore, SegmentDraft
from tailrace.model.keys import KeyAttribute, KeySchema
from tailrace.model.manifest import Gap, Incarnation, Manifest, ShardState
from tailrace.model.positions import SequenceNumber
from tailrace.model.quarantine import QuarantinedRecord
from tailrace.model.segments import ShardRange
from tailrace.pipeline import Pipeline

FIRST = 10**20
CONFIG = """\
[landing]
url = "file:./landing"
[targets.local]
kind = "duckdb"
path = "warehouse.duckdb"
[tables.orders]
base = "none"
"""


def line(number: int, key: str, **attributes: Any) -> bytes:
    """One change as it stands in a segment."""
    document = {
        "Metadata": {
            "WriteTimestampMicros": {"N": str(1_790_000_000_000_000 + number)},
            "SequenceNumber": {"S": str(FIRST + number)},
            "EventName": {"S": "INSERT"},
        },
        "Keys": {"pk": {"S": key}},
        "NewImage": {"pk": {"S": key}, **attributes},
    }
    return json.dumps(document, ensure_ascii=False).encode()


@dataclass
class Project:
    """A folder, and what a command prints and returns in it."""

    folder: Path

    @property
    def landing(self) -> Landing:
        return Landing(LocalStore(self.folder / "landing"), "orders")

    @property
    def manifest(self) -> Manifest:
        published = self.landing.load()
        assert published is not None
        return published.manifest

    def run(self, *arguments: str, **options: Any) -> Result:
        """The real command, in this process."""
        return CliRunner().invoke(main, ["-c", str(self.folder / "tailrace.toml"), *arguments], **options)

    def json(self, *arguments: str, code: int = 0) -> Any:
        result = self.run("--json", *arguments)
        assert result.exit_code == code, result.output
        return json.loads(result.stdout)

    def begin(self, lag_seconds: float = 1.0, **changes: Any) -> None:
        """The first manifest, as capture writes it."""
        incarnation = Incarnation(
            "1", "eu-west-1", "orders", "id", "arn", "NEW_IMAGE", KeySchema(KeyAttribute("pk", "S"))
        )
        manifest = Manifest(
            incarnation,
            captured_through_ms=int((time.time() - lag_seconds) * 1000),
            shards={"shard-1": ShardState(None, SequenceNumber(FIRST))},
        )
        self.landing.save(replace(manifest, **changes), None, "w")

    def land(self, *lines: bytes, first: int = 1) -> str:
        """Publish a segment of these lines; its name."""
        landing = self.landing
        published = landing.load()
        assert published is not None
        manifest = published.manifest
        low, high = SequenceNumber(FIRST + first), SequenceNumber(FIRST + first + len(lines) - 1)
        shards = {"shard-1": ShardRange(low, high, len(lines))}
        written = landing.write_segment(
            SegmentDraft("stream", lines, low, high, 1_790_000_000_000, shards, newest_change_ms=1_790_000_000_000)
        )
        entry = written.entry(manifest.next_number, int(time.time() * 1000), manifest.captured_through_ms)
        grown = replace(manifest, segments=(*manifest.segments, entry), next_number=manifest.next_number + 1)
        landing.save(replace(grown, counters={"bytes": entry.bytes}), published, "w")
        return written.name

    def load(self) -> None:
        loader = Pipeline.from_config(self.folder / "tailrace.toml").loader("orders", "local")
        loader.tick(Budget(SystemClock()))

    def set_aside(self, *records: QuarantinedRecord) -> str:
        return self.landing.quarantine(records[0].segment or "capture", records)


GAP = Gap("stream_trimmed", "the position is gone", 1_790_000_000_000, "shard-1", SequenceNumber(FIRST))
