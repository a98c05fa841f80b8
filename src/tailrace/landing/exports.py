"""The files of one DynamoDB export, as its two manifests list them, checked against their MD5s and one another.

Works on any store: the landing zone on S3, or a folder that somebody copied to disk. DynamoDB's manifests name files by
keys from the bucket's root; a copy has another root, so files are found by where they lie beside the manifest.
"""

from __future__ import annotations

import base64
import hashlib
import posixpath
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeAlias

from tailrace.errors import ExportInvalid, NotFound
from tailrace.landing.store import Store
from tailrace.model.documents import parse

SUMMARY: Final = "manifest-summary.json"
FILES: Final = "manifest-files.json"
STARTED: Final = "_started"  # what DynamoDB writes first
MANIFESTS: Final = (SUMMARY, FILES, "manifest-summary.md5", "manifest-files.md5")
ExportType: TypeAlias = Literal["FULL_EXPORT", "INCREMENTAL_EXPORT"]
REFETCH: Final = "Copy the export again, whole; or let DynamoDB export once more."


@dataclass(frozen=True, slots=True)
class ExportFile:
    """One data file. `name` is a name in the store; `md5` (base64) covers the compressed bytes, `etag` is S3's."""

    name: str
    items: int
    md5: str
    etag: str


@dataclass(frozen=True, slots=True)
class ExportListing:
    """What an export says of itself. Moments are whole seconds, rounded down; `window` is None for a full export."""

    folder: str
    export_arn: str
    table_arn: str
    table_id: str
    type: ExportType
    view: str  # NEW_IMAGE, NEW_AND_OLD_IMAGES; empty for a full export
    moment: int
    moment_ms: int  # as the manifest has it
    window: tuple[int, int] | None
    prefix: str
    items: int
    files: tuple[ExportFile, ...]


def folders_with(files: Collection[str], names: Iterable[str]) -> list[str]:
    """The folders in which one of these files lies, sorted."""
    return sorted({posixpath.dirname(name) for name in names if posixpath.basename(name) in files})


def read_listing(store: Store, folder: str) -> ExportListing:
    """Read and check both manifests of the export whose own folder this is.

    Raises ExportInvalid when a manifest is missing, damaged, or of a form that is not understood.
    """
    summary = _document(_checked(store, folder, SUMMARY), _join(folder, SUMMARY))
    if summary.get("outputFormat", "DYNAMODB_JSON") != "DYNAMODB_JSON":
        raise ExportInvalid(
            f"The export is in {summary['outputFormat']!r:.20} format",
            hint="Export with ExportFormat DYNAMODB_JSON.",
            export=folder,
        )
    try:
        listing = _listing(folder, summary, tuple(_files(store, folder, summary)))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ExportInvalid(
            f"{SUMMARY} lacks or misspells a field: {error!r:.200}", hint=REFETCH, export=folder
        ) from error
    counted = sum(file.items for file in listing.files)
    if counted != listing.items:
        raise ExportInvalid(
            f"{FILES} lists {counted} items, {SUMMARY} says {listing.items}", hint=REFETCH, export=folder
        )
    return listing


def _listing(folder: str, summary: Mapping[str, Any], files: tuple[ExportFile, ...]) -> ExportListing:
    incremental = summary.get("exportType", "FULL_EXPORT") == "INCREMENTAL_EXPORT"
    window = None
    if incremental:
        window = (_milliseconds(summary["exportFromTime"]) // 1000, _milliseconds(summary["exportToTime"]) // 1000)
    moment_ms = _milliseconds(summary["exportToTime" if incremental else "exportTime"])
    return ExportListing(
        folder=folder,
        export_arn=str(summary["exportArn"]),
        table_arn=str(summary["tableArn"]),
        table_id=str(summary["tableId"]),
        type="INCREMENTAL_EXPORT" if incremental else "FULL_EXPORT",
        view=str(summary.get("outputView") or "NEW_AND_OLD_IMAGES") if incremental else "",
        moment=moment_ms // 1000,
        moment_ms=moment_ms,
        window=window,
        prefix=str(summary.get("s3Prefix") or ""),
        items=_count(summary["itemCount"]),
        files=files,
    )


def _files(store: Store, folder: str, summary: Mapping[str, Any]) -> Iterator[ExportFile]:
    home = posixpath.dirname(str(summary["manifestFilesS3Key"]))
    seen: set[str] = set()
    for number, line in enumerate(_checked(store, folder, FILES).split(b"\n"), start=1):
        if not line.strip():
            continue
        entry = _document(line, f"{_join(folder, FILES)} line {number}")
        try:
            file = ExportFile(
                name=_beside(folder, home, str(entry["dataFileS3Key"])),
                items=_count(entry["itemCount"]),
                md5=str(entry["md5Checksum"]),
                etag=str(entry.get("etag") or ""),
            )
            if file.name in seen or len(base64.b64decode(file.md5, validate=True)) != 16:
                raise ValueError("a file is listed twice, or its MD5 is none")
        except (KeyError, TypeError, ValueError) as error:
            raise ExportInvalid(
                f"{FILES} has a wrong entry: {error!r:.200}", hint=REFETCH, export=folder, line=number
            ) from error
        seen.add(file.name)
        yield file


def _beside(folder: str, home: str, key: str) -> str:
    """A data file's name in the store. It lies in ``data/`` beside the manifest, or, incremental, one level up."""
    place = posixpath.relpath(key, home or ".")
    head, _, file = place.rpartition("/")
    if head not in ("data", "../data") or not file or file in (".", ".."):
        raise ValueError(f"{key!r:.200} lies neither in the export's own data folder nor in the shared one")
    return posixpath.normpath(_join(folder, place))


def _checked(store: Store, folder: str, file: str) -> bytes:
    """A manifest's bytes, which must have the MD5 that stands beside it."""
    name = _join(folder, file)
    try:
        data = store.read(name).data
        expected = store.read(name.removesuffix(".json") + ".md5").data.decode("ascii", "replace").strip()
    except NotFound as error:
        raise ExportInvalid(
            f"{file} or its .md5 is missing: the export is not finished, or was copied in part",
            hint=REFETCH,
            export=folder,
            store=store.url,
        ) from error
    if md5_of(data) != expected:
        raise ExportInvalid(
            f"{file} does not have the MD5 that stands beside it", hint=REFETCH, export=folder, store=store.url
        )
    return data


def md5_of(data: bytes) -> str:
    """Base64 of the MD5, as DynamoDB writes it. It guards against damage, not against an attacker."""
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode("ascii")


def _document(data: bytes, place: str) -> Mapping[str, Any]:
    try:
        value = parse(data)
    except (ValueError, RecursionError) as error:
        raise ExportInvalid(f"A manifest is not JSON: {error}", hint=REFETCH, place=place) from error
    if not isinstance(value, dict):
        raise ExportInvalid("A manifest is not a JSON object", hint=REFETCH, place=place)
    return value


def _milliseconds(text: str) -> int:
    """Of ``2026-03-01T10:00:00.000Z``. Only a full export of "now" is not at a whole second."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r:.40} has no time zone")
    return int(moment.astimezone(UTC).timestamp()) * 1000 + moment.microsecond // 1000


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r:.40} is no count")
    return value


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
