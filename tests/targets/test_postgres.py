"""PostgreSQL as a target: the contract, and faults at every call and every statement."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from tailrace.clock import SystemClock
from tailrace.errors import OutcomeUnknown, ServiceUnavailable, TailraceError, Transient, UserFault
from tailrace.local.redshift.postgres import USER, PostgresServer
from tailrace.targets.postgres import PostgresConnection, PostgresDialect, postgres_target
from tailrace.targets.target import Load, Mode
from tailrace.targets.warehouse.target import WarehouseTarget
from tailrace.testing.target_contract import HISTORY, Replica, TargetContract, put

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


class Schemas:
    """A schema for each place."""

    def __init__(self, server: PostgresServer) -> None:
        self.settings: dict[str, Any] = {"host": str(server.folder), "user": USER, "dbname": "postgres"}
        self._made: set[str] = set()

    def of(self, place: Path) -> str:
        schema = schema_of(place)
        if schema not in self._made:
            self.run(f"CREATE SCHEMA {quoted(schema)}")
            self._made.add(schema)
        return schema

    def drop(self, place: Path) -> None:
        self._made.discard(self.of(place))
        self.run(f"DROP SCHEMA {quoted(schema_of(place))} CASCADE")

    def run(self, *statements: str) -> None:
        with psycopg.connect(**self.settings) as connection:
            for statement in statements:
                connection.execute(statement)


def schema_of(place: Path) -> str:
    return f'at "{hashlib.sha256(str(place).encode()).hexdigest()[:12]}"'


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@pytest.fixture(scope="module")
def schemas(server: PostgresServer) -> Schemas:
    return Schemas(server)


class TestPostgres(TargetContract):
    ledger_table = "_tailrace_ledger"
    ignores_case = False
    holds_nul = False

    @pytest.fixture(autouse=True)
    def _schemas(self, schemas: Schemas) -> None:
        self.schemas = schemas

    def make_target(self, place: Path) -> WarehouseTarget:
        return postgres_target("pg", self.schemas.settings, self.schemas.of(place), SystemClock())

    def tamper(self, place: Path, sql: str) -> None:
        self.schemas.run(f"SET search_path = {quoted(self.schemas.of(place))}", sql)


# ---- faults at every call, and at every statement of every transaction


@dataclass
class Strike:
    """What happens at which call: ``before`` nothing is done, ``after`` all is and nobody learns of it; N: statement N fails."""

    at: int
    how: str | int
    calls: list[tuple[str, int]] = field(default_factory=list)

    def meets(self, name: str, statements: int) -> bool:
        self.calls.append((name, statements))
        return len(self.calls) - 1 == self.at


class Faulty(PostgresConnection):
    """A connection on which a fault strikes once."""

    strike = Strike(-1, "")

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        if self.strike.meets("rows", 0):
            raise ServiceUnavailable("struck")
        return super().rows(sql)

    def results(self, statements: Sequence[str]) -> list[list[tuple[Any, ...]]]:
        if self.strike.meets("rows", 0):
            raise ServiceUnavailable("struck")
        return super().results(statements)

    def transaction(self, statements: Sequence[str], name: str = "") -> None:
        struck, how = self.strike.meets("transaction", len(statements)), self.strike.how
        if struck and how == "before":
            raise ServiceUnavailable("struck")
        if struck and isinstance(how, int):
            statements = [*statements[:how], "SELECT 1 / 0", *statements[how:]]
        super().transaction(statements)
        if struck:
            raise OutcomeUnknown("struck")

    def stage(self, create: Sequence[str], table: str, rows: pa.Table, name: str = "") -> None:
        struck, how = self.strike.meets("stage", len(create)), self.strike.how
        if struck and how == "before":
            raise ServiceUnavailable("struck")
        if struck and isinstance(how, int):
            create = [*create[:how], "SELECT 1 / 0", *create[how:]]
        super().stage(create, table, rows)
        if struck:
            raise OutcomeUnknown("struck")


class Between(PostgresConnection):
    """A connection on which something happens behind the first look at how things stand."""

    happens: Callable[[], Any] | None = None

    def results(self, statements: Sequence[str]) -> list[list[tuple[Any, ...]]]:
        found = super().results(statements)
        happens, self.happens = self.happens, None
        if happens is not None:
            happens()
        return found


def opened(schemas: Schemas, place: Path, mode: Mode, strike: Strike) -> Replica:
    connection = Faulty(schemas.settings, schemas.of(place))
    connection.strike = strike
    target = WarehouseTarget("pg", "postgres", schemas.of(place), connection, PostgresDialect(), SystemClock())
    return Replica(target, mode)


def tables(schemas: Schemas, place: Path) -> set[str]:
    sql = "SELECT table_name FROM information_schema.tables WHERE table_schema = %s"
    with psycopg.connect(**schemas.settings) as connection:
        return {row[0] for row in connection.execute(sql, [schemas.of(place)])}


def outcome(replica: Replica, load: Load) -> TailraceError | None:
    try:
        replica.target.apply(load)
    except TailraceError as error:
        return error
    return None


@pytest.mark.parametrize("use", ["ledger", "apply"])
def test_a_table_that_another_loader_makes_meanwhile_is_not_gone(schemas: Schemas, tmp_path: Path, use: str) -> None:
    other = opened(schemas, tmp_path, "current", Strike(-1, ""))
    other.apply((1, []))
    other.spec = replace(other.spec, source="Others", name="others")  # our own tables are there, this one is not yet
    connection = Between(schemas.settings, schemas.of(tmp_path))
    target = WarehouseTarget("pg", "postgres", schemas.of(tmp_path), connection, PostgresDialect(), SystemClock())
    load = other.load((1, [put(10)]))
    connection.happens = lambda: other.apply((1, [put(10)]))
    if use == "ledger":
        assert [target.ledger(other.spec).applied_through for _ in range(2)] == [0, 1]
    else:
        assert target.apply(load).skipped == 1


@pytest.mark.parametrize(
    ("mode", "number"), [("current", 0), ("current", 2), ("soft_delete", 4), ("changelog", 4), ("history", 4)]
)
def test_a_fault_anywhere_leaves_the_old_state_or_the_new(
    schemas: Schemas, tmp_path: Path, mode: Mode, number: int
) -> None:
    plain = opened(schemas, tmp_path / "plain", mode, Strike(-1, ""))
    for load in HISTORY[:number]:
        plain.apply(load)
    quiet = Strike(-1, "")
    opened(schemas, tmp_path / "plain", mode, quiet).target.apply(plain.load(HISTORY[number]))
    ways = [
        (at, how)
        for at, (name, count) in enumerate(quiet.calls)
        for how in (["before"] if name == "rows" else ["before", "after", *range(count + (name == "stage"))])
    ]
    assert len(ways) > 15
    left = tables(schemas, tmp_path / "plain")
    for at, how in ways:
        place = tmp_path / f"{at} {how}"
        replica = opened(schemas, place, mode, Strike(-1, ""))
        for done in HISTORY[:number]:
            replica.apply(done)
        load = replica.load(HISTORY[number])
        struck = opened(schemas, place, mode, Strike(at, how))
        error = outcome(struck, load)
        # A refused statement, behind one of our own that had changed the table's version, is tried again.
        was_begun_anew = error is None and isinstance(how, int)
        assert was_begun_anew or isinstance(error, UserFault if isinstance(how, int) else Transient)
        is_applied = replica.ledger.holds(HISTORY[number][0])
        is_last = at == len(quiet.calls) - 1
        assert is_applied == (was_begun_anew or (how == "after" and is_last)), (
            "nothing but the last transaction applies"
        )
        if number or is_applied:
            replica.applied = dict(HISTORY[: number + is_applied])
            replica.check()
        again = opened(schemas, place, mode, Strike(-1, ""))
        again.applied = dict(HISTORY[:number])
        again.apply(HISTORY[number])
        again.check()
        assert tables(schemas, place) == left, "staging tables stay behind"
        schemas.drop(place)
