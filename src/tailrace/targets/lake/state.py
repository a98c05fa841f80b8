"""What a lake table remembers of its loads: one JSON document, committed together with the rows that make it true."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from tailrace.errors import UserFault
from tailrace.model.schema import Column
from tailrace.targets.lake.progress import Progress, from_json, newest_first, to_json
from tailrace.targets.planning import identity, why_foreign
from tailrace.targets.target import LedgerRow, TableSpec

FORMAT: Final = 2


@dataclass(frozen=True, slots=True)
class LakeState(Progress):
    """The ledger of one table, as far as loading needs it. `recent`: newest first."""

    recent: tuple[LedgerRow, ...] = ()

    def after(
        self, table: TableSpec, entered: Sequence[LedgerRow], columns: tuple[Column, ...], live: int, fence: int
    ) -> LakeState:
        """What it becomes with a load, as `Progress.moved`."""
        moved = self.moved(table, entered, columns, live, fence)
        return replace(moved, recent=tuple(newest_first([*entered, *self.recent])))

    def to_document(self) -> str:
        """The document. Equal states give equal texts."""
        document = {
            "format": FORMAT,
            "identity": self.identity,
            **to_json(self),
            "recent": [asdict(row) for row in self.recent],
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
            **from_json(value),
            identity=tuple(value["identity"]),
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
