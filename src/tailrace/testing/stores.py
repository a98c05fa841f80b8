"""A store in memory: real code that keeps the store contract, for tests and examples."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Iterator
from typing import BinaryIO

from tailrace.errors import AlreadyExists, NotFound, StateContended
from tailrace.landing.names import check_name, is_own
from tailrace.landing.store import Listed, Stored


class MemoryStore:
    """Keeps `tailrace.landing.store.Store` in a dictionary; safe between threads, not between processes."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return "memory:"

    def read(self, name: str) -> Stored:
        try:
            data = self.objects[check_name(name)]
        except KeyError:
            raise NotFound("No such object", hint="A memory store forgets.", name=name) from None
        return Stored(data, _version(data))

    def open(self, name: str) -> BinaryIO:
        return io.BytesIO(self.read(name).data)

    def read_range(self, name: str, offset: int, size: int) -> bytes:
        return self.read(name).data[offset : offset + size]

    def create(self, name: str, data: bytes) -> None:
        with self._lock:
            if self.objects.setdefault(check_name(name), data) != data:
                raise AlreadyExists("Another object stands under this name", hint="Nothing was overwritten.", name=name)

    def replace(self, name: str, data: bytes, expected: str | None) -> str:
        with self._lock:
            found = self.objects.get(check_name(name))
            if (None if found is None else _version(found)) != expected:
                raise StateContended("Another worker published first", hint="Read it again and go on.", name=name)
            self.objects[name] = data
        return _version(data)

    def list(self, prefix: str) -> Iterator[Listed]:
        with self._lock:
            found = sorted((name, len(data)) for name, data in self.objects.items())
        for name, size in found:
            if name.startswith(prefix) and not is_own(name):
                yield Listed(name, size, 0)

    def delete(self, name: str) -> None:
        with self._lock:
            self.objects.pop(check_name(name), None)

    def probe(self) -> None:
        """Honours conditional writes by construction."""


def _version(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
