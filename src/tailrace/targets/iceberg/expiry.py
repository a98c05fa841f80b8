"""Snapshots that are old enough go, and with them the files that nothing else refers to; so do files that nothing ever did."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pyarrow.fs import FileSelector, FileType
from pyiceberg.io import FileIO
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.manifest import ManifestEntryStatus
from pyiceberg.table import Table
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.snapshots import Snapshot
from pyiceberg.table.update import RemoveSnapshotsUpdate

from tailrace.decide.lake import to_expire
from tailrace.targets.duckdb.file import Perform
from tailrace.targets.iceberg.files import DATA_NAME, remove

AGE: Final = "history.expire.max-snapshot-age-ms"  # Iceberg's own properties, which any engine can set
LEAST: Final = "history.expire.min-snapshots-to-keep"
ORPHAN_MS: Final = (
    3 * 24 * 3_600_000
)  # younger files may be part of a load that is under way, or of a commit that nobody knows of
SWEEP_MS: Final = 24 * 3_600_000  # how often they are looked for
_OURS: Final = re.compile(rf"{DATA_NAME.pattern}|[0-9a-f]{{32}}-m[0-9]+\.avro|snap-[0-9]+-0-[0-9a-f]{{32}}\.avro")
_SNAP: Final = re.compile("snap-[0-9]+-0-")  # what may stand before the id of a load
_MARK: Final = 12  # letters of a load's id that are its table's
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


def new_load_id(table: Table) -> str:
    """32 hexadecimal digits, with which the names of a load's files begin; the first of them are the table's own."""
    return _mark(table) + uuid.uuid4().hex[_MARK:]


def _mark(table: Table) -> str:
    return table.metadata.table_uuid.hex[:_MARK]


def orphans(table: Table, before_ms: int) -> list[str]:
    """Files that a load into this very table wrote, that are older than a moment, and that no snapshot holds.

    Files of other tables may lie beside them: of one that was renamed and kept its place, or that another catalog holds. So
    only names with the table's mark count. Names were made without it once; such orphans stay for ever.
    """
    io = table.io
    assert isinstance(io, PyArrowFileIO)
    provider = table.location_provider()
    mark, found = _mark(table), dict[str, str]()
    for folder in (provider.data_path, provider.metadata_path):
        scheme, netloc, path = PyArrowFileIO.parse_location(folder)
        selector = FileSelector(path, allow_not_found=True, recursive=True)
        for info in io.fs_by_scheme(scheme, netloc).get_file_info(selector):
            is_old = info.mtime_ns is not None and info.mtime_ns // 1_000_000 < before_ms
            name = info.base_name
            is_ours = _OURS.fullmatch(name) and _SNAP.sub("", name).startswith(mark)
            if info.type == FileType.File and is_old and is_ours:
                found[name] = f"{folder}/{info.path.removeprefix(path).lstrip('/')}"
    held = _held(table) if found else set()
    return sorted(path for name, path in found.items() if name not in held)


def _held(table: Table) -> set[str]:
    """The names of all files of all snapshots, whichever branch or tag they are on.

    Not their paths: a folder has several spellings (s3 and s3a, say), and a name is given once.
    """
    held: set[str] = set()
    manifests: set[str] = set()
    for snapshot in table.metadata.snapshots:
        held.add(snapshot.manifest_list)
        for manifest in snapshot.manifests(table.io):
            if manifest.manifest_path not in manifests:
                manifests.add(manifest.manifest_path)
                entries = manifest.fetch_manifest_entry(table.io, discard_deleted=True)
                held.update(entry.data_file.file_path for entry in entries)
    return {path.rpartition("/")[2] for path in held | manifests}
