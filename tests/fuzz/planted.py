"""Targets with defects, to see that each kind of them is found."""

from __future__ import annotations

import os
import signal
import time

from targets import TARGETS, Options, Target


def _raises(data: bytes, _options: Options) -> None:
    assert b"orders" not in data, "planted"


def _dies(data: bytes, _options: Options) -> None:
    if b"orders" in data:
        os.kill(os.getpid(), signal.SIGSEGV)


def _hangs(data: bytes, _options: Options) -> None:
    while b"orders" in data:
        time.sleep(0.1)


def _takes_all_memory(data: bytes, _options: Options) -> None:
    if b"orders" in data:
        bytes(16 << 30)


def target(name: str) -> Target:
    """Draws what `exports` draws."""
    checks = {"raises": _raises, "dies": _dies, "hangs": _hangs, "takes_all_memory": _takes_all_memory}
    return Target("exports", checks[name], TARGETS["exports"].choices)
