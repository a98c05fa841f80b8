"""The statements of one load into one table, for whoever carries them out. Text only.

A staging table holds what `planning.staged` chose; the statements compare it with what stands. Whatever lost is deleted from
the staging table, which is dropped in the end. All of them are one transaction, behind a guard that fails it where
anything is not as it was when they were written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import astuple

from tailrace import __version__
from tailrace.model.keys import KeySchema
from tailrace.model.positions import CLASS_BASE, order_key, order_prefix
from tailrace.model.schema import Column
from tailrace.targets.planning import META_NAMES, identity, key_columns
from tailrace.targets.target import LedgerRow, Load, LoadedSegment, TableSpec
from tailrace.targets.warehouse.dialect import Dialect

FORMAT = 2
STAGE_PREFIX = "_tailrace_stage_"
ROWS_MISSING = "staged rows are missing"  # or too many

# Column names and kinds of types; a text in Redshift needs a length, which the dialect knows.
INTERNAL: dict[str, dict[str, str]] = {
    "_tailrace_tables": {
        "name": "text",
        "format": "int",
        "source": "text",
        "mode": "text",
        "keys": "text",
        "incarnation": "text",
        "applied_through": "int",
        "through_ms": "int",
        "version": "int",
        "fence": "int",
    },
    "_tailrace_columns": {
        "table_name": "text",
        "place": "int",
        "attribute": "text",
        "tag": "text",
        "name": "text",
        "kind": "text",
        "scale": "int",
        "int64": "bool",
        "whole_digits": "int",
        "number_scale": "int",
    },
    "_tailrace_ledger": {
        "table_name": "text",
        "number": "int",
        "segment": "text",
        "epoch": "int",
        "sha256": "text",
        "row_count": "int",
        "quarantined": "int",
        "bytes": "int",
        "applied_ms": "int",
        "through_ms": "int",
        "lag_ms_p50": "int",
        "lag_ms_p99": "int",
        "fence": "int",
    },
}
"""Our own tables, in the schema of the target's."""


class Names:
    """The quoted names that belong to one target table. `own`: of columns, without a schema, as DELETE and UPDATE want it.

    `stages`: how the names of its staging tables begin, not quoted; `work`: how what goes on without its caller is called.
    """

    def __init__(self, dialect: Dialect, schema: str, table: str) -> None:
        digest = hashlib.sha256(dialect.fold(table).encode()).hexdigest()[:12]
        self._dialect = dialect
        self.schema = schema
        self.table = table
        self.target = dialect.quote(schema, table)
        self.own = dialect.quote(table)
        self.tombstones = dialect.quote(schema, f"_tailrace_tombstones_{digest}")
        self.buried = dialect.quote(f"_tailrace_tombstones_{digest}")
        self.stages = f"{STAGE_PREFIX}{digest}_"
        self.work = f"tailrace-{hashlib.sha256(json.dumps([schema, digest]).encode()).hexdigest()[:16]}-"

    def internal(self, name: str) -> str:
        return self._dialect.quote(self.schema, f"_tailrace_{name}")

    def stage(self, segments: Sequence[LoadedSegment], *how: object) -> str:
        """The name, not yet quoted, of the staging table of these segments. It says where they end and, by a hash, what is in it.

        `how`: everything else that decides that. So a table of this name is filled, for it is made and filled in one
        transaction.
        """
        what = json.dumps(
            [[(s.segment.number, s.segment.sha256, s.rows) for s in segments], __version__, how], default=repr
        )
        return f"{self.stages}{segments[-1].segment.number}_{hashlib.sha256(what.encode()).hexdigest()[:12]}"

    def staging(self, stage: str) -> str:
        """What the filling of a staging table is called."""
        return self.work + stage.removeprefix(self.stages)

    def applying(self, stage: str, version: int) -> str:
        """What the transaction is called that makes another version of the table with the rows of a staging table."""
        return f"{self.staging(stage)}-{version}"

    def end_of(self, name: str) -> int | None:
        """The number of the last segment of a staging table, or of work, of this name."""
        for prefix in (self.stages, self.work):
            number = name.removeprefix(prefix).partition("_")[0]
            if name.startswith(prefix) and number.isdecimal():
                return int(number)
        return None


