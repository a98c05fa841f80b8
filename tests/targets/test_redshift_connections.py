"""Both connections to Redshift on the stand-in: what they read and write, and what they say when something is in the way."""

from __future__ import annotations

import itertools
import json
import threading
import traceback
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from tailrace.clock import SystemClock
from tailrace.errors import OutcomeUnknown, OutOfTime, ServiceUnavailable, TargetContended, UsageInvalid, UserFault
from tailrace.local.client import LocalAws
from tailrace.targets.redshift.connector import ConnectorConnection
from tailrace.targets.redshift.credentials import Credentials, Login
from tailrace.targets.redshift.data_api import DataApiConnection, Warehouse
from tailrace.targets.redshift.staging import Staging
from tailrace.targets.warehouse.connection import Connection, StatementFailed

pytestmark = pytest.mark.embedded

NUMBERS = itertools.count()
ROLE = "arn:aws:iam::111122223333:role/RedshiftCopy"
BIG = Decimal("-123456789012345678901234567890123456.78")
LONG = "ü" * 40_000  # more than a row of the Data API's results may hold


class Place:
    """A workgroup of its own, its staging folder, and connections to it."""

    def __init__(self, aws: LocalAws, clients: dict[str, Any], kind: str = "data_api") -> None:
        self.kind = kind
        self.aws, self.data, self.s3 = aws, clients["redshift-data"], clients["s3"]
        self.name = f"warehouse-{next(NUMBERS)}"
        self.staging = Staging(self.s3, f"s3://lake/{self.name}", ROLE)
        self.connection = self.connect()

    def connect(self, database: str = "dev", **more: Any) -> Connection:
        if self.kind == "connector":
            credentials = Credentials(lambda: Login("loader", "canary-8c1f"), SystemClock())
            return ConnectorConnection(*self.aws.redshift(self.name), database, credentials, self.staging, **more)
        return DataApiConnection(
            self.data, Warehouse(database, workgroup=self.name), self.staging, SystemClock(), **more
        )

    def count(self, table: str) -> int:
        return int(self.connection.rows(f"SELECT count(*) FROM {table}")[0][0])

    def objects(self) -> list[str]:
        listed = self.s3.list_objects_v2(Bucket="lake", Prefix=f"{self.name}/")
        return [item["Key"] for item in listed.get("Contents", ())]

    def requests(self) -> int:
        return len(self.data.list_statements(WorkgroupName=self.name, Database="dev")["Statements"])


@pytest.fixture(params=["data_api", "connector"])
def place(request: pytest.FixtureRequest, aws: LocalAws, clients: dict[str, Any]) -> Iterator[Place]:
    yield Place(aws, clients, request.param)
    aws.clear_faults()


@pytest.fixture
def api(aws: LocalAws, clients: dict[str, Any]) -> Iterator[Place]:
    """The Data API only."""
    yield Place(aws, clients)
    aws.clear_faults()


# ---- rows in and out


STAGED = pa.table(
    {
        "s": pa.array(["", "it's \\ \"x\"", None, LONG[:32_000]]),
        "d": pa.array([BIG, Decimal("0.00"), None, Decimal("1.50")], pa.decimal128(38, 2)),
        "b": pa.array([b"", b"\x00\xff", None, b"x"], pa.binary()),
        "t": pa.array([True, False, None, True]),
        "i": pa.array([-(2**63), 2**63 - 1, None, 0], pa.int64()),
        "l": pa.array([[BIG], [], None, [Decimal("0.10")]], pa.list_(pa.decimal128(38, 2))),
        "lb": pa.array([[b"\x00"], [], None, [b"a", b"b"]], pa.list_(pa.binary())),
        "ls": pa.array([["é"], ["it's \\"], None, []], pa.list_(pa.string())),
    }
)  # fmt: skip
CREATE = (
    "CREATE TABLE stage (s VARCHAR(65535), d DECIMAL(38, 2), b VARBYTE(1024), t BOOLEAN, i BIGINT,"
    " l VARBYTE(1000000), lb VARBYTE(1000000), ls VARBYTE(1000000))"
)


