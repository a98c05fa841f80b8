"""Iceberg as a target: tables that any engine reads, written by copy-on-write. The only part of Tailrace that knows pyiceberg."""

from tailrace.targets.iceberg.clients import FILE_IO
from tailrace.targets.iceberg.target import IcebergTarget

__all__ = ["FILE_IO", "IcebergTarget"]
