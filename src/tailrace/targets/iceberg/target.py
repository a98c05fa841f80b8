"""The target itself: the ledger, evolution of the schema, and one commit per load around `lake.merge`."""

from __future__ import annotations

import functools
import json
import logging
import os
import threading
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from fsspec.implementations.arrow import ArrowFSWrapper
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.manifest import DataFile
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.table.update import (
    AddSchemaUpdate,
    AssertCurrentSchemaId,
    AssertLastAssignedFieldId,
    AssertTableUUID,
    SetCurrentSchemaUpdate,
    SetPropertiesUpdate,
    TableRequirement,
    TableUpdate,
)
from pyiceberg.transforms import HourTransform
from pyiceberg.typedef import Record

from tailrace.clock import Budget, Clock
from tailrace.codec import arrow_type
from tailrace.decide.lake import FileRange, hour_to_merge, to_merge
from tailrace.decide.schema import ColumnPlan, plan_columns
from tailrace.errors import NotFound, OutcomeUnknown, TargetContended, UserFault
from tailrace.model.positions import CLASS_BASE, order_prefix
from tailrace.targets.duckdb.dialect import quote
from tailrace.targets.duckdb.file import Perform, Session, perform_plainly
from tailrace.targets.duckdb.merge import key_expression, key_text
from tailrace.targets.iceberg import pages
from tailrace.targets.iceberg.catalog import CLEARED, Conflict, Tables, first_line, notes_of, remembered, translated
from tailrace.targets.iceberg.commit import MAIN, Head, RowDeletesFound, Writer, head_of
from tailrace.targets.iceberg.expiry import ORPHAN_MS, SWEEP_MS, clear, line_of, lines_to_expire, orphans, removal
from tailrace.targets.iceberg.fields import Fields, Replaced, ids_of, new_fields, spelled
from tailrace.targets.iceberg.files import DATA_NAME, Files, FileWithoutIds, check_ids, remove
from tailrace.targets.iceberg.layout import Layout, Place, SortedKeys
from tailrace.targets.lake.columns import RESERVED, table_schema
from tailrace.targets.lake.merge import ENDS, POS, STANDING, Arithmetic, Patch, whole
from tailrace.targets.lake.reading import BATCH_ROWS, FilesOf, asked, is_known, opened
from tailrace.targets.lake.state import RECENT_MAX, RESTORE, LakeState, new_state, refused, state_of
from tailrace.targets.planning import (
    LIVE,
    META_NAMES,
    META_TYPES,
    check_fence,
    fresh,
    key_columns,
    known_ms,
    ledger_rows,
    staged,
)
from tailrace.targets.planning import (
    spelled as spell_plan,
)
from tailrace.targets.target import Applied, Ledger, LedgerRow, Limits, Load, LoadedSegment, TableSpec

STATE: Final = "tailrace.state"  # the table's property that holds the ledger
FIELDS: Final = "tailrace.fields"  # the ids of our columns, as we left them
COMMIT: Final = "tailrace.commit"  # in a snapshot's summary: by which it is known again
SWEPT: Final = "tailrace.swept-ms"  # when orphans were looked for
THROUGH: Final = "tailrace.applied-through"
ENGINE: Final = "tailrace.engine"  # there, too: who carried the load out
DELETES: Final = "tailrace_deletes"  # the branch that holds deletes, which outlive their rows
ATTEMPTS: Final = 5  # against the newest snapshot, when other writers come first
THREADS_MAX: Final = 4  # each holds one file

_PROPERTIES: Final = {
    "format-version": "2",
    "write.parquet.compression-codec": "zstd",
    CLEARED: "true",
    "write.metadata.previous-versions-max": "20",
}
log = logging.getLogger(__name__)

_locks: dict[tuple[str, ...], threading.Lock] = {}
_locks_guard = threading.Lock()


@dataclass(frozen=True, slots=True)
class _Found:
    """A table as the catalog has it, with what it remembers."""

    table: Table
    state: LakeState
    foreign: tuple[str, ...]


