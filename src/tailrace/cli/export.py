"""``tailrace export``"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from tailrace.cli.decode import output_options, progress, write_rows
from tailrace.cli.output import DIFFERENT, IN_PART, Context, print_json, printable, size
from tailrace.errors import ExportInvalid, NotFound, TailraceError, UsageInvalid, UserFault

if TYPE_CHECKING:
    from tailrace.aws import Aws
    from tailrace.capture.exports import DynamoDbExportSource, ExportAnswer
    from tailrace.decide.boundaries import Boundary
    from tailrace.inputs import Export, Place
    from tailrace.inspecting import Inspected, Write
    from tailrace.model.exports import Window

POLL_SECONDS: Final = 15.0
LISTED: Final = 25  # of AWS's exports, unless more are asked for: each costs a request
VIEWS: Final = ("NEW_AND_OLD_IMAGES", "NEW_IMAGE")
F = TypeVar("F", bound=Callable[..., Any])


@click.group(name="export", epilog="Example: tailrace export inspect exports/AWSDynamoDB")
def command() -> None:
    """DynamoDB's point-in-time recovery exports by hand: start one, see what is there, look inside, read it.

    A PLACE is a folder to which exports were copied, or s3://bucket/prefix.
    """


def aws_options(command: F) -> F:
    """Where and as whom to call; none of them given, as [source] of the configuration says, where there is one."""
    for option in (
        click.option("--endpoint-url", metavar="URL", help="For example http://127.0.0.1:4566, `tailrace local`."),
        click.option("--profile", help="Of ~/.aws/config."),
        click.option("--region", help="Default: as the configuration says, else AWS's own chain."),
    ):
        command = option(command)
    return command


def _aws(context: Context, **given: str | None) -> Aws:
    from tailrace.aws import Aws, AwsSettings
    from tailrace.config import ENVIRONMENT, find_config, load_config

    if any(given.values()):
        return Aws(AwsSettings(**given))
    path = find_config(context.config)
    is_wanted = context.config or ENVIRONMENT in os.environ or path.exists()
    return Aws(load_config(path).source.aws() if is_wanted else AwsSettings())


def _open(context: Context, place: str, **given: str | None) -> Place:
    """A PLACE that was typed. What lies on disk needs neither AWS nor a configuration."""
    from tailrace.inputs import open_place

    return open_place(place, _aws(context, **given) if place.startswith("s3:") else None)


def _source(aws: Aws, table: str) -> DynamoDbExportSource:
    from tailrace.capture.exports import DynamoDbExportSource
    from tailrace.landing.names import check_table

    return DynamoDbExportSource(aws.client("dynamodb"), check_table(table))


# ---- start ------------------------------------------------------------------------------------------------


class Moment(click.ParamType[Any]):
    """A whole second in UTC that says so: ``2026-11-22T05:15:00Z``, to Unix seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r:.60} is no moment; write it as 2026-11-22T05:15:00Z", param, context)
        if moment.tzinfo is None:
            self.fail(f"{value!r:.60} does not say its time zone; in UTC it ends in Z", param, context)
        if moment.utcoffset():
            self.fail(f"{value!r:.60} is a local time; in UTC it is {_utc(moment.timestamp())}", param, context)
        if moment.microsecond:
            self.fail(f"{value!r:.60} is not a whole second, and DynamoDB exports at whole ones", param, context)
        return int(moment.timestamp())


