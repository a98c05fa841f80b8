"""``tailrace backfill``"""

from __future__ import annotations

import click

from tailrace.cli.options import budget_option, tables_option
from tailrace.cli.output import Context


@click.command(epilog="Example: tailrace backfill --budget 14m")
@budget_option
@tables_option
@click.pass_obj
def command(context: Context, budget: float | None, tables: str) -> None:
    """Read what tables already hold into the landing zone; the next call goes on where this one stops.

    The stream's shards are put on record first. Something must capture within 24 hours, so that no change is lost meanwhile.
    """
    from tailrace.cli.jobs import run_jobs

    run_jobs(context, backfill=True, once=True, budget=budget, tables=tables)
