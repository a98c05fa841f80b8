"""What a load does to the rows that stand, reckoned over narrow columns: which go, which change, which are new.

The newest change of a key wins by ``_tr_pos`` and by nothing else, so loads may come late, twice and in any order. Whoever
keeps the rows gives each a place (any number), reads keys and order keys of those that may matter, and carries out the
`Patch` in one commit. Statements are DuckDB's, over Arrow tables in memory.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from tailrace.model.positions import CLASS_BASE, order_key, order_prefix
from tailrace.targets.taking import taken
from tailrace.targets.target import Mode

_Run: TypeAlias = Callable[[str], pa.Table]

PLACE: Final = pa.int64()
POS: Final = "_tr_pos"
STANDING: Final[dict[Mode, tuple[str, ...]]] = {
    "current": (POS,),
    "soft_delete": ("_tr_op", "_tr_ts", POS, "_tr_deleted", "_tr_expired", "_tr_image_pos"),
    "changelog": (POS,),
    "history": ("_tr_op", POS, "_tr_valid_from", "_tr_valid_to", "_tr_is_current"),
}
"""What is read of standing rows, beside their keys."""
ENDS: Final[dict[Mode, tuple[str, ...]]] = {
    "current": (POS,),
    "soft_delete": (),
    "changelog": (),
    "history": (POS, "_tr_valid_from"),
}
"""What is kept of a delete beside its key, where deletes are kept apart from rows: its place, in a history its moment, too."""


@dataclass(frozen=True, slots=True)
class Patch:
    """What becomes of a table by one load.

    `gone`: places of rows that go. `changed`: ``place``, and under their names the metadata that a row has from now on; its
    attributes stay. `added`: new rows, whole, in the table's columns; `near` of each: the place of a row of its key, or NULL.
    `ended`: deletes to be kept apart: the key's columns and what `ENDS` says. `live`: by how many rows the live ones change.
    """

    gone: pa.Array
    changed: pa.Table
    added: pa.Table
    near: pa.Array
    ended: pa.Table
    live: int


@functools.cache
def _database() -> duckdb.DuckDBPyConnection:
    """One for all: what it holds is temporary, so it belongs to a cursor. Making one anew would take longer than a small load."""
    return duckdb.connect()


def whole(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """All columns of a schema; those that are absent are NULL."""
    held = set(table.column_names)
    columns = [table[field.name] if field.name in held else pa.nulls(table.num_rows, field.type) for field in schema]
    return pa.Table.from_arrays(
        [column.cast(field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
    )


class Arithmetic:
    """Makes patches for one table. `schema`: all of its columns, the metadata last; `keys`: the names of the key's columns."""

    def __init__(self, mode: Mode, schema: pa.Schema, keys: Sequence[str], loaded_ms: int, known_ms: int) -> None:
        self._mode = mode
        self._schema = schema
        self._keys = keys
        self._loaded = pa.scalar(loaded_ms * 1000, pa.timestamp("us"))
        self._known_us = known_ms * 1000
        self._k = [f"k{n}" for n in range(len(keys))]
        self._using = ", ".join(self._k)

    def patch(self, rows: pa.Table, standing: pa.Table, ends: pa.Table, *, replayed: bool = False) -> Patch:
        """Of one load.

        Args:
            rows: what `planning.staged` gives.
            standing: ``place``, the key's columns, and those of `STANDING`: at least all rows with a key of the load.
            ends: the key's columns and those of `ENDS`: at least all deletes with a key of the load.
            replayed: some changes may stand already, so a changelog looks before it appends.
        """
        if self._mode == "changelog" and not replayed:
            return self._added(rows, pa.table({"line": pa.array(range(rows.num_rows), PLACE)}), rows.num_rows)
        with self._connected(rows, standing, ends) as run:
            match self._mode:
                case "current":
                    return self._replace(rows, run)
                case "soft_delete":
                    return self._mark(rows, run)
                case "changelog":
                    return self._append(rows, run)
                case "history":
                    return self._version(rows, run)

    @contextmanager
    def _connected(self, rows: pa.Table, standing: pa.Table, ends: pa.Table) -> Iterator[_Run]:
        """Tables ``incoming``, ``standing`` and ``ends``, under neutral names."""
        places = [self._schema.names.index(key) for key in self._keys]
        with _database().cursor() as connection:
            incoming = [name for name in rows.column_names if not name.startswith("c")]
            narrow = pa.table(
                [rows.column(p) for p in places] + [rows[name] for name in incoming], names=[*self._k, *incoming]
            )
            connection.register(
                "incoming", narrow.append_column("line", pa.array(range(rows.num_rows), PLACE)).combine_chunks()
            )
            for name, table in (("standing", standing), ("ends", ends)):
                connection.register(name, self._neutral(table))

            def run(sql: str) -> pa.Table:
                return connection.execute(sql).to_arrow_table()

            yield run

    # ---- current: the newest change of each key; deleted keys leave an end

    def _replace(self, rows: pa.Table, run: _Run) -> Patch:
        """A change that is no newer than what stands, or than a delete, is lost; nearly always there is none."""
        run(
            "CREATE TEMP TABLE met AS SELECT s.place, i.line, s._tr_pos >= i.pos AS lost"
            f" FROM standing s JOIN incoming i USING ({self._using})"
        )
        run(
            "CREATE TEMP TABLE lost AS SELECT line FROM met WHERE lost UNION"
            f" SELECT i.line FROM ends e JOIN incoming i USING ({self._using}) WHERE e._tr_pos >= i.pos"
        )
        won = run(
            "SELECT i.line, m.place AS near, i.op FROM incoming i ANTI JOIN lost USING (line) LEFT JOIN met m USING (line)"
            " ORDER BY i.line"
        )
        is_delete = pc.equal(won["op"], "d")
        added, ended = won.filter(pc.invert(is_delete)), won.filter(is_delete)
        gone = won["near"].drop_null().combine_chunks()
        return self._added(rows, added, added.num_rows - len(gone), gone=gone, ended=self._ended(rows, ended["line"]))

    # ---- soft_delete: the newest image of each key, and apart from it the newest change of any kind

    def _mark(self, rows: pa.Table, run: _Run) -> Patch:
        """Images and deletes are folded apart, so a row is the same however the changes were cut into loads."""
        run(
            "CREATE TEMP TABLE latest AS SELECT"
            f" {self._using}, max(pos) FILTER (is_top) AS pos, max(op) FILTER (is_top) AS op, max(ts) FILTER (is_top) AS ts,"
            " bool_or(expired) FILTER (is_top) AS expired, max(line) FILTER (is_top) AS line,"
            " max(pos) FILTER (is_image) AS image_pos, max(line) FILTER (is_image) AS image_line"
            " FROM incoming GROUP BY ALL"
        )
        won = run(
            "SELECT s.place AS near, s.place IS NOT NULL AND NOT s._tr_deleted AS was_live,"
            " l.image_pos IS NOT NULL AND (s._tr_image_pos IS NULL OR l.image_pos > s._tr_image_pos) AS new_image,"
            " s._tr_pos IS NULL OR l.pos > s._tr_pos AS new_top, coalesce(l.image_line, l.line) AS line,"
            " CASE WHEN new_top THEN l.op ELSE s._tr_op END AS now,"
            " CASE WHEN new_top THEN l.ts ELSE s._tr_ts END AS _tr_ts,"
            " CASE WHEN new_top THEN l.pos ELSE s._tr_pos END AS _tr_pos,"
            " now AS _tr_op, now = 'd' AS _tr_deleted,"
            " CASE WHEN new_top THEN l.expired ELSE s._tr_expired END AS _tr_expired,"
            " CASE WHEN new_image THEN l.image_pos ELSE s._tr_image_pos END AS _tr_image_pos"
            f" FROM latest l LEFT JOIN standing s USING ({self._using}) WHERE new_image OR new_top ORDER BY line"
        )
        is_whole = pc.or_(won["new_image"], pc.is_null(won["near"]))
        added, changed = won.filter(is_whole), won.filter(pc.invert(is_whole))
        live = (pc.sum(pc.invert(won["_tr_deleted"])).as_py() or 0) - (pc.sum(won["was_live"]).as_py() or 0)
        return self._added(
            rows, added, live, gone=added["near"].drop_null().combine_chunks(), changed=self._changed(changed)
        )

    # ---- changelog: every change once; the ledger sees to it, and for replays the change's key and position

    def _append(self, rows: pa.Table, run: _Run) -> Patch:
        fresh = run(
            f"SELECT line FROM incoming i ANTI JOIN standing s ON s._tr_pos = i.pos AND {self._same('s', 'i')} ORDER BY line"
        )
        return self._added(rows, fresh, fresh.num_rows)

    # ---- history: a row for each image, from its moment to that of the next change; deletes are kept as ends only

    def _version(self, rows: pa.Table, run: _Run) -> Patch:
        """All versions of the keys of this load are laid side by side anew, so changes may come in any order.

        A base row says what was there when it was read, not since when. Where a change is as old as that, the base row may
        show it already, and would be told for the time before it: such a row is not kept.
        """
        run(f"CREATE TEMP TABLE keys AS SELECT {self._using}, min(line) AS key FROM incoming GROUP BY ALL")
        run(
            "CREATE TEMP TABLE held AS SELECT s.place, false AS is_end, key, s._tr_pos AS pos, s._tr_valid_from AS moment,"
            " s._tr_op = 'r' AS is_base, s._tr_valid_to AS valid_to, s._tr_is_current AS is_current"
            f" FROM standing s JOIN keys USING ({self._using})"
            " UNION ALL SELECT NULL, true, key, e._tr_pos, e._tr_valid_from, false, NULL, false"
            f" FROM ends e JOIN keys USING ({self._using})"
        )
        run(
            "CREATE TEMP TABLE versions AS SELECT *, is_base AND coalesce(min(moment) OVER ("
            "PARTITION BY key ORDER BY pos ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) <= moment, false) AS is_lost"
            " FROM (SELECT place, NULL AS line, is_end, key, pos, moment, is_base, valid_to, is_current FROM held"
            " UNION ALL SELECT NULL, i.line, i.op = 'd', key, i.pos, i.moment, i.op = 'r', NULL, false"
            f" FROM incoming i JOIN keys USING ({self._using}) ANTI JOIN held h ON h.key = keys.key AND h.pos = i.pos)"
        )
        run(
            "CREATE TEMP TABLE valid AS SELECT *, lead(moment) OVER later AS until, lead(pos) OVER later IS NULL AS is_last"
            " FROM versions WHERE NOT is_lost WINDOW later AS (PARTITION BY key ORDER BY pos)"
        )
        changed = run(
            "SELECT place, until AS _tr_valid_to, is_last AS _tr_is_current FROM valid"
            " WHERE place IS NOT NULL AND (valid_to IS DISTINCT FROM until OR is_current <> is_last) ORDER BY place"
        )
        gone = run("SELECT place FROM versions WHERE is_lost AND place IS NOT NULL ORDER BY place")
        ended = run("SELECT line FROM valid WHERE is_end AND line IS NOT NULL ORDER BY line")
        added = run(
            "SELECT line, near, moment AS _tr_valid_from, until AS _tr_valid_to, is_last AS _tr_is_current FROM valid"
            " LEFT JOIN (SELECT key, max(place) AS near FROM held GROUP BY key) USING (key)"
            " WHERE line IS NOT NULL AND NOT is_end ORDER BY line"
        )
        live = run(
            "SELECT (SELECT count(*) FILTER (is_last AND NOT is_end) FROM valid)"
            " - (SELECT count(*) FILTER (is_current) FROM held)"
        )
        return self._added(
            rows,
            added,
            live.column(0)[0].as_py(),
            gone=gone["place"].combine_chunks(),
            changed=self._changed(changed),
            ended=self._ended(rows, ended["line"]),
        )

    # ---- a sweep: what older epochs left

    def sweep(self, standing: pa.Table, epoch: int) -> Patch:
        """Every key that has nothing of `epoch` or later was deleted before it, as far as anybody knows.

        `standing`: at least all rows of older epochs (of a changelog all rows, with ``_tr_op``). In ``current``, ends of older
        epochs go, too, which is left to the caller.
        """
        first, position = order_prefix(epoch, CLASS_BASE), order_key(epoch, CLASS_BASE)
        if self._mode == "changelog":
            return self._sweep_changelog(standing, first, position)
        is_left = pc.less(standing[POS], first)
        if self._mode == "soft_delete":
            is_left = pc.and_(is_left, pc.invert(standing["_tr_deleted"]))
        if self._mode == "history":
            is_left = pc.and_(is_left, standing["_tr_is_current"])
        left = standing.filter(is_left)
        places, count = left["place"].combine_chunks(), left.num_rows
        if self._mode == "current":
            return self._patch(-count, gone=places)
        if self._mode == "soft_delete":
            values = {"_tr_op": "d", "_tr_ts": None, POS: position, "_tr_deleted": True, "_tr_expired": False}
            return self._patch(-count, changed=self._changed(self._with(left.select(["place"]), values)))
        known = pa.scalar(self._known_us, pa.timestamp("us"))
        values = {"_tr_valid_to": known, "_tr_is_current": False}
        ended = self._with(left.select(list(self._keys)), {POS: position, "_tr_valid_from": known})
        return self._patch(-count, changed=self._changed(self._with(left.select(["place"]), values)), ended=ended)

    def _sweep_changelog(self, standing: pa.Table, first: str, position: str) -> Patch:
        with _database().cursor() as connection:
            connection.register("standing", self._neutral(standing))
            left = connection.execute(
                f"SELECT {self._using} FROM standing GROUP BY ALL"
                f" HAVING max(_tr_pos) < '{first}' AND arg_max(_tr_op, _tr_pos) <> 'd' ORDER BY ALL"
            ).to_arrow_table()
        values = {"_tr_op": "d", POS: position, "_tr_loaded_at": self._loaded, "_tr_expired": False}
        added = whole(self._with(left.rename_columns(list(self._keys)), values), self._schema)
        return self._patch(left.num_rows, added=added, near=pa.nulls(left.num_rows, PLACE))

    # ---- parts

    def _neutral(self, table: pa.Table) -> pa.Table:
        """The key's columns under names of ours, because attribute names are anything."""
        names = dict(zip(self._keys, self._k, strict=True))
        return table.rename_columns([names.get(name, name) for name in table.column_names])

    def _with(self, table: pa.Table, values: dict[str, Any]) -> pa.Table:
        """With more columns of the table's own types, each of one value."""
        for name, value in values.items():
            scalar = value if isinstance(value, pa.Scalar) else pa.scalar(value, self._schema.field(name).type)
            table = table.append_column(name, pa.repeat(scalar, table.num_rows))
        return table

    def _same(self, left: str, right: str) -> str:
        return " AND ".join(f"{left}.{k} = {right}.{k}" for k in self._k)

    def _changed(self, table: pa.Table) -> pa.Table:
        """``place`` and metadata in the table's own types, with the moment of this load."""
        names = [name for name in self._schema.names if name in table.column_names and name in STANDING[self._mode]]
        if self._mode == "soft_delete":
            table = table.append_column("_tr_loaded_at", pa.repeat(self._loaded, table.num_rows))
            names = [*names, "_tr_loaded_at"]
        place = table["near" if "near" in table.column_names else "place"].cast(PLACE)
        values = [table[name].cast(self._schema.field(name).type) for name in names]
        return pa.table([place, *values], names=["place", *names])

    def _ended(self, rows: pa.Table, lines: pa.ChunkedArray) -> pa.Table:
        places = [self._schema.names.index(key) for key in self._keys]
        values = {POS: "pos", "_tr_valid_from": "moment"}
        names = ENDS[self._mode]
        return pa.table(
            taken(rows.select([*places, *(rows.column_names.index(values[name]) for name in names)]), lines).columns,
            names=[*self._keys, *names],
        )

    def _added(self, rows: pa.Table, chosen: pa.Table, live: int, **more: Any) -> Patch:
        """New rows: the lines that were chosen, with the metadata that goes with them, else their own."""
        lines = chosen["line"].combine_chunks()
        is_all = lines.equals(pa.array(range(rows.num_rows), lines.type))  # nearly always, and a copy may be large
        new = rows if is_all else taken(rows, lines)
        own = {"_tr_op": "op", "_tr_ts": "ts", POS: "pos", "_tr_expired": "expired"}
        columns, attributes = [], set(new.column_names)
        for number, field in enumerate(self._schema):
            if f"c{number}" in attributes:
                column = new[f"c{number}"]
            elif field.name == "_tr_loaded_at":
                column = pa.repeat(self._loaded, new.num_rows)
            else:
                column = chosen[field.name] if field.name in chosen.column_names else new[own[field.name]]
            columns.append(column.cast(field.type))
        near = chosen["near"].cast(PLACE) if "near" in chosen.column_names else pa.nulls(new.num_rows, PLACE)
        near = near.combine_chunks() if isinstance(near, pa.ChunkedArray) else near
        return self._patch(live, added=pa.Table.from_arrays(columns, schema=self._schema), near=near, **more)

    def _patch(self, live: int, **parts: Any) -> Patch:
        nothing = pa.array([], PLACE)
        return Patch(
            gone=parts.get("gone", nothing),
            changed=parts.get("changed", pa.table({"place": nothing})),
            added=parts.get("added", self._schema.empty_table()),
            near=parts.get("near", nothing),
            ended=parts.get("ended", self._schema.empty_table().select([*self._keys, *ENDS[self._mode]])),
            live=live,
        )
