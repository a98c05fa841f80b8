"""Who loads a table of files, and when it is tried again because somebody else was first."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from typing import Final

from tailrace.clock import Clock
from tailrace.errors import StateContended, TargetContended
from tailrace.targets.target import Applied, Load

TRIES: Final = 20  # loads that find another writer has been there
PAUSE_SECONDS: Final = 0.05  # times the number of tries, and a random part of it


class Turns:
    """Loads of one table by one program come one after the other; whatever they commit to orders those of several."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    def take(self, load: Load, attempt: Callable[[], Applied]) -> Applied:
        """What the first attempt gives that does not raise StateContended. Raises TargetContended when all do."""
        with self._lock(load.table.name):
            for number in range(TRIES):
                try:
                    return attempt()
                except StateContended:
                    pause = PAUSE_SECONDS * number * (1 + secrets.randbelow(100) / 100)
                    self._clock.wait(pause, threading.Event())
        raise TargetContended(
            f"Other writers were first {TRIES} times",
            hint="Nothing of this load was applied, and it is repeated. Let one loader do the work.",
            table=load.table.source,
        )

    def _lock(self, name: str) -> threading.Lock:
        with self._guard:
            return self._locks.setdefault(name, threading.Lock())
