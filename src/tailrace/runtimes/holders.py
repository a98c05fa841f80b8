"""How a process that holds something signs, and whether one that signed still lives. A hint: only of this machine it knows."""

from __future__ import annotations

import os
import secrets
import socket
from contextlib import suppress


def new_holder() -> str:
    """``host/space/pid/nonce``: `space` tells apart boots and namespaces of process numbers, ``-`` where nothing does."""
    return f"{_home()}/{os.getpid()}/{secrets.token_hex(4)}"


def is_gone(holder: str) -> bool:
    """Whether the process ran on this machine, and does so no more. A number that was given anew passes for it."""
    home, _, rest = holder.rpartition("/")[0].rpartition("/")
    if home != _home() or os.name != "posix" or not rest.isdecimal():
        return False
    try:
        os.kill(int(rest), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # it lives and is another user's, or is no process's number
        return False
    return False


def _home() -> str:
    space = "-"
    with suppress(OSError), open("/proc/sys/kernel/random/boot_id", encoding="ascii") as boot:
        namespace = "".join(c for c in os.readlink("/proc/self/ns/pid") if c.isdecimal())
        space = f"{boot.read(8)}.{namespace}"  # functions and containers may share a host's name
    return f"{socket.gethostname()}/{space}"
