"""``tailrace export`` as a person types it, on copies on disk and against the embedded endpoint."""

from __future__ import annotations

import itertools
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from made_exports import DAMAGE, ITEMS, QUARTER, T0, delete, full, upsert, window
from pyarrow import parquet

from tailrace.aws import Aws, AwsSettings
from tailrace.cli import export, main
from tailrace.local.client import LocalAws

ONE = window([upsert("k1", T0 + 0.000001, n={"N": "7"}), delete("k2", T0 + 3)])
TWO = window([upsert("k30", T0 + QUARTER, n={"N": "8"})], T0 + QUARTER, T0 + 2 * QUARTER, number=2)
NUMBERS = itertools.count()


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str | Path, code: int = 0) -> Result:
    result = CliRunner().invoke(main, [*map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


def document(*arguments: str | Path, code: int = 0) -> Any:
    return json.loads(run("--json", "export", *arguments, code=code).stdout)


# ---- inspect ----------------------------------------------------------------------------------------------


def test_inspect_shows_that_a_full_exports_time_is_exclusive_and_a_windows_start_inclusive() -> None:
    for made in (TWO, full(), ONE):
        made.copy(Path("copy"))
    shown = run("export", "inspect", "copy").stdout
    assert "orders: full export of 2026-03-01T09:45:00Z" in shown
    assert "9 records in 4 files" in shown
    assert "2 records (1 delete) in 4 files" in shown
    assert "boundary: full export of 2026-03-01T09:45:00Z | 2026-03-01T09:45:00Z to 2026-03-01T10:00:00Z" in shown
    assert shown.count("tiles exactly") == 2
    assert 'first write behind it: 2026-03-01T09:45:00.000001Z  put {"id": "k1"}' in shown
    assert "the full export holds that item as before that write" in shown
    assert 'last write before it:  2026-03-01T09:45:03.000000Z  delete {"id": "k2"}' in shown
    found = document("inspect", "copy")
    assert [(e["type"], e["records"], e["deletes"], e["damage"]) for e in found["exports"]] == [
        ("FULL_EXPORT", 9, 0, ""),
        ("INCREMENTAL_EXPORT", 2, 1, ""),
        ("INCREMENTAL_EXPORT", 1, 0, ""),
    ]
    assert found["boundaries"][0] == {
        "before": full().facts.export_arn,
        "after": ONE.facts.export_arn,
        "ends": "2026-03-01T09:45:00Z",
        "begins": "2026-03-01T09:45:00Z",
        "gap_seconds": 0.0,
        "same_table": True,
        "last_write_before": None,
        "first_write_behind": {"at": "2026-03-01T09:45:00.000001Z", "what": "put", "key": '{"id": "k1"}'},
        "in_full_export": "as before that write",
    }


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (upsert("k1", T0, n={"N": "1.0"}), "as after that write"),  # what the full export has, in another spelling
        (upsert("k1", T0, n={"N": "1"}, more={"BOOL": True}), "as before that write"),
        (upsert("new", T0, n={"N": "1"}), "as before that write"),
        (delete("k1", T0), "as before that write"),
        (delete("gone", T0), "as after that write"),
    ],
)
def test_a_full_export_is_asked_for_the_item_of_the_first_write(change: Any, told: str) -> None:
    full([*ITEMS, {"id": {"S": "x"}, "n": {"N": "0.5"}}]).copy(Path("copy"))
    window([change, upsert("later", T0 + 5)]).copy(Path("copy"))
    assert document("inspect", "copy")["boundaries"][0]["in_full_export"] == told


@pytest.mark.parametrize("other", [{"N": "3.5"}, {"N": "1E-130"}, {"N": "12345678901234567890"}, {"N": "8"}])
def test_a_key_that_is_a_number_is_found_however_wide_its_column_is(other: dict[str, str]) -> None:
    from tailrace.local.history import NetChange

    full([{"id": {"N": "3"}, "s": {"S": "x"}}, {"id": other}]).copy(Path("copy"))
    key = {"id": {"N": "3.0"}}
    window([NetChange(key, None, {**key, "s": {"S": "x"}}, T0 * 1_000_000)]).copy(Path("copy"))
    assert document("inspect", "copy")["boundaries"][0]["in_full_export"] == "as after that write"


def test_two_exports_are_compared_wherever_they_lie() -> None:
    first, second = ONE.copy(Path("a")), TWO.copy(Path("b"))
    assert document("inspect", second, first)["boundaries"][0]["gap_seconds"] == 0
    assert document("inspect", first, first)["boundaries"] == []


