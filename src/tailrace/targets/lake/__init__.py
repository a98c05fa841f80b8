"""What targets of files share: where files lie, the ledger that stands beside them, and reading them with DuckDB."""
