"""``tailrace dlq``"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from tailrace.cli.output import FAILED, IN_PART, Context, is_confirmed, moment, print_json, printable
from tailrace.deploy.entry import PARKED
from tailrace.errors import NotFound, UsageInvalid

if TYPE_CHECKING:
    from tailrace.runtimes.aws_lambda.parked import Letter, Parked

F = TypeVar("F", bound=Callable[..., Any])

EVENT_SHOWN: Final = 2000  # characters; --json shows all of it


@click.group(name="dlq", epilog="Example: tailrace dlq list")
def command() -> None:
    """Calls of functions that failed for good: see why, send them again, or take them away. Nothing leaves by itself."""


def _queue_option(command: F) -> F:
    return click.option(
        "--queue",
        metavar="NAME|URL",
        envvar=PARKED,
        help=f"The queue they are kept in (default NAME-parked of [deploy], or {PARKED}).",
    )(command)


@command.command(name="list", epilog="Example: tailrace dlq list")
@_queue_option
@click.pass_obj
def list_(context: Context, queue: str | None) -> None:
    """List what is kept, oldest first. Exit code 3 when there is something."""
    with _parked(context, queue).letters() as letters:
        pass
    if context.as_json:
        print_json([_entry(letter) for letter in letters])
    else:
        for letter in letters:
            click.echo(f"{letter.id}  {moment(letter.sent_ms)}  {printable(letter.failure.told())}")
    if letters:
        _tell_of_more(context, letters)
        click.get_current_context().exit(IN_PART)


def _entry(letter: Letter) -> dict[str, Any]:
    failure = letter.failure
    return {
        "id": letter.id,
        "sent": moment(letter.sent_ms),
        "function": failure.function,
        "condition": failure.condition,
        "attempts": failure.attempts,
        "error_type": failure.error_type,
        "error": failure.error,
        "stream": failure.stream,
        "object": failure.object,
        "replayable": failure.why_not_replayed is None,
    }


@command.command(epilog="Example: tailrace dlq show 8fce26ad")
@_queue_option
@click.argument("id_", metavar="ID")
@click.pass_obj
def show(context: Context, queue: str | None, id_: str) -> None:
    """Show why a call failed, and what the function was called with. A part of its ID is enough."""
    with _parked(context, queue).letters() as letters:
        letter = _found(letters, id_)
    failure = letter.failure
    if context.as_json:
        print_json({**_entry(letter), "event": failure.event, "letter": letter.body})
        return
    event = printable(letter.body if failure.event is None else json.dumps(failure.event, ensure_ascii=False))
    click.echo(printable(failure.told()))
    click.echo(f"  kept since {moment(letter.sent_ms)}")
    click.echo(f"  {event[:EVENT_SHOWN]}{'…' if len(event) > EVENT_SHOWN else ''}")


@command.command(epilog="Example: tailrace dlq replay 8fce26ad")
@_queue_option
@click.option("--all", "is_all", is_flag=True, help="Everything that is kept.")
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.pass_obj
def replay(context: Context, queue: str | None, is_all: bool, ids: Sequence[str]) -> None:
    """Send calls to their functions again, or land the records that a mapping gave up. A part of an ID is enough.

    Once the cause is removed. Safe at any time: what is done already is not done twice. What cannot be sent stays, with the
    reason (exit code 3); what fails again comes back.
    """
    if is_all == bool(ids):
        raise UsageInvalid("Say which, or --all", hint="For example `tailrace dlq replay 8fce26ad`.")
    parked = _parked(context, queue)
    done: list[dict[str, str]] = []
    kept: list[dict[str, str]] = []
    with parked.letters() as letters:
        for letter in letters if is_all else _each(letters, ids):
            replayed = parked.replay(letter)
            (done if replayed.is_done else kept).append({"id": letter.id, "told": replayed.told})
            context.say(f"{letter.id} {'' if replayed.is_done else 'stays: '}{printable(replayed.told)}")
    if context.as_json:
        print_json({"replayed": done, "kept": kept})
    else:
        click.echo(f"{len(done)} replayed, {len(kept)} kept")
    if is_all:
        _tell_of_more(context, letters)
    if kept:
        click.get_current_context().exit(IN_PART)


@command.command(epilog="Example: tailrace dlq drop 8fce26ad --yes")
@_queue_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.argument("id_", metavar="ID")
@click.pass_obj
def drop(context: Context, queue: str | None, id_: str, yes: bool) -> None:
    """Take a call away for good, for example one that later calls have made up for. A part of its ID is enough."""
    parked = _parked(context, queue)
    with parked.letters() as letters:
        letter = _found(letters, id_)
        if not yes and not is_confirmed(f"Forget {letter.id}: {printable(letter.failure.told())}"):
            context.say("nothing was dropped")
            click.get_current_context().exit(FAILED)
        parked.drop(letter)
    if context.as_json:
        print_json({"id": letter.id, "dropped": 1})
    else:
        click.echo("dropped")


def _parked(context: Context, queue: str | None) -> Parked:
    from tailrace.aws import Aws
    from tailrace.config import find_config, load_config
    from tailrace.runtimes.aws_lambda.parked import Parked

    config = load_config(find_config(context.config))
    name = queue or f"{config.deploy.name}-parked"
    try:
        return Parked(Aws(config.source.aws()), config, name)
    except NotFound as error:
        raise NotFound(
            f"There is no queue {name}",
            hint=f"Say --queue, or set {PARKED} to the name or URL of the queue that `dead_letters` keeps calls in.",
            **error.facts,
        ) from error


def _found(letters: Sequence[Letter], part: str) -> Letter:
    """The one letter that has this in its id."""
    found = [letter for letter in letters if part in letter.id]
    if len(found) > 1:
        raise UsageInvalid(f"{len(found)} calls match {part!r:.80}", hint=f"For example {found[0].id}")
    if not found:
        raise NotFound(
            f"Nothing in the queue is called {part!r:.80}",
            hint="It was replayed or dropped, or somebody else looks at it just now: see `tailrace dlq list`.",
        )
    return found[0]


def _each(letters: Sequence[Letter], parts: Sequence[str]) -> list[Letter]:
    """Every letter that is named, once."""
    return list({letter.id: letter for letter in (_found(letters, part) for part in parts)}.values())


def _tell_of_more(context: Context, letters: Sequence[Letter]) -> None:
    from tailrace.runtimes.aws_lambda.parked import LETTERS_MAX

    if len(letters) >= LETTERS_MAX:
        context.say(f"{len(letters)} were looked at, and there may be more")
