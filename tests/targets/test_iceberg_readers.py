"""What other engines see of our Iceberg tables: DuckDB's own extension, polars, pyiceberg; and what we see of their writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from duckdb_extensions import import_extension
from iceberg_place import NAMESPACE, catalog_of, open_target, orders
from pyiceberg.table import Table
from pyiceberg.types import LongType

from tailrace.errors import UserFault
from tailrace.model.numbers import canonical_number
from tailrace.testing.target_contract import COMPOSITE, EVERYTHING, HISTORY, MODES, Change, Replica, delete, put


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    folder = str(tmp_path_factory.mktemp("extensions"))
    settings = {"extension_directory": folder, "autoinstall_known_extensions": False}
    with duckdb.connect(config=settings) as connection:
        for name in ("avro", "iceberg"):
            import_extension(name, con=connection)
            connection.execute(f"LOAD {name}")
        yield connection


def by_duckdb(table: Table, engine: duckdb.DuckDBPyConnection) -> pa.Table:
    return engine.execute(f"FROM iceberg_scan('{table.metadata_location}')").to_arrow_table()


@pytest.mark.filterwarnings("ignore:Iceberg scan planning:polars.exceptions.PerformanceWarning")
def by_polars(table: Table, engine: duckdb.DuckDBPyConnection) -> pa.Table:
    return polars.scan_iceberg(table).collect().to_arrow()


def by_pyiceberg(table: Table, engine: duckdb.DuckDBPyConnection) -> pa.Table:
    return table.scan().to_arrow()


READERS = [by_duckdb, by_polars, by_pyiceberg]


def plain(rows: pa.Table) -> list[dict[str, Any]]:
    """Rows in one order, numbers by their value, JSON as it stands."""

    def value(held: Any) -> Any:
        if isinstance(held, list):
            return [value(member) for member in held]
        return canonical_number(str(held)) if isinstance(held, int | Decimal) and not isinstance(held, bool) else held

    shown = [{name: value(held) for name, held in row.items()} for row in rows.to_pylist()]
    return sorted(shown, key=lambda row: (row["_tr_pos"], repr(row)))


@pytest.mark.filterwarnings("ignore:Iceberg scan planning")
@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("mode", MODES)
def test_every_engine_sees_the_same_rows(
    tmp_path: Path, engine: duckdb.DuckDBPyConnection, read: Any, mode: Any
) -> None:
    """After columns were added, widened from whole numbers to decimals to text, rows deleted and brought back."""
    replica = Replica(open_target(tmp_path), mode)
    for load in HISTORY:
        replica.apply(load)
    replica.apply((6, [put(60, "all", **EVERYTHING), delete(61, "b")]))
    replica.check()
    expected = plain(replica.target.query("SELECT * FROM orders"))
    assert plain(read(orders(tmp_path), engine)) == expected
    assert len(expected) > 2


@pytest.mark.filterwarnings("ignore:Iceberg scan planning")
@pytest.mark.parametrize("read", READERS)
def test_every_engine_reads_surprises_of_a_schema(tmp_path: Path, engine: duckdb.DuckDBPyConnection, read: Any) -> None:
    replica = Replica(open_target(tmp_path))
    replica.apply((1, [put(1, price={"N": "1"}, Price={"N": "2"}, **{"a.b": {"S": "x"}, "l": {"SS": ["x"]}})]))
    names = {f"x{n}": {"N": str(n)} for n in range(2000)}
    replica.apply((2, [put(2, "b", price={"S": "dear"}, **{"l.element": {"S": "x"}}, **names)]))
    replica.apply((3, [put(3, "c", price={"N": "1E-130"}, x1={"N": "0.5"})]))
    replica.check()
    assert plain(read(orders(tmp_path), engine)) == plain(replica.target.query("SELECT * FROM orders"))


def test_engines_skip_files_by_our_statistics(tmp_path: Path) -> None:
    """Bounds are those of Iceberg: a scan for one key plans one file."""
    replica = Replica(open_target(tmp_path), keys=COMPOSITE)

    def change(at: int, position: int) -> Change:
        return Change("u", {"pk": {"S": f"{at:06}"}, "sk": {"S": "s"}, "x": {"N": str(at)}}, position)

    replica.apply((1, [change(at, at + 1) for at in range(120_000)]))
    table = orders(tmp_path)
    assert len(list(table.scan().plan_files())) > 1
    assert len(list(table.scan("pk = '000007'").plan_files())) == 1
    assert len(list(table.scan("x = 119999").plan_files())) == 1
    before = {task.file.file_path for task in table.scan().plan_files()}
    replica.apply((2, [change(at, 10**6 + at) for at in range(100, 200)]))
    after = {task.file.file_path for task in orders(tmp_path).scan().plan_files()}
    assert len(before - after) == 1, "only the file that holds these keys is written anew"
    assert replica.ledger.rows == 120_000


# ---- what others write


def test_a_column_of_somebody_else_stays(tmp_path: Path) -> None:
    replica = Replica(open_target(tmp_path))
    replica.apply((1, [put(1), put(2, "b")]))
    with orders(tmp_path).update_schema() as schema:
        schema.add_column("note", LongType())
    table = orders(tmp_path)
    rows = table.scan().to_arrow()
    table.overwrite(rows.set_column(rows.column_names.index("note"), "note", pa.array([7, 8])))
    replica.apply((2, [put(3, "b", note={"S": "ours"})]))
    replica.check()
    shown = replica.target.query("SELECT pk, note FROM orders ORDER BY pk").to_pylist()
    assert shown == [{"pk": "a", "note": 7}, {"pk": "b", "note": None}]
    assert replica.name_of("note", "S") == "note_2"


@pytest.mark.parametrize("change", ["drop", "again", "rename"])
def test_a_column_of_ours_that_somebody_changed_is_refused(tmp_path: Path, change: str) -> None:
    replica = Replica(open_target(tmp_path))
    replica.apply((1, [put(1, x={"N": "1"})]))
    load = replica.load((2, [put(2, x={"N": "2"})]))
    with orders(tmp_path).update_schema(allow_incompatible_changes=True) as schema:
        schema.rename_column("x", "y") if change == "rename" else schema.delete_column("x")
    if change == "again":
        with orders(tmp_path).update_schema() as schema:
            schema.add_column("x", LongType())
    for use in (lambda: replica.target.ledger(replica.spec), lambda: replica.target.apply(load)):
        with pytest.raises(UserFault, match="no longer has the column 'x'") as error:
            use()
        assert error.value.hint


def test_a_file_that_does_not_say_which_column_is_which_is_refused_and_not_read_as_nulls(tmp_path: Path) -> None:
    replica = Replica(open_target(tmp_path))
    replica.apply((1, [put(1, x={"N": "1"})]))
    load = replica.load((2, [put(2)]))
    rows = orders(tmp_path).scan().to_arrow()
    pq.write_table(pa.table(rows.to_pydict(), schema=_without_ids(rows.schema)), tmp_path / "plain.parquet")
    orders(tmp_path).add_files([f"file://{tmp_path}/plain.parquet"])
    for use in (lambda: replica.target.apply(load), lambda: replica.target.query("SELECT 1"), replica.shown):
        with pytest.raises(UserFault, match="without field ids") as error:
            use()
        assert error.value.hint


def _without_ids(schema: pa.Schema) -> pa.Schema:
    return pa.schema([pa.field(field.name, field.type) for field in schema])


def test_a_ledger_that_is_no_document_is_refused(tmp_path: Path) -> None:
    replica = Replica(open_target(tmp_path))
    replica.apply((1, [put(1)]))
    for document in ("{", "[]", json.dumps({"format": 2})):
        with orders(tmp_path).transaction() as transaction:
            transaction.set_properties({"tailrace.state": document})
        with pytest.raises(UserFault, match="cannot be read"):
            replica.target.ledger(replica.spec)
    with orders(tmp_path).transaction() as transaction:
        transaction.remove_properties("tailrace.state")
    with pytest.raises(UserFault, match="ledger was emptied"):
        replica.target.ledger(replica.spec)


def test_tables_of_others_in_the_namespace_can_be_asked_as_far_as_they_are_understood(tmp_path: Path) -> None:
    replica = Replica(open_target(tmp_path))
    replica.apply((1, [put(1)]))
    rows = pa.table({"id": [1], "deep": [{"a": 1}], "at": pa.array([1], pa.time64("us")), "names": [["x"]]})
    catalog_of(tmp_path).create_table((*NAMESPACE, "theirs"), rows.schema).append(rows)
    asked = replica.target.query("SELECT t.*, o.pk FROM theirs t, orders o").to_pylist()
    assert asked == [{"id": 1, "names": ["x"], "pk": "a"}]
