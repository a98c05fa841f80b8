"""A table of the embedded AWS that goes into Iceberg, on local disk and on S3, by the commands that a person types."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import pytest
from aws_site import AwsSite, enter, table_for
from pyiceberg.catalog import load_catalog

from tailrace.local.client import LocalAws

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


@pytest.fixture(params=["folder", "s3"])
def site(aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> AwsSite:
    enter(aws, tmp_path, monkeypatch)
    site = AwsSite(tmp_path, aws, f"{table_for(request)}{request.param}")
    where = 'warehouse = "lake"'
    if request.param == "s3":
        boto3.client("s3", endpoint_url=aws.endpoint_url).create_bucket(Bucket="lake")
        where = f'warehouse = "s3://lake/{site.table}"\nuri = "sqlite:///{tmp_path}/catalog.db"'
    target = f'[targets.ice]\nkind = "iceberg"\n{where}\n'
    site.file.write_text(site.file.read_text().replace("[targets.local]", f"{target}[targets.local]"))
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
    assert [(t["name"], t["kind"]) for t in status["targets"]] == [("ice", "iceberg"), ("local", "duckdb")]
    assert len({t["rows"] for t in status["targets"]}) == 1
    site.run("verify")
    query = 'SELECT "wide", "exact", "na""me; drop table ""orders""; --" FROM orders WHERE "wide" IS NOT NULL'
    held = {name: site.run("query", query, "--target", name, "--format", "json").stdout for name in ("ice", "local")}
    assert held["ice"] == held["local"]
    assert "12345678901234567890123456789012345678" in held["ice"]
    segment = json.loads(site.run("why", "--json", _last_segment(site)).stdout)
    assert "ice" in json.dumps(segment)
    on_s3 = "s3://" in site.file.read_text()
    doctor = site.run("doctor", code=3 if on_s3 else 0).stdout
    assert "namespace tailrace holds 1 tables" in doctor


@pytest.mark.parametrize("site", ["folder"], indirect=True)
def test_a_row_that_somebody_changed_is_found(site: AwsSite, tmp_path: Path) -> None:
    site.run("run", "--once")
    catalog = load_catalog(type="sql", uri=f"sqlite:///{tmp_path}/lake/catalog.db")
    table = catalog.load_table("tailrace.orders")
    rows = table.scan().to_arrow()
    table.overwrite(rows.slice(1))
    report = site.run("verify", "--json", code=4).stdout
    assert '"missing": 1' in report


def _last_segment(site: AwsSite) -> str:
    ledger = site.json("query", "SELECT max(segment) AS s FROM _tailrace.ledger", "--target", "local")
    return str(ledger["s"])
