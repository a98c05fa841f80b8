"""`compact`: few files in place of many, and `status` and `why` tell of it."""

from __future__ import annotations

from dataclasses import replace

from cli_project import Project, line


def an_hour_later(project: Project) -> None:
    """What was published so far was published in an hour that is over."""
    published = project.landing.load()
    assert published is not None
    segments = tuple(replace(segment, published_ms=0) for segment in published.manifest.segments)
    project.landing.save(replace(published.manifest, segments=segments), published, "w")


def test_compact_gathers_past_hours_and_says_what_it_did(loaded: Project) -> None:
    assert loaded.run("compact").stdout == "orders: nothing to do\n"
    loaded.land(line(3, "c"), first=3)
    an_hour_later(loaded)
    size = sum(segment.bytes for segment in loaded.manifest.segments)
    (run,) = loaded.json("compact")
    assert run["compacted"] == {"segments": 2, "bytes": size, "outputs": 1, "deleted": 0}
    assert run["error"] is None
    assert loaded.json("load")[0]["loaded"]["local"]["rows"] == 1
    (table,) = loaded.json("status")
    assert (table["segments"]["count"], table["segments"]["files"]) == (2, 1)
    assert "2 segments in 1 files" in loaded.run("status").stdout
    assert loaded.json("query", "SELECT count(*) AS n FROM orders") == [{"n": 3}]


def test_compact_deletes_after_the_configured_grace(loaded: Project) -> None:
    with (loaded.folder / "tailrace.toml").open("a") as config:
        config.write('compact_grace = "1h"\ncompact_bytes = "1MB"\n')
    loaded.land(line(3, "c"), first=3)
    an_hour_later(loaded)
    assert "compacted 2 segments" in loaded.run("compact").stdout
    assert loaded.run("compact").stdout == "orders: nothing to do\n"
    published = loaded.landing.load()
    assert published is not None
    garbage = tuple(replace(g, since_ms=g.since_ms - 3_600_000) for g in published.manifest.garbage)
    loaded.landing.save(replace(published.manifest, garbage=garbage), published, "w")
    assert "deleted 2 objects" in loaded.run("compact").stdout
    files = list((loaded.folder / "landing" / "orders" / "changes").rglob("*.gz"))
    assert [file.name.partition("-")[0] for file in files] == ["compacted"]


def test_why_follows_a_segment_into_its_output(loaded: Project) -> None:
    name = loaded.manifest.segments[0].name
    loaded.land(line(3, "c"), first=3)
    an_hour_later(loaded)
    loaded.run("compact")
    place = loaded.manifest.segments[0].place
    assert place is not None
    story = loaded.run("why", name)
    assert story.exit_code == 0
    assert f"compacted into {place.name}, from byte 0 on" in story.stdout
    assert "content is what was published" in story.stdout
    assert "local: applied at 20" in story.stdout
    assert loaded.json("why", name)["entry"]["place"] == [place.name, 0]
    of_output = loaded.run("why", place.name)
    assert of_output.exit_code == 2
    assert "holds 2 segments of orders that were compacted, numbers 1 to 2" in of_output.stderr
    assert name in of_output.stderr


def test_a_damaged_segment_is_said_and_nothing_replaced(loaded: Project) -> None:
    loaded.land(line(3, "c"), first=3)
    an_hour_later(loaded)
    before = loaded.manifest
    (loaded.folder / "landing" / "orders" / before.segments[1].name).write_bytes(b"damaged")
    result = loaded.run("compact")
    assert result.exit_code == 1
    assert "TAILRACE-402" in result.stdout
    assert loaded.manifest == before
