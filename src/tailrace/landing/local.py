"""A store in a folder of the local file system: create by link, replace by lock and rename, both durable."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import io
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import quote

from tailrace.errors import (
    AlreadyExists,
    ConfigInvalid,
    NotFound,
    PermissionMissing,
    ServiceUnavailable,
    StateContended,
    StoreUnsupported,
    TailraceError,
)
from tailrace.landing.names import OWN_FOLDER, check_name, is_own
from tailrace.landing.store import Listed, Stored

LEFTOVER_SECONDS: Final = 3600  # a temporary file this old belongs to a writer that was killed
LOCK_SECONDS: Final = 30  # a lock is held for two file operations; longer means that its holder is stopped
LOCK_PAUSE_SECONDS: Final = 0.005


class LocalStore:
    """Keeps `tailrace.landing.store.Store` on any file system that honours link() and flock().

    A version is the SHA-256 of the content. Temporary files and locks live in `.tailrace`, so that
    table folders hold nothing but whole objects, and leftovers of killed writers are in one place.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.abspath(root))
        self._own = self.root / OWN_FOLDER

    @property
    def url(self) -> str:
        return self.root.as_uri()

    def read(self, name: str) -> Stored:
        with self._errors(name):
            data = self._path(name).read_bytes()
        return Stored(data, _version(data))

    def open(self, name: str) -> BinaryIO:
        with self._errors(name):
            return io.BufferedReader(_File(self, name))

    def read_range(self, name: str, offset: int, size: int) -> bytes:
        with self._errors(name), self._path(name).open("rb") as file:
            file.seek(offset)
            return file.read(size)

    def create(self, name: str, data: bytes) -> None:
        path = self._path(name)
        with self._errors(name), self._temporary(data) as temporary:
            _make_folder(path.parent)
            try:
                os.link(temporary, path)
            except FileExistsError:
                if path.read_bytes() != data:
                    raise AlreadyExists(
                        "Another object stands under this name", hint="Nothing was overwritten.", name=name
                    ) from None
            _sync_folder(path.parent)  # also where it exists: its writer may have died before this line

    def replace(self, name: str, data: bytes, expected: str | None) -> str:
        path = self._path(name)
        with self._errors(name), self._temporary(data) as temporary:
            _make_folder(path.parent)
            with self._locked(name):
                found = _version(path.read_bytes()) if path.exists() else None
                if found != expected:
                    raise StateContended("Another worker published first", hint="Read it again and go on.", name=name)
                os.rename(temporary, path)
                _sync_folder(path.parent)
        return _version(data)

    def list(self, prefix: str) -> Iterator[Listed]:
        """Walks the deepest folder that the prefix names, and sorts the whole of it before the first line."""
        for path in sorted(self._walk(prefix)):
            with contextlib.suppress(FileNotFoundError), self._errors(prefix):  # deleted since the walk
                stat = (self.root / path).stat()
                yield Listed(path, stat.st_size, stat.st_mtime_ns // 1_000_000)

    def delete(self, name: str) -> None:
        with self._errors(name):
            self._path(name).unlink(missing_ok=True)

    def probe(self) -> None:
        """Prove that we can write and that links and locks are honoured; tidy up after killed writers."""
        name = f"{OWN_FOLDER}/probe-{secrets.token_hex(8)}"
        with self._errors(name):
            try:
                self.create(name, b"probe\n")
                with self._locked("probe"), self._lock_file("probe").open("ab") as second:
                    if _try_lock(second):
                        raise OSError(errno.ENOLCK, "locks are ignored")
            finally:
                self.delete(name)
            self._sweep()

    def _path(self, name: str) -> Path:
        return self.root / check_name(name)

    def _walk(self, prefix: str) -> Iterator[str]:
        folder = self.root / prefix.rpartition("/")[0]
        for base, _, files in os.walk(folder):
            inside = os.path.relpath(base, self.root)
            for file in files:
                name = file if inside == "." else f"{inside}/{file}"
                if name.startswith(prefix) and not is_own(name):
                    yield name

    @contextlib.contextmanager
    def _temporary(self, data: bytes) -> Iterator[Path]:
        """The data, durable under a name that nobody reads; gone afterwards, or left by a killed process."""
        _make_folder(self._own)
        temporary = self._own / f"tmp-{secrets.token_hex(8)}"
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        """One replacer of a name at a time, among threads and processes; the lock dies with its holder."""
        deadline = time.monotonic() + LOCK_SECONDS
        with self._lock_file(name).open("ab") as lock:
            while not _try_lock(lock):
                if time.monotonic() > deadline:
                    raise ServiceUnavailable(
                        f"Another process has held the lock for {LOCK_SECONDS} s",
                        hint="It is stopped or its disk hangs: let it go on, or end it.",
                        name=name,
                        lock=lock.name,
                    )
                time.sleep(LOCK_PAUSE_SECONDS)
            yield

    def _lock_file(self, name: str) -> Path:
        return self._own / f"lock-{quote(name, safe='')}"

    def _sweep(self) -> None:
        """Remove the temporary files of killed writers. Locks stay: removing one could let two in."""
        oldest = time.time() - LEFTOVER_SECONDS
        for leftover in [*self._own.glob("tmp-*"), *self._own.glob("probe-*")]:
            with contextlib.suppress(FileNotFoundError):
                if leftover.stat().st_mtime < oldest:
                    leftover.unlink()

    @contextlib.contextmanager
    def _errors(self, name: str) -> Iterator[None]:
        """File system errors in our words, with place and remedy."""
        try:
            yield
        except OSError as error:
            raise _translated(error, name=name, store=self.url) from error


class _File(io.FileIO):
    """A file whose read errors are ours."""

    def __init__(self, store: LocalStore, name: str) -> None:
        super().__init__(store._path(name))
        self._store = store
        self._object = name

    def readinto(self, buffer: Any) -> int | None:
        with self._store._errors(self._object):
            return super().readinto(buffer)


def _version(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _try_lock(lock: BinaryIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _make_folder(folder: Path) -> None:
    """Create what is missing, each entry durable in its parent."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


_REFUSED: Final = {errno.EACCES, errno.EPERM, errno.EROFS}
_UNSUPPORTED: Final = {errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOLCK}
_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_UNSUITABLE: Final = {errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EXDEV, errno.ENAMETOOLONG, errno.ELOOP}


def _translated(error: OSError, **facts: str) -> TailraceError:
    what = error.strerror or str(error)
    if isinstance(error, FileNotFoundError):
        return NotFound("No such object", hint="Check the url of the folder.", **facts)
    if error.errno in _REFUSED:
        return PermissionMissing(
            f"The folder cannot be used: {what}",
            hint="Give this user write access to the folder, or choose another url.",
            **facts,
        )
    if error.errno in _UNSUPPORTED:
        return StoreUnsupported(
            f"The folder's file system has no links or locks: {what}",
            hint="Choose a folder on a local disk, or S3.",
            **facts,
        )
    if error.errno in _FULL:
        return ServiceUnavailable(
            f"There is no room in the folder: {what}",
            hint="Free some space. Nothing was lost; Tailrace goes on by itself.",
            **facts,
        )
    if error.errno in _UNSUITABLE:
        return ConfigInvalid(
            f"The url does not name a usable folder: {what}",
            hint="It must be one folder on one file system, with no file in its way.",
            **facts,
        )
    return ServiceUnavailable(f"The file system failed: {what}", hint="Look at the disk.", **facts)
