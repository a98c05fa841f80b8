"""The embedded AWS endpoint as a child process, for the demo and the tests."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from tailrace.errors import ServiceUnavailable

STOP_SECONDS: Final = 10


class LocalAws:
    """``with LocalAws() as aws:`` starts the endpoint on a free port and stops it at the end.

    `options` are those of `tailrace.local.shards.Options`. Unlike under `tailrace local` a busy shard does not split by itself
    unless they say so: how many shards there are does not depend on the machine's speed.
    """

    def __init__(self, *, directory: Path | None = None, port: int = 0, **options: Any) -> None:
        options = {"split_records_per_second": 0, **options}
        self._arguments = ["--attached", f"--port={port}", f"--options={json.dumps(options)}"]
        if directory is not None:
            self._arguments.append(f"--dir={directory}")
        self._process: subprocess.Popen[str] | None = None
        self.endpoint_url = ""

    def __enter__(self) -> LocalAws:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Returns once the endpoint answers. It runs in a session of its own, so that a Ctrl-C does not take it away first."""
        command = [sys.executable, "-m", "tailrace.local", *self._arguments]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,  # its end tells the child that we are gone, even if we are killed
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        ready = self._process.stdout.readline()
        if not ready:
            raise ServiceUnavailable("The embedded AWS endpoint did not start", hint="Run `tailrace local` to see why.")
        self.endpoint_url = json.loads(ready)["endpoint_url"]
        self._call("GET", "clock")

    def stop(self) -> None:
        """Ask it to stop; it keeps its state first, where it was given a folder."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process = None

    def env(self) -> dict[str, str]:
        """Environment variables for any AWS SDK; the credentials are placeholders."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }

    # ---- what makes it more than an emulator

    def clock(self) -> float:
        """Unix seconds of the endpoint's clock."""
        return float(self._call("GET", "clock")["now"])

    def advance(self, seconds: float) -> float:
        """Move the clock; trimming, iterator expiry and TTL follow. The new time."""
        return float(self._call("POST", "clock", {"advance_seconds": seconds})["now"])

    def fault(self, kind: str, **details: Any) -> None:
        """Plan a fault: see `tailrace.local.faults.Fault`."""
        self._call("POST", "faults", {"kind": kind, **details})

    def faults(self) -> list[dict[str, Any]]:
        """Those planned that are still to come, oldest first."""
        return list(self._call("GET", "faults")["faults"])

    def clear_faults(self) -> None:
        self._call("DELETE", "faults")

    def split(self, table: str, shard: str | None = None) -> list[str]:
        """Split an open shard (the widest where none is named); the ids of its children."""
        return list(self.shards("split", table, shard=shard)["children"])

    def roll(self, table: str, shard: str | None = None) -> list[str]:
        """Roll an open shard over to one child; its id."""
        return list(self.shards("roll", table, shard=shard)["children"])

    def shards(self, kind: str, table: str, **details: Any) -> dict[str, Any]:
        """split, roll, trim, hide_children (seconds), expire_iterators, duplicate (count): happens at once."""
        details = {name: value for name, value in details.items() if value is not None}
        return self._call("POST", "faults", {"kind": kind, "table": table, **details})

    def redshift(self, warehouse: str) -> tuple[str, int]:
        """Host and port at which drivers find a warehouse; any user and password will do."""
        answer = self._call("POST", "redshift", {"warehouse": warehouse})
        return str(answer["host"]), int(answer["port"])

    def _call(self, method: str, what: str, request: dict[str, Any] | None = None) -> dict[str, Any]:
        call = urllib.request.Request(
            f"{self.endpoint_url}/_tailrace/{what}", method=method, data=json.dumps(request or {}).encode()
        )
        try:
            with urllib.request.urlopen(call, timeout=60) as answer:
                return dict(json.loads(answer.read()))
        except urllib.error.HTTPError as error:
            raise ServiceUnavailable(f"The embedded AWS endpoint refused: {error.read().decode()}") from error
        except urllib.error.URLError as error:
            raise ServiceUnavailable(f"The embedded AWS endpoint does not answer: {error.reason}") from error
