"""The store contract over every store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from s3_proxy import BUCKET

from tailrace.landing import LocalStore, S3Store, Store
from tailrace.testing.store_contract import StoreContract
from tailrace.testing.stores import MemoryStore


class TestLocalStore(StoreContract):
    def make_store(self, tmp_path: Path) -> Store:
        return LocalStore(tmp_path / "landing")


@pytest.mark.embedded
class TestS3Store(StoreContract):
    listed_objects = 1005

    @pytest.fixture(autouse=True)
    def _with_client(self, s3: Any) -> None:
        self.client = s3

    def make_store(self, tmp_path: Path) -> Store:
        return S3Store(self.client, BUCKET, f"contract/{tmp_path.name}")


class TestMemoryStore(StoreContract):
    @pytest.fixture(autouse=True)
    def _with_store(self) -> None:
        self.shared = MemoryStore()

    def make_store(self, tmp_path: Path) -> Store:
        return self.shared
