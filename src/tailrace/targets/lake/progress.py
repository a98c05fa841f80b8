"""How far a lake table has come: what all of them remember of their loads, whatever document they keep it in. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

from tailrace.model.schema import Column
from tailrace.targets.lake.columns import column_from_json, column_to_json
from tailrace.targets.planning import identity, moved_on
from tailrace.targets.target import Ledger, LedgerRow, TableSpec

RECENT_MAX: Final = 100  # ledger rows that `Ledger.recent` carries


@dataclass(frozen=True, slots=True)
class Progress:
    """`beyond`: applied segments behind a hole, with the moment of each. `rows`: live ones."""

    identity: tuple[str, str, str, str]
    columns: tuple[Column, ...] = ()
    applied_through: int = 0
    through_ms: int | None = None
    beyond: Mapping[int, int | None] = field(default_factory=dict)
    rows: int = 0
    fence: int = 0

    def holds(self, number: int) -> bool:
        """Whether a segment is applied."""
        return number <= self.applied_through or number in self.beyond

    def moved(
        self, table: TableSpec, entered: Sequence[LedgerRow], columns: tuple[Column, ...], live: int, fence: int
    ) -> Self:
        """With a load whose segments these ledger rows are. `live`: by how many rows the live ones change."""
        beyond = {**self.beyond, **{row.number: row.through_ms for row in entered}}
        through, through_ms = moved_on(self.applied_through, self.through_ms, beyond)
        return replace(
            self,
            identity=identity(table),
            columns=columns,
            applied_through=through,
            through_ms=through_ms,
            beyond={number: ms for number, ms in beyond.items() if number > through},
            rows=self.rows + live,
            fence=fence,
        )

    def shown(self, entered: Iterable[LedgerRow], begun_through: int = 0) -> Ledger:
        """As the port shows it; `entered`: at least the newest ledger rows."""
        return Ledger(
            applied_through=self.applied_through,
            applied_beyond=frozenset(self.beyond),
            columns=self.columns,
            rows=self.rows,
            through_ms=self.through_ms,
            recent=tuple(newest_first(entered)[:RECENT_MAX]),
            begun_through=begun_through,
            fence=self.fence,
        )


def newest_first(rows: Iterable[LedgerRow]) -> list[LedgerRow]:
    return sorted(rows, key=lambda row: (-row.applied_ms, -row.number))


def to_json(progress: Progress) -> dict[str, Any]:
    """Its part of a document, all but whose table it is."""
    return {
        "applied_through": progress.applied_through,
        "through_ms": progress.through_ms,
        "beyond": sorted([number, ms] for number, ms in progress.beyond.items()),
        "rows": progress.rows,
        "fence": progress.fence,
        "columns": [column_to_json(column) for column in progress.columns],
    }


def from_json(document: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `Progress` out of a document. Raises ValueError, KeyError or TypeError where it is none."""
    return {
        "applied_through": document["applied_through"],
        "through_ms": document["through_ms"],
        "beyond": dict(document["beyond"]),
        "rows": document["rows"],
        "fence": document["fence"],
        "columns": tuple(column_from_json(column) for column in document["columns"]),
    }
