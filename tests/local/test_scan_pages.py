"""Pages of Scan: each costs a page and not a table, and they are those of the emulator alone, also while items come and go."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import pytest

from tailrace.local.emulator import CHANGES_MAX, Emulator, Owner, ServiceError

pytestmark = pytest.mark.embedded
OWNER = Owner()
TEXT = "x" * 1000


@pytest.fixture(scope="module")
def emulator() -> Emulator:
    return Emulator()


class Table:
    """A table in an emulator in this process."""

    def __init__(self, emulator: Emulator, name: str, sort: bool) -> None:
        self.emulator, self.name, self.sort = emulator, name, sort
        keys = {"pk": "HASH"} | ({"sk": "RANGE"} if sort else {})
        self.call(
            "CreateTable",
            KeySchema=[{"AttributeName": key, "KeyType": role} for key, role in keys.items()],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
            BillingMode="PAY_PER_REQUEST",
        )

    def call(self, operation: str, **request: Any) -> dict[str, Any]:
        return asyncio.run(self.emulator.call(operation, {"TableName": self.name, **request}, OWNER))

    def key(self, number: int) -> dict[str, Any]:
        return {"pk": {"S": f"{number % 97:02}"}, "sk": {"S": f"{number}"}} if self.sort else {"pk": {"S": f"{number}"}}

    def put(self, number: int) -> None:
        self.call("PutItem", Item={**self.key(number), "text": {"S": TEXT}})

    def pages(self, **request: Any) -> list[dict[str, Any]]:
        found = [self.call("Scan", **request)]
        while "LastEvaluatedKey" in found[-1]:
            found.append(self.call("Scan", ExclusiveStartKey=found[-1]["LastEvaluatedKey"], **request))
        return found

    def pages_of_the_emulator(self, monkeypatch: pytest.MonkeyPatch, **request: Any) -> list[dict[str, Any]]:
        with monkeypatch.context() as patch:
            patch.setattr(self.emulator._tables, "_scan", self.emulator._scan)
            return self.pages(**request)


@pytest.mark.parametrize("sort", [False, True], ids=["hash key", "hash and range key"])
def test_pages_are_those_of_the_emulator_alone(emulator: Emulator, monkeypatch: pytest.MonkeyPatch, sort: bool) -> None:
    table, dice, live = Table(emulator, f"pages{sort}", sort), Random(7), set(range(1500))
    for number in live:
        table.put(number)
    wholly = table.pages()
    assert len(wholly) > 1
    for turn in range(3):
        for number in dice.sample(sorted(live), 100):
            table.call("DeleteItem", Key=table.key(number))
            live.discard(number)
        for number in range(10_000 * (turn + 1), 10_000 * (turn + 1) + (50 if turn < 2 else CHANGES_MAX + 1)):
            table.put(number)
            live.add(number)
        table.put(min(live))  # there already
        for request in (
            {},
            {"Limit": 700},
            {"Segment": 1, "TotalSegments": 3},
            {"Limit": 90, "FilterExpression": "pk < :p"},
        ):
            values = {"ExpressionAttributeValues": {":p": {"S": "5"}}} if "FilterExpression" in request else {}
            pages = table.pages(**request, **values)
            assert pages == table.pages_of_the_emulator(monkeypatch, **request, **values), (turn, request)
        assert sum(len(page["Items"]) for page in table.pages()) == len(live)


def test_a_page_looks_at_no_more_items_than_it_holds(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    table, looked_at = Table(emulator, "price", False), []
    for number in range(300):
        table.put(number)
    key_value = emulator._tables._extract_key_val
    monkeypatch.setattr(emulator._tables, "_extract_key_val", lambda value: looked_at.append(value) or key_value(value))
    begin = table.call("Scan", Limit=10)["LastEvaluatedKey"]
    looked_at.clear()
    page = table.call("Scan", Limit=10, ExclusiveStartKey=begin)
    assert len(page["Items"]) == 10
    assert len(looked_at) < 100


def test_what_is_wrong_with_a_request_the_emulator_says(emulator: Emulator) -> None:
    table = Table(emulator, "wrong", True)
    for number in range(10):
        table.put(number)
    for request in (
        {"Limit": 0},
        {"Segment": 3, "TotalSegments": 3},
        {"TotalSegments": 3},
        {"ExclusiveStartKey": {"pk": {"S": "a"}}},
        {"TableName": "absent"},
    ):
        with pytest.raises(ServiceError) as error:
            table.call("Scan", **request)
        assert error.value.code in ("ValidationException", "ResourceNotFoundException"), request
