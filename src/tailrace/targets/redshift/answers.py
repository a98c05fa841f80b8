"""What Redshift says, in our words, whichever way it came."""

from __future__ import annotations

import re
from typing import Final

from tailrace.errors import OutcomeUnknown, ServiceUnavailable, TailraceError, TargetContended, UserFault
from tailrace.targets.warehouse.connection import StatementFailed

_UNDONE: Final = re.compile(
    r"ERROR: +1023\b|deadlock detected|[sS]erializable isolation|could not serialize|concurrent update"
)
_CUT_OFF: Final = re.compile(r"canceling statement due to|cancell?ed on user's request|could not obtain lock")
_LOST: Final = re.compile(
    r"[cC]onnection .{0,60}(lost|closed|reset|refused|timed out)|terminating connection"
    r"|([cC]luster|[wW]orkgroup) .{0,60}(not available|maintenance|paused|resum)"
)
_REFUSED: Final = re.compile(r"permission denied|must be owner|password authentication|database \".*\" does not exist")


def failure(
    text: str, at: int, *, committing: bool = False, lost: bool = False, statement: str | None = None
) -> TailraceError | StatementFailed:
    """The error of the statement at `at`; `committing`: of the COMMIT behind them; `lost`: it was cut off."""
    text = " ".join(text.split())[:500]
    if _UNDONE.search(text):  # also by COMMIT
        return TargetContended(f"Redshift undid the transaction: {text}", hint="It is repeated.", statement=statement)
    if committing:
        hint = "The next load looks at the ledger first and goes on from it."
        return OutcomeUnknown(f"COMMIT failed: {text}", hint=hint, statement=statement)
    if _REFUSED.search(text):
        hint = (
            "Check the database's name and docs/redshift.md's grants. Tables belong to who made them: load as one user."
        )
        return UserFault(f"Redshift refused it: {text}", hint=hint, statement=statement)
    if _CUT_OFF.search(text):
        return TargetContended(f"Redshift ended the transaction: {text}", hint="It is repeated.", statement=statement)
    if lost or _LOST.search(text):
        hint = "Nothing was applied; it is tried again."
        return ServiceUnavailable(f"Redshift could not finish: {text}", hint=hint, statement=statement)
    return StatementFailed(text, at)


def as_subquery(sql: str) -> str:
    """A person's statement where it can only read. A second one behind it is refused, for only one is taken at a time."""
    return f"SELECT * FROM (\n{sql.strip().rstrip(';')}\n) q"
