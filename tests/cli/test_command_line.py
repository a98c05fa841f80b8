"""What holds for every command: help, exit codes, one JSON document, streams that fail, names that lie."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from cli_project import CONFIG, GAP, Project
from click.core import ParameterSource
from click.testing import CliRunner

from tailrace import __version__
from tailrace.cli import COMMANDS, SUMMARIES, main
from tailrace.cli.jobs import Remaining
from tailrace.cli.output import set_up_logging
from tailrace.clock import ManualClock
from tailrace.model.quarantine import QuarantinedRecord

TAILRACE = (sys.executable, "-m", "tailrace")
SECONDS = 30


def every_command(group: click.Group = main, path: str = "tailrace") -> Iterator[tuple[str, click.Command]]:
    """Every command with its path, groups too."""
    context = click.Context(group)
    for name in group.list_commands(context):
        if name == "decode" and importlib.util.find_spec("tailrace.cli.decode") is None:
            continue  # being built
        command = group.get_command(context, name)
        assert command is not None
        yield f"{path} {name}", command
        if isinstance(command, click.Group):
            yield from every_command(command, f"{path} {name}")


COMMANDS_BY_PATH = dict(every_command())


def real(*arguments: str | bytes, folder: Path, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """The command as a process of its own."""
    return subprocess.run(
        [*TAILRACE, *arguments], cwd=folder, timeout=SECONDS, check=False, **{"capture_output": True, **options}
    )


# ---- help


@pytest.mark.parametrize("path", COMMANDS_BY_PATH)
def test_every_command_has_help_with_an_example_that_calls_it(path: str) -> None:
    result = CliRunner().invoke(main, [*path.split()[1:], "--help"])
    assert result.exit_code == 0
    command = COMMANDS_BY_PATH[path]
    assert command.help
    assert command.epilog is not None
    assert command.epilog.startswith(f"Example: {path}")
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help or isinstance(option.type, click.Choice), f"{path} {option.opts}"


def test_the_list_of_commands_knows_them_all_without_importing_them() -> None:
    assert set(COMMANDS) == set(SUMMARIES)
    code = "import sys\nfrom tailrace.cli import main\ntry:\n main(['--help'])\nexcept SystemExit: pass\n"
    code += "print([m for m in ('boto3', 'duckdb', 'pyarrow', 'pydantic') if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=SECONDS, check=True)
    assert answer.stdout.splitlines()[-1] == "[]"


def test_version_names_the_codec() -> None:
    result = CliRunner().invoke(main, ["--version"])
    assert result.exit_code == 0
    assert result.stdout.startswith(f"tailrace {__version__} (codec: ")


# ---- wrong usage


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["statsu"], "Did you mean 'status'?"),
        (["quarantine", "lst"], "Did you mean 'list'?"),
        (["status", "--tabels", "x"], "Did you mean '--tables'?"),
        (["--jsno", "status"], "Did you mean '--json'?"),
        (["xyzzy"], "No such command"),
        (["query"], "Missing argument 'SQL'"),
        (["run", "--budget", "soon"], "is no duration"),
        (["run", "--budget", "-1s"], "is no duration"),
        (["run", "--budget", "0"], "greater than zero"),
        (["run", "--budget", "1e400"], "is no duration"),
        (["run", "--budget", "nan"], "is no duration"),
        (["run", "--budget", "9" * 40], "shorter than thirty years"),
        (["run", "--budget", "٣"], "is no duration"),
        (["query", "--format", "xml", "SELECT 1"], "'xml' is not one of"),
        (["status", "surplus"], "unexpected extra argument"),
    ],
)
def test_wrong_usage_exits_2_says_what_was_meant_and_is_json_where_asked(arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert said in result.stderr.replace("\n", " ")
    result = CliRunner().invoke(main, [*arguments, "--json"])
    assert result.exit_code == 2
    error = json.loads(result.stdout)["error"]
    assert error["code"] == "TAILRACE-102"
    assert said in error["message"]
    assert "--help" in error["hint"]


def test_options_may_come_from_the_environment(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    monkeypatch.setenv("TAILRACE_CONFIG", str(project.folder / "tailrace.toml"))
    assert CliRunner().invoke(main, ["status"]).stdout.startswith("orders  NEW")
    monkeypatch.setenv("TAILRACE_STATUS_TABLES", "x*")
    assert "No configured table matches 'x*'" in CliRunner().invoke(main, ["status"]).stderr


def variables() -> Iterator[tuple[str, click.Command, click.Option]]:
    """The documented variable of every option."""
    for path, command in {"tailrace": main, **COMMANDS_BY_PATH}.items():
        for option in command.params:
            if isinstance(option, click.Option) and option.expose_value:
                yield (
                    f"{path} {max(option.opts, key=len).lstrip('-')}".upper().translate({32: 95, 45: 95}),
                    command,
                    option,
                )


VARIABLES = [pytest.param(*found, id=found[0]) for found in variables()]


@pytest.mark.parametrize(("variable", "command", "option"), VARIABLES)
def test_every_option_comes_from_the_variable_of_its_name(
    variable: str, command: click.Command, option: click.Option, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "1")
    _, source = option.consume_value(click.Context(command, parent=click.Context(main)), {})
    assert source is ParameterSource.ENVIRONMENT


def test_no_variable_belongs_to_two_options_and_all_are_looked_at() -> None:
    names = [str(found.id) for found in VARIABLES]
    assert len(set(names)) == len(names)
    assert {"TAILRACE_JSON", "TAILRACE_LOCAL_DIR", "TAILRACE_EXPORT_START_FROM", "TAILRACE_DLQ_REPLAY_ALL"} <= set(
        names
    )


def test_variables_are_read_as_the_options_are(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAILRACE_JSON", "1")
    assert json.loads(project.run("status").stdout)[0]["state"] == "NEW"
    monkeypatch.setenv("TAILRACE_DEPLOY_RENDER_TO", "pulumi")
    for usage in (["deploy", "render", "aws"], ["--jsno"]):
        error = json.loads(project.run(*usage).stdout)["error"]
        assert error["code"] == "TAILRACE-102"
    monkeypatch.setenv("TAILRACE_JSON", "perhaps")
    result = project.run("status")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "'perhaps' is not a valid boolean" in result.stderr


def test_a_version_in_the_environment_asks_for_nothing(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TAILRACE_VERSION", "TAILRACE_HELP", "TAILRACE_STATUS_HELP", "TAILRACE_STATUS_VERSION"):
        monkeypatch.setenv(name, "1.2")
    assert project.run("status").stdout.startswith("orders  NEW")


def test_config_and_json_are_understood_before_and_behind_the_command(project: Project) -> None:
    path = str(project.folder / "tailrace.toml")
    for arguments in (
        ["-c", path, "--json", "status"],
        ["status", "--json", "-c", path],
        ["--json", "status", "-c", path],
    ):
        result = CliRunner().invoke(main, arguments)
        assert json.loads(result.stdout)[0]["table"] == "orders"
    assert json.loads(CliRunner().invoke(main, ["quarantine", "list", "--json", "-c", path]).stdout) == []


# ---- errors


def test_an_error_has_code_place_and_next_step_and_nothing_on_stdout(project: Project) -> None:
    result = project.run("status", "--tables", "nope*")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "error TAILRACE-102: No configured table matches 'nope*'",
        "  hint: Configured are: orders.",
    ]


def test_an_error_is_one_json_document_and_a_sentence_on_stderr(project: Project) -> None:
    result = project.run("--json", "why", "nothing")
    assert result.exit_code == 2
    error = json.loads(result.stdout)["error"]
    assert set(error) == {"code", "message", "hint", "facts"}
    assert error["code"] == "TAILRACE-104"
    assert result.stderr.startswith("error TAILRACE-104: ")


def test_messages_as_json_include_the_error(project: Project) -> None:
    result = project.run("--log-format", "json", "why", "nothing")
    (message,) = map(json.loads, result.stderr.splitlines())
    assert message["level"] == "ERROR"
    assert message["code"] == "TAILRACE-104"


def test_a_defect_is_a_sentence_and_a_traceback_only_for_who_asks(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.folder / "landing").mkdir()
    monkeypatch.setattr("tailrace.landing.local.LocalStore.probe", lambda self: 1 // 0)
    result = project.run("status")
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "error TAILRACE-000: Unexpected ZeroDivisionError: integer division or modulo by zero",
        "  hint: This is a defect of Tailrace: please report it with what --debug shows.",
    ]
    assert json.loads(project.run("--json", "status").stdout)["error"]["code"] == "TAILRACE-000"
    assert "Traceback" in project.run("--debug", "status").stderr


@pytest.mark.parametrize("exception", [KeyboardInterrupt, click.Abort])
def test_an_interruption_exits_130(
    project: Project, monkeypatch: pytest.MonkeyPatch, exception: type[BaseException]
) -> None:
    def interrupted(self: object) -> None:
        raise exception

    monkeypatch.setattr("tailrace.landing.local.LocalStore.probe", interrupted)
    result = project.run("status")
    assert (result.exit_code, result.stderr) == (130, "interrupted\n")


def test_a_warehouse_whose_folder_cannot_be_made_is_no_defect(project: Project) -> None:
    lake = '[targets.lake]\nkind = "iceberg"\nwarehouse = "/sys/lake"\n'
    (project.folder / "tailrace.toml").write_text(CONFIG + lake)
    result = project.run("query", "--target", "lake", "SELECT 1")
    assert result.exit_code == 2
    assert "error TAILRACE-103: The warehouse's folder cannot be made: " in result.stderr
    assert "folder: /sys/lake" in result.stderr


def test_a_log_line_is_one_line_whatever_it_holds(capsys: pytest.CaptureFixture[str]) -> None:
    log = logging.getLogger("tailrace.test")
    for form in ("text", "json"):
        set_up_logging(quiet=False, verbose=0, log_format=form)
        log.warning("shard %s", "x\r\nerror TAILRACE-000: forged\x1b[2K\u202e")
    text, line = capsys.readouterr().err.splitlines()
    assert r"shard x\r\nerror TAILRACE-000: forged\x1b[2K\u202e" in text
    assert json.loads(line)["message"].startswith("shard x\r\n")
    assert line.isascii()


def test_a_message_of_many_lines_cannot_pass_for_another_error(loaded: Project) -> None:
    result = loaded.run("query", "SELECT nothing\nerror\x1b[31m FROM orders")
    assert all(line.startswith("  ") for line in result.stderr.splitlines()[1:])
    assert "\x1b" not in result.stderr


# ---- real processes


def test_a_reader_who_has_gone_is_no_failure(loaded: Project) -> None:
    for arguments in ("status", "query 'SELECT unnest(range(200000))' --format csv", "--help"):
        command = f"{sys.executable} -m tailrace {arguments} | head -1; echo ${{PIPESTATUS[0]}}"
        answer = subprocess.run(
            ["bash", "-c", command], cwd=loaded.folder, capture_output=True, text=True, timeout=SECONDS, check=True
        )
        assert answer.stderr == ""
        assert answer.stdout.splitlines()[1] == "0"


def test_closed_and_full_streams_end_with_a_code_and_not_with_a_crash(loaded: Project) -> None:
    for redirect, code in [(">&-", 0), (">&- 2>&- <&-", 0), (">/dev/full", 1)]:
        command = f"{sys.executable} -m tailrace status {redirect}"
        answer = subprocess.run(
            ["bash", "-c", command], cwd=loaded.folder, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        assert answer.returncode == code, (redirect, answer)
        assert "Traceback" not in answer.stderr
        assert ("error TAILRACE-204" in answer.stderr) == (code == 1)
        assert loaded.run("status").exit_code == 0, "nothing was written into the database file"


def test_arguments_that_are_not_utf8_are_shown_escaped(loaded: Project) -> None:
    answer = real("why", b"x\xff\xfe\x1b[31m", folder=loaded.folder)
    assert answer.returncode == 2
    assert rb"x\udcff\udcfe\x1b[31m" in answer.stderr
    answer = real("-c", b"\xff.toml", "status", "--json", folder=loaded.folder)
    assert answer.returncode == 2
    assert json.loads(answer.stdout)["error"]["facts"]["file"] == "\udcff.toml"


def test_output_that_the_terminal_cannot_spell_is_escaped(loaded: Project) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    answer = real("query", "SELECT 'é€'", folder=loaded.folder, env=environment)
    assert answer.returncode == 0
    assert "é\\u20ac".encode("latin-1") in answer.stdout


def test_assertions_cannot_be_switched_off(loaded: Project) -> None:
    answer = subprocess.run(
        [sys.executable, "-O", "-m", "tailrace", "status"],
        cwd=loaded.folder, capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert answer.returncode == 2
    assert "does not run under python -O" in answer.stderr


def test_an_interrupted_query_ends_within_seconds(loaded: Project) -> None:
    endless = "SELECT count(*) FROM range(1000000) a(x), range(1000000) b(y) WHERE x * y = 7"
    process = subprocess.Popen(
        [*TAILRACE, "query", endless],
        cwd=loaded.folder,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_heed_interrupts,
    )
    try:
        time.sleep(2.0)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        started = time.monotonic()
        _, said = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
    assert time.monotonic() - started < 5
    assert process.returncode == 130
    assert said.endswith("interrupted\n")
    assert "Traceback" not in said


def _heed_interrupts() -> None:
    """Whoever is started in a shell's background ignores SIGINT, and so do its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_on_a_terminal_the_result_is_the_same(loaded: Project) -> None:
    main_end, other_end = pty.openpty()
    answer = real("status", folder=loaded.folder, stdout=other_end, stderr=other_end, capture_output=False)
    os.close(other_end)
    shown = os.read(main_end, 4096).decode()
    os.close(main_end)
    assert answer.returncode == 0
    assert shown.startswith("orders  CONSISTENT\r\n")


