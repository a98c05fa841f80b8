"""One embedded endpoint per module that asks for one, and the environment of whoever works on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from stream_reader import Account

from tailrace.local.client import LocalAws


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws() as endpoint:
        yield endpoint


@pytest.fixture
def account(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> Account:
    for name, value in aws.env().items():
        monkeypatch.setenv(name, value)
    return Account(aws)