class IcebergTarget:
    """Keeps `tailrace.targets.target.Target` in the Iceberg tables of one namespace.

    `place`: what no two catalogs share. `threads`: how many files are read and written side by side.
    """

    kind = "iceberg"
    limits = Limits()

    def __init__(
        self,
        name: str,
        properties: Callable[[], Mapping[str, str]],
        namespace: tuple[str, ...],
        place: str,
        clock: Clock,
        *,
        threads: int | None = None,
        perform: Perform = perform_plainly,
    ) -> None:
        self.name = name
        self._tables = Tables(properties, namespace, perform)
        self._place = place
        self._clock = clock
        self._threads = threads or min(THREADS_MAX, os.cpu_count() or 1)
        self._perform = perform
        self._seen: set[str] = set()  # files of other engines that can be read

    def ledger(self, table: TableSpec, budget: Budget | None = None) -> Ledger:
        found = self._find(table)
        return Ledger() if found is None else found.state.ledger()

    def applied(self, table: TableSpec, number: int) -> LedgerRow | None:
        found = self._find(table)
        if found is None:
            return None
        row = next((row for row in found.state.recent if row.number == number), None)
        if row is not None or not found.state.holds(number):
            return row
        row = pages.find_row(self._tables, found.table, number, self._perform)
        if row is None:
            raise refused(
                table, f"no longer has the ledger row of segment {number}, which is applied", f"Restore {pages.NAME}."
            )
        return row

    def apply(self, load: Load, budget: Budget | None = None) -> Applied:
        with _lock_of((self._place, *self._tables.namespace, load.table.name)):
            for _ in range(ATTEMPTS):
                try:
                    return self._attempt(load)
                except Conflict as error:
                    conflict = error
        raise TargetContended(
            f"Other writers committed to the table {ATTEMPTS} times in a row while a load was made: {conflict}",
            hint="It is repeated. Let nothing else write to the table, or not so often.",
            table=load.table.source,
        )

    # ---- reading

    def tables(self) -> list[str]:
        """The names of all tables of the namespace, whoever made them."""
        return self._tables.names()

    def rows(self, table: TableSpec) -> Iterator[pa.RecordBatch]:
        found = self._find(table)
        if found is None:
            return
        with self._opened([found.table]) as session:
            yield from session.connection.execute(_live_rows(table, found.state)).to_arrow_reader(BATCH_ROWS)

    def find(self, table: TableSpec, keys: Sequence[Sequence[str | bytes]]) -> pa.Table:
        found = self._find(table)
        if found is None:
            return pa.table({})
        with self._opened([found.table]) as session:
            session.connection.register("wanted", pa.table({"key": [key_text(key) for key in keys]}))
            return session.connection.execute(_live_rows(table, found.state, "temp.wanted")).to_arrow_table()

    def query(self, sql: str) -> pa.Table:
        """Run one read-only statement over the tables of the namespace. Raises UsageInvalid, NotFound where there are none."""
        tables = [table for name in self._tables.names() if (table := self._tables.load(name)) is not None]
        if not tables:
            raise NotFound(
                "The target holds no table yet", hint="Load something first: tailrace run.", target=self.name
            )
        with self._opened(tables) as session:
            return asked(session, sql)

    @contextmanager
    def _opened(self, tables: Sequence[Table]) -> Iterator[Session]:
        described = [files for table in tables if (files := self._files_of(table)) is not None]
        with opened(described, functools.partial(_reach, tables)) as session:
            yield session

    def _files_of(self, table: Table) -> FilesOf | None:
        """A table as it stands now, without columns of types that we never make; None where it is not ours and cannot be read."""
        with translated("read a table"), _understood(table.name()[-1]):
            fields = Fields(table.schema(), table.metadata.properties)
            try:
                head = head_of(table.metadata, MAIN, table.io, self._perform)
                for path in (file.file_path for file in head.files):
                    if path not in self._seen and not DATA_NAME.fullmatch(path.rpartition("/")[-1]):
                        self._perform(f"read {path}", functools.partial(check_ids, table.io, path))
                        self._seen.add(path)
            except (RowDeletesFound, FileWithoutIds):
                if remembered(table, STATE) is None:
                    return None
                raise
        columns = [(fields.by_name[f.name].field_id, f.name, f.type) for f in fields.arrow if is_known(f.type)]
        paths = tuple(_readable(file.file_path) for file in head.files)
        return FilesOf(table.name()[-1], paths, tuple(columns))

    # ---- one attempt, against one snapshot

    def _attempt(self, load: Load) -> Applied:
        """Read the ledger, plan, write, commit. Raises Conflict where somebody else committed meanwhile."""
        spec = load.table
        found = self._find(spec)
        state = new_state(spec) if found is None else found.state
        if found is not None:
            check_fence(load, state.fence)
        numbers = [s.segment.number for s in load.segments]
        segments, changes = fresh(load, {number for number in numbers if state.holds(number)})
        skipped = len(load.segments) - len(segments)
        if found is not None and not segments:
            return Applied(0, skipped, 0, state.columns)
        plan = self._plan(load, found)
        is_replay = any(s.segment.may_repeat for s in segments)
        rows = staged(changes, plan.columns, spec.keys, spec.mode, known_ms(load), is_replay=is_replay)
        if found is None:
            found = self._create(spec, plan)
        with translated("load a table"), _understood(spec.name):
            work = _Work(self, load, found, plan, segments, changes.num_rows)
            work.run(rows, is_replay=is_replay)
        return Applied(
            segments=len(segments),
            skipped=skipped,
            rows=changes.num_rows,
            columns=plan.columns,
            added=tuple(column.name for column in plan.added),
            widened=tuple(column.name for column in plan.widened),
        )

    def _plan(self, load: Load, found: _Found | None) -> ColumnPlan:
        """The columns after a load."""
        reserved = [*RESERVED, *(found.foreign if found else ())]
        plan = plan_columns(found.state.columns if found else (), load.seen, load.table.keys, reserved=reserved)
        return spell_plan(plan, spelled, str.lower, reserved)

    def _create(self, spec: TableSpec, plan: ColumnPlan) -> _Found:
        """The table with its key alone; the load itself adds what else it brings."""
        keys = [replace(column, numbers=column.numbers) for column in key_columns(plan.columns, spec.keys)]
        arrow = table_schema(keys, spec.mode)
        fields = list(new_fields(list(arrow), 0))
        schema = Schema(*fields)
        partition = PartitionSpec()
        if spec.mode == "changelog":
            loaded = next(field for field in fields if field.name == "_tr_loaded_at")
            partition = PartitionSpec(PartitionField(loaded.field_id, 1000, HourTransform(), "_tr_loaded_hour"))
        full = {f"write.metadata.metrics.column.{name}": "full" for name in (*(key.name for key in keys), POS)}
        state = replace(new_state(spec), columns=tuple(keys))
        ids = {FIELDS: json.dumps([field.field_id for field in fields])}
        self._tables.create(spec.name, schema, partition, {**_PROPERTIES, **full, STATE: state.to_json(), **ids})
        found = self._find(spec)
        if found is None:
            raise Conflict("the table that was made is gone")
        if found.state.columns != state.columns:
            raise Conflict("another loader made the table")
        return found

    # ---- what is there

    def _find(self, spec: TableSpec) -> _Found | None:
        """The table and its state; None: never loaded. Raises UserFault where going on would mix or lose rows."""
        if spec.name == pages.NAME:
            raise refused(spec, "has a name that Tailrace needs", "Set another `name` for this table.")
        table = self._tables.load(spec.name)
        if table is None:
            if self._tables.holds_view(spec.name):
                raise self._not_ours(spec)
            return None
        document = remembered(table, STATE)
        if document is None:
            if any(COMMIT in notes_of(snapshot) for snapshot in table.metadata.snapshots):
                raise refused(spec, "has rows, while its ledger was emptied", RESTORE)
            raise self._not_ours(spec)
        state = state_of(spec, document)
        if state.applied_through > 0 and table.metadata.current_snapshot_id is None:
            raise refused(spec, "is empty, while the ledger says that it was loaded", RESTORE)
        if _is_rolled_back(table):
            raise refused(spec, "was rolled back to an older snapshot, and its ledger was not", RESTORE)
        names = [*(column.name for column in state.columns), *META_NAMES[spec.mode]]
        fields = {field.name: field for field in table.schema().fields}
        ids = _ids_in(remembered(table, FIELDS))
        if len(ids) != len(names):
            raise refused(spec, f"has a property {FIELDS} that does not belong to its ledger", RESTORE)
        types = {field.name: field.type for field in table_schema(state.columns, spec.mode)}
        arrow = Fields(table.schema(), table.metadata.properties).arrow
        for name, id_ in zip(names, ids, strict=True):
            if name not in fields or fields[name].field_id != id_:
                raise refused(spec, f"no longer has the column {name!r:.100} that Tailrace made", _UNDO)
            if arrow.field(name).type != types[name]:
                raise refused(spec, f"has a column {name!r:.100} of another type than Tailrace made it", _UNDO)
        foreign = tuple(name for name in fields if name not in set(names))
        for name in foreign:
            if pa.types.is_nested(arrow.field(name).type):
                raise refused(spec, f"has a nested column {name!r:.100} that Tailrace did not make", _UNDO)
        return _Found(table, state, foreign)

    def _not_ours(self, spec: TableSpec) -> UserFault:
        return refused(spec, "exists, and Tailrace did not make it", "Rename it, or set another `name` for this table.")


