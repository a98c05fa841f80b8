"""10,000 names that somebody chose in order to do harm, in every statement: what each statement means does not depend on them.

A name goes into statements as an identifier or as a literal. Each statement is written with plain names and with
hostile ones, and read by two parsers: sqlglot's Redshift and PostgreSQL's own. Both readings must be the same, but for
identifiers and literals that say exactly the name that was meant.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import pglast
import pytest
from pglast.parser import parse_sql_json
from sqlglot.errors import TokenError
from statements import tokens_of

from tailrace.clock import ManualClock
from tailrace.decide.schema import plan_columns
from tailrace.model.keys import KeyAttribute, KeySchema
from tailrace.model.schema import AttributeSeen, Column, ColumnType, Tag
from tailrace.model.segments import Segment
from tailrace.targets.planning import META_TYPES, spelled
from tailrace.targets.postgres import PostgresDialect
from tailrace.targets.redshift.dialect import RedshiftDialect
from tailrace.targets.redshift.staging import Staging
from tailrace.targets.target import LedgerRow, Load, LoadedSegment, TableSpec
from tailrace.targets.warehouse.dialect import Dialect
from tailrace.targets.warehouse.statements import Names, Writer, escaped, unescaped
from tailrace.targets.warehouse.target import RESERVED, WarehouseTarget, _State
from tailrace.testing.target_contract import MODES

COUNT = 10_000
AT_ONCE = 20  # names in one table
TRICKS = (
    '"', '""', "'", "''", "\\", "\\'", '\\"', ";", "--", "/*", "*/", "$$", "$tag$", "E'", "U&'", "\0", "\n", "\r",
    "\t", "\x1a", "\x7f", "\x85", "\u2028", "\u202e", "\u200b", "\ufeff", "\u02bc", "\u2019", "\u201d", "\uff02",
    "\uff07", "\uff1b", "\u037e", "\u0301", "\u0130", "\u0131", "\u212a", "\ufffd", "\U0001f600", "\U000e0041", ".",
    ",", "(", ")", "%", "%s", "{}", "{0}", "$1", ":name", "?", "@", "#", "`", "[", "]", " ", "), (",
    "'); DROP TABLE orders; --", '"; DROP TABLE orders; --', "\\'; DROP TABLE orders; --", "' OR '1'='1", "a" * 60,
    "\u00fc" * 60,
)  # fmt: skip
WORDS = (
    "select",
    "SELECT",
    "table",
    "user",
    "tag",
    "key",
    "order",
    "Order",
    "ORDER",
    "null",
    "true",
    "orders",
    "pk",
    "PK",
    "x",
    "public",
)
LONG = 255


def hostile_names(count: int, seed: int = 20261124) -> list[str]:
    """Different ones, always the same."""
    draw = random.Random(seed)
    found = dict.fromkeys(
        [*TRICKS, *WORDS, *META_TYPES, *RESERVED, "_tailrace_ledger", "_tailrace_tables", "c0", "s", "op", "pos"]
    )
    while len(found) < count:
        kind = draw.randrange(6)
        parts = [draw.choice(TRICKS if draw.random() < 0.7 else WORDS) for _ in range(draw.randrange(1, 6))]
        name = "".join(parts)
        if kind == 0:  # as long as a name of an attribute may be in a key, cut anywhere
            name = (name * LONG).encode("utf-8", "surrogatepass")[: draw.randrange(120, LONG)].decode(errors="ignore")
        elif kind == 1:  # the same but for case, or only after it was cut
            name = draw.choice(["{}", "{}\u00df", "{}A"]).format(draw.choice(list(found)[-50:]).swapcase())
        elif kind == 2:  # any code points
            name = "".join(
                chr(draw.choice([draw.randrange(0x80), draw.randrange(0xD800), draw.randrange(0xE000, 0x110000)]))
                for _ in parts
            )
        elif kind == 3:
            name = f"{draw.choice(list(META_TYPES))}{name}"
        if name:
            found[name[:LONG]] = None
    return list(found)[:count]


NAMES = hostile_names(COUNT)


# ---- one table with some names, in every statement

KINDS: tuple[tuple[Tag, ColumnType], ...] = (
    ("S", ColumnType("string")), ("B", ColumnType("binary")), ("N", ColumnType("decimal", 2)), ("M", ColumnType("json")),
    ("SS", ColumnType("list_string")), ("N", ColumnType("int64")), ("BOOL", ColumnType("bool")), ("N", ColumnType("number_text")),
)  # fmt: skip


class World:
    """What a table with these attributes is called and called for. `texts`: every name and text in it, in a fixed order."""

    def __init__(self, dialect: Dialect, attributes: Sequence[str]) -> None:
        self.dialect = dialect
        plan = plan_columns((), {(name, "S"): AttributeSeen(1) for name in attributes}, None, reserved=RESERVED)
        plan = spelled(plan, dialect.spell, str.lower, RESERVED)
        kinds = itertools.cycle(KINDS)
        self.columns = [
            Column(c.attribute, tag, c.name, type_) for c, (tag, type_) in zip(plan.columns, kinds, strict=False)
        ]
        first, second = (KeyAttribute(c.attribute, c.tag) for c in self.columns[:2])  # type: ignore[arg-type]
        self.keys = KeySchema(first, second)
        self.table, self.schema = (dialect.spell(c.attribute) for c in self.columns[2:4])
        self.names = Names(dialect, self.schema, self.table)
        self.value = self.columns[4].attribute.replace("\0", "")
        self.stage = f"{self.names.stages}0"

    def texts(self) -> Iterator[str]:
        """What stands in quotation marks of either kind."""
        fold, names = self.dialect.fold, self.names
        yield from (self.table, self.schema, fold(self.table), self.value, names.buried[1:-1])
        yield from (self.stage, f"{self.stage}_v", f"{self.stage}_w", f"{names.stages}anew", f"{names.stages}%")
        yield json.dumps(self.keys.to_json())
        yield from (f"s3://lake/{self.stage}", self.names.target)
        for column in self.columns:
            yield from (column.name, escaped(column.attribute))

    def statements(self) -> Iterator[str]:
        d, names, columns = self.dialect, self.names, self.columns
        table = d.quote(self.schema, self.stage)
        for mode in MODES:
            spec = TableSpec("Source", self.table, mode, self.keys, "incarnation")
            writer = Writer(d, names, spec, 7)
            segment = Segment(1, "changes/1", "stream", 1, 1, "0" * 64, 0)
            load = Load(spec, 1, [LoadedSegment(segment, 1, 0)], None, {}, 0)  # type: ignore[arg-type]
            if mode == "current":  # these are the same in all modes
                yield from writer.internal_tables()
                yield from writer.created(columns, self.keys)
                yield from writer.added(columns[3:], 3)
                wide = Column(columns[5].attribute, "N", columns[5].name, ColumnType("decimal", 2))
                yield from writer.widened(columns[5], wide, 5, columns, [columns[6].name], is_grown=False)
                grown = d.grow(names.target, columns[0].name, ColumnType("string", 1024))
                yield from () if grown is None else (grown,)
                yield from writer.staging(self.stage, columns, [])
                yield from writer.entered(
                    [LedgerRow(1, "changes/1", 1, "0" * 64, 1, 0, 1, 0, None, None, None, 1)], 1, None, 1
                )
            yield from writer.applied(
                self.stage, 1, "0001|1|1", columns, load, 0, is_replay=mode == "changelog", sweeps=True
            )
            if mode == "soft_delete":  # and is read as a history is
                continue
            target = WarehouseTarget("t", "redshift", self.schema, None, d, ManualClock())  # type: ignore[arg-type]
            wanted = f"{d.quote(columns[0].name)} = {d.value_literal(columns[0], self.value)}"
            reading = target._live_rows(spec, _State(1, 1, tuple(columns), (), 1, None, {}, ()), wanted)
            yield reading
            if isinstance(d, RedshiftDialect):
                yield Staging(None, "s3://lake", "role").unload(reading, "unload/1")
        yield d.columns_of(self.schema, ["_tailrace_ledger", d.fold(self.table)])
        yield d.tables_like(self.schema, names.stages)
        if isinstance(d, RedshiftDialect):
            yield Staging(None, "s3://lake", "role").copy(table, f"s3://lake/{self.stage}")


@cache
def plain(dialect: type[Dialect]) -> World:
    return World(dialect(), [f"plain{number:02}" for number in range(AT_ONCE)])


# ---- judges

Leaf = tuple[Any, str]


def sqlglots(statement: str) -> list[Leaf]:
    """Its tokens: kind and text, without the quotation marks."""
    return [(token.token_type, token.text) for token in tokens_of(statement)]


def postgresqls(statement: str) -> list[Leaf] | None:
    """The leaves of its tree; None where PostgreSQL has no such statement."""
    try:
        tree = json.loads(parse_sql_json(statement))
    except pglast.parser.ParseError:
        return None
    assert len(tree["stmts"]) == 1, statement
    return list(_leaves(tree["stmts"][0]["stmt"], ""))


def _leaves(node: Any, path: str) -> Iterator[Leaf]:
    if isinstance(node, dict):
        for key, value in node.items():
            if not key.endswith(("location", "list_start", "list_end")):
                yield (path, key)
                yield from _leaves(value, key)
    elif isinstance(node, list):
        yield (path, str(len(node)))
        for value in node:
            yield from _leaves(value, path)
    else:
        yield (path, node)


def cut(name: str) -> str:
    """As PostgreSQL keeps a name."""
    return name.encode()[:63].decode(errors="ignore")


class Judge:
    """Of one dialect's statements, by one parser."""

    def __init__(self, dialect: type[Dialect], parser: Any) -> None:
        self._parser = parser
        self._is_postgres = parser is postgresqls
        self._escapes = self._is_postgres and issubclass(
            dialect, RedshiftDialect
        )  # a backslash is a letter in PostgreSQL
        self._plain = plain(dialect)
        self._meant = [(s, parser(s)) for s in self._plain.statements()]
        self.read = sum(leaves is not None for _, leaves in self._meant)

    def check(self, world: World) -> None:
        expected: dict[str, set[str]] = {}
        for before, after in zip(self._plain.texts(), world.texts(), strict=True):
            expected.setdefault(before, set()).add(after)
        for (meant, leaves), statement in zip(self._meant, world.statements(), strict=True):
            if leaves is not None:
                self._same(meant, leaves, statement, expected)

    def _same(self, meant: str, leaves: list[Leaf], statement: str, expected: dict[str, set[str]]) -> None:
        found = self._parser(statement)
        assert found is not None, f"cannot be read: {statement}"
        assert len(found) == len(leaves), f"says something else than {meant}: {statement}"
        for (kind, before), (other, after) in zip(leaves, found, strict=True):
            assert kind == other, f"says something else than {meant}: {statement}"
            if before != after and not (isinstance(before, str) and self._is_meant(before, after, expected)):
                raise AssertionError(f"{after!r} instead of {before!r} in {statement}")

    def _is_meant(self, before: str, after: str, expected: dict[str, set[str]]) -> bool:
        if before.startswith("SELECT"):  # inside UNLOAD
            self._same(before, self._parser(before), after, expected)
            return True
        allowed = expected.get(before, set())
        if self._is_postgres:
            allowed = allowed | {cut(name) for name in allowed}
        return after in allowed or (self._escapes and after.replace("\\\\", "\\") in allowed)


