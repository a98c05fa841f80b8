"""The target port: where rows end up. A new target is one file that keeps this contract (`tailrace.testing.TargetContract`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, TypeAlias

import pyarrow as pa

from tailrace.clock import Budget
from tailrace.model.keys import KeySchema
from tailrace.model.schema import Column, Seen
from tailrace.model.segments import Segment

Mode: TypeAlias = Literal["current", "soft_delete", "changelog", "history"]


@dataclass(frozen=True, slots=True)
class Layout:
    """How a table is laid out, where a target leaves a choice. `shape` super: the key, and the whole item in one column.

    `dist_key`: a column's name, or EVEN, ALL, AUTO; `sort_key`: names of columns, or none. None: by the key.
    """

    shape: Literal["columns", "super"] = "columns"
    dist_key: str | None = None
    sort_key: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class TableSpec:
    """Which source table goes where, and how. `incarnation` is the source's TableId: another one may not share rows.

    Except `predecessors`: tables that answered under the name before, whose rows a repair sweeps.
    """

    source: str
    name: str
    mode: Mode
    keys: KeySchema
    incarnation: str
    predecessors: tuple[str, ...] = ()
    layout: Layout = Layout()


@dataclass(frozen=True, slots=True)
class Limits:
    """What a text must be to fit into a target. A record with another one is set aside before a load leaves it out."""

    nul: bool = True  # it may hold one
    string_bytes: int | None = None  # of an S, or of a member of an SS, as UTF-8
    in_json: bool = False  # the same holds for texts and names inside an M or L


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One applied segment. Committed together with its rows, or not at all."""

    number: int
    segment: str
    epoch: int
    sha256: str
    rows: int
    quarantined: int
    bytes: int
    applied_ms: int
    through_ms: int | None
    lag_ms_p50: int | None  # applied_ms minus the change's own time, over the rows of the load this segment was part of
    lag_ms_p99: int | None
    fence: int = 0  # of the load that this segment was part of


@dataclass(frozen=True, slots=True)
class Ledger:
    """What a target holds of one table: a hint for planning, because `apply` looks again under its own lock.

    `applied_through`: every segment up to this number is applied; `applied_beyond`: further ones out of order.
    """

    applied_through: int = 0
    applied_beyond: frozenset[int] = frozenset()
    columns: tuple[Column, ...] = ()
    rows: int = 0  # live rows of the target table
    through_ms: int | None = None  # of the newest contiguous segment
    recent: tuple[LedgerRow, ...] = ()  # newest first, at most 100
    begun_through: int = 0  # a load was begun that ends with this segment, and can be gone on with; 0: none
    fence: int = 0  # the greatest one that has loaded

    def holds(self, number: int) -> bool:
        return number <= self.applied_through or number in self.applied_beyond

    def after(self, numbers: Iterable[int], columns: tuple[Column, ...]) -> Ledger:
        """What it becomes when these segments are applied too, as far as planning needs it: figures stay as they were."""
        through, beyond = self.applied_through, self.applied_beyond.union(numbers)
        while through + 1 in beyond:
            through += 1
        return replace(
            self,
            applied_through=through,
            applied_beyond=frozenset(n for n in beyond if n > through),
            columns=columns,
            begun_through=0,
        )


@dataclass(frozen=True, slots=True)
class LoadedSegment:
    """A segment of a load, with what decoding it gave: `rows` good ones and `quarantined` rejected ones."""

    segment: Segment
    rows: int
    quarantined: int


@dataclass(frozen=True, slots=True)
class Load:
    """One unit of work for a target: whole segments, decoded, in publish order.

    `changes` has the schema of ``docs/formats/decoding.md``: four meta fields, then one field per (attribute, tag).
    `fence`: of the lease under which it was made.
    """

    table: TableSpec
    epoch: int
    segments: Sequence[LoadedSegment]
    changes: pa.Table
    seen: Seen
    loaded_ms: int
    fence: int = 0


@dataclass(frozen=True, slots=True)
class Applied:
    """What one `apply` did. `skipped`: segments that another loader had applied before.

    Who finds the very load under way that another loader began waits for it, and tells of its segments and rows as well.
    """

    segments: int
    skipped: int
    rows: int
    columns: tuple[Column, ...]
    added: tuple[str, ...] = ()  # columns added
    widened: tuple[str, ...] = ()  # columns given a wider type


class Target(Protocol):
    """Where rows end up.

    Raises TargetBusy when another program holds it, ServiceUnavailable and OutcomeUnknown for remote ones, UserFault when
    its tables are not ours or not as we left them, LoaderFenced for a load with a smaller fence than one that was applied.
    """

    name: str
    kind: str
    limits: Limits

    def ledger(self, table: TableSpec, budget: Budget | None = None) -> Ledger:
        """What is applied. A table that was never loaded has an empty ledger. Raises OutOfTime as `apply` does."""

    def applied(self, table: TableSpec, number: int) -> LedgerRow | None:
        """What the ledger says of one segment; None where it is not applied."""

    def apply(self, load: Load, budget: Budget | None = None) -> Applied:
        """Lock, reread the ledger, leave out segments that it holds, then make rows, ledger rows and fence visible together.

        Repeating it changes nothing; an older change arriving late never wins over a newer one, a tombstone included.
        A segment of kind ``sweep`` (alone in its load, without rows) ends what is left of older epochs: their rows go as if each
        key had been deleted, and so do their tombstones; a changelog gets a delete, and the newest version in a history an end,
        for each key that lives in none but those.

        Redshift is waited for until `budget` is spent; then OutOfTime is raised, and whoever applies the same load again goes on
        with what was begun. Other targets finish the statement that they are at.
        """

    def rows(self, table: TableSpec) -> Iterator[pa.RecordBatch]:
        """All live rows with the target's column names, for verification. Meta columns included."""

    def find(self, table: TableSpec, keys: Sequence[Sequence[str | bytes]]) -> pa.Table:
        """The live rows under these keys, as `rows` gives them: S as text, N as canonical text, B as bytes, HASH first."""

    def query(self, sql: str) -> Any:
        """Run one read-only statement for a person; a pyarrow Table."""
