"""Landing zones on disk that executors can read, and what a single process makes of them."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tailrace.aws import AwsSettings
from tailrace.clock import Budget, ManualClock
from tailrace.codec import DecodedSegments, decode_segments
from tailrace.decide.load import order_prefix_of
from tailrace.jobs.compact import Compactor, CompactSettings
from tailrace.jobs.load import Loader
from tailrace.landing import Landing, LocalStore
from tailrace.model.keys import KeySchema
from tailrace.model.manifest import Incarnation, Manifest
from tailrace.model.numbers import canonical_number
from tailrace.model.segments import Segment, SegmentKind
from tailrace.runtimes.spark.tasks import Job, Site
from tailrace.targets.duckdb import DuckDbTarget
from tailrace.targets.target import Limits
from tailrace.testing import strategies
from tailrace.testing.target_contract import Change

TABLE = "Orders"
NOW_MS = 1_790_000_000_000


def awkward_items(keys: KeySchema) -> list[dict[str, Any]]:
    """Items with every type, the numbers that lose digits elsewhere, hostile names, text beyond the first plane."""
    numbers, names = strategies.AWKWARD_NUMBERS, strategies.HOSTILE_NAMES
    values: list[dict[str, Any]] = [
        *({"N": number} for number in numbers),
        *({"NS": [number, "3", "-0.25"]} for number in numbers if canonical_number(number) not in ("3", "-0.25")),
        *({"S": text} for text in ("", "\0", "日本 🦀", "e\u0301", "a\nb\tc\"'\\", "x" * 40_000)),
        *({"B": text} for text in ("", "AA==", "/////w==")),
        *({"BOOL": True}, {"BOOL": False}, {"NULL": True}, {"SS": ["b", "a", "🦀"]}, {"BS": ["AQ==", "AA==", ""]}),
        *(
            {"M": {}},
            {"L": []},
            {"M": {"": {"N": "1E-130"}, "日本": {"L": [{"B": "AA=="}, {"NULL": True}, {"NS": ["2", "1"]}]}}},
        ),
    ]
    key: dict[str, Callable[[int], dict[str, str]]] = {
        "S": lambda n: {"S": f"k{n} 日本"},
        "N": lambda n: {"N": f"{n}.{n:030d}" if n % 2 else str(n)},
        "B": lambda n: {"B": base64.b64encode(n.to_bytes(3, "big")).decode()},
    }
    items = []
    for n, value in enumerate(values):
        whole = {a.name: key[a.tag](n) for a in keys.attributes}
        items.append({"v": value, names[n % len(names)]: value, f"only {n % 7}": value} | whole)
    return items


class World:
    """A landing zone in a folder, with what was published there."""

    def __init__(self, folder: Path, keys: KeySchema) -> None:
        self.folder = folder
        self.keys = keys
        self.landing = Landing(LocalStore(folder / "landing"), TABLE)
        self.site = Site("file:landing", str(folder), TABLE, AwsSettings())
        incarnation = Incarnation("111122223333", "eu-west-1", TABLE, "table-id-1", "arn:s", "NEW_IMAGE", keys)
        self.landing.save(Manifest(incarnation), None, "w")

    @property
    def manifest(self) -> Manifest:
        published = self.landing.load()
        assert published is not None
        return published.manifest

    @property
    def segments(self) -> list[Segment]:
        return list(self.landing.segments(self.manifest))

    def publish(
        self, records: Iterable[Change | bytes], *, kind: SegmentKind = "base", rows: int | None = None
    ) -> Segment:
        """A segment of these records or raw lines; `rows` where the manifest is to say something else."""
        lines = [r if isinstance(r, bytes) else r.line(self.keys).rstrip() for r in records]
        published = self.landing.load()
        assert published is not None
        manifest = published.manifest
        number, now = manifest.next_number, NOW_MS
        entry = self.landing.write_base(1, number, 0, lines).entry(number, now, now)
        entry = replace(entry, kind=kind, rows=entry.rows if rows is None else rows)
        self.landing.save(
            replace(manifest, segments=(*manifest.segments, entry), next_number=number + 1), published, "w"
        )
        return entry

    def decoded(self, segments: Sequence[Segment]) -> DecodedSegments:
        """What one process makes of them."""
        parts = [list(self.landing.read_segment(segment)) for segment in segments]
        return decode_segments(parts, order_prefix_of(segments[0]), keys=self.keys)

    def job(self, limits: Limits = Limits()) -> Job:  # noqa: B008  (frozen)
        return Job(self.site, self.keys, limits, ())

    def load_in_one_process(self, limits: Limits) -> None:
        """Into a DuckDB file that has these limits."""
        clock = ManualClock()
        target = DuckDbTarget("local", self.folder / "warehouse.duckdb", clock)
        target.limits = limits
        report = Loader(self.landing, target, "orders", "current", clock).tick(Budget(clock))
        assert report.unloaded == 0

    def compact(self) -> None:
        """All segments into one object, an hour after they were published."""
        clock = ManualClock(NOW_MS + 7_200_000)
        report = Compactor(self.landing, CompactSettings(), clock, "w").tick(Budget(clock))
        assert report.outputs == 1
