"""A SQL server as a target: reads its state, writes statements, has them carried out. Repeats what a conflict undid."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from tailrace.clock import Budget, Clock
from tailrace.codec import arrow_type
from tailrace.decide.schema import ColumnPlan, folded, plan_columns
from tailrace.errors import OutOfTime, TargetContended, UserFault
from tailrace.model.schema import Column, ColumnType, NumberRange
from tailrace.targets.planning import (
    LIVE,
    META_NAMES,
    META_TYPES,
    check_fence,
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
from tailrace.targets.warehouse.statements import FORMAT, INTERNAL, ROWS_MISSING, Names, Writer, telling, unescaped

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
    fence: int
    columns: tuple[Column, ...]
    foreign: tuple[str, ...]
    applied_through: int
    through_ms: int | None
    applied_beyond: dict[int, int | None]  # number to through_ms
    stages: tuple[str, ...]  # its staging tables, filled and committed

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

    # ---- the port

    def ledger(self, table: TableSpec, budget: Budget | None = None) -> Ledger:
        with self._connection.opened(budget), self._reading(table):
            going_on = self._connection.under_way(self._names(table).work)  # first: what ends meanwhile is in the state
            state = self._state(table)
            if state is None:
                return Ledger()
            recent = self._ledger_query(table, f"ORDER BY applied_ms DESC, number DESC LIMIT {RECENT_MAX}")
            count = f"SELECT count(*) FROM {self._names(table).target}{_live(table)}"
            newest, [(live,)] = self._connection.results([recent, count])
            return Ledger(
                applied_through=state.applied_through,
                applied_beyond=frozenset(state.applied_beyond),
                columns=state.columns,
                rows=live,
                through_ms=state.through_ms,
                recent=tuple(LedgerRow(*row) for row in newest),
                begun_through=self._begun_through(self._names(table), state, going_on),
                fence=state.fence,
            )

    def _begun_through(self, names: Names, state: _State, going_on: Sequence[str]) -> int:
        """Where the load ends that somebody began whose time was up: its rows are staged, or being staged or applied."""
        found = [*state.stages, *going_on]
        ends = [end for end in map(names.end_of, found) if end is not None and not state.holds(end)]
        return min(ends, default=0)

    def applied(self, table: TableSpec, number: int) -> LedgerRow | None:
        with self._connection.opened(), self._reading(table):
            if self._state(table) is None:
                return None
            found = self._connection.rows(self._ledger_query(table, f"AND number = {number}"))
            return next((LedgerRow(*row) for row in found), None)

    def apply(self, load: Load, budget: Budget | None = None) -> Applied:
        attempt, refusal = 1, ""
        budget = budget or Budget(self._clock)
        while True:
            with self._connection.opened(budget):
                before: _State | None = None
                try:
                    before = self._state(load.table)
                    return self._apply(load, before, refusal)
                except TargetContended as error:
                    if attempt == ATTEMPTS_MAX:
                        raise
                    refusal = ""
                    log.info("%s: %s; again", self.name, error)
                except StatementFailed as error:
                    refusal = str(error)
                    with self._reading(load.table):
                        is_as_before = _version(self._state(load.table)) == _version(before)
                    # Another loader of the same segments may also have applied them, and dropped what was staged.
                    if attempt == ATTEMPTS_MAX or (is_as_before and attempt >= REFUSALS_MAX):
                        refused = self._refused(load.table, f"cannot be loaded: {error}", error.hint)
                        refused.facts["statement"] = error.at + 1
                        raise refused from error
                    log.info("%s: %s; again", self.name, error)
            if budget.wait(PAUSE_SECONDS * 2**attempt * self._jitter.random()):
                raise OutOfTime("Another transaction was in the way", hint="Nothing of the load was applied.")
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
            columns, schema = key_columns(state.columns, table.keys), _schema(table, state)
            held = [key for key in keys if all(map(self._dialect.can_hold, columns, key))]
            found = [
                batch
                for wanted in self._dialect.among(columns, held)
                for batch in self._connection.batches(self._live_rows(table, state, wanted), schema)
            ]
            return pa.Table.from_batches(found, schema=schema)

    def query(self, sql: str) -> pa.Table:
        with self._connection.opened():
            return self._connection.query(sql)

    # ---- one attempt

    def _apply(self, load: Load, state: _State | None, refusal: str) -> Applied:
        """`refusal`: what was said to a statement of the attempt before this one; empty: nothing."""
        table = load.table
        if state is not None:
            check_fence(load, state.fence)  # and the guard sees to it that the state is still this one
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
        plan = self._sized(plan, rows, table, state)
        writer = self._writer(table, self._evolve(table, plan, state, is_refused="too long" in refusal))
        stage = None
        if rows.num_rows:
            how = (load.epoch, table.mode, is_replay, known, [(c.attribute, c.tag, c.type) for c in plan.columns])
            stage = self._names(table).stage(segments, *how)
            self._stage(writer, state, stage, plan.columns, rows, is_spoilt=ROWS_MISSING in refusal)
        statements = writer.applied(
            stage,
            rows.num_rows,
            pc.min(rows["pos"]).as_py(),
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
        entries = ledger_rows(load, segments, changes, self._clock.now_ms())
        statements += writer.entered(entries, through, through_ms, load.fence)
        self._connection.transaction(
            statements, "" if stage is None else self._names(table).applying(stage, writer.version)
        )
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
        plan = spelled(plan, self._dialect.spell, folded, taken)
        count = len(plan.columns) + len(META_NAMES[load.table.mode]) + len(foreign)
        if count > self._dialect.columns_max:
            what = f"would have {count} columns, and the server takes {self._dialect.columns_max}"
            raise self._refused(load.table, what, self._dialect.for_wide_items)
        before = {(c.attribute, c.tag): c.type for c in known}
        columns = tuple(replace(c, type=self._dialect.fitting(c.type)) for c in plan.columns)
        changed = [c for c in columns if before.get((c.attribute, c.tag), c.type) != c.type]
        return ColumnPlan(columns, columns[len(known) :], tuple(changed))

    def _sized(self, plan: ColumnPlan, rows: pa.Table, table: TableSpec, state: _State | None) -> ColumnPlan:
        """The plan with room for the texts in these rows; what has room already keeps it."""
        known = () if state is None else state.columns
        keys = {column.name: part for part, column in enumerate(key_columns(plan.columns, table.keys))}
        columns = []
        for place, (column, values) in enumerate(zip(plan.columns, rows.columns, strict=False)):
            longest = (pc.max(pc.binary_length(values)).as_py() or 0) if column.type.kind == "string" else 0
            type_ = self._dialect.roomy(column, longest, keys.get(column.name))
            has_room = (
                place < len(known)
                and known[place].type.kind == "string"
                and not (0 < known[place].type.scale < type_.scale)
            )
            columns.append(column if has_room else replace(column, type=type_))
        return replace(plan, columns=tuple(columns), added=tuple(columns[len(known) :]))

    def _evolve(self, table: TableSpec, plan: ColumnPlan, state: _State | None, *, is_refused: bool) -> int:
        """Bring the table's columns to the plan, each step with its record. The version behind the last one.

        `is_refused`: where a text does not fit, somebody has taken its column's room away, and is to be contradicted.
        """
        known, foreign, version = ((), (), 1) if state is None else (state.columns, state.foreign, state.version)
        at_once, run = self._dialect.columns_at_once, self._connection.transaction
        if state is None:
            wanted = {table.layout.dist_key, *(table.layout.sort_key or ())}
            places = [n for n, c in enumerate(plan.columns, 1) if wanted & {c.attribute, c.name}]
            known, writer = plan.columns[: max([at_once, *places])], self._writer(table, version)
            run(writer.internal_tables())
            run(writer.created(known, table.keys))
        for place, (old, new) in enumerate(zip(known, plan.columns, strict=False)):
            is_grown = (new.type != old.type or is_refused) and self._grown(table, old, new)
            if new != old:
                now = (*plan.columns[:place], *known[place:])
                run(self._writer(table, version).widened(old, new, place, now, foreign, is_grown=is_grown))
                version += 1
        for place in range(len(known), len(plan.columns), at_once):
            run(self._writer(table, version).added(plan.columns[place : place + at_once], place))
            version += 1
        return version

    def _grown(self, table: TableSpec, old: Column, new: Column) -> bool:
        """Make room in a text column, if the server can. Before it is on record: so it has at least the room that we know of."""
        statement = self._dialect.grow(self._names(table).target, new.name, new.type)
        if statement is None or old.type.kind != "string":
            return False
        try:
            self._connection.alone(statement)
        except StatementFailed as error:
            log.info("%s: %s; the table is made anew", self.name, error)
            return False
        return True

    def _stage(
        self,
        writer: Writer,
        state: _State | None,
        stage: str,
        columns: Sequence[Column],
        rows: pa.Table,
        *,
        is_spoilt: bool,
    ) -> None:
        """Fill the staging table, unless it is there. Drop those whose segments were applied some other way meanwhile.

        `is_spoilt`: what is there was refused, such as the rows of a file that was changed on its way. Whatever else was
        refused, it may be another loader's, who is at work with it.
        """
        names, table = writer.names, self._dialect.quote(self._schema, stage)
        there = set() if state is None else set(state.stages)
        for name in sorted(there):
            end = names.end_of(name)
            if end is None or (state is not None and state.holds(end)) or (name == stage and is_spoilt):
                old = self._dialect.quote(self._schema, name)
                self._connection.transaction([f"DROP TABLE IF EXISTS {old}"])
                self._connection.staged_before(old)
                there.discard(name)
        if stage in there:
            self._connection.staged_before(table)
            return
        extra = rows.column_names[len(columns) + len(STAGED_FIXED) :]
        try:
            self._connection.stage(writer.staging(stage, columns, extra), table, rows, names.staging(stage))
        except StatementFailed:
            after = self._connection.rows(self._dialect.tables_like(self._schema, names.stages))
            if (stage,) not in after:  # else another loader of the same segments was quicker
                raise

    def _spelled(self, rows: pa.Table, columns: Sequence[Column]) -> pa.Table:
        """Staged rows as the server takes them."""
        spelled = [self._dialect.stage_column(v, c.type) for v, c in zip(rows.columns, columns, strict=False)]
        return pa.Table.from_arrays([*spelled, *rows.columns[len(columns) :]], names=rows.column_names)

    # ---- what is there

    @contextmanager
    def _reading(self, table: TableSpec) -> Iterator[None]:
        """A statement that only reads is refused where somebody has changed what it reads."""
        try:
            yield
        except StatementFailed as error:
            raise self._refused(table, f"cannot be read: {error}", error.hint) from error

    def _state(self, table: TableSpec) -> _State | None:
        """The state of a table; None: never loaded. Raises UserFault where going on would mix or lose rows."""
        names, literal = self._names(table), self._name(table)
        tables, ledger = names.internal("tables"), names.internal("ledger")
        through = f"(SELECT applied_through FROM {tables} WHERE name = {literal})"
        wanted = self._dialect.columns_of(self._schema, ("_tailrace_ledger", self._dialect.fold(table.name)))
        statements = [
            wanted,
            (
                "SELECT format, source, mode, keys, incarnation, applied_through, through_ms, version, fence"
                f" FROM {tables} WHERE name = {literal}"
            ),
            f"SELECT number, through_ms FROM {ledger} WHERE table_name = {literal} AND number >= {through} ORDER BY number",
            (
                f'SELECT substring(attribute, 1, {PIECE}), "tag", name, kind, scale, int64, whole_digits, number_scale'
                f" FROM {names.internal('columns')} WHERE table_name = {literal} ORDER BY place"  # TAG is a reserved word
            ),
            self._dialect.tables_like(self._schema, names.stages),
        ]
        try:
            actual, found, beyond, recorded, stages = self._connection.results(statements)
        except StatementFailed:
            actual, found = self._connection.rows(wanted), []
            of_ledger = {column for name, column, _ in actual if name == "_tailrace_ledger"}
            if of_ledger and "fence" not in of_ledger:
                hint = f"Drop it and {', '.join(INTERNAL)}, and load it again from the landing zone."
                raise self._refused(table, "was written in format 1, before there was a release", hint) from None
            if of_ledger:
                raise
        columns = self._columns_in(table, actual)
        if not found:
            if columns:
                raise self._refused(
                    table,
                    "exists, and Tailrace did not make it",
                    "Rename it, or set another `name` for this table.",
                )
            return None
        format_, source, mode, keys, incarnation, applied, through_ms, version, fence = found[0]
        if format_ != FORMAT:
            hint = "Upgrade this Tailrace to the release that wrote it."
            raise self._refused(table, f"was written in format {format_}", hint)
        strange = why_foreign(table, (source, mode, keys, incarnation))
        if strange is not None:
            raise self._refused(table, strange, "Give this table another `name` in the target.")
        if not columns:  # unless another loader has made it since we looked
            columns = self._columns_in(table, self._connection.rows(wanted))
        if not columns:
            raise self._refused(table, "is gone, while the ledger says that it was loaded", _FORGET)
        if applied > 0 and (not beyond or beyond[0][0] != applied):
            raise self._refused(table, "has rows, while its ledger was emptied", _FORGET)
        ours = self._columns(names, literal, recorded)
        altered = self._why_altered(table, ours, columns)
        if altered:  # unless another loader came between what was read
            rows = self._connection.rows
            columns = self._columns_in(table, rows(wanted))
            altered = self._why_altered(table, ours, columns)
            if rows(f"SELECT version FROM {tables} WHERE name = {literal}") != [(version,)]:
                raise TargetContended("Another loader changed the table while it was looked at", hint="It is repeated.")
            if altered:
                raise self._refused(table, altered)
        known = {self._dialect.fold(name) for name in (*(c.name for c in ours), *META_NAMES[table.mode])}
        return _State(
            version,
            fence,
            ours,
            tuple(name for name in columns if self._dialect.fold(name) not in known),
            applied,
            through_ms,
            {n: ms for n, ms in beyond if n > applied},
            tuple(sorted(name for (name,) in stages if name.startswith(names.stages))),
        )

    def _ledger_query(self, table: TableSpec, which: str) -> str:
        columns = ", ".join(
            name for name in INTERNAL["_tailrace_ledger"] if name != "table_name"
        )  # as LedgerRow has them
        return f"SELECT {columns} FROM {self._names(table).internal('ledger')} WHERE table_name = {self._name(table)} {which}"

    def _columns_in(self, table: TableSpec, found: Sequence[tuple[Any, ...]]) -> dict[str, str]:
        """Names and types of the table's columns, a view's too; empty: there is no such table."""
        return {column: type_ for name, column, type_ in found if name == self._dialect.fold(table.name)}

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

    def _columns(self, names: Names, literal: str, rows: Sequence[tuple[Any, ...]]) -> tuple[Column, ...]:
        """What our table of columns says. `rows` hold the first piece of each attribute's name."""
        source = f"FROM {names.internal('columns')} WHERE table_name = {literal}"
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