@contextmanager
def _understood(name: str) -> Iterator[None]:
    """What other engines did to a table, and what can be done about it."""
    try:
        yield
    except RowDeletesFound as error:
        raise UserFault(
            f"Table {name!r} in the target has rows that another engine deleted by a file of deletes",
            hint="Have that engine rewrite its data files, and let nothing but Tailrace write to the table.",
        ) from error
    except FileWithoutIds as error:
        raise UserFault(
            f"Table {name!r} in the target has a file without field ids: {error}",
            hint="Remove it, or have an engine rewrite it.",
        ) from error


_UNDO: Final = "Undo the change that was made to it, or load into another `name`."


class _Work:
    """One load on its way into one snapshot."""

    def __init__(
        self,
        target: IcebergTarget,
        load: Load,
        found: _Found,
        plan: ColumnPlan,
        segments: Sequence[LoadedSegment],
        changes: int,
        engine: str = "process",
    ) -> None:
        self._target = target
        self._engine = engine
        self._load = load
        self._table = found.table
        self._state = found.state
        self._plan = plan
        self._segments = segments
        self._mode = load.table.mode
        self._perform = target._perform
        self._commit_id = uuid.uuid4().hex
        self.schema, self.replaced = evolved(found.table, found.state, plan, load.table)
        self.fields = Fields(self.schema, self._table.metadata.properties)
        self.keys = [column.name for column in key_columns(plan.columns, load.table.keys)]
        # Deletes have nothing but keys; what else was replaced is NULL in them, and stays so.
        self.replaced_keys = {name: old for name, old in self.replaced.items() if name in self.keys}
        folder = self._table.location_provider().data_path
        self._access = Files(self._table.io, self.fields, folder, self._commit_id, self._perform)

    def run(self, rows: pa.Table, *, is_replay: bool) -> None:
        load, metadata, io = self._load, self._table.metadata, self._table.io
        heads = [head_of(metadata, branch, io, self._perform) for branch in (MAIN, DELETES)]
        sorted_by = [POS] if self._mode == "changelog" else self.keys
        main, deletes = (
            Layout(head.files, self.fields, self._access, sorted_by, self._target._threads) for head in heads
        )
        schema = table_schema(self._plan.columns, self._mode)
        reckon = Arithmetic(self._mode, schema, self.keys, load.loaded_ms, known_ms(load))
        sweep = any(s.segment.kind == "sweep" for s in self._segments)
        if sweep:
            names = [*self.keys, *({"_tr_op": 0} if self._mode == "changelog" else {}), *STANDING[self._mode]]
            standing = main.all(names, self.replaced)
            patch = reckon.sweep(standing, load.epoch)
        else:
            patch = self._reckoned(reckon, rows, main, deletes, is_replay)
        writer = Writer(self._table, self.schema, self._commit_id, self._perform)
        try:
            self._write(heads, main, deletes, patch, sweep, writer)
        except OutcomeUnknown:
            raise  # what was written may be referred to
        except BaseException:
            remove(io, [*writer.made, *self._access.made], self._perform)
            raise

    def _reckoned(self, reckon: Arithmetic, rows: pa.Table, main: Layout, deletes: Layout, is_replay: bool) -> Patch:
        """Read of the rows that stand what may matter."""
        key_places = [
            self._plan.columns.index(column) for column in key_columns(self._plan.columns, self._load.table.keys)
        ]
        no_rows = main.nothing([*self.keys, *STANDING[self._mode]])
        no_ends = deletes.nothing([*self.keys, *ENDS[self._mode]])
        if self._mode == "changelog" and not is_replay:
            return reckon.patch(rows, no_rows, no_ends)
        keys = SortedKeys(rows.select(["pos"]) if self._mode == "changelog" else rows.select(key_places))
        standing = main.standing(keys, [*self.keys, *STANDING[self._mode]], self.replaced)
        ends = no_ends
        if ENDS[self._mode]:
            ends = deletes.standing(keys, [*self.keys, *ENDS[self._mode]], self.replaced_keys)
        return reckon.patch(rows, standing, ends, replayed=is_replay)

    def _write(
        self, heads: Sequence[Head], main: Layout, deletes: Layout, patch: Patch, sweep: bool, writer: Writer
    ) -> None:
        place = self._partition()
        full = self.fields.arrow
        patch = replace(patch, added=whole(patch.added, full))
        if self._mode == "changelog":
            merged = hour_to_merge([(_hour(file), file.file_size_in_bytes) for file in main.files])
        else:
            merged = to_merge([*main.ranges, *_as_range(patch)])
        removed, added = main.rewrite(patch, [n for n in merged if n < len(main.files)], self.replaced, place)
        ended = whole(_with_op(patch.ended, self._load.loaded_ms), full)
        gone_ends, new_ends = self._ends(deletes, ended, sweep)
        self._finish(heads, (removed, added), (gone_ends, new_ends), patch.live, writer)

    def _finish(
        self,
        heads: Sequence[Head],
        rows: tuple[Collection[str], Sequence[DataFile]],
        ends: tuple[Collection[str], Sequence[DataFile]],
        live: int,
        writer: Writer,
    ) -> None:
        """Commit: of rows and of deletes the paths that go and the files that come, and the ledger."""
        load, spec = self._load, self._load.table
        now_ms = self._target._clock.now_ms()
        entered = ledger_rows(load, self._segments, load.changes, now_ms)
        held = self._put_aside()
        state = replace(self._state, recent=held).after(spec, entered, self._plan.columns, live, load.fence)
        notes = {COMMIT: self._commit_id, THROUGH: str(state.applied_through), "tailrace.fence": str(load.fence)}
        notes[ENGINE] = self._engine
        updates, requirements = self._schema_updates()
        outcomes = []
        if any(ends):
            outcomes.append(writer.snapshot(heads[1], *ends, {COMMIT: self._commit_id}, self.schema.schema_id))
        outcomes.append(writer.snapshot(heads[0], *rows, notes, self.schema.schema_id))
        for more, conditions in outcomes:
            updates, requirements = (*updates, *more), (*requirements, *conditions)
        properties = {STATE: state.to_json(), FIELDS: json.dumps(self._ids()), COMMIT: self._commit_id}
        is_due = now_ms - int(remembered(self._table, SWEPT) or 0) >= SWEEP_MS
        if is_due:
            properties[SWEPT] = str(now_ms)
        expired = lines_to_expire(self._table.metadata, (MAIN, DELETES), now_ms)
        updates += (SetPropertiesUpdate(updates=properties), *removal(expired))
        self._commit(requirements, updates)
        try:
            clear(expired, self._table.io, self._perform)
            if is_due and (table := self._target._tables.load(spec.name)) is not None:
                remove(table.io, orphans(table, now_ms - ORPHAN_MS), self._perform)
        except Exception as error:  # the load is done, and what is left over harms nobody
            log.warning("files of %s that nothing refers to are left over: %s", spec.name, first_line(error))

    def _put_aside(self) -> tuple[LedgerRow, ...]:
        """The ledger rows of earlier loads that the document goes on carrying; the others are kept elsewhere first."""
        held = self._state.recent
        if len(held) <= pages.CARRIED_MAX:
            return held
        pages.put_aside(self._target._tables, self._table, held[RECENT_MAX:], self._perform)
        return held[:RECENT_MAX]

    def _ends(self, deletes: Layout, ended: pa.Table, sweep: bool) -> tuple[list[str], list[Any]]:
        """The branch of deletes: new ones are added, in a sweep of current rows those of older epochs go."""
        gone = pa.array([], pa.int64())
        if sweep and self._mode == "current":
            first = order_prefix(self._load.epoch, CLASS_BASE)
            held = deletes.all([POS], self.replaced_keys)
            gone = held.filter(pc.less(held[POS], first))["place"].combine_chunks()
        patch = Patch(
            gone, pa.table({"place": pa.array([], pa.int64())}), ended, pa.nulls(ended.num_rows, pa.int64()), ended, 0
        )
        if not (len(gone) or ended.num_rows or self.replaced_keys):
            return [], []
        merged = [n for n in to_merge([*deletes.ranges, *_as_range(patch)]) if n < len(deletes.files)]
        return deletes.rewrite(patch, merged, self.replaced_keys, Place(spec_id=self._table.spec().spec_id))

    def _partition(self) -> Place:
        spec = self._table.spec()
        if self._mode != "changelog":
            return Place(spec_id=spec.spec_id)
        hour = self._load.loaded_ms // 3_600_000
        partition = Record(hour)
        return Place(spec.partition_to_path(partition, self.schema), partition, spec.spec_id)

    def _schema_updates(self) -> tuple[tuple[TableUpdate, ...], tuple[TableRequirement, ...]]:
        metadata = self._table.metadata
        requirements: tuple[TableRequirement, ...] = (
            AssertTableUUID(uuid=metadata.table_uuid),
            AssertCurrentSchemaId.model_validate({"current-schema-id": metadata.current_schema_id}),
        )
        if self.schema.schema_id == metadata.current_schema_id:
            return (), requirements
        updates = (AddSchemaUpdate(schema=self.schema), SetCurrentSchemaUpdate.model_validate({"schema-id": -1}))
        last = AssertLastAssignedFieldId.model_validate({"last-assigned-field-id": metadata.last_column_id})
        return updates, (*requirements, last)

    def _ids(self) -> list[int]:
        names = [*(column.name for column in self._plan.columns), *META_NAMES[self._mode]]
        return [self.fields.by_name[name].field_id for name in names]

    def _commit(self, requirements: tuple[TableRequirement, ...], updates: tuple[TableUpdate, ...]) -> None:
        """Commit; where nobody knows whether that worked, look for our mark."""
        tables = self._target._tables
        try:
            tables.commit(self._table, requirements, updates)
        except Conflict:
            raise
        except Exception as error:
            if self._is_committed():
                return
            raise OutcomeUnknown(
                f"Nobody knows whether the commit was made: {first_line(error)}",
                hint="The next load looks at the ledger first and goes on from it.",
                table=self._load.table.source,
            ) from error

    def _is_committed(self) -> bool:
        try:
            table = self._target._tables.load(self._load.table.name)
        except Exception:
            return False
        snapshots = () if table is None else table.metadata.snapshots
        return any(notes_of(snapshot).get(COMMIT) == self._commit_id for snapshot in snapshots)


