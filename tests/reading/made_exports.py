"""Exports as DynamoDB writes them, copied to disk or into a store, and what people and disks do to them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tailrace.landing.exports import md5_of
from tailrace.local.export_files import ExportFacts, export_objects, full_lines, incremental_lines
from tailrace.local.history import Item, NetChange

ARN = "arn:aws:dynamodb:eu-west-1:111122223333:table/orders"
PREFIX = "ddb/orders"
T0 = 1_772_358_300  # a whole quarter of an hour
QUARTER = 900
ITEMS: list[Item] = [{"id": {"S": f"k{i}"}, "n": {"N": str(i)}} for i in range(9)]


def micros(seconds: float) -> int:
    return int(seconds * 1_000_000)


def upsert(key: str, at: float, old: Item | None = None, **attributes: Any) -> NetChange:
    return NetChange({"id": {"S": key}}, old, {"id": {"S": key}, **attributes}, micros(at))


def delete(key: str, at: float) -> NetChange:
    return NetChange({"id": {"S": key}}, {"id": {"S": key}}, None, micros(at))


@dataclass
class Made:
    """One export: what it says of itself, and its objects by key from the bucket's root."""

    facts: ExportFacts
    objects: dict[str, bytes]

    @property
    def data(self) -> list[str]:
        """Keys of data files that hold records, the largest first."""
        found = [key for key in self.objects if key.endswith(".json.gz")]
        return sorted(found, key=lambda key: -len(gzip.decompress(self.objects[key])))

    def copy(self, folder: Path, root: str = f"{PREFIX}/") -> Path:
        """Write it below a folder, without the first part of its keys; the export's own folder."""
        for key, data in self.objects.items():
            path = folder / key.removeprefix(root)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return folder / self.facts.folder.removeprefix(root)

    def key(self, file: str) -> str:
        return f"{self.facts.folder}/{file}"

    def change_manifest(self, name: str, change: Callable[[bytes], bytes]) -> None:
        """Change a manifest and let its MD5 say so."""
        self.objects[self.key(f"{name}.json")] = data = change(self.objects[self.key(f"{name}.json")])
        self.objects[self.key(f"{name}.md5")] = md5_of(data).encode()


def full(
    items: Iterable[Item] = ITEMS, moment: float = T0, *, partitions: int = 4, table_id: str = "id-1", number: int = 0
) -> Made:
    return _made(moment, None, "", full_lines(items), partitions, table_id, number)


def window(
    changes: Iterable[NetChange],
    start: int = T0,
    end: int = T0 + QUARTER,
    *,
    view: str = "NEW_IMAGE",
    table_id: str = "id-1",
    number: int = 1,
) -> Made:
    return _made(end, (start, end), view, incremental_lines(changes, view), 4, table_id, number)


def _made(
    moment: float, bounds: tuple[int, int] | None, view: str, lines: Any, partitions: int, table_id: str, number: int
) -> Made:
    began = micros(moment) // 1000 + 300_000
    facts = ExportFacts(
        export_arn=f"{ARN}/export/{began:014d}-{number:08x}",
        table_arn=ARN,
        table_id=table_id,
        bucket="lake",
        prefix=PREFIX,
        started_ms=began,
        ended_ms=began + 300_000,
        moment_ms=micros(moment) // 1000,
        window_ms=None if bounds is None else (bounds[0] * 1000, bounds[1] * 1000),
        view=view,
    )
    return Made(facts, {**dict(export_objects(facts, lines, partitions).objects), f"{facts.folder}/_started": b""})


# ---- damage: each of these must be refused ----------------------------------------------------------------


def _data_file(change: Callable[[bytes], bytes]) -> Callable[[Made], None]:
    def damage(made: Made) -> None:
        made.objects[made.data[0]] = change(made.objects[made.data[0]])

    return damage


def _flipped(data: bytes) -> bytes:
    return data[:-20] + bytes([data[-20] ^ 1]) + data[-19:]


def _missing(file: str) -> Callable[[Made], None]:
    return lambda made: made.objects.pop(made.key(file)) and None


def _entries(change: Callable[[list[dict[str, Any]]], Any]) -> Callable[[Made], None]:
    def rewrite(data: bytes) -> bytes:
        entries = [json.loads(line) for line in data.splitlines()]
        change(entries)
        return b"".join(json.dumps(entry).encode() + b"\n" for entry in entries)

    return lambda made: made.change_manifest("manifest-files", rewrite)


def _wrong_counts(entries: list[dict[str, Any]]) -> None:
    """Together they are right."""
    filled = [entry for entry in entries if entry["itemCount"]]
    filled[0]["itemCount"] += 1
    filled[1]["itemCount"] -= 1


def _other_record(data: bytes) -> bytes:
    """Other content of the same length, in intact gzip."""
    return gzip.compress(gzip.decompress(data).replace(b'{"S":"k', b'{"S":"q'), mtime=0)


DAMAGE: Mapping[str, tuple[Callable[[Made], None], str]] = {
    "data file cut": (_data_file(lambda data: data[:-9]), "is damaged|another MD5"),
    "data file with one bit flipped": (_data_file(_flipped), "is damaged"),
    "data file with other records": (_data_file(_other_record), "another MD5"),
    "data file compressed anew": (_data_file(lambda data: gzip.compress(gzip.decompress(data), 1)), "another MD5"),
    "data file of zero bytes": (_data_file(lambda data: b""), "another MD5"),
    "data file with bytes behind it": (_data_file(lambda data: data + b"x"), "is damaged|another MD5"),
    "data file missing": (lambda made: made.objects.pop(made.data[0]) and None, "is missing"),
    "empty data file missing": (lambda made: made.objects.pop(made.data[-1]) and None, "is missing"),
    "summary missing": (_missing("manifest-summary.json"), "not finished, or was copied in part"),
    "summary's MD5 missing": (_missing("manifest-summary.md5"), "not finished, or was copied in part"),
    "file list missing": (_missing("manifest-files.json"), "not finished, or was copied in part"),
    "file list's MD5 missing": (_missing("manifest-files.md5"), "not finished, or was copied in part"),
    "summary changed": (
        lambda made: made.objects.update(
            {made.key("manifest-summary.json"): made.objects[made.key("manifest-summary.json")] + b" "}
        ),
        "does not have the MD5",
    ),
    "file list changed": (
        lambda made: made.objects.update(
            {made.key("manifest-files.json"): made.objects[made.key("manifest-files.json")].replace(b"=", b"A", 1)}
        ),
        "does not have the MD5",
    ),
    "a file listed twice": (_entries(lambda entries: entries.append(entries[0])), "listed twice"),
    "a file not listed": (_entries(lambda entries: entries.pop(0)), "items"),
    "counts swapped": (_entries(_wrong_counts), "records where the manifest lists"),
}  # fmt: skip
