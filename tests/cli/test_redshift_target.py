"""A table of the embedded AWS goes into DuckDB and the Redshift stand-in side by side, by the commands that a person types."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import pytest
from aws_site import AwsSite, enter, table_for

from tailrace.local.client import LocalAws

pytestmark = pytest.mark.embedded

CANARY = "canary-41d7"
LOGIN = json.dumps({"username": "loader", "password": CANARY})
PLACE = """
[targets.dwh]
kind = "redshift"
database = "dev"
iam_role = "arn:aws:iam::111122223333:role/RedshiftCopy"
staging = "s3://lake/staging"
"""
VALUES: dict[str, Any] = {
    "Wide": Decimal("12345678901234567890123456789012345678"),
    "exact": Decimal("0.10"),
    "blob": b"\x00\xff",
    "quote": "it's \\ \"",
    "nested": {"a": [1, {"b": Decimal("1.50")}], "s": {"x", "y"}},
    "tags": {"x", "y"},
    "sizes": {Decimal("0.5"), Decimal("12345678901234567890")},
}


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws() as endpoint:
        boto3.client("s3", **_login(endpoint)).create_bucket(Bucket="lake")
        yield endpoint


def _login(aws: LocalAws) -> dict[str, str]:
    return {
        "endpoint_url": aws.endpoint_url,
        "region_name": "us-east-1",
        "aws_access_key_id": "test",
        "aws_secret_access_key": "test",
    }


def by_data_api(aws: LocalAws) -> str:
    return 'workgroup = "by-data-api"'


def by_parameter(aws: LocalAws) -> str:
    boto3.client("ssm", **_login(aws)).put_parameter(
        Name="/dwh/login", Value=LOGIN, Type="SecureString", Overwrite=True
    )
    return _driver(aws, "by-parameter", 'ssm_parameter = "/dwh/login"')


def _driver(aws: LocalAws, warehouse: str, credentials: str) -> str:
    host, port = aws.redshift(warehouse)
    return f'driver = "connector"\nhost = "{host}"\nport = {port}\n{credentials}'


def site_with(
    target: str, aws: LocalAws, folder: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> AwsSite:
    enter(aws, folder, monkeypatch)
    table = table_for(request)
    site = AwsSite(folder, aws, table, landing=f"s3://lake/{table}")
    site.file.write_text(site.file.read_text().replace("[targets.local]", f"{PLACE}{target}\n[targets.local]"))
    return site


@pytest.mark.parametrize("way", [by_data_api, by_parameter])
def test_redshift_holds_what_duckdb_holds_to_the_last_digit(
    way: Callable[[LocalAws], str],
    aws: LocalAws,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    site = site_with(way(aws), aws, tmp_path, monkeypatch, request)
    said = [site.run("gen", "--table", site.table, "--items", "200", "--seed", "1")]
    said.append(site.run("-vv", "run", "--once"))
    table = boto3.resource("dynamodb", endpoint_url=aws.endpoint_url).Table(site.table)
    item = table.scan(Limit=1)["Items"][0]
    key = {k["AttributeName"]: item[k["AttributeName"]] for k in table.key_schema}
    table.put_item(Item={**key, **VALUES})
    site.run("gen", "--table", site.table, "--items", "50", "--seed", "2")
    said.append(site.run("-vv", "--log-format", "json", "run", "--once"))
    status = site.json("status")
    assert [(t["name"], t["kind"]) for t in status["targets"]] == [("dwh", "redshift"), ("local", "duckdb")]
    assert len({t["rows"] for t in status["targets"]}) == 1
    said.append(site.run("verify"))
    query = "SELECT wide, exact, quote FROM orders WHERE wide IS NOT NULL"
    held = [
        site.run("query", query, "--target", name, "--format", "csv").stdout.splitlines()[1]
        for name in ("dwh", "local")
    ]
    assert held[0] == held[1]
    assert "12345678901234567890123456789012345678" in held[0]
    staged = boto3.client("s3", endpoint_url=aws.endpoint_url).list_objects_v2(Bucket="lake", Prefix="staging/")
    assert staged.get("Contents", []) == []
    assert not any(CANARY in result.output for result in said)
    assert not any(CANARY.encode() in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_whole_items_are_verified_like_any_others(
    aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    site = site_with('workgroup = "whole"\nshape = "super"', aws, tmp_path, monkeypatch, request)
    site.run("gen", "--table", site.table, "--items", "100", "--seed", "1")
    table = boto3.resource("dynamodb", endpoint_url=aws.endpoint_url).Table(site.table)
    item = table.scan(Limit=1)["Items"][0]
    key = {k["AttributeName"]: item[k["AttributeName"]] for k in table.key_schema}
    numbers = {"tiny": Decimal("1E-130"), "members": {Decimal("9.9E+125"), Decimal("0.5")}, "none": None}
    table.put_item(Item={**key, **VALUES, **numbers, "deep": {"a": [numbers["tiny"], None, {b"\x00", b"\xff"}]}})
    site.run("run", "--once")
    site.run("verify")
    counts = "SELECT count(*) AS n, sum(CASE WHEN item IS NULL THEN 1 ELSE 0 END) AS without FROM orders"
    assert site.json("query", counts, "--target", "dwh")["without"] == 0
    target = boto3.client("redshift-data", endpoint_url=aws.endpoint_url)
    change = {"WorkgroupName": "whole", "Database": "dev", "WaitTimeSeconds": 10}
    newest = "(SELECT max(_tr_pos) FROM orders)"
    spoilt = f"UPDATE orders SET item = JSON_PARSE('{{\"tiny\":0}}') WHERE item IS NOT NULL AND _tr_pos = {newest}"
    assert target.execute_statement(Sql=spoilt, **change)["Status"] == "FINISHED"
    report = json.loads(site.run("verify", "--json", code=4).stdout)
    assert [(r["target"], r["different"]) for r in report] == [("dwh", 1), ("local", 0)]
    assert report[0]["examples"][0]["attributes"] == ["item"]


def test_a_login_that_is_not_there_holds_nothing_else_up_and_a_secret_mends_it(
    aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    parameter = 'ssm_parameter = "/dwh/none"'
    site = site_with(_driver(aws, "by-secret", parameter), aws, tmp_path, monkeypatch, request)
    site.run("gen", "--table", site.table, "--items", "5", "--seed", "1")
    output = site.run("run", "--once", code=2).output
    assert "/dwh/none" in output
    assert "Traceback" not in output
    rows = {t["name"]: t for t in site.json("status", code=3)["targets"]}
    assert rows["local"]["rows"] > 0
    assert "/dwh/none" in rows["dwh"]["problem"]
    secrets = boto3.client("secretsmanager", **_login(aws))
    arn = secrets.create_secret(Name="dwh", SecretString=LOGIN)["ARN"]
    site.file.write_text(site.file.read_text().replace(parameter, f'secret_arn = "{arn}"'))
    site.run("run", "--once")
    assert len({t["rows"] for t in site.json("status")["targets"]}) == 1


def test_a_driver_that_is_not_installed_is_named_with_the_command(
    aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    site = site_with(_driver(aws, "nobody", 'ssm_parameter = "/dwh/none"'), aws, tmp_path, monkeypatch, request)
    monkeypatch.delitem(sys.modules, "tailrace.targets.redshift.connector", raising=False)
    monkeypatch.setitem(sys.modules, "redshift_connector", None)
    result = site.run("query", "SELECT 1", "--target", "dwh", code=2)
    assert "pip install 'tailrace[redshift]'" in result.output
