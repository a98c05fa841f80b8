"""How wide text columns are in Redshift, and how they grow: by bytes, without a value lost or cut."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tailrace.clock import SystemClock
from tailrace.local.client import LocalAws
from tailrace.targets.redshift import DataApiConnection, Staging, Warehouse, redshift_target
from tailrace.targets.redshift.connector import ConnectorConnection
from tailrace.targets.redshift.credentials import Credentials, Login
from tailrace.targets.target import Mode
from tailrace.targets.warehouse.connection import StatementFailed
from tailrace.testing.target_contract import PK, Replica, delete, put

pytestmark = pytest.mark.embedded

ROLE = "arn:aws:iam::111122223333:role/RedshiftCopy"
NUMBERS = itertools.count()


class Watched(DataApiConnection):
    """Notes what is carried out outside a transaction, and whether a table is made anew; may be told to refuse or to die."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.alone_done: list[str] = []
        self.anew = 0
        self.refuses = False
        self.dies = False

    def alone(self, statement: str) -> None:
        if self.refuses:
            raise StatementFailed("cannot alter a column with encoding BYTEDICT")
        super().alone(statement)
        self.alone_done.append(statement)
        if self.dies:
            raise KeyboardInterrupt

    def transaction(self, statements: Any, name: str = "") -> None:
        super().transaction(statements, name)
        self.anew += sum(" AS SELECT " in statement and "anew" in statement for statement in statements)


class Place:
    """A workgroup and a replica in it."""

    def __init__(self, aws: LocalAws, clients: dict[str, Any], mode: Mode = "current") -> None:
        self.aws, self.clients = aws, clients
        self.name = f"texts-{next(NUMBERS)}"
        self.connection = self.connect()
        self.replica = Replica(redshift_target("dwh", self.connection, "public", SystemClock()), mode)

    def connect(self) -> Watched:
        staging = Staging(self.clients["s3"], f"s3://lake/{self.name}", ROLE)
        return Watched(self.clients["redshift-data"], Warehouse("dev", self.name), staging, SystemClock())

    def widths(self) -> dict[str, str]:
        query = (
            "SELECT column_name, data_type FROM svv_redshift_columns WHERE table_name = 'orders'"
            " AND column_name NOT LIKE '_tr_%' ORDER BY ordinal_position"
        )
        return {name: kind.removeprefix("character varying") for name, kind in self.connection.rows(query)}


@pytest.fixture
def place(aws: LocalAws, clients: dict[str, Any]) -> Iterator[Place]:
    yield Place(aws, clients)
    aws.clear_faults()


