"""The target itself: a load is begun in the ledger, written, and listed in the ledger. See ``docs/targets/parquet.md``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset
import pyarrow.parquet as pq

from tailrace import __version__
from tailrace.clock import Budget, Clock
from tailrace.decide.schema import ColumnPlan, folded, plan_columns
from tailrace.errors import AlreadyExists, NotFound, StateContended, UserFault
from tailrace.model.positions import CLASS_BASE, order_key, order_prefix
from tailrace.targets.lake import columns, duck
from tailrace.targets.lake.files import Files, check_folder, is_folder, reading
from tailrace.targets.lake.ledger import (
    NAME,
    RESTORE,
    Begun,
    DataFile,
    Entry,
    LakeLedger,
    Retired,
    checked,
    entries_of,
    from_bytes,
    refused,
    row_of,
    spilled,
    to_bytes,
)
from tailrace.targets.lake.location import Location
from tailrace.targets.lake.turns import Turns
from tailrace.targets.parquet import layout
from tailrace.targets.planning import (
    check_fence,
    fresh,
    identity,
    key_columns,
    known_ms,
    ledger_rows,
    spelled,
    staged,
)
from tailrace.targets.target import Applied, Ledger, LedgerRow, Limits, Load, LoadedSegment, Mode, TableSpec

SNAPSHOT_ROWS: Final = 1_000_000  # in one file of a snapshot
GRACE_MS: Final = 3_600_000  # how long the files of a former version stay for those who read them
NEWER: Final = (
    "Where its folder was restored from a backup, take what is newer than that out of it, or its rows stand there twice; or"
    " remove the folder, and it is loaded again from the landing zone."
)
MODES: Final[tuple[Mode, ...]] = ("changelog",)


@dataclass(frozen=True, slots=True)
class _Held:
    """What stands: the ledger and the version to replace it by; a new one where there is none."""

    ledger: LakeLedger
    version: str | None


class ParquetTarget:
    """Keeps `tailrace.targets.target.Target` in a folder of Parquet files for each table, in mode ``changelog``.

    `files` is the folder of the target, `location` the same place for pyarrow. `snapshots`: keep each day's last state, too.
    """

    kind = "parquet"
    limits = Limits()

    def __init__(self, name: str, files: Files, location: Location, clock: Clock, *, snapshots: bool = False) -> None:
        self.name = name
        self._snapshots = snapshots
        self._files = files
        self._location = location
        self._clock = clock
        self._turns = Turns(clock)

    # ---- the port

    def ledger(self, table: TableSpec, budget: Budget | None = None) -> Ledger:
        held = self._held(table)
        return Ledger() if held.version is None else held.ledger.as_ledger()

    def applied(self, table: TableSpec, number: int) -> LedgerRow | None:
        return row_of(self._held(table).ledger, self._page(table.name), number)

    def apply(self, load: Load, budget: Budget | None = None) -> Applied:
        return self._turns.take(load, lambda: self._apply(load, self._held(load.table)))

    def rows(self, table: TableSpec) -> Iterator[pa.RecordBatch]:
        yield from self._live(table, None)

    def find(self, table: TableSpec, keys: Sequence[Sequence[str | bytes]]) -> pa.Table:
        batches = list(self._live(table, keys))
        return pa.Table.from_batches(batches) if batches else pa.table({})

    def query(self, sql: str) -> pa.Table:
        """Run one read-only statement over the tables of this target, by DuckDB. Raises UsageInvalid when DuckDB refuses it."""
        return duck.query(sql, self._named)

    # ---- reading

    def _held(self, table: TableSpec) -> _Held:
        """The ledger of a table. Raises UserFault where going on would mix or lose rows."""
        if table.mode not in MODES:
            raise UserFault(
                f"A folder of Parquet files only grows, so table {table.name!r} cannot be kept there in mode {table.mode!r}",
                hint='Set mode = "changelog" for it, or send it to an Iceberg, Delta or DuckDB target.',
                table=table.source,
            )
        check_folder(table)
        try:
            stored = self._files.read(f"{table.name}/{NAME}")
        except NotFound:
            if next(iter(self._files.list(f"{table.name}/")), None) is not None:
                hint = "Rename it, set another `name` for this table, or restore its ledger from a backup."
                raise refused(table.name, "exists, and Tailrace did not make it", hint) from None
            return _Held(LakeLedger(identity(table)), None)
        ledger = checked(table, from_bytes(stored.data, table.name))
        newest = next((file for entry in reversed(ledger.tail) for file in entry.files), None)
        if newest is not None and not self._stands(table.name, ledger, newest):
            raise refused(table.name, "is gone, while the ledger says that it was loaded", RESTORE)
        return _Held(ledger, stored.version)

    def _stands(self, name: str, ledger: LakeLedger, file: DataFile) -> bool:
        path = self._location.below(name, f"v{ledger.version}", file.path)
        with reading():
            return bool(self._location.filesystem().get_file_info(path).is_file)

    def _page(self, name: str) -> Callable[[str], bytes]:
        return lambda page: self._files.read(f"{name}/{page}").data

    def _data_files(self, name: str, ledger: LakeLedger, first: str = "", last: str = "~") -> list[DataFile]:
        """The files that may hold rows between two places."""
        entries = entries_of(ledger, self._page(name), lambda page: page.first <= last and page.last >= first)
        return [f for entry in entries for f in entry.files if f.first <= last and f.last >= first]

    def _dataset(self, name: str, ledger: LakeLedger, files: Sequence[DataFile]) -> pyarrow.dataset.Dataset:
        """The files under the table's present columns."""
        folder = self._location.below(name, f"v{ledger.version}")
        return pyarrow.dataset.FileSystemDataset.from_paths(
            [f"{folder}/{file.path}" for file in files],
            schema=layout.schema(ledger.columns),
            format=pyarrow.dataset.ParquetFileFormat(),
            filesystem=self._location.filesystem(),
        )

    def _live(self, table: TableSpec, keys: Sequence[Sequence[str | bytes]] | None) -> Iterator[pa.RecordBatch]:
        held = self._held(table)
        if held.ledger.columns:  # else nothing was loaded yet; a first load may have begun
            dataset = self._dataset(table.name, held.ledger, self._data_files(table.name, held.ledger))
            yield from duck.live_rows(dataset, table, held.ledger.columns, keys)

    def _named(self, name: str) -> pyarrow.dataset.Dataset | None:
        """The files of a table that a person names."""
        if not is_folder(name):
            return None
        try:
            ledger = from_bytes(self._files.read(f"{name}/{NAME}").data, name)
        except NotFound:
            return None
        return self._dataset(name, ledger, self._data_files(name, ledger))

    # ---- loading

    def _apply(self, load: Load, held: _Held) -> Applied:
        table, before = load.table, held.ledger
        check_fence(load, before.fence)
        segments, changes = fresh(load, [s.segment.number for s in load.segments if before.holds(s.segment.number)])
        skipped = len(load.segments) - len(segments)
        if held.version is not None and not segments:
            return Applied(0, skipped, 0, before.columns)
        day = layout.snapshot_day(before, load.loaded_ms) if self._snapshots else None
        if day is not None:
            self._snapshot(table, before, day)
        plan = plan_columns(before.columns, load.seen, table.keys, reserved=layout.RESERVED)
        plan = spelled(plan, columns.spell, folded, layout.RESERVED)
        rows = self._rows(load, before, plan, segments, changes)
        held, begun, pieces = self._begin(load, held, plan, segments, rows)
        try:
            self._write(table, held.ledger, begun, plan, pieces)
            files = tuple(layout.data_file(path, piece) for path, piece in pieces)
            entry = Entry(tuple(ledger_rows(load, segments, changes, self._clock.now_ms())), files)
            after = self._with(held.ledger, begun, plan, entry, load)
            after, pages = spilled(after)
            for page, data in pages:
                self._files.create(f"{table.name}/{page.name}", data)
            self._files.replace(f"{table.name}/{NAME}", to_bytes(after), held.version)
        except StateContended:
            self._settle(table, begun)
            raise
        return Applied(
            segments=len(segments),
            skipped=skipped,
            rows=changes.num_rows,
            columns=plan.columns,
            added=tuple(column.name for column in plan.added),
            widened=tuple(column.name for column in plan.widened),
        )

    def _rows(
        self,
        load: Load,
        before: LakeLedger,
        plan: ColumnPlan,
        segments: Sequence[LoadedSegment],
        changes: pa.Table,
    ) -> pa.Table:
        """What this load adds, in its order: changes that are not there yet, and the deletes of a sweep."""
        table = load.table
        is_replay = any(s.segment.may_repeat for s in segments)
        rows = staged(changes, plan.columns, table.keys, "changelog", known_ms(load), is_replay=is_replay)
        if is_replay and rows.num_rows:
            places = pc.min_max(rows["pos"]).as_py()
            files = self._data_files(table.name, before, places["min"], places["max"])
            if files:
                dataset = self._dataset(table.name, before, files)
                rows = duck.unseen(dataset, before.columns, rows, plan.columns, table.keys)
        if any(s.segment.kind == "sweep" for s in segments):
            rows = pa.concat_tables([rows, self._swept(load, before, rows.schema, plan)])
        return rows

    def _swept(self, load: Load, before: LakeLedger, schema: pa.Schema, plan: ColumnPlan) -> pa.Table:
        """A delete for each key that lives in older epochs only."""
        table, files = load.table, self._data_files(load.table.name, before)
        if not files:
            return schema.empty_table()
        keys = key_columns(before.columns, table.keys)
        dataset = self._dataset(table.name, before, files)
        left = duck.left_behind(dataset, keys, order_prefix(load.epoch, CLASS_BASE))
        values = {f"c{plan.columns.index(column)}": left.column(n) for n, column in enumerate(keys)}
        values |= {
            "op": pa.repeat("d", left.num_rows),
            "pos": pa.repeat(order_key(load.epoch, CLASS_BASE), left.num_rows),
            "expired": pa.repeat(pa.scalar(False), left.num_rows),
        }
        arrays = [values.get(field.name, pa.nulls(left.num_rows, field.type)) for field in schema]
        return pa.Table.from_arrays(arrays, schema=schema)

    def _begin(
        self, load: Load, held: _Held, plan: ColumnPlan, segments: Sequence[LoadedSegment], rows: pa.Table
    ) -> tuple[_Held, Begun, list[tuple[str, pa.Table]]]:
        """Enter the load in the ledger before its first file stands, or go on with it where it was entered.

        So no file can stand that a later load does not know of: whoever begins another load removes it.
        """
        ledger, numbers = held.ledger, [s.segment.number for s in segments]
        facts = _facts(load, plan, segments, rows.num_rows)
        begun = ledger.begun
        if begun is None or begun.facts != facts:
            is_new = bool(plan.widened) and ledger.rows > 0
            version = ledger.version_last + 1 if is_new else ledger.version
            begun = Begun(facts, version, load.loaded_ms, max(numbers, default=0), ())
            name = f"{min(numbers, default=0):012d}-{max(numbers, default=0):012d}-{ledger.counter + 1:x}.parquet"
            pieces = _pieces(layout.rows_of(rows, plan.columns, begun.loaded_ms), load, name)
            begun = replace(begun, paths=tuple(path for path, _ in pieces))
            ledger = self._cleared(load.table.name, ledger)
            gone = ledger.abandoned
            if ledger.begun is not None:
                gone += tuple(f"v{ledger.begun.version}/{path}" for path in ledger.begun.paths)
                if ledger.begun.version != ledger.version:
                    ledger = replace(
                        ledger,
                        retired=(*ledger.retired, Retired(ledger.begun.version, self._clock.now_ms() - GRACE_MS)),
                    )
            ledger = replace(
                ledger,
                counter=ledger.counter + 1,
                begun=begun,
                abandoned=gone,
                version_last=max(ledger.version_last, version),
            )
            held = _Held(ledger, self._files.replace(f"{load.table.name}/{NAME}", to_bytes(ledger), held.version))
        else:
            name = begun.paths[0].rpartition("/")[2] if begun.paths else ""
            pieces = _pieces(layout.rows_of(rows, plan.columns, begun.loaded_ms), load, name)
        return held, begun, pieces

    def _cleared(self, name: str, ledger: LakeLedger) -> LakeLedger:
        """Without the files of former versions whose time is over."""
        now_ms = self._clock.now_ms()
        over = [retired for retired in ledger.retired if retired.since_ms + GRACE_MS <= now_ms]
        for retired in over:
            self._remove(f"{name}/v{retired.version}/")
        return replace(ledger, retired=tuple(retired for retired in ledger.retired if retired not in over))

    def _write(
        self,
        table: TableSpec,
        ledger: LakeLedger,
        begun: Begun,
        plan: ColumnPlan,
        pieces: Sequence[tuple[str, pa.Table]],
    ) -> None:
        """The files of a load that was begun; each is whole as soon as it stands, and repeating it writes the same."""
        for path in ledger.abandoned:
            self._files.delete(f"{table.name}/{path}")
        if begun.version != ledger.version:
            self._rewrite(table, ledger, begun, plan)
        try:
            for path, piece in pieces:
                self._files.create(f"{table.name}/v{begun.version}/{path}", layout.file_bytes(piece))
        except AlreadyExists as error:
            what = f"holds a file that its ledger does not know: v{begun.version}/{path}"
            raise refused(table.name, what, NEWER) from error

    def _rewrite(self, table: TableSpec, ledger: LakeLedger, begun: Begun, plan: ColumnPlan) -> None:
        """Every file once more, in today's types, in a folder that nobody reads yet."""
        folder, filesystem = self._location.below(table.name, f"v{ledger.version}"), self._location.filesystem()
        for file in self._data_files(table.name, ledger):
            with reading():
                rows = pq.read_table(f"{folder}/{file.path}", filesystem=filesystem, partitioning=None)
            data = layout.file_bytes(layout.widened(rows, plan.columns))
            self._files.create(f"{table.name}/v{begun.version}/{file.path}", data)

    def _snapshot(self, table: TableSpec, ledger: LakeLedger, day: str) -> None:
        """What lives now, as files of its own, which count once ``_SUCCESS`` lists them.

        Two loaders that come here at once write the same bytes under the same names; what an older attempt left goes first.
        """
        folder = f"{table.name}/snapshots/dt={day}"
        with suppress(NotFound):
            self._files.read(f"{folder}/_SUCCESS")
            return
        names: list[str] = []
        dataset = self._dataset(table.name, ledger, self._data_files(table.name, ledger))
        for listed in list(self._files.list(f"{folder}/")):
            if f"-{ledger.counter:x}." not in listed.name:
                self._files.delete(listed.name)
        for rows in _gathered(duck.live_rows(dataset, table, ledger.columns, in_order=True), SNAPSHOT_ROWS):
            names.append(f"part-{len(names):05d}-{ledger.counter:x}.parquet")
            self._files.create(f"{folder}/{names[-1]}", layout.file_bytes(rows))
        document = {"files": names, "applied_through": ledger.applied_through, "through_ms": ledger.through_ms}
        self._files.create(f"{folder}/_SUCCESS", json.dumps(document).encode() + b"\n")

    def _with(self, ledger: LakeLedger, begun: Begun, plan: ColumnPlan, entry: Entry, load: Load) -> LakeLedger:
        """The ledger that makes the load visible."""
        live = sum(file.rows for file in entry.files)
        after = ledger.applied(load.table, entry, plan.columns, live, load.fence)
        if begun.version != ledger.version:
            after = replace(after, retired=(*after.retired, Retired(ledger.version, self._clock.now_ms())))
        return replace(after, counter=ledger.counter + 1, begun=None, abandoned=(), version=begun.version)

    def _settle(self, table: TableSpec, begun: Begun) -> None:
        """Somebody else replaced the ledger. Where our load is in it no more and never will be, our files go.

        Whoever removed it removes them, too; but we may have written one after that.
        """
        ledger = self._held(table).ledger
        if ledger.begun is not None and ledger.begun.paths == begun.paths:
            return
        if begun.version != ledger.version:
            if all(begun.version != retired.version for retired in ledger.retired):  # it is not what others still read
                self._remove(f"{table.name}/v{begun.version}/")
            return
        listed = {f.path for f in self._data_files(table.name, ledger)}
        for path in begun.paths:
            if path not in listed:
                self._files.delete(f"{table.name}/v{begun.version}/{path}")

    def _remove(self, prefix: str) -> None:
        for listed in list(self._files.list(prefix)):
            self._files.delete(listed.name)


def _gathered(batches: Iterator[pa.RecordBatch], most: int) -> Iterator[pa.Table]:
    """Tables of so many rows, the last one with fewer."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        if sum(b.num_rows for b in held) >= most:
            yield pa.Table.from_batches(held)
            held = []
    if held:
        yield pa.Table.from_batches(held)


def _pieces(rows: pa.Table, load: Load, name: str) -> list[tuple[str, pa.Table]]:
    return [(f"{folder}/{name}", part) for folder, part in layout.partitions(rows, known_ms(load))]


def _facts(load: Load, plan: ColumnPlan, segments: Sequence[LoadedSegment], rows: int) -> str:
    """What decides the content of a load's files, the writer included, as one digest."""
    facts = {
        "segments": [[s.segment.number, s.segment.name, s.segment.sha256, s.rows] for s in segments],
        "columns": [asdict(column) for column in plan.columns],
        "rows": rows,
        "writer": [__version__, pa.__version__],
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
