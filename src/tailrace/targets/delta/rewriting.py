"""Files of a Delta table after a load: which are written anew, what is in them, what the log says of them. No I/O."""

from __future__ import annotations

import io
import json
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tailrace.targets.lake.merge import PLACE, POS, Patch
from tailrace.targets.taking import taken

ROW_GROUP_ROWS: Final = 122_880  # what DuckDB and most readers work on at once
BOUND_CHARS: Final = 64  # longer texts are no bounds: the log is read as a whole


def touched(patch: Patch, standing: pa.Table, file: str) -> dict[str, pa.Table]:
    """The files with a row that goes or changes (`standing` names it in the column `file`): places of such rows."""
    places = pa.concat_arrays([patch.gone, patch.changed["place"].combine_chunks()])
    hit = standing.take(places)
    return {name: hit.filter(pc.equal(hit[file], name)) for name in sorted(pc.unique(hit[file]).to_pylist())}


def rewritten(rows: pa.Table, lines: pa.Table, patch: Patch) -> pa.Table:
    """A file's rows without those that go and with those that change. `lines`: of each of both its ``line`` and ``place``."""
    hit = pc.is_in(pa.array(range(rows.num_rows), PLACE), lines["line"].combine_chunks())
    kept = rows.filter(pc.invert(hit))
    at = pc.index_in(patch.changed["place"], lines["place"].combine_chunks()).combine_chunks()
    here = patch.changed.filter(pc.is_valid(at))
    if not here.num_rows:
        return kept
    changed = taken(rows, lines["line"].take(at.drop_null()))
    for name in here.column_names:
        if name != "place":
            number = rows.schema.get_field_index(name)
            changed = changed.set_column(
                number, rows.schema.field(number), here[name].cast(rows.schema.field(number).type)
            )
    return pa.concat_tables([kept, changed])


def placed(patch: Patch, standing: pa.Table, file: str) -> list[str | None]:
    """The file of a row of the same key, for each new row; None where there is none that the load touches."""
    if not patch.added.num_rows:
        return []
    gone = pc.if_else(pc.is_in(patch.near, patch.gone), patch.near, pa.scalar(None, PLACE))
    return standing[file].take(gone).to_pylist()  # type: ignore[no-any-return]


def file_bytes(rows: pa.Table) -> bytes:
    """A Parquet file of these rows."""
    sink = io.BytesIO()
    pq.write_table(rows, sink, compression="zstd", row_group_size=ROW_GROUP_ROWS)
    return sink.getvalue()


def stats(rows: pa.Table, keys: Sequence[str]) -> str:
    """What the log says of a file: rows, and the bounds of keys and places where they are short and exact."""
    found: dict[str, Any] = {"numRecords": rows.num_rows, "minValues": {}, "maxValues": {}, "nullCount": {}}
    for name in (*keys, POS):
        column = rows[name]
        if not (pa.types.is_string(column.type) or pa.types.is_int64(column.type)):
            continue
        bounds = pc.min_max(column).as_py()
        if all(value is not None and len(str(value)) <= BOUND_CHARS for value in bounds.values()):
            found["minValues"][name], found["maxValues"][name] = bounds["min"], bounds["max"]
            found["nullCount"][name] = column.null_count
    return json.dumps(found, ensure_ascii=False)


def may_hold(least: Any, greatest: Any, wanted: Sequence[Any]) -> bool:
    """Whether what lies between two bounds, where they are known, may hold one of these keys, which are in order.

    Only texts and whole numbers are compared: the log spells decimals as JSON numbers, which some writers round.
    """
    known = (least, greatest, *wanted[:1])
    if not all(isinstance(value, str) for value in known) and not all(isinstance(value, int) for value in known):
        return True
    at = bisect_left(wanted, least)
    return at < len(wanted) and bool(wanted[at] <= greatest)
