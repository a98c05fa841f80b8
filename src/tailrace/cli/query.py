"""``tailrace query``"""

from __future__ import annotations

import csv
import sys
from typing import Any, Final

import click

from tailrace.cli.output import Context, print_json, printable

ROWS_SHOWN: Final = 200
CELL_WIDTH_MAX: Final = 60
FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")


@click.command(epilog='Example: tailrace query "SELECT status, count(*) FROM orders GROUP BY 1" --format csv')
@click.argument("sql")
@click.option("--format", "form", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True)
@click.option("--target", help="Default: the first one configured.")
@click.pass_obj
def command(context: Context, sql: str, form: str, target: str | None) -> None:
    """Run one read-only statement on a target; also while `run` is up.

    In CSV, text that a spreadsheet would take for a formula gets a leading '.
    """
    table = context.pipeline().query(sql, target)
    names = table.column_names
    if context.as_json or form == "json":
        rows = ([column.to_pylist() for column in table.columns]) if names else []
        print_json([dict(zip(names, row, strict=True)) for row in zip(*rows, strict=True)])
    elif form == "csv":
        writer = csv.writer(sys.stdout)
        writer.writerow(map(_safe, names))
        for row in _rows(table):
            writer.writerow(map(_safe, row))
    else:
        _print_table(names, list(_rows(table.slice(0, ROWS_SHOWN))), table.num_rows)


def _rows(table: Any) -> Any:
    return zip(*(column.to_pylist() for column in table.columns), strict=True)


def _safe(value: Any) -> str:
    """Text for a CSV cell; numbers stay numbers, NULL is empty."""
    if value is None:
        return ""
    text = str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(FORMULA_STARTS) else text


def _print_table(names: list[str], rows: list[tuple[Any, ...]], total: int) -> None:
    cells = [[_cell(name) for name in names], *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(names))]
    for index, row in enumerate(cells):
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        if index == 0:
            click.echo("  ".join("-" * width for width in widths))
    if total > len(rows):
        click.echo(f"… {total - len(rows)} more rows; --format csv prints all of them", err=True)


def _cell(value: Any) -> str:
    text = "NULL" if value is None else printable(str(value))
    return text if len(text) <= CELL_WIDTH_MAX else text[: CELL_WIDTH_MAX - 1] + "…"
