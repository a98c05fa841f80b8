"""The database file: opened for one piece of work, closed after it, so that everybody else can read in between."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeAlias

import duckdb
import pyarrow as pa

from tailrace.clock import Clock
from tailrace.errors import OutcomeUnknown, ServiceUnavailable, TailraceError, TargetBusy, UserFault
from tailrace.targets.planning import BATCH_ROWS

WAIT_SECONDS: Final = 30.0  # how long another program may hold the file before we give up
PAUSE_SECONDS_MIN: Final = 0.01
PAUSE_SECONDS_MAX: Final = 0.5
SEALED: Final[dict[str, Any]] = {"enable_external_access": False, "lock_configuration": True}
AWAKE_SECONDS: Final = 0.2  # a signal's handler runs only when the main thread is awake
INSERT_ROWS: Final = 500  # plain rows in one statement

Perform: TypeAlias = Callable[[str, Callable[[], Any]], Any]
"""How an effect is carried out: gets its name and the effect. Tests put faults here."""

_locks: dict[Path, threading.RLock] = {}
_locks_guard = threading.Lock()


def perform_plainly(name: str, effect: Callable[[], Any]) -> Any:
    """Just do it."""
    return effect()


class Session:
    """One open connection. Every statement passes through `perform`, so a test can strike at each of them."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, perform: Perform) -> None:
        self.connection = connection
        self._perform = perform

    def run(self, sql: str, values: list[Any] | None = None) -> list[tuple[Any, ...]]:
        """Execute one statement; its rows."""
        return self._perform(sql, lambda: self.connection.execute(sql, values).fetchall())  # type: ignore[no-any-return]

    def answer(self, sql: str) -> pa.Table:
        """The result of a statement that a person typed. Ctrl-C ends it: DuckDB itself would not look up from its work."""
        with ThreadPoolExecutor(1, thread_name_prefix="tailrace-query") as pool:
            running = pool.submit(lambda: self.connection.execute(sql).to_arrow_table(BATCH_ROWS))
            try:
                while not running.done():
                    wait([running], AWAKE_SECONDS)
                return running.result()
            except KeyboardInterrupt:
                self.connection.interrupt()
                raise

    def value(self, sql: str, values: list[Any] | None = None) -> Any:
        """The single value of a statement that gives one."""
        return self.run(sql, values)[0][0]

    def insert(self, table: str, rows: Sequence[Sequence[Any]]) -> None:
        """Insert plain values, many rows a statement."""
        for start in range(0, len(rows), INSERT_ROWS):
            chunk = rows[start : start + INSERT_ROWS]
            line = f"({', '.join('?' * len(chunk[0]))})"
            self.run(
                f"INSERT INTO {table} VALUES {', '.join([line] * len(chunk))}",
                [v for row in chunk for v in row],
            )

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside is visible together, or not at all. Raises OutcomeUnknown when COMMIT itself failed."""
        self.run("BEGIN TRANSACTION")
        try:
            yield
        except Exception:
            with suppress(duckdb.Error):  # after a fatal error there is no transaction left to end
                self.connection.rollback()
            raise
        try:
            self.run("COMMIT")
        except duckdb.Error as error:
            raise OutcomeUnknown(
                f"COMMIT failed: {_first_line(error)}",
                hint="The next load looks at the ledger first and goes on from it.",
            ) from error


class DatabaseFile:
    """A DuckDB file that many programs share. Inside a process a lock orders the users, between processes DuckDB's own."""

    def __init__(
        self, path: Path, clock: Clock, wait_seconds: float = WAIT_SECONDS, perform: Perform = perform_plainly
    ) -> None:
        self.path = path
        self._clock = clock
        self._wait_seconds = wait_seconds
        self._perform = perform

    @property
    def exists(self) -> bool:
        return self.path.exists()

    @contextmanager
    def session(self, *, read_only: bool, sealed: bool = False) -> Iterator[Session]:
        """Open, work, close. Raises TargetBusy when the file stays held, UserFault when it cannot be used at all.

        `sealed`: statements can reach no other file and no network, and cannot change that.
        """
        deadline = self._clock.monotonic() + self._wait_seconds
        lock = _lock_of(self.path)
        if not lock.acquire(timeout=self._wait_seconds):
            raise self._busy("another part of this program holds it")
        try:
            connection = self._perform("open", lambda: self._open(read_only, SEALED if sealed else {}, deadline))
            try:
                yield Session(connection, self._perform)
            except duckdb.Error as error:
                raise self._translate(error) from error
            finally:
                connection.close()
        finally:
            lock.release()

    def _open(self, read_only: bool, config: dict[str, Any], deadline: float) -> duckdb.DuckDBPyConnection:
        pause = PAUSE_SECONDS_MIN
        while True:
            try:
                if not read_only:
                    self.path.parent.mkdir(parents=True, exist_ok=True)
                return duckdb.connect(str(self.path), read_only=read_only, config=config)
            except (duckdb.Error, OSError) as error:
                if not _is_held(error):
                    raise self._translate(error) from error
                if self._clock.monotonic() >= deadline:
                    raise self._busy(_holder(error)) from error
            self._clock.wait(pause, threading.Event())
            pause = min(2 * pause, PAUSE_SECONDS_MAX)

    def _busy(self, holder: str) -> TargetBusy:
        return TargetBusy(
            f"The DuckDB file was held by another program for {self._wait_seconds:g} s: {holder}",
            hint="Close the shell or notebook that has it open, or let it open the file with read_only for each query.",
            path=self.path,
        )

    def _translate(self, error: Exception) -> TailraceError:
        """DuckDB's errors in our words; those of the disk are worth a repetition, others need a person."""
        text = _first_line(error)
        if "No space left" in text or "out of memory" in text.lower() or isinstance(error, duckdb.InterruptException):
            return ServiceUnavailable(
                f"DuckDB could not finish: {text}",
                hint="Free disk space or memory; nothing was applied.",
                path=self.path,
            )
        if isinstance(error, duckdb.CatalogException | duckdb.BinderException):
            return UserFault(
                f"A table in the DuckDB file is not as it was left: {text}",
                hint="Undo the change that was made to it, or load into another file.",
                path=self.path,
            )
        return UserFault(
            f"The DuckDB file cannot be used: {text}",
            hint="Check the path, the permissions and the DuckDB version that wrote it.",
            path=self.path,
        )


def _lock_of(path: Path) -> threading.RLock:
    with _locks_guard:
        return _locks.setdefault(path.resolve(), threading.RLock())


def _is_held(error: Exception) -> bool:
    """Another process has the lock, or somebody in this process has the file open in another way."""
    text = str(error)
    return "lock on file" in text or "different configuration" in text


def _holder(error: Exception) -> str:
    found = re.search(r"held in (.*?)\. (?:However|See)|held in (.*)", _first_line(error))
    return (found.group(1) or found.group(2)) if found else "this program has it open in another way"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:500]
