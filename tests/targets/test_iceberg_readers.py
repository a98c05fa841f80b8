"""How engines skip files of our Iceberg tables, and what we see of their writes. What they read: test_lake_readers.py."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from iceberg_place import NAMESPACE, catalog_of, open_target, orders
from pyiceberg.types import LongType

from tailrace.errors import UserFault
from tailrace.testing.target_contract import COMPOSITE, Change, Replica, put


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
