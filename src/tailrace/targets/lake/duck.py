"""DuckDB over datasets of files, in memory and sealed: what lives in a table, and a person's query. It writes nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.dataset

from tailrace.model.keys import KeySchema
from tailrace.model.schema import Column
from tailrace.targets.duckdb.dialect import quote
from tailrace.targets.duckdb.file import Session, perform_plainly
from tailrace.targets.duckdb.merge import key_expression, key_text
from tailrace.targets.lake.files import reading
from tailrace.targets.lake.reading import asked
from tailrace.targets.planning import BATCH_ROWS, LIVE, META_NAMES, key_columns
from tailrace.targets.taking import taken
from tailrace.targets.target import Mode, TableSpec

FILE: Final = "_tr_file"


@contextmanager
def opened() -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory that reaches nothing but what is registered; what does not fit goes to a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="tailrace-") as spill:
        connection = duckdb.connect(":memory:", config={"temp_directory": spill, "python_enable_replacements": False})
        try:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
            with reading(duckdb.Error):
                yield connection
        finally:
            connection.close()


def _hold(connection: duckdb.DuckDBPyConnection, held: pyarrow.dataset.Dataset, names: Sequence[str]) -> None:
    """Register these columns as ``held``, without DuckDB's filters: Arrow cannot apply them to files of string views.

    `FILE` is the path of the file that a row comes from.
    """
    scanner = held.scanner(columns=["__filename" if name == FILE else name for name in names])
    if FILE not in names:
        connection.register("held", scanner)
        return
    rows = scanner.to_reader()  # to be read once
    schema = rows.schema.set(names.index(FILE), pa.field(FILE, pa.string()))
    renamed = (batch.rename_columns(schema.names) for batch in rows)
    connection.register("held", pa.RecordBatchReader.from_batches(schema, renamed))


def live_rows(
    dataset: pyarrow.dataset.Dataset,
    table: TableSpec,
    columns: Sequence[Column],
    keys: Sequence[Sequence[str | bytes]] | None = None,
    *,
    in_order: bool = False,
) -> Iterator[pa.RecordBatch]:
    """All live rows, or those under these keys. Of a changelog the newest change of each key. `in_order`: of the key."""
    with opened() as connection:
        _hold(connection, dataset, [*(column.name for column in columns), *META_NAMES[table.mode]])
        if keys is not None:
            connection.register("wanted", pa.table({"key": pa.array([key_text(key) for key in keys], pa.string())}))
        sql = _live_sql(columns, table, only_wanted=keys is not None)
        if in_order:
            sql += f" ORDER BY {', '.join(quote(column.name) for column in key_columns(columns, table.keys))}"
        yield from connection.execute(sql).to_arrow_reader(BATCH_ROWS)


def _live_sql(columns: Sequence[Column], table: TableSpec, *, only_wanted: bool) -> str:
    mode: Mode = table.mode
    values = ", ".join(quote(name) for name in [*(column.name for column in columns), *META_NAMES[mode]])
    parts = key_columns(columns, table.keys)
    names = [quote(column.name) for column in parts]
    rows = "SELECT * FROM held"
    if only_wanted:
        rows += f" WHERE {key_expression(parts, names)} IN (SELECT key FROM wanted)"
    if mode == "changelog":
        newest = f"{rows} QUALIFY row_number() OVER (PARTITION BY {', '.join(names)} ORDER BY _tr_pos DESC) = 1"
        return f"SELECT {values} FROM ({newest}) WHERE _tr_op <> 'd'"
    return f"SELECT {values} FROM ({rows}) {f'WHERE {LIVE[mode]}' if mode in LIVE else ''}"


def query(sql: str, rows_of: Callable[[str], Any]) -> pa.Table:
    """One statement of a person, which may only read. `rows_of`: a table's dataset or scanner by its name; None: no such."""
    with opened() as connection:
        with suppress(duckdb.Error):  # what is no SQL names no table, and is refused below
            for name in sorted(connection.get_table_names(sql)):
                rows = rows_of(name)
                if rows is not None:
                    connection.register(name, rows)
        return asked(Session(connection, perform_plainly), sql)


