"""Exports tile, or leave a gap, or overlap; whatever order they are found in."""

from __future__ import annotations

import itertools

import pytest

from tailrace.decide.boundaries import Boundary, Span, find_boundaries

MINUTE = 60_000


def full(at: int, table: str = "t", table_id: str = "1") -> Span:
    return Span(table, table_id, at * MINUTE, at * MINUTE)


def window(start: int, end: int, table: str = "t", table_id: str = "1") -> Span:
    return Span(table, table_id, start * MINUTE, end * MINUTE)


def test_a_full_export_and_windows_that_tile() -> None:
    found = find_boundaries([full(0), window(0, 15), window(15, 30)])
    assert found == [Boundary(0, 1, 0, True), Boundary(1, 2, 0, True)]


def test_a_gap_and_an_overlap_have_their_length() -> None:
    found = find_boundaries([full(0), window(5, 20), window(19, 40)])
    assert [boundary.gap_ms for boundary in found] == [5 * MINUTE, -1 * MINUTE]


def test_a_full_export_needs_nothing_before_it_and_is_the_last_before_the_next_window() -> None:
    spans = [window(0, 15), full(15), window(15, 30), full(90), window(90, 105)]
    assert find_boundaries(spans) == [Boundary(1, 2, 0, True), Boundary(3, 4, 0, True)]


def test_a_full_export_inside_a_window_hides_nothing_of_it() -> None:
    spans = [window(0, 30), full(15), window(30, 45)]
    assert find_boundaries(spans) == [Boundary(0, 2, 0, True)]


def test_a_full_export_of_now_reaches_some_milliseconds_into_the_window_behind_it() -> None:
    assert find_boundaries([window(1, 16), Span("t", "1", MINUTE + 123, MINUTE + 123)]) == [Boundary(1, 0, -123, True)]


def test_sliding_windows_overlap_each_the_furthest_before_it() -> None:
    found = find_boundaries([full(0), window(0, 15), window(5, 20), window(10, 25)])
    assert [(b.before, b.after, b.gap_ms // MINUTE) for b in found] == [(0, 1, 0), (1, 2, -10), (2, 3, -10)]


def test_tables_are_apart_and_another_incarnation_of_one_is_told() -> None:
    spans = [full(0), window(0, 15, "other"), window(0, 15, table_id="2"), window(15, 30, "other")]
    assert find_boundaries(spans) == [Boundary(1, 3, 0, True), Boundary(0, 2, 0, False)]


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_the_order_in_which_they_are_found_never_matters(order: tuple[int, ...]) -> None:
    spans = [full(0), window(0, 15), window(15, 30), window(45, 60)]
    found = find_boundaries([spans[place] for place in order])
    assert [(order[b.before], order[b.after], b.gap_ms) for b in found] == [(0, 1, 0), (1, 2, 0), (2, 3, 15 * MINUTE)]


def test_one_alone_has_no_boundary() -> None:
    assert find_boundaries([]) == find_boundaries([full(0)]) == find_boundaries([window(0, 15)]) == []
