"""A few rounds of what ``make kill`` does a thousand times: kill -9, two at once, a zombie; then everything is compared."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable

import pytest

from harness import TABLE, Killer, Site

pytestmark = pytest.mark.processes


def test_whatever_is_killed_nothing_is_lost_and_nothing_doubled(site: Callable[..., Site]) -> None:
    s = site(seed=11, items=1000)
    killer = Killer(s, seed=11, rate=100)
    with s.writing(rate=100):
        for kind in ("early", "steady", "split", "trim", "two", "zombie"):
            killer.one(kind)
    s.settle()
    keys, records = s.check()
    assert s.compacted() > 0
    assert keys > 1000
    assert records > 200
    assert killer.kills == 8
    assert killer.counts["kills before the base was complete"] > 0
    assert killer.counts["kills after something was published"] > 0
    assert killer.counts["fault trim"] == 1


def test_two_at_once_on_s3_and_killed(site: Callable[..., Site]) -> None:
    s = site(landing="s3://lake/kill", seed=12)
    killer = Killer(s, seed=12)
    with s.writing(rate=60):
        for kind in ("steady", "two"):
            killer.one(kind)
    s.settle()
    s.check()


def test_signals_stop_a_run_within_seconds_and_lose_nothing(site: Callable[..., Site]) -> None:
    s = site(seed=13)
    for number in (signal.SIGINT, signal.SIGTERM):
        with s.writing(rate=60):
            process = s.start("run")
            s.wait_for_segments(2)
            begun = time.monotonic()
            assert s.end(process, number) == 0
            assert time.monotonic() - begun < 15
    s.settle()
    s.check()


def test_a_second_signal_ends_it_at_once(site: Callable[..., Site]) -> None:
    """While the endpoint hangs, a clean stop has to wait for it; nobody else has to."""
    s = site(seed=14)
    with s.writing(rate=60):
        process = s.start("run")
        s.wait_for_segments(1)
    s.aws.fault("slow", count=1000, seconds=20)
    time.sleep(1.5)  # long enough that a call hangs
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == -signal.SIGINT
    assert time.monotonic() - begun < 3
    s.aws.clear_faults()


def test_a_damaged_row_in_the_target_is_named_and_leaves_with_4(site: Callable[..., Site]) -> None:
    import duckdb

    s = site(seed=15)
    s.writer.write(60)
    s.settle()
    with duckdb.connect(str(s.folder / "now.duckdb")) as connection:
        (pk,) = connection.execute(f"SELECT pk FROM {TABLE} ORDER BY pk LIMIT 1").fetchone() or ("",)
        connection.execute(f"UPDATE {TABLE} SET type = 'changed by hand' WHERE pk = ?", [pk])
    assert s.finish("verify", "--deadline", "2s") == 4
    found = (s.folder / "run.log").read_text()
    assert re.search(rf"different\s+pk={re.escape(pk)}, sk=\S+: type", found)
    assert s.finish("verify", "--target", "log") == 0
    assert re.search(r"verified: \d+ keys equal\n", (s.folder / "run.log").read_text())


def test_verify_beside_a_running_pipeline_raises_no_false_alarm(site: Callable[..., Site]) -> None:
    s = site(seed=16)
    with s.writing(rate=60):
        process = s.start("run")
        s.wait_for_segments(1)
        assert s.finish("verify", "--deadline", "45s") == 0
        assert s.end(process, signal.SIGTERM) == 0
    assert "error" not in (s.folder / "run.log").read_text()