class Writer:
    """Writes statements for one target table. `version` is what the table's row in ``_tailrace_tables`` must still say."""

    def __init__(self, dialect: Dialect, names: Names, spec: TableSpec, version: int) -> None:
        self._d = dialect
        self._n = self.names = names
        self._spec = spec
        self._version = self.version = version
        self._name = dialect.text_literal(dialect.fold(spec.name))

    # ---- around all of them

    def guard(self, condition: str, message: str) -> str:
        """Fails the transaction where `condition` does not hold."""
        telling = self._d.text_literal(f"tailrace: {message}")
        return f"SELECT CAST(CASE WHEN {condition} THEN '0' ELSE {telling} END AS INTEGER)"

    def begun(self) -> list[str]:
        """Nobody else loads, and nobody has since the state was read."""
        version = f"(SELECT count(*) FROM {self._n.internal('tables')} WHERE name = {self._name} AND version = {self._version})"
        return [self._d.lock([self._n.target]), self.guard(f"{version} = 1", "another loader was first")]

    def ended(self, settings: str = "") -> str:
        """The next one will see that we were here."""
        return (
            f"UPDATE {self._n.internal('tables')} SET version = {self._version + 1}{settings} WHERE name = {self._name}"
        )

    # ---- making and changing the table

    def internal_tables(self) -> list[str]:
        types = {"text": self._d.text, "int": "BIGINT", "bool": self._d.boolean}
        return [
            f"CREATE TABLE IF NOT EXISTS {self._d.quote(self._n.schema, table)}"
            f" ({', '.join(f'{self._d.quote(name)} {types[kind]}' for name, kind in columns.items())})"
            for table, columns in INTERNAL.items()
        ]

    def created(self, columns: Sequence[Column], keys: KeySchema) -> list[str]:
        """A table that nobody has made yet, with its first columns."""
        d, n, spec = self._d, self._n, self._spec
        tables = n.internal("tables")
        key = key_columns(columns, keys)
        parts = [d.text_literal(part) for part in identity(spec)]
        moment = f", moment {d.moment}" if spec.mode == "history" else ""
        return [
            d.lock([tables]),
            self.guard(f"(SELECT count(*) FROM {tables} WHERE name = {self._name}) = 0", "another loader was first"),
            f"CREATE TABLE {n.target} ({', '.join(self._definitions(columns))}){d.create_options(spec, columns)}",
            *d.index(n.target, key),
            f"CREATE TABLE {n.tombstones} (key {d.text}, pos {d.place}{moment})",
            f"INSERT INTO {tables} VALUES ({self._name}, {FORMAT}, {', '.join(parts)}, 0, NULL, {self._version}, 0)",
            *self._recorded(columns, 0),
        ]

    def _definitions(self, columns: Sequence[Column]) -> list[str]:
        d = self._d
        attributes = [f"{d.quote(column.name)} {d.column_type(column.type)}" for column in columns]
        return attributes + [f"{name} {d.meta_type(name)}" for name in META_NAMES[self._spec.mode]]

    def added(self, columns: Sequence[Column], first_place: int) -> list[str]:
        d, target = self._d, self._n.target
        return [
            *self.begun(),
            *(f"ALTER TABLE {target} ADD COLUMN {d.quote(c.name)} {d.column_type(c.type)}" for c in columns),
            *self._recorded(columns, first_place),
            self.ended(),
        ]

    def widened(
        self, old: Column, new: Column, place: int, columns: Sequence[Column], foreign: Sequence[str], *, is_grown: bool
    ) -> list[str]:
        """`columns`: all that the table has, as they are now; `foreign`: those of others; `is_grown`: there is room already."""
        forgotten = f"DELETE FROM {self._n.internal('columns')} WHERE table_name = {self._name} AND place = {place}"
        statements: list[str] | None = []
        if old.type != new.type and not is_grown:
            statements = self._d.widen(self._n.target, new.name, old.type, new.type)
        if statements is None:
            statements = self._made_anew(old, new, columns, foreign)
        return [*self.begun(), *statements, forgotten, *self._recorded([new], place), self.ended()]

    def _made_anew(self, old: Column, new: Column, columns: Sequence[Column], foreign: Sequence[str]) -> list[str]:
        """The table once more, with another type for one column."""
        d, target = self._d, self._n.target
        copy = d.quote(self._n.schema, f"{self._n.stages}anew")
        names = [*(c.name for c in columns), *foreign, *META_NAMES[self._spec.mode]]
        values = {old.name: f"{d.widened(d.quote(old.name), old.type, new.type)} AS {d.quote(old.name)}"}
        options = d.create_options(self._spec, columns)
        selected = ", ".join(values.get(name, d.quote(name)) for name in names)
        return [
            f"CREATE TABLE {copy}{options} AS SELECT {selected} FROM {target}",
            f"DROP TABLE {target}",
            f"ALTER TABLE {copy} RENAME TO {self._n.own}",
        ]

    def _recorded(self, columns: Sequence[Column], first_place: int) -> list[str]:
        rows = []
        for place, c in enumerate(columns, first_place):
            numbers = (
                (None, None, None) if c.numbers is None else (c.numbers.int64, c.numbers.whole_digits, c.numbers.scale)
            )
            values = (
                self._d.fold(self._spec.name),
                place,
                escaped(c.attribute),
                c.tag,
                c.name,
                c.type.kind,
                c.type.scale,
                *numbers,
            )
            rows.append(f"({', '.join(self._d.literal(value) for value in values)})")
        return self._inserts(self._n.internal("columns"), rows)

    def _inserts(self, table: str, rows: Sequence[str]) -> list[str]:
        """As few statements as their length allows."""
        statements: list[str] = []
        values: list[str] = []
        size = 0
        for row in rows:
            if values and size + len(row.encode()) > self._d.statement_bytes * 3 // 4:
                statements.append(f"INSERT INTO {table} VALUES {', '.join(values)}")
                values, size = [], 0
            values.append(row)
            size += len(row.encode()) + 2
        if values:
            statements.append(f"INSERT INTO {table} VALUES {', '.join(values)}")
        return statements

    # ---- a load

    def staging(self, stage: str, columns: Sequence[Column], extra: Sequence[str]) -> list[str]:
        """Make the staging table. `extra`: the names behind ``op, ts, pos, expired``."""
        d = self._d
        types = {"is_top": d.boolean, "is_image": d.boolean, "moment": d.moment}
        definitions = [f"c{n} {d.stage_type(column.type)}" for n, column in enumerate(columns)]
        definitions += [f"op {d.word}", "ts BIGINT", f"pos {d.place}", f"expired {d.boolean}"]
        definitions += [f"{name} {types[name]}" for name in extra]
        table = d.quote(self._n.schema, stage)
        return [f"CREATE TABLE {table} ({', '.join(definitions)})"]

    def applied(
        self,
        stage: str | None,
        rows: int,
        oldest: str | None,
        columns: Sequence[Column],
        load: Load,
        known_ms: int,
        *,
        is_replay: bool,
        sweeps: bool,
    ) -> list[str]:
        """Rows and ledger together. `stage` None: there is no row. `oldest`: the least order key of the staged ones."""
        merge = _Merge(self._d, self._n, self._spec, columns, load.loaded_ms, known_ms)
        statements = self.begun()
        if stage is not None and oldest is not None:
            table = self._d.quote(self._n.schema, stage)
            statements.append(self.guard(f"(SELECT count(*) FROM {table}) = {rows}", ROWS_MISSING))
            statements += merge.run(stage, oldest, is_replay=is_replay)
            statements.append(f"DROP TABLE {table}")
        if sweeps:
            statements += merge.sweep(load.epoch)
        return statements

    def entered(self, rows: Sequence[LedgerRow], through: int, through_ms: int | None, fence: int) -> list[str]:
        d = self._d
        values = [f"({self._name}, {', '.join(d.literal(value) for value in astuple(row))})" for row in rows]
        settings = (
            f", applied_through = {through}, through_ms = {d.literal(through_ms)},"
            f" incarnation = {d.text_literal(self._spec.incarnation)}, fence = {fence}"
        )
        return [*self._inserts(self._n.internal("ledger"), values), self.ended(settings)]


