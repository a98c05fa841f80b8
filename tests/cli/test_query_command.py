"""`query`: every value as it is, in three forms."""

from __future__ import annotations

import base64
import csv
import io
import json
from decimal import Decimal
from pathlib import Path

import pytest
from cli_project import Project

from tailrace.cli.query import table_lines

NUMBER = "12345678901234567890.123456789012345678"  # 38 digits
VALUES = f"""SELECT {NUMBER}::DECIMAL(38,18) AS d, sum(x) AS h, NULL AS z, 'a'::BLOB AS b, ['x', NULL] AS l, {{'k': 1}} AS s,
    TIMESTAMP '2026-11-22 05:00:00' AS t, true AS o, 'nan'::DOUBLE AS f, 0.5::DOUBLE AS g, 9007199254740993 AS i,
    0::DECIMAL(38,10) AS e FROM range(3) r(x)"""


def test_json_keeps_every_digit_and_has_no_nan(loaded: Project) -> None:
    for arguments in (["--json", "query", VALUES], ["query", VALUES, "--json"], ["query", VALUES, "--format", "json"]):
        text = loaded.run(*arguments).stdout
        (row,) = json.loads(text, parse_float=str, parse_constant=pytest.fail)
        assert row == {
            "d": NUMBER,
            "h": 3,
            "z": None,
            "b": base64.b64encode(b"a").decode(),
            "l": ["x", None],
            "s": {"k": 1},
            "t": "2026-11-22T05:00:00",
            "o": True,
            "f": "nan",
            "g": "0.5",
            "i": 9007199254740993,
            "e": "0.0000000000",
        }


def test_csv_is_utf8_with_null_empty_and_numbers_plain(loaded: Project) -> None:
    (row,) = csv.DictReader(io.StringIO(loaded.run("query", VALUES, "--format", "csv").stdout))
    assert row == {
        "d": NUMBER,
        "h": "3",
        "z": "",
        "b": "YQ==",
        "l": '["x", null]',
        "s": '{"k": 1}',
        "t": "2026-11-22T05:00:00",
        "o": "true",
        "f": "nan",
        "g": "0.5",
        "i": "9007199254740993",
        "e": "0.0000000000",
    }


def test_formulas_are_disarmed_in_csv_and_numbers_that_are_text_are_left_alone(loaded: Project) -> None:
    sql = "SELECT unnest(['=cmd|x', '@a', '-1E-130', '+5', '-x', '9.99', 'é\n\"']) AS \"=v\""
    rows = list(csv.reader(io.StringIO(loaded.run("query", sql, "--format", "csv").stdout)))
    assert [cell for (cell,) in rows] == ["'=v", "'=cmd|x", "'@a", "-1E-130", "+5", "'-x", "9.99", 'é\n"']


def test_two_columns_of_one_name_stay_two(loaded: Project) -> None:
    (row,) = loaded.json("query", "SELECT 1 AS a, 2 AS a, 3 AS a_2, 4 AS a")
    assert row == {"a": 1, "a_2": 2, "a_2_2": 3, "a_3": 4}


def test_a_table_for_people_escapes_shortens_and_says_what_is_missing(loaded: Project) -> None:
    result = loaded.run("query", "SELECT x, 'y\n\x1b[31m' AS v, repeat('z', 99) AS w, NULL AS n FROM range(201) r(x)")
    head, rule, first, *rest = result.stdout.splitlines()
    assert head.split() == ["x", "v", "w", "n"]
    assert set(rule) == {"-", " "}
    assert first.split() == ["0", r"y\n\x1b[31m", "z" * 59 + "…", "NULL"]
    assert len(rest) == 199
    assert "1 more rows; --format csv prints all of them" in result.stderr


def test_no_rows_and_no_rows_in_json(loaded: Project) -> None:
    sql = "SELECT * FROM orders WHERE false"
    assert loaded.json("query", sql) == []
    assert loaded.run("query", sql).stdout.splitlines()[0].split()[:2] == ["pk", "n"]
    assert loaded.run("query", sql, "--format", "csv").stdout.startswith("pk,n,")


def test_rows_that_do_not_fit_the_terminal_stand_upright() -> None:
    names = [f"column_{i}" for i in range(9)]
    row = (1, None, Decimal("1E+3"), b"\0", *range(5))
    upright = list(table_lines(names, [row], width=80))
    assert upright[:4] == ["row 1", "  column_0  1", "  column_1  NULL", "  column_2  1000"]
    assert len(upright) == 10
    assert len(list(table_lines(names, [row], width=200))) == 3
    assert len(list(table_lines(names, [row], width=None))) == 3


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELEC 1", "syntax error"),
        ("SELECT * FROM order", "syntax error"),
        ("SELECT * FROM nothing", "nothing"),
        ("SELECT 1; SELECT 2", "one SQL statement"),
        ("", "one SQL statement"),
        ("DELETE FROM orders", "read-only"),
        ("SELECT '\udcff'", "not UTF-8"),
    ],
)
def test_a_query_that_cannot_run_is_wrong_usage(loaded: Project, sql: str, said: str) -> None:
    result = loaded.run("query", sql)
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert result.stderr.startswith("error TAILRACE-10")
    assert loaded.json("query", sql, code=2)["error"]["code"].startswith("TAILRACE-10")


def test_an_unknown_target_and_an_absent_file_are_named(project: Project, tmp_path: Path) -> None:
    result = project.run("query", "SELECT 1", "--target", "locla")
    assert result.exit_code == 2
    assert "Configured are: local" in result.stderr
    result = project.run("query", "SELECT 1")
    assert result.exit_code == 2
    assert str(tmp_path / "warehouse.duckdb") in result.stderr
