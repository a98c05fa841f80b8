"""PostgreSQL's passwords come from an SSM SecureString into a file that only libpq and its owner read."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from stream_reader import Account

from tailrace.aws import Aws, AwsSettings
from tailrace.deploy.entry import PGPASS
from tailrace.errors import NotFound, UserFault
from tailrace.local.client import LocalAws
from tailrace.runtimes.aws_lambda.passwords import put_passwords

pytestmark = pytest.mark.embedded

LINE = "db.example.com:5432:*:loader:canary-41d7\n"


@pytest.fixture(scope="module")
def local() -> Iterator[LocalAws]:
    with LocalAws() as endpoint:
        yield endpoint


@pytest.fixture
def aws(local: LocalAws, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Aws:
    for name, value in local.env().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PGPASSFILE", "none")  # so that it is put back afterwards
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return Aws(AwsSettings(region="us-east-1"))


def store(local: LocalAws, value: str, **more: Any) -> None:
    Account(local).client("ssm").put_parameter(Name="/t/pgpass", Value=value, Overwrite=True, **more)


def test_without_a_parameter_nothing_happens(aws: Aws) -> None:
    put_passwords(aws)
    assert os.environ["PGPASSFILE"] == "none"


def test_libpq_finds_the_password_of_today(local: LocalAws, aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PGPASS, "/t/pgpass")
    for line in (LINE, LINE.replace("canary", "changed")):
        store(local, line, Type="SecureString")
        put_passwords(aws)
        path = Path(os.environ["PGPASSFILE"])
        assert path.read_text() == line
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert list(path.parent.iterdir()) == [path]
    options = {option.keyword.decode(): option.val for option in psycopg.pq.Conninfo.get_defaults()}
    assert options["passfile"] == os.environ["PGPASSFILE"].encode()


def test_a_password_in_the_clear_is_refused_and_not_repeated(
    local: LocalAws, aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PGPASS, "/t/clear")
    Account(local).client("ssm").put_parameter(Name="/t/clear", Value=LINE, Type="String")
    with pytest.raises(UserFault, match="not encrypted") as caught:
        put_passwords(aws)
    assert "canary" not in f"{caught.value} {caught.value.hint}"
    assert os.environ["PGPASSFILE"] == "none"


def test_a_parameter_that_is_not_there(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PGPASS, "/t/absent")
    with pytest.raises(NotFound) as caught:
        put_passwords(aws)
    assert caught.value.facts["parameter"] == "/t/absent"
