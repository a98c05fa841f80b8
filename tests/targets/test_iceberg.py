"""Iceberg as a target: the contract on local disk with a SQLite catalog, faults at every effect, races, and other readers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.schema import Schema
from pyiceberg.types import NestedField, StringType

from tailrace.clock import SystemClock
from tailrace.targets.iceberg import IcebergTarget
from tailrace.targets.iceberg.target import STATE
from tailrace.testing.target_contract import TargetContract

NAMESPACE = ("lake",)


def properties(place: Path) -> dict[str, str]:
    place.mkdir(parents=True, exist_ok=True)
    return {
        "type": "sql",
        "uri": f"sqlite:///{place}/catalog.db",
        "warehouse": f"file://{place}/warehouse",
        "py-io-impl": "pyiceberg.io.pyarrow.PyArrowFileIO",
    }


def open_target(place: Path, **options: Any) -> IcebergTarget:
    return IcebergTarget("ice", lambda: properties(place), NAMESPACE, str(place), SystemClock(), **options)


def catalog_of(place: Path) -> Catalog:
    return load_catalog("default", **properties(place))


def change_state(place: Path, name: str = "orders", **values: Any) -> None:
    """As somebody would who edits a table's properties."""
    table = catalog_of(place).load_table((*NAMESPACE, name))
    state = json.loads(table.properties[STATE])
    with table.transaction() as transaction:
        transaction.set_properties({STATE: json.dumps({**state, **values})})


class TestIceberg(TargetContract):
    ignores_case = False
    ledger_apart = False

    def make_target(self, place: Path) -> IcebergTarget:
        return open_target(place)

    def tamper(self, place: Path, sql: str) -> None:
        catalog = catalog_of(place)
        if sql.startswith("DROP TABLE"):
            catalog.drop_table((*NAMESPACE, "orders"))
        elif sql.startswith("DELETE FROM"):
            change_state(place, recent=[])
        elif "DROP COLUMN fence" in sql:
            change_state(place, format=1)
        else:  # a table, or a view, which this catalog has not
            catalog.create_namespace_if_not_exists(NAMESPACE)
            catalog.create_table((*NAMESPACE, "orders"), Schema(NestedField(1, "pk", StringType())))