def test_what_is_staged_comes_back_exactly(place: Place) -> None:
    place.connection.stage(["DROP TABLE IF EXISTS stage", CREATE], '"stage"', STAGED)
    assert place.objects() == []
    place.connection.transaction(
        [
            (
                "CREATE TABLE t (s VARCHAR(65535), d DECIMAL(38, 2), b VARBYTE(1024), t BOOLEAN, i BIGINT,"
                " l SUPER, lb SUPER, ls SUPER)"
            ),
            "INSERT INTO t SELECT s, d, b, t, i, JSON_PARSE(l), JSON_PARSE(lb), JSON_PARSE(ls) FROM stage",
        ]
    )
    varbyte = ", ".join(f"JSON_SERIALIZE_TO_VARBYTE({name}) AS {name}" for name in ("l", "lb", "ls"))
    batches = place.connection.batches(f"SELECT s, d, b, t, i, {varbyte} FROM t", STAGED.schema)
    found = pa.Table.from_batches(batches, STAGED.schema)
    assert sorted(map(repr, found.to_pylist())) == sorted(map(repr, STAGED.to_pylist()))
    assert place.objects() == []


def test_small_results_have_the_values_types(place: Place) -> None:
    row = place.connection.rows(
        "SELECT CAST(7 AS BIGINT), CAST('1.50' AS DECIMAL(38, 2)), TRUE, NULL, 'a', FROM_HEX('00ff'),"
        " TIMESTAMP '2026-11-24 05:00:00'"
    )[0]
    assert row[:6] == (7, Decimal("1.50"), True, None, "a", b"\x00\xff")
    assert row[6].isoformat() == "2026-11-24T05:00:00"


def test_all_pages_of_a_result_are_read(place: Place) -> None:
    found = place.connection.rows("SELECT n FROM generate_series(1, 2500) AS g(n) ORDER BY n")
    assert found == [(n,) for n in range(1, 2501)]


def test_a_row_that_no_result_holds_comes_by_unload(api: Place) -> None:
    schema = pa.schema([("a", pa.string()), ("b", pa.string())])
    sql = f"SELECT '{LONG[:30_000]}' AS a, '{LONG[:9_000]}' AS b"
    found = list(api.connection.batches(sql, schema))
    assert found[0].to_pylist() == [{"a": LONG[:30_000], "b": LONG[:9_000]}]
    with pytest.raises(StatementFailed, match="row"):
        api.connection.rows(sql)


def test_no_rows_are_no_batches(place: Place) -> None:
    assert list(place.connection.batches("SELECT 1 AS n WHERE 1 = 0", pa.schema([("n", pa.int64())]))) == []


