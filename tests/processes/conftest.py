"""Sites for the process tests; every process that a test started is gone after it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from harness import Site
from tailrace.local.client import LocalAws


@pytest.fixture(scope="session")
def aws() -> Iterator[LocalAws]:
    with LocalAws(seed=1) as aws:
        yield aws


@pytest.fixture
def aws_environment(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """For our own clients in the test process."""
    for name, value in aws.env().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)


@pytest.fixture
def site(tmp_path: Path, aws_environment: None) -> Iterator[Callable[..., Site]]:
    """Make a site on an AWS of its own: ``site(landing="s3://lake/t")``."""
    made: list[tuple[Site, LocalAws]] = []

    def make(**options: object) -> Site:
        own = LocalAws(seed=len(made))
        own.start()
        folder = tmp_path / f"site-{len(made)}"
        folder.mkdir()
        one = Site(folder, own, **options)  # type: ignore[arg-type]
        made.append((one, own))
        return one

    yield make
    for one, own in made:
        one.close()
        own.stop()
