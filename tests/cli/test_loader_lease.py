"""A loader that is at work elsewhere, as the commands show it: it is named, waited for, and can be taken over from."""

from __future__ import annotations

import threading

import pytest
from cli_project import Project, line

from tailrace.clock import SystemClock
from tailrace.jobs.lease import LoaderLease
from tailrace.pipeline import Pipeline

OTHER = "elsewhere/-/4711/0badcafe"


@pytest.fixture
def other(loaded: Project, monkeypatch: pytest.MonkeyPatch) -> LoaderLease:
    """Another machine's, which holds the lease and is not heard of again."""
    monkeypatch.setattr("tailrace.runtimes.daemon.BUSY_SECONDS", 0.1)
    monkeypatch.setattr("tailrace.runtimes.daemon.BUSY_SECONDS_MAX", 0.5)
    loaded.land(line(3, "c"), first=3)
    lease = LoaderLease(loaded.landing, "local", OTHER, SystemClock())
    lease.take(0)
    return lease


def test_status_says_who_loads_since_when(loaded: Project, other: LoaderLease) -> None:
    (target,) = loaded.json("status")[0]["targets"]
    assert target["loader"]["holder"] == OTHER
    assert target["loader"]["since"].endswith("+00:00")
    assert f"    {OTHER} loads since 20" in loaded.run("status").stdout
    other.give_back()
    assert loaded.json("status")[0]["targets"][0]["loader"] is None


def test_a_load_that_waits_in_vain_says_for_whom_and_what_to_do(loaded: Project, other: LoaderLease) -> None:
    (run,) = loaded.json("load", code=1)
    assert run["loaded"]["local"] == {"rows": 0, "segments": 0, "unloaded": 1, "next_load": None, "busy": OTHER}
    assert (run["error"]["code"], "--take-over" in run["error"]["hint"]) == ("TAILRACE-207", True)
    assert OTHER in run["error"]["message"]


def test_a_load_waits_for_the_other_one_to_end(loaded: Project, other: LoaderLease) -> None:
    timer = threading.Timer(0.2, other.give_back)
    timer.start()
    (run,) = loaded.json("load")
    timer.join()
    assert run["loaded"]["local"]["rows"] == 1
    assert run["loaded"]["local"]["busy"] is None


def test_it_can_be_taken_over_by_force(loaded: Project, other: LoaderLease) -> None:
    (run,) = loaded.json("load", "--take-over")
    assert run["loaded"]["local"]["rows"] == 1
    assert loaded.landing.lease("local").lease.holder is None


def test_while_run_goes_on_it_is_no_error(loaded: Project, other: LoaderLease) -> None:
    stop = threading.Event()
    seen: list[object] = []

    def on_change(run: object) -> None:
        seen.append(run)
        threading.Timer(1.0, stop.set).start()

    pipeline = Pipeline.from_config(loaded.folder / "tailrace.toml")
    (run,) = pipeline.run(capture=False, backfill=False, compact=False, stop=stop, on_change=on_change)
    assert seen
    assert run.error is None
    assert run.loads["local"].busy is not None