@command.command(
    epilog="Example: tailrace export start --table orders --into s3://acme-lake/by-hand "
    "--from 2026-11-22T05:15:00Z --to 2026-11-22T05:30:00Z --wait"
)
@click.option("--table", required=True, help="The DynamoDB table.")
@click.option("--into", required=True, metavar="URL", help="s3://bucket/prefix; DynamoDB writes below it.")
@click.option("--at", type=Moment(), metavar="TIME", help="A full export of this moment; default: the latest there is.")
@click.option("--from", "start", type=Moment(), metavar="TIME", help="What changed from here, included …")
@click.option("--to", "end", type=Moment(), metavar="TIME", help="… to here, excluded: 15 minutes to 24 hours later.")
@click.option("--view", type=click.Choice(VIEWS), default=VIEWS[0], show_default=True, help="With --from.")
@click.option("--wait", is_flag=True, help="Until it has ended; that takes five minutes or more.")
@aws_options
@click.pass_obj
def start(
    context: Context,
    table: str,
    into: str,
    at: int | None,
    start: int | None,
    end: int | None,
    view: str,
    wait: bool,
    region: str | None,
    profile: str | None,
    endpoint_url: str | None,
) -> None:
    """Ask DynamoDB for an export: the whole table at a moment, or with --from and --to what changed in a window.

    Times are UTC and say so, as 2026-11-22T05:15:00Z. Point-in-time recovery must be on. The same command with
    the same times, again within eight hours, starts nothing: it answers with the export that it began. Prints the
    export's ARN.
    """
    from tailrace.capture.exports import ExportRequest

    if (start is None) != (end is None) or (at is not None and start is not None):
        raise click.UsageError("--from and --to go together, and not with --at")
    bucket, prefix = _bucket(into)
    window = _window(start, end)
    source = _source(_aws(context, region=region, profile=profile, endpoint_url=endpoint_url), table)
    moment, token = _covered(source, table, at, window, f"{bucket}|{prefix}|{view}")
    answer = source.start(ExportRequest(bucket, prefix, token, moment, window, view))
    context.say(f"began, into {_home(answer)}")
    while wait and answer.status == "IN_PROGRESS":
        threading.Event().wait(POLL_SECONDS)
        answer = source.describe(answer.arn)
    if answer.status == "FAILED":
        raise TailraceError(
            f"The export failed: {answer.code} {answer.message}".strip(),
            hint="Check the bucket and the rights to write into it, then start it into another prefix.",
            arn=answer.arn,
        )
    if context.as_json:
        print_json(_answered(answer))
    else:
        click.echo(answer.arn)
    if wait:
        context.say(f"completed: {_many(answer.items or 0, 'item')}")


def _bucket(into: str) -> tuple[str, str]:
    from tailrace.landing import split_url

    scheme, bucket, prefix = split_url(into)
    if scheme != "s3":
        raise UsageInvalid(
            "DynamoDB writes exports to S3 only", hint="For example --into s3://acme-lake/by-hand.", into=into
        )
    return bucket, prefix


def _window(start: int | None, end: int | None) -> Window | None:
    from tailrace.model.exports import Window

    if start is None or end is None:
        return None
    try:
        return Window(start, end)
    except ValueError as error:
        raise UsageInvalid(
            f"This cannot be exported: {error}", hint="Move --to.", start=_utc(start), end=_utc(end)
        ) from None


def _covered(
    source: DynamoDbExportSource, table: str, at: int | None, window: Window | None, what: str
) -> tuple[int, str]:
    """The moment to export, and a token that is equal for equal requests. Raises UsageInvalid, UserFault."""
    incarnation, restorable = source.incarnation(), source.restorable()
    if restorable is None:
        raise UserFault(
            "Point-in-time recovery is off, so the table cannot be exported",
            hint=f"aws dynamodb update-continuous-backups --table-name {table} "
            "--point-in-time-recovery-specification PointInTimeRecoveryEnabled=true",
            table=table,
        )
    moment = window.end if window is not None else restorable.latest if at is None else at
    first = moment if window is None else window.start
    if first < restorable.earliest or moment > restorable.latest:
        raise UsageInvalid(
            "Point-in-time recovery does not cover this",
            hint=f"It covers {_utc(restorable.earliest)} to {_utc(restorable.latest)} now.",
            start=_utc(first),
            end=_utc(moment),
        )
    kind = "full" if window is None else "window"
    return moment, hashlib.sha256(f"{incarnation.table_id}|{kind}|{first}|{moment}|{what}".encode()).hexdigest()[:36]


