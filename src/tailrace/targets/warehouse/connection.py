"""How statements reach a server: the port that a new warehouse implements beside its `Dialect`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import pyarrow as pa


class StatementFailed(Exception):
    """The server refused a statement, and nothing of its transaction was done. `at`: its place in the list."""

    def __init__(self, message: str, at: int = 0, sqlstate: str = "") -> None:
        super().__init__(message)
        self.at = at
        self.sqlstate = sqlstate


class Connection(Protocol):
    """Raises StatementFailed, TargetContended, ServiceUnavailable (surely nothing was done), OutcomeUnknown (nobody knows)."""

    def opened(self) -> AbstractContextManager[None]:
        """Around several calls: what they share is kept open. Other threads wait."""

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The result of a small reading statement."""

    def batches(self, sql: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """The result of a large reading statement, in columns of these types, by one snapshot."""

    def transaction(self, statements: Sequence[str]) -> None:
        """Carry these out in order: all of them, or none."""

    def stage(self, create: Sequence[str], table: str, rows: pa.Table) -> None:
        """Carry out `create`, which makes the quoted `table` anew, and fill it with `rows`: all of it, or nothing."""

    def query(self, sql: str) -> pa.Table:
        """One statement of a person, which can only read. Raises UsageInvalid where the server refuses it."""
