"""A patch carried out on files: which are read and written anew, and which rows go where. Rules are those of `decide.lake`."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.manifest import DataFile
from pyiceberg.typedef import Record

from tailrace.decide.lake import FileRange, cut, rows_per_file, rows_per_file_of_run
from tailrace.targets.iceberg.fields import Fields, Replaced
from tailrace.targets.iceberg.files import Files
from tailrace.targets.lake.merge import Patch
from tailrace.targets.taking import Numbers, combined, taken

NOWHERE: Final = -1
HELD_ROWS_MAX: Final = 2_000_000  # of which keys and order keys are kept in memory, so that they need not be read twice


@dataclass(frozen=True, slots=True)
class Place:
    """Where new files of a branch go: the partition's folder and record, and its spec."""

    folder: str = ""
    partition: Record = field(default_factory=Record)
    spec_id: int = 0


class Layout:
    """The live files of one branch, and how they look after a load. Places of rows are ``file << 32 | row``."""

    def __init__(
        self, files: Sequence[DataFile], fields: Fields, access: Files, keys: Sequence[str], threads: int
    ) -> None:
        self.files = files
        self.ranges = [_range(file, fields, keys) for file in files]
        self._fields = fields
        self._access = access
        self._keys = keys
        self._threads = threads
        self._held: dict[int, pa.Table] = {}
        self._room = HELD_ROWS_MAX

    def standing(self, keys: SortedKeys, names: Sequence[str], replaced: Mapping[str, Replaced]) -> pa.Table:
        """Some columns of at least all rows with one of these keys, with ``place`` in front. Reads files that may hold one."""
        first = self._keys[0]  # by which it is seen whether a file holds one
        names = [first, *(name for name in names if name != first)]

        def read(number: int) -> pa.Table:
            held = self.ranges[number]
            wanted = keys.within(held.lower, held.upper)
            if not len(wanted):
                return self.nothing(names)
            found = self._access.search(self.files[number].file_path, names, replaced, wanted)
            if found is None:
                return self.nothing(names)
            rows, mask = found
            return self._placed(number, rows).filter(mask)

        return self._gathered(read, range(len(self.files)), names)

    def all(self, names: Sequence[str], replaced: Mapping[str, Replaced]) -> pa.Table:
        """Some columns of all rows, with ``place`` in front."""

        def read(number: int) -> pa.Table:
            return self._placed(number, self._access.read(self.files[number].file_path, names, replaced))

        return self._gathered(read, range(len(self.files)), names)

    def nothing(self, names: Sequence[str]) -> pa.Table:
        """The same without a row."""
        fields = [self._fields.arrow.field(name) for name in names]
        return pa.schema([pa.field("place", pa.int64()), *fields]).empty_table()

    def _placed(self, number: int, rows: pa.Table) -> pa.Table:
        if rows.num_rows <= self._room:
            self._room -= rows.num_rows
            self._held[number] = rows
        return rows.add_column(0, "place", places(number, rows.num_rows))

    def _whole(self, number: int, replaced: Mapping[str, Replaced]) -> pa.Table:
        """All columns of a file, those that were read before not again."""
        held = self._held.pop(number, None)
        have = set() if held is None else set(held.column_names)
        rest = [name for name in self._fields.arrow.names if name not in have]
        read = self._access.read(self.files[number].file_path, rest, replaced)
        columns = [held[name] if name in have else read[name] for name in self._fields.arrow.names]
        return pa.Table.from_arrays(columns, schema=self._fields.arrow)

    def _gathered(self, read: Callable[[int], pa.Table], numbers: Sequence[int], names: Sequence[str]) -> pa.Table:
        with ThreadPoolExecutor(self._threads, thread_name_prefix="tailrace-lake") as pool:
            return pa.concat_tables([self.nothing(names), *pool.map(read, numbers)])

    def rewrite(
        self, patch: Patch, merged: Sequence[int], replaced: Mapping[str, Replaced], place: Place
    ) -> tuple[list[str], list[DataFile]]:
        """Write what the patch changes; the paths that go, and the files that come.

        `merged`: files of one partition that become one run, together with rows that belong to no other file, if those go
        there, too. `replaced`: all are written.
        """
        patch = replace(patch, gone=patch.gone.sort())
        near = pc.shift_right(patch.near, 32)
        whose = (pc.shift_right(patch.gone, 32), pc.shift_right(patch.changed["place"], 32), near.drop_null())
        touched = {number for numbers in whose for number in numbers.unique().to_pylist()}
        touched |= set(range(len(self.files))) if replaced else set()
        touched |= set(merged)
        target = pc.fill_null(near, NOWHERE)
        if len(place.partition) == 0:  # else a neighbour may lie in another partition
            target = self._assigned(patch.added, target, touched - set(merged))
        lines = _places_of(target)
        per_file = self._per_file(patch)

        def patched(number: int) -> pa.Table:
            kept = _patched(self._whole(number, replaced), number, patch)
            more = lines.get(number)
            return kept if more is None else pa.concat_tables([kept, taken(patch.added, more)])

        def rewritten(number: int) -> list[DataFile]:
            return self._written(patched(number), per_file, _place_of(self.files[number], place))

        alone = sorted(touched - set(merged))
        with ThreadPoolExecutor(self._threads, thread_name_prefix="tailrace-lake") as pool:
            added = [file for files in pool.map(rewritten, alone) for file in files]
            loose = lines.get(NOWHERE, pa.array([], pa.uint64()))
            rows = patch.added if len(loose) == len(target) else taken(patch.added, loose)
            pool_place = _place_of(self.files[merged[0]], place) if merged else place
            if pool_place != place:
                added += self._one_run([], patched, rows, per_file, place, pool)
                rows = rows.slice(0, 0)
            added += self._one_run(merged, patched, rows, per_file, pool_place, pool)
        return [self.files[number].file_path for number in sorted(touched)], added

    def _one_run(
        self,
        merged: Sequence[int],
        patched: Callable[[int], pa.Table],
        loose: pa.Table,
        per_file: int,
        place: Place,
        pool: ThreadPoolExecutor,
    ) -> list[DataFile]:
        """Write the rows of some files, and those that belong to none, to files whose ranges lie apart.

        Files are read in the order of their ranges, and what comes before all that are left is written and let go. So of a run
        no more is in memory than a few of its files.
        """
        per_file = self._per_file_of_run(loose.num_rows + sum(self.ranges[n].rows for n in merged), per_file)
        if not merged:
            return self._cut(combined(loose), cut(loose.num_rows, per_file), place, pool)[1]
        unread = sorted(merged, key=lambda n: self.ranges[n].lower or ())
        keys = SortedKeys(loose.select(list(self._keys)))
        first, held = 0, loose.slice(0, 0)
        files: list[DataFile] = []
        while unread:
            held = pa.concat_tables([held, *pool.map(patched, unread[: self._threads])])
            unread = unread[self._threads :]
            border = self.ranges[unread[0]].lower if unread else None
            if border is None:
                continue
            is_ready, end = self._before(held, border), bisect.bisect_left(keys, border)
            count = ((pc.sum(is_ready).as_py() or 0) + end - first) // per_file - 1  # what is left over is a file, too
            if count < self._threads:
                continue
            ready = pa.concat_tables([held.filter(is_ready), taken(loose, keys.order.slice(first, end - first))])
            held, first = held.filter(pc.invert(is_ready)), end
            rest, more = self._cut(ready, [per_file] * count, place, pool)
            held, ready, files = pa.concat_tables([held, rest]), None, files + more  # the others are let go now
        ready = pa.concat_tables([held, taken(loose, keys.order.slice(first))])
        return files + self._cut(ready, cut(ready.num_rows, per_file), place, pool)[1]

    def _cut(
        self, rows: pa.Table, counts: Sequence[int], place: Place, pool: ThreadPoolExecutor
    ) -> tuple[pa.Table, list[DataFile]]:
        """Write so many of the rows to each file, in the order of keys; the rows that are left over, and the files."""
        order = self._order(rows)

        def write(first: int, count: int) -> DataFile:
            part = taken(rows, order.slice(first, count))
            return self._access.write(part, place.folder, place.partition, place.spec_id)

        files = list(pool.map(write, [sum(counts[:n]) for n in range(len(counts))], counts))
        return taken(rows, order.slice(sum(counts))), files

    def _order(self, rows: pa.Table) -> pa.Array:
        return pc.sort_indices(rows, sort_keys=[(key, "ascending") for key in self._keys])

    def _before(self, rows: pa.Table, border: tuple[Any, ...]) -> pa.ChunkedArray:
        """Which rows have a key less than this one."""
        found = pa.scalar(value=False)
        for name, value in reversed(list(zip(self._keys, border, strict=True))):
            limit = pa.scalar(value, rows[name].type)
            found = pc.or_(pc.less(rows[name], limit), pc.and_(pc.equal(rows[name], limit), found))
        return pc.fill_null(found, False)

    def _per_file(self, patch: Patch) -> int:
        rows = sum(file.record_count for file in self.files)
        size = sum(file.file_size_in_bytes for file in self.files)
        return rows_per_file(rows + patch.added.num_rows, size * (rows + patch.added.num_rows) // rows if rows else 0)

    def _per_file_of_run(self, rows: int, per_file: int) -> int:
        return rows_per_file_of_run(rows, per_file)

    def _assigned(self, added: pa.Table, target: pa.Array, touched: set[int]) -> pa.Array:
        """Rows of new keys go where their neighbours are, if that file is written anyway."""
        wanted = pc.indices_nonzero(pc.equal(target, NOWHERE))
        if not touched or not len(wanted) or any(held.lower is None for held in self.ranges):
            return target
        order = sorted(range(len(self.files)), key=lambda n: self.ranges[n].lower or ())
        lowers = [self.ranges[n].lower or () for n in order]
        numbers = target.to_pylist()
        keys = key_tuples(added.select(list(self._keys)).take(wanted))
        for line, key in zip(wanted.to_pylist(), keys, strict=True):
            at = bisect.bisect_right(lowers, key) - 1
            if at >= 0 and order[at] in touched:
                numbers[line] = order[at]
        return pa.array(numbers, pa.int64())

    def _written(self, rows: pa.Table, per_file: int, place: Place) -> list[DataFile]:
        """One file, or several whose ranges lie apart."""
        counts = cut(rows.num_rows, per_file)
        if len(counts) > 1:
            rows = taken(rows, self._order(rows))
        files, start = [], 0
        for count in counts:
            files.append(self._access.write(rows.slice(start, count), place.folder, place.partition, place.spec_id))
            start += count
        return files


class SortedKeys(Sequence[tuple[Any, ...]]):
    """Keys in order, out of their columns; a key is made into Python values only when it is looked at. `order`: their places."""

    def __init__(self, keys: pa.Table) -> None:
        self.order = pc.sort_indices(keys, sort_keys=[(name, "ascending") for name in keys.column_names])
        self._columns = [column.combine_chunks() for column in keys.take(self.order).columns]

    def __len__(self) -> int:
        return len(self._columns[0])

    def __getitem__(self, at: Any) -> Any:
        return tuple(column[at].as_py() for column in self._columns)

    def within(self, lower: tuple[Any, ...] | None, upper: tuple[Any, ...] | None) -> pa.Array:
        """The first parts of those between two keys, both included; None: no such border."""
        first = 0 if lower is None else bisect.bisect_left(self, lower)
        end = len(self) if upper is None else bisect.bisect_right(self, upper)
        return self._columns[0].slice(first, max(0, end - first))


def key_tuples(keys: pa.Table) -> list[tuple[Any, ...]]:
    """Keys as bounds compare with them."""
    return list(zip(*(column.to_pylist() for column in keys.columns), strict=True))


def _places_of(numbers: pa.Array) -> dict[int, pa.Array]:
    """Where each of the numbers stands."""
    order, found, first = pc.sort_indices(numbers), {}, 0
    for number, count in sorted((c["values"], c["counts"]) for c in numbers.value_counts().to_pylist()):
        found[number] = order.slice(first, count)
        first += count
    return found


def places(number: int, count: int) -> pa.Array:
    """The places of a file's rows."""
    first = number << 32
    return pa.array(range(first, first + count), pa.int64())


def _patched(rows: pa.Table, number: int, patch: Patch) -> pa.Table:
    """The rows of one file that stay, with the metadata that they have from now on."""
    own = places(number, rows.num_rows)
    changed = _of_file(patch.changed, patch.changed["place"], number)
    if changed.num_rows:
        changed = changed.sort_by("place")
        mask = pc.is_in(own, value_set=changed["place"].combine_chunks())
        for name in changed.column_names[1:]:
            column = pc.replace_with_mask(rows[name].combine_chunks(), mask, changed[name].combine_chunks())
            rows = rows.set_column(rows.column_names.index(name), rows.schema.field(name), column)
    first, end = (bisect.bisect_left(Numbers(patch.gone), n << 32) for n in (number, number + 1))
    gone = patch.gone.slice(first, end - first)
    if len(gone):
        rows = rows.filter(pc.invert(pc.is_in(own, value_set=gone)))
    return rows


def _of_file(table: pa.Table, place: pa.ChunkedArray, number: int) -> pa.Table:
    return table.filter(_in_file(place, number)) if table.num_rows else table


def _in_file(place: Any, number: int) -> Any:
    return pc.and_(pc.greater_equal(place, number << 32), pc.less(place, (number + 1) << 32))


def _range(file: DataFile, fields: Fields, keys: Sequence[str]) -> FileRange:
    bounds = fields.bounds(file, keys)
    lower, upper = (None, None) if bounds is None else bounds
    return FileRange(file.record_count, file.file_size_in_bytes, lower, upper)


def _place_of(file: DataFile, place: Place) -> Place:
    """A file that is written anew stays in its partition, where there are any."""
    if len(place.partition) == 0 or (file.spec_id, file.partition) == (place.spec_id, place.partition):
        return place
    folder = file.file_path.rsplit("/", 2)[-2] if len(file.partition) else ""
    return Place(folder, file.partition, file.spec_id)