@pytest.mark.parametrize(
    ("later", "said", "code"),
    [
        (window([], T0 + QUARTER + 60, T0 + 3 * QUARTER, number=2), "GAP of 60 s, from 2026-03-01T10:00:00Z", 4),
        (window([], T0 + QUARTER - 60, T0 + 3 * QUARTER, number=2), "overlap of 60 s, from 2026-03-01T09:59:00Z", 0),
        (window([], T0 + QUARTER, T0 + 2 * QUARTER, number=2, table_id="id-2"), "ANOTHER TABLE", 4),
        (window([upsert("k", T0 - 1)], T0 + QUARTER, T0 + 2 * QUARTER, number=2), "OUTSIDE its window", 4),
        (window([upsert("k", T0 + 2 * QUARTER)], T0 + QUARTER, T0 + 2 * QUARTER, number=2), "OUTSIDE its window", 4),
    ],
)
def test_what_does_not_tile_is_told(later: Any, said: str, code: int) -> None:
    ONE.copy(Path("copy"))
    later.copy(Path("copy"))
    assert said in run("export", "inspect", "copy", code=code).stdout


def test_a_full_export_of_now_has_milliseconds_that_count() -> None:
    full(moment=T0 + 0.123).copy(Path("copy"))
    ONE.copy(Path("copy"))
    assert document("inspect", "copy")["boundaries"][0]["gap_seconds"] == -0.123


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_told_beside_what_is_whole(damage: str) -> None:
    made = full(partitions=16)
    DAMAGE[damage][0](made)
    made.copy(Path("copy"))
    ONE.copy(Path("copy"))
    assert "DAMAGED" in run("export", "inspect", "copy", code=4).stdout
    found = document("inspect", "copy", code=4)
    assert len(found["damaged"]) + sum(bool(e["damage"]) for e in found["exports"]) == 1
    assert [e["records"] for e in found["exports"] if not e["damage"]] == [2]


# ---- list and read ----------------------------------------------------------------------------------------


def test_list_shows_what_lies_in_a_folder_and_in_the_landing_zone() -> None:
    for made in (full(), ONE):
        made.copy(Path("landing/orders/exports/x"))
    begun = Path("landing/orders/exports/y/AWSDynamoDB/01772359200999-0a1b2c3d")
    begun.mkdir(parents=True)
    (begun / "_started").touch()
    Path("tailrace.toml").write_text(
        '[landing]\nurl = "file:landing"\n[targets.local]\nkind = "duckdb"\npath = "x"\n[tables.orders]\n'
    )
    for place in (["landing"], []):
        lines = run("export", "list", *place).stdout.splitlines()
        assert [line.split()[:2] for line in lines] == [
            ["COMPLETED", "full"], ["COMPLETED", "2026-03-01T09:45:00Z"], ["UNFINISHED", str(begun.resolve())]
        ]  # fmt: skip
        assert "9 items" in lines[0]
    assert not Path("landing/.tailrace").exists(), "looking writes nothing"
    made = full(number=9)
    DAMAGE["summary changed"][0](made)
    made.copy(Path("landing/z"))
    found = document("list", "landing", code=3)
    assert [e["status"] for e in found] == ["COMPLETED", "COMPLETED", "DAMAGED", "UNFINISHED"]


def test_read_writes_one_export() -> None:
    folder = ONE.copy(Path("copy"))
    result = run("export", "read", folder, "-o", "out.parquet", "--report", "r.json")
    assert result.stderr == "2 rows from 4 files into out.parquet\n"
    assert sorted(parquet.read_table("out.parquet")["id"].to_pylist()) == ["k1", "k2"]
    assert json.loads(Path("r.json").read_text().splitlines()[-1])["rows"] == 2
    assert run("export", "read", folder, "-o", "-").stdout.count("\n") == 2
    full().copy(Path("copy"))
    assert "2 exports" in run("export", "read", "copy", "-o", "out.parquet", code=2).stderr
    assert len(parquet.read_table("out.parquet")) == 2


@pytest.mark.parametrize("command", [["inspect"], ["read", "-o", "out.csv"], ["list"]], ids=" ".join)
def test_a_place_that_is_not_there_is_told(command: list[str]) -> None:
    Path("empty").mkdir()
    assert "No such folder" in run("export", *command, "absent", code=2).stderr
    if command != ["list"]:
        assert "no export" in run("export", *command, "empty", code=2).stderr
    else:
        assert run("export", "list", "empty").stderr == "there is none\n"