def evolved(table: Table, state: LakeState, plan: ColumnPlan, spec: TableSpec) -> tuple[Schema, dict[str, Replaced]]:
    """The schema with new fields, each before the metadata, and those that need another id because they were widened."""
    if plan.columns == state.columns or (not plan.added and not plan.widened):
        return table.schema(), {}
    before = {column.name: column for column in state.columns}
    held = {field.name: field for field in table.schema().fields}
    last, fields, replaced = table.metadata.last_column_id, [], {}
    widened = {column.name for column in plan.widened}
    for column in plan.columns:
        if column.name in held and column.name not in widened:
            fields.append(held[column.name])
            continue
        [field] = new_fields([pa.field(column.name, arrow_type(column.type))], last)
        last = ids_of([field])
        if column.name in widened:
            replaced[column.name] = Replaced(held[column.name].field_id, arrow_type(before[column.name].type))
        fields.append(field)
    names = {field.name for field in fields}
    fields += [field for field in table.schema().fields if field.name not in names]
    schema_id = max(schema.schema_id for schema in table.metadata.schemas) + 1
    return Schema(*fields, schema_id=schema_id), replaced


def _ids_in(document: str | None) -> list[int]:
    try:
        ids = json.loads(document or "[]")
    except ValueError:
        return []
    return ids if isinstance(ids, list) else []


