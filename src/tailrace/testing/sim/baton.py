"""Threads of which exactly one runs at a time, so that jobs written as plain code can be stopped in the middle of a call.

A handover costs some 30 µs, so there is none but where a task is really left waiting: whoever holds the baton decides what
happens next and does it itself, on top of its own stack.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeAlias


class Strand:
    """One thread. It sleeps until it is given the baton."""

    def __init__(self, baton: Baton) -> None:
        self._baton = baton
        self._may_run = threading.Lock()
        self._may_run.acquire()
        threading.Thread(target=self._work, name="tailrace-sim", daemon=True).start()

    def wake(self) -> None:
        self._may_run.release()

    def sleep(self) -> None:
        self._may_run.acquire()

    def _work(self) -> None:
        while True:
            self.sleep()
            self._baton.hold(self)


Drive: TypeAlias = Callable[[], Strand | None]
"""Decides and acts until a strand that is parked shall go on (it is the answer), or everything is done (None)."""


class Baton:
    """Runs one `Drive` at a time. A task calls `park` to be left where it is; the drive goes on in another strand."""

    def __init__(self) -> None:
        self._idle: list[Strand] = []
        self._holder: Strand | None = None
        self._drive: Drive | None = None
        self._error: BaseException | None = None
        self._is_over = threading.Lock()
        self._is_over.acquire()

    def run(self, drive: Drive) -> None:
        """Until `drive` says that it is done; no task may be parked then. Raises what it raises."""
        self._drive, self._error = drive, None
        self._wake_idle()
        self._is_over.acquire()
        self._drive = None
        if self._error is not None:
            raise self._error

    def park(self, told: Callable[[Strand], None]) -> None:
        """Leave the calling task here until a drive answers with its strand, which `told` is given."""
        strand = self._holder
        assert strand is not None, "only a task inside a drive can be parked"
        told(strand)
        self._wake_idle()
        strand.sleep()
        self._holder = strand

    def hold(self, strand: Strand) -> None:
        """What a strand does that was woken: drive, then pass the baton on."""
        self._holder = strand
        assert self._drive is not None
        try:
            following = self._drive()
        except BaseException as error:  # for `run` to raise
            following, self._error = None, error
        self._idle.append(strand)
        if following is None:
            self._is_over.release()
        else:
            following.wake()

    def _wake_idle(self) -> None:
        (self._idle.pop() if self._idle else Strand(self)).wake()
