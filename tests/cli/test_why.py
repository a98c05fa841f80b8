"""`why`: what keeps a segment from a target, by which name it is found, and what no manifest lists."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from cli_project import GAP, Project, line

from tailrace.clock import SystemClock
from tailrace.jobs.lease import LoaderLease
from tailrace.landing import SegmentDraft
from tailrace.model.positions import SequenceNumber


def with_rule(project: Project, rule: str) -> None:
    file = project.folder / "tailrace.toml"
    file.write_text(file.read_text().replace('base = "none"', f'base = "none"\nload = {rule}'))


def told(project: Project, name: str, code: int = 0) -> str:
    """What is said of the target."""
    result = project.run("why", name)
    assert result.exit_code == code, result.output
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("  local: ")]
    return line.removeprefix("  local: ")


def test_where_and_when_it_was_loaded_also_long_ago(loaded: Project) -> None:
    name = loaded.manifest.segments[0].name
    with duckdb.connect(str(loaded.folder / "warehouse.duckdb")) as connection:  # a hundred later ones
        connection.execute(
            "INSERT INTO _tailrace.ledger SELECT table_id, number + n, segment, epoch, sha256, row_count, quarantined,"
            " bytes, applied_ms + n, through_ms, lag_ms_p50, lag_ms_p99, fence FROM _tailrace.ledger, range(1, 120) r(n)"
        )
    said = told(loaded, name)
    assert said.startswith("applied at 20")
    assert said.endswith("after its changes (load continuous)")
    document = loaded.json("why", name)
    assert set(document) == {
        *("table", "name", "published", "entry", "intact", "problem", "loads", "gaps", "quarantined"),
        *("written", "bytes"),
    }
    (load,) = document["loads"]
    assert set(load) == {
        *("target", "load", "applied", "standing", "row", "before", "due", "blocker", "loader", "problem"),
    }
    assert (load["row"]["number"], load["row"]["rows"], load["row"]["fence"], load["applied"]) == (1, 2, 1, True)


def test_it_waits_for_its_hour(loaded: Project) -> None:
    with_rule(loaded, '{ every = "24h", offset = "2h" }')
    name = loaded.land(line(3, "c"), first=3)
    said = told(loaded, name)
    assert said.startswith("not applied yet: it waits for its time, which is 20")
    assert said.endswith("T02:00:00+00:00 (load every 24h and 2h)")
    (load,) = loaded.json("why", name)["loads"]
    assert (load["standing"], load["load"]) == ("waits", {"every": "24h", "offset": "2h"})
    assert load["due"].endswith("T02:00:00+00:00")


def test_it_waits_for_a_person(loaded: Project) -> None:
    with_rule(loaded, '"by_hand"')
    loaded.land(line(3, "c"), first=3)
    name = loaded.land(line(4, "d"), first=4)
    assert told(loaded, name) == "not applied yet: it waits for `tailrace load`, behind 1 others (load by hand)"


def test_another_loader_is_at_work(loaded: Project) -> None:
    name = loaded.land(line(3, "c"), first=3)
    LoaderLease(loaded.landing, "local", "host/-/1/x", SystemClock()).take(0)
    assert told(loaded, name).startswith("not applied yet: host/-/1/x loads since 20")
    (load,) = loaded.json("why", name)["loads"]
    assert (load["standing"], load["loader"]["holder"]) == ("busy", "host/-/1/x")


def test_a_lease_that_cannot_be_read_blocks(loaded: Project) -> None:
    name = loaded.land(line(3, "c"), first=3)
    folder = loaded.folder / "landing" / "orders" / "loaders"
    (folder / "local.json").write_text("?")
    assert "blocked by The loader lease cannot be understood" in told(loaded, name)


@pytest.mark.parametrize("how", ["gone", "damaged"])
def test_an_earlier_one_blocks_it(loaded: Project, how: str) -> None:
    loaded.land(line(3, "c"), first=3)
    blocker = loaded.land(line(4, "d"), first=4)
    name = loaded.land(line(5, "e"), first=5)
    path = loaded.folder / "landing" / "orders" / blocker
    path.unlink() if how == "gone" else path.write_bytes(b"x")
    assert told(loaded, name).startswith(f"not applied yet: blocked by {blocker}: ")
    (load,) = loaded.json("why", name)["loads"]
    assert (load["standing"], load["before"], load["blocker"]) == ("blocked", 2, blocker)
    assert told(loaded, blocker, code=4).startswith(f"not applied yet: blocked by {blocker}: ")


def test_a_target_that_does_not_answer(loaded: Project) -> None:
    (loaded.folder / "warehouse.duckdb").write_bytes(b"no database" * 1000)
    assert told(loaded, loaded.manifest.segments[0].name).startswith("does not answer: The DuckDB file cannot be used")


def test_a_gap_of_its_shard_is_said(loaded: Project) -> None:
    published = loaded.landing.load()
    assert published is not None
    other = replace(GAP, shard="another", reason="elsewhere")
    loaded.landing.save(replace(published.manifest, gaps=(GAP, other)), published, "w")
    text = loaded.run("why", loaded.manifest.segments[0].name).stdout
    assert "  GAP stream_trimmed beside it: the position is gone" in text
    assert "elsewhere" not in text


# ---- by which name


def test_it_is_found_by_the_path_and_the_url_of_its_object(loaded: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    name = loaded.manifest.segments[0].name
    path = loaded.folder / "landing" / "orders" / name
    for spelled in (name, f"orders/{name}", str(path), path.as_uri(), Path(name).name):
        assert loaded.json("why", spelled)["name"] == name


def test_a_url_elsewhere_is_refused(loaded: Project) -> None:
    for url in ("s3://bucket/landing/orders/x.json.gz", "file:///elsewhere/orders/x.json.gz", "/elsewhere/x"):
        result = loaded.run("why", url)
        assert result.exit_code == 2
        assert "is not in the landing zone" in result.stderr


# ---- what no manifest lists


def test_an_object_that_no_manifest_lists_is_told_as_such(loaded: Project) -> None:
    number = SequenceNumber(10**20 + 9)
    orphan = loaded.landing.write_segment(
        SegmentDraft("stream", [line(9, "z")], number, number, 1_790_000_000_000)
    ).name
    path = loaded.folder / "landing" / "orders" / orphan
    for spelled in (orphan, Path(orphan).name, str(path)):
        result = loaded.run("why", spelled)
        assert result.exit_code == 4
        assert "NOT PUBLISHED: no manifest lists it, so nothing of it counts" in result.stdout
    document = loaded.json("why", orphan, code=4)
    assert (document["name"], document["published"], document["loads"]) == (orphan, False, [])
    assert document["bytes"] == path.stat().st_size
    assert document["written"].startswith("20")


def test_other_objects_are_no_segments(loaded: Project) -> None:
    assert loaded.run("why", "manifest.json").exit_code == 2
    assert loaded.run("why", "loaders/local").exit_code == 2
