"""The Redshift stand-in by plain boto3: the Data API, COPY from the endpoint's S3, what SQL gives there, faults on demand."""

from __future__ import annotations

import gzip
import io
import itertools
import json
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tailrace.local.client import LocalAws

pytestmark = pytest.mark.embedded

ROLE = "IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy'"
NUMBERS = itertools.count()  # each test has a workgroup of its own
BIG = Decimal("-123456789012345678901234567890123456.78")


@pytest.fixture(scope="module")
def clients(aws: LocalAws) -> dict[str, Any]:
    config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
    made = {
        service: boto3.client(
            service, endpoint_url=aws.endpoint_url, region_name="us-east-1", aws_access_key_id="test",
            aws_secret_access_key="test", config=config,
        )
        for service in ("redshift-data", "s3")
    }  # fmt: skip
    made["s3"].create_bucket(Bucket="lake")
    return made


class Warehouse:
    """One workgroup, and the calls that tests make."""

    def __init__(self, aws: LocalAws, clients: dict[str, Any], name: str) -> None:
        self.aws, self.data, self.s3, self.name = aws, clients["redshift-data"], clients["s3"], name
        self.place = {"WorkgroupName": name, "Database": "dev"}

    def run(self, *sqls: str, **more: Any) -> dict[str, Any]:
        """The description of what has ended; several statements are one batch."""
        place = {} if "SessionId" in more else self.place
        if len(sqls) == 1:
            taken = self.data.execute_statement(Sql=sqls[0], WaitTimeSeconds=30, **place, **more)
        else:
            taken = self.data.batch_execute_statement(Sqls=list(sqls), WaitTimeSeconds=30, **place, **more)
        return dict(self.data.describe_statement(Id=taken["Id"]))

    def done(self, *sqls: str, **more: Any) -> dict[str, Any]:
        described = self.run(*sqls, **more)
        assert described["Status"] == "FINISHED", described.get("Error")
        return described

    def rows(self, sql: str, **more: Any) -> list[tuple[Any, ...]]:
        answer = self.data.get_statement_result(Id=self.done(sql, **more)["Id"])
        return [
            tuple(None if "isNull" in field else next(iter(field.values())) for field in record)
            for record in answer["Records"]
        ]

    def error(self, *sqls: str, **more: Any) -> str:
        described = self.run(*sqls, **more)
        assert described["Status"] == "FAILED"
        return str(described["Error"])

    def until_started(self, statement: str) -> None:
        deadline = time.monotonic() + 30
        while self.data.describe_statement(Id=statement)["Status"] != "STARTED":
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def put(self, key: str, data: bytes) -> dict[str, Any]:
        """The entry of a manifest."""
        self.s3.put_object(Bucket="lake", Key=f"{self.name}/{key}", Body=data)
        url = f"s3://lake/{self.name}/{key}"
        return {"url": url, "mandatory": True, "meta": {"content_length": len(data)}}

    def parquet(self, key: str, table: pa.Table) -> dict[str, Any]:
        sink = io.BytesIO()
        pq.write_table(table, sink)
        return self.put(key, sink.getvalue())

    def copy(self, into: str, *entries: dict[str, Any], options: str = "FORMAT PARQUET") -> str:
        """The statement; its manifest is there."""
        self.put("manifest", json.dumps({"entries": entries}).encode())
        return f"COPY {into} FROM 's3://lake/{self.name}/manifest' {ROLE} MANIFEST {options}"


@pytest.fixture
def warehouse(aws: LocalAws, clients: dict[str, Any]) -> Iterator[Warehouse]:
    yield Warehouse(aws, clients, f"analytics-{next(NUMBERS)}")
    aws.clear_faults()


