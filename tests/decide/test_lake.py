"""How rows of a table of files are laid out: which files a load makes, merges and lets go."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.decide.lake import (
    EXPIRED_AT_ONCE,
    FILE_BYTES_MAX,
    FILE_ROWS_MIN,
    MERGE_BYTES_MAX,
    RUN_FILES,
    RUNS_MERGED,
    SMALL_BYTES,
    SMALL_FILES,
    FileRange,
    cut,
    hour_to_merge,
    rows_per_file,
    rows_per_file_of_run,
    runs,
    to_expire,
    to_merge,
)

MUCH = 100_000


def file(lower: int | None, upper: int | None, rows: int = MUCH, size: int = 1 << 20) -> FileRange:
    return FileRange(rows, size, None if lower is None else (lower,), None if upper is None else (upper,))


def test_a_large_table_has_larger_files_up_to_what_readers_like() -> None:
    assert rows_per_file(0, 0) == 1
    assert rows_per_file(1_000, 30_000) == FILE_ROWS_MIN
    assert rows_per_file(1_000_000, 30_000_000) == FILE_ROWS_MIN
    assert rows_per_file(10_000_000, 300_000_000) == 156_250
    many = 10**10
    assert rows_per_file(many, 30 * many) == FILE_BYTES_MAX // 30


def test_a_run_has_smaller_files_than_a_table_of_many_runs() -> None:
    assert rows_per_file_of_run(4_000_000, 781_250) == 4_000_000 // RUN_FILES
    assert rows_per_file_of_run(100_000, 781_250) == FILE_ROWS_MIN
    assert rows_per_file_of_run(10_000_000, 156_250) == 156_250, "the table is one run"


@given(st.integers(0, 10**7), st.integers(1, 10**6))
def test_a_cut_loses_no_row_and_makes_no_file_too_large(rows: int, per_file: int) -> None:
    parts = cut(rows, per_file)
    assert sum(parts) == rows
    assert all(0 < part <= 2 * per_file for part in parts)
    assert len(parts) <= max(1, -(-rows // per_file))


ranges = st.tuples(st.integers(0, 50), st.integers(0, 50)).map(sorted)


@given(st.lists(st.tuples(ranges, st.sampled_from([10, MUCH, 5 * MUCH]))))
def test_files_of_one_run_lie_apart(found: list[tuple[list[int], int]]) -> None:
    files = [file(lower, upper, rows) for (lower, upper), rows in found]
    made = runs(files)
    assert sorted(n for run in made for n in run) == list(range(len(files)))
    for run in made:
        for first, second in itertools.pairwise(run):
            assert files[first].upper < files[second].lower  # type: ignore[operator]
    overlapping = [sum(f.lower <= (at,) <= f.upper for f in files if f.rows == 5 * MUCH) for at in range(51)]  # type: ignore[operator]
    large = [run for run in made if any(files[n].rows == 5 * MUCH for n in run)]
    assert len(large) >= max(overlapping, default=0)


def test_a_file_without_bounds_or_with_few_rows_is_a_run_of_its_own() -> None:
    assert runs([file(None, 5), file(1, 2), file(3, 4), file(5, 6, rows=10)]) == [[1, 2], [0], [3]]


def test_files_that_lie_apart_are_left_alone() -> None:
    assert to_merge([file(n, n) for n in range(1000)]) == ()


def test_runs_of_one_size_are_merged_as_soon_as_there_are_enough() -> None:
    wide = [file(0, 100) for _ in range(RUNS_MERGED)]
    assert to_merge(wide[:-1]) == ()
    assert to_merge(wide) == tuple(range(RUNS_MERGED))
    large = file(0, 100, rows=100 * MUCH)
    assert to_merge([large, *wide]) == tuple(range(1, RUNS_MERGED + 1)), "a much larger one is not written for them"


def test_a_run_of_many_files_counts_as_what_it_holds() -> None:
    run = [file(10 * n, 10 * n + 5) for n in range(40)]
    wide = [file(0, 400) for _ in range(RUNS_MERGED)]
    assert to_merge([*run, *wide]) == tuple(range(40, 40 + RUNS_MERGED))


def test_no_more_is_merged_at_once_than_memory_is_meant_for() -> None:
    assert to_merge([file(0, 9, size=MERGE_BYTES_MAX // 2) for _ in range(RUNS_MERGED)]) == ()


def test_each_row_is_merged_a_few_times_only() -> None:
    """A base load: random keys in equal parts, each as a file of its own."""
    sizes: list[int] = []
    written = 0
    for _ in range(256):
        sizes.append(MUCH)
        chosen = to_merge([file(0, 100, rows=rows, size=1) for rows in sizes])
        total = sum(sizes[n] for n in chosen)
        written += total
        sizes = [rows for n, rows in enumerate(sizes) if n not in chosen] + ([total] if chosen else [])
    assert written <= 5 * 256 * MUCH
    assert len(sizes) <= 4 * RUNS_MERGED


def test_small_files_of_the_oldest_hour_with_many_become_one() -> None:
    small = [(7, 1000)] * SMALL_FILES
    assert hour_to_merge(small[:-1]) == ()
    assert hour_to_merge([(9, 1000)] * SMALL_FILES + small) == tuple(range(SMALL_FILES, 2 * SMALL_FILES))
    assert hour_to_merge([(7, SMALL_BYTES + 1)] * 100) == ()
    assert len(hour_to_merge([(7, SMALL_BYTES)] * 100)) == 0, "what is nearly large enough stays as it is"


@pytest.mark.parametrize(
    ("old", "least", "gone"), [(19, 1, 0), (20, 1, 20), (25, 11, 0), (25, 10, 20), (40, 25, 20), (0, 1, 0)]
)
def test_snapshots_go_by_age_many_at_once(old: int, least: int, gone: int) -> None:
    made = [1_000 + n for n in range(old)] + [99_000] * 5
    assert to_expire(made, 100_000, 50_000, least) == gone
    assert EXPIRED_AT_ONCE == 20


def test_the_newest_snapshot_stays_however_old_it_is() -> None:
    assert to_expire([0] * 50, 10**12, 1, 1) == 49
