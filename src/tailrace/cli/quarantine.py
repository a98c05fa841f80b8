"""``tailrace quarantine``"""

from __future__ import annotations

import click

from tailrace.cli.options import tables_option
from tailrace.cli.output import IN_PART, Context, print_json, printable


@click.group(name="quarantine", epilog="Example: tailrace quarantine list")
def command() -> None:
    """Records that could not be represented: see why, try again, or give them up. Nothing leaves by itself."""


@command.command(name="list", epilog="Example: tailrace quarantine list --tables orders")
@tables_option
@click.pass_obj
def list_(context: Context, tables: str) -> None:
    """List what is set aside: one line per object. Exit code 3 when there is something."""
    pipeline = context.pipeline()
    found = [(table, file) for table in pipeline.tables(tables) for file in pipeline.landing(table).quarantined()]
    if context.as_json:
        print_json(
            [{"table": t, "name": f.name, "records": len(f.records), "reason": f.records[0].reason} for t, f in found]
        )
    else:
        for table, file in found:
            click.echo(f"{table}  {file.name}  {len(file.records)} records  {printable(file.records[0].reason)}")
    if found:
        click.get_current_context().exit(IN_PART)


@command.command(epilog="Example: tailrace quarantine show orders quarantine/….json.gz")
@click.argument("table")
@click.argument("name")
@click.pass_obj
def show(context: Context, table: str, name: str) -> None:
    """Show one object's records: why, from where, and the bytes."""
    pipeline = context.pipeline()
    file = pipeline.landing(pipeline.tables(table)[0]).quarantine_file(name)
    if context.as_json:
        print_json([{**r.to_json(), "payload": r.payload.decode("utf-8", "backslashreplace")} for r in file.records])
        return
    for record in file.records:
        place = f"segment {record.segment} line {record.line}" if record.segment else f"shard {record.shard}"
        click.echo(f"{record.kind}: {printable(record.reason)}\n  from {printable(place)}")
        click.echo(f"  {printable(record.payload.decode('utf-8', 'backslashreplace'))[:2000]}")


@command.command(epilog="Example: tailrace quarantine replay orders quarantine/….json.gz")
@click.argument("table")
@click.argument("name")
@click.pass_obj
def replay(context: Context, table: str, name: str) -> None:
    """Land one object's records again, for the next load, with the positions they had; what fails again is set aside again."""
    pipeline = context.pipeline()
    rows = pipeline.replay(pipeline.tables(table)[0], name)
    click.echo(f"landed {rows} records again; `tailrace load` applies them")


@command.command(epilog="Example: tailrace quarantine drop orders quarantine/….json.gz --yes")
@click.argument("table")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def drop(context: Context, table: str, name: str, yes: bool) -> None:
    """Give one object's records up for good."""
    pipeline = context.pipeline()
    landing = pipeline.landing(pipeline.tables(table)[0])
    count = len(landing.quarantine_file(name).records)
    if not yes:
        click.confirm(f"Forget {count} records of {table}? They cannot be brought back", abort=True)
    landing.release(name)
    click.echo(f"dropped {count} records")
