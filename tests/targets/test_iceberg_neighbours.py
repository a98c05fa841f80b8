"""Iceberg as a target: tables whose files lie beside those of others, and what people do to tables between two loads."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from iceberg_place import NAMESPACE, At, catalog_of, open_target, orders, properties
from pyiceberg.exceptions import ValidationError
from pyiceberg.transforms import BucketTransform, DayTransform, HourTransform, IdentityTransform

from tailrace.clock import SystemClock
from tailrace.errors import UserFault
from tailrace.targets.iceberg import IcebergTarget
from tailrace.testing.target_contract import Replica, delete, put


def loaded(place: Path, loads: int = 3, mode: Any = "current") -> Replica:
    replica = Replica(open_target(place), mode)
    for number in range(1, loads + 1):
        replica.apply((number, [put(number, f"k{number}", x={"N": str(number)})]))
    return replica


def made_old(place: Path) -> None:
    """Days pass."""
    then = time.time() - 4 * 24 * 3600
    for path in (place / "warehouse").rglob("*"):
        if path.is_file():
            os.utime(path, (then, then))


def keys_in(place: Path, name: str = "orders") -> list[str]:
    rows = catalog_of(place).load_table((*NAMESPACE, name)).scan().to_arrow()
    return sorted(rows["pk"].to_pylist())


# ---- files that lie beside ours


def test_a_table_that_was_renamed_keeps_its_files_beside_a_new_one_of_its_old_name(tmp_path: Path) -> None:
    """Renaming leaves a table's folder as it is, and the new table gets the same one."""
    loaded(tmp_path)
    made_old(tmp_path)
    catalog_of(tmp_path).rename_table((*NAMESPACE, "orders"), (*NAMESPACE, "orders_2025"))
    loaded(tmp_path, 1).check()
    old, new = (catalog_of(tmp_path).load_table((*NAMESPACE, name)) for name in ("orders_2025", "orders"))
    assert old.location() == new.location()
    assert keys_in(tmp_path, "orders_2025") == ["k1", "k2", "k3"]


def test_two_catalogs_may_have_tables_of_one_name_in_one_warehouse(tmp_path: Path) -> None:
    first = loaded(tmp_path)
    made_old(tmp_path)
    other = {**properties(tmp_path), "uri": f"sqlite:///{tmp_path}/other.db"}
    target = IcebergTarget("other", lambda: other, NAMESPACE, "other", SystemClock())
    Replica(target).apply((1, [put(1)]))
    first.apply((4, [put(4, "k1")]))
    first.check()


def test_a_folder_that_is_spelled_otherwise_from_now_on_holds_the_same_files(tmp_path: Path) -> None:
    replica = loaded(tmp_path, mode="changelog")
    table = orders(tmp_path)
    with table.transaction() as transaction:
        transaction.set_properties({"write.data.path": table.location().removeprefix("file://") + "/data"})
    made_old(tmp_path)
    replica.target = open_target(tmp_path, At(25))
    replica.apply((4, [put(4, "k4")]))
    replica.check()
    assert keys_in(tmp_path) == ["k1", "k2", "k3", "k4"]


# ---- what people do to a table between two loads


def test_a_table_that_was_rolled_back_stays_refused_when_what_was_newer_is_expired(tmp_path: Path) -> None:
    replica = loaded(tmp_path)
    load = replica.load((4, [put(4, "k4")]))
    table = orders(tmp_path)
    table.manage_snapshots().rollback_to_snapshot(table.metadata.snapshots[0].snapshot_id).commit()
    heads = {ref.snapshot_id for ref in table.refresh().metadata.refs.values()}
    gone = [s.snapshot_id for s in table.metadata.snapshots if s.snapshot_id not in heads]
    table.maintenance.expire_snapshots().by_ids(gone).commit()
    for use in (lambda: replica.target.ledger(replica.spec), lambda: replica.target.apply(load)):
        with pytest.raises(UserFault, match="was rolled back"):
            use()


def test_what_another_engine_rewrote_is_no_rollback_although_nothing_of_ours_is_left(tmp_path: Path) -> None:
    replica = loaded(tmp_path)
    table = orders(tmp_path)
    table.overwrite(table.scan().to_arrow())
    newest = orders(tmp_path).metadata.current_snapshot_id
    assert newest is not None
    gone = [s.snapshot_id for s in orders(tmp_path).metadata.snapshots if s.snapshot_id != newest]
    orders(tmp_path).maintenance.expire_snapshots().by_ids(gone).commit()
    replica.check()
    replica.apply((4, [put(4, "k1")]))
    replica.check()
    orders(tmp_path).manage_snapshots().rollback_to_snapshot(newest).commit()  # and that is one, although nothing is
    gone = [s.snapshot_id for s in orders(tmp_path).metadata.snapshots if s.snapshot_id != newest]
    orders(tmp_path).maintenance.expire_snapshots().by_ids(gone).commit()
    with pytest.raises(UserFault, match="was rolled back"):
        replica.target.ledger(replica.spec)


@pytest.mark.parametrize("mode", ["current", "changelog"])
def test_a_table_with_other_partitions_is_refused_until_they_are_as_they_were(tmp_path: Path, mode: Any) -> None:
    replica = loaded(tmp_path, mode=mode)
    load = replica.load((4, [put(4, "k4")]))
    with orders(tmp_path).update_spec() as change:
        if mode == "changelog":
            change.remove_field("_tr_loaded_hour")
            change.add_field("_tr_loaded_at", DayTransform(), "loaded_day")
        else:
            change.add_field("pk", BucketTransform(4), "pk_bucket")
    with pytest.raises(UserFault, match="is partitioned otherwise") as caught:
        replica.target.apply(load)
    assert "PARTITION FIELD" in caught.value.hint
    with orders(tmp_path).update_spec() as change:
        change.remove_field("loaded_day" if mode == "changelog" else "pk_bucket")
        if mode == "changelog":
            change.add_field("_tr_loaded_at", HourTransform(), "_tr_loaded_hour")
    replica.apply((4, [put(4, "k4", x={"N": "1.5"})]))
    replica.check()


