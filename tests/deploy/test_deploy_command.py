"""``tailrace deploy render`` and ``tailrace iam`` as a person calls them. Neither calls AWS."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from configurations import CONFIGURATIONS

from tailrace.cli import main
from tailrace.deploy.files import TOOLS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tailrace.toml").write_text(CONFIGURATIONS["stream-to-redshift"], encoding="utf-8")
    return tmp_path


def call(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["-c", str(folder / "tailrace.toml"), *arguments])


def render(folder: Path, *more: str, to: str = "sam") -> Result:
    return call(folder, "deploy", "render", "--to", to, str(folder / "aws"), *more)


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("tool", TOOLS)
def test_a_folder_is_written_with_the_steps_that_follow(folder: Path, tool: str) -> None:
    result = render(folder, to=tool)
    assert result.exit_code == 0, result.output
    written = snapshot(folder / "aws")
    main_file = {"sam": "template.yaml", "cdk": "app.py", "terraform": "main.tf"}[tool]
    assert {main_file, "README.md", "Makefile", "worker/Dockerfile", "worker/tailrace.toml"} <= written.keys()
    assert "README.md" in result.stdout


def test_rendering_again_changes_nothing_and_says_so(folder: Path) -> None:
    render(folder)
    before = snapshot(folder / "aws")
    result = render(folder)
    assert result.exit_code == 0
    assert "0 of 6 files written" in result.stdout
    assert snapshot(folder / "aws") == before


def test_a_changed_configuration_replaces_what_nobody_touched(folder: Path) -> None:
    render(folder)
    path = folder / "tailrace.toml"
    path.write_text(path.read_text(encoding="utf-8") + "flush_seconds = 7\n", encoding="utf-8")
    result = render(folder)
    assert result.exit_code == 0
    assert "2 of 6 files written" in result.stdout  # the template and the functions' configuration
    assert "MaximumBatchingWindowInSeconds: 7" in (folder / "aws" / "template.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["template.yaml", "README.md", "worker/tailrace.toml"])
def test_a_file_that_a_person_changed_is_kept_and_nothing_is_written(folder: Path, name: str) -> None:
    render(folder)
    path = folder / "aws" / name
    path.write_text(path.read_text(encoding="utf-8") + "# mine\n", encoding="utf-8")
    (folder / "tailrace.toml").write_text(CONFIGURATIONS["exports"], encoding="utf-8")
    before = snapshot(folder / "aws")
    result = render(folder)
    assert result.exit_code == 2
    assert f"error TAILRACE-102: {name} is not as it was rendered" in result.stderr
    assert "--force" in result.stderr
    assert snapshot(folder / "aws") == before


def test_force_replaces_it(folder: Path) -> None:
    render(folder)
    path = folder / "aws" / "template.yaml"
    rendered = path.read_bytes()
    path.write_bytes(rendered + b"# mine\n")
    assert render(folder, "--force").exit_code == 0
    assert path.read_bytes() == rendered


def test_a_file_of_somebody_else_is_not_taken_for_ours(folder: Path) -> None:
    (folder / "aws").mkdir()
    (folder / "aws" / "README.md").write_bytes(b"\xff not even text")
    result = render(folder)
    assert result.exit_code == 2
    assert "README.md is not as it was rendered" in result.stderr
    assert list(snapshot(folder / "aws")) == ["README.md"]


def test_a_folder_that_is_a_file_is_an_error_with_a_next_step(folder: Path) -> None:
    (folder / "aws").write_text("x", encoding="utf-8")
    result = render(folder)
    assert result.exit_code == 2
    assert "error TAILRACE-102: The file cannot be read or written" in result.stderr
    assert "hint: Check the name" in result.stderr


def test_a_full_disk_is_said_and_leaves_no_half_of_a_file(folder: Path) -> None:
    code = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    code += "resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10)); from tailrace.cli import main; main()"
    command = [sys.executable, "-c", code, "deploy", "render", "--to", "sam", "aws"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "error TAILRACE-204: The file cannot be read or written: File too large" in done.stderr
    assert snapshot(folder / "aws") == {}


def test_json_names_every_file(folder: Path) -> None:
    document = json.loads(render(folder, "--json").stdout)
    assert document["files"] == document["written"] == sorted(document["files"])
    assert json.loads(render(folder, "--json").stdout)["written"] == []


def test_notes_go_to_stderr(folder: Path) -> None:
    (folder / "tailrace.toml").write_text(CONFIGURATIONS["existing-bucket"], encoding="utf-8")
    result = render(folder)
    assert "note: orders is not loaded into local" in result.stderr
    assert "not loaded" not in result.stdout


def test_what_cannot_be_deployed_leaves_no_folder(folder: Path) -> None:
    (folder / "tailrace.toml").write_text(
        '[landing]\nurl = "file:./landing"\n[targets.local]\nkind = "duckdb"\npath = "w.duckdb"\n[tables.orders]\n',
        encoding="utf-8",
    )
    result = render(folder)
    assert result.exit_code == 2
    assert "error TAILRACE-101: A landing zone on this machine has no place on AWS" in result.stderr
    assert 'hint: Set url = "s3://bucket/prefix"' in result.stderr
    assert not (folder / "aws").exists()


# ---- iam


def iam(folder: Path, *arguments: str) -> Result:
    return call(folder, "iam", "--account", "111122223333", *arguments)


WORKGROUP = ("--set", "DwhWorkgroup=arn:aws:redshift-serverless:eu-west-1:111122223333:workgroup/0a1b")


def policy(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.stderr
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def test_one_role_is_a_policy_that_iam_takes(folder: Path) -> None:
    document = policy(iam(folder, "--table", "orders", "--role", "capture"))
    assert document["Version"] == "2012-10-17"
    assert {"s3:PutObject", "dynamodb:GetRecords"} <= {a for s in document["Statement"] for a in s["Action"]}


def test_all_roles_come_by_name_with_who_may_assume_them(folder: Path) -> None:
    document = policy(iam(folder, *WORKGROUP))
    assert document["tailrace-orders-load"]["trust"]["Statement"][0]["Principal"] == {"Service": "lambda.amazonaws.com"}
    assert document["tailrace-schedules"]["table"] is None


def test_the_role_of_a_server_is_there_too(folder: Path) -> None:
    path = folder / "tailrace.toml"
    path.write_text(path.read_text(encoding="utf-8").replace('capture = "lambda"', ""), encoding="utf-8")
    document = policy(iam(folder, "--role", "run", *WORKGROUP))
    actions = {a for s in document["Statement"] for a in s["Action"]}
    assert {"dynamodb:GetRecords", "dynamodb:Scan", "s3:DeleteObject", "redshift-data:ExecuteStatement"} <= actions


@pytest.mark.parametrize(
    ("arguments", "says", "hint"),
    [
        (("--role", "load"), "The ARN of the workgroup analytics is not known", "--set DwhWorkgroup="),
        (("--table", "other"), "There is no table 'other'", "Configured are: orders."),
        (("--set", "DwhWorkgroup"), "is not NAME=VALUE", "For example"),
        (("--role", "chain", "--table", "orders", "--account", "1"), "is no account", "Twelve digits"),
    ],
)
def test_what_is_missing_is_said_with_the_next_step(
    folder: Path, arguments: tuple[str, ...], says: str, hint: str
) -> None:
    result = iam(folder, *arguments)
    assert result.exit_code == 2
    assert says in result.stderr
    assert hint in result.stderr


def test_a_role_that_a_deployment_does_not_have(folder: Path) -> None:
    (folder / "tailrace.toml").write_text(CONFIGURATIONS["exports"], encoding="utf-8")
    result = iam(folder, "--role", "capture")
    assert result.exit_code == 2
    assert "This deployment has no role capture" in result.stderr


def test_without_an_account_nothing_is_made_up(folder: Path) -> None:
    result = call(folder, "iam")
    assert result.exit_code == 2
    assert "--account" in result.stderr
