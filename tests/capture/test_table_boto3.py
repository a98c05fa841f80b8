"""The table port over real boto3 against the embedded endpoint: pages, positions with binary keys, raw items."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tailrace.aws import Aws, AwsSettings
from tailrace.capture.records import encode
from tailrace.capture.table import DynamoDbTable
from tailrace.errors import NotFound, ServiceUnavailable, Throttled
from tailrace.local.client import LocalAws

pytestmark = pytest.mark.embedded

ITEMS = 120


@pytest.fixture(scope="module")
def local() -> Iterator[LocalAws]:
    with LocalAws(seed=5) as endpoint:
        yield endpoint


@pytest.fixture
def aws(local: LocalAws, monkeypatch: pytest.MonkeyPatch) -> Aws:
    for name, value in local.env().items():
        monkeypatch.setenv(name, value)
    return Aws(AwsSettings(region="us-east-1", endpoint_url=local.endpoint_url))


@pytest.fixture
def table(aws: Aws, request: pytest.FixtureRequest) -> str:
    """More than a page of items, under binary keys."""
    client, name = aws.client("dynamodb"), f"table{abs(hash(request.node.name))}"
    client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "B"},
            {"AttributeName": "sk", "AttributeType": "N"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    for number in range(ITEMS):
        item = {
            "pk": {"B": bytes([0, 255, number])},
            "sk": {"N": "9007199254740993"},
            "text": {"S": "\u2028é" * 5000},
            "set": {"BS": [b"\xff"]},
        }
        client.put_item(TableName=name, Item=item)
    return name


def pages(table: DynamoDbTable, parts: int) -> list[Any]:
    found = []
    for part in range(parts):
        after: Any = None
        while True:
            page = table.scan_page(part, parts, after)
            found.append(page)
            after = json.loads(json.dumps(page.after))  # as it comes back from a manifest
            if after is None:
                break
    return found


def test_raw_pages_hold_what_plain_ones_hold_and_go_on_from_a_position_in_json(aws: Aws, table: str) -> None:
    raw = pages(DynamoDbTable(aws.client("dynamodb", attempts=0), table, raw=True), 2)
    plain = pages(DynamoDbTable(aws.client("dynamodb"), table), 2)
    assert [sorted(encode(item) for item in p.items) for p in raw] == [
        sorted(encode(item) for item in p.items) for p in plain
    ]
    assert [p.after for p in raw] == [p.after for p in plain]
    assert any(p.after is not None for p in raw), "it was one page"
    assert len({encode(item) for p in raw for item in p.items}) == ITEMS
    assert all(p.units > 0 for p in raw)
    assert isinstance(raw[0].items[0]["pk"]["B"], str)
    assert isinstance(plain[0].items[0]["pk"]["B"], bytes)


def test_refusals_are_told_apart(local: LocalAws, aws: Aws, table: str) -> None:
    source = DynamoDbTable(aws.client("dynamodb", attempts=0), table, raw=True)
    for fault, error in (("throttle", Throttled), ("error", ServiceUnavailable)):
        local.fault(fault, operation="Scan")
        with pytest.raises(error):
            source.scan_page(0, 1, None)
    with pytest.raises(NotFound):
        DynamoDbTable(aws.client("dynamodb"), "absent").scan_page(0, 1, None)
