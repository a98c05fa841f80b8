"""Redshift as a target, by its Data API on the stand-in: the contract."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tailrace.clock import SystemClock
from tailrace.local.client import LocalAws
from tailrace.targets.redshift.data_api import DataApiConnection, Warehouse
from tailrace.targets.redshift.dialect import RedshiftDialect
from tailrace.targets.redshift.staging import Staging
from tailrace.targets.warehouse.target import WarehouseTarget
from tailrace.testing.target_contract import TargetContract

pytestmark = pytest.mark.embedded

ROLE = "arn:aws:iam::111122223333:role/RedshiftCopy"


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws() as aws:
        yield aws


@pytest.fixture(scope="module")
def clients(aws: LocalAws) -> dict[str, Any]:
    config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
    made = {
        service: boto3.client(
            service, endpoint_url=aws.endpoint_url, region_name="us-east-1", aws_access_key_id="test",
            aws_secret_access_key="test", config=config,
        )
        for service in ("redshift-data", "s3")
    }  # fmt: skip
    made["s3"].create_bucket(Bucket="lake")
    return made


class TestRedshift(TargetContract):
    ledger_table = "_tailrace_ledger"
    holds_nul = False
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
