"""One load into one table: fold the changes, compare with what stands, replace. Runs inside the caller's transaction.

The newest change of a key wins by ``_tr_pos`` and by nothing else, so loads may come late, twice and in any order. Keys are
found by ``_tr_hash``, a 64-bit hash of the key, because reading eight bytes of every row is what makes a load into a large
table cheap; the keys themselves are compared after that, so two keys with one hash stay two keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pyarrow as pa

from tailrace.codec import META_FIELDS, project
from tailrace.errors import OrderConflict, RecordInvalid
from tailrace.model.keys import KeySchema
from tailrace.model.schema import Column
from tailrace.targets.duckdb.dialect import number_text, quote
from tailrace.targets.duckdb.file import Session
from tailrace.targets.target import Mode

META_COLUMNS: Final[dict[Mode, dict[str, str]]] = {
    "current": {
        "_tr_op": "VARCHAR",
        "_tr_ts": "BIGINT",
        "_tr_pos": "VARCHAR",
        "_tr_loaded_at": "TIMESTAMP",
        "_tr_hash": "UBIGINT",
    },
    "soft_delete": {
        "_tr_op": "VARCHAR",
        "_tr_ts": "BIGINT",
        "_tr_pos": "VARCHAR",
        "_tr_loaded_at": "TIMESTAMP",
        "_tr_deleted": "BOOLEAN",
        "_tr_expired": "BOOLEAN",
        "_tr_image_pos": "VARCHAR",
        "_tr_hash": "UBIGINT",
    },
    "changelog": {
        "_tr_op": "VARCHAR",
        "_tr_ts": "BIGINT",
        "_tr_pos": "VARCHAR",
        "_tr_loaded_at": "TIMESTAMP",
        "_tr_expired": "BOOLEAN",
    },
}
"""The columns that we add, in this order behind the attributes."""

# Names that no attribute may take; `rowid` would hide DuckDB's own.
RESERVED: Final = (
    "rowid",
    *sorted({name for columns in META_COLUMNS.values() for name in columns} | set(META_FIELDS)),
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
    ) -> None:
        self._session = session
        self._target = target
        self._tombstones = tombstones
        self._columns = columns
        self._keys = [_column_of(columns, a.name, a.tag) for a in keys.attributes]
        self._loaded = f"make_timestamp({loaded_ms * 1000})"

    def run(self, mode: Mode, changes: pa.Table, *, replayed: bool = False) -> None:
        """Apply decoded changes. Raises OrderConflict when two of them share key and position but not content.

        `replayed`: some of them may stand in the target already, so a changelog looks before it appends.
        """
        self._session.connection.register("incoming", self._incoming(changes))
        if mode == "changelog":
            self._append(replayed)
            return
        self._stage()
        self._check_order()
        if mode == "current":
            self._replace()
        else:
            self._mark()

    def _incoming(self, changes: pa.Table) -> pa.Table:
        """Typed columns under neutral names (c0, c1, …), because attribute names are anything, and the meta fields."""
        typed = project(changes, self._columns)
        arrays = [
            *typed.columns,
            *changes.columns[: len(META_FIELDS)],
            pa.array(range(changes.num_rows), pa.int64()),
        ]
        names = [f"c{i}" for i in range(typed.num_columns)] + ["op", "ts", "pos", "expired", "line"]
        return pa.table(arrays, names=names)

    def _stage(self) -> None:
        """``staged``: a narrow line per change. The key is one text, injective and the same whatever the number's type."""
        key = key_expression(self._keys, [f"c{self._columns.index(column)}" for column in self._keys])
        self._session.run(
            "CREATE TEMP TABLE staged AS SELECT line, op, ts, pos, coalesce(expired, false) AS expired, key,"
            f" md5_number_lower(key) AS hash FROM (SELECT *, {key} AS key FROM temp.incoming)"
        )
        if self._session.value("SELECT count(*) FROM temp.staged WHERE key IS NULL OR pos IS NULL"):
            raise RecordInvalid(
                "A change has no key or no position", hint="Decode it with the key schema of its table."
            )

    def _check_order(self) -> None:
        """A change may come twice; two different ones at one place are damage. Only changes of this load are compared."""
        self._session.run(
            "CREATE TEMP TABLE doubled AS SELECT key, pos FROM temp.staged GROUP BY key, pos HAVING count(*) > 1"
        )
        if not self._session.value("SELECT count(*) FROM temp.doubled"):
            return
        content = ", ".join(["s.op", "s.ts", "s.expired", *(f"i.c{n}" for n in range(len(self._columns)))])
        found = self._session.run(
            f"SELECT key, pos FROM (SELECT DISTINCT s.key, s.pos, {content} FROM temp.staged s"
            " JOIN temp.doubled d ON s.key = d.key AND s.pos = d.pos JOIN temp.incoming i ON i.line = s.line)"
            " GROUP BY key, pos HAVING count(*) > 1 ORDER BY key LIMIT 1"
        )
        if found:
            raise OrderConflict(
                "Two different changes have one key and one position",
                hint="The landing zone is damaged, or two tables write into it. Nothing of this load was applied.",
                key=found[0][0],
                position=found[0][1],
            )

    # ---- current: the newest change of each key; deleted keys leave a tombstone

    def _replace(self) -> None:
        run = self._session.run
        run(
            "CREATE TEMP TABLE latest AS SELECT key, any_value(hash) AS hash, max(pos) AS pos, arg_max(line, pos) AS line,"
            " arg_max(op, pos) AS op FROM temp.staged GROUP BY key"
        )
        run(f"CREATE TEMP TABLE standing AS {self._standing('t._tr_pos AS pos')}")
        run(
            f"CREATE TEMP TABLE buried AS SELECT rowid AS place, key, pos FROM {self._tombstones}"
            " WHERE hash IN (SELECT hash FROM temp.latest)"
        )
        run(
            "CREATE TEMP TABLE winners AS SELECT l.* FROM temp.latest l LEFT JOIN (SELECT key, max(pos) AS pos FROM"
            " (SELECT key, pos FROM temp.standing UNION ALL SELECT key, pos FROM temp.buried) GROUP BY key) s"
            " ON l.key = s.key WHERE s.pos IS NULL OR l.pos > s.pos"
        )
        won = "SELECT place FROM temp.{} WHERE key IN (SELECT key FROM temp.winners)"
        run(f"DELETE FROM {self._target} WHERE rowid IN ({won.format('standing')})")
        run(f"DELETE FROM {self._tombstones} WHERE rowid IN ({won.format('buried')})")
        run(f"INSERT INTO {self._tombstones} SELECT hash, key, pos FROM temp.winners WHERE op = 'd'")
        meta = {
            "_tr_op": "i.op",
            "_tr_ts": "i.ts",
            "_tr_pos": "i.pos",
            "_tr_loaded_at": self._loaded,
            "_tr_hash": "w.hash",
        }
        self._insert(meta, "JOIN temp.winners w ON w.line = i.line WHERE w.op <> 'd'")

    def _standing(self, values: str) -> str:
        """Rows of the target that may hold a staged key: found by hash alone, which reads eight bytes a row."""
        key = key_expression(self._keys, [f"t.{quote(column.name)}" for column in self._keys])
        return (
            f"SELECT t.rowid AS place, {key} AS key, {values} FROM {self._target} t"
            " WHERE t._tr_hash IN (SELECT hash FROM temp.latest)"
        )

    # ---- soft_delete: the newest image of each key, and apart from it the newest change of any kind

    def _mark(self) -> None:
        """Images and deletes are folded apart, so a row is the same however the changes were cut into loads."""
        run = self._session.run
        run(
            "CREATE TEMP TABLE latest AS SELECT key, any_value(hash) AS hash, max(pos) AS pos, arg_max(line, pos) AS line,"
            " max(pos) FILTER (op <> 'd') AS image_pos, arg_max(line, pos) FILTER (op <> 'd') AS image_line"
            " FROM temp.staged GROUP BY key"
        )
        run(
            "CREATE TEMP TABLE standing AS SELECT * FROM ("
            + self._standing("t._tr_pos AS pos, t._tr_image_pos AS image_pos, t._tr_op AS op, t._tr_ts AS ts,"
                             " t._tr_expired AS expired")
            + ") QUALIFY row_number() OVER (PARTITION BY key ORDER BY pos DESC NULLS LAST) = 1"
        )  # fmt: skip
        run(
            "CREATE TEMP TABLE winners AS SELECT l.key, l.hash, s.place,"
            " l.image_pos IS NOT NULL AND (s.image_pos IS NULL OR l.image_pos > s.image_pos) AS new_image,"
            " s.pos IS NULL OR l.pos > s.pos AS new_top, coalesce(l.image_line, l.line) AS source_line,"
            " CASE WHEN new_image THEN l.image_pos ELSE s.image_pos END AS image_pos,"
            " CASE WHEN new_top THEN l.pos ELSE s.pos END AS pos, CASE WHEN new_top THEN c.op ELSE s.op END AS op,"
            " CASE WHEN new_top THEN c.ts ELSE s.ts END AS ts, CASE WHEN new_top THEN c.expired ELSE s.expired END AS expired"
            " FROM temp.latest l JOIN temp.staged c ON c.line = l.line LEFT JOIN temp.standing s ON s.key = l.key"
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
            "_tr_hash": "w.hash",
        }
        self._insert(meta, "JOIN temp.winners w ON w.source_line = i.line WHERE w.new_image OR w.place IS NULL")

    # ---- changelog: every change once; the ledger sees to it, and for replays the change's key and position

    def _append(self, replayed: bool) -> None:
        fresh = ""
        if replayed:
            key = key_expression(self._keys, [f"i.c{self._columns.index(column)}" for column in self._keys])
            held = key_expression(self._keys, [f"t.{quote(column.name)}" for column in self._keys])
            fresh = (
                f"ANTI JOIN {self._target} t ON t._tr_pos = i.pos AND {held} = {key}"
                f" QUALIFY row_number() OVER (PARTITION BY {key}, i.pos ORDER BY i.line) = 1"
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

    def _insert(self, meta: dict[str, str], which: str) -> None:
        """Whole rows, so an attribute that an item no longer has becomes NULL."""
        names = [quote(column.name) for column in self._columns] + list(meta)
        values = [f"i.c{n}" for n in range(len(self._columns))] + list(meta.values())
        self._session.run(
            f"INSERT INTO {self._target} ({', '.join(names)}) SELECT {', '.join(values)} FROM temp.incoming i {which}"
        )


def _column_of(columns: Sequence[Column], attribute: str, tag: str) -> Column:
    return next(c for c in columns if c.attribute == attribute and c.tag == tag)


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
