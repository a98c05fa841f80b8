"""A table of the embedded AWS that goes into Parquet files and Delta tables, on disk and on S3, by typed commands."""

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

pytestmark = pytest.mark.embedded

VALUES: dict[str, Any] = {
    "wide": Decimal("12345678901234567890123456789012345678"),
    "exact": Decimal("0.10"),
    "blob": b"\x00\xff",
    "nested": {"a": [1, {"b": Decimal("1.50")}], "s": {"x", "y"}},
    "tags": {"red", "blue"},
    'na"me; drop table "orders"; --': "it's",
}
LAKES = {
    "files": 'kind = "parquet"\nurl = "file:./files"',
    "files_s3": 'kind = "parquet"\nurl = "s3://lake/files"',
    "delta": 'kind = "delta"\nurl = "file:./delta"',
    "delta_s3": 'kind = "delta"\nurl = "s3://lake/delta"\nmode = "history"',
}


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws() as endpoint:
        client = boto3.client("s3", endpoint_url=endpoint.endpoint_url, region_name="us-east-1",
                              aws_access_key_id="test", aws_secret_access_key="test")  # fmt: skip
        client.create_bucket(Bucket="lake")
        yield endpoint


@pytest.fixture
def site(aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> AwsSite:
    enter(aws, tmp_path, monkeypatch)
    site = AwsSite(tmp_path, aws, table_for(request))
    lakes = "\n".join(f"[targets.{name}]\n{lines}" for name, lines in LAKES.items())
    text = site.file.read_text().replace("[targets.local]", f"{lakes}\n[targets.local]")
    site.file.write_text(text.replace('name = "orders"', f'name = "{site.table}"'))  # the bucket is every test's
    site.run("gen", "--table", site.table, "--items", "200", "--seed", "1")
    return site


def test_every_lake_holds_the_table_to_the_last_digit(site: AwsSite) -> None:
    site.run("run", "--once")
    table = boto3.resource("dynamodb", endpoint_url=site.aws.endpoint_url).Table(site.table)
    key = {k["AttributeName"]: table.scan(Limit=1)["Items"][0][k["AttributeName"]] for k in table.key_schema}
    table.put_item(Item={**key, **VALUES})
    site.run("gen", "--table", site.table, "--items", "100", "--seed", "2")
    site.run("run", "--once")
    status = site.json("status")
    modes = {t["name"]: (t["kind"], t["mode"]) for t in status["targets"]}
    assert modes == {
        "files": ("parquet", "changelog"),
        "files_s3": ("parquet", "changelog"),
        "delta": ("delta", "current"),
        "delta_s3": ("delta", "history"),
        "local": ("duckdb", "current"),
    }
    rows = {t["name"]: t["rows"] for t in status["targets"]}
    assert rows["delta"] == rows["delta_s3"] == rows["local"]
    assert rows["files"] == rows["files_s3"] > rows["local"]
    site.run("verify")
    values = '"wide", "exact", "nested", "na""me; drop table ""orders""; --" AS odd'
    query = f'SELECT {values} FROM {site.table} WHERE "wide" IS NOT NULL'
    held = {}
    for target in [*LAKES, "local"]:
        spelled = query
        if target.startswith("delta"):  # Spark's Delta takes no such name
            spelled = query.replace('"na""me; drop table ""orders""; --"', '"na""me__drop_table_""orders""__--"')
        held[target] = json.loads(site.run("query", spelled, "--target", target, "--format", "json").stdout)
    assert held["files"] == held["files_s3"] == held["delta"] == held["delta_s3"] == held["local"]
    assert "12345678901234567890123456789012345678" in json.dumps(held["files"])
    segment = next((site.folder / "landing" / site.table / "changes").rglob("*.json.gz")).name
    why = site.run("why", segment).stdout
    assert all(target in why for target in LAKES)


def test_a_row_that_somebody_removed_is_found(site: AwsSite) -> None:
    from deltalake import DeltaTable

    site.run("run", "--once")
    table = DeltaTable(str(site.folder / "delta" / site.table))
    name = table.schema().fields[0].name
    held = site.json("query", f"SELECT max({name}) AS key FROM {site.table}", "--target", "delta")
    table.delete(f"{name} = '{held['key']}'")
    report = json.loads(site.run("verify", "--json", code=4).stdout)
    missing = {r["target"]: r["missing"] for r in report}
    assert missing["delta"] >= 1
    assert {missing[name] for name in missing if name != "delta"} == {0}


def test_doctor_looks_at_them(site: AwsSite) -> None:
    site.run("run", "--once")
    findings = site.run("doctor", code=3).stdout  # the bucket is as S3 makes it
    assert "s3://lake/delta" in findings
    assert str(site.folder / "files") in findings
