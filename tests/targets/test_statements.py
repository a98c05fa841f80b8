"""Every statement that the targets of SQL servers write: as the golden files have them, and what judges say of them.

``make golden`` writes the files anew; look at what changed before you commit it.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pglast
import pytest
import sqlglot
from redshift_place import ROLE
from sqlglot import exp
from sqlglot.tokens import TokenType
from statements import OPAQUE, NotedPostgres, NotedRedshift, golden, tokens_of, told

from tailrace.clock import ManualClock, SystemClock
from tailrace.local.redshift.postgres import USER, PostgresServer
from tailrace.local.redshift.sql import read_statement
from tailrace.model.keys import KeySchema
from tailrace.model.schema import Column, ColumnType
from tailrace.targets.postgres import PostgresDialect
from tailrace.targets.redshift.data_api import BATCH_STATEMENTS, STATEMENT_BYTES, Warehouse
from tailrace.targets.redshift.dialect import RedshiftDialect
from tailrace.targets.redshift.staging import Staging
from tailrace.targets.target import Mode
from tailrace.targets.warehouse.target import WarehouseTarget
from tailrace.testing.target_contract import COMPOSITE, PK, Replica

pytestmark = pytest.mark.embedded

GOLDEN = Path(__file__).parent / "golden"
Said = dict[str, list[tuple[str, ...]]]


@pytest.fixture(scope="module")
def redshift(clients: dict[str, Any]) -> Said:
    staging = Staging(clients["s3"], "s3://lake/golden", ROLE)

    def make(said: list[tuple[str, ...]]) -> Any:
        def replica(mode: Mode, keys: KeySchema) -> Replica:
            place = Warehouse("dev", workgroup="golden")
            connection = NotedRedshift(clients["redshift-data"], place, staging, SystemClock())
            connection.said = []
            connection.transaction(["DROP SCHEMA IF EXISTS lake CASCADE", "CREATE SCHEMA lake"])
            connection.said = said
            return Replica(
                WarehouseTarget("dwh", "redshift", "lake", connection, RedshiftDialect(), ManualClock()), mode, keys
            )

        return replica

    return told(make)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Said]:
    with PostgresServer() as server:
        settings = {"host": str(server.folder), "user": USER}

        def make(said: list[tuple[str, ...]]) -> Any:
            def replica(mode: Mode, keys: KeySchema) -> Replica:
                connection = NotedPostgres({**settings, "dbname": "postgres"}, "lake")
                connection.said = []
                connection.transaction(["DROP SCHEMA IF EXISTS lake CASCADE", "CREATE SCHEMA lake"])
                connection.said = said
                return Replica(
                    WarehouseTarget("pg", "postgres", "lake", connection, PostgresDialect(), ManualClock()), mode, keys
                )

            return replica

        yield told(make)


@pytest.fixture(params=["redshift", "postgres"])
def said(request: pytest.FixtureRequest) -> tuple[str, Said]:
    return request.param, request.getfixturevalue(request.param)


def test_statements_are_those_of_the_golden_file(said: tuple[str, Said]) -> None:
    name, found = said
    file = GOLDEN / f"{name}.sql"
    if os.environ.get("GOLDEN") == "write":
        file.write_text(golden(found), encoding="utf-8")
    assert golden(found) == file.read_text(encoding="utf-8"), "if this was meant: make golden"


def all_of(said: Said) -> list[str]:
    """Those inside an UNLOAD, too."""
    found = dict.fromkeys(statement for each in said.values() for statements in each for statement in statements)
    inner = [tokens_of(statement)[2].text for statement in found if statement.startswith("UNLOAD")]
    return list(dict.fromkeys([*found, *inner]))


# ---- sqlglot and PostgreSQL's own parser


def test_sqlglot_reads_each_statement_as_one_and_but_two_words_as_no_more_than_a_word(redshift: Said) -> None:
    opaque = set()
    for statement in all_of(redshift):
        (parsed,) = sqlglot.parse(statement, dialect="redshift")
        if isinstance(parsed, exp.Command):
            opaque.add(statement.split(None, 1)[0])
    assert opaque == set(OPAQUE)


def test_postgresql_reads_each_of_its_statements_as_one(postgres: Said) -> None:
    for statement in all_of(postgres):
        assert len(pglast.parse_sql(statement)) == 1


# ---- what Redshift has not, and PostgreSQL does not mind

WORDS_MISSING = (
    "RETURNING",
    "CONFLICT",
    "LATERAL",
    "FILTER",
    "ORDINALITY",
    "TABLESAMPLE",
    "MERGE",
    "JSONB",
    "BYTEA",
    "TEXT",
    "ARRAY",
)


# From AWS's list, without those that our statements use for what they mean.
RESERVED = set(
    """
    AES128 AES256 ALLOWOVERWRITE ANALYSE ANALYZE ANY ARRAY ASC AUTHORIZATION AZ64 BACKUP BINARY
    BLANKSASNULL BOTH BYTEDICT BZIP2 CHECK COLLATE CONSTRAINT CREDENTIALS CROSS CURRENT_DATE CURRENT_TIME
    CURRENT_TIMESTAMP CURRENT_USER CURRENT_USER_ID DEFAULT DEFERRABLE DEFLATE DEFRAG DELTA DELTA32K DISABLE DO
    EMPTYASNULL ENABLE ENCODE ENCRYPT ENCRYPTION EXCEPT EXPLICIT FOR FOREIGN FREEZE FULL GLOBALDICT256
    GLOBALDICT64K GRANT GROUP GZIP HAVING IDENTITY IGNORE ILIKE INITIALLY INNER INTERSECT INTERVAL ISNULL
    LEADING LOCALTIME LOCALTIMESTAMP LUN LUNS LZO LZOP MINUS MOSTLY16 MOSTLY32 MOSTLY8 NATURAL NEW NOTNULL NULLS
    OFF OFFLINE OFFSET OID OLD ONLY OPEN OUTER OVERLAPS PARALLEL PERCENT PERMISSIONS PIVOT PLACING PRIMARY RAW
    READRATIO RECOVER REFERENCES REJECTLOG RESORT RESPECT RESTORE RIGHT SESSION_USER SIMILAR SNAPSHOT SOME
    SYSDATE SYSTEM TAG TDES TEXT255 TEXT32K TOP TRUNCATECOLUMNS UNIQUE UNNEST UNPIVOT USER VERBOSE WALLET WITH
    WITHOUT
    """.split()  # noqa: SIM905
)


def test_nothing_is_said_that_redshift_has_not(redshift: Said) -> None:
    for statement in all_of(redshift):
        read_statement(statement, in_transaction=True)  # the rules of the stand-in
        tokens = tokens_of(statement)
        words = [token.text.upper() if token.token_type not in QUOTED else "" for token in tokens]
        assert not set(words) & {*WORDS_MISSING, *RESERVED}, statement
        pairs = list(itertools.pairwise(words))
        assert ("DISTINCT", "ON") not in pairs, statement
        assert ("FOR", "UPDATE") not in pairs, statement
        assert ";" not in words, statement
        if words[:2] == ["ALTER", "TABLE"]:
            assert "," not in _outside_brackets(words), statement
        for token in tokens:
            if token.token_type == TokenType.IDENTIFIER:
                assert 0 < len(token.text.encode()) <= 127, statement


QUOTED = (TokenType.IDENTIFIER, TokenType.STRING)


def _outside_brackets(words: list[str]) -> list[str]:
    depth, found = 0, []
    for word in words:
        depth += (word == "(") - (word == ")")
        if depth == 0:
            found.append(word)
    return found


def test_batches_and_statements_are_as_short_as_the_data_api_wants_them(redshift: Said) -> None:
    for transactions in redshift.values():
        for statements in transactions:
            assert len(statements) <= BATCH_STATEMENTS
            assert all(len(statement.encode()) <= STATEMENT_BYTES for statement in statements)


@pytest.mark.parametrize("name", ["redshift", "postgres"])
def test_who_changes_the_table_locks_it_before_anything_is_read(name: str, request: pytest.FixtureRequest) -> None:
    """What was read before the lock would be the state before the other loader, in Redshift's isolation as in PostgreSQL's."""
    said: Said = request.getfixturevalue(name)
    changing = 0
    for transactions in said.values():
        for statements in transactions:
            if any(
                re.match(r'(INSERT INTO|UPDATE|DELETE FROM|ALTER TABLE) "lake"\."(orders|_tailrace_[lt])', s)
                for s in statements
            ):
                assert statements[0].startswith("LOCK"), statements
                assert sum(s.startswith("LOCK") for s in statements) == 1
                changing += 1
    assert changing > 40


def test_spaces_at_the_end_of_a_key_count_in_redshift(redshift: Said) -> None:
    """Where it compares VARCHARs they do not, unlike in DynamoDB and in PostgreSQL: two keys would be one row."""
    compared = re.compile(r'(?<!SET )(?<!, )((?:"\w+"\.|\b[a-z]\.)?(?:"[ps]k"|\bkey)) = ')
    grouped = re.compile(r"PARTITION BY ([^\s,]+)(, length\(\1\))?")
    found = 0
    for title, transactions in redshift.items():
        if title.startswith("a key") and title != "a key of S and S":
            continue
        for statement in itertools.chain.from_iterable(transactions):
            for match in compared.finditer(statement):
                assert f" AND length({match[1]}) = length(" in statement[match.end() :], (
                    f"{match.group()} in {statement}"
                )
                found += 1
            for match in grouped.finditer(statement):
                assert match[2], f"{match.group()} in {statement}"
                found += 1
    assert found > 100


@pytest.mark.parametrize("keys", [PK, COMPOSITE], ids=["one part", "two parts"])
def test_the_statement_that_looks_for_keys_has_room_for_any_of_them(keys: KeySchema) -> None:
    dialect, staging = RedshiftDialect(), Staging(None, "s3://lake/golden", ROLE)
    columns = [Column(a.name, a.tag, a.name, ColumnType("string")) for a in keys.attributes]
    wanted = [[f"{n:04}" + "'" * 2044, "\\" * 1024][: len(columns)] for n in range(50)]
    wanted += [[f"k{n}", "s"][: len(columns)] for n in range(3000)]
    said = [staging.unload(f"SELECT * FROM t WHERE {w}", "x") for w in dialect.among(columns, wanted)]
    assert max(len(statement.encode()) for statement in said) < STATEMENT_BYTES * 3 // 4
    assert sum(statement.count('"pk" = ') for statement in said) == len(wanted)
    assert len(said) < 50
