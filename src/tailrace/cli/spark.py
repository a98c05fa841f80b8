"""``tailrace spark``"""

from __future__ import annotations

from pathlib import Path

import click

from tailrace.cli.output import Context, print_json, printable


@click.group(name="spark", epilog="Example: tailrace spark render --to emr-serverless ./spark")
def command() -> None:
    """Loads of large Iceberg tables on Spark: docs/spark.md."""


@command.command(epilog="Example: tailrace spark render --to glue ./spark")
@click.option(
    "--to", "service", type=click.Choice(["emr-serverless", "glue"]), required=True, help="The service that runs Spark."
)
@click.option("--force", is_flag=True, help="Replace files that somebody has changed, too.")
@click.argument("folder", metavar="DIR", type=Path)
@click.pass_obj
def render(context: Context, service: str, force: bool, folder: Path) -> None:
    """Write a job for EMR Serverless or Glue as the documents that their interfaces take, and a README with the steps.

    Calls nothing. The job loads what waits of all tables, those with engine = "spark" on its executors. The same configuration
    gives the same bytes.
    """
    from tailrace import __version__
    from tailrace.cli.deploy import write_files
    from tailrace.config import find_config, load_config
    from tailrace.deploy.spark import rendered_spark

    files = rendered_spark(load_config(find_config(context.config)), __version__, service)  # type: ignore[arg-type]
    written = write_files(folder, files, force=force)
    if context.as_json:
        print_json({"folder": folder, "files": list(files), "written": written})
        return
    click.echo(
        f"{len(written)} of {len(files)} files written to {printable(str(folder))}; go on with {folder / 'README.md'}"
    )
