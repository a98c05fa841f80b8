"""The function behind S3: each object is loaded by its event, whatever becomes of events."""

from __future__ import annotations

import json
from typing import Any

import pytest
from functions import until
from lambda_site import Site, of_objects

from tailrace.errors import ManifestInvalid
from tailrace.runtimes.aws_lambda import running

pytestmark = pytest.mark.embedded


def test_each_object_is_loaded_by_its_event(site: Site) -> None:
    site.configure('base = "none"')
    site.load_each_object()
    site.capture()
    site.account.put_many(site.table, 50)
    until(lambda: site.value("SELECT count(*) AS n FROM orders") == 50, 60)
    site.account.dynamodb.delete_item(TableName=site.table, Key={"pk": {"S": "k7"}})
    until(lambda: site.value("SELECT count(*) AS n FROM orders") == 49, 60)
    site.verify()


def test_whatever_becomes_of_the_events_the_target_ends_alike(site: Site) -> None:
    site.configure('base = "none"\nmode = "changelog"')
    function = f"{site.name}-on-object"
    site.aws.fault("event_late", table=function, seconds=600, count=2)  # behind those that come after them
    site.aws.fault("event_lost", table=function, count=2)
    site.aws.fault("event_twice", table=function, count=2)
    site.load_each_object()
    site.capture()
    for part in range(7):
        files = len(site.landed())
        site.account.put_many(site.table, 10, prefix=f"{part}-")
        until(lambda files=files: len(site.landed()) > files, 60)
    until(lambda: not site.aws.faults(), 60)
    landing = site.pipeline.landing(site.table)

    def listed() -> int:
        """Changes that are published; the target is left in peace."""
        found = landing.load()
        return 0 if found is None else sum(segment.rows for segment in found.manifest.segments)

    until(lambda: listed() == 30, 60)  # two that were doubled, and one
    site.aws.advance(600)
    until(lambda: listed() == 50, 60)  # and two late
    schedule = site.function("on_schedule")
    until(lambda: site.call(schedule, {}) and site.value("SELECT count(*) AS n FROM orders") == 70, 60)
    assert site.value("SELECT count(DISTINCT pk) AS n FROM orders") == 70
    assert listed() == 70, "each file once"
    site.verify()


@pytest.fixture
def here(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The functions of this process work on the site; they leave its logging alone."""
    monkeypatch.setenv("TAILRACE_CONFIG", f"{site.folder}/tailrace.toml")
    monkeypatch.setattr(running, "set_up_logging", lambda: None)
    running._opened.cache_clear()


class Context:
    def get_remaining_time_in_millis(self) -> int:
        return 60_000


def test_an_object_is_answered_with_what_was_listed_and_how_the_table_stands(
    site: Site, here: None, capsys: pytest.CaptureFixture[str]
) -> None:
    site.configure('base = "none"')
    site.capture()
    site.account.put_many(site.table, 10)
    (key,) = until(site.landed, 60)
    for segments in (1, 0):
        answer = running.on_object(of_objects(site.name, key), Context())
        assert answer == {site.table: {"unloaded": 0, "state": "CAPTURING"}}
        line = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert (line["Segments"], line["state"], line["Failures"]) == (segments, "CAPTURING", 0)


def test_a_table_that_cannot_be_listed_holds_up_no_other(
    site: Site, here: None, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = f"a-{site.table}"
    site.configure(f'base = "none"\n[tables.{bad}]\nname = "bad"\nbase = "none"')
    site.capture()
    site.account.put_many(site.table, 10)
    (key,) = until(site.landed, 60)
    site.account.s3.put_object(Bucket=site.name, Key=f"zone/{bad}/manifest.json", Body=b"{}")
    with pytest.raises(ManifestInvalid, match=bad):
        running.on_object(of_objects(site.name, key.replace(site.table, bad), key), Context())
    assert site.value("SELECT count(*) AS n FROM orders") == 10
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "UnloadedSegments" in line]
    told = {line["Table"]: line for line in lines}
    assert list(told) == [bad, site.table]
    assert (next(iter(told[bad]["errors"])), told[site.table]["Segments"]) == ("capture", 1)


def test_events_that_are_not_ours_are_left_alone(site: Site) -> None:
    function = site.function("on_object")
    key = f"zone/{site.table}/changes/dt%3D2026-11-22/hr%3D05/1-2-0123abcd.json.gz"

    def event(bucket: str, key: str) -> dict[str, Any]:
        s3 = {"bucket": {"name": bucket}, "object": {"key": key}}
        return {"Records": [{"eventName": "ObjectCreated:Put", "eventSource": "aws:s3", "s3": s3}]}

    for odd in (
        {"Service": "Amazon S3", "Event": "s3:TestEvent"},
        [],
        event("another", key),
        event(site.name, "zone/another/changes/x"),
        event(site.name, f"zone/{site.table}/manifest.json"),
        event(site.name, f"zone/{site.table}/quarantine/x.json.gz"),
        event(site.name, "elsewhere"),
    ):
        assert site.call(function, odd) == {}
    assert list(site.call(function, event(site.name, key))) == [site.table], "gone since: nothing to list"
