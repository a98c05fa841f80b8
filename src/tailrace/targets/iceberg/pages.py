"""Table ``tailrace_ledger``: ledger rows that a table's own document no longer carries. One for all tables of a namespace.

A row gets here only after the commit that it tells of, and leaves the document only after it got here. So what stands here is
true, perhaps twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Final

import pyarrow as pa
from pyiceberg.partitioning import PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table

from tailrace.targets.duckdb.file import Perform
from tailrace.targets.iceberg.catalog import Tables, translated
from tailrace.targets.iceberg.fields import new_fields
from tailrace.targets.target import LedgerRow

NAME: Final = "tailrace_ledger"
CARRIED_MAX: Final = (
    200  # ledger rows of earlier loads in a table's own document; with more, all but the newest come here
)

_TEXTS: Final = ("segment", "sha256")
_COLUMNS: Final = pa.schema(
    [
        pa.field("table_uuid", pa.string()),
        pa.field("table_name", pa.string()),
        *(pa.field(f.name, pa.string() if f.name in _TEXTS else pa.int64()) for f in fields(LedgerRow)),
    ]
)


def put_aside(tables: Tables, table: Table, rows: Sequence[LedgerRow], perform: Perform) -> None:
    """Append committed ledger rows of a table."""
    who = {"table_uuid": str(table.metadata.table_uuid), "table_name": table.name()[-1]}
    page = pa.Table.from_pylist([{**who, **asdict(row)} for row in rows], schema=_COLUMNS)
    with translated("keep ledger rows"):
        held = tables.load(NAME)
        if held is None:
            tables.create(NAME, Schema(*new_fields(list(_COLUMNS), 0)), PartitionSpec(), {"format-version": "2"})
            held = tables.load(NAME)
        assert held is not None
        perform("append ledger rows", lambda: held.append(page))


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