def _is_rolled_back(table: Table) -> bool:
    """Whether the snapshot of the last load is still there, and the table no longer descends from it."""
    last = remembered(table, COMMIT)
    made = [
        s
        for s in table.metadata.snapshots
        if last is not None and notes_of(s).get(COMMIT) == last and THROUGH in notes_of(s)
    ]
    return bool(made) and made[0] not in line_of(table.metadata, MAIN)


def _readable(path: str) -> str:
    """A file's place as DuckDB gets it: on a local disk its path, elsewhere through pyarrow, for which no extension is needed."""
    scheme, separator, rest = path.partition("://")
    return path if not separator else rest if scheme == "file" else f"{_Elsewhere.protocol}://{rest}"


class _Elsewhere(ArrowFSWrapper):  # type: ignore[misc]
    """pyarrow's file systems for DuckDB."""

    protocol = "tailrace"

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return path.removeprefix(f"{cls.protocol}://")


def _reach(tables: Sequence[Table], connection: Any) -> None:
    """Teach a database to read files that do not lie on a local disk."""
    for table in tables:
        scheme, separator, rest = table.location().partition("://")
        if separator and scheme != "file":
            assert isinstance(table.io, PyArrowFileIO)
            system = table.io.fs_by_scheme(scheme, rest.partition("/")[0])
            connection.register_filesystem(_Elsewhere(system))
            return


