"""One Spark for all tests of this folder: it takes seconds to start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyspark", reason="Spark is not installed: make test-spark")

from tailrace.runtimes.spark.session import session

PATIENCE = [  # py4j leaves sockets to the garbage collector
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def pytest_itemcollected(item: pytest.Item) -> None:
    if item.path.parent == Path(__file__).parent:
        for mark in PATIENCE:
            item.add_marker(mark)


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    made = session({"spark.master": "local[2,4]", "spark.driver.memory": "1g"})
    yield made
    made.stop()
