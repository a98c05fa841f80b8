"""A table of the embedded AWS goes into DuckDB and the Redshift stand-in side by side, by the commands that a person types."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import boto3
import pytest
from aws_site import AwsSite, enter, table_for

from tailrace.local.client import LocalAws

pytestmark = pytest.mark.embedded

TARGET = """
[targets.dwh]
kind = "redshift"
workgroup = "analytics"
database = "dev"
iam_role = "arn:aws:iam::111122223333:role/RedshiftCopy"
staging = "s3://lake/staging"
[targets.local]
"""


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws() as endpoint:
        yield endpoint


def test_redshift_holds_what_duckdb_holds_to_the_last_digit(
    aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    enter(aws, tmp_path, monkeypatch)
    boto3.client("s3", endpoint_url=aws.endpoint_url).create_bucket(Bucket="lake")
    site = AwsSite(tmp_path, aws, table_for(request), landing="s3://lake/landing")
    site.file.write_text(site.file.read_text().replace("[targets.local]", TARGET))
    site.run("gen", "--table", site.table, "--items", "200", "--seed", "1")
    site.run("run", "--once")
    table = boto3.resource("dynamodb", endpoint_url=aws.endpoint_url).Table(site.table)
    item = table.scan(Limit=1)["Items"][0]
    key = {k["AttributeName"]: item[k["AttributeName"]] for k in table.key_schema}
    values = {"Wide": Decimal("12345678901234567890123456789012345678"), "blob": b"\x00\xff", "quote": "it's \\ \""}
    table.put_item(Item={**key, **values, "nested": {"a": [1, {"b": Decimal("1.50")}]}, "tags": {"x", "y"}})
    site.run("gen", "--table", site.table, "--items", "50", "--seed", "2")
    site.run("run", "--once")
    status = site.json("status")
    assert [(t["name"], t["kind"]) for t in status["targets"]] == [("dwh", "redshift"), ("local", "duckdb")]
    assert len({t["rows"] for t in status["targets"]}) == 1
    site.run("verify")
    query = "SELECT wide, quote FROM orders WHERE wide IS NOT NULL"
    held = [
        site.run("query", query, "--target", name, "--format", "csv").stdout.splitlines()[1]
        for name in ("dwh", "local")
    ]
    assert held[0] == held[1]
    assert "12345678901234567890123456789012345678" in held[0]
    staged = boto3.client("s3", endpoint_url=aws.endpoint_url).list_objects_v2(Bucket="lake", Prefix="staging/")
    assert staged.get("Contents", []) == []
