"""Schema ``_tailrace``: what a target remembers of its tables, written in the transaction that makes it true."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import astuple, dataclass
from typing import Any, Final

import duckdb

from tailrace.errors import UserFault
from tailrace.model.schema import Column, ColumnType, NumberRange
from tailrace.targets.duckdb.dialect import quote
from tailrace.targets.duckdb.file import Session
from tailrace.targets.planning import identity, moved_on, why_foreign
from tailrace.targets.target import Ledger, LedgerRow, TableSpec

FORMAT: Final = 2
RECENT_MAX: Final = 100  # ledger rows that `Ledger.recent` carries

_TABLES: Final = {
    "tables": "id INTEGER, name VARCHAR, format INTEGER, source VARCHAR, mode VARCHAR, keys VARCHAR, incarnation VARCHAR,"
    " applied_through BIGINT, through_ms BIGINT, fence BIGINT",
    "columns": "table_id INTEGER, place INTEGER, attribute VARCHAR, tag VARCHAR, name VARCHAR, kind VARCHAR,"
    " scale INTEGER, int64 BOOLEAN, whole_digits INTEGER, number_scale INTEGER",
    "ledger": "table_id INTEGER, number BIGINT, segment VARCHAR, epoch INTEGER, sha256 VARCHAR, row_count BIGINT,"
    " quarantined BIGINT, bytes BIGINT, applied_ms BIGINT, through_ms BIGINT, lag_ms_p50 BIGINT, lag_ms_p99 BIGINT,"
    " fence BIGINT",
}


@dataclass(frozen=True, slots=True)
class TableState:
    """One line of ``_tailrace.tables`` with its columns: what the last load left behind."""

    id: int
    columns: tuple[Column, ...]
    applied_through: int
    through_ms: int | None
    fence: int


def prepare(session: Session) -> None:
    """Create the internal tables where the file has none."""
    if not has_schema(session):
        session.run("CREATE SCHEMA _tailrace")
        for name, columns in _TABLES.items():
            session.run(f"CREATE TABLE _tailrace.{name} ({columns})")


def has_schema(session: Session) -> bool:
    return bool(_described(session, "_tailrace.tables"))


def find(session: Session, table: TableSpec) -> TableState | None:
    """The state of a table; None: never loaded. Raises UserFault where going on would mix or lose rows."""
    found, ours = [], _described(session, "_tailrace.tables")
    if ours and "fence" not in ours:
        hint = "Load into a new file: everything is in the landing zone."
        raise _refused(table, "was written in format 1, before there was a release", hint)
    if ours:
        found = session.run(
            "SELECT id, format, source, mode, keys, incarnation, applied_through, through_ms, fence"
            " FROM _tailrace.tables WHERE lower(name) = lower(?)",
            [table.name],
        )
    exists = bool(actual_columns(session, table.name))
    if not found:
        if exists:
            raise _refused(
                table,
                "exists, and Tailrace did not make it",
                "Rename it, or set another `name` for this table.",
            )
        return None
    id_, format_, source, mode, keys, incarnation, applied_through, through_ms, fence = found[0]
    if format_ != FORMAT:
        raise _refused(table, f"was written in format {format_}", "Upgrade this Tailrace to the release that wrote it.")
    foreign = why_foreign(table, (source, mode, keys, incarnation))
    if foreign is not None:
        hint = "Give this table another `name` in the target, or start with a new file."
        raise _refused(table, foreign, hint)
    if not exists:
        raise _refused(table, "is gone, while the ledger says that it was loaded", _FORGET.format(id=id_))
    _check_ledger(session, table, id_, applied_through)
    return TableState(id_, _columns(session, id_), applied_through, through_ms, fence)


def _check_ledger(session: Session, table: TableSpec, id_: int, applied_through: int) -> None:
    """An emptied or shortened ledger would make us load rows a second time."""
    held = session.value(
        "SELECT count(*) FROM _tailrace.ledger WHERE table_id = ? AND number = ?", [id_, applied_through]
    )
    if applied_through > 0 and not held:
        raise _refused(table, "has rows, while its ledger was emptied", _FORGET.format(id=id_))


_FORGET: Final = (
    "Restore the file from a backup; or drop the table, delete the rows with table_id (in tables: id) {id} from"
    " _tailrace.tables, _tailrace.columns and _tailrace.ledger, and load it again from the landing zone."
)


def _refused(table: TableSpec, what: str, hint: str) -> UserFault:
    return UserFault(f"Table {table.name!r} in the target {what}", hint=hint, table=table.source)


def create(session: Session, table: TableSpec) -> TableState:
    """Enter a new table."""
    id_ = session.value("SELECT coalesce(max(id), 0) + 1 FROM _tailrace.tables")
    session.run(
        "INSERT INTO _tailrace.tables VALUES (?, ?, ?, ?, ?, ?, ?, 0, NULL, 0)",
        [id_, table.name, FORMAT, *identity(table)],
    )
    return TableState(id_, (), 0, None, 0)


def actual_columns(session: Session, name: str) -> list[str]:
    """The column names that a table has now; empty where there is none. A view counts: we must not write over it."""
    return _described(session, quote("main", name))


def _described(session: Session, table: str) -> list[str]:
    """Column names of a quoted table; DuckDB's catalogue functions would take milliseconds to say that it is not there."""
    try:
        return [row[0] for row in session.run(f"DESCRIBE {table}")]
    except duckdb.CatalogException:
        return []