def refused(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


# ---- the Data API


def test_a_statement_is_taken_at_once_and_carried_out_later(warehouse: Warehouse) -> None:
    blocker = warehouse.data.execute_statement(Sql="SELECT pg_sleep(1)", **warehouse.place)
    assert "Status" not in blocker
    described = warehouse.data.describe_statement(Id=blocker["Id"])
    assert described["Status"] in ("SUBMITTED", "PICKED", "STARTED")
    assert refused(warehouse.data.get_statement_result, Id=blocker["Id"]) == "ResourceNotFoundException"
    ended = warehouse.data.describe_statement(Id=blocker["Id"], WaitTimeSeconds=30)
    assert ended["Status"] == "FINISHED"
    assert ended["Duration"] > 1_000_000_000  # nanoseconds
    assert (ended["HasResultSet"], ended["ResultRows"]) == (True, 1)


def test_each_type_arrives_as_the_data_api_gives_it(warehouse: Warehouse) -> None:
    described = warehouse.done(
        "SELECT 7::bigint AS a, true AS b, 1.50::decimal(38, 2) AS c, 2.5::float8 AS d, 'x' AS e, NULL AS f, "
        "TIMESTAMP '2026-01-02 03:04:05.678901' AS g, JSON_PARSE('{\"k\": [1, \"a  b\", 2.50]}') AS h, FROM_HEX('00FF') AS i"
    )
    answer = warehouse.data.get_statement_result(Id=described["Id"])
    assert answer["Records"] == [
        [
            {"longValue": 7}, {"booleanValue": True}, {"stringValue": "1.50"}, {"doubleValue": 2.5}, {"stringValue": "x"},
            {"isNull": True}, {"stringValue": "2026-01-02 03:04:05.678901"}, {"stringValue": '{"k":[1,"a  b",2.50]}'},
            {"stringValue": "00ff"},
        ]
    ]  # fmt: skip
    assert [column["name"] for column in answer["ColumnMetadata"]] == list("abcdefghi")
    kinds = [column["typeName"] for column in answer["ColumnMetadata"]]
    assert kinds == ["int8", "bool", "numeric", "float8", "varchar", "varchar", "timestamp", "super", "varbyte"]


def test_a_batch_is_one_transaction(warehouse: Warehouse) -> None:
    warehouse.done("CREATE TABLE t (a INT)", "LOCK t", "INSERT INTO t VALUES (1)")
    failed = warehouse.run("INSERT INTO t VALUES (2)", "INSERT INTO t VALUES ('x')", "INSERT INTO t VALUES (3)")
    assert failed["Status"] == "FAILED"
    assert failed["Error"].startswith("Query #2 failed with ERROR: ")
    assert [step["Status"] for step in failed["SubStatements"]] == ["FINISHED", "FAILED", "ABORTED"]
    assert warehouse.rows("SELECT a FROM t") == [(1,)]
    assert "cannot begin or end" in warehouse.error("INSERT INTO t VALUES (4)", "COMMIT")
    assert warehouse.rows("SELECT a FROM t") == [(1,)]


def test_each_statement_of_a_batch_has_its_own_result(warehouse: Warehouse) -> None:
    described = warehouse.done("SELECT 1", "CREATE TABLE t (a INT)", "SELECT 'b'")
    ids = [step["Id"] for step in described["SubStatements"]]
    assert ids == [f"{described['Id']}:{n}" for n in (1, 2, 3)]
    assert warehouse.data.get_statement_result(Id=ids[0])["Records"] == [[{"longValue": 1}]]
    assert refused(warehouse.data.get_statement_result, Id=ids[1]) == "ResourceNotFoundException"
    assert warehouse.data.describe_statement(Id=ids[2])["QueryString"] == "SELECT 'b'"


def test_truncate_ends_the_transaction_that_holds_it(warehouse: Warehouse) -> None:
    warehouse.done("CREATE TABLE t (a INT)", "INSERT INTO t VALUES (1)")
    warehouse.error("TRUNCATE t", "SELECT nothing")
    assert warehouse.rows("SELECT a FROM t") == []


def test_a_client_token_is_carried_out_once(warehouse: Warehouse) -> None:
    warehouse.done("CREATE TABLE t (a INT)")
    request = {**warehouse.place, "Sql": "INSERT INTO t VALUES (1)", "ClientToken": f"{warehouse.name}-1"}
    first = warehouse.data.execute_statement(**request)
    assert warehouse.data.execute_statement(**request)["Id"] == first["Id"]
    assert refused(warehouse.data.execute_statement, **{**request, "Sql": "SELECT 1"}) == "ValidationException"
    warehouse.data.describe_statement(Id=first["Id"], WaitTimeSeconds=30)
    assert warehouse.rows("SELECT count(*) FROM t") == [(1,)]
    warehouse.aws.advance(8 * 3600 + 1)
    again = warehouse.data.execute_statement(**request, WaitTimeSeconds=30)
    assert again["Id"] != first["Id"]
    assert warehouse.rows("SELECT count(*) FROM t") == [(2,)]


def test_what_ended_is_forgotten_after_a_day(warehouse: Warehouse) -> None:
    ended = warehouse.done("SELECT 1")["Id"]
    warehouse.aws.advance(24 * 3600 + 1)
    assert refused(warehouse.data.describe_statement, Id=ended) == "ResourceNotFoundException"


def test_results_come_in_pages(warehouse: Warehouse) -> None:
    described = warehouse.done("SELECT n FROM generate_series(1, 2500) AS s(n) ORDER BY n")
    pages, more = [], {}
    while True:
        page = warehouse.data.get_statement_result(Id=described["Id"], **more)
        pages.append([record[0]["longValue"] for record in page["Records"]])
        if "NextToken" not in page:
            break
        more = {"NextToken": page["NextToken"]}
    assert len(pages) == 3
    assert [n for page in pages for n in page] == list(range(1, 2501))
    assert page["TotalNumRows"] == 2500


def test_parameters_are_values_and_never_sql(warehouse: Warehouse) -> None:
    nasty = "'); DROP TABLE t; -- \\' %s $1"
    warehouse.done("CREATE TABLE t (a INT, b VARCHAR(100))")
    values = [{"name": "a", "value": "5"}, {"name": "b", "value": nasty}]
    warehouse.done("INSERT INTO t VALUES (:a, :b)", Parameters=values)
    assert warehouse.rows("SELECT a, b FROM t WHERE b = :b", Parameters=values[1:]) == [(5, nasty)]
    assert "does not contain b" in warehouse.error("SELECT :a, :b", Parameters=values[:1])
    call = {**warehouse.place, "Sql": "SELECT :a", "Parameters": values}
    assert refused(warehouse.data.execute_statement, **call) == "ValidationException"


@pytest.mark.parametrize(
    "request_",
    [
        {"Sql": "SELECT 1", "Database": "dev"},
        {"Sql": "SELECT 1", "Database": "dev", "WorkgroupName": "abc", "ClusterIdentifier": "abc"},
        {"Sql": "SELECT 1", "WorkgroupName": "abc"},
        {"Sql": "SELECT '" + "x" * 102_400 + "'", "WorkgroupName": "abc", "Database": "dev"},
        {"Sql": " ", "WorkgroupName": "abc", "Database": "dev"},
        {"Sql": "SELECT 1", "SessionId": "00000000-0000-0000-0000-000000000000"},
    ],
)
def test_what_the_data_api_refuses_at_once(clients: dict[str, Any], request_: dict[str, Any]) -> None:
    assert refused(clients["redshift-data"].execute_statement, **request_) == "ValidationException"


def test_limits_that_show_only_when_it_is_carried_out(warehouse: Warehouse) -> None:
    assert "a row of the result has 65537 bytes" in warehouse.error("SELECT repeat('x', 65537)")
    taken = warehouse.data.execute_statement(
        Sql="SELECT 1", WorkgroupName=warehouse.name, Database="prod", WaitTimeSeconds=30
    )
    assert 'database "prod" does not exist' in warehouse.data.describe_statement(Id=taken["Id"])["Error"]


def test_a_running_statement_is_cancelled(warehouse: Warehouse) -> None:
    taken = warehouse.data.execute_statement(Sql="SELECT pg_sleep(60)", **warehouse.place)
    warehouse.until_started(taken["Id"])
    began = time.monotonic()
    assert warehouse.data.cancel_statement(Id=taken["Id"])["Status"]
    assert warehouse.data.describe_statement(Id=taken["Id"], WaitTimeSeconds=30)["Status"] == "ABORTED"
    assert time.monotonic() - began < 20
    assert refused(warehouse.data.cancel_statement, Id=taken["Id"]) == "ValidationException"


def test_statements_are_listed_newest_first(warehouse: Warehouse) -> None:
    for n in range(3):
        warehouse.run(f"SELECT {n}", StatementName=f"{warehouse.name}-{n}")
    warehouse.run("SELECT nothing", StatementName=f"{warehouse.name}-bad")
    mine = {"StatementName": warehouse.name}
    names = [entry["StatementName"][-3:] for entry in warehouse.data.list_statements(**mine)["Statements"]]
    assert names == ["bad", *(f"{warehouse.name}-{n}"[-3:] for n in (2, 1, 0))]
    failed = warehouse.data.list_statements(Status="FAILED", **mine)["Statements"]
    assert [entry["QueryString"] for entry in failed] == ["SELECT nothing"]
    first = warehouse.data.list_statements(MaxResults=3, **mine)
    rest = warehouse.data.list_statements(MaxResults=3, NextToken=first["NextToken"], **mine)
    assert (len(first["Statements"]), len(rest["Statements"]), "NextToken" in rest) == (3, 1, False)


def test_a_session_keeps_temporary_tables_and_ends(warehouse: Warehouse) -> None:
    opened = warehouse.done("CREATE TEMP TABLE s (a INT)", SessionKeepAliveSeconds=60)
    session = {"SessionId": opened["SessionId"]}
    warehouse.done("INSERT INTO s VALUES (1)", **session)
    assert warehouse.rows("SELECT a FROM s", **session) == [(1,)]
    assert "does not exist" in warehouse.error("SELECT a FROM s")
    warehouse.aws.advance(61)
    assert refused(warehouse.data.execute_statement, Sql="SELECT 1", **session) == "ValidationException"


def test_a_refused_statement_ends_the_transaction_that_holds_it(warehouse: Warehouse) -> None:
    warehouse.done("CREATE TABLE t (a INT)")
    session = {"SessionId": warehouse.done("BEGIN", SessionKeepAliveSeconds=60)["SessionId"]}
    warehouse.done("INSERT INTO t VALUES (1)", **session)
    warehouse.error("INSERT INTO t VALUES (2) RETURNING a", **session)  # PostgreSQL never sees it
    assert "current transaction is aborted" in warehouse.error("INSERT INTO t VALUES (3)", **session)
    warehouse.done("COMMIT", **session)
    assert warehouse.rows("SELECT count(*) FROM t") == [(0,)]


def test_a_lost_connection_ends_its_session(warehouse: Warehouse) -> None:
    session = {"SessionId": warehouse.done("CREATE TEMP TABLE s (a INT)", SessionKeepAliveSeconds=60)["SessionId"]}
    warehouse.aws.fault("connection_lost", operation="INSERT", table=warehouse.name)
    warehouse.error("INSERT INTO s VALUES (1)", **session)
    assert "Connection to the database was lost" in warehouse.error("SELECT a FROM s", **session)


def test_workgroups_share_nothing(warehouse: Warehouse, aws: LocalAws, clients: dict[str, Any]) -> None:
    warehouse.done("CREATE TABLE t (a INT)")
    other = Warehouse(aws, clients, warehouse.name + "-other")
    assert 'relation "t" does not exist' in other.error("SELECT a FROM t")


# ---- SQL


def test_varchar_counts_bytes_and_text_is_cut_nowhere(warehouse: Warehouse) -> None:
    warehouse.done("CREATE TABLE t (a VARCHAR(10), b VARBYTE(2))")
    assert "value too long for type character varying(10)" in warehouse.error("INSERT INTO t VALUES ('éééééx')")
    assert "value too long for type varbyte(2)" in warehouse.error("INSERT INTO t VALUES ('a', FROM_HEX('000000'))")
    warehouse.done("INSERT INTO t VALUES ('ééééé', FROM_HEX('00ff'))")
    warehouse.done("ALTER TABLE t ALTER COLUMN a TYPE VARCHAR(12)")
    warehouse.done("INSERT INTO t VALUES ('éééééé', NULL)")
    assert warehouse.rows("SELECT a, b FROM t ORDER BY a") == [("ééééé", "00ff"), ("éééééé", None)]


def test_a_backslash_escapes_in_every_literal(warehouse: Warehouse) -> None:
    assert warehouse.rows(r"SELECT 'a\'b', 'c\\', 'd''e'") == [("a'b", "c\\", "d'e")]


def test_super_holds_no_string_beyond_its_limit(warehouse: Warehouse) -> None:
    warehouse.done("CREATE TABLE t (a SUPER)")
    text = "JSON_PARSE('{\"k\": \"' || repeat('x', %d) || '\"}')"
    warehouse.done(f"INSERT INTO t SELECT {text % 65_535}")
    assert "value too long for type super" in warehouse.error(f"INSERT INTO t SELECT {text % 65_536}")
    warehouse.done(
        "INSERT INTO t SELECT JSON_PARSE('[\"' || repeat('x', 60000) || '\",\"' || repeat('y', 60000) || '\"]')"
    )


def test_names_fold_and_long_ones_stay_whole(warehouse: Warehouse) -> None:
    long = "Long" + "é" * 60
    warehouse.done(f'CREATE TABLE "Orders" ("Id" INT, "{long}" INT, "{long}2" INT)')
    sql = (
        "SELECT column_name, data_type FROM svv_redshift_columns WHERE table_name = 'orders' ORDER BY ordinal_position"
    )
    folded = "long" + "é" * 60
    assert warehouse.rows(sql) == [("id", "integer"), (folded, "integer"), (folded + "2", "integer")]
    described = warehouse.done('SELECT * FROM "ORDERS"')
    answer = warehouse.data.get_statement_result(Id=described["Id"])
    assert [column["name"] for column in answer["ColumnMetadata"]] == ["id", folded, folded + "2"]
    assert "specified more than once" in warehouse.error('CREATE TABLE t ("Id" INT, "id" INT)')


def test_hostile_names_name_columns_and_nothing_else(warehouse: Warehouse) -> None:
    warehouse.done("CREATE TABLE victim (a INT)")
    names = [
        'a"; drop table victim; --', "a\\'", "'", '""', "a.b", "a[0]", "select", "_tr_pos", "../../x", "%s", "$1", ":a", "a\nb",
        "\u202ea", "e\u0301", "é", "\u200b", "=cmd|' /c calc'!a1", "/*", "--", ";", "\\", "%(x)s", "{}", "x" * 127, "é" * 63,
    ]  # fmt: skip
    quoted = ['"' + name.replace('"', '""') + '"' for name in names]
    warehouse.done(f"CREATE TABLE t ({', '.join(name + ' INT' for name in quoted)})")
    numbers = range(len(names))
    warehouse.done(f"INSERT INTO t ({', '.join(quoted)}) VALUES ({', '.join(map(str, numbers))})")
    sql = "SELECT column_name FROM svv_redshift_columns WHERE table_name = 't' ORDER BY ordinal_position"
    assert [name for (name,) in warehouse.rows(sql)] == names
    for number, name in zip(numbers, quoted, strict=True):
        assert warehouse.rows(f"SELECT {name} FROM t WHERE {name} = {number}") == [(number,)]
    assert warehouse.rows("SELECT count(*) FROM victim") == [(0,)]


def test_keys_are_hints_so_duplicates_occur(warehouse: Warehouse) -> None:
    warehouse.done("CREATE TABLE t (a INT PRIMARY KEY, b INT UNIQUE)")
    warehouse.done("INSERT INTO t VALUES (1, 1), (1, 1)")
    assert warehouse.rows("SELECT count(*) FROM t") == [(2,)]
    assert "Cannot insert a NULL value into column a" in warehouse.error("INSERT INTO t VALUES (NULL, 1)")


def test_merge_refuses_two_rows_of_the_source_for_one_of_the_target(warehouse: Warehouse) -> None:
    warehouse.done("CREATE TABLE t (a INT, b INT)", "CREATE TABLE s (a INT, b INT)", "INSERT INTO t VALUES (1, 0)")
    merge = (
        "MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN UPDATE SET b = s.b "
        "WHEN NOT MATCHED THEN INSERT (a, b) VALUES (s.a, s.b)"
    )
    assert "Found multiple matches" in warehouse.error("INSERT INTO s VALUES (1, 1), (1, 2)", merge)
    warehouse.done("INSERT INTO s VALUES (1, 1), (2, 2)", merge)
    assert warehouse.rows("SELECT a, b FROM t ORDER BY a") == [(1, 1), (2, 2)]


def test_a_lock_keeps_others_waiting_and_a_ledger_read_after_it_is_current(warehouse: Warehouse) -> None:
    warehouse.done("CREATE TABLE ledger (a INT)")
    step = "INSERT INTO ledger SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM ledger)"
    taken = [
        warehouse.data.batch_execute_statement(Sqls=["LOCK ledger", step, "SELECT pg_sleep(0.2)"], **warehouse.place)
        for _ in range(3)
    ]
    for each in taken:
        assert warehouse.data.describe_statement(Id=each["Id"], WaitTimeSeconds=30)["Status"] == "FINISHED"
    assert warehouse.rows("SELECT count(*) FROM ledger") == [(1,)]


def test_without_the_lock_two_writers_of_a_row_conflict(warehouse: Warehouse) -> None:
    warehouse.done("CREATE TABLE t (a INT)", "INSERT INTO t VALUES (0)")
    sqls = ["SELECT a FROM t", "SELECT pg_sleep(0.5)", "UPDATE t SET a = a + 1"]
    taken = [warehouse.data.batch_execute_statement(Sqls=sqls, **warehouse.place) for _ in range(2)]
    ended = [warehouse.data.describe_statement(Id=each["Id"], WaitTimeSeconds=30) for each in taken]
    assert sorted(each["Status"] for each in ended) == ["FAILED", "FINISHED"]
    assert any("ERROR: 1023" in each.get("Error", "") for each in ended)


def test_a_statement_timeout_ends_a_statement_that_waits_for_a_lock(warehouse: Warehouse) -> None:
    warehouse.done("CREATE TABLE t (a INT)")
    holder = warehouse.data.batch_execute_statement(Sqls=["LOCK t", "SELECT pg_sleep(60)"], **warehouse.place)
    warehouse.until_started(f"{holder['Id']}:2")
    assert "statement timeout" in warehouse.error("SET statement_timeout TO 200", "LOCK t")
    warehouse.data.cancel_statement(Id=holder["Id"])


# ---- COPY


SOURCE = pa.table(
    {
        "id": ["a", "b", ""],
        "n": pa.array([Decimal("1.20"), None, BIG], pa.decimal128(38, 2)),
        "tags": pa.array([["x", None], None, []], pa.list_(pa.string())),
        "seal": pa.array([b"\x00\xff", b"", None], pa.binary()),
        "flag": [True, None, False],
        "size": pa.array([2**63 - 1, None, -(2**63)], pa.int64()),
        "at": pa.array([0, None, 1_790_000_000_123_456], pa.timestamp("us")),
    }
)
TABLE = "(id VARCHAR(9), n DECIMAL(38, 2), tags SUPER, seal VARBYTE(9), flag BOOLEAN, size BIGINT, at TIMESTAMP)"
LOADED = [
    ("", str(BIG), "[]", None, False, -(2**63), "2026-09-21 14:13:20.123456"),
    ("a", "1.20", '["x",null]', "00ff", True, 2**63 - 1, "1970-01-01 00:00:00"),
    ("b", None, None, "", None, None, None),
]


def test_parquet_arrives_exactly(warehouse: Warehouse) -> None:
    copy = warehouse.copy("t", warehouse.parquet("f", SOURCE), options="FORMAT AS PARQUET SERIALIZETOJSON")
    described = warehouse.done(f"CREATE TABLE t {TABLE}", copy, "SELECT pg_last_copy_count()")
    assert described["SubStatements"][1]["ResultRows"] == 3
    assert warehouse.rows("SELECT * FROM t ORDER BY id") == LOADED


def test_a_file_that_is_listed_twice_is_loaded_twice(warehouse: Warehouse) -> None:
    entry = warehouse.parquet("f", SOURCE)
    copy = warehouse.copy("t", entry, entry, options="FORMAT PARQUET SERIALIZETOJSON")
    warehouse.done(f"CREATE TABLE t {TABLE}", copy)
    assert warehouse.rows("SELECT count(*), count(DISTINCT id) FROM t") == [(6, 3)]


def test_json_arrives_by_name(warehouse: Warehouse) -> None:
    lines = [
        {"id": "a", "n": 1, "tags": ["x", None], "seal": "00FF", "flag": True, "size": 2**63 - 1, "more": 1},
        {"id": "b"},
        {"ID": "c", "n": "1.239", "size": 5},
    ]
    text = "\n".join(json.dumps(line) for line in lines) + '{"id": "d", "tags": {"n": 1.00000000000000000000000000001}}'
    entry = warehouse.put("f", gzip.compress(text.encode()))
    columns = "(id, n, tags, seal, flag, size)"
    copy = warehouse.copy(f"t {columns}", entry, options="FORMAT JSON 'auto' GZIP COMPUPDATE OFF STATUPDATE OFF")
    warehouse.done(f"CREATE TABLE t {TABLE}", copy)
    assert warehouse.rows("SELECT id, n, tags, seal, flag, size FROM t ORDER BY id") == [
        ("a", "1.00", '["x",null]', "00ff", True, 2**63 - 1),
        ("b", None, None, None, None, None),
        ("d", None, '{"n":1.00000000000000000000000000001}', None, None, None),
        (None, "1.23", None, None, None, 5),
    ]


def test_a_load_that_fails_says_where_and_loads_nothing(warehouse: Warehouse) -> None:
    warehouse.done("CREATE TABLE t (id VARCHAR(3), s SUPER)")
    entry = warehouse.put("f", b'{"id": "abc"}\n{"id": "abcd"}')
    error = warehouse.error(warehouse.copy("t", entry, options="FORMAT JSON 'auto'"))
    assert error.startswith('ERROR: Load into table "t" failed.')
    detail = "SELECT file_name, line_number, column_name, error_code, error_message FROM sys_load_error_detail"
    assert warehouse.rows(detail) == [(entry["url"], 2, "id", 1204, "String length exceeds DDL length")]
    assert warehouse.rows("SELECT count(*) FROM t") == [(0,)]
    big = b'{"id": "a", "s": [' + b",".join([b'"' + b"x" * 60_000 + b'"'] * 71) + b"]}"
    large = warehouse.put("g", big)
    assert "Load into table" in warehouse.error(warehouse.copy("t", large, options="FORMAT JSON 'auto'"))


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        ("missing", "Status 404,Error NoSuchKey"),
        ("truncated", "the manifest says content_length"),
        ("no length", "gives no content_length"),
        ("no manifest", "Status 404,Error NoSuchKey"),
        ("bad manifest", "not in correct json format"),
        ("none mandatory", "no file of the manifest was found"),
        ("not parquet", "is not a Parquet file"),
        ("columns", "has 1 columns, the table or the list of columns has 2"),
        ("type", "incompatible Parquet schema for column 'a'"),
        ("scale", "incompatible Parquet schema for column 'b'"),
        ("long", "Table: 3, Data: 4"),
    ],
)
def test_what_copy_does_not_load(warehouse: Warehouse, damage: str, complaint: str) -> None:
    warehouse.done("CREATE TABLE t (a VARCHAR(3), b DECIMAL(38, 2))")
    numbers = pa.array([Decimal("1.20")], pa.decimal128(38, 2))
    good = warehouse.parquet("good", pa.table({"a": ["abc"], "b": numbers}))
    absent = {"url": good["url"] + "-absent", "meta": {"content_length": 1}}
    entries = {
        "missing": [good, {**absent, "mandatory": True}],
        "truncated": [{**good, "meta": {"content_length": 1}}],
        "no length": [{"url": good["url"], "mandatory": True}],
        "none mandatory": [absent],
        "not parquet": [warehouse.put("not parquet", b"PAR1 no PAR1")],
        "columns": [warehouse.parquet("columns", pa.table({"a": ["abc"]}))],
        "type": [warehouse.parquet("type", pa.table({"a": [1], "b": numbers}))],
        "scale": [warehouse.parquet("scale", pa.table({"a": ["a"], "b": numbers.cast(pa.decimal128(38, 3))}))],
        "long": [good, warehouse.parquet("long", pa.table({"a": ["éé"], "b": numbers}))],
    }.get(damage, [good])
    copy = warehouse.copy("t", *entries)
    if damage == "no manifest":
        copy = copy.replace("/manifest'", "/nothing'")
    if damage == "bad manifest":
        warehouse.put("manifest", b'{"entries": [{"uri": 1}]}')
    assert complaint in warehouse.error(copy)
    assert warehouse.rows("SELECT count(*) FROM t") == [(0,)]
    warehouse.done(warehouse.copy("t", good, absent))  # what is not mandatory may be missing
    assert warehouse.rows("SELECT a, b FROM t") == [("abc", "1.20")]


