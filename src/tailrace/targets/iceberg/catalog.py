"""The catalog: where tables are found, made and committed to; its errors in our words."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import (
    AuthorizationExpiredError,
    BadRequestError,
    CommitFailedException,
    ForbiddenError,
    NamespaceAlreadyExistsError,
    NoSuchNamespaceError,
    NoSuchTableError,
    NoSuchViewError,
    OAuthError,
    TableAlreadyExistsError,
    UnauthorizedError,
    ValidationError,
)
from pyiceberg.partitioning import PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot
from pyiceberg.table.update import TableRequirement, TableUpdate

from tailrace.errors import PermissionMissing, ServiceUnavailable, TailraceError, UserFault
from tailrace.targets.duckdb.file import Perform
from tailrace.targets.iceberg.clients import open_catalog
from tailrace.targets.iceberg.files import remove

CLEARED: Final = "write.metadata.delete-after-commit.enabled"
_INVALID: Final = re.compile(r"\((InvalidInput|Validation|ResourceNumberLimitExceeded)Exception\)")  # Glue's words
_REFUSED: Final = re.compile(rf"{_INVALID.pattern}|\(AccessDeniedException\)")
_AGAIN: Final = (
    "Nothing was applied; it is tried again. If that lasts, see whether the catalog runs, and whether it and the files can be"
    " reached from here."
)
_DENIED: Final = PermissionError | UnauthorizedError | ForbiddenError | AuthorizationExpiredError | OAuthError


class Conflict(Exception):
    """The table is not as it was read: another writer committed first."""


class Tables:
    """The tables of one namespace of one catalog.

    `properties` are pyiceberg's; asked for each piece of work, because credentials in them may expire. Raises UserFault,
    PermissionMissing, ServiceUnavailable.
    """

    def __init__(
        self, properties: Callable[[], Mapping[str, str]], namespace: tuple[str, ...], perform: Perform
    ) -> None:
        self._properties = properties
        self.namespace = namespace
        self._perform = perform
        self._lock = threading.Lock()
        self._open: tuple[dict[str, str], Catalog] | None = None
        self._has_namespace = False

    def load(self, name: str) -> Table | None:
        """A table as it is now; None where there is none."""
        with translated("read the catalog"):
            try:
                return self._perform("load table", lambda: self._catalog().load_table((*self.namespace, name)))  # type: ignore[no-any-return]
            except (NoSuchTableError, NoSuchNamespaceError):
                return None

    def holds_view(self, name: str) -> bool:
        """Whether a view has this name, in catalogs that have views."""
        with translated("read the catalog"):
            try:
                return self._catalog().view_exists((*self.namespace, name))
            except (NotImplementedError, NoSuchViewError, NoSuchNamespaceError):
                return False

    def names(self) -> list[str]:
        """All tables of the namespace."""
        with translated("read the catalog"):
            try:
                return [identifier[-1] for identifier in self._catalog().list_tables(self.namespace)]
            except NoSuchNamespaceError:
                return []

    def create(self, name: str, schema: Schema, spec: PartitionSpec, properties: Mapping[str, str]) -> None:
        """A new table; where another writer made it meanwhile, that is it."""
        with translated("make a table"):
            catalog = self._catalog()
            if not self._has_namespace:
                self._perform("create namespace", lambda: _create_namespace(catalog, self.namespace))
                self._has_namespace = True

            def create() -> None:
                identifier = (*self.namespace, name)
                catalog.create_table(identifier, schema, partition_spec=spec, properties=dict(properties))

            try:
                self._perform("create table", create)
            except TableAlreadyExistsError:
                return

    def commit(
        self, table: Table, requirements: tuple[TableRequirement, ...], updates: tuple[TableUpdate, ...]
    ) -> None:
        """Raises Conflict where the table is no longer what was required, UserFault where the catalog refuses the commit for
        good; after any other error nobody knows. Both may be the answer to a repetition: clients and gateways repeat a request
        whose answer was lost.

        The metadata files that the new one no longer lists are deleted where the table says so, as Iceberg's clients do.
        """
        try:
            done = self._perform("commit", lambda: table.catalog.commit_table(table, requirements, updates))
        except (CommitFailedException, NoSuchTableError) as error:
            raise Conflict(first_line(error)) from error
        except Exception as error:
            if isinstance(error, BadRequestError | ValidationError | _DENIED) or _REFUSED.search(first_line(error)):
                raise translate(error, "commit") from error
            raise
        if remembered(table, CLEARED) != "true":
            return
        listed = {entry.metadata_file for entry in done.metadata.metadata_log}
        old = [entry.metadata_file for entry in table.metadata.metadata_log if entry.metadata_file not in listed]
        remove(table.io, old, self._perform)

    def _catalog(self) -> Catalog:
        properties = dict(self._properties())
        with self._lock:
            if self._open is None or self._open[0] != properties:
                self._open = properties, open_catalog(properties)
            return self._open[1]


def _create_namespace(catalog: Catalog, namespace: tuple[str, ...]) -> None:
    for depth in range(1, len(namespace) + 1):
        try:
            catalog.create_namespace(namespace[:depth])
        except NamespaceAlreadyExistsError:
            continue


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Errors of catalogs and of files in our words. What can only be a defect of ours stays what it is."""
    try:
        yield
    except (TailraceError, Conflict, AssertionError, LookupError, AttributeError):
        raise
    except Exception as error:
        raise translate(error, doing) from error


def translate(error: Exception, doing: str) -> TailraceError:
    """What it is in our words. The libraries below share no error of their own, so names tell more than classes."""
    text, names = first_line(error), {c.__name__ for c in type(error).__mro__}
    if isinstance(error, _DENIED) or "ACCESS_DENIED" in text or "AccessDenied" in text:
        return PermissionMissing(
            f"The lake refused to {doing}: {text}",
            hint="Grant what docs/targets/iceberg.md lists, or correct the login.",
        )
    if _INVALID.search(text) or isinstance(
        error, BadRequestError | ValidationError | ValueError | TypeError | NotImplementedError | ImportError
    ):
        return UserFault(
            f"The lake cannot {doing}: {text}", hint="Check the target's settings and what was done to its tables."
        )
    if isinstance(error, FileNotFoundError) or "NotFound" in "".join(names):
        return UserFault(
            f"The lake cannot {doing}: {text}",
            hint="A file or a bucket that the table needs is gone. Restore it, or drop the table and load it again.",
        )
    return ServiceUnavailable(f"The lake could not {doing}: {text}", hint=_AGAIN)


def first_line(error: Exception) -> str:
    """An error's first line, or its name."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:500]


def remembered(table: Table, name: str) -> str | None:
    """A property of a table; None where it is absent."""
    properties: Mapping[str, str] = table.metadata.properties
    return properties.get(name)


def notes_of(snapshot: Snapshot) -> Mapping[str, str]:
    """What was written into a snapshot's summary beside Iceberg's own figures."""
    return {} if snapshot.summary is None else snapshot.summary.additional_properties
