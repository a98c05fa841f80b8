"""How rows of a table of files are laid out, so that a small change rewrites little. Files in, decisions out.

Each file holds a range of keys. While ranges do not overlap, a change finds its one file by the bounds that the catalog keeps,
and a load costs what the files cost that it touches. Rows of new keys may come as files of their own, whose ranges overlap
others: cheap to write, dearer to look through. So files form runs, within which ranges do not overlap, and small runs are
merged into larger ones, each row as often as the table grew fourfold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

FILES_WANTED: Final = 64  # of a table: the part of it that a single change rewrites
FILE_ROWS_MIN: Final = 50_000  # less is faster written than looked up
FILE_BYTES_MAX: Final = 128 << 20  # what readers like
RUNS_MERGED: Final = 4
RUN_FILES: Final = 16  # of a run: what is held of it while it is merged is one of them, or two
MERGE_BYTES_MAX: Final = 192 << 20  # compressed, of what is merged at once: it takes time

SMALL_FILES: Final = 16  # of one hour of a changelog that become one
SMALL_BYTES: Final = 16 << 20  # what is no more is small
EXPIRED_AT_ONCE: Final = 20  # snapshots, because looking for what only they held takes time

Key: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class FileRange:
    """One file: how much it holds, and the least and the greatest key, part by part; None where nobody knows."""

    rows: int
    bytes: int
    lower: Key | None
    upper: Key | None


def rows_per_file(rows: int, size: int) -> int:
    """How many rows a file gets in a table of so many rows and bytes."""
    most = FILE_BYTES_MAX * rows // size if rows and size else rows
    return max(1, min(max(FILE_ROWS_MIN, rows // FILES_WANTED), max(most, 1)))


def rows_per_file_of_run(rows: int, per_file: int) -> int:
    """The same for a run of so many rows in a table whose files get `per_file`."""
    return min(per_file, max(FILE_ROWS_MIN, rows // RUN_FILES))


def cut(rows: int, per_file: int) -> list[int]:
    """The rows of each file that so many are written to: one up to twice the measure, then even parts."""
    if rows == 0:
        return []
    parts = 1 if rows <= 2 * per_file else -(-rows // per_file)
    return [rows * (n + 1) // parts - rows * n // parts for n in range(parts)]


def runs(files: Sequence[FileRange]) -> list[list[int]]:
    """The files (by number) in as few runs as need be, ranges of one run apart from one another.

    A file without bounds is a run of its own, and so is one with few rows: else rows with ever greater keys would end up in
    one run of ever so many small files.
    """
    alone: list[list[int]] = []
    known: list[tuple[Key, Key, int]] = []
    for number, file in enumerate(files):
        if file.lower is None or file.upper is None or file.rows < FILE_ROWS_MIN // 2:
            alone.append([number])
        else:
            known.append((file.lower, file.upper, number))
    found: list[tuple[Key, list[int]]] = []
    for lower, upper, number in sorted(known):
        free = [(end, place) for place, (end, _) in enumerate(found) if end < lower]
        if free:
            _, place = max(free)
            found[place][1].append(number)
            found[place] = (upper, found[place][1])
        else:
            found.append((upper, [number]))
    return [numbers for _, numbers in found] + alone


def to_merge(files: Sequence[FileRange]) -> tuple[int, ...]:
    """Which files should become one run now: with `RUNS_MERGED` runs of about one size, they and all smaller ones.

    Sizes are powers of `RUNS_MERGED`, so each row is written once for each power that the table grows by.
    """
    found = sorted((sum(files[n].rows for n in run), run) for run in runs(files))
    powers = [_power(rows) for rows, _ in found]
    for power in sorted(set(powers)):
        if powers.count(power) < RUNS_MERGED:
            continue
        chosen: list[int] = []
        size = taken = 0
        for (_, run), own in zip(found, powers, strict=True):
            size += sum(files[n].bytes for n in run)
            if own > power or size > MERGE_BYTES_MAX:
                break
            chosen, taken = [*chosen, *run], taken + 1
        if taken >= RUNS_MERGED:
            return tuple(sorted(chosen))
    return ()


def _power(rows: int) -> int:
    power = 0
    while rows >= RUNS_MERGED:
        rows //= RUNS_MERGED
        power += 1
    return power


def hour_to_merge(files: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    """Which files of a changelog, given as (hour, bytes), should become one now: the small ones of the oldest hour with many."""
    hours: dict[int, list[int]] = {}
    for number, (hour, size) in enumerate(files):
        if size <= SMALL_BYTES:
            hours.setdefault(hour, []).append(number)
    for hour in sorted(hours):
        chosen, total = [], 0
        for number in hours[hour]:
            total += files[number][1]
            if total > MERGE_BYTES_MAX:
                break
            chosen.append(number)
        if len(chosen) >= SMALL_FILES:
            return tuple(chosen)
    return ()


def to_expire(made_ms: Sequence[int], now_ms: int, age_ms: int, least: int) -> int:
    """How many snapshots go, of a line of them given by the moments at which they were made, oldest first.

    Those older than `age_ms`, as soon as there are `EXPIRED_AT_ONCE`; the newest `least` stay.
    """
    count = sum(ms < now_ms - age_ms for ms in made_ms[: max(0, len(made_ms) - least)])
    return count if count >= EXPIRED_AT_ONCE else 0
