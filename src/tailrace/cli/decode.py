"""``tailrace decode``"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from tailrace.cli.output import IN_PART, Context, print_json, printable
from tailrace.errors import UsageInvalid
from tailrace.outputs import output_errors, part_of

if TYPE_CHECKING:
    from tailrace.codec import Rejected
    from tailrace.convert import Conversion
    from tailrace.inputs import Input

FORMAT_NAMES: Final = ("parquet", "arrow", "csv", "ndjson")
REJECTED_SHOWN: Final = 5


F = TypeVar("F", bound=Callable[..., Any])


def output_options(command: F) -> F:
    """-o, --format and --report, of every command that writes one file of rows."""
    for option in (
        click.option(
            "--report",
            metavar="FILE",
            type=click.Path(path_type=Path),
            help="What was seen and rejected, as JSON lines.",
        ),
        click.option(
            "--format", "form", type=click.Choice(FORMAT_NAMES), help="Default: as the name of OUT says; NDJSON for -."
        ),
        click.option(
            "-o", "--output", required=True, metavar="OUT", help="A file, or - for standard output (CSV and NDJSON)."
        ),
    ):
        command = option(command)
    return command


@click.command(
    epilog="Example: tailrace decode export/AWSDynamoDB/01700000000000-a1b2c3d4 -o orders.parquet --report r.json"
)
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...", type=click.Path(path_type=Path))
@output_options
@click.pass_obj
def command(context: Context, inputs: tuple[Path, ...], output: str, form: str | None, report: Path | None) -> None:
    """Turn DynamoDB JSON into one file of Parquet, Arrow, CSV or NDJSON.

    An INPUT is a file of an export, a segment, a Lambda event, what GetRecords or Firehose gave, gzip'd or not, or a folder of
    them; which one, is found out by looking. Of a folder with DynamoDB exports, exactly the files that their manifests
    list are read, and compared with their MD5s and counts. Numbers keep all their digits, and an attribute with two
    types gets two columns. Lines that cannot be represented are left out and told in the report; the exit code is then
    3. OUT is replaced only when all is written.
    """
    from tailrace.inputs import find_inputs

    def on_left_out(source: Any, count: int) -> None:
        if count:
            files, are = ("1 file", "is") if count == 1 else (f"{count} files", "are")
            context.say(
                f"{printable(str(source))}: {files} beside the exports, which no manifest lists, {are} left out"
            )

    write_rows(context, lambda: find_inputs(inputs, on_left_out=on_left_out), output, form, report)


def write_rows(
    context: Context, find: Callable[[], Sequence[Input]], output: str, form: str | None, report: Path | None
) -> None:
    """Decode what `find` gives into one output, and tell what came of it; exit code 3 where lines were rejected."""
    from tailrace.convert import FORMATS, convert

    target = None if output == "-" else Path(os.path.realpath(output))
    chosen = form or (FORMATS.get(target.suffix.lower()) if target is not None else "ndjson")
    if chosen is None:
        raise UsageInvalid("The name of the output does not say its format", hint="Add --format.", path=output)
    if target is None and (chosen not in ("csv", "ndjson") or context.as_json):
        raise UsageInvalid("Standard output takes CSV or NDJSON, without --json", hint="Write to a file.")
    inputs = find()
    _check_outputs(inputs, [path for path in (target, report) if path is not None])
    with _report(report) as write, progress(context, "decoding", inputs) as shown:
        rejected = _Rejections(write, context.say if report is None else lambda message: None)
        conversion = convert(
            inputs,
            sys.stdout.buffer if target is None else target,
            chosen,  # type: ignore[arg-type]
            on_read=shown.on_read,
            on_file=shown.on_file,
            on_rejected=rejected,
        )
        summary = _summary(conversion, output, report)
        for record in summary["attributes"]:
            write({"record": "attribute", **record})
        write({"record": "summary", **{name: value for name, value in summary.items() if name != "attributes"}})
    _tell(context, summary)
    if conversion.rejected:
        click.get_current_context().exit(IN_PART)


class _Rejections:
    """Writes each rejected line into the report, and says the first few."""

    def __init__(self, write: Callable[[dict[str, Any]], None], say: Callable[[str], None]) -> None:
        self._write = write
        self._say = say
        self._count = 0

    def __call__(self, source: Input, line: Rejected) -> None:
        self._count += 1
        if self._count <= REJECTED_SHOWN:
            self._say(f"rejected: {printable(source.name)} line {line.line}: {line.kind}: {printable(line.reason)}")
        place = {"file": source.name, "line": line.line, "offset": line.offset}
        self._write({"record": "rejected", **place, "kind": line.kind, "reason": line.reason})


def _summary(conversion: Conversion, output: str, report: Path | None) -> dict[str, Any]:
    from tailrace.convert import describe

    attributes = describe(conversion)
    return {
        "output": output,
        "inputs": conversion.inputs,
        "rows": conversion.rows,
        "rejected": conversion.rejected,
        "conflicts": [a["attribute"] for a in attributes if a["conflict"]],
        "report": None if report is None else str(report),
        "attributes": attributes,
    }


def _tell(context: Context, summary: dict[str, Any]) -> None:
    if context.as_json:
        print_json(summary)
        return
    inputs, rows = summary["inputs"], summary["rows"]
    context.say(f"{rows} rows from {inputs} {'file' if inputs == 1 else 'files'} into {printable(summary['output'])}")
    if summary["conflicts"]:
        context.say(
            f"attributes with several types, each in a column of its own: {printable(', '.join(summary['conflicts']))}"
        )
    if summary["rejected"]:
        where = printable(summary["report"] or "add --report FILE to see them all")
        context.say(f"{summary['rejected']} lines are left out, because they cannot be represented: {where}")


def _check_outputs(inputs: Sequence[Input], outputs: list[Path]) -> None:
    """An output is a file of its own: replacing a device or an input would destroy it."""
    taken = {os.path.realpath(one.name) for one in inputs}  # an url is no path of an output
    for path in outputs:
        with output_errors(path):
            is_special = path.exists() and not path.is_file()
        if is_special:
            raise UsageInvalid(
                "An output is a regular file", hint="Choose another name, or - for CSV and NDJSON.", path=path
            )
        if os.path.realpath(path) in taken:
            raise UsageInvalid(
                "One file is both input and output, or both outputs", hint="Choose another name.", path=path
            )
        taken.add(os.path.realpath(path))


@contextmanager
def _report(path: Path | None) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A function that writes one record as a line; the file stands under its name when all is written."""
    if path is None:
        yield lambda record: None
        return
    part = part_of(path)
    try:
        with output_errors(path):
            file = part.open("w", encoding="ascii")

        def write(record: dict[str, Any]) -> None:
            with output_errors(path):
                file.write(json.dumps(record) + "\n")

        try:
            yield write
            with output_errors(path):
                file.close()
                part.replace(path)
        finally:
            with suppress(OSError):
                file.close()
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


class Progress:
    """Hears what was read: `on_read` of bytes, `on_file` of whole files, both of the first or the second look."""

    def on_read(self, look: int, count: int) -> None: ...

    def on_file(self, look: int) -> None: ...


@contextmanager
def progress(context: Context, what: str, inputs: Sequence[Input]) -> Iterator[Progress]:
    """Bars on a terminal, with files, bytes and the time left. The second look, where one is needed, has its own."""
    if not context.is_live:
        yield Progress()
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description} {task.fields[files]}/" + f"{len(inputs)} files"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    total = sum(one.size for one in inputs)
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        once_more = bars.add_task("once more, as columns widened:", total=total, start=False, visible=False, files=0)
        tasks = {1: bars.add_task(f"{what}:", total=total, files=0), 2: once_more}
        files = {1: 0, 2: 0}

        class Shown(Progress):
            def on_read(self, look: int, count: int) -> None:
                bars.start_task(tasks[look])
                bars.update(tasks[look], advance=count, visible=True)

            def on_file(self, look: int) -> None:
                files[look] += 1
                bars.update(tasks[look], files=files[look])

        yield Shown()
