"""What the documentation says exists, and what exists is in the documentation."""

from __future__ import annotations

import importlib.util
import re
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from tailrace import config, errors
from tailrace.cli import main
from tailrace.config import load_config, parse_duration, parse_size
from tailrace.decide.load import LoadLimits
from tailrace.jobs.capture import CaptureSettings
from tailrace.jobs.compact import CompactSettings

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
CLI = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
ERRORS = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, *languages: str) -> Iterator[str]:
    """The fenced blocks of a page in one of these languages."""
    for language, text in re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S):
        if language in languages:
            yield text


def sections(text: str) -> dict[str, str]:
    """Heading to what stands below it, up to the next heading of any level."""
    parts = re.split(r"^#+ (.*)\n", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def commands(group: click.Group = main, path: str = "tailrace") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        if name == "decode" and importlib.util.find_spec("tailrace.cli.decode") is None:
            continue  # being built
        command = group.get_command(context, name)
        assert command is not None
        yield f"{path} {name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")


COMMANDS = dict(commands())


# ---- commands


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_and_option_is_documented(path: str) -> None:
    section = sections(CLI).get(path)
    assert section is not None, f"docs/cli.md has no section {path!r}"
    for option in COMMANDS[path].params:
        if not isinstance(option, click.Option) or option.name in ("as_json", "config", "help"):
            continue
        spelled = max(option.opts, key=len)
        assert re.search(rf"`[^`]*{spelled}\b", section), f"docs/cli.md, {path}: {spelled} is missing"


def test_every_global_option_is_documented() -> None:
    section = sections(CLI)["Options of every command"]
    for option in main.params:
        assert f"`{max(option.opts, key=len)}" in section.replace("`-c`, ", ""), option.opts


def test_no_command_is_documented_that_does_not_exist() -> None:
    documented = {heading for heading in sections(CLI) if heading.startswith("tailrace ")}
    assert documented - {"tailrace decode"} <= set(COMMANDS)


def shell_lines() -> Iterator[tuple[str, str]]:
    """Every call of tailrace in a shell example, with its page."""
    for page in PAGES:
        for block in blocks(page, "sh", "console", "bash"):
            for line in block.splitlines():
                plain = re.split(r"\s+#", line.removeprefix("$ "))[0]
                for call in re.split(r"&&|\|", plain):
                    if call.strip().startswith("tailrace "):
                        yield name_of(page), call.strip()


SHELL_LINES = list(shell_lines())


@pytest.mark.parametrize(("page", "line"), SHELL_LINES)
def test_every_shell_example_names_commands_and_options_that_exist(page: str, line: str) -> None:
    arguments = shlex.split(line)[1:]
    context = main.make_context("tailrace", list(arguments))
    command: click.Command = main
    while isinstance(command, click.Group):
        name, found, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        assert found is not None, f"{page}: {line}"
        command = found
        context.obj = context.obj or _options()
        context = command.make_context(name, rest, parent=context)


def _options() -> Any:
    from tailrace.cli.output import Context

    return Context(None, False, False, False, False)


def test_there_are_shell_examples_to_check() -> None:
    assert len(SHELL_LINES) > 10


# ---- settings


def rows(heading: str) -> dict[str, str]:
    """The settings table under a heading: name to default."""
    found = re.findall(r"^\| `(\w+)` \| (.*?) \|", sections(CONFIGURATION)[heading], re.M)
    return dict(found)


@pytest.mark.parametrize(
    ("heading", "kinds"),
    [
        ("[landing]", [config.LandingConfig]),
        ("[source]", [config.SourceConfig]),
        ("[targets.NAME]", config.TARGETS.values()),
        ("[defaults] and [tables.NAME]", [config.TableConfig]),
        ("[deploy]", [config.DeployConfig]),
        ("[spark]", [config.SparkConfig]),
    ],
)
def test_every_setting_is_documented_and_no_other(heading: str, kinds: Iterable[Any]) -> None:
    settings = {field.alias or name for kind in kinds for name, field in kind.model_fields.items()}
    assert set(rows(heading)) == settings


def test_the_documented_defaults_are_the_defaults() -> None:
    documented = {name: text.strip('`"') for name, text in rows("[defaults] and [tables.NAME]").items()}
    settings = CaptureSettings()
    assert documented["start"] == settings.start
    assert parse_duration(float(documented["flush_seconds"])) == settings.flush_seconds
    assert parse_size(documented["flush_bytes"]) == settings.flush_bytes
    assert float(documented["heartbeat_seconds"]) == settings.heartbeat_seconds
    assert int(documented["workers"]) == settings.workers
    assert parse_size(documented["load_bytes"]) == LoadLimits().bytes
    assert parse_size(documented["compact_bytes"]) == CompactSettings().target_bytes
    assert parse_duration(documented["compact_grace"]) == CompactSettings().grace_seconds
    assert documented["mode"] == "current"


TOML = [(name_of(page), text) for page in PAGES for text in blocks(page, "toml")]


@pytest.mark.parametrize(("page", "text"), TOML)
def test_every_configuration_in_the_documentation_loads(page: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "tailrace.toml"
    path.write_text(text, encoding="utf-8")
    assert load_config(path, {}).tables


def test_the_readme_and_the_manual_show_a_configuration() -> None:
    assert {page for page, _ in TOML} >= {"README.md", "docs/configuration.md"}


# ---- errors


def kinds(kind: type[errors.TailraceError] = errors.TailraceError) -> Iterator[type[errors.TailraceError]]:
    yield kind
    for below in kind.__subclasses__():
        if below.__module__ == errors.__name__:
            yield from kinds(below)


def test_every_error_is_documented_and_no_other() -> None:
    documented = {heading for heading in sections(ERRORS) if heading.startswith("TAILRACE-")}
    assert documented == {f"{kind.code} {kind.__name__}" for kind in kinds()}


@pytest.mark.parametrize("kind", list(kinds()), ids=lambda kind: kind.code)
def test_every_error_says_something(kind: type[errors.TailraceError]) -> None:
    assert len(sections(ERRORS)[f"{kind.code} {kind.__name__}"].strip()) > 20


# ---- links


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), f"{name_of(page)}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)", linked.read_text(encoding="utf-8"), re.M)
            slugs = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in slugs, f"{name_of(page)}: {target}"


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").rglob("*.md"):
        name = str(page.relative_to(ROOT / "docs"))
        assert name == "README.md" or name.startswith("decisions/") or f"]({name})" in index, name
