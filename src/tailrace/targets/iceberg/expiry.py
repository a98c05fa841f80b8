"""Snapshots that are old enough go, and with them the files that nothing else refers to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pyiceberg.io import FileIO
from pyiceberg.manifest import ManifestEntryStatus
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.snapshots import Snapshot
from pyiceberg.table.update import RemoveSnapshotsUpdate

from tailrace.decide.lake import to_expire
from tailrace.targets.duckdb.file import Perform
from tailrace.targets.iceberg.files import remove

AGE: Final = "history.expire.max-snapshot-age-ms"  # Iceberg's own properties, which any engine can set
LEAST: Final = "history.expire.min-snapshots-to-keep"
AGE_MS: Final = 24 * 3_600_000  # where the property is absent


@dataclass(frozen=True, slots=True)
class Line:
    """The snapshots of one branch, oldest first. The first `going` of them go."""

    snapshots: tuple[Snapshot, ...]
    going: int

    @property
    def ids(self) -> list[int]:
        return [snapshot.snapshot_id for snapshot in self.snapshots[: self.going]]


def line_of(metadata: TableMetadata, branch: str) -> list[Snapshot]:
    """A branch's snapshots as far as they are still known, oldest first."""
    found: list[Snapshot] = []
    snapshot = metadata.snapshot_by_name(branch)
    while snapshot is not None:
        found.append(snapshot)
        parent = snapshot.parent_snapshot_id
        snapshot = None if parent is None else metadata.snapshot_by_id(parent)
    return found[::-1]


def lines_to_expire(metadata: TableMetadata, branches: Sequence[str], now_ms: int) -> list[Line]:
    """What goes now. Nothing, where there are snapshots beside ours: who made branches, tags or rolled back looks after them."""
    lines = [line_of(metadata, branch) for branch in branches]
    if set(metadata.refs) - set(branches) or sum(map(len, lines)) != len(metadata.snapshots):
        return []
    age, least = (int(metadata.properties.get(name, default)) for name, default in ((AGE, AGE_MS), (LEAST, 1)))
    counts = [to_expire([s.timestamp_ms for s in line], now_ms, age, max(1, least)) for line in lines]
    return [Line(tuple(line), count) for line, count in zip(lines, counts, strict=True) if count]


def removal(lines: Sequence[Line]) -> tuple[RemoveSnapshotsUpdate, ...]:
    """The update that makes them go."""
    ids = [id_ for line in lines for id_ in line.ids]
    return (RemoveSnapshotsUpdate.model_validate({"snapshot-ids": ids}),) if ids else ()


def clear(lines: Sequence[Line], io: FileIO, perform: Perform) -> None:
    """Delete what only expired snapshots held: call it when it is certain that they are gone.

    A file that a snapshot of the line removed is in none behind it, and no manifest comes back once it was left out.
    """
    for line in lines:
        *expired, oldest = line.snapshots[: line.going + 1]
        manifests = {s.snapshot_id: {m.manifest_path: m for m in s.manifests(io)} for s in (*expired, oldest)}
        kept = manifests[oldest.snapshot_id]
        gone = {path for s in expired for path in manifests[s.snapshot_id] if path not in kept}
        data = [
            entry.data_file.file_path
            for s in (*expired, oldest)
            for manifest in manifests[s.snapshot_id].values()
            if manifest.added_snapshot_id == s.snapshot_id and manifest.deleted_files_count != 0
            for entry in manifest.fetch_manifest_entry(io, discard_deleted=False)
            if entry.status == ManifestEntryStatus.DELETED and entry.snapshot_id == s.snapshot_id
        ]
        remove(io, [*data, *sorted(gone), *(s.manifest_list for s in expired)], perform)
