"""The target itself: transactions, schema evolution and the ledger around `merge`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from tailrace.clock import Budget, Clock
from tailrace.decide.schema import ColumnPlan, folded, plan_columns
from tailrace.errors import NotFound, UsageInvalid, UserFault
from tailrace.model.schema import Column
from tailrace.targets.duckdb import internal
from tailrace.targets.duckdb.dialect import NUL_SHOWN_AS, is_plain_cast, quote, sql_type, widened
from tailrace.targets.duckdb.file import WAIT_SECONDS, DatabaseFile, Perform, Session, perform_plainly
from tailrace.targets.duckdb.internal import TableState
from tailrace.targets.duckdb.merge import META_COLUMNS, ONE_THREAD, RESERVED, Merge, key_expression, key_text
from tailrace.targets.planning import BATCH_ROWS, LIVE, check_fence, fresh, known_ms, ledger_rows, spelled
from tailrace.targets.target import Applied, Ledger, LedgerRow, Limits, Load, TableSpec


class DuckDbTarget:
    """Keeps `tailrace.targets.target.Target` in one DuckDB file, which is open only while a method runs."""

    kind = "duckdb"
    limits = Limits()

    def __init__(
        self,
        name: str,
        path: Path,
        clock: Clock,
        *,
        wait_seconds: float = WAIT_SECONDS,
        perform: Perform = perform_plainly,
    ) -> None:
        self.name = name
        self.path = path
        self._clock = clock
        self._file = DatabaseFile(path, clock, wait_seconds, perform)

    def ledger(self, table: TableSpec, budget: Budget | None = None) -> Ledger:
        if not self._file.exists:
            return Ledger()
        with self._file.session(read_only=True) as session:
            state = internal.find(session, table)
            if state is None:
                return Ledger()
            rows = session.value(f"SELECT count(*) FROM {_name(table)} {_live(table)}")
            return internal.ledger(session, table, state, rows)

    def applied(self, table: TableSpec, number: int) -> LedgerRow | None:
        if not self._file.exists:
            return None
        with self._file.session(read_only=True) as session:
            state = internal.find(session, table)
            return None if state is None else internal.ledger_row(session, state, number)

    def apply(self, load: Load, budget: Budget | None = None) -> Applied:
        with self._file.session(read_only=False) as session, session.transaction():
            session.run(ONE_THREAD)
            if all(s.segment.kind == "base" for s in load.segments):
                # Hardly anything is deleted, and a vacuum would rewrite what was just written. And it is COMMIT that
                # writes the file, not the connection's end.
                session.run("SET max_vacuum_tasks = 0")
                session.run("SET checkpoint_threshold = '1MB'")
            internal.prepare(session)
            state = internal.find(session, load.table)
            if state is not None:
                check_fence(load, state.fence)
            numbers = [s.segment.number for s in load.segments]
            held = set() if state is None else internal.applied_among(session, state, numbers)
            segments, changes = fresh(load, held)
            skipped = len(load.segments) - len(segments)
            if state is not None and not segments:
                return Applied(0, skipped, 0, state.columns)
            state = internal.create(session, load.table) if state is None else state
            plan = self._evolve(session, load, state)
            merge = Merge(
                session,
                _name(load.table),
                internal.tombstones(state),
                plan.columns,
                load.table.keys,
                load.loaded_ms,
                known_ms(load),
            )
            merge.run(load.table.mode, changes, replayed=any(s.segment.may_repeat for s in segments))
            if any(s.segment.kind == "sweep" for s in segments):
                merge.sweep(load.table.mode, load.epoch)
            rows = ledger_rows(load, segments, changes, self._clock.now_ms())
            internal.enter(session, load.table, state, rows, load.fence)
        return Applied(
            segments=len(segments),
            skipped=skipped,
            rows=changes.num_rows,
            columns=plan.columns,
            added=tuple(column.name for column in plan.added),
            widened=tuple(column.name for column in plan.widened),
        )

    def rows(self, table: TableSpec) -> Iterator[pa.RecordBatch]:
        if not self._file.exists:
            return
        with self._file.session(read_only=True) as session:
            state = internal.find(session, table)
            if state is None:
                return
            yield from session.connection.execute(_live_rows(table, state)).to_arrow_reader(BATCH_ROWS)

    def find(self, table: TableSpec, keys: Sequence[Sequence[str | bytes]]) -> pa.Table:
        if not self._file.exists:
            return pa.table({})
        with self._file.session(read_only=True) as session:
            state = internal.find(session, table)
            if state is None:
                return pa.table({})
            session.connection.register("wanted", pa.table({"key": [key_text(key) for key in keys]}))
            return session.connection.execute(_live_rows(table, state, "temp.wanted")).to_arrow_table(BATCH_ROWS)

    def query(self, sql: str) -> pa.Table:
        """Run one read-only statement. Raises UsageInvalid when DuckDB refuses it, NotFound where nothing was loaded yet."""
        if not self._file.exists:
            raise NotFound(
                "The DuckDB file does not exist yet",
                hint="Load something first: tailrace run.",
                path=self.path,
            )
        with self._file.session(read_only=True, sealed=True) as session:
            try:
                if len(session.connection.extract_statements(sql)) != 1:
                    raise UsageInvalid("Give one SQL statement", hint='tailrace query "SELECT count(*) FROM orders"')
                return session.answer(sql)
            except duckdb.Error as error:
                raise UsageInvalid(
                    f"The query failed: {error}",
                    hint="Correct the SQL; it may only read, and only tables of this file.",
                ) from error

    def _evolve(self, session: Session, load: Load, state: TableState) -> ColumnPlan:
        """Bring the table's columns to what the load needs, and record the mapping."""
        actual = internal.actual_columns(session, load.table.name)
        known = {column.name for column in state.columns}
        foreign = [name for name in actual if name not in known]
        plan = plan_columns(state.columns, load.seen, load.table.keys, reserved=[*RESERVED, *foreign])
        plan = spelled(plan, _without_nul, folded, [*RESERVED, *foreign])
        if not actual:
            _create(session, load.table, state, plan.columns)
        else:
            _alter(session, load.table, state, plan)
        if plan.columns != state.columns:
            internal.save_columns(session, state.id, plan.columns)
        return plan