def test_what_lies_on_disk_needs_no_configuration_and_all_else_asks_it() -> None:
    folder = ONE.copy(Path("copy"))
    Path("tailrace.toml").write_text("no configuration")
    run("export", "inspect", folder)
    run("export", "list", folder)
    for command in (["inspect", "s3://lake/x"], ["list", "s3://lake/x"], ["list", "--table", "orders"], ["list"]):
        assert "Not TOML" in run("export", *command, code=2).stderr


def test_what_was_only_begun_is_left_out_and_told() -> None:
    ONE.copy(Path("copy"))
    begun = Path("copy/AWSDynamoDB/01772359200999-0a1b2c3d")
    begun.mkdir()
    (begun / "_started").touch()
    result = run("export", "inspect", "copy")
    assert result.stderr == f"left out, because it is not finished: {begun.resolve()}\n"
    assert "is not finished" in run("export", "inspect", begun, code=1).stderr


def test_progress_is_files_and_bytes_on_a_terminal() -> None:
    folder = full().copy(Path("copy"))
    for arguments in (["read", str(folder), "-o", "out.parquet"], ["inspect", str(folder)]):
        ours, theirs = pty.openpty()
        environment = {n: v for n, v in os.environ.items() if n not in ("CI", "NO_COLOR")}
        environment |= {"TERM": "xterm", "COLUMNS": "120"}
        command = [sys.executable, "-m", "tailrace", "export", *arguments]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=theirs, env=environment) as process:
            assert process.wait(60) == 0
        os.close(theirs)
        shown = os.read(ours, 1 << 16).decode()
        os.close(ours)
        assert re.search(r"(decoding|reading): 4/4 files", shown)


# ---- start, and all of it against AWS ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws(export_seconds=300.0) as aws:
        yield aws


class Table:
    """A table with recovery on, and what is typed about it."""

    def __init__(self, aws: LocalAws, name: str) -> None:
        self.aws, self.name = aws, name
        clients = Aws(AwsSettings(endpoint_url=aws.endpoint_url))
        self.dynamodb, self.s3 = clients.client("dynamodb"), clients.client("s3")
        self.dynamodb.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        self.s3.create_bucket(Bucket=name)

    def recover(self) -> None:
        self.dynamodb.update_continuous_backups(
            TableName=self.name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
        )

    def put(self, key: str, n: int) -> None:
        self.dynamodb.put_item(TableName=self.name, Item={"id": {"S": key}, "n": {"N": str(n)}})

    def start(self, *arguments: str, code: int = 0) -> Result:
        into = f"s3://{self.name}/by-hand"
        return run("export", "start", "--table", self.name, "--into", into, *arguments, code=code)


