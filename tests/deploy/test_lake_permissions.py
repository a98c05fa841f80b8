"""The requests that loads and reads of a lake really make, by whichever library, held against the policies of a role."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

import boto3
import pytest
from botocore.config import Config
from configurations import HEAD, LAKES, ORDERS, config_of
from http_edge import Request, edge_before
from permissions import ACCOUNT, Call, is_allowed
from stream_reader import Account

from tailrace.aws import Aws, AwsSettings
from tailrace.clock import SystemClock
from tailrace.deploy.iam import documents
from tailrace.deploy.plan import plan
from tailrace.local.client import LocalAws
from tailrace.opening import open_target
from tailrace.runtimes.aws_lambda import capture, capturing, on_object, running
from tailrace.testing.target_contract import HISTORY, Replica

pytestmark = pytest.mark.embedded

TEXT: Final = (HEAD + LAKES + ORDERS).replace("eu-west-1", "us-east-1")
OWN: Final = {"aws:ResourceAccount": ACCOUNT}
GLUE: Final = f"arn:aws:glue:us-east-1:{ACCOUNT}"


def called(request: Request) -> Iterator[Call]:
    """What IAM would be asked for one request to S3 or Glue."""
    target = next((v for name, v in request.headers.items() if name.lower() == "x-amz-target"), None)
    if target is not None:
        yield from _of_glue(f"glue:{target.removeprefix('AWSGlue.')}", json.loads(request.body))
        return
    place = urlsplit(request.path)
    bucket, _, key = unquote(place.path).lstrip("/").partition("/")
    query: Mapping[str, str] = dict(parse_qsl(place.query, keep_blank_values=True))
    if not key and request.method == "POST" and "delete" in query:
        for part in request.body.decode().split("<Key>")[1:]:
            yield Call("s3:DeleteObject", f"arn:aws:s3:::{bucket}/{part.partition('</Key>')[0]}", OWN)
    elif not key:
        yield Call("s3:ListBucket", f"arn:aws:s3:::{bucket}", {**OWN, "s3:prefix": query.get("prefix", "")})
    else:
        aborts = request.method == "DELETE" and "uploadId" in query
        names = {"GET": "GetObject", "HEAD": "GetObject", "PUT": "PutObject", "POST": "PutObject"}
        action = "AbortMultipartUpload" if aborts else names.get(request.method, "DeleteObject")
        yield Call(f"s3:{action}", f"arn:aws:s3:::{bucket}/{key}", OWN)


def _of_glue(action: str, asked: Mapping[str, Any]) -> Iterator[Call]:
    """A table's call asks for its database and the catalog, too."""
    yield Call(action, f"{GLUE}:catalog")
    database = asked.get("DatabaseName") or asked.get("DatabaseInput", {}).get("Name") or asked["Name"]
    yield Call(action, f"{GLUE}:database/{database}")
    if "DatabaseName" in asked:
        table = asked.get("Name") or asked.get("TableInput", {}).get("Name") or "*"
        yield Call(action, f"{GLUE}:table/{database}/{table}")


@pytest.mark.parametrize(("name", "mode"), [("files", "changelog"), ("delta", "current"), ("ice", "current")])
def test_loads_and_reads_of_a_lake_are_allowed(
    aws: LocalAws, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, mode: Any
) -> None:
    for variable, value in aws.env().items():
        monkeypatch.setenv(variable, value)
    config = config_of(
        TEXT.replace('url = "s3://acme-', f'url = "s3://{name}-{mode}-').replace("_lake", f"_{name}_{mode}")
    )
    s3 = boto3.client("s3", endpoint_url=aws.endpoint_url, config=Config(s3={"addressing_style": "path"}))
    for bucket in ("acme-lake", f"{name}-{mode}-lake", f"{name}-{mode}-delta"):
        s3.create_bucket(Bucket=bucket)
    deployment = plan(config, "0")
    roles = tuple(role for role in deployment.roles if role.duty == "load")
    (document,) = documents(deployment, roles, ACCOUNT, {}).values()
    with edge_before(aws.endpoint_url) as edge:
        reached = Aws(AwsSettings(region="us-east-1", endpoint_url=edge.uri))
        replica = Replica(open_target(name, config.targets[name], reached, tmp_path, SystemClock()), mode)
        for load in HISTORY[:3]:
            replica.apply(load)
        replica.check()
        assert replica.found(["d"]) == {key: row for key, row in replica.expected().items() if key == '["d"]'}
        calls = [call for request in edge.seen for call in called(request)]
    refused = {
        (c.action, c.resource, *c.context.items()) for c in calls if not is_allowed(c, document["policy"]["Statement"])
    }
    assert not refused
    assert {"s3:PutObject", "s3:GetObject"} <= {call.action for call in calls}
    assert ("glue:UpdateTable" in {call.action for call in calls}) == (name == "ice")


class Context:
    """Of an invocation with a minute left."""

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


def test_a_function_with_the_rendered_configuration_loads_every_lake(
    account: Account, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = config_of(TEXT.replace("acme-", "fn-").replace("orders_lake", "fn_lake"))
    for bucket in ("fn-lake", "fn-delta"):
        account.s3.create_bucket(Bucket=bucket)
    account.table(name="orders")
    stream = account.dynamodb.describe_table(TableName="orders")["Table"]["LatestStreamArn"]
    path = tmp_path / "tailrace.toml"
    path.write_text(plan(config, "0").config, encoding="utf-8")
    monkeypatch.setenv("TAILRACE_CONFIG", str(path))
    monkeypatch.setenv("TAILRACE_LANDING", config.landing.url)
    for cache in (capturing._store, running._opened):
        cache.cache_clear()
    records = [
        {
            "eventName": "INSERT",
            "eventSourceARN": stream,
            "dynamodb": {
                "ApproximateCreationDateTime": int(account.aws.clock()),
                "SequenceNumber": f"{10**20 + number}",
                "Keys": {"pk": {"S": f"k{number}"}},
                "NewImage": {"pk": {"S": f"k{number}"}, "price": {"N": "0.10"}},
            },
        }
        for number in range(3)
    ]
    assert capture({"Records": records}, Context()) == {"batchItemFailures": []}
    listed = account.s3.list_objects_v2(Bucket="fn-lake", Prefix="tailrace/orders/changes/")["Contents"]
    objects = [{"bucket": {"name": "fn-lake"}, "object": {"key": entry["Key"]}} for entry in listed]
    told = {"Records": [{"eventName": "ObjectCreated:Put", "eventSource": "aws:s3", "s3": s3} for s3 in objects]}
    assert on_object(json.loads(json.dumps(told)), Context())["orders"]["unloaded"] == 0
    for name in config.targets:
        lake: Any = open_target(name, config.targets[name], Aws(AwsSettings("us-east-1")), tmp_path, SystemClock())
        rows = lake.query("SELECT pk, CAST(price AS VARCHAR) AS price FROM orders ORDER BY pk").to_pylist()
        assert rows == [{"pk": f"k{number}", "price": "0.1"} for number in range(3)], name
    for cache in (capturing._store, running._opened):
        cache.cache_clear()