def _live_rows(table: TableSpec, state: LakeState, wanted: str | None = None) -> str:
    """All live rows, or those whose key `wanted` holds. Of a changelog the newest change of each key."""
    columns = key_columns(state.columns, table.keys) if state.columns else []
    names = ", ".join(quote(n) for n in (*(column.name for column in state.columns), *META_NAMES[table.mode]))
    rows = f"SELECT * FROM {quote(table.name)}"
    if wanted is not None:
        rows += f" WHERE {key_expression(columns, [quote(column.name) for column in columns])} IN (SELECT key FROM {wanted})"
    if table.mode == "changelog":
        key = ", ".join(quote(column.name) for column in columns)
        newest = f"{rows} QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY _tr_pos DESC) = 1"
        return f"SELECT {names} FROM ({newest}) WHERE _tr_op <> 'd'"
    live = f" WHERE {LIVE[table.mode]}" if table.mode in LIVE else ""
    return f"SELECT {names} FROM ({rows}){live}"


def _hour(file: DataFile) -> int:
    """The partition of a changelog's file; one without lies in none."""
    return int(file.partition[0]) if len(file.partition) and file.partition[0] is not None else -1


def _as_range(patch: Patch) -> list[FileRange]:
    """The rows of new keys as the file that they would become."""
    count = patch.near.null_count
    return [FileRange(count, patch.added.nbytes // 4, None, None)] if count else []


def _with_op(ended: pa.Table, loaded_ms: int) -> pa.Table:
    loaded = pa.scalar(loaded_ms * 1000, META_TYPES["_tr_loaded_at"])
    ended = ended.append_column("_tr_op", pa.repeat(pa.scalar("d"), ended.num_rows))
    return ended.append_column("_tr_loaded_at", pa.repeat(loaded, ended.num_rows))


def _lock_of(place: tuple[str, ...]) -> threading.Lock:
    with _locks_guard:
        return _locks.setdefault(place, threading.Lock())