# ---- faults on demand


@pytest.mark.parametrize(
    ("kind", "operation", "complaint", "rows"),
    [
        ("statement_refused", "INSERT", "ERROR: planned", 0),
        ("statement_refused", "COMMIT", "ERROR: planned", 0),
        ("serialization", "INSERT", "ERROR: 1023", 0),
        ("serialization", "COMMIT", "ERROR: 1023", 0),
        ("statement_timeout", "INSERT", "statement timeout", 0),
        ("connection_lost", "INSERT", "Connection to the database was lost", 0),
        ("connection_lost", "COMMIT", "Connection to the database was lost", 0),
        ("reply_lost", "INSERT", "Connection to the database was lost", 0),
        ("reply_lost", "COMMIT", "Connection to the database was lost", 1),
    ],
)
def test_a_planned_fault_meets_one_statement(
    warehouse: Warehouse, kind: str, operation: str, complaint: str, rows: int
) -> None:
    warehouse.done("CREATE TABLE t (a INT)")
    warehouse.aws.fault(kind, operation=operation, table=warehouse.name)
    assert complaint in warehouse.error("LOCK t", "INSERT INTO t VALUES (1)")
    assert warehouse.rows("SELECT count(*) FROM t") == [(rows,)]
    warehouse.done("LOCK t", "INSERT INTO t VALUES (1)")
    assert warehouse.rows("SELECT count(*) FROM t") == [(rows + 1,)]


