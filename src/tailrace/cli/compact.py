"""``tailrace compact``"""

from __future__ import annotations

import click

from tailrace.cli.options import budget_option, tables_option
from tailrace.cli.output import Context, print_json


@click.command(epilog="Example: tailrace compact --tables 'orders*' --budget 10m")
@click.option(
    "--render",
    type=click.Choice(["s3distcp"]),
    help="Compact nothing: print the steps by which EMR copies changes into few large files, for other readers.",
)
@budget_option
@tables_option
@click.pass_obj
def command(context: Context, render: str | None, budget: float | None, tables: str) -> None:
    """Gather the small files of hours that are over into few, delete what was gathered long enough ago, and stop.

    `tailrace run` does the same by itself.
    """
    if render is not None:
        print_steps(context, tables)
        return
    from tailrace.cli.jobs import run_jobs

    run_jobs(context, compact=True, once=True, budget=budget, tables=tables)


def print_steps(context: Context, tables: str) -> None:
    """What ``aws emr add-steps --steps file://…`` takes."""
    from tailrace.deploy.spark import s3distcp_steps
    from tailrace.jobs.compact import CompactSettings

    pipeline = context.pipeline()
    names = pipeline.tables(tables)
    sizes = {pipeline.config.rule(name, "compact_bytes", CompactSettings().target_bytes) for name in names}
    print_json(s3distcp_steps(pipeline.config, names, max(sizes)))
