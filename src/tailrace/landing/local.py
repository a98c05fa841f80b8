"""A store in a folder of the local file system: create by link, replace by lock and atomic rename, both durable."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from tailrace.errors import (
    AlreadyExists,
    NotFound,
    PermissionMissing,
    ServiceUnavailable,
    StateContended,
    TailraceError,
)
from tailrace.landing.names import check_name
from tailrace.landing.store import Listed, Stored

TEMPORARY: Final = ".tmp-"  # leftovers of killed writers start with this and are never listed


class LocalStore:
    """Keeps `tailrace.landing.store.Store`. Linux and macOS; a network file system must honour link() and flock()."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    @property
    def url(self) -> str:
        return self.root.as_uri()

    def read(self, name: str) -> Stored:
        path = self._path(name)
        with _errors(name, self.url):
            data = path.read_bytes()
        return Stored(data, _version(data))

    def open(self, name: str) -> BinaryIO:
        with _errors(name, self.url):
            return self._path(name).open("rb")

    def create(self, name: str, data: bytes) -> None:
        path = self._path(name)
        with _errors(name, self.url), self._temporary(path, data) as temporary:
            try:
                os.link(temporary, path)
            except FileExistsError:
                if path.read_bytes() != data:
                    raise AlreadyExists(
                        "Another object stands under this name", hint="Nothing was overwritten.", name=name
                    ) from None
            _sync_folder(path.parent)

    def replace(self, name: str, data: bytes, expected: str | None) -> str:
        path = self._path(name)
        with _errors(name, self.url), self._temporary(path, data) as temporary, _locked(path):
            found = _version(path.read_bytes()) if path.exists() else None
            if found != expected:
                raise StateContended(
                    "Another worker published first", hint="Read it again and go on.", name=name
                )
            os.rename(temporary, path)
            _sync_folder(path.parent)
        return _version(data)

    def list(self, prefix: str) -> Iterator[Listed]:
        """Walks the deepest folder that the prefix names."""
        folder = self.root / prefix.rpartition("/")[0]
        found = []
        for base, _, files in os.walk(folder):
            for file in files:
                path = Path(base, file)
                name = path.relative_to(self.root).as_posix()
                if name.startswith(prefix) and not file.startswith((TEMPORARY, ".lock-")):
                    found.append((name, path))
        for name, path in sorted(found):
            with contextlib.suppress(FileNotFoundError):  # deleted since it was listed
                stat = path.stat()
                yield Listed(name, stat.st_size, stat.st_mtime_ns // 1_000_000)

    def delete(self, name: str) -> None:
        with _errors(name, self.url):
            self._path(name).unlink(missing_ok=True)

    def probe(self) -> None:
        """The contract holds by construction; this proves that the folder can be written."""
        name = f".tailrace/probe-{secrets.token_hex(8)}"
        self.create(name, b"probe\n")
        self.delete(name)

    def _path(self, name: str) -> Path:
        return self.root / check_name(name)

    @contextlib.contextmanager
    def _temporary(self, path: Path, data: bytes) -> Iterator[Path]:
        """The data, durable under a name nobody reads, in the folder of `path`; gone afterwards."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{TEMPORARY}{secrets.token_hex(8)}")
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)


def _version(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One replacer at a time, across processes; the lock dies with its holder."""
    with path.with_name(f".lock-{path.name}").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _errors(name: str, url: str) -> Iterator[None]:
    """File system errors to ours, with place and remedy."""
    try:
        yield
    except OSError as error:
        raise _translated(error, name, url) from error


def _translated(error: OSError, name: str, url: str) -> TailraceError:
    if isinstance(error, FileNotFoundError):
        return NotFound("No such object", hint="Check the landing URL.", name=name, store=url)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR):
        return PermissionMissing(
            f"The landing folder cannot be used: {error.strerror}",
            hint="Give this user write access to the folder, or choose another landing url.",
            name=name,
            store=url,
        )
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ServiceUnavailable(
            "The disk is full",
            hint="Free some space; nothing was lost and Tailrace goes on by itself.",
            name=name,
            store=url,
        )
    return ServiceUnavailable(
        f"The file system failed: {error}", hint="Look at the disk.", name=name, store=url
    )
