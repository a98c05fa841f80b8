"""Which export comes next: windows tile, slide, catch up, and never skip a start."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.decide.windows import (
    UNDER_WAY_MAX,
    WindowRule,
    client_token,
    folder_of,
    next_start,
    pitr_gap,
    plan_export,
    published,
    reachable,
    retried,
    seconds_until_due,
    stale_before,
)
from tailrace.model.exports import ExportPlan, ExportState, Restorable, Window
from tailrace.model.keys import KeyAttribute, KeySchema
from tailrace.model.manifest import Incarnation

T0 = 1_790_000_100  # a whole quarter of an hour
TILES, SLIDES = WindowRule(900, 900), WindowRule(900, 300)
TABLE = Incarnation("1", "eu-west-1", "orders", "id-1", "", "", KeySchema(KeyAttribute("id", "S")))


def run(rule: WindowRule, moments: list[int], earliest: int = T0 - 900) -> ExportState:
    """A full export of T0; then plan at each moment all that is due, and publish it at once."""
    state = ExportState()
    for latest in (T0, *moments):
        while (plan := plan_export(state, Restorable(earliest, latest), rule, 0)) is not None:
            state = published(replace(state, under_way=(plan,)), plan, 1, 0, 0)
    return state


def test_the_full_export_is_of_a_whole_quarter_of_an_hour() -> None:
    plan = plan_export(ExportState(), Restorable(T0 - 900, T0 + 899), TILES, 5)
    assert plan == ExportPlan(T0, None, 1, 5)


def test_recovery_that_has_just_begun_waits_for_the_next_quarter() -> None:
    restorable = Restorable(T0 + 1, T0 + 400)
    assert plan_export(ExportState(), restorable, TILES, 0) is None
    assert seconds_until_due(ExportState(), restorable, TILES) == 500
    assert reachable(ExportState(), restorable, TILES) == T0 + 900


@pytest.mark.parametrize(("latest", "end"), [(899, None), (900, 900), (1799, 900), (1800, 1800), (90_000, 86_400)])
def test_windows_begin_where_the_last_one_ended_and_grow_after_an_outage(latest: int, end: int | None) -> None:
    plan = plan_export(ExportState(base=T0), Restorable(T0, T0 + latest), TILES, 0)
    assert (None if plan is None else plan.window) == (None if end is None else Window(T0, T0 + end))


@given(gaps=st.lists(st.integers(1, 100_000), min_size=1, max_size=20))
def test_windows_tile_whatever_the_outages(gaps: list[int]) -> None:
    moments = [T0 + sum(gaps[: i + 1]) for i in range(len(gaps))]
    state = run(TILES, moments)
    windows = [w.window for w in state.windows]
    assert all(left.end == right.start for left, right in pairwise(windows))
    assert not windows or windows[0].start == state.base
    assert moments[-1] - 900 < (windows[-1].end if windows else T0 + 900)


@given(gaps=st.lists(st.integers(1, 10_000), min_size=1, max_size=10))
def test_sliding_windows_start_at_every_step_and_are_made_up_one_by_one(gaps: list[int]) -> None:
    moments = [T0 + sum(gaps[: i + 1]) for i in range(len(gaps))]
    windows = [w.window for w in run(SLIDES, moments).windows]
    assert [w.start for w in windows] == list(range(T0, T0 + 300 * len(windows), 300))
    assert all(w.end == w.start + 900 for w in windows)


@pytest.mark.parametrize("rule", [TILES, SLIDES])
@given(latest=st.integers(T0, T0 + 200_000))
def test_what_is_reachable_is_where_planning_ends(rule: WindowRule, latest: int) -> None:
    restorable = Restorable(T0 - 900, latest)
    state = run(rule, [latest])
    ends = [state.base, *(w.window.end for w in state.windows)]
    assert reachable(ExportState(base=state.base), restorable, rule) == max(end for end in ends if end is not None)


def test_further_exports_begin_while_the_first_is_under_way_up_to_a_limit() -> None:
    state = ExportState()
    restorable = Restorable(T0 - 900, T0)
    for _ in range(UNDER_WAY_MAX):
        plan = plan_export(state, restorable, SLIDES, 0)
        assert plan is not None
        state = replace(state, under_way=(*state.under_way, plan))
        restorable = Restorable(T0 - 900, T0 + 10_000)
    assert [p.window and p.window.start - T0 for p in state.under_way] == [None, 0, 300, 600]
    assert plan_export(state, restorable, SLIDES, 0) is None


def test_exports_are_published_in_order_only() -> None:
    first, second = ExportPlan(T0, None, 1, 0), ExportPlan(T0 + 900, Window(T0, T0 + 900), 1, 0)
    with pytest.raises(AssertionError, match="in order"):
        published(ExportState(under_way=(first, second)), second, 1, 1, 1)


def test_a_window_that_left_what_is_restorable_is_a_gap_and_so_is_recovery_that_is_off() -> None:
    assert pitr_gap(T0, Restorable(T0, T0 + 900), 7) is None
    gap = pitr_gap(T0, Restorable(T0 + 1, T0 + 900), 7)
    assert gap is not None
    assert gap.kind == "pitr_reset"
    assert "20260921T141501Z" in gap.reason
    assert pitr_gap(T0, None, 7) is not None


def test_the_last_window_counts_for_the_range_not_the_full_export() -> None:
    state = run(TILES, [T0, T0 + 36 * 86_400])
    start = next_start(state, TILES)
    assert start is not None
    assert pitr_gap(start, Restorable(T0 + 35 * 86_400, T0 + 36 * 86_400), 0) is None


def test_only_sliding_windows_have_something_to_settle() -> None:
    tiled, slid = run(TILES, [T0 + 1800]), run(SLIDES, [T0 + 1200])
    assert stale_before(tiled, Window(T0 + 1800, T0 + 2700)) == T0 + 1800
    assert stale_before(slid, Window(T0 + 600, T0 + 1500)) == T0 + 1200
    assert stale_before(ExportState(base=T0), Window(T0, T0 + 900)) == T0


def test_a_retry_has_a_token_and_a_folder_of_its_own_and_a_growing_pause() -> None:
    plan = ExportPlan(T0 + 900, Window(T0, T0 + 900), 1, 0)
    plans = [plan]
    for _ in range(8):
        plans.append(retried(plans[-1], "failed", 1000))
    assert len({folder_of(p) for p in plans}) == len(plans)
    assert len({client_token(TABLE, "prefix", p) for p in plans}) == len(plans)
    pauses = [p.not_before_ms - 1000 for p in plans[1:]]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 15 * 60_000


def test_equal_plans_have_equal_tokens_and_another_table_has_others() -> None:
    plan = ExportPlan(T0, None, 1, 0)
    later = replace(plan, planned_ms=99, failure="x", not_before_ms=5)
    assert client_token(TABLE, "p", plan) == client_token(TABLE, "p", later)
    assert client_token(replace(TABLE, table_id="id-2"), "p", plan) != client_token(TABLE, "p", plan)
    assert client_token(TABLE, "q", plan) != client_token(TABLE, "p", plan)
    assert "$" not in client_token(TABLE, "p", plan)


@pytest.mark.parametrize(
    ("width", "step"), [(899, 899), (86_401, 86_401), (900, 400), (900, 0), (900, 1800), (900, -300)]
)
def test_rules_that_would_leave_something_behind_are_refused(width: int, step: int) -> None:
    with pytest.raises(ValueError, match=r"window|step"):
        WindowRule(width, step)
