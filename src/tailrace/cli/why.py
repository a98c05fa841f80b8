"""``tailrace why``"""

from __future__ import annotations

import click

from tailrace.cli.output import DIFFERENT, IN_PART, Context, moment, print_json, printable, size


@click.command(epilog="Example: tailrace why 4200000000031415926535-4200000000031415926999-0badcafe")
@click.argument("segment")
@click.pass_obj
def command(context: Context, segment: str) -> None:
    """Tell one segment's life: captured, published, compacted, loaded where and when, or why not. Part of its name is enough."""
    story = context.pipeline().why(segment)
    entry = story.entry or {}
    if context.as_json:
        print_json(story)
    else:
        click.echo(f"{story.name}  (table {story.table})")
        click.echo(f"  published as number {entry['number']} at {moment(entry['published_ms'])}")
        click.echo(
            f"  {entry['rows']} {entry['kind']} records, {size(entry['bytes'])},"
            f" newest change {moment(entry['newest_change_ms'])}"
        )
        for shard, (first, last, rows) in entry["shards"].items():
            click.echo(f"  {rows} from {printable(shard)}: {first} to {last}")
        if "place" in entry:
            name, offset = entry["place"]
            click.echo(f"  compacted into {name}, from byte {offset} on")
        for origin in entry["lineage"]:
            click.echo(f"  made from {printable(origin)}")
        click.echo(
            f"  content {'is what was published (sha256)' if story.intact else f'IS DAMAGED: {printable(story.problem)}'}"
        )
        for load in story.loads:
            when = f" at {moment(load.row.applied_ms)}" if load.row else ""
            click.echo(
                f"  {load.target}: {f'applied{when}' if load.applied else 'not applied yet; `tailrace load` does it'}"
            )
        for name in story.quarantined:
            click.echo(f"  some of its records are set aside: {name}")
    if not story.intact:
        click.get_current_context().exit(DIFFERENT)
    if story.quarantined:
        click.get_current_context().exit(IN_PART)
