"""Files of records to read: plain ones, or those of DynamoDB exports, which are exactly the files that their manifests list.

Local files, folders that somebody copied, and S3. An export's files are compared with their MD5s while they are read.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

from tailrace.aws import Aws, AwsSettings
from tailrace.errors import ConfigInvalid, ExportInvalid, NotFound, UsageInvalid
from tailrace.landing import LocalStore, S3Store, Store, split_url
from tailrace.landing.exports import (
    MANIFESTS,
    REFETCH,
    STARTED,
    SUMMARY,
    ExportFile,
    ExportListing,
    folders_with,
    read_listing,
)
from tailrace.landing.names import MANIFEST

Source: TypeAlias = str | os.PathLike[str]
"""A path, or ``s3://bucket/prefix``."""

NAMES: Final = (".json", ".json.gz", ".ndjson", ".ndjson.gz", ".jsonl", ".jsonl.gz")  # of files of records in a folder
BESIDE_SEGMENTS: Final = ("loaders", "manifest", "quarantine")  # in a table's folder of a landing zone
CONNECTIONS: Final = 32  # to S3
CHUNK_BYTES: Final = 1 << 16  # read at once: small, because gzip makes up to a thousand times as much of it


@dataclass(frozen=True, slots=True)
class Input:
    """One file of records, which may be read more than once. `name` is its path or url, `size` counts bytes.

    `items`: how many records an export's manifest says that it holds; its `chunks` raise ExportInvalid at their end where
    they do not have the MD5 that is listed. None: no manifest speaks of it.
    """

    name: str
    size: int
    chunks: Callable[[], Iterator[bytes]]
    items: int | None = None


@dataclass(frozen=True, slots=True)
class Export:
    """One export of which all listed files are there. `name` is its own folder's path or url."""

    name: str
    listing: ExportListing
    inputs: tuple[Input, ...]


class Place:
    """A folder, or a prefix of a bucket, and what lies below it.

    `exports`: folders of exports, those with any of the manifests; `unfinished`: those that were only begun.
    """

    def __init__(self, store: Store, prefix: str) -> None:
        self.store = store
        self.prefix = prefix
        self.sizes = {listed.name: listed.bytes for listed in store.list(prefix)}
        self.exports = folders_with(MANIFESTS, self.sizes)
        self.unfinished = sorted(set(folders_with((STARTED,), self.sizes)) - set(self.exports))

    @property
    def name(self) -> str:
        """Its own path or url."""
        return self.url(self.prefix.rstrip("/"))

    def url(self, name: str) -> str:
        """An object's path or url, for people."""
        if isinstance(self.store, LocalStore):
            return str(self.store.root / name)
        return f"{self.store.url}/{name}"

    def export(self, folder: str) -> Export:
        """Read its manifests and find its files. Raises ExportInvalid where one of them is missing or damaged."""
        try:
            listing = read_listing(self.store, folder)
        except ExportInvalid as error:
            line = error.facts.get("line")
            error.facts = {"export": self.url(folder)} | ({} if line is None else {"line": line})
            raise
        return Export(self.url(folder), listing, tuple(self._listed(file) for file in listing.files))

    def all_exports(self) -> list[Export]:
        """All of them, by name. Raises ExportInvalid; also where one of them lies here twice."""
        found: dict[str, Export] = {}
        for export in map(self.export, self.exports):
            twin = found.setdefault(export.listing.export_arn, export)
            if twin is not export:
                raise ExportInvalid(
                    "One export lies here twice", hint="Name the folder of one.", export=export.name, other=twin.name
                )
        return list(found.values())

    def one_export(self) -> Export:
        """The only one. Raises NotFound, UsageInvalid where there are several, ExportInvalid."""
        self.check_finished()
        if not self.exports:
            raise NotFound("There is no export", hint="Check the name.", place=self.name)
        if len(self.exports) > 1:
            raise UsageInvalid(
                f"There are {len(self.exports)} exports, and one is read at a time",
                hint=f"Name the folder of one, for example {self.url(self.exports[0])}",
                place=self.name,
            )
        return self.export(self.exports[0])

    def check_finished(self) -> None:
        """Raises ExportInvalid where all that lies here is an export that was only begun."""
        if self.unfinished and not self.exports:
            raise ExportInvalid(
                "The export is not finished, or was copied in part: it has no manifests",
                hint="Wait until it is COMPLETED, or copy it again, whole. Files named one by one are read as they are.",
                export=self.url(self.unfinished[0]),
            )

    def _listed(self, file: ExportFile) -> Input:
        size = self.sizes.get(file.name)
        if size is None and not file.name.startswith(self.prefix):
            # Data of incremental exports lies in a folder beside the export's own, which was not looked into so far.
            beside = f"{os.path.dirname(file.name)}/"
            self.sizes |= {listed.name: listed.bytes for listed in self.store.list(beside)}
            size = self.sizes.get(file.name)
        url = self.url(file.name)
        if size is None:
            raise ExportInvalid("A file that the export lists is missing", hint=REFETCH, file=url)
        return Input(url, size, partial(_listed_chunks, self.store, file, url), file.items)


