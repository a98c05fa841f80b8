"""A secret in the environment is in no output, whatever fails: results, logs, tracebacks and files are searched for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_project import CONFIG, Project

CANARY = "canary7f3aSECRETcanary"
CLOSED = "http://127.0.0.1:9"  # discard: nobody listens


@pytest.fixture
def watched(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose AWS settings lead nowhere and hold the canary wherever a secret may stand."""
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "SOME_PASSWORD"):
        monkeypatch.setenv(name, CANARY)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setattr("tailrace.aws.ATTEMPTS", 1)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    return project


def assert_unseen(project: Project, *arguments: str, code: int | None = None) -> None:
    """Run it with everything that it can be made to say, and look everywhere."""
    for more in (["-vv"], ["-vv", "--debug"], ["--json", "--log-format", "json", "-vv", "--debug"]):
        result = project.run(*more, *arguments)
        assert result.exit_code != 0
        assert code is None or result.exit_code == code, result.output
        assert CANARY not in result.output
        assert CANARY not in f"{result.exception!r} {getattr(result.exception, '__cause__', '')!r}"
    for path in project.folder.rglob("*"):
        if path.is_file() and path.name != "tailrace.toml":
            assert CANARY.encode() not in path.read_bytes()


def configure(project: Project, text: str) -> None:
    (project.folder / "tailrace.toml").write_text(text)


@pytest.mark.parametrize(
    "arguments",
    [
        ["capture", "--budget", "1s"],
        ["run", "--once", "--budget", "1s"],
        ["verify"],
        ["gen", "--table", "orders", "--endpoint-url", CLOSED],
    ],
    ids=lambda arguments: arguments[0],
)
def test_when_aws_does_not_answer(watched: Project, arguments: list[str]) -> None:
    configure(watched, CONFIG + f'[source]\nendpoint_url = "{CLOSED}"\n')
    assert_unseen(watched, *arguments)


def test_when_the_bucket_does_not_answer(watched: Project) -> None:
    configure(watched, CONFIG.replace("file:./landing", "s3://bucket/x") + f'[source]\nendpoint_url = "{CLOSED}"\n')
    assert_unseen(watched, "status", code=1)


def test_when_the_profile_is_unknown(watched: Project) -> None:
    configure(watched, CONFIG.replace("file:./landing", "s3://bucket/x") + '[source]\nprofile = "nobody"\n')
    assert_unseen(watched, "status", code=2)


@pytest.mark.parametrize(
    "setting",
    [
        'endpoint_url = "https://user:${SOME_PASSWORD}@example.com"',
        f'endpoint_url = "https://user:{CANARY}@example.com"',
        f'secret_access_key = "{CANARY}"',
        f'endpoint_url = "{CANARY}',
        f'region = "{CANARY}"',
        f'role_arn = "{CANARY}"',
    ],
)
def test_when_somebody_writes_it_into_the_configuration(watched: Project, setting: str) -> None:
    configure(watched, CONFIG + f"[source]\n{setting}\n")
    assert_unseen(watched, "status", code=2)


def test_when_somebody_writes_it_into_the_landing_url(watched: Project) -> None:
    configure(watched, CONFIG.replace("file:./landing", f"s3://key:{CANARY}@bucket/x"))
    assert_unseen(watched, "status", code=2)


def test_the_search_would_find_it(watched: Project) -> None:
    Path("found").write_text(CANARY)
    with pytest.raises(AssertionError):
        assert_unseen(watched, "status", "--tables", "nothing")