def _without_nul(name: str) -> str:
    return name.replace("\0", NUL_SHOWN_AS)


def _live(table: TableSpec) -> str:
    return f"WHERE {LIVE[table.mode]}" if table.mode in LIVE else ""


def _name(table: TableSpec) -> str:
    return quote("main", table.name)


def _create(session: Session, table: TableSpec, state: TableState, columns: Sequence[Column]) -> None:
    """The table, without a primary key: DuckDB checks one eagerly within a transaction and pays for it on every row."""
    session.run(f"CREATE TABLE {_name(table)} ({_definition(table, columns)})")
    moment = ", moment TIMESTAMP" if table.mode == "history" else ""
    session.run(f"CREATE TABLE {internal.tombstones(state)} (key VARCHAR, pos VARCHAR{moment})")


def _definition(table: TableSpec, columns: Sequence[Column]) -> str:
    attributes = [f"{quote(column.name)} {sql_type(column.type)}" for column in columns]
    return ", ".join(attributes + [f"{name} {type_}" for name, type_ in META_COLUMNS[table.mode].items()])


def _alter(session: Session, table: TableSpec, state: TableState, plan: ColumnPlan) -> None:
    before = {(c.attribute, c.tag): c for c in state.columns}
    rebuilt = {}
    if plan.widened:
        _check_indexes(session, table)
    for column in plan.widened:
        old = before[column.attribute, column.tag]
        if is_plain_cast(old.type, column.type):
            session.run(f"ALTER TABLE {_name(table)} ALTER {quote(column.name)} SET DATA TYPE {sql_type(column.type)}")
        else:
            rebuilt[column.name] = widened(quote(column.name), old.type, column.type)
    if rebuilt:
        _rebuild(session, table, rebuilt)
    for column in plan.added:
        session.run(f"ALTER TABLE {_name(table)} ADD COLUMN {quote(column.name)} {sql_type(column.type)}")


def _check_indexes(session: Session, table: TableSpec) -> None:
    """DuckDB changes no column's type of a table that has an index, and an index goes with the table that is rebuilt."""
    found = session.run(
        "SELECT index_name FROM duckdb_indexes() WHERE database_name = current_database() AND schema_name = 'main'"
        " AND lower(table_name) = lower(?) ORDER BY 1",
        [table.name],
    )
    if found:
        names = ", ".join(quote(name) for (name,) in found)
        raise UserFault(
            f"A number needs a wider column, and DuckDB widens none while the table has an index: {names}",
            hint=f"DROP INDEX {quote(found[0][0])}; make it again once the load is through.",
            table=table.source,
        )


def _rebuild(session: Session, table: TableSpec, expressions: dict[str, str]) -> None:
    """Copy the table with new expressions for some columns.

    ``ALTER … USING`` with a function would do it in place, but a database that dies before its next checkpoint cannot
    replay such a statement from its log (DuckDB 1.5 and 2.0), and then it does not open any more.
    """
    values = [
        f"{expressions.get(name, quote(name))} AS {quote(name)}"
        for name in internal.actual_columns(session, table.name)
    ]
    copy = quote("main", f"_tr_rebuilt_{table.name}")
    session.run(f"CREATE TABLE {copy} AS SELECT {', '.join(values)} FROM {_name(table)}")
    session.run(f"DROP TABLE {_name(table)}")
    session.run(f"ALTER TABLE {copy} RENAME TO {quote(table.name)}")


def _live_rows(table: TableSpec, state: TableState, wanted: str | None = None) -> str:
    """All live rows, or those whose key `wanted` holds; JSON as plain text. Of a changelog the newest change of each key."""
    json = {column.name for column in state.columns if column.type.kind == "json"}
    names = [column.name for column in state.columns] + list(META_COLUMNS[table.mode])
    values = ", ".join(f"CAST({quote(n)} AS VARCHAR) AS {quote(n)}" if n in json else quote(n) for n in names)
    keys = state.columns[: len(table.keys.attributes)]
    rows = f"SELECT * FROM {_name(table)}"
    if wanted is not None:
        key = key_expression(keys, [quote(column.name) for column in keys])
        rows += f" WHERE {key} IN (SELECT key FROM {wanted})"
    if table.mode == "changelog":
        key = ", ".join(quote(column.name) for column in keys)
        newest = f"{rows} QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY _tr_pos DESC) = 1"
        return f"SELECT {values} FROM ({newest}) WHERE _tr_op <> 'd'"
    return f"SELECT {values} FROM ({rows}) {_live(table)}"