def _columns(session: Session, id_: int) -> tuple[Column, ...]:
    rows = session.run(
        "SELECT attribute, tag, name, kind, scale, int64, whole_digits, number_scale FROM _tailrace.columns"
        " WHERE table_id = ? ORDER BY place",
        [id_],
    )
    return tuple(
        Column(
            attribute,
            tag,
            name,
            ColumnType(kind, scale),
            None if int64 is None else NumberRange(int64, whole_digits, number_scale),
        )
        for attribute, tag, name, kind, scale, int64, whole_digits, number_scale in rows
    )


def save_columns(session: Session, id_: int, columns: Sequence[Column]) -> None:
    """Replace the recorded mapping."""
    session.run("DELETE FROM _tailrace.columns WHERE table_id = ?", [id_])
    rows = []
    for place, c in enumerate(columns):
        numbers = (
            (None, None, None) if c.numbers is None else (c.numbers.int64, c.numbers.whole_digits, c.numbers.scale)
        )
        rows.append((id_, place, c.attribute, c.tag, c.name, c.type.kind, c.type.scale, *numbers))
    session.insert("_tailrace.columns", rows)


def applied_among(session: Session, state: TableState, numbers: Collection[int]) -> set[int]:
    """Which of these segments the ledger holds."""
    rows = session.run(
        "SELECT number FROM _tailrace.ledger WHERE table_id = ? AND list_contains(?, number)",
        [state.id, list(numbers)],
    )
    return {row[0] for row in rows}


def enter(session: Session, table: TableSpec, state: TableState, rows: Sequence[LedgerRow], fence: int) -> None:
    """Write ledger rows and the fence, and move `applied_through` over every segment that is now without a hole before it."""
    session.insert("_tailrace.ledger", [(state.id, *astuple(row)) for row in rows])
    beyond = dict(_beyond(session, state.id, state.applied_through))
    through, through_ms = moved_on(state.applied_through, state.through_ms, beyond)
    session.run(
        "UPDATE _tailrace.tables SET applied_through = ?, through_ms = ?, incarnation = ?, fence = ? WHERE id = ?",
        [through, through_ms, table.incarnation, fence, state.id],
    )


_ROW: Final = (
    "SELECT number, segment, epoch, sha256, row_count, quarantined, bytes, applied_ms, through_ms, lag_ms_p50, lag_ms_p99,"
    " fence FROM _tailrace.ledger WHERE table_id = ?"
)


def ledger_row(session: Session, state: TableState, number: int) -> LedgerRow | None:
    """What the ledger says of one segment."""
    rows = session.run(f"{_ROW} AND number = ?", [state.id, number])
    return LedgerRow(*rows[0]) if rows else None


def ledger(session: Session, table: TableSpec, state: TableState, rows: int) -> Ledger:
    """The ledger as the port shows it."""
    recent = session.run(f"{_ROW} ORDER BY applied_ms DESC, number DESC LIMIT ?", [state.id, RECENT_MAX])
    return Ledger(
        applied_through=state.applied_through,
        applied_beyond=frozenset(n for n, _ in _beyond(session, state.id, state.applied_through)),
        columns=state.columns,
        rows=rows,
        through_ms=state.through_ms,
        recent=tuple(LedgerRow(*row) for row in recent),
        fence=state.fence,
    )


def _beyond(session: Session, id_: int, through: int) -> list[tuple[int, int | None]]:
    rows: list[Any] = session.run(
        "SELECT number, through_ms FROM _tailrace.ledger WHERE table_id = ? AND number > ? ORDER BY number",
        [id_, through],
    )
    return rows


def tombstones(state: TableState) -> str:
    """The table of deleted keys with the order key of each delete."""
    return quote("_tailrace", f"tombstones_{state.id}")
