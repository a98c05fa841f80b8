"""Redshift as a target, by its Data API on the stand-in: the contract."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from tailrace.clock import SystemClock
from tailrace.targets.redshift.data_api import DataApiConnection, Warehouse
from tailrace.targets.redshift.dialect import RedshiftDialect
from tailrace.targets.redshift.staging import Staging
from tailrace.targets.warehouse.target import WarehouseTarget
from tailrace.testing.target_contract import TargetContract

pytestmark = pytest.mark.embedded

ROLE = "arn:aws:iam::111122223333:role/RedshiftCopy"


class TestRedshift(TargetContract):
    ledger_table = "_tailrace_ledger"
    holds_nul = False
    joins = True
    string_bytes = 60_000  # a row of a query has 64 KB at most

    @pytest.fixture(autouse=True)
    def _clients(self, clients: dict[str, Any]) -> None:
        self.clients = clients

    def make_target(self, place: Path) -> WarehouseTarget:
        return WarehouseTarget("dwh", "redshift", "public", self._connection(place), RedshiftDialect(), SystemClock())

    def tamper(self, place: Path, sql: str) -> None:
        self._connection(place).transaction([sql])

    def _connection(self, place: Path) -> DataApiConnection:
        name = f"w{hashlib.sha256(str(place).encode()).hexdigest()[:16]}"
        staging = Staging(self.clients["s3"], f"s3://lake/{name}", ROLE)
        return DataApiConnection(
            self.clients["redshift-data"], Warehouse("dev", workgroup=name), staging, SystemClock()
        )
