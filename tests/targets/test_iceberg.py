"""Iceberg as a target: the contract, on local disk; with LAKES_ON=s3 on S3 of the embedded AWS (``make lake``)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from iceberg_place import NAMESPACE, catalog_of, change_state, open_target
from lake_place import lakes_where_asked
from pyiceberg.schema import Schema
from pyiceberg.types import NestedField, StringType

from tailrace.targets.iceberg import IcebergTarget
from tailrace.testing.target_contract import TargetContract


@pytest.fixture(scope="module", autouse=True)
def _where() -> Iterator[None]:
    with lakes_where_asked():
        yield


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
