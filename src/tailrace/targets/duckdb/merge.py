"""One load into one table: fold the changes, compare with what stands, replace. Runs inside the caller's transaction.

The newest change of a key wins by ``_tr_pos`` and by nothing else, so loads may come late, twice and in any order. Keys are
compared as typed columns; only tombstones hold a key as one text, because a number column may become wider.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pyarrow as pa

from tailrace.codec import META_FIELDS, project
from tailrace.errors import OrderConflict, RecordInvalid
from tailrace.model.keys import KeySchema
from tailrace.model.positions import CLASS_BASE, order_key, order_prefix
from tailrace.model.schema import Column
from tailrace.targets.duckdb.dialect import number_text, quote
from tailrace.targets.duckdb.file import Session
from tailrace.targets.planning import META_NAMES, META_TYPES, key_columns
from tailrace.targets.target import Mode

_TYPES: Final = {
    pa.string(): "VARCHAR",
    pa.int64(): "BIGINT",
    pa.bool_(): "BOOLEAN",
    pa.timestamp("us"): "TIMESTAMP",
}
META_COLUMNS: Final[dict[Mode, dict[str, str]]] = {
    mode: {name: _TYPES[META_TYPES[name]] for name in names} for mode, names in META_NAMES.items()
}
"""The columns that we add, in this order behind the attributes."""

# A second thread saves no time: one writes a row group, and the other one spins. docs/performance.md, "Loading".
ONE_THREAD: Final = "SET threads = 1"

# Names that no attribute may take; `rowid` would hide DuckDB's own.
RESERVED: Final = (
    "rowid",
    *sorted({*META_TYPES, *META_FIELDS}),
)


class Merge:
    """The statements of one load. `target` and `tombstones` are quoted names; `columns` are final and exist in the target."""

    def __init__(
        self,
        session: Session,
        target: str,
        tombstones: str,
        columns: Sequence[Column],
        keys: KeySchema,
        loaded_ms: int,
        known_ms: int,
    ) -> None:
        self._run = session.run
        self._session = session
        self._target = target
        self._tombstones = tombstones
        self._columns = columns
        self._keys = key_columns(columns, keys)
        self._incoming_keys = [f"c{columns.index(column)}" for column in self._keys]
        self._latest_keys = [f"k{n}" for n in range(len(self._keys))]
        self._loaded = f"make_timestamp({loaded_ms * 1000})"
        self._known = f"make_timestamp({known_ms * 1000})"

    def run(self, mode: Mode, changes: pa.Table, *, replayed: bool = False) -> None:
        """Apply decoded changes. Raises OrderConflict when two of them share key and position but not content.

        `replayed`: some of them may stand in the target already, so a changelog looks before it appends.
        """
        self._session.connection.register("incoming", self._incoming(changes))
        if mode == "changelog":
            self._append(replayed)
            return
        self._fold(images=mode == "soft_delete")
        self._check_order()
        if mode == "current":
            self._replace()
        elif mode == "soft_delete":
            self._mark()
        else:
            self._version()

    def _incoming(self, changes: pa.Table) -> pa.Table:
        """Typed columns under neutral names (c0, c1, …), because attribute names are anything, and the meta fields."""
        typed = project(changes, self._columns)
        meta = changes.columns[: len(META_FIELDS)]
        names = [f"c{n}" for n in range(typed.num_columns)] + ["op", "ts", "pos", "expired", "line"]
        incoming = pa.table([*typed.columns, *meta, pa.array(range(changes.num_rows), pa.int64())], names=names)
        if any(incoming[name].null_count for name in [*self._incoming_keys, "pos"]):
            raise RecordInvalid(
                "A change has no key or no position", hint="Decode it with the key schema of its table."
            )
        return incoming

    def _fold(self, *, images: bool) -> None:
        """``latest``: a narrow row per key, which says where its newest change (and image) stands in ``incoming``."""
        keys = ", ".join(f"{c} AS {k}" for c, k in zip(self._incoming_keys, self._latest_keys, strict=True))
        image = ", max(pos) FILTER (op <> 'd') AS image_pos, arg_max(line, pos) FILTER (op <> 'd') AS image_line"
        self._run(
            f"CREATE TEMP TABLE latest AS SELECT {keys}, count(*) AS changes, max(pos) AS pos,"
            f" arg_max(line, pos) AS line, arg_max(op, pos) AS op{image if images else ''}"
            " FROM temp.incoming GROUP BY ALL"
        )

    def _check_order(self) -> None:
        """A change may come twice; two different ones at one place are damage. Only changes of this load are compared."""
        keys = ", ".join(self._incoming_keys)
        self._run(
            f"CREATE TEMP TABLE doubled AS SELECT {keys}, pos FROM temp.incoming SEMI JOIN"
            f" (SELECT * FROM temp.latest WHERE changes > 1) l ON {self._same_key(self._incoming_keys)}"
            " GROUP BY ALL HAVING count(*) > 1"
        )
        if not self._session.value("SELECT count(*) FROM temp.doubled"):
            return
        different = self._run(
            f"SELECT {keys}, pos FROM (SELECT DISTINCT * EXCLUDE (line, expired), coalesce(expired, false)"
            f" FROM temp.incoming SEMI JOIN temp.doubled USING ({keys}, pos)) GROUP BY ALL HAVING count(*) > 1"
            " ORDER BY ALL LIMIT 1"
        )
        if different:
            *key, position = different[0]
            raise OrderConflict(
                "Two different changes have one key and one position",
                hint="The landing zone is damaged, or two tables write into it. Nothing of this load was applied.",
                key=", ".join(map(str, key)),
                position=position,
            )

    def _same_key(self, expressions: Sequence[str]) -> str:
        """The condition that these are the key of a row of ``latest l``."""
        return " AND ".join(f"{e} = l.{k}" for e, k in zip(expressions, self._latest_keys, strict=True))

    def _find_standing(self, values: str) -> None:
        """``standing``: rows of the target that have a key of this load, each with its line in ``incoming``.

        The one statement that reads the whole table, and so the one that is given all threads.
        """
        same_key = self._same_key([f"t.{quote(column.name)}" for column in self._keys])
        self._run("RESET threads")
        self._run(
            f"CREATE TEMP TABLE standing AS SELECT t.rowid AS place, l.line, {values}"
            f" FROM {self._target} t JOIN temp.latest l ON {same_key}"
        )
        self._run(ONE_THREAD)

    # ---- current: the newest change of each key; deleted keys leave a tombstone

    def _replace(self) -> None:
        """``lost`` holds the lines of changes that are no newer than what stands; nearly always it is empty."""
        run = self._run
        key = key_expression(self._keys, self._latest_keys)
        self._find_standing("t._tr_pos >= l.pos AS lost")
        run(
            "CREATE TEMP TABLE buried AS SELECT b.rowid AS place, line, b.pos >= l.pos AS lost"
            f" FROM {self._tombstones} b JOIN (SELECT *, {key} AS key FROM temp.latest) l ON b.key = l.key"
        )
        run(
            "CREATE TEMP TABLE lost AS SELECT line FROM temp.standing WHERE lost"
            " UNION ALL SELECT line FROM temp.buried WHERE lost"
        )
        for name, place in ((self._target, "standing"), (self._tombstones, "buried")):
            run(f"DELETE FROM {name} WHERE rowid IN (SELECT place FROM temp.{place} ANTI JOIN temp.lost USING (line))")
        won = "temp.latest ANTI JOIN temp.lost USING (line)"
        run(f"INSERT INTO {self._tombstones} SELECT {key}, pos FROM {won} WHERE op = 'd'")
        meta = {
            "_tr_op": "i.op",
            "_tr_ts": "i.ts",
            "_tr_pos": "i.pos",
            "_tr_loaded_at": self._loaded,
        }
        self._insert(meta, f"JOIN (SELECT line FROM {won} WHERE op <> 'd') w ON w.line = i.line")

    # ---- soft_delete: the newest image of each key, and apart from it the newest change of any kind

    def _mark(self) -> None:
        """Images and deletes are folded apart, so a row is the same however the changes were cut into loads."""
        run = self._run
        self._find_standing(
            "t._tr_pos AS pos, t._tr_image_pos AS image_pos, t._tr_op AS op, t._tr_ts AS ts, t._tr_expired AS expired"
        )
        run(
            "CREATE TEMP TABLE winners AS SELECT s.place,"
            " l.image_pos IS NOT NULL AND (s.image_pos IS NULL OR l.image_pos > s.image_pos) AS new_image,"
            " s.pos IS NULL OR l.pos > s.pos AS new_top, coalesce(l.image_line, l.line) AS source_line,"
            " CASE WHEN new_image THEN l.image_pos ELSE s.image_pos END AS image_pos,"
            " CASE WHEN new_top THEN l.pos ELSE s.pos END AS pos, CASE WHEN new_top THEN i.op ELSE s.op END AS op,"
            " CASE WHEN new_top THEN i.ts ELSE s.ts END AS ts,"
            " CASE WHEN new_top THEN coalesce(i.expired, false) ELSE s.expired END AS expired"
            " FROM temp.latest l JOIN temp.incoming i ON i.line = l.line LEFT JOIN temp.standing s ON s.line = l.line"
            " WHERE new_image OR new_top"
        )
        run(
            f"UPDATE {self._target} AS t SET _tr_op = w.op, _tr_ts = w.ts, _tr_pos = w.pos, _tr_deleted = true,"
            f" _tr_expired = w.expired, _tr_loaded_at = {self._loaded} FROM temp.winners w"
            " WHERE t.rowid = w.place AND NOT w.new_image"
        )
        run(f"DELETE FROM {self._target} WHERE rowid IN (SELECT place FROM temp.winners WHERE new_image)")
        meta = {
            "_tr_op": "w.op",
            "_tr_ts": "w.ts",
            "_tr_pos": "w.pos",
            "_tr_loaded_at": self._loaded,
            "_tr_deleted": "w.op = 'd'",
            "_tr_expired": "w.expired",
            "_tr_image_pos": "w.image_pos",
        }
        self._insert(meta, "JOIN temp.winners w ON w.source_line = i.line WHERE w.new_image OR w.place IS NULL")

    # ---- changelog: every change once; the ledger sees to it, and for replays the change's key and position

    def _append(self, replayed: bool) -> None:
        fresh = ""
        if replayed:
            held = " AND ".join(
                f"t.{quote(c.name)} = i.{n}" for c, n in zip(self._keys, self._incoming_keys, strict=True)
            )
            place = ", ".join(f"i.{name}" for name in [*self._incoming_keys, "pos"])
            # Constants: what was appended in order is skipped by whole row groups.
            [(first, last)] = self._run("SELECT min(pos), max(pos) FROM temp.incoming")
            fresh = (
                f"ANTI JOIN (SELECT * FROM {self._target} WHERE _tr_pos BETWEEN '{first}' AND '{last}') t"
                f" ON t._tr_pos = i.pos AND {held}"
                f" QUALIFY row_number() OVER (PARTITION BY {place} ORDER BY i.line) = 1"
            )
        self._insert(
            {
                "_tr_op": "i.op",
                "_tr_ts": "i.ts",
                "_tr_pos": "i.pos",
                "_tr_loaded_at": self._loaded,
                "_tr_expired": "coalesce(i.expired, false)",
            },
            fresh,
        )

    # ---- history: a row for each image, from its moment to that of the next change; deletes are kept as ends only

    def _version(self) -> None:
        """All versions of the keys of this load are laid side by side anew, so changes may come in any order.

        A base row says what was there when it was read, not since when. Where a change is as old as that, the base row may
        show it already, and would be told for the time before it: such a row is not kept.
        """
        run = self._run
        key = key_expression(self._keys, self._latest_keys)
        moment = f"coalesce(make_timestamp(i.ts), {self._known})"
        same_key = self._same_key([f"t.{quote(column.name)}" for column in self._keys])
        same_incoming = self._same_key([f"i.{name}" for name in self._incoming_keys])
        run("RESET threads")
        run(
            "CREATE TEMP TABLE standing AS"
            " SELECT t.rowid AS place, false AS is_end, l.line AS key, t._tr_pos AS pos, t._tr_valid_from AS moment,"
            f" t._tr_op = 'r' AS is_base FROM {self._target} t JOIN temp.latest l ON {same_key}"
            " UNION ALL SELECT b.rowid, true, l.line, b.pos, b.moment, false"
            f" FROM {self._tombstones} b JOIN (SELECT *, {key} AS key FROM temp.latest) l ON b.key = l.key"
        )
        run(ONE_THREAD)
        run(
            "CREATE TEMP TABLE versions AS SELECT *, is_base AND coalesce(min(moment) OVER ("
            "PARTITION BY key ORDER BY pos ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) <= moment, false) AS is_lost"
            " FROM (SELECT place, NULL AS line, is_end, key, pos, moment, is_base FROM temp.standing"
            f" UNION ALL SELECT NULL, i.line, i.op = 'd', l.line, i.pos, {moment}, i.op = 'r'"
            f" FROM temp.incoming i JOIN temp.latest l ON {same_incoming}"
            " ANTI JOIN temp.standing s ON s.key = l.line AND s.pos = i.pos"
            " QUALIFY row_number() OVER (PARTITION BY l.line, i.pos ORDER BY i.line) = 1)"
        )
        run(
            "CREATE TEMP TABLE valid AS SELECT *, lead(moment) OVER later AS until, lead(pos) OVER later IS NULL AS is_last"
            " FROM temp.versions WHERE NOT is_lost WINDOW later AS (PARTITION BY key ORDER BY pos)"
        )
        run(
            f"UPDATE {self._target} AS t SET _tr_valid_to = v.until, _tr_is_current = v.is_last FROM temp.valid v"
            " WHERE t.rowid = v.place AND NOT v.is_end"
            " AND (t._tr_valid_to IS DISTINCT FROM v.until OR t._tr_is_current <> v.is_last)"
        )
        run(f"DELETE FROM {self._target} WHERE rowid IN (SELECT place FROM temp.versions WHERE is_lost)")
        run(
            f"INSERT INTO {self._tombstones} SELECT {key}, v.pos, v.moment"
            " FROM temp.valid v JOIN temp.latest l ON l.line = v.key WHERE v.is_end AND v.line IS NOT NULL"
        )
        meta = {
            "_tr_op": "i.op",
            "_tr_ts": "i.ts",
            "_tr_pos": "i.pos",
            "_tr_loaded_at": self._loaded,
            "_tr_valid_from": "v.moment",
            "_tr_valid_to": "v.until",
            "_tr_is_current": "v.is_last",
        }
        self._insert(meta, "JOIN temp.valid v ON v.line = i.line WHERE NOT v.is_end")

    # ---- a sweep: what older epochs left

    def sweep(self, mode: Mode, epoch: int) -> None:
        """Every key that has nothing of `epoch` or later was deleted before it, as far as anybody knows."""
        first, position = order_prefix(epoch, CLASS_BASE), order_key(epoch, CLASS_BASE)
        if mode == "current":
            self._run(f"DELETE FROM {self._target} WHERE _tr_pos < '{first}'")
            self._run(f"DELETE FROM {self._tombstones} WHERE pos < '{first}'")
        elif mode == "soft_delete":
            self._run(
                f"UPDATE {self._target} SET _tr_deleted = true, _tr_op = 'd', _tr_ts = NULL, _tr_expired = false,"
                f" _tr_pos = '{position}', _tr_loaded_at = {self._loaded} WHERE _tr_pos < '{first}' AND NOT _tr_deleted"
            )
        elif mode == "history":
            key = key_expression(self._keys, [quote(column.name) for column in self._keys])
            left = f"_tr_is_current AND _tr_pos < '{first}'"
            self._run(
                f"INSERT INTO {self._tombstones} SELECT {key}, '{position}', {self._known} FROM {self._target} WHERE {left}"
            )
            self._run(f"UPDATE {self._target} SET _tr_valid_to = {self._known}, _tr_is_current = false WHERE {left}")
        else:
            keys = ", ".join(quote(column.name) for column in self._keys)
            self._run(
                f"INSERT INTO {self._target} ({keys}, _tr_op, _tr_pos, _tr_loaded_at, _tr_expired)"
                f" SELECT {keys}, 'd', '{position}', {self._loaded}, false FROM {self._target}"
                f" GROUP BY {keys} HAVING max(_tr_pos) < '{first}' AND arg_max(_tr_op, _tr_pos) <> 'd'"
            )

    def _insert(self, meta: dict[str, str], which: str) -> None:
        """Whole rows, so an attribute that an item no longer has becomes NULL."""
        names = [quote(column.name) for column in self._columns] + list(meta)
        values = [f"i.c{n}" for n in range(len(self._columns))] + list(meta.values())
        self._run(
            f"INSERT INTO {self._target} ({', '.join(names)}) SELECT {', '.join(values)} FROM temp.incoming i {which}"
        )


def key_expression(keys: Sequence[Column], expressions: Sequence[str]) -> str:
    """SQL for one injective text of a key: the length of its first part, then both."""
    parts = [_text(expression, column) for expression, column in zip(expressions, keys, strict=True)]
    return parts[0] if len(parts) == 1 else f"length({parts[0]}) || ':' || {parts[0]} || {parts[1]}"


def key_text(key: Sequence[str | bytes]) -> str:
    """The same text, made here."""
    parts = [part.hex().upper() if isinstance(part, bytes) else part for part in key]
    return parts[0] if len(parts) == 1 else f"{len(parts[0])}:{parts[0]}{parts[1]}"


def _text(expression: str, column: Column) -> str:
    if column.tag == "N":
        return number_text(expression, column.type)
    return f"hex({expression})" if column.tag == "B" else expression
