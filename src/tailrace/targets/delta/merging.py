"""A patch as the source of one MERGE: what goes, what changes, what is new, told apart by one column. Values in, values out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from tailrace.targets.lake.merge import POS, Patch, whole
from tailrace.targets.target import Mode

ACT = "act"
GO, REPLACE, MARK, ADD = "x", "w", "m", "i"


@dataclass(frozen=True, slots=True)
class Source:
    """Rows for a MERGE: ``act``, ``k0``, ``k1`` and (of a history) ``p`` to match by, ``c0``, ``c1``, … as the table's columns.

    `marked`: numbers of the columns that ``m`` sets.
    """

    rows: pa.Table
    marked: tuple[int, ...]

    def count(self, act: str) -> int:
        """How many rows are to be dealt with so."""
        return pc.sum(pc.equal(self.rows[ACT], act)).as_py() or 0


def source_of(patch: Patch, standing: pa.Table, schema: pa.Schema, keys: Sequence[str], mode: Mode) -> Source:
    """`standing` has ``place``, the key's columns and ``_tr_pos``: what the patch's places mean."""
    by_place = mode == "history"
    fields = [pa.field(f"k{n}", schema.field(key).type) for n, key in enumerate(keys)]
    fields += [pa.field("p", pa.string())] if by_place else []
    neutral = [pa.field(f"c{n}", field.type) for n, field in enumerate(schema)]
    wanted = pa.schema([pa.field(ACT, pa.string()), *fields, *neutral])
    names = [f"c{n}" for n in range(len(schema))]

    def rows(act: str | pa.Array | pa.ChunkedArray, matched: pa.Table, values: pa.Table | None) -> pa.Table:
        by = [matched[key] for key in keys] + ([matched[POS]] if by_place else [])
        columns = [pa.repeat(act, matched.num_rows) if isinstance(act, str) else act, *by]
        table = pa.table(columns, names=[ACT, *(field.name for field in fields)])
        if values is not None:
            numbered = [names[schema.get_field_index(name)] for name in values.column_names]
            for name, column in zip(numbered, values.columns, strict=True):
                table = table.append_column(name, column)
        return whole(table, wanted)

    # By key, a new row takes the place of the old one; by key and place it is another one beside it.
    stands = pa.repeat(pa.scalar(False), len(patch.near)) if by_place else pc.is_in(patch.near, patch.gone)
    replaced = patch.near.filter(stands)
    acts = pc.if_else(stands, REPLACE, ADD)
    pieces = [rows(acts, patch.added, patch.added)]
    gone = patch.gone.filter(pc.invert(pc.is_in(patch.gone, replaced)))
    pieces.append(rows(GO, standing.take(gone), None))
    changed = patch.changed
    marked = [name for name in changed.column_names if name != "place"]
    pieces.append(rows(MARK, standing.take(changed["place"]), changed.select(marked)))
    return Source(pa.concat_tables(pieces), tuple(schema.get_field_index(name) for name in marked))