def test_rows_that_an_engine_laid_into_other_partitions_stay_there(tmp_path: Path) -> None:
    replica = loaded(tmp_path, mode="changelog")
    with orders(tmp_path).update_spec() as change:
        change.remove_field("_tr_loaded_hour")
        change.add_field("pk", IdentityTransform(), "pk_part")
    orders(tmp_path).overwrite(orders(tmp_path).scan().to_arrow())
    with orders(tmp_path).update_spec() as change:
        change.remove_field("pk_part")
        change.add_field("_tr_loaded_at", HourTransform(), "_tr_loaded_hour")
    for number in range(4, 24):  # small files of an hour become one
        replica.apply((number, [put(number, f"k{number}", x={"N": "1"})]))
    load = replica.load((24, [put(24, "k24", x={"N": "1.5"})]))  # writes all files anew
    replica.target.apply(dataclasses.replace(load, loaded_ms=load.loaded_ms + 5 * 3_600_000))
    table, places = orders(tmp_path), []
    for file in (task.file for task in table.scan().plan_files()):
        rows = pq.read_table(file.file_path.removeprefix("file://"), partitioning=None)
        [field] = table.metadata.specs()[file.spec_id].fields
        hours = {moment // 3_600_000_000 for moment in rows["_tr_loaded_at"].cast(pa.int64()).to_pylist()}
        assert (set(rows["pk"].to_pylist()) if field.name == "pk_part" else hours) == {file.partition[0]}
        places.append((field.name, file.record_count))
    assert sorted(places)[-3:] == [("pk_part", 1)] * 3
    assert len(places) < 20
    assert sum(count for _, count in places) == 24


def test_a_column_that_a_sort_order_names_becomes_wider_once_the_order_is_off(tmp_path: Path) -> None:
    replica = loaded(tmp_path)
    with orders(tmp_path).update_sort_order() as change:
        change.asc("x", IdentityTransform())
    replica.apply((4, [put(4, "k4")]))
    load = replica.load((5, [put(5, "k5", x={"N": "5.5"})]))
    files = sorted(tmp_path.rglob("*.parquet"))
    with pytest.raises(UserFault, match="sort order by the column 'x'") as caught:
        replica.target.apply(load)
    assert "WRITE UNORDERED" in caught.value.hint
    assert sorted(tmp_path.rglob("*.parquet")) == files
    orders(tmp_path).update_sort_order().commit()
    replica.apply((5, [put(5, "k5", x={"N": "5.5"})]))
    replica.check()


def test_a_commit_that_the_client_refuses_by_itself_is_no_unknown_one(tmp_path: Path) -> None:
    replica = loaded(tmp_path)
    load = replica.load((4, [put(4, "k4")]))
    files = sorted(tmp_path.rglob("*.parquet"))

    def perform(name: str, effect: Callable[[], Any]) -> Any:
        if name == "commit":
            raise ValidationError("Cannot find source column for sort field")
        return effect()

    with pytest.raises(UserFault, match="sort field"):
        open_target(tmp_path, perform=perform).apply(load)
    assert sorted(tmp_path.rglob("*.parquet")) == files
    replica.check()


def test_a_clock_that_is_put_back_leaves_a_history_that_goes_on(tmp_path: Path) -> None:
    """Java's Iceberg opens no table with an entry a minute before the one above it."""
    replica = Replica(open_target(tmp_path))
    for number, hours in enumerate((0, 1, 0, 0, 1), 1):
        replica.target = open_target(tmp_path, At(hours))
        replica.apply((number, [put(10 * number, f"k{number}"), delete(10 * number + 1, f"k{number - 1}")]))
    replica.check()
    metadata = orders(tmp_path).metadata
    history = [entry.timestamp_ms for entry in metadata.snapshot_log]
    assert history == sorted(set(history))
    assert len(history) == 5
    files = [entry.timestamp_ms for entry in metadata.metadata_log]
    assert [*files, metadata.last_updated_ms] == sorted([*files, metadata.last_updated_ms])
    assert metadata.last_updated_ms == history[-1]
    assert history[1] - history[0] > 3_000_000


# ---- others who make the table, too


@pytest.mark.parametrize("mode", ["current", "changelog"])
def test_who_makes_the_table_a_moment_later_finds_what_the_other_one_loaded(tmp_path: Path, mode: Any) -> None:
    """The other one is another process, so no lock of ours holds it up."""
    replica = Replica(open_target(tmp_path), mode)
    segment = (1, [put(1, "k1")])
    load = replica.load(segment)
    others: list[Any] = []  # first that it began, then what it did

    def perform(name: str, effect: Callable[[], Any]) -> Any:
        if name == "create table" and not others:
            others.append(None)
            target = IcebergTarget("ice", lambda: properties(tmp_path), NAMESPACE, "elsewhere", SystemClock())
            others.append(target.apply(load))
        return effect()

    applied = open_target(tmp_path, perform=perform).apply(load)
    assert (others[1].segments, applied.segments, applied.skipped) == (1, 0, 1)
    replica.applied.update([segment])
    replica.check()
