"""The target itself: what it is asked for, and how its tables are read. Loads are in `loading`."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import pyarrow as pa
from fsspec.implementations.arrow import ArrowFSWrapper
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.table import Table

from tailrace.clock import Budget, Clock
from tailrace.errors import NotFound
from tailrace.targets.duckdb.dialect import quote
from tailrace.targets.duckdb.file import Perform, Session, perform_plainly
from tailrace.targets.duckdb.merge import key_expression, key_text
from tailrace.targets.iceberg import loading, pages
from tailrace.targets.iceberg.catalog import Tables, remembered, translated
from tailrace.targets.iceberg.commit import MAIN, RowDeletesFound, head_of
from tailrace.targets.iceberg.fields import Fields
from tailrace.targets.iceberg.files import DATA_NAME, FileWithoutIds, check_ids
from tailrace.targets.iceberg.found import STATE, Lake, find, understood
from tailrace.targets.lake.reading import FilesOf, asked, is_known, opened
from tailrace.targets.lake.state import LakeState, refused
from tailrace.targets.planning import (
    BATCH_ROWS,
    LIVE,
    META_NAMES,
    key_columns,
)
from tailrace.targets.target import Applied, Ledger, LedgerRow, Limits, Load, TableSpec

THREADS_MAX: Final = 4  # each holds one file


class IcebergTarget:
    """Keeps `tailrace.targets.target.Target` in the Iceberg tables of one namespace.

    `place`: what no two catalogs share. `threads`: how many files are read and written side by side.
    """

    kind = "iceberg"
    limits = Limits()

    def __init__(
        self,
        name: str,
        properties: Callable[[], Mapping[str, str]],
        namespace: tuple[str, ...],
        place: str,
        clock: Clock,
        *,
        threads: int | None = None,
        perform: Perform = perform_plainly,
    ) -> None:
        self.name = name
        threads = threads or min(THREADS_MAX, os.cpu_count() or 1)
        self.lake = Lake(Tables(properties, namespace, perform), place, clock, threads, perform)
        self._seen: set[str] = set()  # files of other engines that can be read

    def ledger(self, table: TableSpec, budget: Budget | None = None) -> Ledger:
        found = find(self.lake, table)
        return Ledger() if found is None else found.state.shown(found.state.recent)

    def applied(self, table: TableSpec, number: int) -> LedgerRow | None:
        found = find(self.lake, table)
        if found is None:
            return None
        row = next((row for row in found.state.recent if row.number == number), None)
        if row is not None or not found.state.holds(number):
            return row
        row = pages.find_row(self.lake.tables, found.table, number, self.lake.perform)
        if row is None:
            raise refused(
                table, f"no longer has the ledger row of segment {number}, which is applied", f"Restore {pages.NAME}."
            )
        return row

    def apply(self, load: Load, budget: Budget | None = None) -> Applied:
        return loading.apply(self.lake, load)

    # ---- reading

    def tables(self) -> list[str]:
        """The names of all tables of the namespace, whoever made them."""
        return self.lake.tables.names()

    def rows(self, table: TableSpec) -> Iterator[pa.RecordBatch]:
        found = find(self.lake, table)
        if found is None:
            return
        with self._opened([found.table]) as session:
            yield from session.connection.execute(_live_rows(table, found.state)).to_arrow_reader(BATCH_ROWS)

    def find(self, table: TableSpec, keys: Sequence[Sequence[str | bytes]]) -> pa.Table:
        found = find(self.lake, table)
        if found is None:
            return pa.table({})
        with self._opened([found.table]) as session:
            session.connection.register("wanted", pa.table({"key": [key_text(key) for key in keys]}))
            return session.connection.execute(_live_rows(table, found.state, "temp.wanted")).to_arrow_table(BATCH_ROWS)

    def query(self, sql: str) -> pa.Table:
        """Run one read-only statement over the tables of the namespace. Raises UsageInvalid, NotFound where there are none."""
        tables = [table for name in self.lake.tables.names() if (table := self.lake.tables.load(name)) is not None]
        if not tables:
            raise NotFound(
                "The target holds no table yet", hint="Load something first: tailrace run.", target=self.name
            )
        with self._opened(tables) as session:
            return asked(session, sql)

    @contextmanager
    def _opened(self, tables: Sequence[Table]) -> Iterator[Session]:
        described = [files for table in tables if (files := self._files_of(table)) is not None]
        with opened(described, functools.partial(_reach, tables)) as session:
            yield session

    def _files_of(self, table: Table) -> FilesOf | None:
        """A table as it stands now, without columns of types that we never make; None where it is not ours and cannot be read."""
        with translated("read a table"), understood(table.name()[-1]):
            fields = Fields(table.schema(), table.metadata.properties)
            try:
                head = head_of(table.metadata, MAIN, table.io, self.lake.perform)
                for path in (file.file_path for file in head.files):
                    if path not in self._seen and not DATA_NAME.fullmatch(path.rpartition("/")[-1]):
                        self.lake.perform(f"read {path}", functools.partial(check_ids, table.io, path))
                        self._seen.add(path)
            except (RowDeletesFound, FileWithoutIds):
                if remembered(table, STATE) is None:
                    return None
                raise
        columns = [(fields.by_name[f.name].field_id, f.name, f.type) for f in fields.arrow if is_known(f.type)]
        paths = tuple(_readable(file.file_path) for file in head.files)
        return FilesOf(table.name()[-1], paths, tuple(columns))


def _readable(path: str) -> str:
    """A file's place as DuckDB gets it: on a local disk its path, elsewhere through pyarrow, for which no extension is needed."""
    scheme, separator, rest = path.partition("://")
    return path if not separator else rest if scheme == "file" else f"{_Elsewhere.protocol}://{rest}"


class _Elsewhere(ArrowFSWrapper):  # type: ignore[misc]
    """pyarrow's file systems for DuckDB."""

    protocol = "tailrace"

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return path.removeprefix(f"{cls.protocol}://")


def _reach(tables: Sequence[Table], connection: Any) -> None:
    """Teach a database to read files that do not lie on a local disk."""
    for table in tables:
        scheme, separator, rest = table.location().partition("://")
        if separator and scheme != "file":
            assert isinstance(table.io, PyArrowFileIO)
            system = table.io.fs_by_scheme(scheme, rest.partition("/")[0])
            connection.register_filesystem(_Elsewhere(system))
            return


def _live_rows(table: TableSpec, state: LakeState, wanted: str | None = None) -> str:
    """All live rows, or those whose key `wanted` holds. Of a changelog the newest change of each key."""
    columns = key_columns(state.columns, table.keys) if state.columns else []
    names = ", ".join(quote(n) for n in (*(column.name for column in state.columns), *META_NAMES[table.mode]))
    rows = f"SELECT * FROM {quote(table.name)}"
    if wanted is not None:
        rows += f" WHERE {key_expression(columns, [quote(column.name) for column in columns])} IN (SELECT key FROM {wanted})"
    if table.mode == "changelog":
        key = ", ".join(quote(column.name) for column in columns)
        newest = f"{rows} QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY _tr_pos DESC) = 1"
        return f"SELECT {names} FROM ({newest}) WHERE _tr_op <> 'd'"
    live = f" WHERE {LIVE[table.mode]}" if table.mode in LIVE else ""
    return f"SELECT {names} FROM ({rows}){live}"
