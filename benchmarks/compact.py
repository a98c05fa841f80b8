"""Compaction of an hour on local disk, against `cat` of the same files and against unpacking and packing them anew.

    python benchmarks/compact.py [--only 10] [--rounds 5] [--quick]

Cases are changes in a segment, of a narrow table; an hour of a segment a second is 3,600 of them. ``cat`` reads, writes and
syncs, nothing else; ``repack`` gunzips and compresses with the landing zone's own compressor; ``tailrace`` does what
`tailrace compact` does: lengths, checksums and digests of all inputs, the output, the manifest. ``times smaller`` is plain
bytes by output bytes.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import harness
from tailrace.clock import Budget, SystemClock
from tailrace.gen.profiles import PROFILES
from tailrace.jobs.compact import Compactor, CompactSettings
from tailrace.landing import Landing, LocalStore, SegmentDraft
from tailrace.landing.segments import pack, unpacked
from tailrace.model.keys import KeyAttribute, KeySchema
from tailrace.model.manifest import Incarnation, Manifest
from tailrace.model.positions import SequenceNumber

SCRATCH = harness.RESULTS / "tmp" / "compact"
SEGMENTS = 300 if harness.QUICK else 3600
WRITTEN_MS = 1_790_000_000_000
CASES = {str(changes): changes for changes in (1, 10, 100)}


def line(number: int) -> bytes:
    profile = PROFILES["narrow"]
    item = profile.item_of(1, number % 5000, number)
    document = {
        "Metadata": {
            "WriteTimestampMicros": {"N": str(WRITTEN_MS * 1000 + number)},
            "SequenceNumber": {"S": str(42 * 10**20 + 37 * number)},
            "EventName": {"S": "MODIFY"},
        },
        "Keys": {name: item[name] for name in profile.keys},
        "NewImage": item,
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def zone(changes: int) -> Path:
    """A landing zone with an hour of segments, made once."""
    folder = SCRATCH / f"{SEGMENTS}-of-{changes}"
    if not folder.exists():
        making = folder.with_suffix(".making")
        shutil.rmtree(making, ignore_errors=True)
        landing = Landing(LocalStore(making), "orders")
        incarnation = Incarnation(
            "1", "eu-west-1", "orders", "id", "arn", "NEW_IMAGE", KeySchema(KeyAttribute("id", "S"))
        )
        entries = []
        for number in range(1, SEGMENTS + 1):
            first, last = (number - 1) * changes, number * changes
            lines = [line(n) for n in range(first, last)]
            draft = SegmentDraft("stream", lines, SequenceNumber(first), SequenceNumber(last - 1), WRITTEN_MS)
            entries.append(landing.write_segment(draft).entry(number, WRITTEN_MS, None))
        manifest = replace(Manifest(incarnation), segments=tuple(entries), next_number=SEGMENTS + 1)
        landing.save(manifest, None, "bench")
        making.rename(folder)
    return folder


def files(folder: Path) -> Iterator[bytes]:
    """The segments' bytes in publish order."""
    landing = Landing(LocalStore(folder), "orders")
    published = landing.load()
    assert published is not None
    for name in [segment.name for segment in landing.segments(published.manifest)]:
        yield (folder / "orders" / name).read_bytes()


def written(data: bytes, plain: int) -> dict[str, Any]:
    return {"mb": plain / 1e6, "times smaller": round(plain / len(data), 2)}


def plain_bytes(folder: Path) -> int:
    return sum(len(piece) for data in files(folder) for piece in unpacked([data]))


def save(data: bytes) -> None:
    with tempfile.TemporaryFile(dir=SCRATCH) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


@harness.prepares
def cat(changes: int) -> harness.Job:
    folder = zone(changes)
    names = [str(path) for path in sorted((folder / "orders" / "changes").rglob("*.gz"))]
    plain = plain_bytes(folder)

    def job() -> harness.Figures:
        data = b"".join(Path(name).read_bytes() for name in names)
        save(data)
        return written(data, plain)

    return job


@harness.prepares
def repack(changes: int) -> harness.Job:
    folder = zone(changes)
    names = [str(path) for path in sorted((folder / "orders" / "changes").rglob("*.gz"))]
    plain = plain_bytes(folder)

    def job() -> harness.Figures:
        lines = b"".join(piece for name in names for piece in unpacked([Path(name).read_bytes()]))
        data = pack([lines.removesuffix(b"\n")]).data
        save(data)
        return written(data, plain)

    return job


@harness.prepares
def tailrace(changes: int) -> harness.Job:
    plain = plain_bytes(zone(changes))
    folder = Path(tempfile.mkdtemp(dir=SCRATCH)) / "zone"
    shutil.copytree(zone(changes), folder)
    landing = Landing(LocalStore(folder), "orders")

    def job() -> Any:
        report = Compactor(landing, CompactSettings(), SystemClock(), "bench").tick(Budget(SystemClock()))

        def check() -> harness.Figures:
            assert (report.outputs, report.segments) == (1, SEGMENTS)
            assert plain_bytes_of(landing) == plain
            [output] = (folder / "orders" / "changes").rglob("compacted-*")
            figures = written(output.read_bytes(), plain)
            shutil.rmtree(folder.parent)
            return figures

        return check

    return job


def plain_bytes_of(landing: Landing) -> int:
    published = landing.load()
    assert published is not None
    read = (landing.read_segment(segment) for segment in landing.segments(published.manifest))
    return sum(len(piece) for chunks in read for piece in unpacked(chunks))


if __name__ == "__main__":
    SCRATCH.mkdir(parents=True, exist_ok=True)
    harness.main(
        "compact", {"cat": cat, "repack": repack, "tailrace": tailrace}, CASES, baseline="repack", per="mb", rounds=3
    )
