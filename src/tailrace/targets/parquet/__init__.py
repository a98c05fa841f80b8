"""Parquet files as a target: a changelog that only grows, partitioned by hour, for any tool that opens a directory."""

from tailrace.targets.parquet.target import ParquetTarget

__all__ = ["ParquetTarget"]
