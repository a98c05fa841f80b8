"""EventBridge Scheduler by the movable clock. The emulator keeps the schedules, knows which are due, and calls their targets."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

from tailrace.local.functions.loop import Loop


class Schedules:
    """All of them, by `now`. Where the clock is moved past several times of a schedule, its target is called once."""

    def __init__(self, now: Callable[[], float]) -> None:
        from ministack.services import scheduler

        scheduler.time = SimpleNamespace(time=now)
        scheduler.start_scheduler = lambda: (
            None
        )  # its thread looks every ten seconds, and the clock may be moved in between
        self._scheduler = scheduler
        self.loop = Loop(self._look)

    async def _look(self) -> None:
        self.call_due()

    def call_due(self) -> None:
        """Call the targets of what is due. A schedule that was not seen before is from now on."""
        self._scheduler._tick_schedules()
