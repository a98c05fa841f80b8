"""The objects of one export, byte for byte as DynamoDB lays them out: data files, both manifests, their MD5s. No I/O.

The layout was observed on real exports: the checksum files end in ``.md5``, data files of incremental exports lie in one folder
that all of them share, every partition gives a file even where it is empty, and full exports say neither type nor view.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from tailrace.local.history import Item, NetChange

PARTITIONS: Final = 4  # files of a small on-demand table
BILLED_BYTES_MIN: Final = 10_000_000  # of an incremental export
_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz234567"


@dataclass(frozen=True, slots=True)
class ExportFacts:
    """What identifies an export. Moments are Unix milliseconds; `window_ms` is None for a full export of `moment_ms`."""

    export_arn: str
    table_arn: str
    table_id: str
    bucket: str
    prefix: str | None
    started_ms: int
    ended_ms: int
    moment_ms: int
    window_ms: tuple[int, int] | None = None
    view: str = "NEW_AND_OLD_IMAGES"

    @property
    def export_id(self) -> str:
        return self.export_arn.rpartition("/")[2]

    @property
    def root(self) -> str:
        return f"{self.prefix}/AWSDynamoDB" if self.prefix else "AWSDynamoDB"

    @property
    def folder(self) -> str:
        """The export's own folder, with its manifests."""
        return f"{self.root}/{self.export_id}"


@dataclass(frozen=True, slots=True)
class ExportObjects:
    """Keys and bytes from the bucket's root, in the order in which they are written, and the sums."""

    objects: tuple[tuple[str, bytes], ...]
    items: int
    billed_bytes: int
    manifest_key: str


def started_marker(facts: ExportFacts) -> tuple[str, bytes]:
    """The empty object that DynamoDB writes first, to see whether it may."""
    return f"{facts.folder}/_started", b""


def full_lines(items: Iterable[Item]) -> Iterator[tuple[str, bytes]]:
    """(what decides the partition, line) for each item."""
    for item in items:
        yield json.dumps(item, sort_keys=True), _line({"Item": item})


def incremental_lines(changes: Iterable[NetChange], view: str) -> Iterator[tuple[str, bytes]]:
    """(what decides the partition, line) for each net change; a delete in NEW_IMAGE view has its keys only."""
    for change in changes:
        record: dict[str, Any] = {
            "Metadata": {"WriteTimestampMicros": {"N": str(change.written_us)}},
            "Keys": change.keys,
        }
        if change.old is not None and view == "NEW_AND_OLD_IMAGES":
            record["OldImage"] = change.old
        if change.new is not None:
            record["NewImage"] = change.new
        yield json.dumps(change.keys, sort_keys=True), _line(record)


def export_objects(
    facts: ExportFacts, lines: Iterable[tuple[str, bytes]], partitions: int = PARTITIONS
) -> ExportObjects:
    """All objects but ``_started``, manifests last."""
    parts: list[list[bytes]] = [[] for _ in range(partitions)]
    size = 0
    for place, line in lines:
        parts[zlib.crc32(place.encode()) % partitions].append(line)
        size += len(line)
    data_folder = f"{facts.folder}/data" if facts.window_ms is None else f"{facts.root}/data"
    files = [_data_file(data_folder, facts, number, part) for number, part in enumerate(parts)]
    items = sum(len(part) for part in parts)
    billed = size if facts.window_ms is None else max(size, BILLED_BYTES_MIN)
    manifest_key = f"{facts.folder}/manifest-summary.json"
    listed = b"".join(_line(entry) + b"\n" for _, _, entry in files)
    summary = _line(_summary(facts, items, billed))
    return ExportObjects(
        objects=(
            *((key, data) for key, data, _ in files),
            *_with_md5(f"{facts.folder}/manifest-files", listed),
            *_with_md5(f"{facts.folder}/manifest-summary", summary),
        ),
        items=items,
        billed_bytes=billed,
        manifest_key=manifest_key,
    )


def _data_file(
    folder: str, facts: ExportFacts, number: int, lines: Sequence[bytes]
) -> tuple[str, bytes, dict[str, Any]]:
    data = gzip.compress(b"".join(line + b"\n" for line in lines), mtime=0)
    md5 = hashlib.md5(data, usedforsecurity=False).digest()
    key = f"{folder}/{_file_name(f'{facts.export_id}/{number}')}.json.gz"
    entry = {
        "itemCount": len(lines),
        "md5Checksum": base64.b64encode(md5).decode("ascii"),
        "etag": hashlib.md5(md5, usedforsecurity=False).hexdigest() + "-1",
        "dataFileS3Key": key,
    }
    return key, data, entry


def _file_name(seed: str) -> str:
    """26 characters of lower-case base32, the same for the same export and partition."""
    number = int.from_bytes(hashlib.blake2b(seed.encode(), digest_size=17).digest(), "big")
    return "".join(_ALPHABET[number >> (5 * place) & 31] for place in range(26))


def _with_md5(name: str, data: bytes) -> list[tuple[str, bytes]]:
    md5 = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest())
    return [(f"{name}.json", data), (f"{name}.md5", md5)]


def _summary(facts: ExportFacts, items: int, billed: int) -> Mapping[str, Any]:
    incremental = facts.window_ms is not None
    summary: dict[str, Any] = {
        "version": "2023-08-01" if incremental else "2020-06-30",
        "exportArn": facts.export_arn,
        "startTime": _text(facts.started_ms),
        "endTime": _text(facts.ended_ms),
        "tableArn": facts.table_arn,
        "tableId": facts.table_id,
    }
    if facts.window_ms is not None:
        summary |= {"exportFromTime": _text(facts.window_ms[0]), "exportToTime": _text(facts.window_ms[1])}
    else:
        summary["exportTime"] = _text(facts.moment_ms)
    summary |= {
        "s3Bucket": facts.bucket,
        "s3Prefix": facts.prefix,
        "s3SseAlgorithm": "AES256",
        "s3SseKmsKeyId": None,
        "manifestFilesS3Key": f"{facts.folder}/manifest-files.json",
        "billedSizeBytes": billed,
        "itemCount": items,
        "outputFormat": "DYNAMODB_JSON",
    }
    if incremental:
        summary |= {"outputView": facts.view, "exportType": "INCREMENTAL_EXPORT"}
    return summary


def _text(ms: int) -> str:
    moment = datetime.fromtimestamp(ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z"


def _line(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
