"""One load on its way into one snapshot: what is read, reckoned by `lake.merge`, written, and committed with the ledger."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.manifest import DataFile
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
from pyiceberg.typedef import Record

from tailrace.codec import arrow_type
from tailrace.decide.lake import FileRange, hour_to_merge, to_merge
from tailrace.decide.schema import ColumnPlan
from tailrace.errors import OutcomeUnknown, TargetContended, UserFault
from tailrace.model.positions import CLASS_BASE, order_prefix
from tailrace.targets.iceberg import pages
from tailrace.targets.iceberg.catalog import Conflict, first_line, notes_of, remembered, translated
from tailrace.targets.iceberg.commit import MAIN, Head, Writer, head_of
from tailrace.targets.iceberg.expiry import ORPHAN_MS, SWEEP_MS, clear, lines_to_expire, new_load_id, orphans, removal
from tailrace.targets.iceberg.fields import Fields, Replaced, ids_of, new_fields
from tailrace.targets.iceberg.files import Files, remove
from tailrace.targets.iceberg.found import (
    BRANCH,
    COMMIT,
    DELETES,
    ENGINE,
    FIELDS,
    SEQUENCE,
    STATE,
    SWEPT,
    THROUGH,
    Found,
    Lake,
    create,
    find,
    is_partitioned_as_made,
    planned,
    understood,
)
from tailrace.targets.iceberg.layout import Layout, Place, SortedKeys
from tailrace.targets.lake.columns import table_schema
from tailrace.targets.lake.merge import ENDS, POS, STANDING, Arithmetic, Patch, whole
from tailrace.targets.lake.progress import RECENT_MAX
from tailrace.targets.lake.state import LakeState, new_state, refused
from tailrace.targets.planning import (
    META_NAMES,
    META_TYPES,
    check_fence,
    fresh,
    key_columns,
    known_ms,
    ledger_rows,
    staged,
)
from tailrace.targets.target import Applied, LedgerRow, Load, LoadedSegment, TableSpec

ATTEMPTS: Final = 5  # against the newest snapshot, when other writers come first

log = logging.getLogger(__name__)

_locks: dict[tuple[str, ...], threading.Lock] = {}
_locks_guard = threading.Lock()


def apply(lake: Lake, load: Load) -> Applied:
    """`IcebergTarget.apply`."""
    return settled(lake, load, lambda: _attempt(lake, load))


def settled(lake: Lake, load: Load, attempt: Callable[[], Applied]) -> Applied:
    """What an attempt gives that meets no other writer. One load of a table at a time in this process. Raises TargetContended."""
    with _lock_of((lake.place, *lake.tables.namespace, load.table.name)):
        for _ in range(ATTEMPTS):
            try:
                return attempt()
            except Conflict as error:
                conflict = error
    raise TargetContended(
        f"Other writers committed to the table {ATTEMPTS} times in a row while a load was made: {conflict}",
        hint="It is repeated. Let nothing else write to the table, or not so often.",
        table=load.table.source,
    )


def _lock_of(place: tuple[str, ...]) -> threading.Lock:
    with _locks_guard:
        return _locks.setdefault(place, threading.Lock())


def _attempt(lake: Lake, load: Load) -> Applied:
    """Read the ledger, plan, write, commit. Raises Conflict where somebody else committed meanwhile."""
    spec = load.table
    found = find(lake, spec)
    state = new_state(spec) if found is None else found.state
    if found is not None:
        check_fence(load, state.fence)
    numbers = [s.segment.number for s in load.segments]
    segments, changes = fresh(load, {number for number in numbers if state.holds(number)})
    skipped = len(load.segments) - len(segments)
    if found is not None and not segments:
        return Applied(0, skipped, 0, state.columns)
    plan = planned(load, found)
    is_replay = any(s.segment.may_repeat for s in segments)
    rows = staged(changes, plan.columns, spec.keys, spec.mode, known_ms(load), is_replay=is_replay)
    if found is None:
        found = create(lake, spec, plan)
    with translated("load a table"), understood(spec.name):
        work = Work(lake, load, found, plan, segments, changes.num_rows)
        work.run(rows, is_replay=is_replay)
    return applied(plan, len(segments), skipped, changes.num_rows)


def applied(plan: ColumnPlan, segments: int, skipped: int, rows: int) -> Applied:
    """What a load did."""
    return Applied(
        segments=segments,
        skipped=skipped,
        rows=rows,
        columns=plan.columns,
        added=tuple(column.name for column in plan.added),
        widened=tuple(column.name for column in plan.widened),
    )


class Work:
    """One load on its way into one snapshot."""

    def __init__(
        self,
        lake: Lake,
        load: Load,
        found: Found,
        plan: ColumnPlan,
        segments: Sequence[LoadedSegment],
        changes: int,
        engine: str = "process",
    ) -> None:
        self._lake = lake
        self._engine = engine
        self.load = load
        self.table = found.table
        self._state = found.state
        self.plan = plan
        self.segments = segments
        self.mode = load.table.mode
        self._perform = lake.perform
        self.commit_id = new_load_id(found.table)
        self.schema, self.replaced = evolved(found.table, found.state, plan, load.table)
        self.fields = Fields(self.schema, self.table.metadata.properties)
        self.keys = [column.name for column in key_columns(plan.columns, load.table.keys)]
        # Deletes have nothing but keys; what else was replaced is NULL in them, and stays so.
        self.replaced_keys = {name: old for name, old in self.replaced.items() if name in self.keys}
        folder = self.table.location_provider().data_path
        self.access = Files(self.table.io, self.fields, folder, self.commit_id, self._perform)

    def run(self, rows: pa.Table, *, is_replay: bool) -> None:
        load, metadata, io = self.load, self.table.metadata, self.table.io
        heads = [head_of(metadata, branch, io, self._perform) for branch in (MAIN, DELETES)]
        sorted_by = [POS] if self.mode == "changelog" else self.keys
        main, deletes = (Layout(head.files, self.fields, self.access, sorted_by, self._lake.threads) for head in heads)
        schema = table_schema(self.plan.columns, self.mode)
        reckon = Arithmetic(self.mode, schema, self.keys, load.loaded_ms, known_ms(load))
        sweep = any(s.segment.kind == "sweep" for s in self.segments)
        if sweep:
            names = [*self.keys, *({"_tr_op": 0} if self.mode == "changelog" else {}), *STANDING[self.mode]]
            standing = main.all(names, self.replaced)
            patch = reckon.sweep(standing, load.epoch)
        else:
            patch = self._reckoned(reckon, rows, main, deletes, is_replay)
        writer = Writer(self.table, self.schema, self.commit_id, self._perform)
        try:
            self._write(heads, main, deletes, patch, sweep, writer)
        except OutcomeUnknown:
            raise  # what was written may be referred to
        except BaseException:
            remove(io, [*writer.made, *self.access.made], self._perform)
            raise

    def _reckoned(self, reckon: Arithmetic, rows: pa.Table, main: Layout, deletes: Layout, is_replay: bool) -> Patch:
        """Read of the rows that stand what may matter."""
        key_places = [
            self.plan.columns.index(column) for column in key_columns(self.plan.columns, self.load.table.keys)
        ]
        no_rows = main.nothing([*self.keys, *STANDING[self.mode]])
        no_ends = deletes.nothing([*self.keys, *ENDS[self.mode]])
        if self.mode == "changelog" and not is_replay:
            return reckon.patch(rows, no_rows, no_ends)
        keys = SortedKeys(rows.select(["pos"]) if self.mode == "changelog" else rows.select(key_places))
        standing = main.standing(keys, [*self.keys, *STANDING[self.mode]], self.replaced)
        ends = no_ends
        if ENDS[self.mode]:
            ends = deletes.standing(keys, [*self.keys, *ENDS[self.mode]], self.replaced_keys)
        return reckon.patch(rows, standing, ends, replayed=is_replay)

    def _write(
        self, heads: Sequence[Head], main: Layout, deletes: Layout, patch: Patch, sweep: bool, writer: Writer
    ) -> None:
        place = self.partition()
        full = self.fields.arrow
        patch = replace(patch, added=whole(patch.added, full))
        ranges = [*main.ranges, *as_range(patch)]
        merged = self._of_one_hour(main.files) if self.mode == "changelog" else to_merge(ranges)
        removed, added = main.rewrite(patch, [n for n in merged if n < len(main.files)], self.replaced, place)
        ended = whole(with_op(patch.ended, self.load.loaded_ms), full)
        gone_ends, new_ends = self._ends(deletes, ended, sweep)
        self.finish(heads, (removed, added), (gone_ends, new_ends), patch.live, writer)

    def finish(
        self,
        heads: Sequence[Head],
        rows: tuple[Collection[str], Sequence[DataFile]],
        ends: tuple[Collection[str], Sequence[DataFile]],
        live: int,
        writer: Writer,
    ) -> None:
        """Commit: of rows and of deletes the paths that go and the files that come, and the ledger."""
        load, spec = self.load, self.load.table
        now_ms = self._lake.clock.now_ms()
        entered = ledger_rows(load, self.segments, load.changes, now_ms)
        held = self._put_aside(now_ms)
        state = replace(self._state, recent=held).after(spec, entered, self.plan.columns, live, load.fence)
        notes = {COMMIT: self.commit_id, THROUGH: str(state.applied_through), "tailrace.fence": str(load.fence)}
        notes[ENGINE] = self._engine
        updates, requirements = self._schema_updates()
        outcomes = []
        if any(ends):
            outcomes.append(writer.snapshot(heads[1], *ends, {COMMIT: self.commit_id}, self.schema.schema_id, now_ms))
        outcomes.append(writer.snapshot(heads[0], *rows, notes, self.schema.schema_id, now_ms))
        for more, conditions in outcomes:
            updates, requirements = (*updates, *more), (*requirements, *conditions)
        properties = {STATE: state.to_document(), FIELDS: json.dumps(self._ids()), COMMIT: self.commit_id}
        properties[SEQUENCE] = str(writer.sequence)
        if any(ends):
            properties[BRANCH] = DELETES
        is_due = now_ms - int(remembered(self.table, SWEPT) or 0) >= SWEEP_MS
        if is_due:
            properties[SWEPT] = str(now_ms)
        expired = lines_to_expire(self.table.metadata, (MAIN, DELETES), now_ms)
        updates += (SetPropertiesUpdate(updates=properties), *removal(expired))
        self._commit(requirements, updates)
        try:
            clear(expired, self.table.io, self._perform)
            if is_due and (table := self._lake.tables.load(spec.name)) is not None:
                remove(table.io, orphans(table, now_ms - ORPHAN_MS), self._perform)
        except Exception as error:  # the load is done, and what is left over harms nobody
            log.warning("files of %s that nothing refers to are left over: %s", spec.name, first_line(error))

    def _put_aside(self, now_ms: int) -> tuple[LedgerRow, ...]:
        """The ledger rows of earlier loads that the document goes on carrying; the others are kept elsewhere first."""
        held = self._state.recent
        if len(held) <= pages.CARRIED_MAX:
            return held
        pages.put_aside(self._lake.tables, self.table, held[RECENT_MAX:], self._perform, now_ms)
        return held[:RECENT_MAX]

    def _ends(self, deletes: Layout, ended: pa.Table, sweep: bool) -> tuple[list[str], list[Any]]:
        """The branch of deletes: new ones are added, in a sweep of current rows those of older epochs go."""
        gone = pa.array([], pa.int64())
        if sweep and self.mode == "current":
            first = order_prefix(self.load.epoch, CLASS_BASE)
            held = deletes.all([POS], self.replaced_keys)
            gone = held.filter(pc.less(held[POS], first))["place"].combine_chunks()
        patch = Patch(
            gone, pa.table({"place": pa.array([], pa.int64())}), ended, pa.nulls(ended.num_rows, pa.int64()), ended, 0
        )
        if not (len(gone) or ended.num_rows or self.replaced_keys):
            return [], []
        merged = [n for n in to_merge([*deletes.ranges, *as_range(patch)]) if n < len(deletes.files)]
        return deletes.rewrite(patch, merged, self.replaced_keys, Place(spec_id=self.table.spec().spec_id))

    def _of_one_hour(self, files: Sequence[DataFile]) -> list[int]:
        """Which files of a changelog become one. Those that an engine wrote in other partitions stay alone."""
        specs = self.table.metadata.specs()
        hourly = {id_ for id_, spec in specs.items() if is_partitioned_as_made(self.table, spec, self.mode)}
        mine = [n for n, file in enumerate(files) if file.spec_id in hourly and file.partition[0] is not None]
        hours = [(int(files[n].partition[0]), files[n].file_size_in_bytes) for n in mine]
        return [mine[n] for n in hour_to_merge(hours)]

    def partition(self) -> Place:
        spec = self.table.spec()
        if self.mode != "changelog":
            return Place(spec_id=spec.spec_id)
        hour = self.load.loaded_ms // 3_600_000
        partition = Record(hour)
        return Place(spec.partition_to_path(partition, self.schema), partition, spec.spec_id)

    def _schema_updates(self) -> tuple[tuple[TableUpdate, ...], tuple[TableRequirement, ...]]:
        metadata = self.table.metadata
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
        names = [*(column.name for column in self.plan.columns), *META_NAMES[self.mode]]
        return [self.fields.by_name[name].field_id for name in names]

    def _commit(self, requirements: tuple[TableRequirement, ...], updates: tuple[TableUpdate, ...]) -> None:
        """Commit; where that was not answered with a yes, look for our mark. Without it a no is a no."""
        tables = self._lake.tables
        try:
            tables.commit(self.table, requirements, updates)
        except Exception as error:
            is_committed = self._is_committed()
            if is_committed:
                return
            if isinstance(error, Conflict | UserFault) and is_committed is not None:
                raise
            raise OutcomeUnknown(
                f"Nobody knows whether the commit was made: {first_line(error)}",
                hint="The next load looks at the ledger first and goes on from it.",
                table=self.load.table.source,
            ) from error

    def _is_committed(self) -> bool | None:
        """None: that cannot be looked up."""
        try:
            table = self._lake.tables.load(self.load.table.name)
        except Exception:
            return None
        snapshots = () if table is None else table.metadata.snapshots
        return any(notes_of(snapshot).get(COMMIT) == self.commit_id for snapshot in snapshots)


def evolved(table: Table, state: LakeState, plan: ColumnPlan, spec: TableSpec) -> tuple[Schema, dict[str, Replaced]]:
    """The schema with new fields, each before the metadata, and those that need another id because they were widened.

    Raises UserFault where the table's sort order names one of the latter by its old id.
    """
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
    sorted_by = {field.source_id for field in table.sort_order().fields}
    for name, old in replaced.items():
        if old.id in sorted_by:
            hint = "ALTER TABLE … WRITE UNORDERED, let it load, and set the order again."
            raise refused(spec, f"has a sort order by the column {name!r:.100}, which must become wider", hint)
    names = {field.name for field in fields}
    fields += [field for field in table.schema().fields if field.name not in names]
    schema_id = max(schema.schema_id for schema in table.metadata.schemas) + 1
    return Schema(*fields, schema_id=schema_id), replaced


def as_range(patch: Patch) -> list[FileRange]:
    """The rows of new keys as the file that they would become."""
    count = patch.near.null_count
    return [FileRange(count, patch.added.nbytes // 4, None, None)] if count else []


def with_op(ended: pa.Table, loaded_ms: int) -> pa.Table:
    loaded = pa.scalar(loaded_ms * 1000, META_TYPES["_tr_loaded_at"])
    ended = ended.append_column("_tr_op", pa.repeat(pa.scalar("d"), ended.num_rows))
    return ended.append_column("_tr_loaded_at", pa.repeat(loaded, ended.num_rows))
