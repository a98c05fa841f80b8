"""The object store port, kept by local disk and S3. Nothing here knows what a segment is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol


@dataclass(frozen=True, slots=True)
class Stored:
    """An object's bytes, and the version (an ETag) that a compare-and-swap names."""

    data: bytes
    version: str


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of a listing. `name` is relative to the store's root; `etag` is S3's, without quotes, else empty."""

    name: str
    bytes: int
    modified_ms: int
    etag: str = ""


class Store(Protocol):
    """A folder of immutable objects, plus the few documents that are replaced by compare-and-swap.

    Names are relative, with ``/``, and never start with ``/`` or hold ``..``; ``.tailrace/`` is its own
    and never listed. Only TailraceErrors leave a store, also while a stream is read: Throttled and
    ServiceUnavailable when nothing happened, OutcomeUnknown when a write may or may not have happened,
    PermissionMissing, NotFound, UsageInvalid for a name.
    """

    @property
    def url(self) -> str:
        """Where this store is, for messages: ``file:///…`` or ``s3://bucket/prefix``."""

    def read(self, name: str) -> Stored:
        """The whole object. Raises NotFound."""

    def open(self, name: str) -> BinaryIO:
        """The object as a stream of bytes, for files too large to hold. Raises NotFound."""

    def read_range(self, name: str, offset: int, size: int) -> bytes:
        """`size` bytes from `offset` on; fewer, or none, where the object ends before. Raises NotFound."""

    def create(self, name: str, data: bytes) -> None:
        """Write a new object, durably. Where the same bytes stand nothing happens, so retries are no-ops.

        Raises AlreadyExists when it holds other bytes. An unknown outcome is settled inside, by reading back.
        """

    def replace(self, name: str, data: bytes, expected: str | None) -> str:
        """Compare-and-swap: write only where the version is `expected` (None: no object). The new version.

        Equal bytes may have equal versions, so what is replaced must hold a counter of its own.
        Raises StateContended when another version is there, OutcomeUnknown when the answer was lost.
        """

    def list(self, prefix: str) -> Iterator[Listed]:
        """Every object whose name starts with `prefix`, in name order."""

    def delete(self, name: str) -> None:
        """Remove an object; absent is fine."""

    def probe(self) -> None:
        """Prove that conditional writes are honoured; raises StoreUnsupported where they are not."""
