"""``tailrace doctor``"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import click

from tailrace.cli.options import tables_option
from tailrace.cli.output import DIFFERENT, IN_PART, Context, print_json, printable
from tailrace.decide.doctor import Finding, worst

EXIT_CODES: Final = {"ok": 0, "warning": IN_PART, "error": DIFFERENT}


@click.command(epilog="Example: tailrace doctor --tables 'orders*'")
@tables_option
@click.option("--problems", is_flag=True, help="Only warnings and errors.")
@click.pass_obj
def command(context: Context, tables: str, problems: bool) -> None:
    """Check a configuration before it runs: credentials, tables, bucket, targets, rights, clock, versions.

    Each warning and error comes with the command or policy that puts it right. Nothing is changed; one object is written
    under the landing prefix (and Redshift's staging prefix) and deleted again. Exit code 3: warnings; 4: errors.
    """
    from tailrace.doctor import examine

    found = []
    for finding in examine(context.pipeline(), tables):
        found.append(finding)
        if not context.as_json and not (problems and finding.level == "ok"):
            click.echo("\n".join(lines(finding)))
    level = worst(found)
    if context.as_json:
        shown = [document(finding) for finding in found if not (problems and finding.level == "ok")]
        print_json({"level": level, "findings": shown})
    else:
        counts = [sum(finding.level == name for finding in found) for name in EXIT_CODES]
        click.echo("{} ok, {} warnings, {} errors".format(*counts))
    click.get_current_context().exit(EXIT_CODES[level])


def document(finding: Finding) -> dict[str, Any]:
    """The JSON form; scripts depend on it."""
    return {
        "level": finding.level,
        "check": finding.check,
        "subject": finding.subject,
        "message": finding.message,
        "fix": finding.fix,
    }


def lines(finding: Finding) -> Iterator[str]:
    """A finding for people. Names and messages of others are shown, never obeyed."""
    yield f"{finding.level:<7}  {finding.check:<11}  {printable(finding.subject)}: {printable(finding.message)}"
    if finding.level != "ok" and finding.fix:
        yield f"         fix: {printable(finding.fix)}"
