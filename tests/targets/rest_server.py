"""Apache Iceberg's own REST catalog, its reference server, as a process: ``make setup-rest`` fetches it, Java 17 runs it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from iceberg_place import elsewhere

JARS = Path(__file__).parents[2] / ".venv" / "jars" / "rest"
START_SECONDS = 60


@contextmanager
def rest_server(**settings: str) -> Iterator[str]:
    """Its address while it runs. Tables lie in folders of this machine. Skips a test where it is not installed."""
    if shutil.which("java") is None or not list(JARS.glob("iceberg-open-api-*.jar")):
        pytest.skip("Iceberg's REST catalog is not installed: make setup-rest, with Java 17 and Maven")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        port = _free_port()
        environment = {
            "PATH": os.environ["PATH"],
            "CATALOG_REST_PORT": str(port),
            "CATALOG_URI": f"jdbc:sqlite:{folder}/catalog.db",
            "CATALOG_WAREHOUSE": f"file://{folder}/warehouse",
            **settings,
        }
        log = Path(folder) / "log"
        with log.open("wb") as output:
            server = subprocess.Popen(
                [
                    "java",
                    "-Xmx512m",
                    "-XX:+UseSerialGC",
                    "-cp",
                    f"{JARS}/*",
                    "org.apache.iceberg.rest.RESTCatalogServer",
                ],
                env=environment,
                stdout=output,
                stderr=output,
            )
        try:
            _wait(server, f"http://127.0.0.1:{port}", log)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()
            server.wait()


@contextmanager
def rest_catalog() -> Iterator[str]:
    """Meanwhile all lakes are namespaces of such a server; gives its address."""
    with rest_server() as uri, elsewhere(type="rest", uri=uri):
        yield uri


def _wait(server: subprocess.Popen[bytes], uri: str, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and server.poll() is None:
        with suppress(OSError), urllib.request.urlopen(f"{uri}/v1/config", timeout=5):
            return
        time.sleep(0.1)
    pytest.fail(f"the REST catalog did not start: {log.read_text(errors='replace')[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
