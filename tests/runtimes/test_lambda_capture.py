"""The function behind a stream: what it lands, when it acknowledges, and that failing anywhere loses nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tailrace.capture.lambda_events import batch_of
from tailrace.clock import ManualClock
from tailrace.errors import ConfigInvalid, ServiceUnavailable
from tailrace.landing import Landing
from tailrace.landing.segments import unpacked
from tailrace.model.quarantine import QuarantinedRecord
from tailrace.runtimes.aws_lambda import capture
from tailrace.runtimes.aws_lambda.capturing import land
from tailrace.testing.faults import FaultPlan, FaultyStore, effects_of, every_fault, stopped
from tailrace.testing.stores import MemoryStore

ARN = "arn:aws:dynamodb:eu-west-1:111122223333:table/orders/stream/2026-11-22T05:00:00.000"
T0 = 1_795_323_600  # an hour begins


def record(number: int, created: int = T0 + 60, **change: Any) -> dict[str, Any]:
    inner = {
        "ApproximateCreationDateTime": created,
        "Keys": {"pk": {"S": f"k{number}"}},
        "NewImage": {"pk": {"S": f"k{number}"}},
        "SequenceNumber": f"{number:021d}",
        **change,
    }
    return {"eventName": "MODIFY", "eventSourceARN": ARN, "dynamodb": {k: v for k, v in inner.items() if v is not None}}


EVENT = {"Records": [record(1), record(2, Keys=None), record(3)]}


def deliver(store: Any, event: Any = EVENT, seconds: float = 60.0, clock: ManualClock | None = None) -> dict[str, Any]:
    return land(batch_of(event), Landing(store, "orders"), clock or ManualClock((T0 + 100) * 1000), lambda: seconds)


def lines(store: MemoryStore) -> list[str]:
    """The sequence numbers of all landed lines, each as often as it landed."""
    found = [data for name, data in store.objects.items() if name.startswith("orders/changes/")]
    text = b"".join(b"".join(unpacked([data])) for data in found).decode()
    return sorted(json.loads(line)["Metadata"]["SequenceNumber"]["S"] for line in text.splitlines())


def quarantined(store: MemoryStore) -> list[QuarantinedRecord]:
    return [r for file in Landing(store, "orders").quarantined() for r in file.records]


def test_a_batch_becomes_one_segment_in_the_hour_of_its_records() -> None:
    store = MemoryStore()
    assert deliver(store, clock=ManualClock((T0 + 90_000) * 1000)) == {"batchItemFailures": []}
    (name,) = (n for n in store.objects if n.startswith("orders/changes/"))
    assert name.startswith("orders/changes/dt=2026-11-22/hr=05/1-3-")
    assert lines(store) == ["1", "3"]


def test_a_bad_record_lies_in_quarantine_with_reason_and_payload() -> None:
    store = MemoryStore()
    deliver(store)
    (aside,) = quarantined(store)
    assert "Keys" in aside.reason
    assert json.loads(aside.payload) == EVENT["Records"][1]
    assert aside.sequence_number == "2"


def test_a_redelivery_changes_nothing_also_after_the_hour() -> None:
    store = MemoryStore()
    deliver(store)
    before = dict(store.objects)
    deliver(store, clock=ManualClock((T0 + 7200) * 1000))
    assert store.objects == before


def test_another_stream_of_the_table_gives_other_names() -> None:
    store = MemoryStore()
    deliver(store, {"Records": [record(1)]})
    deliver(store, {"Records": [{**record(1), "eventSourceARN": ARN.replace("2026-11-22", "2026-11-23")}]})
    assert len([n for n in store.objects if n.startswith("orders/changes/")]) == 2


def test_out_of_time_it_lands_what_it_has_and_names_the_rest() -> None:
    store = MemoryStore()
    event = {"Records": [record(n) for n in range(1, 1001)]}
    left = iter([60.0, 60.0, 4.0])
    answer = land(batch_of(event), Landing(store, "orders"), ManualClock(T0 * 1000), lambda: next(left))
    (failure,) = answer["batchItemFailures"]
    first = int(failure["itemIdentifier"])
    assert lines(store) == sorted(str(n) for n in range(1, first))
    assert failure["itemIdentifier"] in {r["dynamodb"]["SequenceNumber"] for r in event["Records"]}
    again = [r for r in event["Records"] if int(r["dynamodb"]["SequenceNumber"]) >= first]
    assert deliver(store, {"Records": again}) == {"batchItemFailures": []}
    assert lines(store) == sorted(str(n) for n in range(1, 1001))


def test_a_batch_of_nothing_but_bad_records_takes_a_handful_of_effects() -> None:
    event = {"Records": [record(n, Keys=None) for n in range(1, 2001)]}
    effects = effects_of(lambda plan: deliver(FaultyStore(MemoryStore(), plan), event))
    assert len(effects) == 2, "the epoch is looked up, and one object holds them all"


def test_a_manifest_that_nobody_can_read_holds_no_shard() -> None:
    store = MemoryStore()
    store.create("orders/manifest.json", b"no manifest")
    assert deliver(store) == {"batchItemFailures": []}
    assert [r.epoch for r in quarantined(store)] == [1]


def test_without_its_one_setting_it_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TAILRACE_LANDING", raising=False)
    with pytest.raises(ConfigInvalid, match="TAILRACE_LANDING"):
        capture(EVENT, None)


def scenario(plan: FaultPlan) -> MemoryStore:
    store = MemoryStore()
    acknowledged = False
    while not acknowledged:
        if plan.dead:
            plan = FaultPlan()  # Lambda calls another process
        with stopped():
            deliver(FaultyStore(store, plan))
            acknowledged = True
    return store


@pytest.mark.parametrize("plan", every_fault(scenario), ids=str)
def test_wherever_it_fails_the_next_delivery_makes_it_whole(plan: FaultPlan) -> None:
    store = scenario(plan)
    assert plan.struck
    assert lines(store) == ["1", "3"]
    assert len(quarantined(store)) == 1


@pytest.mark.parametrize("plan", every_fault(lambda plan: deliver(FaultyStore(MemoryStore(), plan))), ids=str)
def test_nothing_is_acknowledged_before_it_is_durable(plan: FaultPlan) -> None:
    store = MemoryStore()
    with stopped():
        deliver(FaultyStore(store, plan))
        assert lines(store) == ["1", "3"]
        assert len(quarantined(store)) == 1


def test_an_error_reaches_lambda(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ServiceUnavailable):
        deliver(FaultyStore(MemoryStore(), FaultPlan(1, "error")))


def test_what_it_says_is_one_json_line_with_metrics(capsys: pytest.CaptureFixture[str]) -> None:
    deliver(MemoryStore(), {"Records": [record(1, T0), record(2, T0 + 40)]})
    document = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (document["Table"], document["Rows"], document["Quarantined"]) == ("orders", 2, 0)
    assert (document["LagSeconds"], document["IteratorAgeSeconds"]) == (60, 100)
    assert document["HeadroomSeconds"] == 24 * 3600 - 100
    metrics = document["_aws"]["CloudWatchMetrics"][0]
    assert metrics["Dimensions"] == [["Table"]]
    assert {m["Name"] for m in metrics["Metrics"]} <= document.keys()


SLIM = """
import os, sys
before = set(sys.modules)
import tailrace.runtimes.aws_lambda.capturing as capturing
os.environ |= {"TAILRACE_LANDING": "s3://lake/x", "AWS_DEFAULT_REGION": "eu-west-1"}
capturing._store()
ours = {"tailrace", "boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3", "certifi", "isal"}
brought = {name.split(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names) - ours - {"__mp_main__"}
brought |= {"tailrace.config", "tailrace.codec", "tailrace.targets", "tailrace.jobs"} & set(sys.modules)
print(" ".join(sorted(brought)))
"""


def test_the_function_brings_the_standard_library_boto3_and_little_of_ours() -> None:
    ran = subprocess.run([sys.executable, "-c", SLIM], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []
