"""A SQL server as a target: reads its state, writes statements, has them carried out. Repeats what a conflict undid."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import pyarrow as pa

from tailrace.clock import Clock
from tailrace.codec import arrow_type
from tailrace.decide.schema import ColumnPlan, plan_columns
from tailrace.errors import TargetContended, UserFault
from tailrace.model.schema import Column, ColumnType, NumberRange
from tailrace.targets.planning import (
    LIVE,
    META_NAMES,
    META_TYPES,
    fresh,
    key_columns,
    known_ms,
    ledger_rows,
    moved_on,
    spelled,
    staged,
    why_foreign,
)
from tailrace.targets.target import Applied, Ledger, LedgerRow, Load, TableSpec
from tailrace.targets.warehouse.connection import Connection, StatementFailed
from tailrace.targets.warehouse.dialect import Dialect
from tailrace.targets.warehouse.statements import FORMAT, INTERNAL, Names, Writer, telling, unescaped

log = logging.getLogger(__name__)

RECENT_MAX: Final = 100  # ledger rows that `Ledger.recent` carries
PIECE: Final = 15_000  # characters of a name that are read at once
REFUSALS_MAX: Final = 3  # of a statement, while nobody else has changed anything
ATTEMPTS_MAX: Final = 8
PAUSE_SECONDS: Final = 0.2  # after the first conflict; it doubles
STAGED_FIXED: Final = ("op", "ts", "pos", "expired")
RESERVED: Final = tuple(sorted({*META_TYPES, "rowid", "ctid", "xmin", "xmax", "cmin", "cmax", "tableoid", "oid"}))


@dataclass(frozen=True, slots=True)
class _State:
    """What the server holds of a table: the last load's columns, and its own ones that are not ours."""

    version: int
    columns: tuple[Column, ...]
    foreign: tuple[str, ...]
    applied_through: int
    through_ms: int | None
    applied_beyond: dict[int, int | None]  # number to through_ms

    def holds(self, number: int) -> bool:
        return number <= self.applied_through or number in self.applied_beyond


class WarehouseTarget:
    """Keeps `tailrace.targets.target.Target` in one schema of a SQL server."""

    def __init__(
        self, name: str, kind: str, schema: str, connection: Connection, dialect: Dialect, clock: Clock
    ) -> None:
        self.name = name
        self.kind = kind
        self.limits = dialect.limits
        self._schema = schema
        self._connection = connection
        self._dialect = dialect
        self._clock = clock
        self._jitter = random.Random()
        self._tidied: set[str] = set()

    # ---- the port

    def ledger(self, table: TableSpec) -> Ledger:
        with self._connection.opened(), self._reading(table):
            state = self._state(table)
            if state is None:
                return Ledger()
            names, rows = self._names(table), self._connection.rows
            recent = rows(
                "SELECT number, segment, epoch, sha256, row_count, quarantined, bytes, applied_ms, through_ms, lag_ms_p50,"
                f" lag_ms_p99 FROM {names.internal('ledger')} WHERE table_name = {self._name(table)}"
                f" ORDER BY applied_ms DESC, number DESC LIMIT {RECENT_MAX}"
            )
            [(count,)] = rows(f"SELECT count(*) FROM {names.target}{_live(table)}")
            return Ledger(
                applied_through=state.applied_through,
                applied_beyond=frozenset(state.applied_beyond),
                columns=state.columns,
                rows=count,
                through_ms=state.through_ms,
                recent=tuple(LedgerRow(*row) for row in recent),
            )

    def apply(self, load: Load) -> Applied:
        attempt = 1
        while True:
            with self._connection.opened():
                before: _State | None = None
                try:
                    before = self._state(load.table)
                    return self._apply(load, before)
                except TargetContended as error:
                    if attempt == ATTEMPTS_MAX:
                        raise
                    log.info("%s: %s; again", self.name, error)
                except StatementFailed as error:
                    with self._reading(load.table):
                        is_as_before = _version(self._state(load.table)) == _version(before)
                    # Another loader may also have taken our staging table for one that was left behind.
                    if attempt == ATTEMPTS_MAX or (is_as_before and attempt >= REFUSALS_MAX):
                        refused = self._refused(load.table, f"cannot be loaded: {error}")
                        refused.facts["statement"] = error.at + 1
                        raise refused from error
                    log.info("%s: %s; again", self.name, error)
            self._clock.wait(PAUSE_SECONDS * 2**attempt * self._jitter.random(), threading.Event())
            attempt += 1

    def rows(self, table: TableSpec) -> Iterator[pa.RecordBatch]:
        with self._connection.opened(), self._reading(table):
            state = self._state(table)
            if state is not None:
                yield from self._connection.batches(self._live_rows(table, state), _schema(table, state))

    def find(self, table: TableSpec, keys: Sequence[Sequence[str | bytes]]) -> pa.Table:
        with self._connection.opened(), self._reading(table):
            state = self._state(table)
            if state is None or not keys:
                return pa.table({})
            columns = key_columns(state.columns, table.keys)
            wanted = " OR ".join(
                "("
                + " AND ".join(
                    self._dialect.same(
                        self._dialect.quote(column.name),
                        self._dialect.value_literal(column, part),
                        is_text=column.tag == "S",
                    )
                    for column, part in zip(columns, key, strict=True)
                )
                + ")"
                for key in keys
            )
            batches = self._connection.batches(self._live_rows(table, state, wanted), _schema(table, state))
            return pa.Table.from_batches(batches, schema=_schema(table, state))

    def query(self, sql: str) -> pa.Table:
        with self._connection.opened():
            return self._connection.query(sql)

    # ---- one attempt

    def _apply(self, load: Load, state: _State | None) -> Applied:
        table = load.table
        held = [] if state is None else [s.segment.number for s in load.segments if state.holds(s.segment.number)]
        segments, changes = fresh(load, held)
        skipped = len(load.segments) - len(segments)
        if state is not None and not segments:
            return Applied(0, skipped, 0, state.columns)
        plan = self._plan(load, state)
        is_replay = any(s.segment.may_repeat for s in segments)
        known = known_ms(load)
        rows = self._spelled(
            staged(changes, plan.columns, table.keys, table.mode, known, is_replay=is_replay), plan.columns
        )
        writer = self._writer(table, self._evolve(table, plan, state))
        stage = self._stage(writer, load, plan.columns, rows) if rows.num_rows else None
        statements = writer.applied(
            stage,
            rows.num_rows,
            plan.columns,
            load,
            known,
            is_replay=is_replay,
            sweeps=any(s.segment.kind == "sweep" for s in segments),
        )
        beyond = {} if state is None else dict(state.applied_beyond)
        beyond.update((s.segment.number, s.segment.through_ms) for s in segments)
        before = (0, None) if state is None else (state.applied_through, state.through_ms)
        through, through_ms = moved_on(*before, beyond)
        statements += writer.entered(ledger_rows(load, segments, changes, self._clock.now_ms()), through, through_ms)
        self._connection.transaction(statements)
        return Applied(
            segments=len(segments),
            skipped=skipped,
            rows=changes.num_rows,
            columns=plan.columns,
            added=tuple(column.name for column in plan.added),
            widened=tuple(column.name for column in plan.widened),
        )

    def _plan(self, load: Load, state: _State | None) -> ColumnPlan:
        known, foreign = ((), ()) if state is None else (state.columns, state.foreign)
        taken = [*RESERVED, *foreign]
        plan = plan_columns(known, load.seen, load.table.keys, reserved=taken)
        plan = spelled(plan, self._dialect.spell, str.lower, taken)
        before = {(c.attribute, c.tag): c.type for c in known}
        columns = tuple(replace(c, type=self._dialect.fitting(c.type)) for c in plan.columns)
        changed = [c for c in columns if before.get((c.attribute, c.tag), c.type) != c.type]
        return ColumnPlan(columns, columns[len(known) :], tuple(changed))

    def _evolve(self, table: TableSpec, plan: ColumnPlan, state: _State | None) -> int:
        """Bring the table's columns to the plan, each step with its record. The version behind the last one."""
        known, foreign, version = ((), (), 1) if state is None else (state.columns, state.foreign, state.version)
        at_once, run = self._dialect.columns_at_once, self._connection.transaction
        if state is None:
            known, writer = plan.columns[:at_once], self._writer(table, version)
            run(writer.internal_tables())
            run(writer.created(known, table.keys))
        for place, (old, new) in enumerate(zip(known, plan.columns, strict=False)):
            if new != old:
                now = (*plan.columns[:place], *known[place:])
                run(self._writer(table, version).widened(old, new, place, now, foreign))
                version += 1
        for place in range(len(known), len(plan.columns), at_once):
            run(self._writer(table, version).added(plan.columns[place : place + at_once], place))
            version += 1
        return version

    def _stage(self, writer: Writer, load: Load, columns: Sequence[Column], rows: pa.Table) -> str:
        names = self._names(load.table)
        self._tidy(names)
        stage = names.stage(load)
        extra = rows.column_names[len(columns) + len(STAGED_FIXED) :]
        table = self._dialect.quote(self._schema, stage)
        self._connection.stage(writer.staging(stage, columns, extra), table, rows)
        return stage

    def _spelled(self, rows: pa.Table, columns: Sequence[Column]) -> pa.Table:
        """Staged rows as the server takes them."""
        spelled = [self._dialect.stage_column(v, c.type) for v, c in zip(rows.columns, columns, strict=False)]
        return pa.Table.from_arrays([*spelled, *rows.columns[len(columns) :]], names=rows.column_names)

    def _tidy(self, names: Names) -> None:
        """Drop what loads left behind that never came to their end, once. One that is under way elsewhere begins anew."""
        if names.table in self._tidied:
            return
        left = self._connection.rows(self._dialect.tables_like(self._schema, names.stages))
        for (name,) in sorted(left):
            if name.startswith(names.stages):
                self._connection.transaction([f"DROP TABLE IF EXISTS {self._dialect.quote(self._schema, name)}"])
        self._tidied.add(names.table)

    # ---- what is there

    @contextmanager
    def _reading(self, table: TableSpec) -> Iterator[None]:
        """A statement that only reads is refused where somebody has changed what it reads."""
        try:
            yield
        except StatementFailed as error:
            raise self._refused(table, f"cannot be read: {error}") from error

    def _state(self, table: TableSpec) -> _State | None:
        """The state of a table; None: never loaded. Raises UserFault where going on would mix or lose rows."""
        actual = self._actual_columns(table)
        names, literal, rows = self._names(table), self._name(table), self._connection.rows
        found: list[tuple[Any, ...]] = []
        if "_tailrace_ledger" in actual:
            found = rows(
                "SELECT format, source, mode, keys, incarnation, applied_through, through_ms, version"
                f" FROM {names.internal('tables')} WHERE name = {literal}"
            )
        columns = actual.get(self._dialect.fold(table.name))
        if not found:
            if columns is not None:
                raise self._refused(
                    table,
                    "exists, and Tailrace did not make it",
                    "Rename it, or set another `name` for this table.",
                )
            return None
        format_, source, mode, keys, incarnation, through, through_ms, version = found[0]
        if format_ != FORMAT:
            hint = "Upgrade this Tailrace to the release that wrote it."
            raise self._refused(table, f"was written in format {format_}", hint)
        strange = why_foreign(table, (source, mode, keys, incarnation))
        if strange is not None:
            raise self._refused(table, strange, "Give this table another `name` in the target.")
        if columns is None:
            raise self._refused(table, "is gone, while the ledger says that it was loaded", _FORGET)
        beyond = rows(
            f"SELECT number, through_ms FROM {names.internal('ledger')}"
            f" WHERE table_name = {literal} AND number >= {through} ORDER BY number"
        )
        if through > 0 and (not beyond or beyond[0][0] != through):
            raise self._refused(table, "has rows, while its ledger was emptied", _FORGET)
        ours = self._columns(names, literal)
        altered = self._why_altered(table, ours, columns)
        if altered:  # unless another loader came between what was read
            columns = self._actual_columns(table).get(self._dialect.fold(table.name), {})
            altered = self._why_altered(table, ours, columns)
            if rows(f"SELECT version FROM {names.internal('tables')} WHERE name = {literal}") != [(version,)]:
                raise TargetContended("Another loader changed the table while it was looked at", hint="It is repeated.")
            if altered:
                raise self._refused(table, altered)
        known = {self._dialect.fold(name) for name in (*(c.name for c in ours), *META_NAMES[table.mode])}
        foreign = tuple(name for name in columns if self._dialect.fold(name) not in known)
        return _State(version, ours, foreign, through, through_ms, {n: ms for n, ms in beyond if n > through})

    def _why_altered(self, table: TableSpec, ours: Sequence[Column], actual: Mapping[str, str]) -> str | None:
        """What somebody else has done to our columns, so that rows could not be loaded, or not exactly. None: nothing."""
        fold = self._dialect.fold
        if not {(a.name, a.tag) for a in table.keys.attributes} <= {(c.attribute, c.tag) for c in ours}:
            return "has rows, while _tailrace_columns no longer says which columns they have"
        absent = [name for name in (*(c.name for c in ours), *META_NAMES[table.mode]) if fold(name) not in actual]
        if absent:
            return f"no longer has the column {absent[0]!r:.100}"
        for column in ours:
            type_ = actual[fold(column.name)]
            if not self._dialect.holds(type_, column.type):
                made = self._dialect.column_type(column.type)
                return f"has a column {column.name!r:.100} of type {type_}, which was made as {made}"
        return None

    def _actual_columns(self, table: TableSpec) -> dict[str, dict[str, str]]:
        """Names and types of the columns of our first table and of this one, views included, as far as they exist."""
        wanted = ("_tailrace_ledger", self._dialect.fold(table.name))
        found: dict[str, dict[str, str]] = {}
        for name, column, type_ in self._connection.rows(self._dialect.columns_of(self._schema, wanted)):
            found.setdefault(name, {})[column] = type_
        return found

    def _columns(self, names: Names, literal: str) -> tuple[Column, ...]:
        source = f"FROM {names.internal('columns')} WHERE table_name = {literal}"
        rows = self._connection.rows(
            f'SELECT substring(attribute, 1, {PIECE}), "tag", name, kind, scale, int64, whole_digits, number_scale'
            f" {source} ORDER BY place"  # TAG is a reserved word in Redshift
        )
        attributes = [row[0] for row in rows]
        at = 0
        while any(len(attribute) == at + PIECE for attribute in attributes):  # a result's row has an end
            at += PIECE
            more = self._connection.rows(f"SELECT substring(attribute, {at + 1}, {PIECE}) {source} ORDER BY place")
            attributes = [a + piece for a, (piece,) in zip(attributes, more, strict=True)]
        return tuple(
            Column(
                unescaped(attribute),
                tag,
                name,
                ColumnType(kind, scale),
                None if int64 is None else NumberRange(int64, whole_digits, number_scale),
            )
            for attribute, (_, tag, name, kind, scale, int64, whole_digits, number_scale) in zip(
                attributes, rows, strict=True
            )
        )

    def _live_rows(self, table: TableSpec, state: _State, wanted: str = "") -> str:
        """All live rows, or those that fulfil a condition. Of a changelog the newest change of each key."""
        d, target = self._dialect, self._names(table).target
        meta = list(META_NAMES[table.mode])
        values = [f"{d.shown(d.quote(c.name), c.type)} AS {d.quote(c.name)}" for c in state.columns] + meta
        where = f" WHERE {wanted}" if wanted else ""
        if table.mode != "changelog":
            live = f"({LIVE[table.mode]})" if table.mode in LIVE else ""
            condition = " AND ".join(part for part in (f"({wanted})" if wanted else "", live) if part)
            return f"SELECT {', '.join(values)} FROM {target}" + (f" WHERE {condition}" if condition else "")
        keys = key_columns(state.columns, table.keys)
        key = ", ".join(telling(d, [d.quote(column.name) for column in keys], keys))
        newest = (
            f"SELECT *, row_number() OVER (PARTITION BY {key} ORDER BY _tr_pos DESC) AS _tr_newest FROM {target}{where}"
        )
        return f"SELECT {', '.join(values)} FROM ({newest}) x WHERE _tr_newest = 1 AND _tr_op <> 'd'"

    # ---- small parts

    def _names(self, table: TableSpec) -> Names:
        return Names(self._dialect, self._schema, table.name)

    def _writer(self, table: TableSpec, version: int) -> Writer:
        return Writer(self._dialect, self._names(table), table, version)

    def _name(self, table: TableSpec) -> str:
        """As our own tables hold it."""
        return self._dialect.text_literal(self._dialect.fold(table.name))

    def _refused(self, table: TableSpec, what: str, hint: str = "") -> UserFault:
        return UserFault(
            f"Table {table.name!r} in the target {what}",
            hint=hint or "Undo what was changed in the target, or load into another `name`.",
            table=table.source,
        )


_FORGET: Final = (
    "Restore it from a backup; or drop the table, delete its rows from"
    f" {', '.join(INTERNAL)}, and load it again from the landing zone."
)


def _version(state: _State | None) -> int:
    return 0 if state is None else state.version


def _live(table: TableSpec) -> str:
    return f" WHERE {LIVE[table.mode]}" if table.mode in LIVE else ""


def _schema(table: TableSpec, state: _State) -> pa.Schema:
    attributes = [pa.field(column.name, arrow_type(column.type)) for column in state.columns]
    return pa.schema([*attributes, *(pa.field(name, META_TYPES[name]) for name in META_NAMES[table.mode])])
