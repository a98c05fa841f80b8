"""The object store that a lake target writes to: what it needs of one. Local disk and S3 are passed in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol


class StoredFile(Protocol):
    """An object's bytes and the version that a compare-and-swap names."""

    @property
    def data(self) -> bytes: ...

    @property
    def version(self) -> str: ...


class Files(Protocol):
    """A folder of objects, each written once, and documents that are replaced by compare-and-swap.

    Raises NotFound where nothing stands, AlreadyExists and StateContended where something else does, OutcomeUnknown where a
    write may or may not have happened.
    """

    @property
    def url(self) -> str: ...

    def read(self, name: str) -> StoredFile: ...

    def create(self, name: str, data: bytes) -> None: ...

    def replace(self, name: str, data: bytes, expected: str | None) -> str: ...

    def list(self, prefix: str) -> Iterator[Any]: ...

    def delete(self, name: str) -> None: ...