def test_many_rows_are_several_files_of_one_manifest(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tailrace.targets.redshift.staging.FILE_BYTES", 8_000)
    rows = pa.table({"n": pa.array(range(4_000), pa.int64())})
    manifest = place.staging.put("here", rows)
    body = place.s3.get_object(Bucket="lake", Key=manifest.removeprefix("s3://lake/"))["Body"].read()
    entries = json.loads(body)["entries"]
    assert len(entries) == 4
    assert all(entry["mandatory"] and entry["meta"]["content_length"] for entry in entries)
    assert place.staging.put("here", rows) == manifest
    assert len(place.objects()) == 5
    place.connection.stage(["CREATE TABLE stage (n BIGINT)"], '"stage"', rows)
    assert place.connection.rows("SELECT count(*), sum(n) FROM stage") == [(4_000, Decimal(4_000 * 3_999 // 2))]


def test_no_rows_can_be_staged(place: Place) -> None:
    place.connection.stage(["CREATE TABLE stage (n BIGINT)"], '"stage"', pa.table({"n": pa.array([], pa.int64())}))
    assert place.count("stage") == 0


def test_what_a_person_asks_can_only_read(place: Place) -> None:
    place.connection.transaction(["CREATE TABLE t (n BIGINT)"])
    assert place.connection.query("SELECT 1 AS n -- one;\n;").to_pylist() == [{"n": 1}]
    for sql in ("DROP TABLE t", "SELECT 1) q; DROP TABLE t; --", "DELETE FROM t", "nonsense"):
        with pytest.raises(UsageInvalid):
            place.connection.query(sql)
    assert place.count("t") == 0


# ---- transactions and what is in their way


def test_a_transaction_is_done_whole_or_not_at_all(place: Place) -> None:
    with pytest.raises(StatementFailed) as caught:
        place.connection.transaction(["CREATE TABLE t (n BIGINT)", "SELECT CAST('tailrace: no' AS INTEGER)"])
    assert caught.value.at == 1
    assert "tailrace: no" in str(caught.value)
    with pytest.raises(StatementFailed):
        place.count("t")


def test_limits_are_checked_before_anything_is_sent(api: Place) -> None:
    with pytest.raises(ValueError, match="41 statements"):
        api.connection.transaction(["SELECT 1"] * 41)
    with pytest.raises(UserFault, match="has 102409 bytes, and the Data API takes 102400") as caught:
        api.connection.transaction([f"SELECT '{'x' * 102_400}'"])
    assert 'shape = "super"' in caught.value.hint
    assert api.requests() == 0


@pytest.mark.parametrize(
    ("kind", "operation", "error", "done"),
    [
        ("serialization", "INSERT", TargetContended, 0),
        ("serialization", "COMMIT", TargetContended, 0),
        ("statement_timeout", "INSERT", TargetContended, 0),
        ("connection_lost", "INSERT", ServiceUnavailable, 0),
        ("reply_lost", "INSERT", ServiceUnavailable, 0),
        ("connection_lost", "COMMIT", OutcomeUnknown, 0),
        ("reply_lost", "COMMIT", OutcomeUnknown, 1),
    ],
)
def test_a_fault_is_told_by_what_it_left(place: Place, kind: str, operation: str, error: type, done: int) -> None:
    place.connection.transaction(["CREATE TABLE t (n BIGINT)"])
    place.aws.fault(kind, operation=operation, table=place.name)
    with pytest.raises(error):
        place.connection.transaction(["INSERT INTO t SELECT 1", "SELECT 1"])
    assert place.count("t") == done


def test_an_answer_that_is_lost_changes_nothing_twice(api: Place) -> None:
    api.connection.transaction(["CREATE TABLE t (n BIGINT)"])
    api.aws.fault("lost_answer", operation="BatchExecuteStatement")
    api.aws.fault("lost_answer", operation="DescribeStatement")
    api.connection.transaction(["INSERT INTO t SELECT 1"])
    assert api.count("t") == 1


def test_a_slower_pace_is_taken_where_it_is_asked_for(api: Place) -> None:
    api.connection.transaction(["CREATE TABLE t (n BIGINT)"])
    for operation in ("ListStatements", "BatchExecuteStatement", "DescribeStatement", "GetStatementResult"):
        api.aws.fault("throttle", operation=operation, count=2 if operation != "DescribeStatement" else 1)
    api.connection.transaction(["INSERT INTO t SELECT 1"])
    assert api.count("t") == 1
    assert api.aws.faults() == []


def test_a_client_that_knows_no_waiting_asks_again_and_again(api: Place) -> None:
    connection = api.connect()
    assert isinstance(connection, DataApiConnection)
    connection._long_polls = False  # as with a boto3 before WaitTimeSeconds
    connection.transaction(["CREATE TABLE t (n BIGINT)", "SELECT pg_sleep(0.3)", "INSERT INTO t SELECT 1"])
    assert connection.rows("SELECT n FROM t") == [(1,)]


def test_no_answer_at_all_is_an_outcome_that_nobody_knows(api: Place) -> None:
    api.connection.transaction(["CREATE TABLE t (n BIGINT)"])
    api.aws.fault("lost_answer", operation="BatchExecuteStatement", count=100)
    with pytest.raises(OutcomeUnknown):
        api.connection.transaction(["INSERT INTO t SELECT 1"])
    api.aws.clear_faults()


def test_a_statement_that_outlives_its_caller_is_waited_for_by_the_next(api: Place) -> None:
    api.connection.transaction(["CREATE TABLE t (n BIGINT)"])
    statements = ["SELECT pg_sleep(3)", "INSERT INTO t SELECT 1"]
    with pytest.raises(OutOfTime, match="still at work"):
        api.connect(wait_seconds=0.2).transaction(statements)
    before = api.requests()
    api.connect().transaction(statements)
    assert api.requests() == before
    assert api.count("t") == 1
    api.connection.transaction(statements[1:])
    assert api.count("t") == 2


def test_two_at_once_wait_for_a_lock(place: Place) -> None:
    place.connection.transaction(["CREATE TABLE t (n BIGINT)", "INSERT INTO t SELECT 0"])

    def add() -> None:
        place.connect().transaction(["LOCK t", "UPDATE t SET n = n + 1", f"SELECT {threading.get_ident()}"])

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert place.connection.rows("SELECT n FROM t") == [(4,)]


def test_a_database_that_is_not_there_is_for_a_person_to_settle(place: Place) -> None:
    connection = place.connect("prod")
    with pytest.raises(UserFault, match="prod"):
        connection.rows("SELECT 1")
    with pytest.raises(UserFault, match="prod"):
        connection.transaction(["SELECT 1"])


# ---- files that are not what the manifest says


@pytest.mark.parametrize("damage", ["missing", "truncated", "changed"])
def test_a_damaged_file_stages_nothing(place: Place, damage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    put = place.staging.put

    def damaged(folder: str, rows: pa.Table, *more: Any) -> str:
        manifest = put(folder, rows)
        (key,) = [name for name in place.objects() if name.endswith(".parquet")]
        data = place.s3.get_object(Bucket="lake", Key=key)["Body"].read()
        if damage == "missing":
            place.s3.delete_object(Bucket="lake", Key=key)
        else:
            body = data[:-7] if damage == "truncated" else data[:-4] + b"\0\0\0\0"
            place.s3.put_object(Bucket="lake", Key=key, Body=body)
        return manifest

    place.connection.transaction(["CREATE TABLE stage (n BIGINT)", "INSERT INTO stage SELECT 7"])
    monkeypatch.setattr(place.staging, "put", damaged)
    with pytest.raises(StatementFailed) as caught:
        place.connection.stage(
            ["DROP TABLE IF EXISTS stage", "CREATE TABLE stage (n BIGINT)"], '"stage"', pa.table({"n": [1, 2]})
        )
    assert caught.value.at == 2
    assert place.connection.rows("SELECT n FROM stage") == [(7,)]
    assert place.objects() == []


def test_a_killed_copy_is_staged_anew(place: Place) -> None:
    rows = pa.table({"n": [1, 2]})
    create = ["DROP TABLE IF EXISTS stage", "CREATE TABLE stage (n BIGINT)"]
    place.aws.fault("connection_lost", operation="COPY", table=place.name)
    with pytest.raises(ServiceUnavailable):
        place.connection.stage(create, '"stage"', rows)
    place.connection.stage(create, '"stage"', rows)
    assert place.count("stage") == 2


def test_what_somebody_else_left_in_the_folder_is_not_loaded(place: Place) -> None:
    place.connection.stage(["CREATE TABLE stage (n BIGINT)"], '"stage"', pa.table({"n": [1]}))
    place.staging.put("stage/other", pa.table({"n": [5]}))
    create = ["DROP TABLE IF EXISTS stage", "CREATE TABLE stage (n BIGINT)"]
    place.connection.stage(create, '"stage"', pa.table({"n": [2]}))
    assert place.connection.rows("SELECT n FROM stage") == [(2,)]


# ---- what only a session of ours has


@pytest.fixture
def wire(aws: LocalAws, clients: dict[str, Any]) -> Iterator[Place]:
    yield Place(aws, clients, "connector")
    aws.clear_faults()


def test_a_lost_session_is_replaced(wire: Place) -> None:
    wire.connection.transaction(["CREATE TABLE t (n BIGINT)"])
    with wire.connection.opened():
        assert wire.count("t") == 0
        wire.aws.fault("connection_lost", operation="INSERT", table=wire.name)
        with pytest.raises(ServiceUnavailable):
            wire.connection.transaction(["INSERT INTO t SELECT 1"])
        wire.connection.transaction(["INSERT INTO t SELECT 1"])
        assert wire.count("t") == 1


def test_a_statement_ends_when_its_time_is_up(wire: Place) -> None:
    with pytest.raises(TargetContended, match="timeout"):
        wire.connect(wait_seconds=0.2).transaction(["SELECT pg_sleep(20)"])


def test_nobody_there_is_tried_again_and_shows_no_password(wire: Place) -> None:
    credentials = Credentials(lambda: Login("loader", "canary-8c1f"), SystemClock())
    connection = ConnectorConnection("127.0.0.1", 1, "dev", credentials, wire.staging)
    with pytest.raises(ServiceUnavailable) as caught:
        connection.rows("SELECT 1")
    assert "canary" not in "".join(traceback.format_exception(caught.value))
