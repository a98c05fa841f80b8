"""``tailrace run``"""

from __future__ import annotations

import click

from tailrace.cli.options import budget_option, tables_option
from tailrace.cli.output import Context


@click.command(epilog="Example: tailrace run --until-caught-up --tables 'orders*'")
@click.option("--once", is_flag=True, help="One pass: capture to the tip, load what is due, stop. For cron.")
@click.option("--until-caught-up", is_flag=True, help="The same, by the name that says what is waited for.")
@budget_option
@tables_option
@click.pass_obj
def command(context: Context, once: bool, until_caught_up: bool, budget: float | None, tables: str) -> None:
    """Capture changes and load them, and compact past hours, until Ctrl-C; stopping loses nothing."""
    from tailrace.cli.jobs import run_jobs

    run_jobs(
        context,
        capture=True,
        backfill=True,
        load=True,
        compact=True,
        once=once or until_caught_up,
        budget=budget,
        tables=tables,
    )
