"""The object store that a lake target writes to: what it needs of one. Local disk and S3 are passed in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol

import pyarrow as pa

from tailrace.errors import ServiceUnavailable, TailraceError, UserFault
from tailrace.targets.target import TableSpec

_FOLDER: Final = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9_.-]{1,255}")


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


def is_folder(name: str) -> bool:
    """Whether a table of this name can be a folder, here and on S3, that every reader spells alike."""
    return _FOLDER.fullmatch(name) is not None


def check_folder(table: TableSpec) -> None:
    """Raises UserFault for a name that no folder can have."""
    if not is_folder(table.name):
        raise UserFault(
            f"{table.name!r:.80} cannot be the folder of a table",
            hint="Give the table a `name` of letters, digits, hyphens, underscores and dots.",
            table=table.source,
        )


_ABSENT: Final = re.compile(
    r"No such file|does not exist|NoSuchKey|NO_SUCH_KEY|HTTP 404|response code 404", re.IGNORECASE
)


@contextmanager
def reading(*more: type[Exception]) -> Iterator[None]:
    """What pyarrow (and `more`) says of files that cannot be read, in our words: UserFault for those that are gone."""
    try:
        yield
    except TailraceError:
        raise
    except (OSError, pa.ArrowException, *more) as error:
        text = " ".join(str(error).split())[:500]
        if _ABSENT.search(text):
            raise UserFault(
                f"A file of the table is gone: {text}",
                hint="Restore it from a backup; or remove the table's folder, and it is loaded again from the landing zone.",
            ) from error
        raise ServiceUnavailable(f"Files of the table cannot be read: {text}", hint="Nothing was changed.") from error
