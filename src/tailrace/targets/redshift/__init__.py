"""Redshift as a target: its dialect, its clients, and how rows travel through S3."""

from __future__ import annotations

from typing import Any

from tailrace.clock import Clock
from tailrace.targets.redshift.data_api import DataApiConnection, Warehouse
from tailrace.targets.redshift.dialect import RedshiftDialect
from tailrace.targets.redshift.staging import Staging
from tailrace.targets.warehouse.target import WarehouseTarget

__all__ = ["Staging", "Warehouse", "redshift_target"]


def redshift_target(
    name: str, data: Any, warehouse: Warehouse, staging: Staging, schema: str, clock: Clock
) -> WarehouseTarget:
    """A target in one schema of a Redshift database, by the Data API. `data`: a boto3 client of ``redshift-data``."""
    connection = DataApiConnection(data, warehouse, staging, clock)
    return WarehouseTarget(name, "redshift", schema, connection, RedshiftDialect(), clock)
