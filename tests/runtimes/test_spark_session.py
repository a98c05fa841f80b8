"""Spark where there is none."""

from __future__ import annotations

import sys

import pytest

from tailrace.errors import UsageInvalid
from tailrace.runtimes.spark.session import session


def test_without_pyspark_the_remedy_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "pyspark"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyspark", None)
    with pytest.raises(UsageInvalid, match="Spark is not installed") as caught:
        session({})
    assert "tailrace[spark]" in caught.value.hint
