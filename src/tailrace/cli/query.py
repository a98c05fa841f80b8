"""``tailrace query``"""

from __future__ import annotations

import base64
import csv
import datetime
import itertools
import json
import math
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import click

from tailrace.cli.output import Context, printable
from tailrace.errors import UsageInvalid

ROWS_SHOWN: Final = 200
CELL_WIDTH_MAX: Final = 60
FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[-+]?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?", re.ASCII)


@click.command(epilog='Example: tailrace query "SELECT status, count(*) FROM orders GROUP BY 1" --format csv')
@click.argument("sql")
@click.option("--format", "form", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True)
@click.option("--target", help="Default: the first one configured.")
@click.pass_obj
def command(context: Context, sql: str, form: str, target: str | None) -> None:
    """Run one read-only statement on a target; also while `run` is up.

    Numbers have all their digits and binaries are base64, in every format. In CSV, NULL is empty, and text that a
    spreadsheet would take for a formula gets a leading '.
    """
    if not sql.isascii() and sql != sql.encode("utf-8", "replace").decode("utf-8"):
        raise UsageInvalid("The statement is not UTF-8", hint="Check the terminal's encoding.")
    table = context.pipeline().query(sql, target)
    names = _distinct(table.column_names)
    if context.as_json or form == "json":
        rows = (json_text(dict(zip(names, row, strict=True))) for row in _rows(table))
        click.echo(f"[{','.join(f'{chr(10)}  {row}' for row in rows)}\n]")
    elif form == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(map(_csv_cell, names))
        writer.writerows(map(_csv_cell, row) for row in _rows(table))
    else:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        shown = list(_rows(table.slice(0, ROWS_SHOWN)))
        for line in table_lines(names, shown, width):
            click.echo(line)
        if table.num_rows > len(shown):
            context.say(f"… {table.num_rows - len(shown)} more rows; --format csv prints all of them")


def _rows(table: Any) -> Iterator[tuple[Any, ...]]:
    """Row by row, a batch in memory at a time."""
    for batch in table.to_batches(max_chunksize=10_000):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _distinct(names: Sequence[str]) -> list[str]:
    """Column names, where one comes again with a number behind it: SQL allows equal ones, JSON objects do not."""
    distinct: list[str] = []
    for name in names:
        candidates = itertools.chain([name], (f"{name}_{number}" for number in itertools.count(2)))
        distinct.append(next(c for c in candidates if c not in distinct))
    return distinct


def json_text(value: Any) -> str:
    """A value of a result as JSON in ASCII: numbers exact, binaries base64, no NaN."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(str(k))}: {json_text(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(json_text, value)) + "]"
    if isinstance(value, Decimal) and value.is_finite():
        return f"{value:f}"
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return json.dumps(value)
    return json.dumps(_text(value))


def _text(value: Any) -> str:
    """A value for a cell. NULL is the caller's."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, Mapping | list | tuple | bool):
        return json_text(value)
    if isinstance(value, Decimal) and value.is_finite():
        return f"{value:f}"
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    return str(value)


def _csv_cell(value: Any) -> str:
    text = "" if value is None else _text(value)
    is_formula = isinstance(value, str) and text.startswith(FORMULA_STARTS) and not _NUMBER.fullmatch(text)
    return f"'{text}" if is_formula else text


def table_lines(names: Sequence[str], rows: Sequence[Sequence[Any]], width: int | None) -> Iterator[str]:
    """Columns side by side; where they do not fit `width` characters, each row as a list of names and values."""
    cells = [list(map(_cell, names)), *(list(map(_cell, row)) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    if width is not None and rows and sum(widths) + 2 * (len(widths) - 1) > width:
        wide = max(map(len, cells[0]))
        for number, row in enumerate(cells[1:], start=1):
            yield f"row {number}"
            yield from (f"  {name.ljust(wide)}  {cell}" for name, cell in zip(cells[0], row, strict=True))
        return
    for number, row in enumerate(cells):
        yield "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        if number == 0:
            yield "  ".join("-" * w for w in widths)


def _cell(value: Any) -> str:
    text = "NULL" if value is None else printable(_text(value))
    return text if len(text) <= CELL_WIDTH_MAX else text[: CELL_WIDTH_MAX - 1] + "…"