def _home(answer: ExportAnswer) -> str:
    prefix = f"{answer.prefix}/" if answer.prefix else ""
    return f"s3://{answer.bucket}/{prefix}AWSDynamoDB/{answer.arn.rpartition('/')[2]}"


def _answered(answer: ExportAnswer) -> dict[str, Any]:
    window = answer.window
    return {
        "arn": answer.arn,
        "status": answer.status,
        "type": "FULL_EXPORT" if window is None else "INCREMENTAL_EXPORT",
        "from": None if window is None else _utc(window.start),
        "to": _utc(window.end if window is not None else answer.moment or 0),
        "place": _home(answer),
        "items": answer.items,
        "failure": f"{answer.code} {answer.message}".strip(),
    }


# ---- list -------------------------------------------------------------------------------------------------


@command.command(name="list", epilog="Example: tailrace export list --table orders")
@click.argument("place", required=False)
@click.option("--table", help="What AWS lists of this table: the last 90 days, newest first.")
@click.option("--newest", type=click.IntRange(1), default=LISTED, show_default=True, help="With --table: so many.")
@aws_options
@click.pass_obj
def list_(
    context: Context,
    place: str | None,
    table: str | None,
    newest: int,
    region: str | None,
    profile: str | None,
    endpoint_url: str | None,
) -> None:
    """List exports: those below PLACE as their manifests have them, or with --table those that AWS knows.

    Without both: what lies in the landing zone of the configuration. Data files are not read; `inspect` does that. Exit
    code 3: of some, manifests are missing or damaged, or data files are missing.
    """
    if place is not None and table is not None:
        raise click.UsageError("a PLACE or --table, not both")
    given = {"region": region, "profile": profile, "endpoint_url": endpoint_url}
    if table is not None:
        found = [_answered(answer) for answer in islice(_source(_aws(context, **given), table).exports(), newest)]
    else:
        found = list(_listed(_open(context, place or _landing_zone(context), **given)))
    if context.as_json:
        print_json(found)
    else:
        for export in found:
            click.echo(printable(_line(export)))
        if not found:
            context.say("there is none")
    if any(export["status"] == "DAMAGED" for export in found):
        click.get_current_context().exit(IN_PART)


def _landing_zone(context: Context) -> str:
    from tailrace.landing import split_url

    pipeline = context.pipeline()
    url = pipeline.config.landing.url
    scheme, _, path = split_url(url)
    return url if scheme == "s3" else str(pipeline.base / Path(path).expanduser())


def _listed(place: Place) -> Iterator[dict[str, Any]]:
    unknown = {"arn": "", "type": "", "from": None, "to": None, "items": None}
    for folder in place.exports:
        try:
            export = place.export(folder)
        except ExportInvalid as error:
            yield {**unknown, "status": "DAMAGED", "place": place.url(folder), "failure": str(error)}
        else:
            yield {"status": "COMPLETED", **_described(export), "failure": ""}
    for folder in place.unfinished:
        yield {**unknown, "status": "UNFINISHED", "place": place.url(folder), "failure": ""}


def _described(export: Export) -> dict[str, Any]:
    """What its manifests say."""
    listing = export.listing
    return {
        "arn": listing.export_arn,
        "table": listing.table_arn.rpartition("/")[2],
        "table_id": listing.table_id,
        "type": listing.type,
        "view": listing.view,
        "from": None if listing.window is None else _utc(listing.window[0]),
        "to": _utc(listing.moment_ms / 1000),
        "items": listing.items,
        "files": len(export.inputs),
        "bytes": sum(one.size for one in export.inputs),
        "place": export.name,
    }


def _line(export: dict[str, Any]) -> str:
    parts = [export["status"], export["place"]]
    if export["to"]:
        parts.insert(1, _name(export))
    if export["items"] is not None:
        parts.append(_many(export["items"], "item"))
    if export["failure"]:
        parts.append(export["failure"])
    return "  ".join(parts)


# ---- inspect ----------------------------------------------------------------------------------------------


