"""A target in memory, with transactions and a ledger: what a warehouse promises, in plain dictionaries.

It keeps the newest change of each key (as ``current``) and every change (as ``changelog``) at once, in one transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import pyarrow as pa

from tailrace.clock import Budget
from tailrace.codec import META_FIELDS, decoded_columns
from tailrace.decide.schema import plan_columns
from tailrace.errors import OrderConflict, TargetBusy, UsageInvalid
from tailrace.model.keys import KeySchema
from tailrace.model.positions import CLASS_BASE, order_key, order_prefix
from tailrace.model.schema import Column, Tag
from tailrace.targets.planning import check_fence
from tailrace.targets.target import Applied, Ledger, LedgerRow, Limits, Load, LoadedSegment, TableSpec
from tailrace.testing.faults import Effects

Values = dict[tuple[str, Tag], Any]
NOTHING: Final[Values] = {}


@dataclass(frozen=True, slots=True)
class Row:
    """One change as the target holds it. `values` by (attribute, type), NULLs left out; of a delete the key only."""

    key: tuple[Any, ...]
    position: str
    op: str
    written_us: int | None
    expired: bool
    values: Values


@dataclass(slots=True)
class Contents:
    """All that a commit makes visible at once. Deleted keys stay in `rows`, as tombstones."""

    rows: dict[tuple[Any, ...], Row] = field(default_factory=dict)
    history: list[Row] = field(default_factory=list)
    ledger: dict[int, LedgerRow] = field(default_factory=dict)
    columns: tuple[Column, ...] = ()
    fence: int = 0


class Watcher(Protocol):
    """Who is told of each commit, when it has happened."""

    def committed(self, load: Load, fresh: Sequence[LoadedSegment], rows: Sequence[Row]) -> None: ...


class ModelTarget:
    """The server's side: one transaction at a time."""

    def __init__(self, watcher: Watcher) -> None:
        self.contents = Contents()
        self._watcher = watcher
        self._owner: object | None = None

    def ledger(self, table: TableSpec) -> Ledger:
        """What is applied, as committed."""
        entries = self.contents.ledger
        through = 0
        while through + 1 in entries:
            through += 1
        return Ledger(
            applied_through=through,
            applied_beyond=frozenset(number for number in entries if number > through),
            columns=self.contents.columns,
            rows=sum(row.op != "d" for row in self.contents.rows.values()),
            through_ms=entries[through].through_ms if through else None,
            fence=self.contents.fence,
        )

    def lock(self, owner: object) -> None:
        """Begin a transaction. Raises TargetBusy while another one is open."""
        if self._owner is not None:
            raise TargetBusy("another loader is at work", hint="It is a model.")
        self._owner = owner

    def held(self, numbers: Collection[int]) -> set[int]:
        """Which of these segments are applied, as committed."""
        return {number for number in numbers if number in self.contents.ledger}

    def commit(
        self, load: Load, fresh: Sequence[LoadedSegment], rows: Sequence[Row], columns: tuple[Column, ...]
    ) -> None:
        """Make rows and ledger rows visible together."""
        merge(self.contents, rows, is_replay=any(s.segment.may_repeat for s in fresh))
        if any(s.segment.kind == "sweep" for s in fresh):
            sweep(self.contents, load.epoch, load.table.keys)
        self.contents.columns, self.contents.fence = columns, load.fence
        for s in fresh:
            self.contents.ledger[s.segment.number] = ledger_row(load, s)
        self._watcher.committed(load, fresh, rows)

    def unlock(self, owner: object) -> None:
        """The transaction is over, one way or the other; also when its client has died."""
        if self._owner is owner:
            self._owner = None


