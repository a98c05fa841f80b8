"""When to load: nothing before its time, everything once, whatever clocks say."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.decide.load import Due, Every, LoadLimits, LoadRule, due, pending, when_told
from tailrace.model.segments import Segment

HOUR = 3_600_000
T0 = 500_000 * HOUR  # a whole hour


def segments(*published_ms: int) -> list[Segment]:
    return [Segment(n, f"changes/{n}", "stream", 1, 1, "0" * 64, ms) for n, ms in enumerate(published_ms, 1)]


def hourly(now_ms: int, *published_ms: int) -> Due:
    return due(Every(3600, 300), now_ms, segments(*published_ms), len(published_ms))


def test_what_was_published_before_the_hour_is_due_when_its_offset_is_over() -> None:
    published = (T0 + 1, T0 + HOUR - 1, T0 + HOUR, T0 + HOUR + 1)
    at = T0 + HOUR + 300_000
    assert hourly(at - 1, *published) == Due(0, at)
    assert hourly(at, *published) == Due(2, at + HOUR)
    assert hourly(at + HOUR - 1, *published[2:]) == Due(0, at + HOUR)
    assert hourly(at + HOUR, *published) == Due(4, None)


def test_hours_that_were_missed_are_made_up_for_at_once() -> None:
    published = [T0 + n * HOUR for n in range(5)]
    assert hourly(T0 + 4 * HOUR, *published) == Due(3, T0 + 4 * HOUR + 300_000)


def test_nothing_that_waits_is_nothing_to_wait_for() -> None:
    assert hourly(T0) == Due(0, None)


def test_a_moment_before_1970_has_its_hour_too() -> None:
    assert hourly(0, -1) == Due(0, 300_000)


def test_a_segment_dated_into_the_future_waits_no_longer_than_the_next_one() -> None:
    years = 1000 * 24 * 365 * HOUR
    assert hourly(T0 + HOUR, years) == Due(0, years + HOUR + 300_000)
    assert hourly(T0 + HOUR, years, T0 + 1) == Due(0, T0 + HOUR + 300_000)
    assert hourly(T0 + HOUR + 300_000, years, T0 + 1, years) == Due(2, years + HOUR + 300_000)


@pytest.mark.parametrize(("rule", "through"), [("continuous", 7), ("on_file", 7), ("by_hand", 0)])
def test_other_rules_know_no_time_and_read_nothing(rule: LoadRule, through: int) -> None:
    unread = map(int, ["looked at"])  # fails where somebody does
    assert due(rule, T0, unread, 7) == Due(through)  # type: ignore[arg-type]


def test_told_by_a_person_everything_is_due_and_what_goes_alone_goes_alone() -> None:
    assert [when_told(rule) for rule in ("continuous", "on_file", "by_hand", Every(3600))] == [  # type: ignore[arg-type]
        *("continuous", "on_file"),
        *("continuous", "continuous"),
    ]


@pytest.mark.parametrize(("seconds", "offset"), [(0, 0), (7, -1), (420, 0), (3600, 3600), (90_000, 0), (3600, -1)])
def test_a_rule_that_no_clock_shows_is_no_rule(seconds: int, offset: int) -> None:
    with pytest.raises(ValueError, match=r"divide|less than"):
        Every(seconds, offset)


def test_each_alone_but_a_window_whole() -> None:
    listed = [replace(s, window_end=900 if s.number in (3, 4) else None) for s in segments(*[T0] * 6)]
    taken, applied = [], 0
    while chosen := pending(listed, applied, (), LoadLimits(), one_each=True):
        taken.append([s.number for s in chosen])
        applied = chosen[-1].number
    assert taken == [[1], [2], [3, 4], [5], [6]]


rules = st.sampled_from([Every(60), Every(3600), Every(3600, 300), Every(86_400, 7200), Every(172_800, 90_000)])


@given(
    rules,
    st.lists(st.tuples(st.integers(0, 3 * HOUR), st.integers(-5000, 5000)), max_size=12),
    st.lists(st.integers(-2 * HOUR, 9 * HOUR), max_size=12),
)
def test_ticks_at_any_time_load_every_segment_once_and_none_before_its_time(
    rule: Every, publications: list[tuple[int, int]], jumps: list[int]
) -> None:
    """Publishers' clocks are seconds apart; the loader's jumps on and back, and the last tick comes long after all."""
    moments, at = [], T0
    for pause, skew in publications:
        at += pause
        moments.append(at + skew)
    listed = segments(*moments)
    applied, now = 0, T0
    for jump in [*jumps, 10**12]:
        now += jump
        waiting = listed[applied:]
        found = due(rule, now, waiting, len(listed))
        dated = [min(later.published_ms for later in listed[s.number - 1 :]) for s in waiting]
        is_due = [rule.load_ms(ms) <= now for ms in dated]
        assert max(found.through - applied, 0) == sum(is_due) == len(is_due[: sum(is_due)])
        assert all(is_due[: sum(is_due)]), "not a beginning of what waits"
        left = [rule.load_ms(ms) for ms in dated if rule.load_ms(ms) > now]
        assert found.again_ms == (min(left) if left else None)
        applied = max(applied, found.through)
    assert applied == len(listed)


@given(rules, st.integers(-(10**13), 10**13))
def test_it_is_loaded_after_the_first_multiple_behind_its_publication(rule: Every, published_ms: int) -> None:
    multiple_ms = rule.load_ms(published_ms) - 1000 * rule.offset
    assert multiple_ms % (1000 * rule.seconds) == 0
    assert 0 < multiple_ms - published_ms <= 1000 * rule.seconds
