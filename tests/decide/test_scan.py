"""The rules of a scan: positions move in order, all parts come along alike, and the pace holds its limit."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.decide.scan import Pace, ReadPages, begun, is_complete, next_parts, with_pages
from tailrace.model.scan import ScanPart, ScanState

AFTER = {"pk": {"S": "a"}}


def test_parts_with_the_fewest_pages_come_first_and_finished_ones_never() -> None:
    state = replace(begun(1, 4, 0), parts=(ScanPart(AFTER, 3), ScanPart(AFTER, 1), ScanPart(is_done=True), ScanPart()))
    assert next_parts(state, {}, ()) == [3, 1, 0]
    assert next_parts(state, {3: 7}, {1}) == [0, 3]


def test_a_position_moves_only_from_where_it_stands() -> None:
    state = begun(1, 2, 0)
    after = ScanPart(AFTER, 2)
    moved = with_pages(state, [ReadPages(1, ScanPart(), after, 9)], 5, 50, 3)
    assert moved == ScanState(1, (ScanPart(), after), 0, None, 3, 5, 50, 9)
    with pytest.raises(AssertionError):
        with_pages(moved, [ReadPages(1, ScanPart(), after, 9)], 5, 50, 4)


def test_it_is_complete_when_every_part_is_done() -> None:
    end = ScanPart(None, 1, is_done=True)
    assert not is_complete(replace(begun(1, 2, 0), parts=(end, ScanPart(AFTER, 1))))
    assert is_complete(replace(begun(1, 2, 0), parts=(end, end)))


@pytest.mark.parametrize("parts", [0, 1_000_001])
def test_a_scan_has_a_number_of_segments_that_aws_takes(parts: int) -> None:
    with pytest.raises(ValueError, match="segments"):
        begun(1, parts, 0)


# ---- the pace


def read(pace: Pace, seconds: float, units: list[int], readers: int) -> tuple[Pace, float]:
    """Let so many readers read one page after another, each page taking a tenth of a second; what they used, in all."""
    now, end, used, flying = pace.at, pace.at + seconds, 0.0, []
    while now < end:
        while flying and flying[0][0] <= now:
            _, charged, cost = flying.pop(0)
            pace = pace.page_came(charged, cost, now)
        while len(flying) < readers and pace.wait_seconds(now) <= 0:
            cost = units[int(used) % len(units)]
            flying.append((now + 0.1, pace.page_units, cost))
            pace = pace.page_begun(now)
            used += cost
        now += 0.01
    return pace, used


@given(
    limit=st.integers(1, 2000),
    units=st.lists(st.integers(0, 256), min_size=1, max_size=5),
    readers=st.integers(1, 16),
)
def test_however_many_readers_the_limit_holds(limit: int, units: list[int], readers: int) -> None:
    pace, used = read(Pace.at_start(float(limit), 0.0), 60.0, units, readers)
    first_pages = 256 * 2  # one that is begun in any case, and one that is under way
    assert used <= 60 * limit + limit + first_pages
    assert pace.speed == limit


def test_a_limit_is_used_up() -> None:
    _, used = read(Pace.at_start(500.0, 0.0), 60.0, [256], 8)
    assert used >= 0.95 * 60 * 500


def test_without_a_limit_nobody_waits() -> None:
    pace = Pace.at_start(None, 0.0)
    for _ in range(100):
        assert pace.wait_seconds(0.0) == 0.0
        pace = pace.page_begun(0.0)


def test_refused_it_goes_half_as_fast_once_and_then_recovers_to_its_limit() -> None:
    pace, _ = read(Pace.at_start(1000.0, 0.0), 30.0, [100], 8)
    slow = pace.page_failed(pace.page_units, pace.at, throttled=True)
    again = slow.page_failed(pace.page_units, pace.at + 0.5, throttled=True)
    assert 400 < (slow.speed or 0) <= 500
    assert again.speed == slow.speed, "eight readers that are refused together are one refusal"
    later = again.page_failed(pace.page_units, pace.at + 2.0, throttled=True)
    assert (later.speed or 0) < (slow.speed or 0)
    recovered, _ = read(later, 120.0, [100], 8)
    assert recovered.speed == 1000.0


def test_without_a_limit_a_refusal_sets_one() -> None:
    pace = Pace.at_start(None, 0.0)
    for second in range(1, 11):
        pace = pace.page_begun(second).page_came(pace.page_units, 200, second)
    assert pace.page_failed(0.0, 10.0, throttled=True).speed == pytest.approx(100.0)
    assert pace.page_failed(0.0, 10.0, throttled=False).speed is None


def test_refused_for_ever_it_still_tries() -> None:
    pace = Pace.at_start(100.0, 0.0)
    for second in range(0, 200, 2):
        pace = pace.page_begun(second).page_failed(pace.page_units, second, throttled=True)
    assert pace.speed == 1.0
    assert pace.wait_seconds(200.0) < 300
