"""Landing zones that earlier releases wrote must load for ever: one folder a format, never changed again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tailrace.landing import Landing, LocalStore
from tailrace.landing.segments import unpacked

GOLDEN = Path(__file__).parent / "golden"
FORMATS = sorted(GOLDEN.iterdir())


@pytest.mark.parametrize("folder", FORMATS, ids=lambda path: path.name)
def test_a_landing_zone_of_every_format_loads_whole(folder: Path) -> None:
    landing = Landing(LocalStore(folder), "orders")
    published = landing.load()
    assert published is not None
    segments = list(landing.segments(published.manifest))
    assert [segment.number for segment in segments] == [1, 2, 3]
    for segment in segments:
        landing.verify_segment(segment)
        plain = b"".join(unpacked(landing.read_segment(segment)))
        assert plain.count(b"\n") == segment.rows == sum(part.rows for part in segment.shards.values())
    assert [(r.kind, r.payload, r.cut) for f in landing.quarantined() for r in f.records] == [
        ("bad_envelope", b'{"eventName":"INSERT"}', False),
        ("invalid_utf8", b"\xff\xfe", False),
        ("line_too_long", b'{"Item"', True),
    ]


def test_a_compacted_landing_zone_is_among_them() -> None:
    published = Landing(LocalStore(GOLDEN / "format-1-compacted"), "orders").load()
    assert published is not None
    [garbage] = published.manifest.garbage
    assert (garbage.first_number, garbage.last_number, len(garbage.pages)) == (2, 2, 1)
    assert published.manifest.compacted_through == 3


def test_the_present_format_is_written_as_it_was_read() -> None:
    folder = FORMATS[-1] / "orders"
    published = Landing(LocalStore(folder.parent), "orders").load()
    assert published is not None
    assert published.manifest.to_bytes() == (folder / "manifest.json").read_bytes()
    assert published.manifest.segments[0].shards["shardId-00000001795323000000-bbbbbbbb"].first == 9 * 10**39
