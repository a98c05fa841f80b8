"""Who is gone: a process of this machine that ran and runs no more; of all others nobody knows."""

from __future__ import annotations

import subprocess
import sys

from tailrace.runtimes.holders import is_gone, new_holder


def test_a_process_that_has_ended_is_gone_and_one_that_lives_is_not() -> None:
    code = "from tailrace.runtimes.holders import new_holder; print(new_holder(), flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        holder = process.stdout.readline().strip()
        assert not is_gone(holder)
        process.communicate("\n")
    assert is_gone(holder)


def test_we_are_here_and_differ_each_time() -> None:
    assert new_holder() != new_holder()
    assert not is_gone(new_holder())


def test_of_others_nobody_knows() -> None:
    host, space, pid, nonce = new_holder().split("/")
    gone = "99999999"
    assert is_gone(f"{host}/{space}/{gone}/{nonce}")
    for holder in (
        f"other/{space}/{gone}/{nonce}",
        f"{host}/1{space}/{gone}/{nonce}",
        f"{host}/{space}/{'9' * 40}/{nonce}",
        f"{host}/{space}/-1/{nonce}",
        f"{host}/{space}/{pid}x/{nonce}",
        *("", "x", "///", "/////"),
    ):
        assert not is_gone(holder), holder
