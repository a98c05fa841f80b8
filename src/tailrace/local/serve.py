"""Starts the endpoint: the emulator's settings, the socket, the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

from tailrace.errors import UsageInvalid
from tailrace.local.shards import Options

LOCK: Final = ".lock"  # in a folder that keeps state: whoever holds it serves from there


def serve(
    port: int,
    options: Options,
    *,
    directory: Path | None = None,
    on_ready: Callable[[str], None] | None = None,
    attached_to: int | None = None,
) -> None:
    """Serve on 127.0.0.1 until SIGTERM, SIGINT or the end of the terminal.

    `on_ready` gets the endpoint's URL; the default prints it as one JSON line.
    `attached_to`: the reading end of a pipe; the endpoint also stops when whoever holds the other end is gone.

    Raises UsageInvalid when the port is taken, the folder cannot be used or is in use, or the emulator is not installed.
    """
    folder = None if directory is None else directory.absolute()
    with contextlib.nullcontext() if folder is None else _taken(folder):
        _configure_emulator(folder)
        listener = _listen(port)
        port = listener.getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        _configure_functions(url, port)
        state = None if folder is None else folder / "tailrace.json"
        asyncio.run(_serve(listener, options, state, lambda: (on_ready or _print_ready)(url), attached_to))


def _taken(folder: Path) -> BinaryIO:
    """The lock of a folder, which dies with its holder: of two endpoints the last to stop would replace what the other kept."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            (folder / ".writable").touch()
            (folder / ".writable").unlink()
        except OSError:
            lock.close()
            raise
    except BlockingIOError as error:
        raise UsageInvalid(
            "Another endpoint keeps its state in this folder",
            hint="Use that one, stop it, or name another --dir.",
            folder=folder,
        ) from error
    except OSError as error:
        raise UsageInvalid(
            f"The folder cannot be used: {error.strerror}", hint="Name another one with --dir.", folder=folder
        ) from error
    return lock


def _configure_emulator(kept: Path | None) -> None:
    """ministack reads the environment when it is imported."""
    os.environ.update(BIND_HOST="127.0.0.1", IOT_MTLS_ENABLED="0", SFTP_ENABLED="0", PERSIST_STATE="0", S3_PERSIST="0")
    os.environ.setdefault("LOG_LEVEL", "ERROR")
    if kept is not None:
        os.environ.update(
            PERSIST_STATE="1", S3_PERSIST="1", STATE_DIR=str(kept / "state"), S3_DATA_DIR=str(kept / "s3")
        )


def _configure_functions(url: str, port: int) -> None:
    """A function's process gets our environment: nothing of the person who started us, and this endpoint as AWS."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "TAILRACE_"))]:
        del os.environ[name]
    os.environ.update(GATEWAY_PORT=str(port), AWS_ENDPOINT_URL=url)


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        listener.close()
        raise UsageInvalid(
            f"Port {port} cannot be used: {error.strerror}", hint="Choose another one with --port, or 0 for a free one."
        ) from error
    listener.listen(128)
    return listener


async def _serve(
    listener: socket.socket,
    options: Options,
    state: Path | None,
    on_ready: Callable[[], None],
    attached_to: int | None,
) -> None:
    from tailrace.local.emulator import Emulator
    from tailrace.local.server import LocalApp

    try:
        from hypercorn.asyncio import serve as hypercorn_serve
        from hypercorn.config import Config

        emulator = Emulator()
    except ModuleNotFoundError as error:
        raise UsageInvalid(
            f"The embedded AWS endpoint is not installed ({error.name} is missing)",
            hint="pip install 'tailrace[local]'",
        ) from error
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # it is, under nohup
            loop.add_signal_handler(number, stop.set)
    if attached_to is not None:

        def left_alone() -> None:
            loop.remove_reader(attached_to)
            stop.set()

        loop.add_reader(attached_to, left_alone)
    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    config.keep_alive_timeout = 75
    config.accesslog = None
    config.errorlog = None
    config.graceful_timeout = 1.0
    config.shutdown_timeout = 300.0  # of keeping state
    on_ready()
    with contextlib.suppress(asyncio.CancelledError):
        await hypercorn_serve(LocalApp(emulator, options, state), config, shutdown_trigger=stop.wait)  # type: ignore[arg-type]


def _print_ready(url: str) -> None:
    print(json.dumps({"endpoint_url": url}), flush=True)  # noqa: T201