class TargetClient:
    """Keeps `tailrace.targets.target.Target`: one process's connection. Each statement is an effect."""

    name = "model"
    kind = "model"
    limits = Limits()

    def __init__(self, target: ModelTarget, effects: Effects) -> None:
        self._target = target
        self._effects = effects

    def ledger(self, table: TableSpec, budget: Budget | None = None) -> Ledger:
        ledger: Ledger = self._effects.read("target ledger", lambda: self._target.ledger(table))
        return ledger

    def applied(self, table: TableSpec, number: int) -> LedgerRow | None:
        return self._target.contents.ledger.get(number)

    def apply(self, load: Load, budget: Budget | None = None) -> Applied:
        owner = object()
        try:
            return self._apply(load, self._begin(owner, [s.segment.number for s in load.segments]))
        finally:
            self._target.unlock(owner)

    def _begin(self, owner: object, numbers: Sequence[int]) -> set[int]:
        """Lock, then read which of these segments are applied."""
        self._effects.read("target lock", lambda: self._target.lock(owner))
        held: set[int] = self._effects.read("target ledger under lock", lambda: self._target.held(numbers))
        return held

    def _apply(self, load: Load, held: Collection[int]) -> Applied:
        """Inside the lock."""
        check_fence(load, self._target.contents.fence)
        fresh, rows = fresh_rows(load, held)
        existing = self._target.contents.columns
        if not fresh:
            return Applied(0, len(load.segments), 0, existing)
        plan = plan_columns(existing, load.seen, load.table.keys, reserved=META_FIELDS)
        self._effects.write("target commit", lambda: self._target.commit(load, fresh, rows, plan.columns))
        return Applied(
            segments=len(fresh),
            skipped=len(load.segments) - len(fresh),
            rows=len(rows),
            columns=plan.columns,
            added=tuple(column.name for column in plan.added),
            widened=tuple(column.name for column in plan.widened),
        )

    def rows(self, table: TableSpec) -> Iterator[pa.RecordBatch]:
        raise UsageInvalid("a model target is looked at as it is", hint="See `ModelTarget.contents`.")

    def find(self, table: TableSpec, keys: Sequence[Sequence[str | bytes]]) -> pa.Table:
        raise UsageInvalid("a model target is looked at as it is", hint="See `ModelTarget.contents`.")

    def query(self, sql: str) -> Any:
        raise UsageInvalid("a model target knows no SQL", hint="See `ModelTarget.contents`.")


def fresh_rows(load: Load, held: Collection[int]) -> tuple[list[LoadedSegment], list[Row]]:
    """The segments that are not applied yet, each once, and their changes."""
    rows = rows_of(load)
    fresh: list[LoadedSegment] = []
    pieces: list[Row] = []
    taken, start = set(held), 0
    for s in load.segments:
        if s.segment.number not in taken:
            taken.add(s.segment.number)
            fresh.append(s)
            pieces += rows[start : start + s.rows]
        start += s.rows
    return fresh, pieces


def rows_of(load: Load) -> list[Row]:
    """Decoded changes as rows, in their order."""
    changes = load.changes
    ops, times, positions, expired = (changes.column(n).to_pylist() for n in range(len(META_FIELDS)))
    values: list[Values] = [{} for _ in ops]
    for name, column in zip(decoded_columns(changes.schema), changes.columns[len(META_FIELDS) :], strict=True):
        for row, value in zip(values, column.to_pylist(), strict=True):
            if value is not None:
                row[name] = value
    keys = [(a.name, a.tag) for a in load.table.keys.attributes]
    return [
        Row(tuple(row[name] for name in keys), position, op, us, bool(is_expired), row)
        for op, us, position, is_expired, row in zip(ops, times, positions, expired, values, strict=True)
    ]


def merge(contents: Contents, rows: Sequence[Row], *, is_replay: bool) -> None:
    """The newest change of a key wins by its position and by nothing else. Raises OrderConflict."""
    for row in rows:
        standing = contents.rows.get(row.key)
        if standing is None or row.position > standing.position:
            contents.rows[row.key] = row
        elif row.position == standing.position and row.values != standing.values:
            raise OrderConflict("two changes at one position", hint="It is a model.", key=row.key)
    if is_replay:
        there = {(row.key, row.position) for row in contents.history}
        rows = [row for row in rows if (row.key, row.position) not in there]
    contents.history += rows


def sweep(contents: Contents, epoch: int, keys: KeySchema) -> None:
    """What older epochs left goes, tombstones included; of what lived the history tells a delete."""
    first, position = order_prefix(epoch, CLASS_BASE), order_key(epoch, CLASS_BASE)
    old = [row for _, row in sorted(contents.rows.items()) if row.position < first]
    for row in old:
        del contents.rows[row.key]
    names = [(a.name, a.tag) for a in keys.attributes]
    contents.history += [
        Row(row.key, position, "d", None, False, dict(zip(names, row.key, strict=True))) for row in old if row.op != "d"
    ]


def ledger_row(load: Load, s: LoadedSegment) -> LedgerRow:
    return LedgerRow(
        number=s.segment.number,
        segment=s.segment.name,
        epoch=load.epoch,
        sha256=s.segment.sha256,
        rows=s.rows,
        quarantined=s.quarantined,
        bytes=s.segment.bytes,
        applied_ms=load.loaded_ms,
        through_ms=s.segment.through_ms,
        lag_ms_p50=None,
        lag_ms_p99=None,
        fence=load.fence,
    )
