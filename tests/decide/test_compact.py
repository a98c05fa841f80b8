"""What is gathered: small ones of a kind and folder, of hours that are over, each once, and never more than is wanted."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.decide import compact
from tailrace.decide.compact import Choice, choose, hour_began_ms
from tailrace.decide.load import side_by_side
from tailrace.model.segments import Place, Segment, SegmentKind


def segment(number: int, size: int = 1, kind: SegmentKind = "stream", folder: str = "f", at_ms: int = 0) -> Segment:
    return Segment(number, f"{folder}/{number}", kind, 1, size, "0" * 64, at_ms)


def numbers(choice: Choice) -> list[int]:
    return [s.number for s in choice.inputs]


def test_an_hour_begins_with_its_first_millisecond() -> None:
    assert hour_began_ms(3_600_000) == 3_600_000
    assert hour_began_ms(7_199_999) == 3_600_000


def test_the_present_hour_and_all_behind_it_wait() -> None:
    segments = [segment(1, at_ms=5), segment(2, at_ms=9), segment(3, at_ms=10), segment(4, at_ms=7)]
    assert choose(segments, 0, 100, 10) == Choice(tuple(segments[:2]), 2, more=True)
    assert choose(segments[2:], 2, 100, 10) == Choice((), 2, more=False)


def test_an_output_ends_before_it_grows_too_large() -> None:
    segments = [segment(n, 30) for n in range(1, 6)]
    assert choose(segments, 0, 90, 1) == Choice(tuple(segments[:3]), 3, more=True)
    assert choose(segments[3:], 3, 90, 1) == Choice(tuple(segments[3:]), 5, more=True)
    assert choose([], 5, 90, 1) == Choice((), 5, more=False)


def test_one_alone_stays_alone() -> None:
    assert choose([segment(1), segment(2, kind="replay"), segment(3, folder="g")], 0, 100, 1) == Choice((), 3, False)


@pytest.mark.parametrize(
    "other",
    [
        segment(2, kind="export"),
        segment(2, kind="settle"),
        segment(2, kind="replay"),
        segment(2, kind="base"),
        segment(2, folder="g"),
        segment(2, size=51),
        replace(segment(2), md5="x"),
        replace(segment(2), place=Place("f/compacted", 0)),
    ],
    ids=lambda s: f"{s.kind}-{s.name}-{s.bytes}-{s.md5}-{s.place is None}",
)
def test_what_does_not_belong_is_passed_over(other: Segment) -> None:
    assert numbers(choose([segment(1), other, segment(3)], 0, 100, 1)) == [1, 3]


def test_the_cursor_never_passes_what_is_left_for_the_next_choice() -> None:
    kinds: list[SegmentKind] = ["base", "stream"]
    segments = [segment(n, 10, kinds[n % 2]) for n in range(1, 9)]
    choice = choose(segments, 0, 30, 1)
    assert (numbers(choice), choice.through) == ([1, 3, 5], 1)


def test_not_everything_is_looked_at_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compact, "ENTRIES_MAX", 4)
    alone = [segment(n, folder=f"f{n}") for n in range(1, 9)]
    assert choose(alone, 0, 100, 1) == Choice((), 4, more=True)
    assert choose(alone[4:8], 4, 100, 1) == Choice((), 8, more=False)
    assert numbers(choose([segment(n) for n in range(1, 9)], 0, 100, 1)) == [1, 2, 3, 4]


SEGMENTS = st.lists(
    st.tuples(st.integers(1, 60), st.sampled_from(["stream", "base", "replay"]), st.sampled_from(["f", "g"])),
    max_size=30,
)


@given(SEGMENTS, st.integers(0, 120))
def test_again_and_again_until_nothing_is_left(drawn: list[tuple[int, SegmentKind, str]], target: int) -> None:
    entries = {n: segment(n, size, kind, folder) for n, (size, kind, folder) in enumerate(drawn, start=1)}
    after, rounds = 0, 0
    while True:
        choice = choose((s for n, s in entries.items() if n > after), after, target, 1)
        assert choice == choose((s for n, s in entries.items() if n > after), after, target, 1)
        assert choice.through >= after
        for one in choice.inputs:
            assert one.place is None
            entries[one.number] = replace(one, place=Place(f"{after}", 0))
        assert len({(s.kind, s.name.partition("/")[0]) for s in choice.inputs}) <= 1
        assert len(choice.inputs) != 1
        assert sum(s.bytes for s in choice.inputs) <= target
        assert list(choice.inputs) == sorted(choice.inputs, key=lambda s: s.number)
        after, rounds = choice.through, rounds + 1
        if not choice.more:
            break
    assert rounds <= 2 * len(drawn) + 1
    assert after == len(drawn)


# ---- reading what was gathered


def placed(number: int, size: int, name: str, offset: int) -> Segment:
    return replace(segment(number, size), place=Place(name, offset))


def test_neighbours_in_one_object_are_read_together() -> None:
    a, b, c = placed(1, 5, "x", 0), placed(2, 7, "x", 5), placed(3, 1, "x", 12)
    other, alone = placed(4, 1, "y", 13), segment(5)
    assert side_by_side([a, b, c]) == [(a, b, c)]
    assert side_by_side([a, c]) == [(a,), (c,)]
    assert side_by_side([b, a]) == [(b,), (a,)]
    assert side_by_side([a, b, c, other, alone, segment(6)]) == [(a, b, c), (other,), (alone,), (segment(6),)]
    assert side_by_side([]) == []
