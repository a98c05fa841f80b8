"""Iceberg as a target: tables whose files lie beside those of others, and what people do to tables between two loads."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from iceberg_place import NAMESPACE, At, catalog_of, open_target, orders, properties

from tailrace.clock import SystemClock
from tailrace.targets.iceberg import IcebergTarget
from tailrace.testing.target_contract import Replica, put


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