def test_a_planned_fault_leaves_the_first_ones_alone(warehouse: Warehouse) -> None:
    warehouse.done("CREATE TABLE t (a INT)")
    warehouse.aws.fault("statement_refused", operation="INSERT", table=warehouse.name, skip=2)
    warehouse.aws.fault("serialization", operation="INSERT", table=warehouse.name, skip=1)
    insert = "INSERT INTO t VALUES (1)"
    warehouse.done(insert)
    assert "1023" in warehouse.error(insert)
    assert "planned" in warehouse.error(insert)
    warehouse.done(insert)
    assert warehouse.rows("SELECT count(*) FROM t") == [(2,)]


def test_somebody_cancels_a_statement(warehouse: Warehouse) -> None:
    warehouse.done("CREATE TABLE t (a INT)")
    warehouse.aws.fault("statement_cancelled", operation="INSERT", table=warehouse.name)
    ended = warehouse.run("LOCK t", "INSERT INTO t VALUES (1)")
    assert (ended["Status"], [part["Status"] for part in ended["SubStatements"]]) == (
        "ABORTED",
        ["FINISHED", "ABORTED"],
    )
    assert warehouse.rows("SELECT count(*) FROM t") == [(0,)]


def test_a_slow_statement_can_be_cancelled_while_it_waits(warehouse: Warehouse) -> None:
    warehouse.done("CREATE TABLE t (a INT)")
    warehouse.aws.fault("statement_slow", operation="INSERT", table=warehouse.name, seconds=0.3)
    began = time.monotonic()
    warehouse.done("INSERT INTO t VALUES (1)")
    assert time.monotonic() - began >= 0.3
    warehouse.aws.fault("statement_slow", operation="INSERT", table=warehouse.name, seconds=600)
    taken = warehouse.data.execute_statement(Sql="INSERT INTO t VALUES (1)", **warehouse.place)
    warehouse.until_started(taken["Id"])
    warehouse.data.cancel_statement(Id=taken["Id"])
    assert warehouse.data.describe_statement(Id=taken["Id"], WaitTimeSeconds=30)["Status"] == "ABORTED"
    assert warehouse.rows("SELECT count(*) FROM t") == [(1,)]


