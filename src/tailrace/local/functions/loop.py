"""A background loop that looks for work four times a second, as Lambda polls a stream, and at once when it is woken."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Final

POLL_SECONDS: Final = 0.25
LOG: Final = logging.getLogger(__name__)


class Loop:
    """Calls `look` for ever. What it finds it gives to `begin`, under a key that is busy until the work is done."""

    def __init__(self, look: Callable[[], Awaitable[None]]) -> None:
        self._look = look
        self._woken = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: dict[Hashable, asyncio.Task[None]] = {}
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._running = asyncio.create_task(self._run())

    async def stop(self) -> None:
        tasks = [task for task in (self._running, *self._tasks.values()) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def wake(self) -> None:
        self._woken.set()

    def call(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call this in the loop's thread, at once if that is where we are."""
        try:
            here: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        if self._loop is None or here is self._loop:
            function(*arguments)
        else:
            self._loop.call_soon_threadsafe(function, *arguments)

    def is_busy(self, key: Hashable) -> bool:
        return key in self._tasks

    def begin(self, key: Hashable, work: Awaitable[None]) -> None:
        async def run() -> None:
            try:
                await work
            except Exception:
                LOG.exception("work on %s failed", key)
                await asyncio.sleep(POLL_SECONDS)
            finally:
                del self._tasks[key]
                self.wake()

        self._tasks[key] = asyncio.create_task(run())

    async def _run(self) -> None:
        while True:
            self._woken.clear()
            try:
                await self._look()
            except Exception:
                LOG.exception("looking for work failed")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), POLL_SECONDS)
