"""Redshift as a target: its dialect, its clients, and how rows travel through S3. The driver is imported where it is chosen."""

from __future__ import annotations

from tailrace.clock import Clock
from tailrace.targets.redshift.data_api import DataApiConnection, Warehouse
from tailrace.targets.redshift.dialect import RedshiftDialect
from tailrace.targets.redshift.staging import Staging
from tailrace.targets.warehouse.connection import Connection
from tailrace.targets.warehouse.target import WarehouseTarget

__all__ = ["DataApiConnection", "Staging", "Warehouse", "redshift_target"]


def redshift_target(name: str, connection: Connection, schema: str, clock: Clock) -> WarehouseTarget:
    """A target in one schema of the database that is reached by `connection`."""
    return WarehouseTarget(name, "redshift", schema, connection, RedshiftDialect(), clock)