def test_faults_of_requests_meet_the_data_api(warehouse: Warehouse) -> None:
    call = {**warehouse.place, "Sql": "CREATE TABLE t (a INT)", "ClientToken": f"{warehouse.name}-t"}
    warehouse.aws.fault("throttle", operation="ExecuteStatement", table=warehouse.name)
    assert refused(warehouse.data.execute_statement, **call) == "ActiveStatementsExceededException"
    warehouse.aws.fault("lost_answer", operation="ExecuteStatement", table=warehouse.name)
    assert refused(warehouse.data.execute_statement, **call) == "InternalServerError"
    taken = warehouse.data.execute_statement(**call, WaitTimeSeconds=30)
    assert (taken["Status"], warehouse.rows("SELECT count(*) FROM t")) == ("FINISHED", [(0,)])


# ---- UNLOAD


def test_unload_writes_parquet_and_a_manifest(warehouse: Warehouse) -> None:
    place = f"s3://lake/{warehouse.name}/out/"
    sql = "SELECT 1 AS n, \\'it\\'\\'s\\' AS s, JSON_PARSE(\\'[1]\\') AS j, CAST(1.5 AS DECIMAL(38, 2)) AS d"
    done = warehouse.done(f"UNLOAD ('{sql} UNION ALL SELECT 2, NULL, NULL, NULL') TO '{place}' {ROLE} PARQUET MANIFEST")
    assert done["ResultRows"] == 2
    body = warehouse.s3.get_object(Bucket="lake", Key=f"{warehouse.name}/out/manifest")["Body"].read()
    rows = []
    for entry in json.loads(body)["entries"]:
        data = warehouse.s3.get_object(Bucket="lake", Key=entry["url"].removeprefix("s3://lake/"))["Body"].read()
        assert len(data) == entry["meta"]["content_length"]
        rows += pq.read_table(io.BytesIO(data)).to_pylist()
    first = {"n": 1, "s": "it's", "j": "[1]", "d": Decimal("1.50")}
    assert rows == [first, {"n": 2, "s": None, "j": None, "d": None}]
    assert "not empty" in warehouse.error(f"UNLOAD ('SELECT 1 AS n') TO '{place}' {ROLE} PARQUET MANIFEST")
    warehouse.done(f"UNLOAD ('SELECT 1 AS n') TO '{place}' {ROLE} PARQUET ALLOWOVERWRITE")


