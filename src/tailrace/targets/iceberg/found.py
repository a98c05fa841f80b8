"""A table as the catalog has it, with what it remembers of its loads; and how one is made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

import pyarrow as pa
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.transforms import HourTransform

from tailrace.clock import Clock
from tailrace.decide.schema import ColumnPlan, folded, plan_columns
from tailrace.errors import UserFault
from tailrace.targets.duckdb.file import Perform
from tailrace.targets.iceberg import pages
from tailrace.targets.iceberg.catalog import CLEARED, Conflict, Tables, notes_of, remembered
from tailrace.targets.iceberg.commit import MAIN, RowDeletesFound
from tailrace.targets.iceberg.expiry import line_of
from tailrace.targets.iceberg.fields import Fields, new_fields, spelled
from tailrace.targets.iceberg.files import FileWithoutIds
from tailrace.targets.lake.columns import RESERVED, table_schema
from tailrace.targets.lake.merge import POS
from tailrace.targets.lake.state import RESTORE, LakeState, new_state, refused, state_of
from tailrace.targets.planning import META_NAMES, key_columns
from tailrace.targets.planning import spelled as spell_plan
from tailrace.targets.target import Load, TableSpec

STATE: Final = "tailrace.state"  # the table's property that holds the ledger
FIELDS: Final = "tailrace.fields"  # the ids of our columns, as we left them
COMMIT: Final = "tailrace.commit"  # in a snapshot's summary: by which it is known again
SEQUENCE: Final = "tailrace.sequence"  # the table's property: the sequence number of the last load's snapshot
SWEPT: Final = "tailrace.swept-ms"  # when orphans were looked for
THROUGH: Final = "tailrace.applied-through"
ENGINE: Final = "tailrace.engine"  # there, too: who carried the load out
DELETES: Final = "tailrace_deletes"  # the branch that holds deletes, which outlive their rows
BRANCH: Final = "tailrace.deletes"  # the table's property that names that branch, from its first delete on

_UNDO: Final = "Undo the change that was made to it, or load into another `name`."
_BRANCH_LOST: Final = (
    "Make the branch anew from its last snapshot, if that is still there; or drop the table and load it again from the landing"
    " zone. A catalog that keeps no branch but main cannot hold tables of Tailrace."
)
_PROPERTIES: Final = {
    "format-version": "2",
    "write.parquet.compression-codec": "zstd",
    CLEARED: "true",
    "write.metadata.previous-versions-max": "20",
}


@dataclass(frozen=True, slots=True)
class Lake:
    """The tables of one namespace, and how they are worked on.

    `place`: what no two catalogs share. `threads`: how many files are read and written side by side.
    """

    tables: Tables
    place: str
    clock: Clock
    threads: int
    perform: Perform


@dataclass(frozen=True, slots=True)
class Found:
    """A table as the catalog has it, with what it remembers."""

    table: Table
    state: LakeState
    foreign: tuple[str, ...]


def find(lake: Lake, spec: TableSpec) -> Found | None:
    """The table and its state; None: never loaded. Raises UserFault where going on would mix or lose rows."""
    if spec.name == pages.NAME:
        raise refused(spec, "has a name that Tailrace needs", "Set another `name` for this table.")
    table = lake.tables.load(spec.name)
    if table is None:
        if lake.tables.holds_view(spec.name):
            raise _not_ours(spec)
        return None
    document = remembered(table, STATE)
    if document is None:
        if any(COMMIT in notes_of(snapshot) for snapshot in table.metadata.snapshots):
            raise refused(spec, "has rows, while its ledger was emptied", RESTORE)
        raise _not_ours(spec)
    state = state_of(spec, document)
    if state.applied_through > 0 and table.metadata.current_snapshot_id is None:
        raise refused(spec, "is empty, while the ledger says that it was loaded", RESTORE)
    if _is_rolled_back(table):
        raise refused(spec, "was rolled back to an older snapshot, and its ledger was not", RESTORE)
    branch = remembered(table, BRANCH)
    if branch is not None and table.metadata.snapshot_by_name(branch) is None:
        raise refused(spec, f"no longer has its branch {branch!r:.100}, which keeps what was deleted", _BRANCH_LOST)
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
    if not is_partitioned_as_made(table, table.spec(), spec.mode):
        made = "by the hour of _tr_loaded_at" if spec.mode == "changelog" else "not at all"
        hint = f"Undo that (ALTER TABLE … REPLACE PARTITION FIELD, DROP PARTITION FIELD): Tailrace made it {made}."
        raise refused(spec, f"is partitioned otherwise than Tailrace made it: {table.spec().fields}", hint)
    foreign = tuple(name for name in fields if name not in set(names))
    for name in foreign:
        if pa.types.is_nested(arrow.field(name).type):
            raise refused(spec, f"has a nested column {name!r:.100} that Tailrace did not make", _UNDO)
    return Found(table, state, foreign)


def planned(load: Load, found: Found | None) -> ColumnPlan:
    """The columns after a load."""
    reserved = [*RESERVED, *(found.foreign if found else ())]
    plan = plan_columns(found.state.columns if found else (), load.seen, load.table.keys, reserved=reserved)
    return spell_plan(plan, spelled, folded, reserved)


def create(lake: Lake, spec: TableSpec, plan: ColumnPlan) -> Found:
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
    lake.tables.create(spec.name, schema, partition, {**_PROPERTIES, **full, STATE: state.to_document(), **ids})
    found = find(lake, spec)
    if found is None:
        raise Conflict("the table that was made is gone")
    if found.state != state:  # it may have loaded, too, what is to be loaded here
        raise Conflict("another loader made the table")
    return found


@contextmanager
def understood(name: str) -> Iterator[None]:
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


def _not_ours(spec: TableSpec) -> UserFault:
    return refused(spec, "exists, and Tailrace did not make it", "Rename it, or set another `name` for this table.")


def _ids_in(document: str | None) -> list[int]:
    try:
        ids = json.loads(document or "[]")
    except ValueError:
        return []
    return ids if isinstance(ids, list) else []


def _is_rolled_back(table: Table) -> bool:
    """Whether the newest load that the table descends from is another one than the last; that may have been expired since."""
    line = line_of(table.metadata, MAIN)
    made = [mark for snapshot in line if (mark := notes_of(snapshot).get(COMMIT)) is not None]
    if made:
        return made[-1] != remembered(table, COMMIT)
    last = int(remembered(table, SEQUENCE) or 0)  # nothing of ours is left in it, as after a compaction and an expiry
    return bool(line) and (line[-1].sequence_number or 0) < last


def is_partitioned_as_made(table: Table, partitions: PartitionSpec, mode: str) -> bool:
    """Whether one of a table's partitionings is what we make: by the hour of a change's load, or not at all."""
    made = [(field.source_id, str(field.transform)) for field in partitions.fields]
    hours = [(field.field_id, "hour") for field in table.schema().fields if field.name == "_tr_loaded_at"]
    return made == (hours if mode == "changelog" else [])
