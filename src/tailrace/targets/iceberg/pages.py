"""Table ``tailrace_ledger``: ledger rows that a table's own document no longer carries. One for all tables of a namespace.

A row gets here only after the commit that it tells of, and leaves the document only after it got here. So what stands here is
true, perhaps twice.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Final

import pyarrow as pa
from pyiceberg.partitioning import PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.table.update import AssertRefSnapshotId

from tailrace.targets.duckdb.file import Perform
from tailrace.targets.iceberg.catalog import CLEARED, Tables, first_line, translated
from tailrace.targets.iceberg.commit import MAIN
from tailrace.targets.iceberg.expiry import clear, lines_to_expire, removal
from tailrace.targets.iceberg.fields import new_fields
from tailrace.targets.target import LedgerRow

log = logging.getLogger(__name__)

NAME: Final = "tailrace_ledger"
CARRIED_MAX: Final = (
    200  # ledger rows of earlier loads in a table's own document; with more, all but the newest come here
)

_PROPERTIES: Final = {
    "format-version": "2",
    CLEARED: "true",
    "write.metadata.previous-versions-max": "20",
    "commit.manifest-merge.enabled": "true",
}
_TEXTS: Final = ("segment", "sha256")
_COLUMNS: Final = pa.schema(
    [
        pa.field("table_uuid", pa.string()),
        pa.field("table_name", pa.string()),
        *(pa.field(f.name, pa.string() if f.name in _TEXTS else pa.int64()) for f in fields(LedgerRow)),
    ]
)


def put_aside(tables: Tables, table: Table, rows: Sequence[LedgerRow], perform: Perform, now_ms: int) -> None:
    """Append committed ledger rows of a table; snapshots of an append a day ago go."""
    who = {"table_uuid": str(table.metadata.table_uuid), "table_name": table.name()[-1]}
    page = pa.Table.from_pylist([{**who, **asdict(row)} for row in rows], schema=_COLUMNS)
    with translated("keep ledger rows"):
        held = tables.load(NAME)
        if held is None:
            tables.create(NAME, Schema(*new_fields(list(_COLUMNS), 0)), PartitionSpec(), _PROPERTIES)
            held = tables.load(NAME)
        assert held is not None
        perform("append ledger rows", lambda: held.append(page))
        try:
            _expire(tables, held, perform, now_ms)
        except Exception as error:  # another one does it, or the next append
            log.info("old snapshots of %s are left over: %s", NAME, first_line(error))


def _expire(tables: Tables, table: Table, perform: Perform, now_ms: int) -> None:
    lines = lines_to_expire(table.metadata, (MAIN,), now_ms)
    if lines:
        newest = {"ref": MAIN, "snapshot-id": table.metadata.current_snapshot_id}
        tables.commit(table, (AssertRefSnapshotId.model_validate(newest),), removal(lines))
        clear(lines, table.io, perform)


def find_row(tables: Tables, table: Table, number: int, perform: Perform) -> LedgerRow | None:
    """What was put aside of one segment; None: nothing."""
    with translated("read ledger rows"):
        held = tables.load(NAME)
        if held is None:
            return None
        wanted = f"table_uuid = '{table.metadata.table_uuid}' AND number = {number}"
        names = [f.name for f in fields(LedgerRow)]
        scan = held.scan(wanted, selected_fields=tuple(names), limit=1)
        found = perform("read ledger rows", scan.to_arrow).to_pylist()
    return LedgerRow(**found[0]) if found else None
