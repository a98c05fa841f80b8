"""One embedded endpoint per module that asks for one, and a site on it that is new for every test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from lambda_site import Site

from tailrace.local.client import LocalAws


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws() as endpoint:
        yield endpoint


@pytest.fixture
def site(aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    for name, value in aws.env().items():
        monkeypatch.setenv(name, value)
    return Site(aws, tmp_path)
