"""``tailrace quarantine``"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import click

from tailrace.cli.options import tables_option
from tailrace.cli.output import FAILED, IN_PART, Context, is_confirmed, print_json, printable
from tailrace.errors import NotFound, SegmentCorrupt, UsageInvalid
from tailrace.landing import Landing
from tailrace.model.quarantine import QuarantinedRecord

PAYLOAD_SHOWN: Final = 2000  # characters; --json shows all of it


@click.group(name="quarantine", epilog="Example: tailrace quarantine list")
def command() -> None:
    """Records that could not be represented: see why, try again, or give them up. Nothing leaves by itself."""


@command.command(name="list", epilog="Example: tailrace quarantine list --tables 'orders*'")
@tables_option
@click.pass_obj
def list_(context: Context, tables: str) -> None:
    """List what is set aside, one line for each object. Exit code 3 when there is something."""
    pipeline = context.pipeline()
    found = [entry for table in pipeline.tables(tables) for entry in _entries(table, pipeline.landing(table))]
    if context.as_json:
        print_json(found)
    else:
        for entry in found:
            click.echo("{table}  {name}  {records} records  {kind}: {reason}".format(**_shown(entry)))
    if found:
        click.get_current_context().exit(IN_PART)


def _entries(table: str, landing: Landing) -> Iterator[dict[str, Any]]:
    """One line of the list for each object, the first record's reason for all; a damaged object is one too."""
    for name in landing.quarantine_names():
        try:
            records = landing.quarantine_file(name).records
            count, kind, reason = len(records), records[0].kind, records[0].reason
        except (SegmentCorrupt, IndexError) as error:
            count, kind, reason = 0, "damaged", str(error)
        except NotFound:
            continue  # released since it was listed
        yield {"table": table, "name": name, "records": count, "kind": kind, "reason": reason}


def _shown(entry: dict[str, Any]) -> dict[str, str]:
    return {name: printable(str(value)) for name, value in entry.items()}


@command.command(epilog="Example: tailrace quarantine show orders capture-8fce26ad")
@click.argument("table")
@click.argument("name")
@click.pass_obj
def show(context: Context, table: str, name: str) -> None:
    """Show an object's records: why, from where, and their bytes. A part of its name is enough."""
    pipeline = context.pipeline()
    landing = pipeline.landing(pipeline.table(table))
    file = landing.quarantine_file(_name(landing, name))
    if context.as_json:
        print_json([json.loads(record.to_bytes()) for record in file.records])
        return
    for record in file.records:
        click.echo("\n".join(_lines(record)))


def _lines(record: QuarantinedRecord) -> list[str]:
    place = f"line {record.line} of {record.segment}" if record.segment else f"shard {record.shard}"
    number = f", sequence number {record.sequence_number}" if record.sequence_number else ""
    payload = printable(record.payload.decode("utf-8", "backslashreplace"))
    shown = payload[:PAYLOAD_SHOWN] + ("…" if len(payload) > PAYLOAD_SHOWN else "")
    return [_why(record), f"  from {printable(place + number)}", f"  {shown}"]


def _why(record: QuarantinedRecord) -> str:
    cut = " (only its first MiB was kept, so it cannot be replayed)" if record.cut else ""
    return f"{printable(record.kind)}: {printable(record.reason)}{cut}"


@command.command(epilog="Example: tailrace quarantine replay orders capture-8fce26ad")
@click.argument("table")
@click.argument("name")
@click.pass_obj
def replay(context: Context, table: str, name: str) -> None:
    """Land an object's records again, with the positions they had, for the next load. A part of its name is enough.

    After an upgrade that understands them, for example. What would fail again stays, with the reason of today (exit code 3).
    """
    pipeline = context.pipeline()
    report = pipeline.replay(table, _name(pipeline.landing(pipeline.table(table)), name))
    if context.as_json:
        kept = [{"kind": r.kind, "reason": r.reason, "cut": r.cut} for r in report.kept]
        print_json({"landed": report.landed, "segment": report.segment, "kept": kept, "kept_in": report.kept_in})
    else:
        applied = "; `tailrace load` applies them" if report.landed else ""
        click.echo(f"{report.landed} records landed again{applied}")
        for why, count in Counter(map(_why, report.kept)).most_common():
            click.echo(f"kept {count}: {why}")
    if report.kept:
        click.get_current_context().exit(IN_PART)


@command.command(epilog="Example: tailrace quarantine drop orders capture-8fce26ad --yes")
@click.argument("table")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def drop(context: Context, table: str, name: str, yes: bool) -> None:
    """Give an object's records up for good. A part of its name is enough."""
    pipeline = context.pipeline()
    landing = pipeline.landing(pipeline.table(table))
    name = _name(landing, name)
    try:
        count = len(landing.quarantine_file(name).records)
    except SegmentCorrupt:
        count = 0  # it cannot be read, which is a reason to drop it
    if not yes and not is_confirmed(f"Forget {name} with {count} records of {table}? They cannot be brought back"):
        context.say("nothing was dropped")
        click.get_current_context().exit(FAILED)
    landing.release(name)
    if context.as_json:
        print_json({"table": table, "name": name, "dropped": count})
    else:
        click.echo(f"dropped {count} records")


def _name(landing: Landing, part: str) -> str:
    """The whole name of the one object that has this in its name."""
    found = [name for name in landing.quarantine_names() if part in name]
    if part in found:
        return part
    if len(found) > 1:
        raise UsageInvalid(f"{len(found)} objects match {part!r:.80}", hint=f"For example {found[0]}")
    if not found:
        raise NotFound(
            f"Nothing in quarantine is called {part!r:.200}",
            hint="It was replayed or dropped, or never there: see `tailrace quarantine list`.",
            table=landing.table,
        )
    return found[0]
