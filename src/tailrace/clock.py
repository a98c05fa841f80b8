"""Time as something passed in. Only `cli/` and `runtimes/` make a SystemClock; everything else is given a Clock."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass
from typing import Protocol


class Clock(Protocol):
    """Wall time for people, monotonic time for waiting."""

    def now_ms(self) -> int:
        """Unix time in milliseconds: for metrics, names of folders and messages, never for order."""

    def monotonic(self) -> float:
        """Seconds that never go back."""

    def wait(self, seconds: float, stop: threading.Event) -> bool:
        """Sleep at most this long; return early, and True, once `stop` is set."""


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()

    def wait(self, seconds: float, stop: threading.Event) -> bool:
        return stop.wait(max(0.0, seconds))


@dataclass(slots=True)
class ManualClock:
    """A clock that moves only when told to; `wait` moves it. For tests and simulation."""

    ms: int = 1_790_000_000_000

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.ms / 1000

    def wait(self, seconds: float, stop: threading.Event) -> bool:
        self.ms += max(0, math.ceil(seconds * 1000))  # rounded up, or a short wait would never end
        return stop.is_set()


class Budget:
    """How long a tick may take, and whether somebody asked it to stop.

    `spent()` is asked between effects; a tick that sees True returns at the next border, having published what it holds.
    """

    def __init__(self, clock: Clock, seconds: float | None = None, stop: threading.Event | None = None) -> None:
        self.clock = clock
        self.stop = stop or threading.Event()
        self._deadline = None if seconds is None else clock.monotonic() + seconds

    def spent(self) -> bool:
        return self.stop.is_set() or self.remaining() <= 0

    def remaining(self) -> float:
        """Seconds left; infinity without a limit."""
        return float("inf") if self._deadline is None else self._deadline - self.clock.monotonic()

    def wait(self, seconds: float) -> bool:
        """Sleep at most `seconds` and never past the deadline; True once the budget is spent."""
        self.clock.wait(min(seconds, max(0.0, self.remaining())), self.stop)
        return self.spent()