JUDGES = {
    "Redshift by sqlglot": (RedshiftDialect, sqlglots),
    "Redshift by PostgreSQL's parser": (RedshiftDialect, postgresqls),
    "PostgreSQL by its own parser": (PostgresDialect, postgresqls),
}


@pytest.mark.parametrize("judge", JUDGES)
def test_no_name_changes_what_a_statement_says(judge: str) -> None:
    dialect, parser = JUDGES[judge]
    assert Judge(dialect, parser).read > 40
    check_all(dialect, parser)


def check_all(dialect: type[Dialect], parser: Any) -> None:
    judging = Judge(dialect, parser)
    for at in range(0, COUNT, AT_ONCE):
        world = World(dialect(), NAMES[at : at + AT_ONCE])
        assert len({world.dialect.fold(column.name) for column in world.columns}) == AT_ONCE
        judging.check(world)


class Unquoting(RedshiftDialect):
    def quote(self, *names: str) -> str:
        return ".".join(f'"{name}"' for name in names)


class Unescaping(RedshiftDialect):
    def text_literal(self, value: str) -> str:
        return "'" + value.replace("'", "''") + "'"


class Undoubling(PostgresDialect):
    def text_literal(self, value: str) -> str:
        return "'" + value.replace("'", "\\'") + "'"


class Cutting(RedshiftDialect):
    def spell(self, name: str) -> str:
        return self.fold((name.replace("\0", "\u2400") or "_").encode()[: self.name_bytes].decode("utf-8", "replace"))


class Dropping(PostgresDialect):
    def spell(self, name: str) -> str:
        return name


@pytest.mark.parametrize(
    ("broken", "parser"),
    [
        (Unquoting, sqlglots),
        (Unescaping, sqlglots),
        (Undoubling, postgresqls),
        (Cutting, sqlglots),
        (Dropping, postgresqls),
    ],
)
def test_the_judges_notice_a_dialect_that_is_careless(broken: type[Dialect], parser: Any) -> None:
    with pytest.raises((AssertionError, TokenError, ValueError)):
        check_all(broken, parser)


def test_names_come_back_from_our_own_tables_as_they_were() -> None:
    for name in NAMES:
        assert unescaped(escaped(name)) == name
        assert "\0" not in escaped(name)
