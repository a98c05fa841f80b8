"""``tailrace why``"""

from __future__ import annotations

from typing import Any, Final

import click

from tailrace.cli.output import DIFFERENT, IN_PART, Context, moment, print_json, printable, size, span
from tailrace.cli.status import rule_document, rule_text
from tailrace.jobs.why import BEFORE_MAX, SegmentLoad, SegmentStory

ORPHAN: Final = (
    "  Its writer ended before it was published, or another one was first, or it is being published now. Its records are in",
    "  other segments, or are captured again. If it stays like this for an hour, it may be deleted.",
)


@click.command(epilog="Example: tailrace why 4200000000031415926535-4200000000031415926999-0badcafe")
@click.argument("segment")
@click.pass_obj
def command(context: Context, segment: str) -> None:
    """Tell one segment's life: captured, published, compacted, loaded where and when, or why not.

    SEGMENT is its name in the landing zone, a part that is unique, or the path or URL of its object. Exit code 4: it is
    damaged or gone, or nothing but an object that no manifest lists; 3: some of its records are set aside.
    """
    story = context.pipeline().why(segment)
    if context.as_json:
        print_json(document(story))
    else:
        click.echo("\n".join(lines(story)))
    if not story.published or not story.intact:
        click.get_current_context().exit(DIFFERENT)
    if story.quarantined:
        click.get_current_context().exit(IN_PART)


def document(story: SegmentStory) -> dict[str, Any]:
    """The JSON form; scripts depend on it."""
    return {
        "table": story.table,
        "name": story.name,
        "published": story.published,
        "entry": story.entry,
        "intact": story.intact,
        "problem": story.problem,
        "loads": [_load_document(load) for load in story.loads],
        "gaps": [gap.to_json() for gap in story.gaps],
        "quarantined": story.quarantined,
        "written": None if story.written_ms is None else moment(story.written_ms),
        "bytes": story.bytes,
    }


def _load_document(load: SegmentLoad) -> dict[str, Any]:
    loader = load.loader
    return {
        "target": load.target,
        "load": rule_document(load.rule),
        "applied": load.standing == "applied",
        "standing": load.standing,
        "row": load.row,
        "before": load.before,
        "due": None if load.due_ms is None else moment(load.due_ms),
        "blocker": load.blocker,
        "loader": None if loader is None else {"holder": loader.holder, "since": moment(loader.since_ms)},
        "problem": load.problem,
    }


def lines(story: SegmentStory) -> list[str]:
    """The story for people."""
    shown = [f"{printable(story.name)}  (table {story.table})"]
    if not story.published:
        written = f"{size(story.bytes or 0)}, written at {moment(story.written_ms)}"
        return [*shown, f"  NOT PUBLISHED: no manifest lists it, so nothing of it counts; {written}", *ORPHAN]
    entry = story.entry or {}
    shown.append(
        f"  captured: {entry['rows']} {entry['kind']} records, {size(entry['bytes'])}, newest change "
        f"{moment(entry['newest_change_ms'])}"
    )
    shown += [
        f"    {rows} from {printable(i)}: {first} to {last}" for i, (first, last, rows) in entry["shards"].items()
    ]
    shown += [f"  made from {printable(origin)}" for origin in entry["lineage"]]
    shown.append(f"  published as number {entry['number']} at {moment(entry['published_ms'])}")
    if "place" in entry:
        name, offset = entry["place"]
        shown.append(f"  compacted into {name}, from byte {offset} on")
    intact = "is what was published" if story.intact else f"IS DAMAGED: {printable(story.problem)}"
    shown.append(f"  content {intact}")
    shown += [f"  {load.target}: {told(load)}" for load in story.loads]
    shown += [f"  GAP {gap.kind} beside it: {printable(gap.reason)}" for gap in story.gaps]
    shown += [f"  some of its records are set aside: {name}" for name in story.quarantined]
    return shown


def told(load: SegmentLoad) -> str:
    """How a segment stands with a target, and what to do about it."""
    rule = f"load {rule_text(load.rule)}"
    if load.standing == "applied":
        row = load.row
        lag = "" if row is None or row.lag_ms_p50 is None else f", {span(row.lag_ms_p50 / 1000)} after its changes"
        return f"applied{'' if row is None else f' at {moment(row.applied_ms)}'}{lag} ({rule})"
    if load.standing == "unknown":
        return f"does not answer: {printable(load.problem)}"
    behind = f", behind {load.before} others" if load.before else ""
    if load.standing == "by_hand":
        why = f"it waits for `tailrace load`{behind}"
    elif load.standing == "waits":
        why = "it waits for its time" + ("" if load.due_ms is None else f", which is {moment(load.due_ms)}")
    elif load.standing == "blocked":
        by = "" if load.blocker is None else f"{printable(load.blocker)}: "
        why = f"blocked by {by}{printable(load.problem)}"
    elif load.standing == "busy" and load.loader is not None:
        why = f"{printable(load.loader.holder or '')} loads since {moment(load.loader.since_ms)}{behind}"
    else:
        seen = f", of which {BEFORE_MAX} were looked at" if load.before > BEFORE_MAX else ""
        why = f"it is due{behind}{seen}; `tailrace load` does it, and says what is wrong"
    return f"not applied yet: {why} ({rule})"