# ---- init


def test_init_writes_a_file_that_loads_as_it_is(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["init", str(tmp_path / "new" / "folder")])
    path = tmp_path / "new" / "folder" / "tailrace.toml"
    assert result.exit_code == 0
    assert str(path) in result.stdout
    assert (
        CliRunner().invoke(main, ["-c", str(path), "status"]).stdout.startswith("orders  NEW  nothing was captured yet")
    )


def test_every_setting_that_init_comments_out_may_be_switched_on(tmp_path: Path) -> None:
    CliRunner().invoke(main, ["init", str(tmp_path)])
    path = tmp_path / "tailrace.toml"
    lines = [line[2:] if line.startswith("# ") and " = " in line else line for line in path.read_text().splitlines()]
    path.write_text("\n".join(lines))
    assert sum(line.startswith("# ") for line in lines) < sum(" = " in line for line in lines)
    assert CliRunner().invoke(main, ["-c", str(path), "status"]).exit_code == 3  # nothing was captured yet


def test_init_leaves_an_existing_file_alone(project: Project) -> None:
    result = CliRunner().invoke(main, ["init", "--json", str(project.folder)])
    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["message"] == "There is a configuration already"
    assert (project.folder / "tailrace.toml").read_text() == CONFIG


@pytest.mark.parametrize(
    ("folder", "code"),
    [
        ("a\0b", 101),
        ("tailrace.toml", 101),
        ("tailrace.toml/x", 102),
        ("/proc/x", 102),
        ("x" * 300, 102),
        ("/sys/x", 103),
    ],
)
def test_init_into_no_folder_is_said(project: Project, folder: str, code: int) -> None:
    result = CliRunner().invoke(main, ["init", folder])
    assert result.exit_code == 2
    assert f"TAILRACE-{code}" in result.stderr
    assert "\0" not in result.stderr


