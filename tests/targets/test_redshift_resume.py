"""A load whose caller's time is up, or who is killed, at any moment: the next one goes on, never twice, and nothing is lost."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from load_world import World

from tailrace.clock import Budget, SystemClock
from tailrace.errors import OutOfTime
from tailrace.jobs.load import Loader
from tailrace.local.client import LocalAws
from tailrace.targets.redshift import DataApiConnection, Staging, Warehouse, redshift_target
from tailrace.targets.redshift.connector import ConnectorConnection
from tailrace.targets.redshift.credentials import Credentials, Login
from tailrace.targets.warehouse.target import WarehouseTarget
from tailrace.testing.target_contract import Replica, delete, put

pytestmark = pytest.mark.embedded

ROLE = "arn:aws:iam::111122223333:role/RedshiftCopy"
NUMBERS = itertools.count()
EFFECTS = ("batch_execute_statement", "put_object", "delete_objects")
LATE_SECONDS = 2.0  # a tick may end so much after its budget


class Killed(BaseException):
    """The process is no more."""


class Mortal:
    """A boto3 client whose process dies before or after a call that may change something, counted over all that share `left`."""

    def __init__(self, client: Any, left: list[int], after: bool) -> None:
        self._client, self._left, self._after = client, left, after
        self.meta, self.exceptions = client.meta, client.exceptions

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method: Callable[..., Any] = getattr(self._client, name)
        if name not in EFFECTS:
            return method

        def called(*arguments: Any, **request: Any) -> Any:
            self._left[0] -= 1
            if self._left[0] == 0 and not self._after:
                raise Killed
            answer = method(*arguments, **request)
            if self._left[0] == 0:
                raise Killed
            return answer

        return called


class Place:
    """A workgroup, and targets in it as processes that come one after the other have them."""

    def __init__(self, aws: LocalAws, clients: dict[str, Any]) -> None:
        self.aws, self.clients = aws, clients
        self.name = f"resumed-{next(NUMBERS)}"

    def target(self, by: str = "data-api", dies_at: int = -1, after: bool = False) -> WarehouseTarget:
        left = [dies_at]
        data, s3 = (Mortal(self.clients[name], left, after) for name in ("redshift-data", "s3"))
        staging = Staging(s3, f"s3://lake/{self.name}", ROLE)
        if by == "connector":
            login = Credentials(lambda: Login("loader", "none"), SystemClock())
            connection: Any = ConnectorConnection(*self.aws.redshift(self.name), "dev", login, staging)
        else:
            connection = DataApiConnection(data, Warehouse("dev", workgroup=self.name), staging, SystemClock())
        return redshift_target("dwh", connection, "public", SystemClock())

    def slow(self, statement: str, seconds: float) -> None:
        self.aws.fault("statement_slow", operation=statement, table=self.name, seconds=seconds)

    def batches(self, word: str) -> list[str]:
        """How each batch with such a statement ended."""
        pages = self.clients["redshift-data"].get_paginator("list_statements")
        return [
            statement["Status"]
            for page in pages.paginate(WorkgroupName=self.name, Database="dev")
            for statement in page["Statements"]
            if any(sql.startswith(word) for sql in statement.get("QueryStrings", ()))
        ]

    def files(self) -> list[str]:
        listed = self.clients["s3"].list_objects_v2(Bucket="lake", Prefix=f"{self.name}/")
        return [item["Key"] for item in listed.get("Contents", ())]

    def tables(self) -> list[str]:
        query = "SELECT DISTINCT table_name FROM svv_redshift_columns WHERE table_name LIKE '_tailrace_stage%'"
        return [row["table_name"] for row in self.target().query(query).to_pylist()]


@pytest.fixture
def place(aws: LocalAws, clients: dict[str, Any]) -> Iterator[Place]:
    yield Place(aws, clients)
    aws.clear_faults()


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.clock = SystemClock()  # type: ignore[assignment]
    return world


def timed(loader: Loader, seconds: float, stop: threading.Event | None = None) -> Any:
    """A tick, which ends with its budget."""
    began = time.monotonic()
    report = loader.tick(Budget(SystemClock(), seconds, stop))
    assert time.monotonic() - began < seconds + LATE_SECONDS
    return report


def test_killed_at_any_call_the_load_is_done_once_by_the_next(place: Place) -> None:
    changes = [put(10, x={"N": "5"}), put(11, "b", x={"S": "s"}), delete(12, "c")]
    killed = 0
    for at, after in itertools.product(range(1, 100), (False, True)):
        replica = Replica(place.target(), "changelog")
        replica.spec = replace(replica.spec, name=f"t{at}_{after}")
        load = replica.load((1, changes))
        before = [place.batches(word).count("FINISHED") for word in ("COPY", "LOCK")]
        try:
            place.target(dies_at=at, after=after).apply(load)
        except Killed:
            killed += 1
        else:
            break
        replica.target.apply(load)
        assert replica.target.apply(load).skipped == 1
        # The first LOCK is that under which the table is made.
        assert [place.batches(word).count("FINISHED") for word in ("COPY", "LOCK")] == [before[0] + 1, before[1] + 2]
        rows = replica.target.query(f"SELECT count(*) AS n FROM {replica.spec.name}").to_pylist()
        assert rows == [{"n": 3}]
        ledger = replica.ledger
        assert (ledger.applied_through, len(ledger.recent), ledger.begun_through) == (1, 1, 0)
    assert killed > 14
    assert place.tables() == []


def test_a_copy_that_takes_longer_than_any_tick_is_begun_once(place: Place, world: World) -> None:
    world.publish(put(1), put(2, "b"))
    world.loader(place.target()).tick(Budget(SystemClock()))
    world.publish(put(3), put(4, "c"))
    world.publish(put(5, "d"))
    place.slow("COPY", 8.0)
    ticks, is_begun = 0, False
    while True:
        report = timed(world.loader(place.target()), 2.0)
        ticks += 1
        if not is_begun and len(place.batches("COPY")) == 2:
            is_begun = True
            world.publish(put(6, "e"))  # comes after the load that was begun, and is no part of it
        if not report.more:
            break
        assert ticks < 30
    assert ticks > 3
    # One that ended just after it was looked for is begun again, and ends with CREATE: its staging table is there.
    assert place.batches("COPY").count("FINISHED") == 3
    world.replica.target = place.target()
    world.replica.check()
    assert [row.number for row in sorted(world.replica.ledger.recent, key=lambda row: row.number)] == [1, 2, 3, 4]
    assert (place.files(), place.tables()) == ([], [])


@pytest.mark.parametrize("statement", ["LOCK", "UPDATE"])
def test_a_transaction_that_takes_longer_than_any_tick_is_begun_once(
    place: Place, world: World, statement: str
) -> None:
    world.publish(put(1), put(2, "b"))
    world.loader(place.target()).tick(Budget(SystemClock()))
    world.publish(put(3), put(4, "c"), delete(5, "b"))
    before = place.batches("LOCK").count("FINISHED")
    place.slow(statement, 5.0)
    ticks = 1
    while timed(world.loader(place.target()), 2.0).more:
        ticks += 1
        assert ticks < 30
    assert ticks > 2
    assert place.batches("LOCK").count("FINISHED") == before + 1
    world.replica.target = place.target()
    world.replica.check()
    assert (place.files(), place.tables()) == ([], [])


def test_a_tick_that_is_told_to_stop_does_so(place: Place, world: World) -> None:
    world.publish(put(1))
    place.slow("COPY", 5.0)
    stop = threading.Event()
    threading.Timer(2.5, stop.set).start()
    began = time.monotonic()
    assert world.loader(place.target()).tick(Budget(SystemClock(), None, stop)).more
    assert time.monotonic() - began < 2.5 + LATE_SECONDS + 0.5


def test_a_driver_s_transaction_ends_with_its_caller_and_is_done_again(place: Place, world: World) -> None:
    world.publish(put(1), put(2, "b"))
    world.loader(place.target("connector")).tick(Budget(SystemClock()))
    world.publish(put(3), put(4, "c"))
    for statement in ("COPY", "LOCK"):
        place.slow(statement, 5.0)
        assert timed(world.loader(place.target("connector")), 1.5).more
        world.replica.target = place.target()
        assert world.replica.ledger.applied_through == 1
    timed(world.loader(place.target("connector")), 60.0)
    world.replica.check()
    assert (place.files(), place.tables()) == ([], [])


def test_without_time_nothing_is_begun(place: Place, world: World) -> None:
    world.publish(put(1))
    for by in ("data-api", "connector"):
        with pytest.raises(OutOfTime):
            place.target(by).ledger(world.replica.spec, Budget(SystemClock(), 0.0))
    assert place.batches("CREATE") == []


def test_another_loader_s_staging_table_is_none_of_ours(place: Place, world: World) -> None:
    """What is staged is told by what is in it: a load that is cut otherwise begins anew."""
    world.publish(put(1))
    world.publish(put(2, "b"))
    place.slow("COPY", 3.0)
    assert timed(world.loader(place.target(), segments=1), 1.5).more
    time.sleep(3.0)
    world.loader(place.target(), segments=2).tick(Budget(SystemClock()))
    world.replica.target = place.target()
    world.replica.check()
    assert place.tables() == []
