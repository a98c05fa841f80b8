"""PostgreSQL as a target: the contract, and faults at every call and every statement."""

from __future__ import annotations

import hashlib
import random
import re
import time
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
from tailrace.testing.target_contract import COMPOSITE, HISTORY, Change, Replica, TargetContract, put

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


# ---- where it is, and who may come in


def place(schemas: Schemas, settings: dict[str, Any], schema: str = "public") -> WarehouseTarget:
    return postgres_target("pg", {**schemas.settings, **settings}, schema, SystemClock())


@pytest.mark.parametrize("of", ["environment", "role", "service"])
def test_texts_are_kept_whatever_encoding_the_client_was_told(
    schemas: Schemas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of: str
) -> None:
    if of == "environment":
        monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    elif of == "service":
        (tmp_path / "services").write_text("[lake]\nclient_encoding=LATIN1\n")
        monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
        monkeypatch.setenv("PGSERVICE", "lake")
    else:
        schemas.run(f"ALTER ROLE {USER} SET client_encoding = 'LATIN1'")
    try:
        replica = Replica(place(schemas, {}, schemas.of(tmp_path)))
        replica.apply((1, [put(1, "Zürich", x={"S": "é → 東京"}), put(2, "plain", é={"M": {"ü": {"S": "ß"}}})]))
        replica.check()
        assert list(replica.found(["Zürich"]))
    finally:
        schemas.run(f"ALTER ROLE {USER} RESET client_encoding")
    utf8 = {**schemas.settings, "client_encoding": "UTF8"}
    with psycopg.connect(**utf8) as connection:  # as everybody else sees it
        table = f"{quoted(schemas.of(tmp_path))}.orders"
        assert connection.execute(f"SELECT x FROM {table} WHERE pk = 'Zürich'").fetchall() == [("é → 東京",)]


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_that_cannot_hold_every_text_is_refused(schemas: Schemas, encoding: str) -> None:
    with psycopg.connect(**schemas.settings, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {encoding} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
    replica = Replica(place(schemas, {"dbname": encoding.lower()}))
    with pytest.raises(UserFault, match=f"is encoded in {encoding}") as caught:
        replica.apply((1, [put(1)]))
    assert "ENCODING 'UTF8'" in caught.value.hint


def test_who_is_not_let_in_is_told_so_and_does_not_come_again(server: PostgresServer, schemas: Schemas) -> None:
    schemas.run("CREATE ROLE shut_out LOGIN", "CREATE ROLE nobody_logs_in", "CREATE ROLE outsider LOGIN")
    with psycopg.connect(**schemas.settings, autocommit=True) as connection:
        connection.execute("CREATE DATABASE members_only")
        connection.execute("REVOKE CONNECT ON DATABASE members_only FROM PUBLIC")
        rules = server.folder / "data" / "pg_hba.conf"
        rules.write_text(f"local all shut_out reject\n{rules.read_text()}")
        connection.execute("SELECT pg_reload_conf()")
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:  # until the server has read it
        try:
            psycopg.connect(**{**schemas.settings, "user": "shut_out"}).close()
        except psycopg.OperationalError:
            break
        time.sleep(0.02)
    for settings, said in (
        ({"dbname": "nowhere"}, "nowhere"),
        ({"user": "unknown"}, "unknown"),
        ({"user": "nobody_logs_in"}, "not permitted to log in"),
        ({"user": "outsider", "dbname": "members_only"}, "permission denied"),
        ({"user": "shut_out"}, "pg_hba.conf"),
    ):
        with pytest.raises(UserFault, match=re.escape(said)):
            place(schemas, settings).query("SELECT 1")
    for settings in ({"host": "/nowhere"}, {"host": "127.0.0.1", "port": 1}):
        with pytest.raises(ServiceUnavailable):
            place(schemas, settings).query("SELECT 1")


# ---- what is in the way


def test_a_view_on_a_column_that_must_widen_is_named(schemas: Schemas, tmp_path: Path) -> None:
    replica = opened(schemas, tmp_path, "current", Strike(-1, ""))
    replica.apply((1, [put(1, x={"N": "1"})]))
    schema = quoted(schemas.of(tmp_path))
    schemas.run(f"CREATE VIEW {schema}.prices AS SELECT pk, x FROM {schema}.orders")
    replica.apply((2, [put(2, new={"S": "a new column is no trouble"})]))
    with pytest.raises(UserFault, match=r"view .*prices depends on column \"x\"") as caught:
        replica.apply((3, [put(3, x={"N": "1.5"})]))
    assert caught.value.facts["table"] == "Orders"
    assert "Drop it" in caught.value.hint
    schemas.run(f"DROP VIEW {schema}.prices")
    replica.apply((3, [put(3, x={"N": "1.5"})]))
    replica.check()


WIDE = {
    "texts": {f"s{n}": {"S": f"{n:030}"} for n in range(450)},
    "columns": {f"n{n}": {"BOOL": True} for n in range(1700)},
}


@pytest.mark.parametrize("what", WIDE)
def test_an_item_that_no_row_has_room_for_says_what_can_be_done(schemas: Schemas, tmp_path: Path, what: str) -> None:
    replica = opened(schemas, tmp_path, "current", Strike(-1, ""))
    replica.apply((1, [put(1, "small")]))
    with pytest.raises(UserFault, match=r"row is too big|would have 17\d\d columns") as caught:
        replica.apply((2, [put(2, "large", **WIDE[what])]))
    assert "more attributes than a row has room for" in caught.value.hint
    assert caught.value.facts["table"] == "Orders"
    replica.check()


def test_an_index_that_takes_no_long_text_is_told_from_a_row(schemas: Schemas, tmp_path: Path) -> None:
    replica = opened(schemas, tmp_path, "current", Strike(-1, ""))
    replica.apply((1, [put(1, note={"S": "short"})]))
    schemas.run(f"CREATE INDEX of_mine ON {quoted(schemas.of(tmp_path))}.orders (note)")
    with pytest.raises(UserFault, match="index row") as caught:
        replica.apply((2, [put(2, note={"S": random.Random(1).randbytes(20_000).hex()})]))
    assert "Drop the index" in caught.value.hint


def test_many_keys_are_found_soon(schemas: Schemas, tmp_path: Path) -> None:
    connection = PostgresConnection(schemas.settings, schemas.of(tmp_path), timeout_seconds=10)
    target = WarehouseTarget("pg", "postgres", schemas.of(tmp_path), connection, PostgresDialect(), SystemClock())
    replica = Replica(target, "current", COMPOSITE)
    keys = [(f"customer {n % 1000}", f"order {n}") for n in range(40_000)]
    replica.apply((1, [Change("u", {"pk": {"S": a}, "sk": {"S": b}}, n) for n, (a, b) in enumerate(keys[:10_000], 1)]))
    schemas.run(f"ANALYZE {quoted(schemas.of(tmp_path))}.orders")
    assert len(replica.found(*keys[9_999:])) == 1


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
