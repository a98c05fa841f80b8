"""DuckDB as a target: one file, one transaction per load. The only part of Tailrace that knows duckdb."""

from tailrace.targets.duckdb.target import DuckDbTarget

__all__ = ["DuckDbTarget"]
