"""One load as one commit: manifests, a snapshot for each branch that changes, the ledger; together or not at all."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pyiceberg.io import FileIO
from pyiceberg.manifest import (
    DataFile,
    ManifestContent,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestFile,
    write_manifest,
    write_manifest_list,
)
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.refs import SnapshotRefType
from pyiceberg.table.snapshots import Operation, Snapshot, Summary
from pyiceberg.table.update import (
    AddSnapshotUpdate,
    AssertRefSnapshotId,
    SetSnapshotRefUpdate,
    TableRequirement,
    TableUpdate,
)

from tailrace.targets.duckdb.file import Perform

MAIN: Final = "main"
ENTRIES_MAX: Final = 1000  # of a manifest that is written
ENTRIES_FEW: Final = 100  # a manifest with fewer is written anew together with others, as soon as there are
MANIFESTS_SMALL: Final = 8  # of them


class RowDeletesFound(Exception):
    """Another engine deleted rows by files of deletes, which a load would have to apply."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a branch holds: its live files, manifest by manifest. No snapshot: nothing."""

    branch: str
    snapshot: Snapshot | None
    manifests: tuple[tuple[ManifestFile, tuple[ManifestEntry, ...]], ...] = ()

    @property
    def files(self) -> list[DataFile]:
        return [entry.data_file for _, entries in self.manifests for entry in entries]

    @property
    def id(self) -> int | None:
        return None if self.snapshot is None else self.snapshot.snapshot_id


def head_of(metadata: TableMetadata, branch: str, io: FileIO, perform: Perform) -> Head:
    """Read a branch's manifests. Raises RowDeletesFound."""
    snapshot = metadata.snapshot_by_name(branch)
    if snapshot is None:
        return Head(branch, None)
    manifests = []
    for manifest in perform(f"read {snapshot.manifest_list}", lambda: snapshot.manifests(io)):
        read = functools.partial(manifest.fetch_manifest_entry, io, discard_deleted=True)
        entries = perform(f"read {manifest.manifest_path}", read)
        if manifest.content != ManifestContent.DATA and entries:
            raise RowDeletesFound(manifest.manifest_path)
        if entries:
            manifests.append((manifest, tuple(entries)))
    return Head(branch, snapshot, tuple(manifests))