def escaped(text: str) -> str:
    """As JSON spells it between the quotation marks: any name, a NUL in it included, is a text that every server holds."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def unescaped(text: str) -> str:
    found: str = json.loads(f'"{text}"')
    return found


def telling(dialect: Dialect, parts: Sequence[str], keys: Sequence[Column]) -> list[str]:
    """What tells keys apart where rows are grouped by their parts."""
    return [
        expression
        for part, column in zip(parts, keys, strict=True)
        for expression in dialect.telling(part, is_text=column.tag == "S")
    ]


class _Merge:
    """The comparison of a staging table with what stands, by mode."""

    def __init__(
        self, dialect: Dialect, names: Names, spec: TableSpec, columns: Sequence[Column], loaded_ms: int, known_ms: int
    ) -> None:
        self._d = dialect
        self._n = names
        self._spec = spec
        self._columns = columns
        self._keys = key_columns(columns, spec.keys)
        self._key_places = [f"c{columns.index(column)}" for column in self._keys]
        self._loaded = dialect.moment_literal(loaded_ms)
        self._known = dialect.moment_literal(known_ms)
        self._stage = ""

    def run(self, stage: str, oldest: str, *, is_replay: bool) -> list[str]:
        self._stage = self._d.quote(self._n.schema, stage)
        mode = self._spec.mode
        if mode == "current":
            return self._replaced(oldest)
        if mode == "soft_delete":
            return self._marked()
        return self._appended(oldest, is_replay) if mode == "changelog" else self._versioned(stage)

    # ---- keys

    def _same_key(self, alias: str = "s", places: Sequence[str] = ()) -> str:
        """A row of the target, and a row under `alias`, have one key."""
        own = [f"{self._n.own}.{self._d.quote(column.name)}" for column in self._keys]
        return self._same(own, [f"{alias}.{place}" for place in places or self._key_places])

    def _same(self, ones: Sequence[str], others: Sequence[str]) -> str:
        """These and those are the parts of one key."""
        return " AND ".join(
            self._d.same(one, other, is_text=column.tag == "S")
            for one, other, column in zip(ones, others, self._keys, strict=True)
        )

    def _same_text(self, one: str, other: str) -> str:
        """Both are the text of one key."""
        return self._d.same(one, other, is_text=True)

    def _telling(self, parts: Sequence[str]) -> str:
        """The parts of a key, as rows are grouped by them."""
        return ", ".join(telling(self._d, parts, self._keys))

    def _key_text(self, expressions: Sequence[str]) -> str:
        """One injective text of a key: the length of its first part, then both."""
        parts = [self._d.key_part(e, column) for e, column in zip(expressions, self._keys, strict=True)]
        if len(parts) == 1:
            return parts[0]
        return f"CAST(length({parts[0]}) AS {self._d.text}) || ':' || ({parts[0]}) || ({parts[1]})"

    def _staged_key(self, alias: str) -> str:
        return self._key_text([f"{alias}.{name}" for name in self._key_places])

    def _inserted(self, values: Sequence[str], meta: dict[str, str], source: str) -> str:
        """Whole rows, so an attribute that an item no longer has becomes NULL."""
        names = [self._d.quote(column.name) for column in self._columns] + list(meta)
        return f"INSERT INTO {self._n.target} ({', '.join(names)}) SELECT {', '.join([*values, *meta.values()])} FROM {source}"

    def _values(self, alias: str) -> list[str]:
        return [self._d.from_stage(f"{alias}.c{n}", column.type) for n, column in enumerate(self._columns)]

    def _meta(self, **more: str) -> dict[str, str]:
        return {"_tr_op": "s.op", "_tr_ts": "s.ts", "_tr_pos": "s.pos", "_tr_loaded_at": self._loaded, **more}

    # ---- current: the newest change of each key; deleted keys leave a tombstone

    def _replaced(self, oldest: str) -> list[str]:
        """Only a row as new as the oldest staged one can win: that is asked first, because it spares nearly all of the join."""
        own, target, stage, tombstones, buried = (
            self._n.own,
            self._n.target,
            self._stage,
            self._n.tombstones,
            self._n.buried,
        )
        key = self._staged_key("s")
        staged_key, staged = self._staged_key(self._bare(stage)), self._bare(stage)
        lost = self._same_key(staged)
        return [
            (
                f"DELETE FROM {stage} USING {target} WHERE {own}._tr_pos >= '{oldest}' AND {lost}"
                f" AND {own}._tr_pos >= {staged}.pos"
            ),
            (
                f"DELETE FROM {stage} USING {tombstones} WHERE {buried}.pos >= '{oldest}'"
                f" AND {self._same_text(f'{buried}.key', staged_key)}"
                f" AND {buried}.pos >= {staged}.pos"
            ),
            f"DELETE FROM {target} USING {stage} s WHERE {self._same_key()}",
            f"DELETE FROM {tombstones} USING {stage} s WHERE {self._same_text(f'{buried}.key', key)}",
            f"INSERT INTO {tombstones} SELECT {key}, s.pos FROM {stage} s WHERE s.op = 'd'",
            self._inserted(self._values("s"), self._meta(), f"{stage} s WHERE s.op <> 'd'"),
        ]

    @staticmethod
    def _bare(qualified: str) -> str:
        """A staging table's name without its schema; ours hold no quotation mark."""
        return '"' + qualified.rsplit('."', 1)[1]

    # ---- soft_delete: the newest image of each key, and apart from it the newest change of any kind

    def _marked(self) -> list[str]:
        """Images and deletes are folded apart, so a row is the same however the changes were cut into loads."""
        own, target, stage = self._n.own, self._n.target, self._stage
        image = [f"{self._d.quote(c.name)} = {v}" for c, v in zip(self._columns, self._values("s"), strict=True)]
        same = self._same([f"i.{name}" for name in self._key_places], [f"s.{name}" for name in self._key_places])
        values = [
            self._d.from_stage(f"CASE WHEN i.op IS NULL THEN s.c{n} ELSE i.c{n} END", column.type)
            for n, column in enumerate(self._columns)
        ]
        meta = self._meta(_tr_deleted="s.op = 'd'", _tr_expired="s.expired", _tr_image_pos="i.pos")
        return [
            (
                f"UPDATE {target} SET _tr_op = s.op, _tr_ts = s.ts, _tr_pos = s.pos, _tr_deleted = (s.op = 'd'),"
                f" _tr_expired = s.expired, _tr_loaded_at = {self._loaded} FROM {stage} s"
                f" WHERE s.is_top AND {self._same_key()} AND s.pos > {own}._tr_pos"
            ),
            (
                f"UPDATE {target} SET {', '.join(image)}, _tr_image_pos = s.pos, _tr_loaded_at = {self._loaded} FROM {stage} s"
                f" WHERE s.is_image AND {self._same_key()}"
                f" AND ({own}._tr_image_pos IS NULL OR s.pos > {own}._tr_image_pos)"
            ),
            self._inserted(
                values,
                meta,
                f"{stage} s LEFT JOIN {stage} i ON i.is_image AND {same}"
                f" WHERE s.is_top AND NOT EXISTS (SELECT 1 FROM {target} WHERE {self._same_key()})",
            ),
        ]

    # ---- changelog: every change once; the ledger sees to it, and for replays the change's key and position

    def _appended(self, oldest: str, is_replay: bool) -> list[str]:
        which = ""
        if is_replay:
            own = f"{self._n.own}._tr_pos"
            standing = f"{own} >= '{oldest}' AND {self._same_key()} AND {own} = s.pos"
            which = f" WHERE NOT EXISTS (SELECT 1 FROM {self._n.target} WHERE {standing})"
        return [self._inserted(self._values("s"), self._meta(_tr_expired="s.expired"), f"{self._stage} s{which}")]

    # ---- history: a row for each image, from its moment to that of the next change; deletes are kept as ends only

    def _versioned(self, name: str) -> list[str]:
        """All versions of the keys of this load are laid side by side anew, so changes may come in any order.

        A base row says what was there when it was read, not since when. Where a change is as old as that, the base row may
        show it already, and would be told for the time before it: such a row is not kept.
        """
        d, own, target, stage, tombstones = self._d, self._n.own, self._n.target, self._stage, self._n.tombstones
        versions, valid = d.quote(self._n.schema, f"{name}_v"), d.quote(self._n.schema, f"{name}_w")
        keys = [f"k{n}" for n in range(len(self._keys))]
        own_keys = ", ".join(f"{own}.{d.quote(c.name)} AS {k}" for c, k in zip(self._keys, keys, strict=True))
        staged_keys = ", ".join(f"s.{name} AS {k}" for name, k in zip(self._key_places, keys, strict=True))
        by_key, partition = ", ".join(keys), self._telling(keys)
        found = f"{self._same_key('v', keys)} AND {own}._tr_pos = v.pos"
        same_staged = self._same([f"s.{name}" for name in self._key_places], [f"v.{k}" for k in keys])
        key = self._staged_key("s")
        each = ", ".join([staged_keys, f"{key} AS key", *d.telling(key, is_text=True)[1:]])
        return [
            (
                f"CREATE TABLE {versions} AS SELECT *, CASE WHEN is_base AND min(moment) OVER (PARTITION BY {partition}"
                " ORDER BY pos ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) <= moment THEN TRUE ELSE FALSE END AS is_lost"
                f" FROM (SELECT {own_keys}, {own}._tr_pos AS pos, {own}._tr_valid_from AS moment, FALSE AS is_end,"
                f" {own}._tr_op = 'r' AS is_base, FALSE AS is_new FROM {target}"
                f" WHERE EXISTS (SELECT 1 FROM {stage} s WHERE {self._same_key()})"
                f" UNION ALL SELECT {by_key}, b.pos, b.moment, TRUE, FALSE, FALSE FROM {tombstones} b"
                f" JOIN (SELECT DISTINCT {each} FROM {stage} s) x ON {self._same_text('b.key', 'x.key')}"
                f" UNION ALL SELECT {staged_keys}, s.pos, s.moment, s.op = 'd', s.op = 'r', TRUE FROM {stage} s"
                f" WHERE NOT EXISTS (SELECT 1 FROM {target} WHERE {self._same_key()} AND {own}._tr_pos = s.pos)"
                f" AND NOT EXISTS (SELECT 1 FROM {tombstones} b WHERE {self._same_text('b.key', key)} AND b.pos = s.pos)) u"
            ),
            (
                f"CREATE TABLE {valid} AS SELECT {by_key}, pos, moment, is_end, is_new,"
                f" lead(moment) OVER (PARTITION BY {partition} ORDER BY pos) AS until,"
                f" CASE WHEN lead(pos) OVER (PARTITION BY {partition} ORDER BY pos) IS NULL THEN TRUE ELSE FALSE END AS is_last"
                f" FROM {versions} WHERE NOT is_lost"
            ),
            (
                f"UPDATE {target} SET _tr_valid_to = v.until, _tr_is_current = v.is_last FROM {valid} v WHERE {found}"
                f" AND NOT v.is_end AND NOT v.is_new"
                f" AND ({own}._tr_is_current <> v.is_last OR {own}._tr_valid_to <> v.until)"
            ),
            f"DELETE FROM {target} USING {versions} v WHERE {found} AND v.is_lost AND NOT v.is_new",
            (
                f"INSERT INTO {tombstones} SELECT {self._key_text([f'v.{k}' for k in keys])}, v.pos, v.moment FROM {valid} v"
                " WHERE v.is_end AND v.is_new"
            ),
            self._inserted(
                self._values("s"),
                self._meta(_tr_valid_from="v.moment", _tr_valid_to="v.until", _tr_is_current="v.is_last"),
                f"{stage} s JOIN {valid} v ON {same_staged} AND s.pos = v.pos WHERE v.is_new AND NOT v.is_end",
            ),
            f"DROP TABLE {versions}",
            f"DROP TABLE {valid}",
        ]

    # ---- a sweep: what older epochs left

    def sweep(self, epoch: int) -> list[str]:
        """Every key that has nothing of `epoch` or later was deleted before it, as far as anybody knows."""
        first, position = order_prefix(epoch, CLASS_BASE), order_key(epoch, CLASS_BASE)
        target, tombstones, mode = self._n.target, self._n.tombstones, self._spec.mode
        keys = [self._d.quote(column.name) for column in self._keys]
        if mode == "current":
            return [
                f"DELETE FROM {target} WHERE _tr_pos < '{first}'",
                f"DELETE FROM {tombstones} WHERE pos < '{first}'",
            ]
        if mode == "soft_delete":
            return [
                (
                    f"UPDATE {target} SET _tr_deleted = TRUE, _tr_op = 'd', _tr_ts = NULL, _tr_expired = FALSE,"
                    f" _tr_pos = '{position}', _tr_loaded_at = {self._loaded} WHERE _tr_pos < '{first}' AND NOT _tr_deleted"
                )
            ]
        if mode == "history":
            left = f"_tr_is_current AND _tr_pos < '{first}'"
            return [
                (
                    f"INSERT INTO {tombstones} SELECT {self._key_text(keys)}, '{position}', {self._known} FROM {target}"
                    f" WHERE {left}"
                ),
                f"UPDATE {target} SET _tr_valid_to = {self._known}, _tr_is_current = FALSE WHERE {left}",
            ]
        by_key = ", ".join(keys)
        return [
            (
                f"INSERT INTO {target} ({by_key}, _tr_op, _tr_pos, _tr_loaded_at, _tr_expired)"
                f" SELECT {by_key}, 'd', '{position}', {self._loaded}, FALSE FROM (SELECT {by_key}, _tr_op, _tr_pos,"
                f" row_number() OVER (PARTITION BY {self._telling(keys)} ORDER BY _tr_pos DESC) AS newest FROM {target}) x"
                f" WHERE newest = 1 AND _tr_pos < '{first}' AND _tr_op <> 'd'"
            )
        ]
