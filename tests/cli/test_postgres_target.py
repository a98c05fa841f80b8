"""A table of the embedded AWS that goes into DuckDB and PostgreSQL side by side, by the commands that a person types."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import pytest
from aws_site import AwsSite, enter, table_for

from tailrace.local.client import LocalAws
from tailrace.local.redshift.postgres import USER, PostgresServer

pytestmark = pytest.mark.embedded

VALUES: dict[str, Any] = {
    "wide": Decimal("12345678901234567890123456789012345678"),
    "exact": Decimal("0.10"),
    "blob": b"\x00\xff",
    "nested": {"a": [1, {"b": Decimal("1.50")}], "s": {"x", "y"}},
    "tags": {"red", "blue"},
    'na"me; drop table "orders"; --': "it's",
}


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws() as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture
def site(
    aws: LocalAws,
    server: PostgresServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> AwsSite:
    enter(aws, tmp_path, monkeypatch)
    site = AwsSite(tmp_path, aws, table_for(request))
    site.file.write_text(
        site.file.read_text().replace(
            "[targets.local]",
            f'[targets.pg]\nkind = "postgres"\nhost = "{server.folder}"\nuser = "{USER}"\ndatabase = "postgres"\n[targets.local]',
        )
    )
    site.run("gen", "--table", site.table, "--items", "300", "--seed", "1")
    return site


def test_both_targets_hold_the_table_to_the_last_digit(site: AwsSite) -> None:
    site.run("run", "--once")
    table = boto3.resource("dynamodb", endpoint_url=site.aws.endpoint_url).Table(site.table)
    key = {k["AttributeName"]: table.scan(Limit=1)["Items"][0][k["AttributeName"]] for k in table.key_schema}
    table.put_item(Item={**key, **VALUES})
    site.run("gen", "--table", site.table, "--items", "100", "--seed", "2")
    site.run("run", "--once")
    status = site.json("status")
    assert [(t["name"], t["kind"]) for t in status["targets"]] == [("pg", "postgres"), ("local", "duckdb")]
    assert len({t["rows"] for t in status["targets"]}) == 1
    site.run("verify")
    query = 'SELECT "wide", "exact", "nested", "na""me; drop table ""orders""; --" FROM orders WHERE "wide" IS NOT NULL'
    held = {name: site.run("query", query, "--target", name, "--format", "json").stdout for name in ("pg", "local")}
    assert held["pg"] == held["local"]
    assert "12345678901234567890123456789012345678" in held["pg"]
    count = site.run("query", "SELECT count(*) FROM orders", "--target", "pg", "--format", "csv").stdout
    assert int(count.split()[-1]) == status["targets"][0]["rows"]


def test_a_text_that_postgres_cannot_hold_is_set_aside_with_its_place_and_nothing_else_is(site: AwsSite) -> None:
    site.file.write_text(site.file.read_text().replace('name = "orders"', 'name = "nul"'))
    table = boto3.resource("dynamodb", endpoint_url=site.aws.endpoint_url).Table(site.table)
    item = table.scan(Limit=1)["Items"][0]
    key = {k["AttributeName"]: item[k["AttributeName"]] for k in table.key_schema}
    site.run("run", "--once")
    table.put_item(Item={**key, "note": "a\0b"})
    table.put_item(Item={**{name: f"{value}-2" for name, value in key.items()}, "note": "fine"})
    site.run("run", "--once", code=3)
    count = "SELECT count(*) AS n FROM nul WHERE note = 'fine'"
    assert site.json("query", count, "--target", "pg")["n"] == 1
    note = "SELECT count(*) AS n FROM nul WHERE length(note) = 3"
    assert site.json("query", note, "--target", "local")["n"] == 1, "DuckDB can hold it"
    listed = site.run("quarantine", "list", code=3).stdout
    assert "unfit" in listed
    assert "the text of 'note' has a NUL" in listed
    report = json.loads(site.run("verify", "--json", code=4).stdout)
    assert [(r["target"], r["different"]) for r in report] == [("pg", 1), ("local", 0)]


def test_a_row_that_somebody_changed_is_found(site: AwsSite, server: PostgresServer) -> None:
    import psycopg

    site.file.write_text(site.file.read_text().replace('name = "orders"', 'name = "changed"'))
    site.run("run", "--once")
    with psycopg.connect(host=str(server.folder), user=USER, dbname="postgres") as connection:
        connection.execute("DELETE FROM changed WHERE ctid = (SELECT min(ctid) FROM changed)")
    report = site.run("verify", "--json", code=4).stdout
    assert '"missing": 1' in report


def test_a_server_that_is_away_is_named_and_nothing_else_is_held_up(site: AwsSite, server: PostgresServer) -> None:
    site.file.write_text(site.file.read_text().replace(str(server.folder), "/nowhere"))
    result = site.run("run", "--once", code=1)
    assert "PostgreSQL cannot be reached" in result.output
    assert "Traceback" not in result.output
    rows = {t["name"]: t for t in site.json("status", code=3)["targets"]}
    assert rows["local"]["rows"] > 0
    assert "PostgreSQL cannot be reached" in rows["pg"]["problem"]