def test_init_names_what_it_wrote_in_json(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["init", "--json", str(tmp_path)])
    assert json.loads(result.stdout) == {"file": str(tmp_path / "tailrace.toml")}


def test_init_on_a_full_disk_leaves_no_half_of_a_file(project: Project) -> None:
    code = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    code += "resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10)); from tailrace.cli import main; main()"
    command = [sys.executable, "-c", code, "init", "full"]
    done = subprocess.run(command, cwd=project.folder, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 1
    assert "error TAILRACE-204: It cannot be written: File too large" in done.stderr
    assert list((project.folder / "full").iterdir()) == []


# ---- exit codes


def test_each_exit_code_means_what_the_manual_says(project: Project) -> None:
    assert project.run("load").exit_code == 0
    assert project.run("status", "--tables", "x").exit_code == 2
    project.begin(gaps=(GAP,))
    project.set_aside(QuarantinedRecord("bad_value", "no", b"{", segment="s", line=1))
    assert project.run("quarantine", "list").exit_code == 3
    assert project.run("status").exit_code == 4
    (project.folder / "landing" / "orders" / "manifest.json").write_bytes(b"damaged")
    assert project.run("status").exit_code == 1
    assert project.run("load").exit_code == 1


def test_the_time_that_loading_still_takes_is_estimated_from_what_it_took() -> None:
    clock = ManualClock()
    remaining = Remaining(clock)
    assert remaining.seconds(0, 10) is None
    clock.ms += 30_000
    assert remaining.seconds(6, 4) == pytest.approx(20)
    assert remaining.seconds(6, 0) is None


@pytest.mark.processes
def test_local_says_where_it_is_as_json_and_ends_on_a_signal() -> None:
    command = [sys.executable, "-m", "tailrace", "--json", "local", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        process.send_signal(signal.SIGTERM)
        assert json.loads("".join(lines))["endpoint_url"].startswith("http://127.0.0.1:")
        assert process.wait(30) == 0