@command.command(epilog="Example: tailrace export inspect exports/AWSDynamoDB")
@click.argument("places", nargs=-1, required=True, metavar="PLACE...")
@aws_options
@click.pass_obj
def inspect(
    context: Context, places: tuple[str, ...], region: str | None, profile: str | None, endpoint_url: str | None
) -> None:
    """Read exports whole, compare every MD5 and count, and show where one ends and the next begins.

    For each: what it is, its records, and the first and the last write of a window. For each window behind another export
    of its table: whether it begins exactly where that one ends, the last write before and the first write behind; and
    behind a full export whether that holds the item of the first write as it was before it or after it. A full export's
    time is exclusive and a window's start inclusive, and so you see it.

    Exit code 4: damage, a gap, another table under the name, or a write outside its window.
    """
    from tailrace.decide.boundaries import find_boundaries
    from tailrace.inspecting import inspect_export, span_of

    opened = [_open(context, place, region=region, profile=profile, endpoint_url=endpoint_url) for place in places]
    found, damaged = _find(context, opened)
    with progress(context, "reading", [one for export in found for one in export.inputs]) as shown:
        on_read, on_file = partial(shown.on_read, 1), partial(shown.on_file, 1)
        inspected = [inspect_export(export, on_read, on_file) for export in found]
    boundaries = find_boundaries([span_of(one.listing) for one in inspected])
    document = {
        "exports": [_told(one) for one in inspected],
        "damaged": damaged,
        "boundaries": [_boundary(boundary, inspected) for boundary in boundaries],
    }
    if context.as_json:
        print_json(document)
    else:
        for line in _report(document):
            click.echo(printable(line))
    wrong = damaged or any(one.damage or one.outside() for one in inspected)
    if wrong or any(boundary.gap_ms > 0 or not boundary.is_same_table for boundary in boundaries):
        click.get_current_context().exit(DIFFERENT)


def _find(context: Context, places: Sequence[Place]) -> tuple[list[Export], list[dict[str, str]]]:
    """Exports by table and time, each once; and those whose manifests or files are missing or damaged."""
    from tailrace.decide.boundaries import order_of
    from tailrace.inspecting import span_of

    found: dict[str, Export] = {}
    damaged = []
    for place in places:
        place.check_finished()
        for folder in place.unfinished:
            context.say(f"left out, because it is not finished: {printable(place.url(folder))}")
        for folder in place.exports:
            try:
                export = place.export(folder)
            except ExportInvalid as error:
                damaged.append({"place": place.url(folder), "damage": str(error)})
            else:
                found.setdefault(export.listing.export_arn, export)
    if not found and not damaged:
        raise NotFound("There is no export", hint="Name a folder that holds one, or s3://….", place=places[0].name)
    return sorted(found.values(), key=lambda export: order_of(span_of(export.listing))), damaged


def _told(one: Inspected) -> dict[str, Any]:
    contents = one.contents
    return {
        **_described(one.export),
        "damage": one.damage,
        "records": None if contents is None else contents.records,
        "deletes": None if contents is None else contents.deletes,
        "rejected": None if contents is None else contents.rejected,
        "first_write": _write(one.first),
        "last_write": _write(one.last),
        "outside": [_write(write) for write in one.outside()],
    }


def _write(write: Write | None) -> dict[str, str] | None:
    if write is None:
        return None
    return {"at": _utc_micros(write.micros), "what": "delete" if write.image is None else "put", "key": write.key_text}


def _boundary(boundary: Boundary, inspected: Sequence[Inspected]) -> dict[str, Any]:
    from tailrace.inspecting import holds_write, span_of

    before, after = inspected[boundary.before], inspected[boundary.after]
    holds = holds_write(before, after)
    return {
        "before": before.listing.export_arn,
        "after": after.listing.export_arn,
        "ends": _utc(span_of(before.listing).end_ms / 1000),
        "begins": _utc(span_of(after.listing).start_ms / 1000),
        "gap_seconds": boundary.gap_ms / 1000,
        "same_table": boundary.is_same_table,
        "last_write_before": _write(before.last),
        "first_write_behind": _write(after.first),
        "in_full_export": None if holds is None else "as after that write" if holds else "as before that write",
    }


