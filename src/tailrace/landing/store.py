"""The object store port: seven methods that local disk and S3 both keep. Nothing here knows what a segment is."""

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
    """One line of a listing. `name` is relative to the store's root."""

    name: str
    bytes: int
    modified_ms: int


class Store(Protocol):
    """A folder of immutable objects, plus the few documents that are replaced by compare-and-swap.

    Names are relative, with ``/``, and never start with ``/`` or hold ``..``. Only TailraceErrors leave a store:
    Throttled and ServiceUnavailable when nothing happened, OutcomeUnknown when a write may or may not have happened,
    PermissionMissing, NotFound.
    """

    @property
    def url(self) -> str:
        """Where this store is, for messages: ``file:///…`` or ``s3://bucket/prefix``."""

    def read(self, name: str) -> Stored:
        """The whole object. Raises NotFound."""

    def open(self, name: str) -> BinaryIO:
        """The object as a stream of bytes, for files too large to hold. Raises NotFound."""

    def create(self, name: str, data: bytes) -> None:
        """Write a new object, durably. Where it exists with the same bytes nothing happens, so a retry is a no-op.

        Raises AlreadyExists when it holds other bytes. OutcomeUnknown is settled inside by reading the object back.
        """

    def replace(self, name: str, data: bytes, expected: str | None) -> str:
        """Compare-and-swap: write only if the object's version is `expected` (None: it does not exist). The new version.

        Raises StateContended when another version is there, OutcomeUnknown when the answer was lost.
        """

    def list(self, prefix: str) -> Iterator[Listed]:
        """Every object whose name starts with `prefix`, in name order."""

    def delete(self, name: str) -> None:
        """Remove an object; absent is fine."""

    def probe(self) -> None:
        """Prove that conditional writes are honoured; raises StoreUnsupported where they are not."""
