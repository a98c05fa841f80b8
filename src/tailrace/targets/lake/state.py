"""What a lake table remembers of its loads: one JSON document, committed together with the rows that make it true."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from tailrace.errors import UserFault
from tailrace.model.schema import Column
from tailrace.targets.lake.columns import column_from_json, column_to_json
from tailrace.targets.planning import identity, moved_on, why_foreign
from tailrace.targets.target import Ledger, LedgerRow, TableSpec

FORMAT: Final = 2
RECENT_MAX: Final = 100  # ledger rows that `Ledger.recent` carries


@dataclass(frozen=True, slots=True)
class LakeState:
    """The ledger of one table, as far as loading needs it. `recent`: newest first; `rows`: live ones."""

    identity: tuple[str, str, str, str]
    applied_through: int = 0
    through_ms: int | None = None
    beyond: Mapping[int, int | None] = field(default_factory=dict)
    columns: tuple[Column, ...] = ()
    rows: int = 0
    fence: int = 0
    recent: tuple[LedgerRow, ...] = ()

    def holds(self, number: int) -> bool:
        """Whether a segment is applied."""
        return number <= self.applied_through or number in self.beyond

    def after(
        self, table: TableSpec, rows: Sequence[LedgerRow], columns: tuple[Column, ...], live: int, fence: int
    ) -> LakeState:
        """What it becomes with a load whose segments these ledger rows are. `live`: by how many rows the live ones change."""
        beyond = {**self.beyond, **{row.number: row.through_ms for row in rows}}
        through, through_ms = moved_on(self.applied_through, self.through_ms, beyond)
        recent = sorted([*rows, *self.recent], key=lambda row: (-row.applied_ms, -row.number))
        return replace(
            self,
            identity=identity(table),
            applied_through=through,
            through_ms=through_ms,
            beyond={number: ms for number, ms in beyond.items() if number > through},
            columns=columns,
            rows=self.rows + live,
            fence=fence,
            recent=tuple(recent),
        )

    def ledger(self) -> Ledger:
        """As the port shows it."""
        return Ledger(
            applied_through=self.applied_through,
            applied_beyond=frozenset(self.beyond),
            columns=self.columns,
            rows=self.rows,
            through_ms=self.through_ms,
            recent=self.recent[:RECENT_MAX],
            fence=self.fence,
        )

    def to_json(self) -> str:
        """The document. Equal states give equal texts."""
        document = {
            "format": FORMAT,
            "identity": self.identity,
            "applied_through": self.applied_through,
            "through_ms": self.through_ms,
            "beyond": sorted(self.beyond.items()),
            "rows": self.rows,
            "fence": self.fence,
            "recent": [asdict(row) for row in self.recent],
            "columns": [column_to_json(column) for column in self.columns],
        }
        return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def new_state(table: TableSpec) -> LakeState:
    """Of a table that nothing was loaded into."""
    return LakeState(identity(table))


def state_of(table: TableSpec, document: str) -> LakeState:
    """The state of a table out of its document. Raises UserFault where going on would mix or lose rows."""
    try:
        value: dict[str, Any] = json.loads(document)
        written = value["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise refused(table, "has a ledger that cannot be read", RESTORE) from error
    if written == 1:
        raise refused(
            table,
            "was written in format 1, before there was a release",
            "Drop it, and load it again from the landing zone.",
        )
    if written != FORMAT:
        raise refused(table, f"was written in format {written}", "Upgrade this Tailrace to the release that wrote it.")
    try:
        state = LakeState(
            identity=tuple(value["identity"]),
            applied_through=value["applied_through"],
            through_ms=value["through_ms"],
            beyond=dict(value["beyond"]),
            columns=tuple(column_from_json(column) for column in value["columns"]),
            rows=value["rows"],
            fence=value["fence"],
            recent=tuple(LedgerRow(**row) for row in value["recent"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise refused(table, "has a ledger that cannot be read", RESTORE) from error
    foreign = why_foreign(table, state.identity)
    if foreign is not None:
        raise refused(table, foreign, "Give this table another `name` in the target.")
    if state.applied_through > 0 and not state.recent:
        raise refused(table, "has rows, while its ledger was emptied", RESTORE)
    return state


RESTORE: Final = (
    "Restore it from an older snapshot with its properties; or drop it, and load it again from the landing zone."
)


def refused(table: TableSpec, what: str, hint: str) -> UserFault:
    """What is wrong with a table of ours."""
    return UserFault(f"Table {table.name!r} in the target {what}", hint=hint, table=table.source)