def _report(document: dict[str, Any]) -> Iterator[str]:
    names = {export["arn"]: _name(export) for export in document["exports"]}
    for export in document["exports"]:
        yield f"{export['table']}: {names[export['arn']]}"
        yield f"  {export['place']}, table id {export['table_id']}"
        if export["damage"]:
            yield f"  DAMAGED: {export['damage']}"
            continue
        deletes = f" ({_many(export['deletes'], 'delete')})" if export["deletes"] else ""
        view = f", {export['view']}" if export["view"] else ""
        records, files = _many(export["records"], "record"), _many(export["files"], "file")
        yield f"  {records}{deletes} in {files}, {size(export['bytes'])}{view}; MD5s and counts are right"
        if export["rejected"]:
            yield f"  and {_many(export['rejected'], 'record')} that cannot be represented"
        for name in ("first", "last"):
            if write := export[f"{name}_write"]:
                yield f"  {name} write {_shown(write)}"
        for write in export["outside"]:
            yield f"  OUTSIDE its window: {_shown(write)}"
    for damaged in document["damaged"]:
        yield f"DAMAGED {damaged['place']}: {damaged['damage']}"
    for boundary in document["boundaries"]:
        yield f"boundary: {names[boundary['before']]} | {names[boundary['after']]}"
        yield f"  {_verdict(boundary)}"
        if boundary["last_write_before"]:
            yield f"  last write before it:  {_shown(boundary['last_write_before'])}"
        if boundary["first_write_behind"]:
            yield f"  first write behind it: {_shown(boundary['first_write_behind'])}"
        if boundary["in_full_export"]:
            yield f"  the full export holds that item {boundary['in_full_export']}"


def _verdict(boundary: dict[str, Any]) -> str:
    if not boundary["same_table"]:
        return "ANOTHER TABLE under the same name: its id differs"
    gap = boundary["gap_seconds"]
    if gap > 0:
        return f"GAP of {gap:g} s, from {boundary['ends']} to {boundary['begins']}: changes in it are in neither"
    if gap < 0:
        return f"overlap of {-gap:g} s, from {boundary['begins']} to {boundary['ends']}"
    return f"tiles exactly at {boundary['begins']}: before it in the one, from it on in the other"


def _name(export: dict[str, Any]) -> str:
    return f"{export['from']} to {export['to']}" if export["from"] else f"full export of {export['to']}"


def _shown(write: dict[str, str]) -> str:
    return f"{write['at']}  {write['what']} {write['key']}"


# ---- read -------------------------------------------------------------------------------------------------


@command.command(
    epilog="Example: tailrace export read s3://acme-lake/by-hand/AWSDynamoDB/01700000000000-a1b2c3d4 -o orders.parquet"
)
@click.argument("place")
@output_options
@aws_options
@click.pass_obj
def read(
    context: Context,
    place: str,
    output: str,
    form: str | None,
    report: Path | None,
    region: str | None,
    profile: str | None,
    endpoint_url: str | None,
) -> None:
    """Read one export into a file of Parquet, Arrow, CSV or NDJSON, as `tailrace decode` does it.

    Exactly the files that its manifests list are read, side by side, and compared with their MD5s and counts. OUT is
    replaced only when all is right.
    """
    given = {"region": region, "profile": profile, "endpoint_url": endpoint_url}
    write_rows(context, lambda: _open(context, place, **given).one_export().inputs, output, form, report)


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _utc(seconds: float) -> str:
    """``2026-11-22T05:15:00Z``; with milliseconds where there are any."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}" + (f".{moment.microsecond // 1000:03d}Z" if moment.microsecond else "Z")


def _utc_micros(micros: int) -> str:
    return f"{datetime.fromtimestamp(micros // 1_000_000, UTC):%Y-%m-%dT%H:%M:%S}.{micros % 1_000_000:06d}Z"
