"""``tailrace deploy``"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import click

from tailrace.cli.output import Context, print_json, printable
from tailrace.errors import TailraceError, UsageInvalid
from tailrace.outputs import part_of, unwritable


@click.group(name="deploy", epilog="Example: tailrace deploy render --to sam ./aws")
def command() -> None:
    """Everything that the configured tables need on AWS, without a server: docs/aws.md."""


@command.command(epilog="Example: tailrace deploy render --to terraform ./aws")
@click.option(
    "--to", "tool", type=click.Choice(["sam", "cdk", "terraform"]), required=True, help="The tool that will deploy it."
)
@click.option("--force", is_flag=True, help="Replace files that somebody has changed, too.")
@click.argument("folder", metavar="DIR", type=Path)
@click.pass_obj
def render(context: Context, tool: str, force: bool, folder: Path) -> None:
    """Write functions, triggers, schedules, alarms, roles and bucket as files for SAM, CDK or Terraform.

    Calls nothing. DIR/README.md has the steps that follow. The same configuration gives the same bytes; a file that was changed
    since it was rendered is left alone, and none is written then.
    """
    from tailrace import __version__
    from tailrace.config import find_config, load_config
    from tailrace.deploy.files import rendered
    from tailrace.deploy.plan import plan

    deployment = plan(load_config(find_config(context.config)), __version__)
    files = rendered(deployment, tool)  # type: ignore[arg-type]  # click has checked it
    written = write_files(folder, files, force=force)
    if context.as_json:
        print_json({"folder": folder, "files": list(files), "written": written, "notes": deployment.notes})
        return
    for note in deployment.notes:
        context.say(f"note: {printable(note)}")
    click.echo(
        f"{len(written)} of {len(files)} files written to {printable(str(folder))}; the others were so already"
        if len(written) < len(files)
        else f"{len(files)} files written to {printable(str(folder))}"
    )
    click.echo(f"{len(deployment.resources)} parts, {len(deployment.roles)} roles; go on with {folder / 'README.md'}")


def write_files(folder: Path, files: dict[str, str], *, force: bool) -> list[str]:
    """Write what differs, and answer its names; nothing at all where a person's change would be lost."""
    from tailrace.deploy.files import is_untouched

    differing = []
    for name, text in files.items():
        found = _read(folder / name)
        if found is not None and not force and not is_untouched(found, text):
            raise UsageInvalid(
                f"{name} is not as it was rendered: somebody changed it, or it is another file",
                hint="Keep the change elsewhere and render with --force, or render to another folder.",
                file=folder / name,
            )
        if found != text:
            differing.append(name)
    for name in differing:
        _write(folder / name, files[name])
    return differing


def _read(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise _unusable(error, path) from error


def _write(path: Path, text: str) -> None:
    """In one step: a rendering that is stopped leaves no half of a file."""
    part = part_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(text.encode())
        os.replace(part, path)
    except (OSError, ValueError) as error:
        raise _unusable(error, path) from error
    finally:
        with suppress(OSError, ValueError):
            part.unlink(missing_ok=True)


def _unusable(error: OSError | ValueError, path: Path) -> TailraceError:
    what = "The file cannot be read or written"
    if isinstance(error, OSError):
        return unwritable(what, error, file=path)
    return UsageInvalid(f"{what}: {error}", hint="Choose another folder.", file=path)
