"""``tailrace init``"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from tailrace.cli.output import Context, print_json, printable
from tailrace.config import FILE_NAME
from tailrace.errors import ConfigInvalid
from tailrace.outputs import unwritable

TEMPLATE: Final = """\
# Tailrace: DynamoDB tables into warehouses. All settings: docs/configuration.md
# ${NAME} takes an environment variable; secrets never stand here.

[landing]
url = "file:./landing"            # or "s3://bucket/prefix", in the table's region

[source]                          # credentials come from AWS's own chain: profile, role, environment
# region = "eu-west-1"
# profile = "production"
# endpoint_url = "http://127.0.0.1:4566"   # `tailrace local`

[targets.local]
kind = "duckdb"
path = "warehouse.duckdb"

[defaults]
mode = "current"                  # or "soft_delete", "changelog", "history"
# base = "none"                   # leave out what the table holds already; or "export": from backups instead of a scan
# start = "LATEST"                # only changes from now on, instead of the last 24 hours
# flush_seconds = 1               # freshness against S3 requests, see docs/configuration.md
# load = { every = "1h", offset = "5m" }   # instead of at once: "continuous"; or "on_file", "by_hand"

[tables.orders]                   # a table whose stream carries new images
"""


@click.command(epilog="Example: tailrace init ./pipeline")
@click.argument("folder", metavar="[DIR]", default=".", type=Path)
@click.pass_obj
def command(context: Context, folder: Path) -> None:
    """Write a commented tailrace.toml; an existing one is left alone."""
    path = folder / FILE_NAME
    is_ours = False
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            is_ours = True
            file.write(TEMPLATE)
    except FileExistsError:
        raise ConfigInvalid(
            "There is a configuration already", hint="Edit it, or choose another folder.", file=path
        ) from None
    except OSError as error:
        if is_ours:  # half of it, which the next call would take for somebody's
            path.unlink(missing_ok=True)
        raise unwritable("It cannot be written", error, file=path) from error
    except ValueError as error:  # a NUL in the path
        raise ConfigInvalid(f"It cannot be written: {error}", hint="Choose another folder.", file=path) from error
    if context.as_json:
        print_json({"file": path})
    else:
        click.echo(f"wrote {printable(str(path))}; name your table in it, then: tailrace run")
