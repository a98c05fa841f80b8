"""One embedded endpoint per module, a child process; a module that wants options sets OPTIONS."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from stream_reader import Account

from tailrace.local.client import LocalAws


@pytest.fixture(scope="module")
def aws(request: pytest.FixtureRequest) -> Iterator[LocalAws]:
    with LocalAws(**getattr(request.module, "OPTIONS", {})) as aws:
        yield aws


@pytest.fixture(scope="module")
def account(aws: LocalAws) -> Account:
    return Account(aws)


@pytest.fixture
def table(account: Account) -> str:
    """A new table with a hash key `pk` and a stream of both images."""
    return account.table()