@pytest.fixture
def table(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> Table:
    for name, value in aws.env().items():
        monkeypatch.setenv(name, value)
    return Table(aws, f"by-hand-{next(NUMBERS)}")


@pytest.mark.embedded
def test_by_hand_from_start_to_read(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    table.recover()
    table.put("a", 1)
    table.put("b", 2)
    boundary = int(table.aws.advance(1)) + 1
    table.aws.advance(boundary - table.aws.clock())  # the next write is in the window's first second
    table.put("a", 10)
    table.aws.advance(901 + 300)
    begun = table.start("--at", export._utc(boundary))
    arn = begun.stdout.strip()
    assert arn.startswith("arn:aws:dynamodb:")
    assert f"began, into s3://{table.name}/by-hand/AWSDynamoDB/{arn.rpartition('/')[2]}" in begun.stderr
    assert table.start("--at", export._utc(boundary)).stdout.strip() == arn, "the same command starts nothing new"
    assert [e["status"] for e in document("list", "--table", table.name)] == ["IN_PROGRESS"]
    monkeypatch.setattr(export, "POLL_SECONDS", 0.01)
    real = export._source

    def moving(*arguments: Any) -> Any:
        source = real(*arguments)
        describe = source.describe

        def described(name: str) -> Any:
            table.aws.advance(100)  # the clock of the endpoint goes on while the command waits
            return describe(name)

        monkeypatch.setattr(source, "describe", described)
        return source

    monkeypatch.setattr(export, "_source", moving)
    bounds = ("--from", export._utc(boundary), "--to", export._utc(boundary + 900))
    done = table.start(*bounds, "--wait", "--view", "NEW_IMAGE")
    assert "completed: 1 item\n" in done.stderr
    monkeypatch.setattr(export, "_source", real)
    listed = document("list", "--table", table.name)
    assert [(e["type"], e["status"], e["items"]) for e in listed] == [
        ("INCREMENTAL_EXPORT", "COMPLETED", 1),
        ("FULL_EXPORT", "COMPLETED", 2),
    ]
    there = document("list", f"s3://{table.name}")
    assert [(e["place"], e["view"]) for e in there] == [(listed[1]["place"], ""), (listed[0]["place"], "NEW_IMAGE")]
    found = document("inspect", f"s3://{table.name}/by-hand")
    assert [b["gap_seconds"] for b in found["boundaries"]] == [0]
    assert found["boundaries"][0]["in_full_export"] == "as before that write"
    run("export", "read", listed[1]["place"], "-o", "full.parquet")
    rows = parquet.read_table("full.parquet").select(["id", "n"]).sort_by("id").to_pylist()
    assert rows == [{"id": "a", "n": 1}, {"id": "b", "n": 2}]


@pytest.mark.embedded
def test_source_of_the_configuration_says_where_aws_is(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    Path("tailrace.toml").write_text(
        f'[landing]\nurl = "file:landing"\n[source]\nendpoint_url = "{table.aws.endpoint_url}"\n'
        '[targets.local]\nkind = "duckdb"\npath = "x"\n[tables.orders]\n'
    )
    assert document("list", "--table", table.name) == []
    assert document("list", f"s3://{table.name}") == []


@pytest.mark.embedded
def test_a_full_export_without_a_moment_is_of_the_latest_there_is(table: Table) -> None:
    table.recover()
    table.aws.advance(1000)
    table.start()
    assert document("list", "--table", table.name, "--newest", "1")[0]["type"] == "FULL_EXPORT"


@pytest.mark.embedded
def test_an_export_that_fails_is_an_error_with_the_reason(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    table.recover()
    table.aws.advance(1000)
    monkeypatch.setattr(export, "POLL_SECONDS", 0.01)
    result = run("export", "start", "--table", table.name, "--into", "s3://no-such-bucket/x", "--wait", code=1)
    assert "S3NoSuchBucket" in result.stderr
    failed = document("start", "--table", table.name, "--into", "s3://no-such-bucket/y", "--wait", code=1)
    assert "S3NoSuchBucket" in failed["error"]["message"]


@pytest.mark.embedded
def test_what_recovery_does_not_cover_is_refused_with_what_it_covers(table: Table) -> None:
    assert "update-continuous-backups" in table.start(code=2).stderr
    table.recover()
    now = table.aws.advance(1000)
    said = table.start("--at", export._utc(int(now)), code=2).stderr
    assert "does not cover" in said
    assert "It covers 20" in said
    assert "TAILRACE-104" in run("export", "start", "--table", "absent", "--into", "s3://b-b/x", code=2).stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--at", "2026-11-22T05:15:00"], "does not say its time zone"),
        (["--at", "2026-11-22"], "does not say its time zone"),
        (["--at", "2026-11-22T06:15:00+01:00"], "is a local time; in UTC it is 2026-11-22T05:15:00Z"),
        (["--at", "2026-11-22T05:15:00.5Z"], "not a whole second"),
        (["--at", "1795324500"], "no moment"),
        (["--at", "yesterday"], "no moment"),
        (["--from", "2026-11-22T05:15:00Z"], "--from and --to go together"),
        (["--to", "2026-11-22T05:15:00Z"], "--from and --to go together"),
        (
            ["--from", "2026-11-22T05:15:00Z", "--to", "2026-11-22T05:30:00Z", "--at", "2026-11-22T05:30:00Z"],
            "not with --at",
        ),
        (["--from", "2026-11-22T05:15:00Z", "--to", "2026-11-22T05:29:59Z"], "a window of 899 s"),
        (["--from", "2026-11-22T05:15:00Z", "--to", "2026-11-23T05:15:01Z"], "a window of 86401 s"),
        (["--from", "2026-11-22T05:30:00Z", "--to", "2026-11-22T05:15:00Z"], "a window of -900 s"),
        (["--into", "folder"], "to S3 only"),
        (["--view", "NEW_IMAGES"], "NEW_IMAGES"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_times_and_places_are_refused_before_aws_is_asked(arguments: list[str], said: str) -> None:
    command = [
        "export",
        "start",
        "--table",
        "orders",
        "--into",
        "s3://bucket/x",
        "--endpoint-url",
        "http://127.0.0.1:1",
    ]
    result = run(*command, *arguments, code=2)
    assert said in " ".join(result.stderr.split())


@pytest.mark.parametrize("name", ["start", "list", "inspect", "read"])
def test_help_shows_an_example(name: str) -> None:
    assert f"Example: tailrace export {name}" in run("export", name, "--help").stdout
