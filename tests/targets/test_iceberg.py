"""Iceberg as a target: the contract, on local disk; with LAKES_ON elsewhere (``make lake``)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from iceberg_place import catalog_in_glue, catalog_of, change_state, namespace_of, open_target
from lake_place import lakes_on_s3
from pyiceberg.schema import Schema
from pyiceberg.types import NestedField, StringType
from rest_server import rest_catalog

from tailrace.targets.iceberg import IcebergTarget
from tailrace.testing.target_contract import TargetContract

_PLACES = {"disk": nullcontext, "s3": lakes_on_s3, "glue": catalog_in_glue, "rest": rest_catalog}


@pytest.fixture(scope="module", autouse=True)
def _where() -> Iterator[None]:
    with _PLACES[os.environ.get("LAKES_ON", "disk")]():
        yield


class TestIceberg(TargetContract):
    ignores_case = False
    ledger_apart = False

    def make_target(self, place: Path) -> IcebergTarget:
        return open_target(place)

    def tamper(self, place: Path, sql: str) -> None:
        catalog = catalog_of(place)
        if sql.startswith("DROP TABLE"):
            catalog.drop_table((*namespace_of(place), "orders"))
        elif sql.startswith("DELETE FROM"):
            change_state(place, recent=[])
        elif "DROP COLUMN fence" in sql:
            change_state(place, format=1)
        else:  # a table, or a view, which this catalog has not
            catalog.create_namespace_if_not_exists(namespace_of(place))
            catalog.create_table((*namespace_of(place), "orders"), Schema(NestedField(1, "pk", StringType())))