def open_place(source: Source, aws: Aws | None = None) -> Place:
    """Look below a folder or ``s3://bucket/prefix``; an export's ``manifest-summary.json`` stands for its folder.

    Without `aws` botocore's own chain decides. Raises NotFound, UsageInvalid, and what the store raises.
    """
    bucket, path = _split(source)
    path = path.removesuffix(SUMMARY).rstrip("/") if path.endswith(f"/{SUMMARY}") else path
    if bucket:
        client = (aws or Aws(AwsSettings())).client("s3", connections=CONNECTIONS)
        return Place(S3Store(client, bucket), f"{path}/" if path else "")
    folder = Path(path).expanduser().resolve()
    if not folder.is_dir():
        raise NotFound("No such folder", hint="Check its name.", path=source)
    return Place(LocalStore(folder.parent), f"{folder.name}/" if folder.name else "")


def find_inputs(
    sources: Iterable[Source],
    aws: Aws | None = None,
    *,
    on_left_out: Callable[[Source, int], None] = lambda source, count: None,
) -> list[Input]:
    """Files as they are named; of a folder that holds exports what their manifests list, of others the files of records.

    Each once; those of folders by name. Passed over in folders without an export: manifests, what begins with ``.`` or
    ``_``, what lies beside the segments of a landing zone, and names that are not in `NAMES`. `on_left_out`
    hears how many files of records are beside exports and no part of them. Raises NotFound, UsageInvalid, ExportInvalid.
    """
    found: dict[str, Input] = {}
    for source in sources:
        for one in _of(source, aws, on_left_out):
            found.setdefault(one.name if "://" in one.name else os.path.realpath(one.name), one)
    return list(found.values())


def _of(source: Source, aws: Aws | None, on_left_out: Callable[[Source, int], None]) -> list[Input]:
    bucket, path = _split(source)
    if not bucket and not os.path.isdir(path):
        return [_file(Path(path))]
    place = open_place(source, aws)
    inside = {name.removeprefix(place.prefix): name for name in place.sizes}
    below = [name for short, name in inside.items() if _holds_records(short, inside.keys())]
    if place.exports:
        inputs = [one for export in place.all_exports() for one in export.inputs]
        on_left_out(source, len({place.url(name) for name in below} - {one.name for one in inputs}))
        return inputs
    place.check_finished()
    if bucket:
        sizes = {n: place.sizes[n] for n in below} or {
            o.name: o.bytes for o in place.store.list(path) if o.name == path
        }
        inputs = [Input(place.url(name), size, partial(_chunks, place.store, name)) for name, size in sizes.items()]
    else:
        inputs = [_file(Path(path, name.removeprefix(place.prefix))) for name in below]
    if not inputs:
        raise NotFound("The folder holds no files of records", hint="Name the files themselves.", path=source)
    return inputs


def _holds_records(name: str, names: Container[str]) -> bool:
    """Whether a file is one of records, by its name among all. What a table's folder is called does not matter."""
    *folders, file = name.split("/")
    if not file.endswith(NAMES) or file.startswith((".", "_", "manifest")):
        return False
    above = ""
    for folder in folders:
        is_table = f"{above}{folder}/{MANIFEST}" in names
        is_in_table = f"{above}{MANIFEST}" in names
        if (folder.startswith((".", "_")) and not is_table) or (folder in BESIDE_SEGMENTS and is_in_table):
            return False
        above += f"{folder}/"
    return True


def _file(path: Path) -> Input:
    if path.is_file():
        return Input(str(path), path.stat().st_size, partial(_path_chunks, path))
    if path.exists():
        raise UsageInvalid("An input is a regular file, because it may be read twice", hint="Save it first.", path=path)
    raise NotFound("No such file", hint="Check its name.", path=path)


def _split(source: Source) -> tuple[str, str]:
    """Bucket and prefix, or no bucket and a path."""
    if isinstance(source, os.PathLike) or os.path.lexists(source):
        return "", os.fspath(source)
    try:
        _, bucket, path = split_url(source)
    except ConfigInvalid as error:
        raise UsageInvalid(
            "This is neither a path nor the url of a bucket", hint="For example s3://acme-lake/exports.", source=source
        ) from error
    return bucket, path


def _path_chunks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
    except OSError as error:
        raise NotFound(f"The file cannot be read: {error.strerror}", hint="Check its name.", path=path) from error


def _chunks(store: Store, name: str) -> Iterator[bytes]:
    with store.open(name) as stream:
        while chunk := stream.read(CHUNK_BYTES):
            yield chunk


def _listed_chunks(store: Store, file: ExportFile, url: str) -> Iterator[bytes]:
    digest = hashlib.md5(usedforsecurity=False)
    for chunk in _chunks(store, file.name):
        digest.update(chunk)
        yield chunk
    if base64.b64encode(digest.digest()).decode("ascii") != file.md5:
        raise ExportInvalid("A file of the export has another MD5 than its manifest lists", hint=REFETCH, file=url)