def test_unload_takes_a_select_and_credentials(warehouse: Warehouse) -> None:
    place = f"s3://lake/{warehouse.name}/none/"
    assert "SELECT" in warehouse.error(f"UNLOAD ('DROP TABLE t') TO '{place}' {ROLE} PARQUET")
    assert "IAM_ROLE" in warehouse.error(f"UNLOAD ('SELECT 1') TO '{place}' PARQUET")
    assert "stand-in" in warehouse.error(f"UNLOAD ('SELECT 1') TO '{place}' {ROLE} CSV")
    warehouse.done(f"UNLOAD ('SELECT 1 AS n WHERE 1 = 0') TO '{place}' {ROLE} FORMAT AS PARQUET MANIFEST")
    assert "Contents" not in warehouse.s3.list_objects_v2(Bucket="lake", Prefix=f"{warehouse.name}/none/")


def test_long_json_goes_through_varbyte(warehouse: Warehouse) -> None:
    entry = warehouse.parquet("j", pa.table({"j": [json.dumps(["x" * 60_000] * 3).encode()]}))
    warehouse.done("CREATE TABLE stage (j VARBYTE(1000000))", warehouse.copy("stage", entry))
    warehouse.done("CREATE TABLE t (j SUPER)", "INSERT INTO t SELECT JSON_PARSE(j) FROM stage")
    assert warehouse.rows("SELECT LEN(TO_HEX(JSON_SERIALIZE_TO_VARBYTE(j))) FROM t") == [(2 * (3 * 60_003 + 1),)]
