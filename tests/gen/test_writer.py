"""The writer: its pace on a clock that is moved by hand, and what becomes of it at a table that refuses."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tailrace.aws import Aws, AwsSettings
from tailrace.clock import ManualClock, SystemClock
from tailrace.errors import PermissionMissing, Throttled, UsageInvalid
from tailrace.gen.profiles import PROFILES
from tailrace.gen.writer import Plan, Writer, ensure_table
from tailrace.local.client import LocalAws

pytestmark = pytest.mark.embedded


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws() as aws:
        yield aws


@pytest.fixture(scope="module")
def client(aws: LocalAws) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in aws.env().items():
            patch.setenv(name, value)
        yield Aws(AwsSettings(region="us-east-1", endpoint_url=aws.endpoint_url)).client("dynamodb")


@pytest.fixture(scope="module")
def impatient(aws: LocalAws, client: Any) -> Any:
    """A client that leaves trying again to the writer."""
    return boto3.client("dynamodb", endpoint_url=aws.endpoint_url, config=Config(retries={"total_max_attempts": 1}))


_names = (f"gen-{number}" for number in itertools.count())


@pytest.fixture
def table(client: Any) -> str:
    name = next(_names)
    assert ensure_table(client, name, PROFILES["narrow"], SystemClock())
    return name


class Recorder:
    """A DynamoDB client that notes when it was called and what it was given, and may refuse some of it."""

    def __init__(self, client: Any, clock: ManualClock) -> None:
        self._client = client
        self._clock = clock
        self.calls: list[tuple[float, int]] = []
        self.sent: list[list[str]] = []  # the keys of each request
        self.refuse = 0  # so many requests have their second half refused

    def batch_write_item(self, RequestItems: dict[str, list[Any]]) -> Any:  # noqa: N803
        ((table, requests),) = RequestItems.items()
        taken = requests
        if self.refuse:
            self.refuse -= 1
            taken = requests[: len(requests) // 2]
        self.calls.append((self._clock.monotonic(), len(taken)))
        contents = [next(iter(request.values())) for request in taken]
        self.sent.append([content.get("Key", content.get("Item"))["id"]["S"] for content in contents])
        if taken:
            self._client.batch_write_item(RequestItems={table: taken})
        left = requests[len(taken) :]
        return {"UnprocessedItems": {table: left} if left else {}}

    def put_item(self, **request: Any) -> Any:
        self._one(request["Item"])
        return self._client.put_item(**request)

    def delete_item(self, **request: Any) -> Any:
        self._one(request["Key"])
        return self._client.delete_item(**request)

    def _one(self, item: Any) -> None:
        self.calls.append((self._clock.monotonic(), 1))
        self.sent.append([item["id"]["S"]])


@pytest.mark.parametrize("rate", [3, 10, 90, 1000])
@pytest.mark.parametrize("batch", [1, 25])
def test_a_rate_is_steady(client: Any, table: str, rate: int, batch: int) -> None:
    clock = ManualClock()
    recorder = Recorder(client, clock)
    changes = min(300, rate * 8)
    begun = clock.monotonic()
    written = Writer(recorder, table, Plan(PROFILES["narrow"]), clock, batch=batch).write(changes, rate=rate)
    assert written.changes == changes
    assert clock.monotonic() - begun == pytest.approx(changes / rate, rel=0.15, abs=0.4)
    for moment, _ in recorder.calls:  # never more than the rate and one request ahead, in any second
        within = sum(count for at, count in recorder.calls if moment <= at < moment + 1)
        assert within <= rate + max(1, min(batch, rate // 4)) + 1
    assert len(recorder.calls) >= changes / max(1, min(batch, rate * 0.25))


def test_bursts_keep_the_rate_on_average(client: Any, table: str) -> None:
    clock = ManualClock()
    recorder = Recorder(client, clock)
    Writer(recorder, table, Plan(PROFILES["narrow"]), clock).write(360, rate=60, burst=120)
    moments = {at: 0 for at, _ in recorder.calls}
    for at, count in recorder.calls:
        moments[at] += count
    times = list(moments)
    assert list(moments.values()) == [120, 120, 120]
    assert [later - earlier for earlier, later in itertools.pairwise(times)] == pytest.approx([2.0, 2.0], abs=0.01)


def test_a_rate_that_was_missed_is_not_made_up_for(client: Any, table: str) -> None:
    clock = ManualClock()
    recorder = Recorder(client, clock)
    writer = Writer(recorder, table, Plan(PROFILES["narrow"]), clock)
    stalled = [False]

    def stall(written: Any) -> None:
        if written.changes >= 50 and not stalled[0]:
            stalled[0] = True
            clock.ms += 60_000

    writer.write(400, rate=40, on_progress=stall)
    after = clock.monotonic() - 60  # 400 changes at 40 a second, less the second that is made up for
    assert after - recorder.calls[0][0] == pytest.approx(9, abs=0.6)


def test_seconds_end_it(client: Any, table: str) -> None:
    clock = ManualClock()
    begun = clock.monotonic()
    written = Writer(Recorder(client, clock), table, Plan(PROFILES["narrow"]), clock).write(10**6, rate=20, seconds=3)
    assert 60 <= written.changes <= 66
    assert clock.monotonic() - begun == pytest.approx(3, abs=0.01)


def test_a_stop_ends_it_and_what_was_written_is_known(client: Any, table: str) -> None:
    stop = threading.Event()

    def after_hundred(written: Any) -> None:
        if written.changes >= 100:
            stop.set()

    writer = Writer(client, table, Plan(PROFILES["narrow"], mix=(1, 0, 0)), SystemClock())
    written = writer.write(10**6, stop=stop, on_progress=after_hundred)
    assert written.changes == 100
    assert client.scan(TableName=table, Select="COUNT")["Count"] == 100


def test_what_the_table_did_not_process_is_sent_again_before_anything_else(client: Any, table: str) -> None:
    clock = ManualClock()
    recorder = Recorder(client, clock)
    recorder.refuse = 4
    plan = Plan(PROFILES["narrow"], seed=4, mix=(1, 3, 1))
    begun = clock.monotonic()
    written = Writer(recorder, table, plan, clock, batch=20).write(200)
    assert written.changes == 200
    assert clock.monotonic() > begun + 0.1, "it paused before it tried again"
    expected: dict[str, Any] = {}
    for operation in itertools.islice(Plan(PROFILES["narrow"], seed=4, mix=(1, 3, 1)).operations(), 200):
        expected[operation.key["id"]["S"]] = operation.item
    found = {item["id"]["S"]: item for item in client.scan(TableName=table)["Items"]}
    assert found == {key: item for key, item in expected.items() if item is not None}


def test_a_key_stands_once_in_a_batch_and_keeps_its_order(client: Any, table: str) -> None:
    clock = ManualClock()
    recorder = Recorder(client, clock)
    Writer(recorder, table, Plan(PROFILES["narrow"], 9, (1, 20, 1)), clock).write(300)
    planned = itertools.islice(Plan(PROFILES["narrow"], 9, (1, 20, 1)).operations(), 300)
    assert [key for batch in recorder.sent for key in batch] == [operation.key["id"]["S"] for operation in planned]
    assert all(len(set(batch)) == len(batch) for batch in recorder.sent)
    assert 1 < max(map(len, recorder.sent)) < 25, "few keys live, so that hardly a batch is full"


def test_throttling_is_waited_out_and_reported_when_it_stays(aws: LocalAws, impatient: Any, table: str) -> None:
    clock = ManualClock()
    aws.fault("throttle", operation="BatchWriteItem", table=table, count=9)
    writer = Writer(impatient, table, Plan(PROFILES["narrow"]), clock)
    assert writer.write(50).changes == 50
    aws.fault("throttle", operation="BatchWriteItem", table=table, count=1000)
    with pytest.raises(Throttled):
        writer.write(50)
    assert writer.written.changes == 50
    aws.clear_faults()
    assert writer.write(50).changes == 100


def test_a_lost_answer_is_no_second_change(aws: LocalAws, impatient: Any, table: str) -> None:
    aws.fault("lost_answer", operation="BatchWriteItem", table=table, count=5)
    written = Writer(impatient, table, Plan(PROFILES["narrow"], mix=(1, 0, 0)), ManualClock()).write(25)
    assert written.changes == 25
    assert impatient.scan(TableName=table, Select="COUNT")["Count"] == 25


def test_what_trying_again_does_not_help_is_an_error_at_once(aws: LocalAws, client: Any, table: str) -> None:
    aws.fault("error", status=403, operation="BatchWriteItem", table=table)
    with pytest.raises(PermissionMissing):
        Writer(client, table, Plan(PROFILES["narrow"]), ManualClock()).write(25)


@pytest.mark.parametrize("name", PROFILES)
def test_the_endpoint_takes_every_item(client: Any, name: str) -> None:
    profile, table = PROFILES[name], next(_names)
    ensure_table(client, table, profile, SystemClock())
    written = Writer(client, table, Plan(profile, seed=2), SystemClock()).write(500)
    assert written.changes == 500
    assert written.inserts > 300
    live = client.scan(TableName=table, Select="COUNT")["Count"]
    assert live == written.inserts - written.deletes


def test_a_table_that_is_there_is_used_and_one_with_other_keys_refused(client: Any, table: str) -> None:
    assert not ensure_table(client, table, PROFILES["narrow"], SystemClock())
    with pytest.raises(UsageInvalid, match=r"key is id \(S\), that of the profile single-table is pk \(S\), sk \(S\)"):
        ensure_table(client, table, PROFILES["single-table"], SystemClock())