@dataclass(slots=True)
class Writer:
    """Writes the metadata of a commit, and remembers what it wrote."""

    table: Table
    schema: Schema
    prefix: str
    perform: Perform
    made: list[str] = field(default_factory=list)
    sequence: int = 0

    def __post_init__(self) -> None:
        self.sequence = self.table.metadata.last_sequence_number  # type: ignore[union-attr]  # ours are of format 2

    def snapshot(
        self,
        head: Head,
        removed: Collection[str],
        added: Sequence[DataFile],
        notes: Mapping[str, str],
        schema_id: int,
        now_ms: int,
    ) -> tuple[tuple[TableUpdate, ...], tuple[TableRequirement, ...]]:
        """The updates that make `head` hold other files, and what must be true for them. `removed`: paths.

        A new branch needs no condition of its own: every commit of ours moves the main one, too. Where a clock was put back, the
        snapshot is made a moment after the one before it, because Java's Iceberg opens no table whose history goes back.
        """
        self.sequence += 1
        snapshot_id = self.table.metadata.new_snapshot_id()
        manifests = self._manifests(head, set(removed), added, snapshot_id)
        path = self._path(f"snap-{snapshot_id}-0-{self.prefix}.avro")
        self.perform(f"write {path}", lambda: self._write_list(path, manifests, head.id, snapshot_id))
        gone = [file for file in head.files if file.file_path in removed]
        made = {
            "snapshot-id": snapshot_id,
            "parent-snapshot-id": head.id,
            "sequence-number": self.sequence,
            "manifest-list": path,
            "timestamp-ms": max(now_ms, self.table.metadata.last_updated_ms + 1),
            "summary": _summary(head.files, gone, added, notes),
            "schema-id": schema_id,
        }
        ref = {"ref-name": head.branch, "type": SnapshotRefType.BRANCH, "snapshot-id": snapshot_id}
        updates: tuple[TableUpdate, ...] = (
            AddSnapshotUpdate(snapshot=Snapshot.model_validate(made)),
            SetSnapshotRefUpdate.model_validate(ref),
        )
        is_new = head.branch != MAIN and head.id is None
        held = AssertRefSnapshotId.model_validate({"ref": head.branch, "snapshot-id": head.id})
        return updates, () if is_new else (held,)

    def _manifests(
        self, head: Head, removed: set[str], added: Sequence[DataFile], snapshot_id: int
    ) -> list[ManifestFile]:
        """Manifests that lose no file stay, unless there are many small ones; all else is written anew."""
        small = sum(len(entries) < ENTRIES_FEW for _, entries in head.manifests) >= MANIFESTS_SMALL
        kept: list[ManifestFile] = []
        entries = [_entry(ManifestEntryStatus.ADDED, snapshot_id, file) for file in added]
        for manifest, held in head.manifests:
            if not (small and len(held) < ENTRIES_FEW) and not any(e.data_file.file_path in removed for e in held):
                kept.append(manifest)
                continue
            for entry in held:
                is_gone = entry.data_file.file_path in removed
                status = ManifestEntryStatus.DELETED if is_gone else ManifestEntryStatus.EXISTING
                id_ = snapshot_id if is_gone else entry.snapshot_id
                entries.append(_entry(status, id_, entry.data_file, entry.sequence_number, entry.file_sequence_number))
        entries.sort(key=lambda entry: entry.data_file.spec_id)
        for spec_id, group in itertools.groupby(entries, lambda entry: entry.data_file.spec_id):
            kept += [self._manifest(chunk, spec_id, snapshot_id) for chunk in _chunks(list(group))]
        return kept

    def _manifest(self, entries: Sequence[ManifestEntry], spec_id: int, snapshot_id: int) -> ManifestFile:
        path = self._path(f"{self.prefix}-m{len(self.made)}.avro")

        def write() -> ManifestFile:
            metadata = self.table.metadata
            with write_manifest(
                format_version=metadata.format_version,
                spec=metadata.specs()[spec_id],
                schema=self.schema,
                output_file=self.table.io.new_output(path),
                snapshot_id=snapshot_id,
                avro_compression="deflate",
            ) as writer:
                for entry in entries:
                    writer.add_entry(entry)
            return writer.to_manifest_file()

        return self.perform(f"write {path}", write)  # type: ignore[no-any-return]

    def _write_list(self, path: str, manifests: list[ManifestFile], parent: int | None, snapshot_id: int) -> None:
        with write_manifest_list(
            format_version=self.table.metadata.format_version,
            output_file=self.table.io.new_output(path),
            snapshot_id=snapshot_id,
            parent_snapshot_id=parent,
            sequence_number=self.sequence,
            avro_compression="deflate",
        ) as writer:
            writer.add_manifests(manifests)

    def _path(self, name: str) -> str:
        path = self.table.location_provider().new_metadata_location(name)
        self.made.append(path)
        return path


def _entry(
    status: ManifestEntryStatus,
    snapshot_id: int | None,
    file: DataFile,
    sequence: int | None = None,
    file_sequence: int | None = None,
) -> ManifestEntry:
    return ManifestEntry.from_args(
        status=status,
        snapshot_id=snapshot_id,
        sequence_number=sequence,
        file_sequence_number=file_sequence,
        data_file=file,
    )


def _chunks(entries: Sequence[ManifestEntry]) -> Iterable[Sequence[ManifestEntry]]:
    return (entries[at : at + ENTRIES_MAX] for at in range(0, len(entries), ENTRIES_MAX))


def _summary(
    held: Sequence[DataFile], gone: Sequence[DataFile], added: Sequence[DataFile], notes: Mapping[str, str]
) -> Summary:
    """Iceberg's own figures, then ours."""
    figures: dict[str, int] = {}
    for word, past, files in (("added", "added", added), ("deleted", "removed", gone)):
        figures[f"{word}-data-files"] = len(files)
        figures[f"{word}-records"] = sum(file.record_count for file in files)
        figures[f"{past}-files-size"] = sum(file.file_size_in_bytes for file in files)
    for name, per_file in (("records", _rows), ("files-size", _size), ("data-files", _one)):
        figures[f"total-{name}"] = sum(map(per_file, held)) + sum(map(per_file, added)) - sum(map(per_file, gone))
    nothing = {"total-delete-files": "0", "total-position-deletes": "0", "total-equality-deletes": "0"}
    operation = Operation.APPEND if not gone else Operation.OVERWRITE if added else Operation.DELETE
    told = {name: str(value) for name, value in figures.items() if value or name.startswith("total")}
    return Summary(operation=operation, **told, **nothing, **notes)


def _rows(file: DataFile) -> int:
    return file.record_count


def _size(file: DataFile) -> int:
    return file.file_size_in_bytes


def _one(file: Any) -> int:
    return 1
