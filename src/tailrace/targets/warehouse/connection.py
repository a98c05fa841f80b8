"""How statements reach a server: the port that a new warehouse implements beside its `Dialect`."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, Protocol

import pyarrow as pa

from tailrace.clock import Budget


class StatementFailed(Exception):
    """The server refused a statement, and nothing of its transaction was done. `at`: its place in the list.

    `hint`: what a person is to do about it, where that can be told.
    """

    def __init__(self, message: str, at: int = 0, hint: str = "") -> None:
        super().__init__(message)
        self.at = at
        self.hint = hint


class Connection(Protocol):
    """Raises StatementFailed, TargetContended, ServiceUnavailable (surely nothing was done), OutcomeUnknown (nobody knows)."""

    def opened(self, budget: Budget | None = None) -> AbstractContextManager[None]:
        """Around several calls: what they share is kept open. Other threads wait.

        Redshift is waited for until `budget` is spent; then OutOfTime is raised. PostgreSQL ends its statement by its timeout.
        """

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The result of a small reading statement."""

    def results(self, statements: Sequence[str]) -> list[list[tuple[Any, ...]]]:
        """The results of small reading statements, by one snapshot."""

    def batches(self, sql: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """The result of a large reading statement, in columns of these types, by one snapshot."""

    def transaction(self, statements: Sequence[str], name: str = "") -> None:
        """Carry these out in order: all of them, or none.

        Where they go on without their caller, whoever comes with the same `name` waits for them instead.
        """

    def alone(self, statement: str) -> None:
        """Carry this out outside a transaction. Repeating it changes nothing."""

    def stage(self, create: Sequence[str], table: str, rows: pa.Table, name: str = "") -> None:
        """Carry out `create`, which makes the quoted `table`, and fill it with `rows`: all, or nothing. `name`: see above."""

    def staged_before(self, table: str) -> None:
        """The quoted `table` was filled by somebody whose time was up: remove what is left of that elsewhere."""

    def under_way(self, prefix: str) -> list[str]:
        """The names that begin so of what goes on without its caller."""

    def query(self, sql: str) -> pa.Table:
        """One statement of a person, which can only read. Raises UsageInvalid where the server refuses it."""


class OneSession:
    """For a driver: connected while somebody is inside `opened`, one thread at a time. `_connection` is made by the first use.

    A session ends with its caller, and with it what was not committed.
    """

    def __init__(self) -> None:
        self._budget: Budget | None = None
        self._lock = threading.RLock()
        self._depth = 0
        self._connection: Any = None

    @contextmanager
    def opened(self, budget: Budget | None = None) -> Iterator[None]:
        with self._lock:
            self._depth += 1
            self._budget, before = budget or self._budget, self._budget
            try:
                yield
            finally:
                self._budget = before
                self._depth -= 1
                if not self._depth:
                    self._close()

    def staged_before(self, table: str) -> None:
        pass

    def under_way(self, prefix: str) -> list[str]:
        return []

    def _close(self) -> None:
        """Let go of the connection, where there is one."""
        raise NotImplementedError


def shown(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> pa.Table:
    """A person's result; what Arrow has no type for is shown as text."""
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    return pa.Table.from_arrays([_array(values) for values in columns], names=list(names))


def _array(values: Sequence[Any]) -> pa.Array:
    with suppress(pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        return pa.array(values)
    return pa.array([None if value is None else str(value) for value in values], pa.string())