def text(size: int) -> dict[str, str]:
    """So many bytes, nearly all of them in letters of two."""
    return {"S": "é" * (size // 2) + "a" * (size % 2)}


@pytest.mark.parametrize(
    ("size", "width"),
    [(0, 256), (256, 256), (257, 1024), (1024, 1024), (4097, 16_384), (16_385, 65_535), (65_535, 65_535)],
)
def test_a_new_column_has_room_for_the_longest_text_by_bytes(place: Place, size: int, width: int) -> None:
    place.replica.apply((1, [put(1, x=text(size)), put(2, "b", x=text(size // 2))]))
    assert place.widths() == {"pk": "(2048)", "x": f"({width})"}
    place.replica.check()


@pytest.mark.parametrize("mode", ["current", "soft_delete", "changelog", "history"])
def test_a_column_grows_in_place_and_keeps_everything(aws: LocalAws, clients: dict[str, Any], mode: Mode) -> None:
    place = Place(aws, clients, mode)
    place.replica.apply((1, [put(1, x=text(200), y=text(10)), put(2, "b", x=text(256)), put(3, "c")]))
    for number, size in enumerate((257, 5000, 60_000), start=2):
        place.replica.apply((number, [put(10 * number, "a", x=text(size)), delete(10 * number + 1, "c")]))
    assert place.widths() == {"pk": "(2048)", "x": "(65535)", "y": "(256)"}
    assert [statement.rsplit(" ", 1)[1] for statement in place.connection.alone_done] == [
        "VARCHAR(1024)",
        "VARCHAR(16384)",
        "VARCHAR(65535)",
    ]
    assert place.connection.anew == 0
    place.replica.check()


def test_a_key_is_as_wide_as_dynamodb_lets_it_be_from_the_beginning(place: Place) -> None:
    place.replica.apply((1, [put(1)]))
    place.replica.apply((2, [put(2, "k" * 1025), put(3, "k" * 2048)]))
    assert (place.widths(), place.connection.alone_done) == ({"pk": "(2048)"}, [])
    place.replica.check()


def test_a_refusal_that_is_about_something_else_touches_no_column(place: Place) -> None:
    place.replica.apply((1, [put(1, x=text(10))]))
    place.aws.fault("statement_refused", operation="LOCK", table=place.name)
    place.replica.apply((2, [put(2, x=text(20))]))
    assert (place.aws.faults(), place.connection.alone_done) == ([], [])
    place.replica.check()


def test_where_redshift_refuses_the_table_is_made_anew(place: Place) -> None:
    place.replica.apply((1, [put(1, x=text(256), n={"N": "1"}), put(2, "b")]))
    place.connection.refuses = True
    place.replica.apply((2, [put(3, "c", x=text(300))]))
    assert (place.widths()["x"], place.connection.anew) == ("(1024)", 1)
    place.replica.check()


def test_killed_between_the_growth_and_the_load_the_next_one_goes_on(place: Place) -> None:
    place.replica.apply((1, [put(1, x=text(256))]))
    load = place.replica.load((2, [put(2, "b", x=text(300))]))
    place.connection.dies = True
    with pytest.raises(KeyboardInterrupt):
        place.replica.target.apply(load)
    place.connection.dies = False
    place.replica.apply((2, [put(2, "b", x=text(300))]))
    assert place.widths()["x"] == "(1024)"
    place.replica.check()


def test_room_that_somebody_took_away_is_made_again(place: Place) -> None:
    place.replica.apply((1, [put(1, x=text(256))]))
    place.replica.apply((2, [put(2, x=text(300))]))
    place.replica.apply((3, [put(3, x=text(10))]))
    place.connection.rows("ALTER TABLE orders ALTER COLUMN x TYPE VARCHAR(256)")
    place.replica.apply((4, [put(4, "b", x=text(1000))]))
    assert place.widths()["x"] == "(1024)"
    place.replica.check()


def test_two_loaders_that_grow_one_column_both_come_through(place: Place) -> None:
    place.replica.apply((1, [put(1, x=text(256))]))
    segments = [
        (number, [put(10 * number, str(number), x=text(size))]) for number, size in ((2, 300), (3, 20_000), (4, 5000))
    ]
    errors: list[BaseException] = []

    def load(segment: Any) -> None:
        try:
            other = Replica(redshift_target("dwh", place.connect(), "public", SystemClock()), "current", PK)
            other.target.apply(other.load(segment))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=load, args=(segment,)) for segment in segments]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    place.replica.applied.update(segments)
    place.replica.check()


def test_the_driver_makes_room_outside_a_transaction_too(place: Place) -> None:
    login = Credentials(lambda: Login("loader", "none"), SystemClock())
    staging = Staging(place.clients["s3"], f"s3://lake/{place.name}", ROLE)
    driver = ConnectorConnection(*place.aws.redshift(place.name), "dev", login, staging)
    place.replica.target = redshift_target("dwh", driver, "public", SystemClock())
    place.replica.apply((1, [put(1, x=text(256))]))
    place.replica.apply((2, [put(2, "b", x=text(257))]))
    assert place.widths()["x"] == "(1024)"
    place.replica.check()


def test_a_table_from_before_widths_were_chosen_stays_as_it_is(place: Place) -> None:
    place.replica.apply((1, [put(1, x=text(256))]))
    place.connection.rows("ALTER TABLE orders ALTER COLUMN x TYPE VARCHAR(65535)")
    place.connection.transaction(["UPDATE _tailrace_columns SET scale = 0 WHERE name = 'x'"])
    place.replica.apply((2, [put(2, "b", x=text(60_000))]))
    assert (place.widths()["x"], place.connection.alone_done) == ("(65535)", [])
    place.replica.check()