def unseen(
    held: pyarrow.dataset.Dataset,
    held_columns: Sequence[Column],
    incoming: pa.Table,
    columns: Sequence[Column],
    keys: KeySchema,
) -> pa.Table:
    """The rows of `incoming` (c0, c1, … as `columns`) whose key and place stand nowhere in `held`, in their order."""
    old, new = key_columns(held_columns, keys), key_columns(columns, keys)
    names = [f"c{columns.index(column)}" for column in new]
    with opened() as connection:
        _hold(connection, held, [*(column.name for column in old), "_tr_pos"])
        lines = pa.array(range(incoming.num_rows), pa.int64())
        connection.register("incoming", incoming.select([*names, "pos"]).append_column("line", lines))
        same = f"t.key = {key_expression(new, [f'i.{name}' for name in names])}"
        stand = f"SELECT _tr_pos, {key_expression(old, [quote(column.name) for column in old])} AS key FROM held"
        sql = f"SELECT line FROM incoming i ANTI JOIN ({stand}) t ON t._tr_pos = i.pos AND {same} ORDER BY line"
        return taken(incoming, connection.execute(sql).to_arrow_table().column(0))


def left_behind(held: pyarrow.dataset.Dataset, keys: Sequence[Column], first: str) -> pa.Table:
    """The keys of a changelog whose newest change lies before the place `first` and is no delete, as k0, k1."""
    with opened() as connection:
        _hold(connection, held, [*(column.name for column in keys), "_tr_pos", "_tr_op"])
        names = [quote(column.name) for column in keys]
        shown = ", ".join(f"{name} AS k{n}" for n, name in enumerate(names))
        return connection.execute(
            f"SELECT {shown} FROM held GROUP BY {', '.join(names)}"
            f" HAVING max(_tr_pos) < '{first}' AND arg_max(_tr_op, _tr_pos) <> 'd' ORDER BY ALL"
        ).to_arrow_table()


def standing(held: pyarrow.dataset.Dataset, keys: Sequence[str], names: Sequence[str], wanted: pa.Table) -> pa.Table:
    """Of rows with one of these keys (`wanted`: k0, k1), the key's columns and `names`."""
    with opened() as connection:
        _hold(connection, held, [*keys, *names])
        connection.register("wanted", wanted)
        shown = ", ".join(f"t.{quote(name)}" for name in [*keys, *names])
        same = " AND ".join(f"t.{quote(key)} = w.k{n}" for n, key in enumerate(keys))
        return connection.execute(f"SELECT {shown} FROM held t SEMI JOIN wanted w ON {same}").to_arrow_table()


def between(held: pyarrow.dataset.Dataset, names: Sequence[str], first: str, last: str) -> pa.Table:
    """These columns of the rows from place `first` to place `last`."""
    with opened() as connection:
        _hold(connection, held, names)
        shown = ", ".join(quote(name) for name in names)
        return connection.execute(
            f"SELECT {shown} FROM held WHERE _tr_pos BETWEEN '{first}' AND '{last}'"
        ).to_arrow_table()


def lines(rows: pa.Table, wanted: pa.Table, names: Sequence[str]) -> pa.Table:
    """Where in `rows` the rows of `wanted` stand, which agree with them in these columns: ``line`` and their ``place``."""
    neutral = [f"n{n}" for n in range(len(names))]
    with opened() as connection:
        numbered = rows.select(list(names)).rename_columns(neutral)
        connection.register("held", numbered.append_column("line", pa.array(range(rows.num_rows), pa.int64())))
        connection.register("wanted", wanted.select([*names, "place"]).rename_columns([*neutral, "place"]))
        sql = f"SELECT line, place FROM held JOIN wanted USING ({', '.join(neutral)}) ORDER BY line"
        return connection.execute(sql).to_arrow_table()
