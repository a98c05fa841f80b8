"""Without a server: a stream, functions as processes, S3, a target; nothing lost, nothing twice, verified."""

from __future__ import annotations

import json
from typing import Any

import pytest
from functions import until
from lambda_site import Site

pytestmark = pytest.mark.embedded

OLDER_RELEASE = """
from tailrace.capture import lambda_events
from tailrace.errors import RecordInvalid
from tailrace.runtimes.aws_lambda import capture as handler

known = lambda_events.line_of

def line_of(record):
    if record["dynamodb"]["Keys"]["pk"]["S"] == "k4711":
        raise RecordInvalid("not known yet", hint="A later release knows it.")
    return known(record)

lambda_events.line_of = line_of
"""


def test_a_write_reaches_the_target_by_functions_alone(site: Site) -> None:
    site.configure('base = "scan"')
    site.account.put_many(site.table, 100, prefix="old")
    site.load_each_object()
    site.capture()
    site.account.put_many(
        site.table, 500, prefix="new", text={"S": "ü"}, n={"N": "12345678901234567890123456789012345678"}
    )
    schedule = site.function("on_schedule")
    until(lambda: len(site.landed()) > 0)

    assert site.call(schedule, {"tables": site.table})[site.table]["state"] == "CONSISTENT", "the base is handed over"
    assert site.value("SELECT count(*) AS n FROM orders") == 600
    (status,) = site.pipeline.status()
    assert (status.capture, status.state, status.unloaded) == ("lambda", "CONSISTENT", 0)
    site.verify()


def test_a_bad_record_among_ten_thousand(site: Site) -> None:
    site.configure('base = "none"')
    arn, written = site.account.arn(site.table), int(site.aws.clock())
    records = [
        {
            "eventName": "INSERT",
            "eventSourceARN": arn,
            "dynamodb": {
                "ApproximateCreationDateTime": written,
                "SequenceNumber": f"{10**20 + n}",
                "Keys": {"pk": {"S": f"k{n}"}},
                "NewImage": {"pk": {"S": f"k{n}"}, "n": {"N": str(n)}},
            },
        }
        for n in range(10_000)
    ]
    del records[4711]["dynamodb"]["Keys"]  # type: ignore[attr-defined]
    assert site.call(site.function("capture"), {"Records": records}) == {"batchItemFailures": []}
    site.call(site.function("on_schedule"), {})
    assert site.value("SELECT count(*) AS n FROM orders") == 9_999
    landing = site.pipeline.landing(site.table)
    (aside,) = (record for file in landing.quarantined() for record in file.records)
    assert (aside.sequence_number, "Keys" in aside.reason) == (str(10**20 + 4711), True)
    assert json.loads(aside.payload) == records[4711]


def test_a_record_that_an_older_release_refused_is_replayed_after_the_update(site: Site) -> None:
    """Of 10,000 in a live stream: the others arrive, no shard waits, and in the end the table is whole."""
    site.configure('base = "none"')
    site.capture(code=OLDER_RELEASE)
    site.account.put_many(site.table, 10_000)
    schedule = site.function("on_schedule")

    def arrived() -> Any:
        site.call(schedule, {})
        return site.value("SELECT count(*) AS n FROM orders")

    until(lambda: arrived() == 9_999, 120)
    (file,) = site.pipeline.landing(site.table).quarantined()
    assert [(record.reason, "k4711" in record.payload.decode()) for record in file.records] == [("not known yet", True)]
    (report,) = site.pipeline.verify()
    assert (report.missing, report.extra, report.different) == (1, 0, 0)
    site.update("capture")
    site.account.put_many(site.table, 25, prefix="later")
    until(lambda: arrived() == 10_024, 60)
    assert site.pipeline.replay(site.table, file.name).landed == 1
    assert arrived() == 10_025
    site.verify()
    assert list(site.pipeline.landing(site.table).quarantined()) == []


def test_failures_duplicates_and_other_borders_change_nothing(site: Site) -> None:
    site.configure('base = "none"\nmode = "changelog"')
    site.aws.fault("error", operation="PutObject", table=site.name, status=503, count=30)
    site.capture(BatchSize=20)
    site.account.put_many(site.table, 60, prefix="a")
    until(lambda: not site.aws.faults(), 60)
    until(lambda: len(site.landed()) > 1, 60)
    before = len(site.landed())
    site.aws.advance(3600)  # what is tried again now was begun in another hour
    site.aws.shards("duplicate", site.table, count=3)
    site.aws.fault("lost_answer", operation="Invoke", table=f"{site.name}-capture", count=2)
    for n in range(3):
        site.account.put_many(site.table, 60, prefix=f"b{n}")
        (site.aws.split if n % 2 else site.aws.roll)(site.table)
    until(lambda: len(site.landed()) > before, 60)
    schedule = site.function("on_schedule")
    until(lambda: site.call(schedule, {}) and site.value("SELECT count(*) AS n FROM orders") == 240, 60)
    for _ in range(2):
        site.call(schedule, {})
    assert site.value("SELECT count(*) AS n FROM orders") == 240
    assert site.value("SELECT count(DISTINCT pk) AS n FROM orders") == 240
    site.verify()


def test_a_schedule_ends_where_a_function_has_yet_to_land_something(site: Site) -> None:
    site.configure('base = "none"')
    site.account.put_many(site.table, 30)
    schedule = site.function("on_schedule")
    assert site.call(schedule, {})[site.table]["state"] == "CAPTURING"
    assert site.landed() == [], "what is young is left to the function"
