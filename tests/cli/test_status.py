"""`status` and `why`: how things stand, honestly, for people, scripts and alarms."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from cli_project import GAP, Project, line

from tailrace.cli.status import lines, warnings
from tailrace.decide.load import Every
from tailrace.model.manifest import Pause
from tailrace.model.quarantine import QuarantinedRecord
from tailrace.model.scan import ScanPart, ScanState
from tailrace.model.segments import Segment
from tailrace.pipeline import TableStatus, TargetStatus

MINUTE, HOUR = 60.0, 3600.0
NOW = 1_790_000_000.0
WELL = TargetStatus("local", "duckdb", "current", 2, 0, None, 1, 1.0, 900, 1900)


def status(lag: float | None, state: str = "CONSISTENT", targets: Sequence[TargetStatus] = (WELL,)) -> TableStatus:
    captured = None if lag is None else 1_790_000_000_000
    return TableStatus(
        "orders", "streams", state, "", captured, lag, {"shard-1": "7"}, 3, 900, 0, tuple(targets), (), 0
    )


def test_the_json_document_has_these_fields_and_no_others(loaded: Project) -> None:
    (table,) = loaded.json("status")
    lag, target_lag = table["capture"].pop("lag_seconds"), table["targets"][0].pop("lag_seconds")
    assert 0 <= lag < 60
    assert 0 <= target_lag < 60
    watermark, latency = table["targets"][0].pop("watermark"), table["targets"][0].pop("latency_ms")
    assert watermark.endswith("+00:00")
    assert set(latency) == {"p50", "p99"}
    assert table == {
        "table": "orders",
        "state": "CONSISTENT",
        "reason": "",
        "warnings": [],
        "capture": {"mode": "streams", "position": {"shard-1": str(10**20)}},
        "segments": {"count": 1, "bytes": loaded.manifest.segments[0].bytes, "files": 1, "unloaded": 0},
        "targets": [
            {
                "name": "local",
                "kind": "duckdb",
                "mode": "current",
                "load": "continuous",
                "rows": 2,
                "problem": "",
                "waiting_since": None,
                "next_load": None,
                "loader": None,
            }
        ],
        "gaps": [],
        "quarantine": {"count": 0},
    }


def test_people_see_the_same(loaded: Project) -> None:
    result = loaded.run("status")
    assert result.exit_code == 0
    head, captured, target = result.stdout.splitlines()
    assert head == "orders  CONSISTENT"
    assert "1 segments" in captured
    assert "0 not loaded" in captured
    assert target.startswith("  local (duckdb, current): 2 rows, complete through ")
    assert "write to queryable p50" in target


def test_a_table_without_a_first_capture_is_new(project: Project) -> None:
    (table,) = project.json("status", code=3)
    assert table["state"] == "NEW"
    assert table["capture"] == {"mode": "streams", "lag_seconds": None, "position": {}}
    result = project.run("status")
    assert result.stdout.startswith("orders  NEW  nothing was captured yet: `tailrace run`")
    assert result.exit_code == 3


def test_what_is_captured_and_not_loaded_is_capturing(project: Project) -> None:
    project.begin()
    project.land(line(1, "a"))
    (table,) = project.json("status")
    assert table["state"] == "CAPTURING"
    assert table["segments"]["unloaded"] == 1


def test_a_gap_outranks_everything_and_exits_4(loaded: Project) -> None:
    published = loaded.landing.load()
    assert published is not None
    manifest = replace(published.manifest, gaps=(GAP,), state="SOURCE_CHANGED", pause=Pause("no", "Scan"))
    loaded.landing.save(manifest, published, "w")
    loaded.set_aside(QuarantinedRecord("bad_value", "no", b"{", segment="s", line=1))
    (table,) = loaded.json("status", code=4)
    assert table["state"] == "GAP"
    assert table["gaps"] == [GAP.to_json()]
    assert table["targets"][0]["watermark"] is None
    text = loaded.run("status").stdout
    assert "GAP  changes are missing of shard shard-1: the position is gone" in text
    assert "GAP stream_trimmed: the position is gone (shard shard-1, after 100000000000000000000)" in text


@pytest.mark.parametrize(
    ("changes", "state", "code"),
    [
        ({"state": "SOURCE_CHANGED"}, "SOURCE_CHANGED", 4),
        ({"state": "PAUSED", "pause": Pause("AWS said no", "dynamodb:GetRecords")}, "PAUSED", 4),
        ({"gaps": (replace(GAP, state="closed"),)}, "CONSISTENT", 0),
        ({"gaps": (replace(GAP, state="repairing"),)}, "GAP", 4),
    ],
)
def test_every_state_that_needs_a_person_exits_4(
    project: Project, changes: dict[str, Any], state: str, code: int
) -> None:
    project.begin(**changes)
    (table,) = project.json("status", code=code)
    assert table["state"] == state
    assert ("AWS said no" in table["reason"]) == ("pause" in changes)


def test_something_in_quarantine_is_shown_and_exits_3(loaded: Project) -> None:
    loaded.set_aside(QuarantinedRecord("bad_value", "no", b"{", segment="s", line=1))
    (table,) = loaded.json("status", code=3)
    assert table["state"] == "QUARANTINE"
    assert table["quarantine"] == {"count": 1}
    assert "tailrace quarantine list" in table["reason"]


def test_thousands_of_set_aside_records_are_counted_without_reading_one(
    loaded: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded.set_aside(*(QuarantinedRecord("bad_value", "no", b"%d" % n, segment="s", line=n) for n in range(1, 1235)))
    loaded.set_aside(QuarantinedRecord("bad_value", "no", b"{", segment="t", line=1))
    monkeypatch.delattr("tailrace.landing.Landing.quarantine_file")
    (table,) = loaded.json("status", code=3)
    assert table["quarantine"] == {"count": 1235}


@pytest.mark.parametrize("harm", [b"{", b'{"format":2}'], ids=["damaged", "of a newer release"])
def test_one_tables_unreadable_manifest_does_not_hide_the_others(loaded: Project, harm: bytes) -> None:
    with (loaded.folder / "tailrace.toml").open("a") as config:
        config.write("[tables.broken]\n")
    loaded.landing.store.create("broken/manifest.json", harm)
    result = loaded.run("status")
    assert result.exit_code == 3
    assert result.stdout.startswith("orders  CONSISTENT\n")
    assert "\nbroken  FAILED  The manifest " in result.stdout
    orders, broken = loaded.json("status", code=3)
    assert (orders["state"], broken["state"]) == ("CONSISTENT", "FAILED")
    assert "manifest" in broken["reason"]


def test_where_no_manifest_can_be_read_status_fails(project: Project) -> None:
    project.landing.store.create("orders/manifest.json", b"{")
    result = project.run("status")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "TAILRACE-403" in result.stderr


def test_a_damaged_quarantine_object_does_not_hide_how_things_stand(loaded: Project) -> None:
    loaded.landing.store.create("orders/quarantine/x.json.gz", b"damaged")
    (table,) = loaded.json("status", code=3)
    assert table["quarantine"] == {"count": 1}


def test_when_nobody_captures_the_last_state_is_not_shown_as_if_it_held(project: Project) -> None:
    project.begin(lag_seconds=4 * MINUTE, state="CONSISTENT")
    (table,) = project.json("status", code=4)
    assert table["warnings"] == ["nothing was captured for 4 min: is `tailrace run` up?"]
    assert project.run("status").stdout.startswith("orders  STALE (CONSISTENT when last seen)\n")
    assert project.run("status", "--max-lag", "10m").exit_code == 0
    assert project.run("status", "--max-lag", "2m").exit_code == 4


@pytest.mark.parametrize(("idle", "code"), [(20 * MINUTE, 0), (40 * MINUTE, 4)])
@pytest.mark.parametrize("segments", [0, 1])
def test_a_base_that_comes_no_further_is_said_beside_capture_that_goes_on(
    project: Project, idle: float, code: int, segments: int
) -> None:
    config = project.folder / "tailrace.toml"
    config.write_text(config.read_text().replace('base = "none"', 'base = "scan"'))
    ago_ms = int((time.time() - idle) * 1000)
    scan = ScanState(1, (ScanPart(),), ago_ms if segments == 0 else 1, last_number=segments)
    base = Segment(1, "base/1/0-0-00.json.gz", "base", 1, 20, "0" * 64, ago_ms)
    project.begin(scan=scan, segments=(base,) * segments, next_number=segments + 1)
    patient = ("status", "--max-lag", "10h")
    (table,) = project.json(*patient, code=code)
    assert table["state"] == "BASE_LOADING"
    said = [warning for warning in table["warnings"] if warning.startswith("the base has come no further for 40 min")]
    assert len(said) == (1 if code else 0)
    finished = replace(scan, finished_ms=ago_ms)
    published = project.landing.load()
    assert published is not None
    project.landing.save(replace(published.manifest, scan=finished), published, "w")
    (table,) = project.json(*patient)
    assert not [warning for warning in table["warnings"] if "the base" in warning]


def test_a_target_that_was_loaded_from_another_landing_zone_is_not_green(loaded: Project) -> None:
    shutil.rmtree(loaded.folder / "landing")
    loaded.begin(state="CONSISTENT")
    (table,) = loaded.json("status", code=3)
    assert table["warnings"][0].startswith("local: The target was loaded from another landing zone")
    assert loaded.run("load").exit_code == 2


def test_slow_heartbeats_are_given_their_time(project: Project) -> None:
    with (project.folder / "tailrace.toml").open("a") as config:
        config.write("heartbeat_seconds = 600\n")
    project.begin(lag_seconds=29 * MINUTE, state="CONSISTENT")
    assert project.run("status").exit_code == 0


@pytest.mark.parametrize(
    ("lag", "said"),
    [
        (None, []),
        (5 * HOUR, []),
        (7 * HOUR, ["WARNING: a quarter of the stream's 24 hours is used up; 17.0 h are left before changes are lost"]),
        (13 * HOUR, ["ALARM: half of the stream's 24 hours is used up; 11.0 h are left before changes are lost"]),
        (25 * HOUR, ["ALARM: the stream keeps 24 hours, and 25.0 h are not captured: changes may be lost"]),
    ],
)
def test_lag_against_what_the_stream_keeps_is_said_at_6_and_12_hours(lag: float | None, said: list[str]) -> None:
    assert warnings(status(lag), 48 * HOUR, NOW) == said
    assert "\n".join(lines(status(lag), 48 * HOUR, NOW)).count("stream") == len(said)


def test_a_target_that_falls_behind_is_said_after_a_minute_and_late_after_the_lag_that_is_well() -> None:
    since_ms = int(NOW * 1000) - 120_000
    late = replace(WELL, segments_unloaded=7, waiting_since_ms=since_ms, due_since_ms=since_ms)
    behind = status(1.0, targets=[late])
    (said,) = warnings(behind, 3 * MINUTE, NOW)
    assert said.startswith("7 segments are not loaded into local, the oldest for 2 min: is `tailrace run` up?")
    assert lines(behind, 3 * MINUTE, NOW)[0] == "orders  CONSISTENT"
    assert lines(behind, 3 * MINUTE, NOW + 120)[0] == "orders  STALE (CONSISTENT when last seen)"
    assert warnings(behind, 3 * MINUTE, NOW - 90) == []
    far = status(1.0, targets=[replace(WELL, lag_seconds=10 * MINUTE)])
    assert lines(far, 3 * MINUTE, NOW)[0] == "orders  STALE (CONSISTENT when last seen)"


def test_a_target_that_waits_for_its_hour_or_a_person_is_not_late() -> None:
    since_ms, next_ms = int((NOW - 50 * MINUTE) * 1000), int((NOW + 10 * MINUTE) * 1000)
    waits = replace(WELL, segments_unloaded=7, waiting_since_ms=since_ms, lag_seconds=50 * MINUTE)
    hourly = status(1.0, targets=[replace(waits, load=Every(3600, 300), next_load_ms=next_ms)])
    assert warnings(hourly, 3 * MINUTE, NOW) == []
    head, _, target, waiting = lines(hourly, 3 * MINUTE, NOW)
    assert head == "orders  CONSISTENT"
    assert "local (duckdb, current, load every 1h and 5m): 2 rows" in target
    assert waiting == "    7 segments wait for the next load at 2026-09-21T14:23:20+00:00"
    due = replace(waits, load=Every(3600, 300), due_since_ms=since_ms)
    assert warnings(status(1.0, targets=[due]), 3 * MINUTE, NOW)[0].startswith("7 segments are not loaded into local")
    assert lines(status(1.0, targets=[due]), 3 * MINUTE, NOW)[0].startswith("orders  STALE")
    told = lines(status(1.0, targets=[replace(waits, load="by_hand")]), 3 * MINUTE, NOW)
    assert (told[0], told[-1]) == ("orders  CONSISTENT", "    7 segments wait for `tailrace load`")


def test_status_shows_what_waits_for_its_hour(loaded: Project) -> None:
    rules = 'base = "none"\nload = { every = "24h", offset = "1h" }'
    file = loaded.folder / "tailrace.toml"
    file.write_text(file.read_text().replace('base = "none"', rules))
    loaded.land(line(2, "c"), first=2)
    (table,) = loaded.json("status")
    (target,) = table["targets"]
    assert (table["segments"]["unloaded"], table["warnings"]) == (1, [])
    assert target["load"] == {"every": "24h", "offset": "1h"}
    assert target["next_load"].endswith("T01:00:00+00:00")


def test_a_target_that_does_not_answer_hides_nothing_else(loaded: Project) -> None:
    (loaded.folder / "warehouse.duckdb").write_bytes(b"this is no database" * 1000)
    (table,) = loaded.json("status", code=3)
    (target,) = table["targets"]
    assert target["rows"] is None
    assert target["problem"].startswith("The DuckDB file cannot be used")
    assert table["segments"]["count"] == 1
    assert table["warnings"][0].startswith("local: The DuckDB file cannot be used")
    assert "local: The DuckDB file cannot be used" in loaded.run("status").stdout


def test_names_and_reasons_cannot_forge_a_line(project: Project) -> None:
    project.begin(gaps=(replace(GAP, reason="x\n\rorders  CONSISTENT\x1b[2K", shard="s"),))
    text = project.run("status").stdout
    assert r"x\n\rorders  CONSISTENT\x1b[2K" in text
    assert "\x1b" not in text
    assert sum(row.startswith("orders") for row in text.splitlines()) == 1


# ---- why


def test_why_tells_a_segments_life(loaded: Project) -> None:
    name = loaded.manifest.segments[0].name
    story = loaded.run("why", name[-20:])
    assert story.exit_code == 0
    assert f"{name}  (table orders)" in story.stdout
    assert "published as number 1 at 20" in story.stdout
    assert "2 stream records" in story.stdout
    assert "2 from shard-1: 100000000000000000001 to 100000000000000000002" in story.stdout
    assert "content is what was published" in story.stdout
    assert "local: applied at 20" in story.stdout
    document = loaded.json("why", name)
    assert document["name"] == name
    assert document["intact"] is True
    assert document["loads"][0]["applied"] is True


def test_why_says_what_is_not_applied_yet_and_what_is_set_aside(project: Project) -> None:
    project.begin()
    name = project.land(line(1, "a"), b"{")
    assert "local: not applied yet: it is due; `tailrace load` does it" in project.run("why", name).stdout
    project.load()
    result = project.run("why", name)
    assert result.exit_code == 3
    assert "some of its records are set aside: quarantine/" in result.stdout


def test_why_finds_damage_and_exits_4(loaded: Project) -> None:
    name = loaded.manifest.segments[0].name
    path = loaded.folder / "landing" / "orders" / name
    data = bytearray(path.read_bytes())
    data[-6] ^= 1
    path.write_bytes(data)
    result = loaded.run("why", name)
    assert result.exit_code == 4
    assert "IS DAMAGED" in result.stdout
    path.unlink()
    assert "IS DAMAGED: A segment that the manifest lists is gone" in loaded.run("why", name).stdout


def test_why_names_where_a_replay_came_from(project: Project) -> None:
    project.begin()
    aside = project.set_aside(QuarantinedRecord("bad_value", "no", line(1, "a"), segment="s.json.gz", line=1))
    assert project.run("quarantine", "replay", "orders", aside).exit_code == 0
    assert f"made from {aside}" in project.run("why", project.manifest.segments[0].name).stdout


@pytest.mark.parametrize("name", ["nothing-like-this", "x\n\x1b[31m"])
def test_why_of_an_unknown_segment_says_that_nothing_of_it_counts(loaded: Project, name: str) -> None:
    result = loaded.run("why", name)
    assert result.exit_code == 2
    assert "TAILRACE-104" in result.stderr
    assert "never published" in result.stderr
    assert "\x1b" not in result.stderr


def test_why_of_a_name_that_fits_many_asks_for_more(loaded: Project) -> None:
    loaded.land(line(3, "c"), first=3)
    result = loaded.run("why", "changes")
    assert result.exit_code == 2
    assert "2 segments of orders match" in result.stderr


def test_status_works_while_another_program_has_the_file_open_to_read(loaded: Project) -> None:
    with duckdb.connect(str(loaded.folder / "warehouse.duckdb"), read_only=True):
        assert loaded.run("status").exit_code == 0


def test_a_home_that_cannot_be_written_is_no_obstacle(loaded: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", os.devnull)
    assert loaded.run("status").exit_code == 0
    assert loaded.run("query", "SELECT 1").exit_code == 0
    assert not Path(os.devnull).is_dir()
