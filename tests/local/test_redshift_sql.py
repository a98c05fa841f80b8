"""What of Redshift's SQL is taken, what is refused, and what becomes of names and types; nothing here needs a server."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.local.redshift.lexer import RedshiftError, postgres_name, tokens_of
from tailrace.local.redshift.sql import read_statement

MERGE = "MERGE INTO t USING s ON t.id = s.id "
UPDATE, INSERT = "WHEN MATCHED THEN UPDATE SET a = s.a ", "WHEN NOT MATCHED THEN INSERT (id) VALUES (s.id)"
COPY = "COPY t FROM 's3://b/m' IAM_ROLE 'arn:aws:iam::111122223333:role/r' "


@pytest.mark.parametrize(
    ("sql", "complaint"),
    [
        (MERGE + "WHEN MATCHED AND s.a > 1 THEN DELETE " + INSERT, "near"),
        (MERGE + UPDATE + "WHEN MATCHED THEN DELETE " + INSERT, "one WHEN MATCHED"),
        (MERGE + UPDATE, "one WHEN MATCHED"),
        (MERGE + INSERT, "one WHEN MATCHED"),
        (MERGE + "WHEN MATCHED THEN DO NOTHING " + INSERT, "near"),
        (MERGE + "WHEN MATCHED THEN UPDATE SET t.a = s.a " + INSERT, "near"),
        ("MERGE INTO t USING t ON t.id = t.id " + UPDATE + INSERT, "different tables"),
        (MERGE + "REMOVE DUPLICATES", "not in the Redshift stand-in"),
        ("INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING", "near"),
        ("DELETE FROM t RETURNING id", "near"),
        ("SELECT DISTINCT ON (a) a FROM t", "near"),
        ("SELECT a FROM t FOR UPDATE", "near"),
        ("WITH d AS (DELETE FROM t) SELECT 1", "near"),
        ("CREATE TABLE t (LIKE s INCLUDING ALL)", "near"),
        ("SELECT '\ud800'", "not UTF-8"),
        ("SELECT s->>'a' FROM t", "near"),
        ("SELECT ARRAY[1]", "near"),
        ("SELECT tag, name FROM t", 'near "tag"'),
        ("CREATE TABLE t (open INT)", 'near "open"'),
        ("SELECT $$a$$", "near"),
        ("SELECT 1; DROP TABLE t", "multiple commands"),
        ("SELECT '{}'::jsonb", 'type "jsonb" does not exist'),
        ("SELECT '{}'::super", "a cast to SUPER"),
        ("SELECT CAST(a AS bytea) FROM t", 'type "bytea" does not exist'),
        ("CREATE TABLE t (a uuid)", 'type "uuid" does not exist'),
        ("CREATE TABLE t (a DECIMAL(39, 2))", "precision 39"),
        ("CREATE TABLE t (a DECIMAL(38, 38))", "scale 38"),
        ("CREATE TABLE t (a VARCHAR(65536))", "cannot exceed 65535"),
        ("CREATE TABLE t (a SUPER SORTKEY)", "SUPER column"),
        ("CREATE TABLE t (a SUPER, b INT) DISTKEY (a)", "SUPER column"),
        ("CREATE TABLE t (a INT) SORTKEY (b)", "does not exist"),
        ("CREATE TABLE t (a INT CHECK (a > 1))", "near"),
        ("CREATE INDEX i ON t (a)", "near"),
        ("CREATE FUNCTION f() RETURNS int", "not in the Redshift stand-in"),
        ("ALTER TABLE t ADD COLUMN a INT, ADD COLUMN b INT", "near"),
        ("ALTER TABLE t ADD COLUMN IF NOT EXISTS a INT", "near"),
        ("ALTER TABLE t ADD COLUMN a INT NOT NULL", "non-null default"),
        ("ALTER TABLE t ALTER COLUMN a TYPE BIGINT", "cannot alter column"),
        ("LOCK t", "transaction block"),
        ("TRUNCATE a, b", "near"),
        ("SAVEPOINT s", "near"),
        ("SET standard_conforming_strings = on", "not in the Redshift stand-in"),
        ("SELECT 'a\\'; DROP TABLE t; --'' FROM t", "near"),
        ('SELECT ""', "zero-length"),
        (f'SELECT "{"é" * 64}"', "128 bytes"),
        (f"SELECT {'a' * 128}", "128 bytes"),
        (f"SELECT '{'a' * 16 * 1024 * 1024}'", "Statement is too large"),
        ("", "empty"),
        (COPY + "FORMAT PARQUET", "without MANIFEST"),
        (COPY + "MANIFEST", "anything but PARQUET and JSON"),
        (COPY + "MANIFEST FORMAT CSV", "FORMAT CSV"),
        (COPY + "MANIFEST FORMAT PARQUET MAXERROR 0", "MAXERROR argument is not supported for PARQUET"),
        (COPY + "MANIFEST FORMAT PARQUET COMPUPDATE OFF", "COMPUPDATE argument is not supported for PARQUET"),
        (COPY + "MANIFEST FORMAT PARQUET GZIP", "GZIP argument is not supported for PARQUET"),
        (COPY + "MANIFEST FORMAT JSON 'auto' MAXERROR 10", "leaves out rows"),
        (COPY + "MANIFEST FORMAT JSON 's3://b/paths'", "jsonpaths"),
        ("COPY t FROM 's3://b/m' MANIFEST FORMAT PARQUET", "needs IAM_ROLE"),
        ("COPY t FROM STDIN", "near"),
    ],
)
def test_what_redshift_or_the_stand_in_does_not_take_is_refused(sql: str, complaint: str) -> None:
    with pytest.raises(RedshiftError, match=complaint):
        read_statement(sql)


@pytest.mark.parametrize("sql", ["VACUUM t", "ALTER TABLE t ALTER COLUMN a TYPE VARCHAR(99)"])
def test_what_no_transaction_holds(sql: str) -> None:
    assert read_statement(sql).text
    with pytest.raises(RedshiftError, match="transaction block"):
        read_statement(sql, in_transaction=True)


@pytest.mark.parametrize(
    ("sql", "meant"),
    [
        ('SELECT "Id" FROM "My""Table"', 'SELECT "id" FROM "my""table"'),
        ("SELECT a -- b\r, c", "SELECT a , c"),
        ("SELECT a\u00a0b", "SELECT a\u00a0b"),
        ("SELECT a -- b\n, /* c /* d */ */ e", "SELECT a , e"),
        ("SELECT 'it''s', 'a\\'b', E'x'", "SELECT 'it''s' , 'a\\'b' , E'x'"),
        ("SELECT a::varchar(3), CAST(b AS DECIMAL), NULL::SUPER", None),
        ("BEGIN TRANSACTION ISOLATION LEVEL SERIALIZABLE", "BEGIN"),
        ("END", "COMMIT"),
        ("INSERT INTO t SELECT :a, :b, :a", "INSERT INTO t SELECT $1 , $2 , $1"),
        ("SET query_group TO 'x'", ""),
        ("TRUNCATE t", "TRUNCATE TABLE t"),
        (MERGE + "WHEN MATCHED THEN UPDATE SET a = CASE WHEN s.a > 1 THEN 2 ELSE 3 END " + INSERT, None),
    ],
)
def test_what_is_taken_and_becomes_of_it(sql: str, meant: str | None) -> None:
    text = read_statement(sql).text
    assert meant is None or text == meant


def test_a_reserved_word_is_a_name_in_quotes_behind_a_point_and_behind_as() -> None:
    assert '"tag"' in read_statement('SELECT "tag", t.tag, 1 AS tag FROM t').text


def test_a_table_keeps_its_columns_and_loses_its_hints() -> None:
    statement = read_statement(
        "CREATE TEMP TABLE \"S\" (a VARCHAR(10) ENCODE zstd PRIMARY KEY, b TEXT DEFAULT 'x', c VARBYTE, d SUPER, "
        "e DECIMAL NOT NULL DISTKEY, PRIMARY KEY (a), UNIQUE (b)) BACKUP NO DISTSTYLE KEY COMPOUND SORTKEY (a, b)"
    )
    assert statement.text == (
        'CREATE TEMP TABLE "s" ("a" "varchar(10)" NOT NULL, "b" "varchar(256)" DEFAULT \'x\', '
        '"c" "varbyte(64000)", "d" super, "e" numeric(18,0) NOT NULL)'
    )
    assert {str(domain) for domain in statement.domains} == {"varchar(10)", "varchar(256)", "varbyte(64000)"}


def test_copy_is_read() -> None:
    copy = read_statement(
        "COPY public.\"T\" (\"A\", b) FROM 's3://b/m' IAM_ROLE default MANIFEST FORMAT AS JSON 'auto ignorecase' "
        "GZIP COMPUPDATE OFF STATUPDATE OFF TIMEFORMAT AS 'auto' TRUNCATECOLUMNS MAXERROR 0"
    ).copy
    assert copy is not None
    assert (copy.table, copy.columns, copy.url) == ('"public"."t"', ('"a"', '"b"'), "s3://b/m")
    assert (copy.form, copy.json_option) == ("JSON", "auto ignorecase")
    assert (copy.gzip, copy.truncate_columns, copy.serialize_to_json) == (True, True, False)


@given(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=31))
def test_a_quoted_name_is_one_token_whatever_it_holds(name: str) -> None:
    sql = 'SELECT "' + name.replace('"', '""') + '" FROM t'
    kinds = [(token.kind, token.value) for token in tokens_of(sql) if token.kind != "space"]
    folded = "".join(c.lower() if "A" <= c <= "Z" else c for c in name)
    assert kinds == [("word", "SELECT"), ("name", folded), ("word", "FROM"), ("word", "T")]


@given(st.lists(st.text("aé\"'\\", min_size=30, max_size=120), unique=True, max_size=20))
def test_long_names_stay_apart_in_63_bytes(names: list[str]) -> None:
    short = {postgres_name(name) for name in names}
    assert len(short) == len(names)
    assert all(len(name.encode()) <= 63 for name in short)
