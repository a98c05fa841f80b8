"""Every kind of statement that a target of a SQL server writes: scenarios, and connections that note what they are given.

Nothing in a statement depends on when or where it is written, except what `plain` takes out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
from sqlglot.dialects import Redshift
from sqlglot.tokens import Token, TokenType

from tailrace.model.keys import KeySchema
from tailrace.targets.postgres import PostgresConnection
from tailrace.targets.redshift.data_api import DataApiConnection
from tailrace.targets.target import LoadedSegment, Mode
from tailrace.testing.target_contract import (
    BINARY,
    COMPOSITE,
    HISTORY,
    MIXED,
    MODES,
    NUMBER,
    PK,
    Change,
    Replica,
    put,
)

_UUID = re.compile(r"unload/[0-9a-f]{32}/")
_CONTENT = re.compile(r"/[0-9a-f]{16}\.manifest")


def plain(statement: str) -> str:
    """Without what the clock, chance, or the version of the library that writes Parquet decides."""
    return _CONTENT.sub("/<content>.manifest", _UUID.sub("unload/<uuid>/", statement))


# What sqlglot's Redshift reads as a command of which it knows no more than the first word.
OPAQUE = ("LOCK", "UNLOAD")


def tokens_of(statement: str) -> list[Token]:
    """With what stands behind a word that sqlglot does not look behind."""
    word = statement.split(None, 1)[0]
    if word not in OPAQUE:
        return Redshift().tokenize(statement)
    first, *rest = Redshift().tokenize(f"SELECT {statement.removeprefix(word)}")
    return [Token(TokenType.VAR, word), *rest] if first else []


class NotedRedshift(DataApiConnection):
    """COPY and UNLOAD included."""

    said: list[tuple[str, ...]]

    def _finished(self, statements: Sequence[str], name: str = "", *, writes: bool = True) -> dict[str, Any]:
        self.said.append(tuple(map(plain, statements)))
        return super()._finished(statements, name, writes=writes)


class NotedPostgres(PostgresConnection):
    """Without the COPY that its connection writes."""

    said: list[tuple[str, ...]]

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        self.said.append((sql,))
        return super().rows(sql)

    def batches(self, sql: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        self.said.append((sql,))
        return super().batches(sql, schema)

    def results(self, statements: Sequence[str]) -> list[list[tuple[Any, ...]]]:
        self.said.append(tuple(statements))
        return super().results(statements)

    def transaction(self, statements: Sequence[str], name: str = "") -> None:
        self.said.append(tuple(statements))
        super().transaction(statements, name)

    def stage(self, create: Sequence[str], table: str, rows: pa.Table, name: str = "") -> None:
        self.said.append(tuple(create))
        super().stage(create, table, rows, name)


Make = Callable[[Mode, KeySchema], Replica]
"""A replica over a new place, in which what is said is noted."""

EVERY_TYPE = put(
    1, s={"S": "it's \\"}, n={"N": "1"}, d={"N": "1.25"}, t={"N": "1E-130"}, b={"B": "AP8="}, o={"BOOL": True}, z={"NULL": True},
    m={"M": {"a": {"N": "1.50"}}}, l={"L": [{"S": "x"}]}, ss={"SS": ["a"]}, ns={"NS": ["1", "2.5"]}, bs={"BS": ["AP8="]},
)  # fmt: skip
KEY_VALUES: dict[str, tuple[dict[str, str], str | bytes]] = {
    "S": ({"S": "it's \\"}, "it's \\"),
    "N": ({"N": "12.5"}, "12.5"),
    "B": ({"B": "AP8="}, b"\x00\xff"),
}


def scenarios() -> Iterator[tuple[str, Callable[[Make], None]]]:
    """Title and what to do, for each."""
    for mode in MODES:
        yield f"{mode}: made, columns added and widened, rows merged, replayed, swept, read", _life(mode)
    for keys in (COMPOSITE, BINARY, MIXED, NUMBER):
        yield f"a key of {' and '.join(a.tag for a in keys.attributes)}", _keyed(keys)
    yield "every type", lambda make: _read(make("current", PK), EVERY_TYPE)


def _life(mode: Mode) -> Callable[[Make], None]:
    def live(make: Make) -> None:
        replica = make(mode, PK)
        for segment in HISTORY:
            replica.apply(segment)
        replica.apply((6, [Change("r", {"pk": {"S": "base"}}), Change("r", {"pk": {"S": "a"}})]))
        replayed = replica.load((7, [put(11, "b", x={"N": "6"})]))
        segment = replace(replayed.segments[0].segment, kind="replay")
        replica.target.apply(replace(replayed, segments=[LoadedSegment(segment, 1, 0)]))
        replica.target.apply(replica.sweep(8, 2))
        assert replica.ledger.applied_through == 8
        replica.shown()
        replica.found(["a"], ["it's \\"])

    return live


def _keyed(keys: KeySchema) -> Callable[[Make], None]:
    item = {a.name: KEY_VALUES[a.tag][0] for a in keys.attributes}

    def live(make: Make) -> None:
        for mode in MODES if keys == MIXED else MODES[:1]:
            replica = make(mode, keys)
            replica.apply((1, [Change("u", item, 1)]))
            replica.apply((2, [Change("d", item, 2)]))
            replica.target.apply(replica.sweep(3, 2))
            replica.found([KEY_VALUES[a.tag][1] for a in keys.attributes])

    return live


def _read(replica: Replica, change: Change) -> None:
    replica.apply((1, [change]))
    replica.shown()


def told(
    make: Callable[[list[tuple[str, ...]]], Make],
) -> dict[str, list[tuple[str, ...]]]:
    """What each scenario says: statements that are carried out together, in order."""
    found: dict[str, list[tuple[str, ...]]] = {}
    for title, scenario in scenarios():
        found[title] = []
        scenario(make(found[title]))
    return found


def golden(said: dict[str, list[tuple[str, ...]]]) -> str:
    """Each statement once, where it comes for the first time. A blank line ends a transaction."""
    seen: set[str] = set()
    lines = []
    for title, transactions in said.items():
        lines.append(f"-- {title}\n\n")
        for statements in transactions:
            new = [statement for statement in statements if statement not in seen]
            seen.update(new)
            lines += [f"{statement};\n" for statement in new]
            if new:
                lines.append("\n")
    return "".join(lines)
